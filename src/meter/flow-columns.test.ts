import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlowColumns } from './flow-columns.js';

test('slots are used again, numbers are not, and growing keeps everything', () => {
  const act = fc.oneof(fc.record({ add: fc.nat(700) }), fc.record({ remove: fc.nat(700) }));
  fc.assert(
    fc.property(fc.array(act, { minLength: 1, maxLength: 12 }), (acts) => {
      const columns = new FlowColumns();
      const group = () => columns.groups[1]!;
      columns.addGrouping(1);
      const model = new Map<number, { readonly slot: number; readonly record: number }>();
      let serial = 0;
      for (const act of acts) {
        if ('add' in act)
          for (let n = 0; n < act.add; n++) {
            const record = 1 + n;
            const slot = columns.allocate(record, 70_000);
            assert.notEqual(slot, 0);
            assert.equal(columns.bytesReply[slot], 0);
            assert.equal(columns.averageOriginal[slot], 0);
            assert.equal(columns.flags[slot], 0);
            columns.bytesReply[slot] = serial;
            columns.averageOriginal[slot] = serial;
            columns.flags[slot] = serial & 0xff;
            group()[slot] = serial;
            model.set(serial++, { slot, record });
          }
        else
          for (const [serial, { slot }] of [...model].slice(0, act.remove)) {
            columns.release(slot);
            model.delete(serial);
          }
        assert.equal(columns.count, model.size);
        assert.equal(columns.nextSerial, serial);
      }
      assert.equal(new Set([...model.values()].map(({ slot }) => slot)).size, model.size);
      for (const [serial, { slot, record }] of model) {
        assert.ok(slot < columns.end && columns.end <= columns.capacity);
        assert.deepEqual(
          [
            columns.record[slot],
            columns.serial[slot],
            columns.table[slot],
            columns.bytesReply[slot],
            columns.flags[slot],
            group()[slot],
          ],
          [record, serial, 70_000, serial, serial & 0xff, serial],
        );
        assert.equal(columns.averageOriginal[slot], serial);
      }
      for (const serial of [...model.keys()].slice(0, 3))
        assert.equal(columns.slotsOf(new Set([serial])).get(serial) ?? 0, model.get(serial)!.slot);
      assert.equal(columns.slotsOf(new Set([serial])).get(serial) ?? 0, 0);
    }),
    { numRuns: 40 },
  );
});

test('a slot is still the same as long as its flow lives', () => {
  const columns = new FlowColumns();
  const slot = columns.allocate(5, 0);
  const before = columns.nextSerial;
  assert.ok(columns.isStill(slot, before));
  columns.release(slot);
  assert.ok(!columns.isStill(slot, before));
  assert.equal(columns.slotsOf(new Set([0])).get(0) ?? 0, 0);
  assert.equal(columns.allocate(6, 0), slot);
  assert.ok(!columns.isStill(slot, before));
  assert.ok(columns.isStill(slot, columns.nextSerial));
});

test('a grouping that is closed is not grown', () => {
  const columns = new FlowColumns();
  columns.addGrouping(0);
  columns.addGrouping(1);
  columns.removeGrouping(0);
  for (let n = 0; n < 3000; n++) columns.allocate(1, 0);
  assert.equal(columns.groups[0], undefined);
  assert.equal(columns.groups[1]!.length, columns.capacity);
});
