// Command lines that read: -L -G -C -S -z -V -h over all tables, made from a seed. Each part enumerates what it can (every option with
// every command, every prefix, every protocol option, every format) and chooses the rest at random. Values come from the entries of
// population.ts, so that most filters select something, and from lists of wrong and odd values.

import { COMMANDS, OPTIONS, PROTOCOL_OPTIONS } from '../support/argv.js';
import { invert, type NewFlow, SCTP, TCP } from '../support/netlink.js';
import { FLOWS } from '../support/population.js';
import type { Random } from '../support/random.js';

const FORMATS = ['extended', 'save', 'xml', 'id', 'ktimestamp', 'timestamp', 'labels', 'userspace'] as const;

/** An option with a value, not spelled yet. `proto` before the options of the protocol. */
type Wish = readonly [name: string, value?: string];

/** Values that are legal, per option, for IPv4, IPv6 and either family. Most match something in the table. */
const GOOD: Readonly<Record<string, { v4?: readonly string[]; v6?: readonly string[]; any?: readonly string[] }>> = {
  src: {
    v4: ['192.0.2.1', '192.0.2.2', '192.0.2.77', '10.0.0.1', '127.0.0.2', '192.0.2.0/24', '192.0.2.77/26', '192.0.2.1/32', '0.0.0.0/0', '192.0.2.1/31', '10.0.0.0/8', '192.0.2.1/', '192.0.2.1/ 24', '192.0.2.0/+24', '3221225985', '0xc0000201', '0300.0.2.1', '192.0.513', '192.0.2.1 x', '203.0.113.1', '255.255.255.255', '0', '127.0.0.0/8'],
    v6: ['2001:db8::1', '2001:db8::2', 'fe80::1', '::1', '::', '2001:db8::/32', '2001:DB8:0:0::1', '::ffff:192.0.2.1', '::ffff:c000:201/128', '::/0', 'fe80::/10', '2001:db8::1/127', '::1/', '2001:db8:ffff::1', '::ffff:0:0/96'],
  },
  dst: {
    v4: ['198.51.100.1', '198.51.100.9', '224.0.0.5', '10.255.255.255', '127.0.0.1', '198.51.100.0/24', '198.51.100.1/32', '0.0.0.0/0', '224.0.0.0/4', '198.51.100.9/29', '192.0.2.1'],
    v6: ['2001:db8:1::2', '2001:db8:1::9', 'ff02::fb', '::', '2001:db8:1::/48', 'ff00::/8', '::/0', '2001:db8:1::2/128'],
  },
  'reply-src': { v4: ['198.51.100.1', '203.0.113.9', '203.0.113.100', '127.0.0.9', '198.51.100.9'], v6: ['2001:db8:1::2', '2001:db8:9::9', '::'] },
  'reply-dst': { v4: ['192.0.2.1', '203.0.113.5', '203.0.113.6', '203.0.113.101', '127.0.0.8'], v6: ['2001:db8::1', '2001:db8:9::6', '2001:db8:9::7'] },
  proto: {
    any: ['tcp', 'udp', 'udplite', 'sctp', 'dccp', 'icmp', 'icmpv6', 'gre', 'TCP', 'Udp', 'SCTP', 'ICMPv6', '6', '17', '0x11', '021', '1', '58', '47', '132', '136', '33', '50', '0', '255', '89', 'esp', 'ospf', 'ipv6-icmp', 'ip', 'hopopt', '253', 'ah', 'UDPLITE'],
  },
  status: {
    any: ['ASSURED', 'SEEN_REPLY', 'FIXED_TIMEOUT', 'EXPECTED', 'OFFLOAD', 'HW_OFFLOAD', 'UNREPLIED', '!ASSURED', '!SEEN_REPLY', '!EXPECTED', '!FIXED_TIMEOUT', 'ASSURED,SEEN_REPLY', '!ASSURED,!SEEN_REPLY', 'assured', 'A', 'SE', 'se', 'F', 'E', 'UNREPLIEDx', 'Assured,Se', 'ASSURED,SRC_NAT', '!a', 'O', 'H', 'UNREPLIED,!ASSURED'],
  },
  'mask-src': { v4: ['255.255.255.0', '255.0.255.0', '0.0.0.0', '255.255.255.255', '0.0.0.1'], v6: ['ffff:ffff::', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::ffff'] },
  'mask-dst': { v4: ['255.255.255.0', '255.0.0.0', '0.0.0.0', '255.255.255.255'], v6: ['ffff:ffff:ffff::', '::', 'ffff::ffff'] },
  mark: {
    any: ['0', '1', '5', '0x1f', '16', '017', '0xf/0xf', '0/0', '0/1', '1/1', '0x10/0xf0', '4294967295', '0xffffffff', '66', '0x42/0x42', '0x0f00/0xff00', '0x80000000/0x80000000', '7/7', ' 9', '+9', '9', '2147483648', '0/0xffffffff', '3/0x3', '0X1F'],
  },
  family: { v4: ['ipv4'], v6: ['ipv6'] },
  'src-nat': { v4: ['203.0.113.5', '203.0.113.6', '203.0.113.5:7777', '203.0.113.5:1', '203.0.113.99', '203.0.113.5:7778', '127.0.0.8', '127.0.0.8:1053', '192.0.2.1:7776', '203.0.113.6:7778'], any: [''] },
  'dst-nat': { v4: ['203.0.113.9', '203.0.113.9:8080', '203.0.113.9:2', '203.0.113.9:1', '127.0.0.9', '127.0.0.9:53', '198.51.100.1:8080', '203.0.113.5'], any: [''] },
  'any-nat': { v4: ['203.0.113.5', '203.0.113.9', '203.0.113.9:8080', '203.0.113.6:7778', '127.0.0.9', '198.51.100.77'], any: [''] },
  secmark: { any: ['5'] },
  zone: { any: ['0', '5', '65535', '7', '8', '0x5', '05', '+5', ' 5'] },
  'orig-zone': { any: ['0', '7', '5', '8', '65535', '0x7'] },
  'reply-zone': { any: ['0', '8', '7', '5', '010'] },
  label: { any: ['web', 'eth0-in', 'zero', 'last', 'two words', 'fifteen', 'sixteen', 'web,eth0-in', 'web,two words,fifteen', 'zero,web,eth0-in,two words,fifteen,sixteen,last', 'beyond', 'last,web'] },
  'nat-range': { any: ['1.2.3.4', 'anything'] },
}; // biome-ignore format: lists

/** Values that are wrong, or that one of the two versions takes for something. */
const BAD: Readonly<Record<string, readonly string[]>> = {
  src: ['256.1.1.1', '', 'host.example', '192.0.2.1/33', '192.0.2.1/-1', '192.0.2.1/24x', '192.0.2.0/255.255.255.0', '2001:db8::g', '[::1]', ' 192.0.2.1', '1.2.3.4.5', '2001:db8::1/129', 'fe80::1%lo', '/24', '192.0.2.1/24/24', ':::', '1::2::3', '192.0.2.-1'],
  dst: ['999.1.1.1', '', 'x', '198.51.100.1/99', '::1/200', '198.51.100.1/0x18'],
  'reply-src': ['198.51.100.0/24', '', 'abc', '198.51.100.1/32', '::/0'],
  'reply-dst': ['192.0.2.0/24', '', '1.1.1.256'],
  proto: ['', 'nosuch', '256', '-1', '6x', 'Esp', '0x100', ' 6', 'tcp ', '6.0', 'TCPX'],
  status: ['', 'ASSURED,', ',', '!', 'nosuch', '!UNREPLIED', 'unreplied', 'ASSURED,nosuch', 'ASSURED|SEEN_REPLY', 'UNREP'],
  'mask-src': ['', '255.255.255.0/24', '24', 'x'],
  'mask-dst': ['', '255.255.255', 'x.x'],
  mark: ['abc', '', '1x', '4294967296', '-1', '1/x', '0x', '1 ', '1/2/3', '/1'],
  family: ['', 'inet', '4', 'IPv4', 'ip', 'ipv', 'IPV6'],
  'src-nat': ['203.0.113.5:65536', '203.0.113.5:', '203.0.113.5:x', '203.0.113.5-203.0.113.6', '203.0.113.0/24', ':80', '[]:80', '[2001:db8::1]', '[2001:db8::1', '203.0.113.5:1-2', '', '203.0.113.5:-1'],
  'dst-nat': ['203.0.113.9:70000', 'host', '203.0.113.9:80:90', '[2001:db8::1]:', '[2001:db8::1]80'],
  'any-nat': ['203.0.113.5/24', 'x:1', '203.0.113.5:99999'],
  output: ['', 'nosuch', 'xml,', ',', 'xmlx', 'save,xml', 'save,extended', 'xml,save', 'id,save', 'save,labels', 'save,ktimestamp', 'save,timestamp', '!xml', 'yaml'],
  secmark: ['abc', '', '4294967296', '-1'],
  zone: ['65536', 'abc', '', '-1', '1x', '5 ', '70000', '0x10000'],
  'orig-zone': ['65536', 'x', ''],
  'reply-zone': ['65536', '-5', '8z'],
  label: ['nosuch', '', 'web,', ',web', 'web,nosuch', 'Web', '1', 'under_score', 'nothing', 'two  words', 'nosuch,web'],
  timeout: ['', 'abc', '10', '-1'],
  'event-mask': ['ALL', 'NEW', '', 'nosuch'],
  'tuple-src': ['192.0.2.1', '', '192.0.2.0/24'],
  'tuple-dst': ['192.0.2.1', '::/0', 'x'],
  id: ['1', 'abc', '', '4294967296', '0x10'],
  'buffer-size': ['65536', 'abc'],
  'label-add': ['web', 'nosuch', ''],
  'label-del': ['web', 'nosuch'],
}; // biome-ignore format: lists

/** A legal value of each option, for where only the option's presence matters. */
const SAMPLE: Readonly<Record<string, string | undefined>> = {
  src: '192.0.2.1', dst: '198.51.100.1', 'reply-src': '198.51.100.1', 'reply-dst': '192.0.2.1', proto: 'udp', timeout: '60', status: 'ASSURED', 'event-mask': 'NEW', 'tuple-src': '192.0.2.9', 'tuple-dst': '192.0.2.10', 'mask-src': '255.255.255.0', 'mask-dst': '255.255.255.0', 'nat-range': '1.2.3.4', mark: '1', id: '7', family: 'ipv4', 'src-nat': '203.0.113.5', 'dst-nat': '203.0.113.9', output: 'id', secmark: '3', 'buffer-size': '65536', 'any-nat': '203.0.113.5', zone: '5', label: 'web', 'label-add': 'web', 'label-del': 'web', 'orig-zone': '7', 'reply-zone': '8',
}; // biome-ignore format: a table

/** Options that -L of the conntrack tables takes. */
const FILTERS = [
  'src',
  'dst',
  'reply-src',
  'reply-dst',
  'proto',
  'status',
  'mark',
  'family',
  'src-nat',
  'dst-nat',
  'any-nat',
  'zone',
  'label',
  'orig-zone',
  'reply-zone',
];

/** Names of `-p` whose options are told apart, with their number. */
const PROTOCOLS: readonly (readonly [name: string, number: number])[] = [
  ['tcp', 6],
  ['udp', 17],
  ['udplite', 136],
  ['sctp', 132],
  ['dccp', 33],
  ['gre', 47],
  ['icmp', 1],
  ['icmpv6', 58],
];

const PROTOCOL_VALUES: Readonly<Record<string, { good: readonly string[]; bad: readonly string[] }>> = {
  port: {
    good: ['53', '80', '443', '0', '65535', '40000', '5000', '21', '36412', '+80', ' 80', '0080'],
    bad: ['65536', 'http', '', '80x', '-1', '0x50', '70001', '80 '],
  },
  key: { good: ['16', '0x10', '020', '1', '0', '65535', '0xffff', '17', '2'], bad: ['65537', 'abc', '', '0xzz', '-1', '1x'] },
  type: { good: ['8', '0', '13', '128', '139', '17', '255'], bad: ['256', 'echo', '', '8x', '264', '-1'] },
  code: { good: ['0', '1', '5', '255'], bad: ['256', 'x', ''] },
  id: { good: ['77', '0', '65535', '9', '300', '1', '4711'], bad: ['65536', 'x', '', '-7'] },
  tcp: { good: [...Object.keys(TCP), 'LISTEN'], bad: ['established', 'ESTAB', '', 'CLOSED', '3', 'COOKIE_WAIT'] },
  sctp: {
    good: Object.keys(SCTP).filter((name) => name !== 'HEARTBEAT_SENT'),
    bad: ['HEARTBEAT_SENT', 'HEARTBEAT_ACKED', 'SYN_SENT', '', 'closed'],
  },
  dccp: {
    good: ['NONE', 'REQUEST', 'RESPOND', 'PARTOPEN', 'OPEN', 'CLOSEREQ', 'CLOSING', 'TIMEWAIT', 'IGNORE', 'INVALID'],
    bad: ['open', '', 'ESTABLISHED'],
  },
  vtag: { good: ['1', '0', '4294967295', '2018915346'], bad: ['x', '4294967296'] },
  role: { good: ['client', 'server', 's', 'CLIENT'], bad: ['x', 'servers'] },
};

function protocolValues(option: string, protocol: string): { good: readonly string[]; bad: readonly string[] } {
  if (option === 'state') return PROTOCOL_VALUES[protocol]!;
  for (const kind of ['vtag', 'role', 'type', 'code', 'key']) if (option.includes(kind)) return PROTOCOL_VALUES[kind]!;
  return PROTOCOL_VALUES[option.endsWith('-id') ? 'id' : 'port']!;
}

/** Makes the command lines, each once. The order is part of what the seed decides. */
export function readLines(random: Random): string[][] {
  const lines = new Map<string, string[]>();
  const add = (...words: string[]) => void lines.set(JSON.stringify(words), words);
  const maker = new Maker(random);

  for (const part of [
    formats,
    filters,
    wrongValues,
    refusals,
    protocolOptions,
    lookUps,
    spellings,
    bundles,
    tables,
    expectations,
    dying,
    zeroing,
    combinations,
  ])
    part(add, maker);
  return random.shuffle([...lines.values()]);
}

type Add = (...words: string[]) => void;

/** Random choices that several parts make. */
class Maker {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** One way to write an option. */
  spell([name, value]: Wish): string[] {
    const row = OPTIONS.find(([, names]) => names[0] === name);
    const long = row === undefined ? [name] : row[1];
    const spelled = this.random.pick(row === undefined ? long : [...long, `-${row[0]}`]);
    const isShort = spelled.startsWith('-');
    const word = isShort ? spelled : `--${spelled}`;
    if (value === undefined || (value === '' && row?.[2] === 'optional')) return [word];
    if (row?.[2] === 'optional') return [word, value];
    if (isShort) return value !== '' && this.random.chance(0.3) ? [word + value] : [word, value];
    return this.random.chance(0.4) ? [`${word}=${value}`] : [word, value];
  }

  /** `-o` in one or more pieces, items abbreviated and in any case. */
  output(items: readonly string[]): string[] {
    if (items.length === 0) return [];
    const shown = items.map((item) => {
      const short = this.random.chance(0.2) ? item.slice(0, Math.max(2, this.random.below(item.length) + 1)) : item;
      return this.random.chance(0.1) ? short.toUpperCase() : short;
    });
    if (items.length > 1 && this.random.chance(0.2)) return shown.flatMap((item) => this.spell(['output', item]));
    return this.spell(['output', shown.join(',')]);
  }

  /** A format that is legal: save alone, or up to three of the others. */
  anyOutput(): string[] {
    if (this.random.chance(0.35)) return [];
    if (this.random.chance(0.2)) return this.output(['save']);
    return this.output(
      this.random.sample(
        FORMATS.filter((item) => item !== 'save'),
        1 + this.random.below(3),
      ),
    );
  }

  /** Whole options in any order, except that those of a protocol come after it. */
  mix(wishes: readonly (readonly string[])[]): string[] {
    return this.random.shuffle(wishes).flat();
  }

  /** -L, in one of its spellings. */
  list(table?: string): string[] {
    const command = this.random.pick(['-L', '-L', '-L', '--dump', '--du', '--dump']);
    return table === undefined ? [command] : [command, table];
  }

  good(name: string, family?: 4 | 6): string {
    const { v4 = [], v6 = [], any = [] } = GOOD[name]!;
    return this.random.pick(
      family === 4 ? [...v4, ...any] : family === 6 && v6.length + any.length > 0 ? [...v6, ...any] : [...v4, ...v6, ...any],
    );
  }

  /** Conditions that this entry meets. */
  describe(flow: NewFlow, chance: number): string[][] {
    const { original } = flow;
    const wanted = () => this.random.chance(chance);
    const reply = { ...invert(original), ...flow.reply };
    if (flow.destinationNat)
      Object.assign(
        reply,
        { src: flow.destinationNat.address },
        flow.destinationNat.port === undefined ? {} : { sport: flow.destinationNat.port },
      );
    if (flow.sourceNat)
      Object.assign(
        reply,
        { dst: flow.sourceNat.address },
        flow.sourceNat.port === undefined ? {} : { dport: flow.sourceNat.port },
      );
    const parts: string[][] = [];
    const v6 = original.src.includes(':');
    const network = (address: string) =>
      this.random.chance(0.3)
        ? `${address}/${this.random.pick(v6 ? ['64', '48', '127', '32'] : ['24', '25', '8', '31'])}`
        : address;
    if (wanted()) parts.push(this.spell(['src', network(original.src)]));
    if (wanted()) parts.push(this.spell(['dst', network(original.dst)]));
    if (wanted()) parts.push(this.spell(['reply-src', reply.src]));
    if (wanted()) parts.push(this.spell(['reply-dst', reply.dst]));
    if (wanted()) parts.push(this.protocol(flow, reply, chance));
    if (wanted()) parts.push(this.spell(['mark', String(flow.mark ?? 0)]));
    if (wanted()) parts.push(this.spell(['family', v6 ? 'ipv6' : 'ipv4']));
    if (flow.zone !== undefined && wanted()) parts.push(this.spell(['zone', String(flow.zone)]));
    if (original.zone !== undefined && wanted()) parts.push(this.spell(['orig-zone', String(original.zone)]));
    if (flow.reply?.zone !== undefined && wanted()) parts.push(this.spell(['reply-zone', String(flow.reply.zone)]));
    if (flow.sourceNat !== undefined && !v6 && wanted())
      parts.push(this.spell(['src-nat', this.random.chance(0.3) ? '' : flow.sourceNat.address]));
    if (flow.destinationNat !== undefined && !v6 && wanted())
      parts.push(this.spell(['dst-nat', this.random.chance(0.3) ? '' : flow.destinationNat.address]));
    if (flow.labels?.includes(1) && wanted()) parts.push(this.spell(['label', 'web']));
    const status = flow.status ?? 0;
    if (wanted()) parts.push(this.spell(['status', status & 4 ? 'ASSURED' : status & 2 ? 'SEEN_REPLY' : 'UNREPLIED']));
    return parts;
  }

  /** `-p` and, after it, options of that protocol that this entry has. GRE keys are their own subject. */
  protocol({ proto, original, tcpState, sctp }: NewFlow, reply: NewFlow['original'], chance: number): string[] {
    const named = PROTOCOLS.find(([, number]) => number === proto);
    const words = this.spell(['proto', named === undefined || this.random.chance(0.2) ? String(proto) : named[0]]);
    const more: string[][] = [];
    const wanted = () => this.random.chance(chance);
    if (proto !== 47 && proto !== 33 && original.sport !== undefined) {
      if (wanted()) more.push(this.spell([this.random.pick(['sport', 'orig-port-src']), String(original.sport)]));
      if (wanted()) more.push(this.spell([this.random.pick(['dport', 'orig-port-dst']), String(original.dport)]));
      if (wanted()) more.push(this.spell(['reply-port-src', String(reply.sport)]));
      if (wanted()) more.push(this.spell(['reply-port-dst', String(reply.dport)]));
    }
    if (tcpState !== undefined && wanted()) more.push(this.spell(['state', Object.keys(TCP)[tcpState]!]));
    if (sctp !== undefined && sctp.state !== SCTP.HEARTBEAT_SENT && wanted())
      more.push(this.spell(['state', Object.keys(SCTP)[sctp.state]!]));
    if (original.icmp !== undefined) {
      const prefix = proto === 1 ? 'icmp' : 'icmpv6';
      for (const [n, field] of ['type', 'code', 'id'].entries())
        if (wanted()) more.push(this.spell([`${prefix}-${field}`, String(original.icmp[n])]));
    }
    return [...words, ...this.mix(more)];
  }
}

/** Every single format, every pair, and some larger sets, on each command that prints entries. */
function formats(add: Add, maker: Maker): void {
  for (const a of FORMATS) {
    add('-L', '-o', a);
    add('-L', 'expect', '-o', a);
    add('-L', 'dying', '-o', a);
    add('-L', 'unconfirmed', '-o', a);
    add('-L', '-f', 'ipv6', '-o', a);
    for (let length = 1; length < a.length; length++)
      add('-L', '-f', 'ipv6', '-o', maker.random.chance(0.5) ? a.slice(0, length) : a.slice(0, length).toUpperCase());
    for (const b of FORMATS)
      if (a < b || maker.random.chance(0.3))
        add('-L', ...maker.random.pick([[], [], ['-f', 'ipv4'], ['-p', 'udp']]), ...maker.output([a, b]));
  }
  for (let n = 0; n < 40; n++) {
    const items = maker.random.sample(
      FORMATS.filter((item) => item !== 'save'),
      3 + maker.random.below(4),
    );
    add(
      ...maker.list(),
      ...maker.mix([
        maker.output(items),
        ...(maker.random.chance(0.5) ? [maker.spell(['family', maker.random.pick(['ipv4', 'ipv6'])])] : []),
      ]),
    );
  }
  add('-L', '-oid', '-oextended', '-o', 'labels');
  add('-L', '-oid');
  add('-L', '--output=xml', '--output=labels,ktimestamp');
  add('-L', '-o', 'id,id,id');
}

/** Each filter alone, with each value, in a few formats. */
function filters(add: Add, maker: Maker): void {
  add('-L');
  add('--dump');
  for (const name of [...FILTERS, 'nat-range', 'mask-src', 'mask-dst']) {
    const { v4 = [], v6 = [], any = [] } = GOOD[name]!;
    for (const value of [...v4, ...v6, ...any]) {
      const words = maker.spell([name, value]);
      const needed =
        name === 'mask-src'
          ? ['-s', v6.includes(value) ? '2001:db8::1' : '192.0.2.1']
          : name === 'mask-dst'
            ? ['-d', v6.includes(value) ? '2001:db8:1::2' : '198.51.100.1']
            : [];
      add(...maker.list(), ...words, ...needed);
      if (maker.random.chance(0.25)) add(...maker.list(), ...needed, ...words, ...maker.anyOutput());
    }
  }
  for (const name of ['mask-src', 'mask-dst']) add('-L', `--${name}`, '255.255.255.0');
  // Masks and prefixes together: the later one counts. Repeated options: the last value, the set, or the union.
  add('-L', '-s', '192.0.2.0/24', '--mask-src', '255.255.255.255');
  add('-L', '--mask-src', '255.255.255.255', '-s', '192.0.2.0/24');
  add('-L', '-s', '192.0.2.0/24', '-s', '192.0.2.2');
  add('-L', '-s', '192.0.2.1', '-s', '192.0.2.2');
  add('-L', '-s', '192.0.2.1', '-s', '2001:db8::1');
  add('-L', '-f', 'ipv6', '-s', '192.0.2.1');
  add('-L', '-f', 'ipv4', '-d', '2001:db8:1::2');
  add('-L', '-f', 'ipv4', '-f', 'ipv6');
  add('-L', '-f', 'ipv4', '-f', 'ipv4');
  add('-L', '-m', '1', '-m', '2');
  add('-L', '-w', '5', '-w', '65535');
  add('-L', '-u', 'ASSURED', '-u', 'SEEN_REPLY');
  add('-L', '-l', 'web', '-l', 'eth0-in');
  add('-L', '-l', 'web', '-l', 'last', '-o', 'id');
  add('-L', '-p', 'tcp', '-p', 'tcp', '--state', 'ESTABLISHED');
  add('-L', '-n', '-g');
  add('-L', '-n', '203.0.113.5', '-g', '203.0.113.9');
  add('-L', '-j', '-n');
  add('-L', '-j', '-g', '203.0.113.9');
  add('-L', '-n', '-n', '203.0.113.5');
}

/** Each wrong value of each option, with the commands that take the option and with one that does not. */
function wrongValues(add: Add, maker: Maker): void {
  for (const [name, values] of Object.entries(BAD)) {
    for (const value of values) {
      const words =
        value === '' && ['src-nat', 'dst-nat', 'any-nat', 'label-del'].includes(name)
          ? [`--${name}`, '']
          : maker.spell([name, value]);
      add(...maker.list(), ...words);
      if (maker.random.chance(0.25)) add(maker.random.pick(['-G', '-C', '-S', '-V', '-h']), ...words);
      if (maker.random.chance(0.15)) add(...maker.list(), ...maker.spell(['proto', 'udp']), ...words, ...maker.anyOutput());
    }
  }
}

/** Each command and table with each option: which are refused, which are required. */
function refusals(add: Add, maker: Maker): void {
  for (const command of ['-L', '-G', '-C', '-S', '-V', '-h']) {
    for (const table of [undefined, 'conntrack', 'expect', 'dying', 'unconfirmed']) {
      const start = table === undefined ? [command] : [command, table];
      add(...start);
      for (const [, [name = '']] of OPTIONS) {
        if (
          maker.random.chance(
            table === undefined ? (command === '-V' || command === '-h' ? 0.6 : 0.1) : table === 'expect' ? 0.7 : 0.92,
          )
        )
          continue;
        if (name === 'labelmap') continue; // the reference does not know it: known-differences.ts, and cases
        if (name === 'zero' && command === '-L' && (table ?? 'conntrack') === 'conntrack') continue; // zeroing()
        const sample = SAMPLE[name];
        const words = maker.spell(sample === undefined ? [name] : [name, sample]);
        add(...(maker.random.chance(0.15) ? [...words, ...start] : [...start, ...words]));
      }
    }
  }
  for (const command of ['I', 'A', 'D', 'U', 'F', 'E', 'R']) add('-L', `-${command}`);
  for (const pair of ['-L -L', '-C -S', '-G -L', '-V -h', '-L --count', '--stats --dump', '-S -S']) add(...pair.split(' '));
}

/** Each protocol with each of its options, good values and bad, on -L; and options of another protocol, or too early. */
function protocolOptions(add: Add, maker: Maker): void {
  for (const [protocol, number] of PROTOCOLS) {
    const spelled = () => maker.spell(['proto', maker.random.pick([protocol, protocol, protocol.toUpperCase(), String(number)])]);
    for (const names of PROTOCOL_OPTIONS[number]!) {
      const { good, bad } = protocolValues(names[0]!, protocol);
      for (const name of names) {
        for (const value of maker.random.sample(good, names[0] === 'state' ? good.length : 2))
          add(...maker.list(), ...spelled(), ...maker.spell([name, value]), ...maker.anyOutput());
        for (const value of maker.random.sample(bad, names[0] === 'state' ? bad.length : 1))
          add(...maker.list(), ...spelled(), ...maker.spell([name, value]));
      }
      const other = maker.random.pick(PROTOCOLS);
      if (maker.random.chance(0.3)) add('-L', '-p', other[0], ...maker.spell([names[0]!, good[0]!]));
      if (maker.random.chance(0.3)) add('-L', ...maker.spell([names[0]!, good[0]!]), '-p', protocol);
      if (maker.random.chance(0.2)) add('-L', ...maker.spell([names[0]!, good[0]!]));
      if (maker.random.chance(0.3)) add('-L', '-p', protocol, `--${names[0]}`);
    }
    add('-h', '-p', protocol);
    add('-V', '-p', protocol);
    add('-C', '-p', protocol);
  }
  for (const [a, b] of [['tcp', 'udp'], ['udp', 'tcp'], ['icmp', 'tcp'], ['gre', 'udp']] as const) add('-L', '-p', a, '-p', b); // biome-ignore format: a list
}

/** -G of entries that exist, of their reply side, of nearly them, and with parts missing. */
function lookUps(add: Add, maker: Maker): void {
  const { random } = maker;
  for (const flow of FLOWS) {
    if (flow.zone !== undefined || flow.original.zone !== undefined || flow.reply?.zone !== undefined) continue;
    const { original, proto } = flow;
    const protocol = PROTOCOLS.find(([, number]) => number === proto)?.[0];
    const key = proto === 47;
    const parts: Wish[] = [['src', original.src], ['dst', original.dst], ['proto', protocol ?? String(proto)]]; // biome-ignore format: a list
    const more: Wish[] = [];
    if (original.sport !== undefined)
      more.push([key ? 'srckey' : 'sport', String(original.sport)], [key ? 'dstkey' : 'dport', String(original.dport)]);
    else if (proto === 33) more.push(['sport', '1'], ['dport', '2']);
    if (original.icmp !== undefined)
      for (const [n, field] of ['type', 'code', 'id'].entries())
        more.push([`${proto === 1 ? 'icmp' : 'icmpv6'}-${field}`, String(original.icmp[n])]);
    const line = (generic: readonly Wish[], own: readonly Wish[], ...rest: string[]) => {
      const start = maker.mix(generic.filter(([name]) => name !== 'proto').map((wish) => maker.spell(wish)));
      const tail = [...generic.filter(([name]) => name === 'proto'), ...random.shuffle(own)].flatMap((wish) => maker.spell(wish));
      add(random.pick(['-G', '--get', '--ge']), ...(random.chance(0.5) ? [...start, ...tail] : [...tail, ...start]), ...rest);
    };
    line(parts, more);
    if (random.chance(0.5)) line(parts, more, ...maker.anyOutput());
    if (random.chance(0.4)) continue;
    const drop = random.below(parts.length + more.length);
    line(parts.filter((_, n) => n !== drop), more.filter((_, n) => n + parts.length !== drop)); // biome-ignore format: one line
    switch (random.below(6)) {
      case 0: // not there
        line(
          parts.map(
            ([name, value]): Wish =>
              name === 'src' ? [name, original.src.includes(':') ? '2001:db8:f::f' : '192.0.2.199'] : [name, value ?? ''],
          ),
          more,
        );
        break;
      case 1: // the reply side as if it were the original one
        line([['src', original.dst], ['dst', original.src], parts[2]!], original.sport === undefined || key ? more : [['sport', String(original.dport)], ['dport', String(original.sport)]]); // biome-ignore format: one line
        break;
      case 2:
        line(parts, more, ...maker.spell(['status', 'ASSURED']));
        break;
      case 3:
        line(parts, more, ...maker.spell(['label', 'web']));
        break;
      case 4:
        line(parts, more, ...maker.spell(['id', '5']));
        break;
      default:
        if (flow.tcpState !== undefined) line(parts, [...more, ['state', random.pick(Object.keys(TCP))]]);
        else line(parts, more, ...maker.spell(random.pick<Wish>([['mark', '1'], ['family', 'ipv4'], ['timeout', '5'], ['src-nat', ''], ['mask-src', '255.255.255.0']]))); // biome-ignore format: one line
    }
  }
  add('-G', '-s', '192.0.2.0/24', '-d', '198.51.100.1', '-p', 'udp', '--sport', '5000', '--dport', '53');
  add('-G', '-s', '192.0.2.1/32', '-d', '198.51.100.1', '-p', 'udp', '--sport', '5000', '--dport', '53');
  add('-G', '-s', '192.0.2.1', '-r', '198.51.100.1', '-p', 'udp', '--sport', '5000', '--dport', '53');
  add('-G', '-p', 'udp');
  add('-G', '-s', '192.0.2.1', '-d', '198.51.100.1');
}

/** Every prefix of every long name, known or not, unique or not. */
function spellings(add: Add, maker: Maker): void {
  const names = [
    ...OPTIONS.flatMap(([, long, argument]) => long.map((name) => [name, argument] as const)),
    ...Object.keys(COMMANDS).map((name) => [name, 'command'] as const),
  ];
  for (const [name, argument] of names) {
    if (name === 'labelmap') continue;
    for (let length = 1; length < name.length; length++) {
      const prefix = `--${name.slice(0, length)}`;
      if (argument === 'command') {
        if (['L', 'G', 'C', 'S', 'V', 'h'].includes(COMMANDS[name]!) && maker.random.chance(0.4)) add(prefix);
      } else if (FILTERS.includes(OPTIONS.find(([, long]) => long.includes(name))![1][0]!) && maker.random.chance(0.4)) {
        const value = SAMPLE[OPTIONS.find(([, long]) => long.includes(name))![1][0]!]!;
        add('-L', ...(maker.random.chance(0.5) || argument === 'optional' ? [prefix, value] : [`${prefix}=${value}`]));
      }
    }
  }
  for (const prefix of ['--d', '--s', '--sr', '--o', '--ma', '--lab', '--orig', '--reply', '--st', '--sta', '--even', '--tup', '--t', '--z', '--f', '--m', '--i', '--nosuch', '--', '--=', '--src=', '--dumpx', '--counterx']) add('-L', prefix); // biome-ignore format: a list
  for (const prefix of [
    '--orig-p',
    '--orig-port-s',
    '--orig-port',
    '--sp',
    '--dp',
    '--s',
    '--reply-port',
    '--reply-port-s',
    '--reply-p',
    '--mask',
    '--mask-s',
    '--mask-p',
    '--tuple',
    '--stat',
    '--state',
    '--stat=',
  ]) {
    for (const protocol of ['tcp', 'udp', 'sctp']) if (maker.random.chance(0.35)) add('-L', '-p', protocol, prefix, '53');
  }
  for (const words of ['-L --zero=1', '--dump --src', '-L -s', '-L -p', '-L -o', '-L -m', '--version=1', '--help=x', '--stats=x', '-L --protonum=udp', '-L --proto=udp', '--count=x', '-L -p -1', '-L -m -1', '-L -w -1', '-L -s=192.0.2.1', '-L -o=xml', '-L -f=ipv4']) add(...words.split(' ')); // biome-ignore format: a list
}

/** Letters together, values glued to letters; operands, `--`, words in any order. */
function bundles(add: Add, maker: Maker): void {
  for (const words of [
    '-Lpudp', '-Loid', '-Lo id', '-Lpudp --sport 5000', '-Lfipv6', '-Lf ipv6', '-Lm1', '-Lw5', '-Ln', '-Lg', '-Lj', '-Ln 203.0.113.5', '-Lexpect', '-Lx', '-LC', '-Lh', '-LV', '-Lpo udp', '-Lxp', '-Lxp udp',
    '-oidL', '-pudpL', '-nL', '-zzL expect', '-CS', '-Cx', '-C5', '-Cexpect', '-Cz', '-Sx', '-SC', '-SV', '-Vx', '-Vh', '-hV', '-hp udp', '-hpudp', '-Gs', '-Gpudp', '-Gs 192.0.2.1 -d 198.51.100.1 -pudp --sport 5000 --dport 53', '-Gpudp -s 192.0.2.1 -d 198.51.100.1 --sport 5000 --dport 53',
    '-L -pudp -oid', '-L -m1 -oid', '-L -s192.0.2.1', '-L -n203.0.113.5', '-L -g203.0.113.9', '-L -j203.0.113.5', '-L --src-nat=203.0.113.5', '-L --dst-nat=203.0.113.9:8080', '-L --any-nat=203.0.113.9', '--dump=expect', '--dump=conntrack', '--dump=nosuch', '--dump=', '--get=expect', '--counter=expect', '--count=conntrack',
    '-L extra words', '-L conntrack extra', '-L -p udp extra words', 'first -L', 'first second -L -p udp', '-L -- -p udp', '-L -p udp -- --nosuch', '-- -L', '-p udp -L', '-o id -p tcp -L -s 192.0.2.1', '-L - -p udp', '-L !x -p udp', '-L conntrack -p udp -', '-p', '-p udp', '-o xml', '', 'foo', 'foo bar', '-x', '--nosuch', '-', '-L -n !x', '-L -n -o id', '-L -g - ', '-L -n extra',
  ]) add(...words.split(' ').filter((word) => word !== '')); // biome-ignore format: a list
  add('-L', '');
  add('-C', '');
  add('');
  add('-L', '-n', '');
  add('-L', '-p', 'udp', '');
  for (let n = 0; n < 40; n++) {
    const flow = maker.random.pick(FLOWS);
    add(
      ...maker.mix([
        maker.list(),
        ...maker.describe(flow, 0.25),
        ...(maker.random.chance(0.3) ? [['word']] : []),
        maker.anyOutput(),
      ]),
    );
  }
}

/** Every spelling of the table operand. */
function tables(add: Add, maker: Maker): void {
  for (const table of ['conntrack', 'expect', 'dying', 'unconfirmed']) {
    for (let length = 1; length <= table.length; length++) {
      add('-L', table.slice(0, length));
      if (maker.random.chance(0.3)) add(maker.random.pick(['-C', '-S', '--counter', '--stats', '-V']), table.slice(0, length));
    }
  }
  for (const word of ['EXPECT', 'Conntrack', 'expects', 'x', 'conntrackx', 'dyingx', 'ex pect', 'e,c'])
    for (const command of ['-L', '-C', '-S', '-G', '-V', '-h', '--dump'])
      if (command === '-L' || maker.random.chance(0.5)) add(command, word);
  for (const words of ['foo -L expect', '-L foo expect', '-zL expect', '-Lz expect', '-L expect extra', '-L -p udp expect', '-o id -L expect', 'expect -L', '-L -o id expect', '-C expect extra', '-V expect', '-S expect', '-h expect', '-h conntrack', '-V dying', '-h unconfirmed', '-G dying', '-G expect', '-G unconfirmed']) add(...words.split(' ')); // biome-ignore format: a list
}

/** -L, -G, -C, -S of expectations. */
function expectations(add: Add, maker: Maker): void {
  const { random } = maker;
  for (const table of ['expect', 'exp', 'e']) {
    for (const family of [[], ['-f', 'ipv4'], ['-f', 'ipv6'], ['--family=ipv6']]) {
      add('-L', table, ...family);
      for (let n = 0; n < 4; n++)
        add(...maker.mix([['-L', table], family, maker.output(random.sample(FORMATS, 1 + random.below(2)))]));
    }
    add('-C', table);
    add('-S', table);
  }
  const tuples: readonly string[] = [
    '-s 198.51.100.1 -d 192.0.2.1 -p tcp --sport 0 --dport 41001',
    '-s 198.51.100.1 -d 192.0.2.1 -p tcp --sport 5 --dport 41001',
    '-s 2001:db8:1::2 -d 2001:db8::1 -p tcp --sport 0 --dport 41002',
    '-s 198.51.100.1 -d 192.0.2.1 -p udplite --sport 0 --dport 9004',
    '-s 198.51.100.1 -d 192.0.2.1 -p 50',
    '-s 198.51.100.1 -d 192.0.2.1 -p gre --srckey 16 --dstkey 31',
    '-s 192.0.2.99 -d 192.0.2.1 -p tcp --sport 0 --dport 41001',
    '-s 192.0.2.1 -d 198.51.100.1 -p tcp --sport 41000 --dport 21',
    '-s 198.51.100.1 -d 192.0.2.1',
    '-p tcp --sport 0 --dport 41001',
    '-s 198.51.100.1 -d 192.0.2.1 -p tcp',
    '-s 198.51.100.1 -p tcp --sport 0 --dport 41001',
  ];
  for (const tuple of tuples) {
    const gre = tuple.includes('gre');
    const ports = gre
      ? ' --reply-key-src 0 --reply-key-dst 0'
      : tuple.includes('port')
        ? ' --reply-port-src 0 --reply-port-dst 0'
        : '';
    for (const rest of [ports, `${ports} -r 192.0.2.1`, `${ports} -o xml`, `${ports} -f ipv4`, `${ports} -m 1`])
      add('-G', 'expect', ...`${tuple}${rest}`.split(' '));
  }
}

/** The dying and unconfirmed lists with filters and formats. */
function dying(add: Add, maker: Maker): void {
  for (const [words, values] of [
    ['src', 6],
    ['dst', 4],
    ['reply-src', 3],
    ['reply-dst', 3],
    ['proto', 8],
    ['mark', 6],
    ['family', 2],
    ['zone', 4],
    ['label', 2],
    ['src-nat', 4],
    ['dst-nat', 3],
    ['any-nat', 3],
    ['orig-zone', 2],
    ['reply-zone', 2],
  ] as const) {
    // biome-ignore format: a list
    for (let n = 0; n < values; n++) {
      // prefixes, and statuses: known-differences.ts, and cases
      const value = maker.good(words);
      if (!value.includes('/') || words === 'mark') add('-L', maker.random.pick(['dying', 'd', 'dying', 'unconfirmed']), ...maker.spell([words, value]), ...maker.anyOutput());
    }
  }
  for (let n = 0; n < 40; n++)
    add('-L', 'dying', ...maker.mix(maker.describe(maker.random.pick(FLOWS), 0.2)), ...maker.anyOutput());
  for (const state of ['ESTABLISHED', 'SYN_SENT', 'TIME_WAIT']) add('-L', 'dying', '-p', 'tcp', '--state', state);
}

/** -z: what it goes with, and what it refuses. */
function zeroing(add: Add, maker: Maker): void {
  for (const words of ['-L -z', '-zL', '--dump --zero', '-L --z', '-L -z -z', '-L -zz', '-L conntrack -z'])
    add(...words.split(' '));
  for (const format of FORMATS) add('-L', '-z', '-o', format);
  for (let n = 0; n < 30; n++) add(...maker.mix([['-L'], maker.spell(['zero']), maker.output(maker.random.sample(FORMATS.filter((item) => item !== 'save'), 1 + maker.random.below(3))), ...(maker.random.chance(0.5) ? [maker.spell(['family', maker.random.pick(['ipv4', 'ipv6'])])] : [])])); // biome-ignore format: one line
  for (const name of FILTERS) {
    const value = maker.good(name, 4);
    add('-L', '-z', ...maker.spell([name, value]));
    add('-L', ...maker.spell([name, maker.good(name, 4)]), '-z', ...maker.anyOutput());
  }
  for (const command of [
    '-G',
    '-C',
    '-S',
    '-V',
    '-h',
    '-L expect',
    '-L dying',
    '-L unconfirmed',
    '-L dying -p udp',
    '-L dying -f ipv6',
  ])
    add(...command.split(' '), '-z');
}

/** Several filters at once: met by an entry, with sometimes one that is not; now and then one wrong thing. */
function combinations(add: Add, maker: Maker): void {
  const { random } = maker;
  for (let n = 0; n < 300; n++) {
    const flow = random.pick(FLOWS);
    const family = flow.original.src.includes(':') ? 6 : 4;
    const parts = maker.describe(flow, random.pick([0.15, 0.25, 0.4]));
    if (random.chance(0.25)) {
      const name = random.pick(FILTERS.filter((filter) => filter !== 'proto' && (family === 4 || !filter.endsWith('-nat'))));
      parts.push(maker.spell([name, maker.good(name, family)]));
    }
    if (random.chance(0.06)) {
      const name = random.pick(Object.keys(BAD).filter((key) => key !== 'output' && key !== 'id'));
      parts.push(maker.spell([name, random.pick(BAD[name]!.filter((value) => value !== ''))]));
    }
    add(...maker.mix([maker.list(random.chance(0.1) ? 'conntrack' : undefined), ...parts, maker.anyOutput()]));
  }
}
