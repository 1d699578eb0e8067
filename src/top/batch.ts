// `conntrack top` without a terminal: samples as text or as lines of JSON.

import type { Conntrack } from '../library/index.js';
import { type FlowMeter, type FlowSort, followNamespaces, type GroupSort, openMeter } from '../meter/index.js';
import { safeJson } from '../safe-text.js';
import { count, percent, rate } from '../units.js';
import { FLOW_COLUMNS } from './flow-cells.js';
import { groupColumns } from './group-cells.js';
import { printTable } from './printed-table.js';
import type { TopOptions } from './top-options.js';

/** What is printed, and where. */
export interface BatchOptions {
  /** How many samples; Infinity: until the reader has enough. */
  readonly samples: number;
  /** Rows of each. */
  readonly limit: number;
  readonly format: 'text' | 'ndjson';
  /** Takes the lines of one sample. @throws when the reader has gone */
  readonly write: (text: string) => void;
}

/** Milliseconds between two looks for network namespaces that have come and gone. */
export const LOOK_EVERY = 30_000;
/** Orders that need no rates: the first list will do. */
const WITHOUT_RATES: ReadonlySet<string> = new Set(['flows', 'unreplied', 'bytes', 'bytesOriginal', 'bytesReply', 'age', 'key']);

/** Prints samples until it has printed so many. @throws what the meter throws */
export async function runBatch(
  conntracks: ReadonlyMap<string, Conntrack>,
  options: TopOptions,
  batch: BatchOptions,
): Promise<void> {
  const { scope, interval, share, labels, lookAgain, by, sort } = options;
  await using meter = await openMeter(conntracks, { filter: scope, interval, share, labels });
  // A grouping that is kept from the first list on has rates and history with the second.
  if (by !== undefined) await meter.groups({ by, limit: 0 });
  let printed = 0;
  if (sort !== undefined && WITHOUT_RATES.has(sort)) {
    batch.write(await sampleText(meter, options, batch));
    printed++;
  }
  // Each namespace is listed in turn: all of them have rates after as many samples.
  const first = conntracks.size;
  if (printed >= batch.samples) return;
  let looked = performance.now();
  for await (const { number } of meter) {
    if (number <= first) continue;
    if (lookAgain && performance.now() - looked >= LOOK_EVERY) {
      // What fails now is not among those that were asked for.
      await followNamespaces(meter, lookAgain);
      looked = performance.now();
    }
    batch.write(await sampleText(meter, options, batch));
    if (++printed >= batch.samples) return;
  }
}

async function sampleText(meter: FlowMeter, options: TopOptions, { limit, format }: BatchOptions): Promise<string> {
  const { by, sort, reverse, filter, leastRate, ascii } = options;
  const several = meter.sample.namespaces.length > 1;
  const lines = format === 'ndjson' ? [safeJson({ type: 'sample', ...meter.sample })] : [headline(meter, options)];
  if (by === undefined) {
    const { flows } = await meter.flows({ filter, sort: (sort ?? 'average') as FlowSort, reverse, limit, leastRate });
    if (format === 'ndjson') lines.push(...flows.map((flow) => safeJson({ type: 'flow', sample: meter.sample.number, ...flow })));
    else lines.push(...printTable(FLOW_COLUMNS, flows, ascii, several));
  } else {
    const { groups, matched } = await meter.groups({ by, filter, sort: (sort ?? 'average') as GroupSort, reverse, limit });
    if (format === 'ndjson')
      lines.push(...groups.map((group) => safeJson({ type: 'group', sample: meter.sample.number, by, ...group })));
    else
      lines.push(
        ...printTable(
          groupColumns(by),
          groups.map((group) => ({ group, all: matched })),
          ascii,
          several,
        ),
      );
  }
  return `${lines.join('\n')}\n${format === 'text' ? '\n' : ''}`;
}

/** The sample in a line of text. */
function headline(meter: FlowMeter, { ascii }: TopOptions): string {
  const { at, entries, maxEntries, begun, ended, seconds, rate: known } = meter.sample;
  const fill = maxEntries === undefined ? '' : ` of ${count(maxEntries)} (${percent(entries, maxEntries)})`;
  const change = seconds > 0 ? `  new ${count(begun / seconds)}/s  ended ${count(ended / seconds)}/s` : '';
  const [to, from] = ascii ? ['>', '<'] : ['→', '←'];
  const traffic = known ? `  ${to} ${rate(known.original, 'bits')} ${from} ${rate(known.reply, 'bits')} bit/s` : '';
  const off = meter.status.accounting === 'off' ? '  no bytes: accounting is off' : '';
  return `${new Date(at).toISOString()}  ${count(entries)}${fill} entries${change}${off === '' ? traffic : off}`;
}
