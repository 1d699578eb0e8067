// Events and live views of the library, on a changing real table: what is reported, in which order, how it ends, and that a view equals
// the table.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ClosedError,
  Conntrack,
  type EventStream,
  type FlowEvent,
  type LiveFlows,
  type NewFlow,
  OverflowError,
  ValueError,
} from '../../src/index.js';
import { Namespace } from '../support/namespace.js';
import { PROJECT, requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const key = (sport: number) =>
  ({ protocol: 'udp', original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 } }) as const;
const flow = (sport: number, more: Partial<NewFlow> = {}): NewFlow => ({
  ...key(sport),
  timeout: 10_000,
  ...more,
});

before(requirePrerequisites);
suite('library events', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await Namespace.create('libevents');
    await namespace.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
  });
  after(() => namespace.close());
  /** A table of the namespace that is closed with the test, empty at its beginning. */
  async function open(): Promise<Conntrack> {
    const conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.flush();
    return conntrack;
  }

  async function take<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
    const taken: T[] = [];
    for await (const event of events) if (taken.push(event) === count) break;
    return taken;
  }

  test('a flow begins, changes and ends', async () => {
    await using conntrack = await open();
    const events = conntrack.events();
    await events.ready;
    await conntrack.create(flow(1));
    await conntrack.update({ original: { sport: 1 } }, { mark: 7 });
    await conntrack.delete({ original: { sport: 1 } });
    const told = await take(events, 3);
    assert.deepEqual(
      told.map((event) => [event.type, event.flow.original.sport, event.flow.mark, event.origin]),
      [
        ['NEW', 1, 0, undefined],
        ['UPDATE', 1, 7, undefined],
        ['DESTROY', 1, 7, undefined],
      ],
    );
    assert.ok(told.every((event) => event.portId !== undefined && event.portId > 0));
    assert.equal(new Set(told.map((event) => event.flow.id)).size, 1);
    assert.equal(JSON.parse(JSON.stringify(told[1])).flow.mark, 7);
    // Leaving the loop has ended the stream.
    assert.deepEqual(await events.next(), { value: undefined, done: true });
  });

  test('using ends a stream, a view and a table', async () => {
    let ended: { conntrack: Conntrack; live: LiveFlows; events: EventStream<FlowEvent> };
    await using other = await open();
    {
      using conntrack = await Conntrack.open({ netns: namespace.pid });
      using live = await conntrack.watch();
      using events = conntrack.events();
      ended = { conntrack, live, events };
    }
    await other.create(flow(1));
    assert.deepEqual(await ended.events.next(), { value: undefined, done: true });
    await sleep(50);
    assert.equal(ended.live.size, 0);
    assert.equal(ended.live.failure, undefined); // ended before the table was
    await assert.rejects(ended.conntrack.count(), ClosedError);
  });

  test('filter and types', async () => {
    await using conntrack = await open();
    await using events = conntrack.events({ original: { sport: 2 } }, { types: ['NEW', 'DESTROY'] });
    for (const sport of [1, 2, 3]) await conntrack.create(flow(sport));
    await conntrack.update({}, { mark: 1 });
    await conntrack.delete({});
    const told = await take(events, 2);
    assert.deepEqual(
      told.map((event) => [event.type, event.flow.original.sport]),
      [
        ['NEW', 2],
        ['DESTROY', 2],
      ],
    );
    assert.throws(() => conntrack.events({}, { types: ['GONE' as never] }), ValueError);
    assert.throws(() => conntrack.events({}, { highWaterMark: 0 }), ValueError);
  });

  test('with program, who caused it', async () => {
    await using conntrack = await open();
    await using events = conntrack.events({}, { program: true });
    await using plain = conntrack.events();
    const { title } = process;
    try {
      process.title = 'x\n-F\n#'; // the kernel keeps what a program calls itself
      await conntrack.create(flow(1));
      const [own] = await take(events, 1);
      assert.deepEqual([own?.program, own?.pid], ['x\n-F\n#', process.pid]);
      assert.deepEqual(JSON.parse(JSON.stringify(own)), {
        type: 'NEW',
        portId: own!.portId,
        program: 'x\n-F\n#',
        pid: process.pid,
        flow: own!.flow.toJSON(),
      });
      const [unasked] = await take(plain, 1);
      assert.deepEqual([unasked?.portId, unasked?.program, unasked?.pid], [own!.portId, undefined, undefined]);
    } finally {
      process.title = title;
    }
  });

  test('with program, of another process, and of the kernel none', async () => {
    await using conntrack = await open();
    await using events = conntrack.events({}, { program: true });
    // One that still runs when it is looked for.
    const program = `import { Conntrack } from 'conntrack';
      const conntrack = await Conntrack.open({ netns: ${namespace.pid} });
      await conntrack.create(${JSON.stringify(flow(1, { timeout: 1 }))});
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: PROJECT, stdio: 'inherit' });
    const told: FlowEvent[] = [];
    const looking = setInterval(() => conntrack.count({}).catch(() => {}), 200); // which sees that the flow is over
    for await (const event of events) if (told.push(event) === 2) break;
    clearInterval(looking);
    child.kill();
    assert.deepEqual(
      told.map(({ type, pid, portId }) => [type, pid, portId !== undefined]),
      [
        ['NEW', child.pid, true],
        ['DESTROY', undefined, false],
      ],
    );
  });

  test('with initial, what is there comes first', async () => {
    await using conntrack = await open();
    for (const sport of [1, 2]) await conntrack.create(flow(sport));
    await using events = conntrack.events({}, { initial: true });
    await events.ready;
    await conntrack.create(flow(3));
    const told = await take(events, 3);
    assert.deepEqual(
      told.map((event) => [event.type, event.origin, event.flow.original.sport]).sort(),
      [
        ['NEW', 'initial', 1],
        ['NEW', 'initial', 2],
        ['NEW', undefined, 3],
      ].sort(),
    );
  });

  test('a closed table and an aborted signal end a stream with their reasons, a closed stream ends quietly', async () => {
    const conntrack = await open();
    const first = conntrack.events();
    const waiting = first.next();
    const controller = new AbortController();
    const second = conntrack.events({}, { signal: controller.signal }).next();
    const third = conntrack.events();
    const quiet = third.next();
    third.close();
    assert.deepEqual(await quiet, { value: undefined, done: true });
    controller.abort(new Error('enough'));
    await assert.rejects(second, /^Error: enough$/);
    await conntrack.close();
    await assert.rejects(waiting, ClosedError);
    assert.throws(() => conntrack.events(), ClosedError);
    await assert.rejects(conntrack.watch(), ClosedError);
  });

  suite('events that are not taken', () => {
    const MANY = Array.from({ length: 300 }, (_, n) => flow(1000 + n));
    async function untaken(options: Parameters<Conntrack['events']>[1]) {
      const conntrack = await open();
      const events = conntrack.events({}, { types: ['NEW'], highWaterMark: 100, ...options });
      await conntrack.createMany(MANY);
      await sleep(100);
      return { events, [Symbol.asyncDispose]: () => conntrack.close() };
    }
    const sports = (told: readonly FlowEvent[]) => told.map((event) => event.flow.original.sport! - 1000);
    const count = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

    test('pause: all come in the end', async () => {
      await using it = await untaken({ overflow: 'pause' });
      assert.deepEqual(sports(await take(it.events, 300)), count(0, 300));
    });
    test('drop-newest: the first 100 stay', async () => {
      await using it = await untaken({ overflow: 'drop-newest' });
      assert.deepEqual(sports(await take(it.events, 100)), count(0, 100));
      assert.equal(it.events.dropped, 200);
    });
    test('drop-oldest: the last 100 stay', async () => {
      await using it = await untaken({ overflow: 'drop-oldest' });
      assert.deepEqual(sports(await take(it.events, 100)), count(200, 300));
      assert.equal(it.events.dropped, 200);
    });
    test('fail: 100 come, then the error', async () => {
      await using it = await untaken({ overflow: 'fail' });
      const told: FlowEvent[] = [];
      await assert.rejects(async () => {
        for await (const event of it.events) told.push(event);
      }, OverflowError);
      assert.deepEqual(sports(told), count(0, 100));
    });
    test('a loss in the kernel is told', async () => {
      const losses: number[] = [];
      await using it = await untaken({ receiveBuffer: 2304, onLost: ({ events }) => losses.push(events) });
      await sleep(50);
      assert.ok(it.events.lost > 0);
      assert.equal(
        losses.reduce((sum, events) => sum + events, 0),
        it.events.lost,
      );
    });
  });

  test('a view cannot know the end of a flow that began while nobody listened, unless the kernel tells', async () => {
    // With 2 the kernel tells, too, if somebody listens in any namespace of this machine (docs/kernel.md 7.3).
    for (const [mode, left] of [
      [2, [1, 0]],
      [1, [0]],
    ] as const) {
      await using quiet = await Namespace.create('unheard');
      await quiet.sysctl({ 'net.netfilter.nf_conntrack_events': mode });
      await using own = await Conntrack.open({ netns: quiet.pid });
      await own.create({ ...key(1), timeout: 100 });
      using view = await own.watch();
      await own.delete({});
      await own.create({ ...key(2), timeout: 100 }); // an event behind the end: when it is here, the end would be, too
      for (let n = 0; n < 100 && !view.get(key(2)); n++) await sleep(20);
      assert.ok(left.some((known) => view.size === known + 1), `nf_conntrack_events=${mode}: ${view.size}`); // biome-ignore format: one line
    }
  });

  test('a live view is the table, whatever happens and whatever is lost', async () => {
    const random = new Random(seedFromEnvironment(20260404));
    await using conntrack = await open();
    await conntrack.createMany(Array.from({ length: 500 }, (_, n) => flow(n + 1)));
    await using live = await conntrack.watch({ protocol: 'udp' }, { receiveBuffer: 4096 });
    assert.equal(live.size, 500);
    const told = new Map<string, 'there'>([...live].map((each) => [`${each.original.sport}`, 'there']));
    let losses = 0;
    live.subscribe((change) => {
      if (change.type === 'LOST') losses++;
      else if (change.type === 'DESTROY') told.delete(`${change.flow.original.sport}`);
      else told.set(`${change.flow.original.sport}`, 'there');
    });
    for (let round = 0; round < 30; round++) {
      const port = () => 1 + random.below(1500);
      await conntrack.createMany(
        Array.from({ length: 40 }, () => flow(port(), { mark: random.pick([0, 1, 0x80]) })),
        { mayExist: true },
      );
      await conntrack.deleteMany(Array.from({ length: 20 }, () => key(port())));
      await sleep(random.below(3));
    }
    await conntrack.delete({ mark: { value: 0x80, mask: 0x80 } });
    await assert.rejects(conntrack.watch({ mark: 1 } as never), ValueError);
    const keyAndMark = (each: { original: { sport?: number | undefined }; mark?: number | undefined }) =>
      `${each.original.sport} ${each.mark ?? 0}`;
    const table = (await conntrack.list().toArray()).map(keyAndMark).sort();
    // Events are told within milliseconds, repairs within a second of each other.
    for (let n = 0; n < 50 && [...live].map(keyAndMark).sort().join() !== table.join(); n++) await sleep(100);
    assert.deepEqual([...live].map(keyAndMark).sort(), table);
    assert.equal(live.size, table.length);
    assert.equal(await live.count({ mark: 1 }), table.filter((text) => text.endsWith(' 1')).length);
    assert.equal([...live.list({ mark: 1 })].length, await live.count({ mark: 1 }));
    assert.ok(losses > 0, 'the buffer was meant to be too small');
    assert.ok(live.lost > 0);
    assert.deepEqual([...told.keys()].sort(), table.map((text) => text.split(' ')[0]!).sort());
    assert.ok(live.bytes < 4 * 2 ** 20);
  });

  test('subscribers of a view are not told of the end of a flow that they were not told of', async () => {
    await using conntrack = await open();
    await namespace.nft(
      'table inet quiet { chain out { type filter hook output priority 0; udp dport 9 ct event set destroy; }; }',
    );
    try {
      await using events = conntrack.events();
      await using live = await conntrack.watch();
      const told: string[] = [];
      live.subscribe((change) => told.push(change.type === 'LOST' ? 'LOST' : `${change.type} ${change.flow.original.dport}`));
      await namespace.must(['bash', '-c', 'echo > /dev/udp/127.0.0.1/9']);
      await conntrack.create(flow(1));
      await conntrack.delete({});
      await take(events, 3);
      assert.deepEqual(told.sort(), ['DESTROY 53', 'NEW 53'], 'of port 9 the kernel tells the end only');
      assert.equal(live.size, 0);
    } finally {
      await namespace.nft('delete table inet quiet');
    }
  });

  test('a live view ends with its table', async () => {
    const conntrack = await open();
    await conntrack.create(flow(1));
    const live = await conntrack.watch();
    await conntrack.close();
    assert.ok(live.failure instanceof ClosedError);
    assert.equal([...live].length, 1, 'it stays as it was');
  });

  test('expectations', async () => {
    await using conntrack = await open();
    await conntrack.create({
      protocol: 'tcp',
      state: 'ESTABLISHED',
      original: { src: '192.0.2.1', dst: '198.51.100.1', sport: 1, dport: 21 },
      timeout: 600,
      helper: 'ftp',
    });
    await using events = conntrack.expectations.events();
    await conntrack.expectations.create({
      protocol: 'tcp',
      tuple: { src: '192.0.2.1', dst: '198.51.100.1', sport: 0, dport: 41000 },
      mask: { src: '255.255.255.255', dst: '255.255.255.255', sport: 0, dport: 65535 },
      master: { src: '192.0.2.1', dst: '198.51.100.1', sport: 1, dport: 21 },
      timeout: 300,
    });
    await conntrack.expectations.flush();
    const told = await take(events, 2);
    assert.deepEqual(
      told.map((event) => event.type),
      ['NEW', 'DESTROY'],
    );
  });
});
