// Collector: reads the records of hosts from the stream of the servers into copies, and answers questions about them. It keeps its position
// itself: the servers keep none of it.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isSqliteError } from '../history/driver/sqlite-errors.js';
import { H } from './bodies.js';
import type { Bus, FollowedMessage } from './bus.js';
import { RevisionError } from './bus.js';
import { formatShards } from './collected.js';
import { CollectedPast } from './collected-past.js';
import type { CollectorStore } from './collector-store.js';
import { type CollectorValue, readCollectorValue } from './collector-value.js';
import { FleetError, OTHER_KEY } from './fleet-error.js';
import { ALIVE, HEARTBEAT } from './inventory.js';
import { COLLECTOR_OPERATIONS } from './operations.js';
import { QueryAgent } from './query-agent.js';
import { readRecords, sourceOf } from './record-message.js';
import { COLLECTORS_BUCKET, checkName, RECORD_STREAM, SHARDS, shardOf, subjects } from './subjects.js';

/** How a collector runs. */
export interface CollectorOptions {
  readonly bus: Bus;
  readonly name: string;
  readonly shards: readonly number[];
  readonly store: CollectorStore;
  /** Where messages that cannot be read are kept. */
  readonly bad: string;
  /** Makes what the servers lack: only where they need no keys. */
  readonly prepare?: (() => Promise<unknown>) | undefined;
  readonly takeOver?: boolean | undefined;
  readonly version: string;
  readonly pid: number;
  readonly tell: (line: string) => void;
}

/** What a collector has done. */
export interface CollectorStatus {
  readonly messages: number;
  readonly rows: number;
  /** Records that came more than once. */
  readonly known: number;
  /** Records that never came, of which nobody said so. */
  readonly missing: number;
  /** Messages that could not be read, and columns of newer versions that were left out. */
  readonly bad: number;
  readonly unknownColumns: number;
  /** Messages that wait. */
  readonly lag: number;
  /** What waits for each reader: a shard, or all of them. */
  readonly lags: ReadonlyMap<string, ReaderLag>;
  /** Records that were written, by shard. */
  readonly applied: ReadonlyMap<string, number>;
  /** Up to when the slowest record of each shard is known: microseconds since the epoch. */
  readonly until: ReadonlyMap<string, number>;
  readonly copies: number;
  /** Milliseconds since the servers confirmed that it is there; `undefined`: never. */
  readonly heartbeat: number | undefined;
  /** What keeps it from reading or writing at the moment. */
  readonly trouble?: string | undefined;
}

/** What a reader has before it. */
export interface ReaderLag {
  readonly messages: number;
  /** For how long the first of them has been there; 0 if there is none. */
  readonly milliseconds: number;
}

const PAUSE = 300;
const LONGEST_PAUSE = 5000;
/** Milliseconds between two versions of the position, and between two waits for the disk. */
const KEEP = 1000;
const SYNC = 300_000;
const TIDY = 3_600_000;
/** Milliseconds for a turn of other work. */
const TURN = 20;
const MOST_BAD = 100;
const DRAINING = 5000;
const RETRY = 2000;
/** Milliseconds after which a reader that has heard of nothing wrong reads. */
const READS = 3000;
/** A hole is believed when it is still there after so many readings: a server that has just come back may leave something out. */
const DOUBTS = 5;
/** The reader of all shards. */
const ALL = 'all';

/** What can be wrong; each is told once, and over by itself. */
type Part = 'reading' | 'writing' | 'position' | 'disk' | 'heartbeat';

export class Collector implements AsyncDisposable {
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>;
  readonly #options: CollectorOptions;
  readonly #instance = randomBytes(8).toString('hex');
  readonly #abort = new AbortController();
  readonly #queries: QueryAgent;
  #fail!: (error: unknown) => void;
  #readers: Promise<void>[] = [];
  #timers: NodeJS.Timeout[] = [];
  #revision = 0;
  #state: CollectorValue['state'] = 'up';
  #counts = { messages: 0, rows: 0, known: 0, missing: 0, bad: 0, unknownColumns: 0 };
  /** Of each reader: messages that wait, and when the servers took the first of them. */
  #waiting = new Map<string, { messages: number; since: number }>();
  #applied = new Map<string, number>();
  #troubles = new Map<string, string>();
  #beaten: number | undefined;
  #turn = performance.now();
  #moved = false;
  #syncing = false;
  #stopped: Promise<void> | undefined;

  private constructor(options: CollectorOptions) {
    this.#options = options;
    const { bus, name, store, shards, tell } = options;
    this.#queries = new QueryAgent(
      bus,
      { host: name, site: '', instance: this.#instance, collector: true },
      { conntracks: new Map(), several: false, past: new CollectedPast(() => store.stored(), shards) },
      () => this.#value(),
      tell,
    );
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {}); // whoever wants to know asks
  }

  /** Claims the name and reads from then on. @throws FleetError `NAME_TAKEN`, `NOT_SET_UP`, `UNAUTHORISED` */
  static async start(options: CollectorOptions): Promise<Collector> {
    checkName('the collector', options.name);
    const collector = new Collector(options);
    for (let tries = 0; ; tries++)
      try {
        await options.prepare?.();
        await collector.#claim();
        break;
      } catch (error) {
        // A server that has come back may not know yet what was written last.
        const isStale = error instanceof RevisionError;
        if (!isStale && (!(error instanceof FleetError) || error.code !== 'UNAVAILABLE')) throw error;
        if (tries === 0) options.tell(`${isStale ? 'the servers do not agree yet' : error.message}; it goes on trying`);
        await sleep(RETRY);
      }
    collector.#queries.start((reason) => collector.#fail(new FleetError('UNAUTHORISED', reason, { hint: OTHER_KEY })));
    await options.bus.flush();
    collector.#begin();
    return collector;
  }

  get status(): CollectorStatus {
    const { store } = this.#options;
    const now = Date.now();
    const lags = new Map<string, ReaderLag>();
    for (const [shard, { messages, since }] of this.#waiting)
      lags.set(shard, { messages, milliseconds: messages > 0 ? Math.max(0, now - since) : 0 });
    return {
      ...this.#counts,
      lag: [...lags.values()].reduce((sum, { messages }) => sum + messages, 0),
      lags,
      applied: this.#applied,
      until: store.untilByShard(),
      copies: store.copies,
      heartbeat: this.#beaten === undefined ? undefined : performance.now() - this.#beaten,
      trouble: this.#troubles.values().next().value,
    };
  }

  /** Ends, with all that was read on the disk. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#abort.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.#queries.stop(DRAINING), ...this.#readers]);
    await this.#options.store.close();
    this.#state = 'stopped';
    if (this.#options.bus.connected) await this.#beat();
  }

  #begin(): void {
    const { shards, store } = this.#options;
    // The servers filter by one subject for each reader.
    const readers = shards.length === SHARDS ? [shards] : shards.map((shard) => [shard]);
    this.#readers = readers.map((some) => this.#read(some));
    const every = (milliseconds: number, work: () => unknown) => {
      this.#timers.push(setInterval(() => void work(), milliseconds));
    };
    every(HEARTBEAT, () => this.#beat());
    every(KEEP, () => this.#keep());
    every(SYNC, () => this.#sync());
    every(TIDY, () => store.tidy());
  }

  #keep(): void {
    if (!this.#moved) return;
    this.#moved = false;
    try {
      this.#options.store.keepPosition();
      this.#fine('position');
    } catch (error) {
      // It is older then: more is read again than had to be.
      this.#moved = true;
      this.#say('position', `cannot write the position: ${(error as Error).message}`);
    }
  }

  async #sync(): Promise<void> {
    if (this.#syncing) return;
    this.#syncing = true;
    try {
      await this.#options.store.sync();
      this.#fine('disk');
    } catch (error) {
      this.#say('disk', `cannot wait for the disk: ${(error as Error).message}`);
    } finally {
      this.#syncing = false;
    }
  }

  /** Reads the messages of some shards, for ever. */
  async #read(shards: readonly number[]): Promise<void> {
    const { bus, store } = this.#options;
    const { signal } = this.#abort;
    const shard = shards.length === SHARDS ? ALL : `${shards[0]}`.padStart(2, '0');
    const subject = subjects.record(shard === ALL ? '*' : shard, '*', '*');
    let doubts = 0;
    for (let pause = PAUSE; !signal.aborted; pause = Math.min(LONGEST_PAUSE, 2 * pause))
      try {
        let trusts = doubts >= DOUBTS;
        const stream = await bus.streamState(RECORD_STREAM);
        if (!stream) throw new FleetError('NOT_SET_UP', 'the servers have no stream of records: conntrack fleet setup makes it');
        store.begin(stream.created);
        // Of what was deleted meanwhile nobody waits for more.
        const from = Math.max(store.from(stream.created, shards), Math.min(stream.first, stream.last + 1));
        if (stream.last < from) this.#waiting.set(shard, { messages: 0, since: 0 });
        const reads = setTimeout(() => this.#fine('reading', shard), READS);
        try {
          for await (const message of bus.followStream(RECORD_STREAM, { subject, from, signal })) {
            this.#waiting.set(shard, { messages: message.pending + 1, since: message.at });
            if (!(await this.#take(message, trusts))) {
              doubts++;
              break;
            }
            if (signal.aborted) return;
            doubts = 0;
            if (message.pending === 0) trusts = false;
            store.taken(shards, message.sequence);
            this.#moved = true;
            this.#waiting.set(shard, { messages: message.pending, since: message.at });
            pause = PAUSE;
            await this.#giveTurn();
          }
        } finally {
          clearTimeout(reads);
        }
        if (!signal.aborted) await sleep(pause, undefined, { signal }).catch(() => {});
      } catch (error) {
        if (!(error instanceof FleetError)) {
          this.#fail(error);
          return;
        }
        this.#say('reading', error.message, shard);
        await sleep(pause, undefined, { signal }).catch(() => {});
      }
  }

  /** Questions and heartbeats are not kept waiting by a stream that is read from its beginning. */
  async #giveTurn(): Promise<void> {
    if (performance.now() - this.#turn < TURN) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turn = performance.now();
  }

  /**
   * Takes a message: it is in a copy then, or cannot be. `trusts`: if records lack before it, they never come.
   * @returns false if it is to be read again, with what may be before it
   */
  async #take(message: FollowedMessage, trusts: boolean): Promise<boolean> {
    const { store } = this.#options;
    this.#counts.messages++;
    const source = sourceOf(message.subject);
    if (!source) return this.#keptBad(message, 'its subject is nobody’s');
    let part: ReturnType<typeof readRecords>;
    try {
      part = readRecords(message);
    } catch (error) {
      if (!(error instanceof FleetError)) throw error;
      store.noteDamage(source.host, message.header(H.recorder));
      return this.#keptBad(message, `${source.host}: ${error.message}`);
    }
    for (let pause = PAUSE; !this.#abort.signal.aborted; pause = Math.min(LONGEST_PAUSE, 2 * pause))
      try {
        if (!trusts && store.missingBefore(source.host, part) > 0) return false;
        const { rows, known, missing } = store.take(source.host, part);
        this.#fine('writing');
        const shard = shardOf(source.host);
        this.#applied.set(shard, (this.#applied.get(shard) ?? 0) + rows);
        this.#counts.rows += rows;
        this.#counts.known += known;
        this.#counts.missing += missing;
        this.#counts.unknownColumns += part.unknown;
        if (missing > 0) this.#options.tell(`${source.host}: ${missing} records never came`);
        return true;
      } catch (error) {
        if (error instanceof FleetError) return this.#keptBad(message, error.message);
        const { code } = error as NodeJS.ErrnoException;
        const waits =
          isSqliteError(error, 'SQLITE_FULL', 'SQLITE_BUSY', 'SQLITE_CANTOPEN') || code === 'ENOSPC' || code === 'EDQUOT';
        if (!waits) throw error;
        // The servers keep what is not taken.
        this.#say('writing', `cannot write: ${(error as Error).message}`);
        await sleep(pause, undefined, { signal: this.#abort.signal }).catch(() => {});
      }
    return false;
  }

  /** A message that cannot be read is kept, so that somebody can look at it. @returns true: there is no more to it */
  #keptBad({ sequence, subject, data }: FollowedMessage, why: string): true {
    const { bad, tell } = this.#options;
    this.#counts.bad++;
    tell(`message ${sequence} cannot be read: ${why}`);
    try {
      mkdirSync(bad, { recursive: true, mode: 0o750 });
      const path = `${bad}/${sequence}`;
      if (readdirSync(bad).length >= 2 * MOST_BAD || existsSync(path)) return true;
      writeFileSync(path, data, { mode: 0o640 });
      writeFileSync(`${path}.txt`, `${JSON.stringify({ subject, why })}\n`, { mode: 0o640 });
    } catch (error) {
      tell(`cannot keep it: ${(error as Error).message}`);
    }
    return true;
  }

  /** Something is wrong: it is told when it begins. Of `shard`, if several read. */
  #say(part: Part, trouble: string, shard = ''): void {
    if (![...this.#troubles.values()].includes(trouble)) this.#options.tell(trouble);
    this.#troubles.set(part + shard, trouble);
  }

  /** That is over. */
  #fine(part: Part, shard = ''): void {
    if (!this.#troubles.delete(part + shard)) return;
    if (this.#troubles.size === 0) this.#options.tell('goes on');
  }

  #value(): CollectorValue {
    const { name, version, pid, shards, store } = this.#options;
    const { lag, lags, copies, rows } = this.status;
    return {
      v: 1,
      name,
      state: this.#state,
      instance: this.#instance,
      pid,
      agent: version,
      features: [...COLLECTOR_OPERATIONS, 'jc1'],
      shards: formatShards(shards),
      lag,
      late: [...lags.values()].reduce((most, { milliseconds }) => Math.max(most, Math.round(milliseconds)), 0),
      copies,
      rows,
      until: store.until() ?? 0,
    };
  }

  async #claim(): Promise<void> {
    const { bus, name, takeOver = false } = this.#options;
    const entry = await bus.readKey(COLLECTORS_BUCKET, name);
    const before = entry && readCollectorValue(entry);
    const age = entry ? Math.abs(Date.now() - entry.at) : Number.POSITIVE_INFINITY;
    const gone = before && before.pid !== this.#options.pid && !existsSync(`/proc/${before.pid}`);
    if (before && !takeOver && before.state === 'up' && age < ALIVE && !gone)
      throw new FleetError('NAME_TAKEN', `another collector named ${name} is alive (${Math.round(age / 1000)} s ago)`, {
        hint: 'give this one another --name; --take-over if that is this one',
      });
    this.#revision = entry?.revision ?? 0;
    await this.#write();
  }

  async #beat(): Promise<void> {
    try {
      await this.#write();
      this.#fine('heartbeat');
    } catch (error) {
      if (error instanceof RevisionError) {
        const entry = await this.#options.bus.readKey(COLLECTORS_BUCKET, this.#options.name).catch(() => undefined);
        const other = entry && readCollectorValue(entry);
        this.#revision = entry?.revision ?? 0;
        if (other && other.instance !== this.#instance)
          this.#fail(new FleetError('NAME_TAKEN', `another collector has taken the name ${this.#options.name}`));
      } else if (error instanceof FleetError) this.#say('heartbeat', `no heartbeat: ${error.message}`);
      else throw error;
    }
  }

  async #write(): Promise<void> {
    const { bus, name } = this.#options;
    const value = new TextEncoder().encode(JSON.stringify(this.#value()));
    this.#revision = await bus.writeKey(COLLECTORS_BUCKET, name, value, this.#revision);
    this.#beaten = performance.now();
  }
}
