// The model of a list: where the cursor is, whatever happens to the rows.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { seedFromEnvironment } from '../../test/support/random.js';
import { offsetAround } from '../meter/index.js';
import { ListView } from './list-view.js';

const SEED = 20271;

/** A list of numbers that answers as a meter does. */
class Scene {
  readonly view = new ListView<number>();
  rows: number[];
  height: number;

  constructor(rows: readonly number[], height: number) {
    this.rows = [...rows];
    this.height = height;
    this.ask();
  }

  /** Asks for the part that the view wants. */
  ask(): void {
    this.view.resize(this.height);
    const { offset, around } = this.view.part;
    const index = around ? this.rows.indexOf(around.id) : -1;
    const from = offsetAround(index, around?.row, offset, this.height, this.rows.length);
    this.view.show(this.rows.slice(from, from + this.height), from, this.rows.length);
  }

  move(by: number): void {
    if (this.view.move(by)) this.ask();
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

suite('a list', () => {
  test('has its first row selected until somebody moves, whatever that is', () => {
    const scene = new Scene(numbers(50), 10);
    assert.equal(scene.view.current, 0);
    scene.rows.reverse();
    scene.ask();
    assert.equal(scene.view.current, 49);
    assert.equal(scene.view.row, 0);
  });

  test('keeps the selected row where the order changes, and scrolls only if that would leave the screen', () => {
    const scene = new Scene(numbers(50), 10);
    scene.move(3);
    assert.deepEqual([scene.view.current, scene.view.row], [3, 3]);
    scene.rows = [3, ...numbers(50).filter((n) => n !== 3)];
    scene.ask();
    assert.deepEqual([scene.view.current, scene.view.row, scene.view.offset], [3, 0, 0]);
    scene.rows = [...numbers(50).filter((n) => n !== 3), 3];
    scene.ask();
    assert.deepEqual([scene.view.current, scene.view.row, scene.view.offset], [3, 9, 40]);
  });

  test('selects what comes in the place of a row that has gone', () => {
    const scene = new Scene(numbers(50), 10);
    scene.move(3);
    scene.rows = scene.rows.filter((n) => n !== 3);
    scene.ask();
    assert.deepEqual([scene.view.current, scene.view.row], [4, 3]);
    scene.rows = [0, 1];
    scene.ask();
    assert.equal(scene.view.current, 1);
    scene.rows = [];
    scene.ask();
    assert.equal(scene.view.current, undefined);
  });

  test('follows a row in the middle', () => {
    const scene = new Scene(numbers(50), 10);
    scene.move(20);
    scene.view.follows = true;
    scene.ask();
    assert.deepEqual([scene.view.current, scene.view.row], [20, 5]);
    scene.rows = scene.rows.map((n) => (n + 7) % 50);
    scene.ask();
    assert.deepEqual([scene.view.current, scene.view.row], [20, 5]);
    scene.move(1);
    assert.equal(scene.view.follows, false);
  });

  test('goes to any place, and not beyond the ends', () => {
    const scene = new Scene(numbers(50), 10);
    const places = [
      [49, 49],
      [0, 0],
      [25, 25],
      [1000, 49],
      [-5, 0],
    ] as const;
    for (const [place, expected] of places) {
      if (scene.view.goTo(place)) scene.ask();
      assert.equal(scene.view.current, expected);
    }
  });

  test('several moves before an answer are all of them', () => {
    const scene = new Scene(numbers(50), 10);
    for (let n = 0; n < 30; n++) scene.view.move(1);
    scene.ask();
    assert.equal(scene.view.current, 30);
    assert.ok(scene.view.row < 10);
  });

  test('begins anew', () => {
    const scene = new Scene(numbers(50), 10);
    scene.move(30);
    scene.view.reset();
    scene.ask();
    assert.deepEqual([scene.view.current, scene.view.offset], [0, 0]);
  });
});

type Step =
  | { readonly kind: 'move'; readonly by: number }
  | { readonly kind: 'shuffle'; readonly seed: number }
  | { readonly kind: 'leave'; readonly at: number }
  | { readonly kind: 'come'; readonly at: number }
  | { readonly kind: 'resize'; readonly height: number }
  | { readonly kind: 'follow' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('move' as const), by: fc.integer({ min: -30, max: 30 }) }),
  fc.record({ kind: fc.constant('shuffle' as const), seed: fc.nat(1000) }),
  fc.record({ kind: fc.constant('leave' as const), at: fc.nat(100) }),
  fc.record({ kind: fc.constant('come' as const), at: fc.nat(100) }),
  fc.record({ kind: fc.constant('resize' as const), height: fc.integer({ min: 1, max: 40 }) }),
  fc.constant({ kind: 'follow' as const }),
);

test('whatever happens, the cursor stays with its row as long as that is there, and on the screen', () => {
  fc.assert(
    fc.property(fc.nat(60), fc.integer({ min: 1, max: 40 }), fc.array(step, { maxLength: 60 }), (count, height, steps) => {
      const scene = new Scene(numbers(count), height);
      const { view } = scene;
      let next = count;
      let selected: number | undefined;
      for (const one of steps) {
        switch (one.kind) {
          case 'move': {
            const place = view.offset + view.row;
            scene.move(one.by);
            const last = Math.max(0, scene.rows.length - 1);
            assert.equal(view.current, scene.rows[Math.max(0, Math.min(place + one.by, last))]);
            selected = view.current;
            break;
          }
          case 'shuffle':
            scene.rows.sort((a, b) => ((a * 7919 + one.seed) % 101) - ((b * 7919 + one.seed) % 101) || a - b);
            break;
          case 'leave':
            scene.rows.splice(one.at % Math.max(1, scene.rows.length), 1);
            break;
          case 'come':
            scene.rows.splice(one.at % (scene.rows.length + 1), 0, next++);
            break;
          case 'resize':
            scene.height = one.height;
            break;
          case 'follow':
            view.follows = true;
        }
        scene.ask();
        assert.ok(view.row >= 0 && view.row < scene.height);
        assert.equal(view.total, scene.rows.length);
        assert.equal(view.current, scene.rows[view.offset + view.row]);
        if (selected !== undefined && scene.rows.includes(selected)) assert.equal(view.current, selected);
        else if (selected === undefined) assert.equal(view.row, 0);
        else selected = view.current;
        // No room is wasted.
        assert.ok(view.offset === 0 || view.offset + scene.height <= Math.max(scene.rows.length, scene.height));
      }
    }),
    { seed: seedFromEnvironment(SEED), numRuns: 500 },
  );
});
