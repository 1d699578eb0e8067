// Conditions that a kernel may check before it sends a dump. Each is sent as docs/kernel.md 4 says, to a table that has entries
// on both sides of it, and given to the command under test in words, which must get it right whatever the kernel does.

import {
  attribute,
  be16,
  be32,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  type NewFlow,
  nest,
  type Side,
  TCP,
  tuple,
} from '../support/netlink.js';

const IPV4 = 2;
const IPV6 = 10;
const ANY = 0;
const A = '192.0.2.1';
const A2 = '192.0.2.2';
const B = '198.51.100.1';
const B2 = '198.51.100.2';
const A6 = '2001:db8::1';
const A62 = '2001:db8::2';
const B6 = '2001:db8:1::1';
const B62 = '2001:db8:1::2';
const BOTH = IPS_SEEN_REPLY | IPS_ASSURED;

const ports = (src: string, dst: string, sport: number, dport: number): Side => ({ src, dst, sport, dport });

/** Flow n is known by its timeout: n + 1 times this many seconds. */
export const STEP = 10_000;

const UNTIMED: readonly Omit<NewFlow, 'timeout'>[] = [
  { proto: 6, original: ports(A, B, 1000, 80), tcpState: TCP.ESTABLISHED, status: BOTH, mark: 5 },
  { proto: 6, original: ports(A2, B2, 1001, 443), tcpState: TCP.ESTABLISHED, status: BOTH, mark: 0x105 },
  { proto: 17, original: ports(A, B, 2000, 53) },
  { proto: 17, original: ports(A2, B2, 2001, 54), zone: 7 },
  { proto: 132, original: ports(A, B, 3000, 3010), sctp: { state: 4, originalTag: 1, replyTag: 2 } },
  { proto: 132, original: ports(A2, B2, 3001, 3011), sctp: { state: 4, originalTag: 1, replyTag: 2 } },
  { proto: 136, original: ports(A, B, 4000, 4010) },
  { proto: 136, original: ports(A2, B2, 4001, 4011) },
  { proto: 47, original: ports(A, B, 1, 11) },
  { proto: 47, original: ports(A2, B2, 2, 12) },
  { proto: 33, original: ports(A, B, 5000, 5010) },
  { proto: 33, original: ports(A2, B2, 5001, 5011) },
  { proto: 1, original: { src: A, dst: B, icmp: [8, 0, 70] } },
  { proto: 1, original: { src: A2, dst: B2, icmp: [13, 1, 71] } },
  { proto: 6, original: ports(A6, B6, 1000, 80), tcpState: TCP.ESTABLISHED, status: BOTH },
  { proto: 6, original: ports(A62, B62, 1001, 443), tcpState: TCP.ESTABLISHED, status: IPS_SEEN_REPLY, mark: 5 },
  { proto: 58, original: { src: A6, dst: B6, icmp: [128, 0, 72] } },
  { proto: 58, original: { src: A62, dst: B62, icmp: [139, 1, 73] } },
];

export const FLOWS: readonly NewFlow[] = UNTIMED.map((flow, n) => ({ ...flow, timeout: (n + 1) * STEP }));

/** Without its tracker, an entry of DCCP has no ports. */
export const DCCP = 33;

const is6 = ({ original }: NewFlow) => original.src.includes(':');

export interface FilterRow {
  readonly name: string;
  readonly family: number;
  readonly attributes: readonly Buffer[];
  /** The entries meant. */
  readonly wants: (flow: NewFlow) => boolean;
  /** The same for the command under test. */
  readonly words: string;
  /** What the tool does where the kernel does not filter so. */
  readonly otherwise: string;
}

/** CTA_FILTER_ORIG_FLAGS and CTA_FILTER_REPLY_FLAGS, in host order. */
const flags = (original: number, reply: number) => {
  const host32 = (type: number, value: number) => attribute(type, Buffer.from(new Uint32Array([value]).buffer));
  return nest(25, host32(1, original), host32(2, reply));
};

const CHECKS = 'compares each entry itself';
const NEVER = 'never asks; compares each entry itself';
const FROM_7_3 = 'asks from 7.3 on; compares each entry itself';

type Tuple = { family?: number; proto?: number; orig?: Side; origFlags?: number; reply?: Side; replyFlags?: number };

function byTuple(name: string, wants: FilterRow['wants'], words: string, given: Tuple, otherwise = CHECKS): FilterRow {
  const { family = IPV4, proto = 6, orig, reply, origFlags = 0, replyFlags = 0 } = given;
  const tuples = [...(orig ? [tuple(1, proto, orig)] : []), ...(reply ? [tuple(2, proto, reply)] : [])];
  return { name, family, attributes: [...tuples, flags(origFlags, replyFlags)], wants, words, otherwise };
}

/** Ports of one protocol: source and destination of the original tuple. */
function byPorts(
  name: string,
  proto: number,
  words: string,
  [sport, dport]: readonly [number, number],
  otherwise = CHECKS,
): FilterRow[] {
  const orig = ports(A, B, sport, dport);
  const [source = '', destination = ''] = words.split(' ');
  const what = source === '--srckey' ? 'key' : 'port';
  const protocol = name.toLowerCase().replaceAll('-', '');
  return (
    [
      ['source', 'sport', sport, source, 0x18],
      ['destination', 'dport', dport, destination, 0x28],
    ] as const
  ).map(([end, member, value, option, origFlags]) =>
    byTuple(
      `${name} ${end} ${what}`,
      (f) => f.proto === proto && f.original[member] === value && !is6(f),
      `-f ipv4 -p ${protocol} ${option} ${value}`,
      { proto, orig, origFlags },
      otherwise,
    ),
  );
}

/** A row of an IPv6 address. */
function byIpv6(name: string, wants: FilterRow['wants'], words: string, tuple: Tuple): FilterRow {
  return byTuple(`IPv6 ${name}`, wants, words, { family: IPV6, ...tuple }, FROM_7_3);
}

const addresses = (src: string, dst: string): Side => ({ src, dst });

export const FILTER_ROWS: readonly FilterRow[] = [
  { name: 'family', family: IPV6, attributes: [], wants: is6, words: '-f ipv6', otherwise: CHECKS },
  {
    name: 'mark and mask',
    family: ANY,
    attributes: [be32(8, 5), be32(21, 0xff)],
    wants: ({ mark = 0 }) => (mark & 0xff) === 5,
    words: '-m 5/0xff',
    otherwise: CHECKS,
  },
  {
    name: 'mark without a mask',
    family: ANY,
    attributes: [be32(8, 5)],
    wants: ({ mark }) => mark === 5,
    words: '-m 5',
    otherwise: 'always sends a mask',
  },
  {
    name: 'status and mask',
    family: ANY,
    attributes: [be32(3, IPS_ASSURED), be32(26, IPS_ASSURED)],
    wants: ({ status = 0 }) => (status & IPS_ASSURED) !== 0,
    words: '-u ASSURED',
    otherwise: CHECKS,
  },
  {
    name: 'status that is not set',
    family: ANY,
    attributes: [be32(3, IPS_SEEN_REPLY), be32(26, BOTH)],
    wants: ({ status = 0 }) => (status & BOTH) === IPS_SEEN_REPLY,
    words: '-u SEEN_REPLY,!ASSURED',
    otherwise: CHECKS,
  },
  { name: 'zone', family: ANY, attributes: [be16(18, 7)], wants: ({ zone }) => zone === 7, words: '-w 7', otherwise: CHECKS },
  byTuple('IPv4 source', (f) => f.original.src === A, `-s ${A}`, { orig: addresses(A, B), origFlags: 1 }),
  byTuple('IPv4 destination', (f) => f.original.dst === B, `-d ${B}`, { orig: addresses(A, B), origFlags: 2 }),
  byTuple('IPv4 source of the reply', (f) => f.original.dst === B, `-r ${B}`, { reply: addresses(B, A), replyFlags: 1 }),
  byTuple('IPv4 destination of the reply', (f) => f.original.src === A, `-q ${A}`, { reply: addresses(B, A), replyFlags: 2 }),
  byIpv6('source', (f) => f.original.src === A6, `-s ${A6}`, { orig: addresses(A6, B6), origFlags: 1 }),
  byIpv6('destination', (f) => f.original.dst === B6, `-d ${B6}`, { orig: addresses(A6, B6), origFlags: 2 }),
  byIpv6('source of the reply', (f) => f.original.dst === B6, `-r ${B6}`, { reply: addresses(B6, A6), replyFlags: 1 }),
  byIpv6('destination of the reply', (f) => f.original.src === A6, `-q ${A6}`, { reply: addresses(B6, A6), replyFlags: 2 }),
  byTuple('protocol', (f) => f.proto === 17 && !is6(f), '-f ipv4 -p udp', { proto: 17, orig: addresses(A, B), origFlags: 8 }),
  ...byPorts('TCP', 6, '--sport --dport', [1000, 80]),
  byTuple('TCP ports over IPv6', (f) => f.original.dport === 443 && is6(f), '-f ipv6 -p tcp --dport 443', {
    family: IPV6,
    orig: ports(A6, B6, 1001, 443),
    origFlags: 0x28,
  }),
  byTuple('TCP source port of the reply', (f) => f.original.dport === 443 && !is6(f), '-f ipv4 -p tcp --reply-port-src 443', {
    reply: ports(B, A, 443, 1001),
    replyFlags: 0x18,
  }),
  ...byPorts('UDP', 17, '--sport --dport', [2000, 53]),
  ...byPorts('SCTP', 132, '--sport --dport', [3000, 3010], NEVER),
  ...byPorts('UDP-Lite', 136, '--sport --dport', [4000, 4010], NEVER),
  ...byPorts('DCCP', DCCP, '--sport --dport', [5000, 5010], NEVER),
  ...byPorts('GRE', 47, '--srckey --dstkey', [1, 11], NEVER),
  ...(['type', 'code', 'id'] as const).flatMap((part, n) => [
    byTuple(
      `ICMP ${part}`,
      (f) => f.proto === 1 && f.original.icmp![n] === [8, 0, 70][n],
      `-f ipv4 -p icmp --icmp-${part} ${[8, 0, 70][n]}`,
      { proto: 1, orig: { src: A, dst: B, icmp: [8, 0, 70] }, origFlags: [0x48, 0x88, 0x108][n]! },
    ),
    byTuple(
      `ICMPv6 ${part}`,
      (f) => f.proto === 58 && f.original.icmp![n] === [128, 0, 72][n],
      `-f ipv6 -p icmpv6 --icmpv6-${part} ${[128, 0, 72][n]}`,
      { family: IPV6, proto: 58, orig: { src: A6, dst: B6, icmp: [128, 0, 72] }, origFlags: [0x208, 0x408, 0x808][n]! },
    ),
  ]),
];
