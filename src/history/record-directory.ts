// RecordDirectory: what a directory has at a moment, for reading: its segments, what they say of themselves, gaps, and what cannot be
// read. A recorder may write to it at the same time, and delete the oldest segments.

import { accessSync, constants, lstatSync } from 'node:fs';
import { loadDriver } from './driver/load-driver.js';
import type { SqliteFile, SqliteRow } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import { formatMoment } from './moments.js';
import { damaged, OpenSegments } from './open-segments.js';
import { GAP_REASONS, type GapReason } from './record-columns.js';
import { type RecordRange, unite, without } from './record-ranges.js';
import { numberIn } from './row-messages.js';
import { type SegmentFile, segmentsIn } from './segment-files.js';
import { type HistoryCode, HistoryError, readMeta, type SegmentMeta } from './segment-meta.js';

/** A segment that can be read. */
export interface ReadableSegment {
  readonly file: SegmentFile;
  readonly meta: SegmentMeta;
  /** Of its indexes. */
  readonly indexes: ReadonlySet<string>;
  /** Names of network namespaces by number. */
  readonly namespaces: ReadonlyMap<number, string>;
  readonly gaps: readonly RecordGap[];
  readonly clock: readonly ClockState[];
  /** The last run of the recorder ended by itself: nothing was left to be written. */
  readonly ended: boolean;
  /** Whether flows have the kernel's identifier. */
  readonly ids: boolean;
  /** Its tables. */
  readonly tables: ReadonlySet<string>;
  /** Whether some of the last flows have a zone. */
  readonly zones: boolean;
}

/** A segment that cannot be read. */
export interface UnreadableSegment {
  readonly file: SegmentFile;
  readonly code: HistoryCode;
  readonly reason: string;
}

/** A span in which the record may lack flows. */
export interface RecordGap {
  /** Microseconds since the epoch; `to` may be Infinity. */
  readonly from: number;
  readonly to: number;
  readonly reason: GapReason;
  /** Whether flows may be missing: not while the machine slept. */
  readonly incomplete: boolean;
  /** Events that the kernel dropped, or records that could not be kept, if that is known. */
  readonly events?: number | undefined;
  /** Of one network namespace; absent: of all. */
  readonly netns?: string | undefined;
  /** What ended then lacks, also if it had lived long before: a file with records is lost. */
  readonly alsoBefore?: true;
  readonly note?: string | undefined;
  /** Of a copy: numbers of the records that it lacks, the first and the last. */
  readonly lost?: readonly [first: number, last: number] | undefined;
}

/** A gap as JSON has it. */
export function gapJson({ from, to, ...gap }: RecordGap) {
  return { from: formatMoment(from), ...(to === Number.POSITIVE_INFINITY ? {} : { to: formatMoment(to) }), ...gap };
}

/** What is known of the clock from a moment on. */
export interface ClockState {
  /** Microseconds since the epoch. */
  readonly at: number;
  /** It was set then, by so many microseconds: forward, if positive. */
  readonly delta?: number | undefined;
  /** How well it was kept, as the system says, such as `< 10 ms` or `unsynchronised`. */
  readonly quality?: string | undefined;
}

/** What a directory has, at a moment. */
export interface DirectoryState {
  readonly path: string;
  readonly segments: readonly ReadableSegment[];
  readonly unreadable: readonly UnreadableSegment[];
  /** All gaps, with those for segments that are missing or cannot be read, in their order. */
  readonly gaps: readonly RecordGap[];
  readonly clock: readonly ClockState[];
  /** What may be answered: from the first moment of the record to the last. */
  readonly from: number;
  readonly to: number;
  /** The segment that is being written, or was written last, if it can be read. */
  readonly last: ReadableSegment | undefined;
  /** Identifies the recorder. */
  readonly recorder: string;
  /** All of it comes from elsewhere: what the origin lacked is not known. */
  readonly imported: boolean;
}

/** How often a list is made anew when files vanish meanwhile. */
const TRIES = 5;
/**
 * Flows are in the table of open ones when they are older than a checkpoint. Where a segment does not say up to when that is so, what began
 * in the last two of them may lack. Microseconds.
 */
const CHECKPOINTS = 20_000_000;

export class RecordDirectory implements Disposable {
  readonly path: string;
  readonly #open: OpenSegments;
  /** What sealed segments say of themselves, which changes only when the file is written anew. */
  readonly #known = new Map<string, { readonly segment: ReadableSegment; readonly inode: number | undefined }>();

  /** @throws PlatformError when there is no package with SQLite */
  constructor(path: string, driver = loadDriver()) {
    this.path = path;
    this.#open = new OpenSegments(driver);
  }

  /**
   * What is there.
   * @param completeTo up to when everything is written, as the recorder says
   * @throws HistoryError if there is none, or none of it can be read; the system's error if the directory cannot be read
   */
  state(completeTo?: number): DirectoryState {
    for (let tries = 1; ; tries++) {
      const files = segmentsIn(this.path);
      const found = files.map((file) => this.#segment(file, tries === TRIES));
      // What vanished was deleted, and what was closed has a successor: both only if the list is old.
      const last = found.at(-1);
      const gone = found.includes(undefined);
      const stale = gone || (tries === 1 && last && 'meta' in last && last.meta.closed !== undefined);
      if (!stale || tries === TRIES)
        return toState(
          this.path,
          found.filter((each) => each !== undefined),
          completeTo,
        );
    }
  }

  /** Opens a segment. @throws HistoryError; the system's or SQLite's error if it has gone */
  open({ file, meta }: ReadableSegment): SqliteFile {
    return this.#open.open(file, { keep: meta.sealed !== undefined });
  }

  /** As `open`; `undefined` if it was deleted. */
  openIfThere(segment: ReadableSegment): SqliteFile | undefined {
    try {
      return this.open(segment);
    } catch (error) {
      if (isGone(segment.file)) return undefined;
      throw error;
    }
  }

  /** Lets go of files. It can be read again. */
  [Symbol.dispose](): void {
    this.#open[Symbol.dispose]();
  }

  /** `undefined`: it has vanished. */
  #segment(file: SegmentFile, lastTry: boolean): ReadableSegment | UnreadableSegment | undefined {
    const known = this.#known.get(file.name);
    const inode = lstatSync(file.path, { throwIfNoEntry: false })?.ino;
    if (known && (inode === undefined || known.inode === inode)) return known.segment;
    let open: SqliteFile | undefined;
    try {
      open = this.#open.open(file);
      const segment = describe(file, open);
      if (segment.meta.sealed !== undefined) this.#known.set(file.name, { segment, inode });
      return segment;
    } catch (error) {
      if (error instanceof HistoryError) return { file, code: error.code, reason: error.message };
      if (isGone(file)) return undefined;
      if (!isSqliteError(error, 'SQLITE_CANTOPEN', 'SQLITE_BUSY') && !isDatabaseError(error)) throw error;
      const reason = isDenied(file)
        ? 'permission denied'
        : isInterrupted(file)
          ? 'its sealing was interrupted; conntrack record mends it'
          : (error as Error).message;
      return lastTry ? { file, code: 'LOCKED', reason: `${file.name}: ${reason}` } : undefined;
    } finally {
      open?.close();
    }
  }
}

/** Runs what reads a segment. @throws HistoryError if it is damaged */
export function reading<T>(file: SegmentFile, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isSqliteError(error, 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_IOERR') || isOutOfRange(error))
      throw damaged(file, error);
    throw error;
  }
}

function isOutOfRange(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_OUT_OF_RANGE';
}

function isDatabaseError(error: unknown): boolean {
  return /sqlite/i.test(`${(error as NodeJS.ErrnoException).code} ${(error as Error).name}`);
}

function isDenied({ path }: SegmentFile): boolean {
  try {
    accessSync(path, constants.R_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

function isInterrupted({ path }: SegmentFile): boolean {
  return lstatSync(`${path}-journal`, { throwIfNoEntry: false }) !== undefined;
}

function isGone({ path }: SegmentFile): boolean {
  try {
    lstatSync(path);
    return false;
  } catch {
    return true;
  }
}

/** Rows that tell what a segment has. */
const SAMPLE = 1000;
const TABLES = ['flow', 'open', 'gap', 'clock', 'session', 'netns', 'meta'];

function describe(file: SegmentFile, open: SqliteFile): ReadableSegment {
  return reading(file, () => {
    const meta = readMeta(open, file.name);
    const objects = open.prepare(`SELECT name, type FROM ${open.schema}.sqlite_master`).all();
    const of = (type: string) => new Set(objects.filter((row) => row['type'] === type).map(({ name }) => String(name)));
    const tables = of('table');
    if (!TABLES.every((name) => tables.has(name)) || typeof meta.recorder !== 'string' || typeof meta.opened !== 'number')
      throw new HistoryError('DAMAGED', `${file.name} is damaged: it lacks what a segment has`);
    const namespaces = new Map(
      open
        .prepare('SELECT number, name FROM netns')
        .all()
        .map((row) => [Number(row['number']), String(row['name'])]),
    );
    const gaps = open
      .prepare('SELECT * FROM gap ORDER BY id LIMIT 100000')
      .all()
      .map((row) => toGap(row, namespaces));
    const first = open.prepare('SELECT ctid FROM flow ORDER BY seq LIMIT 1').all()[0];
    const zones =
      open.prepare(`SELECT 1 FROM (SELECT zone FROM flow ORDER BY seq DESC LIMIT ${SAMPLE}) WHERE zone IS NOT NULL LIMIT 1`).all()
        .length > 0;
    const clock = open.prepare('SELECT at, delta, class FROM clock ORDER BY at LIMIT 100000').all().map(toClock);
    const session = open.prepare('SELECT "to" FROM session ORDER BY id DESC LIMIT 1').all()[0];
    const ended = typeof session?.['to'] === 'number';
    const ids = typeof first?.['ctid'] === 'number';
    return { file, meta, indexes: of('index'), namespaces, gaps, clock, ended, ids, tables, zones };
  });
}

function toGap(row: SqliteRow, namespaces: ReadonlyMap<number, string>): RecordGap {
  const ns = numberIn(row['ns']);
  const reason = String(row['reason']);
  const [first, last] = [numberIn(row['first']), numberIn(row['last'])];
  return {
    from: numberIn(row['from']) ?? 0,
    to: numberIn(row['to']) ?? Number.POSITIVE_INFINITY,
    reason: reason as GapReason,
    // A reason that a newer version has is one.
    incomplete: Object.hasOwn(GAP_REASONS, reason) ? GAP_REASONS[reason as GapReason].incomplete : true,
    events: numberIn(row['events']),
    netns: ns === undefined ? undefined : (namespaces.get(ns) ?? String(ns)),
    note: typeof row['note'] === 'string' ? row['note'] : undefined,
    ...(first === undefined || last === undefined ? {} : { alsoBefore: true, lost: [first, last] as const }),
  };
}

function toClock({ at, delta, class: quality }: SqliteRow): ClockState {
  return {
    at: numberIn(at) ?? 0,
    delta: numberIn(delta),
    quality: typeof quality === 'string' ? quality : undefined,
  };
}

function toState(
  path: string,
  found: readonly (ReadableSegment | UnreadableSegment)[],
  completeTo: number | undefined,
): DirectoryState {
  const recorder = found.findLast((each) => 'meta' in each)?.meta.recorder;
  const segments: ReadableSegment[] = [];
  const unreadable: UnreadableSegment[] = [];
  for (const each of found)
    if (!('meta' in each)) unreadable.push(each);
    else if (each.meta.recorder === recorder) segments.push(each);
    else unreadable.push({ file: each.file, code: 'NOT_A_HISTORY', reason: `${each.file.name} is of another recorder` });
  if (segments.length === 0)
    throw new HistoryError(unreadable[0]!.code, unreadable[0]!.reason, { hint: 'none of the segments there can be read' });
  const last = segments.at(-1)!;
  const whole = found.at(-1) === last;
  const imported = segments.every(({ meta }) => meta.imported !== undefined);
  return {
    path,
    segments,
    unreadable,
    gaps: [...segments.flatMap(({ gaps }) => gaps), ...lacks(found, segments)].sort((a, b) => a.from - b.from),
    clock: segments.flatMap(({ clock }) => clock),
    from: imported ? Math.min(...segments.map(({ meta }) => meta.minStart ?? meta.opened)) : beginOf(segments[0]!),
    to: imported
      ? Math.max(...segments.map(({ meta }) => meta.maxEnd ?? meta.opened))
      : whole
        ? Math.max(endOf(last), completeTo ?? 0)
        : endOf(last),
    last: whole ? last : undefined,
    recorder: recorder!,
    imported,
  };
}

/** Numbers of the records that it has, as far as it knows: the last segment of a recorder may have more at any time. */
export function numbersOf({ segments, gaps }: Pick<DirectoryState, 'segments' | 'gaps'>): RecordRange[] {
  const lost = gaps.flatMap((gap) => (gap.lost ? [gap.lost] : []));
  return unite(
    segments.flatMap(({ meta: { firstSeq, lastSeq, applied } }) =>
      without([firstSeq, lastSeq ?? applied ?? Number.MAX_SAFE_INTEGER], lost),
    ),
  );
}

/** Spans whose segments are not there, or cannot be read. */
function lacks(
  found: readonly (ReadableSegment | UnreadableSegment)[],
  segments: readonly ReadableSegment[],
): readonly RecordGap[] {
  const lacking: RecordGap[] = [];
  const gap = (from: number, to: number, reason: 'missing' | 'damaged', note: string) =>
    lacking.push({ from, to, reason, incomplete: true, alsoBefore: true, note });
  let previous: ReadableSegment | undefined;
  for (const next of segments) {
    if (previous && next.file.number > previous.file.number + 1) {
      const between = found.find((each) => each.file.number > previous!.file.number && each.file.number < next.file.number);
      const reason = between && 'reason' in between ? between.reason : `segment ${previous.file.number + 1} is not there`;
      gap(previous.meta.closed ?? previous.meta.alive, next.meta.opened, between ? 'damaged' : 'missing', reason);
    }
    previous = next;
  }
  const behind = found.at(-1)!;
  if (behind !== previous && 'reason' in behind)
    gap(previous!.meta.closed ?? previous!.meta.alive, Infinity, 'damaged', behind.reason);
  return lacking;
}

/** When the record begins: what ended before is not in it. */
function beginOf({ file, meta }: ReadableSegment): number {
  return file.number === 1 ? (meta.ready ?? meta.opened) : meta.opened;
}

/** Up to when everything is there. */
function endOf({ meta, ended }: ReadableSegment): number {
  const alive = meta.alive ?? meta.opened;
  return ended || meta.closed !== undefined ? alive : Math.min(alive, meta.openTo ?? alive - CHECKPOINTS);
}
