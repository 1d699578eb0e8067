// RecordCopy: a copy of the record of one host, written from parts that come in their order, some of them twice. It is a record like any
// other: the same files, with the same numbers, so that whatever reads records reads copies. What is known twice is kept once.

import { existsSync, mkdirSync, renameSync } from 'node:fs';
import type { SqliteDriver, SqliteFile, SqliteValue } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import { FlowInserts, ROWS_AT_ONCE } from './flow-inserts.js';
import { dropUnfinished, makeSegment } from './make-segment.js';
import { untoldSegments } from './manifest.js';
import { COLUMN, type GapReason } from './record-columns.js';
import type { PartGap, RecordPart } from './record-parts.js';
import { type SegmentFile, segmentFiles } from './segment-files.js';
import { HistoryError, readMeta, type SegmentMeta, writeMeta } from './segment-meta.js';

/** How a copy is kept. */
export interface CopyOptions {
  /** Made if it is missing. */
  readonly directory: string;
  /** Whose record it is. */
  readonly host: string;
  readonly version: string;
  /** A segment ends with so many records, or when a day is over (UTC). */
  readonly segmentRows: number;
  /** Microseconds since the epoch. */
  readonly now: () => number;
}

/** What a segment of a copy says besides. */
export interface CopyMeta extends SegmentMeta {
  /** When the segment was begun. Microseconds since the epoch, by the clock of this machine. */
  readonly cut: number;
  /** Number of the last record that was taken or is known to be lacking, and of the last gap. */
  readonly applied: number;
  readonly appliedGap: number;
  /** Flows that lived at `alive` began at this time or later. */
  readonly openFrom?: number | undefined;
  /** Milliseconds by which the clock of the host was ahead, and how far off that may be. */
  readonly offset?: number | undefined;
  readonly offsetError?: number | undefined;
}

/** What became of a part. */
export interface Taken {
  /** Records that were written. */
  readonly rows: number;
  /** Records that were there already. */
  readonly known: number;
  /** Records that are lacking before it, of which nobody said so. */
  readonly missing: number;
  /** A segment that has ended, to be sealed. */
  readonly closed?: SegmentFile | undefined;
}

const DAY = 86_400_000_000;
const WAL_PAGES = 1000;
/** Of the cache of one file, in KiB. */
const CACHE = 256;

/** What a copy knows, as the table `meta` has it. */
type State = Pick<CopyMeta, 'alive' | 'applied' | 'appliedGap' | 'rows' | 'minStart' | 'maxEnd' | 'disorder' | 'openFrom'>;

export class RecordCopy {
  readonly #driver: SqliteDriver;
  readonly #options: CopyOptions;
  #file: SqliteFile | undefined;
  #segment: SegmentFile | undefined;
  #meta: CopyMeta | undefined;
  #inserts!: FlowInserts;
  /** Why what comes next does not follow. */
  #hole: GapReason = 'missing';

  /** Opens a copy, or what will be one with its first part. A damaged segment goes out of the way. @throws errors of the driver */
  constructor(driver: SqliteDriver, options: CopyOptions) {
    this.#driver = driver;
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o750 });
    dropUnfinished(options.directory);
    const last = segmentFiles(options.directory).at(-1);
    if (!last) return;
    try {
      this.#use(last);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#setAside(last);
    }
  }

  /** `undefined` before the first part. */
  get meta(): CopyMeta | undefined {
    return this.#meta;
  }

  /** Takes a part in one transaction. @throws errors of the driver; then nothing is written, and the part can be given again */
  take(part: RecordPart): Taken {
    try {
      return this.#take(part);
    } catch (error) {
      if (!isDamage(error) || !this.#segment) throw error;
      this.#setAside(this.#segment);
      return this.#take(part);
    }
  }

  /** Ends the segment now, if it has a record. @returns it, to be sealed */
  cut(): SegmentFile | undefined {
    if (this.#segment && !this.#file) this.#use(this.#segment);
    return (this.#meta?.rows ?? 0) > 0 ? this.#rotate(this.#options.now()) : undefined;
  }

  /** Records that lack before a part, for which there is no reason: as `take` would find. */
  missingBefore(part: RecordPart): number {
    const meta = this.#meta;
    if (!meta || this.#hole !== 'missing') return 0;
    return this.#holeBefore(part, newGaps(part, meta), meta)?.events ?? 0;
  }

  /** A part could not be read: what it had lacks. */
  noteDamage(): void {
    this.#hole = 'damaged';
  }

  /** Waits until the disk has everything. */
  sync(): void {
    this.#file?.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  /** Segments that have ended and are not sealed. */
  unsealed(): SegmentFile[] {
    return untoldSegments(this.#options.directory, this.#segment?.number ?? 0);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Closes it, and leaves the directory as readers without any rights find it best: without a log beside the file. */
  end(): void {
    this.#dropLog();
    this.close();
  }

  #take(part: RecordPart): Taken {
    const { now, segmentRows } = this.#options;
    const at = now();
    // It was closed for others, or by a failure.
    if (this.#segment && !this.#file) this.#use(this.#segment);
    if (!this.#meta) this.#begin(part, at);
    let closed: SegmentFile | undefined;
    const due = (this.#meta!.rows ?? 0) >= segmentRows || Math.floor(at / DAY) > Math.floor(this.#meta!.cut / DAY);
    if (due && (this.#meta!.rows ?? 0) > 0) closed = this.#rotate(at);
    const meta = this.#meta!;
    const { first, count } = part;
    const skip = Math.min(count, Math.max(0, meta.applied - first + 1));
    const gaps = newGaps(part, meta);
    const hole = this.#holeBefore(part, gaps, meta);
    const state: { -readonly [Name in keyof State]: State[Name] } = {
      alive: Math.max(meta.alive, part.alive),
      applied: Math.max(meta.applied, first + count - 1),
      appliedGap: gaps.reduce((most, { id }) => Math.max(most, id), meta.appliedGap),
      rows: (meta.rows ?? 0) + count - skip,
      minStart: meta.minStart,
      maxEnd: meta.maxEnd,
      disorder: meta.disorder,
      openFrom: part.alive >= meta.alive ? (part.openFrom ?? meta.openFrom) : meta.openFrom,
    };
    this.#transaction((file) => {
      for (const [number, name] of part.netns)
        file.prepare('INSERT OR REPLACE INTO netns (number, name) VALUES (?, ?)').run(number, name);
      const insert = file.prepare(
        'INSERT INTO gap (ns, "from", "to", first, last, reason, events, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      );
      for (const { ns, from, to, first, lost, reason, events, note } of hole ? [hole, ...gaps] : gaps)
        insert.run(ns, Math.min(from, to), to, lost ? lost[0] : first, lost ? lost[1] : null, reason, events, note);
      if (state.applied > meta.applied || state.appliedGap > meta.appliedGap)
        for (const { at, before, after, delta, class: kind } of part.clock)
          file.prepare('INSERT INTO clock VALUES (?, ?, ?, ?, ?)').run(at, before, after, delta, kind);
      this.#writeRows(part, skip, state);
      writeMeta(file, {
        ...state,
        openTo: state.alive,
        ...(part.offset ? { offset: Math.round(part.offset[0]), offsetError: Math.ceil(part.offset[1]) } : {}),
      } as Partial<CopyMeta>);
    });
    const [offset, offsetError] = part.offset ?? [meta.offset, meta.offsetError];
    this.#meta = { ...meta, ...state, openTo: state.alive, offset, offsetError };
    this.#hole = 'missing';
    return { rows: count - skip, known: skip, missing: hole?.events ?? 0, closed };
  }

  /** Records before a part that never came, without those of which it says so itself. */
  #holeBefore({ first, since }: RecordPart, gaps: readonly PartGap[], { applied, alive }: CopyMeta): PartGap | undefined {
    let [from, to] = [applied + 1, first - 1];
    for (const { lost } of gaps) {
      if (!lost) continue;
      if (lost[0] <= from) from = Math.max(from, lost[1] + 1);
      if (lost[1] >= to) to = Math.min(to, lost[0] - 1);
    }
    if (from > to) return undefined;
    return {
      id: 0,
      ns: null,
      from: alive,
      to: Math.max(alive, since),
      first: from,
      lost: [from, to],
      reason: this.#hole,
      events: to - from + 1,
      note: null,
    };
  }

  #writeRows({ columns, first, count }: RecordPart, skip: number, state: { -readonly [Name in keyof State]: State[Name] }): void {
    const used = columns.reduce((bits, values, place) => (values ? bits | (1 << place) : bits), 0);
    const inserts = this.#inserts.of(used);
    const given = inserts.columns.map((place) => columns[place]!);
    const width = given.length + 1;
    const values = new Array<SqliteValue>(ROWS_AT_ONCE * width).fill(null);
    const { [COLUMN.start]: starts, [COLUMN.dur]: durs, [COLUMN.sslack]: slacks } = columns;
    let pending = 0;
    for (let n = skip; n < count; n++) {
      const at = pending * width;
      values[at] = first + n;
      for (let i = 0; i < given.length; i++) values[at + 1 + i] = given[i]![n] ?? null;
      const start = starts?.[n];
      const dur = durs?.[n];
      if (typeof start === 'number' && typeof dur === 'number') {
        const slack = slacks?.[n];
        const earliest = start - (typeof slack === 'number' ? slack : 0);
        if (state.minStart === undefined || earliest < state.minStart) state.minStart = earliest;
        const end = start + dur;
        if (state.maxEnd === undefined || end > state.maxEnd) state.maxEnd = end;
        else state.disorder = Math.max(state.disorder ?? 0, state.maxEnd - end);
      }
      if (++pending < ROWS_AT_ONCE) continue;
      inserts.many().runMany(values);
      pending = 0;
    }
    for (let n = 0; n < pending; n++) inserts.one().runMany(values.slice(n * width, (n + 1) * width));
  }

  /** The first segment: what is before the first part is not in it. */
  #begin(part: RecordPart, now: number): void {
    const { directory } = this.#options;
    const number = this.#nextNumber();
    const meta = this.#newMeta(part, { number, firstSeq: part.first, opened: part.since, alive: part.since, cut: now });
    this.#use(makeSegment(this.#driver, directory, { now, meta }));
  }

  /** Numbers of segments that were set aside are not used again: that is how it shows that one is lacking. */
  #nextNumber(): number {
    return (this.#aside ?? segmentFiles(this.#options.directory).at(-1)?.number ?? 0) + 1;
  }

  #aside: number | undefined;

  #newMeta(
    { recorder, noDestination, filter }: Pick<RecordPart, 'recorder' | 'noDestination' | 'filter'>,
    { number, firstSeq, opened, alive, cut }: Pick<CopyMeta, 'number' | 'firstSeq' | 'opened' | 'alive' | 'cut'>,
  ): CopyMeta {
    return {
      recorder,
      number,
      host: this.#options.host,
      boot: '',
      version: this.#options.version,
      kernel: '',
      firstSeq,
      opened,
      alive,
      cut,
      openTo: alive,
      disorder: 0,
      noDestination: noDestination ? 1 : undefined,
      filter,
      rows: 0,
      applied: firstSeq - 1,
      appliedGap: 0,
    };
  }

  /** Ends the segment, then begins the next: killed in between, it is begun when the copy is opened. */
  #rotate(now: number): SegmentFile {
    const ended = this.#segment!;
    const { applied } = this.#meta!;
    this.#transaction((file) => writeMeta(file, { closed: now, lastSeq: applied }));
    this.#dropLog();
    this.close();
    this.#use(ended);
    return ended;
  }

  #dropLog(): void {
    try {
      this.#file?.exec('PRAGMA journal_mode = DELETE');
    } catch (error) {
      if (!isSqliteError(error, 'SQLITE_BUSY')) throw error; // a reader is there: whoever seals it waits
    }
  }

  #use(segment: SegmentFile): void {
    const file = this.#driver.open(segment.path);
    try {
      const meta = readMeta(file, segment.name) as CopyMeta;
      if (typeof meta.applied !== 'number')
        throw new HistoryError('NOT_A_HISTORY', `${segment.name} is no copy of a record: a recorder wrote it`);
      if (meta.closed !== undefined) {
        file.close();
        this.#use(this.#after(segment, meta));
        return;
      }
      file.exec('PRAGMA journal_mode = WAL');
      // What a crash of the machine takes is read again from the servers.
      file.exec('PRAGMA synchronous = NORMAL');
      file.exec(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`);
      file.exec(`PRAGMA cache_size = -${CACHE}`);
      this.#inserts = new FlowInserts(file);
      this.#file = file;
      this.#segment = segment;
      this.#meta = meta;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The segment behind one that has ended. */
  #after({ number }: SegmentFile, meta: CopyMeta): SegmentFile {
    const { applied, appliedGap, openFrom, offset, offsetError, alive, maxEnd = alive } = meta;
    const now = this.#options.now();
    const fresh = this.#newMeta(
      { recorder: meta.recorder, noDestination: meta.noDestination === 1, filter: meta.filter },
      { number: number + 1, firstSeq: applied + 1, opened: Math.max(alive, maxEnd), alive, cut: now },
    );
    return makeSegment(this.#driver, this.#options.directory, {
      now,
      meta: { ...fresh, appliedGap, openFrom, offset, offsetError } as CopyMeta,
    });
  }

  /** A damaged segment goes out of the way, as far as it goes; the next one begins with the next part, and the hole shows. */
  #setAside(segment: SegmentFile): void {
    this.close();
    for (const suffix of ['', '-wal', '-shm'])
      if (existsSync(segment.path + suffix)) renameSync(segment.path + suffix, `${segment.path}.damaged${suffix}`);
    this.#aside = segment.number;
    this.#segment = undefined;
    this.#meta = undefined;
  }

  #transaction(work: (file: SqliteFile) => void): void {
    const file = this.#file!;
    file.exec('BEGIN IMMEDIATE');
    try {
      work(file);
      file.exec('COMMIT');
    } catch (error) {
      try {
        file.exec('ROLLBACK');
      } catch {
        // SQLite has rolled it back already.
      }
      throw error;
    }
  }
}

/** Gaps that a copy does not know yet. */
function newGaps({ gaps }: RecordPart, { applied, appliedGap }: CopyMeta): readonly PartGap[] {
  return gaps.filter(({ id, lost }) => (lost ? lost[1] > applied : id > appliedGap));
}

function isDamage(error: unknown): boolean {
  return (
    (error instanceof HistoryError && error.code === 'DAMAGED') ||
    isSqliteError(error, 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_IOERR')
  );
}
