// Functions for a flow without a table: whether it matches a filter, how it is printed, its key, its reversed tuple.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { toFlowFilter } from '../../src/ctnetlink/filter/object-input.js';
import { FlowReader } from '../../src/ctnetlink/flow.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { ByteWriter } from '../../src/format/byte-writer.js';
import { writeFlowJson } from '../../src/format/flow-json.js';
import { writeFlowSave } from '../../src/format/flow-save.js';
import { writeFlowText } from '../../src/format/flow-text.js';
import { writeFlowXml } from '../../src/format/flow-xml.js';
import { WallClock } from '../../src/format/format-options.js';
import {
  type Filter,
  type Flow,
  flowFormatter,
  flowKey,
  formatAddress,
  formatFlow,
  LabelMap,
  matcher,
  matches,
  reverse,
  type Tuple,
  ValueError,
} from '../../src/index.js';
import { PLAIN } from '../support/format-options.js';
import { readFixtures } from './fixture.js';

const reader = new FlowReader();
const view = createFlowView();
/** Messages of every kind that a kernel sends, and their flows. */
const messages = readFixtures().filter(({ expected: { view, values } }) => view === 'flow' && 'reply.protonum' in values);
const flows: readonly Flow[] = messages.map(({ bytes }) => {
  view.decode(bytes, 0, bytes.length);
  return reader.read(view);
});
const flowOf = (name: string) => flows[messages.findIndex((message) => message.name === name)]!;

/** Filters that want some of the fixtures: each member of a filter, with values that occur. */
const FILTERS: readonly Filter[] = [
  {},
  { family: 'ipv4' },
  { family: 'ipv6' },
  { protocol: 50 },
  { protocol: 'tcp', state: 'ESTABLISHED' },
  { protocol: 'sctp', sctp: { vtagOriginal: 1 } },
  { protocol: 'dccp', dccp: { role: 'client' } },
  { protocol: 'icmp', original: { icmpType: 8 } },
  { protocol: 'icmpv6', original: { icmpId: 7 } },
  { original: { src: '192.0.2.0/24', dst: '198.51.100.7' } },
  { original: { src: '2001:db8::/32' } },
  { original: { dport: 443 } },
  { reply: { sport: 443 } },
  { original: { zone: 5 } },
  { reply: { zone: 6 } },
  { zone: 0 },
  { zone: 5 },
  { mark: 0 },
  { mark: { value: 1, mask: 1 } },
  { status: ['ASSURED'] },
  { not: { status: ['SEEN_REPLY'] } },
  { labels: [1] },
  { secmark: 7 },
  { timeout: 299 },
  { srcNat: true },
  { dstNat: true },
  { anyNat: '203.0.113.5' },
  { any: [{ protocol: 'udp' }, { all: [{ protocol: 'tcp' }, { not: { mark: 0 } }] }] },
];

test('a filter wants a flow when it wants its message, and a copy of it, and its JSON', () => {
  const answers = new Set<boolean>();
  for (const filter of FILTERS) {
    const wanted = compileFilter(toFlowFilter(filter)) ?? (() => true);
    const match = matcher(filter);
    messages.forEach(({ name, bytes }, i) => {
      view.decode(bytes, 0, bytes.length);
      const expected = wanted(view);
      answers.add(expected);
      const flow = flows[i]!;
      for (const each of [flow, structuredClone(flow), flow.toJSON()]) {
        assert.equal(matches(filter, each as Flow), expected, `${JSON.stringify(filter)} ${name}`);
        assert.equal(match(each as Flow), expected, `${JSON.stringify(filter)} ${name}`);
      }
    });
  }
  assert.equal(answers.size, 2);
});

test('what is no filter, and what is no whole flow, is refused', () => {
  assert.throws(() => matcher({ orginal: {} } as never), ValueError);
  const { reply: _, ...part } = flowOf('tcp-v4');
  assert.throws(() => matches({}, part as never), /reply is missing/);
  assert.throws(() => formatFlow(part as never), /reply is missing/);
});

const clock = new WallClock();
clock.set(1_795_306_672_871.5);
const now = 1_795_306_672_871.5;

/** What a writer prints, without a newline behind it. */
function print(write: (out: ByteWriter) => void): string {
  const pieces: Uint8Array[] = [];
  const out = new ByteWriter((bytes, length) => pieces.push(bytes.slice(0, length)));
  write(out);
  out.flush();
  return Buffer.concat(pieces).toString().replace(/\n$/, '');
}

test('a flow is printed as the writers print its message, in every form', () => {
  const labels = LabelMap.parse(Array.from({ length: 128 }, (_, bit) => `${bit} label-${bit}`).join('\n'));
  const everything = { id: true, ktimestamp: true, full: true, labels };
  for (const options of [{}, everything]) {
    const given = { ...PLAIN, ...options };
    const forms = {
      text: (out: ByteWriter) => writeFlowText(out, view, given, clock),
      extended: (out: ByteWriter) => writeFlowText(out, view, { ...given, layer3: true }, clock),
      save: (out: ByteWriter) => writeFlowSave(out, view, given),
      xml: (out: ByteWriter) => writeFlowXml(out, view, given, clock),
      json: (out: ByteWriter) => writeFlowJson(out, view, given, clock),
    };
    for (const [form, write] of Object.entries(forms) as [keyof typeof forms, (out: ByteWriter) => void][]) {
      const format = flowFormatter(form, { ...options, now });
      messages.forEach(({ name, bytes }, i) => {
        if (name === 'labels-short') return; // how many words an old kernel sent is no part of a flow
        view.decode(bytes, 0, bytes.length);
        const expected = print(write);
        const flow = flows[i]!;
        for (const each of [flow, { ...flow }, structuredClone(flow), flow.toJSON()])
          assert.equal(format(each as Flow), expected, `${name} as ${form}`);
        assert.equal(formatFlow(flow, form, { ...options, now }), expected);
      });
    }
  }
});

test('JSON of a copy is that of the flow', () => {
  for (const flow of flows) assert.deepEqual(JSON.parse(formatFlow(structuredClone(flow), 'json')), flow.toJSON());
});

test('a form that is none is refused, and so are options', () => {
  const flow = flowOf('udp-v4');
  assert.throws(() => formatFlow(flow, 'yaml' as never), /format must be one of text/);
  assert.throws(() => formatFlow(flow, 'text', { ids: true } as never), /no option "ids"/);
  assert.throws(() => formatFlow(flow, 'text', { labels: new Map() } as never), /labels must be a LabelMap/);
  assert.throws(() => flowFormatter('save', { full: 1 } as never), /full must be true or false/);
  assert.throws(() => flowFormatter('text', { now: Number.NaN }), ValueError);
});

test('the answer to a flow that is not translated is its reply', () => {
  for (const name of ['tcp-v4', 'tcp-v6', 'udp-v4', 'udp-v6', 'icmp', 'icmpv6', 'gre', 'sctp', 'unknown']) {
    const { original, reply } = flowOf(name);
    const { packets: _, bytes: __, seqAdj: ___, ...tuple } = JSON.parse(JSON.stringify(reply));
    assert.deepEqual(reverse(original), tuple, name);
    assert.deepEqual(reverse(JSON.parse(JSON.stringify(original))), tuple, name);
  }
});

const port = fc.integer({ min: 0, max: 65535 });
const byte = fc.integer({ min: 0, max: 255 });
const address = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map(formatAddress);
const ends = fc.constantFrom(4, 16).chain((size) => fc.record({ src: address(size), dst: address(size) }));
const layer4 = fc.oneof(
  fc.record({ protonum: fc.constantFrom(6, 17, 33, 47, 132, 136), sport: port, dport: port }),
  fc.record({ protonum: fc.constant(1), icmpType: fc.constantFrom(0, 8, 13, 14, 15, 16, 17, 18), icmpCode: byte, icmpId: port }),
  fc.record({ protonum: fc.constant(58), icmpType: fc.constantFrom(128, 129, 139, 140), icmpCode: byte, icmpId: port }),
  fc.record({ protonum: fc.constantFrom(0, 2, 33, 47, 50, 89, 132, 255) }),
);
const tuple: fc.Arbitrary<Tuple> = fc.tuple(ends, layer4).map(([a, b]) => ({ ...a, ...b }));

test('the answer to the answer is the tuple itself', () => {
  fc.assert(
    fc.property(tuple, (given) => {
      assert.notEqual(reverse(given), given);
      assert.deepEqual(reverse(reverse(given)), given);
    }),
  );
});

test('there is no answer to ICMP types that begin no flow, nor to half a tuple', () => {
  const icmp = { src: '192.0.2.1', dst: '192.0.2.2', protonum: 1, icmpType: 3, icmpCode: 0, icmpId: 0 };
  assert.throws(() => reverse(icmp), /icmp type 3 has no answer/);
  assert.throws(() => reverse({ ...icmp, protonum: 58, icmpType: 135 }), ValueError);
  assert.throws(() => reverse({ src: '192.0.2.1', dst: '192.0.2.2' } as never), ValueError);
  assert.throws(() => reverse({ ...icmp, icmpType: 8, dst: '2001:db8::1' }), ValueError);
});

test('a key is what its documentation shows', () => {
  const v4 = { src: '192.0.2.1', dst: '198.51.100.7' };
  for (const [key, flow] of [
    ['tcp 192.0.2.1:40000>198.51.100.7:443', { original: { ...v4, protonum: 6, sport: 40000, dport: 443 } }],
    [
      'udp [2001:db8::1]:5000>[2001:db8::2]:53 zone=5',
      { zone: 5, protocol: 'udp', original: { src: '2001:DB8::1', dst: '2001:db8:0:0::2', sport: 5000, dport: 53 } },
    ],
    ['icmp 192.0.2.1>198.51.100.7 type=8 code=0 id=77', { protocol: 'icmp', original: { ...v4, icmpType: 8, icmpId: 77 } }],
    ['gre 192.0.2.1:1>198.51.100.7:2', { protocol: 'gre', original: { ...v4, sport: 1, dport: 2 } }],
    ['50 192.0.2.1>198.51.100.7', { protocol: 50, original: v4 }],
    ['dccp 192.0.2.1>198.51.100.7', { protocol: 'dccp', original: { ...v4, protonum: 33 } }],
    ['50 192.0.2.1>198.51.100.7 zone=7', { protocol: 50, original: { ...v4, zone: 7 } }],
    ['50 192.0.2.1>198.51.100.7', { protocol: 50, zone: 0, original: v4 }],
  ] as const)
    assert.equal(flowKey(flow), key);
});

test('a flow, its copies and its JSON have one key', () => {
  for (const flow of flows.filter(({ original }) => original.src !== undefined && original.dst !== undefined))
    for (const each of [{ ...flow }, structuredClone(flow), flow.toJSON(), { ...flow.toJSON(), labelNames: ['x'] }])
      assert.equal(flowKey(each as Flow), flowKey(flow));
});

test('two flows that the kernel tells apart have two keys', () => {
  const keys = new Map<string, string>();
  const small = fc.constantFrom(0, 1, 11, 111, 65535);
  const near = fc.oneof(
    fc.record({ protonum: fc.constantFrom(6, 17, 33), sport: small, dport: small }),
    fc.record({ protonum: fc.constantFrom(1, 58), icmpType: fc.constantFrom(0, 8, 128), icmpCode: byte, icmpId: small }),
    fc.record({ protonum: fc.constantFrom(0, 1, 11, 33) }).filter(({ protonum }) => protonum !== 1),
  );
  const addresses = fc.constantFrom(
    ...(['0.0.0.0', '192.0.2.1', '192.0.2.11'] as const).flatMap((src) => [{ src, dst: '192.0.2.1' }]),
    ...(['::', '::ffff:192.0.2.1', '::1', '::1:11', '::11'] as const).flatMap((src) => [
      { src, dst: '::1' },
      { src, dst: '::' },
    ]),
  );
  fc.assert(
    fc.property(addresses, near, small, (ends, rest, zone) => {
      const original = { ...ends, ...rest };
      const key = flowKey({ original, ...(zone === 0 ? {} : { zone }) });
      const told = JSON.stringify([original, zone]);
      assert.equal(keys.get(key) ?? told, told, key);
      keys.set(key, told);
      // The zone of the original direction is the same place in the table as the zone of both.
      assert.equal(flowKey({ original: { ...original, zone } }), key);
    }),
    { numRuns: 3000 },
  );
  assert.ok(keys.size > 1000);
});

test('what does not tell a flow from others is no key', () => {
  const original = { src: '192.0.2.1', dst: '198.51.100.7' };
  for (const [key, message] of [
    [{ protocol: 'tcp', original }, /original\.sport is missing/],
    [{ protocol: 'udp', original: { ...original, sport: 1 } }, /original\.dport is missing/],
    [{ protocol: 'sctp', original: { ...original, dport: 1 } }, /original\.sport is missing/],
    [{ protocol: 'dccp', original }, /original\.sport is missing/],
    [{ protocol: 'icmp', original }, /original\.icmpType is missing/],
    [{ protocol: 'tcp', original: { src: '192.0.2.1', sport: 1, dport: 2 } }, /complete tuple/],
    [{ protocol: 'tcp', reply: { ...original, sport: 1, dport: 2 } }, /original tuple/],
    [{ original: { ...original, sport: 1, dport: 2 } }, /protocol is missing/],
  ] as const)
    assert.throws(
      () => flowKey(key as never),
      (error) => error instanceof ValueError && message.test(error.message),
    );
});
