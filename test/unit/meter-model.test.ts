// The meter against a model made of Maps. Flows begin, grow, change, end and begin again in tables in memory; events are lost, counters
// are set to 0, and things happen between the parts of a list. Above the tables is the real code.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import type { Flow } from '../../src/ctnetlink/flow.js';
import { FlowViews } from '../../src/ctnetlink/flow-message.js';
import { Conntrack, formatFilter, readFilter, TimeSlice } from '../../src/library/index.js';
import type { OtherGroups } from '../../src/meter/flow-group.js';
import { FlowMeter } from '../../src/meter/flow-meter.js';
import type { GroupTable } from '../../src/meter/group-table.js';
import { GROUPING_NAMES, type GroupingName } from '../../src/meter/index.js';
import { GROUP_SORTS } from '../../src/meter/meter-names.js';
import type { FlowInit } from '../../src/testing/flow-factory.js';
import { MemoryTable } from '../../src/testing/memory-table.js';
import type { OpenTransport } from '../../src/wire/transport.js';

const TUPLES = 14;
/** Longer than the longest result of the meter is good. */
const A_WHILE = 1100;
/** Timeout of flows that do not end by themselves. */
const LONG = 10_000_000;

/** What is the same in all flows of a number. */
function flowOf(n: number): FlowInit & { readonly original: object } {
  const src = `10.${n % 2}.0.${n}`;
  const common = { timeout: LONG, zone: n % 3 };
  switch (n % 7) {
    case 0:
      return { ...common, protocol: 'tcp', original: { src, dst: '192.0.2.1', sport: 1000 + n, dport: 443 } };
    case 1:
      return {
        ...common,
        protocol: 'udp',
        original: { src, dst: '192.0.2.2', sport: 1000 + n, dport: 53 },
        srcNat: '203.0.113.1',
      };
    case 2:
      return { ...common, protocol: 'icmp', original: { src, dst: '192.0.2.1', icmpType: 8, icmpCode: 0, icmpId: n } };
    case 3:
      return { ...common, protocol: 'udp', original: { src: `2001:db8::${n}`, dst: '2001:db8:1::1', sport: n, dport: 53 } };
    case 4:
      return {
        ...common,
        protocol: 'tcp',
        original: { src, dst: '203.0.113.9', sport: 1000 + n, dport: 80 },
        dstNat: '192.0.2.8',
        helper: 'ftp',
      };
    case 5:
      return { ...common, protocol: 'gre', original: { src, dst: '192.0.2.3', sport: 0, dport: 7 } };
    default:
      return { ...common, protocol: 'sctp', original: { src, dst: '192.0.2.4', sport: 1000 + n, dport: 36412 } };
  }
}

/** A filter that asks for what no event says. */
const TOLD_BY_LISTS = 'has start';

interface Counters {
  readonly original: { readonly packets: bigint; readonly bytes: bigint };
  readonly reply: { readonly packets: bigint; readonly bytes: bigint };
}

/** A flow that is in the table. */
interface Living {
  readonly id: number;
  readonly hasCounters: boolean;
  /** Its counters were set to 0 since the last list. */
  reset: boolean;
}

/** A flow that the meter knows, with the counters that it has read. */
interface Known {
  readonly id: number;
  readonly unreplied: boolean;
  last: Counters | undefined;
}

const ZERO: Counters = { original: { packets: 0n, bytes: 0n }, reply: { packets: 0n, bytes: 0n } };

type Act =
  | { readonly do: 'begin'; readonly n: number; readonly again: boolean; readonly bytes: number; readonly lost: boolean }
  | { readonly do: 'grow'; readonly n: number; readonly original: number; readonly reply: number }
  | { readonly do: 'reset'; readonly n: number; readonly left: number }
  | { readonly do: 'change'; readonly n: number; readonly what: number; readonly lost: boolean }
  | { readonly do: 'end'; readonly n: number; readonly lost: boolean };

/** One network namespace: a table, and what the meter should know of it. */
class World {
  readonly table: MemoryTable;
  readonly living = new Map<number, Living>();
  readonly known = new Map<number, Known>();
  readonly #wanted: (n: number) => boolean;
  /** Of the flows of odd numbers, only those have counters. */
  readonly #accounting: boolean;
  readonly counts = {
    begun: 0,
    ended: 0,
    endedUnreplied: 0,
    unseen: 0,
    resets: 0,
    bytes: { original: 0, reply: 0 },
    packets: { original: 0, reply: 0 },
  };
  /** Events were lost since the last list. */
  lossy = false;
  /** The meter is open. */
  heard = false;
  #id = 1;
  /** What has ended last. */
  #last: number | undefined;
  /** What happens between the parts of a list: called before each is read. */
  meanwhile: (() => void) | undefined;
  #listing = false;

  constructor(accounting: boolean, timestamps: boolean, wanted: (n: number) => boolean) {
    this.table = new MemoryTable({ accounting, timestamps, now: new Date() });
    this.#accounting = accounting;
    this.#wanted = wanted;
  }

  /** The table, in small parts. */
  readonly open: OpenTransport = (options) => {
    const transport = this.table.open(options);
    if (options.groups) return transport;
    const { createDatagrams, receive, receiveAsync, send, sendAsync } = transport;
    const dumps = (bytes: Uint8Array) => {
      if (bytes[4] === 1 && (bytes[7]! & 3) === 3) this.#listing = true;
    };
    const between = () => {
      if (this.#listing) this.meanwhile?.();
    };
    return Object.assign(transport, {
      createDatagrams: (_: number, size: number) => createDatagrams.call(transport, 2, size),
      send: (bytes: Uint8Array, length: number) => {
        send.call(transport, bytes, length);
        dumps(bytes);
      },
      sendAsync: async (bytes: Uint8Array, length: number) => {
        await sendAsync.call(transport, bytes, length);
        dumps(bytes);
      },
      receive: (into: Parameters<typeof receive>[0]) => {
        between();
        return receive.call(transport, into);
      },
      receiveAsync: (into: Parameters<typeof receive>[0]) => {
        between();
        return receiveAsync.call(transport, into);
      },
    });
  };

  /** Whether the meter knows of a flow what the table has. */
  isRight(n: number): boolean {
    return this.known.get(n)?.id === this.living.get(n)?.id;
  }

  /** The same with a flow that is there; to begin again, with one that has just ended. */
  aimed<A extends Act>(act: A): A {
    const again = act.do === 'begin' && act.again && this.#last !== undefined;
    const all = again ? [this.#last!] : act.do === 'begin' ? [] : [...this.living.keys()];
    return all.length === 0 ? act : { ...act, n: all[act.n % all.length]! };
  }

  act(act: Act): void {
    const { n } = act;
    const living = this.living.get(n);
    if (act.do === 'begin') {
      if (!living) this.#begin(act);
    } else if (living) {
      if (act.do === 'grow') this.#grow(n, living, act);
      else if (act.do === 'reset') this.#reset(n, living, act.left);
      else if (act.do === 'change') this.#change(n, act);
      else this.#end(n, living, act.lost);
    }
  }

  #begin({ n, again, bytes, lost }: Act & { do: 'begin' }): void {
    const known = this.known.get(n);
    // A flow with the id of one whose end the meter has not heard of cannot be told from it.
    const id = again && known === undefined ? 1_000_000 + n : this.#id++;
    const hasCounters = this.#accounting || n % 2 === 0;
    const init = flowOf(n);
    this.#told(lost);
    this.table.add({
      ...init,
      id,
      mark: bytes % 3,
      ...(bytes % 4 === 0 ? { labels: [bytes % 100] } : {}),
      original: { ...init.original, ...(hasCounters ? { packets: BigInt(bytes % 2), bytes: BigInt(bytes) } : {}) },
      status: bytes % 2 ? [] : ['SEEN_REPLY'],
    });
    this.living.set(n, { id, hasCounters, reset: false });
    if (!lost) this.#heard(n, id, 'begin');
  }

  #grow(n: number, living: Living, { original, reply }: Act & { do: 'grow' }): void {
    if (!living.hasCounters) return;
    const now = this.countersOf(n)!;
    this.table.change(this.#key(n), {
      original: { packets: now.original.packets + BigInt(original % 3), bytes: now.original.bytes + BigInt(original) },
      reply: { packets: now.reply.packets + 1n, bytes: now.reply.bytes + BigInt(reply) },
    });
  }

  #reset(n: number, living: Living, left: number): void {
    if (!living.hasCounters) return;
    living.reset = true;
    const counters = { packets: BigInt(left % 2), bytes: BigInt(left) };
    this.table.change(this.#key(n), { original: counters, reply: { packets: 0n, bytes: 0n } });
  }

  #change(n: number, { what, lost }: Act & { do: 'change' }): void {
    const tcp = flowOf(n).protocol === 'tcp';
    const labels = { set: [what, 3 * what], clear: 'all' } as const;
    const change =
      what % 4 === 0
        ? { mark: what }
        : what % 4 === 1
          ? { labels }
          : what % 4 === 2 && tcp
            ? { state: what % 8 === 2 ? 'TIME_WAIT' : 'ESTABLISHED' }
            : { labels: { clear: 'all' } as const, mark: what >> 1 };
    this.#told(lost);
    this.table.change(this.#key(n), change as object);
    if (!lost) this.#heard(n, this.living.get(n)!.id, 'change');
  }

  #end(n: number, { id }: Living, lost: boolean): void {
    const counters = this.countersOf(n);
    this.#told(lost);
    this.table.expire(this.#key(n));
    this.living.delete(n);
    this.#last = n;
    if (!lost) this.#heard(n, id, 'end', counters);
  }

  /** An event is lost, if it is. */
  #told(lost: boolean): void {
    if (!lost || !this.heard) return;
    this.table.loseEvents(1);
    this.lossy = true;
  }

  /** The meter hears an event. */
  #heard(n: number, id: number, what: 'begin' | 'change' | 'end', counters?: Counters): void {
    if (!this.heard || !this.#wanted(n)) return;
    this.#replace(n, id);
    const known = this.known.get(n);
    if (what === 'end') {
      if (!known) return;
      if (counters) this.#count(known, counters);
      this.#forget(n);
    } else if (!known) this.#meet(n, id);
  }

  /** The end of a flow in whose place another is was not heard. */
  #replace(n: number, id: number): void {
    const known = this.known.get(n);
    if (!known || known.id === id) return;
    this.counts.unseen++;
    this.#forget(n);
  }

  #meet(n: number, id: number): Known {
    const known = { id, unreplied: this.#isUnreplied(n), last: undefined };
    this.known.set(n, known);
    this.counts.begun++;
    return known;
  }

  #forget(n: number): void {
    if (this.known.get(n)!.unreplied) this.counts.endedUnreplied++;
    this.known.delete(n);
    this.counts.ended++;
  }

  #count(known: Known, now: Counters): void {
    const last = known.last ?? ZERO;
    const isLess = (side: 'original' | 'reply') => now[side].bytes < last[side].bytes || now[side].packets < last[side].packets;
    const reset = isLess('original') || isLess('reply');
    if (reset) this.counts.resets++;
    for (const side of ['original', 'reply'] as const)
      for (const of of ['bytes', 'packets'] as const)
        this.counts[of][side] += Number(now[side][of] - (reset ? 0n : last[side][of]));
    known.last = now;
  }

  /** The first list: what is there counts for nothing. */
  baseline(): void {
    this.heard = true;
    for (const [n, living] of this.living)
      if (this.#wanted(n))
        this.known.set(n, {
          id: living.id,
          unreplied: this.#isUnreplied(n),
          last: living.hasCounters ? this.countersOf(n) : undefined,
        });
    for (const living of this.living.values()) living.reset = false;
  }

  /** A list begins. @returns what the model makes of it when it is over */
  list(): () => void {
    const listed = [...this.living].map(([n, { id }]) => ({ n, id, counters: this.countersOf(n), known: this.known.get(n) }));
    const before = new Map(this.known);
    this.#listing = false;
    return () => {
      this.#listing = false;
      for (const { n, id } of listed) if (this.living.get(n)?.id === id) this.living.get(n)!.reset = false;
      this.lossy = false;
      for (const { n, id, counters, known } of listed) {
        if (!this.#wanted(n) || this.living.get(n)?.id !== id) continue;
        // It began after the list, and has the id of the one that the list has.
        if (this.known.get(n) !== known) continue;
        this.#replace(n, id);
        const now = this.known.get(n) ?? this.#meet(n, id);
        if (counters) this.#count(now, counters);
      }
      for (const [n, known] of before)
        if (this.known.get(n) === known && this.living.get(n)?.id !== known.id) {
          this.counts.unseen++;
          this.#forget(n);
        }
    };
  }

  #key(n: number): Flow {
    return this.flow(n)!;
  }

  #isUnreplied(n: number): boolean {
    return !isReplied(this.flow(n)!);
  }

  flow(n: number): Flow | undefined {
    return this.table.flows.find(({ id }) => id === this.living.get(n)?.id);
  }

  countersOf(n: number): Counters | undefined {
    const flow = this.flow(n);
    if (flow?.original.bytes === undefined) return undefined;
    const side = ({ packets, bytes }: Flow['original']) => ({ packets: packets ?? 0n, bytes: bytes ?? 0n });
    return { original: side(flow.original), reply: side(flow.reply) };
  }

  /** The flows of the table that the meter knows, with the counters that it knows. */
  flows(): Flow[] {
    return [...this.known].map(([n, { last }]) => {
      const flow = this.flow(n)!;
      const { bytes: _, packets: __, ...original } = flow.original;
      const { bytes: ___, packets: ____, ...reply } = flow.reply;
      const known = last
        ? { original: { ...original, ...last.original }, reply: { ...reply, ...last.reply } }
        : { original, reply };
      return { ...flow, ...known } as Flow;
    });
  }
}

const isReplied = ({ status }: Flow) => status?.includes('SEEN_REPLY') === true;

/** What can be compared of a flow that an event has told of last. */
function gist({ id, protocol, original, reply, mark, status, helper, labels, zone, ...rest }: Flow): string {
  const state = (rest as { state?: string }).state;
  return textOf({ id, protocol, original, reply, mark, status, helper, labels: labels ?? [], zone: zone ?? 0, state });
}

const wholly = (flow: Flow) => textOf(flow);

/** As text that does not depend on the order of members, nor on how an object wants to be written. */
function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `${value}`;
  if (Array.isArray(value)) return `[${value.map(textOf)}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== 'function');
  return `{${members.map(([name, member]) => `${name}: ${textOf(member)}`).sort()}}`;
}

const sumOf = (sums: readonly { readonly original: number; readonly reply: number }[]) => ({
  original: sums.reduce((sum, { original }) => sum + original, 0),
  reply: sums.reduce((sum, { reply }) => sum + reply, 0),
});

/** Totals that must not depend on how flows are grouped. */
function amounts(...groups: readonly Omit<OtherGroups, 'groups'>[]) {
  const none = { original: 0, reply: 0 };
  return {
    flows: groups.reduce((sum, { flows }) => sum + flows, 0),
    unreplied: groups.reduce((sum, { unreplied }) => sum + unreplied, 0),
    bytes: sumOf(groups.map(({ bytes = none }) => bytes)),
    packets: sumOf(groups.map(({ packets = none }) => packets)),
  };
}

class Model {
  readonly worlds: readonly World[];
  readonly meter: FlowMeter;
  /** Milliseconds. */
  readonly #clock: { now: number };
  readonly #groups = new Map<GroupingName, { readonly table: GroupTable; readonly before: FlowMeter['sample']['counted'] }>();
  readonly #views = new FlowViews();

  private constructor(worlds: readonly World[], meter: FlowMeter, clock: { now: number }) {
    this.worlds = worlds;
    this.meter = meter;
    this.#clock = clock;
  }

  static async open(worlds: readonly World[], conntracks: readonly Conntrack[], scope: string): Promise<Model> {
    const clock = { now: 1e6 };
    const named = conntracks.map((conntrack, n) => [`world ${n}`, conntrack] as const);
    const meter = await FlowMeter.open(named, { filter: scope === '' ? {} : scope, interval: 2 ** 31 - 1 }, () => clock.now);
    for (const world of worlds) world.baseline();
    return new Model(worlds, meter, clock);
  }

  pass(): void {
    this.#clock.now += A_WHILE;
    for (const { table } of this.worlds) table.advance(A_WHILE / 1000);
  }

  async hear(): Promise<void> {
    for (const { table } of this.worlds) await table.delivered();
  }

  async list(meanwhile: readonly Act[]): Promise<void> {
    await this.hear();
    this.pass();
    const over = this.worlds.map((world) => world.list());
    const acts = [...meanwhile];
    for (const world of this.worlds)
      if (!world.lossy)
        world.meanwhile = () => {
          for (const next of acts.splice(0, 2)) {
            const act = world.aimed(next);
            // What is not known yet may be heard of before or after its part of the list.
            if (world.isRight(act.n) && !world.living.get(act.n)?.reset) world.act(act);
          }
        };
    await FlowMeter.sweep(this.meter);
    for (const world of this.worlds) world.meanwhile = undefined;
    for (const end of over) end();
    await this.hear();
  }

  get #counted() {
    const all = this.worlds.map(({ counts }) => counts);
    const sum = (name: 'begun' | 'ended' | 'endedUnreplied' | 'unseen' | 'resets') =>
      all.reduce((total, counts) => total + counts[name], 0);
    return {
      begun: sum('begun'),
      ended: sum('ended'),
      endedUnreplied: sum('endedUnreplied'),
      bytes: sumOf(all.map(({ bytes }) => bytes)),
      packets: sumOf(all.map(({ packets }) => packets)),
      unseen: sum('unseen'),
      resets: sum('resets'),
    };
  }

  async openGrouping(by: GroupingName): Promise<void> {
    if (this.#groups.has(by) || this.#groups.size === 6) return;
    await this.hear();
    const table = await FlowMeter.storeOf(this.meter).grouping(by, new TimeSlice());
    this.#groups.set(by, { table, before: structuredClone(this.#counted) });
  }

  /** Compares flows and groups with the model; after a list all there is to know of them. */
  async check(listed: boolean, filters: readonly string[]): Promise<void> {
    await this.hear();
    this.#clock.now += A_WHILE;
    const { meter } = this;
    if (listed) assert.deepEqual(meter.sample.counted, this.#counted);
    const expected = this.worlds.flatMap((world) => world.flows());
    const text = listed ? wholly : gist;
    const { flows, matched, total } = await meter.flows({ limit: 1000 });
    assert.deepEqual(flows.map(({ flow }) => text(flow)).sort(), expected.map(text).sort());
    assert.equal(matched, expected.length);
    assert.equal(total, expected.length);
    for (const { flow, counters } of flows) assert.equal(counters, flow.original.bytes === undefined ? 'none' : 'kernel');
    for (const filter of filters) {
      if (!listed && filter === TOLD_BY_LISTS) continue;
      const wanted = this.#matching(filter, expected);
      const answer = await meter.flows({ filter, limit: 1000 });
      assert.deepEqual(answer.flows.map(({ flow }) => text(flow)).sort(), wanted.map(text).sort(), filter);
      assert.equal(answer.totals.flows, wanted.length);
    }
    for (const [by, { table, before }] of this.#groups) await this.#checkGroups(listed, by, table, before, expected);
  }

  async #checkGroups(
    listed: boolean,
    by: GroupingName,
    table: GroupTable,
    before: FlowMeter['sample']['counted'],
    flows: Flow[],
  ): Promise<void> {
    const { meter } = this;
    const all = await meter.groups({ by, limit: 1000 });
    const totals = {
      flows: flows.length,
      unreplied: flows.filter((flow) => !isReplied(flow)).length,
      bytes: sumOf(
        flows.map(({ original, reply }) => ({ original: Number(original.bytes ?? 0), reply: Number(reply.bytes ?? 0) })),
      ),
      packets: sumOf(
        flows.map(({ original, reply }) => ({ original: Number(original.packets ?? 0), reply: Number(reply.packets ?? 0) })),
      ),
    };
    assert.deepEqual(amounts(...all.groups, all.other), totals, by);
    assert.deepEqual(amounts(all.totals), totals, by);
    assert.equal(all.other.flows, 0);
    for (const [index, sort] of GROUP_SORTS.entries()) {
      if ((index + flows.length) % 5 !== 0) continue;
      const some = await meter.groups({ by, limit: 2, offset: index % 2, sort, reverse: index % 3 === 0 });
      assert.deepEqual(amounts(...some.groups, some.other), totals, by);
      assert.equal(some.groups.length + some.other.groups, all.count);
    }
    assert.equal(new Set(all.groups.map(({ key }) => key)).size, all.groups.length);
    for (const { key, filter, ...group } of all.groups) {
      if (filter === undefined) {
        assert.ok(by === 'netns' || key === '-', `${by} ${key}`);
        continue;
      }
      assert.equal(formatFilter(filter), filter);
      // An event does not say that there are no labels any more.
      if (by === 'label' && !listed) continue;
      assert.equal(this.#matching(filter, flows).length, group.flows, `${by} ${key}: ${filter}`);
      assert.deepEqual(amounts((await meter.flows({ filter, limit: 0 })).totals), amounts(group), filter);
    }
    // With what was counted in groups that have no flows any more.
    const sum = (counts: Float64Array) => counts.reduce((total, count) => total + count, 0);
    const { counted } = table;
    const now = this.#counted;
    const since = {
      begun: now.begun - before.begun,
      ended: now.ended - before.ended,
      endedUnreplied: now.endedUnreplied - before.endedUnreplied,
      bytes: { original: now.bytes.original - before.bytes.original, reply: now.bytes.reply - before.bytes.reply },
      packets: { original: now.packets.original - before.packets.original, reply: now.packets.reply - before.packets.reply },
    };
    assert.deepEqual(
      {
        begun: sum(counted.begun),
        ended: sum(counted.ended),
        endedUnreplied: sum(counted.endedUnreplied),
        bytes: { original: sum(counted.bytesOriginal), reply: sum(counted.bytesReply) },
        packets: { original: sum(counted.packetsOriginal), reply: sum(counted.packetsReply) },
      },
      since,
      by,
    );
  }

  #matching(filter: string, flows: readonly Flow[]): Flow[] {
    const wanted = compileFilter(readFilter(filter), Date.now);
    return flows.filter((flow) => !wanted || wanted(this.#views.of(flow)));
  }
}

const n = fc.nat(TUPLES - 1);
const lost = fc.nat(5).map((value) => value === 0);
const bytes = fc.oneof(fc.nat(50), fc.constantFrom(0, 1500, 2 ** 32 - 1, 2 ** 40));
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('begin' as const), n, again: fc.boolean(), bytes, lost }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('grow' as const), n, original: bytes, reply: bytes }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), n, left: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('change' as const), n, what: fc.nat(30), lost }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), n, lost }) },
);
/** What may happen during a list: there it would be a matter of chance whether the list has a counter before or after it is set to 0. */
const quiet = fc.oneof(act, fc.constantFrom<Act>({ do: 'begin', n: 0, again: true, bytes: 7, lost: false })).map((one): Act => {
  if (one.do === 'reset') return { do: 'grow', n: one.n, original: one.left, reply: 0 };
  return 'lost' in one ? { ...one, lost: false } : one;
});
const filter = fc.constantFrom(
  'bytes > 100',
  'mark 1 or mark 2',
  'not has label',
  'label 9',
  'packets 0 or reply bytes > 20',
  'state time-wait',
  'helper ftp and bytes > 40',
  TOLD_BY_LISTS,
  'snat or dnat',
);
const GROUPINGS: readonly GroupingName[] = [...GROUPING_NAMES, 'src/24', 'dst/16', 'src/8,32', 'mark/0xf', 'mark/1'];

/** What happens between two looks at the meter. */
const step = fc.record({
  acts: fc.array(fc.tuple(fc.nat(1), act), { maxLength: 12 }),
  /** Flows are listed, while these happen. */
  list: fc.option(fc.array(quiet, { maxLength: 10 }), { freq: 3 }),
  group: fc.option(fc.constantFrom(...GROUPINGS), { freq: 2 }),
  filters: fc.array(filter, { maxLength: 2 }),
});

test('the meter knows and counts what a model does, in any order of events', async () => {
  const seen = { lost: 0, resets: 0, unseen: 0, begun: 0, endedUnreplied: 0, meanwhile: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(1), act), { maxLength: 12 }),
      fc.array(step, { minLength: 1, maxLength: 6 }),
      fc.shuffledSubarray([...GROUPINGS], { maxLength: 6 }),
      fc.constantFrom('', '', 'tcp', 'ip'),
      fc.record({ two: fc.boolean(), accounting: fc.boolean(), timestamps: fc.boolean() }),
      async (first, steps, groupings, scope, { two, accounting, timestamps }) => {
        const wanted = (n: number) => scope === '' || (scope === 'tcp' ? flowOf(n).protocol === 'tcp' : n % 7 !== 3);
        const worlds = Array.from({ length: two ? 2 : 1 }, () => new World(accounting, timestamps, wanted));
        const conntracks = await Promise.all(worlds.map(({ open }) => Conntrack.open({ transport: open })));
        const run = (acts: readonly (readonly [number, Act])[]) => {
          for (const [n, one] of acts) {
            const world = worlds[n % worlds.length]!;
            world.act(world.aimed(one));
          }
        };
        run(first);
        const model = await Model.open(worlds, conntracks, scope);
        try {
          for (const by of groupings) await model.openGrouping(by);
          await model.check(true, []);
          for (const { acts, list, group, filters } of steps) {
            run(acts);
            const lossy = worlds.some((world) => world.lossy);
            if (lossy) seen.lost++;
            if (list || lossy) {
              await model.list(list ?? []);
              seen.meanwhile += list?.length ?? 0;
            }
            if (group) await model.openGrouping(group);
            if (list?.length) await model.check(false, filters);
            if (list || lossy) {
              await model.list([]);
              await model.check(true, filters);
            } else await model.check(false, filters);
          }
          const { counted } = model.meter.sample;
          seen.resets += counted.resets;
          seen.unseen += counted.unseen;
          seen.begun += counted.begun;
          seen.endedUnreplied += counted.endedUnreplied;
        } finally {
          model.meter.close();
          for (const conntrack of conntracks) await conntrack.close();
        }
      },
    ),
    { numRuns: 100, includeErrorInReport: true },
  );
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 10, `${what}: ${count}`);
});
