// The JSON writers print what the library's objects give: for every fixture, and for random messages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExpectationReader } from '../../src/ctnetlink/expectation.js';
import { expectationFields, X } from '../../src/ctnetlink/expectation-fields.js';
import { flowFields, S } from '../../src/ctnetlink/fields.js';
import { FlowReader } from '../../src/ctnetlink/flow.js';
import { LabelMap } from '../../src/ctnetlink/label.js';
import type { Field } from '../../src/ctnetlink/schema.js';
import { tupleFields } from '../../src/ctnetlink/tuple-fields.js';
import { createExpectationView, createFlowView, type View } from '../../src/ctnetlink/view.js';
import { DecodeError } from '../../src/errors.js';
import { ByteWriter } from '../../src/format/byte-writer.js';
import { writeExpectationJson } from '../../src/format/expectation-json.js';
import { writeFlowJson } from '../../src/format/flow-json.js';
import { WallClock } from '../../src/format/format-options.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { MessageWriter } from '../../src/wire/message.js';
import { damaged, randomTree } from '../fuzz/messages.js';
import { PLAIN } from '../support/format-options.js';
import { schemaFault } from '../support/json-schema.js';
import { Random } from '../support/random.js';
import { readFixtures } from './fixture.js';

const clock = new WallClock();
clock.set(1_795_306_672_871.5);

const pieces: Uint8Array[] = [];
/** The smallest buffer that a writer may be given: it has to make room itself. */
const out = new ByteWriter((bytes, length) => pieces.push(bytes.slice(0, length)), 64);

function write(run: () => void): string {
  pieces.length = 0;
  run();
  assert.ok(out.length + 3 <= out.bytes.length, 'a writer needed more room than it reserved');
  out.flush();
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(pieces));
}

const flowJson = (view: View, options = PLAIN) => JSON.parse(write(() => writeFlowJson(out, view, options, clock)));
const expectationJson = (view: View, options = PLAIN) => JSON.parse(write(() => writeExpectationJson(out, view, options, clock)));
const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

const flows = new FlowReader();
const expectations = new ExpectationReader();
const flowView = createFlowView();
const expectationView = createExpectationView();

for (const { name, bytes, expected } of readFixtures()) {
  if (expected.view === 'flow')
    test(`the flow of ${name} is the same as an object and as JSON`, () => {
      flowView.decode(bytes, 0, bytes.length);
      assert.deepEqual(flowJson(flowView), plain(flows.read(flowView)));
    });
  else if (expected.view === 'expectation')
    test(`the expectation of ${name} is the same as an object and as JSON`, () => {
      expectationView.decode(bytes, 0, bytes.length);
      assert.deepEqual(expectationJson(expectationView), plain(expectations.read(expectationView)));
    });
}

test('so it is for messages made by chance', () => {
  const fixtures = readFixtures().map(({ bytes }) => bytes);
  const random = new Random(20260401);
  let compared = 0;
  for (let n = 0; n < 20_000; n++) {
    const bytes = random.chance(0.5) ? randomTree(random) : damaged(random, random.pick(fixtures), random.pick(fixtures));
    const [view, run, read] = random.chance(0.7)
      ? [flowView, flowJson, (v: View) => flows.read(v)]
      : [expectationView, expectationJson, (v: View) => expectations.read(v)];
    try {
      view.decode(bytes, 0, bytes.length);
    } catch (error) {
      if (error instanceof DecodeError) continue;
      throw error;
    }
    assert.deepEqual(run(view), plain(read(view)));
    compared++;
  }
  assert.ok(compared > 2000, `only ${compared} messages were sound`);
});

const { schema, rows } = makeJsonSchema();
/** `value` as one of the schema's definitions. */
const faultOf = (name: string, value: unknown) => schemaFault(schema, value, { $ref: `#/$defs/${name}` });

test('every row of the decoder has a place in the schema', () => {
  const all = [flowFields, tupleFields, expectationFields].flatMap((fields) => Object.entries<Field>(fields));
  assert.deepEqual(
    all.filter(([, row]) => !rows.has(row)).map(([name]) => name),
    [],
  );
});

test('what is printed is what the schema says', () => {
  let checked = 0;
  for (const { name, bytes, expected } of readFixtures()) {
    if (expected.view !== 'flow' && expected.view !== 'expectation') continue;
    const [view, run] = expected.view === 'flow' ? [flowView, flowJson] : [expectationView, expectationJson];
    view.decode(bytes, 0, bytes.length);
    // Fixtures without a tuple are of no kernel.
    const value = run(view);
    const event = run(view, { ...PLAIN, event: true, timestamp: true });
    const fault = faultOf(expected.view, value);
    if (/is missing$/.test(fault ?? '')) continue;
    assert.equal(fault, undefined, name);
    assert.equal(faultOf(`${expected.view}Event`, event), undefined, name);
    assert.equal(schemaFault(schema, [value]), undefined, name);
    checked++;
  }
  assert.ok(checked > 25, `only ${checked} fixtures were checked`);
});

test('the schema refuses what is wrong', () => {
  const { bytes } = readFixtures().find(({ name }) => name === 'tcp-v4')!;
  flowView.decode(bytes, 0, bytes.length);
  const flow = flowJson(flowView);
  assert.equal(faultOf('flow', flow), undefined);
  for (const change of [
    { state: 'OPENED' },
    { mark: -1 },
    { mark: 2 ** 32 },
    { status: ['ASURED'] },
    { nothing: 1 },
    { original: undefined },
    { original: { ...flow.original, sport: 65536 } },
    { original: { ...flow.original, packets: '12' } },
    { original: { ...flow.original, packets: 2 ** 53 } },
  ])
    assert.notEqual(faultOf('flow', plain({ ...flow, ...change })), undefined, JSON.stringify(change));
});

/** A flow message with one string attribute. */
function withHelper(name: Uint8Array): View {
  const message = new MessageWriter();
  message.begin(0x100, 0, 0, 2);
  const nest = message.nest(5);
  message.raw(1, name);
  message.endNest(nest);
  message.end();
  const view = createFlowView();
  view.decode(message.bytes, 0, message.length);
  return view;
}

test('strings are well-formed whatever bytes they hold', () => {
  const random = new Random(7);
  const interesting = [
    0x22, 0x5c, 0x0a, 0x1f, 0x7f, 0x80, 0xbf, 0xc0, 0xc3, 0xa9, 0xe0, 0xed, 0xa0, 0xef, 0xbb, 0xbf, 0xf0, 0x90, 0xf4,
  ];
  for (let n = 0; n < 5000; n++) {
    const bytes = Uint8Array.from({ length: 1 + random.below(12) }, () =>
      random.chance(0.7) ? random.pick(interesting) : 1 + random.below(255),
    );
    const view = withHelper(bytes);
    assert.equal(flowJson(view).helper, new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    assert.equal(flows.read(view).helper, flowJson(view).helper);
  }
});

function withCounter(value: bigint): View {
  const message = new MessageWriter();
  message.begin(0x100, 0, 0, 2);
  const nest = message.nest(9);
  message.be64(1, value);
  message.endNest(nest);
  message.end();
  const view = createFlowView();
  view.decode(message.bytes, 0, message.length);
  return view;
}

test('64-bit numbers are numbers up to 2^53 - 1 and strings above', () => {
  for (const [value, json] of [
    [0n, 0],
    [2n ** 32n, 2 ** 32],
    [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
    [2n ** 53n, '9007199254740992'],
    [2n ** 64n - 1n, '18446744073709551615'],
  ] as const) {
    const view = withCounter(value);
    assert.equal(flows.read(view).original.packets, value);
    assert.equal(flowJson(view).original.packets, json);
  }
});

test('an absent value has no member, a zero has one', () => {
  const fixtures = readFixtures();
  const read = (name: string) => {
    const { bytes } = fixtures.find((fixture) => fixture.name === name)!;
    flowView.decode(bytes, 0, bytes.length);
    return flowJson(flowView);
  };
  assert.equal(read('attribute-zero').mark, 0);
  assert.equal('mark' in read('attribute-missing'), false);
});

test('an event has its type, its time, who caused it, and the entry', () => {
  const { bytes } = readFixtures().find(({ name }) => name === 'event-destroy')!;
  flowView.decode(bytes, 0, bytes.length);
  const event = flowJson(flowView, { ...PLAIN, event: true });
  assert.equal(event.type, 'DESTROY');
  assert.equal(event.portId, flowView.portId === 0 ? undefined : flowView.portId);
  assert.deepEqual(event.flow, plain(flows.read(flowView)));
  const kernelTime = flowView.has(S.timestampEvent) ? `${flowView.be64(S.timestampEvent)}` : undefined;
  assert.equal(event.timestamp, kernelTime);
  const timed = flowJson(flowView, { ...PLAIN, event: true, timestamp: true });
  assert.equal(timed.timestamp, kernelTime ?? '1795306672871500000');
});

test('an event of an expectation likewise', () => {
  const { bytes } = readFixtures().find(({ name }) => name === 'event-expectation-new')!;
  expectationView.decode(bytes, 0, bytes.length);
  const event = expectationJson(expectationView, { ...PLAIN, event: true, timestamp: true });
  assert.equal(event.type, 'NEW');
  assert.equal(event.timestamp, '1795306672871500000');
  assert.deepEqual(event.expectation, plain(expectations.read(expectationView)));
  assert.ok(expectationView.has(X.timeout));
});

test('names of labels stand beside their bits when they are asked for', () => {
  const { bytes } = readFixtures().find(({ name }) => name === 'labels')!;
  flowView.decode(bytes, 0, bytes.length);
  const { labels } = flowJson(flowView);
  const names = LabelMap.parse(`${labels[0]} first`);
  assert.deepEqual(flowJson(flowView, { ...PLAIN, labels: names }).labelNames, ['first']);
});
