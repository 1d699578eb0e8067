// Drops the duplicates that a dump of a changing table can contain. If the entry at which a datagram ended is deleted before the next
// datagram is made, the kernel goes through that entry's hash bucket again. The repeats are at the start of the next datagram and were
// among the last entries of the previous one, so only those few are remembered and compared, at no measurable cost. This does not find
// repeats caused by a resize of the hash table during the dump (docs/kernel.md 6.4).

import { S } from '../ctnetlink/fields.js';
import type { View } from '../ctnetlink/view.js';
import { host16 } from '../wire/bytes.js';
import { NFNL_ATTRS } from '../wire/uapi/nfnetlink.js';

/** Longer than any hash chain worth the name. */
const REMEMBERED = 16;
/** Room for the first attribute of a message, the original tuple. */
const TUPLE_ROOM = 128;

export class BoundaryDuplicates {
  /** Last entries of the previous datagram: id and original tuple. */
  readonly #ids = new Uint32Array(REMEMBERED);
  readonly #tuples = new Uint8Array(REMEMBERED * TUPLE_ROOM);
  #remembered = 0;
  /** Where the last messages of this datagram begin, as a ring. */
  readonly #starts = new Int32Array(REMEMBERED);
  readonly #currentIds = new Uint32Array(REMEMBERED);
  #seen = 0;

  /** Whether the previous datagram already had the entry in the view, whose message begins at `at`. */
  isRepeat(view: View, at: number): boolean {
    const id = view.be32(S.id);
    const seen = this.#seen++;
    this.#starts[seen % REMEMBERED] = at;
    this.#currentIds[seen % REMEMBERED] = id;
    if (seen >= this.#remembered) return false;
    for (let i = 0; i < this.#remembered; i++)
      if (this.#ids[i] === id && this.#sameTuple(i, view.bytes, at + NFNL_ATTRS)) return true;
    return false;
  }

  /** Called after each datagram, while its bytes are still valid. */
  endDatagram(bytes: Uint8Array): void {
    this.#remembered = Math.min(this.#seen, REMEMBERED);
    for (let i = 0; i < this.#remembered; i++) {
      const at = this.#starts[i]! + NFNL_ATTRS;
      const size = Math.min(host16(bytes, at), TUPLE_ROOM);
      for (let j = 0; j < size; j++) this.#tuples[i * TUPLE_ROOM + j] = bytes[at + j]!;
      this.#ids[i] = this.#currentIds[i]!;
    }
    this.#seen = 0;
  }

  #sameTuple(i: number, bytes: Uint8Array, at: number): boolean {
    const size = Math.min(host16(bytes, at), TUPLE_ROOM);
    for (let j = 0; j < size; j++) if (this.#tuples[i * TUPLE_ROOM + j] !== bytes[at + j]) return false;
    return true;
  }
}
