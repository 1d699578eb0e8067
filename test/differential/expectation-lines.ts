// Random commands that change expectations, and the flows with helpers that they need, as requests of our own.

import { type NewFlow, newFlow, type Side, TCP } from '../support/netlink.js';
import type { Random } from '../support/random.js';
import { type Change, spell, type Wish } from './change-words.js';

interface Master {
  readonly name: 'tcp' | 'udp' | 'sctp';
  readonly proto: number;
  readonly side: Required<Pick<Side, 'src' | 'dst' | 'sport' | 'dport'>>;
  readonly helper?: string;
  /** Not in the table. */
  readonly missing?: true;
}

const side = (src: string, dst: string, sport: number, dport: number) => ({ src, dst, sport, dport });
const MASTERS: readonly Master[] = [
  { name: 'tcp', proto: 6, side: side('192.0.2.1', '198.51.100.1', 41000, 21), helper: 'ftp' },
  { name: 'tcp', proto: 6, side: side('192.0.2.2', '198.51.100.9', 41001, 21), helper: 'ftp' },
  { name: 'tcp', proto: 6, side: side('2001:db8::1', '2001:db8:1::1', 41002, 21), helper: 'ftp' },
  { name: 'udp', proto: 17, side: side('192.0.2.1', '198.51.100.1', 5060, 5060), helper: 'sip' },
  { name: 'udp', proto: 17, side: side('192.0.2.2', '198.51.100.1', 5061, 5060), helper: 'sip' },
  { name: 'udp', proto: 17, side: side('2001:db8::1', '2001:db8:1::1', 5062, 5060), helper: 'sip' },
  { name: 'udp', proto: 17, side: side('2001:db8::2', 'fd00::9', 5063, 5060), helper: 'sip' },
  { name: 'udp', proto: 17, side: side('192.0.2.1', '198.51.100.9', 5064, 53) },
  { name: 'udp', proto: 17, side: side('192.0.2.1', '198.51.100.9', 5065, 53), missing: true },
  { name: 'sctp', proto: 132, side: side('192.0.2.1', '198.51.100.9', 5066, 53), missing: true },
];

/** Requests that make the flows that expectations belong to. */
export const MASTER_REQUESTS: readonly Buffer[] = MASTERS.filter(({ missing }) => missing === undefined).map(
  ({ proto, side, helper }, n) => {
    const flow: NewFlow = {
      proto,
      original: side,
      timeout: 50000 + n,
      ...(proto === 6 ? { tcpState: TCP.ESTABLISHED } : {}),
      ...(helper === undefined ? {} : { helper }),
    };
    return newFlow(flow);
  },
);

/** What an expectation takes as little as any command for them. */
const ALIEN: readonly Wish[] = [
  ['mark', '1'],
  ['zone', '5'],
  ['output', 'xml'],
  ['src-nat'],
  ['family', 'ipv4'],
  ['id', '5'],
  ['zero'],
  ['label', 'web'],
  ['orig-zone', '7'],
  ['event-mask', 'NEW'],
];
const ADDRESSES = ['src', 'dst'];

/** Makes the commands of one session. */
export class ExpectationChanges {
  readonly #random: Random;
  readonly #made: { master: Master; tuple: Master['side'] }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  any(): Change {
    const roll = this.#random.below(100);
    if (roll < 60) return this.#create();
    if (roll < 92) return this.#delete();
    return this.#flush();
  }

  #create(): Change {
    const random = this.#random;
    const { master, tuple } =
      this.#made.length > 0 && random.chance(0.2) ? random.pick(this.#made) : this.#tuple(random.pick(MASTERS));
    this.#made.push({ master, tuple });
    const v6 = tuple.src.includes(':');
    const generic: Wish[] = [
      ['src', master.side.src],
      ['dst', master.side.dst],
      ['timeout', String(100 + random.below(1000))],
      ['tuple-dst', tuple.dst],
      ['mask-dst', v6 ? random.pick(['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff::']) : '255.255.255.255'],
    ];
    if (random.chance(0.25)) generic.push(['tuple-src', `${tuple.src}/${v6 ? 64 : random.pick([24, 31])}`]);
    else
      generic.push(
        ['tuple-src', tuple.src],
        ['mask-src', v6 ? random.pick(['ffff:ffff::', '::']) : random.pick(['255.255.255.255', '255.255.0.0', '0.0.0.0'])],
      );
    if (random.chance(0.1)) generic.push(['status', 'ASSURED']);
    if (random.chance(0.1)) generic.push(['reply-src', master.side.dst]);
    const own: Wish[] = [
      ['sport', String(master.side.sport)],
      ['dport', String(master.side.dport)],
      ['tuple-port-src', String(tuple.sport)],
      ['tuple-port-dst', String(tuple.dport)],
      ['mask-port-src', random.pick(['0', '65535'])],
      ['mask-port-dst', random.pick(['65535', '65535', '0'])],
    ];
    if (master.proto === 132) own.push(['orig-vtag', '1'], ['reply-vtag', '2']);
    return spell(random, {
      command: [random.chance(0.7) ? '-I' : '--create', random.pick(['expect', 'exp', 'e'])],
      generic,
      protocol: ['proto', master.name],
      own,
      alien: ALIEN,
      required: [...ADDRESSES, 'timeout', 'proto', 'tuple-dst', 'mask-dst'],
    });
  }

  #delete(): Change {
    const random = this.#random;
    const { master, tuple } =
      this.#made.length > 0 && random.chance(0.85) ? random.pick(this.#made) : this.#tuple(random.pick(MASTERS));
    const own: Wish[] = [
      ['sport', String(tuple.sport)],
      ['dport', String(tuple.dport)],
    ];
    if (random.chance(0.7)) own.push(['reply-port-src', '1'], ['reply-port-dst', '2']);
    if (master.proto === 132) own.push(['orig-vtag', '1'], ['reply-vtag', '2']);
    return spell(random, {
      command: [random.chance(0.7) ? '-D' : '--delete', random.pick(['expect', 'exp', 'e'])],
      generic: [['src', tuple.src], ['dst', tuple.dst], ...(random.chance(0.1) ? ([['reply-src', tuple.dst]] as const) : [])],
      protocol: ['proto', master.name],
      own,
      alien: [...ALIEN, ['timeout', '5'], ['tuple-src', tuple.src], ['status', 'ASSURED']],
      required: [...ADDRESSES, 'proto'],
    });
  }

  #flush(): Change {
    const words = this.#random.pick([
      ['-F', 'expect'],
      ['--flush', 'e'],
      ['-F', 'expect', '-f', 'ipv4'],
      ['-F', 'expect', '-m', '1'],
    ]);
    return { argv: words, faulty: words.length > 2 };
  }

  #tuple(master: Master): { master: Master; tuple: Master['side'] } {
    const random = this.#random;
    const { src, dst } = master.side;
    return { master, tuple: side(dst, src, random.pick([0, 0, 9]), random.pick([9000, 9001, 20])) };
  }
}
