// `npm run soak:record`: a recorder that runs for long: before a release for 24 hours, with `--minutes` for less. Flows come and go at a
// steady rate in a network namespace of its own, files end and are sealed, and somebody asks now and then. Every flow must be in the
// record, without a gap, and the memory of the recorder must not grow.
//
//   npm run soak:record -- [--minutes 1440] [--rate 500] [--dir DIR]
//
// Needs root. Exit status 1 if a flow is missing, something was asked in vain, or memory has grown by more than a fifth since it was warm:
// after a quarter of the time, at most an hour.

import './help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from './fresh.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1440' },
    rate: { type: 'string', default: '500' },
    dir: { type: 'string' },
  },
});
const [minutes, rate] = [values.minutes, values.rate].map(Number);
const seconds = Math.round(minutes * 60);
/** Flows of a file: some twenty files in all, and the last of them is looked at as well. */
const SEGMENT = Math.max(1000, Math.ceil((rate * seconds) / 20));
const LINES = 20;
const MOST_GROWTH = 1.2;
const warm = Math.min(seconds / 4, 3600);

delete process.env.NODE_EXTRA_CA_CERTS;
ensureBuilt();
const { openHistory } = await import(`${root}/dist/history/index.js`);
for (const name of ['acct', 'timestamp', 'events']) spawnSync('sysctl', ['-qw', `net.netfilter.nf_conntrack_${name}=1`]);
const dir = values.dir ?? mkdtempSync(`${tmpdir()}/conntrack-soak-`);
const words = ['record', '--keep', 'forever', '--dir', dir, '--segment-rows', String(SEGMENT)];
const recorder = spawn(process.execPath, [`${root}/bin/conntrack`, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
let told = '';
recorder.stderr.setEncoding('utf8').on('data', (text) => (told += text));
for (let waited = 0; !/recording/.test(told); waited++) {
  if (waited > 1200 || recorder.exitCode !== null) {
    recorder.kill('SIGKILL');
    throw new Error(`the recorder does not record: ${told}`);
  }
  await sleep(100);
}
const script = fileURLToPath(new URL('bench/events.mjs', import.meta.url));
// A flow is two events.
const load = ['--send', '--rate', String(2 * rate), '--seconds', String(seconds)];
const sender = spawn(process.execPath, [script, ...load], { stdio: ['ignore', 'pipe', 'inherit'] });
let sent = '';
sender.stdout.on('data', (text) => (sent += text));
const ended = once(sender, 'exit').then(() => true);
const began = performance.now();
const problems = [];
let first;
let cpu = 0;
try {
  for (;;) {
    if (await Promise.race([ended, sleep((seconds * 1000) / LINES).then(() => false)])) break;
    const passed = (performance.now() - began) / 1000;
    const memory = residentMegabytes();
    if (passed >= warm) first ??= memory;
    const asked = performance.now();
    const { complete, why } = await history((record) => record.whoHad({ address: '10.0.0.1', port: 1, at: '1s-ago' }));
    if (!complete) problems.push(`after ${passed.toFixed(0)} s the record is not complete: ${why.join('; ')}`);
    const spent = cpuSeconds();
    console.log(
      `${(passed / 60).toFixed(1)} min: ${memory.toFixed(0)} MB, ${(spent - cpu).toFixed(1)} s of processor time since the line before, ` +
        `a question ${(performance.now() - asked).toFixed(0)} ms, load ${loadavg()[0].toFixed(1)}`,
    );
    cpu = spent;
  }
  const last = residentMegabytes();
  await sleep(2000);
  recorder.kill('SIGTERM');
  if (recorder.exitCode === null) await once(recorder, 'exit');
  if (recorder.exitCode !== 0) problems.push(`the recorder ended with status ${recorder.exitCode}:\n${told}`);
  const flows = Number(sent) / 2;
  const [kept, gaps, size] = await history(async (record) => {
    let count = 0;
    for (const { flows } of await record.top({ by: 'protocol' })) count += flows;
    const files = record.segments();
    const bytes = files.reduce((sum, { directory, name }) => sum + statSync(`${directory}/${name}`).size, 0);
    return [count, record.gaps(), bytes];
  });
  if (kept !== flows) problems.push(`${kept} of ${flows} flows are recorded`);
  if (gaps.length > 0) problems.push(`${gaps.length} gaps: ${gaps.map(({ reason }) => reason).join(', ')}`);
  if (first !== undefined && last > MOST_GROWTH * first)
    problems.push(`${first.toFixed(0)} MB were ${last.toFixed(0)} MB at the end`);
  const verified = spawnSync(`${root}/bin/conntrack`, ['record', 'verify', '--dir', dir], { encoding: 'utf8' });
  if (verified.status !== 0) problems.push(verified.stdout + verified.stderr);
  console.log(
    `${minutes} minutes, ${flows} flows: ${(size / flows).toFixed(0)} bytes a flow, ${((cpu / flows) * 1e6).toFixed(1)} µs of processor time a flow, ` +
      `${first?.toFixed(0)} MB when it was warm, ${last.toFixed(0)} MB at the end; ${verified.stdout.trim()}`,
  );
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  sender.kill('SIGKILL');
  recorder.kill('SIGKILL');
  if (values.dir === undefined) rmSync(dir, { recursive: true, force: true });
}

async function history(body) {
  const record = await openHistory(dir);
  try {
    return await body(record);
  } finally {
    await record.close();
  }
}

function residentMegabytes() {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${recorder.pid}/status`, 'utf8'))[1]) / 1024;
}

/** Of the recorder, without what seals files. */
function cpuSeconds() {
  const [, fields] = readFileSync(`/proc/${recorder.pid}/stat`, 'utf8').split(/\) /);
  const ticks = fields.split(' ').slice(11, 13).map(Number);
  return (ticks[0] + ticks[1]) / 100;
}
