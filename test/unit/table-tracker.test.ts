// The tracker against a kernel made of a Map: entries come, change and go while the table is listed in batches, events wait in a
// queue that may overflow, an event may come after its entry, an entry may stay a while behind its last event.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventType } from '../../src/ctnetlink/event-type.js';
import { ORIGINAL, S, T } from '../../src/ctnetlink/fields.js';
import { createFlowView, ORIGIN_INITIAL, ORIGIN_RESYNC, type View } from '../../src/ctnetlink/view.js';
import { TableTracker, type TrackedTable } from '../../src/library/table-tracker.js';
import { Random } from '../support/random.js';
import { flowMessage, type Kind, type TestFlow } from './event-messages.js';

const DYING = 0x200;
const TUPLES = 24;

type Flow = { -readonly [K in keyof TestFlow]: TestFlow[K] };

class Kernel implements TrackedTable {
  readonly id = S.id;
  readonly createView = createFlowView;
  readonly table = new Map<number, Flow>();
  readonly random: Random;
  /** Events that fit. */
  readonly capacity: number;
  lost = 0;
  /** Whether something happens while the table is listed. */
  restless = true;
  #queue: Uint8Array[] = [];
  #congested = false;
  #late: (() => void) | undefined;
  #lastId = 0;

  constructor(random: Random, capacity: number) {
    this.random = random;
    this.capacity = capacity;
  }

  key = (view: View) => view.be16(S.zone);
  isDying = (view: View) => (view.be32(S.status) & DYING) !== 0;
  differ = (before: View, now: View) => before.be32(S.mark) !== now.be32(S.mark);

  /** Something happens to an entry. */
  act(): void {
    this.finish();
    const n = this.random.below(TUPLES);
    const flow = this.table.get(n);
    if (!flow) {
      const made = {
        protonum: n % 2 === 0 ? 6 : 17,
        src: [10, 0, 0, n >> 1],
        dst: [10, 0, 1, 1],
        sport: 1,
        dport: 2,
        zone: n % 3,
        id: ++this.#lastId,
        mark: this.random.below(3),
        status: 8,
      };
      this.table.set(n, made);
      const told = { ...made };
      // The kernel's second step may take a while.
      if (this.random.chance(0.3)) this.#late = () => this.#send('new', told);
      else this.#send('new', told);
    } else if (this.random.chance(0.5)) {
      this.#send('destroy', flow);
      flow.status = 8 | DYING;
      if (this.random.chance(0.3)) this.#late = () => this.table.delete(n);
      else this.table.delete(n);
    } else {
      flow.mark = this.random.below(3);
      this.#send('update', flow);
    }
  }

  /** What was begun is done. */
  finish(): void {
    this.#late?.();
    this.#late = undefined;
  }

  some(most: number): void {
    if (!this.restless) return;
    for (let n = this.random.below(most + 1); n > 0; n--) this.act();
  }

  #send(kind: Kind, flow: TestFlow): void {
    if (this.#congested || this.#queue.length >= this.capacity) {
      this.#congested = true;
      this.lost++;
    } else this.#queue.push(flowMessage(kind, flow));
  }

  /** Reads the queue until it is empty. */
  drain(tracker: TableTracker): void {
    const view = createFlowView();
    if (this.#congested) tracker.missed();
    for (const message of this.#queue.splice(0)) {
      view.decode(message, 0, message.length);
      tracker.event(view);
    }
    this.#congested = false;
  }

  async list(visitor: { beginBatch: () => void | Promise<void>; entry: (view: View) => void }): Promise<void> {
    const view = createFlowView();
    for (let from = 0; from < TUPLES; from += 4) {
      const batch = [...this.table].filter(([n]) => n >= from && n < from + 4).map(([, flow]) => flowMessage('listed', flow));
      this.some(4);
      await visitor.beginBatch();
      for (const message of batch) {
        view.decode(message, 0, message.length);
        visitor.entry(view);
      }
      this.some(2);
    }
  }
}

/** Who reads what the tracker shows, and knows entries by their tuples. */
class Reader {
  readonly known = new Map<string, { id: number; mark: number }>();
  readonly faults: string[] = [];
  marked = 0;

  show = (view: View): void => {
    const at = view.offset(ORIGINAL + T.v4Src);
    const tuple = `${view.u8(ORIGINAL + T.protonum)} ${view.bytes.slice(at, at + 4)} ${view.be16(S.zone)}`;
    const id = view.be32(S.id);
    const type = eventType(view);
    const before = this.known.get(tuple);
    if (type === 0 ? before !== undefined : before?.id !== id)
      this.faults.push(`${['NEW', 'UPDATE', 'DESTROY'][type]} ${tuple} ${id}, known ${before?.id}`);
    if (view.origin === ORIGIN_RESYNC) this.marked++;
    if (view.origin === ORIGIN_INITIAL) assert.equal(type, 0);
    if (type === 2) this.known.delete(tuple);
    else this.known.set(tuple, { id, mark: view.be32(S.mark) });
  };

  entries(): string[] {
    return [...this.known].map(([tuple, { id, mark }]) => `${tuple} ${id} ${mark}`).sort();
  }
}

const entriesOf = (kernel: Kernel, wanted: (protonum: number) => boolean) =>
  [...kernel.table.values()]
    .filter(({ protonum }) => wanted(protonum))
    .map(({ protonum, src, zone, id, mark }) => `${protonum} ${src} ${zone} ${id} ${mark}`)
    .sort();

interface Run {
  readonly kernel: Kernel;
  readonly reader: Reader;
  readonly tracker: TableTracker;
}

async function follow(seed: number, capacity: number, onlyTcp: boolean, onlyKnown = false): Promise<Run> {
  const kernel = new Kernel(new Random(seed), capacity);
  const reader = new Reader();
  const wanted = onlyTcp ? (view: View) => view.u8(ORIGINAL + T.protonum) === 6 : undefined;
  const tracker = new TableTracker(kernel, wanted, reader.show, onlyKnown);
  kernel.some(40);
  kernel.finish();
  kernel.drain(new TableTracker(kernel, undefined, () => {})); // before the watch
  kernel.lost = 0;
  const catchUp = () => kernel.drain(tracker);
  kernel.some(3);
  await tracker.list('initial', catchUp);
  for (let round = 0; round < 4; round++) {
    kernel.some(30);
    catchUp();
    if (kernel.lost > 0 && kernel.random.chance(0.5)) assert.ok((await tracker.list('resync', catchUp)) >= 0);
  }
  kernel.finish();
  catchUp();
  // A last repair; as long as events are lost meanwhile, it is none.
  for (let lost = 0; lost !== kernel.lost; ) {
    lost = kernel.lost;
    kernel.restless = kernel.random.chance(0.3);
    await tracker.list('resync', catchUp);
    kernel.finish();
    catchUp();
  }
  return { kernel, reader, tracker };
}

const isWanted = (onlyTcp: boolean) => (protonum: number) => !onlyTcp || protonum === 6;

test('without losses a list and events make the table, nothing begins twice, and nothing ends that has not begun', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.boolean(), async (seed, onlyTcp) => {
      const { kernel, reader } = await follow(seed, Number.POSITIVE_INFINITY, onlyTcp);
      assert.equal(kernel.lost, 0);
      assert.deepEqual(reader.faults, []);
      assert.equal(reader.marked, 0);
      assert.deepEqual(reader.entries(), entriesOf(kernel, isWanted(onlyTcp)));
    }),
    { numRuns: 150 },
  );
});

test('after losses a repair makes the table again', async () => {
  let lossy = 0;
  let marked = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.boolean(), fc.integer({ min: 1, max: 12 }), async (seed, onlyTcp, capacity) => {
      const { kernel, reader, tracker } = await follow(seed, capacity, onlyTcp);
      if (kernel.lost > 0) lossy++;
      marked += reader.marked;
      assert.deepEqual(reader.entries(), entriesOf(kernel, isWanted(onlyTcp)));
      assert.equal(tracker.size, reader.known.size);
    }),
    { numRuns: 150 },
  );
  assert.ok(lossy > 75 && marked > 400, `${lossy} runs with losses, ${marked} marked events`);
});

test('with onlyKnown nothing changes or ends that has not begun, whatever is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.boolean(), fc.integer({ min: 1, max: 12 }), async (seed, onlyTcp, capacity) => {
      const { kernel, reader } = await follow(seed, capacity, onlyTcp, true);
      assert.deepEqual(
        reader.faults.filter((fault) => fault.endsWith('known undefined')),
        [],
      );
      assert.deepEqual(reader.entries(), entriesOf(kernel, isWanted(onlyTcp)));
    }),
    { numRuns: 150 },
  );
});

test('with onlyKnown an end that nobody saw the beginning of is not shown, and an update is the beginning', () => {
  for (const onlyKnown of [false, true]) {
    const shown: string[] = [];
    const tracker = new TableTracker(
      new Kernel(new Random(1), 10),
      undefined,
      (view) => shown.push(`${eventType(view)} ${view.be32(S.id)}`),
      onlyKnown,
    );
    const view = createFlowView();
    for (const [kind, id] of [
      ['destroy', 1],
      ['update', 2],
      ['destroy', 2],
      ['destroy', 2],
    ] as const) {
      const message = flowMessage(kind, { protonum: 6, src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2, id });
      view.decode(message, 0, message.length);
      tracker.event(view);
    }
    assert.deepEqual(shown, onlyKnown ? ['0 2', '2 2'] : ['2 1', '1 2', '2 2', '2 2']);
  }
});

test('an update of an entry whose beginning was lost is its beginning', () => {
  const kernel = new Kernel(new Random(1), 10);
  const reader = new Reader();
  const tracker = new TableTracker(kernel, undefined, reader.show);
  const view = createFlowView();
  const event = (kind: Kind, id: number) => {
    const message = flowMessage(kind, { protonum: 6, src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2, id });
    view.decode(message, 0, message.length);
    tracker.event(view);
  };
  event('update', 1);
  assert.equal(reader.marked, 0, 'without a loss it is what it is');
  event('destroy', 1);
  tracker.missed();
  reader.faults.length = 0;
  event('update', 2);
  assert.equal(reader.marked, 1);
  event('new', 3); // the end of 2 was lost
  assert.equal(reader.marked, 2);
  assert.deepEqual(reader.faults, []);
});

test('what was shown stays known until its end, though later events are not wanted', () => {
  const kernel = new Kernel(new Random(1), 10);
  const reader = new Reader();
  const tracker = new TableTracker(kernel, (view) => view.be32(S.mark) === 5, reader.show);
  const view = createFlowView();
  const event = (kind: Kind, mark: number) => {
    const message = flowMessage(kind, { protonum: 6, src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2, id: 1, mark });
    view.decode(message, 0, message.length);
    tracker.event(view);
  };
  event('new', 4);
  assert.equal(reader.known.size, 0);
  event('update', 5);
  event('update', 6);
  assert.equal(reader.known.size, 1);
  event('destroy', 6);
  assert.equal(reader.known.size, 0);
  assert.equal(tracker.size, 0);
});
