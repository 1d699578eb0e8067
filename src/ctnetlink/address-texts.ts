// Texts of addresses and strings for owned objects. Both directions of a flow have the same addresses, and servers have many flows, so
// recent texts are kept: most are found rather than made.

import { be32 } from '../wire/bytes.js';
import { formatIpv6 } from './address.js';

/** A power of two. */
const KEPT = 2048;
const SHIFT = 32 - 11;

export class AddressTexts {
  readonly #keys4 = new Uint32Array(KEPT);
  readonly #texts4: string[] = new Array(KEPT).fill('0.0.0.0');
  readonly #keys6 = new Uint32Array(4 * KEPT);
  readonly #texts6: string[] = new Array(KEPT).fill('::');

  /** The text of the 4 bytes at `at`, as `formatAddress` writes it. */
  ipv4(bytes: Uint8Array, at: number): string {
    const key = be32(bytes, at);
    const slot = Math.imul(key, 0x9e3779b1) >>> SHIFT;
    if (this.#keys4[slot] !== key) {
      this.#keys4[slot] = key;
      this.#texts4[slot] = `${DOTTED[key >>> 24]}${DOTTED[(key >>> 16) & 255]}${DOTTED[(key >>> 8) & 255]}${key & 255}`;
    }
    return this.#texts4[slot]!;
  }

  /** The text of the 16 bytes at `at`, as `formatAddress` writes it. */
  ipv6(bytes: Uint8Array, at: number): string {
    const a = be32(bytes, at);
    const b = be32(bytes, at + 4);
    const c = be32(bytes, at + 8);
    const d = be32(bytes, at + 12);
    const slot = Math.imul(Math.imul(a, 31) ^ Math.imul(b, 17) ^ Math.imul(c, 7) ^ d, 0x9e3779b1) >>> SHIFT;
    const keys = this.#keys6;
    const key = 4 * slot;
    if (keys[key + 3] !== d || keys[key + 2] !== c || keys[key + 1] !== b || keys[key] !== a) {
      keys[key] = a;
      keys[key + 1] = b;
      keys[key + 2] = c;
      keys[key + 3] = d;
      this.#texts6[slot] = formatIpv6(bytes, at);
    }
    return this.#texts6[slot]!;
  }
}

/** 0 to 255, each with a dot behind it. */
const DOTTED: readonly string[] = Array.from({ length: 256 }, (_, n) => `${n}.`);

/** Strings of the kernel as text: UTF-8, with U+FFFD for invalid bytes. The last one is kept, because neighbours often have the same. */
export class StringTexts {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #last = new Uint8Array(0);
  #text = '';

  /** The text of `length` bytes at `at`. */
  text(bytes: Uint8Array, at: number, length: number): string {
    if (!this.#isLast(bytes, at, length)) {
      this.#last = bytes.slice(at, at + length);
      this.#text = this.#decoder.decode(this.#last);
    }
    return this.#text;
  }

  #isLast(bytes: Uint8Array, at: number, length: number): boolean {
    const last = this.#last;
    if (last.length !== length) return false;
    for (let i = 0; i < length; i++) if (last[i] !== bytes[at + i]) return false;
    return true;
  }
}
