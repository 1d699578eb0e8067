// FlowHistory: questions to the record of a directory, or of several.

import type { View } from '../ctnetlink/view.js';
import { ValueError } from '../errors.js';
import { type FilterInput, readFilter, type Signal } from '../library/index.js';
import { askRecorder } from './control-socket.js';
import { type FlowQuestion, type FoundRow, type MakeOf, searchFlows } from './flow-search.js';
import { type Moment, parseSpan, readMoment, readSpan, type Span, type TimeSpan } from './moments.js';
import { parseNetwork, parseOne } from './networks.js';
import { type PastFlow, PastFlowReader } from './past-flow.js';
import {
  addPastGroups,
  largestGroups,
  type PastGroup,
  type PastGrouping,
  type PastGroupSort,
  type PastGroupSums,
} from './past-groups.js';
import { type DirectoryState, RecordDirectory, type RecordGap } from './record-directory.js';
import type { RecordRange } from './record-ranges.js';
import { HistoryError } from './segment-meta.js';
import { type WhoHadQuestion, whoHadIn } from './who-had.js';
import { type AddressAndPort, besides, joinAnswers, type WhoHadAnswer } from './who-had-answer.js';

/** What `history.flows` reads. */
export interface PastFlowsOptions extends TimeSpan {
  /** So many at most. */
  readonly limit?: number | undefined;
  /** Those that live, then the last to end. Default: in the order of their ends, those that live last. */
  readonly newestFirst?: boolean | undefined;
  /** Only of this network namespace. */
  readonly netns?: string | undefined;
  /** Told of each segment that cannot be read. Default: such a segment is an error, once all others have been read. */
  readonly onUnreadable?: ((segment: string, reason: string) => void) | undefined;
  /** Ends it, with the signal's reason. */
  readonly signal?: Signal | undefined;
}

/** What `history.top` sums up. */
export interface PastTopOptions extends TimeSpan {
  /** Default `src`. */
  readonly by?: PastGrouping | undefined;
  /** Default `bytes`. */
  readonly sort?: PastGroupSort | undefined;
  /** The smallest first. */
  readonly reverse?: boolean | undefined;
  /** Default 10. */
  readonly limit?: number | undefined;
  readonly filter?: FilterInput | undefined;
  /** Only of this network namespace. */
  readonly netns?: string | undefined;
  /** Told of each segment that cannot be read. Default: such a segment is an error. */
  readonly onUnreadable?: ((segment: string, reason: string) => void) | undefined;
  /** Ends it, with the signal's reason. */
  readonly signal?: Signal | undefined;
}

/** A question to `history.whoHad`. */
export interface WhoHadOptions extends AddressAndPort {
  /** Microseconds since the epoch are that moment. A text without a fraction of a second is that whole second. */
  readonly at: Moment;
  /** Microseconds before and after, or text such as `2s`: what only they find is graded `near`. Default 0. */
  readonly within?: number | string | undefined;
  /** Number of the protocol. Default: any. */
  readonly protocol?: number | undefined;
  /** The other side. */
  readonly to?: AddressAndPort | undefined;
  readonly zone?: number | undefined;
  readonly netns?: string | undefined;
  /** Follow the inside address through further translations of the same host. Default true. */
  readonly follow?: boolean | undefined;
}

/** A file of a record. Times are microseconds since the epoch. */
export interface SegmentInfo {
  readonly directory: string;
  readonly name: string;
  readonly number: number;
  readonly recorder?: string | undefined;
  readonly opened?: number | undefined;
  readonly closed?: number | undefined;
  readonly sealed: boolean;
  /** Its records come from elsewhere. */
  readonly imported?: true;
  readonly rows?: number | undefined;
  /** Why it cannot be read. */
  readonly problem?: string | undefined;
}

/** What a record covers. Microseconds since the epoch. */
export interface Coverage {
  readonly from: number;
  readonly to: number;
}

/** How the flows of a record are asked for. */
export interface HistoryOptions {
  /** Milliseconds since the epoch. Default: the system's clock. */
  readonly now?: () => number;
}

/** How long a recorder may take to write what it has. Milliseconds. */
const FLUSH_TIMEOUT = 2000;

/**
 * Opens the record of a directory, or of several, for reading. It may be written to at the same time.
 * @throws HistoryError when there is none, or none of it can be read; PlatformError without SQLite
 *
 * ```ts
 * await using history = await openHistory('/var/lib/conntrack');
 * const answer = await history.whoHad({ address: '203.0.113.50', port: 32768, at: '2026-03-01T14:32:15Z' });
 * if (answer.complete) for (const { grade, inside } of answer.matches) console.log(grade, inside.address);
 * ```
 */
export async function openHistory(directory: string | readonly string[], options: HistoryOptions = {}): Promise<FlowHistory> {
  const paths = typeof directory === 'string' ? [directory] : directory;
  if (paths.length === 0) throw new ValueError('a directory is needed');
  const directories = paths.map((path) => new RecordDirectory(path));
  for (const each of directories) each.state();
  return new FlowHistory(directories, options.now ?? Date.now);
}

/** A record that is open for reading. */
export class FlowHistory {
  readonly #directories: readonly RecordDirectory[];
  readonly #now: () => number;

  /** @internal */
  constructor(directories: readonly RecordDirectory[], now: () => number) {
    this.#directories = directories;
    this.#now = now;
  }

  /** The directories of several as one. @internal */
  static together(histories: readonly FlowHistory[], now: () => number = Date.now): FlowHistory {
    return new FlowHistory(
      histories.flatMap((history) => history.#directories),
      now,
    );
  }

  /**
   * Who had an address and port, and whether the record is complete then. A recorder that runs is asked to write what it has if that
   * matters. A signal ends it, with its reason.
   * @throws ValueError, HistoryError
   */
  async whoHad(options: WhoHadOptions, { signal }: { readonly signal?: Signal | undefined } = {}): Promise<WhoHadAnswer> {
    signal?.throwIfAborted();
    const question = this.#question(options);
    const answers: WhoHadAnswer[] = [];
    const imported: WhoHadAnswer[] = [];
    for (const directory of this.#directories) {
      const completeTo = await this.#written(directory, question.span);
      signal?.throwIfAborted();
      const answer = await whoHadIn(directory, question, { now: this.#now, completeTo, check: checkOf(signal) });
      (directory.state().imported ? imported : answers).push(answer);
    }
    return joinAnswers([...answers, ...imported.map((answer) => besides(answer, answers))]);
  }

  /** Lets a recorder that runs write what it has, if a span goes beyond that, or flows that live may have ended. @returns as `flush` */
  async #written(directory: RecordDirectory, span: Span | undefined): Promise<number | undefined> {
    const { to, last } = directory.state();
    return !span || Math.min(to, last?.meta.seenTo ?? 0) < span.to ? flush(directory.path) : undefined;
  }

  /**
   * Flows that lived at some moment of a span. A recorder that runs is asked to write what it has if that matters.
   * @throws ValueError, FilterError for a filter that asks what is not recorded; HistoryError
   */
  async *flows(filter?: FilterInput, options: PastFlowsOptions = {}): AsyncGenerator<PastFlow, void, undefined> {
    const makeOf = () => {
      const reader = new PastFlowReader();
      return (found: FoundRow, view: () => View) => reader.read(found, view());
    };
    for await (const some of this.read(filter, options, makeOf)) yield* some;
  }

  /** As `flows`, in another form, and several at a time: handing each on by itself costs as much as reading it. @internal */
  async *read<T extends PastEnd>(
    filter: FilterInput | undefined,
    options: PastFlowsOptions & PartOptions,
    makeOf: () => MakeOf<T>,
  ): AsyncGenerator<readonly T[], void, undefined> {
    const { limit = Number.POSITIVE_INFINITY, newestFirst = false, signal, onUnreadable, except } = options;
    const check = options.check ?? checkOf(signal);
    signal?.throwIfAborted();
    const question: FlowQuestion = {
      filter: filter === undefined ? undefined : readFilter(filter),
      span: this.span(options),
      newestFirst,
      netns: options.netns,
      except,
    };
    let unreadable: string | undefined;
    const problem = (segment: string, reason: string) => {
      if (onUnreadable) onUnreadable(segment, reason);
      else unreadable ??= reason;
    };
    let left = limit;
    if (left <= 0) return;
    for (const directory of this.#directories) await this.#written(directory, question.span);
    for await (const some of this.#merged(question, { problem, check }, makeOf)) {
      signal?.throwIfAborted();
      yield some.length > left ? some.slice(0, left) : some;
      left -= some.length;
      if (left <= 0) return;
    }
    if (unreadable !== undefined) throw new HistoryError('DAMAGED', unreadable);
  }

  /**
   * The largest groups of the flows that ended in a span.
   * @throws ValueError, FilterError, HistoryError
   */
  async top(options: PastTopOptions = {}): Promise<readonly PastGroup[]> {
    const { by = 'src', sort = 'bytes', reverse = false, limit = 10 } = options;
    return largestGroups(await this.sums(by, options), by, { sort, reverse, limit });
  }

  /** All groups. @internal */
  async sums(
    by: PastGrouping,
    {
      filter,
      onUnreadable,
      signal,
      ...options
    }: Pick<PastTopOptions, 'filter' | 'netns' | 'onUnreadable' | 'signal' | keyof TimeSpan> & PartOptions,
  ): Promise<PastGroupSums> {
    signal?.throwIfAborted();
    const check = options.check ?? checkOf(signal);
    const question = {
      filter: filter === undefined ? undefined : readFilter(filter),
      span: this.span(options),
      netns: options.netns,
      except: options.except,
    };
    const problem = ({ name }: { readonly name: string }, reason: string) => {
      if (!onUnreadable) throw new HistoryError('DAMAGED', reason);
      onUnreadable(name, reason);
    };
    const groups: PastGroupSums = new Map();
    for (const directory of this.#directories) await this.#written(directory, question.span);
    for (const directory of this.#directories)
      await addPastGroups(groups, directory, by, question, { now: this.#now, problem, check });
    return groups;
  }

  /**
   * What its directories have at the moment; a recorder that runs writes what it has before, if a span goes so far. `live`: it does run, and
   * the record is complete up to now, but for gaps. @internal
   */
  async states(span: Span | undefined): Promise<readonly (DirectoryState & { readonly live: boolean })[]> {
    const states: (DirectoryState & { readonly live: boolean })[] = [];
    for (const directory of this.#directories) {
      const completeTo = await this.#written(directory, span);
      states.push({ ...directory.state(completeTo), live: completeTo !== undefined });
    }
    return states;
  }

  /** What the recorder says is lacking, and what became of its files. */
  gaps(span: TimeSpan = {}): readonly RecordGap[] {
    const wanted = this.span(span);
    return this.#directories
      .flatMap((directory) => directory.state().gaps)
      .filter(({ from, to }) => !wanted || (from < wanted.to && to >= wanted.from));
  }

  /** The time that all its directories cover; those of imported flows count only if there are no others. */
  coverage(): Coverage {
    const all = this.#directories.map((directory) => directory.state());
    const own = all.filter(({ imported }) => !imported);
    const states = own.length > 0 ? own : all;
    return { from: Math.max(...states.map(({ from }) => from)), to: Math.min(...states.map(({ to }) => to)) };
  }

  /** Its files, in the order in which they were written. */
  segments(): readonly SegmentInfo[] {
    return this.#directories.flatMap((directory) => {
      const { segments, unreadable } = directory.state();
      const infos: SegmentInfo[] = [
        ...segments.map(({ file: { name, number }, meta }) => ({
          directory: directory.path,
          name,
          number,
          recorder: meta.recorder,
          opened: meta.opened,
          closed: meta.closed,
          sealed: meta.sealed !== undefined,
          rows: meta.rows,
          ...(meta.imported === undefined ? {} : { imported: true as const }),
        })),
        ...unreadable.map(({ file: { name, number }, reason }) => ({
          directory: directory.path,
          name,
          number,
          sealed: false,
          problem: reason,
        })),
      ];
      return infos.sort((a, b) => a.number - b.number);
    });
  }

  /** No more questions. Without it, files that nobody reads are let go of after two seconds. */
  async close(): Promise<void> {
    for (const directory of this.#directories) directory[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A span with both its ends; `undefined`: ever. @internal */
  span(span: TimeSpan): Span | undefined {
    return readSpan(span, this.#now);
  }

  #question({ address: text, port, at, within = 0, protocol, to, zone, netns, follow = true }: WhoHadOptions): WhoHadQuestion {
    const { address, prefix } = parseNetwork(text);
    if (prefix !== undefined && port !== undefined) throw new ValueError('a network has no port: leave it out');
    const remote = to && parseOne(to.address);
    const span = readMoment(at, this.#now);
    if (span.from > (this.#now() + CLOCK_SLACK) * 1000) throw new ValueError('that time is yet to come');
    return {
      address,
      prefix,
      port,
      protocol,
      remote: remote && { address: remote, port: to.port },
      span,
      within: typeof within === 'string' ? parseSpan(within) : within,
      zone,
      netns,
      follow,
    };
  }

  /** The flows of all directories, in one order. */
  async *#merged<T extends PastEnd>(
    question: FlowQuestion,
    { problem, check }: { readonly problem: (segment: string, reason: string) => void; readonly check: PartOptions['check'] },
    makeOf: () => MakeOf<T>,
  ): AsyncGenerator<readonly T[], void, undefined> {
    const options = {
      now: this.#now,
      check,
      atOnce: Math.max(LEAST_AT_ONCE, Math.min(MOST_AT_ONCE, Math.floor(MOST_HELD / this.#directories.length))),
      problem: ({ name }: { readonly name: string }, reason: string) => problem(name, reason),
    };
    const searches = this.#directories.map((directory) => searchFlows(directory, question, makeOf(), options));
    if (searches.length === 1) {
      for await (const some of searches[0]!) yield some;
      return;
    }
    const streams = searches.map(flatten);
    try {
      const heads = await Promise.all(streams.map((stream) => stream.next()));
      for (;;) {
        let first = -1;
        for (const [n, { done, value }] of heads.entries()) {
          if (done) continue;
          const sooner = first < 0 || endOf(value) < endOf(heads[first]!.value!);
          if (first < 0 || sooner !== question.newestFirst) first = n;
        }
        if (first < 0) return;
        yield [heads[first]!.value!];
        heads[first] = await streams[first]!.next();
      }
    } finally {
      for (const stream of streams) await stream.return();
    }
  }
}

/** Rows of each of many directories that are held while they are merged. */
const MOST_HELD = 16_384;
const MOST_AT_ONCE = 256;
const LEAST_AT_ONCE = 16;

/** What ends a search while it reads, and finds nothing. */
function checkOf(signal: Signal | undefined): (() => void) | undefined {
  return signal && (() => signal.throwIfAborted());
}

/** Of who asks for a part, and may change their mind. */
interface PartOptions {
  /** Numbers of records that are not wanted: somebody else has them. */
  readonly except?: readonly RecordRange[] | undefined;
  /** Called every few milliseconds; what it throws ends the search. */
  readonly check?: (() => void) | undefined;
}

/** What flows of several records are ordered by; absent: it lives. */
export interface PastEnd {
  readonly end?: number | undefined;
}

function endOf({ end }: PastEnd): number {
  return end ?? Number.POSITIVE_INFINITY;
}

async function* flatten<T>(batches: AsyncGenerator<readonly T[]>): AsyncGenerator<T, void, undefined> {
  for await (const batch of batches) yield* batch;
}

/** Milliseconds by which a clock that asks may be ahead of this one. */
const CLOCK_SLACK = 2000;

/** Lets the recorder of a directory write what it has. @returns up to when the record is complete; `undefined`: nobody answers */
async function flush(directory: string): Promise<number | undefined> {
  const answer = await askRecorder(directory, 'flush', FLUSH_TIMEOUT);
  const completeTo = (answer as { readonly completeTo?: unknown } | undefined)?.completeTo;
  return typeof completeTo === 'number' ? completeTo : undefined;
}
