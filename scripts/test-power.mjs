// `npm run test:power`: what a record is worth when power fails.
//
//   npm run test:power -- [--kernel 6.12] [--seconds 60] [--cuts 40] [--seed N] [--clock] [--keep DIR]
//
// A guest (QEMU) records flows on a disk whose writes and flushes are logged in their order. At random moments of that log the disk is made
// anew as a failure of power leaves it: with all that was flushed before, and with none or any part of what was written after. Of each such
// disk the record is taken, and a recorder goes on with it: no record that the recorder had acknowledged may be missing or doubled, numbers
// have no hole, and each flow that is missing lies in a gap. --clock: the guest's clock is set back and forth as well, and the record has
// to tell. Needs root, mkfs.ext4, e2fsck and debugfs (e2fsprogs).

import './help.mjs';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from './fresh.mjs';
import { runInGuest } from './kernels/boot.mjs';
import { provideKernel } from './kernels/fetch.mjs';
import { randomOf } from './random.mjs';
import { requireCommands } from './tools.mjs';

const { values } = parseArgs({
  options: {
    kernel: { type: 'string', default: '6.12' },
    seconds: { type: 'string', default: '60' },
    cuts: { type: 'string', default: '40' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    clock: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});
const [seconds, cuts, seed] = [values.seconds, values.cuts, values.seed].map(Number);
requireCommands(['qemu-system-x86_64', 'mkfs.ext4', 'e2fsck', 'debugfs', 'unshare']);
ensureBuilt();
const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
const { segmentFiles } = await import(`${root}/dist/history/segment-files.js`);

const SECTOR = 512;
const DISK = 192 * 1024 * 1024;
/** The file system; marks come behind it. */
const FILES = 160 * 1024 * 1024;
/** Microseconds between what the recorder and the one who makes flows think of a time. */
const SLACK = 2_000_000;
/** Of the log's entries. Source: Documentation/admin-guide/device-mapper/log-writes.rst */
const MAGIC = 0x6a736677736872n;
const [FLUSH, DISCARD] = [1, 4];

const work = values.keep ?? mkdtempSync(`${tmpdir()}/conntrack-power-`);
mkdirSync(work, { recursive: true });
const file = (name) => `${work}/${name}`;
let failures = 0;
try {
  if (!existsSync(file('story'))) await run();
  const story = readFileSync(file('story'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  check(
    story.slice(
      0,
      story.findIndex(({ over }) => over),
    ),
  );
  if (values.clock) checkClock(story.find(({ clock }) => clock)?.clock);
} finally {
  if (!values.keep) rmSync(work, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;

/** The guest's run: disk, log of it, and what was said. */
async function run() {
  for (const name of ['image', 'log']) writeFileSync(file(name), '');
  truncateSync(file('image'), DISK);
  execFileSync('mkfs.ext4', ['-q', '-F', '-b', '4096', file('image'), String(FILES / 4096)]);
  copyFileSync(file('image'), file('empty'));
  let said = '';
  const kernel = provideKernel(values.kernel);
  if (!existsSync(`${kernel.modules}/lib/modules/${kernel.version}/kernel/fs/ext4`))
    throw new Error(`${kernel.folder} was made without modules for disks: delete it, and it is fetched anew`);
  const status = await runInGuest(kernel, {
    folder: root,
    argv: [process.execPath, 'scripts/kernels/power-guest.mjs'],
    environment: {
      POWER_SECONDS: String(seconds),
      POWER_MARKS: String(FILES / SECTOR),
      ...(values.clock ? { POWER_CLOCK: '1' } : {}),
    },
    seconds: 600 + 4 * seconds,
    disk: { image: file('image'), log: file('log') },
    onOutput: (bytes) => (said += bytes),
    onError: (bytes) => process.stderr.write(bytes),
  });
  if (status !== 0) throw new Error(`the guest's program ended with ${status}`);
  writeFileSync(file('story'), said);
}

/** What was written to the disk and when it was flushed, in order: for a write, where its bytes are in the log. */
function readLog() {
  const fd = openSync(file('log'), 'r');
  const word = (bytes, at) => Number(bytes.readBigUInt64LE(at));
  const head = Buffer.alloc(SECTOR);
  readSync(fd, head, 0, SECTOR, 0);
  if (head.readBigUInt64LE(0) !== MAGIC) throw new Error('the log of the disk has another form');
  const sectorSize = head.readUInt32LE(24);
  const entries = [];
  const { size } = fstatSync(fd);
  for (let at = sectorSize; at + sectorSize <= size; ) {
    readSync(fd, head, 0, 32, at);
    const [sector, count, flags] = [0, 8, 16].map((offset) => word(head, offset));
    at += sectorSize;
    const length = flags & DISCARD ? 0 : count * sectorSize;
    if (length > 0) entries.push({ write: sector * sectorSize, length, at });
    if (flags & FLUSH) entries.push({ flush: true });
    at += length;
  }
  return { fd, entries };
}

function check(story) {
  const { fd, entries } = readLog();
  const random = randomOf(seed);
  const isMark = ({ write }) => write !== undefined && write >= FILES;
  const first = entries.findIndex(isMark);
  if (first < 0) throw new Error('nothing was acknowledged');
  const moments = Array.from({ length: cuts }, () => first + 1 + random(entries.length - first - 1)).sort((a, b) => a - b);
  copyFileSync(file('empty'), file('disk'));
  const disk = openSync(file('disk'), 'r+');
  let applied = 0;
  let mark;
  const seen = { rows: 0, missing: 0, lost: 0, acknowledged: 0 };
  for (const [round, moment] of moments.entries()) {
    const before = entries.slice(0, moment);
    const flushed = before.findLastIndex(({ flush }) => flush) + 1;
    for (; applied < flushed; applied++) apply(fd, entries[applied], disk);
    for (let n = moment - 1; n >= 0; n--)
      if (isMark(entries[n])) {
        mark = JSON.parse(readBytes(fd, entries[n]).toString());
        break;
      }
    copyFileSync(file('disk'), file('cut'));
    const some = round % 3; // none, any, most
    const cut = openSync(file('cut'), 'r+');
    for (const entry of before.slice(flushed)) if (some > 0 && random(3) < some) apply(fd, entry, cut);
    closeSync(cut);
    try {
      examine(story, mark, seen);
    } catch (error) {
      failures++;
      console.log(`moment ${moment} of ${entries.length} (seed ${seed}, round ${round}): ${error.message}`);
    }
  }
  closeSync(disk);
  console.log(
    `${moments.length} failures of power: ${failures} wrong; ${seen.acknowledged} acknowledged and ${seen.rows} found records, ` +
      `${seen.lost} flows lost, all of them in a gap, at most ${seen.missing} at once`,
  );
}

function readBytes(fd, { at, length }) {
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, at);
  return bytes;
}

function apply(fd, entry, disk) {
  if (entry.write === undefined) return;
  writeSync(disk, readBytes(fd, entry), 0, entry.length, entry.write);
}

/** A disk after a failure of power. */
function examine(story, mark, seen) {
  const { status: repaired } = spawnSync('e2fsck', ['-fp', file('cut')], { stdio: 'ignore' });
  if (repaired > 2) throw new Error(`e2fsck: ${repaired}`);
  rmSync(file('record'), { recursive: true, force: true });
  execFileSync('debugfs', ['-R', `rdump record ${work}`, file('cut')], { stdio: 'ignore' });
  rmSync(`${file('record')}/record.sock`, { force: true });
  const { status, stderr } = spawnSync(
    'unshare',
    [
      '--net',
      process.execPath,
      `${root}/bin/conntrack`,
      'record',
      '--keep',
      'forever',
      '--min-free',
      '0',
      '--dir',
      file('record'),
      '--for',
      '0.5s',
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`a recorder does not go on: ${status} ${stderr}`);
  const rows = [];
  const gaps = [];
  let openTo = 0;
  for (const { path } of segmentFiles(file('record'))) {
    const db = loadDriver().open(path, { readOnly: true });
    const [found] = db.prepare('PRAGMA quick_check').all();
    if (Object.values(found)[0] !== 'ok') throw new Error(`${path}: ${Object.values(found)[0]}`);
    rows.push(...db.prepare('SELECT seq, src, sport, start, dur, end_reason FROM flow ORDER BY seq').all());
    gaps.push(...db.prepare('SELECT "from", "to", reason FROM gap').all());
    openTo = Math.max(openTo, db.prepare("SELECT value FROM meta WHERE name = 'openTo'").all()[0]?.value ?? 0);
    db.close();
  }
  const hole = rows.findIndex(({ seq }, n) => seq !== n + 1);
  if (hole >= 0) throw new Error(`after ${hole} records comes number ${rows[hole].seq}`);
  if (rows.length < mark.sequence) throw new Error(`${mark.sequence} records were acknowledged, and ${rows.length} are there`);
  const gap = gaps.filter(({ reason }) => reason === 'reboot' || reason === 'stopped').at(-1);
  if (!gap) throw new Error('there is no gap');
  const count = new Map();
  for (const row of rows) {
    const n = ((row.src >> 8) & 0xffff) * 65536 + row.sport;
    count.set(n, (count.get(n) ?? 0) + 1);
  }
  const began = new Map();
  const ended = new Map();
  for (const { began: at, ended: end, flows = [] } of story)
    for (const n of flows) (at === undefined ? ended : began).set(n, at ?? end);
  let missing = 0;
  for (const [n, at] of began) {
    const end = ended.get(n) ?? Number.POSITIVE_INFINITY;
    const times = count.get(n) ?? 0;
    if (times > 1) throw new Error(`flow ${n} is there ${times} times`);
    if (times === 1) continue;
    if (end < gap.from - SLACK) throw new Error(`flow ${n} ended at ${end}, is not there, and the gap begins at ${gap.from}`);
    if (at > mark.at) continue; // after the failure, or shortly before
    missing++;
  }
  seen.rows += rows.length;
  seen.acknowledged += mark.sequence;
  seen.lost += missing;
  seen.missing = Math.max(seen.missing, missing);
}

function checkClock(found) {
  if (!found) throw new Error('the guest did not tell of its clock');
  const wrong = (text) => {
    failures++;
    console.log(`clock: ${text}: ${JSON.stringify(found)}`);
  };
  const steps = [...found.said.matchAll(/the clock was set by (\S+) s/g)].map(([, step]) => Math.round(Number(step)));
  // A program that sets the clock takes seconds in the guest.
  for (const [n, step] of [3600, -7200, 3600, 20, -20].entries())
    if (!(Math.abs(steps[n] - step) < 10)) wrong(`step ${n} was ${step} s`);
  if (!(steps[5] < -1e9) || !(steps[6] > 1e9)) wrong('1970 was not noticed');
  if (found.backwards > 0) wrong('a flow ended before it began');
  if (!found.near.some((step) => Math.abs(step) > 3.5e9)) wrong('an answer near a step does not tell of it');
  console.log(
    `clock: set by ${steps.join(', ')} s; ${found.flows} flows, none ended before it began, ${found.lasted} say that it was set`,
  );
}
