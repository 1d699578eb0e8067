// Random commands that change the table, right and wrong ones, in every spelling. The world is small, so that commands of a session often
// concern the same entries. Every translation has its own addresses and ports, so that no two entries need the same translated tuple (the
// kernel would pick another at random).

import type { Random } from '../support/random.js';
import { type Change, spell, type Wish } from './change-words.js';

/** The subjects of a session: not everything can be combined if the right answer must be known. */
export interface Theme {
  readonly zones: boolean;
  readonly nat: boolean;
  readonly labels: boolean;
  /** FIXED_TIMEOUT */
  readonly fixed: boolean;
  /** Reply tuples that differ without NAT. */
  readonly odd: boolean;
}

export function randomTheme(random: Random): Theme {
  return {
    zones: random.chance(0.35),
    nat: random.chance(0.45),
    labels: random.chance(0.35),
    fixed: random.chance(0.25),
    odd: random.chance(0.15),
  };
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
const STATUS_FILTERS = [
  'ASSURED',
  'SEEN_REPLY',
  'UNREPLIED',
  '!ASSURED',
  'ASSURED,!SEEN_REPLY',
  'a,se',
  'SEEN_REPLY,ASSURED',
  '!SEEN_REPLY,!ASSURED',
];
const UPDATED_STATUS = ['ASSURED', 'SEEN_REPLY', 'ASSURED,SEEN_REPLY', 'UNSET', 'EXPECTED', '!ASSURED', 'UNREPLIED'];
const LABELS = ['web', 'eth0-in', 'web,eth0-in', 'last', 'web,last'];
const VTAGS = ['0', '1', '4294967295'];
const MARKS = ['0', '1', '0x10', '7', '4294967295', '5/0xff', '010'];

/** Options that no command here takes. */
const ALIEN: readonly Wish[] = [
  ['secmark', '5'],
  ['any-nat'],
  ['zero'],
  ['event-mask', 'NEW'],
  ['buffer-size', '9'],
  ['tuple-src', '192.0.2.1'],
];

interface Made {
  readonly v6: boolean;
  readonly proto: number;
  readonly from: number;
  readonly to: number;
  readonly sport: number;
  readonly dport: number;
  /** Sides that a command translated. */
  readonly translated: Set<Side>;
}
type Side = 's' | 'd';

function addresses({ v6, from, to }: Made): [src: string, dst: string] {
  const { src, dst } = v6 ? V6 : V4;
  return [src[from]!, dst[to]!];
}

/** The source or destination address that this flow is translated to, if it is. */
function translation({ v6, from, to }: Made, side: Side): string {
  const last = side === 's' ? `1${from}` : `2${to}`;
  return v6 ? `2001:db8:9::${last}` : `203.0.113.${last}`;
}

const translatedPort = ({ sport, dport }: Made, side: Side) => (side === 's' ? sport + 7000 : dport + 9000);
const withPort = (address: string, port: number) => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);

export class Changes {
  readonly #random: Random;
  readonly #theme: Theme;
  /** Flows that were created, which later commands often name again. */
  readonly #made: Made[] = [];

  constructor(random: Random, theme: Theme) {
    this.#random = random;
    this.#theme = theme;
  }

  /** Any of the commands. */
  any(): Change {
    const random = this.#random;
    const roll = random.below(100);
    if (roll < 33) return this.create('I');
    if (roll < 53) return this.create('A');
    if (roll < 57) return this.flush();
    if (roll < 79) return this.update();
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
      const nat = (side: Side): string => {
        made.translated.add(side);
        const address = translation(made, side);
        return random.chance(0.35) ? withPort(address, translatedPort(made, side)) : address;
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
        ['orig-vtag', random.pick(VTAGS)],
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
    generic.push(['timeout', this.#ends(0.05) ? '0' : String(1000 + random.below(100000))]);
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
    if (this.#theme.labels && random.chance(0.4)) generic.push(['label-add', random.pick(LABELS)]);
    return spell(random, {
      command: [random.chance(0.7) ? `-${letter}` : letter === 'I' ? '--create' : '--add'],
      generic,
      protocol: ['proto', random.pick(NAMES[proto] ?? [String(proto)])],
      own,
      alien: [...ALIEN, ['family', 'ipv4'], ['mask-src', '255.255.255.0']],
      required: ['timeout', 'proto', ...(generic.some(([name]) => name === 'reply-src') ? [] : ['src'])],
    });
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
      translated: new Set(),
    };
  }

  delete(): Change {
    const random = this.#random;
    // Seldom met by chance
    if (random.chance(0.03)) return this.#command('D', [['timeout', '5']], []);
    if (random.chance(0.3) && this.#made.some((made) => made.proto === 132))
      return random.chance(0.5)
        ? this.#command('D', [['output', 'xml']], [], 132)
        : this.#command('D', [], [['orig-vtag', random.pick(VTAGS)]], 132);
    const { generic, own, proto } = this.#filters(random.pick([0, 1, 1, 2, 2, 3]), ['mark', 'status', 'timeout']);
    if (proto === 132 && random.chance(0.3)) own.push(['reply-vtag', random.pick(['0', '2'])]);
    return this.#command('D', [...generic, ...this.#output(proto)], own, proto);
  }

  update(): Change {
    const random = this.#random;
    const translated = this.#made.find((made) => made.translated.size > 0);
    // Seldom met by chance
    if (translated !== undefined && !this.#theme.odd && random.chance(0.25)) {
      const [side] = random.shuffle([...translated.translated]);
      const wish: Wish = [side === 's' ? 'src-nat' : 'dst-nat', translation(translated, side!)];
      return this.#command('U', [wish, ['mark', String(random.below(1000))]], []);
    }
    const { generic, own, proto } = this.#filters(random.pick([0, 1, 1, 2]), []);
    const kinds = ['mark', 'mark', 'status', 'timeout', 'state', 'nothing', ...(this.#theme.labels ? ['labels', 'labels'] : [])];
    for (const kind of new Set(random.sample(kinds, 1 + random.below(2)))) {
      switch (kind) {
        case 'mark':
          generic.push(['mark', random.pick(['1', '0', '0xf0/0x0f', '0x0f/0', '0x10/0xf0', '7/7'])]);
          break;
        case 'status':
          generic.push(['status', random.pick([...UPDATED_STATUS, ...(this.#theme.fixed ? ['FIXED_TIMEOUT'] : [])])]);
          break;
        case 'timeout':
          generic.push(['timeout', this.#ends(0.35) ? '0' : String(200000 + random.below(100000))]);
          break;
        case 'state':
          if (proto === 6) own.push(['state', random.pick(TCP_STATES)]);
          if (proto === 132) {
            if (random.chance(0.7)) own.push(['state', random.pick([...SCTP_STATES, 'HEARTBEAT_SENT'])]);
            if (random.chance(0.5)) own.push(['orig-vtag', random.pick(['1', '77'])]);
            if (random.chance(0.3)) own.push(['reply-vtag', random.pick(['2', '4294967295'])]);
          }
          break;
        case 'labels': // one of the two: they exclude each other
          generic.push(
            random.pick<Wish>([['label-add', random.pick(LABELS)], ['label-del', random.pick(LABELS)], ['label-del']]),
          );
          break;
      }
    }
    return this.#command('U', [...generic, ...this.#output(proto)], own, proto);
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

  /** Some options that select entries, often an existing one. `more`: kinds that are new values for `-U`. */
  #filters(some: number, more: readonly string[]): { generic: Wish[]; own: Wish[]; proto: number | undefined } {
    const random = this.#random;
    const target = this.#made.length > 0 && random.chance(0.6) ? random.pick(this.#made) : this.#identity();
    const { v6 } = target;
    const [src, dst] = addresses(target);
    const generic: Wish[] = [];
    const own: Wish[] = [];
    let proto: number | undefined;
    const kinds = [
      'src',
      'dst',
      'reply-src',
      'reply-dst',
      'proto',
      'proto',
      'proto',
      'family',
      'id',
      'cidr',
      'masks',
      ...more,
      ...(this.#theme.zones ? ['zone', 'orig-zone', 'reply-zone'] : []),
      ...(this.#theme.nat && !this.#theme.odd ? ['src-nat', 'dst-nat', 'src-nat'] : []),
      ...(this.#theme.labels ? ['label', 'label'] : []),
    ];
    for (const kind of new Set(random.sample(kinds, some))) {
      if (kind === 'proto') {
        proto = target.proto;
        this.#protocolFilters(own, target, more.length > 0);
      } else if (kind === 'cidr' && !generic.some(([name]) => name === 'src')) {
        const v6Networks = ['2001:db8::/64', '2001:db8::2/127', '::/0', '2001:db8::1/128'];
        const v4Networks = ['192.0.2.0/24', '192.0.2.2/31', '0.0.0.0/0', '192.0.2.1/32', '10.0.0.0/'];
        generic.push(['src', random.pick(v6 ? v6Networks : v4Networks)]);
      } else if (kind === 'src' && !generic.some(([name]) => name === 'src')) generic.push(['src', src]);
      else if (kind === 'masks' && !generic.some(([name]) => name === 'dst')) {
        const mask = v6 ? 'ffff:ffff::' : random.pick(['255.255.255.0', '255.0.255.255']);
        generic.push(['dst', dst], ['mask-dst', mask]);
      } else if (kind === 'dst' && !generic.some(([name]) => name === 'dst')) generic.push(['dst', dst]);
      else generic.push(...this.#filter(kind, target));
    }
    return { generic, own, proto };
  }

  #filter(kind: string, target: Made): Wish[] {
    const random = this.#random;
    const [src, dst] = addresses(target);
    const { v6 } = target;
    switch (kind) {
      case 'reply-src':
        return [['reply-src', random.pick([dst, dst, translation(target, 'd')])]];
      case 'reply-dst':
        return [['reply-dst', random.pick([src, src, translation(target, 's')])]];
      case 'mark':
        return [['mark', random.pick(['0', '1', '7', '0x10/0xf0', '0/0', '5', '1/1'])]];
      case 'status':
        return [['status', random.pick(random.chance(0.15) ? ['UNSET', 'S', '!UNSET'] : STATUS_FILTERS)]];
      case 'family':
        return [['family', v6 ? 'ipv6' : 'ipv4']];
      case 'timeout':
        return [['timeout', '5']];
      case 'id':
        return random.chance(0.3) ? [['id', random.pick(['1', '0', '4294967295'])]] : [];
      case 'zone':
        return [['zone', random.pick(['0', '5', '65535'])]];
      case 'orig-zone':
        return [['orig-zone', '7']];
      case 'reply-zone':
        return [['reply-zone', '8']];
      case 'src-nat':
      case 'dst-nat': {
        if (random.chance(0.4)) return [[kind]];
        const side = kind === 'src-nat' ? 's' : 'd';
        const address = translation(target, side);
        return [[kind, random.chance(0.3) ? withPort(address, translatedPort(target, side)) : address]];
      }
      case 'label':
        return [['label', random.pick(['web', 'eth0-in', 'web,eth0-in', 'last'])]];
      default:
        return [];
    }
  }

  #output(proto: number | undefined): Wish[] {
    const random = this.#random;
    if (proto === 132 && random.chance(0.5)) return [['output', 'xml']];
    if (!random.chance(0.4)) return [];
    const items = ['id', 'extended', 'save', 'xml', 'labels', 'ktimestamp', 'extended,id', 'xml,id', 'timestamp'];
    const item = random.pick(items);
    // What XML says of ICMP entries (docs/differences.md B12) is for the reading tests.
    return item.includes('xml') && (proto === undefined || proto === 1 || proto === 58) ? [] : [['output', item]];
  }

  #command(letter: 'D' | 'U', generic: readonly Wish[], own: readonly Wish[], proto?: number): Change {
    const random = this.#random;
    return spell(random, {
      command: [random.chance(0.7) ? `-${letter}` : letter === 'D' ? '--delete' : '--update'],
      generic,
      protocol: proto === undefined ? undefined : ['proto', random.pick(NAMES[proto] ?? [String(proto)])],
      own,
      alien: [...ALIEN, ['output', 'save,xml']],
      required: [],
    });
  }

  /**
   * Whether an entry should end at once. Not with zones: the kernel keeps what has ended until it meets it, and meanwhile refuses another
   * entry with the same reply in another zone; any dump of any namespace makes it meet it.
   */
  #ends(probability: number): boolean {
    return !this.#theme.zones && this.#random.chance(probability);
  }

  /** `states`: they are filters too. */
  #protocolFilters(own: Wish[], { proto, sport, dport }: Made, states: boolean): void {
    const random = this.#random;
    const port = (name: string) =>
      random.chance(0.3) ? random.pick(PORTS) : ['sport', 'srckey', 'reply-port-dst'].includes(name) ? sport : dport;
    if ([6, 17, 136, 132].includes(proto)) {
      for (const name of random.sample(['sport', 'dport', 'reply-port-src', 'reply-port-dst'], random.pick([0, 0, 1, 1, 2])))
        own.push([name, String(port(name) + (name.startsWith('reply') && random.chance(0.2) ? 7000 : 0))]);
      if (states && proto === 6 && random.chance(0.4)) own.push(['state', random.pick(TCP_STATES)]);
      if (states && proto === 132 && random.chance(0.3)) own.push(['state', random.pick(SCTP_STATES)]);
    } else if (proto === 47) {
      for (const name of random.sample(['srckey', 'dstkey', 'reply-key-src'], random.pick([0, 1, 1, 2])))
        own.push([name, String(port(name))]);
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
}
