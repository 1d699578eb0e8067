// Walks over all flows that match, page by page: the flows of a walk are those that matched when it began, in the order that they had, so
// that a flow that is there throughout comes exactly once. Kept for a minute.

import { randomBytes } from 'node:crypto';
import { WebError } from './web-error.js';

const MOST = 16;

interface Walk {
  readonly numbers: Uint32Array;
  usedAt: number;
}

export class Walks {
  readonly #walks = new Map<string, Walk>();
  /** Milliseconds. */
  readonly #kept: number;
  readonly #now: () => number;

  constructor(kept: number, now: () => number = () => performance.now()) {
    this.#kept = kept;
    this.#now = now;
  }

  /** Begins a walk. @returns the cursor of its first page @throws WebError 503 */
  begin(numbers: Uint32Array): string {
    const now = this.#now();
    for (const [name, { usedAt }] of this.#walks) if (now - usedAt > this.#kept) this.#walks.delete(name);
    if (this.#walks.size >= MOST)
      throw new WebError(503, 'TOO_MANY_CURSORS', `${MOST} walks are under way`, { retryAfter: Math.ceil(this.#kept / 1000) });
    const name = randomBytes(12).toString('base64url');
    this.#walks.set(name, { numbers, usedAt: now });
    return `${name}.0`;
  }

  /** The next numbers of a walk, and the cursor of those behind them. @throws WebError 400, 410 */
  next(
    cursor: string,
    limit: number,
  ): { readonly numbers: readonly number[]; readonly next: string | undefined; readonly total: number } {
    const [, name = '', at = ''] = /^([\w-]{16})\.(\d{1,9})$/.exec(cursor) ?? [];
    const walk = this.#walks.get(name);
    const from = Number(at);
    if (name === '') throw new WebError(400, 'VALUE', 'this is no cursor');
    if (!walk || this.#now() - walk.usedAt > this.#kept)
      throw new WebError(410, 'CURSOR_EXPIRED', 'this cursor has expired', { hint: 'begin again with an empty cursor' });
    walk.usedAt = this.#now();
    const { numbers } = walk;
    const end = Math.min(from + limit, numbers.length);
    if (end === numbers.length) this.#walks.delete(name);
    return {
      numbers: [...numbers.subarray(from, end)],
      next: end === numbers.length ? undefined : `${name}.${end}`,
      total: numbers.length,
    };
  }
}
