// RecordWriter: writes batches into the hot segment, a transaction each, and begins a new segment when it is time. It blocks on the disk:
// a thread of its own runs it.

import { randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { BLOCK_ROWS, BlockFilter } from './block-filter.js';
import type { SqliteDriver, SqliteFile, SqliteRow, SqliteStatement, SqliteValue } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import { ALL_COLUMNS, FlowInserts, ROWS_AT_ONCE } from './flow-inserts.js';
import { dropUnfinished, makeSegment } from './make-segment.js';
import {
  addLookups,
  type BatchContents,
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
import { COLUMN, END_KINDS, END_SHIFT, type GapReason, numberOfReason, RECORD_COLUMNS } from './record-columns.js';
import { BLOCK_TABLE, OPEN_COLUMNS } from './record-schema.js';
import type { Gap } from './recorded-namespace.js';
import { undoSealing } from './seal-segment.js';
import { beginningOf, type SegmentFile, segmentFiles } from './segment-files.js';
import { HistoryError, readMeta, type SegmentMeta, writeMeta } from './segment-meta.js';

/** How a record is written. */
export interface RecordWriterOptions {
  readonly directory: string;
  /** `none`: the disk may lose the last seconds when power fails. */
  readonly sync: 'full' | 'none';
  /** A segment ends with so many records, or when so many microseconds have passed: at midnight (UTC) for a day. */
  readonly segmentRows: number;
  readonly segmentAge: number;
  readonly session: SessionRow;
}

/** What is known of a run of the recorder. */
export interface SessionRow {
  /** Microseconds since the epoch. */
  readonly from: number;
  /** The running system, anew at each start of the machine. */
  readonly boot: string;
  /** In text; absent: everything. */
  readonly filter?: string | undefined;
  readonly sysctls: Readonly<Record<string, number | undefined>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly version: string;
  readonly noDestination: boolean;
}

/** What goes into the record at once. */
export interface Delivery {
  readonly batch: BatchContents;
  /** They go before the rows. */
  readonly gaps: readonly Gap[];
  /** Flows of `open` that were no longer there when recording began again, and when that was found. */
  readonly vanished?: { readonly keys: readonly number[]; readonly at: number } | undefined;
  readonly namespaces?: readonly NamespaceRow[] | undefined;
  readonly clock?: readonly ClockRow[] | undefined;
  /** Everything up to then is in the record now, but for gaps; absent: nothing is known yet. */
  readonly alive?: number | undefined;
  /** Every flow that began before is in `flow` or in `open`. */
  readonly openTo?: number | undefined;
  /** A list that began then had every flow in `open` that had begun before. */
  readonly seenTo?: number | undefined;
  /** When it is delivered: microseconds since the epoch. */
  readonly now: number;
  /** The recorder ends. */
  readonly last?: boolean;
}

/** A network namespace. */
export interface NamespaceRow {
  readonly number: number;
  readonly name: string;
  readonly inode: number;
  readonly first: number;
}

/** The clock was set, or what is known of its error has changed. Microseconds. */
export interface ClockRow {
  readonly at: number;
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  readonly delta?: number | undefined;
  /** How well it is kept, in words; absent: the system does not tell. */
  readonly class: string | undefined;
}

/** What is there when a run begins. */
export interface Resumption {
  /** Flows that were open when the last run ended, on the same running system. */
  readonly open: readonly SqliteRow[];
  /** The greatest key among them. */
  readonly lastKey: number;
  /** Why nothing was recorded until now, and since when; absent for a new record. */
  readonly gap?: { readonly from: number; readonly reason: GapReason } | undefined;
  readonly recorder: string;
  readonly namespaces: readonly NamespaceRow[];
}

/** What became of a delivery. */
export interface Written {
  readonly rows: number;
  /** The last record's number. */
  readonly sequence: number;
  /** A segment that has ended, to be sealed. */
  readonly closed?: SegmentFile | undefined;
}

const DAY = 86_400_000_000;
/** Pages in the write-ahead log before they go into the file: 4 MiB. */
const WAL_PAGES = 1000;

const places = (count: number) => new Array<string>(count).fill('?').join(', ');

/** Rows from a number on, and by which look-ups they are found. */
interface Block {
  readonly first: number;
  readonly filter: BlockFilter;
}

export class RecordWriter {
  readonly #driver: SqliteDriver;
  readonly #options: RecordWriterOptions;
  #file!: SqliteFile;
  #segment!: SegmentFile;
  #meta!: SegmentMeta;
  #rows = 0;
  #sequence = 0;
  #minStart: number | undefined;
  #maxEnd: number | undefined;
  /** As `meta` has it. */
  #disorder: number | undefined;
  /** Up to when the run before this one knew everything. */
  #resumedAt = 0;
  #insert!: SqliteStatement;
  /** The block of rows that is being filled; rows from before the recorder was started are in none. */
  #block: Block = { first: 1, filter: new BlockFilter() };
  #inserts!: FlowInserts;
  #putBlock!: SqliteStatement;
  #open!: SqliteStatement;
  #unopen!: SqliteStatement;
  #gap!: SqliteStatement;
  #put!: SqliteStatement;

  private constructor(driver: SqliteDriver, options: RecordWriterOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  /** Goes on with the record of a directory, or begins one. @throws HistoryError, errors of the driver */
  static open(
    driver: SqliteDriver,
    options: RecordWriterOptions,
  ): { readonly writer: RecordWriter; readonly resumption: Resumption } {
    const writer = new RecordWriter(driver, options);
    const resumption = writer.#resume();
    return { writer, resumption };
  }

  get segment(): SegmentFile {
    return this.#segment;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Segments that have ended and are not sealed. */
  unsealed(): SegmentFile[] {
    const { number } = this.#segment;
    return segmentFiles(this.#options.directory).filter((file) => file.number < number && !this.#isSealed(file));
  }

  #isSealed({ path, name }: SegmentFile): boolean {
    const file = this.#driver.open(path, { readOnly: true });
    try {
      return readMeta(file, name).sealed !== undefined;
    } finally {
      file.close();
    }
  }

  /** Writes a delivery in one transaction, and begins a new segment if it is time. @throws errors of the driver; then nothing is written */
  write(delivery: Delivery): Written {
    const { batch, now } = delivery;
    const inserts = this.#inserts.of(columnsInUse(batch));
    const { columns } = inserts;
    const width = columns.length + 1;
    const values = new Array<SqliteValue>(ROWS_AT_ONCE * width).fill(null);
    let rows = 0;
    let { sequence } = this;
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
        this.#file.prepare('INSERT OR REPLACE INTO netns VALUES (?, ?, ?, ?)').run(row.number, row.name, row.inode, row.first);
      for (const { at, before, after, delta, class: kind } of delivery.clock ?? [])
        this.#file
          .prepare('INSERT INTO clock VALUES (?, ?, ?, ?, ?)')
          .run(at, before ?? null, after ?? null, delta ?? null, kind ?? null);
      for (const gap of delivery.gaps) this.#writeGap(gap, sequence + 1);
      if (delivery.vanished) {
        const { keys, at } = delivery.vanished;
        for (const key of keys) {
          const [row] = this.#file.prepare('SELECT * FROM open WHERE key = ?').all(key);
          if (!row) continue;
          note(this.#writeVanished(row, ++sequence, this.#resumedAt, at, 'unseen'));
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
      if (delivery.openTo !== undefined) this.#put.run('openTo', delivery.openTo);
      if (disorder !== undefined && disorder !== this.#disorder) this.#put.run('disorder', disorder);
      if (delivery.seenTo !== undefined) this.#put.run('seenTo', delivery.seenTo);
      if (minStart !== undefined && minStart !== this.#minStart) this.#put.run('minStart', minStart);
      if (delivery.last) this.#file.prepare('UPDATE session SET "to" = ? WHERE "to" IS NULL').run(now);
    });
    this.#rows += rows;
    this.#sequence = sequence;
    this.#minStart = minStart;
    this.#maxEnd = maxEnd;
    this.#disorder = disorder;
    this.#block = block;
    const { alive = this.#meta.alive, openTo = this.#meta.openTo, seenTo = this.#meta.seenTo } = delivery;
    this.#meta = { ...this.#meta, alive, openTo, seenTo };
    const due = !delivery.last && this.#isDue(now);
    return { rows, sequence, closed: due ? this.rotate(now) : undefined };
  }

  /** Ends the hot segment and begins another. @returns the one that has ended; `undefined` if it has nothing to keep */
  rotate(now: number): SegmentFile | undefined {
    if (this.#rows === 0) return undefined;
    const ended = this.#segment;
    const next = this.#create(now, ended.number + 1, this.#meta.recorder, ended);
    this.#close(now);
    this.#use(next);
    return ended;
  }

  /** Leaves the directory as readers without any rights find it best. */
  close(): void {
    // A file with a log beside it cannot be read where nobody may write. And a connection that some packages only close when they collect
    // garbage holds no lock then.
    try {
      this.#file.exec('PRAGMA journal_mode = DELETE');
    } catch (error) {
      if (!isSqliteError(error, 'SQLITE_BUSY')) throw error; // a reader is there: it stays as it is
    }
    this.#file.close();
  }

  #isDue(now: number): boolean {
    const { segmentRows, segmentAge } = this.#options;
    if (this.#rows >= segmentRows) return true;
    const period = (at: number) => Math.floor(at / segmentAge);
    return segmentAge === DAY ? period(now) > period(this.#meta.opened) : now - this.#meta.opened >= segmentAge;
  }

  #resume(): Resumption {
    const { directory, session } = this.#options;
    dropUnfinished(directory);
    const files = segmentFiles(directory);
    for (const { path } of files) undoSealing(this.#driver, path);
    let last = files.at(-1);
    if (last && this.#isEmptyBeside(last, files.at(-2))) {
      rmSync(last.path);
      last = files.at(-2);
    }
    const now = session.from;
    const before = last ? this.#readable(last) : undefined;
    if (!last || !before || before.closed !== undefined) {
      this.#use(this.#create(now, (last?.number ?? 0) + 1, before?.recorder ?? randomUUID(), undefined, before));
      this.#beginSession();
      const from = before?.alive ?? (last ? beginningOf(last) : undefined);
      return {
        open: [],
        lastKey: 0,
        recorder: this.#meta.recorder,
        namespaces: [],
        ...(from === undefined ? {} : { gap: { from, reason: before ? 'stopped' : 'crash' } }),
      };
    }
    this.#use(last);
    const [previous] = this.#file.prepare('SELECT * FROM session ORDER BY id DESC LIMIT 1').all();
    const sameBoot = previous?.['boot'] === session.boot;
    const stopped = typeof previous?.['to'] === 'number';
    const { alive, recorder } = this.#meta;
    this.#resumedAt = alive;
    const open = this.#file.prepare('SELECT * FROM open').all();
    if (!sameBoot) this.#endAll(open, now);
    this.#beginSession();
    const reason = stopped ? 'stopped' : sameBoot ? 'crash' : 'reboot';
    return {
      open: sameBoot ? open : [],
      lastKey: open.reduce((most, row) => Math.max(most, row['key'] as number), 0),
      recorder,
      gap: { from: alive, reason },
      namespaces: this.#file.prepare('SELECT * FROM netns').all() as unknown as NamespaceRow[],
    };
  }

  /** The machine was started again: whatever was open has ended. */
  #endAll(open: readonly SqliteRow[], now: number): void {
    this.#transaction(() => {
      let { sequence } = this;
      for (const row of open) {
        const end = this.#writeVanished(row, ++sequence, this.#resumedAt, now, 'reboot');
        if (this.#disorder !== undefined) this.#disorder = Math.max(this.#disorder, (this.#maxEnd ?? end) - end);
        this.#maxEnd = Math.max(this.#maxEnd ?? end, end);
      }
      if (this.#disorder !== undefined) this.#put.run('disorder', this.#disorder);
      this.#sequence = sequence;
    });
    this.#rows += open.length;
    this.#block = { first: this.#sequence + 1, filter: new BlockFilter() };
  }

  /** A crash between the making of a segment and the end of the one before it. */
  #isEmptyBeside(last: SegmentFile, before: SegmentFile | undefined): boolean {
    if (!before || this.#metaOf(before).closed !== undefined) return false;
    const file = this.#driver.open(last.path);
    try {
      return file.prepare('SELECT 1 FROM flow LIMIT 1').all().length === 0;
    } finally {
      file.close();
    }
  }

  /** The meta of the last segment. One that is damaged goes out of the way, as far as it goes: `undefined`. */
  #readable(last: SegmentFile): SegmentMeta | undefined {
    try {
      const file = this.#driver.open(last.path);
      try {
        const [check] = file.prepare('PRAGMA quick_check(1)').all();
        if (Object.values(check ?? {})[0] === 'ok') return readMeta(file, last.name);
      } finally {
        file.close();
      }
    } catch (error) {
      const damaged = error instanceof HistoryError && error.code === 'DAMAGED';
      if (!damaged && !isSqliteError(error, 'SQLITE_CORRUPT', 'SQLITE_NOTADB')) throw error;
    }
    for (const suffix of ['', '-wal', '-shm'])
      if (existsSync(last.path + suffix)) renameSync(last.path + suffix, `${last.path}.damaged${suffix}`);
    return undefined;
  }

  #metaOf({ path, name }: SegmentFile): SegmentMeta {
    const file = this.#driver.open(path, { readOnly: true });
    try {
      return readMeta(file, name);
    } finally {
      file.close();
    }
  }

  /** Makes a segment, with what the one before it has of flows that live. */
  #create(now: number, number: number, recorder: string, from: SegmentFile | undefined, before?: SegmentMeta): SegmentFile {
    const { directory, session } = this.#options;
    const firstSeq = from ? this.#sequence + 1 : before ? (before.lastSeq ?? before.firstSeq + (before.rows ?? 0) - 1) + 1 : 1;
    return makeSegment(this.#driver, directory, {
      now,
      from,
      meta: {
        recorder,
        number,
        host: hostname(),
        boot: session.boot,
        version: session.version,
        kernel: release(),
        firstSeq,
        opened: now,
        alive: from ? this.#meta.alive : now,
        openTo: from ? this.#meta.openTo : undefined,
        seenTo: from ? this.#meta.seenTo : undefined,
        disorder: 0,
        noDestination: session.noDestination ? 1 : undefined,
        filter: session.filter,
      },
    });
  }

  /** Writes into a segment from now on. */
  #use(segment: SegmentFile): void {
    const file = this.#driver.open(segment.path);
    this.#file = file;
    this.#segment = segment;
    file.exec('PRAGMA journal_mode = WAL');
    file.exec(`PRAGMA synchronous = ${this.#options.sync === 'full' ? 'FULL' : 'NORMAL'}`);
    file.exec(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`);
    this.#meta = readMeta(file, segment.name);
    const [sums] = file
      .prepare('SELECT count(*) AS n, max(seq) AS seq, min(start - sslack) AS a, max(start + dur) AS b FROM flow')
      .all();
    this.#rows = Number(sums!['n']);
    // Numbers of records that were taken out are not used again.
    this.#sequence = Math.max((sums!['seq'] as number | null) ?? 0, this.#meta.lastSeq ?? 0, this.#meta.firstSeq - 1);
    this.#minStart = (sums!['a'] as number | null) ?? undefined;
    this.#maxEnd = (sums!['b'] as number | null) ?? undefined;
    this.#disorder = this.#meta.disorder;
    this.#inserts = new FlowInserts(file);
    this.#insert = this.#inserts.of(ALL_COLUMNS).one();
    file.exec(BLOCK_TABLE);
    this.#block = { first: this.#sequence + 1, filter: new BlockFilter() };
    this.#putBlock = file.prepare('INSERT OR REPLACE INTO block VALUES (?, ?, ?)');
    this.#open = file.prepare(`INSERT OR REPLACE INTO open VALUES (${places(OPEN_COLUMNS.length + 3)})`);
    this.#unopen = file.prepare('DELETE FROM open WHERE key = ?');
    this.#gap = file.prepare('INSERT INTO gap (ns, "from", "to", first, reason, events, note) VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#put = file.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)');
  }

  #beginSession(): void {
    const { from, boot, filter, sysctls, options } = this.#options.session;
    this.#transaction(() =>
      this.#file
        .prepare('INSERT INTO session ("from", boot, filter, sysctls, options) VALUES (?, ?, ?, ?, ?)')
        .run(from, boot, filter ?? null, JSON.stringify(sysctls), JSON.stringify(options)),
    );
  }

  #close(now: number): void {
    this.#transaction(() =>
      writeMeta(this.#file, {
        closed: now,
        rows: this.#rows,
        lastSeq: this.#sequence,
        minStart: this.#minStart,
        maxEnd: this.#maxEnd,
      }),
    );
    this.close();
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
    this.#file.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#file.exec('COMMIT');
    } catch (error) {
      try {
        this.#file.exec('ROLLBACK');
      } catch {
        // SQLite has rolled it back already.
      }
      throw error;
    }
  }
}

const OPEN_PLACES = OPEN_COLUMNS.map((name) => COLUMN[name as keyof typeof COLUMN]);
