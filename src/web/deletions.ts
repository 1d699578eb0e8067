// Deletions in two steps: first what would go, with a word that confirms it; then, with that word, the deletion itself.

import { randomBytes } from 'node:crypto';
import type { DeletionPlan, DeletionResult, DeletionTarget, FlowDeletion } from '../meter/index.js';
import { WebError } from './web-error.js';

/** How long one may think about it, in milliseconds. */
const KEPT = 60_000;
const MOST = 256;
/** More may match by now than were shown: a tenth and ten. */
const MORE = 1.1;
const FEW = 10;

interface Planned {
  readonly target: string;
  readonly who: string;
  readonly matched: number;
  readonly expires: number;
}

export class Deletions {
  readonly #planned = new Map<string, Planned>();

  /** What would go, and the word that confirms it, for `who` alone. */
  async plan(
    deletion: FlowDeletion,
    target: DeletionTarget,
    who: string,
  ): Promise<{ readonly plan: DeletionPlan; readonly confirm: string; readonly expires: number }> {
    const plan = await deletion.plan(target);
    const now = Date.now();
    for (const [confirm, { expires }] of this.#planned) if (expires < now) this.#planned.delete(confirm);
    if (this.#planned.size >= MOST)
      throw new WebError(503, 'TOO_MANY_DELETIONS', 'too many deletions wait to be confirmed', { retryAfter: 60 });
    const confirm = randomBytes(18).toString('base64url');
    const expires = now + KEPT;
    this.#planned.set(confirm, { target: nameOf(target), who, matched: plan.count, expires });
    return { plan, confirm, expires };
  }

  /** Deletes what was confirmed, or at most `max` flows. @throws WebError 400, 409, 410 */
  async run(
    deletion: FlowDeletion,
    target: DeletionTarget,
    who: string,
    confirm: string | undefined,
    max: number | undefined,
  ): Promise<{ readonly plan: DeletionPlan; readonly result: DeletionResult }> {
    const most = confirm === undefined ? max : this.#confirmed(target, who, confirm);
    if (most === undefined)
      throw new WebError(400, 'CONFIRM', 'a deletion needs confirm, or max', {
        hint: 'ask with dryRun: true first; its answer has confirm',
      });
    const plan = await deletion.plan(target);
    if (plan.count > most)
      throw new WebError(409, 'CHANGED', `${plan.count} flows match by now`, {
        hint: 'ask again with dryRun: true',
        more: { matched: plan.count },
      });
    return { plan, result: await deletion.run(plan) };
  }

  /** How many may go. A word is good for one deletion. */
  #confirmed(target: DeletionTarget, who: string, confirm: string): number {
    const planned = this.#planned.get(confirm);
    this.#planned.delete(confirm);
    if (!planned || planned.expires < Date.now())
      throw new WebError(410, 'CONFIRM', 'what confirms this deletion has expired, or was used');
    if (planned.target !== nameOf(target) || planned.who !== who)
      throw new WebError(409, 'CONFIRM', 'that confirms another deletion');
    return Math.floor(planned.matched * MORE) + FEW;
  }
}

function nameOf(target: DeletionTarget): string {
  return 'filter' in target ? `filter ${target.filter}` : `flows ${target.flows.map(({ number }) => number).join(' ')}`;
}
