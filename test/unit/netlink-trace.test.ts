// CONNTRACK_DEBUG=netlink: names against the headers, messages as shown, and bytes that are not messages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  EXPECTATION_ATTRIBUTES,
  EXPECTATION_MESSAGES,
  FLOW_ATTRIBUTES,
  FLOW_MESSAGES,
  type Nest,
} from '../../src/ctnetlink/attribute-names.js';
import * as uapi from '../../src/ctnetlink/uapi/nfnetlink-conntrack.js';
import { traceMessages } from '../../src/library/netlink-trace.js';
import { attribute, be32, message, newFlow } from '../support/netlink.js';

function lines(bytes: Uint8Array, direction = '>'): string[] {
  const shown: string[] = [];
  traceMessages(direction, bytes, 0, bytes.length, (line) => shown.push(line));
  return shown;
}

test('every name has the number that the header gives it, and none is missing', () => {
  const numbers = uapi as unknown as Readonly<Record<string, number>>;
  const seen = new Set<string>();
  const visit = ({ names, nests = {} }: Nest) => {
    names.forEach((name, i) => {
      assert.equal(numbers[name], i + 1, name);
      seen.add(name);
    });
    for (const [name, nest] of Object.entries(nests)) {
      assert.ok(names.includes(name), name);
      visit(nest);
    }
  };
  for (const nest of [FLOW_ATTRIBUTES, EXPECTATION_ATTRIBUTES]) visit(nest);
  for (const messages of [FLOW_MESSAGES, EXPECTATION_MESSAGES])
    messages.forEach(({ name, attributes }, i) => {
      assert.equal(numbers[name], i, name);
      seen.add(name);
      visit(attributes);
    });
  const missing = Object.keys(numbers).filter((name) => !seen.has(name) && !name.startsWith('CTA_FILTER_F_'));
  assert.deepEqual(missing, []);
});

test('a request is shown with names and values', () => {
  const bytes = newFlow({
    proto: 17,
    original: { src: '192.0.2.1', dst: '198.51.100.1', sport: 5000, dport: 53 },
    timeout: 60,
  });
  const shown = lines(bytes);
  assert.match(shown[0]!, /^> IPCTNL_MSG_CT_NEW seq \d+ flags REQUEST\|.*CREATE.* family 2, \d+ bytes$/);
  for (const line of [
    '    CTA_TUPLE_ORIG',
    '      CTA_TUPLE_IP',
    '        CTA_IP_V4_SRC 192.0.2.1',
    '        CTA_PROTO_DST_PORT 53',
    '    CTA_TIMEOUT 60 (0x3c)',
  ])
    assert.ok(shown.includes(line), `${line} is not among\n${shown.join('\n')}`);
});

test('answers of the kernel are told apart', () => {
  const answer = (errno: number) => {
    const bytes = Buffer.alloc(36);
    bytes.writeUInt32LE(36, 0);
    bytes.writeUInt16LE(2, 4);
    bytes.writeUInt32LE(7, 8);
    bytes.writeInt32LE(-errno, 16);
    return lines(bytes, '<');
  };
  assert.deepEqual(answer(0), ['< NLMSG_ERROR 0, an acknowledgement, seq 7, 36 bytes']);
  assert.deepEqual(answer(2), ['< NLMSG_ERROR ENOENT seq 7, 36 bytes']);
});

test('what is not known is shown by number, and what is none as bytes', () => {
  const bytes = message(0x0c00, 1, 2, be32(1, 0), attribute(99, Buffer.from([1, 2, 3])));
  assert.match(lines(bytes)[0]!, /^> message 0 of subsystem 12 /);
  assert.deepEqual(lines(message(0x100, 1, 2, attribute(99, Buffer.from([1, 2, 3])))).slice(1), ['    attribute 99 010203']);
  assert.deepEqual(lines(Buffer.from('deadbeef', 'hex')), ['> no message: deadbeef']);
});

test('no bytes make it fail or go on for ever', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.ok(lines(bytes).length <= bytes.length + 1);
    }),
    { numRuns: 2000 },
  );
});
