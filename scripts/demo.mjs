// `npm run demo`: the command at work, without touching this machine. A client, a router and a server are made in network
// namespaces of their own; real packets pass through the router, which translates addresses, and the command looks at it there.
//
//   client 10.0.0.2 ── 10.0.0.1 router 203.0.113.1 ── 203.0.113.2 server        (and the same with IPv6)
//
// The process that is started re-executes itself as the router; client and server are its children. All of them end with their standard
// input, so nothing is left behind whatever happens.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, root } from './fresh.mjs';
import { requireCommands } from './tools.mjs';

const SELF = fileURLToPath(import.meta.url);
delete process.env.NODE_EXTRA_CA_CERTS; // it slows every start down, and nothing here needs it

/** Starts the router in private namespaces, including a user namespace if this is not root. */
async function outside() {
  requireCommands(['ip', 'nft', 'ping', 'unshare']);
  ensureBuilt();
  const namespaces = [...(process.getuid() === 0 ? [] : ['--user', '--map-root-user']), '--net', '--mount'];
  const trial = spawnSync('unshare', [...namespaces, 'true'], { encoding: 'utf8' });
  if (trial.status !== 0) {
    console.error(`${trial.stderr.trim()}\nThis system lets only root make namespaces. Try: sudo npm run demo`);
    process.exit(1);
  }
  const child = spawn('unshare', [...namespaces, process.execPath, SELF, 'router'], { stdio: ['pipe', 'inherit', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.stdin.end());
  const [status] = await once(child, 'exit');
  process.exit(status ?? 1);
}

/** Runs one command line; if it fails, throws what it printed. */
function run(line) {
  const [command, ...args] = line.split(' ');
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    throw new Error(`${line}: ${error.stderr?.trim() || error.message}`);
  }
}

/** Sets what is below /proc/sys/net, in this network namespace. */
function set(setting, value) {
  writeFileSync(`/proc/sys/net/${setting}`, `${value}`);
}

/** Addresses of an interface, and the way to everything else. IPv6 without the second of waiting for duplicates. */
function configure(device, v4, v6, gateways) {
  set(`ipv6/conf/${device}/accept_dad`, 0);
  run('ip link set lo up');
  run(`ip addr add ${v4} dev ${device}`);
  run(`ip addr add ${v6} dev ${device} nodad`);
  run(`ip link set ${device} up`);
  for (const gateway of gateways) run(`ip route add default via ${gateway}`);
}

// --- Router -----------------------------------------------------------------------------------------------------------------

const RULES = `
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "to-server" masquerade
  }
  chain prerouting {
    type nat hook prerouting priority dstnat
    iifname "to-server" tcp dport 8080 dnat to 10.0.0.2:80
  }
}
table inet track {
  chain forward {
    type filter hook forward priority filter
    tcp dport 443 ct mark set 0x10
  }
}
`;

async function router() {
  const children = [];
  const stop = (status) => {
    for (const child of children) child.kill('SIGKILL');
    process.exit(status);
  };
  process.stdin.on('end', () => stop(130)).resume();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(130));
  try {
    const start = (name) => {
      const child = spawn('unshare', ['--net', process.execPath, SELF, name], { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const ended = once(child, 'exit').then(() => ({ value: `the ${name} has ended` }));
      return {
        pid: child.pid,
        async ask(word) {
          child.stdin.write(`${word}\n`);
          const { value } = await Promise.race([lines.next(), ended]);
          if (value !== 'ok') throw new Error(value ?? `the ${name} has ended`);
        },
      };
    };
    const client = start('client');
    const server = start('server');
    await client.ask('hello');
    await server.ask('hello');

    run(`ip link add to-client type veth peer name eth0 netns ${client.pid}`);
    run(`ip link add to-server type veth peer name eth0 netns ${server.pid}`);
    configure('to-client', '10.0.0.1/24', '2001:db8:a::1/64', []);
    configure('to-server', '203.0.113.1/24', '2001:db8:b::1/64', []);
    for (const setting of [
      'ipv4/ip_forward',
      'ipv6/conf/all/forwarding',
      'netfilter/nf_conntrack_acct',
      'netfilter/nf_conntrack_timestamp',
    ])
      set(setting, 1);
    execFileSync('nft', ['-f', '-'], { input: RULES, stdio: ['pipe', 'ignore', 'inherit'] });
    await server.ask('connect');
    await client.ask('connect');
    await client.ask('talk');
    await server.ask('talk');

    console.log('A router between a client (10.0.0.2) and a server (203.0.113.2) hides the client behind its own address');
    console.log('and lets connections to port 8080 through to the client. This is its table:');
    show('all tracked connections', '-L');
    show('TCP only', '-L -p tcp');
    show('connections from one address', '-L -s 10.0.0.2 -p udp');
    show('connections with a translated source address', '-L --src-nat');
    show('connections with a translated destination', '-L --dst-nat');
    show('IPv6, with the network layer and the id of each entry', '-L -f ipv6 -o extended,id');
    show('as commands that recreate the entries', '-L -p tcp -o save');
    show('as XML', '-L -p icmp -o xml');
    show('the number of entries', '-C');
    show('counters of the tracker, per processor', '-S');
    console.log('\nNone of this touched your machine: the namespaces end with this program.');
    stop(0);
  } catch (error) {
    console.error(`the demonstration failed: ${error.message}`);
    stop(1);
  }
}

/** Prints a headline, the command and its output. */
function show(headline, args) {
  const bold = process.stdout.isTTY ? (text) => `\x1b[1m${text}\x1b[0m` : (text) => text;
  console.log(`\n${bold(`== ${headline}`)}\n${bold(`$ conntrack ${args}`)}`);
  const result = spawnSync(process.execPath, [`${root}/bin/conntrack`, ...args.split(' ')], { encoding: 'utf8' });
  process.stdout.write(result.stdout);
  process.stdout.write(result.stderr);
  if (result.status !== 0) throw new Error(`conntrack ${args} ended with ${result.status ?? result.signal}`);
}

// --- Client and server ------------------------------------------------------------------------------------------------------

/** Does one thing per word on standard input and answers `ok`, or what went wrong. */
async function obey(things) {
  for await (const word of createInterface(process.stdin)) {
    try {
      await things[word]?.();
      console.log('ok');
    } catch (error) {
      console.log(error.message);
    }
  }
  process.exit(0);
}

/** Connections that stay, so that there is something to see. */
const kept = [];

async function connect(host, port) {
  const socket = net.connect(port, host);
  socket.on('error', () => {});
  kept.push(socket);
  await Promise.race([once(socket, 'connect'), sleep(2000).then(() => Promise.reject(new Error(`no connection to ${host}`)))]);
  socket.write('hello\n');
  await once(socket, 'data');
  return socket;
}

async function ask(host, port) {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => {});
  kept.push(socket);
  socket.send('hello', port, host);
  await Promise.race([once(socket, 'message'), sleep(300)]);
}

async function ping(host) {
  await once(spawn('ping', ['-n', '-q', '-c', '2', '-i', '0.2', '-W', '1', host], { stdio: 'ignore' }), 'exit');
}

/** Echoes everything, on TCP and UDP. */
async function echo(ports) {
  for (const port of ports) {
    const tcp = net.createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(port, '::');
    const udp = dgram.createSocket('udp6', (message, from) => udp.send(message, from.port, from.address)).bind(port, '::');
    kept.push(tcp, udp);
    await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  }
}

async function client() {
  await obey({
    async connect() {
      configure('eth0', '10.0.0.2/24', '2001:db8:a::2/64', ['10.0.0.1', '2001:db8:a::1']);
      await echo([80]);
    },
    async talk() {
      await connect('203.0.113.2', 80);
      await connect('203.0.113.2', 443);
      await connect('2001:db8:b::2', 443);
      const closed = await connect('203.0.113.2', 22);
      closed.end();
      await once(closed, 'close');
      await ask('203.0.113.2', 53);
      await ask('2001:db8:b::2', 53);
      await ask('203.0.113.99', 514); // nobody there: stays without a reply
      await Promise.all([ping('203.0.113.2'), ping('2001:db8:b::2')]);
    },
  });
}

async function server() {
  await obey({
    async connect() {
      configure('eth0', '203.0.113.2/24', '2001:db8:b::2/64', ['203.0.113.1', '2001:db8:b::1']);
      await echo([22, 53, 80, 443]);
    },
    async talk() {
      await connect('203.0.113.1', 8080);
    },
  });
}

await { outside, router, client, server }[process.argv[2] ?? 'outside']();
