// The flows of a part of a record, as `conntrack history -o ndjson` has them.

import type { SqliteRow } from './driver/sqlite.js';
import type { FoundRow } from './flow-search.js';
import { formatMoment } from './moments.js';
import { type PastFlowJson, PastFlowReader } from './past-flow.js';
import { type ColumnRow, RECORD_COLUMNS } from './record-columns.js';
import type { PartGap, RecordPart } from './record-parts.js';
import { addressIn, RowMessages } from './row-messages.js';

const COLUMNS: readonly ColumnRow[] = RECORD_COLUMNS;

/** A row of a part, as SQLite has it. */
export function rowOfPart({ columns, first }: Pick<RecordPart, 'columns' | 'first'>, n: number): SqliteRow {
  const row: Record<string, SqliteRow[string]> = { seq: first + n };
  for (let place = 0; place < COLUMNS.length; place++) row[COLUMNS[place]!.name] = columns[place]?.[n] ?? null;
  return row;
}

/** The flows of a part. One without an address, which only a damaged record has, is left out. */
export function* flowsOfPart(part: RecordPart): Generator<Omit<PastFlowJson, 'segment'>> {
  const messages = new RowMessages();
  const reader = new PastFlowReader();
  const segment = { file: { name: '', path: '', number: 0 }, namespaces: new Map(part.netns) } as unknown as FoundRow['segment'];
  for (let n = 0; n < part.count; n++) {
    const row = rowOfPart(part, n);
    if (!addressIn(row['src'])) continue;
    const { segment: _, ...flow } = reader.read({ row, segment, open: false }, messages.of(row)).toJSON();
    yield flow;
  }
}

/** A gap as JSON has it. */
export function jsonOfGap({ from, to, reason, events, note, lost }: PartGap) {
  return {
    from: formatMoment(from),
    to: formatMoment(to),
    reason,
    ...(events === null ? {} : { events }),
    ...(note === null ? {} : { note }),
    ...(lost ? { lost } : {}),
  };
}
