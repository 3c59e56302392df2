// Which service has which colour: the same on every page, in every tab, and after a reload. What is remembered are
// digests of names with numbers, by tenant; never a name.
const COLOURS = 8;
const REMEMBERED_MAX = 500;

export interface Memory {
  getItem: (key: string) => string | null;
  setItem: (key: string, value: string) => void;
}

/** The colours of one tenant's services. */
export class ServiceColours {
  readonly #known: Map<string, number>;
  readonly #memory: Memory | undefined;
  readonly #key: string;

  constructor(tenantId: string, memory?: Memory) {
    this.#memory = memory;
    this.#key = `duoscope.colours.${tenantId}`;
    this.#known = new Map(parsed(memory?.getItem(this.#key) ?? "{}"));
  }

  /** The number of a service's colour; the first eight services get eight different ones. */
  of(name: string): number {
    const digest = digestOf(name);
    const found = this.#known.get(digest);
    if (found !== undefined) return found;
    let colour = Number.parseInt(digest, 36) % COLOURS;
    const taken = new Set(this.#known.values());
    while (taken.size < COLOURS && taken.has(colour)) colour = (colour + 1) % COLOURS;
    this.#known.set(digest, colour);
    if (this.#known.size <= REMEMBERED_MAX) {
      this.#memory?.setItem(this.#key, JSON.stringify(Object.fromEntries(this.#known)));
    }
    return colour;
  }
}

function parsed(text: string): [string, number][] {
  try {
    const said: unknown = JSON.parse(text);
    return Object.entries(said as Record<string, unknown>).flatMap(([digest, colour]) =>
      typeof colour === "number" && colour >= 0 && colour < COLOURS ? [[digest, colour]] : [],
    );
  } catch {
    return [];
  }
}

function digestOf(name: string): string {
  let hash = 2_166_136_261;
  for (let index = 0; index < name.length; index += 1) hash = Math.imul(hash ^ name.charCodeAt(index), 16_777_619);
  return ((hash ^ (hash >>> 15)) >>> 0).toString(36);
}

let current = new ServiceColours("");

/** Goes over to the colours of another tenant. */
export function coloursOf(tenantId: string, memory?: Memory): void {
  current = new ServiceColours(tenantId, memory);
}

/** The number of a service's colour in this tenant. */
export const serviceColour = (name: string): number => current.of(name);
