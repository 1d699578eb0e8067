// A table so large that its families are listed at the same time: every entry appears once, however many processors there are, and one
// fault at one step of either list leads to an error, never to a list that looks complete.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { parseAddress } from '../../src/ctnetlink/address.js';
import { type FlowFilter, MATCH_ALL, numberIs } from '../../src/ctnetlink/filter/condition.js';
import { addressSet } from '../../src/ctnetlink/filter/sets.js';
import { ConntrackError } from '../../src/index.js';
import { ConntrackTable } from '../../src/library/table.js';
import type { OpenTransport } from '../../src/wire/transport.js';
import { FAULTS, FaultyTransports } from '../support/faulty-transport.js';
import { manyFlows } from '../support/many.js';
import { Namespace } from '../support/namespace.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const SEED = seedFromEnvironment(20_26);
/** Together a few more than may make two lists of it, and both so many that every sample says so. */
const IPV4 = 17_500;
const IPV6 = 15_500;
const FAULTY_STEPS = 3;

before(requirePrerequisites);
suite('both families at once', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let ns: Namespace;
  before(async () => {
    ns = await Namespace.create('parallel-list');
    await ns.ask('flood', [...manyFlows(IPV4), ...manyFlows(IPV6, 6)]);
  });
  after(() => ns?.close());

  /** Lists the table. @returns how often each entry came, by family and addresses, and the families in their order */
  const list = async (processors: number, transport?: OpenTransport, filter: FlowFilter = MATCH_ALL) => {
    const table = ConntrackTable.open({ netns: ns.pid, transport });
    const seen = new Map<string, number>();
    const families: number[] = [];
    try {
      await table.scan(
        filter,
        {
          entry: (view) => {
            const key = `${view.family} ${Buffer.from(view.bytes.subarray(view.start + 20, view.start + 60)).toString('hex')}`;
            seen.set(key, (seen.get(key) ?? 0) + 1);
            families.push(view.family);
          },
        },
        { processors },
      );
    } finally {
      table.close();
    }
    return { seen, families };
  };
  const complete = ({ seen, families }: Awaited<ReturnType<typeof list>>) => {
    assert.equal(families.length, IPV4 + IPV6);
    assert.equal(seen.size, IPV4 + IPV6, 'an entry came twice, and another not at all');
    assert.equal(families.filter((family) => family === 2).length, IPV4);
  };

  for (const processors of [1, 2, 3, 8])
    test(`${processors} processors`, async () => {
      complete(await list(processors));
    });

  test('one processor is given one list', async () => {
    const steps = new FaultyTransports(new Random(SEED));
    await list(1, steps.open);
    assert.equal(steps.steps.filter(({ point }) => point === 'open').length, 1);
  });

  for (const processors of [1, 2, 3])
    test(`the kernel filters by tuple, ${processors} processors`, async () => {
      const steps = new FaultyTransports(new Random(SEED));
      const { seen } = await list(processors, steps.open, numberIs('protocol', 132));
      assert.equal(seen.size, 0);
      // Of each family the end alone; and how many entries there are, and a sample of them.
      const points = steps.steps.map(({ point }) => point).filter((point) => point === 'send' || point === 'receive');
      assert.deepEqual(points.sort(), [...new Array(4).fill('receive'), ...new Array(4).fill('send')]);
    });

  /** Lists again and again with a fault at one step. `whole` throws for a list that is not complete. */
  const listWithFaults = async (
    processors: number,
    filter: FlowFilter,
    transports: number,
    whole: (listed: Awaited<ReturnType<typeof list>>) => void,
  ) => {
    const clean = new FaultyTransports(new Random(SEED));
    whole(await list(processors, clean.open, filter));
    assert.equal(clean.steps.filter(({ point }) => point === 'open').length, transports);
    let struck = 0;
    for (const fault of FAULTS) {
      const candidates = clean.steps.flatMap(({ point }, step) => (point === fault.at ? [step] : []));
      const random = new Random(SEED);
      for (let n = 0; n < FAULTY_STEPS && candidates.length > 0; n++) {
        const step = random.pick(candidates);
        const transports = new FaultyTransports(new Random(SEED + step), fault, step);
        const title = `${fault.name}, step ${step}; SEED=${SEED}`;
        try {
          whole(await list(processors, transports.open, filter));
          assert.ok(!transports.struck || fault.expect === 'harmless', `${title}: the list looks complete`);
        } catch (error) {
          assert.ok(error instanceof ConntrackError, `${title}: ${(error as Error).stack}`);
          assert.ok(transports.struck && fault.expect !== 'harmless', `${title}: ${error.message}`);
        }
        assert.equal(transports.live, 0, `${title}: transports are left open`);
        if (transports.struck) struck++;
      }
    }
    return struck;
  };

  for (const processors of [2, 3])
    test(`a fault at one step, ${processors} processors`, async (t) => {
      // The transport of the sample, which cannot be used again, and one for each list.
      const struck = await listWithFaults(processors, MATCH_ALL, 3, complete);
      t.diagnostic(`${struck} faults`);
      assert.ok(struck >= FAULTS.length, `only ${struck} faults struck`);
    });

  const HOST: FlowFilter = {
    kind: 'address',
    ends: (['original', 'reply'] as const).flatMap((side) => (['src', 'dst'] as const).map((end) => ({ side, end }))),
    set: addressSet(parseAddress('10.0.0.5')!),
  };
  const one = ({ seen, families }: Awaited<ReturnType<typeof list>>) => assert.deepEqual([seen.size, families], [1, [2]]);

  for (const processors of [1, 2, 8])
    test(`a dump for each end of a host, ${processors} processors`, async () => {
      const steps = new FaultyTransports(new Random(SEED));
      one(await list(processors, steps.open, HOST));
      // The number of entries, the sample, and four dumps.
      assert.equal(steps.steps.filter(({ point }) => point === 'send').length, 6);
    });

  test('the address that all IPv4 entries have: one dump', async () => {
    const steps = new FaultyTransports(new Random(SEED));
    const gateway: FlowFilter = { ...HOST, set: addressSet(parseAddress('198.51.100.1')!) };
    const { seen, families } = await list(2, steps.open, gateway);
    assert.deepEqual([seen.size, families.length], [IPV4, IPV4]);
    assert.equal(steps.steps.filter(({ point }) => point === 'send').length, 3);
  });

  for (const [processors, transports] of [
    [1, 2],
    [8, 5],
  ] as const)
    test(`a fault at one step of the dumps of a host, ${processors} processors`, async (t) => {
      t.diagnostic(`${await listWithFaults(processors, HOST, transports, one)} faults`);
    });
});
