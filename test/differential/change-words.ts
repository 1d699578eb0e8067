// Turns wishes into words: every spelling of an option, any order with the same meaning, and now and then one mistake.

import { OPTIONS } from '../support/argv.js';
import type { Random } from '../support/random.js';

/** A command. `faulty`: it contains one deliberate mistake, so it changes nothing. */
export interface Change {
  readonly argv: readonly string[];
  readonly faulty: boolean;
}

/** An option and its value. */
export type Wish = readonly [name: string, value?: string];

/** What a command should say. */
export interface Wishes {
  /** `-D`, `--delete`; with the table. */
  readonly command: readonly string[];
  readonly generic: readonly Wish[];
  readonly protocol?: Wish | undefined;
  /** Options of the protocol. */
  readonly own: readonly Wish[];
  /** Options that this command does not take. */
  readonly alien: readonly Wish[];
  /** Options that it requires. */
  readonly required: readonly string[];
}

/** Values that are wrong, by option. */
const WRONG: Readonly<Record<string, readonly string[]>> = {
  src: ['256.1.1.1x', 'host', '', '2001:db8::1/33x'],
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
  'tuple-src': ['nosuch', '198.51.100.1/33', ''],
  'tuple-dst': ['192.0.2.1x', '192.0.2.1/-1'],
  'mask-src': ['255.255.255.0/24', 'x'],
  'tuple-port-dst': ['65536', 'x', ''],
  'mask-port-src': ['-1', 'all'],
};

/** The words; 12 in 100 are faulty. */
export function spell(random: Random, wishes: Wishes): Change {
  const { faulty, command, generic, protocol, own } = random.chance(0.12) ? spoil(random, wishes) : { ...wishes, faulty: false };
  const icmp = own.some(([name]) => name.startsWith('icmp'));
  const parts = random.shuffle(generic).map((wish) => spellOne(random, wish));
  const last = [...(protocol === undefined ? [] : [protocol]), ...random.shuffle(own)].map((wish) => spellOne(random, wish));
  const words = (random.chance(icmp ? 0.15 : 0.3) ? [...last, ...parts] : [...parts, ...last]).flat();
  return { argv: random.chance(0.9) ? [...command, ...words] : [...words, ...command], faulty };
}

/** Adds one mistake: an option that does not belong here, a bad value, or something missing. */
function spoil(random: Random, wishes: Wishes): Wishes & { readonly faulty: boolean } {
  // One thing at a time is wrong: these states crash the reference.
  const own = wishes.own.map((wish): Wish => (wish[1]?.startsWith('HEARTBEAT') ? ['state', 'CLOSED'] : wish));
  const spoilt = { ...wishes, own, faulty: true };
  const { generic, protocol, alien, required } = wishes;
  if (random.chance(0.3)) return { ...spoilt, generic: [...generic, random.pick(alien)] };
  const missing = required.filter((name) => name === 'proto' || generic.some(([key]) => key === name));
  if (missing.length > 0 && random.chance(0.4)) {
    const name = random.pick(missing);
    if (name === 'proto') return { ...spoilt, protocol: undefined, own: [] };
    return { ...spoilt, generic: generic.filter(([key]) => key !== name) };
  }
  const victims = [...generic, ...(protocol === undefined ? [] : [protocol]), ...own].filter(
    ([name, value]) => value !== undefined && WRONG[name] !== undefined,
  );
  if (victims.length === 0) return { ...spoilt, faulty: false };
  const [victim] = random.pick(victims);
  const wrong: Wish = [victim, random.pick(WRONG[victim]!)];
  const exchange = (list: readonly Wish[]) => list.map((wish) => (wish[0] === victim ? wrong : wish));
  if (protocol?.[0] === victim) return { ...spoilt, protocol: wrong, own: [] };
  return { ...spoilt, generic: exchange(generic), own: exchange(own) };
}

function spellOne(random: Random, [name, value]: Wish): string[] {
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
