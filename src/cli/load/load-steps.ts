// The lines of a load file as steps: flows to create, encoded in batches, and commands between them. Encoded flows are kept up to a
// limit; beyond it, lines are read a second time. So a file of any size takes bounded memory.

import { type EncodedFlows, FlowEncoder } from '../../library/index.js';
import { unloadable } from '../command-line.js';
import { commandRow } from '../command-rows.js';
import type { Context } from '../context.js';
import { flowChange } from '../given-flow.js';
import type { Invocation } from '../invocation.js';
import { grouped, type Progress } from '../output/progress.js';
import { UsageError } from '../usage-error.js';
import { LineReader } from './line-reader.js';
import { LoadRequests } from './load-requests.js';
import type { LoadSource } from './load-source.js';
import { splitLoadLine } from './load-words.js';

/** A line has a filter in text, and the language is not loaded yet. */
export class FilterLanguageNeeded extends Error {}

/** Encoded requests kept in memory between check and run; the lines beyond are read again. */
const KEPT_BYTES = 20 * 1024 * 1024;
/** Rough size of a kept line that does not create. */
const INVOCATION_BYTES = 1024;

/** Lines that create, sent together, or one line that does something else. */
export type LoadStep =
  | { readonly flows: EncodedFlows; readonly line: number }
  | { readonly invocation: Invocation; readonly line: number };

/** A file in which every line is known to be correct. */
export interface CheckedLines {
  readonly kept: readonly LoadStep[];
  /** Flows that it creates. */
  readonly creates: number;
  /** Number of its last line that does something. */
  readonly lines: number;
  /** The first line that was not kept, if any. */
  readonly readAgainFrom: number | undefined;
}

/** Reads and checks every line; keeps what fits. */
export function checkLines(context: Context, source: LoadSource, progress: Progress): CheckedLines {
  const kept: LoadStep[] = [];
  let last = 0;
  let bytes = 0;
  let creates = 0;
  let readAgainFrom: number | undefined;
  let forbidden: UsageError | undefined;
  const steps = stepsOf(context, source, 1, (error) => {
    forbidden ??= error;
  });
  for (const step of steps) {
    last = lastLineOf(step);
    progress.show(() => `conntrack: ${source.name}: ${grouped(last)} lines checked`);
    if ('flows' in step) creates += step.flows.count;
    if (bytes >= KEPT_BYTES) readAgainFrom ??= step.line;
    else {
      kept.push(step);
      bytes += 'flows' in step ? step.flows.length : INVOCATION_BYTES;
    }
  }
  // Only after every line is known to be well-formed.
  if (forbidden) throw forbidden;
  return { kept, creates, lines: last, readAgainFrom };
}

/** What is to be run: the kept steps, then those that are read again. */
export function* stepsAfter(context: Context, source: LoadSource, { kept, readAgainFrom }: CheckedLines): Generator<LoadStep> {
  yield* kept;
  if (readAgainFrom !== undefined) yield* stepsOf(context, source, readAgainFrom);
}

/** Number of the last line of a step. */
export function lastLineOf(step: LoadStep): number {
  return 'flows' in step ? step.flows.tag(step.flows.count - 1) : step.line;
}

/** The steps of the lines from `first` on. `forbidden` receives commands that a file must not contain; without it, they are thrown. */
function* stepsOf(
  context: Context,
  source: LoadSource,
  first: number,
  forbidden?: (error: UsageError) => void,
): Generator<LoadStep> {
  const requests = new LoadRequests({
    readProtocols: context.readProtocols,
    readFilters: (filters, labelMap) => {
      if (!context.readFilters) throw new FilterLanguageNeeded();
      return context.readFilters(filters, labelMap ?? context.invocation.values.labelMap);
    },
    resolveLabels: (names) => context.labelSource.resolve(names, context.invocation.values.labelMap),
  });
  const encoder = new FlowEncoder();
  const lines = new LineReader(source.fd);
  while (lines.next()) {
    const line = lines.number;
    if (line < first) continue;
    let request = requests.find(lines.bytes, lines.start, lines.end);
    let invocation: Invocation | undefined;
    if (!request) {
      const text = lines.text();
      if (source.parseJson) request = within(source, text, line, () => jsonRequest(source, requests, text));
      else invocation = parseLine(requests, source, text, line, forbidden);
      if (invocation && commandRow(invocation.command).creates)
        request = within(source, text, line, () => requests.encodeLine(invocation!));
      else if (invocation?.command === 'U')
        within(source, text, line, () => flowChange(invocation!.values, invocation!.labelBits));
    }
    if (!request && !invocation) continue;
    const flows = request ? encoder.addRequest(request, line) : encoder.finish();
    if (flows) yield sealed(flows);
    if (!request) yield { invocation: invocation!, line };
  }
  const flows = encoder.finish();
  if (flows) yield sealed(flows);
}

function sealed(flows: EncodedFlows): LoadStep {
  flows.seal();
  return { flows, line: flows.tag(0) };
}

function jsonRequest({ parseJson }: LoadSource, requests: LoadRequests, text: string): Uint8Array | undefined {
  const flow = parseJson!(text);
  return flow && requests.encode(flow);
}

/** A command, or `undefined` for a line without one. @throws UsageError that names file, line and column */
function parseLine(
  requests: LoadRequests,
  source: LoadSource,
  text: string,
  line: number,
  forbidden: ((error: UsageError) => void) | undefined,
): Invocation | undefined {
  const invocation = within(source, text, line, () => requests.parse(text));
  const problem = invocation && unloadable(invocation);
  if (!problem) return invocation;
  const told = placed(source, text, line, problem);
  if (!forbidden) throw told;
  forbidden(told);
  return undefined;
}

/** @throws UsageError that names file, line and column, for one of `work` */
function within<T>(source: LoadSource, text: string, line: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw placed(source, text, line, error);
  }
}

/** The error with file, line and column. */
function placed(source: LoadSource, text: string, line: number, error: UsageError): UsageError {
  const column = error.column ?? (source.parseJson ? 1 : columnOf(text, error.word));
  const { exitStatus, hint } = error;
  return new UsageError(`${source.name}:${line}:${column}: ${error.message}`, { exitStatus, hint });
}

/** Where word number `word` begins, counted from 1; the last word when there are fewer. */
function columnOf(text: string, word = 1): number {
  try {
    const { columns } = splitLoadLine(text);
    return columns[word - 1] ?? columns.at(-1) ?? 1;
  } catch {
    return 1; // the line cannot even be split: that is the error
  }
}
