import { useKeys } from "../../app/keys";

/** Presses the button of the value that has the focus, or else of the one under the pointer. */
function press(how: "only" | "not"): void {
  const button =
    document.querySelector<HTMLElement>(`[data-value]:focus-within [data-term="${how}"]`) ??
    document.querySelector<HTMLElement>(`[data-value]:hover [data-term="${how}"]`);
  button?.click();
}

/** Keys that include and exclude a value, wherever values have buttons for that: `data-value` is on what holds a value,
 * `data-term` on its buttons. */
export function useTermKeys(isOn = true): void {
  useKeys(
    isOn
      ? [
          { keys: "f", what: "Only the value that has the focus or the pointer", run: () => press("only") },
          { keys: "F", what: "Not the value that has the focus or the pointer", run: () => press("not") },
        ]
      : [],
  );
}
