// `npm run bench:fleet`: what questions to a fleet cost, over a real server on loopback, beside their budgets.
//
//   node scripts/bench/fleet.mjs [--agents 1000] [--flows 100000] [--only list|agents|records]
//
// In a network namespace of its own: an agent on a kernel table of that many flows, against `conntrack -L` of the same table in pairs; and
// so many agents in three processes, each with a connection of its own and a table in memory of 30 flows, of which a twentieth falls silent at
// the end; and records on three servers (fleet-records.mjs). Exit status 1 if a budget is exceeded by half.

import '../help.mjs';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { requireCommands } from '../tools.mjs';
import { benchRecords } from './fleet-records.mjs';
import { load, OURS, writeFlows } from './table.mjs';

const SELF = fileURLToPath(import.meta.url);
const SERVER = 'nats://127.0.0.1:4222';
/** Every file of the sources for itself; dist/ has the public entry alone. */
const BUILT = `${root}/build/src`;
delete process.env.NODE_EXTRA_CA_CERTS;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '1000' },
    flows: { type: 'string', default: '100000' },
    only: { type: 'string' },
    inside: { type: 'boolean', default: false },
    simulate: { type: 'string' },
  },
});

/** Milliseconds to wait for agents that are silent. */
const SILENT = 2000;
const nameOf = (n) => `h${`${n}`.padStart(5, '0')}`;

if (values.simulate) await simulate(values.simulate);
else if (!values.inside) {
  requireCommands(['unshare', 'conntrack', 'nats-server']);
  ensureBuilt();
  execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.json`]);
  const { status } = spawnSync('unshare', ['--net', process.execPath, SELF, '--inside', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
} else await inside();

/** Agents FROM-TO in this process, until standard input ends. */
async function simulate(range) {
  const { FleetAgent } = await import(`${BUILT}/fleet/agent.js`);
  const { connectBus } = await import(`${BUILT}/fleet/nats.js`);
  const { Conntrack } = await import(`${BUILT}/index.js`);
  const { MemoryTable, makeFlow } = await import(`${BUILT}/testing/index.js`);
  const [from, to] = range.split('-').map(Number);
  const flows = Array.from({ length: 30 }, (_, n) =>
    makeFlow({
      protocol: 'tcp',
      original: { src: `10.0.0.${n}`, dst: '192.0.2.1', sport: 1024 + n, dport: 443 },
      timeout: 100_000,
    }),
  );
  const table = new MemoryTable({ flows });
  for (let n = from; n < to; n++) {
    const host = nameOf(n);
    const conntrack = await Conntrack.open({ transport: table.open });
    const bus = await connectBus({ servers: [SERVER], name: host, tls: false, patient: true });
    await FleetAgent.start({
      bus,
      host,
      site: 'default',
      tables: { conntracks: new Map([['own', conntrack]]), several: false },
      version: '0.1.0',
      pid: process.pid,
      makeBucket: n === from,
      takeOver: true,
      tell: () => {},
    });
  }
  process.stdout.write('ready\n');
  process.stdin.on('end', () => process.exit(0)).resume();
}

async function inside() {
  const work = mkdtempSync(`${tmpdir()}/conntrack-fleet-`);
  const children = [];
  let missed = 0;
  const report = (what, value, unit, budget) => {
    const over = budget !== undefined && value > budget;
    if (budget !== undefined && value > budget * 1.5) missed++;
    const beside = budget === undefined ? '' : `   budget ${budget} ${unit}${over ? '   over' : ''}`;
    console.log(`${what.padEnd(58)}${value.toFixed(value < 10 ? 2 : 0).padStart(9)} ${unit}${beside}`);
  };
  try {
    console.log(`load ${loadavg()[0].toFixed(1)}`);
    spawnSync('ip', ['link', 'set', 'lo', 'up']);
    const log = openSync(`${work}/log`, 'w');
    const server = spawn('nats-server', ['-js', '-a', '127.0.0.1', '-p', '4222', '-sd', `${work}/js`], {
      stdio: ['ignore', log, log],
    });
    children.push(server);
    await listening();
    const parts = {
      list: () => realAgent(work, children, report),
      agents: () => manyAgents(children, report),
      records: () => benchRecords({ work, children, report, built: BUILT }),
    };
    for (const [name, run] of Object.entries(parts)) if ((values.only ?? name) === name) await run();
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(work, { recursive: true, force: true });
  }
  process.exit(missed > 0 ? 1 : 0);
}

async function listening() {
  for (let tries = 0; ; tries++) {
    const socket = connect(4222, '127.0.0.1');
    const greeted = await new Promise((resolve) => socket.on('data', () => resolve(true)).on('error', () => resolve(false)));
    socket.destroy();
    if (greeted) return;
    if (tries > 100) throw new Error('nats-server does not listen');
    await sleep(50);
  }
}

/** One agent on the kernel's table, against a list of it here. */
async function realAgent(work, children, report) {
  const flows = Number(values.flows);
  writeFlows(`${work}/flows`, flows);
  load(`${work}/flows`);
  const agent = spawn(process.execPath, [OURS, 'agent', '--nats', SERVER, '--name', 'real'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(agent);
  for await (const text of agent.stderr) if (`${text}`.includes('answers at')) break;
  agent.stderr.resume();
  const started = ticks(agent.pid);
  await sleep(20_000);
  const idle = ticks(agent.pid);
  await sleep(20_000);
  report('agent, idle: resident memory', resident(agent.pid), 'MB', 90);
  report('agent, in the first 20 s: processor', (idle - started) / 20, '%');
  report('agent, idle after that: processor', (ticks(agent.pid) - idle) / 20, '%', 0.5);
  const timed = (args) => {
    const begin = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [OURS, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`conntrack ${args.join(' ')}: ${status} ${stderr}`);
    return performance.now() - begin;
  };
  const pairs = Array.from({ length: 6 }, () => [timed(['fleet', 'list', '--nats', SERVER]), timed(['-L'])]).slice(1);
  report(`fleet list of ${flows} flows on one host`, median(pairs.map(([remote]) => remote)), 'ms');
  report(`conntrack -L of the same table`, median(pairs.map(([, local]) => local)), 'ms');
  report('fleet list : -L', median(pairs.map(([remote, local]) => remote / local)), '', 1.3);
  const asked = ticks(agent.pid);
  for (let n = 0; n < 3; n++) timed(['fleet', 'list', '--nats', SERVER]);
  report('agent: processor a row of a list', ((ticks(agent.pid) - asked) * 10_000) / (3 * flows), 'us', 5);
  report(
    'start of fleet hosts, beyond -h',
    median(Array.from({ length: 5 }, () => timed(['fleet', 'hosts', '--nats', SERVER]) - timed(['-h']))),
    'ms',
    60,
  );
  agent.kill('SIGTERM');
  await once(agent, 'exit');
}

async function manyAgents(children, report) {
  const { connectBus } = await import(`${BUILT}/fleet/nats.js`);
  const { Fleet } = await import(`${BUILT}/fleet/fleet.js`);
  const { Nl1Reader } = await import(`${BUILT}/fleet/nl1.js`);
  const agents = Number(values.agents);
  const answering = agents - Math.ceil(agents / 20);
  const half = answering >> 1;
  let last;
  for (const range of [`0-${half}`, `${half}-${answering}`, `${answering}-${agents}`]) {
    const child = spawn(process.execPath, [SELF, '--simulate', range], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    last = child;
    await once(child.stdout, 'data');
  }
  const { FleetQuery } = await import(`${BUILT}/fleet/query-client.js`);
  const bus = await connectBus({ servers: [SERVER], name: 'bench', tls: false, patient: false });
  const fleet = new Fleet(bus, 'bench');
  const first = performance.now();
  const { hosts } = await fleet.inventory();
  report(`inventory of ${hosts.length} hosts`, performance.now() - first, 'ms');
  const how = { wait: 10_000, deadline: 30_000 };
  for (const [number, budget] of [
    [100, 30],
    [agents, 120],
  ]) {
    const times = [];
    const expected = hosts.filter(({ state }) => state === 'up').slice(0, number);
    const asked = number === agents ? { sites: ['_'] } : {};
    for (let n = 0; n < 30; n++) {
      const begin = performance.now();
      const query = new FleetQuery(
        bus,
        'bench',
        { op: 'count', body: {}, hosts: expected, ...asked, ...how },
        { value: () => {} },
      );
      const { answered, missing } = await query.run();
      times.push(performance.now() - begin);
      if (answered.length !== number)
        throw new Error(`${answered.length} of ${number} answered, ${JSON.stringify(missing.slice(0, 3))}`);
    }
    report(`count on ${number} agents`, median(times), 'ms', budget);
  }
  const reader = new Nl1Reader();
  const [starts, ends] = [[], []];
  for (let n = 0; n < 10; n++) {
    const begin = performance.now();
    let rows = 0;
    const visitor = {
      rows: (_host, _netns, body) => {
        if (rows === 0) starts.push(performance.now() - begin);
        const taken = reader.read(body, () => {});
        rows += taken;
        return { rows: taken };
      },
    };
    const { complete } = await fleet.ask('list', {}, visitor, { ...how, on: ['h*'] });
    ends.push(performance.now() - begin);
    if (!complete || rows !== 30 * agents) throw new Error(`${rows} rows`);
  }
  report(`first row of a list of ${agents} agents`, median(starts), 'ms', 150);
  report('the whole list', median(ends), 'ms');
  // As if these machines hung: all others answer at once, and these are named.
  last.kill('SIGSTOP');
  let rows = 0;
  let late = 0;
  const begin = performance.now();
  const visitor = {
    rows: (_host, _netns, body) => {
      late = performance.now() - begin;
      const taken = reader.read(body, () => {});
      rows += taken;
      return { rows: taken };
    },
  };
  const { missing } = await fleet.ask('list', {}, visitor, { ...how, wait: SILENT, on: ['h*'] });
  if (rows !== 30 * answering || missing.length !== agents - answering || missing.some(({ host }) => host < nameOf(answering)))
    throw new Error(`${rows} rows, and ${missing.length} hosts missing`);
  report(`the last row where ${agents - answering} of them are silent`, late, 'ms');
  report(`the end of that, waiting ${SILENT} ms for them`, performance.now() - begin, 'ms');
  await fleet.close();
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

/** Processor time in hundredths of a second. */
function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function resident(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}
