// The cost of watching events, at a rate at which the reference keeps up: processor time of the watcher for a million events; and what
// is lost of a burst of them. Run by
// itself (`node scripts/bench/events.mjs --seconds 600`), it is a soak test: nothing may be lost and memory must stay flat.

import '../help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { median } from './pairs.mjs';
import { ours, REFERENCE } from './table.mjs';

const EVENT_MODE = '/proc/sys/net/netfilter/nf_conntrack_events';
/** Our processor time against the reference's. */
const LIMIT = 0.5;
/** The same where few events are wanted, without our start: it looks at all of them, and we only at those. */
const SELECTED_LIMIT = 0.4;
/** The same with a filter that the reference has no option for, and so shows everything. */
const SET_LIMIT = 0.15;
const WANTED_EVERY = 100;
const WANTED_MARK = 5;
/** net.core.rmem_default */
const DEFAULT_BUFFER = 212_992;

/** Events in a burst: the reference's receive buffer holds 166, whatever -b says. */
const BURST = 20;
/** Runs in which the reference loses events are repeated up to this often. */
const ATTEMPTS = 5;

/** @returns cases like those of `compare`, with CPU seconds for a million events in place of milliseconds */
export async function measureEvents({ pairs, seconds = 6, rate = 4000 }) {
  writeFileSync(EVENT_MODE, '1');
  const mark = ['-E', '-m', String(WANTED_MARK)];
  const few = { seconds: 2 * seconds, rate, every: WANTED_EVERY };
  return [
    await compareWatchers({ name: '-E', argv: ours(['-E']), pairs, load: { seconds, rate, every: 1 }, limit: LIMIT }),
    await compareWatchers({ name: mark.join(' '), nearest: mark, argv: ours(mark), pairs, load: few, limit: SELECTED_LIMIT }),
    // The reference has no option for that.
    await compareWatchers({
      name: `events({ mark: [${WANTED_MARK}, ${WANTED_MARK + 1}] })`,
      argv: [process.execPath, ['--input-type=module', '-e', LIBRARY_WATCHER]],
      pairs,
      load: few,
      limit: SET_LIMIT,
    }),
  ];
}

/** Shows events as the command does, with a line of JSON each, and counts them at its end. */
const LIBRARY_WATCHER = `
import { writeSync } from 'node:fs';
import { Conntrack } from '${root}/dist/index.js';
let shown = 0;
process.on('SIGINT', () => {
  console.error(shown + ' flow events');
  process.exit();
});
const conntrack = await Conntrack.open();
for await (const event of conntrack.events({ mark: [${WANTED_MARK}, ${WANTED_MARK + 1}] })) {
  shown++;
  writeSync(1, JSON.stringify(event) + '\\n');
}`;

/** Our processor time against that of the reference with its nearest filter. One in `load.every` events is wanted. */
async function compareWatchers({ name, nearest = ['-E'], argv, pairs, load, limit }) {
  console.error(name);
  const costs = { reference: [], ours: [] };
  for (let pair = -1; pair < pairs; pair++)
    for (const who of pair % 2 === 0 ? ['reference', 'ours'] : ['ours', 'reference']) {
      const watched =
        who === 'ours' ? await watchAll(name, argv, load, { warm: load.every > 1 }) : await watchReference(name, nearest, load);
      if (pair >= 0) costs[who].push((watched.cpu / watched.sent) * 1e6);
    }
  const ratios = costs.ours.map((cost, n) => cost / costs.reference[n]);
  return {
    name: `${name}, ${load.rate.toLocaleString('en')} a second${load.every > 1 ? `, 1 in ${load.every} wanted` : ''}`,
    unit: 'CPU s per million events',
    limit,
    ratio: median(ratios),
    ratios,
    reference: { median: median(costs.reference), values: costs.reference },
    ours: { median: median(costs.ours), values: costs.ours },
  };
}

/** Again and again where it loses events: any, or, where few are wanted, many. What it loses costs it nothing. */
async function watchReference(name, args, load) {
  const least = load.every > 1 ? 0.8 : 1;
  // Without a filter it shows what is not wanted, too.
  const every = args.length > 1 ? load.every : 1;
  for (let attempt = 1; ; attempt++)
    try {
      return await watchAll(`${name}: reference`, [REFERENCE, args], { ...load, every }, { least });
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      console.error(`${error.message}; again`);
    }
}

/**
 * `warm`: with what starts a process, and what V8 compiles, behind it: where there is little to do that is most for minutes. `least`: the
 * share of the events that has to be shown.
 */
async function watchAll(name, argv, { seconds, rate, every }, { warm = false, least = 1 } = {}) {
  const warmUp = warm ? ['--rate', 10_000, '--seconds', 3, '--all-wanted'] : undefined;
  const result = await watch(argv, ['--rate', rate, '--seconds', seconds], { warmUp });
  const wanted = result.before + result.sent / every;
  if (result.shown > wanted || result.shown < least * wanted)
    throw new Error(`${name}: ${result.shown} of ${wanted} events shown`);
  return result;
}

/**
 * New flows as fast as the kernel makes them, one in a hundred of them wanted, and a receive buffer of the size that the kernel gives by
 * default: what is not wanted takes no room in it. @returns a case: events lost where all are wanted, and where few are
 */
export async function measureBurst(count = 200_000) {
  const name = `-E, ${count.toLocaleString('en')} new flows at once, 1 in ${WANTED_EVERY} wanted`;
  console.error(name);
  writeFileSync(EVENT_MODE, '1');
  const lost = async (args, every) => {
    spawnSync(REFERENCE, ['-F']);
    const buffer = ['-b', String(DEFAULT_BUFFER / 2)]; // the kernel doubles it
    const { sent, shown, milliseconds } = await watch(ours(['-E', '-e', 'NEW', ...buffer, ...args]), ['--burst', count]);
    const wanted = sent / every;
    console.error(`-E ${args.join(' ')}: ${wanted - shown} of ${wanted} lost, in ${Math.round(milliseconds)} ms`);
    return wanted - shown;
  };
  const reference = await lost([], 1);
  const own = await lost(['-m', String(WANTED_MARK)], WANTED_EVERY);
  return { name, unit: 'events lost', reference, ours: own, ratio: own / (count / WANTED_EVERY), limit: 0 };
}

/**
 * Runs a watcher while entries are created and deleted. `warmUp`: what is sent first, and whose cost does not count, nor that of the
 * start. @returns its CPU seconds for so many events, those sent before, those shown of all, memory over time
 */
async function watch([command, args], load, { warmUp, sampleEvery = 0 } = {}) {
  const watcher = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  watcher.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  await sleep(500); // it is listening by then
  const before = warmUp ? await runSender(warmUp) : { sent: 0 };
  const start = warmUp ? cpuSeconds(watcher.pid) : 0;
  const memory = [];
  const timer =
    sampleEvery > 0
      ? setInterval(() => {
          memory.push(residentMegabytes(watcher.pid));
          console.error(
            `${new Date().toISOString()} ${memory.at(-1).toFixed(1)} MB, ${cpuSeconds(watcher.pid).toFixed(1)} s of CPU`,
          );
        }, sampleEvery)
      : undefined;
  const { sent, milliseconds } = await runSender(load);
  clearInterval(timer);
  await sleep(300);
  const cpu = cpuSeconds(watcher.pid) - start;
  watcher.kill('SIGINT');
  await once(watcher, 'exit');
  const shown = Number(/(\d+) flow events/.exec(stderr)?.[1]);
  return { cpu, sent, before: before.sent, shown, milliseconds, memory, stderr };
}

/** @returns how many events it caused, and in which time, if it tells */
async function runSender(load) {
  const sender = spawn(process.execPath, [fileURLToPath(import.meta.url), '--send', ...load.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  sender.stdout.setEncoding('utf8').on('data', (text) => (told += text));
  const [status] = await once(sender, 'exit');
  if (status !== 0) throw new Error(`the sender ended with status ${status}`);
  const [sent, milliseconds] = told.split(' ').map(Number);
  return { sent, milliseconds };
}

/** Processor time of a process until now: of all its threads, which it keeps. */
function cpuSeconds(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]));
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e9;
}

function residentMegabytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** Sends changes of UDP entries, of which one in `every` has a mark of its own. */
async function openSender(every = WANTED_EVERY) {
  const { MessageWriter, NetlinkSocket, ReceiveBuffers, transact } = await import(`${root}/dist/wire/index.js`);
  const socket = NetlinkSocket.open();
  const buffers = new ReceiveBuffers(socket);
  let sequence = 0;
  const prepare = (type, flags, from, batch) => {
    const writer = new MessageWriter();
    for (let n = 0; n < batch; n++) {
      const i = from + n;
      writer.begin(type, flags | (n === batch - 1 ? 4 : 0), ++sequence, 2);
      for (const [attribute, reverse] of [
        [1, false],
        [2, true],
      ]) {
        if (attribute === 2 && type === 0x102) break;
        const client = Uint8Array.of(10, 0, (i >> 14) & 255, 1);
        const server = Uint8Array.of(198, 51, 100, 7);
        const tuple = writer.nest(attribute);
        const ip = writer.nest(1);
        writer.raw(1, reverse ? server : client);
        writer.raw(2, reverse ? client : server);
        writer.endNest(ip);
        const proto = writer.nest(2);
        writer.u8(1, 17);
        writer.be16(reverse ? 3 : 2, 1024 + (i & 16383));
        writer.be16(reverse ? 2 : 3, 53);
        writer.endNest(proto);
        writer.endNest(tuple);
      }
      if (type === 0x100) {
        writer.be32(7, 600);
        writer.be32(8, i % every === 0 ? WANTED_MARK : 1);
      }
      writer.end();
    }
    return { name: 'bench', sequence: sequence - batch + 1, count: batch, bytes: writer.bytes, length: writer.length };
  };
  return {
    creation: (from, batch) => prepare(0x100, 0x601, from, batch),
    removal: (from, batch) => prepare(0x102, 0x001, from, batch),
    send: (requests) => transact(socket, buffers, requests),
    close: () => socket.close(),
  };
}

/** Creates and deletes entries, half of `rate` each, for some seconds. Prints how many events that makes. */
async function send(rate, seconds, every) {
  const sender = await openSender(every);
  const batch = BURST / 2;
  const start = performance.now();
  let events = 0;
  for (let round = 0; performance.now() - start < seconds * 1000 || round % (WANTED_EVERY / batch) !== 0; round++) {
    sender.send(sender.creation((round % 100) * batch, batch));
    sender.send(sender.removal((round % 100) * batch, batch));
    events += 2 * batch;
    const ahead = (events / rate) * 1000 - (performance.now() - start);
    if (ahead > 1) await sleep(ahead);
  }
  sender.close();
  console.log(events);
}

/** Creates entries as fast as the kernel does that. Prints how many, and how many milliseconds it took. */
async function burst(count) {
  const sender = await openSender();
  const requests = Array.from({ length: count / WANTED_EVERY }, (_, n) => sender.creation(n * WANTED_EVERY, WANTED_EVERY));
  const start = performance.now();
  for (const request of requests) sender.send(request);
  console.log(count, performance.now() - start);
  sender.close();
}

async function soak(seconds, rate) {
  ensureBuilt();
  const work = mkdtempSync(`${tmpdir()}/conntrack-soak-`);
  try {
    writeFileSync(EVENT_MODE, '1');
    const { cpu, sent, shown, memory, stderr } = await watch(ours(['-E']), ['--rate', rate, '--seconds', seconds], {
      sampleEvery: 20_000,
    });
    console.log(`${sent} events in ${seconds} s, ${shown} shown, ${sent - shown} lost`);
    console.log(`${((cpu / sent) * 1e6).toFixed(2)} CPU seconds per million events`);
    const half = memory.slice(memory.length >> 1);
    console.log(`memory ${Math.min(...half).toFixed(1)} to ${Math.max(...half).toFixed(1)} MB in the second half`);
    console.log(stderr.trimEnd());
    if (sent !== shown) process.exitCode = 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      send: { type: 'boolean' },
      burst: { type: 'string' },
      'all-wanted': { type: 'boolean', default: false },
      seconds: { type: 'string', default: '600' },
      rate: { type: 'string', default: '20000' },
    },
  });
  if (values.burst) await burst(Number(values.burst));
  else if (values.send) await send(Number(values.rate), Number(values.seconds), values['all-wanted'] ? 1 : WANTED_EVERY);
  else await soak(Number(values.seconds), Number(values.rate));
}
