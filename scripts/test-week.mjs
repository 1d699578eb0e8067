// `npm run test:week`: a week of recording in a minute, by a clock that is handed in.
//
//   npm run test:week -- [--days 7] [--flows 200000] [--keep 3] [--seed N]
//
// The part of a recorder that writes gets `--flows` flows for each day, in deliveries of ten minutes; a few of them live for days. Each day ends
// a file, which is sealed; each second day the recorder is killed and comes back after an hour; what is older than `--keep` days is deleted.
// At the end the manifest, the numbers, the gaps and answers to a thousand questions have to be right, and then a limit for the size has to
// hold. Needs no root.

import './help.mjs';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from './fresh.mjs';
import { randomOf } from './random.mjs';

const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '7' },
    flows: { type: 'string', default: '200000' },
    keep: { type: 'string', default: '3' },
    seed: { type: 'string', default: '20261129' },
  },
});
const [days, flows, keep, seed] = [values.days, values.flows, values.keep, values.seed].map(Number);
ensureBuilt();
const from = (path) => import(`${root}/dist/${path}.js`);
const { FlowViews } = await from('ctnetlink/flow-message');
const { makeFlow } = await from('testing/index');
const { loadDriver } = await from('history/driver/load-driver');
const { openHistory } = await from('history/index');
const { readManifest } = await from('history/manifest');
const { ENDED, OPENED, RecordBatch } = await from('history/record-batch');
const { COLUMN } = await from('history/record-columns');
const { RecordWriter } = await from('history/record-writer');
const { segmentFiles } = await from('history/segment-files');
const { SegmentKeeper } = await from('history/segment-keeper');

const SECOND = 1_000_000;
const DAY = 86_400 * SECOND;
const SLICE = 600 * SECOND;
/** Midnight, so long ago that all of it is past. */
const BEGIN = Math.floor((Date.now() * 1000) / DAY - days - 2) * DAY;
const OUTSIDE = 0xcb007100 | 0;

const random = randomOf(seed);
const directory = mkdtempSync(`${tmpdir()}/conntrack-week-`);
const view = new FlowViews().of(
  makeFlow({
    protocol: 'udp',
    original: { src: '100.64.0.1', dst: '192.0.2.1', sport: 1, dport: 53 },
    reply: { src: '192.0.2.1', dst: '203.0.113.1', sport: 53, dport: 1 },
    status: ['CONFIRMED', 'SEEN_REPLY', 'SRC_NAT', 'SRC_NAT_DONE'],
  }),
);
const launcher = [process.execPath, `${root}/bin/conntrack`];
const driver = loadDriver();
let sealed = 0;
let deleted = 0;
const problems = [];
const keeperOf = (options) =>
  new SegmentKeeper(
    driver,
    { directory, launcher, ...options },
    {
      sealed: () => sealed++,
      deleted: () => deleted++,
      failed: (what) => problems.push(what),
    },
  );
const keeper = keeperOf({ keep: keep * DAY });

let now = BEGIN;
let writer;
let key = 0;
let count = 0;
let asked = 0;
/** Long flows that live: their keys, beginnings and ports. */
const living = [];
const gaps = [];

try {
  start();
  for (; now < BEGIN + days * DAY; ) {
    await deliver(SLICE);
    if (now % (2 * DAY) === 12 * 3600 * SECOND + DAY) crash();
  }
  check(problems.length === 0, problems.join('\n'));
  await checkRecord();
  await checkSize();
  console.log(
    `${days} days, ${count} flows: ${sealed} files sealed, ${deleted} deleted, ${gaps.length} gaps told, ${asked} questions answered`,
  );
} finally {
  keeper.close();
  rmSync(directory, { recursive: true, force: true });
}

function start() {
  const session = { from: now, boot: 'a', sysctls: {}, options: {}, version: '0', noDestination: false };
  const opened = RecordWriter.open(driver, { directory, sync: 'none', segmentRows: 4_000_000, segmentAge: DAY, session });
  writer = opened.writer;
  const { gap, open } = opened.resumption;
  check(open.length === living.length, `${living.length} flows live, and ${open.length} are known`);
  if (gap) gaps.push({ everywhere: true, from: gap.from, to: now, reason: gap.reason });
  writer.write({ batch: new RecordBatch().take(), gaps: gap ? gaps.slice(-1) : [], alive: now, openTo: now, now });
}

/** Nothing is told; an hour later it goes on. */
function crash() {
  writer.close();
  now += 3600 * SECOND;
  start();
}

/** What happened in a span, and what has to be done then. */
async function deliver(span) {
  const batch = new RecordBatch();
  const rows = Math.round((flows * span) / DAY);
  const add = (kind, port, start, duration) => {
    batch.add(view, kind);
    const row = {
      start,
      sslack: 0,
      src: 0x64400000 + (port % 4096),
      sport: port,
      ext: OUTSIDE + (port % 200),
      eport: port,
      how: 0,
    };
    if (kind === ENDED) Object.assign(row, { dur: duration, eslack: 0, end_reason: 6 });
    for (const [name, value] of Object.entries(row)) batch.set(COLUMN[name], value);
  };
  for (let n = 0; n < rows; n++) {
    const end = now + Math.floor(((n + 1) * span) / (rows + 1));
    const lasted = 1000 + random(120 * SECOND);
    add(ENDED, 1024 + random(60_000), end - lasted, lasted);
  }
  if (random(30) === 0) {
    const flow = { key: ++key, start: now, port: 1 + random(1000) };
    living.push(flow);
    add(OPENED, flow.port, flow.start);
    batch.setKey(flow.key);
    batch.setOpen(now, 0);
  }
  now += span;
  while (living.length > 4) {
    const { key: gone, start, port } = living.shift();
    add(ENDED, port, start, now - start);
    batch.setKey(gone);
  }
  count += writer.write({ batch: batch.take(), gaps: [], alive: now, openTo: now, seenTo: now, now }).rows;
  const closed = writer.turn(now);
  if (!closed) return;
  const before = sealed;
  keeper.seal(closed);
  while (sealed === before && problems.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  keeper.tidy(now);
  const oldest = metaOf(segmentFiles(directory)[0]);
  check(oldest.sealed === undefined || oldest.maxEnd >= now - keep * DAY, 'something is older than it may be');
}

function metaOf({ path }) {
  const file = driver.open(path, { readOnly: true });
  const rows = file.prepare('SELECT name, value FROM meta').all();
  file.close();
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

async function checkRecord() {
  const files = segmentFiles(directory);
  check(files.length <= keep + 2, `${files.length} files are left`);
  const lines = readManifest(directory).lines;
  check(lines.filter(({ what }) => what === 'sealed').length === sealed, 'each seal has its line');
  check(lines.filter(({ what }) => what === 'deleted').length === deleted, 'each deletion has its line');
  check(sealed === days && deleted === sealed - files.length + 1, `${sealed} sealed, ${deleted} deleted`);
  const verified = execFileSync(launcher[0], [launcher[1], 'record', 'verify', '--dir', directory], { encoding: 'utf8' });
  check(verified === `${files.length - 1} sealed segments are as they were\n`, verified);
  let last;
  const known = [];
  for (const { path } of files) {
    const file = driver.open(path, { readOnly: true });
    for (const { seq, start, dur, ext, eport } of file
      .prepare('SELECT seq, start, dur, ext, eport FROM flow ORDER BY seq')
      .all()) {
      check(last === undefined || seq === last + 1, `after ${last} comes ${seq}`);
      last = seq;
      if (random(50) === 0) known.push({ seq, at: start + Math.floor(dur / 2), ext, eport });
    }
    file.close();
  }
  check(last === count, `${count} flows were told, and the last has the number ${last}`);
  await using_(await openHistory(directory), async (history) => {
    for (let n = 0; n < 1000; n++) {
      const { seq, at, ext, eport } = known[random(known.length)];
      const { matches, complete, coverage } = await history.whoHad({ address: textOf(ext), port: eport, at });
      check(
        matches.some(({ evidence }) => evidence.sequence === seq),
        `nobody knows record ${seq}`,
      );
      const gap = gaps.some(({ from, to }) => at >= from - 121 * SECOND && at <= to);
      check(complete === (!gap && at >= coverage.from), `record ${seq}: complete is ${complete}`);
      asked++;
    }
    const gone = await history.whoHad({ address: '203.0.113.7', port: 5000, at: BEGIN + DAY / 2 });
    check(!gone.complete, 'what was deleted is no longer complete');
    check(history.gaps({ from: BEGIN }).filter(({ reason }) => reason === 'crash').length > 0, 'gaps are told');
  });
}

/** A limit for the size leaves what fits it. */
async function checkSize() {
  const size = () => segmentFiles(directory).reduce((sum, { path }) => sum + statSync(path).size, 0);
  const limit = Math.floor(size() / 2);
  keeperOf({ maxSize: limit }).tidy(now);
  check(size() <= limit || segmentFiles(directory).length === 1, `${size()} bytes are left, with a limit of ${limit}`);
}

async function using_(history, body) {
  try {
    await body(history);
  } finally {
    await history.close();
  }
}

function textOf(address) {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

function check(holds, what) {
  if (!holds) throw new Error(what);
}
