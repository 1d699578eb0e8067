// What may be wrong with a fleet: pure functions of what its servers and agents say of themselves.

import type { CollectorInfo } from './ask-collectors.js';
import type { StreamConfig, StreamHealth } from './bus.js';
import { formatShards } from './collected.js';
import type { HostInfo } from './inventory.js';
import type { FleetUser } from './roles.js';
import { AUDIT_STREAM, HOSTS_BUCKET, RECORD_STREAM, SHARDS } from './subjects.js';

/** What was read of a fleet. */
export interface FleetSnapshot {
  /** Each server that was told: its version, or why it cannot be reached. */
  readonly servers: readonly {
    readonly url: string;
    readonly version?: string | undefined;
    readonly error?: string | undefined;
  }[];
  /** Buckets and streams: how they should be, and how they are; `missing`, or why that is not known. */
  readonly streams: readonly FleetStream[];
  /** Absent if the inventory cannot be read. */
  readonly hosts?: readonly HostInfo[] | undefined;
  readonly unreadable: number;
  /** Absent if they cannot be read. */
  readonly collectors?: readonly CollectorInfo[] | undefined;
  /** Milliseconds by which the server that leads the records is ahead of the one that leads the inventory; or why that is not known. */
  readonly serverClocks?: number | { readonly unknown: string } | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Those who have keys, where that is known. */
  readonly users?: readonly FleetUser[] | undefined;
}

/** A bucket or a stream. */
export interface FleetStream {
  readonly name: string;
  readonly wanted?: StreamConfig | undefined;
  readonly state: StreamHealth | 'missing' | { readonly unknown: string };
}

/** Something that somebody should know of a fleet. Strings may contain names from outside. */
export interface FleetFinding {
  readonly id: FleetCheckName;
  readonly severity: 'error' | 'warning' | 'info';
  readonly title: string;
  readonly detail: readonly string[];
  readonly fix: readonly string[];
}

/** A check: what it finds, and how. */
interface FleetCheck {
  readonly id: string;
  readonly find: (snapshot: FleetSnapshot) => readonly Omit<FleetFinding, 'id'>[];
}

/** The oldest server that does. */
const LEAST_VERSION = [2, 9, 4];
/** Part of the audit that may be full. */
const FULL = 0.8;
/** Milliseconds that a clock may be off. */
const CLOCK_OFF = 1000;
/** Milliseconds that what is collected next may wait. */
const LATE = 600_000;
/** Milliseconds that the stream of records keeps a message. */
const KEPT = 72 * 3_600_000;
/** Milliseconds without a sign of a site. */
const SITE_SILENT = 60_000;
/** A stream of records that drops what is younger has little room. */
const SHORT = KEPT / 2;
/** Names in one line. */
const MOST_NAMED = 10;

export const FLEET_CHECKS = [
  {
    id: 'server-unreachable',
    find: ({ servers }) =>
      servers
        .filter(({ error }) => error !== undefined)
        .map(({ url, error }) =>
          finding(servers.length > 1 ? 'warning' : 'error', `${url} cannot be reached`, [`It says: ${error}`]),
        ),
  },
  {
    id: 'server-old',
    find: ({ servers }) =>
      servers
        .filter(({ version }) => version !== undefined && isOlder(version))
        .map(({ url, version }) =>
          finding('error', `${url} is nats-server ${version}: ${LEAST_VERSION.join('.')} or later is needed`),
        ),
  },
  {
    id: 'servers-mixed',
    find: ({ servers }) => {
      const versions = distinct(servers.flatMap(({ version }) => version ?? []));
      return versions.length > 1 ? [finding('info', `the servers have different versions: ${versions.join(', ')}`)] : [];
    },
  },
  {
    id: 'stream-missing',
    find: ({ streams, hosts = [] }) =>
      streams
        .filter(({ state }) => state === 'missing')
        .map(({ name }) => {
          const changes = hosts.some(({ allow }) => allow.length > 0);
          const needed = name === HOSTS_BUCKET || (name === AUDIT_STREAM && changes);
          const why =
            name === HOSTS_BUCKET
              ? ['Without it no agent starts.']
              : name === AUDIT_STREAM
                ? ['Without it no flow is changed.']
                : [];
          return finding(needed ? 'error' : 'warning', `${name} is missing`, why, ['conntrack fleet setup']);
        }),
  },
  {
    id: 'stream-settings',
    find: ({ streams }) =>
      streams.flatMap(({ name, wanted, state }) => {
        if (!wanted || !isKnown(state)) return [];
        const differences = differencesOf(wanted, state);
        return differences.length === 0
          ? []
          : [
              finding('warning', `${name} is not as conntrack fleet setup makes it`, differences, [
                `# nats stream edit ${name}, or remove it and run conntrack fleet setup`,
              ]),
            ];
      }),
  },
  {
    id: 'stream-alone',
    find: ({ streams, servers }) =>
      streams
        .filter(({ state }) => isKnown(state) && state.replicas === 1 && servers.length > 1)
        .map(({ name }) =>
          finding(
            'warning',
            `${name} is on one server only`,
            ['While that one is away, nobody can write to it.'],
            [`# nats stream edit ${name} --replicas 3`],
          ),
        ),
  },
  {
    id: 'stream-followers',
    find: ({ streams }) =>
      streams.flatMap(({ name, state }) => {
        if (!isKnown(state)) return [];
        const leaderless = state.leader === undefined && state.replicas > 1;
        const late = state.followers.filter(({ offline, current }) => offline || !current);
        return [
          ...(leaderless ? [finding('error', `${name} has no leader: nobody can write to it`)] : []),
          ...late.map(({ name: server, offline, lag }) =>
            finding(
              'warning',
              `${server} ${offline ? 'is away, and lacks' : lag > 0 ? `is ${lag} messages behind with` : 'does not follow'} ${name}`,
            ),
          ),
        ];
      }),
  },
  {
    id: 'audit-full',
    find: ({ streams }) =>
      streams.flatMap(({ name, state }) => {
        if (name !== AUDIT_STREAM || !isKnown(state) || state.maxBytes <= 0) return [];
        const part = state.bytes / state.maxBytes;
        return part < FULL
          ? []
          : [
              finding(
                part >= 1 ? 'error' : 'warning',
                `${name} is ${Math.round(part * 100)} % full`,
                ['When it is full, changes are refused.'],
                [`# nats stream edit ${name} --max-bytes ..., once it has been copied to where it is kept`],
              ),
            ];
      }),
  },
  {
    id: 'host-silent',
    find: ({ hosts = [] }) => {
      const silent = hosts.filter(({ state }) => state === 'silent').map(({ host }) => host);
      return silent.length === 0 ? [] : [finding('warning', `${named(silent)} ${silent.length === 1 ? 'is' : 'are'} silent`)];
    },
  },
  {
    id: 'host-clock',
    find: ({ hosts = [] }) =>
      hosts
        .filter(({ clock }) => clock !== null && Math.abs(clock.offset) > CLOCK_OFF)
        .map(({ host, clock }) => {
          const { offset } = clock!;
          return finding(
            'warning',
            `the clock of ${host} is ${(Math.abs(offset) / 1000).toFixed(1)} s ${offset < 0 ? 'behind' : 'ahead'}`,
            ['Who had an address when depends on it; beyond 30 s changes are refused.'],
          );
        }),
  },
  {
    id: 'server-clocks',
    find: ({ serverClocks }) =>
      typeof serverClocks !== 'number' || Math.abs(serverClocks) <= CLOCK_OFF
        ? []
        : [
            finding(
              'warning',
              `the clocks of the servers differ: that of ${RECORD_STREAM} is ${(Math.abs(serverClocks) / 1000).toFixed(1)} s ${serverClocks < 0 ? 'behind' : 'ahead of'} that of ${HOSTS_BUCKET}`,
              ['Clocks of hosts are compared with whichever server leads, and who had an address when depends on them.'],
            ),
          ],
  },
  {
    id: 'host-settings',
    find: ({ hosts = [] }) =>
      hosts
        .filter(({ record, off, state }) => record !== null && off.length > 0 && state !== 'stopped')
        .map(({ host, off }) =>
          finding(
            'warning',
            `the record of ${host} lacks something: ${off.map((name) => `nf_conntrack_${name} is off`).join(', ')}`,
            off.flatMap((name) => LACKS[name] ?? []),
            off.map((name) => `sysctl net.netfilter.nf_conntrack_${name}=1   # on ${host}, for flows that begin from then on`),
          ),
        ),
  },
  {
    id: 'collector-silent',
    find: ({ collectors = [] }) => {
      const silent = collectors.filter(({ state }) => state === 'silent').map(({ name }) => name);
      return silent.length === 0
        ? []
        : [
            finding(
              'warning',
              `the collector${silent.length === 1 ? '' : 's'} ${named(silent)} ${silent.length === 1 ? 'is' : 'are'} silent`,
            ),
          ];
    },
  },
  {
    id: 'shards-uncollected',
    find: ({ collectors, hosts = [] }) => {
      // Who ships nothing needs no collector.
      if (!collectors || !hosts.some(({ record }) => record !== null)) return [];
      const lacking = shardsWith(collectors, 0);
      return lacking.length === 0
        ? []
        : [
            finding(
              'warning',
              `${lacking.length === SHARDS ? 'no collector is there' : `shards ${formatShards(lacking)} have no collector`}`,
              [
                `The servers keep records for ${KEPT / 3_600_000} hours; what nobody has collected by then is lost once its host is gone.`,
              ],
              ['conntrack collector --name ... --keep ...'],
            ),
          ];
    },
  },
  {
    id: 'shards-alone',
    find: ({ collectors = [] }) => {
      const alone = shardsWith(collectors, 1);
      return alone.length === 0
        ? []
        : [
            finding(
              'info',
              `${alone.length === SHARDS ? 'all shards have' : `shards ${formatShards(alone)} have`} one collector only`,
              ['If its disk is lost, so are the copies of hosts that are gone.'],
            ),
          ];
    },
  },
  {
    id: 'collector-behind',
    find: ({ collectors = [] }) =>
      collectors
        .filter(({ late, state }) => late > LATE && state !== 'stopped')
        .map(({ name, late, lag }) =>
          finding(
            late > KEPT / 2 ? 'error' : 'warning',
            `${name} is ${Math.round(late / 60_000)} minutes behind: ${lag} messages wait`,
            [`The servers keep them for ${KEPT / 3_600_000} hours. Its log says whether it cannot write, or cannot keep up.`],
          ),
        ),
  },
  {
    id: 'site-cut-off',
    find: ({ streams }) =>
      streams.flatMap(({ state }) =>
        isKnown(state)
          ? state.sites
              .filter(({ silent }) => silent === undefined || silent > SITE_SILENT)
              .map(({ site, silent }) =>
                finding(
                  'warning',
                  silent === undefined
                    ? `nothing has come from the servers of ${site} yet`
                    : `nothing has come from the servers of ${site} for ${Math.round(silent / 1000)} seconds`,
                  ['They keep records, and send them when the line is there again.'],
                ),
              )
          : [],
      ),
  },
  {
    id: 'records-short',
    find: ({ streams, now }) =>
      streams.flatMap(({ name, state }) => {
        if (name !== RECORD_STREAM || !isKnown(state) || state.since === undefined || state.maxBytes <= 0) return [];
        const reach = now - state.since;
        if (state.bytes < FULL * state.maxBytes || reach > SHORT) return [];
        return [
          finding(
            'warning',
            `${name} is full, and reaches back for ${(reach / 3_600_000).toFixed(1)} hours only`,
            ['A collector that is away for longer lacks what was dropped.'],
            [`# nats stream edit ${name} --max-bytes ...: 35 bytes for each record of ${KEPT / 3_600_000} hours`],
          ),
        ];
      }),
  },
  {
    id: 'agents-mixed',
    find: ({ hosts = [] }) => {
      const versions = distinct(hosts.filter(({ state }) => state === 'up').map(({ agent }) => agent));
      return versions.length > 1 ? [finding('info', `the agents have different versions: ${named(versions)}`)] : [];
    },
  },
  {
    id: 'inventory-unreadable',
    find: ({ unreadable }) =>
      unreadable === 0
        ? []
        : [finding('info', `${unreadable} values of the inventory cannot be read: perhaps those of newer agents`)],
  },
  {
    id: 'keys-and-hosts',
    find: ({ hosts = [], users }) => {
      if (!users) return [];
      const keys = users.filter(({ role }) => role === 'agent').map(({ name }) => name);
      const names = hosts.map(({ host }) => host);
      const unused = keys.filter((key) => !names.includes(key));
      const without = names.filter((name) => !keys.includes(name));
      return [
        ...(unused.length > 0
          ? [
              finding(
                'info',
                `${named(unused)} ${unused.length === 1 ? 'has a key, and is no host' : 'have keys, and are no hosts'}`,
                ['A key that nobody uses is one that somebody may find.'],
                unused.slice(0, MOST_NAMED).map((name) => `conntrack fleet auth remove ${name}`),
              ),
            ]
          : []),
        ...(without.length > 0
          ? [finding('info', `${named(without)} ${without.length === 1 ? 'is a host' : 'are hosts'} without a key of this list`)]
          : []),
      ];
    },
  },
] as const satisfies readonly FleetCheck[];

export type FleetCheckName = (typeof FLEET_CHECKS)[number]['id'];

/** What a fleet's doctor says. */
export interface FleetDiagnosis {
  /** The worst first. */
  readonly findings: readonly FleetFinding[];
  /** Checks that found nothing. */
  readonly fine: readonly FleetCheckName[];
  /** What could not be read. */
  readonly unchecked: readonly { readonly id: string; readonly reason: string }[];
}

/** What a record lacks without a setting. */
const LACKS: Readonly<Record<string, string>> = {
  acct: 'Without nf_conntrack_acct, nobody knows how much a flow carried.',
  timestamp: 'Without nf_conntrack_timestamp, when a flow began and ended is less exact.',
  events: 'Without nf_conntrack_events, flows that come and go between two lists are not recorded.',
};

/** Shards that so many collectors hold that are there. */
function shardsWith(collectors: readonly CollectorInfo[], number: number): number[] {
  const held = new Array<number>(SHARDS).fill(0);
  for (const { holds, state } of collectors) if (state === 'up') for (const shard of holds) held[shard]!++;
  return held.flatMap((count, shard) => (count === number ? [shard] : []));
}

const SEVERITIES = ['error', 'warning', 'info'];

export function diagnoseFleet(snapshot: FleetSnapshot): FleetDiagnosis {
  const findings: FleetFinding[] = FLEET_CHECKS.flatMap(({ id, find }) => find(snapshot).map((found) => ({ id, ...found })));
  findings.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  const found = new Set(findings.map(({ id }) => id));
  return {
    findings,
    fine: FLEET_CHECKS.map(({ id }) => id).filter((id) => !found.has(id)),
    unchecked: [
      ...snapshot.streams.flatMap(({ name, state }) =>
        typeof state === 'object' && 'unknown' in state ? [{ id: name, reason: state.unknown }] : [],
      ),
      ...(typeof snapshot.serverClocks === 'object' ? [{ id: 'server-clocks', reason: snapshot.serverClocks.unknown }] : []),
    ],
  };
}

function finding(
  severity: FleetFinding['severity'],
  title: string,
  detail: readonly string[] = [],
  fix: readonly string[] = [],
): Omit<FleetFinding, 'id'> {
  return { severity, title, detail, fix };
}

function isKnown(state: FleetStream['state']): state is StreamHealth {
  return typeof state === 'object' && !('unknown' in state);
}

function isOlder(version: string): boolean {
  const parts = version.split(/[.-]/).slice(0, 3).map(Number);
  for (const [i, least] of LEAST_VERSION.entries()) {
    const part = parts[i] ?? 0;
    if (part !== least) return part < least;
  }
  return false;
}

/** Each difference, as a sentence. */
function differencesOf({ subjects, maxAge, maxMessage, full }: StreamConfig, state: StreamHealth): string[] {
  const say = (what: string, is: string, wanted: string) => `${what}: ${is} instead of ${wanted}`;
  const age = (milliseconds: number | undefined) =>
    milliseconds === undefined || milliseconds === 0 ? 'for ever' : `${milliseconds / 3_600_000} h`;
  return [
    ...(subjects.join() === state.subjects.join() ? [] : [say('subjects', state.subjects.join(', '), subjects.join(', '))]),
    ...(age(maxAge) === age(state.maxAge) ? [] : [say('messages are kept', age(state.maxAge), age(maxAge))]),
    ...(state.maxMessage < maxMessage && state.maxMessage > 0
      ? [say('bytes of a message', `${state.maxMessage}`, `${maxMessage}`)]
      : []),
    ...(full === state.full ? [] : [say('when it is full, what comes', wordFor(state.full), wordFor(full))]),
    ...(state.isProtected ? [] : ['single messages can be taken out of it']),
    ...(state.onDisk ? [] : ['it is in memory only']),
  ];
}

function wordFor(full: StreamConfig['full']): string {
  return full === 'refuse' ? 'is refused' : 'replaces the oldest';
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

function named(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMED).join(', ');
  return names.length > MOST_NAMED ? `${shown} and ${names.length - MOST_NAMED} more` : shown;
}
