// What one host has answered so far: which message comes next, how many more it may send, what waits to be taken, and how it ended.

import { H, numberHeader } from './bodies.js';
import type { BusMessage } from './bus.js';
import type { MissingHost } from './fleet-question.js';
import type { HostInfo } from './inventory.js';
import type { AnswerEnd } from './running-query.js';

/** A message that waits to be taken. */
export interface AnswerPart {
  readonly answer: HostAnswer;
  readonly message: BusMessage;
  /** With the last message: how it ended. */
  readonly end: AnswerEnd | undefined;
}

/** Why it is missing, or not complete. */
export type WhyMissing = Pick<MissingHost, 'why' | 'error'>;

export class HostAnswer {
  readonly host: string;
  /** What the inventory knows of it. */
  readonly info: HostInfo | undefined;
  /** The number of the question as this host was asked last. */
  qid: string;
  /** Chunks that it may still send. */
  credits: number;
  /** Messages that have come. */
  heard = 0;
  /** Milliseconds since something came, without those in which nothing had to. */
  quiet = 0;
  /** What has come and was not taken. */
  queued: AnswerPart[] = [];
  /** Rows that were taken. */
  rows = 0;
  /** The last message has come. */
  ended = false;
  /** It was taken, or will never come. */
  finished = false;
  /** Nothing more comes of it, and the visitor knows. */
  told = false;
  /** Milliseconds that the host took. */
  ms = 0;
  missing: WhyMissing | undefined;
  #retried = false;
  #instance: string | undefined;

  constructor(host: string, info: HostInfo | undefined, qid: string, credits: number) {
    this.host = host;
    this.info = info;
    this.qid = qid;
    this.credits = credits;
  }

  /** Whether it has begun, and goes on. */
  get isOpen(): boolean {
    return this.heard > 0 && !this.ended && !this.finished;
  }

  /** What to do with a message: nothing with one that is late; `hole`: one before it is missing; `other`: another agent sent it. */
  accept(message: BusMessage): 'next' | 'late' | 'hole' | 'other' {
    const instance = message.header(H.instance) ?? '';
    this.#instance ??= instance;
    if (this.#instance !== instance) return 'other';
    // Late is better than never.
    if (this.missing?.why === 'silent' && this.heard === 0 && !this.told) {
      this.missing = undefined;
      this.finished = false;
    }
    if (this.finished || this.ended) return 'late';
    this.quiet = 0;
    if (numberHeader(message, H.number, -1, 0, Number.MAX_SAFE_INTEGER) !== this.heard) return 'hole';
    this.heard++;
    return 'next';
  }

  /** Begins anew, if nothing was used and it was not asked twice already. @returns whether it does */
  retry(qid: string, credits: number): boolean {
    if (this.#retried || this.rows > 0 || this.queued.length > 0 || !this.info) return false;
    this.#retried = true;
    this.qid = qid;
    this.credits = credits;
    this.heard = 0;
    this.quiet = 0;
    return true;
  }

  /** No complete answer comes of it. */
  miss(why: WhyMissing): void {
    this.missing = why;
    this.finished = true;
    this.queued = [];
  }

  /** Its last message was taken. `counted`: its rows were. */
  end({ reason, complete, warnings, rows }: AnswerEnd, counted: boolean): void {
    this.finished = true;
    if (reason === 'limit') return;
    if (reason === 'deadline' || reason === 'stalled' || reason === 'cancelled') this.missing = { why: reason };
    else if (!complete)
      this.missing = {
        why: 'error',
        error: { code: 'INCOMPLETE', message: (warnings ?? [reason ?? 'the answer is not complete']).join('; ') },
      };
    else if (counted && rows !== this.rows) this.missing = { why: 'hole' };
  }

  /** As it is told; `undefined` if nothing is missing. */
  toMissing(): MissingHost | undefined {
    const { host, missing, rows, info } = this;
    return missing && { host, ...missing, rows, ...(info ? { age: info.age } : {}) };
  }
}

/**
 * Which answers may go on, and by how many chunks: `window` of all together, `each` of one; those that were allowed and those that nobody
 * has taken yet count. `inTurn`: only the first that has not ended, the others wait for their turn. `wants`: whether one may go on at all.
 */
export function shareCredits(
  answers: readonly HostAnswer[],
  {
    window,
    each,
    inTurn,
    wants,
  }: {
    readonly window: number;
    readonly each: number;
    readonly inTurn: boolean;
    readonly wants: (answer: HostAnswer) => boolean;
  },
): [HostAnswer, number][] {
  let left = window;
  for (const { credits, queued, finished } of answers) if (!finished) left -= credits + queued.length;
  const shares: [HostAnswer, number][] = [];
  for (const answer of answers) {
    if (answer.finished) continue;
    if (left <= 0) break;
    const free = answer.isOpen ? each - answer.credits - answer.queued.length : 0;
    const share = Math.min(free, left);
    // Each message wakes the servers and the host: while it can go on, half of what it may have is enough to tell it.
    const isWorth = free >= each / 2 || answer.credits === 0;
    if (share > 0 && isWorth && wants(answer)) {
      shares.push([answer, share]);
      left -= share;
    }
    if (inTurn) break;
  }
  return shares;
}
