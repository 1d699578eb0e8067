// Fleet: what an operator asks all hosts: who they are, and what is in their tables.

import type { Signal } from '../library/index.js';
import { didYouMean } from '../nearest.js';
import { askCollectors, type CollectorAnswers, type CollectorInfo, type CollectorQuestion } from './ask-collectors.js';
import { type AuditLine, type LogOptions, readLog } from './audit.js';
import type { Bus } from './bus.js';
import { parseShards } from './collected.js';
import { readCollectorValue } from './collector-value.js';
import { FleetError } from './fleet-error.js';
import type { FleetQuestion, FleetResult, FleetVisitor, MissingHost } from './fleet-question.js';
import { ALIVE, type HostInfo, type Inventory, isExpected, REMEMBERED, readInventory } from './inventory.js';
import type { Operation, QueryBody } from './operations.js';
import { FleetQuery } from './query-client.js';
import { COLLECTORS_BUCKET, EVERY, namePattern } from './subjects.js';

/** Which hosts, and how long to wait for them. */
export interface AskOptions {
  /** Names, or patterns with `*`. Default: all. */
  readonly on?: readonly string[] | undefined;
  readonly sites?: readonly string[] | undefined;
  /** Milliseconds after which a host that says nothing is silent. Default 2000. */
  readonly wait?: number | undefined;
  /** Milliseconds that hosts may work. */
  readonly deadline: number;
  readonly order?: 'arrival' | 'host' | undefined;
  readonly signal?: Signal | undefined;
}

/** How a question ended. */
export interface Asked extends FleetResult {
  /** Hosts that said that they would stop: they are not asked. */
  readonly stopped: readonly HostInfo[];
}

/** Who can be asked something. */
export interface AbleHosts {
  /** All that are known, and those of them that are meant. */
  readonly hosts: readonly HostInfo[];
  readonly chosen: readonly HostInfo[];
  readonly expected: readonly HostInfo[];
  readonly unable: readonly MissingHost[];
  readonly gone: readonly MissingHost[];
}

/** Asking so many by name is cheaper than asking all. */
const MOST_BY_NAME = 16;
const WAIT = 2000;
/** Operations that need a record. */
const PAST: ReadonlySet<Operation> = new Set<Operation>(['whohad', 'records', 'history']);

export class Fleet {
  readonly #bus: Bus;
  /** Who asks. */
  readonly user: string;
  /** The only sites that this user may ask; absent: all. */
  readonly #allowed: readonly string[] | undefined;

  constructor(bus: Bus, user: string, sites?: readonly string[]) {
    this.#bus = bus;
    this.user = user;
    this.#allowed = sites;
  }

  /** Every host that is known. While servers look for a new leader, it waits for them. @throws FleetError */
  async inventory(): Promise<Inventory> {
    const { hosts, unreadable } = await patiently(() => readInventory(this.#bus));
    return { hosts: hosts.filter(({ site }) => this.#allowed?.includes(site) ?? true), unreadable };
  }

  /**
   * Asks the chosen hosts. Those that are silent for longer are missing without being waited for.
   * @throws FleetError; what the visitor throws
   */
  async ask(op: Operation, body: QueryBody, visitor: FleetVisitor, options: AskOptions): Promise<Asked> {
    const { on, sites, wait = WAIT, deadline, order, signal } = options;
    const { hosts, chosen, expected, unable, unlisted } = await this.#able(op, { on, sites });
    const all = on === undefined;
    const asked = sites ?? this.#allowed;
    const blind = unlisted !== undefined;
    const byName = !all && !blind && expected.length <= MOST_BY_NAME;
    const isMeant = blind && on ? anyOf(on) : undefined;
    const isChosen = new Set(expected.map(({ host }) => host));
    const known = new Set(hosts.map(({ host }) => host));
    const query = this.query(
      {
        op,
        body,
        hosts: expected,
        ...(byName
          ? {}
          : {
              sites: asked ?? [EVERY],
              isChosen: (host: string) => isMeant?.(host) ?? (isChosen.has(host) || (all && !known.has(host))),
              blind,
            }),
        wait,
        deadline,
        order,
        signal,
      },
      visitor,
    );
    const result = await query.run();
    const answered = new Set(result.answered.map(({ host }) => host));
    const silent = goneOf(chosen).filter(({ host }) => !answered.has(host));
    const missing = [...result.missing, ...silent, ...unable].sort((a, b) => (a.host < b.host ? -1 : 1));
    return {
      ...result,
      missing,
      complete: missing.length === 0 && !blind,
      stopped: chosen.filter(({ host, state }) => state === 'stopped' && !answered.has(host)),
      ...(blind ? { unlisted } : {}),
    };
  }

  /** As `able`; while the servers have no inventory, nobody is known, and whoever hears a question may answer it. @throws FleetError */
  async #able(op: Operation, which: Pick<AskOptions, 'on' | 'sites'>): Promise<AbleHosts & Pick<FleetResult, 'unlisted'>> {
    try {
      return await this.able(op, which);
    } catch (error) {
      if (!(error instanceof FleetError) || error.code !== 'UNAVAILABLE') throw error;
      return { hosts: [], chosen: [], expected: [], unable: [], gone: [], unlisted: error.message };
    }
  }

  /** The hosts that are meant: those that can do something, and those that cannot, or are gone, each with the reason. @throws FleetError */
  async able(op: Operation, which: Pick<AskOptions, 'on' | 'sites'>): Promise<AbleHosts> {
    const { hosts } = await this.inventory();
    const chosen = chooseHosts(hosts, which);
    const alive = chosen.filter(isExpected);
    // Whoever does not know how is not asked.
    const unable = alive
      .filter(({ features }) => !features.includes(op))
      .map(({ host, agent, age, features }): MissingHost => {
        const message =
          PAST.has(op) && !features.includes('whohad')
            ? 'it keeps no record: conntrack agent --history DIR'
            : `its agent ${agent} does not know ${op}`;
        return { host, why: 'version', rows: 0, age, error: { code: 'VERSION', message } };
      });
    return {
      hosts,
      chosen,
      expected: alive.filter(({ features }) => features.includes(op)),
      unable,
      gone: goneOf(chosen),
    };
  }

  /** The hosts that are meant: those that should answer, and what is known of the others. @throws FleetError */
  async chosen({ on, sites }: Pick<AskOptions, 'on' | 'sites'>): Promise<{
    readonly expected: readonly HostInfo[];
    readonly others: Pick<Asked, 'missing' | 'stopped'>;
  }> {
    const chosen = chooseHosts((await this.inventory()).hosts, { on, sites });
    return {
      expected: chosen.filter(isExpected),
      others: {
        missing: goneOf(chosen),
        stopped: chosen.filter(({ state }) => state === 'stopped'),
      },
    };
  }

  /** Asks each of these hosts something of its own, once. @throws FleetError; what `request` throws */
  askEach(
    { op, hosts, request }: Pick<Required<FleetQuestion>, 'op' | 'hosts' | 'request'>,
    visitor: FleetVisitor,
    { wait = WAIT, deadline, signal }: Pick<AskOptions, 'wait' | 'deadline' | 'signal'>,
  ): Promise<FleetResult> {
    return this.query({ op, body: {}, request, hosts, wait, deadline, signal }, visitor).run();
  }

  /**
   * Asks the collectors of all shards. Of two that hold a shard, the one that knows most is asked, and then the other.
   * @returns `undefined` if there are none, or this user may not ask them
   */
  async askCollectors<T>(
    question: Omit<CollectorQuestion<T>, 'collectors'>,
    options: Pick<AskOptions, 'wait' | 'deadline' | 'signal'>,
  ): Promise<CollectorAnswers<T> | undefined> {
    try {
      const collectors = this.#allowed ? [] : await this.collectors();
      return collectors.length === 0
        ? undefined
        : await askCollectors(
            (each, visitor) => this.query(each, visitor).run(),
            { ...question, collectors },
            { ...options, wait: options.wait ?? WAIT },
          );
    } catch (error) {
      if (!(error instanceof FleetError) || error.code !== 'UNAUTHORISED') throw error;
      return { answers: [], lacking: [], problems: [`collectors are not asked: ${error.message}`] };
    }
  }

  /** Every collector that is known. @throws FleetError */
  async collectors(): Promise<readonly CollectorInfo[]> {
    try {
      const { entries, now } = await patiently(() => this.#bus.readBucket(COLLECTORS_BUCKET));
      return entries.flatMap((entry) => {
        const value = readCollectorValue(entry);
        if (!value || now - entry.at > REMEMBERED) return [];
        try {
          const age = Math.max(0, now - entry.at);
          const state = value.state === 'up' && age > ALIVE ? 'silent' : value.state;
          return [{ ...value, state, age, holds: parseShards(value.shards) }];
        } catch {
          return []; // of a newer version
        }
      });
    } catch (error) {
      // Servers that were set up before there were collectors.
      if (error instanceof FleetError && error.code === 'NOT_SET_UP') return [];
      throw error;
    }
  }

  /** A question to some of them, to be run. */
  query(question: FleetQuestion, visitor: FleetVisitor): FleetQuery {
    return new FleetQuery(this.#bus, this.user, question, visitor);
  }

  /** Lines of the audit, the oldest first. @returns how many could not be read @throws FleetError */
  log(options: LogOptions, each: (line: AuditLine) => void): Promise<number> {
    return readLog(this.#bus, options, each);
  }

  close(): Promise<void> {
    return this.#bus.close();
  }
}

/** Hosts that should be there and are not asked: nothing is heard of them. */
function goneOf(hosts: readonly HostInfo[]): readonly MissingHost[] {
  return hosts
    .filter((host) => !isExpected(host) && host.state !== 'stopped')
    .map(({ host, age }) => ({ host, why: 'silent', rows: 0, age }));
}

/** Milliseconds that servers may be without a leader, and the pause between looks. */
const LEADERLESS = 10_000;
const PAUSE = 250;

/** Tries again as long as servers may find a leader. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const until = performance.now() + LEADERLESS; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FleetError) || error.code !== 'UNAVAILABLE' || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/** Whether a name is one of some names or patterns. @throws FleetError `CONFIG` */
export function anyOf(patterns: readonly string[]): (host: string) => boolean {
  const each = patterns.map(namePattern);
  return (host) => each.some((matches) => matches(host));
}

/** @throws FleetError `CONFIG` if a name or a pattern stands for nobody */
export function chooseHosts(hosts: readonly HostInfo[], { on, sites }: Pick<AskOptions, 'on' | 'sites'>): readonly HostInfo[] {
  const inSites = sites ? hosts.filter(({ site }) => sites.includes(site)) : hosts;
  for (const site of sites ?? [])
    if (!hosts.some((host) => host.site === site)) throw unknown('site', site, new Set(hosts.map((host) => host.site)));
  if (!on) return inSites;
  const chosen = new Set<HostInfo>();
  for (const pattern of on) {
    const matches = namePattern(pattern);
    const found = inSites.filter(({ host }) => matches(host));
    if (found.length === 0)
      throw unknown(
        'host',
        pattern,
        hosts.map(({ host }) => host),
      );
    for (const host of found) chosen.add(host);
  }
  return inSites.filter((host) => chosen.has(host));
}

function unknown(what: 'host' | 'site', text: string, names: Iterable<string>): FleetError {
  return new FleetError('CONFIG', `there is no ${what} ${JSON.stringify(text)} in this fleet${didYouMean(text, names)}`, {
    hint: 'conntrack fleet hosts lists them',
  });
}
