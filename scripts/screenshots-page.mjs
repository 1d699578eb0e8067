// `npm run screenshots:page`: the pictures of the page of `conntrack serve` in docs/pictures/, by Chromium, over the network of the pictures of
// top. Needs root, for a network namespace. Fonts are those of the machine, so that pictures are not compared.
//
//   node scripts/screenshots-page.mjs [--review DIR]    instead, all that is worth a look, wide and narrow, in both themes

import './help.mjs';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import { enterNamespace, launchChromium } from './chromium.mjs';
import { ensureBuilt, root } from './fresh.mjs';
import { EPOCH, MAX_ENTRIES, Scene } from './screenshots/scene.mjs';

const { values } = parseArgs({ options: { review: { type: 'string' }, inside: { type: 'boolean', default: false } } });
const PORT = 8466;
const SIZE = { width: 1280, height: 800 };
/** Ten minutes, so that the chart has something to show. */
const STEPS = 300;
const QUALITY = 0.8;

process.env.TZ = 'UTC';
ensureBuilt();
enterNamespace();
const [{ Conntrack }, { FlowMeter }, { MemoryTable }, { createHandler }] = await Promise.all(
  ['index', 'meter/index', 'testing/index', 'web/index'].map((name) => import(`${root}/dist/${name}.js`)),
);

const table = new MemoryTable({ now: new Date(EPOCH), maxEntries: MAX_ENTRIES, accounting: true, timestamps: true });
const realPerformance = performance.now.bind(performance);
// The table's clock is everybody's; servers need one that goes.
Date.now = () => table.now.getTime();
performance.now = () => table.now.getTime() - EPOCH;
const scene = new Scene(table);
const conntrack = await Conntrack.open({ transport: table.open });
const meter = await FlowMeter.open(
  [['own', conntrack]],
  { interval: 2 ** 31 - 1, minutes: true },
  () => table.now.getTime() - EPOCH,
);
for (let n = 0; n < STEPS; n++) {
  scene.step();
  await table.delivered();
  await FlowMeter.sweep(meter);
}
performance.now = realPerformance;
const handler = createHandler({
  meter,
  conntracks: conntrack,
  name: 'gateway',
  allowChanges: true,
  authorize: () => 'change',
});
const server = serve({ fetch: steady, port: PORT, hostname: '127.0.0.1' });
const browser = await launchChromium();
try {
  if (values.review !== undefined) await review(values.review);
  else {
    await picture('page-flows', 'light', '', async () => {});
    await picture('page-details', 'dark', '#filter=tcp&by=service', openDetails);
  }
} finally {
  await browser.close();
  handler.close();
  server.close();
  meter.close();
  await conntrack.close();
}
process.exit(0);

/** What depends on the machine is set: what the meter costs. */
async function steady(request) {
  const response = await handler(request);
  if (!request.url.endsWith('/api/v1/status')) return response;
  return Response.json({ ...(await response.json()), interval: 2000, age: 0, notices: [] });
}

async function openDetails(page) {
  // Cards have no translations.
  const isNarrow = page.viewportSize().width < 620;
  const rows = page.locator('.row:not(.none)');
  await (isNarrow ? rows : rows.filter({ has: page.locator('.cell.nat', { hasText: 's 198' }) })).first().click();
  await page.locator('.words-of-flow').waitFor();
}

/** Pictures to look at. */
async function review(directory) {
  mkdirSync(directory, { recursive: true });
  const minute = Math.floor(table.now.getTime() / 60_000) * 60 - 180;
  const press = (key) => async (page) => page.keyboard.press(key);
  const views = [
    ['flows', '', async () => {}],
    ['details', '#filter=tcp&by=service', openDetails],
    ['minute', `#at=${minute}&by=service`, async () => {}],
    ['information', '', press('i')],
    ['commands', '#filter=tcp', press('c')],
    ['help', '', press('?')],
  ];
  for (const [width, height] of [
    [1440, 900],
    [390, 844],
  ])
    for (const theme of ['light', 'dark'])
      for (const [name, hash, act] of views) {
        const { page, context } = await opened({ width, height }, theme, hash);
        await act(page);
        await sleep(800);
        await page.screenshot({ path: `${directory}/${name}-${width}-${theme}.png` });
        await context.close();
      }
}

async function picture(name, colorScheme, hash, act) {
  const { page, context } = await opened(SIZE, colorScheme, hash);
  await act(page);
  await sleep(1500);
  const png = await page.screenshot();
  const drawing = await context.newPage();
  const webp = await drawing.evaluate(
    async ([data, quality]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', quality).split(',')[1];
    },
    [png.toString('base64'), QUALITY],
  );
  writeFileSync(`${root}/docs/pictures/${name}.webp`, Buffer.from(webp, 'base64'));
  await context.close();
}

async function opened(viewport, colorScheme, hash) {
  const context = await browser.newContext({ viewport, colorScheme, timezoneId: 'UTC' });
  const page = await context.newPage();
  await page.clock.setFixedTime(new Date(table.now));
  await page.goto(`http://127.0.0.1:${PORT}/${hash}`);
  await page.locator('.row:not(.none, .loading)').first().waitFor();
  return { page, context };
}
