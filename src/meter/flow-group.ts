// FlowGroup: what a meter says of flows that have something in common.

import type { BothWays } from './metered-flow.js';

/** Flows that have something in common. */
export interface FlowGroup {
  /** What they have in common: `10.1.4.0/24`, `tcp 443`; `-` for those that have nothing of the kind. */
  readonly key: string;
  /** Selects them. Absent for network namespaces. */
  readonly filter?: string;
  readonly flows: number;
  /** Flows without a packet back. */
  readonly unreplied: number;
  /** Counters of the flows that are there; absent if none has any. */
  readonly bytes?: BothWays;
  readonly packets?: BothWays;
  /** Bytes per second, as of flows; absent as long as they are not known. */
  readonly rate?: BothWays;
  readonly average?: BothWays;
  readonly packetRate?: number;
  /** Since the grouping is kept. Of all flows, whatever the filter. */
  readonly counted?: {
    readonly begun: number;
    readonly ended: number;
    /** Flows that have ended without a packet back; where no event told of the end, as far as was known before. */
    readonly endedUnreplied: number;
    /** Traffic, with that of flows that have ended. */
    readonly bytes: BothWays;
    readonly packets: BothWays;
  };
  /** Bytes per second at each sample of the last minute, for the largest groups. Of all flows, whatever the filter. */
  readonly history?: readonly number[];
}

/** The groups beyond the limit, together. */
export interface OtherGroups extends Omit<FlowGroup, 'key' | 'filter' | 'counted' | 'history'> {
  readonly groups: number;
}
