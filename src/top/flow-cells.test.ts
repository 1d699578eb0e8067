// The cells of flows, as far as one can say it of a cell alone.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { seedFromEnvironment } from '../../test/support/random.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import type { Flow } from '../index.js';
import type { MeteredFlow } from '../meter/index.js';
import { endpoint, FLOW_COLUMNS, overItsLife, protocolOf, stateText, translation } from './flow-cells.js';
import { inCell } from './table-layout.js';
import { textWidth } from './width.js';

const SEED = 20268;
const FLOW = {
  id: 1,
  family: 'ipv4',
  protocol: 'tcp',
  original: { src: '10.0.0.1', dst: '192.0.2.1', sport: 1000, dport: 443, protonum: 6, packets: 5n, bytes: 500n },
  reply: { src: '192.0.2.1', dst: '10.0.0.1', sport: 443, dport: 1000, protonum: 6, packets: 5n, bytes: 5000n },
  state: 'ESTABLISHED',
  status: ['SEEN_REPLY', 'ASSURED', 'CONFIRMED'],
  timeout: 600,
} as unknown as Flow;

type Changes = { readonly [K in keyof Flow]?: unknown };

function metered(flow: Changes = {}, rest: Partial<MeteredFlow> = {}): MeteredFlow {
  return { number: 1, flow: { ...FLOW, ...flow } as Flow, age: 10, counters: 'kernel', ...rest };
}

const context = { unit: 'bits', averages: true, ascii: false, several: false, width: 80 } as const;

function cell(name: string, row: MeteredFlow, width: number, changes = {}): string {
  return FLOW_COLUMNS.find((column) => column.name === name)!.text(row, width, { ...context, ...changes });
}

suite('states', () => {
  for (const { name, states } of PROTOCOLS.filter((protocol) => protocol.states !== undefined))
    test(`of ${name} can be told from each other in 6 cells, and are whole on a wide screen`, () => {
      const texts = states!.map((state) => stateText(metered({ state }), false));
      assert.equal(new Set(texts).size, states!.length);
      for (const text of texts) assert.match(text, /^\S{1,6}$/);
      for (const state of states!) {
        const text = stateText(metered({ state }), true);
        if (state.length <= 14) assert.equal(text, state);
        else assert.match(text, /^\S{1,6}$/);
      }
    });

  const CASES: readonly (readonly [Changes, string, string])[] = [
    [{}, 'ESTAB', 'ESTABLISHED'],
    [{ status: ['SRC_NAT'] }, 'ESTAB  s', 'ESTABLISHED s'],
    [{ status: ['SRC_NAT', 'DST_NAT'] }, 'ESTAB sd', 'ESTABLISHED sd'],
    [{ status: ['SRC_NAT', 'DST_NAT', 'OFFLOAD'] }, 'ESTABsdo', 'ESTAB      sdo'],
    [{ state: 'SHUTDOWN_SENT', status: ['HW_OFFLOAD'] }, 'SHUT_S o', 'SHUT_S      o'],
    [{ state: undefined, status: ['SRC_NAT', 'SEEN_REPLY', 'ASSURED'] }, 'ASSUR  s', 'ASSURED     s'],
    [{ state: undefined, status: ['SEEN_REPLY'] }, 'REPL', 'REPLIED'],
    [{ state: undefined, status: [] }, 'NEW', 'NEW'],
    [{ state: undefined, original: { ...FLOW.original, icmpType: 8 } }, 'type 8', 'type 8'],
    [{ state: undefined, original: { ...FLOW.original, icmpType: 128 } }, 't 128', 'type 128'],
  ];
  for (const [flow, short, full] of CASES)
    test(`${short} and ${full}`, () => {
      assert.deepEqual([stateText(metered(flow), false), stateText(metered(flow), true)], [short, full]);
    });
});

suite('addresses', () => {
  const CASES: readonly (readonly [string | undefined, number | undefined, number, string])[] = [
    ['10.0.0.1', 80, 21, '10.0.0.1:80'],
    ['2001:db8::1', 80, 47, '[2001:db8::1]:80'],
    ['2001:db8::1', undefined, 47, '2001:db8::1'],
    ['2001:db8:aaaa:bbbb::1', 50022, 21, '[2001:d…bbb::1]:50022'],
    [undefined, undefined, 5, '?'],
    ['2001:db8:aaaa:bbbb::1', 50022, 8, '[2001:d…'],
  ];
  for (const [address, port, width, text] of CASES)
    test(`${address} and ${port} in ${width} cells`, () => assert.equal(endpoint(address, port, width, false), text));

  test('lose their middle, never the port, and fit', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.option(fc.nat(65535), { nil: undefined }),
        fc.integer({ min: 15, max: 47 }),
        (address, port, width) => {
          const text = endpoint(address, port, width, false);
          assert.ok(textWidth(text) <= width);
          if (port !== undefined) assert.ok(text.endsWith(`:${port}`));
          assert.equal(text[address.includes(':') && port !== undefined ? 1 : 0], address[0]);
        },
      ),
      { seed: seedFromEnvironment(SEED) },
    );
  });
});

test('a translation says what is translated, and a port only if that changes', () => {
  const snat = { ...FLOW.reply, dst: '198.51.100.7' };
  const dnat = { ...FLOW.reply, src: '10.9.9.9', sport: 8443 };
  assert.equal(translation(FLOW), '');
  assert.equal(translation({ ...FLOW, reply: snat } as Flow), 's 198.51.100.7');
  assert.equal(translation({ ...FLOW, reply: dnat } as Flow), 'd 10.9.9.9:8443');
  assert.equal(translation({ ...FLOW, reply: { ...snat, ...dnat, dst: snat.dst } } as Flow), 's 198.51.100.7 d 10.9.9.9:8443');
});

test('protocols in five cells', () => {
  const names = PROTOCOLS.map(({ name }) => protocolOf({ ...FLOW, protocol: name } as Flow));
  for (const name of names) assert.ok(name.length <= 5, name);
  assert.equal(new Set(names).size, names.length);
  assert.equal(protocolOf({ ...FLOW, protocol: 'unknown', original: { protonum: 200 } } as unknown as Flow), '200');
});

suite('rates', () => {
  const both = { original: 100, reply: 200_000 };
  const CASES: readonly (readonly [string, Partial<MeteredFlow>, Partial<typeof context>, string])[] = [
    ['known', { rate: both, average: both }, {}, '1.60M'],
    ['in bytes', { rate: both, average: both }, { unit: 'bytes' as never }, '200k'],
    ['of the last interval', { rate: { original: 0, reply: 8 }, average: both }, { averages: false as never }, '64'],
    ['not known yet', { ageAtLeast: true }, {}, '·'],
    ['over its life until then', {}, {}, '4.0k'],
    ['never known', { counters: 'none' }, {}, '-'],
    ['of which nobody tells', { counters: 'offloaded', rate: both, average: both }, {}, 'offl'],
  ];
  for (const [name, rest, changes, text] of CASES)
    test(name, () => assert.equal(cell('rate-reply', metered({}, rest), 7, changes), text));

  test('over the life of a flow only while nothing better is known', () => {
    assert.equal(overItsLife(metered({}, { age: 0.5 }), 'reply'), undefined);
    assert.equal(overItsLife(metered({}, { rate: both }), 'reply'), undefined);
    assert.equal(overItsLife(metered(), 'reply'), 500);
  });
});

test('no cell is wider than its column, whatever the flow', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const side = (address: string) =>
    fc.record({
      src: fc.constant(address),
      dst: fc.ipV6(),
      sport: fc.nat(65535),
      dport: fc.nat(65535),
      protonum: fc.nat(255),
      packets: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      bytes: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    });
  const flows = fc.record({
    original: side('2001:db8:1111:2222:3333:4444:5555:6666'),
    reply: side('10.0.0.1'),
    mark: fc.nat(),
    zone: fc.nat(65535),
    helper: fc.option(text, { nil: undefined }),
    timeout: fc.nat(),
    state: fc.constantFrom('SHUTDOWN_ACK_SENT', 'TIME_WAIT', undefined),
    status: fc.subarray(['SRC_NAT', 'DST_NAT', 'OFFLOAD', 'SEEN_REPLY', 'ASSURED']),
  });
  const number = fc.double({ min: 0, max: 1e15, noNaN: true });
  const rest = fc.record({
    netns: text,
    age: number,
    idle: fc.option(number, { nil: undefined }),
    packetRate: fc.option(number, { nil: undefined }),
    average: fc.option(fc.record({ original: number, reply: number }), { nil: undefined }),
  });
  fc.assert(
    fc.property(flows, rest, fc.constantFrom(60, 80, 140), fc.boolean(), (flow, other, width, ascii) => {
      for (const column of FLOW_COLUMNS) {
        const cells = width >= 100 ? (column.good ?? column.least) : column.least;
        const own = column.text(metered(flow, other as Partial<MeteredFlow>), cells, { ...context, width, ascii });
        const isName = column.name === 'netns' || column.name === 'helper';
        // Names from outside are made harmless, and cut, when the cell is drawn.
        const shown = inCell(own, cells, column.right ?? false, ascii);
        assert.equal(textWidth(shown), cells);
        if (ascii) assert.match(shown, /^[ -~]*$/);
        if (!isName) assert.ok(textWidth(own) <= cells, `${column.name}: ${JSON.stringify(own)}`);
      }
    }),
    { seed: seedFromEnvironment(SEED), numRuns: 300 },
  );
});
