// RecordTail: a record in parts, in its order, for who keeps a copy. Each call reads what is behind a position, in one transaction that
// ends with the call: no reader keeps a recorder from its files.

import { type ColumnTexts, readColumnTexts } from './column-texts.js';
import { loadDriver } from './driver/load-driver.js';
import type { SqliteDriver, SqliteFile, SqliteRow } from './driver/sqlite.js';
import { reading } from './record-directory.js';
import type { PartClock, PartGap, PartHead } from './record-parts.js';
import { numberIn } from './row-messages.js';
import { type SegmentFile, segmentsIn } from './segment-files.js';
import { readMeta, type SegmentMeta } from './segment-meta.js';

/** How far a record was read. Times are microseconds since the epoch. */
export interface TailPosition {
  /** Number of the segment. */
  readonly segment: number;
  /** Number of the last record; 0: nothing was read yet. */
  readonly sequence: number;
  /** Number of the last gap. */
  readonly gap: number;
  /** The last entry of the table `clock` in that segment. */
  readonly clock: number;
  /** What ended before was read. */
  readonly alive: number;
  /** When the last record ended: it tells this record from one that was put back and went on otherwise. */
  readonly mark: number;
}

export const BEGINNING: TailPosition = { segment: 0, sequence: 0, gap: 0, clock: 0, alive: 0, mark: 0 };

/** What is behind a position. */
export interface TailPart {
  readonly head: Omit<PartHead, 'offset'>;
  readonly records: ColumnTexts;
  /** Behind it. */
  readonly position: TailPosition;
  /** More is there already. */
  readonly more: boolean;
  /** Records behind it, in this segment. */
  readonly behind: number;
}

/** Gaps are numbered by segment, and in it. */
const GAPS_OF_SEGMENT = 1_000_000;
/** Asides of one part. */
const MOST_ASIDES = 500;
/** By so much may ends be out of order where a segment does not say. Microseconds. */
const DISORDER = 120_000_000;
/** Flows younger than this may not be in `open` where a segment does not say. Microseconds. */
const CHECKPOINTS = 20_000_000;

export class RecordTail {
  readonly #directory: string;
  readonly #driver: SqliteDriver;

  /** @throws PlatformError when there is no package with SQLite */
  constructor(directory: string, driver: SqliteDriver = loadDriver()) {
    this.#directory = directory;
    this.#driver = driver;
  }

  /**
   * What is behind a position, at most so many records. There is always an answer: it may have no records.
   * @throws HistoryError if there is no record, or what comes next cannot be read
   */
  read(after: TailPosition, most: number): TailPart {
    const files = segmentsIn(this.#directory);
    // What was read to its end may have been deleted.
    let place = files.findIndex(({ number }) => number >= after.segment);
    if (place < 0) place = files.length - 1;
    for (; ; place++) {
      const file = files[place]!;
      const isLast = place === files.length - 1;
      const part = this.#with(file, (open) => this.#part(file, open, after, { most, isLast }));
      if (part) return part;
      after = { ...after, segment: files[place + 1]!.number, clock: 0 };
    }
  }

  /** The last record that ended at a time or before, as a position: what came later is behind it. */
  positionAt(alive: number): TailPosition {
    let position: TailPosition = { ...BEGINNING, alive };
    for (const file of segmentsIn(this.#directory))
      this.#with(file, (open) => {
        const [row] = open.prepare('SELECT max(seq) AS seq FROM flow WHERE start + dur <= ?').all(alive);
        const sequence = numberIn(row?.['seq']);
        if (sequence !== undefined && sequence > position.sequence)
          position = { ...position, sequence, segment: file.number, mark: markOf(open, sequence) ?? 0 };
      });
    return position;
  }

  /** Whether a record was here, as far as that can be known: one that was deleted was. */
  had(sequence: number, mark: number): boolean {
    if (sequence === 0) return true;
    const files = segmentsIn(this.#directory);
    for (const file of files.toReversed()) {
      const found = this.#with(file, (open) => {
        const { firstSeq } = readMeta(open, file.name);
        if (firstSeq > sequence) return undefined;
        const there = markOf(open, sequence);
        // Taken out of it, or never there.
        if (there === undefined)
          return sequence <= (numberIn(open.prepare('SELECT max(seq) AS seq FROM flow').all()[0]?.['seq']) ?? 0);
        return there === mark;
      });
      if (found !== undefined) return found;
    }
    return true;
  }

  /** UUID of the recorder. */
  recorder(): string {
    const file = segmentsIn(this.#directory).at(-1)!;
    return this.#with(file, (open) => readMeta(open, file.name).recorder);
  }

  #with<T>(file: SegmentFile, read: (open: SqliteFile) => T): T {
    return reading(file, () => {
      const open = this.#driver.open(file.path, { readOnly: true });
      try {
        open.exec('BEGIN');
        const found = read(open);
        open.exec('COMMIT');
        return found;
      } finally {
        open.close();
      }
    });
  }

  /** `undefined`: nothing more comes in this segment. */
  #part(
    file: SegmentFile,
    open: SqliteFile,
    after: TailPosition,
    { most, isLast }: { readonly most: number; readonly isLast: boolean },
  ): TailPart | undefined {
    const meta = readMeta(open, file.name);
    const records = readColumnTexts(open, after.sequence, most);
    const { count, whole } = records;
    const first = count > 0 ? records.first : nextOf(after, meta);
    const last = count > 0 ? first + count - 1 : undefined;
    /** When the last one ended. */
    const end = last === undefined ? undefined : markOf(open, last);
    const gaps = gapsOf(open, file, {
      after: after.gap,
      last: whole ? Number.MAX_SAFE_INTEGER : (last ?? after.sequence) + 1,
      first,
    });
    const clock = open
      .prepare(
        `SELECT rowid AS id, at, before, after, delta, class FROM clock WHERE rowid > ? ORDER BY rowid LIMIT ${MOST_ASIDES}`,
      )
      .all(after.clock);
    const closed = meta.closed !== undefined && !isLast;
    if (closed && count === 0 && gaps.length === 0 && clock.length === 0 && first === after.sequence + 1) return undefined;
    const begins = after.sequence === 0 && after.alive === 0;
    const since = begins ? (file.number === 1 ? (meta.ready ?? meta.opened) : meta.opened) : after.alive;
    const lost = !begins && first > after.sequence + 1 ? [lostGap(after, { first, file, meta, since })] : [];
    const alive = Math.max(since, whole ? aliveOf(meta) : Math.min(aliveOf(meta), earliestBehind(end, meta)));
    const position: TailPosition = {
      segment: file.number,
      sequence: last ?? first - 1,
      gap: gaps.at(-1)?.id ?? after.gap,
      clock: (clock.at(-1)?.['id'] as number | undefined) ?? after.clock,
      alive,
      mark: end ?? after.mark,
    };
    const behind = whole
      ? 0
      : (numberIn(open.prepare('SELECT max(seq) AS seq FROM flow').all()[0]?.['seq']) ?? 0) - position.sequence;
    return {
      head: {
        recorder: meta.recorder,
        first,
        since,
        alive,
        ...(whole && meta.closed === undefined ? { openFrom: openFrom(open, meta) } : {}),
        ...(meta.noDestination ? { noDestination: true } : {}),
        ...(meta.filter === undefined ? {} : { filter: meta.filter }),
        netns: open
          .prepare(`SELECT number, name FROM netns ORDER BY number DESC LIMIT ${MOST_ASIDES}`)
          .all()
          .map(({ number, name }) => [Number(number), String(name)] as const),
        gaps: [...lost, ...gaps],
        clock: clock.map(toClock),
      },
      records,
      position,
      more: !whole || closed || gaps.length === MOST_ASIDES || clock.length === MOST_ASIDES,
      behind,
    };
  }
}

/** The number of the next record, where there is none yet. */
function nextOf(after: TailPosition, meta: SegmentMeta): number {
  return Math.max(after.sequence + 1, meta.firstSeq, meta.closed === undefined ? 0 : (meta.lastSeq ?? 0) + 1);
}

/** Everything up to then is in the segment. */
function aliveOf({ alive, opened }: SegmentMeta): number {
  return alive ?? opened;
}

/** No record behind this one ended before. */
function earliestBehind(end: number | undefined, { disorder = DISORDER }: SegmentMeta): number {
  return end === undefined ? 0 : end - disorder;
}

/** When a record ended; `undefined`: it is not there. */
function markOf(open: SqliteFile, sequence: number): number | undefined {
  const [row] = open.prepare('SELECT start, dur FROM flow WHERE seq = ?').all(sequence);
  return row && (numberIn(row['start']) ?? 0) + (numberIn(row['dur']) ?? 0);
}

/** When the first of the flows that live began. */
function openFrom(open: SqliteFile, meta: SegmentMeta): number {
  const [row] = open.prepare('SELECT min(start - coalesce(sslack, 0)) AS start FROM open').all();
  return Math.max(0, Math.min(numberIn(row?.['start']) ?? Number.MAX_SAFE_INTEGER, meta.openTo ?? aliveOf(meta) - CHECKPOINTS));
}

/** Records that were deleted before they were read, with their segment, or that were taken out of it. */
function lostGap(
  { sequence, alive, segment }: TailPosition,
  {
    first,
    file,
    meta,
    since,
  }: { readonly first: number; readonly file: SegmentFile; readonly meta: SegmentMeta; readonly since: number },
): PartGap {
  const deleted = file.number > segment && first === meta.firstSeq;
  return {
    id: 0,
    ns: null,
    from: alive,
    to: deleted ? Math.max(alive, meta.opened) : Math.max(since, aliveOf(meta)),
    first,
    lost: [sequence + 1, first - 1],
    reason: deleted ? 'unshipped' : 'forgotten',
    events: first - 1 - sequence,
    note: null,
  };
}

function gapsOf(
  open: SqliteFile,
  { number }: SegmentFile,
  { after, last, first }: { readonly after: number; readonly last: number; readonly first: number },
): PartGap[] {
  const base = number * GAPS_OF_SEGMENT;
  const rows = open.prepare(`SELECT * FROM gap WHERE id > ? ORDER BY id LIMIT ${MOST_ASIDES}`).all(Math.max(0, after - base));
  // Those behind the records of this part come with the next one, in their order.
  const end = rows.findIndex((row) => (numberIn(row['first']) ?? 0) > last);
  return rows.slice(0, end < 0 ? undefined : end).map((row) => ({
    id: base + Number(row['id']),
    ns: numberIn(row['ns']) ?? null,
    from: Math.max(0, numberIn(row['from']) ?? 0),
    to: Math.max(0, numberIn(row['to']) ?? Number.MAX_SAFE_INTEGER),
    first: Math.max(1, numberIn(row['first']) ?? first),
    reason: String(row['reason']).slice(0, MOST_TEXT),
    events: numberIn(row['events']) ?? null,
    note: typeof row['note'] === 'string' ? row['note'].slice(0, MOST_TEXT) : null,
  }));
}

const MOST_TEXT = 500;

function toClock({ at, before, after, delta, class: kind }: SqliteRow): PartClock {
  return {
    at: Math.max(0, numberIn(at) ?? 0),
    before: numberIn(before) ?? null,
    after: numberIn(after) ?? null,
    delta: numberIn(delta) ?? null,
    class: typeof kind === 'string' ? kind.slice(0, MOST_TEXT) : null,
  };
}
