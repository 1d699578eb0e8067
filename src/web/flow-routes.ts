// Answers about flows: pages, exports, one flow, its explanation.

import { setImmediate as turn } from 'node:timers/promises';
import { explainFlow } from '../doctor/index.js';
import { ValueError } from '../errors.js';
import { FLOW_SORTS } from '../meter/index.js';
import { isAccepted } from './auth.js';
import { decodeKey } from './flow-keys.js';
import { flowEnded, flowNamed, meteredBy, sameTuple } from './named-flows.js';
import {
  JSON_TYPE,
  knownNamespace,
  MOST_EXPORTS,
  MOST_ROWS,
  NDJSON,
  namespaceOf,
  type RouteContext,
  type WebState,
  wordOf,
} from './route-context.js';
import { WebError } from './web-error.js';
import { flowAnswer, waysOf } from './web-flows.js';

const MOST_NUMBERS = 200;

/** Each may take a second, and looks through the processes of this machine. */
const MOST_EXPLANATIONS = 4;

/** Rows of an export that are made at a time: others are answered in between. */
const EXPORTED = 200;

export async function flows(context: RouteContext): Promise<Response> {
  const { meter, epoch, request, values, walks } = context;
  if (values.has('numbers')) return byNumber(context);
  const filter = values.text('filter');
  const sort = wordOf(values, 'sort', FLOW_SORTS);
  const limit = values.whole('limit', 0, MOST_ROWS) ?? 50;
  const offset = values.whole('offset', 0, 1e9);
  const hold = values.flag('hold');
  const netns = knownNamespace(context, values.text('netns'));
  const asked = { filter, netns, sort, reverse: values.flag('reverse'), leastRate: values.number('leastRate', 0, 1e15) };
  const accept = request.headers.get('accept');
  if (accept?.toLowerCase().includes(NDJSON) && isAccepted(accept, NDJSON)) return exported(context, await meter.numbers(asked));
  const cursor = values.text('cursor');
  if (values.has('cursor')) {
    if (limit === 0) throw new WebError(400, 'VALUE', 'limit must be at least 1 with a cursor');
    const page = walks.next(cursor ?? walks.begin(await meter.numbers(asked)), limit);
    const found = meter.getMany(page.numbers).filter((flow) => flow !== undefined);
    return Response.json({
      sample: meter.sample.number,
      matched: page.total,
      ...(page.next === undefined ? {} : { next: page.next }),
      flows: found.map((flow) => flowAnswer(flow, epoch)),
    });
  }
  const tag = tagOf(context, meter.sample.number);
  // What is held is fresher than the sample.
  if (!hold && request.headers.get('if-none-match') === tag) return new Response(null, { status: 304, headers: { ETag: tag } });
  const { sample, bytes } = await context.answers.ask(context.request.url, meter.sample.number, async () => {
    const answer = await meter.flows({ ...asked, offset, limit });
    if (hold) context.held.hold(answer.flows.map(({ number }) => number));
    return { ...answer, flows: answer.flows.map((flow) => flowAnswer(flow, epoch)) };
  });
  return new Response(bytes, { headers: { 'Content-Type': JSON_TYPE, ETag: tagOf(context, sample) } });
}

/** Those of some flows that live, in this order. */
function byNumber({ epoch, held, meter, values }: RouteContext): Response {
  const other = ['filter', 'netns', 'sort', 'reverse', 'offset', 'limit', 'cursor', 'leastRate'].find((name) => values.has(name));
  if (other !== undefined) throw new WebError(400, 'VALUE', `flows by their numbers have no ${other}`);
  const texts = values.text('numbers')?.split(',') ?? [''];
  if (texts.length > MOST_NUMBERS || !texts.every((text) => /^\d{1,10}$/.test(text)))
    throw new WebError(400, 'VALUE', `numbers must be at most ${MOST_NUMBERS} numbers of flows, with commas between them`);
  const flows = meter.getMany(texts.map(Number)).filter((flow) => flow !== undefined);
  if (values.flag('hold')) held.hold(flows.map(({ number }) => number));
  const { number: sample, at } = meter.sample;
  return Response.json({ sample, at, flows: flows.map((flow) => flowAnswer(flow, epoch)) });
}

/** Of the answers of a sample. */
function tagOf({ epoch }: WebState, sample: number): string {
  return `"${epoch}-${sample}"`;
}

/** All flows, a line each, at the pace of the reader. */
function exported({ meter, epoch, exports, peer, times }: RouteContext, numbers: Uint32Array): Response {
  if (exports.open >= MOST_EXPORTS)
    throw new WebError(503, 'TOO_MANY_EXPORTS', `${MOST_EXPORTS} exports are under way`, { retryAfter: 5 });
  exports.open++;
  let at = 0;
  let open = true;
  const close = () => {
    if (open) exports.open--;
    open = false;
    clearTimeout(timer);
  };
  let giveUp = () => {};
  const timer = setTimeout(() => giveUp(), times.patience).unref();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      // A reader that stops would keep others out.
      giveUp = () => {
        close();
        if (peer?.cut) peer.cut();
        else controller.error(new Error('the reader took nothing'));
      };
    },
    pull: async (controller) => {
      timer.refresh();
      await turn(); // a fast reader would keep others waiting to the end
      if (!open) return;
      if (at >= numbers.length) {
        close();
        controller.close();
        return;
      }
      const found = meter.getMany([...numbers.subarray(at, at + EXPORTED)]);
      at += EXPORTED;
      const lines = found.filter((flow) => flow !== undefined).map((flow) => `${JSON.stringify(flowAnswer(flow, epoch))}\n`);
      controller.enqueue(encoder.encode(lines.join('')));
    },
    cancel: close,
  });
  return new Response(body, { headers: { 'Content-Type': NDJSON } });
}

export async function oneFlow(context: RouteContext): Promise<Response> {
  const parts = decodeKey(context.parameter('key'));
  const metered = await flowNamed(context, parts, meteredBy(context, [parts]));
  const { flow } = metered;
  const conntrack = namespaceOf(context, parts.netns);
  const expected = (await conntrack.expectations.list().toArray()).filter(({ master }) => sameTuple(master, flow.original));
  return Response.json({
    key: context.parameter('key'),
    ...metered,
    nat: waysOf(flow),
    ...(expected.length > 0 ? { expected } : {}),
  });
}

export async function explanation(context: RouteContext): Promise<Response> {
  const { explanations, request } = context;
  const parts = decodeKey(context.parameter('key'));
  const { flow } = await flowNamed(context, parts, meteredBy(context, [parts]));
  if (explanations.open >= MOST_EXPLANATIONS)
    throw new WebError(503, 'TOO_MANY_EXPLANATIONS', `${MOST_EXPLANATIONS} flows are being explained`, { retryAfter: 1 });
  explanations.open++;
  try {
    const { netns } = parts;
    return Response.json(await explainFlow(namespaceOf(context, netns), flow, { netns, signal: request.signal }));
  } catch (error) {
    if (error instanceof ValueError) throw flowEnded();
    throw error;
  } finally {
    explanations.open--;
  }
}
