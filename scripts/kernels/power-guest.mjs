// In the guest: a recorder on a disk, and flows that come and go. Lines of JSON say what happens. What the recorder has acknowledged is
// written to the end of the disk as well, without its caches: so the order of that and of the record is the disk's own. Then the clock is
// set back and forth, and the record of that is shown.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { askRecorder } from '../../dist/history/control-socket.js';
import { openHistory } from '../../dist/history/index.js';
import { Conntrack } from '../../dist/index.js';

const SECONDS = Number(process.env.POWER_SECONDS);
/** Where the marks begin, in sectors of 512 bytes. */
const MARKS = Number(process.env.POWER_MARKS);
/** Milliseconds for a program to start: the guest is emulated. */
const PATIENCE = 240_000;
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const micros = () => Date.now() * 1000;
const flowOf = (n) => ({
  protocol: 'udp',
  original: { src: `10.${n >> 24}.${(n >> 16) & 255}.1`, dst: '192.0.2.1', sport: n & 65535 || 65535, dport: 53 },
  timeout: 3000,
});

for (const name of ['virtio_blk', 'ext4']) execFileSync('modprobe', [name]);
for (const name of ['timestamp', 'acct', 'events']) writeFileSync(`/proc/sys/net/netfilter/nf_conntrack_${name}`, '1');
mkdirSync('/run/disk');
execFileSync('mount', ['-t', 'ext4', '/dev/vda', '/run/disk']);
const conntrack = await Conntrack.open();
let next = 1;
const lives = new Set();

/** Flows come and go for some seconds; `each` is called once a second. */
async function traffic(seconds, each) {
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const second = performance.now() + 1000;
    while (performance.now() < second) {
      const some = Array.from({ length: 10 }, () => next++);
      const began = micros();
      await conntrack.createMany(some.map(flowOf));
      for (const n of some) lives.add(n);
      tell({ began, flows: some });
      await sleep(50);
      const leaving = [...lives].filter(() => Math.random() < 0.4);
      await conntrack.deleteMany(leaving.map(flowOf));
      for (const n of leaving) lives.delete(n);
      tell({ ended: micros(), flows: leaving });
    }
    await each();
  }
}

async function record(directory, ...words) {
  const recorder = spawn(process.execPath, ['bin/conntrack', 'record', '--keep', 'forever', '--dir', directory, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  recorder.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  for (let waited = 0; !/recording .* in /.test(said); waited += 100) {
    if (waited > PATIENCE || recorder.exitCode !== null) throw new Error(`no recorder: ${said}`);
    await sleep(100);
  }
  return { recorder, said: () => said };
}

async function power() {
  const directory = '/run/disk/record';
  await record(directory, '--sync', '0.5s', '--checkpoint', '2s', '--segment-rows', '1500');
  tell({ recording: micros() });
  await traffic(SECONDS, async () => {
    const status = await askRecorder(directory, 'status', PATIENCE);
    const mark = `${JSON.stringify({ sequence: status.sequence, at: micros() })}\n`;
    writeFileSync('/run/mark', mark.padEnd(512));
    execFileSync('dd', ['if=/run/mark', 'of=/dev/vda', 'bs=512', 'count=1', `seek=${MARKS}`, 'oflag=direct', 'conv=notrunc'], {
      stdio: 'ignore',
    });
    tell({ acknowledged: status.sequence });
  });
}

/** Sets the clock by so many seconds. */
function setClock(seconds) {
  const to = Math.floor(Date.now() / 1000) + seconds;
  execFileSync('date', ['-s', `@${Math.max(86_400, to)}`], { stdio: 'ignore' });
}

async function clock() {
  const directory = '/run/clock-record';
  const { recorder, said } = await record(directory);
  const real = Date.now() / 1000 - performance.now() / 1000;
  const set = [3600, -7200, 3600, 20, -20, -1e10];
  const asked = [];
  const first = flowOf(next).original;
  for (const seconds of set) {
    await traffic(2, async () => {});
    asked.push(Date.now() / 1000);
    setClock(seconds);
    await traffic(2, async () => {});
  }
  setClock(Math.round(real + performance.now() / 1000 - Date.now() / 1000));
  await traffic(2, async () => {});
  await askRecorder(directory, 'flush', PATIENCE);
  recorder.kill('SIGTERM');
  await new Promise((resolve) => recorder.once('exit', resolve));
  const history = await openHistory(directory);
  let flows = 0;
  let backwards = 0;
  let lasted = 0;
  for await (const { start, end, quality } of history.flows()) {
    flows++;
    if (end !== undefined && end < start) backwards++;
    if (quality.clockSet) lasted++;
  }
  const at = Math.floor(asked[0]);
  const answer = await history.whoHad({
    address: first.src,
    port: first.sport,
    at: new Date(at * 1000).toISOString().replace('.000', ''),
  });
  tell({ clock: { flows, backwards, lasted, near: answer.matches.map(({ quality }) => quality.clockStep ?? 0), said: said() } });
}

await power();
tell({ over: micros() });
if (process.env.POWER_CLOCK) await clock();
// The recorder on the disk still runs: the power fails.
process.exit(0);
