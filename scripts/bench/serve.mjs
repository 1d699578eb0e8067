// `npm run bench:serve`: what `conntrack serve` costs, beside its budget: viewers that ask what the page asks, requests, streams, and a
// storm of events, by requests to the kernel (`storm`) and by packets of flows that nobody answers (`packets`).
//
//   node scripts/bench/serve.mjs [--flows 200000] [--viewers 10] [--streams 50] [--seconds 30] [--storm 5] [--only viewers,requests,…]
//     [--profile DIR]    a profile for DevTools from each measurement to the next; everybody must be able to write there
//
// Processor time is that of the process that serves, the kernel's part included, without that of those who ask. Lateness of the event
// loop is measured inside of it. Exit status 1 if a budget is exceeded.

import '../help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { requireCommands } from '../tools.mjs';
import { load, OURS, writeFlows } from './table.mjs';

const SELF = fileURLToPath(import.meta.url);
delete process.env.NODE_EXTRA_CA_CERTS;

const BUDGETS = { viewers: 0.03, streams: 0.01, memory: 20, lateness: 15, flows: 20, filter: 150 };
/** Ticks of /proc/PID/stat per second. */
const TICKS = 100;
const PORT = 8466;
const TOKEN = 'token-0123456789-0123456789';
/** Events whose data matter here. */
const TOLD = ['sample', 'gap'];
/** Rows on a screen. */
const ROWS = 40;
/** Rounds with and without viewers: what else the machine does changes with time. */
const ROUNDS = 3;
const PARTS = ['viewers', 'requests', 'streams', 'storm', 'packets'];
/** Flows that a storm makes and deletes at once. */
const ROUND = 2000;
const STORMERS = 2;
/** Milliseconds after a storm in which the meter has to be right again. */
const PATIENCE = 20_000;
/** Flows that one of them begins by packets: with those of the table no more than a kernel has room for by default. */
const PACKETS = 30_000;
const PACKETS_AT_ONCE = 256;
/** Their flows are tracked and confirmed on the way out, and nobody gets the packets; connections to the server are not tracked. */
const TRACKED = `table inet storm {
  chain out { type filter hook output priority 0; ct state new accept; }
  chain in { type filter hook prerouting priority -400; udp dport 9 drop; meta l4proto tcp notrack; }
  chain raw { type filter hook output priority -400; meta l4proto tcp notrack; }
}`;

const { values } = parseArgs({
  options: {
    flows: { type: 'string', default: '200000' },
    viewers: { type: 'string', default: '10' },
    streams: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '30' },
    storm: { type: 'string', default: '5' },
    only: { type: 'string', default: PARTS.join(',') },
    profile: { type: 'string' },
    inside: { type: 'boolean', default: false },
    stormer: { type: 'string' },
    sender: { type: 'string' },
  },
});
const parts = values.only.split(',');
const seconds = Number(values.seconds);

if (values.stormer !== undefined) await storm(Number(values.stormer));
else if (values.sender !== undefined) await send(Number(values.sender));
else if (!values.inside) {
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) {
    console.error(`unknown part "${unknown}": some of ${PARTS.join(', ')}`);
    process.exit(2);
  }
  requireCommands(['unshare', 'conntrack', 'setpriv', 'nft']);
  ensureBuilt();
  console.log(`load ${loadavg()[0].toFixed(1)}`);
  const { status } = spawnSync('unshare', ['--net', process.execPath, SELF, '--inside', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

/** Tells how late the event loop of the server is, when asked by a signal. */
const PROBE = `
const histogram = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
process.on('SIGUSR2', () => {
  const [p99, max] = [histogram.percentile(99), histogram.max].map((ns) => ns / 1e6);
  process.stderr.write('lateness ' + JSON.stringify({ p99, max }) + '\\n');
  histogram.reset();
});
`;

/** Profiles from one signal to the next. */
function profilerTo(directory) {
  return `
const { Session } = require('node:inspector');
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.start');
let parts = 0;
process.on('SIGUSR2', () => {
  session.post('Profiler.stop', (_, { profile }) => {
    const file = ${JSON.stringify(directory)} + '/' + process.pid + '-' + ++parts + '.cpuprofile';
    require('node:fs').writeFileSync(file, JSON.stringify(profile));
  });
  session.post('Profiler.start');
});
`;
}

let missed = 0;
const work = mkdtempSync(`${tmpdir()}/conntrack-serve-`);
const server = await startServer();
try {
  if (parts.includes('viewers')) await measureViewers();
  if (parts.includes('requests')) await measureRequests();
  if (parts.includes('streams')) await measureStreams();
  if (parts.includes('storm')) await measureStorm('storm', '--stormer');
  if (parts.includes('packets')) {
    spawnSync('nft', ['-f', '-'], { input: TRACKED });
    spawnSync('sysctl', ['-qw', 'net.netfilter.nf_conntrack_udp_timeout=600']); // none ends while they are counted
    await measureStorm('packets', '--sender');
  }
} finally {
  server.end();
  rmSync(work, { recursive: true, force: true });
}
process.exit(missed > 0 ? 1 : 0);

/** A table, and a server that nobody asks yet. */
async function startServer() {
  spawnSync('ip', ['link', 'set', 'lo', 'up']);
  spawnSync('sysctl', ['-qw', 'net.netfilter.nf_conntrack_acct=1', 'net.netfilter.nf_conntrack_events=1']);
  writeFlows(`${work}/flows`, Number(values.flows));
  load(`${work}/flows`);
  writeFileSync(`${work}/token`, TOKEN, { mode: 0o600 });
  writeFileSync(`${work}/probe.cjs`, values.profile === undefined ? PROBE : PROBE + profilerTo(values.profile));
  spawnSync('chmod', ['755', work]);
  const child = spawn(process.execPath, [OURS, 'serve', '--read-token-file', `${work}/token`], {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: `--require=${work}/probe.cjs` },
  });
  let told = '';
  let heard = () => {};
  child.stderr.on('data', (text) => {
    told += text;
    heard();
  });
  child.once('exit', () => heard());
  const says = async (what) => {
    for (;;) {
      const found = what.exec(told);
      if (found) {
        told = told.slice(found.index + found[0].length);
        return found;
      }
      if (child.exitCode !== null) throw new Error(`the server has ended: ${told}`);
      await new Promise((resolve) => {
        heard = resolve;
      });
    }
  };
  await says(/^conntrack: http.*\n/m);
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'));
  return {
    /** Seconds of processor time. */
    get used() {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    },
    /** Megabytes. */
    get memory() {
      return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1000;
    },
    /** Milliseconds that turns of the event loop were late since it was asked last. */
    async lateness() {
      process.kill(pid, 'SIGUSR2');
      return JSON.parse((await says(/^lateness (.*)\n/m))[1]);
    },
    end: () => child.kill('SIGTERM'),
  };
}

/** Processor time for a while, from one list of the table to another: seconds, those that passed, and how many lists there were. */
async function measured(time = seconds) {
  await server.lateness();
  const [from, used, began] = [await afterList(), server.used, performance.now()];
  await sleep(time * 1000);
  const to = await afterList();
  return { used: server.used - used, passed: (performance.now() - began) / 1000, lists: to - from };
}

/** Settles when a list has ended. @returns its number */
function afterList() {
  return new Promise((resolve) => {
    const stream = openStream('/api/v1/stream', (type, { number }) => {
      if (type !== 'sample' || number === first) return;
      first ??= number;
      if (number === first) return;
      stream.destroy();
      resolve(number);
    });
    let first;
  });
}

/** What more than the same number of lists alone was, as a share of one processor. */
function above({ used, passed, lists }, alone) {
  return (used - (alone.used * lists) / alone.lists) / passed;
}

async function measureViewers() {
  await sleep(5000);
  const [none, some] = [[], []];
  const [noneLate, someLate] = [[], []];
  const memory = server.memory;
  let most = memory;
  for (let n = 0; n < ROUNDS; n++) {
    none.push(await measured(seconds / ROUNDS));
    noneLate.push(await server.lateness());
    const viewers = await Promise.all(Array.from({ length: Number(values.viewers) }, () => openViewer()));
    await sleep(3000);
    some.push(await measured(seconds / ROUNDS));
    someLate.push(await server.lateness());
    most = Math.max(most, server.memory);
    for (const viewer of viewers) viewer.close();
    await sleep(2000);
  }
  const [alone, watched] = [none, some].map((all) => ({
    used: sum(all.map(({ used }) => used)),
    passed: sum(all.map(({ passed }) => passed)),
    lists: sum(all.map(({ lists }) => lists)),
  }));
  const late = (all) => percentile(all.map(({ p99 }) => p99), 50); // biome-ignore format: one expression
  const [aloneLate, p99] = [late(noneLate), late(someLate)];
  const max = Math.max(...someLate.map((one) => one.max));
  note(`nobody looks: share of a processor`, `${((100 * alone.used) / alone.passed).toFixed(1)} %`);
  note(`nobody looks: a list takes`, `${((1000 * alone.used) / alone.lists).toFixed(0)} ms`);
  note(`nobody looks: lateness of the event loop, p99`, `${aloneLate.toFixed(1)} ms`);
  report(
    `${values.viewers} viewers: share above that`,
    above(watched, alone),
    BUDGETS.viewers,
    (value) => `${(100 * value).toFixed(1)} %`,
  );
  report(`${values.viewers} viewers: memory above that`, most - memory, BUDGETS.memory, (value) => `${value.toFixed(0)} MB`);
  report(
    `${values.viewers} viewers: lateness of the event loop, p99`,
    p99,
    BUDGETS.lateness,
    (value) => `${value.toFixed(1)} ms`,
  );
  note(`${values.viewers} viewers: lateness, most`, `${max.toFixed(0)} ms`);
}

async function measureRequests() {
  const viewer = await openViewer();
  const path = `/api/v1/flows?sort=average&limit=${ROWS}`;
  for (let n = 0; n < 50; n++) await timed(viewer, path);
  const [times, plain] = [[], []];
  for (let n = 0; n < 1000; n++) {
    times.push(await timed(viewer, path));
    await sleep(8);
    plain.push(await timed(viewer, '/healthz'));
    await sleep(7);
  }
  const cold = [];
  for (let n = 0; n < 24; n++)
    cold.push(await timed(viewer, `/api/v1/flows?filter=tcp+and+src+port+${33_000 + 61 * n}&limit=${ROWS}`));
  note('/healthz: median and p99', `${percentile(plain, 50).toFixed(1)} and ${percentile(plain, 99).toFixed(1)} ms`);
  report('/flows: median', percentile(times, 50), BUDGETS.flows, (value) => `${value.toFixed(1)} ms`);
  report('/flows: p99', percentile(times, 99), BUDGETS.flows, (value) => `${value.toFixed(1)} ms`);
  report('/flows, new filter: median', percentile(cold, 50), BUDGETS.filter, (value) => `${value.toFixed(0)} ms`);
  report('/flows, new filter: most', Math.max(...cold), BUDGETS.filter, (value) => `${value.toFixed(0)} ms`);
  viewer.close();
}

async function measureStreams() {
  const none = await measured();
  const streams = Array.from({ length: Number(values.streams) }, () => openStream('/api/v1/stream', () => {}));
  await sleep(2000);
  const many = await measured();
  report(
    `${values.streams} streams: share above none`,
    above(many, none),
    BUDGETS.streams,
    (value) => `${(100 * value).toFixed(1)} %`,
  );
  for (const stream of streams) stream.destroy();
}

/** Events as fast as this machine makes them, while one looks at the page, and one at all events. */
async function measureStorm(name, role) {
  const viewer = await openViewer();
  const gaps = [];
  let events = 0;
  const all = openStream('/api/v1/events', (type, data) => {
    if (type === 'gap') gaps.push(data.events);
    else events++;
  });
  await sleep(3000);
  const before = JSON.parse(await get(viewer.agent, '/api/v1/status'));
  await server.lateness();
  const used = server.used;
  const began = performance.now();
  const stormers = Array.from({ length: STORMERS }, (_, n) =>
    spawn(process.execPath, [SELF, role, String(n), '--storm', values.storm], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  const made = Promise.all(
    stormers.map(async ({ stdout }) => {
      let text = '';
      for await (const chunk of stdout) text += chunk;
      return Number(text);
    }),
  );
  let ended = false;
  void made.then(() => {
    ended = true;
  });
  const times = [];
  while (!ended) {
    times.push(await timed(viewer, `/api/v1/flows?sort=average&limit=${ROWS}`));
    await sleep(20);
  }
  const sent = (await made).reduce((a, b) => a + b);
  const lasted = (performance.now() - began) / 1000;
  const share = (server.used - used) / lasted;
  const { p99, max } = await server.lateness();
  const over = performance.now();
  let wrong;
  do {
    await sleep(500);
    const { total } = JSON.parse(await get(viewer.agent, '/api/v1/flows?limit=0'));
    wrong = Math.abs(total - Number(spawnSync(process.execPath, [OURS, '-C'], { encoding: 'utf8' }).stdout));
  } while (wrong > 0 && performance.now() - over < PATIENCE);
  const behind = (performance.now() - over) / 1000;
  const status = JSON.parse(await get(viewer.agent, '/api/v1/status'));
  const lost = status.namespaces[0].lost - before.namespaces[0].lost;
  const toldOf = gaps.reduce((a, b) => a + (b ?? 0), 0);
  note(`${name}: events a second`, Math.round(sent / lasted).toLocaleString('en'));
  note(`${name}: share of a processor`, `${(100 * share).toFixed(0)} %`);
  note(`${name}: lost by the meter`, lost.toLocaleString('en'));
  note(`${name}: shown and told as gaps by /events`, `${events.toLocaleString('en')} + ${toldOf.toLocaleString('en')}`);
  note(`${name}: lateness of the event loop, p99 and most`, `${p99.toFixed(0)} and ${max.toFixed(0)} ms`);
  note(`${name}: memory`, `${server.memory.toFixed(0)} MB`);
  report(`${name}: /flows, p99`, percentile(times, 99), 1000, (value) => `${value.toFixed(0)} ms`);
  note(`${name}: until the meter is right`, `${behind.toFixed(1)} s`);
  report(`${name}: flows that the meter has wrong then`, wrong, 0, String);
  all.destroy();
  viewer.close();
}

/** Makes and deletes flows for a while, and prints how many events that were. */
async function storm(number) {
  const { Conntrack } = await import(`${root}/dist/index.js`);
  const conntrack = await Conntrack.open();
  const flows = Array.from({ length: ROUND }, (_, n) => ({
    protocol: 'udp',
    timeout: 3600,
    original: { src: `10.${200 + number}.${n >> 8}.${n & 255}`, dst: '198.51.100.1', sport: 1000 + n, dport: 53 },
  }));
  let events = 0;
  for (const end = performance.now() + Number(values.storm) * 1000; performance.now() < end; events += 2 * ROUND) {
    await conntrack.createMany(flows);
    await conntrack.deleteMany(flows);
  }
  console.log(events);
  process.exit(0);
}

/** Begins flows by a packet each, and prints how many. */
async function send(number) {
  const socket = dgram.createSocket({ type: 'udp4', lookup: (host, _, told) => told(null, host, 4) });
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const packet = Buffer.from('x');
  for (let sent = 0; sent < PACKETS; ) {
    const batch = [];
    for (let n = 0; n < PACKETS_AT_ONCE && sent < PACKETS; n++, sent++)
      batch.push(
        new Promise((resolve, reject) => {
          const to = `127.${100 + number}.${sent >> 8}.${sent & 255}`;
          socket.send(packet, 9, to, (error) => (error ? reject(error) : resolve()));
        }),
      );
    await Promise.all(batch);
  }
  console.log(PACKETS);
  process.exit(0);
}

/** Asks what the page asks: rows and groups with each sample, rows each second. */
async function openViewer() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const rows = () => get(agent, `/api/v1/flows?sort=average&limit=${ROWS}&hold=1`);
  await Promise.all([get(agent, '/api/v1/status'), get(agent, '/api/v1/series?seconds=600'), rows()]);
  const stream = openStream('/api/v1/stream', (type) => {
    if (type === 'sample' || type === 'counts') void rows();
    if (type === 'sample') void get(agent, '/api/v1/groups?by=src&sort=average&limit=12');
  });
  return {
    agent,
    close() {
      stream.destroy();
      agent.destroy();
    },
  };
}

async function timed({ agent }, path) {
  const began = performance.now();
  await get(agent, path);
  return performance.now() - began;
}

function get(agent, path) {
  return new Promise((resolve, reject) => {
    http
      .get({ port: PORT, path, agent, headers: { Authorization: `Bearer ${TOKEN}` } }, async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${path}: ${response.statusCode} ${text}`));
      })
      .on('error', (error) => {
        if (error.code !== 'ECONNRESET') reject(error);
      });
  });
}

/** Follows a stream; `heard` gets each event. */
function openStream(path, heard) {
  const request = http.get({ port: PORT, path, agent: false, headers: { Authorization: `Bearer ${TOKEN}` } }, (response) => {
    let text = '';
    response.on('error', () => {});
    response.on('data', (chunk) => {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        const type = /^event: (\w+)/m.exec(block)?.[1];
        if (type !== undefined) heard(type, TOLD.includes(type) ? JSON.parse(/^data: (.*)/m.exec(block)[1]) : {});
      }
    });
  });
  return request.on('error', () => {});
}

function percentile(times, percent) {
  return times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor((times.length * percent) / 100))];
}

function sum(numbers) {
  return numbers.reduce((a, b) => a + b, 0);
}

function note(what, text) {
  console.log(`${what.padEnd(56)} ${text.padStart(12)}`);
}

function report(what, value, budget, text) {
  const pass = value <= budget;
  if (!pass) missed++;
  console.log(
    `${what.padEnd(56)} ${text(value).padStart(12)}   budget ${text(budget).padStart(7)}   ${pass ? 'pass' : 'MISSED'}`,
  );
}
