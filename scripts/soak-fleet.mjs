// `npm run soak:fleet`: a fleet at work for hours, before a release: three servers, hosts with real traffic, a recorder and an agent on each,
// two collectors; something is killed each minute.
//
//   npm run soak:fleet [-- --hours 1 | --minutes 10] [--hosts 50] [--flows 5] [--seed N]
//
// --flows: flows that each host begins a second. At the end every record of every host must be in both copies once, and no kind of process
// may have grown: exit status 1 if not. As root; a host takes some 170 MB of memory.

import './help.mjs';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contents, countLacking, isBegun, leader, listens, run } from './fleet-parts.mjs';
import { ensureBuilt, root } from './fresh.mjs';
import { randomOf } from './random.mjs';
import { requireCommands } from './tools.mjs';

const SELF = fileURLToPath(import.meta.url);
const COMMAND = `${root}/bin/conntrack`;
delete process.env.NODE_EXTRA_CA_CERTS;

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    hosts: { type: 'string', default: '50' },
    flows: { type: 'string', default: '5' },
    seed: { type: 'string', default: `${Date.now() % 1e6}` },
    inside: { type: 'boolean', default: false },
  },
});
const SECONDS = 60 * (values.minutes === undefined ? 60 * Number(values.hours) : Number(values.minutes));
const HOSTS = Array.from({ length: Number(values.hosts) }, (_, n) => `h${n + 1}`);
const SERVERS = ['10.9.0.1', '10.9.0.2', '10.9.0.3'];
const NATS = SERVERS.map((address) => `nats://${address}`).join(',');
const COLLECTORS = ['c1', 'c2'];
/** Seconds between two kills, and between two looks at memory. */
const KILL_EVERY = 60;
const LOOK_EVERY = 10;
/** A process that started so many seconds ago has loaded what it needs. */
const WARM = 60;
/** What a kind of process may grow by: a factor, and MiB. */
const GROWTH = [1.25, 20];

if (!values.inside) {
  requireCommands(['ip', 'unshare', 'nsenter', 'nats-server', 'nft', 'bash']);
  ensureBuilt();
  // However it ends, nothing that it has started goes on: it is the first process of a namespace.
  const alone = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const { status } = spawnSync('unshare', [...alone, process.execPath, SELF, '--inside', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

const random = randomOf(Number(values.seed));
const pick = (list) => list[random(list.length)];
const work = mkdtempSync(`${tmpdir()}/conntrack-soak-fleet-`);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
/** By name: `agent h1`. */
const children = new Map();
let failed = false;
try {
  await soak();
} catch (error) {
  console.error(error);
  failed = true;
} finally {
  for (const { child } of children.values()) child.kill('SIGKILL');
  if (failed) console.error(`what was said is in ${work}/*.log`);
  else rmSync(work, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function soak() {
  run('ip link set lo up');
  run('ip link add fleet type bridge');
  run('ip link set fleet up');
  for (const address of SERVERS) run(`ip addr add ${address}/16 dev fleet`);
  for (const n of SERVERS.keys()) startServer(n);
  for (const address of SERVERS) await listens(4222, address);
  await patiently('prepare the servers', () => ask('setup', '--records-size', '4G').status === 0);
  for (const name of COLLECTORS) startCollector(name);
  for (const [n, name] of HOSTS.entries()) await startHost(n, name);
  console.log(`${HOSTS.length} hosts, ${values.flows} flows a second each, for ${SECONDS} seconds; seed ${values.seed}`);

  const memory = [];
  const kills = {};
  const begun = performance.now();
  const passed = () => (performance.now() - begun) / 1000;
  for (let killed = 0, looked = 0; passed() < SECONDS; await sleep(500)) {
    if (passed() >= looked) {
      looked += LOOK_EVERY;
      memory.push(memoryNow());
    }
    if (passed() >= KILL_EVERY * (killed + 1) && passed() < SECONDS - KILL_EVERY / 2) {
      killed++;
      const what = await killSomething();
      kills[what] = (kills[what] ?? 0) + 1;
    }
  }
  for (const [what, count] of Object.entries(kills)) console.log(`  ${count} x kill -9: ${what}`);
  const records = await endRecords();
  await compare(records);
  judgeMemory(memory);
}

/** Ends traffic and recorders. @returns the numbers of each record */
async function endRecords() {
  const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
  for (const name of HOSTS) await end(`traffic ${name}`, 'SIGKILL');
  await sleep(5000);
  await Promise.all(HOSTS.map((name) => end(`recorder ${name}`, 'SIGTERM')));
  const records = new Map();
  for (const name of HOSTS) {
    const file = contents(loadDriver(), `${work}/${name}`);
    records.set(name, new Set(file.numbers));
  }
  return records;
}

/** Each record of each host must be in both copies once. */
async function compare(records) {
  const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
  const sums = { records: 0, lost: 0, doubled: 0, inGaps: 0 };
  const begun = performance.now();
  for (const [name, numbers] of records) {
    const last = Math.max(0, ...numbers);
    sums.records += numbers.size;
    for (const collector of COLLECTORS) {
      const folder = `${work}/${collector}/${name}`;
      let found;
      for (let tries = 0; tries < 240; tries++) {
        found = existsSync(folder) ? contents(loadDriver(), `${folder}/${readdirSync(folder)[0]}`) : undefined;
        if (found && found.applied >= last) break;
        await sleep(500);
      }
      const { lost, doubled, inGaps } = countLacking({ ...(found ?? { numbers: [], gaps: [] }), from: 1 }, last);
      sums.lost += lost;
      sums.doubled += doubled;
      sums.inGaps += inGaps;
    }
  }
  console.log(
    `${sums.records} records in ${COLLECTORS.length} copies: lost ${sums.lost}, doubled ${sums.doubled}, in gaps ${sums.inGaps}; ` +
      `the last were there after ${Math.round((performance.now() - begun) / 1000)} s`,
  );
  if (sums.records === 0 || sums.lost + sums.doubled + sums.inGaps > 0) failed = true;
}

/** Mean MiB of each kind of process that has been running for a while. */
function memoryNow() {
  const kinds = new Map();
  for (const [name, { child, since }] of children) {
    if (performance.now() - since < WARM * 1000 || child.exitCode !== null || child.signalCode !== null) continue;
    const [kind] = name.split(' ');
    if (kind === 'namespace' || kind === 'traffic') continue;
    // nsenter has become the command.
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    kinds.set(kind, [...(kinds.get(kind) ?? []), Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024]);
  }
  return new Map([...kinds].map(([kind, sizes]) => [kind, sizes.reduce((sum, size) => sum + size, 0) / sizes.length]));
}

/** What the first third of the time took must be about what the last takes. */
function judgeMemory(memory) {
  for (const kind of ['server', 'agent', 'recorder', 'collector']) {
    const sizes = memory.flatMap((look) => look.get(kind) ?? []);
    if (sizes.length === 0) {
      console.log(`${kind}: its memory is not judged: none ran for ${WARM} s`);
      continue;
    }
    const third = Math.max(1, Math.floor(sizes.length / 3));
    const mean = (some) => some.reduce((sum, size) => sum + size, 0) / some.length;
    const [first, last] = [mean(sizes.slice(0, third)), mean(sizes.slice(-third))];
    const grows = !(last <= first * GROWTH[0] + GROWTH[1]);
    console.log(`${kind}: ${first.toFixed(0)} MiB, then ${last.toFixed(0)} MiB${grows ? ': it grows' : ''}`);
    if (grows) failed = true;
  }
}

async function killSomething() {
  const what = pick(['server that leads', 'collector', 'agent']);
  if (what === 'server that leads') {
    const n = Math.max(0, (await leader(NATS)) - 1);
    await end(`server ${n}`, 'SIGKILL');
    await sleep(3000);
    startServer(n);
  } else if (what === 'collector') {
    const name = pick(COLLECTORS);
    await end(`collector ${name}`, 'SIGKILL');
    startCollector(name);
  } else {
    const name = pick(HOSTS);
    await end(`agent ${name}`, 'SIGKILL');
    startAgent(name);
  }
  return what;
}

function start(name, command, args, stdin = 'ignore') {
  const log = openSync(`${work}/${name.replace(' ', '-')}.log`, 'a');
  const child = spawn(command, args, { stdio: [stdin, stdin === 'pipe' ? 'pipe' : log, log] });
  children.set(name, { child, since: performance.now() });
  return child;
}

async function end(name, signal) {
  const { child } = children.get(name);
  children.delete(name);
  if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} has ended by itself`);
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

function startServer(n) {
  const address = SERVERS[n];
  const routes = SERVERS.filter((other) => other !== address).map((other) => JSON.stringify(`nats://${other}:6222`));
  writeFileSync(
    `${work}/n${n + 1}.conf`,
    `server_name: n${n + 1}\nlisten: "${address}:4222"\njetstream { store_dir: "${work}/n${n + 1}" }\n` +
      `cluster { name: soak, listen: "${address}:6222", routes: [${routes}] }\n`,
  );
  start(`server ${n}`, 'nats-server', ['-c', `${work}/n${n + 1}.conf`]);
}

function startCollector(name) {
  const words = ['--nats', NATS, '--insecure', '--name', name, '--take-over', '--keep', 'forever', '--dir', `${work}/${name}`];
  start(`collector ${name}`, process.execPath, [COMMAND, 'collector', ...words]);
}

function startAgent(name) {
  const words = ['--nats', NATS, '--insecure', '--name', name, '--take-over', '--history', `${work}/${name}`, '--ship'];
  start(`agent ${name}`, 'nsenter', [...inside(name), process.execPath, COMMAND, 'agent', ...words]);
}

function inside(name) {
  return ['-t', `${children.get(`namespace ${name}`).child.pid}`, '-n'];
}

/** A namespace with an address on the bridge, a recorder, an agent, and traffic to a server: each datagram is a flow of two seconds. */
async function startHost(n, name) {
  const keeper = start(`namespace ${name}`, 'unshare', ['--net', 'sh', '-c', 'echo; cat'], 'pipe');
  await once(keeper.stdout, 'data');
  run(`ip link add ${name} type veth peer name eth0 netns ${keeper.pid}`);
  run(`ip link set ${name} master fleet up`);
  const there = (...words) => execFileSync('nsenter', [...inside(name), ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  there('ip', 'link', 'set', 'lo', 'up');
  there('ip', 'addr', 'add', `10.9.${1 + (n >> 7)}.${1 + (n & 127)}/16`, 'dev', 'eth0');
  there('ip', 'link', 'set', 'eth0', 'up');
  there('nft', 'add table inet t; add chain inet t o { type filter hook output priority 0; ct state new accept; }');
  for (const setting of ['udp_timeout=2', 'acct=1', 'timestamp=1'])
    there('sysctl', '-qw', `net.netfilter.nf_conntrack_${setting}`);
  const record = ['record', '--keep', 'forever', '--dir', `${work}/${name}`, 'udp'];
  start(`recorder ${name}`, 'nsenter', [...inside(name), process.execPath, COMMAND, ...record]);
  await isBegun(`${work}/${name}`);
  startAgent(name);
  // It waits for what never comes: a process for each pause would be most of the load of 50 hosts.
  const pause = 'read -rt 1 -u 3';
  const loop = `while true; do ${pause}; for ((i = 0; i < ${values.flows}; i++)); do echo > /dev/udp/${SERVERS[0]}/9; done; done`;
  start(`traffic ${name}`, 'nsenter', [...inside(name), 'bash', '-c', `exec 3<> <(:); ${loop} 2>/dev/null`]);
}

function ask(...words) {
  return spawnSync(process.execPath, [COMMAND, 'fleet', ...words, '--nats', NATS, '--insecure'], { encoding: 'utf8' });
}

async function patiently(what, holds) {
  for (let tries = 0; tries < 600; tries++) {
    if (await holds()) return;
    await sleep(200);
  }
  throw new Error(`this took too long: ${what}`);
}
