// Ends the process when the main thread stands still: a decoder that hangs cannot be interrupted from within.

import { Worker } from 'node:worker_threads';

// Processor time, not time of day: a machine that stands still is no hang.
const SOURCE = `
  const { workerData } = require('node:worker_threads');
  const { writeSync } = require('node:fs');
  const state = new Uint32Array(workerData.memory);
  const used = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
  let seen = 0;
  let since = used();
  setInterval(() => {
    const beat = Atomics.load(state, 0);
    if (beat !== seen) [seen, since] = [beat, used()];
    if (used() - since < workerData.milliseconds) return;
    writeSync(2, 'hang: ' + workerData.what + ' ' + beat + ' has used ' + Math.round(used() - since) + ' ms of processor time\\n');
    process.kill(process.pid, 'SIGKILL');
  }, 500).unref();
  setInterval(() => {}, 1e6);
`;

/** Watches from another thread. Call `beat(n)` for each case; `n` is named when it takes too long. */
export class Watchdog {
  readonly #state: Uint32Array;
  readonly #worker: Worker;

  constructor(what: string, milliseconds: number) {
    const memory = new SharedArrayBuffer(4);
    this.#state = new Uint32Array(memory);
    this.#worker = new Worker(SOURCE, { eval: true, workerData: { memory, milliseconds, what } });
    this.#worker.unref();
  }

  beat(n: number): void {
    Atomics.store(this.#state, 0, n);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
