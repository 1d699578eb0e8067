// Minutes: who had most in each minute of the last day: the largest sources, destinations and services, by rate and by number of flows, as
// they were when the minute ended. One pass over all flows a minute; kept in few numbers.

import { createFlowView } from '../ctnetlink/view.js';
import { formatFilter, TimeSlice } from '../library/index.js';
import { type FlowColumns, RATED, UNREPLIED } from './flow-columns.js';
import type { FlowGroup } from './flow-group.js';
import type { FlowStore } from './flow-store.js';
import { GroupIndex, REST } from './group-index.js';
import { type Grouping, KEY_WORDS, parseGrouping } from './group-keys.js';
import { largestOf } from './largest.js';
import type { MinuteSort } from './meter-names.js';
import { bothWays } from './metered-flow.js';

/** What is remembered. */
export const MINUTE_GROUPINGS = ['src', 'dst', 'service'] as const;
/** One of them. */
export type MinuteGrouping = (typeof MINUTE_GROUPINGS)[number];

/** Who had most in a minute. */
export interface MinuteGroups {
  /** When it began, in seconds since the epoch. */
  readonly minute: number;
  readonly by: MinuteGrouping;
  /** All flows that there were. */
  readonly matched: number;
  /** At most 20: ten by rate, ten by flows. Their rates are averages of about 10 seconds, when the minute ended. */
  readonly groups: readonly Pick<FlowGroup, 'key' | 'filter' | 'flows' | 'unreplied' | 'average'>[];
  /** How many groups there were. */
  readonly count: number;
}

const SECONDS = 60;
/** Minutes that are kept. */
const KEPT = 24 * 60;
/** Of each order. */
const BEST = 10;
/** Numbers of a group that are kept: flows, unreplied, both averages. */
const NUMBERS = 4;

/** The largest groups of a grouping. */
interface Best {
  readonly keys: Int32Array;
  readonly numbers: Float64Array;
  readonly count: number;
}

interface Minute {
  readonly number: number;
  readonly matched: number;
  readonly best: Readonly<Record<MinuteGrouping, Best>>;
}

export class Minutes {
  readonly #ring: (Minute | undefined)[] = new Array(KEPT).fill(undefined);
  #last: number;

  /** It begins at a time in seconds since the epoch. */
  constructor(seconds: number) {
    this.#last = Math.floor(seconds / SECONDS);
  }

  /** Notes the minute that has ended, once. */
  async note(seconds: number, store: FlowStore): Promise<void> {
    const now = Math.floor(seconds / SECONDS);
    if (now === this.#last) return;
    this.#last = now;
    this.#ring[(now - 1) % KEPT] = { number: now - 1, matched: store.columns.count, best: await bestGroups(store) };
  }

  /** Who had most in the minute of a time in seconds since the epoch; `undefined` where that is not known. */
  at(seconds: number, by: MinuteGrouping, sort: MinuteSort, limit: number, names: FlowStore['names']): MinuteGroups | undefined {
    const number = Math.floor(seconds / SECONDS);
    const minute = this.#ring[number % KEPT];
    if (minute?.number !== number) return undefined;
    const { keys, numbers, count } = minute.best[by];
    const grouping = parseGrouping(by);
    const groups = Array.from({ length: numbers.length / NUMBERS }, (_, n) => {
      const { key, filter } = grouping.describe(keys.subarray(n * grouping.words, (n + 1) * grouping.words), names);
      const [flows = 0, unreplied = 0, original = Number.NaN, reply = Number.NaN] = numbers.subarray(n * NUMBERS);
      return {
        key,
        ...(filter === undefined ? {} : { filter: formatFilter(filter) }),
        flows,
        unreplied,
        ...(Number.isNaN(original) ? {} : { average: bothWays(original, reply) }),
      };
    });
    const amount = ({ flows, unreplied, average }: (typeof groups)[number]) =>
      sort === 'average' ? (average ? average.original + average.reply : -1) : sort === 'flows' ? flows : unreplied;
    groups.sort((a, b) => amount(b) - amount(a));
    return { minute: number * SECONDS, by, matched: minute.matched, groups: groups.slice(0, limit), count };
  }
}

/** One pass over all flows. */
async function bestGroups(store: FlowStore): Promise<Minute['best']> {
  const sums = MINUTE_GROUPINGS.map((by) => new MinuteSums(parseGrouping(by)));
  const view = createFlowView();
  await store.each((slot) => {
    if (!store.read(slot, view)) return;
    for (let n = 0; n < sums.length; n++) sums[n]!.add(store.columns, slot, view);
  }, new TimeSlice());
  return Object.fromEntries(MINUTE_GROUPINGS.map((by, n) => [by, sums[n]!.best()])) as Minute['best'];
}

/** Sums of the groups of one pass. */
class MinuteSums {
  readonly #grouping: Grouping;
  readonly #index: GroupIndex;
  readonly #key = new Int32Array(KEY_WORDS);
  /** `NUMBERS` of each group, and whether a rate is among them. */
  #numbers: Float64Array;
  #rated: Uint8Array;

  constructor(grouping: Grouping) {
    this.#grouping = grouping;
    this.#index = new GroupIndex(grouping);
    this.#numbers = new Float64Array(NUMBERS * this.#index.capacity);
    this.#rated = new Uint8Array(this.#index.capacity);
  }

  add(columns: FlowColumns, slot: number, view: ReturnType<typeof createFlowView>): void {
    this.#grouping.read(view, columns.table[slot]!, this.#key);
    const group = this.#index.numberOf(this.#key);
    if (this.#index.capacity > this.#rated.length) this.#grow();
    const flags = columns.flags[slot]!;
    const at = NUMBERS * group;
    const numbers = this.#numbers;
    numbers[at]!++;
    if (flags & UNREPLIED) numbers[at + 1]!++;
    if ((flags & RATED) === 0) return;
    numbers[at + 2]! += columns.averageOriginal[slot]!;
    numbers[at + 3]! += columns.averageReply[slot]!;
    this.#rated[group] = 1;
  }

  best(): Best {
    const { words } = this.#grouping;
    const end = this.#index.end;
    const column = (of: (at: number, group: number) => number) =>
      Float64Array.from({ length: end }, (_, group) => (group === REST ? Number.NaN : of(NUMBERS * group, group)));
    const numbers = this.#numbers;
    const rates = column((at, group) => (this.#rated[group] === 1 ? numbers[at + 2]! + numbers[at + 3]! : Number.NaN));
    const chosen = [...new Set([...largestOf(rates, BEST), ...largestOf(column((at) => numbers[at]!), BEST)])]; // biome-ignore format: one expression
    const best = {
      keys: new Int32Array(words * chosen.length),
      numbers: new Float64Array(NUMBERS * chosen.length),
      count: end - 1,
    };
    for (const [n, group] of chosen.entries()) {
      best.keys.set(this.#index.keyOf(group), n * words);
      best.numbers.set(numbers.subarray(NUMBERS * group, NUMBERS * (group + 1)), NUMBERS * n);
      if (this.#rated[group] === 0) best.numbers.fill(Number.NaN, NUMBERS * n + 2, NUMBERS * (n + 1));
    }
    return best;
  }

  #grow(): void {
    const { capacity } = this.#index;
    const numbers = new Float64Array(NUMBERS * capacity);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
    const rated = new Uint8Array(capacity);
    rated.set(this.#rated);
    this.#rated = rated;
  }
}
