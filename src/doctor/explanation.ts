// What one flow is, in words: a pure function of the flow and of what surrounds it.

import type { Flow, FlowSide } from '../ctnetlink/flow.js';
import { bytes, count } from '../units.js';
import { duration, endpoint, shellWord } from './figures.js';
import type { Finding } from './finding.js';
import { STATE_WORDS, STATUS_WORDS, timeoutSysctl } from './flow-words.js';
import type { SocketOwner } from './socket-owner.js';

/** What a flow is. */
export interface FlowExplanation {
  /** Protocol and both ends, as they began. */
  readonly title: string;
  /** CTA_ID, for filters. */
  readonly id?: number;
  readonly netns?: string;
  /** The way of its packets, and of what comes back, with what this host makes of them. */
  readonly picture: readonly string[];
  /** What its members mean. */
  readonly facts: readonly Fact[];
  /** What looks wrong, by the checks of `conntrack doctor`. */
  readonly problems: readonly Finding[];
  /** Command lines that watch, mark and delete it. */
  readonly commands: readonly string[];
}

/** What sentences are about, in their order. */
export const FACTS = ['age', 'status', 'state', 'timeout', 'counters', 'belongs', 'process'] as const;

/** A sentence about a flow. Names in it may come from outside: escape it where it is shown. */
export interface Fact {
  readonly about: (typeof FACTS)[number];
  readonly text: string;
}

/** What is known besides the flow itself; what is absent could not be read. */
export interface FlowSurroundings {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Seconds, below net.netfilter.nf_conntrack_. */
  readonly timeouts: Readonly<Record<string, number>>;
  /** Whether flows are counted now. */
  readonly accounting?: boolean | undefined;
  /** Connections that its helper waits for. */
  readonly expected?: number | undefined;
  /** The process at a local end; `none`: this host is no end; `unseen`: it is, and nobody can say whose. */
  readonly process: { readonly end: string; readonly owner: SocketOwner | 'none' | undefined } | 'none' | 'unknown';
  /** Counters stood still between two looks, though hardware or a flowtable forwards it. */
  readonly standing: boolean;
  /** Name of a service by port and protocol. */
  readonly service: (port: number, protocol: string) => string | undefined;
  readonly netns?: string | undefined;
  readonly problems: readonly Finding[];
}

/** Explains a flow. Pure. */
export function explanationOf(flow: Flow, around: FlowSurroundings): FlowExplanation {
  const { original, reply, id, protocol } = flow;
  const service = original.dport === undefined ? undefined : around.service(original.dport, protocol);
  const named = protocol === 'unknown' ? `protocol ${original.protonum}` : protocol;
  const title = `${named} ${from(original)} → ${to(original)}${service === undefined ? '' : ` (port of ${service})`}`;
  const where = around.netns === undefined ? '' : ` --netns ${shellWord(around.netns)}`;
  const filter = shellWord(id === undefined ? endsFilter(flow) : `id ${id}`);
  return {
    title,
    ...(id === undefined ? {} : { id }),
    ...(around.netns === undefined ? {} : { netns: around.netns }),
    picture: pictureOf(flow),
    facts: [
      ...ageOf(flow, around),
      ...statusOf(flow),
      ...stateOf(flow),
      ...timeoutOf(flow, around),
      ...countersOf(flow, around),
      ...belongsOf(flow, around),
      ...processOf(around),
    ],
    problems: around.problems,
    commands: [
      `conntrack -E${where} --filter ${filter}`,
      `conntrack -U${where} --filter ${filter} -m 1`,
      `conntrack -D${where} --filter ${filter}`,
    ],
  };

  function pictureOf({ status = [] }: Flow): string[] {
    const [client, aim, server, outside] = [from(original), to(original), from(reply), to(reply)];
    const there = [
      ...(outside === client ? [] : [`source becomes ${outside}`]),
      ...(server === aim ? [] : [`destination becomes ${server}`]),
    ];
    const back = [
      ...(outside === client ? [] : [`destination becomes ${client}`]),
      ...(server === aim ? [] : [`source becomes ${aim}`]),
    ];
    const box = (changes: readonly string[]) => `[ this host${changes.length === 0 ? '' : `: ${changes.join(', ')}`} ]`;
    const answered = (status as readonly string[]).includes('SEEN_REPLY');
    return [
      `${client} ──► ${box(there)} ──► ${server}`,
      answered ? `${client} ◄── ${box(back)} ◄── ${server}` : `${client} ◄── nothing has come back from ${server}`,
    ];
  }
}

const from = ({ src, sport }: FlowSide) => endpoint(src, sport);
const to = ({ dst, dport }: FlowSide) => endpoint(dst, dport);

/** Selects a flow by its ends, where the kernel gives no id. */
function endsFilter({ original: { src, dst, protonum, sport, dport } }: Flow): string {
  const ports = sport === undefined || dport === undefined ? '' : ` and src port ${sport} and dst port ${dport}`;
  return `proto ${protonum} and src ${src} and dst ${dst}${ports}`;
}

function ageOf({ timestamp }: Flow, { now }: FlowSurroundings): Fact[] {
  if (timestamp?.start === undefined)
    return [{ about: 'age', text: 'when it began is not known: the kernel keeps no times (timestamps-off)' }];
  const seconds = now / 1000 - Number(timestamp.start / 1_000_000n) / 1000;
  return [{ about: 'age', text: `it began ${duration(seconds)} ago` }];
}

function statusOf({ status = [], protocol }: Flow): Fact[] {
  const bits = status as readonly string[];
  const known = bits.flatMap((bit) => (STATUS_WORDS[bit] === undefined ? [] : [`${bit}: ${STATUS_WORDS[bit]}`]));
  const unanswered = bits.includes('SEEN_REPLY')
    ? []
    : [
        `UNREPLIED: nothing has come back${protocol === 'tcp' ? ', or answers take another way' : ''}; when the table is full, it goes first`,
      ];
  const unassured =
    bits.includes('SEEN_REPLY') && !bits.includes('ASSURED')
      ? ['not ASSURED: when the table is full, it may be removed early']
      : [];
  const others = bits.filter((bit) => bit.startsWith('BIT_')).map((bit) => `${bit}: not known to this program`);
  return [...unanswered, ...known, ...unassured, ...others].map((text) => ({ about: 'status', text }));
}

function stateOf({ protocol, state }: Flow): Fact[] {
  if (state === undefined) return [];
  const words = STATE_WORDS[protocol]?.[state];
  return [{ about: 'state', text: words === undefined ? `${state}` : `${state}: ${words}` }];
}

function timeoutOf(flow: Flow, { timeouts }: FlowSurroundings): Fact[] {
  const { timeout } = flow;
  const status = (flow.status ?? []) as readonly string[];
  if (timeout === undefined) return [];
  const left = `${duration(timeout)} left`;
  if (status.includes('FIXED_TIMEOUT')) return [{ about: 'timeout', text: `it ends in ${duration(timeout)}, whatever happens` }];
  if (status.includes('OFFLOAD') || status.includes('HW_OFFLOAD'))
    return [{ about: 'timeout', text: `the flowtable keeps it alive while packets come; ${left}` }];
  const name = timeoutSysctl(flow);
  const full = name === undefined ? undefined : timeouts[name];
  if (name === undefined || full === undefined)
    return [
      {
        about: 'timeout',
        text: `it ends ${duration(timeout)} from now unless a packet renews it; which sysctl says how long is not known`,
      },
    ];
  const sysctl = `net.netfilter.nf_conntrack_${name} = ${full}`;
  if (timeout > full)
    return [
      { about: 'timeout', text: `${left}: more than ${sysctl}, so somebody, or a rule (ct timeout), has set another timeout` },
    ];
  return [{ about: 'timeout', text: `it ends ${duration(full)} after its last packet (${sysctl}); ${left}` }];
}

function countersOf({ original, reply }: Flow, { accounting, standing }: FlowSurroundings): Fact[] {
  if (original.packets === undefined || reply.packets === undefined) {
    const why =
      accounting === undefined ? '' : accounting ? ': it began while accounting was off' : ': accounting is off (accounting-off)';
    return [{ about: 'counters', text: `it has no counters${why}` }];
  }
  const side = ({ packets = 0n, bytes: size = 0n }: FlowSide) =>
    `${count(Number(packets))} ${packets === 1n ? 'packet' : 'packets'} and ${bytes(size)}`;
  const frozen = standing ? '; they stand still, because whoever forwards it does not count' : '';
  return [{ about: 'counters', text: `${side(original)} went out, ${side(reply)} came back${frozen}` }];
}

function belongsOf({ master, helper, mark, zone, labels, secctx }: Flow, { expected }: FlowSurroundings): Fact[] {
  const facts = [
    ...(master === undefined
      ? []
      : [`a helper of ${endpoint(master.src, master.sport)} → ${endpoint(master.dst, master.dport)} expected it`]),
    ...(helper === undefined
      ? []
      : [
          `the helper ${helper} reads it${expected === undefined ? '' : `, and expects ${expected} ${expected === 1 ? 'connection' : 'connections'} because of it`}`,
        ]),
    ...(mark === undefined || mark === 0 ? [] : [`its mark is ${mark} (0x${mark.toString(16)})`]),
    ...(zone === undefined || zone === 0 ? [] : [`it is in zone ${zone}`]),
    ...(labels === undefined || labels.length === 0 ? [] : [`its labels are ${labels.join(', ')}`]),
    ...(secctx === undefined ? [] : [`its security context is ${secctx}`]),
  ];
  return facts.map((text) => ({ about: 'belongs', text }));
}

function processOf({ process }: FlowSurroundings): Fact[] {
  if (process === 'none') return [];
  if (process === 'unknown') return [{ about: 'process', text: 'whether this host is an end of it could not be read' }];
  const { end, owner } = process;
  const who =
    owner === undefined
      ? 'whose socket it is cannot be seen'
      : owner === 'none'
        ? 'no socket has it any more'
        : `it belongs to ${owner.name} (process ${owner.pid})`;
  return [{ about: 'process', text: `${end} is this host: ${who}` }];
}

/** What `conntrack explain` prints of a flow; the caller escapes it. */
export function explanationLines({ title, id, netns, picture, facts, problems, commands }: FlowExplanation): string[] {
  const head = `${netns === undefined ? '' : `${netns}: `}${title}`;
  return [
    `${head}${id === undefined ? '' : `${' '.repeat(Math.max(3, 88 - head.length))}id ${id}`}`,
    ...picture.map((line) => `   ${line}`),
    ...facts.map(({ text }) => `   ${text}`),
    ...problems.flatMap(({ severity, id: check, title: found, fix }) => [
      `   ${severity}: ${found} (${check})`,
      ...fix
        .filter((line) => !line.startsWith('#'))
        .slice(0, 1)
        .map((line) => `   fix: ${line}`),
    ]),
    `   ${commands.join('   ·   ')}`,
  ];
}
