// `conntrack history`: flows of the past, and what is known of the record.

import { isatty } from 'node:tty';
import { UsageError } from '../cli/usage-error.js';
import { toJson } from '../ctnetlink/plain.js';
import { exportParquet } from '../history/export-parquet.js';
import { forgetFlows } from '../history/forget-flows.js';
import { importFlows } from '../history/import-flows.js';
import { formatMoment } from '../history/moments.js';
import { type FlowHistory, openHistory, type PastFlowsOptions } from '../history/open-history.js';
import { PAST_GROUP_SORTS, PAST_GROUPINGS } from '../history/past-groups.js';
import { CSV_HEADER, lineMaker, type PastLineFormat } from '../history/past-lines.js';
import { gapJson } from '../history/record-directory.js';
import { safeJson, safeText } from '../safe-text.js';
import { directoriesOf, RECORD_DIRECTORY, readingValues, spanOf, writeAccess } from './past-values.js';
import type { Word, WordContext } from './run-word.js';
import { counted, printPastGroups, printTable } from './text-table.js';
import { expressionOf } from './word-filter.js';
import type { WordLine } from './word-line.js';
import { choiceOf, isGiven, numberOf, sortOf, textOf } from './word-values.js';

type Verb = (history: FlowHistory, line: WordLine, operands: readonly string[], context: WordContext) => Promise<number>;

const VERBS: Readonly<Record<string, Verb>> = { top: printTop, gaps: printGaps, segments: printSegments };
/** What a verb is asked with besides --dir and -o; without a verb, flows are listed. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  flows: ['from', 'to', 'limit', 'newest-first', 'netns', 'strict'],
  top: ['from', 'to', 'limit', 'by', 'sort', 'reverse', 'netns', 'strict'],
  gaps: ['from', 'to', 'strict'],
  segments: [],
  forget: ['from', 'to', 'reason'],
  import: [],
};
/** With --strict: the record is not complete. */
const HAS_GAPS = 3;
const STDOUT = 1;

export const word: Word = async (line, context) => {
  const [first = '', ...rest] = line.operands;
  const verb = Object.hasOwn(VERBS, first) ? VERBS[first] : undefined;
  checkOptions(line, Object.hasOwn(OPTIONS, first) ? first : 'flows');
  return readingValues(async () => {
    writeAccess(directoriesOf(line), context.host);
    // Without looking at the files before: who reads one keeps it from being sealed.
    if (first === 'forget') return forget(line, rest, context);
    if (first === 'import') return importFile(line, rest, context);
    const history = await openHistory(directoriesOf(line));
    return verb ? verb(history, line, rest, context) : printFlows(history, line, line.operands, context);
  });
};

/** @throws UsageError for an option that belongs to another verb, instead of doing nothing with it */
function checkOptions({ values }: WordLine, verb: string): void {
  const wrong = Object.keys(values).find((name) => name !== 'dir' && name !== 'output' && !OPTIONS[verb]!.includes(name));
  if (wrong === undefined) return;
  const others = Object.keys(OPTIONS).filter((other) => OPTIONS[other]!.includes(wrong));
  const names = others.map((other) => (other === 'flows' ? 'history' : `history ${other}`)).join(' and ');
  throw new UsageError(`--${wrong} belongs to ${names}`);
}

/** The format; `allowed` has the default first. */
function formatOf<F extends string>(line: WordLine, allowed: readonly F[]): F {
  const format = (textOf(line, 'output') ?? allowed[0]!) as F;
  if (!allowed.includes(format))
    throw new UsageError(`-o ${format} cannot be had here`, { hint: `one of ${allowed.join(', ')}` });
  return format;
}

async function printFlows(
  history: FlowHistory,
  line: WordLine,
  operands: readonly string[],
  context: WordContext,
): Promise<number> {
  const { out, err } = context;
  const format = formatOf(line, ['text', 'json', 'ndjson', 'csv', 'nat-log', 'parquet']);
  if (format === 'parquet' && isatty(STDOUT))
    throw new UsageError('-o parquet is no text for a terminal', { hint: 'write it to a file: > flows.parquet' });
  const filter = expressionOf(operands, context);
  let failed = false;
  const options: PastFlowsOptions = {
    ...spanOf(line),
    limit: numberOf(line, 'limit', 0, Number.MAX_SAFE_INTEGER, true),
    newestFirst: isGiven(line, 'newest-first'),
    netns: textOf(line, 'netns'),
    onUnreadable: (_segment, reason) => {
      failed = true;
      err(`conntrack: history: ${safeText(reason)}`);
    },
  };
  if (format === 'parquet')
    for await (const part of exportParquet(history, filter, options)) {
      out.reserve(part.length);
      out.raw(part, 0, part.length);
      out.flush();
    }
  else await printLines(history, filter, options, format, out);
  return failed ? 1 : statusOfGaps(history, line, err);
}

/** With --strict: whether the record is complete. */
function statusOfGaps(history: FlowHistory, line: WordLine, err: WordContext['err']): number {
  const gaps = isGiven(line, 'strict') && history.gaps(spanOf(line)).some(({ incomplete }) => incomplete);
  if (!gaps) return 0;
  err('conntrack: history: the record has gaps in that time: conntrack history gaps lists them');
  return HAS_GAPS;
}

async function printLines(
  history: FlowHistory,
  filter: string | undefined,
  options: PastFlowsOptions,
  format: PastLineFormat | 'json',
  out: WordContext['out'],
): Promise<void> {
  const isArray = format === 'json';
  let count = 0;
  if (format === 'csv') out.text(CSV_HEADER);
  for await (const some of history.read(filter, options, () => lineMaker(isArray ? 'ndjson' : format)))
    for (const { line: text } of some) {
      if (text === undefined) continue;
      out.text(isArray ? `${count === 0 ? '[' : ','}\n${text.trimEnd()}` : text);
      count++;
    }
  if (isArray) out.text(count === 0 ? '[]\n' : '\n]\n');
}

async function printTop(
  history: FlowHistory,
  line: WordLine,
  operands: readonly string[],
  context: WordContext,
): Promise<number> {
  const { out, err } = context;
  const format = formatOf(line, ['text', 'json', 'ndjson']);
  const by = choiceOf(line, 'by', PAST_GROUPINGS) ?? 'src';
  let failed = false;
  const groups = await history.top({
    ...spanOf(line),
    by,
    sort: sortOf(line, PAST_GROUP_SORTS),
    reverse: isGiven(line, 'reverse'),
    limit: numberOf(line, 'limit', 0, 1_000_000, true),
    filter: expressionOf(operands, context),
    netns: textOf(line, 'netns'),
    onUnreadable: (_segment, reason) => {
      failed = true;
      err(`conntrack: history: ${safeText(reason)}`);
    },
  });
  if (format !== 'text') printAll(out, format, groups.map(toJson), [], () => []);
  else printPastGroups(out, by, groups);
  return failed ? 1 : statusOfGaps(history, line, err);
}

async function printGaps(
  history: FlowHistory,
  line: WordLine,
  operands: readonly string[],
  { out }: WordContext,
): Promise<number> {
  refuseMore(operands);
  const format = formatOf(line, ['text', 'json', 'ndjson']);
  const gaps = history.gaps(spanOf(line)).map(gapJson);
  const heads = ['from', 'to', 'reason', 'then', 'more'];
  printAll(out, format, gaps, heads, ({ from, to, reason, incomplete, events, netns, note }) => [
    from,
    to ?? '-',
    reason,
    incomplete ? 'incomplete' : 'complete',
    ...(netns === undefined ? [] : [`netns=${netns}`]),
    ...(events === undefined ? [] : [`events=${events}`]),
    ...(note === undefined ? [] : [note]),
  ]);
  return isGiven(line, 'strict') && gaps.some(({ incomplete }) => incomplete) ? HAS_GAPS : 0;
}

async function printSegments(
  history: FlowHistory,
  line: WordLine,
  operands: readonly string[],
  { out }: WordContext,
): Promise<number> {
  refuseMore(operands);
  const format = formatOf(line, ['text', 'json', 'ndjson']);
  const segments = history.segments().map(({ opened, closed, ...segment }) => ({
    ...segment,
    ...(opened === undefined ? {} : { opened: formatMoment(opened) }),
    ...(closed === undefined ? {} : { closed: formatMoment(closed) }),
  }));
  const heads = ['file', 'state', 'opened', 'closed', 'records', 'problem'];
  printAll(out, format, segments, heads, ({ directory, name, opened, closed, sealed, imported, rows, problem }) => [
    `${directory}/${name}`,
    problem === undefined ? (imported ? 'imported' : sealed ? 'sealed' : closed === undefined ? 'open' : 'closed') : 'unreadable',
    opened ?? '-',
    closed ?? '-',
    rows === undefined ? '-' : String(rows),
    ...(problem === undefined ? [] : [problem]),
  ]);
  return segments.some(({ problem }) => problem !== undefined) ? 1 : 0;
}

/** Takes the records of an address out of all directories. */
async function forget(line: WordLine, [address, ...more]: readonly string[], { out, err }: WordContext): Promise<number> {
  if (address === undefined) throw new UsageError('history forget: whose records? An address is needed, or a network');
  refuseMore(more);
  const reason = textOf(line, 'reason');
  if (reason === undefined) throw new UsageError('history forget needs --reason TEXT, which goes into the manifest');
  let found = 0;
  for (const directory of directoriesOf(line)) {
    const { records, segments, living } = await forgetFlows(directory, address, { ...spanOf(line), reason });
    out.text(`${safeText(directory)}: ${counted(records, 'record')} forgotten in ${counted(segments.length, 'file')}\n`);
    if (living > 0) out.text(`  ${counted(living, 'flow')} of it still open: recorded at the end, and to be forgotten then\n`);
    found += records + living;
  }
  if (found === 0)
    err('conntrack: history: nothing was sent from there: name the inside address; whohad says who had one that others saw');
  return 0;
}

/** Makes a record of what was printed elsewhere. */
async function importFile(line: WordLine, [file, ...more]: readonly string[], { out }: WordContext): Promise<number> {
  if (file === undefined) throw new UsageError('history import: which file? One that conntrack history -o ndjson or csv printed');
  refuseMore(more);
  const [directory = RECORD_DIRECTORY, ...others] = directoriesOf(line);
  if (others.length > 0) throw new UsageError('history import: into one directory, not several');
  const { records, living, segment } = await importFlows(directory, file);
  out.text(`${safeText(directory)}: ${counted(records, 'record')} imported${segment === undefined ? '' : ` into ${segment}`}\n`);
  if (living > 0) out.text(`  ${counted(living, 'flow')} without an end left out: it lived when it was printed\n`);
  return 0;
}

function refuseMore(operands: readonly string[]): void {
  if (operands.length > 0) throw new UsageError(`history: ${safeText(operands[0]!)} is one word too many`);
}

/** As text it is a table; rows may have fewer cells than there are heads. */
function printAll<T>(
  out: WordContext['out'],
  format: 'text' | 'json' | 'ndjson',
  all: readonly T[],
  heads: readonly string[],
  cells: (one: T) => string[],
): void {
  if (format === 'json') out.text(`${safeJson(all)}\n`);
  else if (format === 'ndjson') for (const one of all) out.text(`${safeJson(one)}\n`);
  else if (all.length > 0) printTable(out, [heads, ...all.map(cells)], () => false);
}
