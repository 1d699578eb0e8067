// A meter over tables in memory, whose lists and whose clock a test moves.

import { Conntrack } from '../../src/library/index.js';
import { FlowMeter, type MeterOptions } from '../../src/meter/flow-meter.js';
import type { MemoryTable } from '../../src/testing/memory-table.js';

/** Longer than the meter keeps results of questions. */
const A_WHILE = 1100;

export class MemoryMeter implements AsyncDisposable {
  readonly meter: FlowMeter;
  readonly conntracks: readonly Conntrack[];
  readonly #tables: readonly MemoryTable[];
  readonly #clock: { now: number };

  private constructor(
    meter: FlowMeter,
    conntracks: readonly Conntrack[],
    tables: readonly MemoryTable[],
    clock: { now: number },
  ) {
    this.meter = meter;
    this.conntracks = conntracks;
    this.#tables = tables;
    this.#clock = clock;
  }

  /** Its namespaces are called 0, 1, … */
  static async over(tables: readonly MemoryTable[], options: MeterOptions = {}): Promise<MemoryMeter> {
    const clock = { now: 0 };
    const conntracks = await Promise.all(tables.map(({ open }) => Conntrack.open({ transport: open })));
    const named = conntracks.map((conntrack, n) => [`${n}`, conntrack] as const);
    const meter = await FlowMeter.open(named, { interval: 2 ** 31 - 1, ...options }, () => clock.now);
    return new MemoryMeter(meter, conntracks, tables, clock);
  }

  /** Milliseconds pass. */
  pass(milliseconds = A_WHILE): void {
    this.#clock.now += milliseconds;
  }

  /** All events so far have been heard. */
  async hear(): Promise<void> {
    for (const table of this.#tables) await table.delivered();
  }

  /** After so many milliseconds, the tables are listed. */
  async list(milliseconds = A_WHILE): Promise<FlowMeter['sample']> {
    await this.hear();
    this.pass(milliseconds);
    await FlowMeter.sweep(this.meter);
    return this.meter.sample;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.meter[Symbol.asyncDispose]();
    for (const conntrack of this.conntracks) await conntrack.close();
  }
}
