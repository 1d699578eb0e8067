// Deletions in two steps: first what would go, with a word that confirms it; then, with that word, the deletion itself.

import { createHash, randomBytes } from 'node:crypto';
import type { DeletionPlan, DeletionResult, DeletionTarget, FlowDeletion } from '../meter/index.js';
import { WebError } from './web-error.js';

const MOST = 256;
/** More may match by now than were shown: a tenth and ten. */
const MORE = 1.1;
const FEW = 10;

interface Planned {
  /** A hash of what was asked for, and of who asked. */
  readonly asked: string;
  readonly matched: number;
  readonly expires: number;
}

/** A deletion that is asked for. */
export interface AskedDeletion {
  readonly target: DeletionTarget;
  /** The filter or the keys as they were sent: flows of them may have ended before it is confirmed. */
  readonly what: string;
  readonly who: string;
}

export class Deletions {
  readonly #planned = new Map<string, Planned>();
  /** Milliseconds that one may think about it. */
  readonly #kept: number;

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** What would go, and the word that confirms it, for who asks alone. @throws WebError 503 */
  async plan(
    deletion: FlowDeletion,
    asked: AskedDeletion,
  ): Promise<{ readonly plan: DeletionPlan; readonly confirm: string; readonly expires: number }> {
    const plan = await deletion.plan(asked.target);
    const now = Date.now();
    for (const [confirm, { expires }] of this.#planned) if (expires <= now) this.#planned.delete(confirm);
    if (this.#planned.size >= MOST)
      throw new WebError(503, 'TOO_MANY_DELETIONS', 'too many deletions wait to be confirmed', { retryAfter: 60 });
    const confirm = randomBytes(18).toString('base64url');
    const expires = now + this.#kept;
    this.#planned.set(confirm, { asked: hashOf(asked), matched: plan.count, expires });
    return { plan, confirm, expires };
  }

  /** Deletes what was confirmed, or at most `max` flows. @throws WebError 400, 409, 410 */
  async run(
    deletion: FlowDeletion,
    asked: AskedDeletion,
    confirm: string | undefined,
    max: number | undefined,
  ): Promise<{ readonly plan: DeletionPlan; readonly matched: number; readonly result: DeletionResult }> {
    const most = confirm === undefined ? max : this.#confirmed(asked, confirm);
    if (most === undefined)
      throw new WebError(400, 'CONFIRM', 'a deletion needs confirm, or max', {
        hint: 'ask with dryRun: true first; its answer has confirm',
      });
    const plan = await deletion.plan(asked.target);
    const matched = await deletion.count(plan);
    if (matched > most)
      throw new WebError(409, 'CHANGED', `${matched} flows match by now`, {
        hint: 'ask again with dryRun: true',
        more: { matched },
      });
    return { plan, matched, result: await deletion.run(plan) };
  }

  /** How many may go. A word is good for one deletion. */
  #confirmed(asked: AskedDeletion, confirm: string): number {
    const planned = this.#planned.get(confirm);
    this.#planned.delete(confirm);
    if (!planned || planned.expires <= Date.now())
      throw new WebError(410, 'CONFIRM', 'what confirms this deletion has expired, or was used');
    if (planned.asked !== hashOf(asked)) throw new WebError(409, 'CONFIRM', 'that confirms another deletion');
    return Math.floor(planned.matched * MORE) + FEW;
  }
}

function hashOf({ what, who }: AskedDeletion): string {
  return createHash('sha256')
    .update(JSON.stringify([what, who]))
    .digest('base64');
}
