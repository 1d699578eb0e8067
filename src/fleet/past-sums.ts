// Sums of flows of the past of several hosts and collectors: those of the same key are added.

import type { PastGroup, PastGroupSort } from '../history/past-groups.js';

/** A group of a fleet. */
export interface FleetPastGroup extends PastGroup {
  /** Somebody may have more of it: the sums are at least so high. */
  readonly atLeast?: true;
}

type Counter = 'packets' | 'bytes' | 'replyPackets' | 'replyBytes';
const COUNTERS: readonly Counter[] = ['packets', 'bytes', 'replyPackets', 'replyBytes'];

interface Sum {
  flows: number;
  readonly counters: Partial<Record<Counter, bigint>>;
  /** How many of those who left out their smallest groups have told this one. */
  told: number;
}

const MOST_GROUPS = 10_000;
const MOST_TEXT = 300;

export class PastSums {
  readonly #sums = new Map<string, Sum>();
  /** Those who left out their smallest groups. */
  #cut = 0;

  /** Adds what somebody answered; what is none of it is left out. */
  add(told: unknown): void {
    const { groups, count } = (told ?? {}) as { readonly groups?: unknown; readonly count?: unknown };
    if (!Array.isArray(groups)) return;
    const isCut = typeof count === 'number' && count > groups.length;
    if (isCut) this.#cut++;
    for (const group of groups.slice(0, MOST_GROUPS)) this.#addGroup(group, isCut);
  }

  #addGroup(group: unknown, isCut: boolean): void {
    const { key, flows, ...counters } = (group ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof key !== 'string' || key.length > MOST_TEXT || !Number.isSafeInteger(flows) || (flows as number) < 0) return;
    const sum = this.#sums.get(key) ?? { flows: 0, counters: {}, told: 0 };
    this.#sums.set(key, sum);
    sum.flows += flows as number;
    if (isCut) sum.told++;
    for (const name of COUNTERS) {
      const value = counters[name];
      if (typeof value === 'string' && /^\d{1,30}$/.test(value)) sum.counters[name] = (sum.counters[name] ?? 0n) + BigInt(value);
    }
  }

  /** The largest groups, and whether some of them may be larger. */
  largest(sort: PastGroupSort, limit: number): { readonly groups: readonly FleetPastGroup[]; readonly atLeast: boolean } {
    const amount = ({ flows, counters }: Sum) => {
      if (sort === 'flows') return BigInt(flows);
      const [own, reply] = sort === 'bytes' ? [counters.bytes, counters.replyBytes] : [counters.packets, counters.replyPackets];
      return own === undefined && reply === undefined ? -1n : (own ?? 0n) + (reply ?? 0n);
    };
    const order = [...this.#sums].map(([key, sum]) => ({ key, sum, amount: amount(sum) }));
    order.sort((a, b) => (a.amount === b.amount ? (a.key < b.key ? -1 : 1) : a.amount > b.amount ? -1 : 1));
    const groups = order.slice(0, limit).map(
      ({ key, sum: { flows, counters, told } }): FleetPastGroup => ({
        key,
        flows,
        packets: counters.packets,
        bytes: counters.bytes,
        replyPackets: counters.replyPackets,
        replyBytes: counters.replyBytes,
        ...(told < this.#cut ? { atLeast: true as const } : {}),
      }),
    );
    return { groups, atLeast: this.#cut > 0 };
  }
}
