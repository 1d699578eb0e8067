// Command lines that watch: every event mask, output and filter of -E in combinations made from a seed. What the reference is known
// to filter wrongly (docs/differences.md) is left out here; events.test.ts has a row for each of those.

import { PROTOCOL_OPTIONS } from '../support/argv.js';
import type { Random } from '../support/random.js';

const MASKS = [
  'NEW',
  'UPDATES',
  'DESTROY',
  'ALL',
  'NEW,DESTROY',
  'UPDATES,NEW',
  'new,updates,destroy',
  'N',
  'UPDATE',
  'DE,U',
  'all,new',
];

const OUTPUTS = [
  'extended', 'id', 'labels', 'timestamp', 'ktimestamp', 'userspace', 'xml', 'save', 'extended,id', 'id,labels', 'id,timestamp', 'extended,timestamp,id',
  'ktimestamp,labels', 'userspace,id', 'extended,id,timestamp,ktimestamp,labels,userspace', 'xml,labels', 'xml,timestamp', 'xml,ktimestamp', 'xml,id,extended',
  'xml,timestamp,ktimestamp,labels', 'xml,userspace', 'save,userspace', 'e', 'i,l', 'X', 'sa',
]; // biome-ignore format: a list

const ADDRESSES: readonly (readonly string[])[] = [
  ['-s', '192.0.2.1'], ['-s', '192.0.2.0/25'], ['--src', '192.0.2.2'], ['-s', '192.0.2.77', '--mask-src', '255.255.255.0'], ['-s', '192.0.2.1', '-d', '198.51.100.1'],
  ['-d', '198.51.100.1'], ['-d', '198.51.100.0/24'], ['-d', '198.51.100.9'], ['-d', '224.0.0.0/4'], ['-d', '198.51.100.1', '--mask-dst', '255.0.255.0'],
  ['-r', '198.51.100.1'], ['-r', '203.0.113.9'], ['-q', '192.0.2.1'], ['-q', '203.0.113.5'], ['-r', '198.51.100.1', '-q', '192.0.2.1'],
  ['-s', '2001:db8::1'], ['-s', '2001:db8::/32'], ['-d', '2001:db8:1::2'], ['-d', '2001:db8:1::/64', '-s', '2001:db8::1'], ['-q', '2001:db8::1'], ['-r', '2001:db8:9::9'],
  ['-s', 'fe80::/10'], ['-s', '::1'], ['-s', '10.0.0.0/8'], ['-s', '0.0.0.0/0'], ['-s', '203.0.113.200'],
]; // biome-ignore format: a list

const PROTOCOLS = [
  'tcp',
  'udp',
  'udplite',
  'sctp',
  'dccp',
  'icmp',
  'icmpv6',
  'gre',
  '50',
  '89',
  '0',
  '255',
  '6',
  '17',
  'TCP',
  'esp',
];

const TCP_STATES = ['SYN_SENT', 'ESTABLISHED', 'TIME_WAIT', 'CLOSE', 'NONE', 'SYN_SENT2', 'LISTEN'];
const SCTP_STATES = ['NONE', 'CLOSED', 'COOKIE_WAIT', 'ESTABLISHED', 'SHUTDOWN_SENT'];
const PORTS = ['53', '80', '443', '5000', '40000', '40003', '6000', '36412', '7000', '0', '65535'];

const OTHERS: readonly (readonly string[])[] = [
  ['-m', '1'], ['-m', '0x1f'], ['-m', '0x10/0xf0'], ['-m', '6'], ['-m', '0x80000000/0x80000000'], ['-m', '77'],
  ['-w', '5'], ['-w', '0'], ['-w', '65535'], ['-w', '9'], ['--orig-zone', '7'], ['--reply-zone', '8'], ['--orig-zone', '0'],
  ['-l', 'web'], ['-l', 'eth0-in'], ['-l', 'web', '-l', 'eth0-in'], ['-l', 'web,eth0-in'], ['-l', 'last'],
  ['-n', '203.0.113.5'], ['-n', '203.0.113.5:7777'], ['-g', '203.0.113.9'], ['-g', '203.0.113.9:8080'], ['-n', '203.0.113.5', '-g', '203.0.113.9'], ['-j', '203.0.113.5'],
  ['-n', '203.0.113.99'],
]; // biome-ignore format: a list

/** `count` different command lines, beginning with each mask, output, filter alone. */
export function eventLines(random: Random, count: number): string[][] {
  const lines = new Map<string, string[]>();
  const add = (...words: string[]) => lines.set(JSON.stringify(words), words);
  add('-E');
  add('-E', 'conntrack');
  add('--event');
  add('-E', '-f', 'ipv4');
  add('-E', '--family', 'ipv6');
  for (const mask of MASKS) add('-E', '-e', mask);
  add('-E', '-e', 'NEW', '-e', 'DESTROY');
  for (const output of OUTPUTS) add('-E', '-o', output);
  for (const words of [...random.sample(ADDRESSES, 12), ...random.sample(OTHERS, 14)]) add('-E', ...words);
  for (const protocol of PROTOCOLS) add('-E', '-p', protocol);
  while (lines.size < count) add('-E', ...combination(random));
  return [...lines.values()].slice(0, count);
}

/** The lines of the other table. Legal is nothing but `-o`. */
export const EXPECT_LINES: readonly (readonly string[])[] = [
  ['-E', 'expect'], ['-E', 'exp', '-o', 'xml'], ['-E', 'expect', '-o', 'timestamp'], ['-E', 'expect', '-o', 'xml,timestamp'],
  ['--event', 'expect', '-o', 'save'], ['-E', 'expect', '-o', 'id,extended,labels,ktimestamp,userspace'],
]; // biome-ignore format: a list

function combination(random: Random): string[] {
  const words: string[] = [];
  if (random.chance(0.4)) words.push('-e', random.pick(MASKS));
  if (random.chance(0.7)) words.push('-o', random.pick(OUTPUTS));
  const v6 = random.chance(0.3);
  const address = random.chance(0.5) ? random.pick(ADDRESSES) : [];
  words.push(...address);
  const fixed = address.some((word) => word.includes('.')) ? 4 : address.some((word) => word.includes(':')) ? 6 : undefined;
  if (fixed === undefined && random.chance(0.2)) words.push('-f', v6 ? 'ipv6' : 'ipv4');
  const family = fixed ?? (words.includes('-f') ? (v6 ? 6 : 4) : undefined);
  if (random.chance(0.6)) words.push(...protocolFilter(random));
  if (random.chance(0.4)) {
    const other = random.pick(OTHERS);
    // Not -j with others: docs/differences.md B7. NAT addresses are IPv4 here, and a second family is refused.
    const nat = other[0] === '-n' || other[0] === '-g' || other[0] === '-j';
    if (!nat || (family !== 6 && other[0] !== '-j')) words.push(...other);
  }
  return words;
}

function protocolFilter(random: Random): string[] {
  const protocol = random.pick(PROTOCOLS);
  const words = ['-p', protocol];
  const number = { tcp: 6, '6': 6, TCP: 6, udp: 17, '17': 17, udplite: 136, sctp: 132, icmp: 1, icmpv6: 58 }[protocol];
  if (number === undefined) return words;
  if (number === 1 || number === 58) {
    const prefix = number === 1 ? '--icmp' : '--icmpv6';
    if (random.chance(0.6)) words.push(`${prefix}-type`, random.pick(number === 1 ? ['8', '13', '17', '0'] : ['128', '139']));
    if (random.chance(0.3)) words.push(`${prefix}-code`, random.pick(['0', '1', '5']));
    if (random.chance(0.5)) words.push(`${prefix}-id`, random.pick(['77', '9', '65535', '700']));
    return words;
  }
  const names = (PROTOCOL_OPTIONS[number] ?? []).map(([name = '']) => name);
  for (const name of ['sport', 'dport', 'reply-port-src', 'reply-port-dst'])
    if (random.chance(0.3)) words.push(`--${name}`, random.pick(PORTS));
  if (names.includes('state') && random.chance(0.4)) words.push('--state', random.pick(number === 6 ? TCP_STATES : SCTP_STATES));
  return words;
}
