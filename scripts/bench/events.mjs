// The cost of watching events, at a rate at which the reference keeps up: processor time of the watcher for a million events. Run by
// itself (`node scripts/bench/events.mjs --seconds 600`), it is a soak test: nothing may be lost and memory must stay flat.

import '../help.mjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { median } from './pairs.mjs';
import { ours, REFERENCE } from './table.mjs';

const EVENT_MODE = '/proc/sys/net/netfilter/nf_conntrack_events';
const TICK_MS = 10;
/** Our processor time against the reference's. */
const LIMIT = 0.5;

/** Events in a burst: the reference's receive buffer holds 166, whatever -b says. */
const BURST = 20;
/** Runs in which the reference loses events are repeated up to this often. */
const ATTEMPTS = 5;

/** @returns a case like those of `compare`, with CPU seconds for a million events in place of milliseconds */
export async function measureEvents({ pairs, seconds = 6, rate = 4000 }) {
  console.error('-E');
  writeFileSync(EVENT_MODE, '1');
  const costs = { reference: [], ours: [] };
  for (let pair = -1; pair < pairs; pair++)
    for (const who of pair % 2 === 0 ? ['reference', 'ours'] : ['ours', 'reference']) {
      const argv = who === 'reference' ? [REFERENCE, ['-E']] : ours(['-E']);
      const { cpu, sent } = await watchAll(who, argv, seconds, rate);
      if (pair >= 0) costs[who].push((cpu / sent) * 1e6);
    }
  const ratios = costs.ours.map((cost, n) => cost / costs.reference[n]);
  return {
    name: `-E, ${rate.toLocaleString('en')} a second`,
    unit: 'CPU s per million events',
    limit: LIMIT,
    ratio: median(ratios),
    ratios,
    reference: { median: median(costs.reference), values: costs.reference },
    ours: { median: median(costs.ours), values: costs.ours },
  };
}

async function watchAll(who, argv, seconds, rate) {
  for (let attempt = 1; ; attempt++) {
    const result = await watch(argv, seconds, rate);
    if (result.shown === result.sent) return result;
    const what = `-E: ${who}: ${result.shown} of ${result.sent} events shown`;
    if (who === 'ours' || attempt === ATTEMPTS) throw new Error(what);
    console.error(`${what}; again`);
  }
}

/** Runs a watcher while entries are created and deleted. @returns its CPU seconds, events sent and shown, memory over time */
async function watch([command, args], seconds, rate, sampleEvery = 0) {
  const watcher = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  watcher.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  await sleep(500); // it is listening by then
  const sender = spawn(process.execPath, [fileURLToPath(import.meta.url), '--send', String(rate), '--seconds', String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let sent = '';
  sender.stdout.setEncoding('utf8').on('data', (text) => (sent += text));
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
  const [status] = await once(sender, 'exit');
  clearInterval(timer);
  if (status !== 0) throw new Error(`the sender ended with status ${status}`);
  await sleep(300);
  const cpu = cpuSeconds(watcher.pid);
  watcher.kill('SIGINT');
  await once(watcher, 'exit');
  return { cpu, sent: Number(sent), shown: Number(/(\d+) flow events/.exec(stderr)?.[1]), memory, stderr };
}

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\)/, '').split(' ');
  return ((Number(fields[12]) + Number(fields[13])) * TICK_MS) / 1000;
}

function residentMegabytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** Creates and deletes UDP entries, half of `rate` each, for some seconds. Prints how many events that makes. */
async function send(rate, seconds) {
  const { MessageWriter, NetlinkSocket, ReceiveBuffers, transact } = await import(`${root}/dist/wire/index.js`);
  const socket = NetlinkSocket.open();
  const buffers = new ReceiveBuffers(socket);
  const batch = BURST / 2;
  let sequence = 0;
  const request = (type, flags, from) => {
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
      if (type === 0x100) writer.be32(7, 600);
      writer.end();
    }
    transact(socket, buffers, {
      name: 'bench',
      sequence: sequence - batch + 1,
      count: batch,
      bytes: writer.bytes,
      length: writer.length,
    });
  };
  const start = performance.now();
  let events = 0;
  for (let round = 0; performance.now() - start < seconds * 1000; round++) {
    request(0x100, 0x601, (round % 100) * batch);
    request(0x102, 0x001, (round % 100) * batch);
    events += 2 * batch;
    const ahead = (events / rate) * 1000 - (performance.now() - start);
    if (ahead > 1) await sleep(ahead);
  }
  socket.close();
  console.log(events);
}

async function soak(seconds, rate) {
  ensureBuilt();
  const work = mkdtempSync(`${tmpdir()}/conntrack-soak-`);
  try {
    writeFileSync(EVENT_MODE, '1');
    const { cpu, sent, shown, memory, stderr } = await watch(ours(['-E']), seconds, rate, 20_000);
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
      send: { type: 'string' },
      seconds: { type: 'string', default: '600' },
      rate: { type: 'string', default: '20000' },
    },
  });
  if (values.send) await send(Number(values.send), Number(values.seconds));
  else await soak(Number(values.seconds), Number(values.rate));
}
