// ByteWriter: one reused output buffer. Writers append to it; it hands full buffers to its sink. Capacity is reserved once per entry, so
// that `byte`, `token` and `decimal` need no checks.

import { belowBillion, billions } from '../wire/bytes.js';
import { DIGITS, putDecimal, putHex, putIpv4, putIpv6, putPadded, putWords } from './digits.js';

/** How far a store may reach past the text: a word of eight bytes with one letter. */
const OVERHANG = 7;
const BILLION = 1_000_000_000;
const QUOTE = 34;
/** The upper half of 2^53 - 1. */
const SAFE_HIGH = 0x1fffff;

/** Takes finished output: `bytes` from 0 to `length`, valid only during the call. Its exceptions reach the caller of `flush`. */
export type Sink = (bytes: Uint8Array, length: number) => void;

/** ASCII text as numbers of eight bytes, each appended by one store; the rest of the last is 0. No such text is a NaN. */
export function eights(text: string): number[] {
  const bytes = new DataView(new ArrayBuffer((text.length + 7) & ~7));
  for (let i = 0; i < text.length; i++) bytes.setUint8(i, text.charCodeAt(i));
  return Array.from({ length: bytes.byteLength >> 3 }, (_, i) => bytes.getFloat64(8 * i, true));
}

/** Constant text as writers append it. */
export class Token {
  /** Bytes. */
  readonly size: number;
  /** The text; its last number may reach past the end. */
  readonly words: Float64Array;

  constructor(text: string) {
    this.size = text.length;
    this.words = Float64Array.from(eights(text));
  }
}

/** Text of ASCII characters as writers append it. Make tokens once: at module load, or while a plan is made. */
export function token(text: string): Token {
  return new Token(text);
}

export class ByteWriter {
  bytes: Uint8Array;
  /**
   * The same memory, for several bytes in one store. A store may reach past `length`, by at most OVERHANG; the next one overwrites the
   * excess.
   */
  data: DataView;
  length = 0;
  readonly #sink: Sink;
  /** Above this fill, `endEntry` hands the buffer over. */
  readonly #threshold: number;

  constructor(sink: Sink, capacity = 65536) {
    this.#sink = sink;
    this.bytes = new Uint8Array(capacity + 4096);
    this.data = new DataView(this.bytes.buffer);
    this.#threshold = capacity;
  }

  /** Makes room for `size` more bytes. Call it once per entry, with an upper bound. */
  reserve(size: number): void {
    if (this.length + size + OVERHANG <= this.bytes.length) return;
    this.flush();
    if (size + OVERHANG <= this.bytes.length) return;
    this.bytes = new Uint8Array(size * 2 + OVERHANG);
    this.data = new DataView(this.bytes.buffer);
  }

  /** Hands the contents to the sink. */
  flush(): void {
    const length = this.length;
    this.length = 0;
    if (length > 0) this.#sink(this.bytes, length);
  }

  /** Hands the buffer over if it is full enough to be worth a system call. */
  endEntry(): void {
    if (this.length >= this.#threshold) this.flush();
  }

  byte(value: number): void {
    this.bytes[this.length++] = value;
  }

  /** Appends prebuilt text. */
  token(value: Token): void {
    const { words, size } = value;
    putWords(this.data, this.length, words, 0, words.length);
    this.length += size;
  }

  /** Appends any text and makes room for it. For texts that are written once. */
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.reserve(bytes.length);
    this.raw(bytes, 0, bytes.length);
  }

  /** Whether the contents end with `text`. Not for hot paths. */
  endsWith(text: string): boolean {
    const start = this.length - text.length;
    for (let i = 0; i < text.length; i++) if (this.bytes[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  /** Removes the last byte: the space after the last field. */
  dropLast(): void {
    this.length--;
  }

  /** Unsigned 32 bits, passed signed or not; larger numbers are exact up to 2^53. */
  decimal(value: number): void {
    if (value > 0xffffffff) {
      const upper = Math.floor(value / BILLION);
      this.decimal(upper);
      this.padded(value - upper * BILLION, 9);
    } else this.length = putDecimal(this.data, this.length, DIGITS, value | 0);
  }

  /** Exactly `size` digits, with leading zeros. `value` is below 2^32. */
  padded(value: number, size: number): void {
    this.length = putPadded(this.data, this.length, value, size);
  }

  /** Unsigned 64 bits from two halves of 32 bits, signed or not, without a bigint. */
  decimal64(high: number, low: number): void {
    if (high === 0) {
      this.decimal(low >>> 0);
      return;
    }
    this.decimal(billions(high, low));
    this.padded(belowBillion(high, low), 9);
  }

  /** As `decimal64`, in quotes above 2^53 - 1, where JSON numbers that are doubles lose digits. */
  safe64(high: number, low: number): void {
    const quoted = high >>> 0 > SAFE_HIGH;
    if (quoted) this.byte(QUOTE);
    this.decimal64(high, low);
    if (quoted) this.byte(QUOTE);
  }

  /** Lower-case hexadecimal without leading zeros; `value` is below 2^16. */
  hex(value: number): void {
    this.length = putHex(this.data, this.length, DIGITS, value);
  }

  /** The IPv4 address at `at` of a message. */
  ipv4(message: DataView, at: number): void {
    this.length = putIpv4(this.data, this.length, DIGITS, message.getInt32(at, false));
  }

  /** The IPv6 address at `at` of a message: compressed, lower-case, an IPv4 tail where inet_ntop(3) shows one. */
  ipv6(message: DataView, at: number): void {
    this.length = putIpv6(this.data, this.length, DIGITS, message, at);
  }

  /** Bytes of a view, as they are. */
  raw(bytes: Uint8Array, at: number, length: number): void {
    const out = this.bytes;
    let to = this.length;
    for (let i = 0; i < length; i++) out[to++] = bytes[at + i]!;
    this.length = to;
  }
  /** Bytes from `at` to `end`, unchanged, as long as `plain` has a 1 for them. @returns where it stopped */
  copyWhile(bytes: Uint8Array, at: number, end: number, plain: Uint8Array): number {
    const out = this.bytes;
    let from = at;
    let to = this.length;
    while (from < end && plain[bytes[from]!] === 1) out[to++] = bytes[from++]!;
    this.length = to;
    return from;
  }
}
