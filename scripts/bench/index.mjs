// `npm run bench`: how long the command takes, compared with the reference tool on the same table in the same minute.
//
//   node scripts/bench/index.mjs [--only reading,changing,events,exe,shapes,growth,library,counts] [--flows 200000]
//                                [--pairs 11] [--start-pairs 41] [--patience SECONDS] [--million] [--json FILE]
//   node scripts/bench/index.mjs --count: counts allocations instead of time (count.mjs, with its options)
//
// FLOWS, PAIRS, START_PAIRS and PATIENCE in the environment do the same. A table is loaded into a private network namespace. Reference
// and command then run in turn, in pairs, so that other load affects both, and each ratio is the median of the pairs' ratios. Pairs that
// other processes, or other machines on the same host, disturbed are repeated, for up to --patience seconds in all. The kernel keeps the
// entries of all namespaces in one hash table, so measuring starts only when those of others are gone. Exit status 1 if a limit is
// exceeded.

import '../help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { requireCommands } from '../tools.mjs';
import { measureChanging } from './changing.mjs';
import { measureBurst, measureEvents } from './events.mjs';
import { buildExecutable, measureExecutable } from './executable.mjs';
import { measureList, measureReading, measureReadingMemory } from './reading.mjs';
import { measureShapes } from './shapes.mjs';
import { load, REFERENCE, waitForQuietTable, writeFlows } from './table.mjs';

const SELF = fileURLToPath(import.meta.url);
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';
const MILLION = 1_000_000;
/** Those that need the table of `--flows`, and those that have their own. */
const TABLE_PARTS = ['reading', 'changing', 'events'];
const PARTS = [...TABLE_PARTS, 'exe', 'shapes', 'growth', 'library', 'counts'];
/** How much more than in proportion a list may take from the first size to the second. */
const GROWTH = { from: 100_000, to: MILLION, limit: 1.1 };
/** Changing a large table takes long, and so does watching at a fixed rate. */
const FEWER_PAIRS = 5;

// Reading a bundle of certificates would add the same large time to every start of Node.js.
delete process.env.NODE_EXTRA_CA_CERTS;
delete process.env.NODE_OPTIONS;

if (process.argv[2] === '--count') {
  const { status } = spawnSync(process.execPath, [`${root}/scripts/bench/count.mjs`, ...process.argv.slice(3)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    flows: { type: 'string', default: process.env.FLOWS ?? '200000' },
    pairs: { type: 'string', default: process.env.PAIRS ?? '11' },
    'start-pairs': { type: 'string', default: process.env.START_PAIRS ?? '41' },
    million: { type: 'boolean', default: false },
    patience: { type: 'string', default: process.env.PATIENCE ?? '120' },
    json: { type: 'string' },
    inside: { type: 'string' },
    measure: { type: 'string', default: 'all' },
  },
});
const flows = Number(options.flows);
const pairs = Number(options.pairs);
const parts = options.only.split(',');

// --- Outside: prepares the machine, starts one run in a namespace of its own per table, judges ------------------------------

async function outside() {
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) {
    console.error(`unknown part "${unknown}": some of ${PARTS.join(', ')}`);
    process.exit(2);
  }
  requireCommands([...(REFERENCE === 'conntrack' ? ['conntrack'] : []), 'unshare', 'nsenter', 'taskset']);
  ensureBuilt();
  const busy = loadavg()[0];
  if (busy > 0.7)
    console.error(
      `this machine is busy (load ${busy.toFixed(1)}, ${cpus().length} CPUs): times and ratios will be worse than they are`,
    );
  const sizes = options.million || parts.includes('growth') ? [flows, MILLION] : [flows];
  const restore = raiseMaximum(Math.max(...sizes));
  const work = mkdtempSync(`${tmpdir()}/conntrack-bench-`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (interrupted = true));
  let result;
  try {
    result = { environment: environment(), cases: [], eventCases: [], memory: [], growth: [], ...(await measureTable(work)) };
    if (options.million && !interrupted) {
      const large = await runInside(work, ['--flows', `${MILLION}`, '--measure', 'memory']);
      result.memory.push(...large.memory);
    }
    if (parts.includes('exe') && !interrupted) result.cases.push(...(await measureExecutableTable(work)));
    // Behind `exe`, which builds the executable.
    if (parts.includes('shapes') && !interrupted) result.cases.push(...(await measureShapeTables(work)));
    if (parts.includes('growth') && !interrupted) result.growth = [await measureGrowth(work)];
    if (parts.includes('library') && !interrupted) result.library = measureLibrary(work);
    if (parts.includes('counts') && !interrupted) result.counts = countAllocations();
  } finally {
    restore();
    rmSync(work, { recursive: true, force: true });
  }
  if (interrupted) process.exit(130);
  result.ratios = ratiosOf(result);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
  judge(result);
}

function environment() {
  return {
    date: new Date().toISOString(),
    kernel: release(),
    node: process.versions.node,
    reference: spawnSync(REFERENCE, ['-V'], { encoding: 'utf8' }).stdout.trim(),
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    load: loadavg(),
  };
}

async function measureTable(work) {
  return parts.some((part) => TABLE_PARTS.includes(part)) ? runInside(work, ['--flows', `${flows}`]) : {};
}

async function measureExecutableTable(work) {
  buildExecutable();
  return (await runInside(work, ['--flows', `${flows}`, '--measure', 'executable'])).cases;
}

async function measureShapeTables(work) {
  return (await runInside(work, ['--flows', `${flows}`, '--measure', 'shapes'])).cases;
}

/** Two tables, one after the other, each in a namespace of its own. */
async function measureGrowth(work) {
  const times = [];
  for (const size of [GROWTH.from, GROWTH.to]) times.push(await runInside(work, ['--flows', `${size}`, '--measure', 'list']));
  const [small, large] = times.map(({ list }) => list);
  const ratio = large.median / small.median / (GROWTH.to / GROWTH.from);
  return {
    name: `-L, ${GROWTH.from.toLocaleString('en')} to ${GROWTH.to.toLocaleString('en')}`,
    limit: GROWTH.limit,
    ratio,
    small,
    large,
  };
}

function measureLibrary(work) {
  console.error('library');
  const file = `${work}/library.json`;
  const args = [`${root}/scripts/bench/library.mjs`, '--json', file, '--flows', `${flows}`, '--pairs', `${pairs}`];
  const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (!existsSync(file)) throw new Error(`the library could not be measured: ${stderr}`);
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Every ratio that has a limit, and the delays of the event loop, which have one in milliseconds: the rows of one table. */
function ratiosOf({ cases, eventCases, growth, library }) {
  const row = (unit, { name, ratio, limit, reference, ours: own }) => ({
    name,
    unit,
    reference: reference?.median ?? reference,
    ours: own?.median ?? own,
    ratio,
    limit,
    kept: ratio <= limit,
  });
  return [
    ...cases.flatMap((c) => [
      row('ms', c),
      ...(c.aim === undefined ? [] : [row('ms', { ...c, name: `${c.name} (aim)`, limit: c.aim })]),
    ]),
    ...eventCases.map((c) => row(c.unit, c)),
    ...growth.map(({ small, large, ...c }) => row('ms', { ...c, reference: small, ours: large })),
    ...(library?.iterations ?? []).map((c) => row('ms', { ...c, name: `library: ${c.name}` })),
    ...(library?.longest ?? []).map(({ name, longest, limit }) => ({
      name: `longest turn: ${name}`,
      unit: 'ms',
      ours: longest,
      limit,
      kept: longest <= limit,
    })),
    ...(library?.delays ?? [])
      .filter(({ limit }) => limit !== undefined)
      .map(({ name, p99, limit }) => ({ name: `event loop p99: ${name}`, unit: 'ms', ours: p99, limit, kept: p99 <= limit })),
  ];
}

let interrupted = false;

/** Makes room for the entries; the limit counts for each namespace, and only the first may change it. @returns what undoes it */
function raiseMaximum(wanted) {
  const before = Number(readFileSync(MAX, 'utf8'));
  const needed = Math.ceil(wanted * 1.1);
  if (before >= needed) return () => {};
  try {
    writeFileSync(MAX, `${needed}`);
  } catch (error) {
    console.error(
      `${wanted} entries need net.netfilter.nf_conntrack_max=${needed}, it is ${before} (${error.code}): run this as root`,
    );
    process.exit(1);
  }
  return () => writeFileSync(MAX, `${before}`);
}

async function runInside(work, args) {
  const file = `${work}/result.json`;
  const user = process.getuid() === 0 ? [] : ['--user', '--map-root-user'];
  const own = ['--inside', file, '--only', options.only, '--pairs', `${pairs}`];
  const more = ['--start-pairs', options['start-pairs'], '--patience', options.patience];
  const child = spawn('unshare', [...user, '--net', process.execPath, SELF, ...own, ...more, ...args], { stdio: 'inherit' });
  const [status] = await once(child, 'exit');
  if (status !== 0 && !existsSync(file)) {
    if (!interrupted) console.error('the measurement failed');
    throw Object.assign(new Error('no result'), { status });
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

function countAllocations() {
  console.error('allocations and collections');
  const child = spawnSync(process.execPath, [`${root}/scripts/bench/count.mjs`, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === '') throw new Error('count.mjs gave no result');
  return JSON.parse(child.stdout);
}

/** Prints the tables and ends with status 1 when a limit was missed. */
function judge({ environment, cases, ratios, updates, kernelOnly, memory, counts }) {
  const missed = [];
  const verdict = (name, good) => {
    if (!good) missed.push(name);
    return good ? 'pass' : 'MISSED';
  };
  const { reference, node, kernel } = environment;
  console.log(
    `\n${flows.toLocaleString('en')} flows, ${pairs} pairs; ${reference}; Node.js ${node}; Linux ${kernel}; ${environment.cpus} CPUs`,
  );
  console.log(
    `\n${'case'.padEnd(46)}${'reference'.padStart(11)}${'ours'.padStart(11)}${'ratio'.padStart(8)}${'limit'.padStart(7)}`,
  );
  for (const { name, unit, reference: theirs, ours: own, ratio, limit, kept } of ratios) {
    const number = (value, digits) => (value === undefined ? '' : value.toFixed(digits));
    const figures = `${number(theirs, 1).padStart(11)}${number(own, 1).padStart(11)}${number(ratio, 2).padStart(8)}${`${limit}`.padStart(7)}`;
    const disturbed = cases.find((c) => c.name === name)?.disturbed ?? 0;
    const note = `${unit === 'ms' ? '' : `  (${unit})`}${disturbed > 0 ? `  (${disturbed} disturbed pairs left out)` : ''}`;
    console.log(`${name.padEnd(46)}${figures}  ${verdict(name, kept)}${note}`);
  }
  if (updates) console.log(`\n${updates.name}: ${updates.median.toFixed(1)} ms; the reference cannot update on this kernel`);
  if (kernelOnly)
    console.log(
      `\nkernel only (a dump that discards everything): ${kernelOnly.dump.median.toFixed(1)} ms, as a process ${kernelOnly.process.median.toFixed(1)} ms`,
    );
  if (memory.length > 0) console.log('\npeak memory');
  for (const m of memory) {
    const name = `${m.name}, ${m.flows.toLocaleString('en')} flows`;
    const good = verdict(`memory of ${name}`, m.megabytes <= m.limit);
    console.log(`  ${name.padEnd(38)}${m.megabytes.toFixed(1).padStart(7)} MB, limit ${m.limit}  ${good}`);
  }
  if (counts) console.log('\nallocated an entry, and collections in 100,000 entries');
  for (const { name, bytes, collections, limit, exceeded } of counts ?? []) {
    const figures = `${bytes.toFixed(1).padStart(8)} bytes, limit ${limit.bytes}; ${collections}`;
    console.log(`  ${name.padEnd(38)}${figures}  ${verdict(`allocations of ${name}`, exceeded.length === 0)}`);
  }
  if (missed.length > 0) {
    console.error(`\nmissed: ${missed.join('; ')}`);
    process.exitCode = 1;
  } else console.log('\nevery limit is kept');
}

// --- Inside the namespace ---------------------------------------------------------------------------------------------------

async function inside(target) {
  const work = mkdtempSync(`${tmpdir()}/conntrack-bench-`);
  try {
    await waitForQuietTable();
    writeFileSync(target, JSON.stringify(await measure(work, `${work}/flows`)));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A part that cannot be measured does not affect the others. */
function tell(error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function measure(work, file) {
  const patience = (Number(options.patience) * 1000) / parts.length;
  if (options.measure === 'shapes') return { cases: await measureShapes({ file, flows, pairs, patience }) };
  console.error(`loading ${flows.toLocaleString('en')} flows`);
  writeFlows(file, flows);
  if (options.measure === 'memory') {
    load(file);
    return { memory: measureReadingMemory(work, flows) };
  }
  if (options.measure === 'list') return { list: measureList(file) };
  const startPairs = Number(options['start-pairs']);
  if (options.measure === 'executable') return { cases: measureExecutable({ file, pairs, startPairs, patience }) };
  const few = Math.min(pairs, FEWER_PAIRS);
  const reading = parts.includes('reading') ? measureReading({ work, file, flows, pairs, startPairs, patience }) : undefined;
  const changing = parts.includes('changing') ? measureChanging({ work, file, flows, pairs: few, patience }) : undefined;
  const events = parts.includes('events') ? await measureEvents({ pairs: few }).catch(tell) : undefined;
  const burst = parts.includes('events') ? await measureBurst().catch(tell) : undefined;
  return {
    flows,
    pairs,
    cases: [...(reading?.cases ?? []), ...(changing?.cases ?? [])],
    updates: changing?.updates,
    eventCases: [...(events ?? []), ...(burst ? [burst] : [])],
    kernelOnly: reading?.kernelOnly,
    memory: [...(reading?.memory ?? []), ...(changing?.memory ?? [])],
  };
}

if (options.inside) await inside(options.inside);
else await outside();
