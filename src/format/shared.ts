// Pieces that several writers share: addresses, times, words of the protocols' states, labels, lines, the size of an entry.

import { S, T } from '../ctnetlink/fields.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import type { Protocol } from '../ctnetlink/schema.js';
import type { View } from '../ctnetlink/view.js';
import { belowBillion, billions } from '../wire/bytes.js';
import type { ByteWriter, Token } from './byte-writer.js';
import type { FormatOptions, NamespaceLabel, WallClock } from './format-options.js';
import { type Describe, writePlanned } from './plan.js';

export const SPACE = 32;
export const NEWLINE = 10;

export function hasSource(view: View, base: number): boolean {
  return view.has(base + T.v4Src) || view.has(base + T.v6Src);
}

export function hasDestination(view: View, base: number): boolean {
  return view.has(base + T.v4Dst) || view.has(base + T.v6Dst);
}

/** Seconds since the epoch of a nanosecond value. */
export function secondsOf(view: View, slot: number): number {
  return billions(view.high32(slot), view.low32(slot));
}

/** Nanoseconds within the second of a nanosecond value. */
export function nanosecondsOf(view: View, slot: number): number {
  return belowBillion(view.high32(slot), view.low32(slot));
}

/** State words of a protocol: an unknown number reads as the first, NONE. */
export interface StateWords {
  readonly slot: number;
  readonly words: readonly string[];
}

/** For each protocol number its state words, `suffix` appended; absent for protocols without a state. */
export function stateWords(suffix: string): readonly (StateWords | undefined)[] {
  const table: (StateWords | undefined)[] = new Array(256).fill(undefined);
  for (const protocol of PROTOCOLS as readonly Protocol[]) {
    if (!protocol.state || !protocol.states) continue;
    const words = protocol.states.map((word) => word + suffix);
    table[protocol.number] = { slot: S[protocol.state as keyof typeof S], words };
  }
  return table;
}

/** The largest possible size of an entry in any format, including labels: what a writer reserves before it starts. */
export function entrySize(view: View, labels: LabelMap | undefined, netns?: NamespaceLabel): number {
  return FIXED_SIZE + view.size * MAX_ESCAPE + (labels ? labels.encodedSize : 0) + (netns ? netns.size : 0);
}

/** More than all tags, words and numbers of one entry together. */
const FIXED_SIZE = 4096;
/** Each byte of a string becomes at most this many bytes, as in `&quot;`. */
const MAX_ESCAPE = 6;

/** Appends a line as described by `describe`: a space follows each field, and a newline replaces the last one. */
export function writeLine(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock, describe: Describe): void {
  writePlanned(out, view, options, clock, describe);
  out.dropLast();
  out.byte(NEWLINE);
  out.endEntry();
}

/** Slots of the tuple at `base` of an ICMP or ICMPv6 flow, which have separate attributes. */
export function icmpSlots(tuple: 'icmp' | 'icmpv6', base: number): { type: number; code: number; id: number } {
  return tuple === 'icmp'
    ? { type: base + T.icmpType, code: base + T.icmpCode, id: base + T.icmpId }
    : { type: base + T.icmpv6Type, code: base + T.icmpv6Code, id: base + T.icmpv6Id };
}

/** The labels that have a name, in bit order, each between `before` and `after`. @returns how many */
export function writeLabelNames(out: ByteWriter, view: View, labels: LabelMap, before: Token, after: Token): number {
  const words = view.length(S.labels) >> 2;
  let written = 0;
  for (let word = 0; word < words; word++) {
    const bits = view.labelWord(S.labels, word);
    for (let bit = 0; bit < 32; bit++) {
      if (((bits >>> bit) & 1) === 0) continue;
      const name = labels.encoded(word * 32 + bit);
      if (!name) continue;
      out.token(before);
      out.raw(name, 0, name.length);
      out.token(after);
      written++;
    }
  }
  return written;
}
