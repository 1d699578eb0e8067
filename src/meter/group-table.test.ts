import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowMessage } from '../../test/unit/event-messages.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { FlowColumns } from './flow-columns.js';
import { parseGrouping } from './group-keys.js';
import { GroupSums } from './group-sums.js';
import { GroupTable } from './group-table.js';

const view = createFlowView();

function listed(host: number, mark = 0): View {
  const src = [10, host >> 16, (host >> 8) & 0xff, host & 0xff];
  const message = flowMessage('listed', { protonum: 17, src, dst: [192, 0, 2, 1], sport: 1, dport: 2, id: host, mark });
  view.decode(message, 0, message.length);
  return view;
}

/** A grouping by source, of flows of so many hosts, one each. */
function sources(hosts: number): { columns: FlowColumns; table: GroupTable; slots: number[] } {
  const columns = new FlowColumns();
  const table = new GroupTable(parseGrouping('src'), columns, 0);
  const slots = Array.from({ length: hosts }, (_, host) => {
    const slot = columns.allocate(1 + host, 0);
    table.join(slot, listed(host), 0);
    table.began(slot);
    table.ended(slot, host % 2 === 0);
    table.count(slot, host, 1, 2, 3);
    return slot;
  });
  return { columns, table, slots };
}

function nameOf(table: GroupTable, group: number): string {
  return table.grouping.describe(table.keyOf(group), { tables: [], labels: undefined }).key;
}

const total = (numbers: Float64Array) => numbers.reduce((sum, number) => sum + number, 0);

test('groups without flows are forgotten, and the rest has what was counted for them', () => {
  const HOSTS = 10_000;
  const { columns, table, slots } = sources(HOSTS);
  assert.equal(table.end, HOSTS + 1);
  const stay = (host: number) => host % 5 === 0;
  for (const [host, slot] of slots.entries()) if (!stay(host)) columns.release(slot);
  // As of a slot that is used again.
  const again = columns.allocate(1, 0);
  table.join(again, listed(3), 0);
  table.compact();
  assert.equal(table.generation, 1);
  assert.equal(table.end, HOSTS / 5 + 2);
  let forgotten = 0;
  for (const [host, slot] of slots.entries()) {
    if (!stay(host)) {
      if (host !== 3) forgotten += host;
      continue;
    }
    const group = table.column[slot]!;
    assert.equal(nameOf(table, group), `10.${host >> 16}.${(host >> 8) & 0xff}.${host & 0xff}`);
    assert.equal(table.counted.bytesOriginal[group], host);
    assert.equal(table.counted.begun[group], 1);
  }
  assert.equal(nameOf(table, table.column[again]!), '10.0.0.3');
  assert.equal(table.counted.bytesOriginal[0], forgotten);
  assert.equal(total(table.counted.bytesOriginal), (HOSTS * (HOSTS - 1)) / 2);
  assert.equal(total(table.counted.begun), HOSTS);
  assert.equal(total(table.counted.ended), HOSTS);
  assert.equal(total(table.counted.endedUnreplied), HOSTS / 2);
  assert.equal(total(table.counted.bytesReply), HOSTS);
  assert.equal(total(table.counted.packetsOriginal), 2 * HOSTS);
  assert.equal(total(table.counted.packetsReply), 3 * HOSTS);
  // They go on.
  table.count(slots[5]!, 1000, 0, 0, 0);
  assert.equal(table.counted.bytesOriginal[table.column[slots[5]!]!], 1005);
  const slot = columns.allocate(2, 0);
  table.join(slot, listed(7), 0);
  assert.equal(nameOf(table, table.column[slot]!), '10.0.0.7');
});

test('a few groups, or many that are in use, are left as they are', () => {
  const few = sources(1000);
  for (const slot of few.slots) few.columns.release(slot);
  few.table.compact();
  assert.deepEqual([few.table.generation, few.table.end], [0, 1001]);
  const many = sources(9000);
  for (const slot of many.slots.slice(0, 4000)) many.columns.release(slot);
  many.table.compact();
  assert.deepEqual([many.table.generation, many.table.end], [0, 9001]);
});

test('the history of a group stays with it', () => {
  const { columns, table, slots } = sources(9000);
  const rates = new Float64Array(table.end);
  for (const host of [10, 20, 30]) rates[table.column[slots[host]!]!] = host;
  table.history.add(0, rates);
  table.history.add(1000, rates);
  for (const [host, slot] of slots.entries()) if (host % 20 !== 0) columns.release(slot);
  table.compact();
  assert.deepEqual(table.history.of(table.column[slots[20]!]!), [20, 20]);
  assert.equal(table.history.of(table.column[slots[40]!]!), undefined);
});

test('the history is of a minute, and of the 256 largest groups', () => {
  const { table } = sources(1000);
  const rates = Float64Array.from({ length: table.end }, (_, group) => group);
  for (let second = 0; second <= 70; second += 2) table.history.add(second * 1000, rates);
  const kept = Array.from({ length: table.end }, (_, group) => group).filter((group) => table.history.of(group));
  assert.deepEqual(
    kept,
    Array.from({ length: 256 }, (_, n) => 745 + n),
  );
  assert.equal(table.history.of(1000)!.length, 30);
  rates.fill(0);
  table.history.add(72_000, rates);
  assert.equal(table.history.of(1000), undefined);
});

test('a flow changes its group when a message says so, and when a complete one does not', () => {
  const columns = new FlowColumns();
  const table = new GroupTable(parseGrouping('mark'), columns, 0);
  const slot = columns.allocate(1, 0);
  const name = () => nameOf(table, table.column[slot]!);
  table.join(slot, listed(1, 5), 0);
  assert.equal(name(), '5');
  const silent = flowMessage('update', { protonum: 17, src: [10, 0, 0, 1], dst: [192, 0, 2, 1], sport: 1, dport: 2, id: 1 });
  view.decode(silent, 0, silent.length);
  table.move(slot, view, 0, false);
  assert.equal(name(), '5');
  table.move(slot, view, 0, true);
  assert.equal(name(), '0');
  table.move(slot, listed(1, 6), 0, false);
  assert.equal(name(), '6');
});

test('rates of both directions are summed', () => {
  const sums = new GroupSums(3);
  sums.rateOriginal[1] = 3;
  sums.rateReply[1] = 4;
  sums.rateReply[2] = 1;
  assert.deepEqual([...sums.rates()], [0, 7, 1]);
});
