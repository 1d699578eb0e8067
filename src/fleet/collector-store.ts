// CollectorStore: the copies of a collector: DIR/HOST/RECORDER is a record like any other, which every word reads. Which message of the
// stream was taken last stands in DIR/position.json, never ahead of the copies: what is read twice is known by its numbers.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { ControlRequest } from '../history/control-socket.js';
import { loadDriver } from '../history/driver/load-driver.js';
import type { SqliteDriver } from '../history/driver/sqlite.js';
import { COLLECTED, rewrittenEntry } from '../history/forget-flows.js';
import { type CopyMeta, RecordCopy, type Taken } from '../history/record-copy.js';
import type { RecordPart } from '../history/record-parts.js';
import { undoSealing } from '../history/seal-segment.js';
import { segmentFiles, sync } from '../history/segment-files.js';
import { SegmentKeeper } from '../history/segment-keeper.js';
import { readMeta } from '../history/segment-meta.js';
import type { StoredCopy } from './collected-past.js';
import { FleetError } from './fleet-error.js';
import { isRecorder } from './jc1.js';
import { isName, SHARDS, shardOf } from './subjects.js';

/** How copies are kept. */
export interface StoreOptions {
  readonly directory: string;
  readonly version: string;
  /** Seconds after which a record is deleted; `Infinity`: never. */
  readonly keep: number;
  readonly maxSize?: number | undefined;
  readonly minFree?: number | undefined;
  readonly segmentRows: number;
  /** Runs `conntrack`: program and first arguments. */
  readonly launcher: readonly string[];
  readonly tell: (line: string) => void;
}

/** Up to where the stream was read, for each shard. */
interface Position {
  readonly v: 1;
  /** When the stream was made. */
  readonly created: string;
  /** The running system that wrote it. After a crash of the machine only `synced` is sure to be in the copies. */
  readonly boot: string;
  readonly taken: readonly number[];
  readonly synced: readonly number[];
}

/** Copies that are open at the same time, and recorders that one host may have. */
const MOST_OPEN = 256;
const MOST_RECORDERS = 200;
const POSITION = COLLECTED;
const NONE = new Array<number>(SHARDS).fill(0);
const MICROSECONDS = 1_000_000;

interface Copy {
  readonly host: string;
  readonly recorder: string;
  readonly directory: string;
  /** As it was when it was used last. */
  meta: CopyMeta | undefined;
  open: RecordCopy | undefined;
  keeper: SegmentKeeper | undefined;
}

export class CollectorStore {
  readonly #options: StoreOptions;
  readonly #driver: SqliteDriver;
  readonly #boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  /** By HOST/RECORDER; those that were used last are at the end. */
  readonly #copies = new Map<string, Copy>();
  readonly #dirty = new Set<string>();
  #position: Position;
  #sealing: Promise<unknown> = Promise.resolve();

  /** @throws the system's error; FleetError `CONFIG` for a directory that is something else */
  constructor(options: StoreOptions) {
    this.#options = options;
    this.#driver = loadDriver();
    mkdirSync(options.directory, { recursive: true, mode: 0o750 });
    this.#position = this.#readPosition();
    for (const host of readdirSync(options.directory)) {
      if (!isName(host)) continue;
      for (const recorder of readdirSync(`${options.directory}/${host}`)) {
        if (!isRecorder(recorder)) continue;
        const copy = this.#copy(host, recorder);
        for (const { path } of segmentFiles(copy.directory)) undoSealing(this.#driver, path);
        copy.meta = this.#lastMeta(copy);
        for (const segment of this.#opened(copy).unsealed()) this.#keeperOf(copy).seal(segment);
      }
    }
  }

  /** Number of copies. */
  get copies(): number {
    return this.#copies.size;
  }

  /** The number of the first message of a stream that is wanted, for some shards. */
  from(created: string, shards: readonly number[]): number {
    const { taken } = this.#position;
    if (this.#position.created !== created) return 1;
    return Math.min(...shards.map((shard) => taken[shard]!)) + 1;
  }

  /** Another stream has the name: it is read from its beginning. */
  begin(created: string): void {
    if (this.#position.created === created) return;
    this.#position = { v: 1, created, boot: this.#boot, taken: NONE, synced: NONE };
  }

  /**
   * Takes a part of a host's record. It is in the copy when this returns.
   * @throws errors of SQLite: then nothing was taken; FleetError `ENCODING` if a host has too many records
   */
  take(host: string, part: RecordPart): Taken {
    const copy = this.#copy(host, part.recorder);
    const taken = this.#opened(copy).take(part);
    copy.meta = copy.open!.meta;
    this.#dirty.add(`${host}/${part.recorder}`);
    if (taken.closed) this.#keeperOf(copy).seal(taken.closed);
    return taken;
  }

  /** Records that lack before a part, for which there is no reason. @throws errors of SQLite */
  missingBefore(host: string, part: RecordPart): number {
    return this.#opened(this.#copy(host, part.recorder)).missingBefore(part);
  }

  /** A message of a host could not be read. */
  noteDamage(host: string, recorder: string | undefined): void {
    if (recorder !== undefined && isRecorder(recorder)) this.#opened(this.#copy(host, recorder)).noteDamage();
  }

  /** A message was taken, or is not wanted. */
  taken(shards: readonly number[], sequence: number): void {
    const taken = [...this.#position.taken];
    for (const shard of shards) taken[shard] = Math.max(taken[shard]!, sequence);
    this.#position = { ...this.#position, taken };
  }

  /** Writes down up to where the stream was read. */
  keepPosition(): void {
    const path = `${this.#options.directory}/${POSITION}`;
    writeFileSync(`${path}.new`, JSON.stringify(this.#position), { mode: 0o640 });
    renameSync(`${path}.new`, path);
  }

  /** Waits until the disk has all copies, one after the other, and writes that down. */
  async sync(): Promise<void> {
    const { taken } = this.#position;
    for (const key of [...this.#dirty]) {
      this.#dirty.delete(key);
      this.#copies.get(key)?.open?.sync();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#position = { ...this.#position, synced: taken };
    this.keepPosition();
    sync(`${this.#options.directory}/${POSITION}`);
  }

  /** Deletes what is too old, in all copies. */
  tidy(): void {
    for (const copy of this.#copies.values()) if (copy.meta) this.#keeperOf(copy).tidy(Date.now() * 1000);
  }

  /** Up to when the record of the slowest host is known. */
  until(): number | undefined {
    let least: number | undefined;
    for (const { meta } of this.#copies.values()) if (meta && (least === undefined || meta.alive < least)) least = meta.alive;
    return least;
  }

  /** As `until`, of each shard that has a record. */
  untilByShard(): Map<string, number> {
    const least = new Map<string, number>();
    for (const { host, meta } of this.#copies.values()) {
      if (!meta) continue;
      const shard = shardOf(host);
      least.set(shard, Math.min(meta.alive, least.get(shard) ?? Number.POSITIVE_INFINITY));
    }
    return least;
  }

  /** What `history forget` asks for, of one copy: to end its file, and to put one that was written anew in its place. */
  async control({ request, copy: key, entry: asked }: ControlRequest): Promise<Readonly<Record<string, unknown>>> {
    const copy = typeof key === 'string' ? this.#copies.get(key) : undefined;
    if (!copy) return { problem: 'there is no such copy' };
    switch (request) {
      case 'flush':
        return {}; // what was taken is in the copy
      case 'rotate': {
        const closed = this.#opened(copy).cut();
        if (closed) this.#keeperOf(copy).seal(closed);
        copy.meta = copy.open!.meta;
        return closed ? { closed: closed.name } : {};
      }
      case 'replace': {
        const entry = rewrittenEntry(asked);
        const problem = entry ? this.#keeperOf(copy).replace(entry) : 'it does not say what to replace';
        return problem === undefined ? { replaced: entry!.segment } : { problem };
      }
      default:
        return { problem: 'a collector does not know that' };
    }
  }

  /** Where each copy is, and what it knows. */
  stored(): readonly StoredCopy[] {
    return [...this.#copies.values()].flatMap(({ host, recorder, directory, meta }) =>
      meta ? [{ host, recorder, directory, meta }] : [],
    );
  }

  async close(): Promise<void> {
    await this.sync();
    for (const { open, keeper } of this.#copies.values()) {
      keeper?.close();
      open?.end();
    }
  }

  #copy(host: string, recorder: string): Copy {
    const key = `${host}/${recorder}`;
    let copy = this.#copies.get(key);
    if (copy) {
      // To the end: it was used last.
      this.#copies.delete(key);
      this.#copies.set(key, copy);
      return copy;
    }
    const others = [...this.#copies.values()].filter((other) => other.host === host).length;
    if (others >= MOST_RECORDERS) throw new FleetError('ENCODING', `${host} has ${others} records already`);
    const directory = `${this.#options.directory}/${key}`;
    copy = { host, recorder, directory, meta: undefined, open: undefined, keeper: undefined };
    this.#copies.set(key, copy);
    return copy;
  }

  #opened(copy: Copy): RecordCopy {
    if (copy.open) return copy.open;
    let open = 0;
    for (const each of this.#copies.values()) if (each.open) open++;
    if (open >= MOST_OPEN) this.#closeOldest();
    const { segmentRows, version } = this.#options;
    copy.open = new RecordCopy(this.#driver, {
      directory: copy.directory,
      host: copy.host,
      version,
      segmentRows,
      now: () => Date.now() * 1000,
    });
    return copy.open;
  }

  #closeOldest(): void {
    for (const [key, copy] of this.#copies) {
      if (!copy.open) continue;
      if (this.#dirty.has(key)) copy.open.sync();
      copy.open.close();
      copy.open = undefined;
      return;
    }
  }

  #keeperOf(copy: Copy): SegmentKeeper {
    const { keep, maxSize, minFree, launcher, tell } = this.#options;
    copy.keeper ??= new SegmentKeeper(
      this.#driver,
      {
        directory: copy.directory,
        ...(Number.isFinite(keep) ? { keep: keep * MICROSECONDS } : {}),
        maxSize,
        minFree,
        launcher,
        inTurn: (work) => this.#inTurn(work),
      },
      {
        sealed: () => copy.keeper?.tidy(Date.now() * 1000),
        deleted: ({ name }, reason) => tell(`deleted ${copy.host}/${name} (${reason})`),
        failed: (what) => tell(`${copy.host}: ${what}`),
      },
    );
    return copy.keeper;
  }

  /** One segment is sealed at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#sealing.then(work, work);
    this.#sealing = done.catch(() => {});
    return done;
  }

  #lastMeta({ directory }: Copy): CopyMeta | undefined {
    const last = segmentFiles(directory).at(-1);
    if (!last) return undefined;
    try {
      const file = this.#driver.open(last.path, { readOnly: true });
      try {
        return readMeta(file, last.name) as CopyMeta;
      } finally {
        file.close();
      }
    } catch {
      return undefined; // it is looked at again when a part comes
    }
  }

  #readPosition(): Position {
    const path = `${this.#options.directory}/${POSITION}`;
    const nothing: Position = { v: 1, created: '', boot: this.#boot, taken: NONE, synced: NONE };
    if (!existsSync(path)) return nothing;
    try {
      const told = JSON.parse(readFileSync(path, 'utf8')) as Position;
      const isList = (list: unknown) =>
        Array.isArray(list) && list.length === SHARDS && list.every((n) => Number.isSafeInteger(n));
      if (told.v !== 1 || typeof told.created !== 'string' || !isList(told.taken) || !isList(told.synced)) return nothing;
      const { created, boot, taken, synced } = told;
      return { v: 1, created, boot: this.#boot, taken: boot === this.#boot ? taken : synced, synced };
    } catch {
      return nothing; // everything is read again, and known by its numbers
    }
  }
}
