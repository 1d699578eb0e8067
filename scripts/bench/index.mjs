// `npm run bench`: how long the command takes, against the reference tool on the same table in the same minute.
//
//   node scripts/bench/index.mjs [--only reading,changing,events] [--flows 200000] [--pairs 11] [--start-pairs 41]
//                                [--patience SECONDS] [--million] [--json FILE]
//
// FLOWS, PAIRS, START_PAIRS and PATIENCE in the environment do the same. A table is loaded into a network namespace of its
// own; reference and command then run in turn, in pairs, and each ratio is the median of the pairs' ratios: what else the machine
// does touches both. Pairs that other processes, or other machines on the same host, disturbed are done again, for up to
// --patience seconds in all. The kernel keeps the entries of all namespaces in one hash table, so nothing is measured until those
// of others are gone. Exit status 1 when a limit is missed.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { requireCommands } from '../tools.mjs';
import { measureChanging } from './changing.mjs';
import { measureEvents } from './events.mjs';
import { measureReading, measureReadingMemory } from './reading.mjs';
import { load, REFERENCE, waitForQuietTable, writeFlows } from './table.mjs';

const SELF = fileURLToPath(import.meta.url);
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';
const MILLION = 1_000_000;
const PARTS = ['reading', 'changing', 'events'];
/** Changing a large table takes long, and so does watching at a fixed rate. */
const FEWER_PAIRS = 5;

// Reading a bundle of certificates would add the same large time to everything that is Node.js.
delete process.env.NODE_EXTRA_CA_CERTS;
delete process.env.NODE_OPTIONS;

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
    'memory-only': { type: 'boolean', default: false },
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
  requireCommands([...(REFERENCE === 'conntrack' ? ['conntrack'] : []), 'unshare']);
  ensureBuilt();
  const busy = loadavg()[0];
  if (busy > 0.7)
    console.error(
      `this machine is busy (load ${busy.toFixed(1)}, ${cpus().length} CPUs): times and ratios will be worse than they are`,
    );
  const sizes = options.million ? [flows, MILLION] : [flows];
  const restore = raiseMaximum(Math.max(...sizes));
  const work = mkdtempSync(`${tmpdir()}/conntrack-bench-`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (interrupted = true));
  let result;
  try {
    result = await runInside(work, ['--flows', `${flows}`]);
    if (options.million && !interrupted) {
      const large = await runInside(work, ['--flows', `${MILLION}`, '--memory-only']);
      result.memory.push(...large.memory);
    }
    result.garbage = parts.includes('reading') ? collectGarbage() : [];
  } finally {
    restore();
    rmSync(work, { recursive: true, force: true });
  }
  if (interrupted) process.exit(130);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
  judge(result);
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

function collectGarbage() {
  console.error('garbage collections');
  const child = spawnSync(process.execPath, [`${root}/scripts/bench/gc.mjs`, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === '') throw new Error('gc.mjs gave no result');
  return JSON.parse(child.stdout);
}

/** Prints the tables and ends with status 1 when a limit was missed. */
function judge({ environment, cases, updates, eventCases, kernelOnly, memory, garbage }) {
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
    `\n${'case'.padEnd(24)}${'reference ms'.padStart(13)} ${'(CPU)'.padStart(7)}${'ours ms'.padStart(9)} ${'(CPU)'.padStart(7)}${'ratio'.padStart(8)}${'limit'.padStart(7)}`,
  );
  const ms = (value) => value.toFixed(1).padStart(9);
  for (const c of cases) {
    const who = (t) => `${ms(t.median)} ${`(${Math.round(t.cpu)})`.padStart(7)}`;
    const figures = `    ${who(c.reference)}${who(c.ours)}${c.ratio.toFixed(2).padStart(8)}${`${c.limit}`.padStart(7)}`;
    const note = c.disturbed > 0 ? `  (${c.disturbed} disturbed pairs left out)` : '';
    console.log(`${c.name.padEnd(24)}${figures}  ${verdict(c.name, c.ratio <= c.limit)}${note}`);
  }
  if (updates) console.log(`\n${updates.name}: ${updates.median.toFixed(1)} ms; the reference cannot update on this kernel`);
  for (const c of eventCases) {
    const figures = `${c.reference.median.toFixed(2)}, ours ${c.ours.median.toFixed(2)}, ratio ${c.ratio.toFixed(2)}, limit ${c.limit}`;
    console.log(`\n${c.name}, ${c.unit}: reference ${figures}  ${verdict(c.name, c.ratio <= c.limit)}`);
  }
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
  if (garbage.length > 0) console.log('\ngarbage collections in 200,000 entries, limit 0');
  for (const g of garbage) {
    const figures = `${`${Math.round(g.nanosecondsPerEntry)} ns`.padStart(8)} an entry  ${g.collections}`;
    console.log(`  ${g.name.padEnd(38)}${figures}  ${verdict(`garbage in ${g.name}`, g.collections === 0)}`);
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
    const file = `${work}/flows`;
    console.error(`loading ${flows.toLocaleString('en')} flows`);
    writeFlows(file, flows);
    writeFileSync(target, JSON.stringify(await measure(work, file)));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A part that cannot be measured leaves the others what they are. */
function tell(error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function measure(work, file) {
  if (options['memory-only']) {
    load(file);
    return { memory: measureReadingMemory(work, flows) };
  }
  const patience = (Number(options.patience) * 1000) / parts.length;
  const few = Math.min(pairs, FEWER_PAIRS);
  const reading = parts.includes('reading')
    ? measureReading({ work, file, flows, pairs, startPairs: Number(options['start-pairs']), patience })
    : undefined;
  const changing = parts.includes('changing') ? measureChanging({ work, file, flows, pairs: few, patience }) : undefined;
  const events = parts.includes('events') ? await measureEvents({ pairs: few }).catch(tell) : undefined;
  return {
    flows,
    pairs,
    environment: {
      date: new Date().toISOString(),
      kernel: release(),
      node: process.versions.node,
      reference: spawnSync(REFERENCE, ['-V'], { encoding: 'utf8' }).stdout.trim(),
      cpu: cpus()[0]?.model,
      cpus: cpus().length,
      load: loadavg(),
    },
    cases: [...(reading?.cases ?? []), ...(changing?.cases ?? [])],
    updates: changing?.updates,
    eventCases: events ? [events] : [],
    kernelOnly: reading?.kernelOnly,
    memory: [...(reading?.memory ?? []), ...(changing?.memory ?? [])],
  };
}

if (options.inside) await inside(options.inside);
else await outside();
