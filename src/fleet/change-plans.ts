// Plans of a host: a token for each, which only this process can make, and which is good once and for a minute.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ChangeOrder, ChangeRequest } from './change-request.js';
import { Expiring } from './expiring.js';
import { FleetError } from './fleet-error.js';

/** Milliseconds that a plan is good for. */
export const PLAN_GOOD_FOR = 60_000;
/** Used tokens that are remembered. */
const MOST_USED = 1000;

export class ChangePlans {
  readonly #secret = randomBytes(32);
  readonly #used = new Expiring(MOST_USED);
  readonly #uptime: () => number;

  /** `uptime`: milliseconds that only grow, so that a clock which is set makes no plan good for longer. */
  constructor(uptime: () => number) {
    this.#uptime = uptime;
  }

  /** What stands for a plan: nothing but this order, asked for by this user, can be done with it. */
  token(order: ChangeOrder, by: string, matched: number): string {
    return this.#sign(order, by, matched, Math.floor(this.#uptime()) + PLAN_GOOD_FOR);
  }

  /** Uses a plan. @throws FleetError `TOKEN` if it is none of this process, too old, or used; `OVERLOADED` */
  use({ order, by, token }: ChangeRequest): void {
    const until = this.#until(order, by, token);
    if (until === undefined)
      throw new FleetError('TOKEN', 'that is no plan of this agent for this change', {
        hint: 'plan it again; an agent that was started again knows no plans from before',
      });
    const now = this.#uptime();
    if (now > until) throw new FleetError('TOKEN', 'the plan is older than a minute', { hint: 'plan it again' });
    // Twice the same plan would be twice the number that was confirmed.
    switch (this.#used.add(token!, now, until)) {
      case 'known':
        throw new FleetError('TOKEN', 'the plan has been used', { hint: 'plan it again' });
      case 'full':
        throw new FleetError('OVERLOADED', `${MOST_USED} changes in a minute`, { hint: 'ask again in a minute' });
    }
  }

  /** Milliseconds since a plan of this process was made; `undefined`: it is none. */
  age({ order, by, token }: ChangeRequest): number | undefined {
    const until = this.#until(order, by, token);
    return until === undefined ? undefined : this.#uptime() - (until - PLAN_GOOD_FOR);
  }

  /** Until when it is good, by the clock of this process; `undefined`: it is no plan of this process for this. */
  #until(order: ChangeOrder | undefined, by: string, token: string | undefined): number | undefined {
    const [, matched, until] = /^(\d{1,15})-(\d{1,15})-/.exec(token ?? '') ?? [];
    if (!order || token === undefined || until === undefined) return undefined;
    const wanted = Buffer.from(this.#sign(order, by, Number(matched), Number(until)));
    const given = Buffer.from(token);
    return wanted.length === given.length && timingSafeEqual(wanted, given) ? Number(until) : undefined;
  }

  /** `MATCHED-UNTIL-HMAC`. */
  #sign({ do: kind, set, filter, netns }: ChangeOrder, by: string, matched: number, until: number): string {
    const text = JSON.stringify([kind, set ?? null, filter, netns ?? null, by, matched, until]);
    return `${matched}-${until}-${createHmac('sha256', this.#secret).update(text).digest('base64url')}`;
  }
}
