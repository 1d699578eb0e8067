// Names of programs behind port ids: how often they are looked for, and how long that may take.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramNames } from '../../src/wire/program-names.js';

/** Counts look-ups, each of which takes `cost` milliseconds of its clock. */
function counted(cost = 0, most?: number) {
  const look = { now: 0, reads: 0 };
  const names = new ProgramNames(
    () => {
      look.reads++;
      look.now += cost;
      return '';
    },
    most,
    () => look.now,
  );
  return { look, names };
}

test('a program is looked up once a second for a port', () => {
  const { look, names } = counted();
  for (let n = 0; n < 100; n++) assert.equal(names.find(4711), undefined);
  assert.equal(look.reads, 1);
  names.find(4712);
  assert.equal(look.reads, 2);
  look.now = 1001;
  names.find(4711);
  assert.equal(look.reads, 3);
});

test('look-ups take a quarter of the time, however many ports there are', () => {
  const { look, names } = counted(5);
  let port = 0;
  while (look.now < 60_000) {
    names.find(port++);
    look.now += 0.05; // an event
  }
  const spent = look.reads * 5;
  assert.ok(spent > 14_000 && spent < 17_000, `${spent} ms of a minute`);
  // After a rest there is time again.
  look.now += 10_000;
  const before = look.reads;
  for (let n = 0; n < 100; n++) names.find(port++);
  assert.equal(look.reads - before, 100);
});

test('beside other work, look-ups of a moment take no longer than they may', () => {
  const { look, names } = counted(5, 25);
  for (let port = 0; port < 1000; port++) names.find(port);
  assert.equal(look.reads, 7); // the last ones begin with what is saved while the others run
});
