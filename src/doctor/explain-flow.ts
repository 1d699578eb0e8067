// explainFlow: reads what surrounds a flow, looks at it twice if that says more, and explains it.

import { readdirSync, readFileSync } from 'node:fs';
import { MATCH_ALL } from '../ctnetlink/filter/condition.js';
import { type Flow, FlowReader } from '../ctnetlink/flow.js';
import { type FlowKeyInput, toFlowKey } from '../ctnetlink/new-flow.js';
import type { View } from '../ctnetlink/view.js';
import { isMissing, ValueError } from '../errors.js';
import { asksKernel, type Conntrack, type Signal, sessionOf } from '../library/index.js';
import { judge } from './diagnose.js';
import { explanationOf, type FlowExplanation, type FlowSurroundings } from './explanation.js';
import type { Finding } from './finding.js';
import { FlowSurveyor } from './flow-survey.js';
import { pauseFor, reading } from './reading.js';
import { RouteNetlink } from './route-netlink.js';
import type { Reading, Snapshot, SnapshotParts } from './snapshot.js';
import { ownerOfSocket } from './socket-owner.js';
import { enterCommand } from './take-snapshot.js';

/** How to explain. */
export interface ExplainFlowOptions {
  /** What the explanation and its commands say of the namespace. */
  readonly netns?: string | undefined;
  readonly signal?: Signal | undefined;
}

/** Checks that say something of a single flow. */
const FLOW_CHECKS: ReadonlySet<string> = new Set([
  'one-way-udp',
  'unanswered-syns',
  'snat-address-gone',
  'dnat-target-gone',
  'offload-without-counters',
]);
const NETFILTER = '/proc/sys/net/netfilter';
/** Milliseconds between two looks at a flow whose counters or timeout tell whether it goes on. */
const BETWEEN = 1100;
/** Expectations that are looked through for those of a flow. */
const MOST_EXPECTATIONS = 10_000;

/**
 * What one flow is, in words. A flow that nothing came back for, whose address is gone, or that is offloaded, is looked at twice, which takes
 * a second.
 *
 * ```ts
 * for await (const flow of conntrack.list('tcp and dst port 443')) {
 *   const { title, facts, problems } = await explainFlow(conntrack, flow);
 *   console.log(title, facts.map(({ text }) => text), problems);
 *   break;
 * }
 * ```
 *
 * @throws ValueError, also if there is no such flow; KernelError, ClosedError, the signal's reason
 */
export async function explainFlow(
  conntrack: Conntrack,
  flow: FlowKeyInput,
  options: ExplainFlowOptions = {},
): Promise<FlowExplanation> {
  const { netns, signal } = options;
  signal?.throwIfAborted();
  const { table } = sessionOf(conntrack);
  const { place } = table;
  const real = asksKernel(place.transport);
  const settings = real ? known(await reading(() => readSettings(place.namespace))) : undefined;
  const route = real ? known(await reading(() => new RouteNetlink(place))) : undefined;
  try {
    const addresses = route ? await reading(() => route.addresses()) : NOT_HERE;
    const own = 'value' in addresses ? addresses.value.own : [];
    const surveyor = new FlowSurveyor({
      own,
      establishedTimeout: settings?.['tcp_timeout_established'] ?? 432_000,
      synSentTimeout: settings?.['tcp_timeout_syn_sent'] ?? 120,
      now: Date.now,
    });
    const { id, ...key } = toFlowKey(flow);
    const look = (visit: (view: View) => void): Flow | undefined => {
      let found: Flow | undefined;
      try {
        table.get(key, MATCH_ALL, (view) => {
          const seen = new FlowReader().read(view);
          if (id !== undefined && seen.id !== id) return;
          found = seen;
          visit(view);
        });
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      return found;
    };
    const began = performance.now();
    const first = look((view) => surveyor.remember(view));
    if (!first) throw new ValueError('there is no such flow any more');
    if (tellsMoreLater(first, own)) await pauseFor(BETWEEN, signal);
    surveyor.begin((performance.now() - began) / 1000);
    const last = look((view) => surveyor.count(view)) ?? first;
    const survey = surveyor.survey();
    const outside = survey.outside.map(({ address }) => address);
    const parts: Snapshot['parts'] = {
      flows: { value: survey },
      addresses,
      routes: route
        ? await reading(() => Object.fromEntries(outside.map((address) => [address, route.route(address)])))
        : NOT_HERE,
      failedNeighbours: route ? await reading(() => route.failedNeighbours()) : NOT_HERE,
    };
    const problems: readonly Finding[] = judge(
      [{ seconds: 1, enter: enterCommand(place.namespace), parts, ...(netns === undefined ? {} : { netns }) }],
      FLOW_CHECKS,
    ).findings;
    return explanationOf(last, {
      now: Date.now(),
      timeouts: settings ?? {},
      accounting: settings?.['acct'] === undefined ? undefined : settings['acct'] !== 0,
      expected: last.helper === undefined ? undefined : await expectedBy(conntrack, last),
      process: await processOf(last, addresses, real, place),
      standing: survey.standing > 0,
      service: serviceNames(),
      netns,
      problems,
    });
  } finally {
    route?.[Symbol.dispose]();
  }
}

function known<T>(reading: Reading<T>): T | undefined {
  return 'value' in reading ? reading.value : undefined;
}

const NOT_HERE = { unknown: 'the table is not of this machine' } as const;

/** Whether a second look a second later says more. */
function tellsMoreLater({ protocol, status = [], reply }: Flow, own: readonly string[]): boolean {
  const bits = status as readonly string[];
  if (bits.includes('OFFLOAD') || bits.includes('HW_OFFLOAD')) return true;
  if (protocol === 'udp' && !bits.includes('SEEN_REPLY')) return true;
  return bits.includes('SRC_NAT') && !own.includes(reply.dst);
}

/** Numbers below net.netfilter, without `nf_conntrack_`. */
function readSettings(
  namespace: { run<T>(work: () => T extends PromiseLike<unknown> ? never : T): T } | undefined,
): Record<string, number> {
  const all = (): Record<string, number> => {
    const settings: Record<string, number> = Object.create(null);
    for (const name of readdirSync(NETFILTER)) {
      const text = name.startsWith('nf_conntrack_') ? textOf(`${NETFILTER}/${name}`) : '';
      if (/^\d+\s*$/.test(text)) settings[name.slice('nf_conntrack_'.length)] = Number(text);
    }
    return settings;
  };
  return namespace ? namespace.run(all) : all();
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // one that only the owner of the machine may read
  }
}

/** How many connections a flow's helper waits for; `undefined`: not known. */
async function expectedBy(conntrack: Conntrack, { original }: Flow): Promise<number | undefined> {
  let count = 0;
  let seen = 0;
  for await (const { master } of conntrack.expectations.list()) {
    if (++seen > MOST_EXPECTATIONS) return undefined;
    if (
      master.src === original.src &&
      master.dst === original.dst &&
      master.sport === original.sport &&
      master.dport === original.dport
    )
      count++;
  }
  return count;
}

async function processOf(
  { original, reply }: Flow,
  addresses: Reading<SnapshotParts['addresses']>,
  real: boolean,
  place: Parameters<typeof ownerOfSocket>[0],
): Promise<FlowSurroundings['process']> {
  if (!real || !('value' in addresses)) return 'unknown';
  const own = new Set(addresses.value.own);
  const [client, server] = [
    { address: original.src, port: original.sport },
    { address: reply.src, port: reply.sport },
  ];
  const [local, remote, name] = own.has(client.address)
    ? [client, { address: original.dst, port: original.dport }, 'the client']
    : own.has(server.address)
      ? [server, { address: reply.dst, port: reply.dport }, 'the server']
      : [undefined, undefined, ''];
  if (!local) return 'none';
  if (local.port === undefined || remote.port === undefined) return { end: name, owner: undefined };
  const [here, there] = [
    { address: local.address, port: local.port },
    { address: remote.address, port: remote.port },
  ];
  const owner = await reading(() => ownerOfSocket(place, original.protonum, here, there));
  return { end: name, owner: known(owner) };
}

/** Names of /etc/services; none if it cannot be read. */
function serviceNames(): FlowSurroundings['service'] {
  const names = new Map<string, string>();
  for (const line of textOf('/etc/services').split('\n')) {
    const [, name, port] = /^([\w.+-]+)\s+(\d+\/\w+)/.exec(line) ?? [];
    if (name !== undefined && port !== undefined && !names.has(port)) names.set(port, name);
  }
  return (port, protocol) => names.get(`${port}/${protocol}`);
}
