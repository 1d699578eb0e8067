// WriterLink: the thread that writes, as the thread that reads events knows it: what it is handed, what waits for the disk, what it tells.

import type { Worker } from 'node:worker_threads';
import { ConntrackError } from '../errors.js';
import type { Delivery } from './delivery.js';
import type { ManifestEntry } from './manifest.js';
import type { Resumption } from './record-writer.js';
import type { RecorderEvent } from './recorder-options.js';
import type { RecordFiles, WriterNews, WriterRequest } from './writer-thread.js';

/** Rows that may wait for the disk: some 150 MB. */
export const MOST_WAITING = 500_000;
/** Milliseconds for a thread that waits for the disk. */
const PATIENCE = 10_000;

/** What a link needs of a thread. */
export type WriterWorker = Pick<Worker, 'on' | 'once' | 'postMessage' | 'terminate' | 'threadId'>;

/** What is told besides answers. */
export interface WriterListener {
  event(event: RecorderEvent): void;
  /** The thread has ended by itself. */
  failed(error: unknown): void;
  /** More rows wait than may, and fewer than half of that again. */
  full(): void;
  drained(): void;
}

/** An answer to who asked over the control socket. */
export type WriterAnswer = Readonly<Record<string, unknown>>;

export class WriterLink {
  readonly #worker: WriterWorker;
  readonly #listener: WriterListener;
  readonly #opened: Promise<Resumption>;
  /** Deliveries so far, and those of them that are written. */
  #delivered = 0;
  #written = 0;
  /** Who waits for a delivery to be written, in their order. */
  readonly #acknowledged: { readonly delivery: number; readonly resolve: () => void }[] = [];
  /** Who waits for a segment to be begun, or replaced, in the order of the requests. */
  readonly #rotated: ((answer: WriterAnswer) => void)[] = [];
  readonly #replaced: ((answer: WriterAnswer) => void)[] = [];
  #full = false;
  /** Rows that wait for the disk. */
  waiting = 0;
  /** Why nothing can be written, and in words. */
  trouble: 'disk-full' | 'slow-disk' | undefined;
  troubleText: string | undefined;
  segment = '';
  driver = '';
  /** Number of the last record. */
  sequence = 0;
  /** Records of this run. */
  recorded = 0;
  files: RecordFiles | undefined;
  readonly commits = { count: 0, seconds: 0, most: 0 };

  constructor(worker: WriterWorker, listener: WriterListener) {
    this.#worker = worker;
    this.#listener = listener;
    this.#opened = new Promise((resolve, reject) => {
      worker.on('message', (news: WriterNews) => {
        if (news.what === 'opened') {
          this.segment = news.segment;
          this.driver = news.driver;
          resolve(news.resumption);
        } else if (news.what === 'failed') {
          const error = new WriterError(news.code, news.message, news.hint);
          reject(error);
          listener.failed(error);
        } else this.#hear(news);
      });
      worker.on('error', (error) => {
        reject(error);
        listener.failed(error);
      });
    });
    this.#opened.catch(() => {}); // whoever waits for it hears of it
  }

  /** What was there when it opened the record. @throws HistoryError, errors of the driver */
  opened(): Promise<Resumption> {
    return this.#opened;
  }

  /** Rows wait that should not. */
  get isFull(): boolean {
    return this.#full;
  }

  deliver(delivery: Delivery): void {
    const { count, numbers, addresses } = delivery.batch;
    this.#delivered++;
    this.waiting += count;
    // The batch has made them: they are not shared.
    const moved = [numbers.buffer as ArrayBuffer, addresses.buffer as ArrayBuffer];
    this.#worker.postMessage({ what: 'deliver', delivery } satisfies WriterRequest, moved);
    if (this.waiting <= MOST_WAITING || this.#full) return;
    this.#full = true;
    this.#listener.full();
  }

  /** Settles when all that was delivered so far is written. */
  written(): Promise<void> {
    return new Promise((resolve) => this.#acknowledged.push({ delivery: this.#delivered, resolve }));
  }

  /** Begins a new segment. */
  rotate(now: number): Promise<WriterAnswer> {
    this.#ask({ what: 'rotate', now });
    return new Promise((resolve) => this.#rotated.push(resolve));
  }

  /** A segment was written anew: its copy takes its place. */
  replace(entry: ManifestEntry): Promise<WriterAnswer> {
    this.#ask({ what: 'replace', entry });
    return new Promise((resolve) => this.#replaced.push(resolve));
  }

  /** Settles when everything is written and the thread has ended. A disk that takes nothing is not waited for for ever. @throws WriterError */
  async close(): Promise<void> {
    const ended = exitOf(this.#worker);
    this.#ask({ what: 'close' });
    while (!(await isDoneWithin(ended, PATIENCE)))
      if (this.troubleText !== undefined)
        throw new WriterError('BUSY', `${this.troubleText}; ${this.waiting} rows are lost`, undefined);
  }

  /** Ends the thread, whatever waits. One that is stopped in the middle of native code may take the process with it: that comes last. */
  async end(): Promise<void> {
    if (this.#worker.threadId < 0) return; // it has ended
    const ended = exitOf(this.#worker);
    this.#ask({ what: 'abandon' });
    await isDoneWithin(ended, PATIENCE);
    await this.#worker.terminate();
  }

  #ask(request: WriterRequest): void {
    this.#worker.postMessage(request);
  }

  #hear(news: Exclude<WriterNews, { readonly what: 'opened' | 'failed' }>): void {
    const { event } = this.#listener;
    switch (news.what) {
      case 'written':
        this.#acknowledge(news);
        return;
      case 'trouble':
        this.trouble = news.reason;
        this.troubleText = news.message;
        event({ type: 'trouble', reason: news.reason, message: news.message });
        return;
      case 'well':
        this.trouble = undefined;
        this.troubleText = undefined;
        event({ type: 'well' });
        return;
      case 'segment':
        this.segment = news.name;
        event({ type: 'segment', name: news.name });
        return;
      case 'files':
        this.files = news.files;
        return;
      case 'sealed':
        event({ type: 'sealed', name: news.name, rows: news.rows });
        return;
      case 'deleted':
        event({ type: 'deleted', name: news.name, reason: news.reason });
        return;
      case 'rotated':
        this.#rotated.shift()?.({ closed: news.closed });
        return;
      case 'replaced':
        this.#replaced.shift()?.(news.problem === undefined ? { replaced: news.name } : { problem: news.problem });
        return;
      case 'warning':
        event({ type: 'warning', message: news.message });
        return;
      case 'closed':
        return;
    }
  }

  #acknowledge({ rows, asked, sequence, seconds }: Extract<WriterNews, { readonly what: 'written' }>): void {
    this.#written++;
    this.waiting -= asked;
    this.recorded += rows;
    this.sequence = sequence;
    this.commits.count++;
    this.commits.seconds += seconds;
    this.commits.most = Math.max(this.commits.most, seconds);
    while (this.#acknowledged[0] && this.#acknowledged[0].delivery <= this.#written) this.#acknowledged.shift()!.resolve();
    if (!this.#full || this.waiting > MOST_WAITING / 2) return;
    this.#full = false;
    this.#listener.drained();
  }
}

function exitOf(worker: WriterWorker): Promise<void> {
  return new Promise((resolve) => worker.once('exit', () => resolve()));
}

async function isDoneWithin(done: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), milliseconds)));
  try {
    return await Promise.race([done.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the writing thread could not do. */
class WriterError extends ConntrackError {
  readonly code: string;

  constructor(code: string, message: string, hint: string | undefined) {
    super(`cannot write the record: ${message}`, { hint });
    this.code = code;
  }
}
