// `npm run bench:churn`: two streams of events and a live view while flows come and go, for ten minutes in a private network namespace.
// It checks that memory stays flat, and that the view equals the table whenever nothing happens.
//
//   unshare --net node scripts/bench/churn.mjs [--seconds 600] [--points 20] [--rate 20000]
//
// --rate is events per second. Prints a line for each quiet point and one of JSON at the end. Exits with 1 if the view differed from the
// table, or if the second half took more than a tenth more memory than the first.

import '../help.mjs';
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Conntrack, flowKey } from '../../dist/index.js';

/** Flows that are created and deleted again at once; each causes two events. */
const ROUND = 500;
/** Flows that stay, so that the table is not empty at a quiet point. */
const LASTING = 5000;

const flow = (n) => ({
  protocol: 'udp',
  timeout: 3600,
  original: {
    src: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`,
    dst: '198.51.100.1',
    sport: 1000 + (n % 60_000),
    dport: 53,
  },
});

if (process.argv[2] === 'load') await load(Number(process.argv[3]));
else await watch();

/** Makes and deletes flows until told to stop; each round leaves one more flow and takes one away. */
async function load(rate) {
  const conntrack = await Conntrack.open();
  let running = false;
  let n = 0;
  process.on('message', (word) => {
    running = word === 'go';
    if (word === 'end') process.exit(0);
  });
  await conntrack.createMany(Array.from({ length: LASTING }, (_, i) => flow(i)));
  process.send('ready');
  for (;;) {
    const began = performance.now();
    if (running) {
      const flows = Array.from({ length: ROUND }, () => flow(LASTING + (n++ % 3_000_000)));
      await conntrack.createMany(flows);
      await conntrack.updateMany(flows.slice(0, ROUND / 10), { mark: n & 0xffff });
      await conntrack.deleteMany(flows);
    } else process.send('quiet');
    const due = began + (running ? (ROUND * 2.1 * 1000) / rate : 20);
    await sleep(Math.max(1, due - performance.now()));
  }
}

async function watch() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '600' },
      points: { type: 'string', default: '20' },
      rate: { type: 'string', default: '20000' },
    },
  });
  const [seconds, points] = [Number(values.seconds), Number(values.points)];
  writeFileSync('/proc/sys/net/netfilter/nf_conntrack_events', '1');
  const conntrack = await Conntrack.open();
  const view = await conntrack.watch();
  const counts = [0, 0];
  const streams = [conntrack.events(), conntrack.events({ protocol: 'udp' }, { resync: true })];
  const reading = streams.map(async (stream, i) => {
    for await (const _ of stream) counts[i]++;
  });
  const child = fork(new URL(import.meta.url), ['load', values.rate]);
  const told = (word) => new Promise((resolve) => child.on('message', (it) => it === word && resolve()));
  await told('ready');

  const rows = [];
  for (let point = 1; point <= points; point++) {
    child.send('go');
    await sleep((seconds * 1000) / points);
    child.send('stop');
    await told('quiet');
    child.removeAllListeners('message');
    const wrong = await difference(conntrack, view);
    const row = {
      point,
      events: counts[0],
      lost: view.lost,
      flows: view.size,
      viewBytes: view.bytes,
      rss: process.memoryUsage.rss(),
      wrong,
    };
    rows.push(row);
    console.log(
      `${point}: ${row.events} events, ${row.lost} lost and made up for, ${row.flows} flows, view ${mib(row.viewBytes)}, process ${mib(row.rss)}, ` +
        (wrong === 0 ? 'the view is the table' : `${wrong} flows differ`),
    );
  }
  child.send('end');
  for (const stream of streams) stream.close();
  await Promise.all(reading);
  view.close();
  await conntrack.close();

  const half = (of) => of.reduce((sum, { rss }) => sum + rss, 0) / of.length;
  const [first, second] = [rows.slice(0, points >> 1), rows.slice(points >> 1)].map(half);
  const result = {
    seconds,
    eventsASecond: Math.round(rows.at(-1).events / seconds),
    growth: second / first,
    wrong: rows.filter((row) => row.wrong > 0).length,
  };
  console.log(JSON.stringify(result));
  if (result.wrong > 0 || result.growth > 1.1) process.exitCode = 1;
}

/** Flows that are in the table or in the view, but not in both. Events get ten seconds to arrive. */
async function difference(conntrack, view) {
  let wrong;
  for (const end = Date.now() + 10_000; ; await sleep(100)) {
    const table = new Set((await conntrack.list({}, { fields: ['original', 'zone', 'protocol', 'mark'] }).toArray()).map(named));
    const seen = [...view].map(named);
    wrong = seen.filter((key) => !table.delete(key)).length + table.size;
    if (wrong === 0 || Date.now() > end) return wrong;
  }
}

function named(it) {
  return `${flowKey({ protocol: it.protocol, original: it.original, ...(it.zone === undefined ? {} : { zone: it.zone }) })} mark=${it.mark}`;
}

function mib(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
