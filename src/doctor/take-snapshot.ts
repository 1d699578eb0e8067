// Takes a snapshot: reads what the chosen checks need, twice where it grows. What cannot be read is left unknown, with the reason.

import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { MATCH_ALL } from '../ctnetlink/filter/condition.js';
import { KernelError, SystemError } from '../errors.js';
import {
  asksKernel,
  type Conntrack,
  type NetworkNamespace,
  ProgramNames,
  readIn,
  type Signal,
  sessionOf,
  trackedFamilies,
} from '../library/index.js';
import { shellWord } from './figures.js';
import { FlowSurveyor } from './flow-survey.js';
import { HELPER_MODULES } from './helper-modules.js';
import { NotRead, pauseFor, reading } from './reading.js';
import { RouteNetlink } from './route-netlink.js';
import type { AccessRefusal, ListenerSocket, PartName, Reading, Snapshot, SnapshotParts, TableCounters } from './snapshot.js';

/** How to take one. */
export interface SnapshotOptions {
  /** What to read. */
  readonly parts: ReadonlySet<PartName>;
  /** Milliseconds between the samples, at least. */
  readonly sample: number;
  /** What findings say of the namespace. */
  readonly netns?: string | undefined;
  /** What runs this program, if it is known. */
  readonly runtime?: SnapshotParts['runtime'] | undefined;
  readonly signal?: Signal | undefined;
}

/** Sysctls that checks read, below net.netfilter.nf_conntrack_. */
const SYSCTLS = [
  'max',
  'buckets',
  'acct',
  'timestamp',
  'events',
  'log_invalid',
  'expect_max',
  'tcp_be_liberal',
  'tcp_timeout_established',
  'tcp_timeout_syn_sent',
] as const;
/** Those that a fix sets. */
const SET_SYSCTLS = [
  'max',
  'buckets',
  'acct',
  'timestamp',
  'events',
  'log_invalid',
  'expect_max',
  'tcp_timeout_established',
] as const;
const NETFILTER = '/proc/sys/net/netfilter/nf_conntrack_';
const LABEL_FILE = '/etc/xtables/connlabel.conf';
/** What a watch asks for, in bytes. */
const WANTED_BUFFER = 16 * 1024 * 1024;
/** The groups of events of flows and expectations. */
const EVENT_GROUPS = 0x3f;
const NETLINK_NETFILTER = '12';
/** How many outside addresses are looked up in the routes. */
const MOST_ROUTES = 64;

const DEFAULT_ESTABLISHED = 432_000;
const DEFAULT_SYN_SENT = 120;

/** Two samples of the table of a Conntrack. @throws ClosedError, the signal's reason, errors of the program itself */
export function takeSnapshot(conntrack: Conntrack, options: SnapshotOptions): Promise<Snapshot> {
  return new SnapshotTaker(conntrack, options).take();
}

/** The snapshot of a table that cannot even be opened; `undefined`: that is no matter of privileges or modules. */
export function refusedSnapshot(error: unknown, netns: string | undefined): Snapshot | undefined {
  const refused = refusalOf(error);
  return refused && { seconds: 0, enter: '', refused, parts: {}, ...(netns === undefined ? {} : { netns }) };
}

class SnapshotTaker {
  readonly #conntrack: Conntrack;
  readonly #options: SnapshotOptions;
  readonly #namespace: NetworkNamespace | undefined;
  /** The table is that of this machine's kernel. */
  readonly #real: boolean;
  readonly #parts: { [P in PartName]?: Reading<SnapshotParts[P]> } = {};

  constructor(conntrack: Conntrack, options: SnapshotOptions) {
    this.#conntrack = conntrack;
    this.#options = options;
    const { namespace, transport } = sessionOf(conntrack).table.place;
    this.#namespace = namespace;
    this.#real = asksKernel(transport);
  }

  async take(): Promise<Snapshot> {
    const { sample, netns, signal } = this.#options;
    const enter = enterCommand(this.#namespace);
    const named = { enter, ...(netns === undefined ? {} : { netns }) };
    signal?.throwIfAborted();
    try {
      await this.#conntrack.count();
    } catch (error) {
      const refused = refusalOf(error);
      if (!refused) throw error;
      return { ...named, seconds: 0, refused, parts: {} };
    }
    const began = performance.now();
    const first = await this.#sample();
    await this.#read('sysctls', () => this.#sysctls(), ['flows']);
    await this.#read('addresses', () => this.#route((route) => route.addresses()), ['flows', 'routes']);
    const surveyor = this.#wants('flows') ? this.#surveyor() : undefined;
    const listed = performance.now();
    let firstList: Reading<undefined> | undefined;
    if (surveyor) firstList = await reading(() => this.#list((view) => surveyor.remember(view)));
    await pauseFor(began + sample - performance.now(), signal);
    const seconds = (performance.now() - began) / 1000;
    const last = await this.#sample();
    this.#join('counts', first.counts, last.counts);
    this.#join('statistics', first.statistics, last.statistics);
    this.#join('packets', first.packets, last.packets);
    this.#listeners(first.listeners, last.listeners);
    if (surveyor && firstList) {
      surveyor.begin((performance.now() - listed) / 1000);
      const secondList = 'unknown' in firstList ? firstList : await reading(() => this.#list((view) => surveyor.count(view)));
      this.#parts.flows = 'unknown' in secondList ? secondList : { value: surveyor.survey() };
    }
    await this.#rest();
    return { ...named, seconds, parts: this.#parts };
  }

  #wants(part: PartName): boolean {
    return this.#options.parts.has(part);
  }

  /** Reads a part if somebody wants it, or one of those that need it. */
  async #read<P extends PartName>(
    part: P,
    read: () => SnapshotParts[P] | Promise<SnapshotParts[P]>,
    neededBy: readonly PartName[] = [],
  ): Promise<void> {
    if (!this.#wants(part) && !neededBy.some((other) => this.#wants(other))) return;
    (this.#parts as Record<string, Reading<unknown>>)[part] = await reading(read);
  }

  /** What grows. */
  async #sample() {
    const take = async <T>(part: PartName, read: () => T | Promise<T>) => (this.#wants(part) ? reading(read) : undefined);
    return {
      counts: await take('counts', () => this.#conntrack.count()),
      statistics: await take('statistics', () => this.#statistics()),
      packets: await take('packets', () => packetsIn(this.#proc('/proc/net/dev'))),
      listeners: await take('listeners', () => listenersIn(this.#proc('/proc/net/netlink'))),
    };
  }

  #join<P extends 'counts' | 'statistics' | 'packets', T extends SnapshotParts[P]['first']>(
    part: P,
    first: Reading<T> | undefined,
    last: Reading<T> | undefined,
  ): void {
    if (!first || !last) return;
    const joined = 'unknown' in first ? first : 'unknown' in last ? last : { value: { first: first.value, last: last.value } };
    (this.#parts as Record<string, Reading<unknown>>)[part] = joined;
  }

  #listeners(
    first: Reading<ReadonlyMap<number, number>> | undefined,
    last: Reading<ReadonlyMap<number, number>> | undefined,
  ): void {
    if (!first || !last) return;
    if ('unknown' in first || 'unknown' in last) {
      this.#parts.listeners = 'unknown' in first ? first : (last as { unknown: string });
      return;
    }
    const names = ProgramNames.in(this.#namespace);
    const sockets = [...last.value].map(([portId, drops]): ListenerSocket => {
      const before = first.value.get(portId) ?? 0;
      const program = drops > 0 ? names.find(portId) : undefined;
      const named = program && { program: { name: new TextDecoder().decode(program.name), pid: program.pid } };
      return { portId, drops: { first: Math.min(before, drops), last: drops }, ...named };
    });
    this.#parts.listeners = { value: sockets };
  }

  /** What needs no second look. */
  async #rest(): Promise<void> {
    const { flows } = this.#parts;
    const outside = flows && 'value' in flows ? flows.value.outside.slice(0, MOST_ROUTES) : [];
    await this.#read('fixedSysctls', () => this.#here(() => SET_SYSCTLS.filter((name) => !isWritable(NETFILTER + name))));
    await this.#read('tracked', () => this.#onlyReal(() => trackedFamilies(sessionOf(this.#conntrack).table)));
    await this.#read('routes', () =>
      this.#route((route) => Object.fromEntries(outside.map(({ address }) => [address, route.route(address)]))),
    );
    await this.#read('failedNeighbours', () => this.#route((route) => route.failedNeighbours()));
    await this.#read('expectations', () => this.#expectations());
    await this.#read('slab', () => slabIn(this.#proc('/proc/slabinfo')));
    await this.#read('modules', () => this.#onlyReal(helperModules));
    await this.#read('labelFile', () => this.#onlyReal(() => existsSync(LABEL_FILE)));
    await this.#read('buffer', () => this.#onlyReal(() => this.#buffer()));
    await this.#read('kernel', () => this.#onlyReal(kernelVersion));
    await this.#read('runtime', () => {
      const { runtime } = this.#options;
      if (!runtime) throw new NotRead('the program does not say');
      return runtime;
    });
  }

  async #statistics(): Promise<TableCounters> {
    const sums = { invalid: 0, insertFailed: 0, drop: 0, earlyDrop: 0, searchRestart: 0, clashResolve: 0, chaintoolong: 0 };
    for (const cpu of await this.#conntrack.statistics())
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += Number(cpu[name] ?? 0);
    return sums;
  }

  #surveyor(): FlowSurveyor {
    const { addresses, sysctls } = this.#parts;
    const settings = sysctls && 'value' in sysctls ? sysctls.value : {};
    return new FlowSurveyor({
      own: addresses && 'value' in addresses ? addresses.value.own : [],
      establishedTimeout: settings['tcp_timeout_established'] ?? DEFAULT_ESTABLISHED,
      synSentTimeout: settings['tcp_timeout_syn_sent'] ?? DEFAULT_SYN_SENT,
      now: Date.now,
    });
  }

  async #list(entry: (view: Parameters<FlowSurveyor['count']>[0]) => void): Promise<undefined> {
    const { signal } = this.#options;
    const session = sessionOf(this.#conntrack);
    await session.run({ signal }, () =>
      session.table.scan(MATCH_ALL, { entry, ...session.patience({ signal }) }, { background: true }),
    );
    return undefined;
  }

  #sysctls(): Record<string, number> {
    const found: Record<string, number> = {};
    for (const name of SYSCTLS) {
      const text = this.#onlyReal(() => readIn(this.#namespace, NETFILTER + name));
      if (text !== undefined && /^\d+\s*$/.test(text)) found[name] = Number(text);
    }
    if (Object.keys(found).length === 0) throw new NotRead('it is not there');
    return found;
  }

  async #expectations(): Promise<SnapshotParts['expectations']> {
    const byHelper: Record<string, number> = Object.create(null);
    let entries = 0;
    for await (const { helper = '' } of this.#conntrack.expectations.list(
      this.#options.signal ? { signal: this.#options.signal } : {},
    )) {
      entries++;
      byHelper[helper] = (byHelper[helper] ?? 0) + 1;
    }
    return { entries, byHelper };
  }

  #buffer(): SnapshotParts['buffer'] {
    const { transport, namespace } = sessionOf(this.#conntrack).table.place;
    const socket = transport({ namespace, receiveBuffer: WANTED_BUFFER });
    try {
      return { wanted: WANTED_BUFFER, got: socket.receiveBuffer / 2 };
    } finally {
      socket.close();
    }
  }

  async #route<T>(ask: (route: RouteNetlink) => T | Promise<T>): Promise<T> {
    const route = this.#onlyReal(() => new RouteNetlink(sessionOf(this.#conntrack).table.place));
    try {
      return await ask(route);
    } finally {
      route[Symbol.dispose]();
    }
  }

  /** A file below /proc as the namespace sees it. */
  #proc(path: string): string {
    return this.#onlyReal(() => this.#here(() => readFileSync(path, 'utf8')));
  }

  #here<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
    return this.#onlyReal(() => (this.#namespace ? this.#namespace.run(work) : work()));
  }

  /** @throws NotRead for a substitute of the kernel, which this machine says nothing about */
  #onlyReal<T>(work: () => T): T {
    if (!this.#real) throw new NotRead('the table is not of this machine');
    return work();
  }
}

/** Why a table cannot be used, if that is what an error says. */
function refusalOf(error: unknown): AccessRefusal | undefined {
  if (!(error instanceof KernelError || error instanceof SystemError)) return undefined;
  const { code, message } = error;
  if (code === 'EPERM' || code === 'EACCES') return { kind: 'privilege', message, contained: isContained() };
  if (['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT', 'ECONNREFUSED'].includes(code))
    return { kind: 'module', message, contained: isContained() };
  return undefined;
}

/** Whether this process is in a user namespace of its own; `undefined`: /proc does not say. */
function isContained(): boolean | undefined {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
  } catch {
    return undefined;
  }
}

/** What to put before a command that should run in a namespace. */
export function enterCommand(namespace: NetworkNamespace | undefined): string {
  if (!namespace) return '';
  const { name } = namespace;
  if (name.includes('/')) return `nsenter --net=${shellWord(name)} `;
  if (/^\d+$/.test(name) && existsSync(`/proc/${name}/ns/net`) && !existsSync(`/run/netns/${name}`))
    return `nsenter -t ${name} -n `;
  return `ip netns exec ${shellWord(name)} `;
}

/** The owner of what a user namespace does not know. */
const NOBODY = 65_534;

/** Whether root of this machine can write a file; who asks may be somebody else. */
function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') return false;
    const { mode, uid } = statSync(path);
    return (mode & constants.S_IWUSR) !== 0 && uid !== NOBODY;
  }
}

/** Packets received and sent by all interfaces but the loopback. Source: /proc/net/dev. */
export function packetsIn(text: string): number {
  let packets = 0;
  for (const line of text.split('\n')) {
    const [, name, rest] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === 'lo') continue;
    const columns = rest!.trim().split(/\s+/).map(Number);
    packets += (columns[1] ?? 0) + (columns[9] ?? 0);
  }
  return packets;
}

/** Datagrams that listeners to events of the table have lost, by port id. Source: /proc/net/netlink. */
export function listenersIn(text: string): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const line of text.split('\n')) {
    const [, protocol, portId, groups = '', , , , , drops] = line.trim().split(/\s+/);
    if (protocol !== NETLINK_NETFILTER || (Number.parseInt(groups, 16) & EVENT_GROUPS) === 0) continue;
    found.set(Number(portId), Number(drops));
  }
  return found;
}

/** Entries of all network namespaces. Source: /proc/slabinfo. */
export function slabIn(text: string): SnapshotParts['slab'] {
  // A kernel before 4.7 has a cache for each namespace.
  const rows = [...text.matchAll(/^nf_conntrack(?:_[0-9a-f]+)?\s+(\d+)\s+\d+\s+(\d+)/gm)];
  if (rows.length === 0) throw new NotRead('the kernel keeps entries in a cache with another name');
  return { entries: rows.reduce((sum, row) => sum + Number(row[1]), 0), entrySize: Number(rows[0]![2]) };
}

function helperModules(): string[] {
  accessSync('/sys/module', constants.R_OK);
  return [...new Set(HELPER_MODULES.map(({ module }) => module))].filter((name) => existsSync(`/sys/module/${name}`));
}

function kernelVersion(): [number, number] {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return [major, minor];
}
