// connectFleet: a fleet for programs: its hosts, their flows, and changes, over a connection that closes by itself.

import { basename } from 'node:path';
import { ValueError } from '../errors.js';
import type { WhoHadAnswer, WhoHadOptions } from '../history/index.js';
import { readSpan, type TimeSpan } from '../history/moments.js';
import type { PastGrouping, PastGroupSort } from '../history/past-groups.js';
import { readAnswerJson } from '../history/who-had-json.js';
import { type CpuStatistics, type FilterInput, formatFilter, type Signal } from '../library/index.js';
import type { GroupingName } from '../meter/index.js';
import type { AuditLine, LogOptions } from './audit.js';
import { type ChangePlan, planChange } from './change-client.js';
import type { ChangeOrder, ChangeSet } from './change-request.js';
import { formatShards } from './collected.js';
import { type FleetEvent, type FleetEventsOptions, fleetEvents } from './event-feed.js';
import { type Asked, Fleet } from './fleet.js';
import { askOptions, bodyOf, checkComplete, type FleetAskOptions, netnsOf } from './fleet-asking.js';
import { configPlaces, connecting, type FleetConfig, readConfig } from './fleet-config.js';
import { FleetError } from './fleet-error.js';
import { countsIn, type FleetGroup, type FleetGroupSort, FleetSums, type HostCounts, MOST_HOST_GROUPS } from './fleet-groups.js';
import { FleetList, type FleetListOptions } from './fleet-list.js';
import { checkPast, FleetHistory, type FleetPastResult, toPastResult } from './fleet-past-list.js';
import type { FleetResult } from './fleet-question.js';
import { pause } from './fleet-watch.js';
import { readStatistics } from './host-statistics.js';
import type { HostInfo } from './inventory.js';
import { connectBus } from './nats.js';
import { Signer } from './nkey.js';
import { PAST_DEADLINE, type PastAsk, readPastSums } from './past-client.js';
import type { FleetPastGroup } from './past-sums.js';
import { checkName } from './subjects.js';
import { askWhoHad, toPastQuestion, WHO_HAD_DEADLINE } from './who-had-client.js';

/** How a fleet is reached. What is absent is as in the configuration file, if one is named. */
export interface FleetOptions {
  /** `nats://HOST:PORT`, `tls://HOST:PORT`. Default: `nats://127.0.0.1`. */
  readonly servers?: readonly string[] | undefined;
  /** Whose key it is. Default: the name of the file of the seed, without `.seed`. */
  readonly user?: string | undefined;
  /** Path of the seed of a key; nobody else may read the file. */
  readonly seed?: string | undefined;
  /** Path of certificates of authorities in PEM. Default: those of the system. */
  readonly ca?: string | undefined;
  /** The only sites that this user may ask. */
  readonly sites?: readonly string[] | undefined;
  /** Path of a configuration file, or `default`: those that `conntrack fleet` reads. */
  readonly config?: string | undefined;
  /** Connect to other machines without TLS or a key. Default false. */
  readonly insecure?: boolean | undefined;
  /** What happens to the connection, for a log. */
  readonly tell?: ((line: string) => void) | undefined;
}

/** How many flows match. */
export interface FleetCount extends FleetResult {
  readonly total: number;
  /** By host: flows that match, entries of the table, and how many there may be (0: not known). */
  readonly hosts: ReadonlyMap<string, { readonly matched: number; readonly entries: number; readonly maxEntries: number }>;
}

/** Counters of each processor, by host. */
export interface FleetStatistics extends FleetResult {
  readonly hosts: ReadonlyMap<string, readonly CpuStatistics[]>;
}

/** Which flows of the past. Times are those of `conntrack/history`. */
export interface FleetHistoryOptions extends FleetAskOptions, TimeSpan {
  /** At most so many flows. Default: all. */
  readonly limit?: number | undefined;
  /** Those that live, then the last to end. Default: in the order of their ends, those that live last. */
  readonly newestFirst?: boolean | undefined;
}

/** How flows are grouped. */
export interface FleetTopOptions extends FleetAskOptions {
  /** Default `src`. */
  readonly by?: GroupingName | undefined;
  /** The largest first. Default `flows`. */
  readonly sort?: FleetGroupSort | undefined;
  /** Default 10. */
  readonly limit?: number | undefined;
}

/** The largest groups of flows. */
export interface FleetGroups extends FleetResult {
  readonly groups: readonly FleetGroup[];
  /** How many groups there are in all. */
  readonly count: number;
  /** Whether a host has more groups than it said: numbers are at least so high then. */
  readonly atLeast: boolean;
}

/** What is known of a host at a time. */
export interface HostWhoHad {
  /** Whether its record is complete for that time. */
  readonly complete: boolean;
  readonly matches: number;
  readonly ambiguous: boolean;
  /** The answer in words. */
  readonly lines: readonly string[];
  /** Absent if nobody is known. */
  readonly answer?: WhoHadAnswer | undefined;
}

/** Who had an address and port at a time. */
export interface FleetWhoHad extends FleetResult {
  /** By host, in the order of names: also those on which nobody had it. */
  readonly hosts: ReadonlyMap<string, HostWhoHad>;
  /** What is worth telling besides, such as what is wrong with collectors. */
  readonly notes: readonly string[];
}

/** How flows of the past are summed up. */
export interface FleetPastTopOptions extends FleetAskOptions, TimeSpan {
  /** Default `src`. */
  readonly by?: PastGrouping | undefined;
  /** Default `bytes`. */
  readonly sort?: PastGroupSort | undefined;
  /** Default 10. */
  readonly limit?: number | undefined;
}

/** Sums of flows of the past. */
export interface FleetPastGroups extends FleetPastResult {
  /** The largest first. */
  readonly groups: readonly FleetPastGroup[];
}

const COUNT_DEADLINE = 5000;

/**
 * Connects to the servers of a fleet.
 * @throws FleetError `CONFIG` for options or files that are wrong, `CONNECT`, `UNAUTHORISED`
 */
export async function connectFleet(options: FleetOptions = {}): Promise<FleetClient> {
  const { insecure = false, tell } = options;
  const config = fleetConfig(options);
  const servers = connecting(config, { insecure });
  const user = checkName('the user', config.user ?? (config.seed === undefined ? 'local' : basename(config.seed, '.seed')));
  const sites = config.sites?.map((site) => checkName('the site', site));
  const bus = await connectBus({ ...servers, name: user, patient: false, tell });
  return new FleetClient(new Fleet(bus, user, sites), servers.seed);
}

/** What the options say, over what the file says. @throws FleetError `CONFIG` */
export function fleetConfig(
  { config, servers, user, seed, ca, sites }: Omit<FleetOptions, 'insecure' | 'tell'>,
  home?: string,
): FleetConfig {
  const files = config === undefined ? [] : config === 'default' ? configPlaces(home) : [config];
  const read = files.map((path) => readConfig(path, config !== 'default'));
  const given = Object.entries({ servers, user, seed, ca, sites }).filter(([, value]) => value !== undefined);
  return Object.assign({}, ...read, Object.fromEntries(given));
}

/** A fleet: what an operator asks all hosts. */
export class FleetClient {
  readonly #fleet: Fleet;
  readonly #seed: Uint8Array | undefined;

  /** For `connectFleet`. */
  constructor(fleet: Fleet, seed: Uint8Array | undefined) {
    this.#fleet = fleet;
    this.#seed = seed;
  }

  /** Every host that is known, in the order of names. @throws FleetError */
  async hosts(): Promise<readonly HostInfo[]> {
    return (await this.#fleet.inventory()).hosts;
  }

  /**
   * The flows of all hosts that match. Hosts send as fast as they are read; leaving the loop ends the question everywhere. `result` of what
   * is returned says in the end who did not answer, and why.
   * @throws ValueError, FilterError for a filter that is wrong; FleetError while iterating
   */
  list(filter: FilterInput = {}, options: FleetListOptions & FleetAskOptions = {}): FleetList {
    return new FleetList(this.#fleet, textOf(filter), options);
  }

  /** How many flows match, on which host. @throws ValueError, FilterError, FleetError */
  async count(filter: FilterInput = {}, options: FleetAskOptions = {}): Promise<FleetCount> {
    const hosts = new Map<string, HostCounts>();
    const value = (host: string, told: unknown) => {
      hosts.set(host, countsIn(told));
    };
    const asked = await this.#ask('count', { ...bodyOf(textOf(filter), options) }, value, options);
    const total = [...hosts.values()].reduce((sum, { matched }) => sum + matched, 0);
    return { ...asked, total, hosts };
  }

  /**
   * Flows of the past, from the records of hosts and the copies of collectors, each once, in the order of their ends. `result` of what is
   * returned says in the end what may be missing.
   * @throws ValueError, FilterError for a filter or times that are wrong; FleetError while iterating
   */
  history(filter: FilterInput = {}, options: FleetHistoryOptions = {}): FleetHistory {
    const { limit, newestFirst = false } = options;
    return new FleetHistory(
      this.#fleet,
      { ...pastAsk(filter, options), newestFirst, ...(limit === undefined ? {} : { limit }) },
      options,
    );
  }

  /** The largest groups of the flows that ended in a time. @throws ValueError, FilterError, FleetError */
  async historyTop(filter: FilterInput = {}, options: FleetPastTopOptions = {}): Promise<FleetPastGroups> {
    const { by = 'src', sort = 'bytes', limit = 10 } = options;
    const ask = { ...pastAsk(filter, options), by, sort, limit };
    const { groups, ...result } = await readPastSums(this.#fleet, ask, askOptions(options, PAST_DEADLINE));
    checkPast(result, options);
    return { ...toPastResult(result), groups };
  }

  /** The largest groups of flows that match, of all hosts together. @throws ValueError, FilterError, FleetError */
  async top(filter: FilterInput = {}, options: FleetTopOptions = {}): Promise<FleetGroups> {
    const { by = 'src', sort = 'flows', limit = 10 } = options;
    const sums = new FleetSums();
    const body = { ...bodyOf(textOf(filter), options), by, sort, limit: MOST_HOST_GROUPS };
    const asked = await this.#ask('top', body, (host, told) => sums.add(host, told), options);
    return { ...asked, ...sums.largest(sort, limit) };
  }

  /**
   * Who had an address and port at a time, from the records of hosts and the copies of collectors.
   * @throws ValueError for a question that is wrong; FleetError
   */
  async whoHad(question: WhoHadOptions, options: Omit<FleetAskOptions, 'netns'> = {}): Promise<FleetWhoHad> {
    const asked = await askWhoHad(this.#fleet, toPastQuestion(question), askOptions(options, WHO_HAD_DEADLINE));
    const hosts = new Map(
      [...asked.hosts].map(([host, { complete, matches, ambiguous, lines, answer }]): [string, HostWhoHad] => {
        const read = readAnswerJson(answer);
        return [host, { complete, matches, ambiguous, lines, ...(read ? { answer: read } : {}) }];
      }),
    );
    const { unreadable, lackingShards, problems, ...result } = asked;
    const lacking = new Map([...hosts].flatMap(([host, { complete, lines }]) => (complete ? [] : [[host, lines] as const])));
    checkPast({ ...result, lacking }, options);
    const notes = [
      ...problems,
      ...unreadable.map((host) => `${host}: its answer cannot be read`),
      ...(lackingShards.length > 0 ? [`no collector answers for shards ${formatShards(lackingShards)}`] : []),
    ];
    return { ...result, hosts, notes };
  }

  /**
   * What happens on all hosts, as it happens, also on those that come while it goes on. Leaving the loop ends it everywhere. Hosts that are
   * away, and losses, are told to the functions in `options`.
   * @throws ValueError, FilterError for a filter that is wrong; FleetError and the signal's reason while iterating
   */
  events(filter: FilterInput = {}, options: FleetEventsOptions = {}): AsyncGenerator<FleetEvent, void, undefined> {
    const { types } = options;
    return fleetEvents(this.#fleet, { ...bodyOf(textOf(filter), options), ...(types ? { types } : {}) }, options);
  }

  /**
   * Every host that is known, and then each one again whose state or agent is another than before, or that is new; looks every
   * `every` milliseconds (default 3000). A host that was forgotten is not told of. Ends with the signal's reason.
   * @throws FleetError while iterating
   */
  async *watchHosts({
    every = 3000,
    signal,
  }: {
    readonly every?: number | undefined;
    readonly signal?: Signal | undefined;
  } = {}): AsyncGenerator<HostInfo, void, undefined> {
    const known = new Map<string, string>();
    for (;;) {
      signal?.throwIfAborted();
      for (const host of await this.hosts()) {
        const now = `${host.state} ${host.instance}`;
        if (known.get(host.host) === now) continue;
        known.set(host.host, now);
        yield host;
      }
      await pause(every, signal);
    }
  }

  /** Counters of each processor, as the kernel keeps them. @throws FleetError */
  async statistics(options: FleetAskOptions = {}): Promise<FleetStatistics> {
    const hosts = new Map<string, readonly CpuStatistics[]>();
    const value = (host: string, told: unknown) => void hosts.set(host, readStatistics(told));
    const asked = await this.#ask('stats', bodyOf(undefined, options), value, options);
    return { ...asked, hosts };
  }

  /**
   * Counts what would be deleted on every chosen host that lets flows be deleted. Nothing is changed until `apply` of what is returned is
   * called, and never more than the number that it is given. Needs the seed of an operator.
   * @throws ValueError, FilterError, FleetError
   */
  planDelete(filter: FilterInput, options: Omit<FleetAskOptions, 'deadline' | 'strict'> = {}): Promise<ChangePlan> {
    return this.#plan({ do: 'delete', filter: textOf(filter) ?? 'all', ...netnsOf(options) }, options);
  }

  /** As `planDelete`, for new values. @throws ValueError, FilterError, FleetError */
  planUpdate(
    filter: FilterInput,
    set: ChangeSet,
    options: Omit<FleetAskOptions, 'deadline' | 'strict'> = {},
  ): Promise<ChangePlan> {
    return this.#plan({ do: 'update', set, filter: textOf(filter) ?? 'all', ...netnsOf(options) }, options);
  }

  /** The changes that were asked for, the oldest first, and whether who is named has signed them. @throws FleetError */
  async log(options: LogOptions = {}): Promise<readonly AuditLine[]> {
    const lines: AuditLine[] = [];
    await this.#fleet.log(options, (line) => lines.push(line));
    return lines;
  }

  /** Ends the connection. Idempotent. */
  close(): Promise<void> {
    return this.#fleet.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ask(
    op: 'count' | 'stats' | 'top',
    body: object,
    value: (host: string, told: unknown) => void,
    options: FleetAskOptions,
  ): Promise<Asked> {
    return checkComplete(await this.#fleet.ask(op, body, { value }, askOptions(options, COUNT_DEADLINE)), options);
  }

  async #plan(order: ChangeOrder, { on, sites, wait, signal }: FleetAskOptions): Promise<ChangePlan> {
    if (!this.#seed) throw new FleetError('CONFIG', 'changes are signed with a key', { hint: 'give the path of a seed' });
    const signer = new Signer(this.#seed);
    return planChange({ fleet: this.#fleet, signer, order }, { on, sites, ...(wait === undefined ? {} : { wait }), signal });
  }
}

/** A filter in canonical text; `undefined`: everything. @throws ValueError, FilterError */
function textOf(filter: FilterInput): string | undefined {
  const text = formatFilter(filter);
  return text === 'all' || text === '' ? undefined : text;
}

/** @throws ValueError, FilterError */
function pastAsk(filter: FilterInput, { from, to, netns }: TimeSpan & Pick<FleetAskOptions, 'netns'>): PastAsk {
  const span = readSpan({ from, to }, Date.now);
  if (netns && netns.length > 1) throw new ValueError('flows of the past are of one network namespace, or of all');
  return { filter: textOf(filter), ...(span ? { span } : {}), ...(netns?.[0] === undefined ? {} : { netns: netns[0] }) };
}
