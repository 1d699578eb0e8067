// ByteWriter: one reused output buffer. Writers append to it; it hands full buffers to its sink.
// Capacity is reserved once per entry, so that `byte`, `token` and `decimal` need no check of their own.

import { zeroRun } from '../ctnetlink/address.js';
import { be16, belowBillion, billions, FourBytes } from '../wire/bytes.js';

const ZERO = 48;
const LETTER_A = 97 - 10;
const DOT = 46;
const COLON = 58;
const BILLION = 1_000_000_000;

/** Takes finished output: `bytes` from 0 to `length`, valid during the call only. Throws what the caller of `flush` shall see. */
export type Sink = (bytes: Uint8Array, length: number) => void;

/** Constant text as writers append it: whole words, of which the last may reach past the text. */
export class Token {
  /** Bytes. */
  readonly size: number;
  /** Four bytes each, the first lowest; the rest of the last is 0. */
  readonly words: readonly number[];

  constructor(text: string) {
    const words: number[] = [];
    for (let i = 0; i < text.length; i++) words[i >> 2] = (words[i >> 2] ?? 0) | (text.charCodeAt(i) << ((i & 3) << 3));
    this.size = text.length;
    this.words = words;
  }
}

/** Text of ASCII characters as writers append it. Make tokens once, at module load. */
export function token(text: string): Token {
  return new Token(text);
}

/** A token for each of 256 numbers, made when it is first asked for: of protocols few are met. */
export class TokenTable {
  readonly #tokens: (Token | undefined)[] = new Array(256).fill(undefined);
  readonly #text: (n: number) => string;

  constructor(text: (n: number) => string) {
    this.#text = text;
  }

  get(n: number): Token {
    return this.#tokens[n] ?? this.#make(n);
  }

  #make(n: number): Token {
    const made = token(this.#text(n));
    this.#tokens[n] = made;
    return made;
  }
}

export class ByteWriter {
  bytes: Uint8Array;
  length = 0;
  /** The same memory, for several bytes in one store. A store may reach 3 bytes past `length`: what follows goes over them. */
  #fours: FourBytes;
  readonly #sink: Sink;
  /** Above this fill, `endEntry` hands the buffer over. */
  readonly #threshold: number;

  constructor(sink: Sink, capacity = 65536) {
    this.#sink = sink;
    this.bytes = new Uint8Array(capacity + 4096);
    this.#fours = new FourBytes(this.bytes);
    this.#threshold = capacity;
  }

  /** Makes room for `size` more bytes. Call it once per entry, with an upper bound. */
  reserve(size: number): void {
    if (this.length + size + OVERHANG <= this.bytes.length) return;
    this.flush();
    if (size + OVERHANG <= this.bytes.length) return;
    this.bytes = new Uint8Array(size * 2 + OVERHANG);
    this.#fours = new FourBytes(this.bytes);
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

  /** Appends prebuilt text. */
  token(value: Token): void {
    const { words, size } = value;
    const at = this.length;
    for (let i = 0; i < words.length; i++) this.#fours.put(at + 4 * i, words[i]!);
    this.length = at + size;
  }

  /** Appends any text, making room for it: for what is written once. */
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.reserve(bytes.length);
    this.raw(bytes, 0, bytes.length);
  }

  /** Takes back the last byte: the space behind the last field. */
  dropLast(): void {
    this.length--;
  }

  /** Unsigned 32 bits (exact up to 2^53). */
  decimal(value: number): void {
    if (value < 1000) {
      this.#upTo3(value);
      return;
    }
    if (value > 0xffffffff) {
      const upper = Math.floor(value / BILLION);
      this.decimal(upper);
      this.padded(value - upper * BILLION, 9);
      return;
    }
    const thousands = (value / 1000) >>> 0;
    if (thousands < 1000) this.#upTo3(thousands);
    else {
      const millions = (thousands / 1000) >>> 0;
      if (millions < 1000) this.#upTo3(millions);
      else {
        this.byte(ZERO + ((millions / 1000) >>> 0));
        this.#exactly3(millions % 1000);
      }
      this.#exactly3(thousands - millions * 1000);
    }
    this.#exactly3(value - thousands * 1000);
  }

  /** 0 to 999 without leading zeros. */
  #upTo3(value: number): void {
    const size = value < 10 ? 1 : value < 100 ? 2 : 3;
    this.#fours.put(this.length, TRIPLES[value]! >>> ((3 - size) << 3));
    this.length += size;
  }

  /** 0 to 999 as three digits. */
  #exactly3(value: number): void {
    this.#fours.put(this.length, TRIPLES[value]!);
    this.length += 3;
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

  /** Unsigned 64 bits from two halves of 32 bits, signed or not, without a bigint. */
  decimal64(high: number, low: number): void {
    if (high === 0) {
      this.decimal(low >>> 0);
      return;
    }
    this.decimal(billions(high, low));
    this.padded(belowBillion(high, low), 9);
  }

  /** Lower-case hexadecimal without leading zeros; `value` is below 2^16. */
  hex(value: number): void {
    const size = value < 0x100 ? (value < 0x10 ? 1 : 2) : value < 0x1000 ? 3 : 4;
    const digits = HEX_PAIRS[value >> 8]! | (HEX_PAIRS[value & 0xff]! << 16);
    this.#fours.put(this.length, digits >>> ((4 - size) << 3));
    this.length += size;
  }

  /** The IPv4 address of the 4 bytes at `at`. */
  ipv4(bytes: Uint8Array, at: number): void {
    this.#octet(bytes[at]!);
    this.#octet(bytes[at + 1]!);
    this.#octet(bytes[at + 2]!);
    this.#octet(bytes[at + 3]!);
    this.length--; // the last dot
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

  /** 0 to 255 and a dot. */
  #octet(value: number): void {
    this.#upTo3(value);
    this.length++; // the dot that stands behind the digits of each triple
  }
}

/** How far a store may reach past the text. */
const OVERHANG = 3;

/** The three digits of 0 to 999 and a dot, as four ASCII bytes, the first lowest. */
const TRIPLES = new Int32Array(1000);
for (let hundreds = 0, n = 0; hundreds < 10; hundreds++)
  for (let tens = 0; tens < 10; tens++)
    for (let ones = 0; ones < 10; ones++, n++)
      TRIPLES[n] = (ZERO + hundreds) | ((ZERO + tens) << 8) | ((ZERO + ones) << 16) | (DOT << 24);

/** The two hexadecimal digits of each byte value, the first lowest. */
const HEX_PAIRS = new Int32Array(256);
for (let n = 0; n < 256; n++) HEX_PAIRS[n] = hexDigit(n >> 4) | (hexDigit(n & 15) << 8);

function hexDigit(value: number): number {
  return value < 10 ? ZERO + value : LETTER_A + value;
}
