// Random filters as text, each with what it means of a flow's JSON: worked out apart from src/, with true, false and null for unknown.

import type { FlowJson } from '../../src/index.js';
import type { Random } from './random.js';
import { POOL } from './random-filter.js';

/** A flow in JSON, and what its message tells besides. */
export interface JudgedFlow {
  readonly flow: FlowJson;
  /** All that the kernel knows was sent: it was listed. */
  readonly whole: boolean;
  readonly destroyed: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** True, false, or unknown. */
export type Truth = boolean | null;

/** An expression and its meaning. */
export interface Expression {
  readonly text: string;
  readonly judge: (flow: JudgedFlow) => Truth;
  /** `and`, `or`: to be put in parentheses within the other; `not` takes one test or parentheses. */
  readonly chain?: 'and' | 'or';
}

const dotted = (bytes: readonly number[]) =>
  bytes.length === 4
    ? bytes.join('.')
    : Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16)).join(':');

/** The number of an address, and how long it is. */
function numberOf(text: string): readonly [bits: number, value: bigint] {
  if (!text.includes(':')) return [32, text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)];
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const plain = tail
    ? `${tail[1]}${((numberOf(tail[2]!)[1] >> 16n) & 0xffffn).toString(16)}:${(numberOf(tail[2]!)[1] & 0xffffn).toString(16)}`
    : text;
  const [head = '', rest] = plain.split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const before = groups(head);
  const after = rest === undefined ? [] : groups(rest);
  const zeros = rest === undefined ? [] : new Array<string>(8 - before.length - after.length).fill('0');
  return [128, [...before, ...zeros, ...after].reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n)];
}

type AddressTest = (address: string | undefined, port: number | undefined) => boolean;

function addressValue(random: Random): readonly [text: string, test: AddressTest] {
  const bytes = random.pick<readonly number[]>(random.chance(0.5) ? POOL.v4 : POOL.v6);
  const text = dotted(bytes);
  const [bits, value] = numberOf(text);
  const within = (address: string | undefined, from: bigint, to: bigint) => {
    if (address === undefined) return false;
    const [otherBits, other] = numberOf(address);
    return otherBits === bits && other >= from && other <= to;
  };
  switch (random.below(4)) {
    case 0: {
      const length = random.below(bits + 1);
      const size = 1n << BigInt(bits - length);
      const first = value - (value % size);
      const network = dotted(Array.from({ length: bits / 8 }, (_, i) => Number((first >> BigInt(bits - 8 - 8 * i)) & 0xffn)));
      return [`${network}/${length}`, (address) => within(address, first, first + size - 1n)];
    }
    case 1: {
      const port = random.pick(POOL.ports);
      return [`${bits === 32 ? text : `[${text}]`}:${port}`, (address, own) => own === port && within(address, value, value)];
    }
    default:
      return [text, (address) => within(address, value, value)];
  }
}

/** One value, or several in braces. */
function listOf<T>(random: Random, make: () => readonly [string, T]): readonly [text: string, values: readonly T[]] {
  if (random.chance(0.6)) {
    const [text, value] = make();
    return [text, [value]];
  }
  const items = Array.from({ length: 1 + random.below(3) }, make);
  return [`{${items.map(([text]) => text).join(random.pick([', ', ' ', ',']))}}`, items.map(([, value]) => value)];
}

/** A comparison, a list or a range of numbers, written as the field has them. */
function numbers(
  random: Random,
  pool: readonly number[],
  write: (n: number) => string = String,
): readonly [string, (n: number) => boolean] {
  const value = random.pick(pool);
  switch (random.below(5)) {
    case 0: {
      const [operator, compare] = random.pick<readonly [string, (n: number) => boolean]>([
        ['<=', (n: number) => n <= value],
        ['>=', (n: number) => n >= value],
        ['le', (n: number) => n <= value],
        ...(value > 0 ? ([['<', (n: number) => n < value]] as const) : []),
        ...(value < Math.max(...pool) ? ([['>', (n: number) => n > value]] as const) : []),
      ]);
      return [`${operator} ${write(value)}`, compare];
    }
    case 1: {
      const other = random.pick(pool);
      const [from, to] = [Math.min(value, other), Math.max(value, other)];
      return [`${write(from)}-${write(to)}`, (n) => n >= from && n <= to];
    }
    default: {
      const [text, values] = listOf(random, () => {
        const one = random.pick(pool);
        return [write(one), one] as const;
      });
      return [text, (n) => values.includes(n)];
    }
  }
}

const PORTLESS = [1, 58];
type Side = FlowJson['original'];

/** The sides and ends that a word means. */
function endsOf(
  random: Random,
): readonly [
  word: string,
  of: (flow: FlowJson) => readonly (Side | undefined)[],
  ends: readonly ('src' | 'dst')[],
  master: boolean,
] {
  const [word, sides, master] = random.pick<readonly [string, (flow: FlowJson) => readonly (Side | undefined)[], boolean]>([
    ['', (flow) => [flow.original], false],
    ['orig', (flow) => [flow.original], false],
    ['reply', (flow) => [flow.reply], false],
    ['master', (flow) => [flow.master as Side | undefined], true],
    ['any', (flow) => [flow.original, flow.reply], false],
  ]);
  if (word === 'any') return ['', sides, ['src', 'dst'], master];
  const both = word !== '' && random.chance(0.4);
  if (both) return [word, sides, ['src', 'dst'], master];
  const end = random.pick(['src', 'dst'] as const);
  return [`${word} ${end}`.trim(), sides, [end], master];
}

const unless = (isMaster: boolean, { flow }: JudgedFlow, found: boolean): Truth =>
  found || !isMaster || flow.master !== undefined || !flow.status?.includes('EXPECTED') ? found : null;

const hasPort = (side: Side | undefined) => side?.sport !== undefined && !PORTLESS.includes(side.protonum);

/** One test. */
export function randomTest(random: Random): Expression {
  const test = (text: string, judge: (given: JudgedFlow) => Truth): Expression => ({
    text: text.replaceAll('  ', ' ').trim(),
    judge,
  });
  switch (random.below(24)) {
    case 0:
      return random.chance(0.5)
        ? test(random.pick(['ip', 'ipv4', 'inet']), ({ flow }) => flow.family === 'ipv4')
        : test('ip6', ({ flow }) => flow.family === 'ipv6');
    case 1: {
      const [word, number] = random.pick([
        ['tcp', 6],
        ['udp', 17],
        ['sctp', 132],
        ['icmp', 1],
        ['icmpv6', 58],
        ['gre', 47],
        ['esp', 50],
        ['proto 33', 33],
      ] as const);
      return test(word, ({ flow }) => flow.original.protonum === number);
    }
    case 2:
    case 3:
    case 4: {
      const [word, sides, ends, master] = endsOf(random);
      const [text, tests] = listOf(random, () => addressValue(random));
      const what = ends.length === 2 ? 'host' : random.pick(['', 'host', 'net', 'addr']);
      return test(`${word} ${what} ${text}`, (given) =>
        unless(
          master,
          given,
          sides(given.flow).some((side) =>
            ends.some((end) => tests.some((each) => each(side?.[end], side?.[end === 'src' ? 'sport' : 'dport']))),
          ),
        ));
    }
    case 5:
    case 6: {
      const [word, sides, ends, master] = endsOf(random);
      const key = random.chance(0.2);
      const [text, compare] = numbers(random, POOL.ports);
      return test(`${word} ${key ? 'key' : 'port'} ${text}`, (given) =>
        unless(
          master,
          given,
          sides(given.flow).some((side) =>
            ends.some((end) => {
              const port = side?.[end === 'src' ? 'sport' : 'dport'];
              return port !== undefined && (side!.protonum === 47) === key && compare(port);
            }),
          ),
        ));
    }
    case 7: {
      const [text, states] = listOf(random, () => {
        const state = random.pick(['ESTABLISHED', 'SYN_SENT', 'CLOSE', 'TIME_WAIT', 'OPEN'] as const);
        return [state.toLowerCase().replace('_', random.pick(['_', '-'])), state] as const;
      });
      return test(`state ${text}`, ({ flow }) => {
        if (![6, 33, 132].includes(flow.original.protonum)) return false;
        return flow.state === undefined ? null : states.includes(flow.state as (typeof states)[number]);
      });
    }
    case 8: {
      const [text, compare] = numbers(random, POOL.marks, (n) => random.pick([String(n), `0x${n.toString(16)}`]));
      return test(`mark ${text}`, ({ flow }) => compare(flow.mark ?? 0));
    }
    case 9: {
      const mask = random.pick([1, 0xff, 0xff00, 0x80000000]);
      const value = (random.pick(POOL.marks) & mask) >>> 0;
      const text = random.pick([`mark ${value}/${mask}`, `mark & 0x${mask.toString(16)} = ${value}`, `mark & ${mask} ${value}`]);
      return test(text, ({ flow }) => ((flow.mark ?? 0) & mask) >>> 0 === value);
    }
    case 10:
    case 11: {
      const [word, name, set] = random.pick([
        ['assured', 'ASSURED', true],
        ['replied', 'SEEN_REPLY', true],
        ['seen_reply', 'SEEN_REPLY', true],
        ['unreplied', 'SEEN_REPLY', false],
        ['expected', 'EXPECTED', true],
        ['dying', 'DYING', true],
        ['offloaded', 'OFFLOAD', true],
        ['status src-nat-done', 'SRC_NAT_DONE', true],
        ['status seq_adjust', 'SEQ_ADJUST', true],
      ] as const);
      return test(word, ({ flow }) => (flow.status?.includes(name) ?? false) === set);
    }
    case 12: {
      const [text, bits] = listOf(random, () => {
        const bit = random.pick(POOL.labels);
        return [String(bit), bit] as const;
      });
      return test(`label ${text}`, ({ flow, whole }) =>
        flow.labels ? bits.some((bit) => flow.labels!.includes(bit)) : whole ? false : null);
    }
    case 13: {
      const way = random.pick(['snat', 'dnat'] as const);
      return test(way, ({ flow }) => isTranslated(flow, way));
    }
    case 14: {
      const way = random.pick(['snat', 'dnat'] as const);
      const end = way === 'snat' ? 'dst' : 'src';
      if (random.chance(0.3)) {
        const [text, compare] = numbers(random, POOL.ports);
        return test(`${way} to port ${text}`, ({ flow }) => {
          const port = flow.reply[end === 'src' ? 'sport' : 'dport'];
          return isTranslated(flow, way) && port !== undefined && compare(port);
        });
      }
      const [text, tests] = listOf(random, () => addressValue(random));
      return test(`${way} to ${text}`, ({ flow }) =>
        isTranslated(flow, way) && tests.some((each) => each(flow.reply[end], flow.reply[end === 'src' ? 'sport' : 'dport'])));
    }
    case 15: {
      const of = random.pick(['bytes', 'packets'] as const);
      const side = random.pick(['', 'orig', 'reply'] as const);
      const [text, compare] = numbers(random, [0, 1, 2, 100, 1000, 1001, 1_500_000, 0x100000000], (n) =>
        n === 1_500_000 ? '1.5M' : String(n),
      );
      return test(`${side} ${of} ${text}`, ({ flow }) => {
        const counts = (side === '' ? ['original', 'reply'] : [side === 'orig' ? 'original' : 'reply']).map(
          (name) => flow[name as 'original' | 'reply'][of],
        );
        if (counts.some((count) => count === undefined)) return null;
        return compare(Number(counts.reduce((sum, count) => sum + BigInt(count!), 0n)));
      });
    }
    case 16: {
      const [text, compare] = numbers(random, [0, 1, 4294, 60_000, 3_600_000, 86_400_000, 1e15], (n) =>
        n % 1000 === 0 && n < 1e9 ? String(n / 1000) : `${n}ms`,
      );
      return test(`age ${text}`, ({ flow, now }) => {
        const { start, stop } = flow.timestamp ?? {};
        if (start === undefined) return null;
        const end = stop === undefined ? now : Number(BigInt(stop)) / 1e6;
        return compare(Math.max(0, Math.floor(end - Number(BigInt(start)) / 1e6)));
      });
    }
    case 17: {
      const of = random.pick(['start', 'stop'] as const);
      const seconds = random.pick([0n, 1_790_000_000n, 1_790_000_003n]);
      const nanoseconds = seconds * 1_000_000_000n;
      const operator = random.pick(seconds === 0n ? (['<=', '>', '>='] as const) : (['<', '<=', '>', '>='] as const));
      return test(`${of} ${operator} ${new Date(Number(seconds) * 1000).toISOString()}`, ({ flow }) => {
        const text = flow.timestamp?.[of];
        if (text === undefined) return null;
        const time = BigInt(text);
        return operator === '<'
          ? time < nanoseconds
          : operator === '<='
            ? time <= nanoseconds
            : operator === '>'
              ? time > nanoseconds
              : time >= nanoseconds;
      });
    }
    case 18: {
      const field = random.pick(['timeout', 'id', 'use', 'secmark'] as const);
      const [text, compare] = numbers(random, POOL.numbers);
      return test(`${field} ${text}`, ({ flow }) => (flow[field] === undefined ? null : compare(flow[field]!)));
    }
    case 19: {
      const where = random.pick(['', 'orig', 'reply'] as const);
      const [text, compare] = numbers(random, [0, 1, 2, 7, 65535]);
      return test(`${where} zone ${text}`, ({ flow }) =>
        compare((where === '' ? flow.zone : flow[where === 'orig' ? 'original' : 'reply'].zone) ?? 0));
    }
    case 20: {
      const [text, names] = listOf(random, () => {
        const name = random.pick(['ftp', 'sip']);
        return [random.pick([name, `"${name}"`, `'${name}'`]), name] as const;
      });
      return test(`helper ${text}`, ({ flow, whole, destroyed }) =>
        flow.helper !== undefined ? names.includes(flow.helper) : destroyed && !whole ? null : false);
    }
    case 21: {
      const v6 = random.chance(0.3);
      const [field, member] = random.pick([
        ['type', 'icmpType'],
        ['code', 'icmpCode'],
        ['id', 'icmpId'],
      ] as const);
      const [text, compare] = numbers(random, [0, 1, 8, 53, 255]);
      return test(`${v6 ? 'icmpv6' : 'icmp'} ${field} ${text}`, ({ flow }) => {
        const value = flow.original[member];
        return flow.original.protonum === (v6 ? 58 : 1) && value !== undefined && compare(value);
      });
    }
    case 22: {
      const what = random.pick(['timeout', 'bytes', 'helper', 'start', 'master', 'mark', 'port', 'label', 'seqadj'] as const);
      return test(`has ${what}`, ({ flow }) => {
        switch (what) {
          case 'bytes':
            return flow.original.bytes !== undefined;
          case 'start':
            return flow.timestamp?.start !== undefined;
          case 'port':
            return hasPort(flow.original) && flow.original.protonum !== 47;
          case 'label':
            return (flow.labels?.length ?? 0) > 0;
          case 'seqadj':
            return flow.original.seqAdj !== undefined || flow.reply.seqAdj !== undefined;
          default:
            return flow[what] !== undefined;
        }
      });
    }
    default: {
      const side = random.pick(['orig', 'reply'] as const);
      const [text, compare] = numbers(random, POOL.numbers);
      return test(`${side} vtag ${text}`, ({ flow }) => {
        if (flow.original.protonum !== 132) return false;
        const tag = flow.sctp?.[side === 'orig' ? 'vtagOriginal' : 'vtagReply'];
        return tag === undefined ? null : compare(tag);
      });
    }
  }
}

function isTranslated({ original, reply, status }: FlowJson, way: 'snat' | 'dnat'): boolean {
  if (!status?.includes(way === 'snat' ? 'SRC_NAT_DONE' : 'DST_NAT_DONE')) return false;
  return way === 'snat'
    ? original.src !== reply.dst || (original.sport ?? 0) !== (reply.dport ?? 0)
    : original.dst !== reply.src || (original.dport ?? 0) !== (reply.sport ?? 0);
}

const and = (a: Truth, b: Truth): Truth => (a === false || b === false ? false : a === null || b === null ? null : true);
const or = (a: Truth, b: Truth): Truth => (a === true || b === true ? true : a === null || b === null ? null : false);
const not = (a: Truth): Truth => (a === null ? null : !a);

/** A tree of tests, `depth` levels of chains and negations at most. */
export function randomExpression(random: Random, depth = 3): Expression {
  if (depth === 0 || random.chance(0.3)) return randomTest(random);
  if (random.chance(0.3)) {
    const inner = randomExpression(random, depth - 1);
    const text = inner.chain ? `(${inner.text})` : inner.text;
    return { text: `${random.pick(['not ', 'NOT ', '!', '! '])}${text}`, judge: (flow) => not(inner.judge(flow)) };
  }
  const chain = random.pick(['and', 'or'] as const);
  const parts = Array.from({ length: 2 + random.below(2) }, () => randomExpression(random, depth - 1));
  const words = chain === 'and' ? ['and', 'AND', '&&'] : ['or', 'Or', '||'];
  const text = parts
    .map((part) => (part.chain && (part.chain !== chain || random.chance(0.3)) ? `(${part.text})` : part.text))
    .reduce((before, part) => `${before} ${random.pick(words)} ${part}`);
  return { text, chain, judge: (flow) => parts.map((part) => part.judge(flow)).reduce(chain === 'and' ? and : or) };
}
