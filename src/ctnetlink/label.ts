// Connection labels: the map between bit numbers and names that connlabel.conf holds. Grammar: docs/behaviour.md 3.10.

/** Where the system keeps its label names. */
export const LABEL_FILE = '/etc/xtables/connlabel.conf';

/** Label bits that a file can name; kernels store the first 128. */
const MAX_LABEL = 1023;
/** Room for what a format puts around a name, such as `<label></label>`. */
const LABEL_DECORATION = 32;

/** Names of label bits. */
export class LabelMap {
  readonly #names = new Map<number, string>();
  readonly #bits = new Map<string, number>();
  readonly #encoded: (Uint8Array | undefined)[] = [];
  /** Bytes that all names together can take in any output format: what a writer reserves. */
  encodedSize = 0;

  /**
   * Reads the text of a connlabel.conf: `NUMBER NAME` a line, `#` in the first column for comments. It skips lines of any other form; the
   * first name of a number and the first number of a name count.
   */
  static parse(text: string): LabelMap {
    const map = new LabelMap();
    for (const line of text.split('\n')) {
      const match = /^[ \t]*(0[xX][0-9a-fA-F]+|[0-9]+)[ \t]+([^\n]*)$/.exec(line.slice(0, 1023));
      if (!match || line.startsWith('#')) continue;
      const digits = match[1]!;
      const bit = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
      const name = match[2]!.trim();
      if (bit <= MAX_LABEL && /^[A-Za-z0-9 -]+$/.test(name)) map.#add(bit, name);
    }
    return map;
  }

  #add(bit: number, name: string): void {
    if (this.#names.has(bit) || this.#bits.has(name)) return;
    this.#names.set(bit, name);
    this.#bits.set(name, bit);
    const encoded = new TextEncoder().encode(name);
    this.#encoded[bit] = encoded;
    this.encodedSize += encoded.length + LABEL_DECORATION;
  }

  /** How many names there are. */
  get size(): number {
    return this.#names.size;
  }

  name(bit: number): string | undefined {
    return this.#names.get(bit);
  }

  bit(name: string): number | undefined {
    return this.#bits.get(name);
  }

  /** All names, for suggestions. */
  names(): Iterable<string> {
    return this.#bits.keys();
  }

  /** The name's bytes, for writers. */
  encoded(bit: number): Uint8Array | undefined {
    return this.#encoded[bit];
  }
}
