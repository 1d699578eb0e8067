// The thread that writes: it may wait for the disk, and the thread that reads events never does.

import { rmSync, statSync, writeFileSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { loadDriver } from './driver/load-driver.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import type { ManifestEntry } from './manifest.js';
import { type Delivery, RecordWriter, type RecordWriterOptions, type Resumption } from './record-writer.js';
import type { SegmentFile } from './segment-files.js';
import { type KeeperOptions, SegmentKeeper } from './segment-keeper.js';

/** What the thread gets. */
export interface WriterData extends RecordWriterOptions, Omit<KeeperOptions, 'directory'> {}

/** What the recorder asks for. */
export type WriterRequest =
  | { readonly what: 'deliver'; readonly delivery: Delivery }
  | { readonly what: 'rotate'; readonly now: number }
  /** A segment was written anew: its copy takes its place. */
  | { readonly what: 'replace'; readonly entry: ManifestEntry }
  | { readonly what: 'close' }
  /** Nothing more is written, whatever waits. */
  | { readonly what: 'abandon' };

/** What the thread tells. */
export type WriterNews =
  | { readonly what: 'opened'; readonly resumption: Resumption; readonly driver: string; readonly segment: string }
  | {
      readonly what: 'written';
      readonly rows: number;
      readonly asked: number;
      readonly sequence: number;
      readonly seconds: number;
    }
  | { readonly what: 'trouble'; readonly reason: 'disk-full' | 'slow-disk'; readonly message: string }
  | { readonly what: 'well' }
  | { readonly what: 'segment'; readonly name: string }
  | { readonly what: 'sealed'; readonly name: string; readonly rows: number }
  | { readonly what: 'deleted'; readonly name: string; readonly reason: string }
  | { readonly what: 'rotated'; readonly closed: string | undefined }
  | { readonly what: 'replaced'; readonly name: string; readonly problem?: string | undefined }
  | { readonly what: 'warning'; readonly message: string }
  | { readonly what: 'closed' }
  | { readonly what: 'failed'; readonly code: string; readonly message: string; readonly hint?: string | undefined };

/** Milliseconds between two attempts to write. */
const RETRY = 5000;
/** Milliseconds between two looks at what is too old. */
const TIDY = 3_600_000;
/** Bytes that are given up when the disk is full, so that the end of it can be written. */
const RESERVE = 16 * 1024 * 1024;

class WriterThread {
  readonly #port: MessagePort;
  readonly #writer: RecordWriter;
  readonly #keeper: SegmentKeeper;
  readonly #reserve: string;
  readonly #waiting: Exclude<WriterRequest, { readonly what: 'abandon' }>[] = [];
  #troubled = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(port: MessagePort, data: WriterData) {
    this.#port = port;
    const driver = loadDriver();
    const { writer, resumption } = RecordWriter.open(driver, data);
    this.#writer = writer;
    this.#reserve = `${data.directory}/reserve`;
    this.#keeper = new SegmentKeeper(driver, data, {
      sealed: ({ name }, { rows }) => {
        this.#tell({ what: 'sealed', name, rows });
        this.#keeper.tidy(Date.now() * 1000);
      },
      deleted: ({ name }, reason) => this.#tell({ what: 'deleted', name, reason }),
      failed: (message) => this.#tell({ what: 'warning', message }),
    });
    this.#keepReserve();
    this.#tell({ what: 'opened', resumption, driver: driver.name, segment: writer.segment.name });
    for (const segment of writer.unsealed()) this.#keeper.seal(segment);
    this.#keeper.tidy(Date.now() * 1000);
    setInterval(() => this.#keeper.tidy(Date.now() * 1000), TIDY).unref();
    port.on('message', (request: WriterRequest) => {
      if (request.what === 'abandon') {
        this.#end();
        return;
      }
      this.#waiting.push(request);
      if (this.#retry === undefined) this.#work();
    });
  }

  #tell(news: WriterNews): void {
    this.#port.postMessage(news);
  }

  #work(): void {
    this.#retry = undefined;
    try {
      for (let request = this.#waiting[0]; request; request = this.#waiting[0]) {
        this.#do(request);
        this.#waiting.shift();
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #do(request: Exclude<WriterRequest, { readonly what: 'abandon' }>): void {
    switch (request.what) {
      case 'deliver': {
        const began = performance.now();
        const { rows, sequence, closed } = this.#writer.write(request.delivery);
        if (this.#troubled) this.#recover();
        this.#tell({
          what: 'written',
          rows,
          asked: request.delivery.batch.count,
          sequence,
          seconds: (performance.now() - began) / 1000,
        });
        this.#ended(closed);
        break;
      }
      case 'rotate': {
        const closed = this.#writer.rotate(request.now);
        this.#tell({ what: 'rotated', closed: closed?.name });
        this.#ended(closed);
        break;
      }
      case 'replace':
        this.#tell({ what: 'replaced', name: request.entry.segment, problem: this.#keeper.replace(request.entry) });
        break;
      case 'close':
        this.#writer.close();
        this.#tell({ what: 'closed' });
        this.#end();
    }
  }

  #end(): void {
    clearTimeout(this.#retry);
    this.#keeper.close();
    this.#port.close();
  }

  #ended(closed: SegmentFile | undefined): void {
    if (!closed) return;
    this.#tell({ what: 'segment', name: this.#writer.segment.name });
    this.#keeper.seal(closed);
  }

  /** A full disk and a lock of somebody else are waited for; everything else ends the recorder. */
  #failed(error: unknown): void {
    const full = isSqliteError(error, 'SQLITE_FULL');
    if (!full && !isSqliteError(error, 'SQLITE_BUSY')) {
      this.#tell(failure(error));
      return;
    }
    if (full) {
      rmSync(this.#reserve, { force: true });
      this.#keeper.tidy(Date.now() * 1000);
    }
    if (!this.#troubled)
      this.#tell({ what: 'trouble', reason: full ? 'disk-full' : 'slow-disk', message: (error as Error).message });
    this.#troubled = true;
    this.#retry = setTimeout(() => this.#work(), RETRY);
  }

  #recover(): void {
    this.#troubled = false;
    this.#tell({ what: 'well' });
    this.#keepReserve();
  }

  #keepReserve(): void {
    try {
      if (statSync(this.#reserve, { throwIfNoEntry: false })?.size !== RESERVE)
        writeFileSync(this.#reserve, new Uint8Array(RESERVE), { mode: 0o640 });
    } catch {
      rmSync(this.#reserve, { force: true }); // then there is none: the disk is nearly full
    }
  }
}

/** Errors lose their class on the way to another thread. */
function failure(error: unknown): WriterNews {
  const {
    code = 'ERROR',
    message,
    hint,
  } = error as { readonly code?: unknown; readonly message: string; readonly hint?: string };
  return { what: 'failed', code: String(code), message, hint };
}

if (parentPort) {
  try {
    new WriterThread(parentPort, workerData as WriterData);
  } catch (error) {
    parentPort.postMessage(failure(error));
  }
}
