// Random filters on a table of the kernel with one of everything: what a filter lists is what its predicate wants of the whole list,
// whichever dumps are made for it; and what it deletes is that, too.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { inspect } from 'node:util';
import { S } from '../../src/ctnetlink/fields.js';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { type FlowFilter, MATCH_ALL } from '../../src/ctnetlink/filter/condition.js';
import { atomsOf } from '../../src/ctnetlink/filter/kernel-plan.js';
import { kernelRequests } from '../../src/ctnetlink/filter/kernel-requests.js';
import { createFlowView, type View } from '../../src/ctnetlink/view.js';
import type { ScanOptions } from '../../src/library/flow-dumps.js';
import { ConntrackTable } from '../../src/library/table.js';
import { host16, host32 } from '../../src/wire/bytes.js';
import { NFNL_ATTRS } from '../../src/wire/uapi/nfnetlink.js';
import { Namespace } from '../support/namespace.js';
import { newFlow } from '../support/netlink.js';
import { FLOWS, populate } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { randomAlternatives, randomFilter } from '../support/random-filter.js';

const SEED = seedFromEnvironment(20_26);
const FILTERS = Number(process.env['LIVE_FILTERS'] ?? 200);
const DELETIONS = 20;

/** Addresses of the population. */
const V4 = [
  [192, 0, 2, 1],
  [192, 0, 2, 2],
  [198, 51, 100, 1],
  [203, 0, 113, 5],
  [203, 0, 113, 9],
];
const V6 = [
  [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
];

/** One dump; or as many as the kernel can be asked for, in turn, on a thread, or at the same time. */
const WAYS: readonly ScanOptions[] = [
  {},
  { severalDumpsFrom: 0, processors: 1 },
  { severalDumpsFrom: 0, processors: 2 },
  { severalDumpsFrom: 0, processors: 8 },
  { severalDumpsFrom: 0, processors: 2, background: true },
];

/** Whether a flow that is left alone may be wanted now and not a second later. References depend on where a part of a dump ends. */
function changesBySelf(filter: FlowFilter): boolean {
  switch (filter.kind) {
    case 'all':
    case 'any':
      return filter.of.some(changesBySelf);
    case 'not':
      return changesBySelf(filter.of);
    default:
      return filter.kind === 'age' || (filter.kind === 'number' && (filter.field === 'use' || filter.field === 'timeout'));
  }
}

function filterOf(random: Random): FlowFilter {
  for (;;) {
    const filter = random.chance(0.5) ? randomFilter(random) : randomAlternatives(random, V4, V6);
    if (!changesBySelf(filter)) return filter;
  }
}

before(requirePrerequisites);
suite('random filters', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let ns: Namespace;
  let table: ConntrackTable;
  before(async () => {
    ns = await Namespace.create('filters-live');
    await populate(ns, { accounting: true, timestamps: true, traffic: 'none' });
    table = ConntrackTable.open({ netns: ns.pid });
  });
  after(async () => {
    table?.close();
    await ns?.close();
  });

  /** The id and the original tuple. */
  const keyOf = (view: View) => {
    const tuple = view.start + NFNL_ATTRS;
    const bytes = view.bytes.subarray(tuple, tuple + host16(view.bytes, tuple));
    return `${view.be32(S.id)} ${Buffer.from(bytes).toString('hex')}`;
  };
  /** The messages of all entries. */
  const everything = async () => {
    const messages: Uint8Array[] = [];
    await table.scan(MATCH_ALL, {
      entry: (view) => messages.push(view.bytes.slice(view.start, view.start + host32(view.bytes, view.start))),
    });
    return messages;
  };
  const wantedOf = (filter: FlowFilter, messages: readonly Uint8Array[]) => {
    const wanted = compileFilter(filter, Date.now);
    const view = createFlowView();
    return messages
      .filter((bytes) => {
        view.decode(bytes, 0, bytes.length);
        return !wanted || wanted(view);
      })
      .map((bytes) => {
        view.decode(bytes, 0, bytes.length);
        return keyOf(view);
      })
      .sort();
  };

  test(`${FILTERS} filters list what their predicates want; SEED=${SEED}`, async (t) => {
    const random = new Random(SEED);
    const messages = await everything();
    assert.ok(messages.length >= FLOWS.length - 10);
    const found = { entries: 0, severalDumps: 0, family: 0, nothing: 0 };
    for (let n = 0; n < FILTERS; n++) {
      const filter = filterOf(random);
      const requests = kernelRequests(filter, 'noIpv6Address', true);
      if (!requests) found.nothing++;
      else if (requests.alternatives.length > 1) found.severalDumps++;
      else if (atomsOf(filter)?.family !== 0) found.family++;
      const expected = wantedOf(filter, messages);
      found.entries += expected.length;
      for (const way of [WAYS[0]!, ...random.sample(WAYS.slice(1), 2)]) {
        const keys: string[] = [];
        await table.scan(filter, { entry: (view) => keys.push(keyOf(view)) }, way);
        assert.deepEqual(keys.sort(), expected, `filter ${n}, ${inspect(way)}: ${inspect(filter, { depth: 20 })}`);
      }
    }
    t.diagnostic(inspect(found));
    assert.ok(found.severalDumps >= FILTERS / 8 && found.entries > 5 * FILTERS, inspect(found));
  });

  test(`${DELETIONS} filters delete what their predicates want; SEED=${SEED}`, async () => {
    const random = new Random(SEED + 1);
    let deletions = 0;
    while (deletions < DELETIONS) {
      const filter = filterOf(random);
      const messages = await everything();
      const expected = wantedOf(filter, messages);
      if (expected.length === 0) continue;
      const keys: string[] = [];
      const way = random.pick(WAYS);
      const result = await table.delete(filter, (view) => keys.push(keyOf(view)), way);
      const title = `${inspect(way)}: ${inspect(filter, { depth: 20 })}`;
      assert.deepEqual(keys.sort(), expected, title);
      assert.deepEqual([result.changed, result.alreadyGone, result.failed], [expected.length, 0, 0], title);
      assert.equal((await everything()).length, messages.length - expected.length, title);
      await ns.ask('flood', FLOWS.map(newFlow));
      deletions++;
    }
  });
});
