// PacedMessages: writes lines to standard error and never waits for its reader. For commands that run long: with `2>&1` the reader may be
// the one that has stalled, and no signal could end a command that waits for it.

import { messageLine, OutputError } from './output.js';
import { PacedOutput } from './paced-output.js';

/** Bytes of lines that may wait for the reader; further lines are dropped. */
const MOST_KEPT = 65536;

export class PacedMessages {
  readonly #output: PacedOutput;

  constructor(fd: number) {
    this.#output = new PacedOutput(fd);
  }

  /** One line, now or when the reader takes it. */
  readonly line = (text: string): void => {
    if (this.#output.kept > MOST_KEPT) return;
    const bytes = messageLine(text);
    try {
      const waiting = this.#output.kept > 0;
      this.#output.write(bytes, bytes.length);
      if (!waiting && this.#output.kept > 0) this.#output.taken().catch(ignoreClosed);
    } catch (error) {
      ignoreClosed(error);
    }
  };

  /** Waits until everything was taken, but not longer than `milliseconds`; what was not is dropped. */
  async close(milliseconds: number): Promise<void> {
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
    if (this.#output.kept > 0) await Promise.race([this.#output.taken().catch(ignoreClosed), timeout]);
    this.#output.close();
  }
}

/** Standard error is gone, so there is nobody to tell. */
function ignoreClosed(error: unknown): void {
  if (!(error instanceof OutputError)) throw error;
}
