// `npm run bench:live`: what `conntrack top` costs, on a pseudo-terminal of 140x40 and a table of each size, beside its budget.
//
//   node scripts/bench/live.mjs [--sizes 10000,200000] [--seconds 30]
//
// Processor time is that of the whole process, the kernel's part included: it walks its hash table and makes a message of each entry,
// whoever asks. A million flows need sysctl net.netfilter.nf_conntrack_max above that in the initial network
// namespace. Entries of other network namespaces cost as well, so numbers of a machine that others use are
// too high. Exit status 1 if a budget is exceeded.

import '../help.mjs';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pty from '@lydell/node-pty';
import { ensureBuilt } from '../fresh.mjs';
import { requireCommands } from '../tools.mjs';
import { load, OURS, writeFlows } from './table.mjs';

const SELF = fileURLToPath(import.meta.url);
delete process.env.NODE_EXTRA_CA_CERTS;

/** By size: share of a processor, and megabytes. */
const BUDGETS = {
  10000: { share: 0.03, memory: 90 },
  200000: { share: 0.25, memory: 180 },
  1000000: { share: 0.25, memory: 500 },
};
const KEY_BUDGET = 30;
/** Processor time of a refresh, against that of a list of the same table. */
const REFRESH_BUDGET = 1.4;
/** The same against `iptstate -1`. */
const IPTSTATE = { size: 5000, budget: 0.5 };
const KEYS = 20;
/** Ticks of /proc/PID/stat per second. */
const TICKS = 100;

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,200000' },
    seconds: { type: 'string', default: '30' },
    inside: { type: 'boolean', default: false },
  },
});

if (!values.inside) {
  requireCommands(['unshare', 'conntrack', 'iptstate']);
  ensureBuilt();
  console.log(
    `load ${loadavg()[0].toFixed(1)}, ${entriesElsewhere()} entries in other network namespaces: each list passes them`,
  );
  const { status } = spawnSync('unshare', ['--net', process.execPath, SELF, '--inside', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

const work = mkdtempSync(`${tmpdir()}/conntrack-live-`);
let missed = 0;
try {
  spawnSync('ip', ['link', 'set', 'lo', 'up']);
  spawnSync('sysctl', ['-qw', 'net.netfilter.nf_conntrack_acct=1']);
  for (const size of [IPTSTATE.size, ...values.sizes.split(',').map(Number)]) {
    writeFlows(`${work}/flows`, size, size === IPTSTATE.size ? 'ipv4' : 'mixed');
    load(`${work}/flows`);
    const list = await processorTime(`${process.execPath} ${OURS} -L >/dev/null`);
    const { share, kernel, memory, key, refresh } = await measureTop();
    const name = `${size.toLocaleString('en')} flows`;
    const budget = BUDGETS[size];
    if (budget) {
      report(`${name}: share of a processor`, share, budget.share, (value) => `${(100 * value).toFixed(1)} %`);
      note(`${name}: of it in the kernel`, `${(100 * kernel).toFixed(1)} %`);
      report(`${name}: memory`, memory, budget.memory, (value) => `${value.toFixed(0)} MB`);
      report(`${name}: key to picture, median`, key, KEY_BUDGET, (value) => `${value.toFixed(1)} ms`);
    }
    if (size >= 200_000) report(`${name}: a refresh against -L`, refresh / list, REFRESH_BUDGET, (value) => value.toFixed(2));
    if (size === IPTSTATE.size)
      report(`${name}: a refresh against iptstate -1`, refresh / (await processorTime('iptstate -1')), IPTSTATE.budget, (value) =>
        value.toFixed(2),
      );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exit(missed > 0 ? 1 : 0);

function report(what, value, budget, text) {
  const pass = value <= budget;
  if (!pass) missed++;
  console.log(`${what.padEnd(48)} ${text(value).padStart(9)}   budget ${text(budget).padStart(7)}   ${pass ? 'pass' : 'MISSED'}`);
}

function note(what, text) {
  console.log(`${what.padEnd(48)} ${text.padStart(9)}`);
}

/** Seconds that a command takes of processors: the median of three. On a terminal, as iptstate does not end without one. */
async function processorTime(command) {
  const times = [];
  for (let n = 0; n < 3; n++) {
    // Into a file: the end of what a terminal gets may come after the end of the program.
    const shell = pty.spawn('sh', ['-c', `${command}; times > ${work}/times`], {
      cols: 140,
      rows: 40,
      env: { ...process.env, TERM: 'xterm' },
    });
    shell.onData(() => {});
    await new Promise((resolve) => shell.onExit(resolve));
    const [, children] = readFileSync(`${work}/times`, 'utf8').trim().split('\n');
    const [minutes, seconds, systemMinutes, systemSeconds] = children.match(/[\d.]+/g).map(Number);
    times.push(60 * (minutes + systemMinutes) + seconds + systemSeconds);
  }
  return times.sort((a, b) => a - b)[1];
}

/** Runs top, and looks at it. */
async function measureTop() {
  const terminal = pty.spawn(process.execPath, [OURS, 'top'], {
    cols: 140,
    rows: 40,
    env: { ...process.env, LANG: 'C.UTF-8', TERM: 'xterm' },
  });
  let text = '';
  let heard = () => {};
  terminal.onData((data) => {
    text += data;
    heard();
  });
  await sleep(8000);
  const began = performance.now();
  const before = ticks(terminal.pid);
  await sleep(Number(values.seconds) * 1000);
  const after = ticks(terminal.pid);
  const passed = (TICKS * (performance.now() - began)) / 1000;
  const kernel = (after.kernel - before.kernel) / passed;
  const share = kernel + (after.user - before.user) / passed;
  const memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${terminal.pid}/status`, 'utf8'))[1]) / 1000;
  const keys = [];
  for (let n = 0; n < KEYS; n++) {
    await sleep(300);
    const pressed = performance.now();
    const taken = new Promise((resolve) => (heard = () => resolve(performance.now())));
    terminal.write(n % 2 === 0 ? '?' : 'q');
    keys.push((await taken) - pressed);
    heard = () => {};
  }
  // The pace as the first line has it.
  const pace = Number([...text.matchAll(/every (\d+\.\d) s/g)].at(-1)?.[1] ?? 2);
  terminal.kill('SIGTERM');
  await sleep(500);
  return { share, kernel, memory, key: keys.sort((a, b) => a - b)[KEYS >> 1], refresh: share * pace };
}

/** The kernel has one hash table for all namespaces. */
function entriesElsewhere() {
  return /^nf_conntrack +(\d+)/m.exec(readFileSync('/proc/slabinfo', 'utf8'))?.[1] ?? 'unknown';
}

/** Processor time of a process, in ticks. */
function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return { user: Number(fields[11]), kernel: Number(fields[12]) };
}
