// FleetQuery: one question to many hosts. It gives credits, so that answers come as fast as they are taken and cost bounded memory, and
// says in the end which hosts did not answer, or not completely.

import { ConntrackError } from '../errors.js';
import { readEnd, readError, takePart } from './answer-messages.js';
import { H, type PackedBody, packJson, READS_COLUMNS } from './bodies.js';
import type { Bus, BusMessage, BusSubscription } from './bus.js';
import { FleetError, OTHER_KEY } from './fleet-error.js';
import type { FleetQuestion, FleetResult, FleetVisitor, MissingReason } from './fleet-question.js';
import { type AnswerPart, HostAnswer, shareCredits, type WhyMissing } from './host-answer.js';
import type { HostInfo } from './inventory.js';
import { EVERY, isName, queryId, subjects } from './subjects.js';

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

export class FleetQuery {
  readonly #bus: Bus;
  readonly #user: string;
  readonly #question: FleetQuestion;
  readonly #visitor: FleetVisitor;
  readonly #answers = new Map<string, HostAnswer>();
  readonly #subscriptions: BusSubscription[] = [];
  readonly #begun = performance.now();
  readonly #qid = queryId();
  readonly #window: number;
  /** Credits that a host has without having said anything. */
  readonly #unasked: number;
  /** In the order in which they came. */
  #parts: AnswerPart[] = [];
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
    const only = question.hosts.length === 1;
    this.#window = only ? WINDOW_OF_ONLY : WINDOW_OF_ONE;
    this.#unasked = only ? WINDOW_OF_ONLY : 0;
  }

  /** Asks, and settles when every host has answered or is given up. @throws what the visitor throws */
  async run(): Promise<FleetResult> {
    const { hosts, sites, signal } = this.#question;
    for (const info of hosts) this.#answers.set(info.host, new HostAnswer(info.host, info, this.#qid, this.#unasked));
    const done = new Promise<void>((resolve, reject) => {
      this.#over = (error) => {
        this.#isOver = true;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    done.catch(() => {}); // awaited below
    const unheard = this.#bus.onRefusal((subject) => this.#refused(subject));
    this.#listen(this.#qid);
    this.#ask();
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
      unheard();
      signal?.removeEventListener('abort', abort);
      for (const subscription of this.#subscriptions) subscription.unsubscribe();
    }
    return this.#result();
  }

  /** Looks anew whether the visitor wants more. */
  more(): void {
    this.#giveCredits();
  }

  // What is asked, and how its answers are heard.

  #ask(): void {
    const { hosts, sites, op, body, request } = this.#question;
    if (request) for (const info of hosts) this.#publish(this.#subjectOf(info), this.#qid, request(info.host));
    else if (sites) {
      const packed = packJson(body);
      for (const site of sites) this.#publish(subjects.query(site, EVERY, op), this.#qid, packed);
    } else for (const info of hosts) this.#publish(this.#subjectOf(info), this.#qid, this.#bodyOf(info.host));
  }

  #bodyOf(host: string): PackedBody {
    const { body, bodyOf } = this.#question;
    return packJson(bodyOf?.(host) ?? body);
  }

  #subjectOf({ site, host }: HostInfo): string {
    const { collectors, op, request } = this.#question;
    if (request) return subjects.change(site, host, op);
    return collectors ? subjects.history(host, op) : subjects.query(site, host, op);
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
        [H.reads]: READS_COLUMNS,
        [H.credit]: `${this.#unasked}`,
      },
    });
  }

  /** The servers did not let something pass. @returns whether it was a question of this one */
  #refused(subject: string): boolean {
    const { op, sites, request } = this.#question;
    const isMeant = ({ info }: HostAnswer) =>
      info !== undefined &&
      (subject === this.#subjectOf(info) ||
        (sites ?? []).some((site) => subject === subjects.query(site, EVERY, op) && (site === EVERY || site === info.site)));
    const meant = [...this.#answers.values()].filter(isMeant);
    const error = request
      ? new FleetError('UNAUTHORISED', 'this key may change nothing', {
          hint: 'that of an operator may: conntrack fleet auth operator, for all sites or for some',
        })
      : new FleetError('UNAUTHORISED', 'this key may not ask it', { hint: `${OTHER_KEY}; --site asks one` });
    for (const answer of meant) if (answer.heard === 0) this.#fail(answer, 'error', error);
    return meant.length > 0;
  }

  #take(qid: string, message: BusMessage): void {
    const host = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const answer = this.#answers.get(host) ?? this.#newcomer(host, qid);
    if (answer?.qid !== qid) return;
    const what = answer.accept(message);
    switch (what) {
      case 'late':
        return;
      case 'other':
        this.#fail(answer, 'error', new FleetError('TWO_AGENTS', `two agents answer as ${host}`));
        return;
      case 'hole':
        this.#idle = 0;
        this.#hole(answer);
        return;
    }
    this.#idle = 0;
    if (answer.heard === 1) this.#visitor.begun?.(host);
    this.#takeNext(answer, message);
  }

  /** An agent that has just started, if such are meant; others are told to be quiet. */
  #newcomer(host: string, qid: string): HostAnswer | undefined {
    if (!isName(host)) return undefined;
    const { sites, isChosen } = this.#question;
    if (!sites || isChosen?.(host) === false || this.#unknown === MOST_UNKNOWN) {
      const { data, headers } = packJson({ cancel: true });
      this.#bus.publish(subjects.flow(host, qid), data, { headers });
      return undefined;
    }
    this.#unknown++;
    const answer = new HostAnswer(host, undefined, this.#qid, this.#unasked);
    this.#answers.set(host, answer);
    return answer;
  }

  #takeNext(answer: HostAnswer, message: BusMessage): void {
    const { host } = answer;
    const kind = message.header(H.kind);
    switch (kind) {
      case 'head':
        break;
      case 'part': {
        if (answer.credits === 0) {
          this.#fail(answer, 'error', new FleetError('ENCODING', `${host} sends more than it was asked for`));
          return;
        }
        answer.credits--;
        this.#enqueue({ answer, message, end: undefined });
        break;
      }
      case 'note':
        if (answer.queued.length < MOST_NOTES) this.#enqueue({ answer, message, end: undefined });
        break;
      case 'all':
      case 'end': {
        const end = readEnd(message);
        if (!end) {
          this.#fail(answer, 'error', new FleetError('ENCODING', `${host} ends without saying how`));
          return;
        }
        answer.ended = true;
        answer.ms = end.ms;
        if (kind === 'end' && answer.credits > 0) answer.credits--;
        this.#enqueue({ answer, message, end });
        break;
      }
      case 'error':
        this.#miss(answer, readError(message));
        break;
      default:
        this.#fail(answer, 'error', new FleetError('ENCODING', `${host} sends a message of no known kind`));
    }
    this.#giveCredits();
  }

  // What has come, and who takes it.

  #enqueue(part: AnswerPart): void {
    part.answer.queued.push(part);
    this.#parts.push(part);
    void this.#work();
  }

  /** Hands parts to the visitor, one after the other. */
  async #work(): Promise<void> {
    if (this.#taking || this.#isOver) return;
    this.#taking = true;
    try {
      for (let part = this.#nextPart(); part && !this.#isOver; part = this.#nextPart()) {
        const { answer, end } = part;
        answer.queued.shift();
        const taken = await takePart(part, this.#visitor, this.#question.encoding);
        if (taken instanceof ConntrackError) this.#fail(answer, 'error', taken);
        this.#idle = 0;
        if (end && !answer.finished) {
          answer.end(end, this.#visitor.rows !== undefined);
          this.#tellMissed(answer);
        }
        await this.#tellEnded();
        if (taken === 'enough') {
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
    this.#giveCredits();
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

  #nextPart(): AnswerPart | undefined {
    if (this.#question.order !== 'host') {
      let part = this.#parts.shift();
      while (part?.answer.finished) part = this.#parts.shift();
      return part;
    }
    for (const answer of this.#inOrder()) {
      if (answer.finished) continue;
      const part = answer.queued[0];
      if (part) this.#parts.splice(this.#parts.indexOf(part), 1);
      return part;
    }
    return undefined;
  }

  // What does not come.

  #tellMissed(answer: HostAnswer): void {
    const missing = answer.toMissing();
    if (missing) this.#visitor.missed?.(missing);
  }

  /** Messages are missing: if nothing of it was used, it is asked again. */
  #hole(answer: HostAnswer): void {
    this.#cancel(answer);
    const qid = queryId();
    if (this.#question.request || !answer.retry(qid, this.#unasked)) {
      this.#fail(answer, 'hole');
      return;
    }
    this.#listen(qid);
    // Asked by itself it gets the credits of all others, or those of an only one.
    this.#publish(this.#subjectOf(answer.info!), qid, this.#bodyOf(answer.host));
  }

  #afterReconnect(): void {
    for (const answer of this.#answers.values()) if (!answer.finished && !answer.ended) this.#hole(answer);
  }

  #fail(answer: HostAnswer, why: MissingReason, error?: ConntrackError): void {
    if (answer.finished && answer.missing) return;
    if (!answer.ended && answer.heard > 0) this.#cancel(answer);
    this.#miss(answer, { why, ...(error ? { error: error.toJSON() } : {}) });
  }

  #miss(answer: HostAnswer, why: WhyMissing): void {
    answer.miss(why);
    this.#tellMissed(answer);
    // Where hosts come one after the other, the next one may have waited for this.
    void this.#work();
  }

  // How much may come.

  /** Chunks that may come: those that were allowed and those that nobody has taken yet. */
  #giveCredits(): void {
    if (this.#isOver || !this.#visitor.rows) return;
    const { window = WINDOW, order } = this.#question;
    const inTurn = order === 'host';
    const answers = inTurn ? this.#inOrder() : [...this.#answers.values()];
    const wants = (answer: HostAnswer) => this.#wants(answer);
    for (const [answer, credit] of shareCredits(answers, { window, each: this.#window, inTurn, wants })) {
      answer.credits += credit;
      this.#say(answer, { credit });
    }
  }

  #wants({ host }: HostAnswer): boolean {
    return this.#visitor.wants?.(host) ?? true;
  }

  #inOrder(): HostAnswer[] {
    return [...this.#answers.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  #say({ host, qid }: HostAnswer, told: object): void {
    const { data, headers } = packJson(told);
    this.#bus.publish(subjects.flow(host, qid), data, { headers });
  }

  #keepAlive(): void {
    for (const answer of this.#answers.values()) if (answer.isOpen) this.#say(answer, { credit: 0 });
  }

  #cancel(answer: HostAnswer): void {
    this.#say(answer, { cancel: true });
  }

  #cancelAll(): void {
    // Those, too, that have said nothing yet: they would begin, and wait for somebody who has gone.
    for (const answer of this.#answers.values()) if (!answer.finished && !answer.ended) this.#cancel(answer);
  }

  // When it is over.

  #tick(): void {
    const { wait, deadline, silence, order } = this.#question;
    const answers = [...this.#answers.values()];
    if (performance.now() - this.#begun >= wait)
      for (const answer of answers) if (answer.heard === 0 && !answer.finished) this.#fail(answer, 'silent');
    if (!this.#taking) {
      this.#idle += TICK;
      if (silence !== undefined)
        for (const answer of answers) {
          // By ticks: while this process did nothing, nothing could be heard.
          if (answer.isOpen && answer.credits > 0) answer.quiet += TICK;
          if (answer.quiet > silence) this.#fail(answer, 'silent');
        }
    }
    if (this.#idle > deadline + 1000) {
      this.#idle = 0;
      const late = (order === 'host' ? this.#inOrder() : answers).filter(
        (answer) => !answer.finished && answer.queued.length === 0 && this.#wants(answer),
      );
      // Where hosts come one after the other, the others wait for the first of them.
      for (const answer of order === 'host' ? late.slice(0, 1) : late) this.#fail(answer, 'deadline');
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

  #result(): FleetResult {
    const answers = this.#inOrder();
    const missing = answers.flatMap((answer) => answer.toMissing() ?? []);
    return {
      complete: missing.length === 0,
      answered: answers.filter((answer) => !answer.missing).map(({ host, rows, ms }) => ({ host, rows, ms })),
      missing,
      ms: Math.round(performance.now() - this.#begun),
    };
  }
}
