// Tables of text, whose columns are aligned whatever stands in them, and counts in lines beside them.

import type { ByteWriter } from '../format/byte-writer.js';
import { safeText } from '../safe-text.js';

/** Aligns columns; `right`: those of numbers. The first row is as wide as all. */
export function printTable(out: ByteWriter, rows: readonly (readonly string[])[], right: (column: number) => boolean): void {
  const safe = rows.map((row) => row.map(safeText));
  const widths = safe[0]!.map((_, n) => Math.max(...safe.map((row) => row[n]?.length ?? 0)));
  for (const row of safe) {
    const cells = row.map((cell, n) => (right(n) ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!)));
    out.text(`${cells.join('  ').trimEnd()}\n`);
  }
}

/** `1 flow`, `2000 flows`: without separators, for those who read it with programs. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
