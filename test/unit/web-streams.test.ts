// The streams of `conntrack serve`: what they tell, how one comes back, and that slow readers harm nobody.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MemoryTable } from '../../src/testing/memory-table.js';
import { ByteStream } from '../../src/web/byte-stream.js';
import { News } from '../../src/web/news.js';
import { OpenStreams } from '../../src/web/open-streams.js';
import { WEB_TIMES } from '../../src/web/web-times.js';
import { assertSchema, EventReader, WebTester } from '../support/web-tester.js';

const API = '/api/v1';
const STREAM = `${API}/stream`;
const EVENTS = `${API}/events`;
const flow = (n: number, protocol: 'tcp' | 'udp' = 'udp') => ({
  protocol,
  original: { src: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
});

suite('the stream of samples', () => {
  test('begins with the newest, and tells the next ones', async () => {
    await using tester = await WebTester.start();
    const stream = await tester.stream(STREAM);
    assert.equal(await stream.block(), 'retry: 2000');
    const first = await stream.next();
    assertSchema('meterSample', first!.data);
    assert.match(first!.id!, /^[0-9a-f]{8}-1$/);
    tester.table.add(flow(1));
    await tester.memory.list();
    const second = await stream.next('sample');
    assert.deepEqual([second!.data.number, second!.data.flows], [2, 1]);
    assert.equal(second!.id, first!.id!.replace(/1$/, '2'));
    await stream.cancel();
  });

  test('counts what comes and goes in between', async () => {
    await using tester = await WebTester.start({ times: { count: 10 } });
    tester.table.add(flow(0));
    await tester.memory.hear();
    const stream = await tester.stream(STREAM);
    for (let n = 1; n < 8; n++) tester.table.add(flow(n));
    tester.table.expire(tester.table.flows[3]!);
    const sum = { begun: 0, ended: 0, flows: 0 };
    while (sum.ended < 1) {
      const { data } = (await stream.next('counts'))!;
      assertSchema('streamCounts', data);
      sum.begun += data.begun;
      sum.ended += data.ended;
      sum.flows = data.flows;
    }
    assert.deepEqual(sum, { begun: 7, ended: 1, flows: 7 });
    await stream.cancel();
  });

  test('says when notices change', async () => {
    const table = new MemoryTable({ maxEntries: 10, flows: Array.from({ length: 8 }, (_, n) => flow(n)) });
    await using tester = await WebTester.start({ tables: [table] });
    const stream = await tester.stream(STREAM);
    const before = JSON.stringify(tester.memory.meter.status.notices);
    for (const one of table.flows) table.expire(one);
    await tester.memory.list();
    table.loseEvents(1);
    table.add(flow(1));
    await tester.memory.list();
    const { data } = (await stream.next('status'))!;
    assertSchema('streamStatus', data);
    assert.notEqual(JSON.stringify(data.notices), before);
    await stream.cancel();
  });

  test('is kept alive', async () => {
    await using tester = await WebTester.start({ times: { ping: 5 } });
    for (const path of [STREAM, EVENTS]) {
      const stream = await tester.stream(path);
      while ((await stream.block()) !== ': ping');
      await stream.cancel();
    }
  });

  test('goes on where its reader was', async () => {
    await using tester = await WebTester.start();
    const first = await tester.stream(STREAM);
    const [epoch] = (await first.next())!.id!.split('-') as [string];
    await first.cancel();
    for (let n = 0; n < 3; n++) await tester.memory.list();
    const cases: readonly (readonly [string, readonly string[]])[] = [
      [`${epoch}-1`, ['series', 'sample']],
      [`${epoch}-3`, ['series', 'sample']],
      [`${epoch}-4`, ['sample']],
      [`${epoch}-5`, ['reset', 'sample']],
      ['00000000-1', ['reset', 'sample']],
      [epoch, ['reset', 'sample']],
      [`${epoch}-`, ['reset', 'sample']],
      [`${epoch}-x`, ['reset', 'sample']],
      [`${epoch}--1`, ['reset', 'sample']],
      [`${epoch}-1-2`, ['reset', 'sample']],
      [`${epoch}-1e0`, ['reset', 'sample']],
      [`${epoch}-99999999999999999999`, ['reset', 'sample']],
      ['', ['reset', 'sample']],
      ['-', ['reset', 'sample']],
      ['x'.repeat(5000), ['reset', 'sample']],
    ];
    for (const [id, types] of cases) {
      const stream = await tester.stream(STREAM, { headers: { 'last-event-id': id } });
      const met = [];
      for (const type of types) {
        const event = (await stream.next())!;
        met.push(event.event);
        if (type === 'series') assertSchema('meterSeries', event.data);
      }
      assert.deepEqual(met, types, id.slice(0, 30));
      await stream.cancel();
    }
  });

  test('a slow reader gets the newest sample, and no more than a MiB is kept for it', async () => {
    await using tester = await WebTester.start();
    const { meter } = tester.memory;
    const times = { ...WEB_TIMES, count: 5 };
    const streams = new OpenStreams(2, times);
    const news = new News(meter, 'e', streams, times);
    const slow = new EventReader(news.open(null, undefined));
    const text = JSON.stringify(meter.sample).length;
    const COUNT = Math.ceil((3 << 20) / text);
    for (let n = 1; n <= COUNT; n++) news.sample({ ...meter.sample, number: n });
    const met: number[] = [];
    while (met.length < COUNT / 10) met.push((await slow.next('sample'))!.data.number);
    await tester.memory.list(); // now there is room, and the newest follows by itself
    while (met.at(-1) !== meter.sample.number) met.push((await slow.next('sample'))!.data.number);
    assert.ok(met.length < COUNT / 2, `${met.length} of ${COUNT} samples were kept`);
    streams.close();
    assert.equal((await slow.rest()).at(-1), 'bye');
  });
});

suite('a reader that takes nothing', () => {
  const MOST = 1 << 20;
  const text = 'x'.repeat(1000);

  test('is given up after a while, and what waited for it is dropped', async () => {
    const calls: string[] = [];
    const stream = new ByteStream({ patience: 30, cut: () => calls.push('cut'), closed: () => calls.push('closed') });
    let written = 0;
    while (stream.write(text)) written += text.length;
    assert.ok(written >= MOST && written <= MOST + 2 * text.length, `${written} bytes wait`);
    while (!stream.ended) {
      assert.equal(stream.write(text), false);
      await new Promise(setImmediate);
    }
    assert.deepEqual(calls, ['closed', 'cut']);
    assert.equal(stream.write(text), false);
    stream.end();
    assert.deepEqual(calls, ['closed', 'cut']);
  });

  test('ends with an error where the connection cannot be cut', async () => {
    const stream = new ByteStream({ patience: 0, closed: () => {} });
    while (stream.write(text));
    const stuck = performance.now();
    while (!stream.ended) {
      stream.write(text);
      assert.ok(performance.now() - stuck < 5000);
    }
    await assert.rejects(stream.body.getReader().read(), /took nothing/);
  });

  test('is not given up as long as it takes something', async () => {
    const stream = new ByteStream({ patience: 100, closed: () => {} });
    const reader = stream.body.getReader();
    while (stream.write(text));
    for (const until = performance.now() + 400; performance.now() < until; ) {
      await reader.read();
      await reader.read();
      stream.write(text);
      await new Promise((resolve) => setTimeout(resolve, 20));
      while (stream.write(text));
    }
    assert.equal(stream.ended, false);
    stream.end();
  });

  test('loses events, and is told how many', async () => {
    await using tester = await WebTester.start({ times: { count: 20 } });
    const body = (await tester.send(EVENTS)).body!;
    const COUNT = 6000;
    for (let n = 0; n < COUNT; n++) {
      tester.table.add(flow(n));
      if (n % 500 === 499) {
        await tester.table.delivered();
        await new Promise(setImmediate);
      }
    }
    await tester.table.delivered();
    for (let n = 0; n < 1000; n++) await new Promise(setImmediate); // until all are encoded
    const reader = new EventReader(body);
    let met = 0;
    let missing = 0;
    while (met + missing < COUNT) {
      const event = (await reader.next())!;
      if (event.event === 'gap') {
        assertSchema('streamGap', event.data);
        missing += event.data.events;
      } else met++;
    }
    assert.deepEqual([met + missing, missing > 500], [COUNT, true]);
    tester.table.add(flow(COUNT));
    assert.equal((await reader.next())!.event, 'NEW');
    await reader.cancel();
  });
});

suite('the stream of events', () => {
  test('has the events of flows that match, of the types that are asked for', async () => {
    await using tester = await WebTester.start();
    const { table } = tester;
    const all = await tester.stream(`${EVENTS}?filter=udp+and+src+10.0.0.0/31`);
    const some = await tester.stream(`${EVENTS}?types=NEW,DESTROY`);
    table.add(flow(0));
    table.add(flow(0, 'tcp'));
    table.add(flow(5));
    table.change(table.flows[0]!, { mark: 7 });
    table.expire(table.flows[0]!);
    table.expire(table.flows[1]!);
    for (const type of ['NEW', 'UPDATE', 'DESTROY']) {
      const event = (await all.next())!;
      assert.deepEqual([event.event, event.data.type, event.data.flow.protocol], [type, type, 'udp']);
      assertSchema('flowEvent', event.data);
    }
    const types = [];
    for (let n = 0; n < 5; n++) types.push((await some.next())!.event);
    assert.deepEqual(types, ['NEW', 'NEW', 'NEW', 'DESTROY', 'DESTROY']);
    await all.cancel();
    await some.cancel();
  });

  test('tells what the kernel lost, even if nothing follows', async () => {
    await using tester = await WebTester.start({ times: { count: 10 } });
    const stream = await tester.stream(EVENTS);
    tester.table.loseEvents(3);
    for (let n = 0; n < 3; n++) tester.table.add(flow(n));
    const { data } = (await stream.next('gap'))!;
    assert.equal(data.events, 3);
    tester.table.add(flow(9));
    assert.equal((await stream.next())!.event, 'NEW');
    await stream.cancel();
  });

  test('tells what was left out because too much happened at once', async () => {
    await using tester = await WebTester.start();
    const stream = await tester.stream(EVENTS);
    const COUNT = 10_000; // more than may wait
    for (let n = 0; n < COUNT; n++) tester.table.add(flow(n));
    await tester.table.delivered();
    let met = 0;
    let missing = 0;
    while (met + missing < COUNT) {
      const event = (await stream.next())!;
      if (event.event === 'gap') missing += event.data.events;
      else met++;
    }
    assert.equal(met + missing, COUNT);
    assert.ok(missing > 1000, `${missing}`);
    await stream.cancel();
  });

  test('whoever comes back is told of a gap', async () => {
    await using tester = await WebTester.start();
    const first = await tester.stream(EVENTS);
    await first.block();
    const id = (await first.block())?.replace('id: ', '') ?? '';
    await first.cancel();
    const stream = await tester.stream(EVENTS, { headers: { 'last-event-id': id } });
    assert.deepEqual(await stream.next(), { event: 'gap', data: { events: null } });
    await stream.cancel();
  });

  test('is encoded once for all who ask the same, and ends with the last of them', async () => {
    await using tester = await WebTester.start({ tables: [new MemoryTable(), new MemoryTable()] });
    const opened: string[] = [];
    let closed = 0;
    for (const [n, conntrack] of tester.memory.conntracks.entries()) {
      const events = conntrack.events.bind(conntrack);
      conntrack.events = (filter, options) => {
        opened.push(`${n} ${JSON.stringify(filter)}`);
        const stream = events(filter, options);
        const close = stream.close.bind(stream);
        stream.close = () => {
          closed++;
          close();
        };
        return stream;
      };
    }
    const asked = [
      EVENTS,
      EVENTS,
      `${EVENTS}?filter=udp`,
      `${EVENTS}?filter=udp`,
      `${EVENTS}?filter=udp&netns=1`,
      `${EVENTS}?types=NEW`,
    ];
    const streams = await Promise.all(asked.map((path) => tester.stream(path)));
    assert.deepEqual(opened, ['0 {}', '0 "(udp)"', '1 "(udp)"', '0 {}']);
    for (const [n, table] of tester.tables.entries()) table.add(flow(n));
    for (const [n, stream] of streams.entries())
      assert.equal((await stream.next())!.data.flow.original.src, n === 4 ? '10.0.0.1' : '10.0.0.0');
    await streams[0]!.cancel();
    tester.tables[0]!.add(flow(7));
    assert.equal((await streams[1]!.next())!.data.flow.original.src, '10.0.0.7');
    assert.equal(closed, 0);
    await streams[1]!.cancel();
    assert.equal(closed, 1);
    const again = await tester.stream(EVENTS);
    assert.equal(opened.length, 5);
    for (const stream of [again, ...streams.slice(2)]) await stream.cancel();
    assert.equal(closed, 5);
  });

  test('is of the namespace that is named', async () => {
    await using tester = await WebTester.start({ tables: [new MemoryTable(), new MemoryTable()] });
    const stream = await tester.stream(`${EVENTS}?netns=1`);
    tester.tables[0]!.add(flow(1));
    tester.tables[1]!.add(flow(2));
    assert.equal((await stream.next())!.data.flow.original.src, '10.0.0.2');
    await stream.cancel();
  });
});

suite('the end', () => {
  for (const end of ['handler.close', 'meter.close'] as const)
    test(`${end} says goodbye, ends all streams and refuses others`, async () => {
      await using tester = await WebTester.start();
      const streams = [await tester.stream(STREAM), await tester.stream(EVENTS)];
      if (end === 'handler.close') tester.handler.close();
      else tester.memory.meter.close();
      for (const stream of streams) assert.equal((await stream.rest()).at(-1), 'bye');
      for (const path of [STREAM, EVENTS]) assert.equal(await tester.refusal(path), '503 ENDED');
      tester.handler.close();
    });

  test('of the table ends its events, and is no unhandled error', async () => {
    await using tester = await WebTester.start();
    const stream = await tester.stream(EVENTS);
    await tester.memory.conntracks[0]!.close();
    await stream.rest();
    assert.equal(tester.log.length, 0);
  });

  test('of readers makes room: there are so many streams of all kinds together', async () => {
    await using tester = await WebTester.start();
    const open: EventReader[] = [];
    for (let n = 0; n < 64; n++) open.push(await tester.stream(n % 2 ? STREAM : EVENTS));
    for (const path of [STREAM, EVENTS]) {
      const { status, json, headers } = await tester.ask(path);
      assert.deepEqual([status, json.error.code, headers.get('retry-after')], [503, 'TOO_MANY_STREAMS', '5']);
    }
    assert.equal((await tester.ask(`${EVENTS}?filter=x`)).status, 400);
    for (const stream of open.splice(0, 2)) await stream.cancel();
    open.push(await tester.stream(STREAM), await tester.stream(EVENTS));
    assert.equal((await tester.ask(STREAM)).status, 503);
    for (const stream of open) await stream.cancel();
  });
});
