// The metrics of a meter, a row each. docs/metrics.md is compared with the rows.

import type { KernelCounts, MeterStatus, NamespaceSample, NamespaceTotals } from '../meter/index.js';
import type { AddSample, FamilyRow } from './metric-family.js';
import type { ShownGroup } from './top-groups.js';

/** What the rows read. */
export interface MeterReading {
  readonly version: string | undefined;
  readonly status: MeterStatus;
  /** One, several with names, or many of which the last stands for the rest. */
  readonly namespaces: readonly NamespaceReading[];
  readonly groups: readonly ShownGroup[];
}

/** A network namespace. `name` is `undefined` where there is only one. */
export interface NamespaceReading {
  readonly name: string | undefined;
  readonly sample: Pick<NamespaceSample, 'entries' | 'maxEntries' | 'full' | 'kernel' | 'sysctls'>;
  readonly totals: Omit<NamespaceTotals, 'name'>;
  /** Flows have counters. */
  readonly counted: boolean;
}

type MeterRow = FamilyRow<MeterReading>;

/** Protocols whose metrics are there even if they are 0. */
const USUAL: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp', 'icmpv6']);

/** A family with the label `netns` in front. */
function perNamespace(row: Omit<MeterRow, 'read'>, read: (namespace: NamespaceReading, add: AddSample) => void): MeterRow {
  return {
    ...row,
    labels: ['netns', ...row.labels],
    read: ({ namespaces }, add) => {
      for (const namespace of namespaces) read(namespace, (value, ...labels) => add(value, namespace.name, ...labels));
    },
  };
}

/** One number of each namespace. */
function simple(
  name: string,
  type: 'gauge' | 'counter',
  help: string,
  value: (namespace: NamespaceReading) => number | undefined,
  unit?: string,
): MeterRow {
  return perNamespace({ name, type, unit, help, labels: [] }, (namespace, add) => add(value(namespace)));
}

/** Calls `visit` with what is worth a metric. */
function eachProtocol(
  { totals, name }: NamespaceReading,
  visit: (protocol: NamespaceTotals['protocols'][number], label: string) => void,
): void {
  for (const protocol of totals.protocols) {
    const label = protocol.protocol === 'unknown' ? 'other' : protocol.protocol;
    if ((name === undefined && USUAL.has(label)) || protocol.begun > 0 || protocol.flows > 0) visit(protocol, label);
  }
}

/** Of `conntrack -S`: member, what the metric is called, and what it means. */
const STATISTICS: readonly (readonly [keyof KernelCounts, string, string])[] = [
  ['found', 'found', 'Lookups that found an entry.'],
  ['invalid', 'invalid', 'Packets that could not be tracked.'],
  ['insert', 'insert', 'Entries put into the table.'],
  ['insertFailed', 'insert_failed', 'Entries that could not be put into the table.'],
  ['drop', 'drop', 'Packets dropped because there was no room for their entry.'],
  ['earlyDrop', 'early_drop', 'Entries removed to make room for others.'],
  ['error', 'error', 'Packets with errors.'],
  ['searchRestart', 'search_restart', 'Lookups begun again because the table changed meanwhile.'],
  ['clashResolve', 'clash_resolve', 'Entries that met another of the same kind, and were united.'],
  ['chaintoolong', 'chaintoolong', 'Packets dropped because too many entries share a bucket.'],
];

/** All about the meter, in the order in which they are written; what is beyond the bound is cut from the end. */
export const METER_FAMILIES: readonly MeterRow[] = [
  {
    name: 'conntrack',
    type: 'info',
    help: 'Version of this program.',
    labels: ['version'],
    read: ({ version }, add) => add(1, version ?? 'unknown'),
  },
  simple('conntrack_entries', 'gauge', 'Entries of the table.', ({ sample }) => sample.entries),
  simple('conntrack_entries_limit', 'gauge', 'Entries that the table may have.', ({ sample }) => sample.maxEntries),
  simple(
    'conntrack_entries_full_seconds',
    'gauge',
    'Time until the table is full if it goes on growing as in the last minutes; absent unless it does.',
    ({ sample }) => sample.full,
    'seconds',
  ),
  ...STATISTICS.map(([member, name, help]) =>
    simple(`conntrack_stat_${name}`, 'counter', help, ({ sample }) => sample.kernel[member]),
  ),
  perNamespace(
    { name: 'conntrack_flows', type: 'gauge', help: 'Flows by protocol and state.', labels: ['protocol', 'state'] },
    (namespace, add) =>
      eachProtocol(namespace, ({ flows, states = {} }, label) => {
        let rest = flows;
        for (const [state, count] of Object.entries(states)) {
          if (count > 0 || (namespace.name === undefined && label === 'tcp')) add(count, label, state);
          rest -= count;
        }
        if (rest > 0 || Object.keys(states).length === 0) add(rest, label, '-');
      }),
  ),
  simple('conntrack_flows_unreplied', 'gauge', 'Flows without a packet back.', ({ totals }) => totals.unreplied),
  simple('conntrack_flows_assured', 'gauge', 'Flows that are not removed early.', ({ totals }) => totals.assured),
  simple('conntrack_flows_offloaded', 'gauge', 'Flows that a flowtable or a device forwards.', ({ totals }) => totals.offloaded),
  perNamespace(
    { name: 'conntrack_flows_nat', type: 'gauge', help: 'Flows with a translated source or destination.', labels: ['kind'] },
    ({ totals }, add) => {
      add(totals.sourceNat, 'src');
      add(totals.destinationNat, 'dst');
    },
  ),
  perNamespace({ name: 'conntrack_begun', type: 'counter', help: 'Flows that began.', labels: ['protocol'] }, (namespace, add) =>
    eachProtocol(namespace, ({ begun }, label) => add(begun, label)),
  ),
  perNamespace({ name: 'conntrack_ended', type: 'counter', help: 'Flows that ended.', labels: ['protocol'] }, (namespace, add) =>
    eachProtocol(namespace, ({ ended }, label) => add(ended, label)),
  ),
  simple(
    'conntrack_ended_unseen',
    'counter',
    'Flows whose end no event told, so that their last bytes are not counted.',
    ({ totals }) => totals.unseen,
  ),
  ...(['bytes', 'packets'] as const).map((what) =>
    perNamespace(
      {
        name: `conntrack_${what}`,
        type: 'counter',
        unit: what,
        help: `The ${what} of flows; absent while the kernel does not count them.`,
        labels: ['protocol', 'direction'],
      },
      (namespace, add) => {
        if (!namespace.counted) return;
        eachProtocol(namespace, (protocol, label) => {
          add(protocol[what].original, label, 'original');
          add(protocol[what].reply, label, 'reply');
        });
      },
    ),
  ),
  perNamespace(
    { name: 'conntrack_events', type: 'counter', help: 'Events that told of flows.', labels: ['type'] },
    ({ totals }, add) => {
      for (const [type, count] of Object.entries(totals.events)) add(count, type);
    },
  ),
  simple('conntrack_events_lost', 'counter', 'How often events were lost.', ({ totals }) => totals.lost),
  simple(
    'conntrack_resyncs',
    'counter',
    'Lists that put right what lost events would have told.',
    ({ totals }) => totals.repairs,
  ),
  simple('conntrack_sweeps', 'counter', 'Lists of the table.', ({ totals }) => totals.sweeps),
  simple(
    'conntrack_sweep_cpu_seconds',
    'counter',
    'Processor time of this process during lists.',
    ({ totals }) => totals.sweepCost,
    'seconds',
  ),
  {
    name: 'conntrack_sweep_interval_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Time from one list to the next.',
    labels: [],
    read: ({ status }, add) => add(status.interval / 1000),
  },
  perNamespace(
    { name: 'conntrack_sysctl', type: 'gauge', help: 'The sysctl net.netfilter.nf_conntrack_NAME.', labels: ['name'] },
    ({ sample }, add) => {
      for (const [name, value] of Object.entries(sample.sysctls)) add(value, name);
    },
  ),
];

/** Of groups that are asked for; they are many, and cut first. */
export const GROUP_FAMILIES: readonly MeterRow[] = [
  {
    name: 'conntrack_group_flows',
    type: 'gauge',
    help: 'Flows of a group; other: of all groups without metrics of their own.',
    labels: ['by', 'key'],
    read: ({ groups }, add) => {
      for (const { by, key, flows } of groups) add(flows, by, key);
    },
  },
  {
    name: 'conntrack_group_bytes_per_second',
    type: 'gauge',
    unit: 'bytes_per_second',
    help: 'Traffic of a group, on average of about 10 seconds; absent as long as it is not known.',
    labels: ['by', 'key', 'direction'],
    read: ({ groups }, add) => {
      for (const { by, key, average } of groups) {
        add(average?.original, by, key, 'original');
        add(average?.reply, by, key, 'reply');
      }
    },
  },
];
