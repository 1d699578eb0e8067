// Descriptor: an open file descriptor that is closed exactly once: by its owner, or when nobody can reach the owner any more.
// Numbers are used again at once, so a second close would be somebody else's.

import { closeWhenForgotten } from './forgotten.js';

export class Descriptor {
  /** To be used only as long as the owner is open. */
  readonly number: number;
  readonly #end: (number: number) => void;
  #closed = false;
  /** Calls on other threads that are under way. */
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

  /** Runs something that uses the number on another thread; `close` takes effect behind it. */
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
