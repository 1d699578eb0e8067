// BlockFilter: which look-ups find nothing in a block of rows. The segment that is being written has no indexes, whose pages would be
// written at random; of each block of its rows it has such a filter instead (a Bloom filter), so that a question reads only blocks that may
// have an answer. It never leaves out a row that is there; some blocks are read in vain.

import type { SqliteValue } from './driver/sqlite.js';
import type { ColumnName } from './record-columns.js';

/** Rows of a block: a source that is in every second one is found by reading so many rows for each of its flows. */
export const BLOCK_ROWS = 4096;

/** The indexes of a sealed segment; the filter of a block answers for an index if all its columns are given. */
export const INDEXES = [
  { name: 'flow_ext', address: 'ext', port: 'eport' },
  { name: 'flow_src', address: 'src' },
  { name: 'flow_dnat', address: 'dst', port: 'dport', only: 'rsrc' },
  { name: 'flow_in', address: 'rsrc', only: 'rsrc' },
] as const satisfies readonly IndexRow[];

/** An index: its columns, and the one without which a row is not in it. */
export interface IndexRow {
  readonly name: string;
  readonly address: ColumnName;
  readonly port?: ColumnName;
  readonly only?: ColumnName;
}

/** Of a filter: two look-ups a row, with 8 bits each. */
const BITS = 16 * BLOCK_ROWS;
const PROBES = 5;

export class BlockFilter {
  readonly bits: Uint8Array;

  /** @param bits as a block has them; absent: an empty filter */
  constructor(bits: Uint8Array = new Uint8Array(BITS / 8)) {
    this.bits = bits;
  }

  /** @param hash of a look-up that finds a row of the block */
  add(hash: number): void {
    const step = stepOf(hash);
    for (let n = 0, at = hash; n < PROBES; n++, at = (at + step) | 0) {
      const bit = at & (BITS - 1);
      this.bits[bit >>> 3]! |= 1 << (bit & 7);
    }
  }

  /** Whether the block may have a row that the look-up finds. */
  mayHave(hash: number): boolean {
    if (this.bits.length !== BITS / 8) return true; // of another version
    const step = stepOf(hash);
    for (let n = 0, at = hash; n < PROBES; n++, at = (at + step) | 0) {
      const bit = at & (BITS - 1);
      if ((this.bits[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }
}

/** The hash of a look-up. @param index its place in INDEXES @param port 0 for an index without */
export function hashOfLookup(index: number, address: SqliteValue, port: number): number {
  return typeof address === 'number'
    ? hashOfNumber(index, address, port)
    : address instanceof Uint8Array
      ? hashOfBytes(index, address, 0, address.length, port)
      : 0;
}

/** The same for an address of four bytes, as columns have it. */
export function hashOfNumber(index: number, address: number, port: number): number {
  return mixed(mixed(index + 1, address | 0), port);
}

/** The same for one in bytes. */
export function hashOfBytes(index: number, bytes: Uint8Array, at: number, length: number, port: number): number {
  let hash = index + 1;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[at + i]!, 0x01000193);
  return mixed(mixed(index + 1, hash), port);
}

/** As the last steps of MurmurHash3. */
function mixed(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function stepOf(hash: number): number {
  return mixed(hash, 0x9e3779b9) | 1;
}
