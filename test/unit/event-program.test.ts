// The socket filter of events, run by an interpreter of classic BPF: it never drops what the filter wants, and decides exactly as the
// filter that it says it judges. EVENT_CASES in the environment asks for more cases than the usual ones, SEED for others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import {
  addressIs,
  type FlowCondition,
  type FlowFilter,
  MATCH_ALL,
  MATCH_NONE,
  MAX_COUNT,
  markIs,
  numberIs,
  portIs,
  statusBit,
} from '../../src/ctnetlink/filter/condition.js';
import { eventProgram, PROGRAM_BUDGET } from '../../src/ctnetlink/filter/event-program.js';
import { addressSet, ipv4Of, rangesOf, unionOfAddresses } from '../../src/ctnetlink/filter/sets.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { DecodeError } from '../../src/errors.js';
import { damaged, randomTree } from '../fuzz/messages.js';
import { runBpf } from '../support/bpf.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { randomEvent, randomFlow } from '../support/random-event.js';
import { KINDS, randomCondition, randomFilter } from '../support/random-filter.js';
import { flowMessage } from './event-messages.js';
import { readFixtures } from './fixture.js';

const CASES = Number(process.env['EVENT_CASES'] ?? 120_000);
/** Messages that each filter is tried with. */
const MESSAGES = 12;
/** 2026, in milliseconds: the clock of those that live. */
const NOW = 1_790_000_000_000;

const view = createFlowView();
const now = () => NOW;

/** Whether the predicate of a filter is true of a message; `undefined` where the message is none. */
function wants(filter: FlowFilter, message: Uint8Array): boolean | undefined {
  const wanted = compileFilter(filter, now);
  try {
    view.decode(message, 0, message.length);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
  return wanted ? wanted(view) : true;
}

const keeps = (program: Uint8Array | undefined, message: Uint8Array) => !program || runBpf(program, message) !== 0;

function show(filter: FlowFilter, judged: FlowFilter, message: Uint8Array): string {
  return inspect({ filter, judged, message: Buffer.from(message).toString('hex') }, { depth: 12 });
}

/** Ages are judged less exactly: from half of the digits, and without a clock. */
function hasAge(filter: FlowFilter): boolean {
  return (
    filter.kind === 'age' ||
    ('of' in filter && typeof filter.of !== 'string' && [filter.of].flat().some((part) => hasAge(part as FlowFilter)))
  );
}

interface Counts {
  cases: number;
  kept: number;
  wanted: number;
}

function check(filter: FlowFilter, messages: readonly Uint8Array[], counts: Counts, tracked = false): void {
  const { bytes, judged, instructions } = eventProgram(filter, { tracked });
  assert.equal(instructions, (bytes?.length ?? 0) / 8);
  const exact = !hasAge(judged);
  for (const message of messages) {
    const wanted = wants(filter, message);
    if (wanted === undefined) continue;
    const kept = keeps(bytes, message);
    counts.cases++;
    if (wanted) counts.wanted++;
    if (kept) counts.kept++;
    if (wanted && !kept) assert.fail(`dropped: ${show(filter, judged, message)}`);
    if (wants(judged, message) !== kept && (exact || kept)) {
      // Of flows that live the program does not know the age.
      if (!exact && wants({ kind: 'has', what: 'stop' }, message) !== true) continue;
      assert.fail(`${kept ? 'kept' : 'dropped'}, but that is not what is judged: ${show(filter, judged, message)}`);
    }
  }
}

test('nothing that is wanted is dropped, and the rest as the judged filter says', () => {
  const random = new Random(seedFromEnvironment(7));
  const messages = Array.from({ length: 4000 }, () => randomEvent(random));
  const counts = { cases: 0, kept: 0, wanted: 0 };
  while (counts.cases < CASES) {
    const filter = randomFilter(random, random.pick([0, 1, 2, 2, 3]));
    check(filter, random.sample(messages.slice(0, 400), MESSAGES), counts);
    if (random.chance(0.01)) messages.unshift(...Array.from({ length: 100 }, () => randomEvent(random)));
  }
  const { cases, kept, wanted } = counts;
  assert.ok(kept > cases / 10 && kept < cases - cases / 10 && wanted > cases / 20, inspect(counts));
});

/** Whether an attribute comes twice in a nest: a view takes the last one, a program the first. No kernel sends that. */
function repeats(bytes: Uint8Array, from: number, end: number, depth = 0): boolean {
  const met = new Set<number>();
  for (let at = from; at + 4 <= end; ) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    const type = (bytes[at + 2]! | (bytes[at + 3]! << 8)) & 0x3fff;
    if (length < 4) return false;
    if (met.has(type) || (depth < 3 && repeats(bytes, at + 4, Math.min(end, at + length), depth + 1))) return true;
    met.add(type);
    at += (length + 3) & ~3;
  }
  return false;
}

/** A listed message as an event would have it. */
function asEvent(message: Uint8Array): Uint8Array {
  const event = message.slice();
  event.fill(0, 8, 12);
  event[6]! &= ~2;
  return event;
}

test('nothing that is wanted is dropped of captured, damaged and random messages', () => {
  const random = new Random(seedFromEnvironment(8));
  const fixtures = readFixtures()
    .filter(({ expected }) => expected.view === 'flow')
    .map(({ bytes }) => bytes);
  let wanted = 0;
  for (let n = 0; n < CASES / 4; n++) {
    const original = random.chance(0.5) ? random.pick(fixtures) : randomEvent(random);
    const message = asEvent(
      random.pick([() => original, () => damaged(random, original, random.pick(fixtures)), () => randomTree(random)])(),
    );
    if (repeats(message, 20, message.length)) continue;
    const filter = randomFilter(random, 1);
    if (!wants(filter, message)) continue;
    const { bytes, judged } = eventProgram(filter);
    wanted++;
    if (!keeps(bytes, message)) assert.fail(`dropped: ${show(filter, judged, message)}`);
  }
  assert.ok(wanted > CASES / 80, `${wanted} wanted`);
});

test('each kind of condition and its negation is judged', () => {
  const random = new Random(seedFromEnvironment(9));
  const messages = Array.from({ length: 300 }, () => randomEvent(random));
  for (const kind of KINDS) {
    const counts = { cases: 0, kept: 0, wanted: 0 };
    for (let n = 0; n < 60; n++) {
      const condition = randomCondition(random, [kind]);
      check(condition, messages.slice(0, 60), counts);
      check({ kind: 'not', of: condition }, messages.slice(60, 120), counts);
    }
    assert.ok(counts.wanted > 0 && counts.kept < counts.cases, `${kind}: ${inspect(counts)}`);
  }
});

test('what an entry that was wanted once tells later is never dropped where entries are followed', () => {
  const random = new Random(seedFromEnvironment(10));
  let checked = 0;
  let dropped = 0;
  for (let n = 0; n < CASES / 24; n++) {
    const flow = randomFlow(random);
    const events = Array.from({ length: 4 }, flow);
    for (let i = 0; i < 3; i++) {
      const filter = randomFilter(random, 2);
      const { bytes } = eventProgram(filter, { tracked: true });
      const wanted = events.some((event) => wants(filter, event));
      for (const event of events) {
        const kept = keeps(bytes, event);
        if (!kept) dropped++;
        if (wanted) checked++;
        if (wanted && !kept) assert.fail(show(filter, filter, event));
      }
    }
  }
  assert.ok(checked > CASES / 20 && dropped > CASES / 40, `${checked} checked, ${dropped} dropped`);
});

const ALL_PORTS = rangesOf(Array.from({ length: 1500 }, (_, i) => [40 * i, 40 * i] as const));
const manyAddresses = (count: number, first: number) =>
  unionOfAddresses(Array.from({ length: count }, (_, i) => addressSet(ipv4Of(first + 5 * i))));

test('a program that would be too long for a kernel judges less', () => {
  const dst = [{ side: 'original', end: 'dst' }] as const;
  const tcp = numberIs('protocol', 6);
  const cases: readonly [name: string, filter: FlowFilter, judged: FlowFilter | undefined][] = [
    ['1,000 addresses', { kind: 'address', ends: dst, set: manyAddresses(1000, 0x0a000000) }, undefined],
    [
      'addresses that are too many',
      { kind: 'all', of: [tcp, { kind: 'address', ends: dst, set: manyAddresses(3000, 0x0a000000) }] },
      tcp,
    ],
    [
      'one of too many ports, or something else',
      {
        kind: 'any',
        of: [tcp, { kind: 'port', ends: dst, of: 'port', ranges: ALL_PORTS }, statusBit('ASSURED')],
      },
      undefined,
    ],
    [
      'none of too many ports',
      { kind: 'all', of: [tcp, { kind: 'not', of: { kind: 'address', ends: dst, set: manyAddresses(4000, 0xc0000000) } }] },
      tcp,
    ],
    [
      'more addresses than can be written',
      { kind: 'all', of: [tcp, { kind: 'address', ends: dst, set: manyAddresses(65_536, 0x0a000000) }] },
      tcp,
    ],
    ['NAT many times', { kind: 'all', of: Array.from({ length: 12 }, () => ({ kind: 'nat', nat: 'src' }) as const) }, undefined],
  ];
  const random = new Random(3);
  const messages = Array.from({ length: 50 }, () => randomEvent(random));
  for (const [name, filter, expected] of cases) {
    const { judged, instructions } = eventProgram(filter);
    if (expected) assert.deepEqual(judged, expected, name);
    assert.ok(instructions <= PROGRAM_BUDGET, name);
    check(filter, messages, { cases: 0, kept: 0, wanted: 0 });
  }
});

test('where a jump is too far for one instruction, another helps', () => {
  const random = new Random(4);
  const set = manyAddresses(600, 0x7fffff00);
  const filter: FlowFilter = {
    kind: 'all',
    of: [{ kind: 'address', ends: [{ side: 'original', end: 'dst' }], set }, numberIs('protocol', 6)],
  };
  const { bytes, judged, instructions } = eventProgram(filter);
  assert.ok(bytes && instructions > 700);
  assert.deepEqual(judged, filter);
  const flow = { protonum: 6, src: [10, 0, 0, 1], sport: 1, dport: 2, id: 1 };
  for (let n = 0; n < 2000; n++) {
    const dst = 0x7fffff00 + random.below(5 * 600 + 10) - 5;
    const message = flowMessage('new', { ...flow, dst: [...ipv4Of(dst)], protonum: random.pick([6, 17]) });
    assert.equal(keeps(bytes, message), wants(filter, message));
  }
});

test('there is no program where it would let everything through, and a short one where it lets nothing through', () => {
  for (const filter of [MATCH_ALL, { kind: 'not', of: MATCH_NONE } as const]) {
    assert.deepEqual(eventProgram(filter), { bytes: undefined, instructions: 0, judged: MATCH_ALL });
  }
  const helper: FlowCondition = { kind: 'text', field: 'helper', values: ['ftp'] };
  assert.equal(eventProgram({ kind: 'not', of: helper }).bytes, undefined);
  assert.equal(eventProgram(MATCH_NONE).instructions, 1);
});

test('the filter that is judged in place of one that cannot be', () => {
  const judged = (filter: FlowFilter, tracked = false) => eventProgram(filter, { tracked }).judged;
  const megabyte = 1_000_000;
  assert.deepEqual(judged({ kind: 'counter', of: 'bytes', ranges: [megabyte + 1, MAX_COUNT] }), {
    kind: 'any',
    of: [
      { kind: 'counter', of: 'bytes', side: 'original', ranges: [megabyte / 2 + 1, MAX_COUNT] },
      { kind: 'counter', of: 'bytes', side: 'reply', ranges: [megabyte / 2 + 1, MAX_COUNT] },
    ],
  });
  const hour = 3_600_000;
  assert.deepEqual(judged({ kind: 'age', ranges: [hour + 1, MAX_COUNT] }), { kind: 'age', ranges: [3_594_001, MAX_COUNT] });
  assert.deepEqual(judged({ kind: 'not', of: { kind: 'age', ranges: [hour, MAX_COUNT] } }), {
    kind: 'age',
    ranges: [0, 3_607_999],
  });
  assert.deepEqual(judged({ kind: 'text', field: 'helper', values: ['ftp'] }), { kind: 'has', what: 'helper' });
  const tcp = numberIs('protocol', 6);
  const both: FlowFilter = { kind: 'all', of: [tcp, { kind: 'not', of: markIs(5) }] };
  assert.deepEqual(judged(both), both);
  assert.deepEqual(judged(both, true), tcp);
  assert.deepEqual(judged({ kind: 'any', of: [tcp, markIs(5)] }, true), MATCH_ALL);
  const ofMaster = addressIs('master', 'src', ipv4Of(1));
  assert.deepEqual(judged({ kind: 'all', of: [tcp, ofMaster] }, true), tcp);
});

test('ports are judged where the protocol has them', () => {
  const { bytes } = eventProgram({ kind: 'all', of: [numberIs('protocol', 6), portIs('original', 'dst', 80)] });
  for (const src of [
    [192, 0, 2, 1],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ]) {
    const flow = { protonum: 6, src, dst: src, sport: 1, id: 1 };
    assert.ok(keeps(bytes, flowMessage('new', { ...flow, dport: 80 })));
    assert.ok(!keeps(bytes, flowMessage('new', { ...flow, dport: 81 })));
    assert.ok(!keeps(bytes, flowMessage('new', { ...flow, protonum: 17, dport: 80 })));
  }
});
