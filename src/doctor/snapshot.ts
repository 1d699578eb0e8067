// What the checks judge: two samples of a table some seconds apart, and what surrounds it. Plain data, so that a test can write one.

import type { FlowSurvey } from './flow-survey.js';

/** Something that was read, or why it could not be. */
export type Reading<T> = { readonly value: T } | { readonly unknown: string };

/** The same number at the beginning and at the end. */
export interface Twice<T> {
  readonly first: T;
  readonly last: T;
}

/** Why the table could not be read. */
export interface AccessRefusal {
  readonly kind: 'privilege' | 'module';
  /** The kernel's answer. */
  readonly message: string;
  /** In a user namespace that is not that of the machine; `undefined`: not known. */
  readonly contained: boolean | undefined;
}

/** Counters of all processors together, as `conntrack -S` names them. */
export type TableCounters = Readonly<
  Record<'invalid' | 'insertFailed' | 'drop' | 'earlyDrop' | 'searchRestart' | 'clashResolve' | 'chaintoolong', number>
>;

/** A netlink socket that listens to events of the table. */
export interface ListenerSocket {
  readonly portId: number;
  readonly drops: Twice<number>;
  /** The process that has it open, if it can be seen. */
  readonly program?: { readonly name: string; readonly pid: number };
}

/** Everything that a check can read. */
export interface SnapshotParts {
  /** How many entries there are, and how many there may be. */
  readonly counts: Twice<{ readonly entries: number; readonly maxEntries: number | undefined }>;
  readonly statistics: Twice<TableCounters>;
  /** Numbers below /proc/sys/net/netfilter, without `nf_conntrack_`; those that this kernel has. */
  readonly sysctls: Readonly<Record<string, number>>;
  /** Names among the sysctls that cannot be written in this network namespace. */
  readonly fixedSysctls: readonly string[];
  /** Whether packets of a family are tracked at all; `undefined`: the kernel does not say. */
  readonly tracked: { readonly ipv4: boolean | undefined; readonly ipv6: boolean | undefined };
  /** Packets of all interfaces but the loopback. */
  readonly packets: Twice<number>;
  readonly listeners: readonly ListenerSocket[];
  readonly flows: FlowSurvey;
  /** Addresses of this network namespace, and those to which it sends broadcasts. */
  readonly addresses: { readonly own: readonly string[]; readonly broadcast: readonly string[] };
  /** What the routes say of the outside addresses of source NAT: `local` means this host. */
  readonly routes: Readonly<Record<string, 'local' | 'other' | 'none'>>;
  /** Neighbours that do not answer. */
  readonly failedNeighbours: readonly string[];
  readonly expectations: { readonly entries: number; readonly byHelper: Readonly<Record<string, number>> };
  /** Entries of all network namespaces, and bytes of one. */
  readonly slab: { readonly entries: number; readonly entrySize: number };
  /** Modules of helpers that this kernel has. */
  readonly modules: readonly string[];
  /** Whether a file gives names to labels. */
  readonly labelFile: boolean;
  /** The receive buffer that a watch gets, of what it wants; in bytes as the program asks for them. */
  readonly buffer: { readonly wanted: number; readonly got: number };
  /** Version of the kernel: major, minor. */
  readonly kernel: readonly [number, number];
  /** What runs this program. */
  readonly runtime: { readonly node: string; readonly extraCertificates: boolean };
}

export type PartName = keyof SnapshotParts;

/** Two samples of one network namespace. */
export interface Snapshot {
  /** Seconds between the samples. */
  readonly seconds: number;
  /** Its name; absent for that of the process. */
  readonly netns?: string;
  /** What to put before a command that should run in it; empty for that of the process. */
  readonly enter: string;
  /** Absent if the table can be read. */
  readonly refused?: AccessRefusal;
  /** What was read. A part that is absent was not asked for. */
  readonly parts: { readonly [P in PartName]?: Reading<SnapshotParts[P]> };
}

/** How parts are called in messages. */
export const PART_NAMES: Readonly<Record<PartName, string>> = {
  counts: 'the number of entries (GET_STATS)',
  statistics: 'the counters of conntrack -S',
  sysctls: '/proc/sys/net/netfilter',
  fixedSysctls: 'which sysctls can be written',
  tracked: 'the hooks of connection tracking (nfnetlink_hook)',
  packets: '/proc/net/dev',
  listeners: '/proc/net/netlink',
  flows: 'two lists of the flows',
  addresses: 'the addresses (RTM_GETADDR)',
  routes: 'the routes to them (RTM_GETROUTE)',
  failedNeighbours: 'the neighbours (RTM_GETNEIGH)',
  expectations: 'the list of expectations',
  slab: '/proc/slabinfo',
  modules: '/sys/module',
  labelFile: '/etc/xtables/connlabel.conf',
  buffer: 'the receive buffer of a socket',
  kernel: "the kernel's version",
  runtime: 'the version of Node.js',
};
