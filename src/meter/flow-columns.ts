// FlowColumns: what the meter keeps of each flow besides the kernel's last message: counters, rates and times, a column each, by the slot
// of the flow. Outside the collector's reach; no object per flow.

// Flags of a flow.
/** Its counters have been read. */
export const READ = 1;
/** Its rates are known: they need two readings. */
export const RATED = 2;
/** No packet came back. */
export const UNREPLIED = 4;
export const ASSURED = 8;
export const OFFLOADED = 16;
/** `born` is when it began, not when it was first seen. */
export const BORN = 32;
/** It is offloaded and its counters stand still: whoever forwards its packets does not count them. */
export const BLIND = 64;
/** Its beginning was seen, so its counters began at 0; whether it has any is not known yet. */
export const SEEN = 128;
/** Its source is translated, its destination is. */
export const SOURCE_NAT = 256;
export const DESTINATION_NAT = 512;

/** In the column of states: the protocol has none, or the kernel did not say. */
export const NO_STATE = 255;

const FIRST_CAPACITY = 1024;
const GROWTH = 1.25;

export class FlowColumns {
  /** Flows. */
  count = 0;
  /** Slots ever used lie below this; 0 is no slot. */
  end = 1;
  /** The record of its message in the tracker of its table; 0: the slot is free. */
  record: Int32Array = new Int32Array(FIRST_CAPACITY);
  /** Flows are numbered as they are met, and no number is given twice within 4 billion flows. */
  serial: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** Index of its table. */
  table: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  protonum: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  /** State of the protocol's tracker, as the kernel numbers them. */
  state: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  flags: Uint16Array = new Uint16Array(FIRST_CAPACITY);
  /** Sweeps in a row in which its counters stood still, at most 255. */
  still: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  /** When it began, or was first seen: seconds since the epoch. */
  born: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** When its counters were read last, and when they last had changed: milliseconds of the meter's clock, modulo 2^32. */
  seen: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  moved: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  bytesOriginal: Float64Array = new Float64Array(FIRST_CAPACITY);
  bytesReply: Float64Array = new Float64Array(FIRST_CAPACITY);
  packetsOriginal: Float64Array = new Float64Array(FIRST_CAPACITY);
  packetsReply: Float64Array = new Float64Array(FIRST_CAPACITY);
  /** Per second: between the last two readings, and on average. */
  rateOriginal: Float32Array = new Float32Array(FIRST_CAPACITY);
  rateReply: Float32Array = new Float32Array(FIRST_CAPACITY);
  averageOriginal: Float32Array = new Float32Array(FIRST_CAPACITY);
  averageReply: Float32Array = new Float32Array(FIRST_CAPACITY);
  packetRate: Float32Array = new Float32Array(FIRST_CAPACITY);
  /** Of each grouping in use the group of the flow. */
  readonly groups: (Int32Array | undefined)[] = [];
  #free: Int32Array = new Int32Array(FIRST_CAPACITY);
  #freed = 0;
  #serial = 0;

  /** Number of the flow that is met next: those in the columns have smaller ones. */
  get nextSerial(): number {
    return this.#serial;
  }

  get capacity(): number {
    return this.record.length;
  }

  /** Takes a slot for a flow, with all its values 0. */
  allocate(record: number, table: number): number {
    if (this.#freed === 0 && this.end === this.capacity) this.#grow();
    const slot = this.#freed > 0 ? this.#free[--this.#freed]! : this.end++;
    this.count++;
    this.record[slot] = record;
    this.serial[slot] = this.#serial++;
    this.table[slot] = table;
    this.state[slot] = NO_STATE;
    this.flags[slot] = 0;
    this.still[slot] = 0;
    this.bytesOriginal[slot] = 0;
    this.bytesReply[slot] = 0;
    this.packetsOriginal[slot] = 0;
    this.packetsReply[slot] = 0;
    this.rateOriginal[slot] = 0;
    this.rateReply[slot] = 0;
    this.averageOriginal[slot] = 0;
    this.averageReply[slot] = 0;
    this.packetRate[slot] = 0;
    return slot;
  }

  release(slot: number): void {
    this.record[slot] = 0;
    this.count--;
    this.#free[this.#freed++] = slot;
  }

  /** Bytes per second on average, both directions together; 0 as long as that is not known. */
  averageOf(slot: number): number {
    return this.averageOriginal[slot]! + this.averageReply[slot]!;
  }

  /** The slots of flows by their numbers, without those that have ended. */
  slotsOf(numbers: ReadonlySet<number>): Map<number, number> {
    const slots = new Map<number, number>();
    for (let slot = 1; slot < this.end && slots.size < numbers.size; slot++)
      if (this.record[slot] !== 0 && numbers.has(this.serial[slot]!)) slots.set(this.serial[slot]!, slot);
    return slots;
  }

  /** Whether a slot has the flow that it had when the number of the next flow was `before`. */
  isStill(slot: number, before: number): boolean {
    return this.record[slot] !== 0 && this.serial[slot]! < before;
  }

  addGrouping(index: number): Int32Array {
    const column = new Int32Array(this.capacity);
    this.groups[index] = column;
    return column;
  }

  removeGrouping(index: number): void {
    this.groups[index] = undefined;
  }

  #grow(): void {
    const capacity = Math.ceil(this.capacity * GROWTH);
    const ints = (column: Int32Array) => copyInto(new Int32Array(capacity), column);
    const words = (column: Uint32Array) => copyInto(new Uint32Array(capacity), column);
    const bytes = (column: Uint8Array) => copyInto(new Uint8Array(capacity), column);
    const doubles = (column: Float64Array) => copyInto(new Float64Array(capacity), column);
    const floats = (column: Float32Array) => copyInto(new Float32Array(capacity), column);
    this.record = ints(this.record);
    this.serial = words(this.serial);
    this.table = words(this.table);
    this.protonum = bytes(this.protonum);
    this.state = bytes(this.state);
    this.flags = copyInto(new Uint16Array(capacity), this.flags);
    this.still = bytes(this.still);
    this.born = words(this.born);
    this.seen = words(this.seen);
    this.moved = words(this.moved);
    this.bytesOriginal = doubles(this.bytesOriginal);
    this.bytesReply = doubles(this.bytesReply);
    this.packetsOriginal = doubles(this.packetsOriginal);
    this.packetsReply = doubles(this.packetsReply);
    this.rateOriginal = floats(this.rateOriginal);
    this.rateReply = floats(this.rateReply);
    this.averageOriginal = floats(this.averageOriginal);
    this.averageReply = floats(this.averageReply);
    this.packetRate = floats(this.packetRate);
    for (const [n, column] of this.groups.entries()) if (column) this.groups[n] = ints(column);
    this.#free = ints(this.#free);
  }
}

function copyInto<A extends { set(from: ArrayLike<number>): void }>(to: A, from: ArrayLike<number>): A {
  to.set(from);
  return to;
}
