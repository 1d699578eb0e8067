// A flow and the message made from it are equivalent: for every fixture, for random messages, for copies and JSON.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Flow, FlowReader } from '../../src/ctnetlink/flow.js';
import { putFlowMessage } from '../../src/ctnetlink/flow-message.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { DecodeError, ValueError } from '../../src/errors.js';
import { MessageWriter } from '../../src/wire/message.js';
import { damaged, randomTree, rebuilt } from '../fuzz/messages.js';
import { Random } from '../support/random.js';
import { readFixtures } from './fixture.js';

const message = new MessageWriter();
const view = createFlowView();
const reader = new FlowReader();

function read(bytes: Uint8Array, length = bytes.length): Flow {
  view.decode(bytes, 0, length);
  return reader.read(view);
}

function encode(flow: unknown): Uint8Array {
  message.reset();
  putFlowMessage(message, flow as Flow);
  return message.bytes.slice(0, message.length);
}

/** Members as they are, without class and methods. */
const members = (flow: Flow) => structuredClone(flow);
/** What every message of a kernel has. */
const isWhole = ({ original, reply }: Flow) => original.protonum !== undefined && reply.protonum !== undefined;

const fixtures = readFixtures().filter(({ expected }) => expected.view === 'flow');

for (const { name, bytes } of fixtures)
  test(`the flow of ${name} is read again from its message, and so are its copies and its JSON`, () => {
    const flow = read(bytes);
    if (!isWhole(flow)) return assert.throws(() => encode(flow), ValueError);
    assert.deepEqual(members(read(encode(flow))), members(flow));
    const plain = { ...flow, original: { ...flow.original }, reply: { ...flow.reply } } as Flow;
    for (const copy of [plain, structuredClone(flow), flow.toJSON(), JSON.parse(JSON.stringify(flow))])
      assert.deepEqual(members(read(encode(copy))), members(flow));
  });

test('the bytes are those of the kernel', () => {
  /** The kernel sends CTA_SYNPROXY and CTA_SEQ_ADJ_REPLY full of zeros as well: a flow has them only where they say something. */
  const nothing = /1c00(?:18|10)80080001000000000008000200000000000800030000000000$/;
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').slice(40).replace(nothing, '');
  let compared = 0;
  for (const { name, bytes, head, expected } of fixtures) {
    if (expected.type !== 0x100 || expected.flags !== 2 || !head.some((line) => line.includes('captured on Linux'))) continue;
    assert.equal(hex(encode(read(bytes))), hex(bytes), name);
    compared++;
  }
  assert.ok(compared > 15, `only ${compared} fixtures were compared`);
});

test('so it is for messages made by chance', () => {
  const sound = fixtures.map(({ bytes }) => bytes);
  const random = new Random(20261122);
  let compared = 0;
  for (let n = 0; n < 20_000; n++) {
    const make = random.pick([randomTree, damaged, rebuilt, rebuilt]);
    const bytes = make(random, random.pick(sound), random.pick(sound));
    let flow: Flow;
    try {
      flow = read(bytes);
    } catch (error) {
      if (error instanceof DecodeError) continue;
      throw error;
    }
    if (!isWhole(flow)) continue;
    const given = members(flow);
    assert.deepEqual(members(read(encode(flow))), given);
    assert.deepEqual(members(read(encode(JSON.parse(JSON.stringify(flow))))), given);
    compared++;
  }
  assert.ok(compared > 5000, `only ${compared} messages were whole flows`);
});

test('what is not a flow is refused, by the name of the member', () => {
  const flow = JSON.parse(JSON.stringify(read(fixtures.find(({ name }) => name === 'tcp-v4')!.bytes)));
  assert.doesNotThrow(() => encode(flow));
  for (const [member, change] of [
    ['the value', null],
    ['family', { family: undefined }],
    ['family', { family: 'ipx' }],
    ['original', { original: undefined }],
    ['reply', { reply: undefined }],
    ['original.protonum', { original: { ...flow.original, protonum: undefined } }],
    ['reply.protonum', { reply: { ...flow.reply, protonum: undefined } }],
    ['protocol', { protocol: 'udp' }],
    ['original.src', { original: { ...flow.original, src: 'localhost' } }],
    ['reply.dport', { reply: { ...flow.reply, dport: '443' } }],
    ['original.bytes', { original: { ...flow.original, bytes: -1n } }],
    ['original.packets', { original: { ...flow.original, packets: '1e3' } }],
    ['state', { state: 'OPEN' }],
    ['status', { status: ['ASURED'] }],
    ['mark', { mark: 2 ** 32 }],
    ['zone', { zone: 65536 }],
    ['labels', { labels: [2 ** 31] }],
    ['helper', { helper: 'ftp\0' }],
    ['helperInfo', { helperInfo: 'abc' }],
    ['an attribute', { secctx: 'x'.repeat(70_000) }],
    ['timestamp.start', { timestamp: { start: 1.5 } }],
    ['tcp.flagsReply', { tcp: { flagsReply: 256 } }],
    ['synproxy.its', { synproxy: { isn: 1 } }],
  ] as const)
    assert.throws(
      () => encode(change && { ...flow, ...change }),
      (error) => error instanceof ValueError && error.message.startsWith(member),
      `${member} ${JSON.stringify(change, (_, value) => (typeof value === 'bigint' ? `${value}` : value))?.slice(0, 60)}`,
    );
});

test('as many label bits as an attribute holds take no more than their room', () => {
  const flow = read(fixtures.find(({ name }) => name === 'tcp-v4')!.bytes);
  const labels = Array.from({ length: 0x3ffe * 32 }, (_, bit) => bit);
  assert.deepEqual(read(encode({ ...flow, labels })).labels, labels);
  assert.throws(() => encode({ ...flow, labels: [labels.length] }), ValueError);
});
