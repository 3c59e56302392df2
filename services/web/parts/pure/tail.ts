// What a tail needs: server-sent events taken out of a stream of text, and the lines that are kept of them.

export interface ServerEvent {
  event: string;
  data: string;
}

/** Takes events out of the pieces of a stream, wherever it was cut. */
export class EventParser {
  #rest = "";
  #event = "";
  #data: string[] = [];

  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const text = this.#rest + piece;
    // A carriage return at the end may belong to a line feed that is still to come.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + text.slice(whole.length);
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
        this.#event = "";
        this.#data = [];
      } else {
        const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
        if (name === "event") this.#event = value;
        if (name === "data") this.#data.push(value);
      }
    }
    return events;
  }
}

/** A record, or what a reader must know of what is not there. */
export type TailLine<T> = { record: T } | { note: string };

const DROPPED = "Older records were dropped while the tail was paused.";

/** The newest lines of a tail. Those that come while it is paused wait, and do not move what is read. */
export class TailBuffer<T> {
  /** Oldest first. */
  shown: readonly TailLine<T>[] = [];
  #waiting: TailLine<T>[] = [];
  #dropped = false;
  #paused = false;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get waiting(): number {
    return this.#waiting.filter((line) => "record" in line).length;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  add(lines: readonly TailLine<T>[]): void {
    if (lines.length === 0) return;
    if (!this.#paused) {
      this.shown = [...this.shown, ...lines].slice(-this.#most);
      return;
    }
    this.#waiting.push(...lines);
    if (this.#waiting.length > this.#most) {
      this.#waiting.splice(0, this.#waiting.length - this.#most);
      this.#dropped = true;
    }
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const waited = this.#dropped ? [{ note: DROPPED }, ...this.#waiting.slice(1)] : this.#waiting;
    this.#waiting = [];
    this.#dropped = false;
    this.add(waited);
  }
}
