// FlowRecorder: records every flow of one network namespace or several, a row for each life, in a directory. The thread that calls it reads
// events and never waits for the disk; a second one writes.

import { release } from 'node:os';
import { Worker } from 'node:worker_threads';
import { divideByConstancy } from '../ctnetlink/filter/compile.js';
import { MATCH_ALL } from '../ctnetlink/filter/condition.js';
import { ValueError } from '../errors.js';
import { Conntrack, readFilter, type Session, sessionOf, TimeSlice } from '../library/index.js';
import { ClockWatch } from './clock-watch.js';
import { ControlSocket } from './control-socket.js';
import type { ClockRow, Delivery, NamespaceRow } from './delivery.js';
import { rewrittenEntry } from './forget-flows.js';
import { BATCH_ROWS, nameOfRow, RecordBatch } from './record-batch.js';
import type { GapReason } from './record-columns.js';
import type { Resumption } from './record-writer.js';
import { type AdoptedFlow, type Gap, type NamespaceOwner, RecordedNamespace } from './recorded-namespace.js';
import {
  checkOptions,
  DEFAULTS,
  type RecorderEvent,
  type RecorderStatus,
  type RecordOptions,
  versionOf,
  writerData,
} from './recorder-options.js';
import { makeDirectory } from './segment-files.js';
import { MOST_WAITING, type WriterAnswer, WriterLink } from './writer-link.js';
import { WRITER_THREAD } from './writer-location.js';

/** The table of one network namespace, or those of several by name; the recorder's own is called `own`. */
export type RecordedTables = Conntrack | ReadonlyMap<string, Conntrack>;

const SECOND = 1_000_000;
/** Seconds between commits when nothing happens. */
const HEARTBEAT = 10;
/** Seconds between two questions how well the clock is kept. */
const CLOCK_CHECK = 60;

/** Records flows until it is closed. `openRecorder` makes one. */
export class FlowRecorder {
  readonly #options: RecordOptions;
  readonly #since = microsecondsNow();
  readonly #writer: WriterLink;
  readonly #namespaces: RecordedNamespace[] = [];
  /** What ties the recorder to each table, by name. */
  readonly #ties = new Map<string, () => void>();
  readonly #batch = new RecordBatch();
  readonly #owner: NamespaceOwner;
  readonly #clock = new ClockWatch();
  readonly #timers: NodeJS.Timeout[] = [];
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
  #gapCount = 0;
  readonly #gapReasons: Partial<Record<GapReason, number>> = {};
  #busy: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #end!: { readonly resolve: () => void; readonly reject: (reason: unknown) => void };
  /** Settles when the recorder has ended; rejects when it ended by itself. */
  readonly ended: Promise<void>;

  private constructor(options: RecordOptions, worker: Worker) {
    this.#options = options;
    this.#writer = new WriterLink(worker, {
      event: (event) => this.#tell(event),
      failed: (error) => this.#fail(error),
      full: () => {
        for (const namespace of this.#namespaces) namespace.pause();
      },
      drained: () => {
        for (const namespace of this.#namespaces) namespace.resume();
      },
    });
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
        return recorder.#writer.isFull ? (recorder.#writer.trouble ?? 'slow-disk') : undefined;
      },
      withId: options.withId ?? false,
      noDestination: options.noDestination ?? false,
      tellsReasons: isAtLeast(release(), 5, 11),
    };
  }

  /** Begins; settles when the first list is complete. @throws ValueError, HistoryError, what `watch` throws */
  static async open(tables: RecordedTables, options: RecordOptions): Promise<FlowRecorder> {
    checkOptions(options);
    const sessions = sessionsOf(tables);
    for (const [, session] of sessions) session.table.count(); // without rights nothing is left behind
    makeDirectory(options.dir);
    const control = await ControlSocket.open(options.dir);
    let recorder: FlowRecorder | undefined;
    try {
      const worker = new Worker(WRITER_THREAD, { workerData: writerData(options, sessions[0]![1], microsecondsNow()) });
      recorder = new FlowRecorder(options, worker);
      await recorder.#start(sessions);
      recorder.#serve(control);
      return recorder;
    } catch (error) {
      await control.close();
      if (recorder) await recorder.#writer.end();
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
    const { class: quality, error } = this.#clock;
    const { segment, sequence, recorded, waiting, troubleText, commits, driver, files } = this.#writer;
    return {
      dir: this.#options.dir,
      recorder: this.#resumption.recorder,
      since: this.#since,
      ...(alive === undefined ? {} : { alive }),
      segment,
      sequence,
      recorded,
      gaps: this.#gapCount,
      gapReasons: { ...this.#gapReasons },
      waiting,
      ...(troubleText === undefined ? {} : { trouble: troubleText }),
      commits: { ...commits },
      netns: this.#namespaces.map(({ name, flows, lost, receiveBuffer }) => ({ name, open: flows.count, lost, receiveBuffer })),
      driver,
      ...(files ? { files } : {}),
      ...(error && quality !== undefined ? { clock: { quality, synchronised: error.synchronised, mostError: error.most } } : {}),
      version: versionOf(),
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
    this.#deliver();
    await this.#writer.written();
    return this.#aliveNow() ?? this.#since;
  }

  /** Ends the hot segment, which is sealed then, and begins another. */
  rotate(): void {
    void this.#rotate();
  }

  #rotate(): Promise<WriterAnswer> {
    this.#deliver();
    return this.#writer.rotate(microsecondsNow());
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
      this.#deliver({ last: true });
      await this.#writer.close();
    } finally {
      await this.#stop();
    }
    this.#end.resolve();
  }

  async #stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const { name } of this.#namespaces) this.#untie(name);
    for (const namespace of this.#namespaces) namespace.close();
    await this.#writer.end();
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
    this.#resumption = await this.#writer.opened();
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
      this.#count(before);
    }
    this.#ready = true;
    this.#deliver(gap ? {} : { ready: now });
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
        if (this.#writer.waiting > MOST_WAITING / 2) return;
        await this.#checkpoint(microsecondsNow() - checkpoint * SECOND);
      }),
    );
    every(reconcile, () =>
      this.#try(async () => {
        if (this.#writer.waiting > MOST_WAITING / 2) return;
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
    for (const namespace of this.#namespaces) namespace.clockSet();
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

  #deliver(more: Pick<Delivery, 'last' | 'ready'> = {}): void {
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
      ...more,
    };
    this.#gaps = [];
    this.#clockRows = [];
    this.#newNamespaces = [];
    this.#vanished = undefined;
    this.#writer.deliver(delivery);
  }

  /** Everything up to then has been read, but for gaps. */
  #aliveNow(): number | undefined {
    if (!this.#ready) return undefined;
    // A namespace that comes again has a gap of its own.
    if (this.#namespaces.length === 0) return microsecondsNow();
    return Math.min(...this.#namespaces.map(({ completeTo }) => completeTo ?? this.#since));
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
    this.#count(gap);
  }

  #count(gap: Gap): void {
    this.#gapCount++;
    this.#gapReasons[gap.reason] = (this.#gapReasons[gap.reason] ?? 0) + 1;
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
          return this.#rotate();
        case 'replace': {
          const entry = rewrittenEntry(asked);
          if (!entry) break;
          return this.#writer.replace(entry);
        }
      }
      return { error: { code: 'REQUEST', message: 'no such request' } };
    });
  }
}

const OWN = 'own';

function sessionsOf(tables: RecordedTables): readonly (readonly [string, Session])[] {
  const named = tables instanceof Conntrack ? [[OWN, tables] as const] : [...tables];
  if (named.length === 0) throw new ValueError('there is no table to record');
  return named.map(([name, conntrack]) => [name, sessionOf(conntrack)] as const);
}

function microsecondsNow(): number {
  return Date.now() * 1000;
}

function isAtLeast(release: string, major: number, minor: number): boolean {
  const [own = 0, ownMinor = 0] = release.split('.').map(Number);
  return own > major || (own === major && ownMinor >= minor);
}
