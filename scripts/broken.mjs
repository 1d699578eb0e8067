// `npm run broken`: ten broken machines to try `conntrack doctor` on, in private namespaces. A router between a client and a server is made,
// and broken in one way.
//
//   npm run broken                          lists them
//   npm run broken -- one-way-udp           breaks one, and opens a shell on the router: try conntrack doctor, conntrack doctor --fixes
//   npm run broken -- one-way-udp doctor    breaks one, and runs conntrack doctor there
//   npm run broken -- all                   each of them with conntrack doctor
//
//   client 10.0.0.2 ── 10.0.0.1 router 203.0.113.1 ── 203.0.113.2 server
//
// Everything ends with the shell or the command, whatever happens.

import './help.mjs';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, root } from './fresh.mjs';
import { requireCommands } from './tools.mjs';

const SELF = fileURLToPath(import.meta.url);
const CLIENT = '10.0.0.2';
const SERVER = '203.0.113.2';
const NOBODY = '203.0.113.66';
const SECOND = '203.0.113.9';
delete process.env.NODE_EXTRA_CA_CERTS; // it slows every start down, and the doctor would say so

const BASE_RULES = `
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" udp dport 5060 snat to ${SECOND}
    oifname "wan" udp dport 7004 masquerade to :40000-40099
    oifname "wan" masquerade
  }
}`;

/** What is wrong with each, for who wants to know, and how it is made. */
const MACHINES = {
  'full-table': {
    story: 'users say that every second page does not load',
    async make({ fill }) {
      await fill(262_144);
    },
    keep: ({ client }) => client('udp', { to: [SERVER, 7001], every: 20, newPort: true }),
  },
  'gone-address': {
    story: 'the provider gave the router another address this morning; since then the telephones are dead',
    async make({ client, sh }) {
      for (let n = 0; n < 30; n++) client('udp', { to: [SERVER, 5060], every: 500, silent: true });
      await sleep(1500);
      sh(`ip address del ${SECOND}/24 dev wan`);
    },
  },
  'one-way-udp': {
    story: 'a tunnel through this router does not come up, though packets leave',
    make: ({ client }) => client('udp', { to: [SERVER, 7002], every: 200, silent: true }),
  },
  'no-hooks': {
    story: 'conntrack -L shows nothing, though there is traffic',
    rules: '',
    make: ({ router }) => router('udp', { to: [SERVER, 7001], every: 50 }),
  },
  'accounting-off': {
    story: 'nobody can say who uses how much',
    settings: { acct: 0 },
    make: ({ client }) => client('udp', { to: [SERVER, 7001], every: 100 }),
  },
  'losing-listener': {
    story: 'the collector of connections misses half of them',
    async make({ client, start }) {
      const listener = start(['-E', '-b', '4096']);
      await sleep(1500);
      listener.kill('SIGSTOP');
      for (let n = 0; n < 3; n++) client('udp', { to: [SERVER, 7001], every: 10, newPort: true });
    },
  },
  'scarce-ports': {
    story: 'one popular service fails for some clients, everything else works',
    async make({ client }) {
      for (let n = 0; n < 97; n++) client('udp', { to: [SERVER, 7004], every: 5000, silent: true });
      await sleep(2000);
    },
  },
  scan: {
    story: 'the router is slow, and its table large',
    make: ({ client }) => client('udp', { to: [NOBODY, 9], every: 1, newPort: true, silent: true }),
    wait: 4000,
  },
  'unanswered-syns': {
    story: 'one web site hangs for everybody',
    async make({ client }) {
      for (let n = 0; n < 30; n++) client('tcp', { to: [NOBODY, 443], every: 60_000 });
      await sleep(1000);
    },
  },
  'full-expectations': {
    story: 'calls are set up, but nobody hears anything',
    make: ({ expect }) =>
      expect(Math.ceil(0.9 * Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_expect_max', 'utf8')))),
  },
};

const [role, ...words] = process.argv.slice(2);

if (role === undefined) {
  console.log('Ten broken machines. What is wrong, conntrack doctor should tell:\n');
  for (const [name, { story }] of Object.entries(MACHINES)) console.log(`  ${name.padEnd(18)} ${story}`);
  console.log(
    '\n  npm run broken -- NAME            opens a shell there\n  npm run broken -- NAME doctor     runs conntrack doctor there',
  );
} else if (role === '--agent') await agent();
else if (role === '--router') await router(words[0], words.slice(1));
else {
  const names = role === 'all' ? Object.keys(MACHINES) : [role];
  if (!names.every((name) => Object.hasOwn(MACHINES, name))) {
    console.error(`There is no machine '${role}'. npm run broken lists them.`);
    process.exit(2);
  }
  requireCommands(['ip', 'nft', 'unshare', 'sysctl']);
  ensureBuilt();
  const command = role === 'all' && words.length === 0 ? ['doctor'] : words;
  for (const name of names) {
    if (role === 'all') console.log(`\n== ${name}: ${MACHINES[name].story}`);
    const argv = ['--user', '--map-root-user', '--net', '--mount', process.execPath, SELF, '--router', name, ...command];
    const { status } = spawnSync('unshare', process.getuid() === 0 ? argv.slice(2) : argv, { stdio: 'inherit' });
    if (role !== 'all') process.exit(status ?? 1);
  }
}

/** Makes the router in this process's namespaces, breaks it, and lets somebody look. */
async function router(name, command) {
  const machine = MACHINES[name];
  const children = [];
  const folder = mkdtempSync(`${tmpdir()}/conntrack-broken-`);
  try {
    symlinkSync(`${root}/bin/conntrack`, `${folder}/conntrack`);
    process.env.PATH = `${folder}:${process.env.PATH}`;
    const sh = (line) => execFileSync('sh', ['-ec', line], { stdio: ['ignore', 'ignore', 'inherit'] });
    const startAgent = async (namespaced) => {
      const argv = [process.execPath, SELF, '--agent'];
      const child = namespaced
        ? spawn('unshare', ['--net', ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
        : spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      await once(createInterface(child.stdout), 'line');
      return { pid: child.pid, tell: (what, options) => child.stdin.write(`${JSON.stringify({ what, ...options })}\n`) };
    };
    const [client, server, own] = [await startAgent(true), await startAgent(true), await startAgent(false)];
    sh(`ip link set lo up
      ip link add lan type veth peer name eth0 netns ${client.pid}
      ip link add wan type veth peer name eth0 netns ${server.pid}
      ip address add 10.0.0.1/24 dev lan; ip address add 203.0.113.1/24 dev wan; ip address add ${SECOND}/24 dev wan
      ip link set lan up; ip link set wan up`);
    for (const [agent, address, gateway] of [
      [client, CLIENT, '10.0.0.1'],
      [server, SERVER, '203.0.113.1'],
    ])
      sh(
        `nsenter -t ${agent.pid} -n sh -ec 'ip link set lo up; ip address add ${address}/24 dev eth0; ip link set eth0 up; ip route add default via ${gateway}'`,
      );
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
    for (const [setting, value] of Object.entries({ acct: 1, timestamp: 1, events: 1, udp_timeout: 600, ...machine.settings }))
      writeFileSync(`/proc/sys/net/netfilter/nf_conntrack_${setting}`, `${value}`);
    execFileSync('nft', ['-f', '-'], { input: machine.rules ?? BASE_RULES, stdio: ['pipe', 'ignore', 'inherit'] });
    server.tell('serve');
    await sleep(300);
    client.tell('udp', { to: [SERVER, 7001], every: 100 }); // somebody for whom all is well
    const library = await import(`${root}/dist/index.js`);
    const tools = {
      client: (what, options) => client.tell(what, options),
      router: (what, options) => own.tell(what, options),
      sh,
      start: (args) => {
        const child = spawn(process.execPath, [`${root}/bin/conntrack`, ...args], { stdio: 'ignore' });
        children.push(child);
        return child;
      },
      fill: (most) => fill(library, most),
      expect: (number) => expect(library, number),
    };
    await machine.make(tools);
    machine.keep?.(tools); // what goes on while somebody looks
    await sleep(machine.wait ?? 500);
    if (command.length > 0) {
      const child = spawn(process.execPath, [`${root}/bin/conntrack`, ...command], { stdio: 'inherit' });
      const [status] = await once(child, 'exit');
      process.exitCode = status ?? 1;
    } else {
      console.log(`${machine.story}\n\nThis is a shell on the router. Try: conntrack doctor. exit ends it.`);
      await once(spawn(process.env.SHELL ?? 'sh', { stdio: 'inherit' }), 'exit');
    }
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit();
}

/** Fills the table with answered flows. */
async function fill({ Conntrack }, most) {
  await using(await Conntrack.open(), async (conntrack) => {
    const { entries } = await conntrack.count();
    const flows = function* () {
      for (let n = 0; n < most - entries; n++)
        yield {
          protocol: 'tcp',
          original: { src: `10.0.${1 + (n % 200)}.2`, dst: `198.18.${n >> 14}.1`, sport: 1024 + (n & 0x3fff), dport: 443 },
          state: 'ESTABLISHED',
          timeout: n % 3 === 0 ? 150_000 : 431_000,
          status: ['SEEN_REPLY', 'ASSURED'],
        };
    };
    await conntrack.createMany(flows());
  });
}

/** Has a helper expect so many connections. */
async function expect({ Conntrack }, number) {
  await using(await Conntrack.open(), async (conntrack) => {
    for (let n = 0; n < number; n++) {
      const master = { src: `10.0.${1 + (n >> 8)}.${n & 255}`, dst: SERVER, protonum: 6, sport: 40_000, dport: 21 };
      await conntrack.create({
        protocol: 'tcp',
        original: master,
        state: 'ESTABLISHED',
        timeout: 3600,
        helper: 'ftp',
        status: ['SEEN_REPLY', 'ASSURED'],
      });
      await conntrack.expectations.create({
        master,
        tuple: { src: SERVER, dst: master.src, protonum: 6, sport: 0, dport: 50_000 },
        mask: { src: '255.255.255.255', dst: '255.255.255.255', protonum: 6, sport: 0, dport: 65_535 },
        timeout: 600,
      });
    }
  });
}

async function using(conntrack, work) {
  try {
    await work(conntrack);
  } finally {
    await conntrack.close();
  }
}

/** Sends and serves what it is told, line by line; ends with its standard input. */
async function agent() {
  console.log('ready');
  process.stdin.on('end', () => process.exit(0));
  const failed = () => {}; // unreachable ports are what some of this is about
  for await (const line of createInterface(process.stdin)) {
    const { what, to, every, newPort } = JSON.parse(line);
    if (what === 'serve') {
      for (const port of [7001, 7002, 7004, 5060]) {
        const socket = dgram.createSocket('udp4').bind(port);
        socket.on('error', failed);
        if (port === 7001) socket.on('message', (message, peer) => socket.send(message, peer.port, peer.address));
      }
    } else if (what === 'tcp') net.connect({ host: to[0], port: to[1] }).on('error', failed);
    else {
      let socket = dgram.createSocket('udp4').on('error', failed);
      const send = () => {
        if (newPort) {
          socket.close();
          socket = dgram.createSocket('udp4').on('error', failed);
        }
        socket.send('hello', to[1], to[0], failed);
      };
      send();
      setInterval(send, every);
    }
  }
}
