// GroupSums: what the flows of each group have together.

import { type FlowColumns, RATED, READ, UNREPLIED } from './flow-columns.js';

/** Sums over flows, by number of their group. Rates are of the flows whose rates are known. */
export class GroupSums {
  flows: Float64Array;
  unreplied: Float64Array;
  /** Flows that have counters, and those of them whose rates are known. */
  read: Float64Array;
  rated: Float64Array;
  bytesOriginal: Float64Array;
  bytesReply: Float64Array;
  packetsOriginal: Float64Array;
  packetsReply: Float64Array;
  rateOriginal: Float64Array;
  rateReply: Float64Array;
  averageOriginal: Float64Array;
  averageReply: Float64Array;
  packetRate: Float64Array;

  constructor(count: number) {
    this.flows = new Float64Array(count);
    this.unreplied = new Float64Array(count);
    this.read = new Float64Array(count);
    this.rated = new Float64Array(count);
    this.bytesOriginal = new Float64Array(count);
    this.bytesReply = new Float64Array(count);
    this.packetsOriginal = new Float64Array(count);
    this.packetsReply = new Float64Array(count);
    this.rateOriginal = new Float64Array(count);
    this.rateReply = new Float64Array(count);
    this.averageOriginal = new Float64Array(count);
    this.averageReply = new Float64Array(count);
    this.packetRate = new Float64Array(count);
  }

  /** Bytes per second of both directions, by group. */
  rates(): Float64Array {
    return this.rateOriginal.map((rate, group) => rate + this.rateReply[group]!);
  }

  /** Makes room for groups with numbers below `count`. */
  grow(count: number): void {
    const larger = new GroupSums(count);
    for (const name of SUMS) {
      larger[name].set(this[name]);
      this[name] = larger[name];
    }
  }

  add(group: number, columns: FlowColumns, slot: number): void {
    const flags = columns.flags[slot]!;
    this.flows[group]!++;
    if (flags & UNREPLIED) this.unreplied[group]!++;
    if ((flags & READ) === 0) return;
    this.read[group]!++;
    this.bytesOriginal[group]! += columns.bytesOriginal[slot]!;
    this.bytesReply[group]! += columns.bytesReply[slot]!;
    this.packetsOriginal[group]! += columns.packetsOriginal[slot]!;
    this.packetsReply[group]! += columns.packetsReply[slot]!;
    if ((flags & RATED) === 0) return;
    this.rated[group]!++;
    this.rateOriginal[group]! += columns.rateOriginal[slot]!;
    this.rateReply[group]! += columns.rateReply[slot]!;
    this.averageOriginal[group]! += columns.averageOriginal[slot]!;
    this.averageReply[group]! += columns.averageReply[slot]!;
    this.packetRate[group]! += columns.packetRate[slot]!;
  }
}

const SUMS = [
  'flows',
  'unreplied',
  'read',
  'rated',
  'bytesOriginal',
  'bytesReply',
  'packetsOriginal',
  'packetsReply',
  'rateOriginal',
  'rateReply',
  'averageOriginal',
  'averageReply',
  'packetRate',
] as const satisfies readonly (keyof GroupSums)[];
