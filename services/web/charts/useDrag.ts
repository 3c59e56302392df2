import { type PointerEvent, useState } from "react";

interface Drag<Place> {
  from: Place;
  to: Place;
}

/** What somebody points at in a chart, and draws in it with the first button; `onDrawn` gets what was drawn. */
export function useDrag<Place>(
  placeOf: (event: PointerEvent<HTMLDivElement>) => Place,
  onDrawn: (drawn: Drag<Place>) => void,
) {
  const [drag, setDrag] = useState<Drag<Place>>();
  const [over, setOver] = useState<Place>();
  const handlers = {
    onPointerDown(event: PointerEvent<HTMLDivElement>) {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      const place = placeOf(event);
      setDrag({ from: place, to: place });
    },
    onPointerMove(event: PointerEvent<HTMLDivElement>) {
      const place = placeOf(event);
      setOver(place);
      setDrag((now) => now && { ...now, to: place });
    },
    onPointerLeave: () => setOver(undefined),
    onPointerCancel: () => setDrag(undefined),
    onPointerUp() {
      setDrag(undefined);
      if (drag) onDrawn(drag);
    },
  };
  return { drag, over, handlers };
}
