// Changes as an operator makes them: a plan on every host that is meant, and, once its number is confirmed, that change and no more.

import type { Signal } from '../library/index.js';
import { type ChangeOutcome, readOutcome } from './audit.js';
import { type ChangeOrder, type ChangeRequest, signRequest } from './change-request.js';
import type { Asked, AskOptions, Fleet } from './fleet.js';
import type { MissingHost } from './fleet-question.js';
import type { HostInfo } from './inventory.js';
import type { Signer } from './nkey.js';
import { queryId } from './subjects.js';

/** What a host would change. */
export interface PlannedHost {
  readonly host: string;
  readonly matched: number;
  /** Some of the flows, as `-o json` prints them. */
  readonly sample: readonly { readonly netns?: string | undefined; readonly flow: object }[];
}

/** What a host did. */
export interface ChangedHost {
  readonly host: string;
  readonly outcome?: ChangeOutcome | undefined;
  /** Nothing was changed, and why. Without it and without an outcome nobody knows. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string | undefined } | undefined;
  /** It was done, but the audit does not know how it ended. */
  readonly unaudited: boolean;
}

/** Milliseconds until a host that says nothing is silent, and that a plan and a change may take. */
const PLAN_WAIT = 5000;
const PLANNING = 30_000;
const CHANGING = 120_000;
/** Milliseconds in which a result is asked for again, the pause, and what one question may take. */
const ASKING = 20_000;
const PAUSE = 500;
const WAIT = 2000;

/** An answer that could not be read says nothing about what was done. */
const UNREADABLE = ['TWO_AGENTS', 'ENCODING', 'DECODE'];

/** Who changes what. */
export interface Changing {
  readonly fleet: Fleet;
  readonly signer: Signer;
  readonly order: ChangeOrder;
}

/** Asks every chosen host that lets such a change be made how many flows it concerns. Nothing is changed. @throws FleetError */
export async function planChange({ fleet, signer, order }: Changing, options: Omit<AskOptions, 'deadline'>): Promise<ChangePlan> {
  const { expected, others } = await fleet.chosen(options);
  const able = expected.filter(({ allow }) => allow.includes(order.do));
  const unable = expected.filter(({ allow }) => !allow.includes(order.do)).map(({ host }) => host);
  const planned: (PlannedHost & { readonly info: HostInfo; readonly token: string })[] = [];
  const wrong: MissingHost[] = [];
  const value = (host: string, told: unknown) => {
    const info = able.find((one) => one.host === host)!;
    const plan = readPlan(told);
    if (plan) planned.push({ host, info, ...plan });
    else wrong.push({ host, why: 'error', rows: 0, error: { code: 'ENCODING', message: 'its plan cannot be read' } });
  };
  const asked = await fleet.askEach(
    {
      op: 'plan',
      hosts: able,
      request: (host) => signRequest(signer, { op: 'plan', id: queryId(), host, by: fleet.user, order }),
    },
    { value },
    { wait: PLAN_WAIT, deadline: PLANNING, ...options },
  );
  planned.sort((a, b) => (a.host < b.host ? -1 : 1));
  const missing = [...asked.missing, ...wrong, ...others.missing];
  return new ChangePlan({ fleet, signer, order }, planned, unable, { ...others, missing });
}

/** What would be changed. */
export class ChangePlan {
  readonly hosts: readonly PlannedHost[];
  /** Hosts that let nobody make such a change. */
  readonly unable: readonly string[];
  /** Hosts that gave no answer, and why. */
  readonly missing: readonly MissingHost[];
  readonly stopped: Asked['stopped'];
  readonly matched: number;
  readonly #changing: Changing;
  readonly #planned: readonly (PlannedHost & { readonly info: HostInfo; readonly token: string })[];

  constructor(
    changing: Changing,
    planned: readonly (PlannedHost & { readonly info: HostInfo; readonly token: string })[],
    unable: readonly string[],
    { missing, stopped }: Pick<Asked, 'missing' | 'stopped'>,
  ) {
    this.#changing = changing;
    this.#planned = planned;
    this.hosts = planned.map(({ host, matched, sample }) => ({ host, matched, sample }));
    this.unable = unable;
    this.missing = missing;
    this.stopped = stopped;
    this.matched = planned.reduce((sum, { matched }) => sum + matched, 0);
  }

  /**
   * Does it, at most `max` times in all; hosts where nothing matched are not asked. Whoever does not answer is asked for the result.
   * @throws RangeError if `max` is less than what was planned
   */
  async apply(max: number, signal?: Signal): Promise<readonly ChangedHost[]> {
    if (max < this.matched) throw new RangeError(`${this.matched} flows match, and ${max} may be changed`);
    const planned = this.#planned.filter(({ matched }) => matched > 0);
    const limits = shareLimits(
      planned.map(({ matched }) => matched),
      max,
    );
    const { fleet, signer, order } = this.#changing;
    const { user: by } = fleet;
    const ids = new Map(planned.map(({ host }) => [host, queryId()]));
    const requests = new Map(
      planned.map(
        ({ host, token }, i): [string, Pick<ChangeRequest, 'op' | 'id' | 'host' | 'by' | 'order' | 'token' | 'limit'>] => [
          host,
          { op: 'apply', id: ids.get(host)!, host, by, order, token, limit: limits[i] },
        ],
      ),
    );
    const done = new Map<string, ChangedHost>();
    let running = false;
    const value = (host: string, told: unknown) => {
      const changed = readChanged(host, told);
      if (changed === 'running') running = true;
      else if (changed) done.set(host, changed);
    };
    const hosts = planned.map(({ info }) => info);
    const asked = await fleet.askEach(
      { op: 'apply', hosts, request: (host) => signRequest(signer, requests.get(host)!) },
      { value },
      { wait: WAIT, deadline: CHANGING, signal },
    );
    for (const { host, error } of asked.missing)
      if (error && !UNREADABLE.includes(error.code)) done.set(host, { host, error, unaudited: false });
    // A lost answer is no lost change: the host says what it did. One that works on it is waited for as long as any change may take.
    const lost = performance.now();
    for (let until = lost + ASKING; ; ) {
      const open = hosts.filter(({ host }) => !done.has(host));
      if (open.length === 0) break;
      const request = (host: string) =>
        signRequest(signer, { op: 'result', id: ids.get(host)!, host, by, order, token: requests.get(host)!.token });
      running = false;
      await fleet.askEach({ op: 'result', hosts: open, request }, { value }, { wait: WAIT, deadline: WAIT });
      if (running) until = Math.min(performance.now() + ASKING, lost + CHANGING);
      if (performance.now() > until) break;
      if (hosts.some(({ host }) => !done.has(host))) await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    return planned.map(({ host }) => done.get(host) ?? { host, unaudited: false });
  }
}

/** What each host may change, so that all together stay within `max`: what it planned, and its share of what is left. */
export function shareLimits(matched: readonly number[], max: number): readonly number[] {
  const sum = matched.reduce((all, one) => all + one, 0);
  const rest = max - sum;
  const limits = matched.map((one) => one + Math.floor((rest * one) / sum));
  // What rounding leaves is less than one for each.
  const left = max - limits.reduce((all, one) => all + one, 0);
  return limits.map((limit, i) => (i < left ? limit + 1 : limit));
}

const MOST_SAMPLE = 5;

function readPlan(told: unknown): (Pick<PlannedHost, 'matched' | 'sample'> & { readonly token: string }) | undefined {
  const { matched, sample, token } = (told ?? {}) as Partial<Record<'matched' | 'sample' | 'token', unknown>>;
  if (!Number.isSafeInteger(matched) || (matched as number) < 0 || typeof token !== 'string') return undefined;
  const flows = (Array.isArray(sample) ? sample : []).slice(0, MOST_SAMPLE).flatMap((one: unknown) => {
    const { netns, flow } = (one ?? {}) as { readonly netns?: unknown; readonly flow?: unknown };
    if (typeof flow !== 'object' || flow === null) return [];
    return [{ ...(typeof netns === 'string' ? { netns } : {}), flow }];
  });
  return { matched: matched as number, sample: flows, token };
}

/** What a host says of a change; `undefined`: that cannot be read. */
function readChanged(host: string, told: unknown): ChangedHost | 'running' | undefined {
  const { state, outcome, error, unaudited } = (told ?? {}) as Partial<
    Record<'state' | 'outcome' | 'error' | 'unaudited', unknown>
  >;
  if (state === 'never')
    return { host, error: { code: 'LOST', message: 'the request did not reach it: nothing was changed' }, unaudited: false };
  // It was started again since: what the process before it did is known to the audit only.
  if (state === 'unknown') return { host, unaudited: false };
  if (state === 'running') return 'running';
  if (state !== 'done') return undefined;
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const read = readOutcome(outcome);
  if (read) return { host, outcome: read, unaudited: unaudited === true };
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return { host, error: { code: code.slice(0, 100), message: message.slice(0, 1000) }, unaudited: unaudited === true };
}
