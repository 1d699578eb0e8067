// The thread that writes: it may wait for the disk, and the thread that reads events never does.

import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Delivery } from './delivery.js';
import { loadDriver } from './driver/load-driver.js';
import { isSqliteError, NO_ROOM } from './driver/sqlite-errors.js';
import type { ManifestEntry } from './manifest.js';
import { RecordWriter, type RecordWriterOptions, type Resumption } from './record-writer.js';
import { beginningOf, type SegmentFile, segmentFiles } from './segment-files.js';
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

/** The files of a record. */
export interface RecordFiles {
  readonly count: number;
  readonly bytes: number;
  /** When the oldest began: microseconds since the epoch. */
  readonly oldest: number;
  /** Files that have ended and wait to be sealed. */
  readonly unsealed: number;
  /** Share of the disk that is free, 0 to 1. */
  readonly free: number;
}

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
  | { readonly what: 'files'; readonly files: RecordFiles }
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
/** Milliseconds between two looks at the files, unless something happens to them. */
const LOOK = 15_000;
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
        this.#tellFiles(data.directory);
      },
      deleted: ({ name }, reason) => this.#tell({ what: 'deleted', name, reason }),
      failed: (message) => this.#tell({ what: 'warning', message }),
    });
    this.#keepReserve();
    this.#tell({ what: 'opened', resumption, driver: driver.name, segment: writer.segment.name });
    for (const segment of writer.unsealed()) this.#keeper.seal(segment);
    this.#keeper.tidy(Date.now() * 1000);
    setInterval(() => this.#keeper.tidy(Date.now() * 1000), TIDY).unref();
    this.#tellFiles(data.directory);
    setInterval(() => {
      if (!this.#troubled) this.#keepReserve(2 * RESERVE);
      this.#tellFiles(data.directory);
    }, LOOK).unref();
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

  #tellFiles(directory: string): void {
    try {
      this.#tell({ what: 'files', files: filesOf(directory, this.#keeper.backlog) });
    } catch (error) {
      this.#tell({ what: 'warning', message: (error as Error).message });
    }
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
        const { rows, sequence } = this.#writer.write(request.delivery);
        if (this.#troubled) this.#recover();
        this.#tell({
          what: 'written',
          rows,
          asked: request.delivery.batch.count,
          sequence,
          seconds: (performance.now() - began) / 1000,
        });
        if (!request.delivery.last) this.#turn(request.delivery.now);
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

  #turn(now: number): void {
    try {
      this.#ended(this.#writer.turn(now));
    } catch (error) {
      // What was delivered is written, and must not be written again: the next delivery turns to a new segment.
      if (!troubleOf(error)) throw error;
    }
  }

  #ended(closed: SegmentFile | undefined): void {
    if (!closed) return;
    this.#tell({ what: 'segment', name: this.#writer.segment.name });
    this.#keeper.seal(closed);
  }

  #failed(error: unknown): void {
    const reason = troubleOf(error);
    if (!reason) {
      this.#tell(failure(error));
      return;
    }
    if (reason === 'disk-full') {
      rmSync(this.#reserve, { force: true });
      this.#keeper.tidy(Date.now() * 1000);
    }
    if (!this.#troubled) this.#tell({ what: 'trouble', reason, message: (error as Error).message });
    this.#troubled = true;
    this.#retry = setTimeout(() => this.#work(), RETRY);
  }

  #recover(): void {
    this.#troubled = false;
    this.#tell({ what: 'well' });
    this.#keepReserve();
  }

  /** What was given up when the disk was full is made again. @param room bytes that must be free */
  #keepReserve(room = 0): void {
    try {
      if (sizeOf(this.#reserve) !== RESERVE && freeBytes(dirname(this.#reserve)) >= room)
        writeFileSync(this.#reserve, new Uint8Array(RESERVE), { mode: 0o640 });
    } catch {
      rmSync(this.#reserve, { force: true }); // then there is none: the disk is nearly full
    }
  }
}

/**
 * What is waited for: a full disk, a quota, a disk that takes nothing any more, and a lock of somebody else. Everything else, such as a disk
 * that does not say whether it has written, ends the recorder.
 */
function troubleOf(error: unknown): 'disk-full' | 'slow-disk' | undefined {
  if (isSqliteError(error, 'SQLITE_BUSY')) return 'slow-disk';
  return isSqliteError(error, ...NO_ROOM) ? 'disk-full' : undefined;
}

/** Bytes of a file; 0 if it has gone. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

function filesOf(directory: string, unsealed: number): RecordFiles {
  const all = segmentFiles(directory);
  const { bavail, blocks } = statfsSync(directory);
  return {
    count: all.length,
    bytes: all.flatMap(({ path }) => [path, `${path}-wal`]).reduce((sum, path) => sum + sizeOf(path), 0),
    oldest: all[0] ? beginningOf(all[0]) : 0,
    unsealed,
    free: blocks === 0 ? 1 : bavail / blocks,
  };
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
