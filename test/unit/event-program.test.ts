// The socket filter of events, run by an interpreter of classic BPF: it never drops what the filter wants, and drops what it can judge.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { addressIs, type FlowFilter, MATCH_ALL, markIs, numberIs, portIs } from '../../src/ctnetlink/filter/condition.js';
import { eventFilter } from '../../src/ctnetlink/filter/event-program.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { DecodeError } from '../../src/errors.js';
import { damaged, noise, randomTree } from '../fuzz/messages.js';
import { runBpf } from '../support/bpf.js';
import { Random } from '../support/random.js';
import { flowMessage, type Kind, type TestFlow } from './event-messages.js';
import { readFixtures } from './fixture.js';

const V4 = [
  [192, 0, 2, 1],
  [192, 0, 2, 200],
  [198, 51, 100, 1],
  [10, 0, 0, 1],
];
const V6 = [
  [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
];
const PORTS = [0, 53, 80, 443, 65535];
const PROTOCOLS = [1, 6, 17, 47, 50, 58, 132];

function randomFlow(random: Random): TestFlow {
  const addresses = random.chance(0.5) ? V4 : V6;
  const protonum = random.pick(PROTOCOLS);
  const ported = [6, 17, 47, 132].includes(protonum);
  return {
    protonum,
    src: random.pick(addresses),
    dst: random.pick(addresses),
    ...(ported ? { sport: random.pick(PORTS), dport: random.pick(PORTS) } : {}),
    ...(random.chance(0.2) ? { zone: random.below(10) } : {}),
    id: random.below(0xffffffff),
    status: random.below(0x400),
    mark: random.below(3),
  };
}

function randomCondition(random: Random): FlowFilter {
  const side = random.chance(0.75) ? 'original' : 'reply';
  const end = random.chance(0.5) ? 'src' : 'dst';
  switch (random.below(6)) {
    case 0:
      return { kind: 'family', family: random.pick([2, 10]) };
    case 1:
      return numberIs('protocol', random.pick(PROTOCOLS));
    case 2:
      return portIs(side, end, random.pick(PORTS));
    case 3:
      return markIs(random.below(3), 0xffffffff);
    default: {
      const address = Uint8Array.from(random.pick(random.chance(0.5) ? V4 : V6));
      if (random.chance(0.5)) return addressIs(side, end, address);
      const mask = address.map(() => random.pick([0, 0xff, 0xf0, 0x55]));
      return addressIs(side, end, address, mask);
    }
  }
}

const randomFilter = (random: Random): FlowFilter => {
  const all: FlowFilter = { kind: 'all', of: Array.from({ length: 1 + random.below(4) }, () => randomCondition(random)) };
  if (random.chance(0.1)) return { kind: 'any', of: [all, randomCondition(random)] };
  return random.chance(0.1) ? { kind: 'not', of: all } : all;
};

const view = createFlowView();
function wants(filter: FlowFilter, message: Uint8Array): boolean {
  const wanted = compileFilter(filter);
  try {
    view.decode(message, 0, message.length);
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
  return wanted ? wanted(view) : true;
}

test('nothing that is wanted is dropped, and of sound messages nothing is kept that it can judge', () => {
  const random = new Random(7);
  let dropped = 0;
  let wanted = 0;
  for (let n = 0; n < 15_000; n++) {
    const filter = randomFilter(random);
    const program = eventFilter(filter);
    const message = flowMessage(random.pick<Kind>(['new', 'update', 'destroy']), randomFlow(random));
    if (!program) continue;
    const kept = runBpf(program, message) !== 0;
    if (wants(filter, message)) {
      wanted++;
      assert.ok(kept, inspect(filter, { depth: 9 }));
    } else if (!kept) dropped++;
    // What consists of conditions on the original direction only is judged for good.
    const judged =
      filter.kind === 'all' &&
      filter.of.every(
        (c) => c.kind === 'family' || c.kind === 'number' || (c.kind === 'address' && c.ends[0]!.side === 'original'),
      );
    if (judged) assert.equal(kept, wants(filter, message), inspect(filter, { depth: 9 }));
  }
  assert.ok(dropped > 1000 && wanted > 300, `${dropped} dropped, ${wanted} wanted`);
});

/** Whether an attribute comes twice, up to the members of a tuple: a view takes the last one, a fixed offset the first. No kernel does. */
function repeats(bytes: Uint8Array, from: number, end: number, depth = 0): boolean {
  const met = new Set<number>();
  for (let at = from; at + 4 <= end; ) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    const type = (bytes[at + 2]! | (bytes[at + 3]! << 8)) & 0x3fff;
    if (length < 4) return false;
    if (met.has(type) || (depth < 2 && repeats(bytes, at + 4, Math.min(end, at + length), depth + 1))) return true;
    met.add(type);
    at += (length + 3) & ~3;
  }
  return false;
}

test('nor of captured, damaged and random ones', () => {
  const random = new Random(8);
  const fixtures = readFixtures()
    .filter(({ expected }) => expected.view === 'flow')
    .map(({ bytes }) => bytes);
  let wanted = 0;
  for (let n = 0; n < 15_000; n++) {
    const original = random.pick(fixtures);
    const message = random.pick([
      () => original,
      () => damaged(random, original, random.pick(fixtures)),
      () => randomTree(random),
      () => noise(random),
    ])();
    const filter = randomFilter(random);
    const program = eventFilter(filter);
    // A datagram shorter than what a filter looks at cannot be an event; the kernel makes none.
    if (!program || message.length < 100 || repeats(message, 20, message.length) || !wants(filter, message)) continue;
    wanted++;
    assert.notEqual(runBpf(program, message), 0, `${inspect(filter, { depth: 9 })}\n${Buffer.from(message).toString('hex')}`);
  }
  assert.ok(wanted > 60, `${wanted} wanted`);
});

test('ports are judged where the protocol has them', () => {
  const program = eventFilter({
    kind: 'all',
    of: [numberIs('protocol', 6), portIs('original', 'dst', 80)],
  });
  assert.ok(program);
  for (const src of [V4[0]!, V6[0]!]) {
    const flow = { protonum: 6, src, dst: src, sport: 1, id: 1 };
    assert.notEqual(runBpf(program, flowMessage('new', { ...flow, dport: 80 })), 0);
    assert.equal(runBpf(program, flowMessage('new', { ...flow, dport: 81 })), 0);
    assert.equal(runBpf(program, flowMessage('new', { ...flow, protonum: 17, dport: 80 })), 0);
  }
});

test('there is no program where it would let everything through', () => {
  assert.equal(eventFilter(MATCH_ALL), undefined);
  assert.equal(eventFilter(markIs(1, 1)), undefined);
  assert.equal(eventFilter(portIs('reply', 'src', 1)), undefined);
});
