// MemoryTable as programs use it in their tests, where it goes beyond the kernel (with which test/differential/memory-table.test.ts
// compares it): packets, the clock, losses, and the view of the table without the library.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Conntrack, type EventStream, type FlowEvent, KernelError, type LiveFlows, ValueError } from '../../src/index.js';
import { type FlowInit, MemoryTable, type MemoryTableOptions, makeFlow } from '../../src/testing/index.js';
import { Random } from '../support/random.js';

const key = (sport: number) => ({ protocol: 'udp', original: { src: '10.0.0.1', dst: '10.0.0.2', sport, dport: 53 } }) as const;
const udp = (sport: number, more: FlowInit = {}): FlowInit => ({
  protocol: 'udp',
  ...more,
  original: { ...key(sport).original, ...more.original },
});

/** The events that come until `last`, in few words. */
async function told(events: EventStream<FlowEvent>, last: string): Promise<string[]> {
  const words: string[] = [];
  for await (const { type, flow, portId } of events) {
    words.push(`${type} ${flow.original.sport}${portId === undefined ? '' : ' by request'}`);
    if (words.at(-1) === last) break;
  }
  return words;
}

/** The flows of a view, by id, without what events do not tell. */
const viewed = (flows: Iterable<{ toJSON(): object; id?: number | undefined }>) =>
  Array.from(flows, (flow) => {
    const { use, timeout, ...rest } = flow.toJSON() as { use?: number; timeout?: number; id?: number };
    return rest;
  }).sort((a, b) => a.id! - b.id!);

suite('memory table', () => {
  test('the flows that it begins with are listed, found, changed and deleted', async () => {
    const table = new MemoryTable({ flows: [udp(1), udp(2, { mark: 7 }), {}] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    assert.deepEqual(await conntrack.list().toArray(), table.flows);
    assert.deepEqual(await conntrack.list({ mark: 7 }).toArray(), [makeFlow(udp(2, { mark: 7 }))]);
    assert.deepEqual(await conntrack.get(key(1)), table.flows[0]);
    assert.equal((await conntrack.update({ protocol: 'udp' }, { mark: 1 })).updated, 2);
    assert.deepEqual(await conntrack.delete({ mark: 1 }), { matched: 2, deleted: 2, alreadyGone: 0, failed: 0 });
    assert.deepEqual(table.flows, [makeFlow()]);
    assert.deepEqual(await conntrack.count(), { entries: 1, maxEntries: 262144 });
  });

  test('packets begin, change and end flows, and events say that nobody asked for it', async () => {
    const table = new MemoryTable({ flows: [udp(1)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    const events = conntrack.events();
    const added = table.add(udp(2, { status: [] }));
    assert.deepEqual(added, table.flows[1]);
    table.change(added, { timeout: 600, original: { packets: 1n } }); // nothing that events tell
    const changed = table.change(key(2), { status: ['SEEN_REPLY'], mark: 5, reply: { packets: 2, bytes: '300' } });
    assert.deepEqual([changed.mark, changed.timeout, changed.original.packets, changed.reply.bytes], [5, 600, 1n, 300n]);
    assert.deepEqual(changed.status, ['SEEN_REPLY', 'CONFIRMED']);
    assert.deepEqual(changed, table.flows[1]);
    await conntrack.update({ mark: 5 }, { mark: 6 });
    table.expire(key(2));
    await conntrack.deleteMany([key(1)]);
    const expected = ['NEW 2', 'UPDATE 2', 'UPDATE 2 by request', 'DESTROY 2', 'DESTROY 1 by request'];
    assert.deepEqual(await told(events, 'DESTROY 1 by request'), expected);
    for (const work of [() => table.change(key(2), { mark: 1 }), () => table.expire(key(2))])
      assert.throws(work, { name: 'KernelError', code: 'ENOENT', hint: 'there is no such flow in the table' });
    table.add(udp(5, { id: 77 }));
    assert.throws(() => table.expire({ ...key(5), id: 78 }), { code: 'ENOENT' });
    table.expire({ ...key(5), id: 77 });
    assert.throws(() => table.add(makeFlow()) && table.add(makeFlow()), { name: 'KernelError', code: 'EEXIST' });
    for (const wrong of [{ use: -1 }, { timestamp: { start: -1n } }, { mark: 'x' }])
      assert.throws(() => table.add(udp(9, wrong as FlowInit)), ValueError);
    assert.throws(() => table.change(makeFlow(), { mark: 9, original: { packet: 1n } } as never), ValueError);
    assert.deepEqual(table.flows, [makeFlow()]);
    assert.throws(() => table.change(makeFlow(), {}) && table.change(makeFlow(), { marks: 1 } as never), ValueError);
  });

  test('time goes by when it is told to', async () => {
    const now = new Date('2027-01-02T03:04:05Z');
    const table = new MemoryTable({
      now,
      timestamps: true,
      flows: [udp(1, { timeout: 30 }), udp(2, { timeout: 10 }), udp(3, { timeout: 40.0 })],
    });
    await using conntrack = await Conntrack.open({ transport: table.open });
    const events = conntrack.events();
    assert.equal(table.flows[0]!.timestamp?.start, BigInt(now.getTime()) * 1_000_000n);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(table.flows[0]!.timeout, 30);
    table.advance(9.5);
    assert.deepEqual(
      table.flows.map(({ timeout }) => timeout),
      [20, 0, 30],
    );
    table.advance(25.5);
    assert.deepEqual(
      table.flows.map(({ timeout }) => timeout),
      [5],
    );
    assert.equal(table.now.toISOString(), '2027-01-02T03:04:40.000Z');
    await conntrack.update({}, { timeout: 0 });
    const seen: string[] = [];
    for await (const { type, flow, timestamp } of events) {
      const after = (time: bigint) => Number(time / 1_000_000n) - now.getTime();
      seen.push(
        `${type} ${flow.original.sport} ${after(timestamp!)} ${flow.timestamp?.stop === undefined ? '' : after(flow.timestamp.stop)}`,
      );
      if (seen.length === 4) break;
    }
    assert.deepEqual(seen, ['DESTROY 2 10000 10000', 'DESTROY 1 30000 30000', 'UPDATE 3 35000 ', 'DESTROY 3 35000 35000']);
    for (const seconds of [-1, Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => table.advance(seconds), ValueError);
  });

  test('expectations end with their time and with their master', async () => {
    const master = {
      protocol: 'tcp',
      timeout: 1000,
      original: { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 21 },
    } as const;
    const whole = { src: '255.255.255.255', dst: '255.255.255.255', sport: 0, dport: 0xffff };
    const expectation = {
      protocol: 'tcp',
      tuple: { ...master.original, dport: 2000 },
      mask: whole,
      master: master.original,
    } as const;
    const table = new MemoryTable();
    await using conntrack = await Conntrack.open({ transport: table.open });
    const events = conntrack.expectations.events();
    await conntrack.create({ ...master, helper: 'ftp' });
    await conntrack.expectations.create(expectation);
    table.advance(299);
    assert.equal((await conntrack.expectations.get(expectation))?.timeout, 1);
    table.advance(1);
    assert.equal(await conntrack.expectations.count(), 0);
    await conntrack.expectations.create(expectation);
    table.expire(master);
    assert.equal(await conntrack.expectations.count(), 0);
    assert.deepEqual(await conntrack.expectations.statistics(), [{ cpu: 0, expectNew: 0, expectCreate: 2, expectDelete: 2 }]);
    const types: string[] = [];
    for await (const { type } of events) if (types.push(type) === 4) break;
    assert.deepEqual(types, ['NEW', 'DESTROY', 'NEW', 'DESTROY']);
  });

  test('a full table takes no more', async () => {
    const table = new MemoryTable({ maxEntries: 2, flows: [udp(1)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    const { created, failed, errors } = await conntrack.createMany([2, 3, 1].map((sport) => ({ ...key(sport), timeout: 10 })));
    assert.deepEqual([created, failed, errors!.map(({ error }) => error.code)], [1, 2, ['ENOMEM', 'EEXIST']]);
    assert.throws(() => table.add(udp(4)), { code: 'ENOMEM' });
    assert.throws(() => new MemoryTable({ maxEntries: 1, flows: [udp(1), udp(2)] }), KernelError);
    table.expire(key(1));
    table.add(udp(4));
  });

  test('what a table cannot be, and time that does not go by, are refused', () => {
    for (const [slip, message] of [
      [{ flow: [] }, /^flow is not known here$/],
      [{ flows: 5 }, /^flows must be an array, or another iterable, not 5$/],
      [{ flows: 'udp' }, /^flows must be an array/],
      [{ labels: 1 }, /^labels must be true or false, not 1$/],
      [{ maxEntries: -1 }, /^maxEntries must be a whole number/],
      [{ now: 0 }, /^now must be a Date/],
    ] as const)
      assert.throws(() => new MemoryTable(slip as never), { code: 'VALUE', message });
    assert.throws(() => new MemoryTable({ flow: [] } as never), { hint: 'did you mean flows?' });
    const table = new MemoryTable({ flows: [udp(1)] });
    for (const seconds of ['3', -1, Number.NaN, Number.POSITIVE_INFINITY, undefined])
      assert.throws(() => table.advance(seconds as number), { code: 'VALUE' });
    table.advance(1);
    assert.equal(table.now.getTime(), Date.UTC(2026, 0, 1) + 1000);
  });

  test('counters are counted from where they are, and reset by reading', async () => {
    const table = new MemoryTable({ accounting: true, flows: [udp(1, { original: { packets: 5n, bytes: 500n } }), udp(2)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    assert.equal(table.flows[1]!.reply.bytes, 0n);
    const [first] = await conntrack.list({}, { zero: true }).toArray();
    assert.deepEqual([first!.original.packets, first!.original.bytes], [5n, 500n]);
    assert.deepEqual([table.flows[0]!.original.packets, table.flows[0]!.original.bytes], [0n, 0n]);
  });

  test('labels need room', async () => {
    const table = new MemoryTable({ labels: false, flows: [udp(1)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    assert.equal((await conntrack.update({}, { labels: { set: [1] } })).withoutLabelRoom, 1);
  });

  test('a listener that subscribes twice is told twice, and each subscription ends by itself', async () => {
    const table = new MemoryTable({ flows: [udp(1)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    await using live = await conntrack.watch();
    let told = 0;
    const listener = () => told++;
    const [first] = [live.subscribe(listener), live.subscribe(listener)];
    const change = async (mark: number) => {
      told = 0;
      table.change(key(1), { mark });
      await table.delivered();
      return told;
    };
    assert.equal(await change(1), 2);
    first();
    first();
    assert.equal(await change(2), 1);
  });

  test('events that are lost are told, and a view makes up for them', async () => {
    const table = new MemoryTable({ flows: [udp(1), udp(2)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    await using live = await conntrack.watch();
    const seen: string[] = [];
    live.subscribe((change) =>
      seen.push(
        change.type === 'LOST' ? `LOST ${change.events}` : `${change.type} ${change.flow.original.sport} ${change.origin ?? ''}`,
      ),
    );
    table.loseEvents(3);
    table.add(udp(3));
    table.expire(key(1));
    table.change(key(2), { mark: 7 });
    table.add(udp(4));
    assert.equal(live.size, 2);
    await equal(live, table);
    assert.deepEqual(seen.sort(), ['DESTROY 1 resync', 'LOST 3', 'NEW 3 resync', 'NEW 4 ', 'UPDATE 2 resync']);
  });

  test('a buffer that is full drops events until it has been read', async () => {
    const table = new MemoryTable();
    await using conntrack = await Conntrack.open({ transport: table.open });
    const losses: number[] = [];
    // Room for five.
    const events = conntrack.events({}, { receiveBuffer: 3200, onLost: ({ events }) => losses.push(events) });
    for (let sport = 1; sport <= 20; sport++) table.add(udp(sport));
    await table.delivered();
    table.add(udp(21));
    assert.deepEqual(await told(events, 'NEW 21'), ['NEW 1', 'NEW 2', 'NEW 3', 'NEW 4', 'NEW 5', 'NEW 21']);
    assert.deepEqual([losses, events.lost], [[15], 15]);
  });

  test('a view is the table, whatever happens to it', async () => {
    const random = new Random(5);
    const table = new MemoryTable();
    await using conntrack = await Conntrack.open({ transport: table.open });
    await using live = await conntrack.watch({ protocol: 'udp' });
    for (let round = 0; round < 3; round++) {
      for (let step = 0; step < 300; step++) {
        const sport = random.below(20);
        const flow = table.flows.find(({ original }) => original.sport === sport);
        const roll = random.below(7);
        if (!flow) table.add(udp(sport, { timeout: 1 + random.below(50) }));
        else if (roll < 2) table.change(flow, { mark: random.below(5), status: ['ASSURED'] });
        else if (roll < 3) table.expire(flow);
        else if (roll < 4) await conntrack.update({ original: { sport } }, { mark: random.below(5), timeout: 60 });
        else if (roll < 5) await conntrack.deleteMany([flow]);
        else if (roll < 6) table.advance(random.below(9));
        else if (round === 2) table.loseEvents(random.below(3));
      }
      await equal(live, table);
    }
  });

  test('nobody hears of what happened before listening, of other groups, and after closing', async () => {
    const table = new MemoryTable({ flows: [udp(1)] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    const [all, ends] = [conntrack.events(), conntrack.events({}, { types: ['DESTROY'] })];
    const closed = conntrack.events();
    closed.close();
    table.add(udp(2));
    table.expire(key(2));
    assert.deepEqual(await told(ends, 'DESTROY 2'), ['DESTROY 2']);
    assert.deepEqual(await told(all, 'DESTROY 2'), ['NEW 2', 'DESTROY 2']);
    assert.equal((await closed.next()).done, true);
    table.add(udp(3));
    await table.delivered();
  });

  test('a large table is listed, updated and deleted in parts', async () => {
    const count = 40_000; // enough for a list of each family
    const flows = Array.from({ length: count }, (_, n) =>
      udp(n % 50_000, { original: n % 2 ? { src: '2001:db8::1', dst: '2001:db8::2' } : {}, mark: n % 4 }),
    );
    const table = new MemoryTable({ flows });
    await using conntrack = await Conntrack.open({ transport: table.open });
    let listed = 0;
    for await (const _ of conntrack.list({}, { fields: ['id'] })) listed++;
    assert.equal(listed, count);
    assert.equal((await conntrack.update({ mark: 3 }, { mark: 4 })).updated, count / 4);
    assert.equal((await conntrack.delete({ family: 'ipv6' })).deleted, count / 2);
    assert.equal(table.flows.length, count / 2);
  });

  test('requests that are no requests get an error, or nothing, and break nothing', () => {
    const random = new Random(9);
    const table = new MemoryTable({ flows: [udp(1), {}] });
    const transport = table.open({});
    const datagrams = transport.createDatagrams(8, 32768);
    const results = new Set<number>();
    for (let n = 0; n < 3000; n++) {
      const bytes = new Uint8Array(20 + random.below(120)).map(() => (random.chance(0.5) ? 0 : random.below(256)));
      // Header and first attribute are right mostly, so that what is behind them is looked at.
      const length = random.chance(0.9) ? bytes.length : random.below(256);
      bytes.set(host(4, length), 0);
      bytes.set(host(2, ((1 + random.below(2)) << 8) | random.below(9)), 4);
      bytes.set(host(2, random.pick([0, 1, 5, 0x301, 0x605])), 6);
      bytes[16] = random.pick([0, 2, 10, 77]);
      if (bytes.length >= 24) bytes.set([...host(2, random.pick([8, 52, bytes.length - 20])), ...host(2, random.below(28))], 20);
      transport.send(bytes, bytes.length);
      for (let count = transport.receive(datagrams); count > 0; count = transport.receive(datagrams))
        for (let i = 0; i < count; i++) {
          const at = datagrams.start(i);
          const view = new DataView(datagrams.bytes.buffer, at);
          if (view.getUint16(4, LITTLE_ENDIAN) === 2) results.add(-view.getInt32(16, LITTLE_ENDIAN));
        }
    }
    // Done, no such flow, wrong, too short, not supported.
    assert.deepEqual(
      [...results].sort((a, b) => a - b),
      [0, 2, 22, 34, 95],
    );
  });

  for (const [what, options] of [
    ['maxEntries', { maxEntries: -1 }],
    ['accounting', { accounting: 1 }],
    ['now', { now: 5 }],
    ['a date that is none', { now: new Date('never') }],
    ['a misspelt option', { flow: [] }],
    ['a flow', { flows: [{ protocol: 'udp', port: 5 }] }],
  ] as const)
    test(`${what} that is wrong is a ValueError`, () => {
      assert.throws(() => new MemoryTable(options as unknown as MemoryTableOptions), ValueError);
    });
});

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A number of the host. */
function host(size: 2 | 4, value: number): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, i) => value >>> (8 * i));
  return LITTLE_ENDIAN ? bytes : bytes.reverse();
}

/** Waits until the view shows the table, for as long as a repair may take. */
async function equal(live: LiveFlows, table: MemoryTable): Promise<void> {
  for (let n = 0; n < 500; n++) {
    await table.delivered();
    if (JSON.stringify(viewed(live)) === JSON.stringify(viewed(table.flows))) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(viewed(live), viewed(table.flows));
}
