// What records of a fleet cost, for `npm run bench:fleet`: packing and publishing them to three servers that all keep them, one message at a
// time, as an agent does; reading them into a copy, as a collector does; and reading that copy as a shipper does. Each begins with records
// for which Node.js compiles what it runs: they are told apart.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const RECORDER = '01234567-89ab-cdef-0123-456789abcdef';
const HOST = 'h00000';
/** Records in a message: of an agent that keeps up, and of one that was cut off. */
const ENOUGH = 500;
const MOST = 4000;
/** Records in all, and before what has a budget. */
const ROWS = 300_000;
const WARM_UP = 100_000;
const BEGUN = 1_764_000_000_000_000;

/** @param built where every file of the sources is for itself; `children` are ended by the caller */
export async function benchRecords({ work, children, report, built }) {
  const { connectBus } = await import(`${built}/fleet/nats.js`);
  const { prepareServers } = await import(`${built}/fleet/streams.js`);
  const { RECORD_STREAM } = await import(`${built}/fleet/subjects.js`);
  const server = await startServers(work, children);
  const bus = await connectBus({ servers: server, name: HOST, tls: false, patient: true });
  for (let tries = 0; ; tries++)
    try {
      await prepareServers(bus, 3, 2 ** 30);
      break;
    } catch (error) {
      // They look for a leader.
      if (tries === 30) throw error;
      await sleep(1000);
    }
  await publish(bus, built, report);
  const { last } = await bus.streamState(RECORD_STREAM);
  const messages = ROWS / ENOUGH;
  if (last !== messages) throw new Error(`${last} messages of ${messages}`);
  const copy = await collect(bus, work, built, report);
  await catchUp(bus, built, report);
  await bus.close();
  await readToShip(copy, built, report);
}

/** Three on loopback. @returns their addresses */
async function startServers(work, children) {
  const ports = [4232, 4242, 4252];
  for (const port of ports) {
    const routes = ports.filter((other) => other !== port).map((other) => `"nats://127.0.0.1:${other + 2000}"`);
    writeFileSync(
      `${work}/n${port}.conf`,
      `server_name: n${port}\nlisten: "127.0.0.1:${port}"\njetstream { store_dir: "${work}/n${port}" }\n` +
        `cluster { name: bench, listen: "127.0.0.1:${port + 2000}", routes: [${routes}] }\n`,
    );
    children.push(spawn('nats-server', ['-c', `${work}/n${port}.conf`], { stdio: 'ignore' }));
  }
  await sleep(2000);
  return ports.map((port) => `nats://127.0.0.1:${port}`);
}

async function publish(bus, built, report) {
  const append = await appender(bus, built);
  const first = await append(1, WARM_UP, ENOUGH);
  const later = await append(WARM_UP + 1, ROWS, ENOUGH);
  report('publish, three servers, one in flight: time a record', later.took, 'us', 5);
  report('publish: processor of the agent a record', later.used, 'us', 2.5);
  report('publish: the same of the first 100,000 records', first.used, 'us');
  report('publish: bytes a record', later.bytes, 'B', 36);
}

/** The same in large messages, once nobody collects any more. */
async function catchUp(bus, built, report) {
  const append = await appender(bus, built);
  const { took, used } = await append(ROWS + 1, ROWS + WARM_UP, MOST);
  report('publish, 4,000 records a message: time a record', took, 'us');
  report('publish, 4,000 records a message: processor a record', used, 'us');
}

/** @returns appends the records of some numbers, and says what a record took */
async function appender(bus, built) {
  const { encodeRecords } = await import(`${built}/fleet/jc1.js`);
  const { columnTextsOf } = await import(`${built}/history/column-texts.js`);
  const { packBody } = await import(`${built}/fleet/bodies.js`);
  const { shardOf, subjects } = await import(`${built}/fleet/subjects.js`);
  const subject = subjects.record(shardOf(HOST), 'default', HOST);
  return async (from, to, enough) => {
    let [bytes, took, used] = [0, 0, 0];
    for (let first = from; first <= to; first += enough) {
      // As an agent, it has no more records than those of one message; making them does not count.
      const { head, records } = partFrom(first, enough, columnTextsOf);
      const before = process.cpuUsage();
      const begin = performance.now();
      const { data, headers } = packBody('jc1', encodeRecords(head, records));
      bytes += data.length;
      await bus.append(subject, data, { id: `${RECORDER}:${head.first}`, headers, timeout: 10_000 });
      took += performance.now() - begin;
      const { user, system } = process.cpuUsage(before);
      used += user + system;
    }
    const count = to - from + 1;
    return { bytes: bytes / count, took: (took * 1000) / count, used: used / count };
  };
}

/** @returns the directory of the copy */
async function collect(bus, work, built, report) {
  const { Collector } = await import(`${built}/fleet/collector.js`);
  const { CollectorStore } = await import(`${built}/fleet/collector-store.js`);
  const told = [];
  const tell = (line) => told.push(line);
  const store = new CollectorStore({
    directory: `${work}/collector`,
    version: '0.1.0',
    keep: Number.POSITIVE_INFINITY,
    segmentRows: 2_000_000,
    launcher: ['false'],
    tell,
  });
  const meter = new Meter();
  const collector = await Collector.start({
    bus,
    name: 'bench',
    shards: Array.from({ length: 64 }, (_, n) => n),
    store,
    bad: `${work}/bad`,
    version: '0.1.0',
    pid: process.pid,
    tell,
  });
  const begin = performance.now();
  while (collector.status.rows < ROWS && performance.now() - begin < 120_000) {
    await sleep(20);
    meter.note(collector.status.rows);
  }
  const { rows, missing } = collector.status;
  await collector.stop();
  if (rows !== ROWS || missing > 0) throw new Error(`${rows} records, ${missing} missing: ${told.join('; ')}`);
  const { first, later } = meter;
  report('collector: consume, decode and insert a record', later, 'us', 3.5);
  report('collector: the same of the first 100,000 records', first, 'us');
  return `${work}/collector/${HOST}/${RECORDER}`;
}

/** Reads a record as the shipper of an agent does. */
async function readToShip(directory, built, report) {
  const { BEGINNING, RecordTail } = await import(`${built}/history/record-tail.js`);
  const tail = new RecordTail(directory);
  const meter = new Meter();
  let rows = 0;
  for (let position = BEGINNING, more = true; more; ) {
    const part = tail.read(position, ENOUGH);
    rows += part.records.count;
    ({ position, more } = part);
    meter.note(rows);
  }
  if (rows !== ROWS) throw new Error(`${rows} records were read`);
  report('reading a record to ship it', meter.later, 'us');
  report('reading: the same of the first 100,000 records', meter.first, 'us');
}

/** Processor time of a record: of the first ones, and of those behind them. */
class Meter {
  #begun = process.cpuUsage();
  #warm;
  #all;

  /** @param rows done so far */
  note(rows) {
    const { user, system } = process.cpuUsage(this.#begun);
    this.#all = { rows, used: user + system };
    if (rows >= WARM_UP) this.#warm ??= this.#all;
  }

  get first() {
    return this.#warm.used / this.#warm.rows;
  }

  get later() {
    return (this.#all.used - this.#warm.used) / (this.#all.rows - this.#warm.rows);
  }
}

/** Records from a number on: two thirds IPv4, four fifths TCP, all behind one address. */
function partFrom(first, count, columnTextsOf) {
  const alive = BEGUN + first * 500;
  return {
    head: { recorder: RECORDER, first, since: BEGUN, alive, netns: [], gaps: [], clock: [] },
    records: columnTextsOf(Array.from({ length: count }, (_, i) => recordOf(first + i))),
  };
}

function recordOf(n) {
  const six = n % 3 === 2;
  const udp = n % 5 === 4;
  const random = (below, salt) => ((Math.imul(n + salt, 2_654_435_761) >>> 8) ^ (n >> 3)) % below;
  const address = (last) =>
    six
      ? Uint8Array.from({ length: 16 }, (_, k) => (k < 4 ? [32, 1, 13, 184][k] : k > 12 ? (last >> (8 * (15 - k))) & 255 : 0))
      : last | 0;
  return {
    start: BEGUN + n * 500 + random(300, 1),
    dur: random(120_000_000, 2),
    src: address(0x0a000000 + random(65_536, 3)),
    sport: 32_768 + random(28_000, 4),
    dst: address(0xcb007100 + random(1000, 5)),
    dport: udp ? 53 : [443, 80, 22, 8080][n & 3],
    ext: address(0xc6336401),
    eport: 1024 + random(60_000, 6),
    proto: udp ? 17 : 6,
    status: udp ? 14 : 142,
    state: udp ? null : 7,
    opk: 1 + random(100, 7),
    ob: 60 + random(100_000, 8),
    rpk: random(100, 9),
    rb: random(1_000_000, 10),
    end_reason: 5,
    how: 0,
  };
}
