// Rows of the same size ↔ columns: byte k of all rows side by side. Four rows and four bytes of each at a time, as numbers of 32 bits:
// turning a square of four by four bytes takes fewer steps than moving each of them, in either direction. A byte that is the same in all
// rows needs no column.

/** Bytes at even places of a number, and at odd ones. */
const EVEN = 0x00ff00ff;
const ODD = 0xff00ff00 | 0;
const LOW = 0xffff;
const HIGH = 0xffff0000 | 0;

/** In `places`: there is no such column. */
export const NO_COLUMN = -1;

/**
 * Finds where rows differ from the first of them: bit by bit, in `bits`, four bytes to a number. Rows of `size` bytes begin in `from` where
 * `starts` says, from its index `first` on.
 */
export function findDifferences(
  from: DataView,
  starts: Int32Array,
  first: number,
  count: number,
  size: number,
  bits: Int32Array,
): void {
  const bytes = size & ~3;
  bits.fill(0, 0, (size + 3) >> 2);
  const r0 = starts[first]!;
  for (let row = 1; row < count; row = (row + 3) | 0) {
    // Up to three; the last one as often as there are too few.
    const a = starts[(first + row) | 0]!;
    const b = starts[(first + Math.min(row + 1, count - 1)) | 0]!;
    const c = starts[(first + Math.min(row + 2, count - 1)) | 0]!;
    for (let k = 0; k < bytes; k = (k + 4) | 0) {
      const same = from.getInt32((r0 + k) | 0, true);
      const word = k >> 2;
      bits[word]! |=
        (from.getInt32((a + k) | 0, true) ^ same) |
        (from.getInt32((b + k) | 0, true) ^ same) |
        (from.getInt32((c + k) | 0, true) ^ same);
    }
  }
  for (let k = bytes; k < size; k++)
    for (let row = 1; row < count; row++)
      bits[k >> 2]! |= (from.getUint8(starts[first + row]! + k) ^ from.getUint8(r0 + k)) << (8 * (k & 3));
}

/**
 * Writes `count` rows of `size` bytes as columns: that of byte k to `to`, from `places[k]` on. Rows begin in `from` where `starts` says,
 * from its index `first` on.
 */
export function writeColumns(
  from: DataView,
  starts: Int32Array,
  first: number,
  count: number,
  size: number,
  to: DataView,
  places: Int32Array,
): void {
  const rows = count & ~3;
  const bytes = size & ~3;
  for (let row = 0; row < rows; row = (row + 4) | 0) {
    const r0 = starts[(first + row) | 0]!;
    const r1 = starts[(first + row + 1) | 0]!;
    const r2 = starts[(first + row + 2) | 0]!;
    const r3 = starts[(first + row + 3) | 0]!;
    for (let k = 0; k < bytes; k = (k + 4) | 0) {
      const p0 = places[k]!;
      const p1 = places[k + 1]!;
      const p2 = places[k + 2]!;
      const p3 = places[k + 3]!;
      if ((p0 & p1 & p2 & p3) < 0) continue;
      const a = from.getInt32((r0 + k) | 0, true);
      const b = from.getInt32((r1 + k) | 0, true);
      const c = from.getInt32((r2 + k) | 0, true);
      const d = from.getInt32((r3 + k) | 0, true);
      const abEven = (a & EVEN) | ((b & EVEN) << 8);
      const abOdd = ((a >>> 8) & EVEN) | (b & ODD);
      const cdEven = (c & EVEN) | ((d & EVEN) << 8);
      const cdOdd = ((c >>> 8) & EVEN) | (d & ODD);
      if (p0 >= 0) to.setInt32((p0 + row) | 0, (abEven & LOW) | (cdEven << 16), true);
      if (p1 >= 0) to.setInt32((p1 + row) | 0, (abOdd & LOW) | (cdOdd << 16), true);
      if (p2 >= 0) to.setInt32((p2 + row) | 0, (abEven >>> 16) | (cdEven & HIGH), true);
      if (p3 >= 0) to.setInt32((p3 + row) | 0, (abOdd >>> 16) | (cdOdd & HIGH), true);
    }
  }
  // The edges of what is no multiple of four.
  for (let row = 0; row < count; row++) {
    const start = starts[first + row]!;
    for (let k = row < rows ? bytes : 0; k < size; k++)
      if (places[k]! >= 0) to.setUint8(places[k]! + row, from.getUint8(start + k));
  }
}

/**
 * Writes columns, that of byte k from `places[k]` on, as `count` rows of `size` bytes, one behind the other, to `to`, from `at` on. Bytes
 * without a column are those of `common`, which has zeros for all others.
 */
export function writeRows(
  columns: DataView,
  places: Int32Array,
  common: DataView,
  count: number,
  size: number,
  to: DataView,
  at: number,
): void {
  const rows = count & ~3;
  const bytes = size & ~3;
  for (let row = 0; row < rows; row = (row + 4) | 0) {
    const r0 = (at + Math.imul(row, size)) | 0;
    const r1 = (r0 + size) | 0;
    const r2 = (r1 + size) | 0;
    const r3 = (r2 + size) | 0;
    for (let k = 0; k < bytes; k = (k + 4) | 0) {
      const same = common.getInt32(k, true);
      const p0 = places[k]!;
      const p1 = places[k + 1]!;
      const p2 = places[k + 2]!;
      const p3 = places[k + 3]!;
      if ((p0 & p1 & p2 & p3) < 0) {
        to.setInt32((r0 + k) | 0, same, true);
        to.setInt32((r1 + k) | 0, same, true);
        to.setInt32((r2 + k) | 0, same, true);
        to.setInt32((r3 + k) | 0, same, true);
        continue;
      }
      const a = p0 < 0 ? 0 : columns.getInt32((p0 + row) | 0, true);
      const b = p1 < 0 ? 0 : columns.getInt32((p1 + row) | 0, true);
      const c = p2 < 0 ? 0 : columns.getInt32((p2 + row) | 0, true);
      const d = p3 < 0 ? 0 : columns.getInt32((p3 + row) | 0, true);
      const abEven = (a & EVEN) | ((b & EVEN) << 8);
      const abOdd = ((a >>> 8) & EVEN) | (b & ODD);
      const cdEven = (c & EVEN) | ((d & EVEN) << 8);
      const cdOdd = ((c >>> 8) & EVEN) | (d & ODD);
      to.setInt32((r0 + k) | 0, same | (abEven & LOW) | (cdEven << 16), true);
      to.setInt32((r1 + k) | 0, same | (abOdd & LOW) | (cdOdd << 16), true);
      to.setInt32((r2 + k) | 0, same | (abEven >>> 16) | (cdEven & HIGH), true);
      to.setInt32((r3 + k) | 0, same | (abOdd >>> 16) | (cdOdd & HIGH), true);
    }
  }
  for (let row = 0; row < count; row++)
    for (let k = row < rows ? bytes : 0; k < size; k++)
      to.setUint8(at + row * size + k, places[k]! < 0 ? common.getUint8(k) : columns.getUint8(places[k]! + row));
}

/** Whether the columns of `count` bytes from `a` and from `b` on are equal. */
export function isSameColumn(columns: DataView, a: number, b: number, count: number): boolean {
  const words = count & ~3;
  for (let row = 0; row < words; row = (row + 4) | 0)
    if (columns.getInt32((a + row) | 0, true) !== columns.getInt32((b + row) | 0, true)) return false;
  for (let row = words; row < count; row++) if (columns.getUint8(a + row) !== columns.getUint8(b + row)) return false;
  return true;
}
