// RecordWriter: goes on with the record of a directory, or begins one; writes deliveries into its last segment, and begins a new one when it
// is time. It blocks on the disk: a thread of its own runs it.

import { randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { hostname, release } from 'node:os';
import type { Delivery, NamespaceRow, SessionRow } from './delivery.js';
import type { SqliteDriver, SqliteRow } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import { HotSegment } from './hot-segment.js';
import { machineHash } from './machine-id.js';
import { dropUnfinished, makeSegment } from './make-segment.js';
import { untoldSegments } from './manifest.js';
import type { GapReason } from './record-columns.js';
import { undoSealing } from './seal-segment.js';
import { beginningOf, type SegmentFile, segmentFiles } from './segment-files.js';
import { HistoryError, readMeta, type SegmentMeta } from './segment-meta.js';

/** How a record is written. */
export interface RecordWriterOptions {
  readonly directory: string;
  /** `none`: the disk may lose the last seconds when power fails. */
  readonly sync: 'full' | 'none';
  /** A segment ends with so many records, or when so many microseconds have passed: at midnight (UTC) for a day. */
  readonly segmentRows: number;
  readonly segmentAge: number;
  readonly session: SessionRow;
  /** Bytes of a write-ahead log with which a segment ends. Default 256 MiB. */
  readonly mostLog?: number | undefined;
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
}

const DAY = 86_400_000_000;
/** Bytes: a reader that does not let go keeps the write-ahead log growing, which goes on with a new segment then. */
const MOST_LOG = 256 * 1024 * 1024;

export class RecordWriter {
  readonly #driver: SqliteDriver;
  readonly #options: RecordWriterOptions;
  #hot!: HotSegment;
  /** Up to when the run before this one knew everything. */
  #resumedAt = 0;

  private constructor(driver: SqliteDriver, options: RecordWriterOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  /** @throws HistoryError, errors of the driver */
  static open(
    driver: SqliteDriver,
    options: RecordWriterOptions,
  ): { readonly writer: RecordWriter; readonly resumption: Resumption } {
    const writer = new RecordWriter(driver, options);
    const resumption = writer.#resume();
    return { writer, resumption };
  }

  get segment(): SegmentFile {
    return this.#hot.file;
  }

  get sequence(): number {
    return this.#hot.sequence;
  }

  /** Segments that have ended, and are not told as sealed. */
  unsealed(): SegmentFile[] {
    return untoldSegments(this.#options.directory, this.segment.number);
  }

  /** Writes a delivery in one transaction. @throws errors of the driver; then nothing is written */
  write(delivery: Delivery): Written {
    const rows = this.#hot.write(delivery, this.#resumedAt);
    return { rows, sequence: this.#hot.sequence };
  }

  /** Begins a new segment if it is time. @returns the one that has ended, to be sealed @throws as `rotate` */
  turn(now: number): SegmentFile | undefined {
    return this.#isDue(now) ? this.rotate(now) : undefined;
  }

  /**
   * Ends the hot segment and begins another.
   * @returns the one that has ended; `undefined` if it has nothing to keep
   * @throws errors of the driver; then it goes on with the same segment
   */
  rotate(now: number): SegmentFile | undefined {
    return this.#hot.rows === 0 ? undefined : this.#next(now);
  }

  close(): void {
    this.#hot.close();
  }

  #isDue(now: number): boolean {
    const { segmentRows, segmentAge, mostLog = MOST_LOG } = this.#options;
    if (this.#hot.rows >= segmentRows || this.#hot.logSize > mostLog) return true;
    const { opened } = this.#hot.meta;
    const period = (at: number) => Math.floor(at / segmentAge);
    return segmentAge === DAY ? period(now) > period(opened) : now - opened >= segmentAge;
  }

  /** The new segment is open before the old one ends: with a full disk, nothing has happened. */
  #next(now: number): SegmentFile {
    const ended = this.#hot;
    const file = this.#create(now, ended.file.number + 1, ended.meta.recorder, ended);
    let next: HotSegment | undefined;
    try {
      next = this.#use(file);
      ended.end(now);
    } catch (error) {
      next?.close();
      removeSegment(file);
      throw error;
    }
    this.#hot = next;
    ended.close();
    return ended.file;
  }

  #use(file: SegmentFile): HotSegment {
    return new HotSegment(this.#driver, file, this.#options.sync);
  }

  #resume(): Resumption {
    const { directory, session } = this.#options;
    dropUnfinished(directory);
    const files = segmentFiles(directory);
    for (const { path } of files) undoSealing(this.#driver, path);
    let last = files.at(-1);
    if (last && this.#isEmptyBeside(last, files.at(-2))) {
      removeSegment(last);
      last = files.at(-2);
    }
    const now = session.from;
    const before = last ? this.#readable(last) : undefined;
    if (before?.imported !== undefined)
      throw new HistoryError('NOT_A_HISTORY', `${directory} has imported flows: a recorder needs a directory of its own`, {
        hint: '--dir OTHER; whohad and history ask both with --dir twice',
      });
    if (!last || !before || before.closed !== undefined) {
      this.#hot = this.#use(this.#create(now, (last?.number ?? 0) + 1, before?.recorder ?? randomUUID(), undefined, before));
      this.#hot.beginSession(session);
      const from = before?.alive ?? (last ? beginningOf(last) : undefined);
      return {
        open: [],
        lastKey: 0,
        recorder: this.#hot.meta.recorder,
        namespaces: [],
        ...(from === undefined ? {} : { gap: { from, reason: before ? 'stopped' : 'crash' } }),
      };
    }
    this.#hot = this.#use(last);
    const [previous] = this.#hot.all('SELECT * FROM session ORDER BY id DESC LIMIT 1');
    const sameBoot = previous?.['boot'] === session.boot;
    const stopped = typeof previous?.['to'] === 'number';
    const { alive, openTo, opened, recorder, filter, noDestination } = this.#hot.meta;
    this.#resumedAt = alive;
    const open = this.#hot.all('SELECT * FROM open');
    if (!sameBoot) this.#hot.endAll(open, alive, now);
    // A segment says what all its records are about.
    if (filter !== session.filter || (noDestination === 1) !== session.noDestination) this.#next(now);
    this.#hot.beginSession(session);
    const reason = stopped ? 'stopped' : sameBoot ? 'crash' : 'reboot';
    return {
      open: sameBoot ? open : [],
      lastKey: open.reduce((most, row) => Math.max(most, row['key'] as number), 0),
      recorder,
      // What began after the last checkpoint, and has ended meanwhile, is in neither table.
      gap: { from: Math.min(alive, openTo ?? opened), reason },
      namespaces: this.#hot.all('SELECT * FROM netns') as unknown as NamespaceRow[],
    };
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
  #create(now: number, number: number, recorder: string, from: HotSegment | undefined, before?: SegmentMeta): SegmentFile {
    const { directory, session } = this.#options;
    const firstSeq = from ? from.sequence + 1 : before ? (before.lastSeq ?? before.firstSeq + (before.rows ?? 0) - 1) + 1 : 1;
    return makeSegment(this.#driver, directory, {
      now,
      from: from?.file,
      meta: {
        recorder,
        number,
        host: hostname(),
        machine: machineHash(),
        boot: session.boot,
        version: session.version,
        kernel: release(),
        firstSeq,
        opened: now,
        alive: from?.meta.alive ?? now,
        openTo: from?.meta.openTo,
        seenTo: from?.meta.seenTo,
        disorder: 0,
        noDestination: session.noDestination ? 1 : undefined,
        filter: session.filter,
      },
    });
  }
}

/** Without its log first: another segment of that name must not find it. */
function removeSegment({ path }: SegmentFile): void {
  for (const suffix of ['-wal', '-shm', '-journal', '']) rmSync(path + suffix, { force: true });
}
