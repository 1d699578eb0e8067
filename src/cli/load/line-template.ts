// One kind of line that creates, and its request. Saved lines look alike except for addresses, ports and a few numbers. Instead of
// repeating what each value means, this code finds out: it encodes the line with other values the long way, and looks where the request
// changes. The request of a line that differs only in those values is then a copy with other bytes.

import { readIpv4, readIpv6 } from '../../ctnetlink/address.js';
import type { OptionValues } from '../invocation.js';

/** Options of which a value, or the numbers in it, may be such a place. The rest of the line must be the same. */
const PLACES: ReadonlySet<string> = new Set<keyof OptionValues>([
  'src',
  'dst',
  'replySrc',
  'replyDst',
  'srcNat',
  'dstNat',
  'sport',
  'dport',
  'replySport',
  'replyDport',
  'icmpId',
  'timeout',
  'mark',
  'zone',
  'origZone',
  'replyZone',
  'origVtag',
  'replyVtag',
  'tcpWscale',
]);

/** An IPv6 address, an IPv4 address or a number. */
const VALUE = /[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F]*|\d+\.\d+\.\d+\.\d+|\d+/g;

type Kind = 'ipv4' | 'ipv6' | 'number';

/** A value to try: what is written, and the bytes that it means, most significant first. */
interface Probe {
  readonly text: string;
  readonly bytes: readonly number[];
}

/** Two values for each kind and size, larger sizes first; they differ in every byte. */
const PROBES: Readonly<Record<Kind, readonly (readonly [Probe, Probe])[]>> = {
  ipv4: [[dotted([1, 2, 3, 4]), dotted([254, 253, 252, 251])]],
  ipv6: [[grouped(Array.from({ length: 16 }, (_, i) => 0x10 + i)), grouped(Array.from({ length: 16 }, (_, i) => 0xe0 + i))]],
  number: [4, 2, 1].map((size) => [number([1, 2, 3, 4], size), number([254, 253, 252, 251], size)] as const),
};

function dotted(bytes: readonly number[]): Probe {
  return { text: bytes.join('.'), bytes };
}

function grouped(bytes: readonly number[]): Probe {
  const hex = Buffer.from(bytes).toString('hex');
  return { text: hex.match(/.{4}/g)!.join(':'), bytes };
}

function number(bytes: readonly number[], size: number): Probe {
  const used = bytes.slice(0, size);
  return { text: String(used.reduce((value, byte) => value * 256 + byte)), bytes: used };
}

/** A value of the line, and where its bytes go. */
interface Place {
  readonly kind: Kind;
  /** Largest number. */
  readonly max: number;
  /** Number of an earlier place with the same value, in the template's line as in any other; it has the targets then. */
  readonly sameAs: number | undefined;
  /** Byte `sources[n]` of the value goes to byte `targets[n]` of the request. */
  readonly targets: Uint16Array;
  readonly sources: Uint8Array;
}

/** Characters `start` to `end` of the line. */
interface Span {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly kind: Kind;
}

/** A word of the line that is an option's value. */
export interface ValueWord {
  /** Key of OptionValues. */
  readonly key: string;
  /** Where it begins. */
  readonly at: number;
  readonly text: string;
}

/** A line with gaps: `literals[0]` value `literals[1]` value … `literals[n]`. */
export class LineTemplate {
  /** The request of the line that was matched last, and its length. */
  readonly request: Uint8Array;
  readonly #literals: readonly Uint8Array[];
  readonly #places: readonly Place[];
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #value = new Uint8Array(16);

  private constructor(text: string, spans: readonly Span[], places: readonly Place[], request: Uint8Array) {
    this.request = request;
    this.#places = places;
    this.#literals = [...spans, undefined].map((span, i) => Buffer.from(text.slice(spans[i - 1]?.end ?? 0, span?.start)));
    this.#starts = new Uint32Array(places.length);
    this.#ends = new Uint32Array(places.length);
  }

  /**
   * Learns from a line. `encode` makes the request of a line the long way; `undefined` for one that is refused. `linked` are options
   * whose meaning changes if their values differ, so these values must stay equal.
   * @returns `undefined` for a line that is not as simple
   */
  static learn(
    text: string,
    words: readonly ValueWord[],
    linked: readonly (readonly [string, string])[],
    encode: (text: string) => Uint8Array | undefined,
  ): LineTemplate | undefined {
    const request = encode(text)?.slice();
    if (!request) return undefined;
    const candidates = words.flatMap(spansOf);
    const areLinked = (one: Span, other: Span) =>
      one.key !== other.key && linked.some((pair) => pair.includes(one.key) && pair.includes(other.key));
    const spans: Span[] = [];
    const places: Place[] = [];
    for (const span of candidates) {
      const partners = candidates.filter((other) => areLinked(span, other));
      if (partners.some((other) => partOf(text, other) !== partOf(text, span))) return undefined;
      const sameAs = spans.findIndex((other) => areLinked(span, other));
      if (sameAs >= 0) places.push({ ...places[sameAs]!, sameAs, targets: new Uint16Array(), sources: new Uint8Array() });
      else {
        const together = candidates.filter((other) => other === span || partners.includes(other));
        const place = findPlace(text, together, encode);
        if (!place && partners.length > 0) return undefined;
        if (!place) continue; // part of the literal text
        places.push(place);
      }
      spans.push(span);
    }
    const template = new LineTemplate(text, spans, places, request);
    return template.#isRight(text, spans, encode) ? template : undefined;
  }

  /** Changing all values at once must give the same request as the long way; this shows that no two of them depend on each other. */
  #isRight(text: string, spans: readonly Span[], encode: (text: string) => Uint8Array | undefined): boolean {
    for (const which of [1, 0] as const) {
      const other = replaced(text, spans, (span, i) => probesOf(span.kind, this.#places[i]!.max)[which].text);
      const bytes = Buffer.from(other);
      const expected = encode(other);
      if (!expected || !this.match(bytes, 0, bytes.length) || Buffer.compare(expected, this.request) !== 0) return false;
    }
    return true;
  }

  /** Whether bytes `start` to `end` are this line with other values: then `request` is its request. */
  match(line: Uint8Array, start: number, end: number): boolean {
    const { request } = this;
    const value = this.#value;
    const places = this.#places;
    let at = start;
    for (let i = 0; i < places.length; i++) {
      at = skip(this.#literals[i]!, line, at, end);
      if (at < 0) return false;
      const { kind, max, sameAs, targets, sources } = places[i]!;
      this.#starts[i] = at;
      if (kind === 'number') at = readNumber(line, at, end, max, value);
      else at = kind === 'ipv4' ? readIpv4(line, at, end, value) : readIpv6(line, at, end, value);
      if (at < 0) return false;
      this.#ends[i] = at;
      if (sameAs !== undefined && !this.#same(line, i, sameAs)) return false;
      for (let n = 0; n < targets.length; n++) request[targets[n]!] = value[sources[n]!]!;
    }
    return skip(this.#literals[places.length]!, line, at, end) === end;
  }

  #same(line: Uint8Array, a: number, b: number): boolean {
    const size = this.#ends[a]! - this.#starts[a]!;
    if (this.#ends[b]! - this.#starts[b]! !== size) return false;
    for (let i = 0; i < size; i++) if (line[this.#starts[a]! + i] !== line[this.#starts[b]! + i]) return false;
    return true;
  }
}

/** The values in a word. */
function spansOf({ key, at, text }: ValueWord): Span[] {
  if (!PLACES.has(key)) return [];
  return [...text.matchAll(VALUE)].map(({ 0: part, index }) => ({
    key,
    start: at + index,
    end: at + index + part.length,
    kind: part.includes(':') ? 'ipv6' : part.includes('.') ? 'ipv4' : 'number',
  }));
}

function partOf(text: string, { start, end }: Span): string {
  return text.slice(start, end);
}

/** The line with other values. Spans are in the order of the line. */
function replaced(text: string, spans: readonly Span[], value: (span: Span, i: number) => string): string {
  let at = 0;
  let other = '';
  spans.forEach((span, i) => {
    other += text.slice(at, span.start) + value(span, i);
    at = span.end;
  });
  return other + text.slice(at);
}

function probesOf(kind: Kind, max: number): readonly [Probe, Probe] {
  return PROBES[kind].find(([{ bytes }]) => kind !== 'number' || 256 ** bytes.length - 1 === max)!;
}

/** Where a value goes that all of `spans` have. */
function findPlace(text: string, spans: readonly Span[], encode: (text: string) => Uint8Array | undefined): Place | undefined {
  const { kind } = spans[0]!;
  const withValue = (value: string) => encode(replaced(text, spans, () => value))?.slice();
  for (const [one, other] of PROBES[kind]) {
    const max = 256 ** one.bytes.length - 1;
    // The largest size that is taken is the right one.
    if (kind === 'number' && !withValue(String(max))) continue;
    const a = withValue(one.text);
    const b = withValue(other.text);
    if (!a || !b || a.length !== b.length) return undefined;
    const targets: number[] = [];
    const sources: number[] = [];
    for (let at = 0; at < a.length; at++) {
      if (a[at] === b[at]) continue;
      const source = one.bytes.indexOf(a[at]!);
      if (source < 0 || other.bytes[source] !== b[at]) return undefined;
      targets.push(at);
      sources.push(source);
    }
    return { kind, max, sameAs: undefined, targets: Uint16Array.from(targets), sources: Uint8Array.from(sources) };
  }
  return undefined;
}

/** @returns where the literal ends, -1 when it does not stand there */
function skip(literal: Uint8Array, line: Uint8Array, at: number, end: number): number {
  const size = literal.length;
  if (at + size > end) return -1;
  for (let i = 0; i < size; i++) if (literal[i] !== line[at + i]) return -1;
  return at + size;
}

/** Reads a decimal number without leading zeros into the first bytes of `value`, as many as `max` has. @returns where it ends, or -1 */
function readNumber(line: Uint8Array, at: number, end: number, max: number, value: Uint8Array): number {
  let number = 0;
  let i = at;
  for (; i < end; i++) {
    const digit = line[i]! - 48;
    if (digit < 0 || digit > 9) break;
    number = number * 10 + digit;
    if (number > max) return -1;
  }
  if (i === at || (i > at + 1 && line[at] === 48)) return -1;
  if (max > 0xffff) {
    value[0] = number >>> 24;
    value[1] = number >>> 16;
    value[2] = number >>> 8;
    value[3] = number;
  } else if (max > 0xff) {
    value[0] = number >>> 8;
    value[1] = number;
  } else value[0] = number;
  return i;
}

/** What lines of one kind have in common. */
export function shapeOf(text: string, words: readonly ValueWord[]): string {
  return replaced(text, words.flatMap(spansOf), ({ kind }) => `<${kind}>`);
}

/** A number that lines of one kind share with few others: from the first few words and the last, unless they are values. */
export function signature(line: Uint8Array, start: number, end: number): number {
  let hash = 0;
  let at = start;
  for (let word = 0; word < FIRST_WORDS && at < end; word++, at++) {
    const counts = isWord(line[at]!);
    for (; at < end && line[at] !== SPACE; at++) if (counts) hash = Math.imul(hash ^ line[at]!, HASH_FACTOR);
  }
  let last = end;
  while (last > at && line[last - 1] !== SPACE) last--;
  if (last < end && isWord(line[last]!)) for (; last < end; last++) hash = Math.imul(hash ^ line[last]!, HASH_FACTOR);
  return hash;
}

/** Whether a word that begins so is an option or a name, and neither a number nor an address. */
function isWord(first: number): boolean {
  return first === DASH || (first >= UPPER_A && first <= UPPER_Z);
}

/** Command, timeout and status, as saved lines begin. */
const FIRST_WORDS = 5;
const SPACE = 32;
const DASH = 45;
const UPPER_A = 65;
const UPPER_Z = 90;
/** The prime of FNV-1a. */
const HASH_FACTOR = 0x01000193;
