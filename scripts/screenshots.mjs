// `npm run screenshots`: the pictures of `conntrack top` in docs/pictures/, as the code draws them now. A meter runs over a table in memory
// in which a router is at work; clocks and chances are fixed, so that the same code makes the same pictures.
//
//   node scripts/screenshots.mjs [--check]     with --check: only compares, and ends with 1 if a picture is not what it would be now

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ensureBuilt, root } from './fresh.mjs';
import { EPOCH, MAX_ENTRIES, Scene, STEP } from './screenshots/scene.mjs';
import { toSvg } from './screenshots/svg.mjs';

const FOLDER = 'docs/pictures';
const HOST = 'gateway';
const STEPS = 64;
const check = process.argv[2] === '--check';

process.env.TZ = 'UTC';
ensureBuilt();
const [
  { Conntrack, completeFilter },
  { FlowMeter },
  { MemoryTable },
  { drawPicture, layoutOf },
  { PromptOverlay },
  { Screen },
  { TopState },
] = await Promise.all(
  ['index', 'meter/index', 'testing/index', 'top/picture', 'top/prompt-overlay', 'top/screen', 'top/top-state'].map(
    (name) => import(`${root}/dist/${name}.js`),
  ),
);

const table = new MemoryTable({ now: new Date(EPOCH), maxEntries: MAX_ENTRIES, accounting: true, timestamps: true });
// The table's clock is everybody's.
Date.now = () => table.now.getTime();
performance.now = () => table.now.getTime() - EPOCH;
const scene = new Scene(table);
const conntrack = await Conntrack.open({ transport: table.open });
// The script lists; the meter's own pace is never due.
const meter = await FlowMeter.open([['own', conntrack]], { interval: 2 ** 31 - 1 }, () => performance.now());
for (let n = 0; n < STEPS; n++) {
  scene.step();
  await table.delivered();
  await FlowMeter.sweep(meter);
  // Asked for all the time, as on a screen, so that there is a history.
  await meter.groups({ by: 'src', limit: 1 });
}

const made = { 'top-flows.svg': await flows(), 'top-groups.svg': await groups(), 'top-filter.svg': await filter() };
meter.close();
await conntrack.close();
const old = Object.entries(made).filter(([name, text]) => text !== read(`${root}/${FOLDER}/${name}`));
if (!check) mkdirSync(`${root}/${FOLDER}`, { recursive: true });
for (const [name, text] of old) {
  if (check) console.error(`${FOLDER}/${name} is not what top draws now: npm run screenshots`);
  else writeFileSync(`${root}/${FOLDER}/${name}`, text);
}
if (!check) console.log(`${FOLDER}: ${old.length} of ${Object.keys(made).length} pictures changed`);
process.exitCode = check && old.length > 0 ? 1 : 0;

/** The fastest flows. */
async function flows() {
  const screen = new Screen(100, 30);
  const state = new TopState('average', false);
  await ask(screen, state);
  state.flowList.move(3);
  draw(screen, state);
  return toSvg(screen, {
    title: 'conntrack top',
    description:
      'A list of flows with addresses, translation, states and rates, the fastest first, below four lines about the table.',
  });
}

/** Sources, the flows of the selected one, and the details of the first of them. */
async function groups() {
  const screen = new Screen(140, 40);
  const state = new TopState('average', false);
  state.groupBy('src');
  state.details = true;
  await ask(screen, state);
  state.groupList.move(state.groups.groups.findIndex(({ key }) => key === '10.20.0.57'));
  state.forgetFlows();
  await ask(screen, state);
  draw(screen, state);
  return toSvg(screen, {
    title: 'conntrack top --by src',
    description:
      'A list of sources with their flows, rates and history, in which a port scan is red; below it the flows of one source.',
  });
}

/** A filter, while it is typed. */
async function filter() {
  const screen = new Screen(80, 24);
  const state = new TopState('average', false);
  state.filter = 'tcp and not dst port 22';
  await ask(screen, state);
  draw(screen, state);
  const prompt = new PromptOverlay('/', `${state.filter} and st`, [], {
    done: () => {},
    complete: (text, cursor) => completeFilter(text, cursor),
  });
  prompt.take({ type: 'key', key: 'Tab' });
  prompt.take({ type: 'key', key: 'Tab' });
  prompt.draw(screen, { ascii: false });
  return toSvg(screen, {
    title: 'conntrack top',
    description: 'The line at the bottom has a filter that is being typed; above it are the words that can follow.',
    cursor: { x: screen.row(screen.rows - 1).length, y: screen.rows - 1 },
  });
}

/** What the program asks the meter, for what is on the screen. */
async function ask(screen, state) {
  const layout = layoutOf(screen, state, meter.status);
  if (layout.groups) {
    state.groupList.resize(layout.groups.rows);
    state.showGroups(await meter.groups({ by: state.by, ...state.groupOrder, limit: layout.groups.rows }));
  }
  if (!layout.flows) return;
  state.flowList.resize(layout.flows.rows);
  const query = { filter: state.flowFilter, ...state.flowOrder, limit: layout.flows.rows };
  state.showFlows(await meter.flows(query), true, (numbers) => meter.getMany(numbers).map((flow) => flow !== undefined));
}

function draw(screen, state) {
  // What depends on the machine: how long a list takes, and what it costs.
  const namespaces = meter.sample.namespaces.map((namespace) => ({ ...namespace, sweepTime: 0.02 }));
  drawPicture(screen, state, {
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
    ascii: false,
    several: false,
  });
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
