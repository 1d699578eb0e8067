// Expectations: the public API for the connections that helpers expect.

import { type ExpectationEvent, expectationEvent } from '../ctnetlink/event.js';
import { type Expectation, ExpectationReader } from '../ctnetlink/expectation.js';
import {
  type ExpectationKeyInput,
  type NewExpectation,
  toExpectationKey,
  toExpectationSpec,
} from '../ctnetlink/new-expectation.js';
import { EXPECTATION_STATISTICS } from '../ctnetlink/statistics.js';
import { isMissing } from '../errors.js';
import type { CallOptions, EventsOptions, FamilyOptions } from './call-options.js';
import { checkOptions, EVENT_OPTIONS, FAMILY_OPTIONS } from './check-options.js';
import { type ExpectationStatistics, toStatistics } from './cpu-statistics.js';
import { EventQueue } from './events/event-queue.js';
import { EventStream } from './events/event-stream.js';
import type { DeleteResult } from './results.js';
import { Listing, type Session } from './session.js';
import { familyNumber } from './table.js';

/** The expectations of a table: `conntrack.expectations`. */
export class Expectations {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * The expectations, of one family or both. Matches `-L expect`. @throws ValueError at once; KernelError, ClosedError, the signal's
   * reason while iterating
   */
  list(options: FamilyOptions = {}): Listing<Expectation> {
    checkOptions(options, FAMILY_OPTIONS);
    const { table } = this.#session;
    const family = familyNumber(options.family);
    return new Listing(() => {
      const reader = new ExpectationReader();
      return this.#session.iterate(
        (visitor) => table.scanExpectations(family, visitor, true),
        (view) => reader.read(view),
        options,
      );
    });
  }

  /** The expectation with this tuple; `undefined` if there is none. Matches `-G expect`. @throws ValueError, KernelError */
  get(key: ExpectationKeyInput, options: CallOptions = {}): Promise<Expectation | undefined> {
    return this.#session.run(options, () => {
      const { family, tuple } = toExpectationKey(key);
      let found: Expectation | undefined;
      try {
        this.#session.table.getExpectation(family, tuple, (view) => {
          found = new ExpectationReader().read(view);
        });
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      return found;
    });
  }

  /** Creates an expectation. Matches `-I expect`. @throws ValueError; KernelError with `code` ENOENT when the master does not exist */
  create(expectation: NewExpectation, options: CallOptions = {}): Promise<void> {
    return this.#session.run(options, () => this.#session.table.createExpectation(toExpectationSpec(expectation)));
  }

  /** Deletes the expectation with this tuple; not finding one is not an error. Matches `-D expect`. @throws ValueError, KernelError */
  delete(key: ExpectationKeyInput, options: CallOptions = {}): Promise<DeleteResult> {
    return this.#session.run(options, () => {
      const { family, tuple } = toExpectationKey(key);
      let deleted = 1;
      try {
        this.#session.table.deleteExpectation(family, tuple);
      } catch (error) {
        if (!isMissing(error)) throw error;
        deleted = 0;
      }
      return { matched: deleted, deleted, alreadyGone: 0, failed: 0 };
    });
  }

  /**
   * Expectations that begin and end, from now on. Matches `-E expect`. @throws ValueError, SystemError, ClosedError; while iterating, the
   * signal's reason
   */
  events(options: EventsOptions = {}): EventStream<ExpectationEvent> {
    checkOptions(options, EVENT_OPTIONS);
    const { receiveBuffer, initial = false, resync = false, program = false } = options;
    const programOf = this.#session.programs(program);
    const reader = new ExpectationReader();
    const watch = this.#session.watch(options, { table: 'expect', receiveBuffer, initial, resync });
    const queue = new EventQueue(watch, (view) => expectationEvent(view, reader.read(view), programOf(view)), options);
    this.#session.attach(queue, options);
    return EventStream.of(queue);
  }

  /** Drops all expectations, of both families. Matches `-F expect`. @throws KernelError */
  flush(options: CallOptions = {}): Promise<void> {
    return this.#session.run(options, () => this.#session.table.flushExpectations());
  }

  /** How many there are, of one family or both. Matches `-C expect`. @throws KernelError */
  count(options: FamilyOptions = {}): Promise<number> {
    const work = async () => {
      let entries = 0;
      const visitor = { entry: () => entries++, ...this.#session.patience(options) };
      await this.#session.table.scanExpectations(familyNumber(options.family), visitor, true);
      return entries;
    };
    return this.#session.run(options, work, FAMILY_OPTIONS);
  }

  /** Counters of each CPU. Matches `-S expect`. @throws KernelError */
  statistics(options: CallOptions = {}): Promise<ExpectationStatistics[]> {
    return this.#session.run(options, async () => {
      const all: ExpectationStatistics[] = [];
      await this.#session.table.scanExpectationStatistics((view) => all.push(toStatistics(view, EXPECTATION_STATISTICS)));
      return all;
    });
  }
}
