import { type RefObject, useEffect, useRef } from "react";

/** What a canvas is painted with: in CSS pixels, with the colours of the present theme. */
export interface Brush {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  /** The colour of a token, such as "error-fill". */
  colour: (token: string) => string;
}

/** A canvas that `paint` fills, again whenever its size or the theme changes. `paint` must stay the same function. */
export function useCanvas(paint: (brush: Brush) => void): RefObject<HTMLCanvasElement | null> {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const draw = (): void => painted(element, paint);
    draw();
    const watcher = new ResizeObserver(draw);
    watcher.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    const theme = new MutationObserver(draw);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      watcher.disconnect();
      theme.disconnect();
      scheme.removeEventListener("change", draw);
    };
  }, [paint]);
  return canvas;
}

function painted(canvas: HTMLCanvasElement, paint: (brush: Brush) => void): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  // Custom properties keep their functions; a colour that is in use is resolved.
  const probe = document.createElement("span");
  canvas.after(probe);
  const colour = (token: string): string => {
    probe.style.color = `var(--${token})`;
    return getComputedStyle(probe).color;
  };
  paint({ context, width, height, colour });
  probe.remove();
}
