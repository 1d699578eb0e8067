// Snapshots for tests of the doctor: a router on which all is well, and parts of it that are not.

import type { FlowSurvey } from '../../src/doctor/flow-survey.js';
import type { PartName, Snapshot, SnapshotParts } from '../../src/doctor/snapshot.js';

export const HEALTHY_FLOWS: FlowSurvey = {
  flows: 3000,
  unreplied: 60,
  withCounters: 3000,
  withTimes: 3000,
  labelled: 0,
  sources: [{ src: '10.0.0.2', flows: 2000, unreplied: 50 }],
  oneWay: [],
  unanswered: [{ dst: '192.0.2.1', dport: 443, flows: 3, old: 0 }],
  established: 2000,
  idleForDays: 3,
  outside: [{ address: '203.0.113.1', flows: 2900, answered: undefined, begun: 0 }],
  targets: [{ address: '10.0.0.80', flows: 40, unreplied: 1 }],
  ports: [
    { address: '203.0.113.1', protonum: 6, dst: '192.0.2.1', dport: 443, ports: 900, moved: 10, lowest: 1024, highest: 65_000 },
  ],
  offloaded: 0,
  standing: 0,
  helped: {},
  unhelped: {},
};

const COUNTERS = { invalid: 40, insertFailed: 3, drop: 0, earlyDrop: 0, searchRestart: 100, clashResolve: 7, chaintoolong: 0 };

/** A router on which all is well. */
export const HEALTHY: SnapshotParts = {
  counts: { first: { entries: 2990, maxEntries: 262_144 }, last: { entries: 3000, maxEntries: 262_144 } },
  statistics: { first: COUNTERS, last: COUNTERS },
  sysctls: {
    max: 262_144,
    buckets: 262_144,
    acct: 1,
    timestamp: 1,
    events: 1,
    log_invalid: 0,
    expect_max: 1024,
    tcp_be_liberal: 0,
    tcp_timeout_established: 432_000,
    tcp_timeout_syn_sent: 120,
  },
  fixedSysctls: [],
  tracked: { ipv4: true, ipv6: true },
  packets: { first: 1_000_000, last: 1_000_500 },
  listeners: [{ portId: 77, drops: { first: 0, last: 0 } }],
  flows: HEALTHY_FLOWS,
  addresses: { own: ['127.0.0.1', '10.0.0.1', '203.0.113.1', '::1', 'fe80::1', '2001:db8::1'], broadcast: ['10.0.0.255'] },
  routes: { '203.0.113.1': 'local' },
  failedNeighbours: [],
  expectations: { entries: 3, byHelper: { ftp: 3 } },
  slab: { entries: 4000, entrySize: 256 },
  modules: [],
  labelFile: false,
  buffer: { wanted: 16_777_216, got: 16_777_216 },
  kernel: [7, 3],
  runtime: { node: '22.1.0', extraCertificates: false },
};

/** A snapshot of that router with some parts replaced, and some unknown. */
export function snapshotWith(
  parts: Partial<SnapshotParts> = {},
  more: Partial<Omit<Snapshot, 'parts'>> & { readonly unknown?: Partial<Record<PartName, string>> } = {},
): Snapshot {
  const { unknown = {}, ...rest } = more;
  const known = Object.entries({ ...HEALTHY, ...parts }).map(([name, value]) => [name, { value }]);
  const missing = Object.entries(unknown).map(([name, reason]) => [name, { unknown: reason }]);
  return { seconds: 2, enter: '', parts: Object.fromEntries([...known, ...missing]), ...rest };
}
