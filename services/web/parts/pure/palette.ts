// What the palette offers, and which of it is meant by what somebody writes.

export interface Choice {
  key: string;
  /** What it is: "Page", "Service". */
  group: string;
  name: string;
  keys?: string;
  /** Whether the palette stays open, since it asks for more. */
  stays?: boolean;
  run: () => void;
}

/** The trace id that a text is or contains alone: 32 hexadecimal digits, also in a link or a traceparent. */
export function traceIdIn(text: string): string | undefined {
  const found = /(?:^|[^0-9a-f])([0-9a-f]{32})(?:[^0-9a-f]|$)/i.exec(text.trim())?.[1]?.toLowerCase();
  return found === undefined || /^0+$/.test(found) ? undefined : found;
}

/** The choices that contain every word: those whose name begins so first, then those with a word that does. */
export function chosenBy(choices: readonly Choice[], wanted: string): Choice[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = ({ name, group }: Choice): number => {
    const lower = name.toLowerCase();
    const whole = `${lower} ${group.toLowerCase()}`;
    if (!words.every((word) => whole.includes(word))) return -1;
    const first = words[0] ?? "";
    if (lower.startsWith(first)) return 0;
    return lower.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(first)) ? 1 : 2;
  };
  return choices
    .map((choice) => ({ choice, rank: rank(choice) }))
    .filter((one) => one.rank >= 0)
    .sort((a, b) => a.rank - b.rank)
    .map((one) => one.choice);
}
