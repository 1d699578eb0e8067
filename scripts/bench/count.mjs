// `npm run bench:count`: the gate that needs no clock. For each code path that every entry, line or event takes (counted-paths.mjs):
// bytes allocated on the JavaScript heap per entry, garbage collections in 100,000 entries, and, if the machine has a counter,
// instructions per entry. Exit status 1 if one exceeds its limit.
//
//   node scripts/bench/count.mjs [--json] [--instructions] [--only "PATH;…"] [--inject PATH]
//
// --inject makes that path allocate a small array for each entry, to show that the gate closes.
//
// Bytes are reproducible to within 6 per entry, depending on the compiler's choices; the limits leave room for that. Instructions repeat
// to within 5 % on one version of Node.js; their limits are a third above what Node.js 20 needs on x64, and are judged with
// --instructions only.

import '../help.mjs';
import { spawnSync } from 'node:child_process';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt } from '../fresh.mjs';

/** In a heap whose young generation is so small (1 MiB) that eleven bytes an entry would already wake the collector. */
const COLLECTED = { entries: 100_000, semiSpace: 1, warm: 1, tries: 3 };
/** In one so large that nothing is collected meanwhile: the memory in use grows by what was allocated. */
const ALLOCATED = { entries: 10_000, semiSpace: 256, warm: 8, tries: 2 };
const MORE_PASSES = 8;
/** Less than any object has. A number above 2^31 is one of 16 bytes where the compiler has not inlined it, in a few of the entries. */
const NOTHING = 8;

/** Largest bytes an entry, collections in 100,000 entries (any number where entries become objects), instructions an entry. */
const LIMITS = {
  decode: { bytes: NOTHING, collections: 0, instructions: 1500 },
  'filter by address, port, mark': { bytes: NOTHING, collections: 0, instructions: 1500 },
  text: { bytes: NOTHING, collections: 0, instructions: 8900 },
  'text, extended,id,labels': { bytes: NOTHING, collections: 0, instructions: 9700 },
  save: { bytes: NOTHING, collections: 0, instructions: 7500 },
  'save,full': { bytes: NOTHING, collections: 0, instructions: 9900 },
  xml: { bytes: NOTHING, collections: 0, instructions: 12_500 },
  ndjson: { bytes: NOTHING, collections: 0, instructions: 12_600 },
  // The size of a name depends on its length.
  'names, text': { bytes: NOTHING, collections: 0, instructions: Number.POSITIVE_INFINITY },
  'names, xml': { bytes: NOTHING, collections: 0, instructions: Number.POSITIVE_INFINITY },
  // Requests are kept outside the heap, and the collector looks after them now and then.
  'lines of -R': { bytes: NOTHING, collections: 2, instructions: 36_900 },
  'flow objects': { bytes: 1080, collections: Number.POSITIVE_INFINITY, instructions: 15_700 },
  'flow objects, 3 members': { bytes: 680, collections: Number.POSITIVE_INFINITY, instructions: 8800 },
  'events, text': { bytes: NOTHING, collections: 0, instructions: 9600 },
  'events, ndjson': { bytes: NOTHING, collections: 0, instructions: 12_500 },
  'events, tracked': { bytes: NOTHING, collections: 0, instructions: 8000 },
};

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    inject: { type: 'string' },
    instructions: { type: 'boolean', default: false },
    count: { type: 'string' },
  },
});

if (options.count) await count(options.count);
else gate();

function gate() {
  for (const name of [options.inject, ...(options.only?.split(';') ?? [])])
    if (name !== undefined && !(name in LIMITS)) {
      console.error(`unknown path "${name}": one of ${Object.keys(LIMITS).join('; ')}`);
      process.exit(2);
    }
  ensureBuilt();
  const collections = run('collections', COLLECTED);
  const allocations = run('allocations', ALLOCATED);
  const results = Object.keys(collections).map((name) => ({
    name,
    ...collections[name],
    ...allocations[name],
    limit: LIMITS[name],
  }));
  for (const result of results) result.exceeded = exceeded(result);
  if (options.json) console.log(JSON.stringify(results));
  else report(results);
  process.exitCode = results.some((result) => result.exceeded.length > 0) ? 1 : 0;
}

/** Names of the values that exceed their limits. */
function exceeded({ limit, ...counted }) {
  const judged = ['bytes', 'collections', ...(options.instructions ? ['instructions'] : [])];
  return judged.filter((what) => counted[what] !== undefined && !(counted[what] <= limit[what]));
}

/** A separate process for each way of counting. @returns path → counts */
function run(what, { semiSpace }) {
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, NODE_TEST_CONTEXT: ___, ...env } = process.env;
  const flags = [`--max-semi-space-size=${semiSpace}`, `--min-semi-space-size=${semiSpace}`, '--expose-gc'];
  const still = ['--no-concurrent-recompilation', '--single-threaded-gc'];
  const args = [...flags, ...still, fileURLToPath(import.meta.url), '--count', what];
  if (options.inject) args.push('--inject', options.inject);
  if (options.only) args.push('--only', options.only);
  const { status, stdout, error } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  if (status !== 0) throw new Error(`counting ${what} failed: ${error ?? `status ${status}`}`);
  return JSON.parse(stdout);
}

function report(results) {
  console.log(
    `${'an entry'.padEnd(34)}${'bytes'.padStart(8)}${'limit'.padStart(8)}${'collections'.padStart(13)}${'limit'.padStart(8)}${'instructions'.padStart(14)}`,
  );
  for (const { name, bytes, collections, instructions, limit, exceeded } of results)
    console.log(
      `${name.padEnd(34)}${bytes.toFixed(1).padStart(8)}${String(limit.bytes).padStart(8)}` +
        `${String(collections).padStart(13)}${String(Number.isFinite(limit.collections) ? limit.collections : '-').padStart(8)}` +
        `${(instructions === undefined ? 'no counter' : Math.round(instructions).toLocaleString('en')).padStart(14)}` +
        `  ${exceeded.length === 0 ? 'ok' : `TOO MANY ${exceeded.join(', ')}`}`,
    );
}

// --- In a process of its own ----------------------------------------------------------------------------------------------

async function count(what) {
  const { makePaths } = await import('./counted-paths.mjs');
  const { openInstructionCounter } = await import('./instructions.mjs');
  const { entries, warm } = what === 'collections' ? COLLECTED : ALLOCATED;
  const counter = what === 'allocations' ? openInstructionCounter() : undefined;
  const only = options.only?.split(';');
  const results = {};
  for (const [name, make] of Object.entries(makePaths(entries))) {
    if (only && !only.includes(name)) continue;
    const pass = make()(name === options.inject ? leak : nothing);
    for (let n = 0; n < warm; n++) pass();
    results[name] = what === 'collections' ? await collectionsOf(pass) : allocationsOf(pass, entries, counter);
  }
  console.log(JSON.stringify(results));
}

function nothing() {}

function leak() {
  globalThis.leaked = new Array(20).fill(undefined); // more than the counted sizes of objects vary by
}

/** Collections that begin while a pass runs: the fewest of a few passes. */
async function collectionsOf(pass) {
  const seen = [];
  const observer = new PerformanceObserver((list) => seen.push(...list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  let collections = Number.POSITIVE_INFINITY;
  for (let n = 0; n < COLLECTED.tries && collections > 0; n++) {
    globalThis.gc();
    await sleep(20);
    const start = performance.now();
    pass();
    const end = performance.now();
    await sleep(20); // the observer hears of collections later
    collections = Math.min(collections, seen.filter((gc) => gc.startTime >= start && gc.startTime <= end).length);
  }
  observer.disconnect();
  return { collections };
}

/** Computed from how much more several passes take than one, so that the fixed part (compiler, harness) does not count. */
function allocationsOf(pass, entries, counter) {
  let bytes = Number.POSITIVE_INFINITY;
  let instructions = Number.POSITIVE_INFINITY;
  for (let n = 0; n < ALLOCATED.tries; n++) {
    const one = use(pass, 1, counter);
    const several = use(pass, 1 + MORE_PASSES, counter);
    bytes = Math.min(bytes, Math.max(0, several.bytes - one.bytes) / (MORE_PASSES * entries));
    instructions = Math.min(instructions, (several.instructions - one.instructions) / (MORE_PASSES * entries));
  }
  return { bytes, ...(counter ? { instructions } : {}) };
}

function use(pass, passes, counter) {
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const from = counter?.read();
  for (let n = 0; n < passes; n++) pass();
  const instructions = counter ? counter.read() - from : 0;
  return { bytes: process.memoryUsage().heapUsed - before, instructions };
}
