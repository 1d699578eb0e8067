// Plan: what a writer does for entries of one layout, worked out once: their common text, and where the message has the values in
// between. Writing an entry is then one short loop over a list of numbers, instead of asking the view for each field again. Making the
// plan decides conditions on what a message has; conditions on values are steps of the plan.

import { MASTER, ORIGINAL, REPLY, T } from '../ctnetlink/fields.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, eights } from './byte-writer.js';
import { DIGITS, putDecimal, putHex, putIpv4, putIpv6, putWords } from './digits.js';
import type { FormatOptions, WallClock } from './format-options.js';
import { type Place, writeSafe } from './safe-bytes.js';

/** Appends what no step can express. It must not make room, because the entry has done so. */
export type Write = (out: ByteWriter, view: View, options: FormatOptions, clock: WallClock) => void;
/** What is written where `(value & mask) === wanted`. */
export type Choice = readonly [mask: number, wanted: number, text: string];
/**
 * Describes an entry like the one in `view`. The only values that it may read are the protocol numbers of the tuples and the family: all
 * others differ between entries that share a plan.
 */
export type Describe = (plan: PlanBuilder, view: View, options: FormatOptions) => void;

// What follows the text of a step.
const NOTHING = 0;
const IPV4 = 1;
const U16 = 2;
const U32 = 3;
const U64 = 4;
const CHOICE32 = 5;
const CHOICE8 = 6;
const IPV6 = 7;
const U8 = 8;
const HEX16 = 9;
const WRITE = 10;
const SAFE64 = 11;

/** Numbers of a step: end of its text among the words, size of the text in bytes, what follows, where it is, what it refers to. */
const STRIDE = 5;
/** Numbers of a row of a choice: mask, wanted, begin and end of the text among the words, its size. */
const ROW = 5;
/**
 * Number of chains for the plans of a layout, by protocol number: entries of all untracked protocols look alike, and a sender of packets
 * can send some of each in turn. Making a plan takes a hundred times as long as using one.
 */
const CHAINS = 16;
/** Plans in a chain: twice as many as it has protocols. If more kinds alternate, plans are dropped and made again. */
const MOST_PLANS = 32;

class Plan {
  readonly #describe: Describe;
  readonly #options: FormatOptions;
  readonly #kind: number;
  /** The next one in the chain. */
  readonly next: Plan | undefined;
  /** How many there are, counting from this one. */
  readonly chainLength: number;
  readonly #steps: Int32Array;
  /** Text of the steps, in their order. */
  readonly #words: Float64Array;
  readonly #rows: Int32Array;
  readonly #rowWords: Float64Array;
  readonly #writes: readonly Write[];

  constructor(describe: Describe, view: View, options: FormatOptions, kind: number, next: Plan | undefined) {
    this.#describe = describe;
    this.#options = options;
    this.#kind = kind;
    this.next = next;
    this.chainLength = next ? next.chainLength + 1 : 1;
    const builder = new PlanBuilder(view);
    describe(builder, view, options);
    const made = builder.end();
    this.#steps = Int32Array.from(made.steps);
    this.#words = Float64Array.from(made.words);
    this.#rows = Int32Array.from(made.rows);
    this.#rowWords = Float64Array.from(made.rowWords);
    this.#writes = made.writes;
  }

  isFor(describe: Describe, options: FormatOptions, kind: number): boolean {
    return this.#describe === describe && this.#options === options && this.#kind === kind;
  }

  /** The hot loop of every list: it uses only locals, and `| 0` where a sum cannot overflow, which saves a check. */
  run(out: ByteWriter, view: View, clock: WallClock): void {
    const steps = this.#steps;
    const count = steps.length;
    const stride = STRIDE;
    const words = this.#words;
    const digits = DIGITS;
    const text = out.data;
    const message = view.data;
    const start = view.start;
    let at = out.length;
    let word = 0;
    for (let step = 0; step < count; step = (step + stride) | 0) {
      const end = steps[step]!;
      putWords(text, at, words, word, end);
      word = end;
      at = (at + steps[(step + 1) | 0]!) | 0;
      const from = (start + steps[(step + 3) | 0]!) | 0;
      let value: number;
      switch (steps[(step + 2) | 0]!) {
        case IPV4:
          at = putIpv4(text, at, digits, message.getInt32(from, false));
          continue;
        case U16:
          value = message.getUint16(from, false);
          break;
        case U32:
          value = message.getInt32(from, false);
          break;
        case U64:
        case SAFE64:
          value = message.getInt32((from + 4) | 0, false);
          if (message.getInt32(from, false) === 0) break;
          out.length = at;
          if (steps[(step + 2) | 0] === U64) out.decimal64(message.getInt32(from, false), value);
          else out.safe64(message.getInt32(from, false), value);
          at = out.length;
          continue;
        case CHOICE32:
          at = this.#choose(text, at, steps[(step + 4) | 0]!, message.getInt32(from, false));
          continue;
        case CHOICE8:
          at = this.#choose(text, at, steps[(step + 4) | 0]!, message.getUint8(from));
          continue;
        case IPV6:
          at = putIpv6(text, at, digits, message, from);
          continue;
        case U8:
          value = message.getUint8(from);
          break;
        case HEX16:
          at = putHex(text, at, digits, message.getUint16(from, false));
          continue;
        case WRITE:
          out.length = at;
          this.#writes[steps[(step + 4) | 0]!]!(out, view, this.#options, clock);
          at = out.length;
          continue;
        default:
          continue;
      }
      at = putDecimal(text, at, digits, value);
    }
    out.length = at;
  }

  #choose(text: DataView, at: number, first: number, value: number): number {
    const rows = this.#rows;
    let row = first;
    while ((value & rows[row]!) !== rows[(row + 1) | 0]!) row = (row + ROW) | 0;
    putWords(text, at, this.#rowWords, rows[(row + 2) | 0]!, rows[(row + 3) | 0]!);
    return (at + rows[(row + 4) | 0]!) | 0;
  }
}

/** Words for each non-empty set of bits, in the order of the rows. Only the bits of the rows count. */
export function combinations(
  rows: readonly (readonly [bit: number, name: string])[],
  text: (names: readonly string[]) => string,
): readonly Choice[] {
  const mask = rows.reduce((all, [bit]) => all | bit, 0);
  return Array.from({ length: (1 << rows.length) - 1 }, (_, n) => {
    const set = rows.filter((_row, i) => ((n + 1) >> i) & 1);
    return [mask, set.reduce((all, [bit]) => all | bit, 0), text(set.map(([, name]) => name))] as const;
  });
}

/**
 * Appends the entry in `view`, as `describe` describes it. The plan is kept with the layout of the message and looked up by `describe`
 * and `options`, so pass the same, unchanged objects for all entries.
 */
export function writePlanned(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock, describe: Describe): void {
  const kind =
    view.u8(ORIGINAL + T.protonum) |
    (view.u8(REPLY + T.protonum) << 8) |
    (view.u8(MASTER + T.protonum) << 16) |
    (view.family << 24);
  const chains = (view.memo as (Plan | undefined)[] | undefined) ?? addChains(view);
  const first = chains[kind & (CHAINS - 1)];
  let plan = first;
  while (plan && !plan.isFor(describe, options, kind)) plan = plan.next;
  if (!plan) {
    plan = new Plan(describe, view, options, kind, first && first.chainLength < MOST_PLANS ? first : undefined);
    chains[kind & (CHAINS - 1)] = plan;
  }
  plan.run(out, view, clock);
}

function addChains(view: View): (Plan | undefined)[] {
  const chains = new Array<Plan | undefined>(CHAINS).fill(undefined);
  view.memo = chains;
  return chains;
}

/** Collects the steps of a plan. A value that a message does not have is 0. */
export class PlanBuilder {
  readonly #view: View;
  /** Text collected for the next step. */
  #text = '';
  readonly #steps: number[] = [];
  readonly #words: number[] = [];
  readonly #rows: number[] = [];
  readonly #rowWords: number[] = [];
  readonly #writes: Write[] = [];

  constructor(view: View) {
    this.#view = view;
  }

  /** ASCII. */
  text(text: string): this {
    this.#text += text;
    return this;
  }

  u8(before: string, slot: number, after = ''): this {
    return this.#value(U8, before, slot, after);
  }

  u16(before: string, slot: number, after = ''): this {
    return this.#value(U16, before, slot, after);
  }

  u32(before: string, slot: number, after = ''): this {
    return this.#value(U32, before, slot, after);
  }

  u64(before: string, slot: number, after = ''): this {
    return this.#value(U64, before, slot, after);
  }

  /** As `u64`, but in quotes above 2^53 - 1: many readers store JSON numbers as doubles. */
  safe64(before: string, slot: number, after = ''): this {
    return this.#value(SAFE64, before, slot, after);
  }

  /** Hexadecimal without leading zeros. */
  hex16(before: string, slot: number, after = ''): this {
    return this.#value(HEX16, before, slot, after);
  }

  /** Whichever of the two addresses the message has, or none. */
  address(before: string, v4: number, v6: number, after = ''): this {
    this.#text += before;
    if (this.#view.has(v4)) this.#step(IPV4, this.#where(v4));
    else if (this.#view.has(v6)) this.#step(IPV6, this.#where(v6));
    this.#text += after;
    return this;
  }

  /** The first that is true of a 32-bit value. */
  choose32(slot: number, choices: readonly Choice[], otherwise = ''): this {
    return this.#choose(CHOICE32, slot, choices, otherwise);
  }

  /** The word of an 8-bit number; the first for a number that has none. */
  word8(slot: number, words: readonly string[]): this {
    const choices = words.map((word, number): Choice => [0xff, number, word]);
    return this.#choose(CHOICE8, slot, choices, words[0]!);
  }

  /** A string of the kernel, escaped for `place`. */
  string(place: Place, before: string, slot: number, after = ''): this {
    this.text(before).write((out, view) => writeSafe(out, view.bytes, view.offset(slot), view.stringLength(slot), place));
    return this.text(after);
  }

  write(write: Write): this {
    this.#step(WRITE, 0, this.#writes.push(write) - 1);
    return this;
  }

  /** Removes a character if it is the last one. @returns whether that is known, which it is not directly after a step */
  takeBack(character: string): boolean {
    const known = this.#text !== '';
    if (this.#text.endsWith(character)) this.#text = this.#text.slice(0, -1);
    return known;
  }

  /** The collected plan. */
  end() {
    if (this.#text !== '') this.#step(NOTHING);
    return { steps: this.#steps, words: this.#words, rows: this.#rows, rowWords: this.#rowWords, writes: this.#writes };
  }

  #value(kind: number, before: string, slot: number, after: string): this {
    this.#text += before;
    if (this.#view.has(slot)) this.#step(kind, this.#where(slot));
    else this.#text += '0';
    this.#text += after;
    return this;
  }

  #choose(kind: number, slot: number, choices: readonly Choice[], otherwise: string): this {
    const rows: readonly Choice[] = [...choices, [0, 0, otherwise]];
    if (!this.#view.has(slot)) return this.text(rows.find(([, wanted]) => wanted === 0)![2]);
    this.#step(kind, this.#where(slot), this.#rows.length);
    for (const [mask, wanted, text] of rows) {
      const begin = this.#rowWords.length;
      this.#rowWords.push(...eights(text));
      this.#rows.push(mask, wanted, begin, this.#rowWords.length, text.length);
    }
    return this;
  }

  #where(slot: number): number {
    return this.#view.offset(slot) - this.#view.start;
  }

  #step(kind: number, where = 0, what = 0): void {
    this.#words.push(...eights(this.#text));
    this.#steps.push(this.#words.length, this.#text.length, kind, where, what);
    this.#text = '';
  }
}
