// toJson: copies of flows, expectations and events become the JSON that their method gives.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expectationEvent, flowEvent } from '../../src/ctnetlink/event.js';
import { ExpectationReader } from '../../src/ctnetlink/expectation.js';
import { FlowReader } from '../../src/ctnetlink/flow.js';
import { createExpectationView, createFlowView } from '../../src/ctnetlink/view.js';
import { toJson } from '../../src/index.js';
import { readFixtures } from './fixture.js';

const flows = new FlowReader();
const expectations = new ExpectationReader();
const flowView = createFlowView();
const expectationView = createExpectationView();

function posted<T>(value: T): T {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(value);
  const { message } = receiveMessageOnPort(port2)!;
  port1.close();
  return message;
}

/** Ways to copy that lose the method. */
const COPIES: Readonly<Record<string, Copy>> = { spread: (value) => ({ ...value }), structuredClone, posted };
type Copy = <T extends object>(value: T) => T;

function check<T extends { toJSON(): unknown }>(value: T): void {
  const json = value.toJSON();
  assert.deepEqual(toJson(value), json);
  for (const [way, copy] of Object.entries(COPIES)) {
    const made = copy(value);
    assert.equal(typeof made.toJSON, 'undefined', way);
    assert.deepEqual(toJson(made), json, way);
    assert.equal(JSON.stringify(toJson(made)), JSON.stringify(value), way);
  }
  assert.deepEqual(toJson(toJson(value)), json);
}

for (const { name, bytes, expected } of readFixtures()) {
  if (expected.view === 'flow')
    test(`copies of the flow of ${name}, and of an event of it`, () => {
      flowView.decode(bytes, 0, bytes.length);
      const flow = flows.read(flowView);
      check(flow);
      check(flowEvent(flowView, 2n ** 60n, flow));
    });
  else if (expected.view === 'expectation')
    test(`copies of the expectation of ${name}, and of an event of it`, () => {
      expectationView.decode(bytes, 0, bytes.length);
      const expectation = expectations.read(expectationView);
      check(expectation);
      check(expectationEvent(expectationView, expectation));
    });
}

test('what JSON.stringify refuses is in them: counters', () => {
  const { bytes } = readFixtures().find(({ name }) => name === 'numbers-largest')!;
  flowView.decode(bytes, 0, bytes.length);
  const flow = flows.read(flowView);
  assert.throws(() => JSON.stringify({ ...flow.original, toJSON: undefined }), /BigInt/);
  assert.throws(() => JSON.stringify(structuredClone(flow)), /BigInt/);
  assert.equal(JSON.stringify(toJson([structuredClone(flow)])), JSON.stringify([flow]));
});
