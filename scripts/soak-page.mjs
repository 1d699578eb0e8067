// `npm run soak:page`: a page of `conntrack serve` that stays open, in Chromium: before a release for eight hours, with `--minutes` for less.
// Flows come and go below it, and every half minute something is done on it: another order, filter, grouping, the details of a flow, a minute
// of the past. Heap (after a collection), nodes and listeners of the page must not grow, nor the memory of the server.
//
//   node scripts/soak-page.mjs [--minutes 480] [--size 20000]
//
// Needs root. Exit status 1 if something has grown by more than a tenth since it was warm: after a quarter of the time, at most an hour, but not before all has been done once.

import './help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { load, OURS, writeFlows } from './bench/table.mjs';
import { enterNamespace, launchChromium } from './chromium.mjs';
import { ensureBuilt, root } from './fresh.mjs';

const ORIGIN = 'http://127.0.0.1:8466';
const TOKEN = 'a-token-for-the-soak-0123456789';
/** Seconds between two things that are done; how often they are told; flows of a round of the churn. */
const ACT_EVERY = 30;
const ROUND = 500;
const MOST_GROWTH = 1.1;
const VIEWS = [
  'sort=src',
  'filter=tcp',
  'by=service&groups=flows',
  'by=pair',
  'sort=bytes&reverse=1',
  'range=7200',
  'range=86400&chart=flows',
  '',
];

delete process.env.NODE_EXTRA_CA_CERTS;
ensureBuilt();
enterNamespace();
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '480' },
    size: { type: 'string', default: '20000' },
    inside: { type: 'boolean', default: false },
  },
});
const milliseconds = Number(values.minutes) * 60_000;
const warm = Math.max(VIEWS.length * ACT_EVERY * 1200, Math.min(milliseconds / 4, 3_600_000));
for (const name of ['acct', 'timestamp', 'events']) spawnSync('sysctl', ['-qw', `net.netfilter.nf_conntrack_${name}=1`]);
const work = mkdtempSync(`${tmpdir()}/conntrack-soak-`);
// Longer than all of this.
writeFlows(`${work}/flows`, Number(values.size), 'mixed', 2 * 60 * Number(values.minutes) + 3600);
load(`${work}/flows`);
writeFileSync(`${work}/token`, TOKEN, { mode: 0o600 });
const server = spawn(process.execPath, [OURS, 'serve', '--token-file', `${work}/token`], { stdio: ['ignore', 'ignore', 'pipe'] });
await new Promise((resolve) => server.stderr.once('data', resolve));
server.stderr.on('data', (text) => console.error(`server: ${text}`));
const served = Number(readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8'));
const { Conntrack } = await import(`${root}/dist/index.js`);
const conntrack = await Conntrack.open();
const browser = await launchChromium();
const faults = [];
let failed = false;
try {
  failed = await soak();
} finally {
  await browser.close();
  await conntrack.close();
  server.kill('SIGTERM');
  rmSync(work, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function soak() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(String(error)));
  await page.goto(`${ORIGIN}/#token=${TOKEN}`);
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable');
  console.log(`load ${loadavg()[0].toFixed(1)}`);
  console.log('minute   heap MB   nodes   listeners   server MB');
  const began = performance.now();
  const told = Math.max(60_000, milliseconds / 48);
  let base;
  let last;
  let next = 0;
  for (let n = 0; performance.now() - began < milliseconds; n++) {
    await act(page, n);
    await churn(n);
    const passed = performance.now() - began;
    if (passed < next) continue;
    next = passed + told;
    last = await measure(page, session);
    if (passed >= warm) base ??= last;
    console.log(`${(passed / 60_000).toFixed(0).padStart(6)} ${line(last)}`);
  }
  last = await measure(page, session);
  console.log(`   end ${line(last)}`);
  const grown = Object.keys(last).filter((name) => base && last[name] > MOST_GROWTH * base[name]);
  for (const name of grown) console.log(`${name} has grown from ${base[name].toFixed(1)} to ${last[name].toFixed(1)}`);
  for (const fault of faults) console.log(`fault: ${fault}`);
  if (!base) console.log('too short: nothing was warm');
  if (grown.length === 0 && faults.length === 0) console.log('nothing has grown');
  return grown.length > 0 || faults.length > 0;
}

/** Does something, and goes back to the same view. */
async function act(page, n) {
  await page.evaluate(
    (hash) => {
      location.hash = hash;
    },
    VIEWS[n % VIEWS.length],
  );
  await sleep(5000);
  await page.locator('.row:not(.none, .loading)').first().click();
  await sleep(5000);
  await page.keyboard.press('Escape');
  await page.locator('.area').click({ position: { x: 30, y: 30 } });
  await sleep(5000);
  await page.evaluate(() => {
    location.hash = '';
  });
}

/** Flows come and go meanwhile. */
async function churn(n) {
  const flows = Array.from({ length: ROUND }, (_, i) => ({
    protocol: 'udp',
    timeout: 3600,
    original: { src: `10.${100 + (n % 100)}.${i >> 8}.${i & 255}`, dst: '198.51.100.1', sport: 1000 + i, dport: 53 },
  }));
  for (const end = performance.now() + (ACT_EVERY - 15) * 1000; performance.now() < end; await sleep(1000)) {
    await conntrack.createMany(flows);
    await sleep(500);
    await conntrack.deleteMany(flows);
  }
}

async function measure(page, session) {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const metric = (name) => metrics.find((one) => one.name === name).value;
  return {
    heap: metric('JSHeapUsedSize') / 1e6,
    nodes: await page.locator('*').count(),
    listeners: metric('JSEventListeners'),
    server: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${served}/status`, 'utf8'))[1]) / 1000,
  };
}

function line({ heap, nodes, listeners, server: memory }) {
  return [
    heap.toFixed(1).padStart(9),
    String(nodes).padStart(7),
    String(listeners).padStart(11),
    memory.toFixed(0).padStart(11),
  ].join(' ');
}
