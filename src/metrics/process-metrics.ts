// Metrics of the process itself, under the names that other programs use for them.

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { type FamilyRow, type MetricFamily, readFamilies } from './metric-family.js';

interface ProcessReading {
  /** Microseconds. */
  readonly cpu: { readonly user: number; readonly system: number };
  readonly resident: number;
  /** Seconds since the epoch. */
  readonly started: number;
  /** Seconds; `undefined` at first. */
  readonly lag: number | undefined;
}

export const PROCESS_FAMILIES: readonly FamilyRow<ProcessReading>[] = [
  {
    name: 'process_cpu_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Processor time of this process.',
    labels: [],
    read: ({ cpu }, add) => add((cpu.user + cpu.system) / 1e6),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of this process.',
    labels: [],
    read: ({ resident }, add) => add(resident),
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'When this process began, since the epoch.',
    labels: [],
    read: ({ started }, add) => add(started),
  },
  {
    name: 'nodejs_eventloop_lag_p99_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'How late timers were in the last 10 seconds or more, at most in 99 of 100 cases.',
    labels: [],
    read: ({ lag }, add) => add(lag),
  },
];

/** Milliseconds of the timer whose lateness is measured. */
const RESOLUTION = 20;
/** Milliseconds after which it begins anew: not at every scrape, as there may be two programs that scrape. */
const MEASURED = 10_000;

/** Measures from its first reading on. */
export class ProcessMetrics {
  readonly #started = Math.round(performance.timeOrigin) / 1000;
  #delays: IntervalHistogram | undefined;
  #since = 0;

  read(): MetricFamily[] {
    const delays = this.#delays;
    // The histogram has the whole time between two turns of the timer.
    const lag = delays && delays.count > 0 ? Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION) / 1000 : undefined;
    if (delays && performance.now() - this.#since > MEASURED) {
      delays.reset();
      this.#since = performance.now();
    }
    if (!delays) {
      this.#since = performance.now();
      this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION });
      this.#delays.enable();
    }
    const reading = { cpu: process.cpuUsage(), resident: process.memoryUsage.rss(), started: this.#started, lag };
    return readFamilies(PROCESS_FAMILIES, reading);
  }

  close(): void {
    this.#delays?.disable();
  }
}
