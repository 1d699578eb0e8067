// Progress: a line on a terminal that says how far a long command is, written over and over in its place, and gone when it is done.

import { safeText } from '../../safe-text.js';
import type { Context } from '../context.js';
import { writeAll } from './output.js';

/** Nothing is shown before, in milliseconds: short commands stay quiet. */
const PATIENCE = 1000;
/** Between two pictures, in milliseconds. */
const INTERVAL = 100;
/** To the beginning of the line, and nothing behind it. */
const CLEAR = '\r\x1b[K';

export class Progress {
  readonly #stderr: number;
  readonly #now: () => number;
  /** When the next picture is due; never where nobody looks. */
  #due: number;
  #shown = false;

  constructor({ isTerminal, now, stderr }: Pick<Context, 'isTerminal' | 'now' | 'stderr'>) {
    this.#stderr = stderr;
    this.#now = now;
    this.#due = isTerminal() ? now() + PATIENCE : Number.POSITIVE_INFINITY;
  }

  /** Shows what `text` gives, if it is time to. */
  show(text: () => string): void {
    if (this.#due === Number.POSITIVE_INFINITY || this.#now() < this.#due) return;
    this.#write(`${CLEAR}${safeText(text())}`);
    this.#shown = true;
    this.#due = this.#now() + INTERVAL;
  }

  /** Takes the line away: before anything else is written there. */
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
