// `conntrack fleet list`, `get` and `has`: flows of all hosts, through the writers of -L.

import { type OutputModes, PLAIN_OUTPUT } from '../cli/invocation.js';
import { type EntryWriter, flowWriter } from '../cli/output/entry-writer.js';
import { PacedOutput } from '../cli/output/paced-output.js';
import { UsageError } from '../cli/usage-error.js';
import { parseOutput } from '../cli/values.js';
import type { Flow } from '../ctnetlink/flow.js';
import { FlowReader, fieldSet } from '../ctnetlink/flow.js';
import { createFlowView } from '../ctnetlink/view.js';
import { counted } from '../doctor/figures.js';
import type { Asked, AskOptions } from '../fleet/fleet.js';
import { Nl1Reader } from '../fleet/nl1.js';
import { ByteWriter } from '../format/byte-writer.js';
import { safeText } from '../safe-text.js';
import type { FleetCall, FleetVerb } from './fleet-call.js';
import { flowAsExpression } from './flow-expression.js';
import type { WordContext } from './run-word.js';
import { expressionOf } from './word-filter.js';
import { labelsOf } from './word-labels.js';
import type { WordLine } from './word-line.js';
import { choiceOf, isGiven, listOf, numberOf, textOf } from './word-values.js';

const STDOUT = 1;
/** Milliseconds that hosts may work. */
const LIST_DEADLINE = 30_000;
/** What several hosts have when nothing was found: as locally. */
const NOTHING_FOUND = 1;

export const listFlows: FleetVerb = async (call) => {
  const limit = numberOf(call.line, 'limit', 0, Number.MAX_SAFE_INTEGER, true);
  const order = choiceOf(call.line, 'sort', ['host']) === undefined ? 'arrival' : 'host';
  const { asked, rows } = await printFlows(call, filterOf(call, call.operands), { order, limit });
  return closing(call, asked, rows, 0);
};

export const getFlow: FleetVerb = async (call) => {
  if (call.operands.length === 0)
    throw new UsageError('fleet get needs a flow', { hint: "such as 'tcp 10.1.4.22:51514 > 142.250.74.46:443'" });
  const filter = filterOf(call, [flowAsExpression(call.operands.join(' '))]);
  const { asked, rows } = await printFlows(call, filter, { order: 'arrival', limit: numberOf(call.line, 'limit', 1, 1e6, true) });
  return closing(call, asked, rows, rows > 0 ? 0 : NOTHING_FOUND);
};

/** The line at the end, unless standard output has it as JSON. */
function closing(call: FleetCall, asked: Asked, rows: number, otherwise: number): number {
  const status = call.conclude(asked, otherwise);
  const hosts = asked.answered.filter((host) => host.rows > 0).length;
  const all = asked.answered.length + asked.missing.length;
  if (!isJson(outputOf(call.line, call.context)))
    call.context.err(
      `conntrack: ${counted(rows, 'flow')} on ${hosts} of ${counted(all, 'host')} ${rows === 1 ? 'has' : 'have'} been shown.`,
    );
  return status;
}

function isJson({ json, ndjson }: OutputModes): boolean {
  return json || ndjson;
}

/** The filter in canonical text: names of labels, services and protocols are looked up here, not at the hosts. */
export function filterOf(
  { line, context }: Pick<FleetCall, 'line' | 'context'>,
  operands: readonly string[],
): string | undefined {
  return expressionOf(operands, context, textOf(line, 'labelmap'));
}

export function outputOf(line: WordLine, { err }: WordContext): OutputModes {
  let modes = PLAIN_OUTPUT;
  for (const text of (line.values['output'] as readonly string[] | undefined) ?? [])
    modes = parseOutput(text, '-o', modes, (warning) => err(`conntrack: ${warning}`));
  return modes;
}

/** What a question about flows has besides its filter. */
export function bodyOf(line: WordLine, filter: string | undefined) {
  const netns = listOf(line, 'netns');
  return { ...(filter === undefined ? {} : { filter }), ...(netns ? { netns } : {}) };
}

async function printFlows(
  call: FleetCall,
  filter: string | undefined,
  { order, limit }: { readonly order: AskOptions['order']; readonly limit: number | undefined },
): Promise<{ readonly asked: Asked; readonly rows: number }> {
  const { line, context, fleet } = call;
  const modes = outputOf(line, context);
  const strict = isGiven(line, 'strict');
  if (strict) throw new UsageError('--strict would have to keep all flows: it goes with count, top and has');
  const output = new PacedOutput(STDOUT);
  try {
    const out = new ByteWriter((bytes, length) => output.write(bytes, length));
    const writer = await flowWriter(out, modes, { labels: modes.labels ? labelsOf(line, context) : undefined, netns: true });
    const view = createFlowView();
    const reader = new Nl1Reader();
    let rows = 0;
    let begun = false;
    const visitor = {
      rows: async (host: string, netns: string | undefined, body: Uint8Array) => {
        writer.clock.set(Date.now());
        writer.begin(netns, host);
        begun = true;
        let taken = 0;
        reader.read(body, (bytes, start, end) => {
          view.decode(bytes, start, end);
          taken++;
          if (limit !== undefined && rows >= limit) return;
          rows++;
          writer.entry(view);
        });
        out.flush();
        if (output.kept > 0) await output.taken();
        return { rows: taken, enough: limit !== undefined && rows >= limit };
      },
    };
    const body = { ...bodyOf(line, filter), ...(limit === undefined ? {} : { limit }) };
    const asked = await fleet.ask('list', body, visitor, { ...call.ask(LIST_DEADLINE), order });
    await end(writer, out, output, begun);
    return { asked, rows };
  } finally {
    output.close();
  }
}

async function end(writer: EntryWriter, out: ByteWriter, output: PacedOutput, begun: boolean): Promise<void> {
  if (!begun) writer.begin();
  writer.end();
  out.flush();
  await output.taken();
}

export const hasFlows: FleetVerb = async (call) => {
  const { line, context, operands, fleet } = call;
  if (operands.length === 0)
    throw new UsageError('fleet has needs an address, a port or a filter', { hint: 'such as 203.0.113.9:40001' });
  const text = operands.join(' ');
  const filter = filterOf(call, [endAsExpression(text) ?? flowAsExpression(text)]);
  const limit = numberOf(line, 'limit', 1, 10_000, true) ?? 20;
  const format =
    choiceOf({ ...line, values: { ...line.values, output: single(line) } } as WordLine, 'output', ['text', 'json']) ?? 'text';
  const found = new Map<string, { matched: number; readonly flows: { readonly netns?: string; readonly flow: Flow }[] }>();
  const view = createFlowView();
  const reader = new Nl1Reader();
  const flows = new FlowReader();
  const visitor = {
    rows: (host: string, netns: string | undefined, body: Uint8Array) => {
      const here = found.get(host) ?? { matched: 0, flows: [] };
      found.set(host, here);
      const rows = reader.read(body, (bytes, start, end) => {
        here.matched++;
        if (here.flows.length >= limit) return;
        view.decode(bytes, start, end);
        here.flows.push({ ...(netns === undefined ? {} : { netns }), flow: flows.read(view, fieldSet(undefined)) as Flow });
      });
      return { rows };
    },
  };
  const asked = await fleet.ask('list', bodyOf(line, filter), visitor, call.ask(LIST_DEADLINE));
  const having = [...found].filter(([, { matched }]) => matched > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  const { out } = context;
  if (!(isGiven(line, 'strict') && !asked.complete)) {
    if (format === 'json') {
      const { toJson } = await import('../ctnetlink/plain.js');
      const { safeJson } = await import('../safe-text.js');
      const hosts = Object.fromEntries(
        having.map(([host, { matched, flows }]) => [
          host,
          { matched, flows: flows.map((one) => ({ ...one, flow: toJson(one.flow) })) },
        ]),
      );
      out.text(`${safeJson({ complete: asked.complete, hosts, missing: asked.missing })}\n`);
    } else {
      const { flowSentence } = await import('./flow-sentence.js');
      const width = Math.max(0, ...having.map(([host]) => host.length));
      for (const [host, { matched, flows }] of having) {
        for (const { netns, flow } of flows)
          out.text(
            `${safeText(`${host.padEnd(width)}  ${netns === undefined ? '' : `netns=${netns}  `}${flowSentence(flow)}`)}\n`,
          );
        if (matched > flows.length)
          out.text(`${host.padEnd(width)}  and ${matched - flows.length} more; --limit shows more of them\n`);
      }
      out.text(
        `${verdict(
          having.map(([host]) => host),
          asked,
        )}\n`,
      );
    }
  }
  return call.conclude(asked, having.length > 0 ? 0 : NOTHING_FOUND);
};

/** `fw1 has it.` */
function verdict(having: readonly string[], { missing, answered }: Asked): string {
  const shown =
    having.length > 20 ? `${having.length} hosts have` : `${sentenceList(having)} ${having.length === 1 ? 'has' : 'have'}`;
  const who = having.length === 0 ? nobody(answered) : `${shown} it.`;
  if (missing.length === 0) return who;
  const silent = missing.length > 20 ? `${missing.length} hosts` : sentenceList(missing.map(({ host }) => host));
  return safeText(
    `${who} ${silent} did not answer: ${missing.length === 1 ? 'it' : 'they'} may have it${having.length === 0 ? '' : ' as well'}.`,
  );
}

function nobody([one, ...others]: Asked['answered']): string {
  if (!one) return 'Nobody has answered.';
  return others.length === 0 ? `${one.host} does not have it.` : `None of ${1 + others.length} hosts has it.`;
}

function sentenceList(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** The only `-o`. */
function single(line: WordLine): string | undefined {
  const given = line.values['output'] as readonly string[] | undefined;
  return given?.at(-1);
}

/** `ADDRESS:PORT`, `ADDRESS` or `:PORT` as an expression: any end of a flow. */
function endAsExpression(text: string): string | undefined {
  const [, six, four, bare, port] =
    /^(?:\[([0-9a-f:.]+)\]|(\d+\.\d+\.\d+\.\d+)|([0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*))?(?::(\d{1,5}))?$/i.exec(text.trim()) ?? [];
  const address = six ?? four ?? bare;
  if (address === undefined && port === undefined) return undefined;
  if (address === undefined) return `port ${port}`;
  if (port === undefined) return `host ${address}`;
  const at = (where: string, side: 'src' | 'dst') => `(${where} ${side} ${address} and ${where} ${side} port ${port})`;
  return ['orig', 'reply'].flatMap((where) => [at(where, 'src'), at(where, 'dst')]).join(' or ');
}
