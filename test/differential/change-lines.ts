// Random commands that change the table, right ones and wrong ones, in every spelling. The world is small, so that commands of
// a session often mean the same entries; every translation has addresses and ports of its own, so that no two entries want the
// same translated tuple (the kernel would choose another at random).

import { OPTIONS } from '../support/argv.js';
import type { Random } from '../support/random.js';

/** A command. `faulty`: one thing in it is wrong on purpose, so nothing is changed by it. */
export interface Change {
  readonly argv: readonly string[];
  readonly faulty: boolean;
}

/** What a session plays with: not everything goes together where the right answer must be known. */
export interface Theme {
  readonly zones: boolean;
  readonly nat: boolean;
  readonly labels: boolean;
  /** FIXED_TIMEOUT, which 1.4.7 does not report well when `-U` meets it. */
  readonly fixed: boolean;
  readonly update: boolean;
  /** Reply tuples that differ without NAT. */
  readonly odd: boolean;
}

const V4 = { src: ['192.0.2.1', '192.0.2.2', '10.0.0.1'], dst: ['198.51.100.1', '198.51.100.9'] };
const V6 = { src: ['2001:db8::1', '2001:db8::2'], dst: ['2001:db8:1::1', 'fd00::9'] };
const PORTS = [1, 53, 80, 40000];
const NAMES: Readonly<Record<number, readonly string[]>> = {
  6: ['tcp', 'TCP', '6', '0x6'],
  17: ['udp', 'UDP', '17'],
  136: ['udplite', '136'],
  132: ['sctp', '132'],
  33: ['dccp'],
  1: ['icmp', '1'],
  58: ['icmpv6', '58'],
  47: ['gre', '47'],
};
const TCP_STATES = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
  'LISTEN',
];
const SCTP_STATES = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
];
const STATUS = [
  'ASSURED',
  'SEEN_REPLY',
  'ASSURED,SEEN_REPLY',
  'SEEN_REPLY,ASSURED',
  'UNSET',
  'se',
  'a',
  'EXPECTED',
  'OFFLOAD',
  '!ASSURED',
  'UNREPLIED',
];
const MARKS = ['0', '1', '0x10', '7', '4294967295', '5/0xff', '010'];

type Wish = readonly [name: string, value?: string];

/** Values that are wrong, by option. */
const WRONG: Readonly<Record<string, readonly string[]>> = {
  src: ['192.0.2', '256.1.1.1x', 'host', '', '192.0.2.0/24', '2001:db8::1/33x'].slice(1),
  dst: ['nosuch', '198.51.100.1/33'],
  proto: ['nosuch', '256', '-1', 'tcpx'],
  timeout: ['abc', '', '10x', '-1', '4294967296'],
  mark: ['abc', '', '1x', '4294967296', '-1', '1/', '1/x'],
  status: ['X', '', 'ASSURED,', '!', 'ASSURED,NOPE'],
  zone: ['65536', 'x', ''],
  'orig-zone': ['65536', 'x'],
  family: ['ipv5', 'IPv4', 'ipv4x', 'ipv6foo'],
  'src-nat': [
    'x',
    '203.0.113.5-203.0.113.9',
    '203.0.113.5:',
    '203.0.113.5:99999',
    '203.0.113.0/24',
    '[2001:db8::1]',
    'x[2001:db8::1]:80',
  ],
  'dst-nat': ['y', '203.0.113.9:http'],
  sport: ['65536', 'http', '', '-1', '1x'],
  dport: ['70001', 'domain', '0x10'],
  state: ['established', 'NOPE', ''],
  srckey: ['65536', 'k', '0xzz'],
  'icmp-type': ['256', 'echo', ''],
  'icmpv6-code': ['256', 'x'],
  'orig-vtag': ['x', '4294967296'],
  id: ['x', '4294967296', ''],
};

interface Made {
  readonly v6: boolean;
  readonly proto: number;
  readonly from: number;
  readonly to: number;
  readonly sport: number;
  readonly dport: number;
}

export class Changes {
  readonly #random: Random;
  readonly #theme: Theme;
  /** What was created: often meant again. */
  readonly #made: Made[] = [];

  constructor(random: Random, theme: Theme) {
    this.#random = random;
    this.#theme = theme;
  }

  /** Any of the commands. */
  any(): Change {
    const random = this.#random;
    const roll = random.below(100);
    if (roll < 38) return this.create('I');
    if (roll < 62) return this.create('A');
    if (roll < 66) return this.flush();
    if (roll < 82 && this.#theme.update) return this.update();
    return this.delete();
  }

  create(letter: 'I' | 'A'): Change {
    const random = this.#random;
    const made = this.#made.length > 0 && random.chance(0.3) ? random.pick(this.#made) : this.#identity();
    this.#made.push(made);
    const { v6, proto, from, to, sport, dport } = made;
    const { src, dst } = v6 ? V6 : V4;
    const generic: Wish[] = [];
    const own: Wish[] = [];
    const forward: Wish[] = [
      ['src', src[from]!],
      ['dst', dst[to]!],
    ];
    const backward: Wish[] = [
      ['reply-src', dst[to]!],
      ['reply-dst', src[from]!],
    ];
    const hasPorts = [6, 17, 136, 132, 33].includes(proto);
    const names = hasPorts
      ? ['sport', 'dport', 'reply-port-src', 'reply-port-dst']
      : proto === 47
        ? ['srckey', 'dstkey', 'reply-key-src', 'reply-key-dst']
        : [];
    const port = (n: number, value: number): Wish => [
      names[n]!,
      proto === 47 && random.chance(0.3) ? `0x${value.toString(16)}` : String(value),
    ];
    const originalPorts = names.length > 0 ? [port(0, sport), port(1, dport)] : [];
    const replyPorts = names.length > 0 ? [port(2, dport), port(3, sport)] : [];
    const wishesNat = this.#theme.nat && random.chance(0.5);
    // Which directions are given
    const shape = wishesNat ? random.below(5) : random.below(20);
    if (shape === 17) {
      generic.push(...backward);
      own.push(...(random.chance(0.7) ? replyPorts : originalPorts));
    } else if (shape === 18) {
      generic.push(...forward, ...backward);
      own.push(...originalPorts, ...(random.chance(0.6) ? replyPorts : []));
    } else if (shape === 19 && this.#theme.odd) {
      generic.push(...forward);
      own.push(...originalPorts, ...(names.length > 0 ? [port(2, dport + 1000), port(3, sport + 1000)] : []));
    } else if (shape === 16) {
      generic.push(...forward);
      own.push(...(random.chance(0.6) ? originalPorts : replyPorts));
    } else {
      generic.push(...forward);
      own.push(...originalPorts);
    }
    if (wishesNat) {
      const nat = (side: 's' | 'd'): string => {
        const index = side === 's' ? from : to;
        const address = v6
          ? `2001:db8:9::${side === 's' ? 1 : 2}${index}`
          : `203.0.113.${side === 's' ? 10 + index : 20 + index}`;
        const translated = (side === 's' ? sport : dport) + (side === 's' ? 7000 : 9000);
        if (!random.chance(0.35)) return address;
        return v6 ? `[${address}]:${translated}` : `${address}:${translated}`;
      };
      const both = random.chance(0.25);
      const source = random.chance(0.5);
      if (both || source) generic.push(['src-nat', nat('s')]);
      if (both || !source) generic.push(['dst-nat', nat('d')]);
      // as -o save writes it
      if (hasPorts && random.chance(0.25)) {
        if (!both) generic.push(source ? ['reply-src', dst[to]!] : ['reply-dst', src[from]!]);
        own.push(
          [names[2]!, String(dport + (both || !source ? 9000 : 0))],
          [names[3]!, String(sport + (both || source ? 7000 : 0))],
        );
      }
    }
    if (proto === 6) own.push(['state', random.pick(TCP_STATES)]);
    if (proto === 132)
      own.push(
        ['state', random.pick(random.chance(0.12) ? ['HEARTBEAT_SENT', 'HEARTBEAT_ACKED'] : SCTP_STATES)],
        ['orig-vtag', random.pick(['0', '1', '4294967295'])],
        ['reply-vtag', random.pick(['0', '2', '305419896'])],
      );
    if (proto === 33)
      own.push(['state', random.pick(['REQUEST', 'OPEN', 'NONE'])], ['role', random.pick(['client', 'SERVER', 'c'])]);
    if (proto === 1 || proto === 58) {
      const prefix = proto === 1 ? 'icmp' : 'icmpv6';
      own.push(
        [`${prefix}-type`, random.pick(proto === 1 ? ['8', '8', '13', '17', '3', '0'] : ['128', '128', '139', '1', '129'])],
        [`${prefix}-code`, random.pick(['0', '0', '5'])],
      );
      if (random.chance(0.8)) own.push([`${prefix}-id`, random.pick(['1', '77', '65535'])]);
    }
    generic.push(['timeout', random.chance(0.05) ? '0' : String(1000 + random.below(100000))]);
    if (random.chance(0.35)) generic.push(['status', this.#status()]);
    if (random.chance(0.4)) generic.push(['mark', random.pick(MARKS)]);
    if (this.#theme.zones && random.chance(0.5))
      generic.push(
        ...random.sample<Wish>(
          [
            ['zone', random.pick(['0', '5', '65535'])],
            ['reply-zone', '8'],
            // A translated tuple that two zones share would get a port at random.
            ...(wishesNat ? [] : [['orig-zone', '7'] as const]),
          ],
          random.chance(0.06) ? 2 : 1,
        ),
      );
    if (this.#theme.labels && random.chance(0.4))
      generic.push(['label-add', random.pick(['web', 'eth0-in', 'web,eth0-in', 'last', 'web,last'])]);
    return this.#finish(
      [random.chance(0.7) ? `-${letter}` : letter === 'I' ? '--create' : '--add'],
      generic,
      ['proto', random.pick(NAMES[proto] ?? [String(proto)])],
      own,
      proto,
    );
  }

  #identity(): Made {
    const random = this.#random;
    const v6 = random.chance(0.35);
    const { src, dst } = v6 ? V6 : V4;
    return {
      v6,
      proto: random.pick(v6 ? [6, 17, 17, 136, 132, 58, 47, 33, 50] : [6, 6, 17, 17, 136, 132, 1, 47, 33, 50, 89]),
      from: random.below(src.length),
      to: random.below(dst.length),
      sport: random.pick(PORTS),
      dport: random.pick(PORTS),
    };
  }

  delete(): Change {
    const random = this.#random;
    const v6 = random.chance(0.3);
    const { src, dst } = v6 ? V6 : V4;
    const generic: Wish[] = [];
    const own: Wish[] = [];
    let proto: number | undefined;
    // Seldom met by chance
    if (random.chance(0.03)) return this.#finish(['-D'], [['timeout', '5']], undefined, own, undefined);
    if (random.chance(0.1) && this.#made.some((made) => made.proto === 132))
      return this.#finish(['-D'], [['output', 'xml']], ['proto', 'sctp'], own, 132);
    const some = random.pick([0, 1, 1, 2, 2, 3]);
    const kinds = [
      'src',
      'dst',
      'reply-src',
      'reply-dst',
      'proto',
      'proto',
      'proto',
      'mark',
      'status',
      'family',
      'timeout',
      'id',
      'cidr',
      'masks',
      ...(this.#theme.zones ? ['zone', 'orig-zone', 'reply-zone'] : []),
      ...(this.#theme.nat && !this.#theme.odd ? ['src-nat', 'dst-nat', 'src-nat'] : []),
      ...(this.#theme.labels ? ['label', 'label'] : []),
    ];
    for (const kind of new Set(random.sample(kinds, some))) {
      switch (kind) {
        case 'src':
          generic.push(['src', random.pick(src)]);
          break;
        case 'dst':
          generic.push(['dst', random.pick(dst)]);
          break;
        case 'reply-src':
          generic.push(['reply-src', random.pick([...dst, v6 ? '2001:db8:9::20' : '203.0.113.20'])]);
          break;
        case 'reply-dst':
          generic.push(['reply-dst', random.pick([...src, v6 ? '2001:db8:9::10' : '203.0.113.10'])]);
          break;
        case 'cidr':
          if (!generic.some(([name]) => name === 'src'))
            generic.push([
              'src',
              random.pick(
                v6
                  ? ['2001:db8::/64', '2001:db8::2/127', '::/0', '2001:db8::1/128']
                  : ['192.0.2.0/24', '192.0.2.2/31', '0.0.0.0/0', '192.0.2.1/32', '10.0.0.0/'],
              ),
            ]);
          break;
        case 'masks':
          if (!generic.some(([name]) => name === 'dst'))
            generic.push(
              ['dst', random.pick(dst)],
              ['mask-dst', v6 ? 'ffff:ffff::' : random.pick(['255.255.255.0', '255.0.255.255'])],
            );
          break;
        case 'proto':
          proto = random.pick(v6 ? [6, 17, 58, 47, 132, 132, 50] : [6, 17, 1, 47, 132, 132, 136, 33, 50]);
          if (this.#made.length > 0 && random.chance(0.5)) proto = random.pick(this.#made).proto;
          this.#protocolFilters(own, proto);
          break;
        case 'mark':
          generic.push(['mark', random.pick(['0', '1', '7', '0x10/0xf0', '0/0', '5', '1/1'])]);
          break;
        case 'status':
          generic.push([
            'status',
            random.chance(0.15)
              ? random.pick(['UNSET', 'S', '!UNSET'])
              : random.pick([
                  'ASSURED',
                  'SEEN_REPLY',
                  'UNREPLIED',
                  '!ASSURED',
                  'ASSURED,!SEEN_REPLY',
                  'a,se',
                  'SEEN_REPLY,ASSURED',
                  '!SEEN_REPLY,!ASSURED',
                ]),
          ]);
          break;
        case 'family':
          generic.push(['family', v6 ? 'ipv6' : 'ipv4']);
          break;
        case 'timeout':
          generic.push(['timeout', '5']);
          break;
        case 'id':
          if (random.chance(0.3)) generic.push(['id', random.pick(['1', '0', '4294967295'])]);
          break;
        case 'zone':
          generic.push(['zone', random.pick(['0', '5', '65535'])]);
          break;
        case 'orig-zone':
          generic.push(['orig-zone', '7']);
          break;
        case 'reply-zone':
          generic.push(['reply-zone', '8']);
          break;
        case 'src-nat':
        case 'dst-nat': {
          const digit = kind === 'src-nat' ? 1 : 2;
          const address = v6 ? `2001:db8:9::${digit}${random.below(2)}` : `203.0.113.${digit}${random.below(2)}`;
          generic.push(
            random.chance(0.4) ? [kind] : [kind, random.chance(0.3) ? (v6 ? `[${address}]:7053` : `${address}:7053`) : address],
          );
          break;
        }
        case 'label':
          generic.push(['label', random.pick(['web', 'eth0-in', 'web,eth0-in', 'last'])]);
          break;
      }
    }
    const output: Wish[] =
      proto === 132 && random.chance(0.5)
        ? [['output', 'xml']]
        : random.chance(0.4)
          ? [
              [
                'output',
                random.pick(['id', 'extended', 'save', 'xml', 'labels', 'ktimestamp', 'extended,id', 'xml,id', 'timestamp']),
              ],
            ]
          : [];
    const xmlIcmp = output.some(([, value]) => value?.includes('xml')) && (proto === undefined || proto === 1 || proto === 58);
    return this.#finish(
      [random.chance(0.7) ? '-D' : '--delete'],
      [...generic, ...(xmlIcmp ? [] : output)],
      proto === undefined ? undefined : ['proto', random.pick(NAMES[proto] ?? [String(proto)])],
      own,
      proto,
    );
  }

  /** No zones, no FIXED_TIMEOUT, no labels here: update.test.ts. */
  update(): Change {
    const random = this.#random;
    const v6 = random.chance(0.3);
    const { src, dst } = v6 ? V6 : V4;
    const generic: Wish[] = [];
    const own: Wish[] = [];
    let proto: number | undefined;
    for (const kind of new Set(
      random.sample(['src', 'dst', 'reply-dst', 'proto', 'proto', 'family', 'cidr'], random.pick([0, 1, 1, 2])),
    )) {
      if (kind === 'src') generic.push(['src', random.pick(src)]);
      else if (kind === 'dst') generic.push(['dst', random.pick(dst)]);
      else if (kind === 'reply-dst') generic.push(['reply-dst', random.pick(src)]);
      else if (kind === 'family') generic.push(['family', v6 ? 'ipv6' : 'ipv4']);
      else if (kind === 'cidr' && !generic.some(([name]) => name === 'src'))
        generic.push(['src', v6 ? '2001:db8::/64' : '192.0.2.0/24']);
      else if (kind === 'proto') {
        proto = random.pick([6, 17, 132, 136, 50]);
        if (proto !== 50 && random.chance(0.3)) own.push(['dport', String(random.pick(PORTS))]);
        if (proto === 6 && random.chance(0.4)) own.push(['state', random.pick(TCP_STATES)]);
      }
    }
    for (const kind of random.sample(['mark', 'mark', 'status', 'timeout', 'nothing'], 1 + random.below(2))) {
      if (kind === 'mark' && !generic.some(([name]) => name === 'mark'))
        generic.push(['mark', random.pick(['1', '0', '0xf0/0x0f', '0x0f/0', '0x10/0xf0', '7/7'])]);
      else if (kind === 'status') generic.push(['status', random.pick(['ASSURED', 'SEEN_REPLY', 'ASSURED,SEEN_REPLY', 'UNSET'])]);
      else if (kind === 'timeout') generic.push(['timeout', String(200000 + random.below(100000))]);
    }
    if (random.chance(0.4)) generic.push(['output', random.pick(['id', 'extended', 'save', 'extended,id'])]);
    return this.#finish(
      [random.chance(0.7) ? '-U' : '--update'],
      generic,
      proto === undefined ? undefined : ['proto', random.pick(NAMES[proto] ?? [String(proto)])],
      own,
      proto,
    );
  }

  flush(): Change {
    const random = this.#random;
    const words = random.pick([
      ['-F'],
      ['--flush'],
      ['-F', 'conntrack'],
      ['-F', '-f', 'ipv4'],
      ['-Ff', 'ipv6'],
      ['-F', '--family=ipv6'],
      ['-F', '-f', 'ipv4x'],
      ['-F', '-p', 'tcp'],
      ['-F', '-s', '192.0.2.1'],
      ['-F', '-m', '1'],
    ]);
    return { argv: words, faulty: words.includes('ipv4x') || ['-p', '-s', '-m'].includes(words[1] ?? '') };
  }

  #protocolFilters(own: Wish[], proto: number): void {
    const random = this.#random;
    if ([6, 17, 136, 132].includes(proto)) {
      for (const name of random.sample(['sport', 'dport', 'reply-port-src', 'reply-port-dst'], random.pick([0, 0, 1, 1, 2])))
        own.push([name, String(random.pick(PORTS) + (name.startsWith('reply') && random.chance(0.2) ? 7000 : 0))]);
      if (proto === 6 && random.chance(0.4)) own.push(['state', random.pick(TCP_STATES)]);
      if (proto === 132 && random.chance(0.3)) own.push(['state', random.pick(SCTP_STATES)]);
      if (proto === 132 && random.chance(0.5)) own.push(['orig-vtag', random.pick(['0', '1'])]);
    } else if (proto === 47) {
      for (const name of random.sample(['srckey', 'dstkey', 'reply-key-src'], random.pick([0, 1, 1, 2])))
        own.push([name, String(random.pick(PORTS))]);
    } else if (proto === 1 || proto === 58) {
      const prefix = proto === 1 ? 'icmp' : 'icmpv6';
      for (const [name, value] of random.sample<[string, string]>(
        [
          ['type', proto === 1 ? '8' : '128'],
          ['code', '0'],
          ['id', '77'],
        ],
        random.below(3),
      ))
        own.push([`${prefix}-${name}`, value]);
    }
  }

  #status(): string {
    const random = this.#random;
    if (this.#theme.fixed && random.chance(0.3)) return random.pick(['FIXED_TIMEOUT', 'FIXED_TIMEOUT,SEEN_REPLY', 'f']);
    return random.pick(STATUS);
  }

  /** Puts the words together; now and then something in them is wrong. */
  #finish(command: string[], generic: Wish[], protocol: Wish | undefined, own: Wish[], proto: number | undefined): Change {
    const random = this.#random;
    const letter = command[0]!.replace(/^-+/, '');
    let faulty = false;
    if (random.chance(0.12)) {
      const all = [...generic, ...(protocol === undefined ? [] : [protocol]), ...own];
      const victims = all.filter(
        ([name, value]) => value !== undefined && WRONG[name] !== undefined && !(name === 'src' && value.includes('/')),
      );
      if (random.chance(0.3)) {
        // something that does not belong here
        faulty = true;
        if (/^[Dd]/.test(letter) && random.chance(0.3) && !generic.some(([name]) => name === 'output'))
          generic.push(['output', 'save,xml']);
        else
          generic.push(
            random.pick<Wish>([
              ['secmark', '5'],
              ['any-nat'],
              ['zero'],
              ['event-mask', 'NEW'],
              ['buffer-size', '9'],
              ['tuple-src', '192.0.2.1'],
              ...(/^[Ia]|cr|A/.test(letter) ? [['family', 'ipv4'] as const] : []),
            ]),
          );
      } else if (victims.length > 0) {
        const [name] = random.pick(victims);
        const wrong = random.pick(WRONG[name]!);
        faulty = true;
        const spoilt = (list: readonly Wish[]) => list.map((wish): Wish => (wish[0] === name ? [name, wrong] : wish));
        generic = spoilt(generic);
        own = spoilt(own);
        if (protocol?.[0] === name) {
          protocol = [name, wrong];
          own = [];
        }
      }
      if (letter.startsWith('I') || letter.startsWith('c')) {
        if (!faulty && random.chance(0.5)) {
          // something is missing
          const name = random.pick(['src', 'timeout', 'proto']);
          generic = generic.filter(([key]) => key !== name);
          if (name === 'proto') {
            protocol = undefined;
            own = [];
          }
          faulty = true;
        }
      }
    }
    // One thing at a time is wrong: these crash the reference.
    if (faulty) own = own.map((wish) => (wish[1]?.startsWith('HEARTBEAT') ? ['state', 'CLOSED'] : wish));
    const parts = random.shuffle(generic).map((wish) => this.#spell(wish));
    const last = [...(protocol === undefined ? [] : [protocol]), ...random.shuffle(own)].map((wish) => this.#spell(wish));
    const icmp = proto === 1 || proto === 58;
    const words = random.chance(icmp ? 0.15 : 0.3) ? [...last, ...parts] : [...parts, ...last];
    const front = random.chance(0.9);
    return { argv: (front ? [command, ...words] : [...words, command]).flat(), faulty };
  }

  #spell([name, value]: Wish): string[] {
    const random = this.#random;
    const row = OPTIONS.find(([, names]) => names.includes(name));
    if (row === undefined)
      return random.chance(0.3) && value !== undefined
        ? [`--${name}=${value}`]
        : value === undefined
          ? [`--${name}`]
          : [`--${name}`, value];
    const [short, names] = row;
    const long = random.pick(names);
    const letter = /[a-z]/i.test(short);
    if (name === 'output' || value?.startsWith('!')) return [`-${short}`, value!];
    if (value === undefined) return [letter ? `-${short}` : `--${long}`];
    if (letter && random.chance(0.6)) return random.chance(0.15) && value !== '' ? [`-${short}${value}`] : [`-${short}`, value];
    if (name === 'id') return ['-i', value];
    return random.chance(0.25) ? [`--${long}=${value}`] : [`--${long}`, value];
  }
}
