// The tracker against a kernel made of a Map: entries come, change and go while the table is listed in batches, events wait in a
// queue that may overflow, an event may come after its entry, an entry may stay a while behind its last event, and the next entry of
// a tuple may have the id of the one before.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { eventType } from '../../src/ctnetlink/event-type.js';
import { ORIGINAL, REPLY, S, T } from '../../src/ctnetlink/fields.js';
import { areTwoFlows, isClash, lastingStatus } from '../../src/ctnetlink/flow-identity.js';
import { createFlowView, ORIGIN_INITIAL, ORIGIN_KERNEL, ORIGIN_RESYNC, type View } from '../../src/ctnetlink/view.js';
import { type ListVisitor, TableTracker, type TrackedTable } from '../../src/library/events/table-tracker.js';
import { Random } from '../support/random.js';
import { flowMessage, type Kind, type TestFlow } from './event-messages.js';

const SEEN_REPLY = 2;
const ASSURED = 4;
const CONFIRMED = 8;
const DYING = 0x200;
const LASTING = SEEN_REPLY | ASSURED;
const TUPLES = 24;
const BILLION = 1_000_000_000n;

type Flow = { -readonly [K in keyof TestFlow]: TestFlow[K] };

class Kernel implements TrackedTable {
  readonly id = S.id;
  readonly times = { start: S.timestampStart, event: S.timestampEvent };
  readonly createView = createFlowView;
  readonly isClash = isClash;
  readonly areTwo = areTwoFlows;
  readonly lasting = lastingStatus;
  readonly table = new Map<number, Flow>();
  readonly random: Random;
  /** Events that fit. */
  readonly capacity: number;
  lost = 0;
  /** Whether something happens while the table is listed. */
  restless = true;
  /** Nanoseconds. */
  #clock = 1_790_000_000n * BILLION;
  readonly #timestamps: boolean;
  #queue: Uint8Array[] = [];
  #congested = false;
  #late: (() => void) | undefined;
  #serial = 0;
  /** The last id of each tuple. */
  readonly #ids = new Map<number, number>();

  constructor(random: Random, capacity: number) {
    this.random = random;
    this.capacity = capacity;
    this.#timestamps = random.chance(0.3);
  }

  key = (view: View) => view.be16(S.zone);
  isDying = (view: View) => (view.be32(S.status) & DYING) !== 0;
  differ = (before: View, now: View) => before.be32(S.mark) !== now.be32(S.mark) || before.be32(S.status) !== now.be32(S.status);

  /** Something happens to an entry. */
  act(): void {
    this.finish();
    this.#clock += BigInt(this.random.below(3_000_000_000));
    const n = this.random.below(TUPLES);
    const flow = this.table.get(n);
    if (!flow) this.#begin(n);
    else if (this.random.chance(0.5)) {
      this.#send('destroy', flow);
      flow.status = flow.status! | DYING;
      if (this.random.chance(0.3)) this.#late = () => this.table.delete(n);
      else this.table.delete(n);
    } else {
      if (this.random.chance(0.5)) flow.mark = this.random.below(3);
      else flow.status = flow.status! | (this.random.chance(0.5) ? SEEN_REPLY : LASTING);
      this.#send('update', flow);
    }
  }

  #begin(n: number): void {
    const serial = ++this.#serial;
    const id = (this.random.chance(0.6) && this.#ids.get(n)) || serial;
    this.#ids.set(n, id);
    const made: Flow = {
      protonum: n % 2 === 0 ? 6 : 17,
      src: [10, 0, 0, n >> 1],
      dst: [10, 0, 1, 1],
      sport: 1,
      dport: 2,
      zone: n % 3,
      id,
      mark: this.random.below(3),
      status: CONFIRMED,
      timeout: serial,
      replyPort: this.random.chance(0.2) ? 3 : 1,
      ...(this.#timestamps ? { start: this.#clock } : {}),
    };
    this.table.set(n, made);
    const told = { ...made };
    // The kernel's second step may take a while.
    if (this.random.chance(0.3)) this.#late = () => this.#send('new', told);
    else this.#send('new', told);
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

  #send(kind: Kind, flow: Flow): void {
    if (this.#congested || this.#queue.length >= this.capacity) {
      this.#congested = true;
      this.lost++;
      return;
    }
    const { start, ...rest } = flow;
    const told = kind === 'destroy' ? flow : rest;
    this.#queue.push(flowMessage(kind, start === undefined ? told : { ...told, at: this.#clock }));
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

  async list({ beginBatch, entry, pause }: ListVisitor): Promise<void> {
    const view = createFlowView();
    for (let from = 0; from < TUPLES; from += 4) {
      const batch = [...this.table].filter(([n]) => n >= from && n < from + 4).map(([, flow]) => flowMessage('listed', flow));
      this.some(4);
      await beginBatch();
      for (const message of batch) {
        view.decode(message, 0, message.length);
        entry(view);
        await pause();
      }
      this.some(2);
    }
  }

  /** How a tracker lists this table: events may be applied in every pause. */
  steps(tracker: TableTracker) {
    return {
      catchUp: () => this.drain(tracker),
      pause: () => {
        this.some(1);
        if (this.random.chance(0.3)) this.drain(tracker);
        return this.random.chance(0.3) ? Promise.resolve() : undefined;
      },
    };
  }
}

/** What a reader knows of an entry. */
interface Known {
  readonly serial: number;
  /** Serial number of the entry that was shown to begin. */
  readonly begun: number;
  readonly id: number;
  readonly mark: number;
  readonly reply: number;
  /** All lasting bits that it has had. */
  readonly lasting: number;
  /** When it began; or, where only that is known, when its NEW event was sent. */
  readonly start?: bigint | undefined;
  readonly newAt?: bigint | undefined;
}

/** Who reads what the tracker shows, and knows entries by their tuples. */
class Reader {
  readonly known = new Map<string, Known>();
  /** What can be wrong even where nothing was lost. */
  readonly faults: string[] = [];
  /** Entries that took the place of another, and could have been told from it. */
  readonly mistaken: string[] = [];
  /** Serial numbers of those that were shown to begin and to end. */
  readonly #ended = new Set<number>();
  /** Entries that were shown to end, and to begin again. */
  readonly torn: string[] = [];
  /** Entries that took the place of another, with its id. */
  takenOver = 0;
  marked = 0;

  show = (view: View): void => {
    const at = view.offset(ORIGINAL + T.v4Src);
    const tuple = `${view.u8(ORIGINAL + T.protonum)} ${view.bytes.slice(at, at + 4)} ${view.be16(S.zone)}`;
    const type = eventType(view);
    const now: Known = {
      serial: view.be32(S.timeout),
      begun: view.be32(S.timeout),
      id: view.be32(S.id),
      mark: view.be32(S.mark),
      reply: view.be16(REPLY + T.dport),
      lasting: view.be32(S.status) & LASTING,
      start: view.has(S.timestampStart) ? view.be64(S.timestampStart) : undefined,
      newAt: type === 0 && view.origin === ORIGIN_KERNEL && view.has(S.timestampEvent) ? view.be64(S.timestampEvent) : undefined,
    };
    const before = this.known.get(tuple);
    if (type === 0 ? before !== undefined : before?.serial !== now.serial)
      this.faults.push(`${['NEW', 'UPDATE', 'DESTROY'][type]} ${tuple} ${now.serial}, known ${before?.serial}`);
    if (view.origin === ORIGIN_RESYNC) this.marked++;
    if (view.origin === ORIGIN_INITIAL) assert.equal(type, 0);
    if (type === 2) {
      this.known.delete(tuple);
      if (before) this.#ended.add(before.begun);
    } else if (type === 1 && before) {
      this.#compare(before, now, view.origin === ORIGIN_RESYNC, tuple);
      const { begun, newAt } = before;
      this.known.set(tuple, { ...now, begun, newAt, start: now.start ?? before.start, lasting: now.lasting | before.lasting });
    } else {
      this.known.set(tuple, now);
      if (this.#ended.has(now.serial)) this.torn.push(`${tuple} ${now.serial}`);
    }
  };

  /** Whether what is shown as one entry is certainly two. */
  #compare(before: Known, now: Known, listed: boolean, what: string): void {
    if (before.serial === now.serial) return;
    this.takenOver++;
    const tellsByTime =
      now.start !== undefined &&
      ((before.start !== undefined && before.start !== now.start) ||
        (before.newAt !== undefined && now.start > before.newAt + 3n * BILLION));
    if (before.id !== now.id || before.reply !== now.reply || (listed && (before.lasting & ~now.lasting) !== 0) || tellsByTime)
      this.mistaken.push(`${what}: entry ${before.serial} is shown as ${now.serial}`);
  }

  /** Compares with the table. */
  compareAll(kernel: Kernel): void {
    for (const { protonum, src, zone, id, mark, timeout, replyPort, status, start } of kernel.table.values()) {
      const tuple = `${protonum} ${src} ${zone}`;
      const before = this.known.get(tuple);
      if (!before) continue;
      const now = { serial: timeout!, begun: timeout!, id, mark: mark!, reply: replyPort!, lasting: status! & LASTING, start };
      this.#compare(before, now, true, tuple);
    }
  }

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
  const tracker = new TableTracker(kernel, wanted, reader.show, { onlyKnown });
  kernel.some(40);
  kernel.finish();
  kernel.drain(new TableTracker(kernel, undefined, () => {})); // before the watch
  kernel.lost = 0;
  const steps = kernel.steps(tracker);
  const catchUp = () => kernel.drain(tracker);
  kernel.some(3);
  await tracker.list('initial', steps);
  for (let round = 0; round < 4; round++) {
    kernel.some(30);
    catchUp();
    if (kernel.lost > 0 && kernel.random.chance(0.5)) assert.ok((await tracker.list('resync', steps)) >= 0);
  }
  kernel.finish();
  catchUp();
  // A last repair; as long as events are lost meanwhile, it is none.
  for (let lost = 0; lost !== kernel.lost; ) {
    lost = kernel.lost;
    kernel.restless = kernel.random.chance(0.3);
    await tracker.list('resync', steps);
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
  let takenOver = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.boolean(), fc.integer({ min: 1, max: 12 }), async (seed, onlyTcp, capacity) => {
      const { kernel, reader, tracker } = await follow(seed, capacity, onlyTcp);
      if (kernel.lost > 0) lossy++;
      marked += reader.marked;
      takenOver += reader.takenOver;
      reader.compareAll(kernel);
      assert.deepEqual(reader.mistaken, []);
      assert.deepEqual(reader.torn, []);
      assert.deepEqual(reader.entries(), entriesOf(kernel, isWanted(onlyTcp)));
      assert.equal(tracker.size, reader.known.size);
    }),
    { numRuns: 150 },
  );
  assert.ok(takenOver > 10, `${takenOver} entries that nothing tells from those before`);
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
      { onlyKnown },
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

/** A tracker whose events and lists a test writes down. What it shows: a letter for each event, and the mark, which a test gives. */
class Script {
  readonly shown: string[] = [];
  now = 0;
  readonly #view = createFlowView();
  readonly #listed: Uint8Array[] = [];
  readonly tracker: TableTracker;

  constructor(onlyKnown = false) {
    const table = Object.assign(new Kernel(new Random(1), 10), {
      list: async ({ beginBatch, entry }: ListVisitor) => {
        await beginBatch();
        for (const message of this.#listed.splice(0)) {
          this.#view.decode(message, 0, message.length);
          entry(this.#view);
        }
      },
    });
    const show = (view: View) => {
      const origin = view.origin === ORIGIN_KERNEL ? '' : view.origin === ORIGIN_RESYNC ? '*' : '+';
      this.shown.push(`${'NUD'[eventType(view)]}${view.be32(S.mark)}${origin}`);
    };
    this.tracker = new TableTracker(table, undefined, show, { onlyKnown, now: () => this.now });
  }

  static flow(mark: number, more: Partial<TestFlow> = {}): TestFlow {
    const status = CONFIRMED;
    return { protonum: 17, src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2, id: 7, status, mark, ...more };
  }

  event(kind: Kind, mark: number, more: Partial<TestFlow> = {}): this {
    const message = flowMessage(kind, Script.flow(mark, more));
    this.#view.decode(message, 0, message.length);
    this.tracker.event(this.#view);
    return this;
  }

  lost(): this {
    this.tracker.missed();
    return this;
  }

  async list(reason: 'baseline' | 'initial' | 'resync', ...flows: TestFlow[]): Promise<this> {
    this.#listed.push(...flows.map((flow) => flowMessage('listed', flow)));
    await this.tracker.list(reason, { catchUp: () => {} });
    return this;
  }

  /** What was shown since this was asked last. */
  take(): string {
    return this.shown.splice(0).join(' ');
  }
}

suite('another flow of the same tuple and the same id', () => {
  const { flow } = Script;
  const start = 1_790_000_000n * BILLION;

  for (const [what, before, after] of [
    ['goes another way', {}, { replyPort: 9 }],
    ['has no answer yet', { status: CONFIRMED | SEEN_REPLY }, {}],
    ['began at another time', { start }, { start: start + 1n }],
    ['is not translated', { status: CONFIRMED | 0x20 }, {}],
  ] as const)
    test(`is found by a list, since it ${what}`, async () => {
      const script = await new Script().list('initial', flow(1, before));
      assert.equal(script.take(), 'N1+');
      await script.lost().list('resync', flow(2, after));
      assert.equal(script.take(), 'D1* N2*');
      await script.list('resync', flow(2, after));
      assert.equal(script.take(), '');
    });

  test('is found by a list, though its update came before', async () => {
    const script = await new Script().list('initial', flow(1, { status: CONFIRMED | ASSURED }));
    script.take();
    // Two processors may send the updates of one flow at the same time, and the older one may come last: this proves nothing.
    script.lost().event('update', 2);
    assert.equal(script.take(), 'U2');
    await script.list('resync', flow(2));
    assert.equal(script.take(), 'D2* N2*');
  });

  test('is found by the time it began at, though updates, which do not tell it, came before', async () => {
    const script = await new Script().list('initial', flow(1, { start }));
    script.event('update', 2).lost();
    await script.list('resync', flow(3, { start: start + BILLION }));
    assert.equal(script.take(), 'N1+ U2 D2* N3*');
  });

  test('is found by the time it began at, long behind the NEW event of the one before', async () => {
    const script = (await new Script().list('initial')).event('new', 1, { at: start }).lost();
    await script.list('resync', flow(1, { start: start + 10n * BILLION }));
    assert.equal(script.take(), 'N1 D1* N1*');
    // The NEW event of one flow may be sent a little before it begins.
    script.event('destroy', 1).event('new', 2, { at: start }).lost();
    await script.list('resync', flow(2, { start: start + 2n * BILLION }));
    assert.equal(script.take(), 'D1 N2');
  });

  test('ends the one before when its NEW event comes behind a loss', async () => {
    const script = (await new Script().list('initial')).event('new', 1).lost().event('new', 2);
    assert.equal(script.take(), 'N1 D1* N2');
    const update = (await new Script().list('initial')).event('new', 1).lost().event('update', 2, { replyPort: 9 });
    assert.equal(update.take(), 'N1 D1* N2*');
  });

  test('ends the one before when its NEW event comes while the list that repairs the loss has not shown it', async () => {
    const script = (await new Script().list('initial')).event('new', 1).lost();
    let told = false;
    const catchUp = () => {
      if (!told) script.event('new', 2);
      told = true;
    };
    await script.tracker.list('resync', { catchUp });
    assert.equal(script.take(), 'N1 D1* N2');
  });

  test('ends one that was listed long ago and may have had no events', async () => {
    const script = await new Script().list('initial', flow(1));
    script.now += 500;
    script.event('new', 1); // late: its own
    assert.equal(script.take(), 'N1+');
    await script.list('resync', flow(1));
    script.now += 2000;
    script.event('new', 2);
    assert.equal(script.take(), 'D1* N2');
  });

  test('of which nothing tells is an update, or nothing', async () => {
    const script = await new Script().list('initial', flow(1));
    await script.lost().list('resync', flow(2, { status: CONFIRMED | SEEN_REPLY }));
    assert.equal(script.take(), 'N1+ U2*');
    await script.lost().list('resync', flow(2, { status: CONFIRMED | SEEN_REPLY }));
    assert.equal(script.take(), '');
  });

  test('is told to a watcher that knew the table already, when it was told of the one before', async () => {
    const script = new Script().event('new', 1, { replyPort: 9 }).lost();
    await script.list('baseline', flow(2));
    assert.equal(script.take(), 'N1 D1* N2*');
  });
});

test('a flow that clashed with another of the same tuple leaves that alone', async () => {
  const clashed = { id: 8, status: CONFIRMED | 0x1400 };
  for (const onlyKnown of [false, true]) {
    const script = (await new Script(onlyKnown).list('initial')).event('new', 1);
    script.event('update', 2, clashed).event('destroy', 3, clashed);
    assert.equal(script.take(), onlyKnown ? 'N1' : 'N1 U2 D3');
    assert.equal(script.tracker.size, 1);
    script.event('update', 4).event('destroy', 5);
    assert.equal(script.take(), 'U4 D5');
  }
});

test('what ends while those that are gone are looked for is gone as well', async () => {
  const ports = Array.from({ length: 40 }, (_, n) => n + 10);
  const script = await new Script().list('initial', ...ports.map((sport) => Script.flow(sport, { sport })));
  // All are updated in time, so that none is gone; then all end, when some have been looked at.
  const catchUp = () => {
    for (const sport of ports) script.event('update', sport, { sport });
  };
  let ended = 0;
  const pause = async () => {
    if (ended > 0) return;
    for (const sport of ports) {
      script.event('destroy', sport, { sport });
      ended++;
    }
  };
  await script.tracker.list('resync', { catchUp, pause });
  assert.equal(ended, 40);
  assert.equal(script.tracker.size, 0);
  assert.equal(script.tracker.records().length, 0);
});
