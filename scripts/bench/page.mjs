// `npm run bench:page`: what the page of `conntrack serve` costs whoever looks at it, in Chromium, beside its budgets.
//
//   node scripts/bench/page.mjs [--size 200000] [--rows 100000,1000000] [--minutes 3]
//
// The first rows are those of a real table of `size` flows and the real server, from the request for the page on. Scrolling is through a
// stand-in that has any number of rows at once, after an empty page, which tells what the machine makes late. The heap is looked at after collections, while the real server sends news. Needs root.

import '../help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { enterNamespace, launchChromium } from '../chromium.mjs';
import { ensureBuilt, root } from '../fresh.mjs';
import { pageAssets } from '../page.mjs';
import { load, OURS, writeFlows } from './table.mjs';

const ORIGIN = 'http://127.0.0.1:8466';
const STAND_IN = 8467;
const TOKEN = 'a-token-for-the-measurement-0123456789';
const BUDGETS = { script: 45_000, rows: 1000, median: 17.5, late: 34, nodes: 1500, heap: 1.1 };
const STARTS = 5;
const SCROLLED = 6;
/** Pixels in a frame: a table of a million rows in a few minutes. */
const STEP = 400;

delete process.env.NODE_EXTRA_CA_CERTS;
ensureBuilt();
enterNamespace();
const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '200000' },
    rows: { type: 'string', default: '100000,1000000' },
    minutes: { type: 'string', default: '3' },
    inside: { type: 'boolean', default: false },
  },
});
let missed = 0;
console.log(`load ${loadavg()[0].toFixed(1)}`);
const assets = await pageAssets(root);
const script = Object.keys(assets).find((name) => name.endsWith('.js'));
report(
  'script, gzip',
  gzipSync(Buffer.from(assets[script].plain, 'base64'), { level: 9 }).length,
  BUDGETS.script,
  (value) => `${(value / 1000).toFixed(1)} kB`,
);
const work = mkdtempSync(`${tmpdir()}/conntrack-page-`);
const browser = await launchChromium();
try {
  await standIn();
  await realServer();
} finally {
  await browser.close();
  rmSync(work, { recursive: true, force: true });
}
process.exit(missed > 0 ? 1 : 0);

function report(what, value, budget, text) {
  const pass = value <= budget;
  if (!pass) missed++;
  console.log(`${what.padEnd(52)} ${text(value).padStart(9)}   budget ${text(budget).padStart(8)}   ${pass ? 'pass' : 'MISSED'}`);
}

/** Seconds of processor time of the thread of the page: all of it, scripts, styles, layout. Others on the machine do not count. */
async function threadTimes(session) {
  const { metrics } = await session.send('Performance.getMetrics');
  const of = (name) => metrics.find((one) => one.name === name).value;
  return {
    all: of('TaskDuration'),
    script: of('ScriptDuration'),
    style: of('RecalcStyleDuration'),
    layout: of('LayoutDuration'),
  };
}

function note(what, text) {
  console.log(`${what.padEnd(52)} ${text.padStart(9)}`);
}

/** What this machine and this browser make of as much scrolling where there is nothing to draw but a line. */
async function measureNothing() {
  const { page, close } = await opened('about:blank');
  await page.setContent(
    '<div class="grid" style="height: 600px; overflow: auto"><p style="height: 10000000px">nothing</p></div>',
  );
  const frames = await page.evaluate(scrollFor, [SCROLLED * 1000, STEP]);
  const late = frames[Math.floor(frames.length * 0.95)];
  note('an empty page: a frame while scrolling, median; 95 %', `${median(frames).toFixed(1)}; ${late.toFixed(1)} ms`);
  await close();
}

async function realServer() {
  for (const name of ['acct', 'timestamp', 'events']) spawnSync('sysctl', ['-qw', `net.netfilter.nf_conntrack_${name}=1`]);
  const size = Number(values.size);
  writeFlows(`${work}/flows`, size);
  load(`${work}/flows`);
  writeFileSync(`${work}/token`, TOKEN, { mode: 0o600 });
  const server = spawn(process.execPath, [OURS, 'serve', '--token-file', `${work}/token`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    await new Promise((resolve) => server.stderr.once('data', resolve));
    const name = `${size.toLocaleString('en')} flows`;
    const times = [];
    for (let n = 0; n < STARTS; n++) {
      const { page, close } = await opened(`${ORIGIN}/#token=${TOKEN}`);
      times.push(await firstRows(page));
      await close();
    }
    report(`${name}: first rows, median of ${STARTS}`, median(times), BUDGETS.rows, (value) => `${value.toFixed(0)} ms`);
    if (Number(values.minutes) > 0) await watchHeap(name);
  } finally {
    server.kill('SIGTERM');
  }
}

/** After a minute, in which code is compiled and histories fill up, the heap stays as it is. */
async function watchHeap(name) {
  const { page, close } = await opened(`${ORIGIN}/#token=${TOKEN}`);
  const session = await page.context().newCDPSession(page);
  const used = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  };
  await sleep(60_000);
  const before = await used();
  await sleep(Number(values.minutes) * 60_000);
  const after = await used();
  report(
    `${name}: heap after ${values.minutes} minutes, ${(before / 1e6).toFixed(1)} MB = 1`,
    after / before,
    BUDGETS.heap,
    (value) => value.toFixed(2),
  );
  await close();
}

/** The page over as many rows as one likes, all made up. */
async function standIn() {
  let total = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, ORIGIN);
    const found = assets[pathname === '/' ? 'index.html' : pathname.replace(/^\/(assets\/)?/, '')];
    if (found) {
      response.setHeader('Content-Type', found.type).end(Buffer.from(found.plain, 'base64'));
      return;
    }
    const sample = { number: 1, at: Date.now(), seconds: 2, entries: total, begun: 0, ended: 0, cost: 0, namespaces: [] };
    if (pathname.endsWith('/stream')) {
      response
        .setHeader('Content-Type', 'text/event-stream')
        .write(`id: a-1\nevent: sample\ndata: ${JSON.stringify(sample)}\n\n`);
      return;
    }
    const offset = Number(searchParams.get('offset'));
    const count = Math.max(0, Math.min(Number(searchParams.get('limit')), total - offset));
    const answers = {
      status: { host: 'stand-in', changes: false, interval: 2000, accounting: 'on', notices: [] },
      series: { step: 1, end: 0, entries: [], begun: [], ended: [], rateOriginal: [], rateReply: [] },
      groups: { by: 'src', matched: total, count: 0, groups: [], other: { groups: 0, flows: 0, unreplied: 0 } },
      flows: {
        sample: 1,
        total,
        matched: total,
        totals: { flows: total, unreplied: 0 },
        offset,
        flows: Array.from({ length: count }, (_, n) => madeUp(offset + n)),
      },
    };
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(answers[pathname.split('/').at(-1)] ?? {}));
  });
  await new Promise((resolve) => server.listen(STAND_IN, '127.0.0.1', resolve));
  await measureNothing();
  for (total of values.rows.split(',').map(Number)) {
    const { page, close } = await opened(`http://127.0.0.1:${STAND_IN}/`);
    await firstRows(page);
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const before = await threadTimes(session);
    const frames = await page.evaluate(scrollFor, [SCROLLED * 1000, STEP]);
    const after = await threadTimes(session);
    const name = `${total.toLocaleString('en')} rows`;
    const parts = Object.entries(after).map(([part, time]) => [part, (1000 * (time - before[part])) / frames.length]);
    note(
      `${name}: processor time of the page in a frame`,
      parts
        .map(([part, milliseconds]) => `${part} ${milliseconds.toFixed(1)}`)
        .join(', ')
        .concat(' ms'),
    );
    report(`${name}: a frame while scrolling, median`, median(frames), BUDGETS.median, (value) => `${value.toFixed(1)} ms`);
    report(
      `${name}: 95 % of frames`,
      frames[Math.floor(frames.length * 0.95)],
      BUDGETS.late,
      (value) => `${value.toFixed(1)} ms`,
    );
    report(`${name}: nodes`, await page.locator('*').count(), BUDGETS.nodes, (value) => String(value));
    await close();
  }
  server.closeAllConnections();
  server.close();
}

function madeUp(n) {
  const [src, dst] = [`10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`, `203.0.113.${n % 250}`];
  const [sport, dport] = [1024 + (n % 60_000), 443];
  return {
    key: String(n),
    age: n % 1000,
    idle: 1,
    counters: 'kernel',
    average: { original: n % 977, reply: (n * 7) % 99_991 },
    flow: {
      id: n,
      protocol: 'tcp',
      state: 'ESTABLISHED',
      status: ['SEEN_REPLY'],
      original: { src, dst, sport, dport, bytes: n, packets: n },
      reply: { src: dst, dst: src, sport: dport, dport: sport, bytes: n, packets: n },
    },
  };
}

async function opened(address) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector('.row:not(.none):not(.loading)')) window.firstRows = performance.now();
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.goto(address);
  return { page, close: () => context.close() };
}

/** Milliseconds from the request for the page to the frame with rows. */
async function firstRows(page) {
  await page.waitForFunction(() => window.firstRows !== undefined);
  return page.evaluate(() => window.firstRows);
}

/** In the page: scrolls a step in each frame. @returns how long frames took, in ascending order */
function scrollFor([milliseconds, step]) {
  return new Promise((resolve) => {
    const grid = document.querySelector('.grid');
    const frames = [];
    const began = performance.now();
    let last = began;
    const next = (now) => {
      frames.push(now - last);
      last = now;
      grid.scrollTop += step;
      if (now - began < milliseconds) requestAnimationFrame(next);
      else resolve(frames.slice(1).sort((a, b) => a - b));
    };
    requestAnimationFrame(next);
  });
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}
