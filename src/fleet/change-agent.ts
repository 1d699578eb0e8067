// Changes at the host: who may ask for what, and doing it. Nothing is changed before all that match have been counted, and never more
// than was confirmed.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { FlowReader, fieldSet } from '../ctnetlink/flow.js';
import { toJson } from '../ctnetlink/plain.js';
import type { View } from '../ctnetlink/view.js';
import { ConntrackError } from '../errors.js';
import { type Conntrack, formatFilter, PendingFlows, readFilter, sessionOf, TimeSlice } from '../library/index.js';
import type { AuditPhase, AuditPlace, AuditRecord, ChangeOutcome } from './audit.js';
import { H } from './bodies.js';
import type { Bus, BusMessage, BusSubscription } from './bus.js';
import {
  CHANGE_OPERATIONS,
  type ChangeKind,
  type ChangeOrder,
  type ChangeRequest,
  CLOCK_TOLERANCE,
  MOST_REQUEST,
  readRequest,
} from './change-request.js';
import type { Changer } from './changers.js';
import { FleetError } from './fleet-error.js';
import { isSignedBy } from './nkey.js';
import type { AgentIdentity, AgentTables } from './query-agent.js';
import { RunningQuery } from './running-query.js';
import { PROTOCOL_VERSION, readReply, subjects } from './subjects.js';

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
}

/** What was asked for so far, by operation and how it ended. */
export type ChangeCounts = ReadonlyMap<string, number>;

/** Flows that one `apply` changes at most: copies of their messages are kept, some 200 bytes each. */
const MOST_CHANGED = 500_000;
const SAMPLE = 5;
/** Requests that wait for the one that runs. */
const MOST_WAITING = 16;
/** Milliseconds that a plan is good for. */
const PLAN_GOOD_FOR = 60_000;
/** Milliseconds that a result is remembered. */
const REMEMBERED = 600_000;
const MOST_RESULTS = 1000;
/** Numbers that are remembered of each key, and used tokens. */
const MOST_NONCES = 1000;
/** Refusals that are written down in a minute. */
const MOST_REFUSALS = 60;
/** Milliseconds that a change may take before whoever asked for it is told that it goes on. */
const DEADLINE = 600_000;

/** What is known of an `apply`. */
interface Remembered {
  readonly by: string;
  readonly until: number;
  /** `never`: its result was asked for before it came; it is not begun any more. */
  state: 'running' | 'done' | 'never';
  outcome?: ChangeOutcome | undefined;
  error?: { readonly code: string; readonly message: string; readonly hint?: string } | undefined;
  /** The end of it could not be written down. */
  unaudited?: boolean;
}

/** A request that was checked. */
interface Admitted {
  readonly request: ChangeRequest;
  readonly changer: Changer;
  readonly message: BusMessage;
}

export class ChangeAgent {
  readonly #bus: Bus;
  readonly #identity: AgentIdentity;
  readonly #tables: AgentTables;
  readonly #options: HostChanges;
  readonly #tell: (line: string) => void;
  readonly #now: () => number;
  readonly #secret = randomBytes(32);
  readonly #counts = new Map<string, number>();
  /** By key: numbers and until when they are remembered. */
  readonly #nonces = new Map<string, Expiring>();
  readonly #usedTokens = new Expiring(MOST_NONCES);
  readonly #results = new Map<string, Remembered>();
  readonly #refusals = { from: Number.NEGATIVE_INFINITY, told: 0, untold: 0 };
  #subscription: BusSubscription | undefined;
  #waiting = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(bus: Bus, identity: AgentIdentity, tables: AgentTables, options: HostChanges, tell: (line: string) => void) {
    this.#bus = bus;
    this.#identity = identity;
    this.#tables = tables;
    this.#options = options;
    this.#tell = tell;
    this.#now = options.now ?? Date.now;
  }

  /** By `OPERATION RESULT`; a result is `ok` or the code of an error. */
  get counts(): ChangeCounts {
    return this.#counts;
  }

  start(refused: (reason: string) => void): void {
    const { host, site } = this.#identity;
    this.#subscription = this.#bus.subscribe(subjects.change(site, host, '*'), (message) => this.#take(message), refused);
  }

  /** Takes no more requests, and lets the one that runs end. */
  async stop(): Promise<void> {
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
      terms: { deadline: DEADLINE, inline: 0, credit: 0 },
      entries: () => 0,
      waits: () => {},
    });
    let admitted: Admitted;
    try {
      admitted = this.#admit(op, message);
    } catch (error) {
      this.#refuse(answer, op, message, error);
      return;
    }
    // A result is not kept waiting by the change that it is about.
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

  /** Whether this may be asked for. The order is part of the protocol: nothing is believed before it is signed. @throws FleetError */
  #admit(op: string, message: BusMessage): Admitted {
    if (message.header(H.version) !== PROTOCOL_VERSION)
      throw new FleetError('VERSION', `a message of version ${message.header(H.version) ?? 'none'}`);
    const key = message.header(H.key) ?? '';
    const changer = this.#options.changers().find((one) => one.key === key);
    if (!changer) throw new FleetError('UNAUTHORISED', 'this key may change nothing here', { hint: ADD_CHANGER });
    if (message.data.length > MOST_REQUEST) throw new FleetError('REQUEST', `a request of ${message.data.length} bytes`);
    if (!isSignedBy(key, message.data, message.header(H.signature) ?? ''))
      throw new FleetError('UNAUTHORISED', 'the signature is not that of the key');
    const request = readRequest(message.data);
    if (request?.op !== op) throw new FleetError('REQUEST', 'that is no request for a change');
    if (request.host !== this.#identity.host)
      throw new FleetError('UNAUTHORISED', `the request is for ${request.host}, and this is ${this.#identity.host}`);
    const now = this.#now();
    const off = request.at - now;
    if (Math.abs(off) > CLOCK_TOLERANCE)
      throw new FleetError(
        'CLOCK',
        `the clocks are ${(Math.abs(off) / 1000).toFixed(1)} s apart: this one is ${off > 0 ? 'behind' : 'ahead'}`,
        {
          hint: 'a request is good for 30 s, by both clocks',
        },
      );
    this.#checkNonce(key, request.nonce, now);
    if (now > request.expires) throw new FleetError('EXPIRED', 'the request is too old');
    if (request.by !== changer.name)
      throw new FleetError('UNAUTHORISED', `the key is that of ${changer.name} here, not of ${request.by}`, {
        hint: '--user says whose key it is',
      });
    const kind = request.order?.do;
    if (kind !== undefined && !(this.#options.allow.includes(kind) && changer.allow.includes(kind)))
      throw new FleetError('UNAUTHORISED', `${changer.name} may not ${kind} here`);
    if (this.#waiting > MOST_WAITING)
      throw new FleetError('OVERLOADED', `${MOST_WAITING} changes wait already`, { hint: 'ask again in some seconds' });
    return { request, changer, message };
  }

  #checkNonce(key: string, nonce: string, now: number): void {
    const known = this.#nonces.get(key) ?? new Expiring(MOST_NONCES);
    this.#nonces.set(key, known);
    // The request is good as long as its time is within the tolerance of this clock: twice that at most.
    switch (known.add(nonce, now, now + 2 * CLOCK_TOLERANCE)) {
      case 'known':
        throw new FleetError('REPLAY', 'this request has been here before');
      case 'full':
        throw new FleetError('OVERLOADED', `${MOST_NONCES} requests of this key in a minute`, { hint: 'ask again in a minute' });
    }
  }

  async #run(answer: RunningQuery, admitted: Admitted): Promise<void> {
    const { request } = admitted;
    try {
      const value = await this.#answer(admitted);
      this.#count(request.op, 'ok');
      answer.json(value);
    } catch (error) {
      if (error instanceof RememberedError) {
        this.#count(request.op, codeOf(error));
        answer.error(this.#toError(error));
      } else this.#refuse(answer, request.op, admitted.message, error);
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
    const expires = this.#now() + PLAN_GOOD_FOR;
    return { matched, sample, token: this.#token(order, request.by, matched, expires), expires };
  }

  /** What cannot be made without the key of this process: `MATCHED-EXPIRES-HMAC`. */
  #token(order: ChangeOrder, by: string, matched: number, expires: number): string {
    const { do: kind, set, filter, netns } = order;
    const text = JSON.stringify([kind, set ?? null, filter, netns ?? null, by, matched, expires]);
    return `${matched}-${expires}-${createHmac('sha256', this.#secret).update(text).digest('base64url')}`;
  }

  /** @throws FleetError `TOKEN` */
  #checkToken({ order, by, token }: ChangeRequest): void {
    const [, matched, expires] = /^(\d{1,15})-(\d{1,15})-/.exec(token!) ?? [];
    const wanted = Buffer.from(this.#token(order!, by, Number(matched), Number(expires)));
    const given = Buffer.from(token!);
    if (wanted.length !== given.length || !timingSafeEqual(wanted, given))
      throw new FleetError('TOKEN', 'that is no plan of this agent for this change', { hint: 'plan it again' });
    const now = this.#now();
    if (now > Number(expires)) throw new FleetError('TOKEN', 'the plan is older than a minute', { hint: 'plan it again' });
    // Twice the same plan would be twice the number that was confirmed.
    switch (this.#usedTokens.add(token!, now, Number(expires))) {
      case 'known':
        throw new FleetError('TOKEN', 'the plan has been used', { hint: 'plan it again' });
      case 'full':
        throw new FleetError('OVERLOADED', `${MOST_NONCES} changes in a minute`, { hint: 'ask again in a minute' });
    }
  }

  async #apply(admitted: Admitted): Promise<object> {
    const { request } = admitted;
    const known = this.#remembered(request);
    if (known) return toResult(known);
    const order = request.order!;
    const record: Remembered = { by: request.by, until: this.#now() + REMEMBERED, state: 'running' };
    let begun = false;
    try {
      this.#checkToken(request);
      this.#remember(request.id, record);
      await this.#write('begin', admitted, {});
      begun = true;
      record.outcome = await this.#change(admitted);
    } catch (error) {
      record.error = this.#toError(error);
    }
    record.state = 'done';
    const { outcome, error } = record;
    const written = this.#write(begun ? 'end' : 'refused', admitted, { result: outcome, error }).catch((failure: unknown) => {
      // What was done is done. Who asked, and the log of this host, know it.
      record.unaudited = true;
      this.#tell(`the audit does not know how ${request.id} ended: ${(failure as Error).message}`);
    });
    if (begun) await written;
    const what = `${order.do} ${JSON.stringify(order.filter)}${order.set ? ` ${JSON.stringify(order.set)}` : ''}`;
    this.#tell(
      `${request.by}: ${what}, at most ${request.limit}: ${outcome ? outcomeText(outcome) : error!.message} (${request.id})`,
    );
    if (error) throw new RememberedError(error);
    return toResult(record);
  }

  #result(request: ChangeRequest): object {
    const known = this.#remembered(request);
    if (known) return toResult(known);
    // It has not come; from now on it is refused if it does, so that this answer stays true.
    this.#remember(request.id, { by: request.by, until: this.#now() + REMEMBERED, state: 'never' });
    return { state: 'never' };
  }

  /** @throws FleetError */
  #remembered({ id, by, op }: ChangeRequest): Remembered | undefined {
    const known = this.#results.get(id);
    if (!known || known.until < this.#now()) return undefined;
    if (known.by !== by) throw new FleetError('UNAUTHORISED', `that is a change of ${known.by}`);
    if (op === 'apply' && known.state === 'never')
      throw new FleetError('EXPIRED', 'it came after its result was asked for: nothing was changed', { hint: 'plan it again' });
    return known;
  }

  #remember(id: string, record: Remembered): void {
    const now = this.#now();
    for (const [other, { until, state }] of this.#results) {
      if (this.#results.size < MOST_RESULTS && until >= now) break;
      if (state !== 'running') this.#results.delete(other);
    }
    this.#results.set(id, record);
  }

  /** Lists all that match, refuses if they are too many, and changes those that were listed. @throws FleetError, KernelError */
  async #change({ request, changer }: Admitted): Promise<ChangeOutcome> {
    const order = request.order!;
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
  #refuse(answer: RunningQuery, op: string, message: BusMessage, error: unknown): void {
    this.#count((CHANGE_OPERATIONS as readonly string[]).includes(op) ? op : 'other', codeOf(error));
    answer.error(this.#toError(error));
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
    const told = this.#toError(error);
    const record = this.#record('refused', message, op, { error: told, ...(untold > 0 ? { untold } : {}) });
    this.#tell(`refused ${op} of ${record.by ?? 'somebody'}: ${told.message}`);
    this.#options.audit.write(record).catch((failure: unknown) => {
      this.#tell(`the audit does not know of a refusal: ${(failure as Error).message}`);
    });
  }

  #write(phase: AuditPhase, { request, message, changer }: Admitted, more: Partial<AuditRecord>): Promise<void> {
    const { op, id, order, limit } = request;
    return this.#options.audit.write(this.#record(phase, message, op, { by: changer.name, id, order, limit, ...more }));
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
      by: this.#nameOf(key),
      op: op.slice(0, 100),
      ...(data.length <= MOST_REQUEST ? { body: Buffer.from(data).toString('base64url') } : {}),
      sig: (message.header(H.signature) ?? '').slice(0, 100),
      ...more,
    };
  }

  #nameOf(key: string): string | undefined {
    try {
      return this.#options.changers().find((one) => one.key === key)?.name;
    } catch {
      return undefined; // that it cannot be read is why it was refused
    }
  }

  #toError(error: unknown): { readonly code: string; readonly message: string; readonly hint?: string } {
    if (error instanceof ConntrackError) return error.toJSON();
    if (error instanceof RememberedError) return error.told;
    this.#tell(`a change failed: ${(error as Error).stack ?? error}`);
    return { code: 'INTERNAL', message: (error as Error).message };
  }

  #count(op: string, result: string): void {
    const name = `${op} ${result}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}

const ADD_CHANGER = 'conntrack fleet auth changers prints the lines for the file of --changers';

/** The error of an `apply`, as it is remembered. */
class RememberedError extends Error {
  readonly told: NonNullable<Remembered['error']>;

  constructor(told: NonNullable<Remembered['error']>) {
    super(told.message);
    this.told = told;
  }
}

function codeOf(error: unknown): string {
  if (error instanceof RememberedError) return error.told.code;
  return error instanceof ConntrackError ? error.code : 'INTERNAL';
}

function toResult({ state, outcome, error, unaudited }: Remembered): object {
  return { state, ...(outcome ? { outcome } : {}), ...(error ? { error } : {}), ...(unaudited ? { unaudited } : {}) };
}

/** `1201 deleted, 3 had gone by themselves`. */
export function outcomeText({ deleted, updated, alreadyGone, unchanged = 0, failed, reason }: ChangeOutcome): string {
  return [
    deleted === undefined ? `${updated ?? 0} updated` : `${deleted} deleted`,
    ...(unchanged > 0 ? [`${unchanged} had these values`] : []),
    ...(alreadyGone > 0 ? [`${alreadyGone} had gone by themselves`] : []),
    ...(failed > 0 ? [`${failed} were refused${reason === undefined ? '' : `: ${reason}`}`] : []),
  ].join(', ');
}

const KEY_FIELDS = fieldSet(['protocol', 'original', 'zone', 'id']);

/** The flows that were listed, by which the kernel finds them: each by its tuple, zone and id. */
function* keysOf(flows: PendingFlows): Generator<never> {
  const reader = new FlowReader();
  for (let i = 0; i < flows.count; i++) yield reader.read(flows.at(i), KEY_FIELDS) as never;
}

/** Texts that are known until a time: no more than so many. */
class Expiring {
  readonly #most: number;
  readonly #known = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  add(text: string, now: number, until: number): 'new' | 'known' | 'full' {
    if ((this.#known.get(text) ?? Number.NEGATIVE_INFINITY) >= now) return 'known';
    if (this.#known.size >= this.#most) for (const [other, end] of this.#known) if (end < now) this.#known.delete(other);
    if (this.#known.size >= this.#most) return 'full';
    this.#known.set(text, until);
    return 'new';
  }
}
