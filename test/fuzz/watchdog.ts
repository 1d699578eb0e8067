// Ends the process if the main thread hangs: a hanging decoder cannot be interrupted from within.

import { Worker } from 'node:worker_threads';

/** Between two looks, in milliseconds. */
const TICK = 500;

// It counts looks, not time: a machine that is suspended or too busy is not a hang.
const SOURCE = `
  const { workerData } = require('node:worker_threads');
  const { writeSync } = require('node:fs');
  const state = new Uint32Array(workerData.memory);
  let seen = 0;
  let time = 0;
  setInterval(() => {
    const beat = Atomics.load(state, 0);
    if (beat !== seen) [seen, time] = [beat, 0];
    time += ${TICK};
    if (time <= workerData.milliseconds) return;
    writeSync(2, 'hang: ' + workerData.what + ' ' + beat + ' has been running for ' + time + ' ms\\n');
    process.kill(process.pid, 'SIGKILL');
  }, ${TICK}).unref();
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
