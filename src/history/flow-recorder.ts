// FlowRecorder: records every flow of one network namespace or several, a row for each life, in a directory. The thread that calls it reads
// events and never waits for the disk; a second one writes.

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { Worker } from 'node:worker_threads';
import { divideByConstancy } from '../ctnetlink/filter/compile.js';
import { MATCH_ALL } from '../ctnetlink/filter/condition.js';
import { ConntrackError, ValueError } from '../errors.js';
import {
  Conntrack,
  type FilterInput,
  formatFilter,
  readFilter,
  readIn,
  type Session,
  type Signal,
  sessionOf,
  TimeSlice,
} from '../library/index.js';
import { ClockWatch } from './clock-watch.js';
import { ControlSocket } from './control-socket.js';
import { rewrittenEntry } from './forget-flows.js';
import { BATCH_ROWS, nameOfRow, RecordBatch } from './record-batch.js';
import type { GapReason } from './record-columns.js';
import type { ClockRow, Delivery, NamespaceRow, Resumption, SessionRow } from './record-writer.js';
import { type AdoptedFlow, type Gap, type NamespaceOwner, RecordedNamespace } from './recorded-namespace.js';
import { makeDirectory } from './segment-files.js';
import { WRITER_THREAD } from './writer-location.js';
import type { WriterData, WriterNews, WriterRequest } from './writer-thread.js';

/** The table of one network namespace, or those of several by name; the recorder's own is called `own`. */
export type RecordedTables = Conntrack | ReadonlyMap<string, Conntrack>;

/** How flows are recorded. */
export interface RecordOptions {
  /** Made if it is missing. */
  readonly dir: string;
  /** Seconds after which a record is deleted; `Infinity`: never. There is no default, so that none breaks a law. */
  readonly keep: number;
  /** Which flows; what can change in a flow is tested at its end. */
  readonly filter?: FilterInput | undefined;
  /** Bytes that segments may take; the oldest are deleted. */
  readonly maxSize?: number | undefined;
  /** Share of the disk that stays free, 0 to 1; the oldest segments are deleted. Default 0.05. */
  readonly minFree?: number | undefined;
  /** Seconds between commits, at least 0.1; default 1. `none`: what the disk has not written is lost when power fails. */
  readonly sync?: number | 'none' | undefined;
  /** Seconds after which a flow that lives is kept, so that a crash does not lose when it began; default 10. */
  readonly checkpoint?: number | undefined;
  /** Seconds between comparisons with a list; default 600. */
  readonly reconcile?: number | undefined;
  /** Records in a segment; default 4,000,000. */
  readonly segmentRows?: number | undefined;
  /** Seconds that a segment is written to; default a day, until midnight (UTC). */
  readonly segmentAge?: number | undefined;
  /** Leave out whom flows went to. */
  readonly noDestination?: boolean | undefined;
  /** Record the kernel's identifiers. */
  readonly withId?: boolean | undefined;
  /** Bytes to ask for as receive buffer of each namespace; the kernel doubles it. */
  readonly receiveBuffer?: number | undefined;
  /** A command that is run with the path of each sealed segment. */
  readonly onSeal?: string | undefined;
  /** Program and first arguments that run `conntrack`; default: that of this package. @internal */
  readonly launcher?: readonly string[] | undefined;
  /** What happens besides records. An exception here ends the recorder. */
  readonly onEvent?: ((event: RecorderEvent) => void) | undefined;
  readonly signal?: Signal | undefined;
}

/** What happens besides records. Times are microseconds since the epoch. */
export type RecorderEvent =
  | { readonly type: 'gap'; readonly gap: Gap }
  | { readonly type: 'segment'; readonly name: string }
  | { readonly type: 'sealed'; readonly name: string; readonly rows: number }
  | { readonly type: 'deleted'; readonly name: string; readonly reason: string }
  | { readonly type: 'trouble'; readonly reason: 'disk-full' | 'slow-disk'; readonly message: string }
  | { readonly type: 'well' }
  | { readonly type: 'clock'; readonly at: number; readonly delta: number }
  | { readonly type: 'warning'; readonly message: string };

/** What a recorder has done so far. Times are microseconds since the epoch. */
export interface RecorderStatus {
  readonly dir: string;
  readonly recorder: string;
  readonly since: number;
  /** Everything up to then is on the disk, but for gaps. */
  readonly alive?: number | undefined;
  readonly segment: string;
  /** Number of the last record. */
  readonly sequence: number;
  /** Records of this run. */
  readonly recorded: number;
  /** Gaps of this run. */
  readonly gaps: number;
  /** Rows that wait for the disk. */
  readonly waiting: number;
  readonly trouble?: string | undefined;
  /** Commits of this run: how many, and the seconds they took together and at most. */
  readonly commits: { readonly count: number; readonly seconds: number; readonly most: number };
  readonly netns: readonly {
    readonly name: string;
    readonly open: number;
    readonly lost: number;
    /** Bytes, as the kernel counts them. */
    readonly receiveBuffer: number;
  }[];
  /** The package that writes: `node:sqlite`. */
  readonly driver: string;
}

const SECOND = 1_000_000;
const DEFAULTS = { sync: 1, checkpoint: 10, reconcile: 600, segmentRows: 4_000_000, segmentAge: 86_400, minFree: 0.05 } as const;
/** Seconds between commits when nothing happens. */
const HEARTBEAT = 10;
/** Seconds between two questions how well the clock is kept. */
const CLOCK_CHECK = 60;
/** Rows that may wait for the disk: some 150 MB. */
const MOST_WAITING = 500_000;
const SYSCTLS = ['acct', 'timestamp', 'events'] as const;

/** Records flows until it is closed. `openRecorder` makes one. */
export class FlowRecorder {
  readonly #options: RecordOptions;
  readonly #since = microsecondsNow();
  readonly #worker: Worker;
  readonly #namespaces: RecordedNamespace[] = [];
  /** What ties the recorder to each table, by name. */
  readonly #ties = new Map<string, () => void>();
  readonly #batch = new RecordBatch();
  readonly #owner: NamespaceOwner;
  readonly #clock = new ClockWatch();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #acknowledged: (() => void)[] = [];
  /** Who waits for a segment to be begun, or replaced, in the order of the requests. */
  readonly #rotated: ((answer: Readonly<Record<string, unknown>>) => void)[] = [];
  readonly #replaced: ((answer: Readonly<Record<string, unknown>>) => void)[] = [];
  #control: ControlSocket | undefined;
  #gaps: Gap[] = [];
  #clockRows: ClockRow[] = [];
  #newNamespaces: NamespaceRow[] = [];
  /** All that the record has a number for. */
  #known: NamespaceRow[] = [];
  #resumption!: Resumption;
  #vanished: { keys: number[]; at: number } | undefined;
  /** Flows of the last run that were not met yet, by name. */
  #previous:
    | Map<string, { readonly flow: AdoptedFlow; readonly id: number; readonly kernelStart: number | undefined }>
    | undefined;
  #lastKey = 0;
  #ready = false;
  #deliveredAt = 0;
  #openTo: number | undefined;
  #seenTo: number | undefined;
  #waiting = 0;
  #paused = false;
  #trouble: GapReason | undefined;
  #troubleText: string | undefined;
  #segment = '';
  #driver = '';
  #sequence = 0;
  #recorded = 0;
  #gapCount = 0;
  #commits = { count: 0, seconds: 0, most: 0 };
  #busy: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #end!: { readonly resolve: () => void; readonly reject: (reason: unknown) => void };
  /** Settles when the recorder has ended; rejects when it ended by itself. */
  readonly ended: Promise<void>;

  private constructor(options: RecordOptions, worker: Worker) {
    this.#options = options;
    this.#worker = worker;
    this.ended = new Promise((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    this.ended.catch(() => {}); // whoever waits for it hears of it
    const recorder = this;
    this.#owner = {
      now: microsecondsNow,
      batch: this.#batch,
      added: () => {
        if (this.#batch.count >= BATCH_ROWS && this.#ready) this.#deliver();
      },
      nextKey: () => ++this.#lastKey,
      get adopt() {
        return recorder.#previous ? recorder.#adopt : undefined;
      },
      gap: (gap) => this.#addGap(gap),
      get trouble() {
        return recorder.#paused ? (recorder.#trouble ?? 'slow-disk') : undefined;
      },
      withId: options.withId ?? false,
      noDestination: options.noDestination ?? false,
      tellsReasons: isAtLeast(release(), 5, 11),
    };
  }

  /** Begins; settles when the first list is complete. @throws ValueError, HistoryError, what `watch` throws */
  static async open(tables: RecordedTables, options: RecordOptions): Promise<FlowRecorder> {
    check(options);
    const sessions = sessionsOf(tables);
    for (const [, session] of sessions) session.table.count(); // without rights nothing is left behind
    makeDirectory(options.dir);
    const control = await ControlSocket.open(options.dir);
    let worker: Worker | undefined;
    try {
      worker = new Worker(WRITER_THREAD, {
        workerData: writerData(options, sessions[0]![1]),
      });
      const recorder = new FlowRecorder(options, worker);
      await recorder.#start(sessions);
      recorder.#serve(control);
      return recorder;
    } catch (error) {
      await control.close();
      if (worker) await endWorker(worker);
      throw error;
    }
  }

  /** Ends it as a crash does: nothing more is written. For tests. @internal */
  static async kill(recorder: FlowRecorder): Promise<void> {
    recorder.#closing = Promise.resolve();
    await recorder.#control?.close();
    await recorder.#stop();
  }

  get status(): RecorderStatus {
    const alive = this.#aliveNow();
    return {
      dir: this.#options.dir,
      recorder: this.#resumption.recorder,
      since: this.#since,
      ...(alive === undefined ? {} : { alive }),
      segment: this.#segment,
      sequence: this.#sequence,
      recorded: this.#recorded,
      gaps: this.#gapCount,
      waiting: this.#waiting,
      ...(this.#troubleText === undefined ? {} : { trouble: this.#troubleText }),
      commits: { ...this.#commits },
      netns: this.#namespaces.map(({ name, flows, lost, receiveBuffer }) => ({ name, open: flows.count, lost, receiveBuffer })),
      driver: this.#driver,
    };
  }

  /**
   * Records another namespace, too; settles with its first list. `since`: when it was not there yet, in microseconds since the epoch.
   * @throws what `watch` throws
   */
  async add(name: string, conntrack: Conntrack, since: number): Promise<void> {
    const namespace = this.#open(name, sessionOf(conntrack));
    try {
      await namespace.start((reason) => this.#fail(reason));
    } catch (error) {
      namespace.close();
      throw error;
    }
    this.#namespaces.push(namespace);
    this.#addGap({ ns: namespace.number, from: since, to: microsecondsNow(), reason: 'namespace' });
  }

  /** A namespace has gone: its flows have ended unseen. */
  remove(name: string): void {
    const index = this.#namespaces.findIndex((namespace) => namespace.name === name);
    const [namespace] = index < 0 ? [] : this.#namespaces.splice(index, 1);
    if (!namespace) return;
    this.#untie(name);
    namespace.abandon();
    this.#deliver();
  }

  /** Records what has happened so far, flows that expired included. @returns up to when the record is complete, but for gaps */
  async flush(): Promise<number> {
    await this.#exclusively(async () => {
      await this.#reconcile();
      await this.#checkpoint(microsecondsNow());
    });
    const written = new Promise<void>((resolve) => this.#acknowledged.push(resolve));
    this.#deliver();
    await written;
    return this.#aliveNow() ?? this.#since;
  }

  /** Ends the hot segment, which is sealed then, and begins another. */
  rotate(): void {
    this.#rotate(() => {});
  }

  #rotate(told: (answer: Readonly<Record<string, unknown>>) => void): void {
    this.#rotated.push(told);
    this.#deliver();
    this.#ask({ what: 'rotate', now: microsecondsNow() });
  }

  /** Records what has happened so far, and ends. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#control?.close();
    try {
      await this.#busy;
      await Promise.all(this.#namespaces.map((namespace) => namespace.finish()));
      // All flows, however young: the next run knows them then.
      await this.#checkpoint(Number.POSITIVE_INFINITY);
      this.#deliver(true);
      const closed = exitOf(this.#worker);
      this.#ask({ what: 'close' });
      await closed;
    } finally {
      await this.#stop();
    }
    this.#end.resolve();
  }

  async #stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const { name } of this.#namespaces) this.#untie(name);
    for (const namespace of this.#namespaces) namespace.close();
    await endWorker(this.#worker);
  }

  #untie(name: string): void {
    this.#ties.get(name)?.();
    this.#ties.delete(name);
  }

  /** The recorder ends by itself. */
  #fail(error: unknown): void {
    if (this.#closing) return;
    this.#closing = (async () => {
      await this.#control?.close();
      await this.#stop();
    })();
    this.#end.reject(error);
  }

  async #start(sessions: readonly (readonly [string, Session])[]): Promise<void> {
    this.#resumption = await this.#opened();
    this.#lastKey = this.#resumption.lastKey;
    this.#known = [...this.#resumption.namespaces];
    this.#previous = new Map(
      this.#resumption.open.map((row) => [
        nameOfRow(row),
        {
          flow: {
            key: row['key'] as number,
            start: row['start'] as number,
            slack: row['sslack'] as number,
            how: row['how'] as number,
          },
          id: row['id'] as number,
          kernelStart: ((row['how'] as number) & 3) === 0 ? (row['start'] as number) : undefined,
        },
      ]),
    );
    const starting: Promise<void>[] = [];
    for (const [name, session] of sessions) {
      const namespace = this.#open(name, session);
      this.#namespaces.push(namespace);
      starting.push(namespace.start((reason) => this.#fail(reason)));
    }
    await Promise.all(starting);
    this.#begin();
  }

  /** Listens to a namespace from now on. */
  #open(name: string, session: Session): RecordedNamespace {
    const { scope = MATCH_ALL, rest } = divideByConstancy(readFilter(this.#options.filter ?? {}));
    const { signal, receiveBuffer } = this.#options;
    session.attach({ end: (reason) => this.#fail(reason), onEnd: (untie) => this.#ties.set(name, untie) }, { signal });
    return new RecordedNamespace(name, this.#numberOf(name, session), session, this.#owner, {
      scope,
      rest,
      receiveBuffer,
      signal,
    });
  }

  /** All first lists are complete. */
  #begin(): void {
    const now = microsecondsNow();
    const keys = [...this.#previous!.values()].map(({ flow }) => flow.key);
    this.#previous = undefined;
    if (keys.length > 0) this.#vanished = { keys, at: now };
    const { gap } = this.#resumption;
    if (gap) {
      const before: Gap = { everywhere: true, from: gap.from, to: now, reason: gap.reason };
      this.#gaps.unshift(before);
      this.#gapCount++;
      this.#tell({ type: 'gap', gap: before });
    }
    this.#ready = true;
    this.#deliver();
    const { sync = DEFAULTS.sync, checkpoint = DEFAULTS.checkpoint, reconcile = DEFAULTS.reconcile } = this.#options;
    const every = (seconds: number, work: () => void) => {
      this.#timers.push(setInterval(work, seconds * 1000));
    };
    every(sync === 'none' ? DEFAULTS.sync : sync, () => this.#beat());
    every(1, () => this.#lookAtClock());
    this.#checkClock();
    every(CLOCK_CHECK, () => this.#checkClock());
    every(checkpoint, () =>
      this.#try(async () => {
        if (this.#waiting > MOST_WAITING / 2) return;
        await this.#checkpoint(microsecondsNow() - checkpoint * SECOND);
      }),
    );
    every(reconcile, () =>
      this.#try(async () => {
        if (this.#waiting > MOST_WAITING / 2) return;
        await this.#reconcile();
      }),
    );
  }

  /** Hands over all flows that live and began before a time. */
  async #checkpoint(before: number): Promise<void> {
    for (const namespace of this.#namespaces) await namespace.checkpoint(before, new TimeSlice());
    this.#openTo = Math.min(before, microsecondsNow());
  }

  /** Compares all flows that live with lists. */
  async #reconcile(): Promise<void> {
    const began = microsecondsNow();
    for (const namespace of this.#namespaces) await namespace.reconcile();
    this.#seenTo = began;
  }

  #beat(): void {
    for (const namespace of this.#namespaces) namespace.drain();
    const due = microsecondsNow() - this.#deliveredAt >= HEARTBEAT * SECOND;
    if (due || this.#batch.count > 0 || this.#gaps.length > 0 || this.#clockRows.length > 0) this.#deliver();
  }

  #lookAtClock(): void {
    const { step, sleep } = this.#clock.look();
    if (sleep) this.#addGap({ everywhere: true, ...sleep, reason: 'suspended' });
    if (!step) return;
    this.#clockRows.push({ ...step, class: this.#clock.class });
    this.#tell({ type: 'clock', at: step.at, delta: step.delta });
  }

  #checkClock(): void {
    if (this.#clock.check()) this.#clockRows.push({ at: microsecondsNow(), class: this.#clock.class });
  }

  /** One after the other: two lists at a time say no more than one. */
  #exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }

  #try(work: () => Promise<void>): void {
    this.#exclusively(work).catch((error: unknown) => this.#fail(error));
  }

  #deliver(last = false): void {
    const now = microsecondsNow();
    this.#deliveredAt = now;
    const delivery: Delivery = {
      batch: this.#batch.take(),
      gaps: this.#gaps,
      vanished: this.#vanished,
      namespaces: this.#newNamespaces,
      clock: this.#clockRows,
      alive: this.#aliveNow(),
      openTo: this.#openTo,
      seenTo: this.#seenTo,
      now,
      last,
    };
    this.#gaps = [];
    this.#clockRows = [];
    this.#newNamespaces = [];
    this.#vanished = undefined;
    this.#waiting += delivery.batch.count;
    const { numbers, addresses } = delivery.batch;
    // The batch has made them: they are not shared.
    const moved = [numbers.buffer as ArrayBuffer, addresses.buffer as ArrayBuffer];
    this.#worker.postMessage({ what: 'deliver', delivery } satisfies WriterRequest, moved);
    if (this.#waiting > MOST_WAITING && !this.#paused) {
      this.#paused = true;
      for (const namespace of this.#namespaces) namespace.pause();
    }
  }

  /** Everything up to then has been read, but for gaps. */
  #aliveNow(): number | undefined {
    if (!this.#ready) return undefined;
    // A namespace that comes again has a gap of its own.
    if (this.#namespaces.length === 0) return microsecondsNow();
    return Math.min(...this.#namespaces.map(({ completeTo }) => completeTo ?? this.#since));
  }

  #ask(request: WriterRequest): void {
    this.#worker.postMessage(request);
  }

  /** Settles when the writer has opened the record. */
  #opened(): Promise<Resumption> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (news: WriterNews) => {
        if (news.what === 'opened') {
          this.#segment = news.segment;
          this.#driver = news.driver;
          resolve(news.resumption);
        } else if (news.what === 'failed') {
          const error = new WriterError(news.code, news.message, news.hint);
          reject(error);
          this.#fail(error);
        } else this.#hear(news);
      });
      this.#worker.on('error', (error) => {
        reject(error);
        this.#fail(error);
      });
    });
  }

  #hear(news: Exclude<WriterNews, { readonly what: 'opened' | 'failed' }>): void {
    switch (news.what) {
      case 'written': {
        this.#waiting -= news.asked;
        this.#recorded += news.rows;
        this.#sequence = news.sequence;
        this.#commits.count++;
        this.#commits.seconds += news.seconds;
        this.#commits.most = Math.max(this.#commits.most, news.seconds);
        for (const resolve of this.#acknowledged.splice(0)) resolve();
        if (!this.#paused || this.#waiting > MOST_WAITING / 2) return;
        this.#paused = false;
        for (const namespace of this.#namespaces) namespace.resume();
        return;
      }
      case 'trouble':
        this.#trouble = news.reason;
        this.#troubleText = news.message;
        this.#tell({ type: 'trouble', reason: news.reason, message: news.message });
        return;
      case 'well':
        this.#trouble = undefined;
        this.#troubleText = undefined;
        this.#tell({ type: 'well' });
        return;
      case 'segment':
        this.#segment = news.name;
        this.#tell({ type: 'segment', name: news.name });
        return;
      case 'sealed':
        this.#tell({ type: 'sealed', name: news.name, rows: news.rows });
        return;
      case 'deleted':
        this.#tell({ type: 'deleted', name: news.name, reason: news.reason });
        return;
      case 'rotated':
        this.#rotated.shift()?.({ closed: news.closed });
        return;
      case 'replaced':
        this.#replaced.shift()?.(news.problem === undefined ? { replaced: news.name } : { problem: news.problem });
        return;
      case 'warning':
        this.#tell({ type: 'warning', message: news.message });
        return;
      case 'closed':
        return;
    }
  }

  #tell(event: RecorderEvent): void {
    try {
      this.#options.onEvent?.(event);
    } catch (error) {
      this.#fail(error);
    }
  }

  #addGap(gap: Gap): void {
    this.#gaps.push(gap);
    this.#gapCount++;
    this.#tell({ type: 'gap', gap });
  }

  readonly #adopt = (name: string, id: number, start: number | undefined): AdoptedFlow | undefined => {
    const found = this.#previous?.get(name);
    if (!found || found.id !== id) return undefined;
    if (start !== undefined && found.kernelStart !== undefined && start !== found.kernelStart) return undefined;
    this.#previous!.delete(name);
    return found.flow;
  };

  /** Namespaces have numbers, which they keep as long as they live. */
  #numberOf(name: string, session: Session): number {
    if (name === OWN) return 0;
    const inode = session.table.place.namespace?.inode ?? 0;
    const known = this.#known.find((row) => row.name === name && row.inode === inode);
    if (known) return known.number;
    const number = Math.max(0, ...this.#known.map((row) => row.number)) + 1;
    const row = { number, name, inode, first: microsecondsNow() };
    this.#known.push(row);
    this.#newNamespaces.push(row);
    return number;
  }

  #serve(control: ControlSocket): void {
    this.#control = control;
    control.serve(async ({ request, entry: asked }) => {
      switch (request) {
        case 'flush':
          return { completeTo: await this.flush() };
        case 'status':
          return { ...this.status };
        case 'rotate':
          return new Promise((resolve) => this.#rotate(resolve));
        case 'replace': {
          const entry = rewrittenEntry(asked);
          if (!entry) break;
          this.#ask({ what: 'replace', entry });
          return new Promise((resolve) => this.#replaced.push(resolve));
        }
      }
      return { error: { code: 'REQUEST', message: 'no such request' } };
    });
  }
}

/** Milliseconds for a thread that waits for the disk. */
const PATIENCE = 10_000;

/** Ends the writing thread. A thread that is stopped in the middle of native code may take the process with it: that comes last. */
async function endWorker(worker: Worker): Promise<void> {
  if (worker.threadId < 0) return; // it has ended
  const exited = exitOf(worker);
  worker.postMessage({ what: 'abandon' } satisfies WriterRequest);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([exited, new Promise<void>((resolve) => (timer = setTimeout(resolve, PATIENCE)))]);
  clearTimeout(timer);
  await worker.terminate();
}

function exitOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => worker.once('exit', () => resolve()));
}

/** What the writing thread could not do. */
class WriterError extends ConntrackError {
  readonly code: string;

  constructor(code: string, message: string, hint: string | undefined) {
    super(`cannot write the record: ${message}`, { hint });
    this.code = code;
  }
}

const OWN = 'own';

function sessionsOf(tables: RecordedTables): readonly (readonly [string, Session])[] {
  const named = tables instanceof Conntrack ? [[OWN, tables] as const] : [...tables];
  if (named.length === 0) throw new ValueError('there is no table to record');
  return named.map(([name, conntrack]) => [name, sessionOf(conntrack)] as const);
}

function check({ dir, keep, sync, checkpoint, reconcile, segmentRows, segmentAge, minFree, maxSize }: RecordOptions): void {
  if (typeof dir !== 'string' || dir === '') throw new ValueError('a record needs a directory');
  const within = (name: string, value: number | undefined, least: number, most: number) => {
    if (value !== undefined && !(value >= least && value <= most))
      throw new ValueError(`${name} is not within ${least} and ${most}`);
  };
  if (typeof keep !== 'number' || !(keep > 0))
    throw new ValueError('how long records are kept must be said', { hint: 'keep: seconds, or Infinity' });
  if (sync !== 'none') within('sync', sync, 0.1, 3600);
  within('checkpoint', checkpoint, 0.1, 86_400);
  within('reconcile', reconcile, 0.1, 86_400);
  within('segmentRows', segmentRows, 1, 1e9);
  within('segmentAge', segmentAge, 1, 366 * 86_400);
  within('minFree', minFree, 0, 1);
  within('maxSize', maxSize, 1, Number.MAX_SAFE_INTEGER);
}

function writerData(options: RecordOptions, session: Session): WriterData {
  const { dir, keep, sync, segmentRows, segmentAge, maxSize, minFree, onSeal, noDestination = false, filter } = options;
  const { namespace } = session.table.place;
  const sysctls = Object.fromEntries(
    SYSCTLS.map((name) => {
      const text = readIn(namespace, `/proc/sys/net/netfilter/nf_conntrack_${name}`);
      return [name, text === undefined ? undefined : Number(text)];
    }),
  );
  const text = filter === undefined ? '' : formatFilter(filter);
  const row: SessionRow = {
    from: microsecondsNow(),
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    ...(text === '' ? {} : { filter: text }),
    sysctls,
    options: { keep: Number.isFinite(keep) ? keep : 'forever', sync, maxSize, minFree, noDestination },
    version: versionOf(),
    noDestination,
  };
  return {
    directory: dir,
    sync: sync === 'none' ? 'none' : 'full',
    segmentRows: segmentRows ?? DEFAULTS.segmentRows,
    segmentAge: (segmentAge ?? DEFAULTS.segmentAge) * SECOND,
    session: row,
    ...(Number.isFinite(keep) ? { keep: keep * SECOND } : {}),
    maxSize,
    minFree: minFree ?? DEFAULTS.minFree,
    onSeal,
    launcher: options.launcher ?? launcher(),
  };
}

/** Starts `conntrack` in a process of its own. */
function launcher(): readonly string[] {
  const { execPath } = process;
  return [execPath, new URL('../../bin/conntrack', import.meta.url).pathname];
}

function versionOf(): string {
  try {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    return (JSON.parse(text) as { readonly version: string }).version;
  } catch {
    return 'unknown';
  }
}

function microsecondsNow(): number {
  return Date.now() * 1000;
}

function isAtLeast(release: string, major: number, minor: number): boolean {
  const [own = 0, ownMinor = 0] = release.split('.').map(Number);
  return own > major || (own === major && ownMinor >= minor);
}
