// Flows of the past of a fleet: whoever has which part of a record, each flow comes once, in order, and what nobody has is told.

import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Collector } from '../../src/fleet/collector.js';
import { CollectorStore } from '../../src/fleet/collector-store.js';
import { Fleet } from '../../src/fleet/fleet.js';
import { FleetClient } from '../../src/fleet/index.js';
import { decodeRecords, encodeRecords } from '../../src/fleet/jc1.js';
import type { KnownRecord } from '../../src/fleet/known-record.js';
import { type PastAsk, readPastFlows, readPastSums } from '../../src/fleet/past-client.js';
import { planHost } from '../../src/fleet/past-plan.js';
import { askRecord } from '../../src/fleet/past-question.js';
import { decodePastRows, encodePastRows, type SentRow } from '../../src/fleet/past-rows.js';
import { HostRecord } from '../../src/fleet/past-source.js';
import { PastStreams } from '../../src/fleet/past-streams.js';
import { columnTextsOf } from '../../src/history/column-texts.js';
import { loadDrivers } from '../../src/history/driver/load-driver.js';
import type { SqliteRow } from '../../src/history/driver/sqlite.js';
import { openHistory } from '../../src/history/index.js';
import { CSV_HEADER, lineMaker, PAST_LINES } from '../../src/history/past-lines.js';
import type { PartGap } from '../../src/history/record-parts.js';
import { RowMessages } from '../../src/history/row-messages.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { MemoryTable } from '../../src/testing/index.js';
import { startMemoryAgent } from '../support/memory-agent.js';
import { MemoryServers } from '../support/memory-bus.js';
import { asOpen, inRecord, type PastRow, randomRow, SECOND, T0, writeRecord } from '../support/past-record.js';
import { SLOWNESS } from '../support/project.js';
import { Random } from '../support/random.js';

const driver = loadDrivers(1)[0]!;
const OPTIONS = { wait: 10_000 * SLOWNESS, deadline: 60_000 * SLOWNESS };
const SEGMENT = 50;

const uuidOf = (n: number) => `4d5a5a5e-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** Flows of which each ends a second after the one before: the number of the record tells when. */
const rowOf = (host: number, sequence: number): PastRow => ({
  start: T0 + sequence * SECOND + host,
  dur: SECOND,
  src: 0x0a000000 + (sequence % 7),
  dst: host,
  ext: 1,
  sport: sequence,
  dport: sequence % 2 ? 53 : 5060,
  eport: 1,
  proto: 17,
  opk: 1,
  ob: sequence,
  how: 0,
});

interface HostPast {
  readonly host: string;
  /** Records of the host: numbers from first to last. Absent: it does not answer. */
  readonly own?: readonly [number, number];
  /** Flows that live. */
  readonly open?: number;
  /** Records of its copy, and those that were lost on the way. */
  readonly copy?: readonly [number, number];
  readonly lost?: readonly [number, number];
}

/** A fleet of hosts and a collector with such records. */
async function fleetOf(directory: string, hosts: readonly HostPast[]) {
  const servers = new MemoryServers();
  const running: AsyncDisposable[] = [];
  const copies = join(directory, 'copies');
  const store = new CollectorStore({
    directory: copies,
    version: '0',
    keep: Number.POSITIVE_INFINITY,
    segmentRows: 1_000_000,
    launcher: [],
    tell: (line) => assert.fail(line),
  });
  for (const [n, { host, own, open = 0, copy, lost }] of hosts.entries()) {
    const recorder = uuidOf(n + 1);
    if (own) {
      const path = join(directory, host);
      mkdirSync(path);
      const [first, last] = own;
      const count = Math.ceil(last / SEGMENT);
      writeRecord(
        driver,
        path,
        Array.from({ length: count }, (_, segment) => ({
          rows: Array.from({ length: Math.min(SEGMENT, last - segment * SEGMENT) }, (_, i) =>
            rowOf(n, segment * SEGMENT + i + 1),
          ),
          opened: T0 + (segment * SEGMENT + 1) * SECOND,
          alive: T0 + (last + 10) * SECOND,
          ended: true,
          ...(segment < count - 1 ? { closed: T0 + (segment + 1) * SEGMENT * SECOND, sealed: true } : {}),
          meta: { recorder, ...(segment < count - 1 ? { lastSeq: (segment + 1) * SEGMENT } : {}) },
          ...(segment === count - 1
            ? { open: Array.from({ length: open }, (_, i) => asOpen({ ...rowOf(n, last + i + 1), sport: 60_000 + i })) }
            : {}),
        })),
      );
      // What the recorder has deleted.
      for (const { path: file, number } of segmentFiles(path)) if (number * SEGMENT < first) rmSync(file);
      running.push(await startMemoryAgent(servers, host, new MemoryTable(), 'default', new HostRecord(path, host, () => null)));
    }
    if (copy) {
      const [first, last] = copy;
      for (const [from, to] of lost ? [[first, lost[0] - 1] as const, [lost[1] + 1, last] as const] : [copy]) {
        if (from > to) continue;
        const head = {
          recorder,
          first: from,
          since: T0 + from * SECOND,
          alive: T0 + (to + 1) * SECOND,
          openFrom: T0 + (to + 1) * SECOND,
          netns: [],
          gaps: [] as PartGap[],
          clock: [],
        };
        const rows = Array.from({ length: to - from + 1 }, (_, i) => rowOf(n, from + i) as SqliteRow);
        store.take(host, { ...decodeRecords(encodeRecords(head, columnTextsOf(rows))) });
      }
    }
  }
  const bus = servers.connect();
  if (!(await bus.hasBucket('ct_hosts'))) await bus.makeBucket('ct_hosts');
  await bus.makeBucket('ct_collectors');
  const collector = await Collector.start({
    bus,
    name: 'c1',
    shards: Array.from({ length: 64 }, (_, n) => n),
    store,
    bad: join(directory, 'bad'),
    version: '0',
    pid: process.pid,
    tell: () => {}, // there is no stream to read
  });
  return {
    fleet: new Fleet(servers.connect(), 'alice'),
    async [Symbol.asyncDispose]() {
      await collector.stop();
      for (const one of running) await one[Symbol.asyncDispose]();
    },
  };
}

const read = async (fleet: Fleet, ask: PastAsk, options: object = {}) => {
  const rows: SentRow[] = [];
  const take = (row: SentRow) => rows.push(row) > 0;
  const result = await readPastFlows(fleet, ask, { ...OPTIONS, ...options }, take, async () => {});
  return { rows, result, names: rows.map(({ host, row, open }) => `${host} ${open ? `open ${row['sport']}` : row['seq']}`) };
};
const range = ([from, to]: readonly [number, number]) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('each flow comes once, in the order of ends, whoever has it', async () => {
  const random = new Random(20_261_201);
  for (let round = 0; round < 3; round++)
    await inRecord(async (directory) => {
      const hosts = Array.from({ length: 1 + random.below(5) }, (_, n): HostPast => {
        const last = 20 + random.below(300);
        const first = 1 + SEGMENT * random.below(Math.floor(last / SEGMENT) + 1);
        const from = 1 + random.below(last);
        const to = from + random.below(last - from + 1);
        const lostFrom = from + 1 + random.below(to - from + 1);
        const lost = [lostFrom, lostFrom + random.below(20)] as const;
        const hasOwn = first <= last && random.chance(0.8);
        return {
          host: `h${n}`,
          ...(hasOwn ? { own: [first, last] as const, open: random.below(4) } : {}),
          ...(!hasOwn || random.chance(0.7)
            ? { copy: [from, to] as const, ...(lost[1] < to && random.chance(0.5) ? { lost } : {}) }
            : {}),
        };
      });
      await using all = await fleetOf(directory, hosts);
      const known = hosts.map(({ own, copy, lost }) => {
        const numbers = new Set([...(own ? range(own) : []), ...(copy ? range(copy) : [])]);
        if (lost) for (const number of range(lost)) if (!own || number < own[0] || number > own[1]) numbers.delete(number);
        return [...numbers].sort((a, b) => a - b);
      });
      const ended = known
        .flatMap((numbers, n) => numbers.map((number) => [number, n] as const))
        .sort(([a, x], [b, y]) => a - b || x - y)
        .map(([number, n]) => `h${n} ${number}`);
      const open = hosts.flatMap(({ host, open = 0 }) => Array.from({ length: open }, (_, i) => `${host} open ${60_000 + i}`));
      const { names, result } = await read(all.fleet, {});
      assert.deepEqual(names.slice(0, ended.length), ended, JSON.stringify(hosts));
      assert.deepEqual(names.slice(ended.length).sort(), open.sort());
      const newest = await read(all.fleet, { newestFirst: true });
      assert.deepEqual(newest.names.slice(open.length), ended.toReversed());
      // No more than so many, and of a filter.
      const some = await read(all.fleet, { limit: 30, filter: 'dst port 53' });
      assert.deepEqual(
        some.names,
        names
          .filter((name) => !name.includes('open') && Number(name.split(' ')[1]) % 2)
          .slice(0, 30)
          .concat(some.names.slice(Math.min(30, ended.filter((name) => Number(name.split(' ')[1]) % 2).length))),
      );
      // What nobody has is told.
      const holes = hosts.filter(({ lost }, n) => lost && !range(lost).every((number) => known[n]!.includes(number)));
      for (const { host } of holes) assert.match(result.lacking.get(host)!.join(), /flows may be missing .*\(missing\)/);
      for (const { host, lost } of hosts)
        if (lost && !holes.some((hole) => hole.host === host))
          assert.doesNotMatch((result.lacking.get(host) ?? []).join(), /\(missing\)/);

      const { groups } = await readPastSums(all.fleet, { by: 'src', limit: 100 }, OPTIONS);
      const sums = new Map<string, [number, bigint]>();
      for (const numbers of known)
        for (const number of numbers) {
          const key = `10.0.0.${number % 7}`;
          const [flows, bytes] = sums.get(key) ?? [0, 0n];
          sums.set(key, [flows + 1, bytes + BigInt(number)]);
        }
      assert.deepEqual(new Map(groups.map(({ key, flows, bytes }) => [key, [flows, bytes]])), sums);
    });
});

test('an answer is complete where hosts and copies together have everything', () =>
  inRecord(async (directory) => {
    await using all = await fleetOf(directory, [
      { host: 'h0', own: [101, 200], copy: [1, 150], lost: [120, 130] },
      { host: 'h1', copy: [1, 150] },
    ]);
    const at = (number: number) => T0 + number * SECOND;
    // The copies have it, and nothing else lived then.
    const early = await read(all.fleet, { span: { from: at(10), to: at(100) } });
    assert.deepEqual([early.result.complete, [...early.result.lacking]], [true, []]);
    assert.equal(early.names.length, 2 * 91);
    // Of one of them, the host has the rest.
    const late = await read(all.fleet, { span: { from: at(110), to: at(205) } });
    assert.deepEqual([late.result.complete, [...late.result.lacking.keys()]], [false, ['h1']]);
    assert.match(late.result.lacking.get('h1')!.join(), /^only what ended before .* was shipped$/);
    assert.equal((await read(all.fleet, { span: { from: at(110), to: at(205) } }, { on: ['h0'] })).result.complete, true);
    const before = await read(all.fleet, { span: { from: at(-10), to: at(50) } }, { on: ['h0'] });
    assert.match(before.result.lacking.get('h0')!.join(), /the record begins at/);
  }));

test('who had an address is known to hosts and copies alike', () =>
  inRecord(async (directory) => {
    await using all = await fleetOf(directory, [
      { host: 'h0', own: [1, 200] },
      { host: 'h1', copy: [1, 150] },
    ]);
    const client = new FleetClient(all.fleet, undefined);
    const asked = (number: number) => ({ address: '0.0.0.1', port: 1, at: T0 + number * SECOND + 1000 });
    const { hosts, complete, notes } = await client.whoHad(asked(10), OPTIONS);
    assert.deepEqual([[...hosts.keys()], complete, notes], [['h0', 'h1'], true, []]);
    const alone = await (await openHistory(join(directory, 'h0'))).whoHad(asked(10));
    const told = (answer: Pick<typeof alone, 'matches'>) =>
      answer.matches.map(({ grade, inside, outside, start, end, evidence }) => [
        grade,
        inside,
        outside,
        start,
        end,
        evidence.sequence,
      ]);
    assert.deepEqual(told(hosts.get('h0')!.answer!), told(alone));
    for (const { answer, matches } of hosts.values())
      assert.deepEqual([matches, answer!.matches[0]!.inside], [1, { address: '10.0.0.3', port: 10 }]);
    // Behind the end of the copy only the host knows.
    const late = await client.whoHad(asked(180), OPTIONS);
    assert.deepEqual([late.hosts.get('h0')!.matches, late.hosts.get('h1')!.complete, late.complete], [1, false, false]);
    await assert.rejects(client.whoHad(asked(180), { ...OPTIONS, strict: true }), { code: 'INCOMPLETE', message: /flows of h1/ });
    await assert.rejects(client.whoHad({ ...asked(1), at: 'yesterday' }, OPTIONS), { code: 'VALUE' });
  }));

test('the record of a host whose clock is off is searched further, and what only that finds is near', () =>
  inRecord(async (directory) => {
    await using _all = await fleetOf(directory, [{ host: 'h0', own: [1, 200] }]);
    // The last flow ended 2 s before.
    const question = { address: '0.0.0.1', port: 1, at: new Date((T0 + 203 * SECOND) / 1000).toISOString() };
    const ask = async (clock: { readonly offset: number; readonly error: number } | null) => {
      const { answer, lines } = await askRecord(join(directory, 'h0'), question, { clock: clock as never, user: 'alice' });
      const { matches } = answer as { readonly matches: readonly { readonly grade: string }[] };
      return [matches.map(({ grade }) => grade), lines.some((line) => /the clock of this host is off by 3\.5 s/.test(line))];
    };
    assert.deepEqual(await ask(null), [[], false]);
    assert.deepEqual(await ask({ offset: 60, error: 2 }), [[], false]);
    for (const offset of [3500, -3500]) {
      const [grades, told] = await ask({ offset, error: 2 });
      assert.deepEqual([new Set(grades as string[]), told], [new Set(['near']), true]);
    }
  }));

test('flows are the same behind the way from a host as on it', () =>
  inRecord(async (directory) => {
    const random = new Random(20_261_202);
    const rows = Array.from({ length: 700 }, () => randomRow(random, T0));
    writeRecord(driver, directory, [
      { rows, open: rows.slice(0, 50).map(asOpen), opened: T0 - 1000 * SECOND, alive: T0, namespaces: { 1: 'blue', 2: 'red' } },
    ]);
    const history = await openHistory(directory);
    const sent: SentRow[] = [];
    const here: string[][] = PAST_LINES.map(() => []);
    const makers = () => PAST_LINES.map((format) => lineMaker(format));
    const own = makers();
    const read = history.read(undefined, {}, () => (found, view) => ({
      end: undefined,
      found,
      lines: own.map((make) => make(found, view).line ?? ''),
    }));
    for await (const some of read)
      for (const { found, lines } of some) {
        for (const [n, line] of lines.entries()) here[n]!.push(line);
        sent.push({ ...found, host: 'fw1', recorder: uuidOf(1) });
      }
    const messages = new RowMessages();
    const there: string[][] = PAST_LINES.map(() => []);
    const others = makers();
    for (const { host: _, recorder: __, ...found } of decodePastRows(encodePastRows(sent)))
      for (const [n, make] of others.entries()) there[n]!.push(make(found, () => messages.of(found.row)).line ?? '');
    assert.equal(sent.length, 750);
    assert.deepEqual(there, here);
    // With the host in front.
    const [first] = decodePastRows(encodePastRows(sent.slice(0, 1)));
    const lines = PAST_LINES.map((format) => lineMaker(format)(first!, () => messages.of(first!.row)).line);
    assert.ok(lines[0]!.startsWith(`host=fw1 `) && lines[0]!.endsWith(here[0]![0]!.replace(/^netns=\S+ /, '')));
    assert.deepEqual(JSON.parse(lines[1]!), { host: 'fw1', recorder: uuidOf(1), ...JSON.parse(here[1]![0]!) });
    assert.equal(lines[2], `fw1,${here[2]![0]}`);
    assert.equal(CSV_HEADER.split(',').length, here[2]![0]!.split(',').length);
  }));

test('bodies that are none are refused', () => {
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const fine = { v: 1, n: 0, places: [], place: [], netns: [], ns: [], seq: [], seen: [], cols: {} };
  assert.deepEqual(decodePastRows(text(fine)), []);
  const one = {
    ...fine,
    n: 1,
    places: [['fw1', uuidOf(1), 's']],
    place: [0],
    ns: [null],
    seq: [1],
    seen: [null],
    cols: { start: 1, dur: 1, src: 1 },
  };
  assert.equal(decodePastRows(text(one)).length, 1);
  for (const wrong of [
    null,
    [],
    { ...fine, v: 2 },
    { ...fine, n: 1001 },
    { ...fine, n: 1 },
    { ...one, place: [1] },
    { ...one, place: [-1] },
    { ...one, ns: [0] },
    { ...one, seq: [null] },
    { ...one, places: [['FW1', uuidOf(1), 's']] },
    { ...one, places: [['fw1', 'x', 's']] },
    { ...one, cols: { start: 1, dur: 1 } },
    { ...one, cols: { start: 1, src: 1 } },
    { ...one, cols: [] },
  ])
    assert.throws(() => decodePastRows(text(wrong)), { code: 'ENCODING' }, JSON.stringify(wrong));
  assert.throws(() => decodePastRows(Uint8Array.of(255)), { code: 'ENCODING' });
});

test('a host whose disk was put back is asked for what was recorded since under another name', () => {
  const record = (more: Partial<KnownRecord>): KnownRecord => ({
    host: 'h',
    recorder: uuidOf(1),
    from: 0,
    to: 1000,
    live: false,
    openFrom: null,
    numbers: [],
    gaps: [],
    ...more,
  });
  const own = record({ live: true, numbers: [[1, Number.MAX_SAFE_INTEGER]] });
  const copies = [
    record({ numbers: [[1, 1000]] }),
    record({ recorder: `${uuidOf(1)}.2`, numbers: [[801, 900]], from: 800, to: 900 }),
    record({ recorder: uuidOf(2), numbers: [[1, 5000]] }),
  ];
  assert.deepEqual(planHost(own, copies, undefined, 'flows'), { asks: true, except: [[1, 900]], why: [] });
});

test('streams are merged at the pace of the slowest, and hold two parts of each', async () => {
  const at = (end: number): SentRow => ({ row: { start: end, dur: 0 }, open: false, host: 'h' }) as unknown as SentRow;
  const taken: number[] = [];
  const streams = new PastStreams(
    false,
    ({ row }) => taken.push(row['start'] as number) < 8,
    async () => {},
  );
  const asked = { a: 0, b: 0 };
  streams.add('a', () => asked.a++);
  streams.add('b', () => asked.b++);
  await streams.give('a', [at(1), at(3), at(5)]);
  assert.deepEqual([taken, streams.wants('a'), streams.wants('b')], [[], true, true]);
  await streams.give('a', [at(6)]);
  assert.equal(streams.wants('a'), false);
  await streams.give('b', [at(2), at(4)]);
  assert.deepEqual([taken, asked, streams.wants('b')], [[1, 2, 3, 4], { a: 1, b: 1 }, true]);
  await streams.end('b');
  assert.deepEqual(taken, [1, 2, 3, 4, 5, 6]);
  await streams.give('a', [at(7), at(8), at(9)]);
  assert.deepEqual([taken, streams.full], [[1, 2, 3, 4, 5, 6, 7, 8], true]);
});
