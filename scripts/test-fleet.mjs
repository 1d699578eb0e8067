// `npm run test:fleet`: records on their way through three servers into the copies of two collectors, while everything is killed and cut.
//
//   npm run test:fleet [-- --rounds 30] [--rate 20000] [--only kills,partitions,leaf,spool,stream] [--seed N]
//
// In a network namespace of its own: servers, three hosts whose records grow by so many rows a second together, an agent for each, two
// collectors; with `leaf` a site with a server of its own, and a host there. At the end every record of every host must be in both copies once, or in a gap that names its number. Exit status 1 if not.

import './help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contents, countLacking, isBegun, leader, listens, manager, run } from './fleet-parts.mjs';
import { ensureBuilt, root } from './fresh.mjs';
import { requireCommands } from './tools.mjs';

const SELF = fileURLToPath(import.meta.url);
const COMMAND = `${root}/bin/conntrack`;
delete process.env.NODE_EXTRA_CA_CERTS;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    rate: { type: 'string', default: '20000' },
    only: { type: 'string', default: 'kills,partitions,leaf,spool,stream' },
    seed: { type: 'string', default: `${Date.now() % 1e6}` },
    inside: { type: 'boolean', default: false },
    record: { type: 'string' },
  },
});

/** What is killed in --rounds 130, and how often. */
const KILLS = { 'leader of the stream': 30, 'two servers': 5, 'all servers': 5, collector: 60, agent: 30 };

/** Milliseconds that a copy may take to have everything. */
const PATIENCE = 180_000;
/** A cut in which an agent is killed. */
const LATE = 'everybody, and an agent is killed: its last message comes late';

if (values.record) await record(JSON.parse(values.record));
else if (!values.inside) {
  requireCommands(['unshare', 'nats-server', 'nft']);
  ensureBuilt();
  const { status } = spawnSync('unshare', ['--net', process.execPath, SELF, '--inside', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
} else await inside();

/** Stands in for a recorder: writes rows into a record until standard input ends. `keep`: segments that stay. */
async function record({ directory, rate, segmentRows, keep }) {
  const { RecordCopy } = await import(`${root}/dist/history/record-copy.js`);
  const { RECORD_COLUMNS } = await import(`${root}/dist/history/record-columns.js`);
  const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
  const now = () => Date.now() * 1000;
  const copy = new RecordCopy(loadDriver(), { directory, host: 'test', version: '0', segmentRows, now });
  const recorder = copy.meta?.recorder ?? crypto.randomUUID();
  let [next, open] = [(copy.meta?.applied ?? 0) + 1, true];
  process.stdin.on('end', () => (open = false)).resume();
  const column = (name, values) => [RECORD_COLUMNS.findIndex((row) => row.name === name), values];
  for (let due = 0, last = performance.now(); open; await sleep(100)) {
    const at = performance.now();
    due += ((at - last) * rate) / 1000;
    last = at;
    while (due >= 1) {
      const count = Math.min(4000, Math.floor(due));
      due -= count;
      const of = (value) => Array.from({ length: count }, (_, n) => value(next + n));
      const end = now();
      const columns = RECORD_COLUMNS.map(() => undefined);
      for (const [place, list] of [
        column(
          'start',
          of((n) => end - 1000 - (n % 7)),
        ),
        column(
          'dur',
          of((n) => 1000 + (n % 7)),
        ),
        ...['sslack', 'eslack', 'how'].map((name) =>
          column(
            name,
            of(() => 0),
          ),
        ),
        ...['src', 'ext'].map((name) =>
          column(
            name,
            of((n) => n | 0),
          ),
        ),
        column(
          'dst',
          of(() => 42),
        ),
        column(
          'proto',
          of(() => 17),
        ),
        column(
          'sport',
          of((n) => n & 0xffff),
        ),
      ])
        columns[place] = list;
      copy.take({ recorder, first: next, count, since: end - 2000, alive: end, netns: [], gaps: [], clock: [], columns });
      next += count;
    }
    if (keep !== undefined)
      for (const name of readdirSync(directory)
        .filter((name) => name.endsWith('.db'))
        .sort((a, b) => a.slice(-9).localeCompare(b.slice(-9)))
        .slice(0, -keep))
        rmSync(`${directory}/${name}`);
  }
  process.stdout.write(`${next - 1}\n`);
  copy.close();
}

async function inside() {
  const work = mkdtempSync(`${tmpdir()}/conntrack-test-fleet-`);
  const random = mulberry(Number(values.seed));
  const pick = (list) => list[Math.floor(random() * list.length)];
  /** So many of these, each as often as its weight says, in any order. */
  const shuffled = (weights, count) => {
    const all = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    const list = Object.entries(weights).flatMap(([name, weight]) => Array(Math.ceil((weight * count) / all)).fill(name));
    for (let n = list.length - 1; n > 0; n--) {
      const other = Math.floor(random() * (n + 1));
      [list[n], list[other]] = [list[other], list[n]];
    }
    return list;
  };
  const children = new Map();
  /** Those that ended without being killed. */
  const alone = [];
  const start = (name, command, args, stdin = 'ignore') => {
    const log = openSync(`${work}/${name}.log`, 'a');
    const child = spawn(command, args, { stdio: [stdin, stdin === 'pipe' ? 'pipe' : log, log] });
    children.set(name, child);
    return child;
  };
  const kill = async (name, signal = 'SIGKILL') => {
    const child = children.get(name);
    children.delete(name);
    if (!child) return;
    if (child.exitCode !== null || child.signalCode !== null) {
      alone.push(`${name} (status ${child.exitCode ?? child.signalCode})`);
      return;
    }
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  run('ip link set lo up');
  const servers = [0, 1, 2];
  const port = (n) => 4222 + 10 * n;
  const nats = servers.map((n) => `nats://127.0.0.1:${port(n)}`).join(',');
  const only = values.only.split(',');
  const isLeaf = only.includes('leaf');
  const leafPort = (n) => port(n) + 3000;
  const startServer = (n) => {
    const routes = servers.filter((m) => m !== n).map((m) => `"nats://127.0.0.1:${port(m) + 2000}"`);
    writeFileSync(
      `${work}/n${n}.conf`,
      `server_name: n${n}\nlisten: "127.0.0.1:${port(n)}"\njetstream { store_dir: "${work}/n${n}"${isLeaf ? ', domain: hub' : ''} }\n` +
        (isLeaf ? `leafnodes { listen: "127.0.0.1:${leafPort(n)}" }\n` : '') +
        `cluster { name: test, listen: "127.0.0.1:${port(n) + 2000}", routes: [${routes}] }\n`,
    );
    start(`n${n}`, 'nats-server', ['-c', `${work}/n${n}.conf`]);
  };
  /** The server of the site. */
  const SITE = 'ams';
  const sitePort = 4300;
  const startSite = () => {
    const urls = servers.map((n) => `"nats-leaf://127.0.0.1:${leafPort(n)}"`).join(', ');
    writeFileSync(
      `${work}/${SITE}.conf`,
      `server_name: ${SITE}\nlisten: "127.0.0.1:${sitePort}"\njetstream { store_dir: "${work}/${SITE}", domain: ${SITE} }\n` +
        `leafnodes { remotes: [ { urls: [${urls}], deny_exports: ["ct.v1.rec.>"], deny_imports: ["ct.v1.rec.>"] } ] }\n`,
    );
    start(SITE, 'nats-server', ['-c', `${work}/${SITE}.conf`]);
  };
  const ask = (...words) => spawnSync(process.execPath, [COMMAND, 'fleet', ...words, '--nats', nats], { encoding: 'utf8' });
  const hosts = ['h1', 'h2', 'h3'];
  const startAgent = (name, place = ['--nats', nats]) =>
    start(`agent-${name}`, process.execPath, [
      COMMAND,
      'agent',
      ...place,
      '--name',
      name,
      '--take-over',
      '--history',
      `${work}/${name}`,
      '--ship',
      '--flush',
      '1s',
    ]);
  const startCollector = (name) =>
    start(name, process.execPath, [
      COMMAND,
      'collector',
      '--nats',
      nats,
      '--name',
      name,
      '--take-over',
      '--keep',
      'forever',
      '--dir',
      `${work}/${name}`,
      '--segment-rows',
      '200000',
    ]);
  const startRecord = (name, more = {}) =>
    start(
      `record-${name}`,
      process.execPath,
      [
        SELF,
        '--record',
        JSON.stringify({ directory: `${work}/${name}`, rate: Number(values.rate) / hosts.length, segmentRows: 100_000, ...more }),
      ],
      'pipe',
    );
  /** Ends what writes a record. @returns the number of its last row */
  const endRecord = async (name) => {
    const child = children.get(`record-${name}`);
    let text = '';
    child.stdout.on('data', (part) => (text += part));
    const ended = once(child, 'close');
    child.stdin.end();
    await ended;
    children.delete(`record-${name}`);
    return Number(text);
  };
  let failed = 0;
  try {
    for (const n of servers) startServer(n);
    for (const n of servers) await listens(port(n));
    const prepare = async (...words) => {
      for (let tries = 0; ask('setup', ...words).status !== 0; tries++) {
        if (tries > 60) throw new Error('the servers cannot be prepared');
        await sleep(500);
      }
    };
    await prepare('--records-size', '2G');
    for (const name of hosts) startRecord(name);
    for (const name of hosts) await isBegun(`${work}/${name}`);
    for (const name of hosts) startAgent(name);
    for (const name of ['c1', 'c2']) startCollector(name);
    const rounds = Number(values.rounds);
    const counts = {};
    const did = (what) => (counts[what] = (counts[what] ?? 0) + 1);

    const killing = {
      'leader of the stream': async () => {
        const n = await leader(nats);
        await kill(`n${n}`);
        await sleep(2000 + random() * 6000);
        startServer(n);
      },
      'two servers': async () => {
        const spared = pick(servers);
        const two = servers.filter((n) => n !== spared);
        await Promise.all(two.map((n) => kill(`n${n}`)));
        await sleep(2000 + random() * 6000);
        for (const n of two) startServer(n);
      },
      'all servers': async () => {
        await Promise.all(servers.map((n) => kill(`n${n}`)));
        await sleep(1000 + random() * 4000);
        for (const n of servers) startServer(n);
      },
      collector: async () => {
        const name = pick(['c1', 'c2']);
        await kill(name);
        await sleep(random() * 2000);
        startCollector(name);
      },
      agent: async () => {
        const name = pick(hosts);
        await kill(`agent-${name}`);
        await sleep(random() * 2000);
        startAgent(name);
      },
    };
    const cuts = {
      'clients of a server': (n) => [`tcp dport ${port(n)} drop`, `tcp sport ${port(n)} drop`],
      'a server from the others': (n) => [`tcp dport ${port(n) + 2000} drop`, `tcp sport ${port(n) + 2000} drop`],
      'one direction': (n) => [`tcp sport ${port(n)} drop`],
      [LATE]: () => servers.map((n) => `tcp dport ${port(n)} drop`),
    };
    if (only.includes('kills'))
      for (const what of shuffled(KILLS, rounds)) {
        await killing[what]();
        did(`kill -9: ${what}`);
        await sleep(1500);
      }
    if (only.includes('partitions'))
      for (const what of shuffled(Object.fromEntries(Object.keys(cuts).map((name) => [name, 1])), Math.ceil(rounds / 3))) {
        run('nft', 'add table inet cut');
        run('nft', 'add chain inet cut input { type filter hook input priority 0; }');
        for (const rule of cuts[what](pick(servers))) run('nft', `add rule inet cut input ${rule}`);
        if (what === LATE) {
          // What it had under way its kernel sends when the line is there again, beside what the next agent sends.
          const name = pick(hosts);
          await sleep(1500);
          await kill(`agent-${name}`);
          startAgent(name);
        }
        await sleep(3000 + random() * 9000);
        run('nft', 'delete table inet cut');
        did(`cut off: ${what}`);
        await sleep(2000);
      }
    if (isLeaf) {
      startSite();
      await listens(sitePort);
      const place = ['--nats', `nats://127.0.0.1:${sitePort}`, '--site', SITE];
      await prepare('--leaf', SITE);
      startRecord('h5', { rate: 5000 });
      await isBegun(`${work}/h5`);
      startAgent('h5', place);
      await sleep(3000);
      const cut = () => {
        run('nft', 'add table inet cut');
        run('nft', 'add chain inet cut input { type filter hook input priority 0; }');
        for (const n of servers)
          for (const side of ['dport', 'sport']) run('nft', `add rule inet cut input tcp ${side} ${leafPort(n)} drop`);
      };
      const heal = () => run('nft', 'delete table inet cut');
      const pause = () => sleep(3000 + random() * 9000);
      const troubles = {
        'the line to a site is cut': async () => {
          cut();
          await pause();
          heal();
        },
        'kill -9: server of a site': async () => {
          await kill(SITE);
          await pause();
          startSite();
        },
        'kill -9: leader of the stream, and a site is there': async () => {
          const n = await leader(nats);
          await kill(`n${n}`);
          await pause();
          startServer(n);
        },
        'the line to a site is cut, its server and an agent killed': async () => {
          cut();
          await sleep(2000);
          await kill(SITE);
          await kill('agent-h5');
          startSite();
          startAgent('h5', place);
          await pause();
          heal();
        },
      };
      const equal = Object.fromEntries(Object.keys(troubles).map((name) => [name, 1]));
      for (const what of shuffled(equal, Math.ceil(rounds / 3))) {
        await troubles[what]();
        did(what);
        await sleep(2000);
      }
    }
    /** Numbers of records by copy, from which on gaps may be: the stream was deleted there. */
    const collected = new Map();
    if (only.includes('stream')) {
      // What was not collected is gone with it; it must show.
      const copied = () => ['c1', 'c2'].every((name) => hosts.every((host) => existsSync(`${work}/${name}/${host}`)));
      for (let tries = 0; !copied() && tries < 120; tries++) await sleep(500);
      await sleep(2000);
      await Promise.all(['c1', 'c2'].map((name) => kill(name)));
      for (const name of ['c1', 'c2'])
        for (const host of hosts) collected.set(`${name}/${host}`, (await foundIn(`${work}/${name}/${host}`)).applied);
      await sleep(5000);
      await deleteStream(nats);
      await prepare('--records-size', '2G');
      if (isLeaf) await prepare('--leaf', SITE);
      for (const name of ['c1', 'c2']) startCollector(name);
      did('stream deleted and made anew');
      await sleep(3000);
    }
    const truth = new Map();
    for (const name of hosts) truth.set(name, await endRecord(name));
    if (isLeaf) truth.set('h5', await endRecord('h5'));
    if (only.includes('spool')) {
      // A record that keeps less than the servers are away.
      startRecord('h4', { segmentRows: 5000, keep: 3, rate: 5000 });
      await isBegun(`${work}/h4`);
      startAgent('h4');
      await sleep(5000);
      await Promise.all(servers.map((n) => kill(`n${n}`)));
      await sleep(12_000);
      for (const n of servers) startServer(n);
      did('servers away for longer than a record is kept');
      await sleep(25_000);
      truth.set('h4', await endRecord('h4'));
    }
    for (const [name, { exitCode, signalCode }] of children)
      if (exitCode !== null || signalCode !== null) alone.push(`${name} (status ${exitCode ?? signalCode})`);
    const { results, waited } = await compare(work, truth);
    if (alone.length > 0) {
      console.log(`ended without being killed: ${alone.join(', ')}`);
      failed = 1;
    }
    console.log(
      `seed ${values.seed}; ${[...truth].map(([name, last]) => `${name}: ${last} records`).join(', ')}; the last were there after ${waited} s`,
    );
    for (const [what, count] of Object.entries(counts)) console.log(`  ${count} x ${what}`);
    for (const { copy, lost, doubled, gaps, firstInGap } of results) {
      const mayLack = copy.endsWith('h4') ? 0 : (collected.get(copy) ?? Infinity);
      const early = firstInGap !== undefined && firstInGap <= mayLack ? `, the first of them ${firstInGap}, with no cause` : '';
      console.log(`${copy}: lost ${lost}, doubled ${doubled}, in gaps ${gaps}${early}`);
      if (lost + doubled > 0 || early !== '') failed = 1;
    }
  } catch (error) {
    console.error(error);
    failed = 1;
  } finally {
    for (const child of children.values()) child.kill('SIGKILL');
    if (failed) console.error(`what was said is in ${work}/*.log`);
    else rmSync(work, { recursive: true, force: true });
  }
  process.exit(failed);
}

/** Waits until copies have all they can have, and counts what lacks and what is there twice. */
async function compare(work, truth) {
  const began = performance.now();
  const results = [];
  for (const [name, last] of truth)
    for (const collector of ['c1', 'c2']) {
      const folder = `${work}/${collector}/${name}`;
      let found;
      for (const until = performance.now() + PATIENCE; performance.now() < until; ) {
        found = (existsSync(folder) ? await ifFree(foundIn(folder)) : undefined) ?? found;
        if (found && found.applied >= last) break;
        await sleep(500);
      }
      const { lost, doubled, inGaps, firstInGap, reasons } = countLacking(found, last);
      results.push({
        copy: `${collector}/${name}`,
        lost,
        doubled,
        firstInGap,
        gaps: inGaps === 0 ? '0' : `${inGaps} (${[...reasons].join(', ')})`,
      });
    }
  return { results, waited: Math.round((performance.now() - began) / 1000) };
}

/** `undefined` while the collector is about to write it. */
async function ifFree(reading) {
  try {
    return await reading;
  } catch (error) {
    if (error.code !== 'SQLITE_BUSY') throw error;
    return undefined;
  }
}

/** What is in the only record of a folder. */
async function foundIn(folder) {
  const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
  return contents(loadDriver(), `${folder}/${readdirSync(folder)[0]}`);
}

async function deleteStream(nats) {
  const { connection, streams } = await manager(nats);
  await streams.delete('CT_REC');
  await connection.close();
}

function mulberry(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
