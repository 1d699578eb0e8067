// Requests compared with the reference bytes of docs/kernel.md 2.5.

import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { codeBlocks, page } from '../../test/support/pages.js';
import { MessageWriter } from '../wire/message.js';
import { parseAddress } from './address.js';
import { putTuple } from './encode.js';
import { addressIs, type FlowFilter, markIs, natIs, numberIs, portIs, statusIs } from './filter/condition.js';
import { exactKey, putKernelFilter, requiredFamily, type TupleFilter } from './filter/kernel-plan.js';
import { putFlow } from './flow-spec.js';
import { CTA_TUPLE_ORIG } from './uapi/nfnetlink-conntrack.js';

const REQUEST = 0x1;
const ACK = 0x4;
const a = (text: string) => parseAddress(text)!;
const original = { src: a('192.0.2.1'), dst: a('198.51.100.7'), protonum: 6, sport: 40000, dport: 443 };
const reply = { src: a('198.51.100.7'), dst: a('192.0.2.1'), protonum: 6, sport: 443, dport: 40000 };

/** The reference requests by sequence number, in hexadecimal. */
const REFERENCE = new Map<number, string>();
const [block = ''] = codeBlocks(page('docs/kernel.md').sections.get('2.5')!);
for (const [, sequence, size, lines] of block.matchAll(/, seq (\d+) \((\d+) bytes.*\n((?:[0-9a-f ]+\n)+)/g)) {
  const text = lines!.replace(/\s/g, '');
  assert.equal(text.length, 2 * Number(size), `request ${sequence}`);
  REFERENCE.set(Number(sequence), text);
}

/** A message that `build` fills, in hexadecimal; built in a buffer that has to grow on the way. */
function hex(
  type: number,
  flags: number,
  sequence: number,
  family: number,
  build: (message: MessageWriter) => void,
  version = 0,
) {
  const message = new MessageWriter(24);
  message.begin(type, flags, sequence, family, version);
  build(message);
  message.end();
  return Buffer.from(message.bytes.subarray(0, message.length)).toString('hex');
}

const onLittleEndian = { skip: endianness() === 'LE' ? false : 'the reference bytes are little-endian' };

test('creates a flow', onLittleEndian, () => {
  const actual = hex(0x100, REQUEST | ACK | 0x600, 1, 2, (message) =>
    putFlow(message, { family: 2, original, reply, status: 0xe, timeout: 300, protocol: { tcp: { state: 3 } }, mark: 5 }),
  );
  assert.equal(actual, REFERENCE.get(1));
});

test('asks for one flow', onLittleEndian, () => {
  const actual = hex(0x101, REQUEST | ACK, 3, 2, (message) => putTuple(message, CTA_TUPLE_ORIG, original));
  assert.equal(actual, REFERENCE.get(3));
});

test('lets the kernel filter a dump by protocol and port', onLittleEndian, () => {
  const filter: FlowFilter = {
    kind: 'all',
    of: [numberIs('protocol', 6), portIs('original', 'dst', 443)],
  };
  const actual = hex(0x101, REQUEST | ACK | 0x300, 4, 2, (message) =>
    assert.equal(putKernelFilter(message, filter, 2, 'everything'), true),
  );
  assert.equal(actual, REFERENCE.get(4));
});

test('a family flush says in the version that the family counts', onLittleEndian, () => {
  assert.equal(
    hex(0x102, REQUEST | ACK, 6, 10, () => {}, 1),
    REFERENCE.get(6),
  );
});

/** What a filter adds to a dump request of this family. */
function kernelPart(filter: FlowFilter, family: number, trusted: TupleFilter = 'noIpv6Address'): string {
  return hex(0, 0, 0, family, (message) => putKernelFilter(message, filter, family, trusted)).slice(40);
}

test('never sends what the kernel gets wrong', () => {
  const v6: FlowFilter = addressIs('original', 'src', a('2001:db8::1'));
  assert.equal(kernelPart(v6, 10), '', 'IPv6 addresses are inverted');
  assert.notEqual(kernelPart(v6, 10, 'everything'), '', 'not by Linux 7.3');
  assert.equal(kernelPart(v6, 10, 'nothing'), '');
  const masked: FlowFilter = addressIs('original', 'src', a('10.0.0.0'), a('255.0.0.0'));
  assert.equal(kernelPart(masked, 2), '', 'prefixes cannot be told');
  assert.equal(kernelPart(numberIs('zone', 0), 2), '', 'zone 0 leaves out zones of one direction');
  assert.equal(kernelPart(markIs(0, 0), 2), '');
  assert.equal(kernelPart({ kind: 'all', of: statusIs(0, 0) }, 2), '', 'an empty status is an error');
  const sctpPort: FlowFilter = {
    kind: 'all',
    of: [numberIs('protocol', 132), portIs('original', 'dst', 1)],
  };
  assert.equal(kernelPart(sctpPort, 2), kernelPart(numberIs('protocol', 132), 2), 'ports count for TCP and UDP only');
  const badType: FlowFilter = {
    kind: 'all',
    of: [numberIs('protocol', 1), numberIs('icmpType', 3)],
  };
  assert.equal(kernelPart(badType, 2), kernelPart(numberIs('protocol', 1), 2), 'types without an inverse are refused');
  assert.equal(kernelPart(numberIs('protocol', 6), 0), '', 'CTA_FILTER needs a family');
  const notMark: FlowFilter = { kind: 'not', of: markIs(1, 1) };
  assert.equal(kernelPart(notMark, 2), '');
  assert.equal(kernelPart({ kind: 'any', of: [markIs(1, 1), v6] }, 2), '');
});

test('several statuses are one condition', () => {
  const parts: FlowFilter = {
    kind: 'all',
    of: [
      { kind: 'all', of: statusIs(2, 0) },
      { kind: 'all', of: statusIs(0, 4) },
    ],
  };
  assert.equal(kernelPart(parts, 0), kernelPart({ kind: 'all', of: statusIs(2, 4) }, 0));
});

test('a family comes from a condition, an address or a translation', () => {
  assert.equal(requiredFamily({ kind: 'family', family: 10 }), 10);
  assert.equal(requiredFamily(natIs('src', a('::1'))), 10);
  assert.equal(requiredFamily(natIs('src')), 0);
  assert.equal(requiredFamily({ kind: 'not', of: { kind: 'family', family: 10 } }), 2, 'there is no third');
});

test('a complete tuple with a zone or an id is a key, anything less is not', () => {
  const tuple: FlowFilter[] = [
    numberIs('protocol', 17),
    addressIs('original', 'src', a('192.0.2.1')),
    addressIs('original', 'dst', a('192.0.2.2')),
    portIs('original', 'src', 1),
    portIs('original', 'dst', 2),
  ];
  const zone: FlowFilter = numberIs('zone', 5);
  assert.equal(exactKey({ kind: 'all', of: [...tuple, zone] })?.zone, 5);
  assert.equal(exactKey({ kind: 'all', of: [...tuple, numberIs('originalZone', 5)] })?.tuple.zone, 5);
  assert.equal(exactKey({ kind: 'all', of: tuple }), undefined, 'another zone may have the same tuple');
  assert.equal(exactKey({ kind: 'all', of: [...tuple, numberIs('zone', 0)] }), undefined);
  const id: FlowFilter = numberIs('id', 7);
  const pins: readonly FlowFilter[] = [zone, id];
  assert.deepEqual(
    [
      exactKey({ kind: 'all', of: [...tuple, id] })?.orElsewhere,
      exactKey({ kind: 'all', of: [...tuple, id, zone] })?.orElsewhere,
    ],
    [true, false],
  );
  for (let i = 0; i < tuple.length; i++)
    for (const pinned of pins)
      assert.equal(exactKey({ kind: 'all', of: [...tuple.filter((_, j) => j !== i), pinned] }), undefined);
});
