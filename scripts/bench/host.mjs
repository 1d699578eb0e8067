// Lists the flows of a host in this network namespace: `node scripts/bench/host.mjs ADDRESS PAIRS`. Prints, as JSON, the milliseconds
// of each list made as the library makes it (`several`), and of each made of one dump (`one`), in pairs.

import { root } from '../fresh.mjs';

const { ConntrackTable } = await import(`${root}/dist/library/table.js`);
const { toFlowFilter } = await import(`${root}/dist/ctnetlink/filter/object-input.js`);

const [address, pairs] = process.argv.slice(2);
const filter = toFlowFilter({ host: address });
const table = ConntrackTable.open();

async function list(options) {
  let entries = 0;
  const start = performance.now();
  await table.scan(filter, { entry: () => entries++ }, options);
  return { time: performance.now() - start, entries };
}

const times = { one: [], several: [] };
const ways = { one: { severalDumpsFrom: Number.POSITIVE_INFINITY }, several: {} };
// The first pair is of code that is new.
for (let i = -1; i < Number(pairs); i++) {
  const pair = {};
  for (const way of i % 2 === 0 ? ['one', 'several'] : ['several', 'one']) pair[way] = await list(ways[way]);
  if (pair.one.entries !== pair.several.entries) throw new Error(`${pair.one.entries} entries, or ${pair.several.entries}`);
  if (i >= 0) for (const way of ['one', 'several']) times[way].push(pair[way].time);
}
table.close();
console.log(JSON.stringify(times));
