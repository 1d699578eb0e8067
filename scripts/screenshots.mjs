// `npm run screenshots`: the screens of `conntrack top` as the code draws them now: in test/fixtures/screens/ as text, some of them in
// docs/pictures/ as pictures. A meter runs over a table in memory in which a router is at work; clocks and chances are fixed, so that the
// same code makes the same screens.
//
//   node scripts/screenshots.mjs [--check]     with --check: only compares, and ends with 1 if a screen is not what it would be now

import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { ensureBuilt, root } from './fresh.mjs';
import { EPOCH, MAX_ENTRIES, Scene, STEP } from './screenshots/scene.mjs';
import { SCREENS } from './screenshots/screens.mjs';
import { toSvg } from './screenshots/svg.mjs';
import { toText } from './screenshots/text.mjs';

const PICTURES = 'docs/pictures';
const TEXTS = 'test/fixtures/screens';
const HOST = 'gateway';
const STEPS = 64;
const MODULES = [
  'index',
  'meter/index',
  'meter/flow-meter',
  'testing/index',
  ...[
    'command-lines',
    'delete-dialog',
    'deletion-text',
    'doctor-lines',
    'filter-prompt',
    'flow-cells',
    'information',
    'menus',
    'picture',
    'screen',
    'text-overlay',
    'top-keys',
    'top-state',
  ].map((name) => `top/${name}`),
];
const check = process.argv[2] === '--check';

process.env.TZ = 'UTC';
ensureBuilt();
const top = Object.assign({}, ...(await Promise.all(MODULES.map((name) => import(`${root}/dist/${name}.js`)))));
const { Conntrack, FlowDeletion, FlowMeter, MemoryTable, TopState, Screen, contextOf, drawPicture, layoutOf } = top;

const table = new MemoryTable({ now: new Date(EPOCH), maxEntries: MAX_ENTRIES, accounting: true, timestamps: true });
// The table's clock is everybody's.
Date.now = () => table.now.getTime();
performance.now = () => table.now.getTime() - EPOCH;
const scene = new Scene(table);
const conntrack = await Conntrack.open({ transport: table.open });
// The script lists; the meter's own pace is never due.
const meter = await FlowMeter.open([['own', conntrack]], { interval: 2 ** 31 - 1 }, () => performance.now());
/** Flows that have ended since a sample. */
let before;
for (let n = 0; n < STEPS; n++) {
  if (n === STEPS - 2) before = await meter.flows({ sort: 'timeout', reverse: true, limit: 30 });
  scene.step();
  await table.delivered();
  await FlowMeter.sweep(meter);
  // Asked for all the time, as on a screen, so that there is a history.
  await meter.groups({ by: 'src', limit: 1 });
}

before = { ...before, flows: before.flows.filter(({ number }) => !meter.get(number)).slice(0, 2) };

const made = new Map();
for (const row of SCREENS) {
  const screen = await draw(row);
  made.set(`${TEXTS}/${row.name}.txt`, toText(screen));
  if (row.picture) made.set(`${PICTURES}/top-${row.name}.svg`, toSvg(screen, { ...row.picture, cursor: screen.cursor }));
}
meter.close();
await conntrack.close();

const old = [...made].filter(([path, text]) => text !== read(`${root}/${path}`)).map(([path]) => path);
const left = [TEXTS, PICTURES]
  .flatMap((folder) => list(`${root}/${folder}`).map((name) => `${folder}/${name}`))
  .filter((path) => !made.has(path));
if (check)
  for (const path of [...old, ...left])
    console.error(`${path} is not what top draws now: npm run screenshots, then look at what changed`);
else {
  for (const folder of [TEXTS, PICTURES]) mkdirSync(`${root}/${folder}`, { recursive: true });
  for (const path of old) writeFileSync(`${root}/${path}`, made.get(path));
  for (const path of left) unlinkSync(`${root}/${path}`);
  for (const path of [...old, ...left]) console.log(path);
  console.log(`${old.length + left.length} of ${made.size} screens changed`);
}
process.exitCode = check && old.length + left.length > 0 ? 1 : 0;

/** Draws a row of SCREENS. @returns the screen, with the place of the cursor */
async function draw({ size, ascii = false, color = true, look = () => {}, facts: other = () => ({}), overlay }) {
  const [columns, rows] = size.split('x').map(Number);
  const screen = new Screen(columns, rows, { ascii, color });
  const cursor = watchCursor(screen);
  const state = new TopState('average', false);
  const usual = usualFacts(ascii);
  const facts = { ...usual, ...other(usual) };
  const ask = () => askFor(screen, state);
  const view = { top, screen, state, facts, before, ask, question: (_, target) => question(target, state, ascii) };
  await ask();
  await look(view);
  await ask();
  drawPicture(screen, state, facts);
  const over = await overlay?.({ ...view, context: contextOf(screen, state, facts) });
  over?.draw(screen, { ascii });
  return Object.assign(screen, { cursor: cursor() });
}

/** What is shown of the cursor from now on. */
function watchCursor(screen) {
  let cursor;
  const { showCursor } = screen;
  screen.showCursor = (x, y) => {
    cursor = x >= 0 ? { x, y } : undefined;
    showCursor.call(screen, x, y);
  };
  return () => cursor;
}

/** What the program asks the meter, for what is on the screen. */
async function askFor(screen, state) {
  const layout = layoutOf(screen, state, meter.status);
  if (layout.groups) {
    state.groupList.resize(layout.groups.rows);
    const query = { by: state.by, filter: state.filter === '' ? undefined : state.filter };
    state.showGroups(await meter.groups({ ...query, ...state.groupOrder, limit: layout.groups.rows }));
  }
  if (!layout.flows) return;
  state.flowList.resize(layout.flows.rows);
  const query = { filter: state.flowFilter, ...state.flowOrder, limit: layout.flows.rows };
  state.showFlows(await meter.flows(query), true, (numbers) => meter.getMany(numbers).map((flow) => flow !== undefined));
}

async function question(target, state, ascii) {
  const plan = await new FlowDeletion(meter, new Map([['own', conntrack]]), undefined, undefined).plan(target);
  const asked = top.deletionQuestion(plan, target, state.flows.flows, ascii);
  return new top.DeleteDialog({ ...asked, confirmed: () => {} });
}

function usualFacts(ascii) {
  // What depends on the machine: how long a list takes, and what it costs.
  const namespaces = meter.sample.namespaces.map((namespace) => ({ ...namespace, sweepTime: 0.02 }));
  return {
    sample: { ...meter.sample, namespaces, cost: 0.012 },
    series: meter.series({ seconds: 120 }),
    status: meter.status,
    host: HOST,
    interval: STEP * 1000,
    paused: undefined,
    now: table.now,
    scope: undefined,
    labels: undefined,
    readOnly: false,
    ascii,
    several: false,
  };
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Those of the page are made by screenshots-page.mjs. */
function list(folder) {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('page-'));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
