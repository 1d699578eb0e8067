// `npm run demo:fleet`: a fleet at work, without touching this machine. Three servers that replicate what they keep, and four routers, each
// with a table of its own in a network namespace; an operator asks, a server is killed, an agent is killed, and a router that records its
// flows is gone for good: a collector on the hub has the copy.
//
//   hub 10.9.0.1-3 (servers, operator, collector) ── bridge ── fw1 10.9.0.11 … fw4 10.9.0.14
//
// The process that is started re-executes itself as the hub in private namespaces; everything it starts ends with its standard input.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, root } from './fresh.mjs';
import { requireCommands } from './tools.mjs';

const SELF = fileURLToPath(import.meta.url);
const COMMAND = `${root}/bin/conntrack`;
delete process.env.NODE_EXTRA_CA_CERTS;

const SERVERS = ['10.9.0.1', '10.9.0.2', '10.9.0.3'];
const NATS = SERVERS.map((address) => `nats://${address}`).join(',');
const ROUTERS = ['fw1', 'fw2', 'fw3', 'fw4'];
/** The router that records its flows, and the address that its clients share. */
const RECORDS = 'fw4';
const SHARED = '203.0.113.4';

/** Starts the hub in private namespaces, including a user namespace if this is not root. */
async function outside() {
  requireCommands(['ip', 'unshare', 'nsenter', 'nats-server']);
  ensureBuilt();
  const namespaces = [...(process.getuid() === 0 ? [] : ['--user', '--map-root-user']), '--net', '--mount'];
  const trial = spawnSync('unshare', [...namespaces, 'true'], { encoding: 'utf8' });
  if (trial.status !== 0) {
    console.error(`${trial.stderr.trim()}\nThis system lets only root make namespaces. Try: sudo npm run demo:fleet`);
    process.exit(1);
  }
  const child = spawn('unshare', [...namespaces, process.execPath, SELF, 'hub'], { stdio: ['pipe', 'inherit', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.stdin.end());
  const [status] = await once(child, 'exit');
  process.exit(status ?? 1);
}

function run(line, options = {}) {
  const [command, ...args] = line.split(' ');
  try {
    return execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', ...options });
  } catch (error) {
    throw new Error(`${line}: ${error.stderr?.trim() || error.message}`);
  }
}

async function hub() {
  const work = mkdtempSync(`${tmpdir()}/conntrack-demo-fleet-`);
  const children = new Map();
  const start = (name, command, args, stdio = ['pipe', 'ignore', 'ignore']) => {
    const child = spawn(command, args, { stdio });
    children.set(name, child);
    return child;
  };
  const stop = (status) => {
    for (const child of children.values()) child.kill('SIGKILL');
    rmSync(work, { recursive: true, force: true });
    process.exit(status);
  };
  process.stdin.on('end', () => stop(130)).resume();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(130));
  try {
    run('ip link set lo up');
    run('ip link add fleet type bridge');
    run('ip link set fleet up');
    for (const address of SERVERS) run(`ip addr add ${address}/24 dev fleet`);
    for (const [n, address] of SERVERS.entries()) startServer(start, work, n, address);
    await Promise.all(SERVERS.map(greeted));
    // The leader of what the servers keep has to be found first.
    await patiently('prepare the servers', () => ask('setup').status === 0);

    for (const [n, name] of ROUTERS.entries()) await startRouter(start, work, n, name);
    const copies = ['collector', '--nats', NATS, '--insecure', '--name', 'c1', '--keep', '1d', '--dir', `${work}/copies`];
    start('collector', process.execPath, [COMMAND, ...copies], logged(`${work}/c1.log`));
    await patiently('meet the routers', () => JSON.parse(ask('hosts -o json').stdout || '[]').length === ROUTERS.length);

    console.log(
      'Three servers, which replicate what they keep, and four routers, each with flows of its own clients in its table.',
    );
    show('who is there', 'hosts');
    show('how many SSH connections, on which router', 'count tcp and dst port 22');
    show('the connections themselves', 'list tcp and dst port 22 --sort host');
    const source = '192.0.2.30';
    show(`which of the four routers has this flow`, `has ${source}:40000`);
    show('who has most flows', 'top --by src --limit 3');

    console.log('\nA server is killed (SIGKILL). Its agents connect to another one:');
    children.get('server 0').kill('SIGKILL');
    show('at once', 'count --wait 1s', true);
    await patiently('come back', () => ask('count --wait 1s').status === 0);
    show('some seconds later', 'count');

    console.log('\nThe agent of fw3 is killed. Nobody pretends that the answer is complete:');
    children.get('agent fw3').kill('SIGKILL');
    await once(children.get('agent fw3'), 'exit');
    show('which router has it now', `has ${source}:40000 --wait 1s`, true);
    console.log(
      `\n${RECORDS} records its flows, and ships the record; a collector keeps the copy. A connection of a client ends:`,
    );
    const client = `${inside(children)} ${process.execPath} ${COMMAND}`;
    const at = new Date();
    const ended = run(`${client} -D -p tcp -s 192.0.2.40 --sport 40000 --dport 22`);
    process.stdout.write(`$ conntrack -D -p tcp -s 192.0.2.40 --sport 40000 --dport 22\n${ended}`);
    const then = Date.now();
    const isCollected = () => JSON.parse(ask('collectors -o json').stdout || '[]')[0]?.until > then * 1000;
    await patiently('collect the record', isCollected);
    show('who keeps records', 'collectors');
    console.log(`\n${RECORDS} burns down: the machine, its table and its record are gone.`);
    for (const name of ['agent', 'recorder', 'namespace']) children.get(`${name} ${RECORDS}`).kill('SIGKILL');
    rmSync(`${work}/record`, { recursive: true, force: true });
    show('who had that port then', `whohad ${SHARED}:40000 --at ${at.toISOString()} --within 1m --wait 1s`, true);
    console.log('\nNone of this touched your machine: the namespaces end with this program.');
    stop(0);
  } catch (error) {
    console.error(`the demonstration failed: ${error.message}`);
    stop(1);
  }
}

function startServer(start, work, n, address) {
  const routes = SERVERS.filter((other) => other !== address).map((other) => `nats://${other}:6222`);
  const config = [
    `server_name: n${n + 1}`,
    `listen: "${address}:4222"`,
    `jetstream { store_dir: "${work}/n${n + 1}" }`,
    `cluster { name: demo, listen: "${address}:6222", routes: [${routes.map((route) => JSON.stringify(route)).join(', ')}] }`,
  ];
  writeFileSync(`${work}/n${n + 1}.conf`, config.join('\n'));
  start(`server ${n}`, 'nats-server', ['-c', `${work}/n${n + 1}.conf`], logged(`${work}/n${n + 1}.log`));
}

/** What a child has for its standard streams. */
function logged(path) {
  const log = openSync(path, 'w');
  return ['ignore', log, log];
}

/** What runs a command in the namespace of the router that records. */
function inside(children) {
  return `nsenter -t ${children.get(`namespace ${RECORDS}`).pid} -n`;
}

async function greeted(address) {
  for (let tries = 0; ; tries++) {
    const socket = connect(4222, address);
    const found = await new Promise((resolve) => socket.on('data', () => resolve(true)).on('error', () => resolve(false)));
    socket.destroy();
    if (found) return;
    if (tries > 100) throw new Error(`${address} does not listen`);
    await sleep(50);
  }
}

/** A namespace with an address on the bridge, flows, and an agent. */
async function startRouter(start, work, n, name) {
  const keeper = start(`namespace ${name}`, 'unshare', ['--net', 'sh', '-c', 'echo; cat'], ['pipe', 'pipe', 'ignore']);
  await once(keeper.stdout, 'data');
  const enter = ['-t', `${keeper.pid}`, '-n'];
  const there = `nsenter ${enter.join(' ')}`;
  run(`ip link add ${name} type veth peer name eth0 netns ${keeper.pid}`);
  run(`ip link set ${name} master fleet up`);
  run(`${there} ip link set lo up`);
  run(`${there} ip addr add 10.9.0.${11 + n}/24 dev eth0`);
  run(`${there} ip link set eth0 up`);
  const flows = Array.from({ length: 40 + 25 * n }, (_, i) => flowLine(n, i));
  run(`${there} ${process.execPath} ${COMMAND} -R -`, { input: `${flows.join('\n')}\n`, stdio: ['pipe', 'pipe', 'pipe'] });
  const service = (what, words) =>
    start(`${what} ${name}`, 'nsenter', [...enter, process.execPath, COMMAND, ...words], logged(`${work}/${what}-${name}.log`));
  const agent = ['agent', '--nats', NATS, '--name', name, '--insecure', '--site', n < 2 ? 'ams' : 'lon'];
  if (name === RECORDS) {
    service('recorder', ['record', '--keep', '1d', '--sync', '0.2s', '--dir', `${work}/record`]);
    const isThere = () => spawnSync(process.execPath, [COMMAND, 'record', 'status', '--dir', `${work}/record`]).status === 0;
    await patiently('begin the record', isThere);
    agent.push('--history', `${work}/record`, '--ship', '--flush', '1s');
  }
  service('agent', agent);
}

function flowLine(n, i) {
  const dport = i % 20 === 0 ? 22 : 443;
  const src = `192.0.2.${10 * (n + 1) + (i % 7)}`;
  const status = i % 5 === 4 ? '' : ' -u SEEN_REPLY,ASSURED';
  const state = i % 5 === 4 ? 'SYN_SENT' : 'ESTABLISHED';
  const translated = ROUTERS[n] === RECORDS ? ` -n ${SHARED}` : '';
  return `-A -p tcp -s ${src} -d 198.51.100.7 --sport ${40_000 + i} --dport ${dport} --state ${state} -t 3600${status}${translated}`;
}

/** With more patience than an operator needs: this machine runs everything. */
function ask(words) {
  const patience = words.includes('--wait') ? [] : ['--wait', '8s'];
  const args = [COMMAND, 'fleet', ...wordsOf(words), '--nats', NATS, '--insecure', ...patience];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

/** An expression is one word. */
function wordsOf(words) {
  return words.split(' ');
}

/** Prints a headline, the command and what it says. */
function show(headline, words, mayFail = false) {
  console.log(`\n${headline}:\n$ conntrack fleet ${words}`);
  const { status, stdout, stderr } = ask(words);
  process.stdout.write(`${stdout}${stderr}`);
  if (status !== 0) console.log(`(exit status ${status})`);
  if (status !== 0 && !mayFail) throw new Error(`conntrack fleet ${words}: status ${status}`);
}

async function patiently(what, holds) {
  for (let tries = 0; tries < 120; tries++) {
    if (await holds()) return;
    await sleep(500);
  }
  throw new Error(`this took too long: ${what}`);
}

if (process.argv[2] === 'hub') await hub();
else await outside();
