// FleetQuery: one question to many hosts. It gives credits, so that answers come as fast as they are taken and cost bounded memory, and
// says in the end which hosts did not answer, or not completely.

import { randomBytes } from 'node:crypto';
import { ConntrackError } from '../errors.js';
import type { Signal } from '../library/index.js';
import { type Encoding, H, numberHeader, type PackedBody, packJson, READS_COMMON, unpackBody, unpackJson } from './bodies.js';
import type { Bus, BusMessage, BusSubscription } from './bus.js';
import type { ChangeOperation } from './change-request.js';
import { FleetError } from './fleet-error.js';
import type { HostInfo } from './inventory.js';
import type { Operation, QueryBody } from './operations.js';
import { type AnswerEnd, END_REASONS } from './running-query.js';
import { EVERY, isName, subjects } from './subjects.js';

/** Why there is no complete answer of a host. */
export type MissingReason = 'silent' | 'deadline' | 'overloaded' | 'error' | 'version' | 'hole' | 'stalled' | 'cancelled';

/** A host whose answer is missing or not complete. */
export interface MissingHost {
  readonly host: string;
  readonly why: MissingReason;
  /** Rows that came nevertheless. */
  readonly rows: number;
  /** Milliseconds since it was heard of; absent if that is not known. */
  readonly age?: number | undefined;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string | undefined } | undefined;
}

/** A complete answer. */
export interface AnsweredHost {
  readonly host: string;
  readonly rows: number;
  /** Milliseconds that the host took. */
  readonly ms: number;
}

/** How a question to a fleet ended. */
export interface FleetResult {
  /** Whether every host that was asked gave a complete answer. */
  readonly complete: boolean;
  readonly answered: readonly AnsweredHost[];
  readonly missing: readonly MissingHost[];
  readonly ms: number;
  /** Why the inventory cannot be read: then hosts that did not answer are not known, and not among the missing. */
  readonly unlisted?: string | undefined;
}

/** Takes what comes. A promise makes the hosts wait. */
export interface FleetVisitor {
  /** Flows of a host, as a body of the question's encoding, which is valid during the call. @returns `enough`: no more is wanted */
  rows?(host: string, netns: string | undefined, body: Uint8Array, at?: number): RowsTaken | Promise<RowsTaken>;
  /** Something that is told between rows. */
  note?(host: string, value: unknown): void;
  /** The answer of a host to a question that is answered by one value. */
  value?(host: string, value: unknown): void;
  /** Whether more rows of a host are wanted now. Default: yes. When that changes, call `more` of the query. */
  wants?(host: string): boolean;
  /** A host has begun to answer. */
  begun?(host: string): void;
  /** Of a host no complete answer comes. */
  missed?(missing: MissingHost): void;
  /** No more comes of a host, whatever the reason. */
  ended?(host: string): void | Promise<void>;
}

/** How many rows were taken, and whether no more are wanted. */
export interface RowsTaken {
  readonly rows: number;
  readonly enough?: boolean | undefined;
}

/** What is asked, and whom. */
export interface FleetQuestion {
  readonly op: Operation | ChangeOperation;
  readonly body: QueryBody;
  /** Instead: what each host is asked. */
  readonly bodyOf?: ((host: string) => QueryBody) | undefined;
  /** How rows come. Default `nl1`. */
  readonly encoding?: Encoding | undefined;
  /** Milliseconds after which a host that has said nothing more is given up: those that work for long give signs of life. */
  readonly silence?: number | undefined;
  /** Chunks that may be under way, of all hosts together. Default 32. */
  readonly window?: number | undefined;
  /** Of changes: what each host is asked. Then nobody is asked twice. */
  readonly request?: ((host: string) => PackedBody) | undefined;
  /** Hosts that should answer, or collectors. */
  readonly hosts: readonly HostInfo[];
  readonly collectors?: boolean | undefined;
  /** Every host of these sites is asked at once; `_`: of all. Absent: each of `hosts` by itself. */
  readonly sites?: readonly string[] | undefined;
  /** With `sites`: whether the answer of a host that is not among `hosts` is wanted. */
  readonly isChosen?: ((host: string) => boolean) | undefined;
  /** With `sites`: `hosts` are not all that there are. Whoever else answers within `wait` is waited for. */
  readonly blind?: boolean | undefined;
  /** Milliseconds after which a host that said nothing is silent. */
  readonly wait: number;
  /** Milliseconds that a host may work, and that the asker waits for something to come. */
  readonly deadline: number;
  /** Rows in the order in which they come, or one host after the other, by name. Default `arrival`. */
  readonly order?: 'arrival' | 'host' | undefined;
  readonly signal?: Signal | undefined;
}

/** Chunks that may be under way: of all hosts, of one of several, of the only one. */
const WINDOW = 32;
const WINDOW_OF_ONE = 2;
const WINDOW_OF_ONLY = 8;
/** Bytes of an answer in one message. */
const INLINE = 16_384;
/** What a host tells between rows, waiting to be read. */
const MOST_NOTES = 100;
const KEEP_ALIVE = 3000;
const TICK = 100;
/** Hosts that answer though the inventory does not know them. */
const MOST_UNKNOWN = 1000;

interface Part {
  readonly host: Answer;
  readonly message: BusMessage;
  /** It was paid for with a credit. */
  readonly paid: boolean;
  readonly end: AnswerEnd | undefined;
}

/** What one host has answered so far. */
interface Answer {
  readonly host: string;
  readonly info: HostInfo | undefined;
  qid: string;
  instance: string | undefined;
  /** Number of the next message. */
  next: number;
  /** Milliseconds since something came, without those in which nothing had to. */
  quiet: number;
  /** Nothing more comes of it, and the visitor knows. */
  told: boolean;
  /** Chunks that it may still send. */
  credits: number;
  /** Chunks that have come and were not taken. */
  queued: Part[];
  rows: number;
  /** The last message has come. */
  ended: boolean;
  /** It was taken, or will never come. */
  finished: boolean;
  ms: number;
  missing: Omit<MissingHost, 'host' | 'rows' | 'age'> | undefined;
  retried: boolean;
}

export class FleetQuery {
  readonly #bus: Bus;
  readonly #user: string;
  readonly #question: FleetQuestion;
  readonly #visitor: FleetVisitor;
  readonly #answers = new Map<string, Answer>();
  readonly #subscriptions: BusSubscription[] = [];
  readonly #begun = performance.now();
  readonly #qid = queryId();
  readonly #window: number;
  /** In the order in which they came. */
  #parts: Part[] = [];
  #taking = false;
  /** Milliseconds since something came, without those in which nobody took it. */
  #idle = 0;
  #unknown = 0;
  #nobody = false;
  #over!: (error?: unknown) => void;
  #isOver = false;

  constructor(bus: Bus, user: string, question: FleetQuestion, visitor: FleetVisitor) {
    this.#bus = bus;
    this.#user = user;
    this.#question = question;
    this.#visitor = visitor;
    this.#window = question.hosts.length === 1 ? WINDOW_OF_ONLY : WINDOW_OF_ONE;
  }

  /** Asks, and settles when every host has answered or is given up. @throws what the visitor throws */
  async run(): Promise<FleetResult> {
    const { hosts, sites, signal, op, request } = this.#question;
    for (const info of hosts) this.#answers.set(info.host, this.#newAnswer(info.host, info));
    const done = new Promise<void>((resolve, reject) => {
      this.#over = (error) => {
        this.#isOver = true;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    done.catch(() => {}); // awaited below
    this.#listen(this.#qid);
    if (request) for (const { host, site } of hosts) this.#publish(subjects.change(site, host, op), this.#qid, request(host));
    else {
      if (sites) {
        const body = packJson(this.#question.body);
        for (const site of sites) this.#publish(subjects.query(site, EVERY, op), this.#qid, body);
      } else for (const info of hosts) this.#publish(this.#subjectOf(info), this.#qid, this.#bodyOf(info.host));
    }
    const tick = setInterval(() => this.#tick(), TICK);
    const keepAlive = setInterval(() => this.#keepAlive(), KEEP_ALIVE);
    const back = this.#bus.onConnection((what) => {
      if (what === 'back') this.#afterReconnect();
    });
    const abort = () => this.#giveUp();
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    if (hosts.length === 0 && !sites) this.#over();
    try {
      await done;
    } catch (error) {
      this.#giveUp();
      throw error;
    } finally {
      clearInterval(tick);
      clearInterval(keepAlive);
      back();
      signal?.removeEventListener('abort', abort);
      for (const subscription of this.#subscriptions) subscription.unsubscribe();
    }
    return this.#result();
  }

  #newAnswer(host: string, info: HostInfo | undefined): Answer {
    return {
      host,
      info,
      qid: this.#qid,
      instance: undefined,
      next: 0,
      quiet: 0,
      told: false,
      credits: this.#window === WINDOW_OF_ONLY ? WINDOW_OF_ONLY : 0,
      queued: [],
      rows: 0,
      ended: false,
      finished: false,
      ms: 0,
      missing: undefined,
      retried: false,
    };
  }

  #listen(qid: string): void {
    const reply = subjects.reply(this.#user, qid);
    this.#subscriptions.push(
      this.#bus.subscribe(`${reply}.*`, (message) => this.#take(qid, message)),
      this.#bus.subscribe(reply, ({ status }) => {
        if (status === 503) this.#nobody = true;
      }),
    );
  }

  #publish(subject: string, qid: string, { data, headers }: PackedBody): void {
    const { deadline } = this.#question;
    this.#bus.publish(subject, data, {
      reply: subjects.reply(this.#user, qid),
      headers: {
        ...headers,
        [H.query]: qid,
        [H.deadline]: `${Math.ceil(deadline)}`,
        [H.inline]: `${INLINE}`,
        [H.reads]: READS_COMMON,
        [H.credit]: `${this.#window === WINDOW_OF_ONLY ? WINDOW_OF_ONLY : 0}`,
      },
    });
  }

  #take(qid: string, message: BusMessage): void {
    const host = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    let answer = this.#answers.get(host);
    if (!answer) {
      if (!isName(host)) return;
      const { sites, isChosen } = this.#question;
      if (!sites || isChosen?.(host) === false || this.#unknown === MOST_UNKNOWN) {
        const { data, headers } = packJson({ cancel: true });
        this.#bus.publish(subjects.flow(host, qid), data, { headers });
        return;
      }
      // An agent that has just started.
      this.#unknown++;
      answer = this.#newAnswer(host, undefined);
      this.#answers.set(host, answer);
    }
    if (answer.qid !== qid) return;
    const instance = message.header(H.instance) ?? '';
    answer.instance ??= instance;
    if (answer.instance !== instance) {
      this.#fail(answer, 'error', new FleetError('TWO_AGENTS', `two agents answer as ${host}`));
      return;
    }
    // Late is better than never.
    if (answer.missing?.why === 'silent' && answer.next === 0 && !answer.told) {
      answer.missing = undefined;
      answer.finished = false;
    }
    if (answer.finished || answer.ended) return;
    this.#idle = 0;
    answer.quiet = 0;
    const number = numberHeader(message, H.number, -1, 0, Number.MAX_SAFE_INTEGER);
    if (number !== answer.next) {
      this.#hole(answer);
      return;
    }
    if (answer.next++ === 0) this.#visitor.begun?.(host);
    this.#takeNext(answer, message);
  }

  #takeNext(answer: Answer, message: BusMessage): void {
    const kind = message.header(H.kind);
    const end = readEnd(message);
    switch (kind) {
      case 'head':
        break;
      case 'part': {
        if (answer.credits === 0) {
          this.#fail(answer, 'error', new FleetError('ENCODING', `${answer.host} sends more than it was asked for`));
          return;
        }
        answer.credits--;
        this.#enqueue({ host: answer, message, paid: true, end: undefined });
        break;
      }
      case 'note':
        if (answer.queued.length < MOST_NOTES) this.#enqueue({ host: answer, message, paid: false, end: undefined });
        break;
      case 'all':
      case 'end': {
        if (!end) {
          this.#fail(answer, 'error', new FleetError('ENCODING', `${answer.host} ends without saying how`));
          return;
        }
        answer.ended = true;
        answer.ms = end.ms;
        const paid = kind === 'end' && answer.credits > 0;
        if (paid) answer.credits--;
        this.#enqueue({ host: answer, message, paid, end });
        break;
      }
      case 'error':
        this.#failAs(answer, message);
        break;
      default:
        this.#fail(answer, 'error', new FleetError('ENCODING', `${answer.host} sends a message of no known kind`));
    }
    this.#giveCredits();
  }

  #enqueue(part: Part): void {
    part.host.queued.push(part);
    this.#parts.push(part);
    void this.#work();
  }

  /** Hands parts to the visitor, one after the other. */
  async #work(): Promise<void> {
    if (this.#taking) return;
    this.#taking = true;
    try {
      for (let part = this.#nextPart(); part && !this.#isOver; part = this.#nextPart()) {
        const { host } = part;
        host.queued.shift();
        const enough = await this.#visit(part);
        this.#idle = 0;
        if (part.end) this.#finish(host, part.end);
        await this.#tellEnded();
        if (enough) {
          this.#cancelAll();
          this.#over();
          return;
        }
        this.#giveCredits();
      }
      await this.#tellEnded();
    } catch (error) {
      this.#over(error);
    } finally {
      this.#taking = false;
    }
    this.#checkOver();
  }

  /** Of which hosts nothing more comes. */
  async #tellEnded(): Promise<void> {
    const { ended } = this.#visitor;
    if (!ended) return;
    for (const answer of this.#answers.values()) {
      if (!answer.finished || answer.told) continue;
      answer.told = true;
      await ended(answer.host);
    }
  }

  #nextPart(): Part | undefined {
    if (this.#question.order !== 'host') {
      let part = this.#parts.shift();
      while (part?.host.finished) part = this.#parts.shift();
      return part;
    }
    for (const host of this.#inOrder()) {
      if (host.finished) continue;
      const part = host.queued[0];
      if (part) this.#parts.splice(this.#parts.indexOf(part), 1);
      return part;
    }
    return undefined;
  }

  /** @returns whether no more is wanted */
  async #visit({ host, message, end }: Part): Promise<boolean> {
    const { visitor, isValue } = { visitor: this.#visitor, isValue: message.header(H.encoding) === 'json' };
    let body: Uint8Array;
    try {
      if (isValue) {
        if (end && end.reason !== undefined) return false; // it ended early, with nothing
        const value = unpackJson(message);
        if (message.header(H.kind) === 'note') visitor.note?.(host.host, value);
        else visitor.value?.(host.host, value);
        return false;
      }
      body = unpackBody(message, this.#question.encoding ?? 'nl1');
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      this.#fail(host, 'error', error);
      return false;
    }
    if (!visitor.rows) return false;
    const netns = decoded(message.header(H.netns));
    const at = numberHeader(message, H.at, 0, 0, Number.MAX_SAFE_INTEGER);
    try {
      const { rows, enough = false } = await visitor.rows(host.host, netns, body, at === 0 ? undefined : at);
      host.rows += rows;
      return enough;
    } catch (error) {
      // Of the body: another's fault. Of the output: the end of everything.
      if (!(error instanceof ConntrackError) || (error.code !== 'DECODE' && error.code !== 'ENCODING')) throw error;
      this.#fail(host, 'error', error);
      return false;
    }
  }

  #finish(host: Answer, end: AnswerEnd): void {
    if (host.finished) return;
    host.finished = true;
    const { reason, complete, warnings } = end;
    const isShort = end.rows !== host.rows && this.#visitor.rows !== undefined;
    if (reason === 'limit') return;
    if (reason === 'deadline' || reason === 'stalled' || reason === 'cancelled') host.missing = { why: reason };
    else if (!complete)
      host.missing = {
        why: 'error',
        error: { code: 'INCOMPLETE', message: (warnings ?? [reason ?? 'the answer is not complete']).join('; ') },
      };
    else if (isShort) host.missing = { why: 'hole' };
    this.#tellMissed(host);
  }

  #tellMissed(answer: Answer): void {
    if (answer.missing) this.#visitor.missed?.(toMissing(answer, answer.missing));
  }

  /** Messages are missing: if nothing of it was used, it is asked again. */
  #hole(answer: Answer): void {
    this.#cancel(answer);
    if (answer.retried || answer.rows > 0 || answer.queued.length > 0) {
      this.#fail(answer, 'hole');
      return;
    }
    const { info } = answer;
    const { request } = this.#question;
    if (!info || request) {
      this.#fail(answer, 'hole');
      return;
    }
    const qid = queryId();
    Object.assign(answer, { ...this.#newAnswer(answer.host, info), qid, retried: true, instance: answer.instance });
    this.#listen(qid);
    // Asked by itself it gets the credits of all others, or those of an only one.
    this.#publish(this.#subjectOf(info), qid, this.#bodyOf(info.host));
  }

  #bodyOf(host: string): PackedBody {
    const { body, bodyOf } = this.#question;
    return packJson(bodyOf?.(host) ?? body);
  }

  #subjectOf({ site, host }: HostInfo): string {
    const { collectors, op } = this.#question;
    return collectors ? subjects.history(host, op) : subjects.query(site, host, op);
  }

  #afterReconnect(): void {
    for (const answer of this.#answers.values()) if (!answer.finished && !answer.ended) this.#hole(answer);
  }

  #failAs(answer: Answer, message: BusMessage): void {
    let told: { readonly code?: unknown; readonly message?: unknown; readonly hint?: unknown } = {};
    try {
      told = (unpackJson(message) ?? {}) as typeof told;
    } catch {
      // It failed, whatever it says.
    }
    const text = (value: unknown, otherwise: string) => (typeof value === 'string' ? value.slice(0, 1000) : otherwise);
    const code = text(told.code, 'ERROR');
    const why = code === 'OVERLOADED' ? 'overloaded' : code === 'VERSION' ? 'version' : 'error';
    const hint = typeof told.hint === 'string' ? told.hint.slice(0, 1000) : undefined;
    answer.missing = { why, error: { code, message: text(told.message, 'no reason'), hint } };
    answer.finished = true;
    this.#tellMissed(answer);
    this.#checkOver();
  }

  #fail(answer: Answer, why: MissingReason, error?: ConntrackError): void {
    if (answer.finished && answer.missing) return;
    if (!answer.ended && answer.next > 0) this.#cancel(answer);
    answer.missing = { why, ...(error ? { error: error.toJSON() } : {}) };
    answer.finished = true;
    answer.queued = [];
    this.#tellMissed(answer);
    this.#checkOver();
  }

  /** Chunks that may come: those that were allowed and those that nobody has taken yet. */
  #giveCredits(): void {
    if (this.#isOver || !this.#visitor.rows) return;
    let used = 0;
    for (const { credits, queued, finished } of this.#answers.values()) if (!finished) used += credits + queued.length;
    const { window = WINDOW } = this.#question;
    const order = this.#question.order === 'host';
    for (const answer of order ? this.#inOrder() : this.#answers.values()) {
      if (answer.finished) continue;
      if (used >= window) return;
      if (answer.next > 0 && !answer.ended) {
        const credit = Math.min(this.#window - answer.credits - answer.queued.length, window - used);
        if (credit > 0 && this.#wants(answer)) {
          answer.credits += credit;
          used += credit;
          this.#say(answer, { credit });
        }
      }
      if (order) return; // the others wait for their turn
    }
  }

  #wants({ host }: Answer): boolean {
    return this.#visitor.wants?.(host) ?? true;
  }

  /** Looks anew whether the visitor wants more. */
  more(): void {
    this.#giveCredits();
  }

  #inOrder(): Answer[] {
    return [...this.#answers.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  #keepAlive(): void {
    for (const answer of this.#answers.values())
      if (answer.next > 0 && !answer.ended && !answer.finished) this.#say(answer, { credit: 0 });
  }

  #tick(): void {
    const { wait, deadline } = this.#question;
    const since = performance.now() - this.#begun;
    if (since >= wait)
      for (const answer of this.#answers.values()) if (answer.next === 0 && !answer.finished) this.#fail(answer, 'silent');
    if (!this.#taking) this.#idle += TICK;
    if (this.#idle > deadline + 1000)
      for (const answer of this.#answers.values())
        if (!answer.finished && answer.queued.length === 0 && this.#wants(answer)) this.#fail(answer, 'deadline');
    const { silence } = this.#question;
    if (silence !== undefined && !this.#taking)
      for (const answer of this.#answers.values()) {
        const isBusy = answer.next > 0 && !answer.finished && !answer.ended && answer.credits > 0;
        // By ticks: while this process did nothing, nothing could be heard.
        if (isBusy) answer.quiet += TICK;
        if (answer.quiet > silence) this.#fail(answer, 'silent');
      }
    this.#checkOver();
  }

  #checkOver(): void {
    if (this.#isOver || this.#taking) return;
    const answers = [...this.#answers.values()];
    if (this.#visitor.ended && answers.some(({ finished, told }) => finished && !told)) {
      void this.#work();
      return;
    }
    if (answers.some(({ finished }) => !finished)) return;
    // Whoever nobody is expected to be may still be there.
    const since = performance.now() - this.#begun;
    const { blind = false, wait } = this.#question;
    if ((blind || this.#answers.size === 0) && !this.#nobody && since < wait) return;
    this.#over();
  }

  #giveUp(): void {
    this.#cancelAll();
    for (const answer of this.#answers.values())
      if (!answer.finished) {
        answer.missing = { why: 'cancelled' };
        answer.finished = true;
      }
    if (!this.#isOver) this.#over();
  }

  #cancelAll(): void {
    // Those, too, that have said nothing yet: they would begin, and wait for somebody who has gone.
    for (const answer of this.#answers.values()) if (!answer.finished && !answer.ended) this.#cancel(answer);
  }

  #cancel(answer: Answer): void {
    this.#say(answer, { cancel: true });
  }

  #say({ host, qid }: Answer, told: object): void {
    const { data, headers } = packJson(told);
    this.#bus.publish(subjects.flow(host, qid), data, { headers });
  }

  #result(): FleetResult {
    const answers = this.#inOrder();
    const missing = answers.flatMap((answer) => (answer.missing ? [toMissing(answer, answer.missing)] : []));
    return {
      complete: missing.length === 0,
      answered: answers.filter(({ missing }) => !missing).map(({ host, rows, ms }) => ({ host, rows, ms })),
      missing,
      ms: Math.round(performance.now() - this.#begun),
    };
  }
}

function toMissing({ host, rows, info }: Answer, missing: NonNullable<Answer['missing']>): MissingHost {
  return { host, ...missing, rows, ...(info ? { age: info.age } : {}) };
}

/** `Ct-End`; `undefined` if there is none that can be read. */
function readEnd(message: BusMessage): AnswerEnd | undefined {
  const text = decoded(message.header(H.end));
  if (text === undefined || text.length > 10_000) return undefined;
  let told: Readonly<Record<keyof AnswerEnd, unknown>>;
  try {
    told = JSON.parse(text) as typeof told;
  } catch {
    return undefined;
  }
  if (typeof told !== 'object' || told === null) return undefined;
  const { rows, ms, complete, reason, warnings } = told;
  if (typeof rows !== 'number' || typeof ms !== 'number') return undefined;
  return {
    rows,
    ms,
    complete: complete === true,
    reason: END_REASONS.find((one) => one === reason),
    warnings: Array.isArray(warnings)
      ? warnings.slice(0, 10).filter((one): one is string => typeof one === 'string' && one.length < 500)
      : undefined,
  };
}

function decoded(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 22 letters and digits, which nobody can guess. */
export function queryId(): string {
  return Array.from(randomBytes(22), (byte) => LETTERS[byte % LETTERS.length]).join('');
}
