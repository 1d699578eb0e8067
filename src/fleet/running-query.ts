// A query at the host that answers it: its messages and their numbers, its credits, and how it ends.

import { H, type PackedBody, packBody, packJson } from './bodies.js';
import type { Bus } from './bus.js';

/** Why an answer is not complete. */
export const END_REASONS = ['deadline', 'limit', 'cancelled', 'stalled', 'interrupted'] as const;
export type AnswerEndReason = (typeof END_REASONS)[number];

/** `Ct-End`. */
export interface AnswerEnd {
  readonly rows: number;
  readonly ms: number;
  readonly complete: boolean;
  readonly reason?: AnswerEndReason | undefined;
  readonly warnings?: readonly string[] | undefined;
}

/** Thrown where a query ends early. */
export class QueryEnd extends Error {
  readonly reason: AnswerEndReason;

  constructor(reason: AnswerEndReason) {
    super(reason);
    this.reason = reason;
  }
}

/** What the asker wants. */
export interface QueryTerms {
  readonly deadline: number;
  readonly inline: number;
  readonly credit: number;
  /** Knows COLUMNS of nl1. */
  readonly columns: boolean;
}

/** Milliseconds without a word from the asker. */
const SILENCE = 10_000;
/** Milliseconds without a credit. */
const PATIENCE = 300_000;
/** Pause between signs of life of whoever works for long. */
const SIGNS_OF_LIFE = 5000;
/** Milliseconds without a word from an asker to whom nothing has to be sent. */
const ASKER_GONE = 30_000;
/** Whoever has nothing to say yet says that it is there. */
const SIGN_OF_LIFE = 500;

export class RunningQuery {
  readonly qid: string;
  /** Who asks. */
  readonly user: string;
  readonly op: string;
  readonly #bus: Bus;
  readonly #subject: string;
  readonly terms: QueryTerms;
  readonly #instance: string;
  readonly #received = performance.now();
  readonly #waits: (waiting: boolean) => void;
  readonly #sign: NodeJS.Timeout;
  readonly #patience: number;
  readonly #needsAsker: boolean;
  /** Settles when it is to end. */
  readonly ending: Promise<void>;
  #endNow = () => {};
  readonly warnings: string[] = [];
  #number = 0;
  #credits: number;
  #rows = 0;
  #heard = performance.now();
  #said = performance.now();
  /** When it began to wait for a credit. */
  #waitingSince: number | undefined;
  /** Milliseconds that it has waited for credits. */
  #waited = 0;
  #end: AnswerEndReason | undefined;
  #wake = () => {};

  /** `waits` is told when it begins and ends to wait for credits; `entries`: how many entries there are, for a sign of life. */
  constructor(
    bus: Bus,
    options: {
      readonly qid: string;
      readonly user: string;
      readonly op: string;
      readonly subject: string;
      readonly instance: string;
      readonly terms: QueryTerms;
      readonly entries: () => number;
      readonly waits: (waiting: boolean) => void;
      /** Milliseconds that it waits for a credit. Default five minutes. */
      readonly patience?: number | undefined;
      /** It ends soon after the asker has gone, also while it has nothing to send. */
      readonly needsAsker?: boolean | undefined;
    },
  ) {
    this.#bus = bus;
    this.qid = options.qid;
    this.user = options.user;
    this.op = options.op;
    this.#subject = options.subject;
    this.terms = options.terms;
    this.#instance = options.instance;
    this.#credits = options.terms.credit;
    this.#waits = options.waits;
    this.#patience = options.patience ?? PATIENCE;
    this.#needsAsker = options.needsAsker ?? false;
    this.ending = new Promise((resolve) => {
      this.#endNow = resolve;
    });
    this.#sign = setTimeout(() => this.head(options.entries()), SIGN_OF_LIFE);
  }

  /** Milliseconds of work left. @throws QueryEnd */
  check(): number {
    if (this.#end) throw new QueryEnd(this.#end);
    const left = this.terms.deadline - (performance.now() - this.#received - this.#waited);
    if (left <= 0) throw new QueryEnd('deadline');
    return left;
  }

  /** Milliseconds since it came. */
  get age(): number {
    return performance.now() - this.#received;
  }

  get begun(): boolean {
    return this.#number > 0;
  }

  /** Whether a part of its answer is gone that cannot be sent again. */
  get isPartial(): boolean {
    return this.#rows > 0;
  }

  /** The first message, if there was none: what comes has several parts, or takes its time. */
  head(entries: number): void {
    clearTimeout(this.#sign);
    if (!this.begun) this.#sayHead(entries);
  }

  #sayHead(entries: number): void {
    this.#send('head', packJson({ entries }), 0);
  }

  /** Rows, when there is a credit. @throws QueryEnd */
  async part(body: PackedBody, rows: number, netns?: string, at?: number): Promise<void> {
    await this.#credit();
    this.#send('part', body, rows, { ...netnsHeader(netns), ...(at === undefined ? {} : { [H.at]: `${at}` }) });
  }

  /** What is told between rows, without a credit. */
  note(value: object): void {
    this.#send('note', packJson(value), 0);
  }

  /**
   * The last messages with the last rows: at least one, which may have none. The whole answer, if there was none before and it is small
   * enough. @throws QueryEnd
   */
  async end(pieces: readonly Piece[], end: Pick<AnswerEnd, 'complete' | 'reason'>, netns?: string): Promise<void> {
    const last = pieces.at(-1)!;
    if (pieces.length === 1 && !this.begun && last.body.data.length <= this.terms.inline) {
      this.#finish('all', last.body, last.rows, end, netns);
      return;
    }
    for (const { body, rows } of pieces.slice(0, -1)) await this.part(body, rows, netns);
    if (last.rows > 0) await this.#credit();
    this.#finish('end', last.body, last.rows, end, netns);
  }

  /** An answer that is one value. */
  json(value: unknown, complete = true): void {
    this.#finish('all', packJson(value), 0, { complete }, undefined);
  }

  /** The end of an answer that ended early. */
  endEarly(reason: AnswerEndReason): void {
    this.#finish('end', packBody('json', new Uint8Array(0)), 0, { complete: false, reason }, undefined);
  }

  /** It went wrong. */
  error(error: object): void {
    this.#finish('error', packJson(error), 0, { complete: false }, undefined);
  }

  /** Something came from the asker. */
  hear(message: { readonly credit?: unknown; readonly cancel?: unknown }): void {
    this.#heard = performance.now();
    if (message.cancel === true) this.stop('cancelled');
    const { credit } = message;
    if (typeof credit !== 'number' || !Number.isInteger(credit) || credit <= 0) return;
    this.#credits = Math.min(this.#credits + credit, MOST_CREDITS);
    this.#wake();
  }

  /** Looks whether the asker is still there. Call it every second. */
  look(): void {
    const now = performance.now();
    if (this.#waitingSince === undefined) {
      // Whoever works for long says that it is there.
      if (this.begun && now - this.#said > SIGNS_OF_LIFE) this.#sayHead(0);
      if (this.#needsAsker && now - this.#heard > ASKER_GONE) this.stop('stalled');
      return;
    }
    if (now - Math.max(this.#heard, this.#waitingSince) > SILENCE || now - this.#waitingSince > this.#patience)
      this.stop('stalled');
  }

  /** Ends it as soon as it looks. */
  stop(reason: AnswerEndReason): void {
    this.#end ??= reason;
    this.#endNow();
    this.#wake();
  }

  close(): void {
    clearTimeout(this.#sign);
  }

  async #credit(): Promise<void> {
    this.check();
    if (this.#credits === 0) {
      this.#waitingSince = performance.now();
      this.#waits(true);
      try {
        while (this.#credits === 0 && !this.#end)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      } finally {
        this.#waits(false);
        this.#waited += performance.now() - this.#waitingSince;
        this.#waitingSince = undefined;
      }
      this.check();
    }
    this.#credits--;
  }

  #finish(
    kind: string,
    body: PackedBody,
    rows: number,
    { complete, reason }: Pick<AnswerEnd, 'complete' | 'reason'>,
    netns: string | undefined,
  ): void {
    clearTimeout(this.#sign);
    const ms = Math.round(performance.now() - this.#received);
    const end: AnswerEnd = {
      rows: this.#rows + rows,
      ms,
      complete: complete && this.warnings.length === 0,
      reason,
      ...(this.warnings.length > 0 ? { warnings: this.warnings } : {}),
    };
    this.#send(kind, body, rows, { [H.end]: encodeURIComponent(JSON.stringify(end)), ...netnsHeader(netns) });
  }

  #send(kind: string, { data, headers }: PackedBody, rows: number, more: Readonly<Record<string, string>> = {}): void {
    this.#rows += rows;
    this.#said = performance.now();
    this.#bus.publish(this.#subject, data, {
      headers: {
        ...headers,
        [H.query]: this.qid,
        [H.instance]: this.#instance,
        [H.number]: `${this.#number++}`,
        [H.rows]: `${rows}`,
        [H.kind]: kind,
        ...more,
      },
    });
  }
}

const MOST_CREDITS = 1024;

function netnsHeader(netns: string | undefined): Record<string, string> {
  return netns === undefined ? {} : { [H.netns]: encodeURIComponent(netns) };
}

/** Rows as a body. */
export interface Piece {
  readonly body: PackedBody;
  readonly rows: number;
}
