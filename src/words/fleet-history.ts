// `conntrack fleet history`: flows of the past, from the records of all hosts and the copies of collectors.

import { PacedOutput } from '../cli/output/paced-output.js';
import { UsageError } from '../cli/usage-error.js';
import { toJson } from '../ctnetlink/plain.js';
import { formatShards } from '../fleet/collected.js';
import type { FlowsQuestion } from '../fleet/flows-question.js';
import { PAST_DEADLINE, type PastAsk, type PastResult, readPastFlows, readPastSums } from '../fleet/past-client.js';
import { ByteWriter } from '../format/byte-writer.js';
import { readSpan } from '../history/moments.js';
import { PAST_GROUP_SORTS, PAST_GROUPINGS } from '../history/past-groups.js';
import { CSV_HEADER, lineMaker } from '../history/past-lines.js';
import { RowMessages } from '../history/row-messages.js';
import { safeJson, safeText } from '../safe-text.js';
import type { FleetCall, FleetVerb } from './fleet-call.js';
import { filterOf } from './fleet-flows.js';
import { formatOf } from './fleet-sums.js';
import { readingValues, spanOf } from './past-values.js';
import { printPastGroups } from './text-table.js';
import { choiceOf, isGiven, listOf, numberOf, sortOf } from './word-values.js';

const STDOUT = 1;
const NONE = 1;
const INCOMPLETE = 3;
/** Hosts that are told by name, and reasons of each. */
const MOST_TOLD = 20;
const MOST_REASONS = 3;

export const pastFlows: FleetVerb = (call) => {
  if (isGiven(call.line, 'strict'))
    throw new UsageError('--strict would have to keep all flows: the exit status says whether something is missing');
  const [first, ...rest] = call.operands;
  return first === 'top' ? printTop(call, rest) : printFlows(call);
};

async function printFlows(call: FleetCall): Promise<number> {
  const { fleet, line, context } = call;
  const format = formatOf(call, ['text', 'json', 'ndjson', 'csv', 'nat-log']);
  const ask = { ...(await askOf(call, call.operands)), newestFirst: isGiven(line, 'newest-first') };
  const output = new PacedOutput(STDOUT);
  try {
    const out = new ByteWriter((bytes, length) => output.write(bytes, length));
    const isArray = format === 'json';
    const lineOf = lineMaker(isArray ? 'ndjson' : format);
    const messages = new RowMessages();
    let count = 0;
    if (format === 'csv') out.text(`host,${CSV_HEADER}`);
    const result = await readPastFlows(
      fleet,
      ask,
      call.ask(PAST_DEADLINE),
      (row) => {
        const { line: text } = lineOf(row, () => messages.of(row.row));
        if (text === undefined) return true;
        out.text(isArray ? `${count === 0 ? '[' : ','}\n${text.trimEnd()}` : text);
        count++;
        return true;
      },
      async () => {
        out.flush();
        if (output.kept > 0) await output.taken();
      },
    );
    if (isArray) out.text(count === 0 ? '[]\n' : '\n]\n');
    out.flush();
    await output.taken();
    return conclude(call, result, count, context.err);
  } finally {
    output.close();
  }
}

async function printTop(call: FleetCall, operands: readonly string[]): Promise<number> {
  const { fleet, line, context } = call;
  const format = formatOf(call, ['text', 'json', 'ndjson']);
  const by = choiceOf(line, 'by', PAST_GROUPINGS) ?? 'src';
  const ask = { ...(await askOf(call, operands)), by, sort: sortOf(line, PAST_GROUP_SORTS) ?? ('bytes' as const) };
  const result = await readPastSums(fleet, ask, call.ask(PAST_DEADLINE));
  const { groups, atLeast } = result;
  const { out, err } = context;
  if (format === 'json') out.text(`${safeJson(groups.map(toJson))}\n`);
  else if (format === 'ndjson') for (const group of groups) out.text(`${safeJson(toJson(group))}\n`);
  else printPastGroups(out, by, groups);
  if (atLeast)
    err('conntrack: note: some have more groups than they told: sums may be higher, and others may come before the last');
  return conclude(call, result, groups.length, err);
}

async function askOf(call: FleetCall, operands: readonly string[]): Promise<PastAsk> {
  const { line } = call;
  const netns = listOf(line, 'netns') ?? [];
  if (netns.length > 1) throw new UsageError('--netns: flows of the past are of one network namespace, or of all');
  const question: FlowsQuestion = await readingValues(() => {
    const span = readSpan(spanOf(line), Date.now);
    return { ...(span ? { span } : {}), ...(netns[0] === undefined ? {} : { netns: netns[0] }) };
  });
  return { ...question, filter: filterOf(call, operands), limit: numberOf(line, 'limit', 1, Number.MAX_SAFE_INTEGER, true) };
}

/** Says what is missing. @returns the exit status: as that of `fleet whohad` */
function conclude(call: FleetCall, result: PastResult, found: number, err: (line: string) => void): number {
  call.context.out.flush();
  const { lacking, notes, lackingShards, complete } = result;
  // Whoever is interrupted has got no answer of anybody.
  if (call.ask(0).signal?.aborted !== true) {
    if (lackingShards.length > 0) err(`conntrack: note: no collector answers for shards ${formatShards(lackingShards)}`);
    for (const note of notes) err(`conntrack: note: ${safeText(note)}`);
  }
  for (const [host, reasons] of [...lacking].slice(0, MOST_TOLD))
    err(
      `conntrack: ${safeText(`${host}: ${reasons.slice(0, MOST_REASONS).join('; ')}${reasons.length > MOST_REASONS ? `; and ${reasons.length - MOST_REASONS} more` : ''}`)}`,
    );
  if (lacking.size > MOST_TOLD) err(`conntrack: the records of ${lacking.size - MOST_TOLD} more hosts are not complete`);
  const status = call.conclude(result, found === 0 ? NONE : 0);
  return complete ? status : INCOMPLETE;
}
