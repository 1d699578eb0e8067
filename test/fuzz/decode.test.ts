// Whatever bytes arrive, decoding gives a result or an error of this package. There is no crash and no hang, and nothing depends on bytes
// outside the message. Every case is decoded alone in a buffer of its size, and again between two kinds of other bytes; all three must
// agree, down to the writers' output. How to run it: target.ts; figures: docs/fuzzing.md.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putKeyOf } from '../../src/ctnetlink/encode.js';
import { ExpectationReader } from '../../src/ctnetlink/expectation.js';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import {
  addressIs,
  type FlowFilter,
  labelsAre,
  natIs,
  numberIs,
  portIs,
  statusIs,
} from '../../src/ctnetlink/filter/condition.js';
import { FlowReader } from '../../src/ctnetlink/flow.js';
import { LabelMap } from '../../src/ctnetlink/label.js';
import { CPU_STATISTICS } from '../../src/ctnetlink/statistics.js';
import type { View } from '../../src/ctnetlink/view.js';
import { ConntrackError, DecodeError, type KernelError } from '../../src/errors.js';
import { ByteWriter, token } from '../../src/format/byte-writer.js';
import { writeExpectationJson } from '../../src/format/expectation-json.js';
import { writeExpectationText } from '../../src/format/expectation-text.js';
import { writeExpectationXml } from '../../src/format/expectation-xml.js';
import { writeFlowJson } from '../../src/format/flow-json.js';
import { writeFlowSave } from '../../src/format/flow-save.js';
import { writeFlowText } from '../../src/format/flow-text.js';
import { writeFlowXml } from '../../src/format/flow-xml.js';
import { type FormatOptions, WallClock } from '../../src/format/format-options.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { statisticMembers, writeStatisticsJson } from '../../src/format/statistics-json.js';
import { writeCpuStatistics } from '../../src/format/statistics-text.js';
import { walkDatagram } from '../../src/wire/answers.js';
import { MessageWriter } from '../../src/wire/message.js';
import { PLAIN } from '../support/format-options.js';
import { schemaFault } from '../support/json-schema.js';
import type { Random } from '../support/random.js';
import { KINDS, readFixtures, snapshot, type ViewName } from '../unit/fixture.js';
import { damaged, datagram, joined, noise, randomTree, rebuilt } from './messages.js';
import { fuzz, REFUSED, SOUND } from './target.js';
import { xmlFault } from './xml.js';

const fixtures = readFixtures();
const messages = fixtures.map((fixture) => fixture.bytes);

const clock = new WallClock();
clock.set(1_795_306_672_871.5);
const labels = LabelMap.parse(Array.from({ length: 64 }, (_, i) => `${i * 2} label-${i}`).join('\n'));
const FULL: FormatOptions = { layer3: true, id: true, ktimestamp: true, timestamp: true, labels, full: true, event: false };
const EVENT: FormatOptions = { ...FULL, event: true };

const FILTERS: readonly FlowFilter[] = [
  addressIs('original', 'src', Uint8Array.of(192, 0, 2, 1)),
  addressIs('reply', 'dst', new Uint8Array(16), new Uint8Array(16)),
  portIs('reply', 'dst', 0),
  numberIs('icmpv6Id', 9),
  { kind: 'state', names: ['ESTABLISHED'] },
  { kind: 'all', of: statusIs(2, 4) },
  { kind: 'all', of: labelsAre([1, 127, 300]) },
  natIs('any'),
  natIs('src', new Uint8Array(16), 0),
];
const predicates = FILTERS.map((filter) => compileFilter(filter)!);

/** The same bytes three times: alone, and twice with other bytes around them. */
function placements(random: Random, bytes: Uint8Array): { buffer: Uint8Array; at: number }[] {
  const before = random.chance(0.5) ? random.below(64) : random.below(16) * 4;
  const behind = random.below(64) + 8;
  // The first surroundings are noise, the second a message that would go on where this one ends.
  const chance = Uint8Array.from({ length: before + behind }, () => random.below(256));
  const tempting = random.pick(messages);
  const filler = new Uint8Array(before + behind).map((_, i) => tempting[(20 + i) % tempting.length]!);
  return [
    { buffer: bytes.slice(), at: 0 },
    { buffer: joined(chance.subarray(0, before), bytes, chance.subarray(before)), at: before },
    { buffer: joined(filler.subarray(0, before), bytes, filler.subarray(before)), at: before },
  ];
}

/** All results must be equal; otherwise it shows the first line that differs, and that line in the message alone. */
function assertSame(results: readonly string[]): void {
  const alone = results[0]!.split('\n');
  for (const result of results.slice(1)) {
    if (result === results[0]) continue;
    const lines = result.split('\n');
    const i = lines.findIndex((line, n) => line !== alone[n]);
    assert.equal(lines[i], alone[i], `depends on more than the message:\n${lines[i]}\nand alone:\n${alone[i]}`);
    assert.equal(lines.length, alone.length, 'depends on more than the message');
  }
}

/** An error without what depends on where the message lies. Fails for errors that are not of this package. */
function describeError(error: unknown, at: number): string {
  assert.ok(error instanceof ConntrackError, `not an error of this package: ${error instanceof Error ? error.stack : error}`);
  if (error instanceof DecodeError) return `${error.code} ${error.offset - at} ${error.message.replace(/ at byte \d+$/, '')}`;
  return `${error.code} ${error.message} ${JSON.stringify(error)}`;
}

const key = new MessageWriter();
const flows = new FlowReader();
const expectations = new ExpectationReader();
const { schema } = makeJsonSchema();
const counters = {
  text: CPU_STATISTICS.map((name) => token(`${name}=`)),
  json: statisticMembers(CPU_STATISTICS),
};

/** Everything about a message: the view's contents, the filters' verdicts, what requests repeat, what writers print. */
function consequences(kind: ViewName, view: View): string {
  const found = [JSON.stringify(snapshot(kind, view))];
  if (kind === 'flow') {
    found.push(objectText(flows.read(view)));
    found.push(predicates.map((predicate) => predicate(view)).join());
    key.reset();
    putKeyOf(key, view);
    found.push(Buffer.from(key.bytes.subarray(0, key.length)).toString('hex'));
    for (const options of [PLAIN, FULL, EVENT]) {
      found.push(write((out) => writeFlowText(out, view, options, clock)));
      found.push(write((out) => writeFlowSave(out, view, options)));
      found.push(checkXml(write((out) => writeFlowXml(out, view, options, clock))));
      found.push(checkJson(options.event ? 'flowEvent' : 'flow', (out) => writeFlowJson(out, view, options, clock)));
    }
  } else if (kind === 'expectation') {
    found.push(objectText(expectations.read(view)));
    for (const options of [PLAIN, EVENT]) {
      found.push(write((out) => writeExpectationText(out, view, options, clock)));
      found.push(checkXml(write((out) => writeExpectationXml(out, view, options, clock))));
      const name = options.event ? 'expectationEvent' : 'expectation';
      found.push(checkJson(name, (out) => writeExpectationJson(out, view, options, clock)));
    }
  } else if (kind === 'stats-cpu') {
    found.push(write((out) => writeCpuStatistics(out, view, counters.text)));
    found.push(checkJson('cpuStatistics', (out) => writeStatisticsJson(out, view, counters.json)));
  }
  return found.join('\n');
}

/** An object of the library, every member of it. */
function objectText(value: object): string {
  return JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `${member}` : member));
}

/** The smallest buffer that a writer may be given: `reserve` has to make room for everything. */
const out = new ByteWriter((bytes, length) => pieces.push(Buffer.from(bytes.subarray(0, length))), 64);
const pieces: Buffer[] = [];
function write(run: (out: ByteWriter) => void): string {
  pieces.length = 0;
  run(out);
  assert.ok(out.length <= out.bytes.length, `a writer needed ${out.length} bytes and reserved ${out.bytes.length}`);
  out.flush();
  const text = Buffer.concat(pieces).toString('latin1');
  assert.ok(text.endsWith('\n'), 'an entry ends with a newline');
  assert.ok(!/undefined|NaN|\[object/.test(text), `not a value: ${text}`);
  return text;
}

function checkXml(text: string): string {
  const fault = xmlFault(decodeText(text));
  assert.equal(fault, undefined, `${fault}: ${text}`);
  return text;
}

/** Checks that it is one value of valid JSON, in UTF-8, according to the schema. */
function checkJson(schemaName: string, run: (out: ByteWriter) => void): string {
  const text = write((out) => {
    run(out);
    out.reserve(1);
    out.byte(10);
  });
  const fault = schemaFault(schema, JSON.parse(decodeText(text)), { $ref: `#/$defs/${schemaName}` });
  // Random messages lack parts that every message of a kernel has.
  assert.ok(fault === undefined || / is missing$/.test(fault), `${fault}: ${text}`);
  return text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function decodeText(latin1: string): string {
  return utf8.decode(Buffer.from(latin1, 'latin1'));
}

const views = Object.fromEntries(Object.entries(KINDS).map(([kind, { create }]) => [kind, create()])) as Record<ViewName, View>;

/** Decodes in every place and compares; @returns whether it was a message */
function decodeEverywhere(random: Random, kind: ViewName, bytes: Uint8Array): boolean {
  const look = (view: View, { buffer, at }: { buffer: Uint8Array; at: number }) => {
    try {
      view.decode(buffer, at, at + bytes.length);
    } catch (error) {
      return describeError(error, at);
    }
    return consequences(kind, view);
  };
  const places = placements(random, bytes);
  const results = places.map((place) => look(views[kind], place));
  // A view that has seen other messages must find what a new one finds: it may remember the layout of messages, not their contents.
  if (random.chance(0.5)) results.unshift(look(KINDS[kind].create(), places[0]!));
  assertSame(results);
  return results[0]!.startsWith('{');
}

function anyMessage(random: Random): Uint8Array {
  const choice = random.below(20);
  if (choice < 5) return randomTree(random);
  if (choice < 11) return damaged(random, random.pick(messages), random.pick(messages));
  if (choice < 19) return rebuilt(random, random.pick(messages), random.pick(messages));
  return noise(random);
}

const anyKind = (random: Random) => random.pick<ViewName>(['flow', 'flow', 'flow', 'expectation', 'stats-cpu']);

fuzz({ name: 'what follows from a message: view, filters, objects, writers', share: 0.5, sound: 0.05 }, (random) =>
  decodeEverywhere(random, anyKind(random), anyMessage(random)) ? SOUND : REFUSED,
);

/** Here messages lie among the remains of others. */
const ARENA = 65_536;
const arenas = [0, 1].map((which) =>
  Uint8Array.from({ length: 2 * ARENA }, (_, i) => (which * 0x55) ^ (Math.imul(i, 0x9e3779b1) >>> 24)),
);

// Each message is decoded three or four times, and each counts.
fuzz({ name: 'decoder', share: 0.3, sound: 0.05 }, (random) => {
  const bytes = anyMessage(random);
  const kind = anyKind(random);
  const alone = trace(kind, views[kind], bytes, 0, bytes.length);
  let executions = 1;
  for (const arena of arenas) {
    const at = random.chance(0.8) ? random.below(ARENA >> 2) * 4 : random.below(ARENA);
    if (at + bytes.length > arena.length) continue;
    arena.set(bytes, at);
    executions++;
    assert.equal(trace(kind, views[kind], arena, at, at + bytes.length), alone, 'depends on more than the message');
  }
  if (random.chance(0.1)) {
    executions++;
    assert.equal(trace(kind, KINDS[kind].create(), bytes, 0, bytes.length), alone, 'depends on the messages before');
  }
  return { executions, sound: typeof alone === 'number' ? executions : 0 };
});

/** What a view says about a message, as one number; for a refusal what and where. */
function trace(kind: ViewName, view: View, bytes: Uint8Array, at: number, end: number): number | string {
  try {
    view.decode(bytes, at, end);
  } catch (error) {
    return describeError(error, at);
  }
  let hash = view.type ^ Math.imul(view.flags, 31) ^ view.portId ^ (view.family << 24) ^ view.resourceId;
  const { slots } = KINDS[kind];
  for (let n = 0; n < slots.length; n++) {
    const { slot } = slots[n]!;
    if (!view.has(slot)) continue;
    const offset = view.offset(slot) - at;
    const length = view.length(slot);
    assert.ok(offset >= 24 && offset + length <= end - at, 'a value outside the message');
    hash = Math.imul(hash ^ (slot << 20) ^ (offset << 8) ^ length, 0x01000193);
  }
  if (kind === 'flow') for (const predicate of predicates) hash = Math.imul(hash, 2) + (predicate(view) ? 1 : 0);
  return hash;
}

fuzz({ name: 'datagrams', share: 0.2, sound: 0.05 }, (random) => {
  const sequence = 1 + random.below(65535);
  const bytes = random.chance(0.9) ? datagram(random, sequence, messages) : noise(random);
  const log: string[] = [];
  // Sometimes several requests in one, whose failures do not end the walk.
  const failed = (index: number, error: KernelError) => log.push(`${index} ${describeError(error, 0)}`);
  const several = random.chance(0.5) ? {} : { count: 1 + random.below(3), failed };
  const request = { name: 'TEST', sequence, bytes, length: bytes.length, ...several };
  const results = placements(random, bytes).map(({ buffer, at }) => {
    log.length = 0;
    const end = at + bytes.length;
    try {
      const ended = walkDatagram(buffer, at, end, request, (given, from, to) => {
        assert.ok(given === buffer && from >= at && to <= end && to - from >= 16, `visited ${from} to ${to} of ${at} to ${end}`);
        log.push(`${from - at} to ${to - at}`);
      });
      log.push(`${ended}`);
    } catch (error) {
      log.push(describeError(error, at));
    }
    return log.join('\n');
  });
  assertSame(results);
  return results[0]!.includes('DECODE') ? REFUSED : SOUND;
});

test('the checker of XML finds what is wrong', () => {
  for (const good of ['<a/>', '<a b="1" c=""><d>x &amp; y</d><e/></a>\n', '<?xml version="1.0" encoding="utf-8"?>\n<a></a>'])
    assert.equal(xmlFault(good), undefined, good);
  for (const bad of [
    '',
    'x',
    '<a>',
    '</a>',
    '<a></b>',
    '<a><b></a></b>',
    '<a>&</a>',
    '<a>&x;</a>',
    '<a b="<"/>',
    '<a b=1/>',
    '<a b="1" b="2"/>',
    '<a/><a/>',
    '<a>\u0001</a>',
    '<a',
    '<1/>',
    '<a>]]></a>',
  ])
    assert.notEqual(xmlFault(bad), undefined, bad);
});
