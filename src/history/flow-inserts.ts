// Statements that write records into the table `flow`. By the columns that the records have: what is always NULL is left out, since each
// value costs more than writing it does.

import type { SqliteFile, SqliteStatement } from './driver/sqlite.js';
import { RECORD_COLUMNS } from './record-columns.js';

/** Rows of a statement: a call costs as much as several rows. */
export const ROWS_AT_ONCE = 16;
/** Combinations of columns for which statements are kept. */
const MOST_KEPT = 16;

/** Statements for rows that have certain columns, and no others. */
export interface RowInserts {
  /** Places of the columns, in the order of the values; `seq` goes before them. */
  readonly columns: readonly number[];
  /** For one row. */
  readonly one: () => SqliteStatement;
  /** For ROWS_AT_ONCE rows. */
  readonly many: () => SqliteStatement;
}

export class FlowInserts {
  readonly #file: SqliteFile;
  readonly #kept = new Map<number, RowInserts>();

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  /** @param used bits by the places of columns */
  of(used: number): RowInserts {
    const known = this.#kept.get(used);
    if (known) return known;
    const columns = RECORD_COLUMNS.flatMap((_, column) => ((used >> column) & 1 ? [column] : []));
    let one: SqliteStatement | undefined;
    let many: SqliteStatement | undefined;
    const inserts: RowInserts = {
      columns,
      one: () => (one ??= this.#file.prepare(insertSql(columns, 1))),
      many: () => (many ??= this.#file.prepare(insertSql(columns, ROWS_AT_ONCE))),
    };
    if (this.#kept.size === MOST_KEPT) this.#kept.clear();
    this.#kept.set(used, inserts);
    return inserts;
  }
}

/** Every column. */
export const ALL_COLUMNS = (1 << RECORD_COLUMNS.length) - 1;

function insertSql(columns: readonly number[], rows: number): string {
  const names = ['seq', ...columns.map((column) => RECORD_COLUMNS[column]!.name)];
  const row = `(${names.map(() => '?').join(', ')})`;
  return `INSERT INTO flow (${names.join(', ')}) VALUES ${new Array<string>(rows).fill(row).join(', ')}`;
}
