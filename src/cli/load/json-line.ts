// A line of a load file in JSON: a flow as `-o ndjson` prints it, or as the library takes it. It skips the result line at the end of
// `-D -o ndjson`, so that what was deleted can be loaded again.

import type { FlowSpec } from '../../ctnetlink/flow-spec.js';
import { type NewFlow, toFlowSpec } from '../../ctnetlink/new-flow.js';
import { ValueError } from '../../errors.js';
import { UsageError } from '../usage-error.js';

/** The flow of a line; `undefined` for an empty line or a result. @throws UsageError, without the place except `column` */
export function parseJsonLine(line: string): FlowSpec | undefined {
  if (line.trim() === '') return undefined;
  const value = parse(line);
  if (typeof value === 'object' && value !== null && 'matched' in value && !('original' in value)) return undefined;
  if (typeof value === 'object' && value !== null && 'flow' in value)
    throw new UsageError('an event, not a flow', { hint: "load lists, or take the flows out of the events: jq -c '.flow'" });
  try {
    return toFlowSpec(value as NewFlow);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new UsageError(error.message, { hint: error.hint });
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    const document = /^\s*\[/.test(line);
    const { message } = error as SyntaxError;
    const failure = new UsageError(document ? 'the beginning of a JSON document, not an object a line' : `not JSON: ${message}`, {
      hint: document ? "save with -o ndjson, or make lines of the document: jq -c '.[]'" : 'each line is one JSON object',
    });
    const position = /at position (\d+)/.exec(message)?.[1];
    if (position !== undefined) failure.column = Number(position) + 1;
    throw failure;
  }
}
