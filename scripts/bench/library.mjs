// The cost of the library: iterating over all flows as objects, and over three members of each, compared with the reference's -L; the
// longest turn of the event loop while they are listed, watched and created; and how long the event loop waits with a table of a million
// flows.
//
//   node scripts/bench/library.mjs [--flows 200000] [--large 1000000] [--pairs 11] [--json FILE]
//
// Runs itself in a network namespace of its own. Exit status 1 when a limit is missed.

import '../help.mjs';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import koffi from 'koffi';
import { ensureBuilt, root } from '../fresh.mjs';
import { median, time } from './pairs.mjs';
import { load, REFERENCE, waitForQuietTable, writeFlows } from './table.mjs';

const CLOCK_THREAD_CPUTIME_ID = 3;
const clock = koffi.load(null).func('int clock_gettime(int clock, _Out_ int64_t *time)');
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';
/** Our time for all flows as objects, against the reference's -L >/dev/null. */
const OBJECTS_LIMIT = 1.0;
/** How many milliseconds late 99 of 100 turns of the event loop may be. */
const DELAY_LIMIT = 15;
/** Milliseconds that the longest turn of the event loop may take, in the median of some runs. */
const LONGEST_LIMITS = { 'list()': 20, 'watch()': 30, 'createMany()': 30 };
const LONGEST_RUNS = 7;

const { values } = parseArgs({
  options: {
    flows: { type: 'string', default: '200000' },
    large: { type: 'string', default: '1000000' },
    pairs: { type: 'string', default: '11' },
    json: { type: 'string' },
    inside: { type: 'boolean', default: false },
  },
});

if (values.inside) await inside();
else outside();

function outside() {
  ensureBuilt();
  const before = readFileSync(MAX, 'utf8');
  const needed = Math.ceil(Math.max(Number(values.flows), Number(values.large)) * 1.1);
  if (Number(before) < needed) writeFileSync(MAX, `${needed}`);
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...env } = process.env;
  const args = ['--net', process.execPath, fileURLToPath(import.meta.url), '--inside', ...process.argv.slice(2)];
  try {
    const { status, signal } = spawnSync('unshare', args, { stdio: 'inherit', env });
    if (signal) console.error(`the measurement was ended by ${signal}`);
    process.exitCode = status ?? 1;
  } finally {
    if (Number(before) < needed) writeFileSync(MAX, before);
  }
}

async function inside() {
  const { Conntrack } = await import(`${root}/dist/index.js`);
  spawnSync('ip', ['link', 'set', 'lo', 'up']);
  const work = mkdtempSync(`${tmpdir()}/conntrack-bench-`);
  try {
    await waitForQuietTable();
    const conntrack = await Conntrack.open();
    const flows = Number(values.flows);
    fill(`${work}/flows`, flows);
    const iterations = await iterate(conntrack, flows);
    const longest = await longestTurns(conntrack, flows);
    const delays = await turns(conntrack, work);
    await conntrack.close();
    if (values.json)
      writeFileSync(values.json, JSON.stringify({ iterations: iterations.cases, longest: longest.cases, delays: delays.cases }));
    const good = [iterations.good, longest.good, delays.good];
    process.exitCode = good.every(Boolean) ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function fill(file, count) {
  writeFlows(file, count);
  load(file);
}

/** Pairs of the reference's list and ours, in turn. */
async function iterate(conntrack, flows) {
  const ways = {
    'all members': () => conntrack.list(),
    'original, state, timeout': () => conntrack.list({}, { fields: ['original', 'state', 'timeout'] }),
    'id, timeout, mark': () => conntrack.list({}, { fields: ['id', 'timeout', 'mark'] }),
  };
  const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  const reference = [];
  for (let pair = -1; pair < Number(values.pairs); pair++) {
    const listed = time(REFERENCE, ['-L']);
    if (pair >= 0) reference.push(listed);
    for (const [name, list] of Object.entries(ways)) {
      const start = performance.now();
      let count = 0;
      for await (const flow of list()) if (flow !== undefined) count++;
      if (count !== flows) throw new Error(`${count} of ${flows} flows were listed`);
      if (pair >= 0) times[name].push(performance.now() - start);
    }
  }
  console.log(`${flows.toLocaleString('en')} flows; reference -L >/dev/null: ${median(reference).toFixed(0)} ms`);
  let good = true;
  const cases = [];
  for (const [name, own] of Object.entries(times)) {
    const ratios = own.map((ms, n) => ms / reference[n]);
    const ratio = median(ratios);
    cases.push({ name, limit: OBJECTS_LIMIT, ratio, ratios, reference: median(reference), ours: median(own) });
    good &&= ratio <= OBJECTS_LIMIT;
    console.log(
      `  ${name.padEnd(28)}${median(own).toFixed(0).padStart(6)} ms   ratio ${ratio.toFixed(2)}, limit ${OBJECTS_LIMIT}`,
    );
  }
  good &&= median(times['id, timeout, mark']) < median(times['all members']);
  return { good, cases };
}

/** The longest turn of the event loop while a table is listed, watched, and created again from the list. */
async function longestTurns(conntrack, flows) {
  const listed = [];
  const ways = {
    'list()': async () => {
      let count = 0;
      for await (const flow of conntrack.list()) if (flow !== undefined) count++;
      return count;
    },
    'watch()': async () => {
      const live = await conntrack.watch();
      const { size } = live;
      await live.close();
      return size;
    },
    'createMany()': async () => (await conntrack.createMany(listed)).created,
  };
  console.log(`the longest turn of the event loop, median of ${LONGEST_RUNS} runs; in brackets the processor time of one`);
  let good = true;
  const cases = [];
  for (const [name, run] of Object.entries(ways)) {
    const turns = [];
    const processor = [];
    if (name === 'createMany()') for await (const flow of conntrack.list()) listed.push(flow);
    for (let n = 0; n < LONGEST_RUNS; n++) {
      if (name === 'createMany()') await conntrack.flush();
      await new Promise((resolve) => setTimeout(resolve, 200));
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      const longestOf = watchProcessorTime();
      const count = await run();
      processor.push(longestOf());
      delay.disable();
      if (count !== flows) throw new Error(`${name}: ${count} of ${flows} flows`);
      turns.push(delay.max / 1e6);
    }
    const limit = LONGEST_LIMITS[name];
    const longest = median(turns);
    good &&= longest <= limit;
    cases.push({ name, limit, longest, turns, processor });
    const all = turns.map((ms, n) => `${ms.toFixed(0)} [${processor[n].toFixed(0)}]`).join(', ');
    console.log(
      `  ${name.padEnd(28)}${longest.toFixed(1).padStart(6)} ms [${median(processor).toFixed(1)}], limit ${limit}   (${all})`,
    );
  }
  return { good, cases };
}

/**
 * Watches how much processor time this thread takes between two timers of a millisecond: what a turn takes on a machine that does
 * nothing else, unless it waits. @returns a function that ends it, with the most that was seen
 */
function watchProcessorTime() {
  const spec = new BigInt64Array(2);
  const used = () => {
    clock(CLOCK_THREAD_CPUTIME_ID, spec);
    return Number(spec[0]) * 1e3 + Number(spec[1]) / 1e6;
  };
  let last = used();
  let most = 0;
  const look = () => {
    const now = used();
    most = Math.max(most, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  return () => {
    look();
    clearInterval(timer);
    return most;
  };
}

/** A web server is asked every few milliseconds while the table is listed, counted by a filter, updated and deleted. */
async function turns(conntrack, work) {
  const large = Number(values.large);
  fill(`${work}/large`, large);
  const server = createServer((_, response) => response.end('here'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const cases = {
    'list(): all members': async () => {
      let bytes = 0;
      for await (const flow of conntrack.list()) bytes += flow.original.src.length;
      return bytes;
    },
    'list() of an address': () => conntrack.list({ original: { src: '198.18.0.7' } }).toArray(),
    'count() of a filter': () => conntrack.count({ state: 'SYN_SENT', protocol: 'tcp' }),
    'update() of a fifth': () => conntrack.update({ protocol: 'udp' }, { mark: 7 }),
    'delete() of a fifth': () => conntrack.delete({ protocol: 'udp' }),
    'flush()': () => conntrack.flush(),
  };
  console.log(`${large.toLocaleString('en')} flows, and a web server in the same program`);
  let good = true;
  const found = [];
  for (const [name, run] of Object.entries(cases)) {
    const answers = [];
    const asking = setInterval(() => {
      const asked = performance.now();
      get({ host: '127.0.0.1', port, agent: false }, (response) => {
        response.resume().on('end', () => answers.push(performance.now() - asked));
      }).on('error', () => {});
    }, 10);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const start = performance.now();
    await run();
    const took = performance.now() - start;
    delay.disable();
    clearInterval(asking);
    const p99 = delay.percentile(99) / 1e6;
    const late = name.startsWith('list(): all');
    if (late) good &&= p99 <= DELAY_LIMIT;
    answers.sort((a, b) => a - b);
    const limit = late ? DELAY_LIMIT : undefined;
    found.push({ name, limit, p99, max: delay.max / 1e6, milliseconds: took, slowestAnswer: answers.at(-1) });
    const slowest = answers.length > 0 ? `${answers.at(-1).toFixed(0)} ms` : 'none asked';
    console.log(
      `  ${name.padEnd(24)}${took.toFixed(0).padStart(7)} ms   event loop late p50 ${(delay.percentile(50) / 1e6).toFixed(1)}, p99 ${p99.toFixed(1)}, max ${(delay.max / 1e6).toFixed(1)} ms${late ? ` (limit ${DELAY_LIMIT})` : ''}; slowest web answer ${slowest}`,
    );
  }
  server.close();
  return { good, cases: found };
}
