// What somebody looks at: orders that are held, tags, ended flows, groups and the way back.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { seedFromEnvironment } from '../../test/support/random.js';
import type { FlowGroup, FlowsAnswer, GroupsAnswer, MeteredFlow } from '../meter/index.js';
import { flowRows } from './picture.js';
import { TopState } from './top-state.js';

const SEED = 20273;
const flow = (number: number): MeteredFlow =>
  ({ number, flow: { original: {}, reply: {} }, age: 1, counters: 'kernel' }) as MeteredFlow;
const answer = (...numbers: readonly number[]): FlowsAnswer =>
  ({ sample: 1, total: 99, matched: numbers.length, totals: {}, offset: 0, flows: numbers.map(flow) }) as unknown as FlowsAnswer;
const group = (key: string, filter = `src ${key}`) => ({ key, filter, flows: 1, unreplied: 0 }) as FlowGroup;
const groups = (...keys: readonly string[]) =>
  ({ offset: 0, count: keys.length, groups: keys.map((key) => group(key)) }) as unknown as GroupsAnswer;
const living =
  (...numbers: readonly number[]) =>
  (asked: readonly number[]) =>
    asked.map((number) => numbers.includes(number));

function fresh(): TopState {
  const state = new TopState('average', false);
  state.flowList.resize(10);
  state.groupList.resize(10);
  return state;
}

suite('an order that is held', () => {
  test('keeps what is there as it was, and has new flows at the end', () => {
    const state = fresh();
    state.heldOrder = [5, 3, 1];
    assert.deepEqual(state.keepOrder([1, 2, 3, 4]), [3, 1, 2, 4]);
    assert.deepEqual(state.keepOrder([9, 4, 3]), [3, 4, 9]);
    assert.deepEqual(state.heldOrder, [3, 4, 9]);
  });

  test('never loses or doubles a flow, nor changes places', () => {
    const numbers = fc.uniqueArray(fc.nat(30));
    fc.assert(
      fc.property(numbers, fc.array(numbers), (first, later) => {
        const state = fresh();
        state.heldOrder = first;
        let before: readonly number[] = first;
        for (const now of later) {
          const order = state.keepOrder(now);
          assert.deepEqual([...order].sort(), [...now].sort());
          const stayed = (list: readonly number[]) => list.filter((number) => before.includes(number) && now.includes(number));
          assert.deepEqual(stayed(order), stayed(before));
          before = order;
        }
      }),
      { seed: seedFromEnvironment(SEED) },
    );
  });

  test('ends with other flows', () => {
    for (const change of [(s: TopState) => s.setFilter('tcp'), (s: TopState) => s.groupBy('src')]) {
      const state = fresh();
      state.heldOrder = [1];
      change(state);
      assert.equal(state.heldOrder, undefined);
    }
  });
});

suite('ended flows', () => {
  test('stay where they were for two samples, and are told from flows that have only left the screen', () => {
    const state = fresh();
    const rows = () => flowRows(state, 10).map((row) => ('number' in row ? row.number : -row.flow.number));
    state.showFlows(answer(1, 2, 3, 4), true, living());
    state.showFlows(answer(1, 4, 5), true, living(3));
    assert.deepEqual(rows(), [1, -2, 4, 5]);
    state.showFlows(answer(1, 4, 5), false, living());
    state.showFlows(answer(4, 1, 5), true, living());
    assert.deepEqual(rows(), [4, -2, 1, 5]);
    state.showEnded = false;
    assert.deepEqual(rows(), [4, 1, 5]);
    state.showEnded = true;
    state.showFlows(answer(4, 1, 5), true, living());
    assert.deepEqual(rows(), [4, 1, 5]);
  });

  test('do not push the selected flow off the screen', () => {
    const state = fresh();
    state.flowList.resize(4);
    state.showFlows(answer(1, 2, 3, 4), true, living());
    state.flowList.select(3);
    state.showFlows(answer(3, 5, 6, 4), true, living());
    const shown = flowRows(state, 4);
    assert.equal(shown.length, 4);
    assert.equal((shown[3] as MeteredFlow).number, 4);
    state.flowList.select(0);
    assert.deepEqual(
      flowRows(state, 4).map((row) => 'number' in row),
      [false, false, true, true],
    );
  });
});

test('tags stay with their flows, whatever is shown', () => {
  const state = fresh();
  state.showFlows(answer(1, 2, 3), true, living());
  state.tags.set(2, flow(2));
  state.setFilter('tcp');
  state.groupBy('src');
  state.showFlows(answer(7), true, living(2));
  assert.deepEqual([...state.tags.keys()], [2]);
});

suite('groups', () => {
  test('are opened, and left step by step', () => {
    const state = fresh();
    state.setFilter('tcp');
    state.groupBy('src');
    state.showGroups(groups('10.0.0.1', '10.0.0.2'));
    assert.equal(state.focus, 'groups');
    state.groupList.select(1);
    assert.deepEqual(state.flowFilter, { all: [{ protocol: 'tcp' }, { original: { src: '10.0.0.2' } }] });
    state.open();
    assert.deepEqual([state.focus, state.drilled?.key], ['flows', '10.0.0.2']);
    assert.equal(state.opensExplanation, false);
    state.open();
    assert.deepEqual([state.details, state.opensExplanation], [true, true]);
    const steps = [
      () => assert.equal(state.details, false),
      () => assert.deepEqual([state.drilled, state.focus], [undefined, 'groups']),
      () => assert.equal(state.by, undefined),
      () => assert.equal(state.filter, ''),
    ];
    for (const check of steps) {
      assert.equal(state.back(), true);
      check();
    }
    assert.equal(state.back(), false);
    assert.equal(state.flowFilter, undefined);
  });

  test('a group that goes on the screen while it is open stays open', () => {
    const state = fresh();
    state.groupBy('src');
    state.showGroups(groups('10.0.0.1'));
    state.open();
    state.showGroups(groups('10.0.0.9'));
    assert.equal(state.groupOfFlows?.key, '10.0.0.1');
  });
});
