// Finds rows in a directory: those of `flow` of every segment, and those of `open` in the last one. SQLite answers in slices of some
// milliseconds, so that the event loop stays free; no transaction outlasts a slice, so that no reader keeps a recorder from its files.

import { compileFilter } from '../ctnetlink/filter/compile.js';
import { type FlowFilter, MATCH_ALL } from '../ctnetlink/filter/condition.js';
import type { View } from '../ctnetlink/view.js';
import { ValueError } from '../errors.js';
import { TimeSlice } from '../library/index.js';
import { BlockFilter, hashOfLookup, INDEXES } from './block-filter.js';
import type { SqliteFile, SqliteRow, SqliteStatement } from './driver/sqlite.js';
import type { Span } from './moments.js';
import { type ColumnRow, RECORD_COLUMNS } from './record-columns.js';
import { type DirectoryState, type ReadableSegment, type RecordDirectory, reading } from './record-directory.js';
import { isWithin, type RecordRange, without } from './record-ranges.js';
import { OPEN_COLUMNS } from './record-schema.js';
import { isAddress, numberIn, RowMessages } from './row-messages.js';
import type { SegmentFile } from './segment-files.js';
import { HistoryError, readMeta } from './segment-meta.js';
import { both, type SqlCondition } from './sql-condition.js';
import { type SqlPlan, sqlPlan } from './sql-plan.js';
import { asksId } from './unrecorded.js';

/** Which flows are looked for. */
export interface FlowQuestion {
  readonly filter?: FlowFilter | undefined;
  /** Instead of a filter: a plan that finds these flows and no others. */
  readonly plan?: SqlPlan;
  /** They may have lived then. Default: ever. */
  readonly span?: Span | undefined;
  /** Flows that were there before they were recorded may have lived at any time before; else they count from when they were seen. */
  readonly everBefore?: boolean;
  /** Of this network namespace. */
  readonly netns?: string | undefined;
  /** The last to end first, and before them those that live. */
  readonly newestFirst?: boolean | undefined;
  /** Without those that live. */
  readonly endedOnly?: boolean | undefined;
  /** Without records of these numbers: somebody else has them. */
  readonly except?: readonly RecordRange[] | undefined;
}

/** A row that was found. */
export interface FoundRow {
  readonly row: SqliteRow;
  readonly segment: ReadableSegment;
  /** It is in `open`. */
  readonly open: boolean;
  /** Of a fleet: whose record it is of, and which. */
  readonly host?: string;
  readonly recorder?: string;
}

/** What a searcher makes of a row. `view`: makes a message of it, valid during the call; what needs none is three times as fast. */
export type MakeOf<T> = (found: FoundRow, view: () => View) => T;

/** Rows between two looks at the clock. */
const WINDOW = 16_384;
const MOST_AT_ONCE = 256;
/** An index is used if it finds no more rows than this: reading all of them in order is faster then. */
const MOST_BY_INDEX = 20_000;
const GREATEST = Number.MAX_SAFE_INTEGER;
/** Filters of blocks that are read between two looks at the clock. */
const BLOCKS_AT_ONCE = 256;

/** Columns as they are read: counters above 2^53, which are no safe numbers, as text. */
const columnList = (columns: readonly ColumnRow[]) =>
  columns
    .map(({ name, kind }) =>
      kind === 'counter' ? `CASE WHEN abs(${name}) > ${GREATEST} THEN CAST(${name} AS TEXT) ELSE ${name} END AS ${name}` : name,
    )
    .join(', ');
/** Every column of `flow`, for SELECT. */
export const FLOW_ROW = `seq, ${columnList(RECORD_COLUMNS)}`;
const OPEN_ROW = `key, seen, ${OPEN_COLUMNS.join(', ')}`;

/**
 * The flows of a directory, in arrays that come as they are found.
 * @throws ValueError for a filter that asks what is not recorded; HistoryError if nothing can be read
 */
export async function* searchFlows<T>(
  directory: RecordDirectory,
  question: FlowQuestion,
  make: MakeOf<T>,
  { now, problem, atOnce, check }: SearchOptions,
): AsyncGenerator<readonly T[]> {
  const filter = question.filter ?? MATCH_ALL;
  const search = new Search(directory, question, question.plan ?? sqlPlan(filter), make, compileFilter(filter, now), {
    atOnce,
    check,
  });
  let state = directory.state();
  let live = search.live(state);
  // A new segment was begun in between, and the one before it no longer has what lives.
  for (let tries = 0; !live && tries < 5; tries++) {
    state = directory.state();
    live = search.live(state);
  }
  for (const { file, reason } of state.unreadable) problem?.(file, reason);
  if (asksId(filter) && !state.segments.some(({ ids }) => ids))
    throw new ValueError('identifiers are not recorded', { hint: 'conntrack record --with id does' });
  if (question.newestFirst && live) yield* live;
  const segments = state.segments.filter(({ meta }) => search.concerns(meta));
  if (question.newestFirst) segments.reverse();
  for (const segment of segments)
    try {
      yield* search.ended(segment, state);
    } catch (error) {
      if (!(error instanceof HistoryError)) throw error;
      problem?.(segment.file, error.message);
    }
  if (!question.newestFirst && live) yield* live;
}

/** What a search needs besides. */
export interface SearchOptions {
  /** Milliseconds since the epoch: for the age of flows that live. */
  readonly now: () => number;
  /** Told of segments that cannot be read; the others are. */
  readonly problem?: ((file: SegmentFile, reason: string) => void) | undefined;
  /** Called every few milliseconds; what it throws ends the search. */
  readonly check?: (() => void) | undefined;
  /** Rows that are read at a time. Default 256. */
  readonly atOnce?: number | undefined;
}

class Search<T> {
  readonly #directory: RecordDirectory;
  readonly #question: FlowQuestion;
  readonly #plan: SqlPlan;
  readonly #make: MakeOf<T>;
  readonly #predicate: ((view: View) => boolean) | undefined;
  readonly #messages = new RowMessages();
  /** The row that is looked at, and its message, once somebody asked for it. */
  #row!: SqliteRow;
  #message: View | undefined;
  readonly #view = () => (this.#message ??= this.#messages.of(this.#row));
  readonly #slice = new TimeSlice();
  readonly #atOnce: number;
  readonly #check: SearchOptions['check'];
  /** Rows of the last segment that are looked at: what ends later is in `open`. */
  #lastSequence = GREATEST;

  constructor(
    directory: RecordDirectory,
    question: FlowQuestion,
    plan: SqlPlan,
    make: MakeOf<T>,
    predicate: ((view: View) => boolean) | undefined,
    { atOnce = MOST_AT_ONCE, check }: Pick<SearchOptions, 'atOnce' | 'check'>,
  ) {
    this.#directory = directory;
    this.#question = question;
    this.#plan = plan;
    this.#make = make;
    this.#predicate = predicate;
    this.#atOnce = atOnce;
    this.#check = check;
  }

  /** Whether a segment may have a flow of the question. */
  concerns({ minStart, maxEnd }: ReadableSegment['meta']): boolean {
    const { span, everBefore } = this.#question;
    if (!span) return true;
    if (maxEnd !== undefined && maxEnd < span.from) return false;
    return everBefore === true || minStart === undefined || minStart < span.to;
  }

  /** Flows that live, as they are now: read at once, together with the number of the last record. `undefined`: it is the last no more. */
  live({ last }: DirectoryState): readonly (readonly T[])[] | undefined {
    if (!last || last.meta.sealed !== undefined) return [];
    return this.#with(last, (file) => {
      file.exec('BEGIN');
      if (last.meta.closed === undefined && readMeta(file, last.file.name).closed !== undefined) return undefined;
      this.#lastSequence = numberIn(file.prepare('SELECT max(seq) AS seq FROM flow').all()[0]?.['seq']) ?? 0;
      if (this.#question.endedOnly) return [];
      const condition = both(this.#plan.open, this.#openTime());
      const rows = file
        .prepare(`SELECT ${OPEN_ROW} FROM open${where(condition)} ORDER BY start`)
        .all(...(condition?.values ?? []));
      const made = this.#wanted(rows, last, true);
      return [this.#question.newestFirst ? made.reverse() : made];
    });
  }

  /** Flows of a segment that have ended. */
  async *ended(segment: ReadableSegment, { last }: DirectoryState): AsyncGenerator<readonly T[]> {
    const file = this.#directory.openIfThere(segment);
    if (!file) return; // it was deleted meanwhile
    try {
      const condition = both(this.#plan.flow, this.#time());
      const most = segment === last ? this.#lastSequence : GREATEST;
      const sequences = this.#byIndex(segment, file);
      const slices = sequences
        ? this.#slicesOf(segment, file, condition, sequences)
        : this.#allSlices(segment, file, condition, most);
      for (const rows of slices) {
        const made = this.#wanted(rows, segment, false);
        if (made.length > 0) yield made;
        await this.#slice.pause();
        this.#check?.();
      }
    } finally {
      file.close();
    }
  }

  /** Numbers of the rows that an index finds, in order; `undefined` if all rows are to be read. */
  #byIndex(segment: ReadableSegment, file: SqliteFile): readonly number[] | undefined {
    const uses = this.#plan.indexes;
    if (!uses?.every(({ index }) => segment.indexes.has(index))) return undefined;
    return reading(segment.file, () => {
      const found = new Set<number>();
      for (const { index, sql, values } of uses) {
        const rows = file
          .prepare(`SELECT seq FROM flow INDEXED BY ${index} WHERE ${sql} LIMIT ${MOST_BY_INDEX + 1}`)
          .all(...values);
        for (const { seq } of rows) if (!isWithin(seq as number, this.#except)) found.add(seq as number);
        if (found.size > MOST_BY_INDEX) return undefined;
      }
      const order = Float64Array.from(found).sort();
      return this.#question.newestFirst ? [...order].reverse() : [...order];
    });
  }

  get #except(): readonly RecordRange[] {
    return this.#question.except ?? [];
  }

  *#slicesOf(
    segment: ReadableSegment,
    file: SqliteFile,
    condition: SqlCondition | undefined,
    sequences: readonly number[],
  ): Generator<readonly SqliteRow[]> {
    const statement = file.prepare(`SELECT ${FLOW_ROW} FROM flow${where(both({ sql: 'seq = ?', values: [] }, condition))}`);
    const values = condition?.values ?? [];
    for (let at = 0; at < sequences.length; at += this.#atOnce) {
      const some = sequences.slice(at, at + this.#atOnce);
      yield reading(segment.file, () => some.flatMap((sequence) => statement.all(sequence, ...values)));
    }
  }

  /** All rows, by ranges of numbers. */
  *#allSlices(
    segment: ReadableSegment,
    file: SqliteFile,
    condition: SqlCondition | undefined,
    most: number,
  ): Generator<readonly SqliteRow[]> {
    const bound = (sql: string) => numberIn(reading(segment.file, () => file.prepare(sql).all()[0]?.['seq']));
    const least = bound('SELECT min(seq) AS seq FROM flow');
    if (least === undefined) return;
    const greatest = Math.min(bound('SELECT max(seq) AS seq FROM flow')!, most);
    const { newestFirst, span } = this.#question;
    const range = both({ sql: 'seq BETWEEN ? AND ?', values: [] }, condition);
    const statement = file.prepare(
      `SELECT ${FLOW_ROW} FROM flow NOT INDEXED${where(range)} ORDER BY seq${newestFirst ? ' DESC' : ''} LIMIT ${this.#atOnce}`,
    );
    const first = span ? firstToLookAt(segment, file, { least, greatest, end: span.from }) : least;
    const ranges: RecordRange[] = [];
    for (const found of this.#ranges(segment, file, first, greatest)) {
      for (const range of found) ranges.push(...without(range, this.#except));
      yield [];
    }
    if (newestFirst) ranges.reverse();
    for (let [from, to] of ranges)
      while (from <= to) {
        const window: readonly [number, number] = newestFirst
          ? [Math.max(from, to - WINDOW + 1), to]
          : [from, Math.min(to, from + WINDOW - 1)];
        const rows = reading(segment.file, () => statement.all(...window, ...(condition?.values ?? [])));
        const lastRead = rows.length < this.#atOnce ? undefined : (rows.at(-1)!['seq'] as number);
        if (newestFirst) to = (lastRead ?? window[0]) - 1;
        else from = (lastRead ?? window[1]) + 1;
        yield rows;
      }
  }

  /** The numbers from one to another, without the blocks of rows that have nothing of the question; in parts, in order. */
  *#ranges(segment: ReadableSegment, file: SqliteFile, from: number, to: number): Generator<readonly RecordRange[]> {
    const hashes = segment.tables.has('block') ? hashesOf(this.#plan) : undefined;
    let next = from;
    while (hashes && next <= to) {
      const blocks = reading(segment.file, () => this.#blocks(file).all(next, BLOCKS_AT_ONCE));
      if (blocks.length === 0) break;
      const found: RecordRange[] = [];
      for (const { first, last, filter } of blocks) {
        const blockFirst = Math.max(next, numberIn(first) ?? next);
        const blockLast = numberIn(last) ?? next;
        if (next < blockFirst) found.push([next, Math.min(to, blockFirst - 1)]);
        const known = filter instanceof Uint8Array ? new BlockFilter(filter) : undefined;
        if (blockFirst <= to && (!known || hashes.some((hash) => known.mayHave(hash))))
          found.push([blockFirst, Math.min(to, blockLast)]);
        next = Math.max(next, blockLast + 1);
      }
      yield found;
    }
    if (next <= to) yield [[next, to]];
  }

  #blocks(file: SqliteFile): SqliteStatement {
    return file.prepare('SELECT first, last, filter FROM block WHERE last >= ? ORDER BY first LIMIT ?');
  }

  /** Those that the predicate wants. */
  #wanted(rows: readonly SqliteRow[], segment: ReadableSegment, open: boolean): T[] {
    const made: T[] = [];
    const { netns } = this.#question;
    for (const row of rows) {
      // Only a damaged file has a row without an address.
      if (!isAddress(row['src'])) continue;
      if (netns !== undefined && nameOf(segment, row) !== netns) continue;
      this.#row = row;
      this.#message = undefined;
      if (!this.#predicate || this.#predicate(this.#view())) made.push(this.#make({ row, segment, open }, this.#view));
    }
    return made;
  }

  #with<R>(segment: ReadableSegment, read: (file: SqliteFile) => R): R {
    const file = reading(segment.file, () => this.#directory.open(segment));
    try {
      return reading(segment.file, () => read(file));
    } finally {
      file.close();
    }
  }

  #time(): SqlCondition | undefined {
    const { span } = this.#question;
    if (!span) return undefined;
    return { sql: `(${this.#begun()} AND start + dur >= ?)`, values: [span.to, span.from] };
  }

  #openTime(): SqlCondition | undefined {
    const { span } = this.#question;
    return span && { sql: this.#begun(), values: [span.to] };
  }

  /** Had begun before `?`. */
  #begun(): string {
    const begun = 'start - coalesce(sslack, 0) < ?';
    return this.#question.everBefore ? `(${begun} OR (how & 3) = 2)` : begun;
  }
}

/**
 * The number from which on rows of a segment have to be looked at, if their flows ended at a time or later: all before ended before. Rows are
 * in the order of ends, but for a disorder that the segment knows.
 */
export function firstToLookAt(
  { file: segment, meta: { disorder } }: ReadableSegment,
  file: SqliteFile,
  { least, greatest, end }: { readonly least: number; readonly greatest: number; readonly end: number },
): number {
  if (typeof disorder !== 'number') return least;
  const statement = file.prepare('SELECT seq, start + dur AS "end" FROM flow WHERE seq <= ? ORDER BY seq DESC LIMIT 1');
  return reading(segment, () => {
    let from = least;
    for (let to = greatest; from <= to; ) {
      const middle = Math.floor((from + to) / 2);
      const [row] = statement.all(middle);
      // No row up to this one ended later than this one did, and the disorder.
      if (row && (numberIn(row['end']) ?? Infinity) + disorder < end) from = middle + 1;
      else to = middle - 1;
    }
    return from;
  });
}

/** The look-ups of a plan; `undefined` if it has others, which filters of blocks do not know. */
function hashesOf({ indexes }: SqlPlan): readonly number[] | undefined {
  const hashes = indexes?.map(({ index, only }) => {
    const place = INDEXES.findIndex(({ name }) => name === index);
    return only && place >= 0 ? hashOfLookup(place, only[0]!, numberIn(only[1]) ?? 0) : undefined;
  });
  return hashes?.every((hash) => hash !== undefined) ? (hashes as readonly number[]) : undefined;
}

/** The network namespace of a row; `undefined` for that of the recorder. */
export function nameOf({ namespaces }: ReadableSegment, row: SqliteRow): string | undefined {
  const ns = numberIn(row['ns']);
  return ns === undefined ? undefined : (namespaces.get(ns) ?? String(ns));
}

function where(condition: SqlCondition | undefined): string {
  return condition ? ` WHERE ${condition.sql}` : '';
}
