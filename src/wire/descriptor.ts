// Descriptor: an open file descriptor that is closed exactly once, by its owner or when nobody can reach the owner any more. The system
// reuses numbers at once, so a second close would hit somebody else's file.

import { closeWhenForgotten } from './forgotten.js';

export class Descriptor {
  /** Use it only while the owner is open. */
  readonly number: number;
  readonly #end: (number: number) => void;
  #closed = false;
  /** Calls in progress on other threads. */
  #lent = 0;

  /** `end` closes it. */
  constructor(owner: object, number: number, end: (number: number) => void) {
    this.number = number;
    this.#end = end;
    closeWhenForgotten(owner, this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Runs something that uses the number on another thread; `close` takes effect after it. */
  async lend<T>(use: (number: number) => Promise<T>): Promise<T> {
    this.#lent++;
    try {
      return await use(this.number);
    } finally {
      this.#lent--;
      if (this.#closed && this.#lent === 0) this.#end(this.number);
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#lent === 0) this.#end(this.number);
  }
}
