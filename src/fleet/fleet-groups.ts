// What hosts count: flows that match, and groups of flows, of which those with the same key are added.

/** Groups of one host that are added. */
export const MOST_HOST_GROUPS = 1000;
const MOST_TEXT = 300;

/** What groups of a fleet can be sorted by. */
export const FLEET_GROUP_SORTS = ['flows', 'bytes', 'packets', 'unreplied'] as const;
/** By what groups of a fleet are sorted, the largest first. */
export type FleetGroupSort = (typeof FLEET_GROUP_SORTS)[number];

/** Flows of all hosts with the same key. */
export interface FleetGroup {
  readonly key: string;
  readonly flows: number;
  readonly unreplied: number;
  /** Both ways; 0 where nothing is counted. */
  readonly bytes: number;
  readonly packets: number;
  /** How many hosts have it. */
  readonly hosts: number;
  /** The host that has most of it. */
  readonly most: { readonly host: string; readonly flows: number };
}

export class FleetSums {
  readonly #groups = new Map<string, { -readonly [Name in keyof FleetGroup]: FleetGroup[Name] }>();
  #cut = false;

  /** Adds what a host answered; what is none of it is left out. */
  add(host: string, told: unknown): void {
    const { groups, other } = (told ?? {}) as { readonly groups?: unknown; readonly other?: unknown };
    this.#cut ||= numberIn(other, 'groups') > 0;
    for (const group of Array.isArray(groups) ? groups.slice(0, MOST_HOST_GROUPS) : []) this.#addGroup(host, group);
  }

  #addGroup(host: string, told: unknown): void {
    const {
      key,
      bytes: traffic,
      packets,
    } = (told ?? {}) as { readonly key?: unknown; readonly bytes?: unknown; readonly packets?: unknown };
    if (typeof key !== 'string' || key.length > MOST_TEXT) return;
    const flows = numberIn(told, 'flows');
    const group = this.#groups.get(key) ?? {
      key,
      flows: 0,
      unreplied: 0,
      bytes: 0,
      packets: 0,
      hosts: 0,
      most: { host, flows: -1 },
    };
    this.#groups.set(key, group);
    group.flows += flows;
    group.unreplied += numberIn(told, 'unreplied');
    group.bytes += numberIn(traffic, 'original') + numberIn(traffic, 'reply');
    group.packets += numberIn(packets, 'original') + numberIn(packets, 'reply');
    group.hosts++;
    if (flows > group.most.flows) group.most = { host, flows };
  }

  /** The largest groups, how many there are in all, and whether some hosts have more than they said: numbers are at least so high then. */
  largest(
    sort: FleetGroupSort,
    limit: number,
  ): { readonly groups: readonly FleetGroup[]; readonly count: number; readonly atLeast: boolean } {
    const groups = [...this.#groups.values()].sort((a, b) => b[sort] - a[sort] || (a.key < b.key ? -1 : 1));
    return { groups: groups.slice(0, limit), count: groups.length, atLeast: this.#cut };
  }
}

/** A number of an answer; 0 if it is none. */
function numberIn(value: unknown, name: string): number {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  return typeof found === 'number' && Number.isFinite(found) && found >= 0 ? found : 0;
}

/** Flows of a host that match, entries of its table, and how many there may be (0: not known). */
export interface HostCounts {
  readonly matched: number;
  readonly entries: number;
  readonly maxEntries: number;
}

/** What a host answered to `count`. */
export function countsIn(told: unknown): HostCounts {
  return { matched: numberIn(told, 'matched'), entries: numberIn(told, 'entries'), maxEntries: numberIn(told, 'maxEntries') };
}
