// Every option filter has its words: the flows that generated command lines select are those that their filter selects as text.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { parseCommandLine } from '../../src/cli/command-line.js';
import { flowFilter } from '../../src/cli/flow-filter.js';
import type { Invocation } from '../../src/cli/invocation.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { S } from '../../src/ctnetlink/fields.js';
import type { FlowFilter } from '../../src/ctnetlink/filter/condition.js';
import { formatFlowFilter } from '../../src/ctnetlink/filter/format.js';
import { FILE_LIMITS, parseToFlowFilter } from '../../src/ctnetlink/filter/parser.js';
import { LabelMap } from '../../src/ctnetlink/label.js';
import { ConntrackTable } from '../../src/library/index.js';
import { Namespace } from '../support/namespace.js';
import { LABELS, populate } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { readLines } from './read-lines.js';

const SEED = seedFromEnvironment(20260511);
const LEAST = 150;

before(requirePrerequisites);
suite('options as text', { skip: SELF_TEST ? 'the reference has no filters in text' : false }, () => {
  let namespace: Namespace;
  let table: ConntrackTable;
  before(async () => {
    namespace = await Namespace.create('options-as-text');
    await populate(namespace, { accounting: true, timestamps: true, traffic: 'all' });
    table = ConntrackTable.open({ netns: namespace.pid });
  });
  after(async () => {
    table?.close();
    await namespace?.close();
  });

  const idsOf = async (filter: FlowFilter): Promise<number[]> => {
    const ids: number[] = [];
    await table.scan(filter, { entry: (view) => ids.push(view.be32(S.id)) });
    return ids.sort((a, b) => a - b);
  };

  test(`of the lines of SEED=${SEED}`, async () => {
    const texts = new Map<string, FlowFilter>();
    for (const argv of readLines(new Random(SEED))) {
      const invocation = parsed(argv);
      if (invocation?.command !== 'L' || invocation.table !== 'conntrack') continue;
      const bits = (invocation.values.labels ?? []).map((name) => invocation.labelBits!.get(name)!);
      // Labels beyond those that flows can have are no words of the language.
      if (bits.some((bit) => bit > 127)) continue;
      const filter = flowFilter(invocation.values, bits);
      texts.set(formatFlowFilter(filter), filter);
    }
    let entries = 0;
    for (const [text, filter] of texts) {
      const found = await idsOf(filter);
      assert.deepEqual(await idsOf(parseToFlowFilter(text, { limits: FILE_LIMITS })), found, text);
      entries += found.length;
    }
    assert.ok(texts.size >= LEAST && entries > texts.size, `${texts.size} filters, ${entries} entries`);
  });
});

const map = LabelMap.parse(LABELS);

/** A command line that is right, with labels of the population. */
function parsed(argv: readonly string[]): Invocation | undefined {
  try {
    return parseCommandLine(argv, {
      readProtocols: () => 'esp 50 ESP\nah 51 AH\nospf 89 OSPFIGP\n',
      resolveLabels: (names) =>
        new Map(
          names.map((name) => {
            const bit = map.bit(name);
            if (bit === undefined) throw new UsageError(`there is no label ${name}`);
            return [name, bit] as const;
          }),
        ),
    });
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}
