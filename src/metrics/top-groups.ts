// TopGroups: the few of many groups that have metrics of their own, chosen so that series do not come and go with every scrape.

import { ValueError } from '../errors.js';
import {
  type BothWays,
  checkGrouping,
  type FlowGroup,
  type FlowMeter,
  type GroupingName,
  type GroupsAnswer,
  TooManyGroupingsError,
} from '../meter/index.js';

/** A grouping, and how many of its groups have metrics. */
export interface TopGrouping {
  /** As of `meter.groups`: `src`, `src/24`, `service`. */
  readonly by: string;
  /** 1 to 100. */
  readonly limit: number;
}

/** A group with metrics. */
export interface ShownGroup {
  readonly by: string;
  /** `other`: all without metrics of their own. */
  readonly key: string;
  readonly flows: number;
  readonly average: BothWays | undefined;
}

export const MOST_TOP_GROUPINGS = 4;
export const MOST_TOP_GROUPS = 100;
/** A group has metrics for so many milliseconds after it was among the largest. */
const KEPT = 5 * 60_000;
/** How many of the largest are looked at, for each that is shown: those that were larger before are among them. */
const LOOKED_AT = 3;

/** Which groups have metrics; made once for all scrapes, so that a group that falls behind keeps its series for a while. */
export class TopGroups {
  readonly #groupings: readonly { readonly by: GroupingName; readonly limit: number; readonly kept: Map<string, number> }[];
  readonly #now: () => number;

  /** `now`: milliseconds of a clock that nobody sets. @throws ValueError */
  constructor(groupings: readonly TopGrouping[], now: () => number = () => performance.now()) {
    this.#now = now;
    if (groupings.length > MOST_TOP_GROUPINGS)
      throw new ValueError(`at most ${MOST_TOP_GROUPINGS} groupings can have metrics, not ${groupings.length}`);
    this.#groupings = groupings.map(({ by, limit }, n) => {
      if (!Number.isInteger(limit) || limit < 1 || limit > MOST_TOP_GROUPS)
        throw new ValueError(`1 to ${MOST_TOP_GROUPS} groups of ${by} can have metrics, not ${limit}`);
      if (groupings.findIndex((other) => other.by === by) !== n) throw new ValueError(`the grouping ${by} is there twice`);
      return { by: checkGrouping(by), limit, kept: new Map() };
    });
  }

  /** `cut`: groups that have none because the meter has too many groupings in use. */
  async read(meter: FlowMeter): Promise<{ readonly groups: readonly ShownGroup[]; readonly cut: number }> {
    const groups: ShownGroup[] = [];
    let cut = 0;
    for (const { by, limit, kept } of this.#groupings) {
      try {
        const ask = (sort: 'average' | 'flows') => meter.groups({ by, sort, limit: LOOKED_AT * limit });
        const [fastest, largest] = [await ask('average'), await ask('flows')];
        groups.push(...this.#shown(by, limit, kept, fastest, largest));
      } catch (error) {
        if (!(error instanceof TooManyGroupingsError)) throw error;
        cut += limit;
      }
    }
    return { groups, cut };
  }

  #shown(
    by: string,
    limit: number,
    kept: Map<string, number>,
    { groups: fastest }: GroupsAnswer,
    { groups: largest, totals }: GroupsAnswer,
  ): ShownGroup[] {
    const now = this.#now();
    const found = new Map<string, FlowGroup>([...fastest, ...largest].map((group) => [group.key, group]));
    // Half of them have most flows, half most traffic: a scan has many flows, and a backup is one.
    const chosen = new Set<string>();
    for (let n = 0; chosen.size < limit && n < Math.max(fastest.length, largest.length); n++)
      for (const group of [fastest[n]?.average && fastest[n], largest[n]])
        if (group && chosen.size < limit) chosen.add(group.key);
    for (const key of chosen) kept.delete(key);
    for (const [key, until] of kept) if (until < now || !found.has(key)) kept.delete(key);
    for (const key of chosen) kept.set(key, now + KEPT);
    const excess = [...kept.keys()].slice(0, Math.max(0, kept.size - 2 * limit));
    for (const key of excess) kept.delete(key);
    const shown = [...kept.keys()].map((key) => found.get(key)!);
    const rest = (of: (group: Pick<FlowGroup, 'flows' | 'average'>) => number) =>
      Math.max(0, Math.round(10 * (of(totals) - shown.reduce((sum, group) => sum + of(group), 0))) / 10);
    return [
      ...shown.map(({ key, flows, average }) => ({ by, key, flows, average })),
      {
        by,
        key: 'other',
        flows: rest(({ flows }) => flows),
        average: totals.average && {
          original: rest(({ average }) => average?.original ?? 0),
          reply: rest(({ average }) => average?.reply ?? 0),
        },
      },
    ];
  }
}
