// `npm run bench`: how long the command takes, against the reference tool on the same table in the same minute.
//
//   node scripts/bench.mjs [--flows 200000] [--pairs 11] [--start-pairs 41] [--patience SECONDS] [--million] [--json FILE]
//
// FLOWS, PAIRS, START_PAIRS and PATIENCE in the environment do the same. A table is loaded into a network namespace of its
// own; reference and command then run in turn, in pairs, and each ratio is the median of the pairs' ratios: what else the machine
// does touches both. Pairs that other processes, or other machines on the same host, disturbed are done again, for up to
// --patience seconds in all. The kernel keeps the entries of all namespaces in one hash table, so nothing is measured until those
// of others are gone. Exit status 1 when a limit is missed.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from './fresh.mjs';
import { requireCommands } from './tools.mjs';

const SELF = fileURLToPath(import.meta.url);
const OURS = `${root}/bin/conntrack`;
const REFERENCE = process.env.CONNTRACK_REFERENCE ?? 'conntrack';
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';
const MILLION = 1_000_000;
/** Bytes of memory at the peak, whatever the size of the table. */
const MEMORY_LIMIT_MB = 90;
/** Addresses of exactly one entry each. */
const ONE_V4 = '198.18.0.7';
const ONE_V6 = '2001:db8:ffff::7';

/** What is compared, and the largest ratio of our time to the reference's that passes. */
const CASES = [
  { name: '-L', args: ['-L'], limit: 0.5 },
  { name: '-L -o xml', args: ['-L', '-o', 'xml'], limit: 0.5 },
  { name: '-L -o save', args: ['-L', '-o', 'save'], limit: 0.5 },
  { name: '-L -s ADDRESS', args: ['-L', '-s', ONE_V4], limit: 0.25 },
  { name: '-L -s ADDRESS (IPv6)', args: ['-L', '-s', ONE_V6], limit: 0.25 },
];
const START_LIMIT = 1.3;
/** Length of the kernel's ticks in /proc; USER_HZ is 100 on every port that Node.js runs on. */
const TICK_MS = 10;
/** A pair does not count when other processes had more than this part of the machine, as long as there is patience. */
const DISTURBED = 0.1;

// Reading a bundle of certificates would add the same large time to everything that is Node.js.
delete process.env.NODE_EXTRA_CA_CERTS;
delete process.env.NODE_OPTIONS;

const { values: options } = parseArgs({
  options: {
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
const startPairs = Number(options['start-pairs']);

// --- Outside: prepares the machine, starts one run in a namespace of its own per table, judges ------------------------------

async function outside() {
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
    result.garbage = collectGarbage();
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
  const command = [
    ...user,
    '--net',
    process.execPath,
    SELF,
    '--inside',
    file,
    '--pairs',
    `${pairs}`,
    '--start-pairs',
    `${startPairs}`,
  ];
  const child = spawn('unshare', [...command, ...args], { stdio: 'inherit' });
  const [status] = await once(child, 'exit');
  if (status !== 0) {
    if (!interrupted) console.error('the measurement failed');
    throw Object.assign(new Error('no result'), { status });
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

function collectGarbage() {
  console.error('garbage collections');
  const child = spawnSync(process.execPath, [`${root}/scripts/bench-gc.mjs`, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === '') throw new Error('bench-gc.mjs gave no result');
  return JSON.parse(child.stdout);
}

/** Prints the tables and ends with status 1 when a limit was missed. */
function judge({ flows, environment, cases, start, kernelOnly, memory, garbage }) {
  const missed = [];
  const verdict = (name, good) => {
    if (!good) missed.push(name);
    return good ? 'pass' : 'MISSED';
  };
  const ms = (value) => value.toFixed(1).padStart(9);
  const { reference, node, kernel } = environment;
  console.log(
    `\n${flows.toLocaleString('en')} flows, ${pairs} pairs; ${reference}; Node.js ${node}; Linux ${kernel}; ${environment.cpus} CPUs`,
  );
  console.log(
    `\n${'case'.padEnd(24)}${'reference ms'.padStart(13)} ${'(CPU)'.padStart(7)}${'ours ms'.padStart(9)} ${'(CPU)'.padStart(7)}${'ratio'.padStart(8)}${'limit'.padStart(7)}`,
  );
  for (const c of [...cases, start]) {
    const who = (t) => `${ms(t.median)} ${`(${Math.round(t.cpu)})`.padStart(7)}`;
    const figures = `    ${who(c.reference)}${who(c.ours)}${c.ratio.toFixed(2).padStart(8)}${`${c.limit}`.padStart(7)}`;
    const note = c.disturbed > 0 ? `  (${c.disturbed} disturbed pairs left out)` : '';
    console.log(`${c.name.padEnd(24)}${figures}  ${verdict(c.name, c.ratio <= c.limit)}${note}`);
  }
  console.log(
    `\nkernel only (a dump that discards everything): ${kernelOnly.dump.median.toFixed(1)} ms, as a process ${kernelOnly.process.median.toFixed(1)} ms`,
  );
  console.log(`\npeak memory, limit ${MEMORY_LIMIT_MB} MB`);
  for (const m of memory) {
    const name = `${m.name}, ${m.flows.toLocaleString('en')} flows`;
    console.log(
      `  ${name.padEnd(38)}${m.megabytes.toFixed(1).padStart(7)} MB  ${verdict(`memory of ${name}`, m.megabytes <= MEMORY_LIMIT_MB)}`,
    );
  }
  console.log('\ngarbage collections in 200,000 entries, limit 0');
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

async function inside(file) {
  const work = mkdtempSync(`${tmpdir()}/conntrack-bench-`);
  const sink = openSync('/dev/null', 'w');
  try {
    await waitForQuietTable();
    load(`${work}/flows`);
    checkCounts();
    writeFileSync(file, JSON.stringify(options['memory-only'] ? { memory: measureMemory(work) } : measure(work, sink)));
  } finally {
    closeSync(sink);
    rmSync(work, { recursive: true, force: true });
  }
}

/** Entries of deleted namespaces stay in the shared hash table for a while, and every dump walks past them. */
async function waitForQuietTable() {
  const quiet = 5000;
  const patience = 10_000;
  let lowest = entriesOfHost();
  if (lowest <= quiet) return;
  console.error(`waiting for about ${lowest} entries of other namespaces to go`);
  for (let since = Date.now(); Date.now() - since < patience; ) {
    await sleep(500);
    const count = entriesOfHost();
    if (count <= quiet) return;
    if (count < lowest * 0.98) [lowest, since] = [count, Date.now()];
  }
  console.error(`about ${lowest} entries of namespaces in use remain: both tools are slowed by them alike`);
}

/** Entries of all namespaces, about; 0 where only root may know. */
function entriesOfHost() {
  try {
    return Number(/^nf_conntrack +(\d+)/m.exec(readFileSync('/proc/slabinfo', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Fills the table through the reference's own -R, so that neither tool has made what both read. */
function load(path) {
  console.error(`loading ${flows.toLocaleString('en')} flows`);
  writeFileSync(path, makeFlows(flows));
  const result = spawnSync(REFERENCE, ['-R', path], { encoding: 'utf8' });
  rmSync(path);
  if (result.status !== 0) throw new Error(`the reference cannot load the table: ${result.stderr}`);
}

/** Two thirds IPv4, one third IPv6; 80 % TCP, 20 % UDP; most are established and assured. */
function makeFlows(count) {
  const lines = [];
  for (let i = 0; i < count - 2; i++) lines.push(flowLine(i, i % 3 === 2, i % 5 === 4));
  lines.push(flowLine(0, false, false, ONE_V4), flowLine(2, true, false, ONE_V6));
  return `${lines.join('\n')}\n`;
}

function flowLine(i, v6, udp, source) {
  // A client has 64 ports in use; servers are few, as they are behind a router.
  const client = i >> 6;
  const server = (i * 7919) % 1000;
  const src =
    source ??
    (v6
      ? `2001:db8:${(client >> 16).toString(16)}:${(client & 0xffff).toString(16)}::2`
      : `10.${(client >> 16) & 255}.${(client >> 8) & 255}.${client & 255}`);
  const dst = v6 ? `2001:db8:ff00::${server.toString(16)}` : `203.0.${112 + (server >> 8)}.${server & 255}`;
  const sport = 32768 + ((i * 61) & 0x3fff);
  const dport = udp ? 53 : [443, 80, 22, 8080][i & 3];
  const alone = i % 17 === 0; // nobody has answered yet
  const status = alone ? '' : udp && i % 2 === 0 ? ' -u SEEN_REPLY' : ' -u SEEN_REPLY,ASSURED';
  const protocol = udp ? '-p udp' : '-p tcp';
  const state = udp ? '' : ` --state ${alone ? 'SYN_SENT' : i % 11 === 0 ? 'TIME_WAIT' : 'ESTABLISHED'}`;
  const ports = `--sport ${sport} --dport ${dport} --reply-port-src ${dport} --reply-port-dst ${sport}`;
  return `-I -t 3600${status} -s ${src} -d ${dst} -r ${dst} -q ${src} ${protocol} ${ports}${state}`;
}

/** Both tools must list the same number of entries, or their times say nothing. */
function checkCounts() {
  for (const { name, args } of CASES) {
    const count = (command, list) =>
      /(\d+) flow entries have been shown/.exec(
        spawnSync(command, list, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] }).stderr,
      )?.[1];
    const reference = count(REFERENCE, args);
    const ours = count(process.execPath, [OURS, ...args]);
    const expected = args.includes('-s') ? '1' : `${flows}`;
    if (reference !== expected || ours !== expected)
      throw new Error(`${name}: expected ${expected} entries, the reference shows ${reference} and we show ${ours}`);
  }
}

function measure(work, sink) {
  const time = (command, args) => {
    const start = performance.now();
    const { status, error } = spawnSync(command, args, { stdio: ['ignore', sink, sink] });
    const elapsed = performance.now() - start;
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status} ${error ?? ''}`);
    return elapsed;
  };
  /** Reference and ours in turn, the first of a pair changing; one pair before does not count, nor do disturbed ones. */
  const compare = (name, limit, count, reference, ours) => {
    console.error(name);
    const times = { reference: [], ours: [] };
    let disturbed = 0;
    let patience = (Number(options.patience) * 1000) / (CASES.length + 1);
    const cpu = { reference: 0, ours: 0 };
    for (let i = -1; i < count; ) {
      const order = i % 2 === 0 ? ['reference', 'ours'] : ['ours', 'reference'];
      const pair = {};
      const before = readUse();
      const start = performance.now();
      const used = {};
      for (const who of order) {
        const from = readUse().own;
        pair[who] = time(...(who === 'reference' ? reference : ours));
        used[who] = (readUse().own - from) * TICK_MS;
      }
      if (othersShare(before, readUse()) > DISTURBED && patience > 0) {
        disturbed++;
        sleepSync(500);
        patience -= performance.now() - start;
        continue;
      }
      if (i++ < 0) continue;
      for (const who of order) {
        times[who].push(pair[who]);
        cpu[who] += used[who] / count;
      }
    }
    const ratios = times.ours.map((t, n) => t / times.reference[n]);
    return {
      name,
      limit,
      ratio: median(ratios),
      ratios,
      disturbed,
      reference: { ...summary(times.reference), cpu: cpu.reference },
      ours: { ...summary(times.ours), cpu: cpu.ours },
    };
  };
  const ours = (args) => [process.execPath, [OURS, ...args]];
  const cases = CASES.map(({ name, args, limit }) => compare(name, limit, pairs, [REFERENCE, args], ours(args)));
  const start = compare('-C against node -e 0', START_LIMIT, startPairs, [process.execPath, ['-e', '0']], ours(['-C']));
  console.error('kernel only');
  const script = `${root}/scripts/bench-dump.mjs`;
  const dumps = JSON.parse(spawnSync(process.execPath, [script, '7'], { encoding: 'utf8' }).stdout).slice(1);
  const processes = Array.from({ length: 5 }, () => time(process.execPath, [script]));
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
    cases,
    start,
    kernelOnly: { dump: summary(dumps), process: summary(processes) },
    memory: measureMemory(work),
  };
}

/** Ticks of processor time: of the whole machine, busy or not, and of this process with its ended children. */
function readUse() {
  const [user, nice, system, idle, iowait, irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/ +/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  const own = readFileSync('/proc/self/stat', 'utf8').replace(/.*\)/, '').split(' ').slice(12, 16).map(Number);
  return { all: busy + idle + iowait, busy, own: own.reduce((sum, ticks) => sum + ticks) };
}

/** Which part of the machine other processes had meanwhile, 0 to 1. */
function othersShare(before, now) {
  return (now.busy - before.busy - (now.own - before.own)) / Math.max(1, now.all - before.all);
}

function sleepSync(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** The peak of the resident set, as the process itself sees it when it ends. */
function measureMemory(work) {
  const hook = `${work}/memory.cjs`;
  const file = `${work}/memory`;
  writeFileSync(
    hook,
    `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.resourceUsage().maxRSS)));\n`,
  );
  return CASES.slice(0, 4).map(({ name, args }) => {
    console.error(`memory, ${name}`);
    const { status } = spawnSync(process.execPath, ['--require', hook, OURS, ...args], { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${name}: status ${status}`);
    return { name, flows, megabytes: Number(readFileSync(file, 'utf8')) / 1024 };
  });
}

function summary(times) {
  return { median: median(times), min: Math.min(...times), times };
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

if (options.inside) await inside(options.inside);
else await outside();
