// SegmentKeeper: what becomes of segments that have ended: they are sealed by a process of its own, told in the manifest, handed to a
// command, and deleted when their time has come.

import { spawn } from 'node:child_process';
import { statfsSync, statSync, unlinkSync } from 'node:fs';
import type { SqliteDriver } from './driver/sqlite.js';
import { replaceSegment } from './forget-flows.js';
import { addToManifest, type ManifestEntry, readManifest } from './manifest.js';
import { type Seal, undoSealing } from './seal-segment.js';
import { type SegmentFile, segmentFiles, sync } from './segment-files.js';
import { readMeta } from './segment-meta.js';

/** What is kept, and what is done with it. */
export interface KeeperOptions {
  readonly directory: string;
  /** Microseconds since the end of the last flow; absent: for ever. */
  readonly keep?: number | undefined;
  /** Bytes of all segments. */
  readonly maxSize?: number | undefined;
  /** Share of the disk that stays free, 0 to 1. */
  readonly minFree?: number | undefined;
  /** A command for each sealed segment, whose path it gets. */
  readonly onSeal?: string | undefined;
  /** Runs `conntrack`: program and first arguments. */
  readonly launcher: readonly string[];
  /** Of several keepers: runs their work one after the other. */
  readonly inTurn?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
  /** Milliseconds until a sealing that failed is tried again: twice as many each time, up to an hour. Default: a minute. */
  readonly sealAgain?: number | undefined;
}

const MINUTE = 60_000;
const MOST_PAUSE = 60 * MINUTE;
/** How often a segment is tried to be sealed in one run: within some five hours. */
const MOST_TRIES = 10;

/** What the keeper tells. */
export interface KeeperListener {
  sealed(segment: SegmentFile, seal: Seal): void;
  deleted(segment: SegmentFile, reason: string): void;
  /** Something failed that will be tried again, or was for others to do. */
  failed(what: string): void;
}

export class SegmentKeeper {
  readonly #driver: SqliteDriver;
  readonly #options: KeeperOptions;
  readonly #listener: KeeperListener;
  readonly #due: SegmentFile[] = [];
  /** Segments that could not be sealed, by name. */
  readonly #failures = new Map<string, { readonly tries: number; readonly timer: NodeJS.Timeout | undefined }>();
  #working: Promise<void> | undefined;
  #child: ReturnType<typeof spawn> | undefined;
  #closed = false;

  constructor(driver: SqliteDriver, options: KeeperOptions, listener: KeeperListener) {
    this.#driver = driver;
    this.#options = options;
    this.#listener = listener;
  }

  /** Seals a segment, after those before it. */
  seal(segment: SegmentFile): void {
    this.#due.push(segment);
    this.#working ??= this.#work();
  }

  /** Segments that wait to be sealed. */
  get backlog(): number {
    return new Set([...this.#due.map(({ name }) => name), ...this.#failures.keys()]).size;
  }

  /** Deletes what is too old, or takes too much room. `now`: microseconds since the epoch. */
  tidy(now: number): void {
    const { directory, keep, maxSize, minFree } = this.#options;
    const files = segmentFiles(directory);
    const sealed = files.slice(0, -1);
    let size =
      maxSize === undefined
        ? 0
        : files.reduce((sum, { path }) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
    for (const segment of sealed) {
      const stat = statSync(segment.path, { throwIfNoEntry: false });
      if (!stat || this.#due.some(({ name }) => name === segment.name)) continue;
      const ended = this.#endOf(segment);
      if (ended === undefined) continue;
      let reason: string | undefined;
      if (keep !== undefined && ended < now - keep) reason = 'age';
      else if (maxSize !== undefined && size > maxSize) reason = 'size';
      else if (minFree !== undefined && freeShare(directory) < minFree) reason = 'disk';
      if (!reason) break;
      addToManifest(directory, { what: 'deleted', segment: segment.name, at: isoTime(now), reason });
      unlinkSync(segment.path);
      sync(directory);
      size -= stat.size;
      this.#listener.deleted(segment, reason);
    }
  }

  /** Puts what was written anew in the place of a sealed segment. @returns why it cannot */
  replace(entry: ManifestEntry): string | undefined {
    const { directory } = this.#options;
    try {
      const segment = segmentFiles(directory).find(({ name }) => name === entry.segment);
      if (!segment || this.#endOf(segment) === undefined) return 'there is no such sealed segment';
      replaceSegment(directory, segment, entry);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Begins nothing more; a segment that is being sealed is sealed by the next run. */
  close(): void {
    this.#closed = true;
    for (const { timer } of this.#failures.values()) clearTimeout(timer);
    this.#child?.kill();
  }

  /** When the last flow of a sealed segment ended; `undefined` if it is not sealed, or cannot be read. */
  #endOf({ path, name }: SegmentFile): number | undefined {
    try {
      const file = this.#driver.open(path, { readOnly: true });
      try {
        const { sealed, maxEnd, closed } = readMeta(file, name);
        return sealed === undefined ? undefined : (maxEnd ?? closed);
      } finally {
        file.close();
      }
    } catch (error) {
      this.#listener.failed(`cannot read ${name}: ${(error as Error).message}`);
      return undefined;
    }
  }

  async #work(): Promise<void> {
    for (let segment = this.#due[0]; segment && !this.#closed; segment = this.#due[0]) {
      try {
        const { inTurn = (work) => work() } = this.#options;
        const due = segment;
        const seal = await inTurn(() => this.#sealByChild(due));
        const { directory } = this.#options;
        if (this.#closed) return;
        const known = readManifest(directory).lines.some(
          ({ what, segment: name }) => what === 'sealed' && name === segment!.name,
        );
        if (!known)
          addToManifest(directory, {
            what: 'sealed',
            segment: segment.name,
            at: isoTime(Date.now() * 1000),
            rows: seal.rows,
            sha256: seal.sha256,
          });
        this.#failures.delete(segment.name);
        this.#listener.sealed(segment, seal);
        this.#hand(segment);
      } catch (error) {
        if (this.#closed) undoSealing(this.#driver, segment.path);
        else this.#sealLater(segment, (error as Error).message);
      }
      this.#due.shift();
    }
    this.#working = undefined;
  }

  /** What a segment lacks may be there later: room on the disk, a reader that has gone, memory for a process. */
  #sealLater(segment: SegmentFile, why: string): void {
    const { name } = segment;
    const tries = (this.#failures.get(name)?.tries ?? 0) + 1;
    const pause = Math.min((this.#options.sealAgain ?? MINUTE) * 2 ** (tries - 1), MOST_PAUSE);
    const timer = tries < MOST_TRIES ? setTimeout(() => this.seal(segment), pause).unref() : undefined;
    this.#failures.set(name, { tries, timer });
    const then = timer ? `it is tried again in ${Math.ceil(pause / 1000)} s` : 'the next run tries it again';
    this.#listener.failed(`cannot seal ${name}: ${why}; ${then}`);
  }

  #sealByChild({ path }: SegmentFile): Promise<Seal> {
    const [program, ...words] = this.#options.launcher;
    return new Promise((resolve, reject) => {
      const child = spawn(program!, [...words, 'seal-record', path], { stdio: ['ignore', 'pipe', 'pipe'] });
      this.#child = child;
      let out = '';
      let err = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
      child.on('error', reject);
      child.on('close', (status) => {
        if (status === 0) resolve(JSON.parse(out) as Seal);
        else reject(new Error(err.trim().split('\n')[0] || `its process ended with status ${status}`));
      });
    });
  }

  #hand({ path }: SegmentFile): void {
    const { onSeal } = this.#options;
    if (onSeal === undefined) return;
    const child = spawn('/bin/sh', ['-c', `${onSeal} "$1"`, 'sh', path], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', (error) => this.#listener.failed(`--on-seal: ${error.message}`));
    child.on('exit', (status) => {
      if (status !== 0) this.#listener.failed(`--on-seal: the command ended with status ${status}`);
    });
  }
}

function freeShare(directory: string): number {
  const { bavail, blocks } = statfsSync(directory);
  return blocks === 0 ? 1 : bavail / blocks;
}

function isoTime(microseconds: number): string {
  return new Date(Math.floor(microseconds / 1000)).toISOString();
}
