// NamespaceTotals: the flows of a network namespace, and what was counted of them, by protocol: what metrics are made from.

import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { PROTOCOLS, type ProtocolName } from '../ctnetlink/protocols/index.js';
import { ASSURED, DESTINATION_NAT, type FlowColumns, OFFLOADED, SOURCE_NAT, UNREPLIED } from './flow-columns.js';
import type { BothWays } from './metered-flow.js';
import type { MeteredNamespace } from './metered-namespace.js';
import { PROTOCOL_PLACES } from './metered-table.js';

/** Flows of a protocol. */
export interface ProtocolTotals {
  /** `unknown`: all protocols without a tracker. */
  readonly protocol: ProtocolName;
  /** Flows that are there. */
  readonly flows: number;
  /** Them by state, where the protocol has states; those of which the kernel does not say it are in none. */
  readonly states?: Readonly<Record<string, number>>;
  /** Since the meter was opened. */
  readonly begun: number;
  readonly ended: number;
  readonly bytes: BothWays;
  readonly packets: BothWays;
}

/** Flows of a network namespace. */
export interface NamespaceTotals {
  readonly name: string;
  /** Every protocol with a tracker, and `unknown`. */
  readonly protocols: readonly ProtocolTotals[];
  /** Flows without a packet back, with more than a few packets both ways, forwarded past the kernel's tracking, with translated source and destination. */
  readonly unreplied: number;
  readonly assured: number;
  readonly offloaded: number;
  readonly sourceNat: number;
  readonly destinationNat: number;
  /** Since the meter was opened: ends that no event told of. */
  readonly unseen: number;
  /** Events that told of these flows; how often some were lost, and lists that put right what they would have said. */
  readonly events: { readonly new: number; readonly update: number; readonly destroy: number };
  readonly lost: number;
  readonly repairs: number;
  /** Lists after the first one, and seconds of processor time that the process spent meanwhile. */
  readonly sweeps: number;
  readonly sweepCost: number;
}

const NAMES: readonly ProtocolName[] = [...PROTOCOLS.map(({ name }) => name as ProtocolName), 'unknown'];
const STATES = NAMES.map((_, place) => TRACKERS.find(({ protonum }) => PROTOCOL_PLACES[protonum] === place)?.states);
/** Room for the states of a protocol, and for flows whose state is not known. */
const ROOM = 16;
const KINDS = ['unreplied', 'assured', 'offloaded', 'sourceNat', 'destinationNat'] as const;
/** All combinations of flags. */
const ALL_FLAGS = 2 * DESTINATION_NAT;
const KIND_FLAGS = [UNREPLIED, ASSURED, OFFLOADED, SOURCE_NAT, DESTINATION_NAT];

/** Counts the flows of all namespaces in one pass. */
export function namespaceTotals(namespaces: readonly MeteredNamespace[], columns: FlowColumns): NamespaceTotals[] {
  const places = new Map(namespaces.map(({ table }, n) => [table.index, n]));
  const tables = Int32Array.from({ length: Math.max(-1, ...places.keys()) + 1 }, (_, index) => places.get(index) ?? -1);
  const states = new Uint32Array(namespaces.length * NAMES.length * ROOM);
  const flagged = new Uint32Array(namespaces.length * ALL_FLAGS);
  const { record, table, protonum, state, flags, end } = columns;
  for (let slot = 1; slot < end; slot++) {
    if (record[slot] === 0) continue;
    const n = tables[table[slot]!]!;
    if (!(n >= 0)) continue;
    states[(n * NAMES.length + PROTOCOL_PLACES[protonum[slot]!]!) * ROOM + Math.min(state[slot]!, ROOM - 1)]!++;
    flagged[n * ALL_FLAGS + flags[slot]!]!++;
  }
  return namespaces.map(({ name, table, lost, repairs, sweeps, sweepCost }, n) => {
    const protocols = NAMES.map((protocol, place): ProtocolTotals => {
      const counted = table.counted[place]!;
      const from = (n * NAMES.length + place) * ROOM;
      const found = states.subarray(from, from + ROOM);
      const named = STATES[place];
      return {
        protocol,
        flows: found.reduce((sum, count) => sum + count, 0),
        ...(named ? { states: Object.fromEntries(named.map((state, value) => [state, found[value]!])) } : {}),
        begun: counted.begun,
        ended: counted.ended,
        bytes: { original: counted.bytesOriginal, reply: counted.bytesReply },
        packets: { original: counted.packetsOriginal, reply: counted.packetsReply },
      };
    });
    const ofFlags = flagged.subarray(n * ALL_FLAGS, (n + 1) * ALL_FLAGS);
    const countOf = (flag: number) => ofFlags.reduce((sum, count, its) => sum + (its & flag ? count : 0), 0);
    const ofKinds = Object.fromEntries(KINDS.map((kind, k) => [kind, countOf(KIND_FLAGS[k]!)]));
    return {
      name,
      protocols,
      ...(ofKinds as Pick<NamespaceTotals, (typeof KINDS)[number]>),
      unseen: table.counts.unseen,
      events: { ...table.events },
      lost,
      repairs,
      sweeps,
      sweepCost: sweepCost / 1000,
    };
  });
}
