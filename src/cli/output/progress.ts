// Progress: a line on a terminal that shows how far a long command has come. It is rewritten in place and removed at the end.

import { safeText } from '../../safe-text.js';
import type { Context } from '../context.js';
import { writeAll } from './output.js';

/** Delay before the first line, in milliseconds, so that short commands stay quiet. */
const PATIENCE = 1000;
/** Time between two updates, in milliseconds. */
const INTERVAL = 100;
/** Returns to the beginning of the line and clears it. */
const CLEAR = '\r\x1b[K';

export class Progress {
  readonly #stderr: number;
  readonly #now: () => number;
  /** When the next update is due; never without a terminal. */
  #due: number;
  #shown = false;

  constructor({ isTerminal, now, stderr }: Pick<Context, 'isTerminal' | 'now' | 'stderr'>) {
    this.#stderr = stderr;
    this.#now = now;
    this.#due = isTerminal() ? now() + PATIENCE : Number.POSITIVE_INFINITY;
  }

  /** Shows the result of `text` if an update is due. */
  show(text: () => string): void {
    if (this.#due === Number.POSITIVE_INFINITY || this.#now() < this.#due) return;
    this.#write(`${CLEAR}${safeText(text())}`);
    this.#shown = true;
    this.#due = this.#now() + INTERVAL;
  }

  /** Removes the line. Call it before writing anything else there. */
  end(): void {
    if (this.#shown) this.#write(CLEAR);
    this.#shown = false;
  }

  #write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    try {
      writeAll(this.#stderr, bytes, bytes.length);
    } catch {
      this.#due = Number.POSITIVE_INFINITY; // the terminal is gone: the command itself goes on
    }
  }
}

/** A number as people read it: 1,234,567. */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}
