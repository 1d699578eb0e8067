import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { areTwoFlows, isClash, isReplaced, lastingStatus } from '../../src/ctnetlink/flow-identity.js';
import { createFlowView, type View } from '../../src/ctnetlink/view.js';
import { flowMessage, type Kind, type TestFlow } from './event-messages.js';

const EXPECTED = 1;
const SEEN_REPLY = 2;
const ASSURED = 4;
const CONFIRMED = 8;
const SRC_NAT = 0x10;
const SEQ_ADJUST = 0x40;
const FIXED_TIMEOUT = 0x400;
const OFFLOAD = 0x4000;

const FLOW: TestFlow = {
  protonum: 17,
  src: [10, 0, 0, 1],
  dst: [10, 0, 0, 2],
  sport: 1,
  dport: 2,
  id: 1,
  status: CONFIRMED | SEEN_REPLY,
  mark: 1,
};

function viewOf(more: Partial<TestFlow> = {}, kind: Kind = 'listed'): View {
  const message = flowMessage(kind, { ...FLOW, ...more });
  const view = createFlowView();
  view.decode(message, 0, message.length);
  return view;
}

suite('what tells flows of one tuple apart', () => {
  const apart: Readonly<Record<string, readonly [Partial<TestFlow>, Partial<TestFlow>]>> = {
    'the tuple of the answers': [{}, { replyPort: 9 }],
    'when they began': [{ start: 1_790_000_000_000_000_001n }, { start: 1_790_000_000_000_000_002n }],
    'whether one was expected': [{}, { status: CONFIRMED | SEEN_REPLY | EXPECTED }],
    'whether one is translated': [{ status: CONFIRMED | SEEN_REPLY | SRC_NAT }, {}],
  };
  for (const [what, [one, other]] of Object.entries(apart))
    test(what, () => {
      for (const kind of ['listed', 'new', 'update', 'destroy'] as const) {
        assert.ok(areTwoFlows(viewOf(one), viewOf(other, kind)));
        assert.ok(areTwoFlows(viewOf(other, kind), viewOf(one)));
        assert.ok(isReplaced(viewOf(one), viewOf(other, kind)));
      }
    });

  test('the tuple of the answers, wherever it stands', () => {
    // As no kernel sends them: the reply is the last attribute, and the first two are the same.
    const last = (view: View): View => {
      const { bytes } = view;
      const end = (at: number) => at + ((bytes[at]! + (bytes[at + 1]! << 8) + 3) & ~3);
      const reply = end(20);
      const rest = end(reply);
      const moved = Uint8Array.from([...bytes.slice(0, reply), ...bytes.slice(rest), ...bytes.slice(reply, rest)]);
      const other = createFlowView();
      other.decode(moved, 0, moved.length);
      return other;
    };
    assert.ok(areTwoFlows(last(viewOf()), last(viewOf({ replyPort: 9 }))));
    assert.ok(areTwoFlows(last(viewOf()), viewOf({ replyPort: 9 })));
    assert.ok(!areTwoFlows(last(viewOf()), last(viewOf())));
    assert.ok(!areTwoFlows(last(viewOf()), viewOf({ mark: 2 })));
  });

  test('a bit that no flow loses, when the newer one lacks it', () => {
    for (const bit of [SEEN_REPLY, ASSURED, FIXED_TIMEOUT]) {
      const without = viewOf({ status: CONFIRMED });
      const having = viewOf({ status: CONFIRMED | bit });
      assert.equal(lastingStatus(having), bit);
      assert.ok(isReplaced(having, without));
      assert.ok(!isReplaced(without, having));
      assert.ok(!areTwoFlows(without, having) && !areTwoFlows(having, without));
    }
  });
});

test('what may change in a flow does not tell it from another', () => {
  for (const more of [
    { mark: 2 },
    { timeout: 4000 },
    { status: CONFIRMED | SEEN_REPLY | OFFLOAD },
    { status: CONFIRMED | SEEN_REPLY | SEQ_ADJUST },
    { start: 1_790_000_000_000_000_001n }, // one of them lacks it, as events do
    { at: 1_790_000_000_000_000_001n },
    { state: 3 },
  ]) {
    assert.ok(!areTwoFlows(viewOf(), viewOf(more)));
    assert.ok(!isReplaced(viewOf(), viewOf(more)));
    assert.ok(!isReplaced(viewOf(more), viewOf()));
  }
});

test('the second of two flows that clashed is known by a bit', () => {
  assert.ok(isClash(viewOf({ status: CONFIRMED | FIXED_TIMEOUT | 0x1000 }, 'destroy')));
  assert.ok(!isClash(viewOf()));
});
