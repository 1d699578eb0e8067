// What a record costs: processor time and losses of `conntrack record`, beside those of the reference, whose events gzip packs, and of
// ulogd2, which writes into SQLite, too (apt-get install ulogd2 ulogd2-sqlite3). Each gets the same flows, one after the other. By the second
// half of a run Node.js has compiled what it runs. Run it in a network namespace of its own: npm run bench:record.

import '../help.mjs';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { REFERENCE } from './table.mjs';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
  },
});
const [rate, seconds, rounds] = [values.rate, values.seconds, values.rounds].map(Number);
const SENDER = fileURLToPath(new URL('events.mjs', import.meta.url));
const ULOGD_PLUGINS = '/usr/lib/x86_64-linux-gnu/ulogd';

ensureBuilt();
const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
const { segmentFiles } = await import(`${root}/dist/history/segment-files.js`);
for (const [name, value] of Object.entries({ events: 1, acct: 1, timestamp: 1 }))
  writeFileSync(`/proc/sys/net/netfilter/nf_conntrack_${name}`, String(value));
const work = mkdtempSync(`${tmpdir()}/conntrack-bench-`);

/** Each: starts, ends, and says how many flows it has kept. */
const recorders = {
  'conntrack record': (dir) => ({
    command: [process.execPath, [`${root}/bin/conntrack`, 'record', '--keep', 'forever', '--dir', dir]],
    kept: () =>
      segmentFiles(dir).reduce((sum, { path }) => {
        const file = loadDriver().open(path, { readOnly: true });
        return sum + file.prepare('SELECT count(*) AS n FROM flow').all()[0].n;
      }, 0),
    size: () => segmentFiles(dir).reduce((sum, { path }) => sum + statSync(path).size, 0),
  }),
  'C tool -E | gzip': (dir) => ({
    command: ['sh', ['-c', `trap '' INT; ${REFERENCE} -E -e NEW,DESTROY -o timestamp,id | gzip > ${dir}/log.gz`]],
    kept: () => Number(execFileSync('sh', ['-c', `zcat ${dir}/log.gz | grep -c DESTROY || true`], { encoding: 'utf8' })),
    size: () => statSync(`${dir}/log.gz`).size,
  }),
  'ulogd2, SQLite': (dir) => {
    const plugin = (name) => `plugin="${ULOGD_PLUGINS}/ulogd_${name}.so"`;
    const tables = execFileSync(
      'sh',
      [
        '-c',
        'zcat -f /usr/share/doc/ulogd2-sqlite3/examples/sqlite3.table* /usr/share/doc/ulogd2/examples/sqlite3.table* 2>/dev/null; cat /usr/share/doc/ulogd2-sqlite3/sqlite3.table',
      ],
      { encoding: 'utf8' },
    );
    const table = /CREATE TABLE ulog_ct[\s\S]*?\);/.exec(tables)[0];
    const file = loadDriver().open(`${dir}/ulogd.db`);
    file.exec(table);
    file.close();
    writeFileSync(
      `${dir}/ulogd.conf`,
      `[global]\nlogfile="${dir}/ulogd.log"\n${['inpflow_NFCT', 'output_SQLITE3'].map(plugin).join('\n')}\nstack=ct1:NFCT,sql1:SQLITE3\n` +
        `[ct1]\nnetlink_socket_buffer_size=33554432\nnetlink_socket_buffer_maxsize=33554432\nhash_enable=1\naccept_src_filter=0.0.0.0/0\n[sql1]\ntable="ulog_ct"\ndb="${dir}/ulogd.db"\nbuffer=200\n`,
    );
    return {
      command: ['ulogd', ['-c', `${dir}/ulogd.conf`]],
      kept: () => {
        const db = loadDriver().open(`${dir}/ulogd.db`, { readOnly: true });
        return db.prepare('SELECT count(*) AS n FROM ulog_ct').all()[0].n;
      },
      size: () => statSync(`${dir}/ulogd.db`).size,
    };
  },
};

console.log(`${rate} flows a second, ${seconds} s, load ${loadavg()[0].toFixed(1)}`);
try {
  for (let round = 0; round < rounds; round++)
    for (const [name, make] of Object.entries(recorders)) {
      if (name.startsWith('ulogd') && !existsSync(`${ULOGD_PLUGINS}/ulogd_output_SQLITE3.so`)) {
        console.log(`${name}: not installed`);
        continue;
      }
      const dir = mkdtempSync(`${work}/run-`);
      const { command, kept, size } = make(dir);
      const child = spawn(...command, { stdio: ['ignore', 'ignore', 'ignore'], detached: true });
      await sleep(1500);
      const before = cpuSeconds(child.pid);
      const sender = spawn(process.execPath, [SENDER, '--send', '--rate', String(2 * rate), '--seconds', String(seconds)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let half = 0;
      setTimeout(() => (half = cpuSeconds(child.pid)), 500 * seconds);
      let told = '';
      sender.stdout.on('data', (text) => (told += text));
      await once(sender, 'exit');
      await sleep(1500);
      const after = cpuSeconds(child.pid);
      const memory = residentMegabytes(child.pid);
      const exited = once(child, 'exit');
      process.kill(-child.pid, 'SIGINT');
      if (!(await Promise.race([exited.then(() => true), sleep(5000)]))) {
        process.kill(-child.pid, 'SIGTERM');
        await exited;
      }
      const flows = Number(told) / 2;
      const lost = flows - kept();
      console.log(
        `${name}: ${(((after - before) / flows) * 1e6).toFixed(1)} µs of processor time a flow, ` +
          `${(((after - half) / (flows / 2)) * 1e6).toFixed(1)} after the first half, ${lost} of ${flows} lost, ` +
          `${(size() / flows).toFixed(0)} bytes a flow, ${memory.toFixed(0)} MB`,
      );
      rmSync(dir, { recursive: true });
    }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Of a process and its children. */
function processes(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processes)];
}

function cpuSeconds(pid) {
  const tasks = processes(pid).flatMap((each) =>
    readdirSync(`/proc/${each}/task`).map((task) => `/proc/${each}/task/${task}/schedstat`),
  );
  return tasks.reduce((sum, path) => sum + Number(readFileSync(path, 'utf8').split(' ')[0]), 0) / 1e9;
}

function residentMegabytes(pid) {
  return (
    processes(pid).reduce(
      (sum, each) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0),
      0,
    ) / 1024
  );
}
