// Answers queries about the tables of this host.

import type { View } from '../ctnetlink/view.js';
import { ConntrackError } from '../errors.js';
import { type Conntrack, readFilter, sessionOf, TimeSlice } from '../library/index.js';
import { checkGrouping, GROUP_SORTS, type GroupSort, usage } from '../meter/index.js';
import { processorTime } from '../meter/processor-time.js';
import { H, numberHeader, READS_COLUMNS, unpackJson } from './bodies.js';
import type { Bus, BusMessage, BusSubscription } from './bus.js';
import { DumpBudget } from './dump-budget.js';
import { sendEvents } from './events-agent.js';
import { FleetError } from './fleet-error.js';
import { MAX_ROWS, Nl1Writer } from './nl1.js';
import { COLLECTOR_OPERATIONS, OPERATIONS, type Operation, operationsOf, type QueryBody, readQuestion } from './operations.js';
import { answerHistory, answerRecords } from './past-agent.js';
import { readPastQuestion } from './past-question.js';
import type { PastSource } from './past-source.js';
import { flowPieces } from './pieces.js';
import { QueryEnd, RunningQuery } from './running-query.js';
import { EVERY, readReply, subjects } from './subjects.js';

/** Queries that may run, without watches, those of them that read a table, and queries that may wait. */
const MOST_RUNNING = 16;
const MOST_DUMPS = 2;
/** Watches on events, which go on until whoever asked has enough. */
const MOST_WATCHES = 8;
const MOST_WAITING = 64;
/** Operations that cost a host so much that few of them run at a time. */
const DUMPS: ReadonlySet<string> = new Set<Operation>(['list', 'top', 'whohad', 'history']);
/** Milliseconds that flows of the past wait for their turn to be taken: those of others may be older. */
const PAST_PATIENCE = 3_600_000;
/** Groups of one answer. */
const MOST_GROUPS = 1000;
/** Rows of the first message where a second one may follow at once: they are there early, and compile the code that takes the others. */
const FIRST_ROWS = 256;
const MOST_DEADLINE = 86_400_000;

/** The tables of this host. */
export interface AgentTables {
  /** By the names of their network namespaces. */
  readonly conntracks: ReadonlyMap<string, Conntrack>;
  /** Whether there may be several: then answers name the namespace. */
  readonly several: boolean;
  /** Asks the record of this host, if it keeps one. */
  readonly past?: PastSource | undefined;
}

/** Who answers. */
export interface AgentIdentity {
  readonly host: string;
  readonly site: string;
  readonly instance: string;
  /** It has no table: it answers for the records of others. */
  readonly collector?: boolean | undefined;
}

/** What was asked so far. */
export interface QueryCounts {
  readonly asked: number;
  readonly failed: number;
  readonly rows: number;
  readonly running: number;
  /** Those that ended, by `OPERATION RESULT`; a result is `ok`, why it ended early, or the code of an error. */
  readonly queries: ReadonlyMap<string, number>;
  /** What those took, together, from receipt to end. */
  readonly milliseconds: number;
}

interface WaitingQuery {
  readonly query: RunningQuery;
  readonly body: QueryBody;
  readonly dumps: boolean;
  readonly watches?: boolean;
}

export class QueryAgent {
  readonly #bus: Bus;
  readonly #identity: AgentIdentity;
  readonly #tables: AgentTables;
  readonly #describe: () => unknown;
  readonly #tell: (line: string) => void;
  readonly #budget = new DumpBudget(() => performance.now());
  readonly #running = new Map<string, RunningQuery>();
  #waiting: WaitingQuery[] = [];
  #started = 0;
  #dumps = 0;
  #asked = 0;
  readonly #ended = new Map<string, number>();
  #milliseconds = 0;
  #failed = 0;
  #rows = 0;
  #entries = 0;
  #subscriptions: BusSubscription[] = [];
  #endFollowing = () => {};
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;

  /** `describe`: what `ping` is answered. */
  constructor(bus: Bus, identity: AgentIdentity, tables: AgentTables, describe: () => unknown, tell: (line: string) => void) {
    this.#bus = bus;
    this.#identity = identity;
    this.#tables = tables;
    this.#describe = describe;
    this.#tell = tell;
  }

  get counts(): QueryCounts {
    return {
      asked: this.#asked,
      failed: this.#failed,
      rows: this.#rows,
      running: this.#running.size,
      queries: this.#ended,
      milliseconds: this.#milliseconds,
    };
  }

  /** Begins to listen. `refused` is told if the servers do not allow it. */
  start(refused: (reason: string) => void): void {
    const { host, site, collector } = this.#identity;
    const take = (message: BusMessage) => this.#take(message);
    const heard = collector
      ? [subjects.history(host, '*')]
      : [subjects.query(EVERY, EVERY, '*'), subjects.query(site, EVERY, '*'), subjects.query(site, host, '*')];
    this.#subscriptions = [
      ...heard.map((subject) => this.#bus.subscribe(subject, take, refused)),
      this.#bus.subscribe(subjects.flow(host, '*'), (message) => this.#hear(message), refused),
    ];
    // What was under way may be lost, and so may credits: who asked is told now, not when its patience ends.
    this.#endFollowing = this.#bus.onConnection((what) => {
      if (what !== 'back') return;
      for (const query of this.#running.values()) if (query.isPartial || query.op === 'events') query.stop('interrupted');
    });
    this.#timer = setInterval(() => {
      for (const query of this.#running.values()) query.look();
    }, 1000);
    this.#timer.unref();
  }

  /** Takes no more queries; those that run have `patience` milliseconds to end. */
  async stop(patience: number): Promise<void> {
    const [flow, ...queries] = [...this.#subscriptions].reverse();
    for (const subscription of queries) subscription.unsubscribe();
    for (const { query } of this.#waiting.splice(0)) this.#over(query, () => query.endEarly('cancelled'), 'cancelled');
    for (const query of this.#running.values()) if (query.op === 'events') query.stop('cancelled');
    const until = performance.now() + patience;
    while (this.#running.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const query of this.#running.values()) query.stop('cancelled');
    for (let turns = 0; this.#running.size > 0 && turns < 50; turns++) await new Promise((resolve) => setTimeout(resolve, 20));
    flow?.unsubscribe();
    this.#endFollowing();
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
  }

  #take(message: BusMessage): void {
    const asker = readReply(message.reply);
    if (!asker || this.#running.has(asker.qid)) return;
    const { host, instance } = this.#identity;
    const op = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const terms = {
      deadline: op === 'events' ? Number.POSITIVE_INFINITY : numberHeader(message, H.deadline, 5000, 1, MOST_DEADLINE),
      inline: numberHeader(message, H.inline, 16_384, 0, 131_072),
      credit: numberHeader(message, H.credit, 0, 0, 64),
      columns: message.header(H.reads) === READS_COLUMNS,
    };
    this.#asked++;
    const query = new RunningQuery(this.#bus, {
      qid: asker.qid,
      user: asker.user,
      op,
      subject: subjects.answer(message.reply!, host),
      instance,
      terms,
      entries: () => this.#entries,
      ...(op === 'history' ? { patience: PAST_PATIENCE } : {}),
      needsAsker: op === 'events',
      waits: (waiting) => {
        if (op === 'events') return;
        this.#dumps += waiting ? -1 : 1;
        this.#pump();
      },
    });
    this.#running.set(asker.qid, query);
    try {
      const body = readQuestion(op, message, this.#identity.collector ? COLLECTOR_OPERATIONS : operationsOf(this.#tables));
      const dumps = !this.#identity.collector && (DUMPS.has(op) || (op === 'count' && (body.filter ?? body.by) !== undefined));
      if (op === 'events') {
        if ([...this.#running.values()].filter((one) => one.op === op).length > MOST_WATCHES)
          throw new FleetError('OVERLOADED', `${MOST_WATCHES} watch the events of this host already`);
        void this.#run({ query, body, dumps, watches: true });
        return;
      }
      if (this.#waiting.length >= MOST_WAITING)
        throw new FleetError('OVERLOADED', `${MOST_WAITING} queries wait already`, { hint: 'ask again in some seconds' });
      this.#waiting.push({ query, body, dumps });
    } catch (error) {
      this.#fail(query, error);
      return;
    }
    this.#pump();
  }

  #hear(message: BusMessage): void {
    const qid = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const query = this.#running.get(qid);
    if (!query || message.data.length > 1024) return;
    try {
      const told: unknown = unpackJson(message);
      if (typeof told === 'object' && told !== null) query.hear(told);
    } catch (error) {
      this.#tell(`a credit that cannot be read: ${(error as Error).message}`);
    }
  }

  /** Begins what may begin. */
  #pump(): void {
    for (let i = 0; i < this.#waiting.length && this.#started < MOST_RUNNING; ) {
      const next = this.#waiting[i]!;
      if (next.dumps) {
        const { wait } = this.#budget;
        if (this.#dumps >= MOST_DUMPS || wait > 0) {
          if (wait > 0 && this.#retry === undefined)
            this.#retry = setTimeout(() => {
              this.#retry = undefined;
              this.#pump();
            }, wait);
          i++;
          continue;
        }
      }
      this.#waiting.splice(i, 1);
      void this.#run(next);
    }
  }

  async #run({ query, body, dumps, watches = false }: WaitingQuery): Promise<void> {
    if (!watches) this.#started++;
    if (dumps) this.#dumps++;
    const before = dumps ? processorTime() : 0;
    try {
      query.check();
      await this.#answer(query, body);
      this.#over(query);
    } catch (error) {
      if (error instanceof QueryEnd) this.#over(query, () => query.endEarly(error.reason), error.reason);
      else this.#fail(query, error);
    } finally {
      if (!watches) this.#started--;
      if (dumps) {
        this.#dumps--;
        this.#budget.spend(processorTime() - before);
      }
      this.#pump();
    }
  }

  #over(query: RunningQuery, last = () => {}, result = 'ok'): void {
    last();
    const name = `${(OPERATIONS as readonly string[]).includes(query.op) ? query.op : 'other'} ${result}`;
    this.#ended.set(name, (this.#ended.get(name) ?? 0) + 1);
    this.#milliseconds += query.age;
    query.close();
    this.#running.delete(query.qid);
  }

  #fail(query: RunningQuery, error: unknown): void {
    this.#failed++;
    const known = error instanceof ConntrackError;
    if (!known) this.#tell(`${query.op}: ${(error as Error).stack ?? error}`);
    const told = known ? error.toJSON() : { code: 'INTERNAL', message: (error as Error).message };
    this.#over(query, () => query.error(told), told.code);
  }

  async #answer(query: RunningQuery, body: QueryBody): Promise<void> {
    const tables = this.#tablesOf(body);
    switch (query.op as Operation) {
      case 'ping':
        return query.json(this.#describe());
      case 'count':
        return query.json(await this.#count(query, body, tables));
      case 'top':
        return query.json(await this.#groups(query, body, tables));
      case 'stats':
        return query.json(await this.#statistics(tables));
      case 'whohad':
        return query.json(
          await this.#tables.past!.whoHad(readPastQuestion(body.past), { user: query.user, shards: body.shards }),
        );
      case 'records':
        return answerRecords(query, body, this.#tables.past!);
      case 'history':
        return answerHistory(query, body, this.#tables.past!);
      case 'events':
        return sendEvents(query, body, tables, this.#tables.several);
      case 'list':
        return await this.#list(query, body, tables);
    }
  }

  #tablesOf({ netns }: QueryBody): ReadonlyMap<string, Conntrack> {
    const { conntracks } = this.#tables;
    if (netns === undefined) return conntracks;
    const chosen = new Map([...conntracks].filter(([name]) => netns.includes(name)));
    if (chosen.size === 0)
      throw new FleetError('REQUEST', 'none of these network namespaces is here', {
        hint: this.#tables.several ? 'conntrack fleet hosts -o json lists them' : 'start the agent with --netns all',
      });
    return chosen;
  }

  async #size(tables: ReadonlyMap<string, Conntrack>): Promise<{ entries: number; maxEntries: number }> {
    let [entries, maxEntries] = [0, 0];
    for (const conntrack of tables.values()) {
      const count = await conntrack.count();
      entries += count.entries;
      maxEntries += count.maxEntries ?? 0;
    }
    this.#entries = entries;
    return { entries, maxEntries };
  }

  async #count(query: RunningQuery, body: QueryBody, tables: ReadonlyMap<string, Conntrack>): Promise<object> {
    const size = await this.#size(tables);
    if (body.by !== undefined) return { ...size, ...(await this.#groups(query, body, tables)) };
    if (body.filter === undefined) return { ...size, matched: size.entries };
    let matched = 0;
    await this.#scan(query, body, tables, {
      entry: () => {
        matched++;
      },
    });
    return { ...size, matched };
  }

  async #groups(query: RunningQuery, body: QueryBody, tables: ReadonlyMap<string, Conntrack>): Promise<object> {
    const { by = 'src', filter, sort = 'flows', limit = MOST_GROUPS } = body;
    if (!(GROUP_SORTS as readonly string[]).includes(sort))
      throw new FleetError('REQUEST', `there is no order ${JSON.stringify(sort)}`);
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new QueryEnd('deadline')), query.check());
    try {
      const { groups, other, matched } = await usage(tables, {
        by: checkGrouping(by),
        ...(filter === undefined ? {} : { filter }),
        sort: sort as GroupSort,
        limit: Math.min(limit, MOST_GROUPS),
        signal: abort.signal,
      });
      return { matched, groups, other };
    } finally {
      clearTimeout(timer);
    }
  }

  async #statistics(tables: ReadonlyMap<string, Conntrack>): Promise<object[]> {
    const all: object[] = [];
    for (const [netns, conntrack] of tables)
      for (const row of await conntrack.statistics()) all.push(this.#tables.several ? { netns, ...row } : row);
    return all;
  }

  async #list(query: RunningQuery, body: QueryBody, tables: ReadonlyMap<string, Conntrack>): Promise<void> {
    const limit = body.limit ?? Number.POSITIVE_INFINITY;
    const { entries } = await this.#size(tables);
    // Of several messages, whoever need not wait for a credit sends the first early.
    const parts = new Parts(entries, query.terms.credit > 0 && entries > MAX_ROWS ? FIRST_ROWS : MAX_ROWS);
    let rows = 0;
    let netns: string | undefined;
    let sending: Promise<void> | undefined;
    const send = () => {
      sending ??= parts
        .send(async (full) => {
          query.head(entries);
          for (const { body: packed, rows: some } of flowPieces(full, query.terms.columns)) await query.part(packed, some, netns);
          this.#rows += full.rows;
        })
        .finally(() => {
          sending = undefined;
        });
      return sending;
    };
    const visitor = {
      entry: (view: View) => {
        if (rows >= limit) return;
        parts.add(view);
        rows++;
      },
      // Lists may be read by several dumps at the same time: all of them wait.
      pause: () => (parts.full ? send() : undefined),
      done: () => rows >= limit,
    };
    for (const [name, conntrack] of tables) {
      // A message has flows of one network namespace.
      if (parts.writing.rows > 0) {
        parts.turn();
        await send();
      }
      if (this.#tables.several) netns = name;
      await this.#scan(query, body, new Map([[name, conntrack]]), visitor);
      if (parts.full) await send();
      if (visitor.done()) break;
    }
    this.#rows += parts.writing.rows;
    await query.end(
      flowPieces(parts.writing, query.terms.columns),
      visitor.done() ? { complete: true, reason: 'limit' } : { complete: true },
      netns,
    );
  }

  /** Visits the flows that match. @throws QueryEnd */
  async #scan(
    query: RunningQuery,
    { filter }: QueryBody,
    tables: ReadonlyMap<string, Conntrack>,
    { entry, pause, done }: { entry: (view: View) => void; pause?: () => Promise<void> | undefined; done?: () => boolean },
  ): Promise<void> {
    const wanted = readFilter(filter ?? {});
    const slice = new TimeSlice();
    const visitor = {
      entry,
      beginBatch: () => slice.restart(),
      pause: () => {
        query.check();
        if (done?.()) throw new EnoughError();
        return pause?.() ?? slice.pause();
      },
    };
    try {
      for (const conntrack of tables.values())
        await sessionOf(conntrack).table.scan(wanted, visitor, { background: true, recurrent: true });
    } catch (error) {
      if (!(error instanceof EnoughError)) throw error;
    }
  }
}

/** Two writers: one takes flows while the other is sent. */
class Parts {
  writing: Nl1Writer;
  /** What has to be sent before more can be taken. */
  full: Nl1Writer | undefined;
  #spare: Nl1Writer;
  #most: number;

  /** `expected`: rows at most, unless there come more; `first`: rows of the first message. */
  constructor(expected: number, first: number) {
    this.writing = new Nl1Writer('list', expected);
    this.#spare = new Nl1Writer('list', expected);
    this.#most = first;
  }

  add(view: View): void {
    if (this.writing.rows < this.#most && this.writing.add(view.data, view.start, view.size)) return;
    // A datagram has some hundred flows at most, and after each the visitor waits until `full` is sent.
    if (this.full) throw new Error('more flows came than two messages can have');
    this.turn();
    this.writing.add(view.data, view.start, view.size);
  }

  turn(): void {
    this.full = this.writing;
    this.writing = this.#spare;
    this.#most = MAX_ROWS;
  }

  async send(how: (full: Nl1Writer) => Promise<void>): Promise<void> {
    const full = this.full!;
    await how(full);
    full.reset();
    this.#spare = full;
    this.full = undefined;
  }
}

/** Ends a scan that has found enough. */
class EnoughError extends Error {}
