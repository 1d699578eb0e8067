// Words of a command line → options and operands, by the rules of getopt_long(3). Knows nothing of conntrack.
// Beyond getopt: an optional value may be the next word, and long options may join while reading. Rules: docs/behaviour.md 1.3.

/**
 * Whether an option takes a value.
 * - `required`: glued (`-sX`, `--src=X`), else the next word, whatever it looks like.
 * - `optional`: glued, else the next word if that does not start with `-` or `!`.
 * - `detached`: as `optional`, but never glued: letters after it in the word are further options.
 */
export type Arity = 'none' | 'required' | 'optional' | 'detached';

/** The next item on the command line. `spelled` is the option without its value, as typed: `-s`, `--sr`. */
export type ReadOption<T> =
  | {
      readonly kind: 'option';
      readonly option: T;
      readonly spelled: string;
      readonly value: string | undefined;
      readonly glued: boolean;
    }
  | { readonly kind: 'operand'; readonly word: string }
  /** No option has this name. */
  | { readonly kind: 'unknown'; readonly spelled: string; readonly word: string }
  /** An abbreviation that fits several options; `names` are those. */
  | { readonly kind: 'ambiguous'; readonly spelled: string; readonly names: readonly string[] }
  /** A required value is missing: the line ends. */
  | { readonly kind: 'missing'; readonly option: T; readonly spelled: string }
  /** `--name=value` for an option that takes no value there. */
  | { readonly kind: 'unwanted'; readonly option: T; readonly spelled: string; readonly value: string };

/** What a name stands for. */
export interface Entry<T> {
  readonly option: T;
  readonly arity: Arity;
  readonly weak: boolean;
}

/** The names of the options. Made once and shared by all readers. */
export class OptionNames<T> {
  readonly #short: Map<string, Entry<T>>;
  readonly #long: Map<string, Entry<T>>;

  /** With the names of `base`, if given. */
  constructor(base?: OptionNames<T>) {
    this.#short = base ? new Map(base.#short) : new Map();
    this.#long = base ? new Map(base.#long) : new Map();
  }

  addShort(letter: string, arity: Arity, option: T): void {
    this.#short.set(letter, { option, arity, weak: false });
  }

  /**
   * Adds a long name. Several names of one `option` are never ambiguous among themselves. An abbreviation means a `weak` name only if it
   * fits no other, so new names break no existing abbreviation.
   */
  addLong(name: string, arity: Arity, option: T, weak = false): void {
    this.#long.set(name, { option, arity, weak });
  }

  /** Every long name. */
  longNames(): Iterable<string> {
    return this.#long.keys();
  }

  short(letter: string): Entry<T> | undefined {
    return this.#short.get(letter);
  }

  /** The option of a long name or an abbreviation, else the names that could be meant. */
  long(name: string): Entry<T> | string[] {
    const exact = this.#long.get(name);
    if (exact) return exact;
    for (const weak of [false, true]) {
      const names: string[] = [];
      const options = new Set<T>();
      for (const [long, entry] of this.#long) {
        if (entry.weak !== weak || !long.startsWith(name)) continue;
        names.push(long);
        options.add(entry.option);
      }
      if (options.size === 1) return this.#long.get(names[0]!)!;
      if (options.size > 1) return names;
    }
    return [];
  }
}

/** Reads one command line from left to right. Options and operands may be mixed; `--` makes operands of all that follows. */
export class OptionReader<T> {
  readonly #words: readonly string[];
  #names: OptionNames<T>;
  #at = 0;
  /** Letters of the current word that have not been read. */
  #bundle = '';
  #onlyOperands = false;

  constructor(words: readonly string[], names: OptionNames<T>) {
    this.#words = words;
    this.#names = names;
  }

  /** The names known from the next word on. */
  use(names: OptionNames<T>): void {
    this.#names = names;
  }

  /** Every long name known now. */
  longNames(): Iterable<string> {
    return this.#names.longNames();
  }

  /** How many words have been read: the last of them is the one an error is about. */
  get position(): number {
    return this.#at;
  }

  /** The next option, operand or mistake; `undefined` at the end. */
  next(): ReadOption<T> | undefined {
    if (this.#bundle !== '') return this.#readShort();
    const word = this.#words[this.#at++];
    if (word === undefined) return undefined;
    if (this.#onlyOperands || !word.startsWith('-') || word === '-') return { kind: 'operand', word };
    if (word === '--') {
      this.#onlyOperands = true;
      return this.next();
    }
    if (word.startsWith('--')) return this.#readLong(word);
    this.#bundle = word.slice(1);
    return this.#readShort();
  }

  #readShort(): ReadOption<T> {
    const letter = this.#bundle.length === 1 ? this.#bundle : String.fromCodePoint(this.#bundle.codePointAt(0)!);
    const spelled = `-${letter}`;
    const rest = this.#bundle.slice(letter.length);
    const entry = this.#names.short(letter);
    this.#bundle = rest;
    if (!entry) return { kind: 'unknown', spelled, word: this.#words[this.#at - 1]! };
    const { option, arity } = entry;
    if (rest === '') return this.#withNextWord(entry, spelled);
    if (arity === 'none' || arity === 'detached') return { kind: 'option', option, spelled, value: undefined, glued: false };
    this.#bundle = '';
    return { kind: 'option', option, spelled, value: rest, glued: true };
  }

  #readLong(word: string): ReadOption<T> {
    const equals = word.indexOf('=');
    const spelled = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    const found = this.#names.long(spelled.slice(2));
    if (Array.isArray(found)) {
      return found.length === 0 ? { kind: 'unknown', spelled, word } : { kind: 'ambiguous', spelled, names: found };
    }
    const { option, arity } = found;
    if (value === undefined) return this.#withNextWord(found, spelled);
    if (arity === 'none' || arity === 'detached') return { kind: 'unwanted', option, spelled, value };
    return { kind: 'option', option, spelled, value, glued: true };
  }

  #withNextWord({ option, arity }: Entry<T>, spelled: string): ReadOption<T> {
    let value: string | undefined;
    if (arity !== 'none') {
      const next = this.#words[this.#at];
      if (arity === 'required' && next === undefined) return { kind: 'missing', option, spelled };
      if (next !== undefined && (arity === 'required' || !(next.startsWith('-') || next.startsWith('!')))) {
        value = next;
        this.#at++;
      }
    }
    return { kind: 'option', option, spelled, value, glued: false };
  }
}
