// OpenFlows: what a recorder keeps of each flow that lives besides the kernel's last message: when it began and how that is known, a
// column each, by the slot of the flow. Outside the collector's reach; no object per flow.

const FIRST_CAPACITY = 1024;
const GROWTH = 1.5;

export class OpenFlows {
  /** Flows. */
  count = 0;
  /** Slots ever used lie below this; 0 is no slot. */
  end = 1;
  /** The record of its message in the tracker; 0: the slot is free. */
  record: Int32Array = new Int32Array(FIRST_CAPACITY);
  /** When it began, and how long before that it may have: microseconds. */
  start: Float64Array = new Float64Array(FIRST_CAPACITY);
  slack: Float64Array = new Float64Array(FIRST_CAPACITY);
  /** As the column `how` has it: how its beginning is known, and what else is known from the beginning. */
  how: Uint16Array = new Uint16Array(FIRST_CAPACITY);
  /** When it was known to be alive last: microseconds since the epoch. */
  seen: Float64Array = new Float64Array(FIRST_CAPACITY);
  /** Its number in `open`; 0: it is not there. */
  key: Float64Array = new Float64Array(FIRST_CAPACITY);
  #free: Int32Array = new Int32Array(FIRST_CAPACITY);
  #freed = 0;

  /** Takes a slot for a flow. */
  allocate(record: number): number {
    if (this.#freed === 0 && this.end === this.record.length) this.#grow();
    const slot = this.#freed > 0 ? this.#free[--this.#freed]! : this.end++;
    this.count++;
    this.record[slot] = record;
    this.key[slot] = 0;
    return slot;
  }

  release(slot: number): void {
    this.record[slot] = 0;
    this.count--;
    this.#free[this.#freed++] = slot;
  }

  #grow(): void {
    const capacity = Math.ceil(this.record.length * GROWTH);
    const grown = <T extends { set(from: T): void; readonly length: number }>(column: T, larger: T): T => {
      larger.set(column);
      return larger;
    };
    this.record = grown(this.record, new Int32Array(capacity));
    this.start = grown(this.start, new Float64Array(capacity));
    this.slack = grown(this.slack, new Float64Array(capacity));
    this.how = grown(this.how, new Uint16Array(capacity));
    this.seen = grown(this.seen, new Float64Array(capacity));
    this.key = grown(this.key, new Float64Array(capacity));
    this.#free = grown(this.#free, new Int32Array(capacity));
  }
}
