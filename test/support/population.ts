// A table with one of everything that this kernel can track: each protocol, each state, NAT, zones, marks, labels, helpers, expectations.
// Timeouts are long, so that a run of many commands sees the same entries throughout.

import type { Namespace } from './namespace.js';
import {
  deleteFlow,
  IPS_ASSURED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  type NewExpectation,
  type NewFlow,
  newExpectation,
  newFlow,
  SCTP,
  type Side,
  TCP,
} from './netlink.js';
import { REFERENCE } from './project.js';

/** Names of label bits, with lines that the grammar of the file allows and refuses (docs/behaviour.md 3.10). */
export const LABELS = `# connlabel.conf of the tests
0	zero
1 web
2  eth0-in
  3	two words${'  '}
0x10 sixteen
017 fifteen
100 last
101 web
1 again
200 beyond
5000 nothing
7 under_score
`;

const A = '192.0.2.1';
const B = '198.51.100.1';
const A6 = '2001:db8::1';
const B6 = '2001:db8:1::2';
const SEEN = IPS_SEEN_REPLY;
const BOTH = IPS_SEEN_REPLY | IPS_ASSURED;

/** Entries made over netlink. All have different original tuples. */
export const FLOWS: readonly NewFlow[] = [
  // TCP: every state
  ...Object.values(TCP).map((tcpState, n): NewFlow => {
    return {
      proto: 6,
      original: ports(A, B, 40000 + n, 80 + (n % 3)),
      timeout: 100000 + n,
      tcpState,
      status: n % 4 === 0 ? 0 : n % 4 === 1 ? SEEN : BOTH,
      mark: n,
    };
  }),
  { proto: 6, original: ports('192.0.2.2', B, 40000, 443), timeout: 432000, tcpState: TCP.ESTABLISHED, status: BOTH, mark: 0x1f },
  {
    proto: 6,
    original: ports('192.0.2.77', '198.51.100.9', 40001, 22),
    timeout: 432000,
    tcpState: TCP.ESTABLISHED,
    status: BOTH,
    mark: 0xffffffff,
  },
  {
    proto: 6,
    original: ports(A, B, 41000, 21),
    timeout: 432000,
    tcpState: TCP.ESTABLISHED,
    status: BOTH,
    helper: 'ftp',
    labels: [1, 2],
  },
  { proto: 6, original: ports(A, B, 42000, 80), timeout: 100100, tcpState: TCP.ESTABLISHED, status: IPS_ASSURED, mark: 0x0f00 },
  { proto: 6, original: ports(A6, B6, 40000, 443), timeout: 432000, tcpState: TCP.ESTABLISHED, status: BOTH, labels: [100] },
  { proto: 6, original: ports(A6, B6, 40001, 21), timeout: 432000, tcpState: TCP.ESTABLISHED, status: BOTH, helper: 'ftp' },
  { proto: 6, original: ports('2001:db8::2', B6, 1, 65535), timeout: 100200, tcpState: TCP.TIME_WAIT, status: SEEN, mark: 0x10 },
  { proto: 6, original: ports(A, B, 1723, 1723), timeout: 432000, tcpState: TCP.ESTABLISHED, status: BOTH, helper: 'pptp' },
  // UDP
  { proto: 17, original: ports(A, B, 5060, 5060), timeout: 100310, status: SEEN, helper: 'sip' },
  { proto: 17, original: ports(A6, B6, 5060, 5060), timeout: 100311, status: SEEN, helper: 'sip' },
  { proto: 17, original: ports(A, B, 5000, 53), timeout: 100300 },
  { proto: 17, original: ports(A, B, 5001, 53), timeout: 100301, status: SEEN },
  { proto: 17, original: ports(A, B, 5002, 53), timeout: 100302, status: BOTH, mark: 0x11 },
  { proto: 17, original: ports('192.0.2.2', '198.51.100.9', 65535, 1), timeout: 100303, status: IPS_FIXED_TIMEOUT },
  {
    proto: 17,
    original: ports('10.0.0.1', '10.255.255.255', 0, 0),
    timeout: 2_000_000,
    status: SEEN | IPS_FIXED_TIMEOUT,
    mark: 0x80000000,
  },
  { proto: 17, original: ports(A6, B6, 5000, 53), timeout: 100304, labels: [1, 3, 15, 16] },
  { proto: 17, original: ports('fe80::1', 'ff02::fb', 5353, 5353), timeout: 100305, mark: 1 },
  { proto: 17, original: ports('::ffff:c000:201', '::ffff:c633:6401', 1, 2), timeout: 100306 },
  { proto: 17, original: ports('::1', '::', 3, 4), timeout: 100307 },
  // UDP-Lite, DCCP, GRE, others: without ports if this kernel has no tracker
  { proto: 136, original: ports(A, B, 5000, 53), timeout: 100400 },
  { proto: 136, original: ports(A6, B6, 5000, 53), timeout: 100401, status: BOTH },
  // Kernels that do not track DCCP ignore its ports; those that do insist on them.
  { proto: 33, original: ports(A, B, 5000, 5001), timeout: 100402 },
  { proto: 33, original: ports(A6, B6, 5000, 5001), timeout: 100403, status: SEEN },
  { proto: 47, original: ports(A, B, 0x10, 0x11), timeout: 100404 },
  { proto: 47, original: ports(A, B, 0xffff, 0), timeout: 100405, status: BOTH, mark: 7 },
  { proto: 47, original: ports(A6, B6, 1, 2), timeout: 100406 },
  { proto: 50, original: { src: A, dst: B }, timeout: 100407 },
  { proto: 89, original: { src: '192.0.2.2', dst: '224.0.0.5' }, timeout: 100408, mark: 9 },
  { proto: 255, original: { src: A6, dst: B6 }, timeout: 100409, status: SEEN },
  { proto: 0, original: { src: '192.0.2.3', dst: B }, timeout: 100410 },
  // SCTP: every state
  ...Object.values(SCTP).map((state, n): NewFlow => {
    return {
      proto: 132,
      original: ports(A, B, 6000 + n, 36412),
      timeout: 100500 + n,
      sctp: { state, originalTag: 0x12345678 + n, replyTag: n },
      status: n % 2 === 0 ? 0 : BOTH,
    };
  }),
  {
    proto: 132,
    original: ports(A6, B6, 6000, 36412),
    timeout: 100520,
    sctp: { state: SCTP.ESTABLISHED, originalTag: 0xffffffff, replyTag: 0x01000000 },
    status: BOTH,
  },
  // ICMP
  { proto: 1, original: { src: A, dst: B, icmp: [8, 0, 77] }, timeout: 100600 },
  { proto: 1, original: { src: A, dst: B, icmp: [8, 0, 65535] }, timeout: 100601, status: SEEN, mark: 3 },
  { proto: 1, original: { src: A, dst: '198.51.100.9', icmp: [13, 0, 0] }, timeout: 100602 },
  { proto: 1, original: { src: '192.0.2.2', dst: B, icmp: [17, 5, 1] }, timeout: 100603 },
  { proto: 58, original: { src: A6, dst: B6, icmp: [128, 0, 9] }, timeout: 100604 },
  { proto: 58, original: { src: A6, dst: '2001:db8:1::9', icmp: [139, 1, 300] }, timeout: 100605, status: SEEN, mark: 5 },
  // NAT: address, address and port, port alone, both sides, IPv6; and a reply tuple that differs without NAT
  { proto: 17, original: ports(A, B, 7000, 53), timeout: 100700, sourceNat: { address: '203.0.113.5' } },
  {
    proto: 17,
    original: ports(A, B, 7001, 53),
    timeout: 100701,
    sourceNat: { address: '203.0.113.5', port: 7777 },
    status: SEEN,
  },
  { proto: 17, original: ports(A, B, 7002, 53), timeout: 100702, destinationNat: { address: '203.0.113.9' } },
  {
    proto: 17,
    original: ports(A, B, 7003, 53),
    timeout: 100703,
    destinationNat: { address: '203.0.113.9', port: 8080 },
    status: BOTH,
  },
  {
    proto: 17,
    original: ports(A, B, 7004, 53),
    timeout: 100704,
    sourceNat: { address: '203.0.113.5', port: 1 },
    destinationNat: { address: '203.0.113.9', port: 2 },
  },
  { proto: 17, original: ports(A, B, 7005, 53), timeout: 100705, sourceNat: { address: A, port: 7776 } },
  {
    proto: 6,
    original: ports(A, B, 7006, 80),
    timeout: 100706,
    tcpState: TCP.ESTABLISHED,
    status: BOTH,
    destinationNat: { address: B, port: 8080 },
    mark: 2,
  },
  {
    proto: 6,
    original: ports('192.0.2.2', B, 7007, 80),
    timeout: 100707,
    tcpState: TCP.SYN_SENT,
    sourceNat: { address: '203.0.113.6', port: 7778 },
  },
  { proto: 17, original: ports(A6, B6, 7000, 53), timeout: 100708, sourceNat: { address: '2001:db8:9::6' } },
  { proto: 17, original: ports(A6, B6, 7001, 53), timeout: 100709, sourceNat: { address: '2001:db8:9::7', port: 7777 } },
  {
    proto: 17,
    original: ports(A6, B6, 7002, 53),
    timeout: 100710,
    destinationNat: { address: '2001:db8:9::9', port: 8080 },
    status: BOTH,
  },
  { proto: 1, original: { src: A, dst: B, icmp: [8, 0, 700] }, timeout: 100711, sourceNat: { address: '203.0.113.5' } },
  { proto: 17, original: ports(A, B, 7010, 53), reply: ports('203.0.113.100', '203.0.113.101', 1010, 2020), timeout: 100712 },
  // zones
  { proto: 17, original: ports(A, B, 5000, 53), zone: 5, timeout: 100800, mark: 4 },
  { proto: 6, original: ports(A, B, 40000, 80), zone: 5, timeout: 100801, tcpState: TCP.ESTABLISHED, status: BOTH },
  { proto: 17, original: ports(A, B, 5000, 53), zone: 65535, timeout: 100802 },
  { proto: 17, original: { ...ports(A, B, 5003, 53), zone: 7 }, timeout: 100803, status: SEEN },
  { proto: 17, original: ports(A, B, 5004, 53), reply: { ...ports(B, A, 53, 5004), zone: 8 }, timeout: 100804 },
  { proto: 17, original: ports(A6, B6, 5000, 53), zone: 5, timeout: 100805, labels: [2] },
  // labels without any name, with some names
  { proto: 17, original: ports(A, B, 9000, 53), timeout: 100900, labels: [64] },
  { proto: 17, original: ports(A, B, 9001, 53), timeout: 100901, labels: [0, 64, 127] },
  { proto: 17, original: ports(A, B, 9002, 53), timeout: 100902, labels: [0, 1, 2, 3, 15, 16, 100, 101], mark: 6 },
];

type Master = NewExpectation['master'];
const FTP: Master = { proto: 6, side: ports(A, B, 41000, 21) };
const FTP6: Master = { proto: 6, side: ports(A6, B6, 40001, 21) };
const SIP: Master = { proto: 17, side: ports(A, B, 5060, 5060) };
const SIP6: Master = { proto: 17, side: ports(A6, B6, 5060, 5060) };
const PPTP: Master = { proto: 6, side: ports(A, B, 1723, 1723) };
const ALL4 = '255.255.255.255';
const ALL6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';

/** Expectations of connections with helpers: both families, each flag and class, wide masks, ports, keys and ICMP fields. */
export const EXPECTATIONS: readonly NewExpectation[] = [
  { proto: 6, master: FTP, tuple: ports(B, A, 0, 41001), mask: ports(ALL4, ALL4, 0, 65535), timeout: 100000 },
  { proto: 6, master: FTP6, tuple: ports(B6, A6, 0, 41002), mask: ports(ALL6, ALL6, 0, 65535), timeout: 100000 },
  {
    proto: 17,
    master: SIP,
    tuple: ports('198.51.100.0', A, 0, 9000),
    mask: ports('255.255.255.0', ALL4, 0, 65535),
    timeout: 100000,
    class: 2,
    flags: 1,
  },
  {
    proto: 17,
    master: SIP,
    tuple: ports(B, A, 9, 9001),
    mask: ports(ALL4, ALL4, 65535, 65535),
    timeout: 100000,
    class: 2,
    flags: 2,
  },
  {
    proto: 17,
    master: SIP,
    tuple: ports('0.0.0.0', A, 0, 9002),
    mask: ports('0.0.0.0', ALL4, 0, 65535),
    timeout: 100000,
    class: 2,
    flags: 3,
  },
  { proto: 132, master: SIP, tuple: ports(B, A, 0, 9003), mask: ports(ALL4, ALL4, 0, 65535), timeout: 100000, class: 3 },
  {
    proto: 1,
    master: SIP,
    tuple: { src: B, dst: A, icmp: [8, 0, 5] },
    mask: { src: ALL4, dst: ALL4, icmp: [8, 255, 65535] },
    timeout: 100000,
    class: 1,
  },
  { proto: 50, master: SIP, tuple: { src: B, dst: A }, mask: { src: ALL4, dst: ALL4 }, timeout: 100000, class: 1 },
  { proto: 136, master: SIP, tuple: ports(B, A, 0, 9004), mask: ports(ALL4, ALL4, 0, 65535), timeout: 100000, class: 1 },
  { proto: 33, master: SIP, tuple: ports(B, A, 0, 9005), mask: ports(ALL4, ALL4, 0, 65535), timeout: 100000, class: 1 },
  {
    proto: 17,
    master: SIP6,
    tuple: ports(B6, A6, 0, 9000),
    mask: ports('ffff:ffff::', ALL6, 0, 65535),
    timeout: 100000,
    class: 1,
  },
  {
    proto: 58,
    master: SIP6,
    tuple: { src: B6, dst: A6, icmp: [128, 0, 6] },
    mask: { src: ALL6, dst: ALL6, icmp: [128, 0, 65535] },
    timeout: 100000,
    class: 1,
  },
  { proto: 47, master: PPTP, tuple: ports(B, A, 0x10, 0x1f), mask: ports(ALL4, ALL4, 65535, 65535), timeout: 100000 },
];

function ports(src: string, dst: string, sport: number, dport: number): Side {
  return { src, dst, sport, dport };
}

export interface PopulateOptions {
  /** Per-entry counters and timestamps, which exist only if switched on before. */
  accounting: boolean;
  timestamps: boolean;
  /**
   * Also sends packets from this namespace to itself: entries with counters, NAT set up without effect. `datagrams` leaves the same
   * counters every time; `all` has FTP sessions too, with expectations and an expected connection.
   */
  traffic: 'none' | 'datagrams' | 'all';
}

/** Fills an empty namespace, always in the same way. */
export async function populate(namespace: Namespace, { accounting, timestamps, traffic }: PopulateOptions): Promise<void> {
  await namespace.labels(LABELS);
  await namespace.sysctl({
    'net.netfilter.nf_conntrack_acct': Number(accounting),
    'net.netfilter.nf_conntrack_timestamp': Number(timestamps),
    'net.netfilter.nf_conntrack_events': 1,
  });
  // Only entries that begin while a rule uses labels have room for labels.
  await namespace.nft('table inet labels { chain never { ct label set 127; }; }\n');
  await namespace.netlink([...FLOWS.map(newFlow), ...EXPECTATIONS.flatMap(newExpectation)]);
  if (traffic === 'none') return;
  await rules(namespace);
  await datagrams(namespace);
  if (traffic === 'datagrams') return;
  await sessions(namespace);
  await quiet(namespace);
}

/** Only the entries of `datagrams`, which fit in one message of a dump, with counters. */
export async function populateCounters(namespace: Namespace): Promise<void> {
  await namespace.sysctl({ 'net.netfilter.nf_conntrack_acct': 1, 'net.netfilter.nf_conntrack_events': 1 });
  await rules(namespace);
  await datagrams(namespace);
}

/** Waits until packets no longer change the table: TCP acknowledges late. */
export async function quiet(namespace: Namespace): Promise<void> {
  let before = '';
  for (let n = 0; n < 50; n++) {
    const now = await namespace.must([REFERENCE, '-L']);
    const packets = [...now.matchAll(/packets=\d+ bytes=\d+|[A-Z_]+ src=/g)].join();
    if (packets === before) return;
    before = packets;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`namespace ${namespace.name} does not come to rest`);
}

/** Seconds that packets give their entries here: a run must not see them end. */
const LONG = 300_000;
export const LONG_TIMEOUTS: Readonly<Record<string, number>> = Object.fromEntries(
  [
    'generic_timeout', 'icmp_timeout', 'icmpv6_timeout', 'udp_timeout', 'udp_timeout_stream', 'gre_timeout', 'gre_timeout_stream',
    'tcp_timeout_syn_sent', 'tcp_timeout_syn_recv', 'tcp_timeout_established', 'tcp_timeout_fin_wait', 'tcp_timeout_close_wait',
    'tcp_timeout_last_ack', 'tcp_timeout_time_wait', 'tcp_timeout_close', 'tcp_timeout_unacknowledged', 'tcp_timeout_max_retrans',
    'sctp_timeout_closed', 'sctp_timeout_cookie_wait', 'sctp_timeout_cookie_echoed', 'sctp_timeout_established',
  ].map((name) => [`net.netfilter.nf_conntrack_${name}`, LONG]),
); // biome-ignore format: a list

/** An ICMP or ICMPv6 echo request. The checksum is the kernel's for ICMPv6 and ours for ICMP. */
export function echoRequest(version: 4 | 6, id: number, size = 8): Buffer {
  const bytes = Buffer.alloc(8 + size, 0x61);
  bytes.writeUInt32BE(version === 4 ? 0x08000000 : 0x80000000, 0);
  bytes.writeUInt16BE(id, 4);
  bytes.writeUInt16BE(1, 6);
  if (version === 4) bytes.writeUInt16BE(internetChecksum(bytes), 2);
  return bytes;
}

/** RFC 1071. */
export function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

async function rules(namespace: Namespace): Promise<void> {
  await namespace.sysctl(LONG_TIMEOUTS);
  await namespace.nft(`
table ip nat {
  chain out { type nat hook output priority -100; udp dport 5300 dnat to 127.0.0.9:53; }
  chain post { type nat hook postrouting priority 100; udp dport 5301 snat to 127.0.0.8:1053; }
}
table ip6 nat { chain post { type nat hook postrouting priority 100; }; }
table inet help {
  ct helper ftp { type "ftp" protocol tcp; }
  chain out { type filter hook output priority 0; tcp dport 21 ct helper set "ftp"; ip protocol udp ct mark set 0x42; udp dport 7 ct label set 1; }
}
`);
  await namespace.ask('udpServe', '127.0.0.1', 7);
  await namespace.ask('udpServe', '127.0.0.9', 53);
  await namespace.ask('udpServe', '127.0.0.1', 5301);
  await namespace.ask('udpServe', '::1', 7);
}

/** Packets that leave the same entries and counters every time; sent again, they add to them. */
export async function datagrams(namespace: Namespace): Promise<void> {
  await namespace.ask('udpSend', ['127.0.0.2', 30000], ['127.0.0.1', 7], { count: 3, size: 100, answers: true });
  await namespace.ask('udpSend', ['127.0.0.2', 30001], ['127.0.0.3', 5300], { count: 2, size: 10, answers: true });
  await namespace.ask('udpSend', ['127.0.0.2', 30002], ['127.0.0.1', 5301], { count: 1, size: 1, answers: true });
  await namespace.ask('udpSend', ['::1', 30000], ['::1', 7], { count: 4, size: 1000, answers: true });
  await namespace.ask('rawSend', 1, '127.0.0.2', '127.0.0.1', echoRequest(4, 4711));
  await namespace.ask('rawSend', 58, '::1', '::1', echoRequest(6, 4712));
  await namespace.ask('rawSend', 47, '127.0.0.2', '127.0.0.1', Buffer.from('0000080000000000', 'hex'));
}

async function sessions(namespace: Namespace): Promise<void> {
  // Two FTP sessions: passive, whose data connection arrives; active, whose expectation stays.
  await namespace.ask('tcpServe', '127.0.0.1', 21, 'ftp', 30100);
  await namespace.ask('tcpServe', '127.0.0.1', 30100);
  const passive = await namespace.ask('tcpConnect', ['127.0.0.2', 31000], ['127.0.0.1', 21]);
  await namespace.ask('tcpHear', passive);
  await namespace.ask('tcpSay', passive, 'PASV\r\n');
  await namespace.ask('tcpConnect', ['127.0.0.2', 31001], ['127.0.0.1', 30100]);
  const active = await namespace.ask('tcpConnect', ['127.0.0.2', 31002], ['127.0.0.1', 21]);
  await namespace.ask('tcpHear', active);
  await namespace.ask('tcpSay', active, 'USER nobody\r\n'); // the helper reads a side only after its first complete line
  await namespace.ask('tcpSay', active, 'PORT 127,0,0,2,121,34\r\n');
  await namespace.ask('tcpServe', '::1', 21, 'ftp', 30101);
  const extended = await namespace.ask('tcpConnect', ['::1', 31000], ['::1', 21]);
  await namespace.ask('tcpHear', extended);
  await namespace.ask('tcpSay', extended, 'EPSV\r\n');
  // The helper's entries would end in five minutes: give them the timeout of the others.
  const remaining: NewExpectation[] = [
    {
      proto: 6,
      master: { proto: 6, side: ports('127.0.0.2', '127.0.0.1', 31002, 21) },
      tuple: ports('127.0.0.1', '127.0.0.2', 0, 31010),
      mask: ports(ALL4, ALL4, 0, 65535),
      timeout: 100000,
    },
    {
      proto: 6,
      master: { proto: 6, side: ports('::1', '::1', 31000, 21) },
      tuple: ports('::1', '::1', 0, 30101),
      mask: ports(ALL6, ALL6, 0, 65535),
      timeout: 100000,
    },
  ];
  await namespace.netlink(remaining.map((expectation) => newExpectation(expectation)[1]!));
}

/** Entries that a deaf listener keeps on the dying list. Some of every family. */
export async function fillDyingList(namespace: Namespace): Promise<void> {
  await namespace.ask('listenDeaf');
  // The first events fill the listener's buffer; later ones cannot be delivered.
  const filler = Array.from(
    { length: 64 },
    (_, n): NewFlow => ({ proto: 17, original: ports('192.0.2.200', B, 1000 + n, 9), timeout: 1000 }),
  );
  await namespace.netlink(filler.map(newFlow));
  await namespace.netlink(filler.map(deleteFlow));
  // Entries with a zone of one direction cannot be named in a request to delete; they stay.
  const doomed = FLOWS.filter(({ original, reply }) => original.zone === undefined && reply?.zone === undefined);
  await namespace.netlink(doomed.map(deleteFlow));
}
