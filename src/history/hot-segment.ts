// HotSegment: the segment that is being written. A delivery goes into it in one transaction, as a whole or not at all.

import { statSync } from 'node:fs';
import { BLOCK_ROWS, BlockFilter } from './block-filter.js';
import type { Delivery, SessionRow } from './delivery.js';
import type { SqliteDriver, SqliteFile, SqliteRow, SqliteStatement, SqliteValue } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import { ALL_COLUMNS, FlowInserts, ROWS_AT_ONCE } from './flow-inserts.js';
import {
  addLookups,
  columnsInUse,
  DROPPED,
  ENDED,
  keyOfRow,
  kindOfRow,
  numberInRow,
  putRowValues,
  rowOpen,
  rowValues,
} from './record-batch.js';
import { COLUMN, END_KINDS, END_SHIFT, numberOfReason, RECORD_COLUMNS } from './record-columns.js';
import { BLOCK_TABLE, OPEN_COLUMNS } from './record-schema.js';
import type { Gap } from './recorded-namespace.js';
import type { SegmentFile } from './segment-files.js';
import { readMeta, type SegmentMeta, writeMeta } from './segment-meta.js';

/** Pages in the write-ahead log before they go into the file: 4 MiB. */
const LOG_PAGES = 1000;

const places = (count: number) => new Array<string>(count).fill('?').join(', ');
/** Rows from a number on, and by which look-ups they are found. */
interface Block {
  readonly first: number;
  readonly filter: BlockFilter;
}

export class HotSegment {
  readonly file: SegmentFile;
  readonly #database: SqliteFile;
  readonly #insert: SqliteStatement;
  readonly #putBlock: SqliteStatement;
  readonly #open: SqliteStatement;
  readonly #unopen: SqliteStatement;
  readonly #gap: SqliteStatement;
  readonly #put: SqliteStatement;
  readonly #inserts: FlowInserts;
  #meta: SegmentMeta;
  #rows: number;
  #sequence: number;
  #minStart: number | undefined;
  #maxEnd: number | undefined;
  /** As `meta` has it. */
  #disorder: number | undefined;
  /** The block of rows that is being filled; rows from before the recorder was started are in none. */
  #block: Block;

  /** @throws HistoryError, errors of the driver; then it is not open */
  constructor(driver: SqliteDriver, segment: SegmentFile, sync: 'full' | 'none') {
    this.file = segment;
    const database = driver.open(segment.path);
    this.#database = database;
    try {
      database.exec('PRAGMA journal_mode = WAL');
      database.exec(`PRAGMA synchronous = ${sync === 'full' ? 'FULL' : 'NORMAL'}`);
      database.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES}`);
      this.#meta = readMeta(database, segment.name);
      const [sums] = database
        .prepare('SELECT count(*) AS n, max(seq) AS seq, min(start - sslack) AS a, max(start + dur) AS b FROM flow')
        .all();
      this.#rows = Number(sums!['n']);
      // Numbers of records that were taken out are not used again.
      this.#sequence = Math.max((sums!['seq'] as number | null) ?? 0, this.#meta.lastSeq ?? 0, this.#meta.firstSeq - 1);
      this.#minStart = (sums!['a'] as number | null) ?? undefined;
      this.#maxEnd = (sums!['b'] as number | null) ?? undefined;
      this.#disorder = this.#meta.disorder;
      database.exec(BLOCK_TABLE);
      this.#block = { first: this.#sequence + 1, filter: new BlockFilter() };
      this.#inserts = new FlowInserts(database);
      this.#insert = this.#inserts.of(ALL_COLUMNS).one();
      this.#putBlock = database.prepare('INSERT OR REPLACE INTO block VALUES (?, ?, ?)');
      this.#open = database.prepare(`INSERT OR REPLACE INTO open VALUES (${places(OPEN_COLUMNS.length + 3)})`);
      this.#unopen = database.prepare('DELETE FROM open WHERE key = ?');
      this.#gap = database.prepare(
        'INSERT INTO gap (ns, "from", "to", first, reason, events, note) VALUES (?, ?, ?, ?, ?, ?, ?)',
      );
      this.#put = database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)');
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** What it says of itself, as of the last delivery. */
  get meta(): SegmentMeta {
    return this.#meta;
  }

  get rows(): number {
    return this.#rows;
  }

  /** The last record's number. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Bytes in the write-ahead log: it goes on growing while somebody reads what is in the file. */
  get logSize(): number {
    return statSync(`${this.file.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  all(sql: string): readonly SqliteRow[] {
    return this.#database.prepare(sql).all();
  }

  beginSession({ from, boot, filter, sysctls, options }: SessionRow): void {
    this.#transaction(() =>
      this.#database
        .prepare('INSERT INTO session ("from", boot, filter, sysctls, options) VALUES (?, ?, ?, ?, ?)')
        .run(from, boot, filter ?? null, JSON.stringify(sysctls), JSON.stringify(options)),
    );
  }

  /**
   * Writes a delivery. @param resumedAt up to when the run before this one knew everything
   * @returns how many records it had
   * @throws errors of the driver; then nothing is written
   */
  write(delivery: Delivery, resumedAt: number): number {
    const { batch, now } = delivery;
    const inserts = this.#inserts.of(columnsInUse(batch));
    const { columns } = inserts;
    const width = columns.length + 1;
    const values = new Array<SqliteValue>(ROWS_AT_ONCE * width).fill(null);
    let rows = 0;
    let sequence = this.#sequence;
    let minStart = this.#minStart;
    let maxEnd = this.#maxEnd;
    let disorder = this.#disorder;
    let block = this.#block;
    const note = (end: number) => {
      if (maxEnd === undefined || end > maxEnd) maxEnd = end;
      else if (disorder !== undefined && maxEnd - end > disorder) disorder = maxEnd - end;
    };
    this.#transaction(() => {
      for (const row of delivery.namespaces ?? [])
        this.#database
          .prepare('INSERT OR REPLACE INTO netns VALUES (?, ?, ?, ?)')
          .run(row.number, row.name, row.inode, row.first);
      for (const { at, before, after, delta, class: kind } of delivery.clock ?? [])
        this.#database
          .prepare('INSERT INTO clock VALUES (?, ?, ?, ?, ?)')
          .run(at, before ?? null, after ?? null, delta ?? null, kind ?? null);
      for (const gap of delivery.gaps) this.#writeGap(gap, sequence + 1);
      if (delivery.vanished) {
        const { keys, at } = delivery.vanished;
        for (const key of keys) {
          const [row] = this.#database.prepare('SELECT * FROM open WHERE key = ?').all(key);
          if (!row) continue;
          note(this.#writeVanished(row, ++sequence, resumedAt, at, 'unseen'));
          rows++;
        }
        block = { first: sequence + 1, filter: new BlockFilter() };
      }
      let pending = 0;
      for (let row = 0; row < batch.count; row++) {
        const kind = kindOfRow(batch, row);
        const key = keyOfRow(batch, row);
        if (kind !== ENDED && kind !== DROPPED) {
          const values = rowValues(batch, row);
          this.#open.run(key, ...rowOpen(batch, row), ...OPEN_PLACES.map((place) => values[place]!));
          continue;
        }
        if (!Number.isNaN(key)) this.#unopen.run(key);
        if (kind === DROPPED) continue;
        values[pending * width] = ++sequence;
        putRowValues(batch, row, columns, values, pending * width + 1);
        rows++;
        // After a failure it is told once more, which is no harm.
        addLookups(batch, row, block.filter);
        if (sequence - block.first === BLOCK_ROWS - 1) {
          this.#putBlock.run(block.first, sequence, block.filter.bits);
          block = { first: sequence + 1, filter: new BlockFilter() };
        }
        const start = numberInRow(batch, row, COLUMN.start);
        const earliest = start - numberInRow(batch, row, COLUMN.sslack);
        if (minStart === undefined || earliest < minStart) minStart = earliest;
        note(start + numberInRow(batch, row, COLUMN.dur));
        if (++pending < ROWS_AT_ONCE) continue;
        inserts.many().runMany(values);
        pending = 0;
      }
      for (let n = 0; n < pending; n++) inserts.one().runMany(values.slice(n * width, (n + 1) * width));
      if (delivery.alive !== undefined) this.#put.run('alive', delivery.alive);
      if (delivery.ready !== undefined) this.#put.run('ready', delivery.ready);
      if (delivery.openTo !== undefined) this.#put.run('openTo', delivery.openTo);
      if (disorder !== undefined && disorder !== this.#disorder) this.#put.run('disorder', disorder);
      if (delivery.seenTo !== undefined) this.#put.run('seenTo', delivery.seenTo);
      if (minStart !== undefined && minStart !== this.#minStart) this.#put.run('minStart', minStart);
      if (delivery.last) this.#database.prepare('UPDATE session SET "to" = ? WHERE id = (SELECT max(id) FROM session)').run(now);
    });
    this.#rows += rows;
    this.#sequence = sequence;
    this.#minStart = minStart;
    this.#maxEnd = maxEnd;
    this.#disorder = disorder;
    this.#block = block;
    const { alive = this.#meta.alive, openTo = this.#meta.openTo, seenTo = this.#meta.seenTo } = delivery;
    this.#meta = { ...this.#meta, alive, openTo, seenTo };
    return rows;
  }

  /** The machine was started again: whatever was open has ended. @param seen up to when everything was known */
  endAll(open: readonly SqliteRow[], seen: number, now: number): void {
    let { sequence } = this;
    let maxEnd = this.#maxEnd;
    let disorder = this.#disorder;
    this.#transaction(() => {
      for (const row of open) {
        const end = this.#writeVanished(row, ++sequence, seen, now, 'reboot');
        if (disorder !== undefined) disorder = Math.max(disorder, (maxEnd ?? end) - end);
        maxEnd = Math.max(maxEnd ?? end, end);
      }
      if (disorder !== undefined) this.#put.run('disorder', disorder);
    });
    this.#sequence = sequence;
    this.#maxEnd = maxEnd;
    this.#disorder = disorder;
    this.#rows += open.length;
    this.#block = { first: sequence + 1, filter: new BlockFilter() };
  }

  /** No more records come. @throws errors of the driver; then some may still */
  end(now: number): void {
    this.#transaction(() =>
      writeMeta(this.#database, {
        closed: now,
        rows: this.#rows,
        lastSeq: this.#sequence,
        minStart: this.#minStart,
        maxEnd: this.#maxEnd,
      }),
    );
  }

  /** Leaves the directory as readers without any rights find it best. */
  close(): void {
    // A file with a log beside it cannot be read where nobody may write. And a connection that some packages only close when they collect
    // garbage holds no lock then.
    try {
      this.#database.exec('PRAGMA journal_mode = DELETE');
    } catch (error) {
      // A reader is there, or the disk is full: it stays as it is.
      if (!isSqliteError(error, 'SQLITE_BUSY', 'SQLITE_FULL', 'SQLITE_IOERR')) throw error;
    } finally {
      this.#database.close();
    }
  }

  #writeGap({ ns, from, to, reason, events, note }: Gap, first: number): void {
    this.#gap.run(ns ?? null, Math.min(from, to), to, first, reason, events ?? null, note ?? null);
  }

  /** A record of a flow whose end nobody saw: it was known to be alive at `seen`, and was gone at `at`. @returns the end that it got */
  #writeVanished(row: SqliteRow, sequence: number, seen: number, at: number, reason: 'unseen' | 'reboot'): number {
    const start = row['start'] as number;
    const values = RECORD_COLUMNS.map(({ name }) => row[name] ?? null);
    values[COLUMN.dur] = Math.max(0, at - start);
    values[COLUMN.eslack] = Math.max(0, at - Math.max(seen, start));
    values[COLUMN.end_reason] = numberOfReason(reason);
    values[COLUMN.how] = Number(row['how']) | (END_KINDS.indexOf('restart') << END_SHIFT);
    this.#insert.run(sequence, ...values);
    this.#unopen.run(row['key'] as number);
    return Math.max(at, start);
  }

  #transaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      try {
        this.#database.exec('ROLLBACK');
      } catch {
        // SQLite has rolled it back already.
      }
      throw error;
    }
  }
}

const OPEN_PLACES = OPEN_COLUMNS.map((name) => COLUMN[name as keyof typeof COLUMN]);
