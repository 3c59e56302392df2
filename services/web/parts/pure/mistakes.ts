// Where a text has its mistake, as the API says it: in characters of Unicode, of which JavaScript counts some twice.

export interface Mistake {
  /** Of the first character that is wrong, from 0. */
  position: number;
  /** How many are wrong; 0 where something is missing. */
  length: number;
  /** What may stand in place of them. */
  choices: readonly string[];
}

/** The text before the mistake, the mistake, and the text behind it. */
export function around(
  text: string,
  { position, length }: Pick<Mistake, "position" | "length">,
): [string, string, string] {
  const characters = [...text];
  const end = position + length;
  const part = (from: number, to?: number): string => characters.slice(from, to).join("");
  return [part(0, position), part(position, end), part(end)];
}

/** The text with one of the choices in place of what is wrong. */
export function mended(text: string, mistake: Mistake, choice: string): string {
  const [before, , behind] = around(text, mistake);
  return `${before}${choice}${behind}`;
}
