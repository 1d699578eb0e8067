// Rows of the same size ↔ columns: byte k of all rows side by side. Four rows and four bytes of each at a time, as numbers of 32 bits:
// turning a square of four by four bytes takes fewer steps than moving each of them, in either direction.

/** Bytes at even places of a number, and at odd ones. */
const EVEN = 0x00ff00ff;
const ODD = 0xff00ff00 | 0;
const LOW = 0xffff;
const HIGH = 0xffff0000 | 0;

/**
 * Writes `count` rows of `size` bytes as columns to `to`, from `at` on. Rows begin in `from` where `starts` says, from its index `first` on.
 */
export function writeColumns(
  from: DataView,
  starts: Int32Array,
  first: number,
  count: number,
  size: number,
  to: DataView,
  at: number,
): void {
  const rows = count & ~3;
  const bytes = size & ~3;
  for (let row = 0; row < rows; row = (row + 4) | 0) {
    const r0 = starts[(first + row) | 0]!;
    const r1 = starts[(first + row + 1) | 0]!;
    const r2 = starts[(first + row + 2) | 0]!;
    const r3 = starts[(first + row + 3) | 0]!;
    let column = (at + row) | 0;
    for (let k = 0; k < bytes; k = (k + 4) | 0) {
      const a = from.getInt32((r0 + k) | 0, true);
      const b = from.getInt32((r1 + k) | 0, true);
      const c = from.getInt32((r2 + k) | 0, true);
      const d = from.getInt32((r3 + k) | 0, true);
      const abEven = (a & EVEN) | ((b & EVEN) << 8);
      const abOdd = ((a >>> 8) & EVEN) | (b & ODD);
      const cdEven = (c & EVEN) | ((d & EVEN) << 8);
      const cdOdd = ((c >>> 8) & EVEN) | (d & ODD);
      to.setInt32(column, (abEven & LOW) | (cdEven << 16), true);
      column = (column + count) | 0;
      to.setInt32(column, (abOdd & LOW) | (cdOdd << 16), true);
      column = (column + count) | 0;
      to.setInt32(column, (abEven >>> 16) | (cdEven & HIGH), true);
      column = (column + count) | 0;
      to.setInt32(column, (abOdd >>> 16) | (cdOdd & HIGH), true);
      column = (column + count) | 0;
    }
  }
  // The edges of what is no multiple of four.
  for (let row = 0; row < count; row++) {
    const start = starts[first + row]!;
    for (let k = row < rows ? bytes : 0; k < size; k++) to.setUint8(at + k * count + row, from.getUint8(start + k));
  }
}

/** Writes columns that begin at `from` as `count` rows of `size` bytes, one behind the other, to `to`, from `at` on. */
export function writeRows(columns: DataView, from: number, count: number, size: number, to: DataView, at: number): void {
  const rows = count & ~3;
  const bytes = size & ~3;
  for (let row = 0; row < rows; row = (row + 4) | 0) {
    const r0 = (at + Math.imul(row, size)) | 0;
    const r1 = (r0 + size) | 0;
    const r2 = (r1 + size) | 0;
    const r3 = (r2 + size) | 0;
    let column = (from + row) | 0;
    for (let k = 0; k < bytes; k = (k + 4) | 0) {
      const a = columns.getInt32(column, true);
      column = (column + count) | 0;
      const b = columns.getInt32(column, true);
      column = (column + count) | 0;
      const c = columns.getInt32(column, true);
      column = (column + count) | 0;
      const d = columns.getInt32(column, true);
      column = (column + count) | 0;
      const abEven = (a & EVEN) | ((b & EVEN) << 8);
      const abOdd = ((a >>> 8) & EVEN) | (b & ODD);
      const cdEven = (c & EVEN) | ((d & EVEN) << 8);
      const cdOdd = ((c >>> 8) & EVEN) | (d & ODD);
      to.setInt32((r0 + k) | 0, (abEven & LOW) | (cdEven << 16), true);
      to.setInt32((r1 + k) | 0, (abOdd & LOW) | (cdOdd << 16), true);
      to.setInt32((r2 + k) | 0, (abEven >>> 16) | (cdEven & HIGH), true);
      to.setInt32((r3 + k) | 0, (abOdd >>> 16) | (cdOdd & HIGH), true);
    }
  }
  for (let row = 0; row < count; row++)
    for (let k = row < rows ? bytes : 0; k < size; k++)
      to.setUint8(at + row * size + k, columns.getUint8(from + k * count + row));
}
