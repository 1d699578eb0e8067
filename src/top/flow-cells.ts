// The columns of a table of flows, a row each.

import type { Flow } from '../ctnetlink/flow.js';
import type { BothWays, FlowSort, MeteredFlow } from '../meter/index.js';
import { age, bytes, type Measured, rate, shortCount } from '../units.js';
import { COLORS } from './style.js';
import { type CellContext, cutEnd, ellipsis, type TableColumn, WIDE } from './table-layout.js';

export interface FlowColumn extends TableColumn<MeteredFlow> {
  readonly sort?: FlowSort;
}

/** States in 6 cells; on a wide screen they are written in full. */
const SHORT_STATES: Readonly<Record<string, string>> = {
  ESTABLISHED: 'ESTAB',
  SYN_SENT: 'SYN_S',
  SYN_SENT2: 'SYN_S2',
  SYN_RECV: 'SYN_R',
  FIN_WAIT: 'FIN_W',
  CLOSE_WAIT: 'CLOS_W',
  LAST_ACK: 'L_ACK',
  TIME_WAIT: 'TIME_W',
  COOKIE_WAIT: 'COOK_W',
  COOKIE_ECHOED: 'COOK_E',
  SHUTDOWN_SENT: 'SHUT_S',
  SHUTDOWN_RECD: 'SHUT_R',
  SHUTDOWN_ACK_SENT: 'SHUT_A',
  HEARTBEAT_SENT: 'HEAR_S',
  HEARTBEAT_ACKED: 'HEAR_A',
  REQUEST: 'REQU',
  RESPOND: 'RESP',
  PARTOPEN: 'PARTOP',
  CLOSEREQ: 'CLOS_R',
  CLOSING: 'CLOSNG',
  TIMEWAIT: 'TIME_W',
  INVALID: 'INVAL',
  ASSURED: 'ASSUR',
  REPLIED: 'REPL',
};

export const FLOW_COLUMNS: readonly FlowColumn[] = [
  {
    name: 'netns',
    title: () => 'NETNS',
    least: 6,
    most: 12,
    priority: 8,
    sort: 'netns',
    isUseful: ({ several }) => several,
    text: ({ netns = '' }, width, { ascii }) => cutEnd(netns, width, ascii),
  },
  {
    name: 'protocol',
    title: () => 'PROTO',
    least: 5,
    priority: 6,
    sort: 'protocol',
    key: 'p',
    text: ({ flow }) => protocolOf(flow),
  },
  {
    name: 'source',
    title: () => 'SOURCE',
    least: 15,
    good: 21,
    most: 47,
    priority: 0,
    sort: 'src',
    key: 's',
    text: ({ flow: { original } }, width, { ascii }) => endpoint(original.src, original.sport, width, ascii),
  },
  {
    name: 'destination',
    title: () => 'DESTINATION',
    least: 15,
    good: 21,
    most: 47,
    priority: 1,
    sort: 'dst',
    key: 'd',
    text: ({ flow: { original } }, width, { ascii }) => endpoint(original.dst, original.dport, width, ascii),
  },
  {
    name: 'nat',
    isEmpty: ({ flow }) => translation(flow) === '',
    title: () => 'NAT',
    least: 17,
    most: 24,
    priority: 7,
    text: ({ flow }, width, { ascii }) => cutEnd(translation(flow), width, ascii),
  },
  {
    name: 'state',
    title: () => 'STATE',
    least: 8,
    good: 14,
    priority: 4,
    sort: 'state',
    key: 't',
    text: (row, _, { width }) => stateText(row, width >= WIDE),
    style: ({ flow: { state } }) =>
      state === 'ESTABLISHED' ? COLORS.green : state === 'SYN_RECV' || state === 'SYN_SENT2' ? COLORS.yellow : 0,
  },
  rateColumn('original', 'e', 2),
  rateColumn('reply', 'r', 3),
  {
    name: 'packets',
    title: () => 'PKT/s',
    least: 5,
    right: true,
    priority: 11,
    sort: 'packetRate',
    key: 'k',
    text: (row) => shortCount(measured(row, row.packetRate)),
  },
  {
    name: 'bytes',
    title: () => 'BYTES',
    least: 7,
    right: true,
    priority: 9,
    sort: 'bytes',
    key: 'b',
    text: ({ flow: { original, reply } }) =>
      bytes(original.bytes === undefined ? null : Number(original.bytes) + Number(reply.bytes ?? 0n)),
  },
  {
    name: 'age',
    title: () => 'AGE',
    least: 7,
    right: true,
    priority: 5,
    sort: 'age',
    key: 'a',
    text: (row, _, { ascii }) => `${row.ageAtLeast ? (ascii ? '>' : '≥') : ''}${age(row.age)}`,
  },
  {
    name: 'idle',
    title: () => 'IDLE',
    least: 6,
    right: true,
    priority: 10,
    sort: 'idle',
    key: 'i',
    text: ({ idle }) => age(idle ?? null),
  },
  {
    name: 'mark',
    title: () => 'MARK',
    least: 6,
    most: 10,
    right: true,
    priority: 12,
    sort: 'mark',
    isEmpty: ({ flow: { mark = 0 } }) => mark === 0,
    key: 'm',
    text: ({ flow: { mark = 0 } }, width, { ascii }) =>
      cutEnd(mark > 0xffff ? `0x${mark.toString(16)}` : String(mark), width, ascii),
  },
  {
    name: 'zone',
    title: () => 'ZONE',
    least: 5,
    right: true,
    priority: 13,
    sort: 'zone',
    isEmpty: ({ flow: { zone = 0 } }) => zone === 0,
    key: 'z',
    text: ({ flow: { zone = 0 } }) => String(zone),
  },
  {
    name: 'helper',
    isEmpty: ({ flow: { helper } }) => helper === undefined,
    title: () => 'HELPER',
    least: 6,
    most: 12,
    priority: 14,
    text: ({ flow: { helper = '-' } }, width, { ascii }) => cutEnd(helper, width, ascii),
  },
  {
    name: 'expires',
    title: () => 'EXPIRES',
    least: 7,
    right: true,
    priority: 15,
    sort: 'timeout',
    key: 'x',
    text: ({ flow: { timeout } }) => age(timeout ?? null),
  },
];

function rateColumn(direction: keyof BothWays, key: string, priority: number): FlowColumn {
  return {
    name: `rate-${direction}`,
    title: (context) => rateTitle(direction, context),
    least: 6,
    good: 7,
    right: true,
    priority,
    sort: direction === 'original' ? 'averageOriginal' : 'averageReply',
    key,
    text: (row, _, { unit, averages }) => {
      if (row.counters === 'offloaded') return 'offl';
      const value = (averages ? row.average : row.rate)?.[direction];
      return rate(measured(row, value ?? overItsLife(row, direction)), unit);
    },
  };
}

/** `→bit/s`, `←B/s`; `→b/s` where the mark of the order would not fit beside it. */
export function rateTitle(direction: keyof BothWays, { unit, ascii, width }: CellContext): string {
  return `${arrow(direction, ascii)}${unit === 'bytes' ? 'B/s' : width >= WIDE ? 'bit/s' : 'b/s'}`;
}

/** The direction in one cell: to the destination, and back. */
export function arrow(direction: keyof BothWays, ascii: boolean): string {
  return direction === 'original' ? (ascii ? '>' : '→') : ascii ? '<' : '←';
}

/** Until its rate is known, what a flow has had on average since it began; `undefined` if the kernel did not say when that was. */
export function overItsLife(
  { flow, age: seconds, ageAtLeast, rate: known }: MeteredFlow,
  direction: keyof BothWays,
): number | undefined {
  const sum = flow[direction].bytes;
  return known !== undefined || ageAtLeast || sum === undefined || seconds < 1 ? undefined : Number(sum) / seconds;
}

/** Without counters it will never be known. */
function measured({ counters }: MeteredFlow, value: number | undefined): Measured {
  return counters === 'none' ? null : value;
}

export function protocolOf({ protocol, original }: Flow): string {
  if (protocol === 'unknown') return String(original.protonum ?? '?');
  return protocol === 'udplite' ? 'udpl' : protocol === 'icmpv6' ? 'icmp6' : protocol;
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`, no wider than asked for: an address loses its middle, never the port. */
export function endpoint(address = '?', port: number | undefined, width: number, ascii: boolean): string {
  const [open, close] = port !== undefined && address.includes(':') ? ['[', ']'] : ['', ''];
  const tail = `${close}${port === undefined ? '' : `:${port}`}`;
  const room = width - open.length - tail.length;
  if (address.length <= room) return open + address + tail;
  if (room < 3) return cutEnd(open + address + tail, width, ascii);
  const half = Math.ceil((room - 1) / 2);
  return `${open}${address.slice(0, half)}${ellipsis(ascii)}${address.slice(address.length - (room - 1 - half))}${tail}`;
}

/** `s 198.51.100.7` for a translated source, `d 10.0.0.1:80` for a translated destination, with ports that change. */
export function translation({ original, reply }: Flow): string {
  const parts: string[] = [];
  const port = (now: number | undefined, was: number | undefined) => (now === was || now === undefined ? undefined : now);
  if (reply.dst !== original.src || reply.dport !== original.sport)
    parts.push(`s ${endpoint(reply.dst, port(reply.dport, original.sport), Number.MAX_SAFE_INTEGER, false)}`);
  if (reply.src !== original.dst || reply.sport !== original.dport)
    parts.push(`d ${endpoint(reply.src, port(reply.sport, original.dport), Number.MAX_SAFE_INTEGER, false)}`);
  return parts.join(' ');
}

/** The state, or what the kernel knows instead; behind it `s`, `d`: translated, `o`: offloaded. */
export function stateText({ flow }: MeteredFlow, full: boolean): string {
  const { state, status = [], original } = flow;
  const has = (bit: string) => (status as readonly string[]).includes(bit);
  const what =
    state ??
    (original.icmpType !== undefined
      ? `type ${original.icmpType}`
      : has('ASSURED')
        ? 'ASSURED'
        : has('SEEN_REPLY')
          ? 'REPLIED'
          : 'NEW');
  const flags = `${has('SRC_NAT') ? 's' : ''}${has('DST_NAT') ? 'd' : ''}${has('OFFLOAD') || has('HW_OFFLOAD') ? 'o' : ''}`;
  const room = full ? (flags === '' ? 14 : Math.min(11, 13 - flags.length)) : 6 - Math.max(0, flags.length - 2);
  const short = SHORT_STATES[what] ?? what.replace(/^type /, 't ');
  const word = what.length <= room ? what : short.slice(0, room);
  if (flags === '') return word;
  return full ? `${word.padEnd(room)} ${flags}` : `${word.padEnd(room)}${flags.padStart(2)}`;
}
