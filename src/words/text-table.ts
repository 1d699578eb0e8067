// Tables of text, whose columns are aligned whatever stands in them, and counts in lines beside them.

import type { ByteWriter } from '../format/byte-writer.js';
import type { PastGroup } from '../history/index.js';
import { safeText } from '../safe-text.js';

/** Aligns columns, below the first row as their heads; `right`: those of numbers. */
export function printTable(out: ByteWriter, rows: readonly (readonly string[])[], right: (column: number) => boolean): void {
  const safe = rows.map((row, n) => row.map((cell) => safeText(n === 0 ? cell.toUpperCase() : cell)));
  const widths = safe[0]!.map((_, n) => Math.max(...safe.map((row) => row[n]?.length ?? 0)));
  for (const row of safe) {
    const cells = row.map((cell, n) => (right(n) ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!)));
    out.text(`${cells.join('  ').trimEnd()}\n`);
  }
}

/** Sums of flows of the past, exact as they are in a record. */
export function printPastGroups(out: ByteWriter, by: string, groups: readonly PastGroup[]): void {
  const rows = groups.map(({ key, flows, packets, bytes, replyPackets, replyBytes }) =>
    [key, flows, bytes, replyBytes, packets, replyPackets].map((cell) => String(cell ?? '-')),
  );
  printTable(out, [[by, 'flows', 'bytes', 'reply bytes', 'packets', 'reply packets'], ...rows], (column) => column > 0);
}

/** `1 flow`, `2000 flows`: without separators, for those who read it with programs. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
