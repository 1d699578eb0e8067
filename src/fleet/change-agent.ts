// Changes at the host: counting what would be changed, doing it, and saying what became of it. Nothing is changed before all that match
// have been counted, and never more than was confirmed.

import { FlowReader, fieldSet } from '../ctnetlink/flow.js';
import { type FlowUpdate, toFlowChange } from '../ctnetlink/new-flow.js';
import { toJson } from '../ctnetlink/plain.js';
import type { View } from '../ctnetlink/view.js';
import { ConntrackError } from '../errors.js';
import { type Conntrack, formatFilter, PendingFlows, readFilter, sessionOf, TimeSlice } from '../library/index.js';
import { type AuditPhase, type AuditPlace, type AuditRecord, type ChangeOutcome, outcomeText } from './audit.js';
import { H } from './bodies.js';
import type { Bus, BusMessage, BusSubscription } from './bus.js';
import { type Admitted, ChangeGate } from './change-gate.js';
import { ChangePlans, PLAN_GOOD_FOR } from './change-plans.js';
import { CHANGE_OPERATIONS, type ChangeKind, type ChangeOrder, type ChangeRequest, MOST_REQUEST } from './change-request.js';
import { ChangeResults, type KnownResult, REMEMBERED, type ToldError } from './change-results.js';
import type { Changer } from './changers.js';
import { FleetError } from './fleet-error.js';
import type { AgentIdentity, AgentTables } from './query-agent.js';
import { RunningQuery } from './running-query.js';
import { readReply, subjects } from './subjects.js';

/** What a host lets be changed. */
export interface HostChanges {
  readonly allow: readonly ChangeKind[];
  /** Who may, as it is now. @throws FleetError `CONFIG` */
  readonly changers: () => readonly Changer[];
  readonly audit: AuditPlace;
  /** What is never changed: what does not match this filter in text. */
  readonly keep?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
  /** Milliseconds that only grow, whatever becomes of the clock. */
  readonly uptime?: (() => number) | undefined;
}

/** What was asked for so far, by operation and how it ended. */
export type ChangeCounts = ReadonlyMap<string, number>;

/** Flows that one `apply` changes at most: copies of their messages are kept, some 200 bytes each. */
const MOST_CHANGED = 500_000;
const SAMPLE = 5;
/** Requests that wait for the one that runs. */
const MOST_WAITING = 16;
/** Refusals that are written down in a minute. */
const MOST_REFUSALS = 60;
/** Milliseconds that a change may take before whoever asked for it is told that it goes on. */
const DEADLINE = 600_000;

export class ChangeAgent {
  readonly #bus: Bus;
  readonly #identity: AgentIdentity;
  readonly #tables: AgentTables;
  readonly #options: HostChanges;
  readonly #tell: (line: string) => void;
  readonly #now: () => number;
  readonly #gate: ChangeGate;
  readonly #plans: ChangePlans;
  readonly #results: ChangeResults;
  readonly #counts = new Map<string, number>();
  readonly #refusals = { from: Number.NEGATIVE_INFINITY, told: 0, untold: 0 };
  #subscription: BusSubscription | undefined;
  #waiting = 0;
  #ending = false;
  #work: Promise<void> = Promise.resolve();

  constructor(bus: Bus, identity: AgentIdentity, tables: AgentTables, options: HostChanges, tell: (line: string) => void) {
    this.#bus = bus;
    this.#identity = identity;
    this.#tables = tables;
    this.#options = options;
    this.#tell = tell;
    const { allow, changers, now = Date.now, uptime = () => performance.now() } = options;
    this.#now = now;
    this.#gate = new ChangeGate({ host: identity.host, allow, changers, now });
    this.#plans = new ChangePlans(uptime);
    this.#results = new ChangeResults(uptime);
  }

  /** By `OPERATION RESULT`; a result is `ok` or the code of an error. */
  get counts(): ChangeCounts {
    return this.#counts;
  }

  start(refused: (reason: string) => void): void {
    const { host, site } = this.#identity;
    this.#subscription = this.#bus.subscribe(subjects.change(site, host, '*'), (message) => this.#take(message), refused);
  }

  /** Takes no more requests, refuses those that wait, and lets the one that runs end. */
  async stop(): Promise<void> {
    this.#ending = true;
    this.#subscription?.unsubscribe();
    await this.#work;
  }

  #take(message: BusMessage): void {
    const asker = readReply(message.reply);
    if (!asker) return;
    const { host, instance } = this.#identity;
    const op = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const answer = new RunningQuery(this.#bus, {
      qid: asker.qid,
      user: asker.user,
      op,
      subject: subjects.answer(message.reply!, host),
      instance,
      terms: { deadline: DEADLINE, inline: 0, credit: 0, columns: false },
      entries: () => 0,
      waits: () => {},
    });
    let admitted: Admitted;
    try {
      admitted = this.#gate.admit(op, message);
      // A result is not kept waiting by the change that it is about.
      if (op !== 'result' && this.#waiting > MOST_WAITING)
        throw new FleetError('OVERLOADED', `${MOST_WAITING} changes wait already`, { hint: 'ask again in some seconds' });
    } catch (error) {
      this.#refuse(answer, op, message, error);
      return;
    }
    if (op === 'result') {
      void this.#run(answer, admitted);
      return;
    }
    this.#waiting++;
    this.#work = this.#work
      .then(() => this.#run(answer, admitted))
      .finally(() => {
        this.#waiting--;
      });
  }

  async #run(answer: RunningQuery, admitted: Admitted): Promise<void> {
    const { request } = admitted;
    try {
      if (this.#ending && request.op !== 'result') throw new FleetError('UNAVAILABLE', 'this agent ends: nothing was changed');
      const value = await this.#answer(admitted);
      this.#count(request.op, 'ok');
      answer.json(value);
    } catch (error) {
      if (error instanceof FailedChange) {
        this.#count(request.op, error.told.code);
        answer.error(error.told);
      } else this.#refuse(answer, request.op, admitted.message, error, admitted);
    } finally {
      answer.close();
    }
  }

  #answer(admitted: Admitted): Promise<object> | object {
    switch (admitted.request.op) {
      case 'plan':
        return this.#plan(admitted);
      case 'apply':
        return this.#apply(admitted);
      case 'result':
        return this.#result(admitted.request);
    }
  }

  async #plan({ request, changer }: Admitted): Promise<object> {
    const order = request.order!;
    checkSet(order);
    const sample: object[] = [];
    const reader = new FlowReader();
    const everything = fieldSet(undefined);
    let matched = 0;
    for (const [netns, conntrack] of this.#tablesOf(order))
      await this.#scan(conntrack, this.#filterOf(order, changer), (view) => {
        matched++;
        if (sample.length === SAMPLE) return;
        const flow = toJson(reader.read(view, everything) as object);
        sample.push(this.#tables.several ? { netns, flow } : { flow });
      });
    const token = this.#plans.token(order, request.by, matched);
    return { matched, sample, token, expires: this.#now() + PLAN_GOOD_FOR };
  }

  async #apply(admitted: Admitted): Promise<object> {
    const { request } = admitted;
    const known = this.#results.find(request);
    if (known?.state === 'never')
      throw new FleetError('EXPIRED', 'it came after its result was asked for: nothing was changed', { hint: 'plan it again' });
    if (known) return toResult(known);
    this.#plans.use(request);
    const result = this.#results.add(request, 'running');
    try {
      await this.#write('begin', admitted, {});
    } catch (error) {
      result.error = this.#toError(error);
      this.#results.done(request);
      throw error;
    }
    try {
      result.outcome = await this.#change(admitted);
    } catch (error) {
      result.error = this.#toError(error);
    }
    const { outcome, error } = result;
    try {
      await this.#write('end', admitted, { result: outcome, error });
    } catch (failure) {
      // What was done is done. Who asked, and the log of this host, know it.
      result.unaudited = true;
      this.#tell(`the audit does not know how ${request.id} ended: ${(failure as Error).message}`);
    }
    this.#results.done(request);
    const { do: kind, filter, set } = request.order!;
    const what = `${kind} ${JSON.stringify(filter)}${set ? ` ${JSON.stringify(set)}` : ''}`;
    this.#tell(
      `${request.by}: ${what}, at most ${request.limit}: ${outcome ? outcomeText(outcome) : error!.message} (${request.id})`,
    );
    if (error) throw new FailedChange(error);
    return toResult(result);
  }

  #result(request: ChangeRequest): object {
    const known = this.#results.find(request);
    if (known) return toResult(known);
    const age = this.#plans.age(request);
    // The process before this one may have done it, or this one so long ago that it was forgotten.
    if (age === undefined || age > REMEMBERED) return { state: 'unknown' };
    // It has not come; from now on it is refused if it does, so that this answer stays true.
    return toResult(this.#results.add(request, 'never'));
  }

  /** Lists all that match, refuses if they are too many, and changes those that were listed. @throws FleetError, KernelError */
  async #change({ request, changer }: Admitted): Promise<ChangeOutcome> {
    const order = request.order!;
    checkSet(order);
    const limit = request.limit!;
    const most = Math.min(limit, MOST_CHANGED);
    const listed: { readonly conntrack: Conntrack; readonly flows: PendingFlows }[] = [];
    let matched = 0;
    for (const conntrack of this.#tablesOf(order).values()) {
      const flows = new PendingFlows();
      listed.push({ conntrack, flows });
      await this.#scan(conntrack, this.#filterOf(order, changer), (view) => {
        if (matched++ < most) flows.add(view);
      });
    }
    if (matched > most)
      throw new FleetError('TOO_MANY', `${matched} flows match now, and ${most} may be changed: nothing was`, {
        hint: limit > most ? 'narrow the filter' : 'plan it again; --max leaves room for flows that begin meanwhile',
      });
    const sum = { matched, changed: 0, alreadyGone: 0, unchanged: 0, failed: 0 };
    let reason: string | undefined;
    for (const { conntrack, flows } of listed) {
      if (flows.count === 0) continue;
      try {
        const result =
          order.do === 'delete'
            ? await conntrack.deleteMany(keysOf(flows))
            : await conntrack.updateMany(keysOf(flows), order.set as never);
        sum.changed += 'deleted' in result ? result.deleted : result.updated;
        sum.alreadyGone += result.alreadyGone;
        if ('unchanged' in result) sum.unchanged += result.unchanged;
        sum.failed += result.failed + ('withoutLabelRoom' in result ? result.withoutLabelRoom : 0);
        reason ??= result.errors?.[0]?.message;
        if ('withoutLabelRoom' in result && result.withoutLabelRoom > 0)
          reason ??= 'no room for labels in flows that began without them';
      } catch (error) {
        // Some may have been changed before that: whoever is told of an error takes it that nothing was.
        sum.failed += flows.count;
        reason ??= `${(error as Error).message}; how many of them were changed before is not known`;
      }
    }
    const { changed, alreadyGone, unchanged, failed } = sum;
    return {
      matched,
      ...(order.do === 'delete' ? { deleted: changed } : { updated: changed, unchanged }),
      alreadyGone,
      failed,
      ...(reason === undefined ? {} : { reason }),
    };
  }

  /** What was asked for, as far as this key may have it. @throws FilterError */
  #filterOf({ filter }: ChangeOrder, changer: Changer): string {
    const all = [filter, changer.filter, this.#options.keep].filter((text) => text !== undefined);
    return all.map((text) => `(${formatFilter(text)})`).join(' and ');
  }

  #tablesOf({ netns }: ChangeOrder): ReadonlyMap<string, Conntrack> {
    const { conntracks } = this.#tables;
    if (netns === undefined) return conntracks;
    const chosen = new Map([...conntracks].filter(([name]) => netns.includes(name)));
    if (chosen.size === 0) throw new FleetError('REQUEST', 'none of these network namespaces is here');
    return chosen;
  }

  async #scan(conntrack: Conntrack, filter: string, entry: (view: View) => void): Promise<void> {
    const slice = new TimeSlice();
    const visitor = { entry, beginBatch: () => slice.restart(), pause: () => slice.pause() };
    await sessionOf(conntrack).table.scan(readFilter(filter), visitor, { background: true });
  }

  /** It was refused before it was begun. */
  #refuse(answer: RunningQuery, op: string, message: BusMessage, error: unknown, admitted?: Admitted): void {
    const told = this.#toError(error);
    this.#count((CHANGE_OPERATIONS as readonly string[]).includes(op) ? op : 'other', told.code);
    answer.error(told);
    answer.close();
    const refusals = this.#refusals;
    const now = performance.now();
    if (now - refusals.from > 60_000) Object.assign(refusals, { from: now, told: 0 });
    // Whoever is refused must not fill the audit: when it is full, nobody can change anything.
    if (refusals.told === MOST_REFUSALS) {
      refusals.untold++;
      return;
    }
    refusals.told++;
    const { untold } = refusals;
    refusals.untold = 0;
    const more = { ...(admitted ? askedFor(admitted) : {}), error: told, ...(untold > 0 ? { untold } : {}) };
    const record = this.#record('refused', message, op, more);
    this.#tell(`refused ${op} of ${record.by ?? 'somebody'}: ${told.message}`);
    this.#options.audit.write(record).catch((failure: unknown) => {
      this.#tell(`the audit does not know of a refusal: ${(failure as Error).message}`);
    });
  }

  #write(phase: AuditPhase, admitted: Admitted, more: Partial<AuditRecord>): Promise<void> {
    const { message, request } = admitted;
    return this.#options.audit.write(this.#record(phase, message, request.op, { ...askedFor(admitted), ...more }));
  }

  #record(phase: AuditPhase, message: BusMessage, op: string, more: Partial<AuditRecord>): AuditRecord {
    const { data } = message;
    const key = (message.header(H.key) ?? '').slice(0, 100);
    return {
      v: 1,
      phase,
      at: this.#now(),
      host: this.#identity.host,
      key,
      by: this.#gate.nameOf(key),
      op: op.slice(0, 100),
      ...(data.length <= MOST_REQUEST ? { body: Buffer.from(data).toString('base64url') } : {}),
      sig: (message.header(H.signature) ?? '').slice(0, 100),
      ...more,
    };
  }

  #toError(error: unknown): ToldError {
    if (error instanceof ConntrackError) return error.toJSON();
    this.#tell(`a change failed: ${(error as Error).stack ?? error}`);
    return { code: 'INTERNAL', message: (error as Error).message };
  }

  #count(op: string, result: string): void {
    const name = `${op} ${result}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}

/** A change that was begun and failed: it is in the audit already. */
class FailedChange extends Error {
  readonly told: ToldError;

  constructor(told: ToldError) {
    super(told.message);
    this.told = told;
  }
}

/** @throws ValueError if it has values that no flow may have */
function checkSet({ set }: ChangeOrder): void {
  if (set) toFlowChange(set as FlowUpdate, undefined);
}

/** What the audit has of a request that was checked. */
function askedFor({ request: { id, order, limit }, changer }: Admitted): Partial<AuditRecord> {
  return { by: changer.name, id, order, limit };
}

function toResult({ state, outcome, error, unaudited }: KnownResult): object {
  return { state, ...(outcome ? { outcome } : {}), ...(error ? { error } : {}), ...(unaudited ? { unaudited } : {}) };
}

const KEY_FIELDS = fieldSet(['protocol', 'original', 'zone', 'id']);

/** The flows that were listed, by which the kernel finds them: each by its tuple, zone and id. */
function* keysOf(flows: PendingFlows): Generator<never> {
  const reader = new FlowReader();
  for (let i = 0; i < flows.count; i++) yield reader.read(flows.at(i), KEY_FIELDS) as never;
}
