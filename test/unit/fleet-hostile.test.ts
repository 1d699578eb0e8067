// What a fleet says to each other, with any value in any place of it: it is read, or refused as what it is, and ends no process.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConntrackError } from '../../src/errors.js';
import { readEnd, readError } from '../../src/fleet/answer-messages.js';
import { readAudit } from '../../src/fleet/audit.js';
import { H, unpackJson } from '../../src/fleet/bodies.js';
import { readRequest } from '../../src/fleet/change-request.js';
import { readCollectorValue } from '../../src/fleet/collector-value.js';
import { countsIn, FleetSums } from '../../src/fleet/fleet-groups.js';
import { readStatistics } from '../../src/fleet/host-statistics.js';
import { readHostValue } from '../../src/fleet/inventory.js';
import { decodeRecords } from '../../src/fleet/jc1.js';
import { objectOf } from '../../src/fleet/json-object.js';
import { OPERATIONS, readQuestion } from '../../src/fleet/operations.js';
import { decodePastRows } from '../../src/fleet/past-rows.js';
import { readAnswerJson } from '../../src/history/who-had-json.js';
import { messageOf } from '../support/memory-bus.js';

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../test/fixtures/${name}.json`, import.meta.url), 'utf8'));
const V1 = fixture('fleet-v1');
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

const ID = '0123456789ABCDEFGHIJKL';
const CHANGE = { op: 'apply', id: ID, order: { do: 'update', set: { mark: 7 }, filter: 'tcp', netns: ['blue'] }, limit: 3 };
const REQUEST = { v: 1, ...CHANGE, host: 'fw1', by: 'alice', at: 1, expires: 2, nonce: ID, token: 'x' };
const AUDIT = {
  ...{ v: 1, phase: 'end', at: 1, host: 'fw1', key: 'UABC', by: 'alice', ...CHANGE, body: 'e30', sig: 'x', untold: 1 },
  ...{ result: { matched: 3, changed: 2, failed: 1 }, error: { code: 'LIMIT', message: 'more', hint: 'less' } },
};
const MATCH = {
  ...{
    inside: { address: '10.0.0.1', port: 1 },
    outside: { address: '192.0.2.1', port: 2 },
    hops: [],
    protocol: 'tcp',
    protonum: 6,
  },
  ...{
    grade: 'certain',
    role: 'source',
    start: '2026-03-01T00:00:00Z',
    end: '2026-03-01T00:00:00Z',
    sent: { packets: 1, bytes: '2' },
  },
  ...{
    quality: { start: 'kernel', startSlack: 0, endSlack: 0, counters: 'none', clockStep: 5 },
    evidence: { recorder: 'r', segment: 's' },
  },
};
const ANSWER = {
  question: { address: '192.0.2.1', port: 1, protocol: 6, from: '2026-03-01T00:00:00Z', to: '2026-03-01T00:00:00Z', within: 0 },
  ...{ complete: true, why: [], ambiguous: false, matches: [MATCH], more: 0, notes: ['x'] },
  gaps: [{ from: '2026-03-01T00:00:00Z', to: '2026-03-01T00:00:00Z', reason: 'overrun', incomplete: true, events: 1 }],
  coverage: { from: '2026-03-01T00:00:00Z', to: '2026-03-01T00:00:00Z' },
};

const READERS: Readonly<Record<string, { readonly message: unknown; readonly read: (told: unknown) => unknown }>> = {
  'a host': { message: V1.host, read: (told) => readHostValue({ key: 'fw1', value: bytesOf(told) }) },
  'a collector': { message: V1.collector, read: (told) => readCollectorValue({ key: 'c1', value: bytesOf(told) }) },
  'a question': {
    message: { filter: 'tcp', netns: ['blue'], limit: 5 },
    read: (told) => readQuestion('list', messageOf(V1.question.headers, bytesOf(told), V1.question), OPERATIONS),
  },
  'flows of the past': { message: JSON.parse(V1.past), read: (told) => decodePastRows(bytesOf(told)) },
  records: { message: fixture('records.jc1').body, read: (told) => decodeRecords(bytesOf(told)) },
  'the end of an answer': {
    message: { rows: 1, ms: 2, complete: false, reason: 'limit', warnings: ['x'] },
    read: (told) => readEnd(messageOf({ [H.end]: encodeURIComponent(JSON.stringify(told)) })),
  },
  'the error of a host': {
    message: { code: 'FILTER', message: 'x', hint: 'y' },
    read: (told) => readError(messageOf(V1.answers[0].headers, bytesOf(told))),
  },
  'a change': { message: REQUEST, read: (told) => readRequest(bytesOf(told)) },
  'a line of the audit': { message: AUDIT, read: (told) => readAudit('ct.v1.audit.fw1', bytesOf(told), 1) },
  'counts of flows': { message: { matched: 1, entries: 2, maxEntries: 3 }, read: countsIn },
  'groups of flows': {
    message: { groups: [{ key: '10.0.0.1', flows: 1, unreplied: 1, bytes: '5', packets: '2' }], other: { groups: 1 } },
    read: (told) => {
      const sums = new FleetSums();
      sums.add('fw1', told);
      return sums.largest('bytes', 10);
    },
  },
  'counters of processors': { message: [{ netns: 'blue', cpu: 0, found: 1, insertFailed: 2 }], read: readStatistics },
  'an answer of whohad': { message: ANSWER, read: (told) => readAnswerJson(told) },
};

/** Every place in a value, from the outside. */
function placesOf(value: unknown, place: readonly string[] = []): (readonly string[])[] {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [place, ...inner.flatMap(([name, each]) => placesOf(each, [...place, name]))];
}

function changed(message: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const copy = (Array.isArray(message) ? [...message] : { ...(message as object) }) as Record<string, unknown>;
  copy[name] = changed(copy[name], rest, value);
  return copy;
}

/** Text of them fails, arithmetic with them is no number, and their members are not theirs. */
const TRAPS: readonly unknown[] = [
  { toString: null },
  { toString: {}, valueOf: {} },
  [{ toString: null }],
  ...[{ toJSON: 1 }, { length: 1e9 }, { constructor: null }, null, true, -1, 0, 0.5, 2 ** 53, 1e300],
  ...['', '\u0000', '__proto__', 'x'.repeat(1000), [], [[]], {}],
];

for (const [what, { message, read }] of Object.entries(READERS))
  test(`${what}: any value in any place is read or refused`, () => {
    const refused = (told: unknown) => {
      try {
        const value = read(told);
        return value === undefined || value === null;
      } catch (error) {
        assert.ok(error instanceof ConntrackError, `${String(error)}: ${JSON.stringify(told).slice(0, 300)}`);
        assert.ok(error.message.length < 1000);
        return true;
      }
    };
    assert.equal(refused(message), false, 'what is changed here can be read');
    const places = placesOf(message);
    for (const place of places) for (const trap of TRAPS) refused(changed(message, place, trap));
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.jsonValue(), (place, value) => void refused(changed(message, place, value))),
      { numRuns: 300 },
    );
  });

test('the counters of a host are its own, and numbers', () => {
  const told = [{ host: 'fw2', netns: 'blue', cpu: 1, found: { toString: null }, insertFailed: 2, novelty: [] }, { cpu: '1' }];
  assert.deepEqual(readStatistics(told), [{ netns: 'blue', cpu: 1, insertFailed: 2 }]);
});

test('what is nested too deep to be written again is refused', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const order = (depth: number) => new TextEncoder().encode(`{"v":1,"order":${nested(depth)}}`);
  assert.deepEqual(objectOf(order(31), 1000), { v: 1, order: JSON.parse(nested(31)) });
  assert.equal(objectOf(order(32), 1000), undefined);
  assert.equal(objectOf(order(7000), 20_000), undefined);
  const answer = (depth: number) => messageOf(V1.answers[0].headers, new TextEncoder().encode(nested(depth)));
  assert.deepEqual(unpackJson(answer(32)), JSON.parse(nested(32)));
  assert.throws(() => unpackJson(answer(100_000)), { code: 'ENCODING' });
});
