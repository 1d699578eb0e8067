// ByteWriter: one reused output buffer. Writers append to it; it hands full buffers to its sink.
// Capacity is reserved once per entry, so that `byte`, `token` and `decimal` need no check of their own.

import { zeroRun } from '../ctnetlink/address.js';
import { be16, belowBillion, billions } from '../wire/bytes.js';

const ZERO = 48;
const LETTER_A = 97 - 10;
const DOT = 46;
const COLON = 58;
const BILLION = 1_000_000_000;

/** Takes finished output: `bytes` from 0 to `length`, valid during the call only. Throws what the caller of `flush` shall see. */
export type Sink = (bytes: Uint8Array, length: number) => void;

/** Text as the bytes that writers append. Make tokens once, at module load. */
export function token(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export class ByteWriter {
  bytes: Uint8Array;
  length = 0;
  readonly #sink: Sink;
  /** Above this fill, `endEntry` hands the buffer over. */
  readonly #threshold: number;

  constructor(sink: Sink, capacity = 65536) {
    this.#sink = sink;
    this.bytes = new Uint8Array(capacity + 4096);
    this.#threshold = capacity;
  }

  /** Makes room for `size` more bytes. Call it once per entry, with an upper bound. */
  reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    this.flush();
    if (size > this.bytes.length) this.bytes = new Uint8Array(size * 2);
  }

  /** Hands what is there to the sink. */
  flush(): void {
    const length = this.length;
    this.length = 0;
    if (length > 0) this.#sink(this.bytes, length);
  }

  /** Hands the buffer over when it is full enough to be worth a system call. */
  endEntry(): void {
    if (this.length >= this.#threshold) this.flush();
  }

  byte(value: number): void {
    this.bytes[this.length++] = value;
  }

  /** Appends prebuilt bytes. */
  token(value: Uint8Array): void {
    const bytes = this.bytes;
    let at = this.length;
    for (let i = 0; i < value.length; i++) bytes[at++] = value[i]!;
    this.length = at;
  }

  /** Takes back the last byte: the space behind the last field. */
  dropLast(): void {
    this.length--;
  }

  /** Unsigned 32 bits (exact up to 2^53). */
  decimal(value: number): void {
    if (value < 10) {
      this.bytes[this.length++] = ZERO + value;
      return;
    }
    if (value > 0xffffffff) {
      const upper = Math.floor(value / BILLION);
      this.decimal(upper);
      this.padded(value - upper * BILLION, 9);
      return;
    }
    this.padded(value, digits(value));
  }

  /** Exactly `size` digits, with leading zeros. `value` is below 2^32. */
  padded(value: number, size: number): void {
    const bytes = this.bytes;
    const end = this.length + size;
    let rest = value >>> 0;
    for (let at = end - 1; at >= this.length; at--) {
      const next = (rest / 10) >>> 0;
      bytes[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.length = end;
  }

  /** Unsigned 64 bits from two halves, without a bigint. */
  decimal64(high: number, low: number): void {
    if (high === 0) {
      this.decimal(low);
      return;
    }
    this.decimal(billions(high, low));
    this.padded(belowBillion(high, low), 9);
  }

  /** Lower-case hexadecimal without leading zeros; `value` is below 2^16. */
  hex(value: number): void {
    let shift = 12;
    while (shift > 0 && value >> shift === 0) shift -= 4;
    for (; shift >= 0; shift -= 4) {
      const digit = (value >> shift) & 15;
      this.byte(digit < 10 ? ZERO + digit : LETTER_A + digit);
    }
  }

  /** The IPv4 address of the 4 bytes at `at`. */
  ipv4(bytes: Uint8Array, at: number): void {
    this.#octet(bytes[at]!);
    this.byte(DOT);
    this.#octet(bytes[at + 1]!);
    this.byte(DOT);
    this.#octet(bytes[at + 2]!);
    this.byte(DOT);
    this.#octet(bytes[at + 3]!);
  }

  /** The IPv6 address of the 16 bytes at `at`: compressed, lower-case, an IPv4 tail where inet_ntop(3) shows one. */
  ipv6(bytes: Uint8Array, at: number): void {
    const run = zeroRun(bytes, at);
    const start = run >> 4;
    const size = run & 15;
    const v4Tail = start === 0 && (size === 6 || (size === 5 && be16(bytes, at + 10) === 0xffff));
    for (let i = 0; i < 8; i++) {
      if (size > 0 && i === start) {
        this.byte(COLON);
        i += size - 1;
        if (i === 7) this.byte(COLON);
        continue;
      }
      if (i > 0) this.byte(COLON);
      if (v4Tail && i === 6) {
        this.ipv4(bytes, at + 12);
        return;
      }
      this.hex(be16(bytes, at + 2 * i));
    }
  }

  /** Bytes of a view, as they are. */
  raw(bytes: Uint8Array, at: number, length: number): void {
    const out = this.bytes;
    let to = this.length;
    for (let i = 0; i < length; i++) out[to++] = bytes[at + i]!;
    this.length = to;
  }

  #octet(value: number): void {
    const packed = OCTETS[value]!;
    const bytes = this.bytes;
    let at = this.length;
    if (value >= 100) bytes[at++] = packed >> 16;
    if (value >= 10) bytes[at++] = (packed >> 8) & 0xff;
    bytes[at++] = packed & 0xff;
    this.length = at;
  }
}

/** The three digits of each byte value, as ASCII, packed into a number. */
const OCTETS = Int32Array.from(
  { length: 256 },
  (_, n) => ((ZERO + Math.floor(n / 100)) << 16) | ((ZERO + (Math.floor(n / 10) % 10)) << 8) | (ZERO + (n % 10)),
);

/** How many decimal digits an unsigned 32-bit number of two or more has. */
function digits(value: number): number {
  if (value < 100_000) return value < 1000 ? (value < 100 ? 2 : 3) : value < 10_000 ? 4 : 5;
  if (value < 10_000_000) return value < 1_000_000 ? 6 : 7;
  return value < 100_000_000 ? 8 : value < BILLION ? 9 : 10;
}
