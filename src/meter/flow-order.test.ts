// Every order of flows, and of groups, against a simple sort of the objects.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { MemoryMeter } from '../../test/support/memory-meter.js';
import { Random } from '../../test/support/random.js';
import { parseAddress } from '../ctnetlink/address.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { TimeSlice } from '../library/index.js';
import { type FlowInit, MemoryTable } from '../testing/index.js';
import { FlowMeter } from './flow-meter.js';
import { sortFlows } from './flow-order.js';
import type { BothWays, FlowGroup, MeteredFlow } from './index.js';
import { FLOW_SORTS, type FlowSort, GROUP_SORTS, type GroupSort } from './meter-names.js';

/** What cannot be compared with numbers is compared one after the other. */
type Value = readonly number[] | undefined;

const sum = (both: BothWays | undefined): Value => both && [both.original + both.reply];
const one = (value: number | bigint | undefined): Value => (value === undefined ? undefined : [Number(value)]);

function address(text: string | undefined): Value {
  return text === undefined ? undefined : [text.includes(':') ? 10 : 2, ...parseAddress(text)!];
}

const VALUES: Readonly<Record<FlowSort, (flow: MeteredFlow) => Value>> = {
  average: ({ average }) => sum(average),
  averageOriginal: ({ average }) => one(average?.original),
  averageReply: ({ average }) => one(average?.reply),
  rate: ({ rate }) => sum(rate),
  rateOriginal: ({ rate }) => one(rate?.original),
  rateReply: ({ rate }) => one(rate?.reply),
  packetRate: ({ packetRate }) => one(packetRate),
  bytes: ({ flow: { original, reply } }) => (original.bytes === undefined ? undefined : one(original.bytes + reply.bytes!)),
  bytesOriginal: ({ flow }) => one(flow.original.bytes),
  bytesReply: ({ flow }) => one(flow.reply.bytes),
  packets: ({ flow: { original, reply } }) =>
    original.packets === undefined ? undefined : one(original.packets + reply.packets!),
  packetsOriginal: ({ flow }) => one(flow.original.packets),
  packetsReply: ({ flow }) => one(flow.reply.packets),
  // The meter sorts by seconds.
  age: ({ flow, age }) => [-Math.floor(flow.timestamp ? Number(flow.timestamp.start) / 1e9 : Date.now() / 1000 - age)],
  idle: ({ idle }) => one(idle),
  timeout: ({ flow }) => one(flow.timeout),
  src: ({ flow }) => address(flow.original.src),
  dst: ({ flow }) => address(flow.original.dst),
  sport: ({ flow }) => one(flow.original.sport),
  dport: ({ flow }) => one(flow.original.dport),
  protocol: ({ flow }) => one(flow.original.protonum),
  state: ({ flow }) => {
    const tracker = TRACKERS.find(({ protonum }) => protonum === flow.original.protonum);
    const { state } = flow as { state?: string };
    return tracker && state !== undefined ? [tracker.protonum, tracker.states.indexOf(state)] : undefined;
  },
  mark: ({ flow }) => one(flow.mark ?? 0),
  zone: ({ flow }) => one(flow.zone ?? 0),
  netns: ({ netns }) => one(Number(netns)),
};

const ASCENDING: readonly FlowSort[] = ['src', 'dst', 'sport', 'dport', 'protocol', 'state', 'mark', 'zone', 'netns'];

function compare(a: Value, b: Value, down: boolean): number {
  if (!a || !b) return a ? -1 : b ? 1 : 0;
  for (const [n, value] of a.entries()) {
    const difference = Math.fround(value) - Math.fround(b[n]!) || value - b[n]!;
    if (difference !== 0) return down ? -difference : difference;
  }
  return 0;
}

/** Fails unless each value is in its place. */
function checkOrder(values: readonly Value[], down: boolean): void {
  for (let n = 1; n < values.length; n++) {
    const [before, now] = [values[n - 1], values[n]];
    assert.ok(compare(before, now, down) <= 0, `${n}: ${before} before ${now}`);
  }
}

/** Among them the largest there are: of addresses, ports, marks. */
function randomInit(random: Random, n: number): FlowInit {
  const v6 = random.chance(0.3);
  const address = () =>
    v6
      ? random.pick(['fd00::1', 'fd00::ffff:ffff', 'fd00::ffff:fffe', 'ff02::fb', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'])
      : random.pick(['10.0.0.1', '127.255.255.255', '128.0.0.0', '192.0.2.1', '255.255.255.254', '255.255.255.255']);
  const bytes = () => random.pick([0, 1, 1000, 2 ** 32 - 1, 2 ** 32, 2 ** 33 - 1, 2 ** 33 - 2, 2 ** 50]);
  const counters = () => ({ packets: BigInt(random.below(5)), bytes: BigInt(bytes()) });
  const hasCounters = random.chance(0.8);
  const common = {
    original: { src: address(), dst: address(), ...(hasCounters ? counters() : {}) },
    ...(hasCounters ? { reply: counters() } : {}),
    timeout: random.pick([5, 600, 2 ** 31]),
    zone: n,
    mark: random.pick([0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]),
    timestamp: { start: BigInt(1_700_000_000 + random.below(5)) * 1_000_000_000n },
    status: random.chance(0.2) ? ['OFFLOAD' as const] : [],
  };
  const ports = { sport: random.pick([0, 1, 65535]), dport: random.pick([53, 443, 65535]) };
  const original = { ...common.original, ...ports };
  switch (random.below(5)) {
    case 0:
      return { ...common, protocol: 'tcp', original, state: random.pick(['ESTABLISHED', 'TIME_WAIT', 'SYN_SENT']) };
    case 1:
      return { ...common, protocol: 'udp', original };
    case 2:
      return { ...common, protocol: 'sctp', original, state: random.pick(['ESTABLISHED', 'CLOSED']) };
    default:
      return { ...common, protocol: v6 ? 'icmpv6' : 'icmp' };
  }
}

/** Two namespaces with flows that have been read several times, once, and never. */
async function open(random: Random): Promise<MemoryMeter> {
  const tables = [0, 1].map(() => new MemoryTable({ flows: Array.from({ length: 60 }, (_, n) => randomInit(random, n)) }));
  const meter = await MemoryMeter.over(tables);
  const grow = (chance: number) => {
    for (const table of tables)
      for (const flow of table.flows)
        if (flow.original.bytes !== undefined && random.chance(chance))
          table.change(flow, {
            original: { packets: flow.original.packets! + 1n, bytes: flow.original.bytes + BigInt(random.below(3) * 1000) },
            reply: { packets: flow.reply.packets! + 2n, bytes: flow.reply.bytes! + BigInt(random.below(1_000_000)) },
          });
  };
  for (let round = 0; round < 5; round++) {
    grow(0.6);
    await meter.list(1000 + 500 * round);
  }
  for (const table of tables) {
    table.loseEvents(5); // some that only a list finds
    for (let n = 0; n < 10; n++) table.add(randomInit(random, 100 + n));
  }
  await meter.list();
  for (const table of tables) for (let n = 0; n < 5; n++) table.add(randomInit(random, 200 + n));
  await meter.hear();
  meter.pass();
  return meter;
}

suite('orders', () => {
  let scene: MemoryMeter;
  let flows: readonly MeteredFlow[];
  before(async () => {
    scene = await open(new Random(20260701));
    flows = (await scene.meter.flows({ limit: 1000 })).flows;
  });
  after(() => scene[Symbol.asyncDispose]());

  test('there are flows of which everything is known, and flows of which it is not', () => {
    assert.equal(flows.length, 150);
    for (const [what, count] of [
      ['rates', flows.filter(({ rate }) => rate).length],
      ['no rates', flows.filter(({ rate }) => !rate).length],
      ['offloaded', flows.filter(({ counters }) => counters === 'offloaded').length],
      ['no counters', flows.filter(({ counters }) => counters === 'none').length],
    ] as const)
      assert.ok(count >= 3, `${what}: ${count}`);
  });

  for (const sort of FLOW_SORTS)
    for (const reverse of [false, true])
      test(`flows by ${sort}${reverse ? ', reversed' : ''}`, async () => {
        const answer = await scene.meter.flows({ sort, reverse, limit: 1000 });
        assert.deepEqual(
          answer.flows.map(({ number }) => number).sort((a, b) => a - b),
          flows.map(({ number }) => number).sort((a, b) => a - b),
        );
        checkOrder(answer.flows.map(VALUES[sort]), ASCENDING.includes(sort) === reverse);
        const part = await scene.meter.flows({ sort, reverse, offset: 70, limit: 7 });
        assert.deepEqual(
          part.flows.map(({ number }) => number),
          answer.flows.slice(70, 77).map(({ number }) => number),
        );
        const store = FlowMeter.storeOf(scene.meter);
        const slots = Int32Array.from({ length: store.columns.end - 1 }, (_, n) => n + 1);
        const sorted = (most?: number) => sortFlows(store, slots, sort, reverse, new TimeSlice(), most);
        assert.deepEqual([...(await sorted(10)).subarray(0, 10)], [...(await sorted()).subarray(0, 10)]);
      });

  const GROUP_VALUES: Readonly<Record<Exclude<GroupSort, 'key'>, (group: FlowGroup) => Value>> = {
    flows: ({ flows }) => one(flows),
    unreplied: ({ unreplied }) => one(unreplied),
    begun: ({ counted }) => one(counted?.begun),
    endedUnreplied: ({ counted }) => one(counted?.endedUnreplied),
    average: ({ average }) => sum(average),
    averageOriginal: ({ average }) => one(average?.original),
    averageReply: ({ average }) => one(average?.reply),
    rate: ({ rate }) => sum(rate),
    rateOriginal: ({ rate }) => one(rate?.original),
    rateReply: ({ rate }) => one(rate?.reply),
    packetRate: ({ packetRate }) => one(packetRate),
    bytes: ({ bytes }) => sum(bytes),
    bytesOriginal: ({ bytes }) => one(bytes?.original),
    bytesReply: ({ bytes }) => one(bytes?.reply),
    packets: ({ packets }) => sum(packets),
  };

  for (const sort of GROUP_SORTS)
    for (const reverse of [false, true])
      test(`groups by ${sort}${reverse ? ', reversed' : ''}`, async () => {
        // Zones are small groups, some of them without rates.
        const { groups } = await scene.meter.groups({ by: 'zone', sort, reverse, limit: 1000 });
        assert.equal(groups.length, 75);
        // 8 bits behind the point are enough to sort by.
        const eighth = (value: Value) => value?.map((number) => Math.floor(number * 256));
        const read = sort === 'key' ? ({ key }: FlowGroup) => one(Number(key)) : GROUP_VALUES[sort];
        checkOrder(
          groups.map((group) => eighth(read(group))),
          (sort === 'key') === reverse,
        );
        const part = await scene.meter.groups({ by: 'zone', sort, reverse, offset: 2, limit: 4 });
        assert.deepEqual(part.groups, groups.slice(2, 6));
        assert.equal(part.count, 75);
        assert.equal(part.other.groups, 71);
        assert.equal(part.other.flows, part.matched - part.groups.reduce((all, group) => all + group.flows, 0));
      });

  test('groups are sorted by their keys as addresses are', async () => {
    const { groups } = await scene.meter.groups({ by: 'dst', sort: 'key', limit: 1000 });
    const keys = groups.map(({ key }) => address(key));
    assert.ok(keys.length > 8);
    checkOrder(keys, false);
  });
});
