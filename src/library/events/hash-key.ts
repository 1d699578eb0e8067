// HashKey: a keyed hash, for maps whose keys come from the network. If the hash were predictable, a sender of packets could choose keys
// that all fall into one place of the map, and every search would go through all of them.
//
// HalfSipHash-1-3: what Linux takes for its own tables (hsiphash() in linux/siphash.h). A random seed in a simpler hash does not do: in
// multiplicative ones such as FNV, differences in the upper bits cancel whatever the seed. Nor does a hash that is only pairwise
// independent, if a search goes on from place to place. Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF".

/** Rounds behind the last word. */
const LAST_ROUNDS = 3;

export class HashKey {
  readonly #k0: number;
  readonly #k1: number;

  /** The two words of the key. */
  constructor(k0: number, k1: number) {
    this.#k0 = k0 | 0;
    this.#k1 = k1 | 0;
  }

  static random(): HashKey {
    const [k0, k1] = crypto.getRandomValues(new Int32Array(2));
    return new HashKey(k0!, k1!);
  }

  /** The hash of a 32-bit number and `count` words behind it, from `from` on: 32 bits, as a signed number. */
  hash(number: number, words: Int32Array, from: number, count: number): number {
    const end = (from + count) | 0;
    let at = from;
    let word = number | 0;
    let v0 = this.#k0;
    let v1 = this.#k1;
    let v2 = v0 ^ 0x6c796765;
    let v3 = v1 ^ 0x74656462;
    for (;;) {
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      if (at < end) word = words[at]!;
      else if (at === end)
        word = (4 * (count + 1)) << 24; // the size in bytes
      else break;
      at = (at + 1) | 0;
    }
    v2 ^= 0xff;
    for (let round = 0; round < LAST_ROUNDS; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    return v1 ^ v3;
  }
}
