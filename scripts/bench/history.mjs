// Questions to a large record, cold and warm: `npm run bench:history -- [--rows 20000000] [--dir DIR] [--questions 1000] [--compare 10000] [--json FILE]`.
// It makes the record if DIR has none, which takes a minute for 10 million rows, and 105 bytes for each on the disk. `cold`: the system
// has forgotten the files; each question is asked by a process of its own. `--compare`: nothing else is done than to hold the answers to so many
// questions against a search through all rows; exit status 1 if one differs.

import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from '../fresh.mjs';
import { randomOf } from '../random.mjs';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000000' },
    dir: { type: 'string' },
    questions: { type: 'string', default: '1000' },
    compare: { type: 'string' },
    json: { type: 'string' },
    ask: { type: 'string' },
  },
});
const { loadDriver } = await import(`${root}/dist/history/driver/load-driver.js`);
const { RECORD_COLUMNS } = await import(`${root}/dist/history/record-columns.js`);
const { BLOCK_TABLE, SEALING_STATEMENTS, SEGMENT_TABLES } = await import(`${root}/dist/history/record-schema.js`);
const { segmentName } = await import(`${root}/dist/history/segment-files.js`);
const { BLOCK_ROWS, BlockFilter, hashOfNumber } = await import(`${root}/dist/history/block-filter.js`);
const { writeMeta } = await import(`${root}/dist/history/segment-meta.js`);
const { lineMaker } = await import(`${root}/dist/history/past-lines.js`);
const { exportParquet, openHistory } = await import(`${root}/dist/history/index.js`);

const SEGMENT = 4_000_000;
const BATCH = 10_000;
/** Flows that are written as a file. */
const EXPORTED = 200_000;
const SUBSCRIBERS = 128_000;
const PUBLIC = 256;
/** Microseconds between the ends of two flows: 10 million a day. */
const STEP = 8640;
const BEGIN = Date.UTC(2026, 2, 1) * 1000;
const OUTSIDE = (203 << 24) | (113 << 8);
const INSIDE = (100 << 24) | (64 << 16);

/** Row n, from 0: the same for whoever asks. */
function rowOf(n) {
  const random = randomOf(Math.imul(n + 1, 0x9e3779b1));
  for (let i = 0; i < 4; i++) random(2);
  const subscriber = random(SUBSCRIBERS);
  const dur = 1000 * (1 + random(random(10) === 0 ? 600_000 : 30_000));
  const end = BEGIN + n * STEP;
  return {
    start: end - dur,
    dur,
    src: (INSIDE + subscriber) | 0,
    sport: 1024 + random(64_512),
    dst: (0x5db80000 + random(50_000)) | 0,
    dport: [443, 443, 443, 80, 53, 123, 5228][random(7)],
    ext: (OUTSIDE + (subscriber % PUBLIC)) | 0,
    eport: 1024 + random(64_512),
    proto: random(3) === 0 ? 17 : 6,
    bytes: 100 + random(1_000_000),
  };
}

function make(dir, rows) {
  const driver = loadDriver();
  const names = RECORD_COLUMNS.map(({ name }) => name);
  for (let first = 0, number = 1; first < rows; first += SEGMENT, number++) {
    const count = Math.min(SEGMENT, rows - first);
    const last = first + count >= rows;
    const opened = BEGIN + first * STEP;
    const path = `${dir}/${segmentName(opened, number)}`;
    const file = driver.open(path);
    for (const statement of SEGMENT_TABLES) file.exec(statement);
    file.exec('PRAGMA journal_mode = OFF');
    file.exec('PRAGMA synchronous = OFF');
    file.exec('PRAGMA cache_size = -500000');
    const insert = file.prepare(`INSERT INTO flow VALUES (${new Array(names.length + 1).fill('?').join(', ')})`);
    file.exec(BLOCK_TABLE);
    const block = file.prepare('INSERT INTO block VALUES (?, ?, ?)');
    let filter = new BlockFilter();
    let minStart = Number.POSITIVE_INFINITY;
    for (let n = first; n < first + count; n++) {
      if ((n - first) % BATCH === 0) file.exec(n === first ? 'BEGIN' : 'COMMIT; BEGIN');
      const { start, dur, src, sport, dst, dport, ext, eport, proto, bytes } = rowOf(n);
      if (start < minStart) minStart = start;
      filter.add(hashOfNumber(0, ext, eport));
      filter.add(hashOfNumber(1, src, 0));
      const state = proto === 6 ? 7 : null;
      insert.run(
        n + 1,
        start,
        dur,
        0,
        0,
        src,
        sport,
        dst,
        dport,
        ext,
        eport,
        null,
        null,
        proto,
        0x19e,
        state,
        null,
        null,
        10,
        bytes,
        20,
        3 * bytes,
        null,
        5,
        0,
        null,
      );
      if ((n - first + 1) % BLOCK_ROWS === 0) {
        block.run(n + 2 - BLOCK_ROWS, n + 1, filter.bits);
        filter = new BlockFilter();
      }
    }
    const closed = BEGIN + (first + count) * STEP;
    const base = {
      recorder: 'b',
      number,
      host: 'h',
      boot: 'b',
      version: '0',
      kernel: '0',
      firstSeq: first + 1,
      opened,
      alive: closed,
    };
    const ended = { closed, rows: count, minStart, maxEnd: closed - STEP };
    // Rows are made in the order of ends.
    base.disorder = 0;
    writeMeta(file, last ? base : { ...base, ...ended, sealed: closed });
    file.exec('COMMIT');
    if (!last) for (const statement of SEALING_STATEMENTS) file.exec(statement);
    file.close();
    console.error(`segment ${number}: ${first + count} of ${rows} rows`);
  }
}

/** A question about row n: who had its outside address and port in the middle of its life. */
const questionOf = (n) => {
  const { start, dur, ext, eport } = rowOf(n);
  return { address: formatted(ext), port: eport, at: start + Math.floor(dur / 2) };
};

const formatted = (address) => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

const percentile = (times, share) =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))];
const summary = (times) => ({
  median: Number(percentile(times, 0.5).toFixed(2)),
  p95: Number(percentile(times, 0.95).toFixed(2)),
  max: Number(Math.max(...times).toFixed(2)),
});

async function timed(body) {
  const start = performance.now();
  const result = await body();
  return [performance.now() - start, result];
}

/** Microseconds of processor time a flow. */
async function exported(body) {
  await body(20_000);
  const before = process.cpuUsage();
  await body(EXPORTED);
  const { user, system } = process.cpuUsage(before);
  return Number(((user + system) / EXPORTED).toFixed(1));
}

/** Half of the questions are about a flow, at, or a little beside, its beginning, its end or between; the others about any address, port and time. */
async function compare(dir, rows, count) {
  const random = randomOf(11);
  const anywhere = () => ({
    ext: OUTSIDE + random(PUBLIC),
    eport: 1024 + random(64_512),
    at: BEGIN + random(rows) * STEP,
  });
  const about = ({ ext, eport, start, dur }) => ({
    ext,
    eport,
    at: [start, start + dur, start + random(dur)][random(3)] + random(3) - 1,
  });
  const questions = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? about(rowOf(random(rows))) : anywhere()));
  const keyOf = ({ ext, eport }) => (ext & 0xffff) * 65_536 + eport;
  const asked = new Map();
  for (const question of questions) {
    question.wanted = [];
    const others = asked.get(keyOf(question));
    if (others) others.push(question);
    else asked.set(keyOf(question), [question]);
  }
  for (let n = 0; n < rows; n++) {
    const row = rowOf(n);
    for (const { at, wanted } of asked.get(keyOf(row)) ?? [])
      if (row.start <= at && at <= row.start + row.dur) wanted.push(n + 1);
  }
  const history = await openHistory(dir);
  const totals = { questions: count, answered: 0, severalMatches: 0, different: 0 };
  for (const { ext, eport, at, wanted } of questions) {
    const { matches } = await history.whoHad({ address: formatted(ext), port: eport, at });
    const given = matches.map(({ evidence }) => evidence.sequence).sort((a, b) => a - b);
    if (given.length > 0) totals.answered++;
    if (given.length > 1) totals.severalMatches++;
    if (String(given) === String(wanted)) continue;
    totals.different++;
    console.error(`${formatted(ext)}:${eport} at ${at}: ${given}, not ${wanted}`);
  }
  console.log(JSON.stringify(totals));
  if (totals.different > 0 || totals.answered < count / 4) process.exitCode = 1;
}

async function main() {
  const rows = Number(options.rows);
  const dir = options.dir ?? mkdtempSync(`${tmpdir()}/conntrack-history-`);
  mkdirSync(dir, { recursive: true });
  try {
    if (readdirSync(dir).length === 0) make(dir, rows);
    if (options.compare) return await compare(dir, rows, Number(options.compare));
    const files = readdirSync(dir).filter((name) => name.endsWith('.db'));
    const size = files.reduce((sum, name) => sum + statSync(`${dir}/${name}`).size, 0);
    const report = {
      rows,
      driver: loadDriver().name,
      node: process.version,
      segments: files.length,
      bytesPerRow: Number((size / rows).toFixed(1)),
    };
    const history = await openHistory(dir);
    const random = randomOf(7);
    const sealed = Math.floor((rows - 1) / SEGMENT) * SEGMENT;
    // Without the segment that is being written, which has no indexes.
    const indexed = `${dir}/sealed`;
    rmSync(indexed, { recursive: true, force: true });
    mkdirSync(indexed);
    for (const name of files.slice(0, -1)) linkSync(`${dir}/${name}`, `${indexed}/${name}`);
    const sealedHistory = await openHistory(indexed);
    const ask = async (n, from = history) => {
      const [time, { matches }] = await timed(() => from.whoHad(questionOf(n)));
      if (!matches.some(({ evidence }) => evidence.sequence === n + 1)) throw new Error(`row ${n + 1} was not found`);
      return time;
    };
    await ask(0, sealedHistory);
    const times = { sealed: [], hot: [] };
    for (let i = 0; i < Number(options.questions); i++) times.sealed.push(await ask(random(sealed), sealedHistory));
    for (let i = 0; i < 20; i++) times.hot.push(await ask(sealed + random(rows - sealed)));
    report.whoHadSealedWarm = summary(times.sealed);
    report.whoHadWithHot = summary(times.hot);
    const span = { from: BEGIN, to: BEGIN + rows * STEP };
    const list = async (filter, more = {}) => {
      let count = 0;
      const [time] = await timed(async () => {
        for await (const _ of history.flows(filter, { ...span, ...more })) count++;
      });
      return { ms: Number(time.toFixed(0)), flows: count };
    };
    report.subscriber = await list('src 100.64.7.7');
    report.newest = await list(undefined, { newestFirst: true, limit: 100 });
    report.scan = await list('dst port 5228 and bytes > 3.99M');
    if (history.top) {
      const [top, groups] = await timed(() => history.top({ by: 'src', limit: 10 }));
      report.topBySource = { ms: Number(top.toFixed(0)), groups: groups.length };
      const [services] = await timed(() => history.top({ by: 'service', limit: 10 }));
      report.topByService = { ms: Number(services.toFixed(0)) };
    }
    for (const format of ['csv', 'ndjson'])
      report[format] = await exported(async (limit) => {
        for await (const _ of history.read(undefined, { limit }, () => lineMaker(format)));
      });
    report.parquet = await exported(async (limit) => {
      for await (const _ of exportParquet(history, undefined, { limit }));
    });
    const cold = [];
    for (let i = 0; i < 10; i++) {
      for (const name of files) spawnSync('dd', [`if=${dir}/${name}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
      const script = fileURLToPath(import.meta.url);
      const { stdout, stderr } = spawnSync(process.execPath, [script, '--dir', indexed, '--ask', String(random(sealed))], {
        encoding: 'utf8',
      });
      if (stdout === '') throw new Error(stderr);
      cold.push(Number(stdout));
    }
    report.whoHadSealedCold = summary(cold);
    console.log(JSON.stringify(report, undefined, 2));
    if (options.json) writeFileSync(options.json, `${JSON.stringify(report)}\n`);
  } finally {
    if (!options.dir) rmSync(dir, { recursive: true });
  }
}

if (options.ask === undefined) await main();
else {
  const question = questionOf(Number(options.ask));
  const [time, { matches }] = await timed(async () => (await openHistory(options.dir)).whoHad(question));
  if (matches.length === 0) throw new Error('nothing was found');
  console.log(time);
}
