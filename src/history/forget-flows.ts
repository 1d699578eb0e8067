// forgetFlows: takes the records of an address out of a record. Each file that has some is written anew without them, and the manifest
// tells how many were taken, and why. It does not tell whose they were: who knows the address can have that confirmed by its keyed hash.

import { createHmac, randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ValueError } from '../errors.js';
import { askRecorder, ControlSocket } from './control-socket.js';
import { loadDriver } from './driver/load-driver.js';
import type { SqliteDriver, SqliteFile } from './driver/sqlite.js';
import { addToManifest, type ManifestEntry, readManifest } from './manifest.js';
import { readSpan, type TimeSpan } from './moments.js';
import { formatNetwork, parseNetwork, spansOf, within } from './networks.js';
import { DROP_BLOCKS, SUM_TABLES } from './record-schema.js';
import { numberIn } from './row-messages.js';
import { hashOf } from './seal-segment.js';
import { type SegmentFile, segmentsIn, sync } from './segment-files.js';
import { HistoryError, readMeta, writeMeta } from './segment-meta.js';
import { all, any, type SqlCondition } from './sql-condition.js';

/** Whose records are forgotten: those that lived in the span. */
export interface ForgetOptions extends TimeSpan {
  /** Goes into the manifest. At most 500 characters. */
  readonly reason: string;
  /** Milliseconds since the epoch. Default: the system's clock. */
  readonly now?: () => number;
}

/** What was forgotten. */
export interface Forgotten {
  readonly records: number;
  /** Files that were written anew. */
  readonly segments: readonly string[];
  /** Flows of the address that live: each is recorded when it ends. */
  readonly living: number;
}

const MOST_REASON = 500;
/** What the directory of a collector has, above its copies. */
export const COLLECTED = 'position.json';
/** Milliseconds for a recorder: to begin a new file and seal the one before it, and to put a file in its place. */
const SEALING = 600_000;
const REPLACING = 60_000;
const BETWEEN_LOOKS = 200;

/**
 * Takes the records whose source, or whose real destination, is an address or in a network out of a record. Needs the right to write to the
 * directory. A recorder that runs begins a new file first. The time of what was taken becomes a gap, `forgotten`. What copies there are of
 * the files, and what the disk keeps of deleted ones, is not touched.
 * @throws ValueError, HistoryError, the system's error
 */
export async function forgetFlows(directory: string, address: string, options: ForgetOptions): Promise<Forgotten> {
  const { reason, now = Date.now } = options;
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > MOST_REASON)
    throw new ValueError(`a reason is needed, of at most ${MOST_REASON} characters`);
  const network = parseNetwork(address);
  const span = readSpan(options, now);
  const spans = spansOf(network);
  const whose = any([within('src', spans), within('coalesce(rsrc, dst)', spans)]);
  const living = span ? all([whose, { sql: 'start - coalesce(sslack, 0) < ?', values: [span.to] }]) : whose;
  const ended = span ? all([living, { sql: 'start + dur >= ?', values: [span.from] }]) : whose;
  const question = { ended, living, name: formatNetwork(network), reason };
  segmentsIn(directory);
  mayWrite(directory);
  // A collector has all its copies by one lock.
  const above = dirname(dirname(resolve(directory)));
  const copy = relative(above, resolve(directory));
  const owner = existsSync(join(above, COLLECTED)) ? { directory: above, more: { copy } } : { directory, more: {} };
  let lock: ControlSocket | undefined;
  try {
    lock = await ControlSocket.open(owner.directory);
  } catch (error) {
    if (!(error instanceof HistoryError) || error.code !== 'LOCKED') throw error;
  }
  try {
    return await new Forgetter(directory, question, lock === undefined ? owner : undefined, now).run();
  } finally {
    await lock?.close();
  }
}

/** @throws HistoryError before anything happens, if nothing may be written */
function mayWrite(directory: string): void {
  try {
    accessSync(directory, constants.W_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    throw new HistoryError('DENIED', `cannot write to ${directory}: permission denied`, {
      hint: 'run it as the user that records, or as root',
      cause: error,
    });
  }
}

/** Who writes to a directory: the recorder or the collector behind a control socket, and what tells it which record is meant. */
interface Owner {
  readonly directory: string;
  readonly more: Readonly<Record<string, unknown>>;
}

/** What is forgotten. */
interface Question {
  /** Which rows of `flow`, and of `open`. */
  readonly ended: SqlCondition;
  readonly living: SqlCondition;
  /** The address, as its hash is made of it. */
  readonly name: string;
  readonly reason: string;
}

class Forgetter {
  readonly #directory: string;
  readonly #driver: SqliteDriver = loadDriver();
  readonly #question: Question;
  /** A recorder or a collector runs: it alone puts files in their place. */
  readonly #running: Owner | undefined;
  readonly #now: () => number;

  constructor(directory: string, question: Question, running: Owner | undefined, now: () => number) {
    this.#directory = directory;
    this.#question = question;
    this.#running = running;
    this.#now = now;
  }

  async run(): Promise<Forgotten> {
    if (this.#running) {
      // The hot segment is not looked at before: some packages with SQLite close a file late, and sealing waits for that.
      await this.#ask('flush', SEALING);
      const { closed, error, problem } = await this.#ask('rotate', REPLACING);
      if (error !== undefined || problem !== undefined)
        throw new HistoryError(
          'LOCKED',
          `whoever writes to ${this.#directory} does not end its file: ${JSON.stringify(problem ?? error)}`,
          {
            hint: 'try it again later',
          },
        );
      if (typeof closed === 'string') await this.#sealed(closed);
    }
    let records = 0;
    let living = 0;
    const segments: string[] = [];
    const found = segmentsIn(this.#directory);
    for (const segment of found) {
      if (this.#running && segment === found.at(-1)) {
        living += this.#count(segment, 'open', this.#question.living);
        continue;
      }
      if (!lstatSync(segment.path, { throwIfNoEntry: false })?.isFile()) continue;
      if (this.#running) await this.#sealed(segment.name);
      const ended = this.#count(segment, 'flow', this.#question.ended);
      if (ended === 0 && this.#count(segment, 'open', this.#question.living) === 0) continue;
      await this.#rewrite(segment, ended);
      records += ended;
      segments.push(segment.name);
    }
    return { records, segments, living };
  }

  async #ask(request: string, milliseconds: number, more = {}): Promise<Readonly<Record<string, unknown>>> {
    const { directory, more: whose } = this.#running!;
    const answer = await askRecorder(directory, request, milliseconds, { ...whose, ...more });
    if (!answer) throw new HistoryError('LOCKED', 'the recorder does not answer', { hint: 'try it again later' });
    return answer;
  }

  #count({ path }: SegmentFile, table: 'flow' | 'open', { sql, values }: SqlCondition): number {
    const file = this.#driver.open(path, { readOnly: true });
    try {
      return numberIn(file.prepare(`SELECT count(*) AS n FROM ${table} WHERE ${sql}`).all(...values)[0]?.['n']) ?? 0;
    } finally {
      file.close();
    }
  }

  /** Settles when a segment has been sealed. */
  async #sealed(name: string): Promise<void> {
    const until = performance.now() + SEALING;
    while (!this.#hashOf(name)) {
      if (performance.now() > until)
        throw new HistoryError('LOCKED', `${name} is not sealed yet`, { hint: 'try it again later' });
      await sleep(BETWEEN_LOOKS);
    }
  }

  /** SHA-256 of a segment, as the manifest has it; `undefined`: it is not sealed. */
  #hashOf(name: string): string | undefined {
    return readManifest(this.#directory).lines.findLast(({ segment, sha256 }) => segment === name && sha256)?.sha256;
  }

  async #rewrite(segment: SegmentFile, ended: number): Promise<void> {
    const { path, name } = segment;
    const was = this.#hashOf(name);
    const copy = copyPath(segment);
    rmSync(copy, { force: true });
    if (!was) this.#withdrawLog(path);
    const { mode, uid, gid } = statSync(path);
    copyFileSync(path, copy);
    try {
      chmodSync(copy, 0o600);
      const file = this.#driver.open(copy);
      try {
        this.#takeOut(file, name, ended);
      } finally {
        file.close();
      }
      chownSync(copy, uid, gid);
      chmodSync(copy, mode & 0o777);
      sync(copy);
      const sha256 = was && (await hashOf(copy));
      const { reason, name: whose } = this.#question;
      const entry: ManifestEntry = {
        what: 'rewritten',
        segment: name,
        at: new Date(this.#now()).toISOString(),
        rows: ended,
        ...(sha256 ? { sha256, was } : {}),
        reason,
        address: createHmac('sha256', keyOf(this.#directory)).update(whose).digest('hex'),
      };
      if (!this.#running) replaceSegment(this.#directory, segment, entry);
      else {
        const { replaced, problem } = await this.#ask('replace', REPLACING, { entry });
        if (replaced !== name) throw new HistoryError('LOCKED', `the recorder did not replace ${name}: ${String(problem)}`);
      }
    } finally {
      rmSync(copy, { force: true });
    }
  }

  /** What a killed recorder left beside a file goes into it. */
  #withdrawLog(path: string): void {
    const file = this.#driver.open(path);
    try {
      file.exec('PRAGMA journal_mode = DELETE');
    } finally {
      file.close();
    }
  }

  #takeOut(file: SqliteFile, name: string, ended: number): void {
    const meta = readMeta(file, name);
    file.exec('PRAGMA journal_mode = OFF');
    file.exec('PRAGMA secure_delete = ON');
    file.exec('BEGIN');
    const { sql, values } = this.#question.ended;
    const [bounds] = file
      .prepare(`SELECT min(start - coalesce(sslack, 0)) AS a, max(start + dur) AS b FROM flow WHERE ${sql}`)
      .all(...values);
    const last = numberIn(file.prepare('SELECT max(seq) AS seq FROM flow').all()[0]?.['seq']) ?? 0;
    file.prepare(`DELETE FROM flow WHERE ${sql}`).run(...values);
    file.prepare(`DELETE FROM open WHERE ${this.#question.living.sql}`).run(...this.#question.living.values);
    file.exec(DROP_BLOCKS);
    if (meta.sealed !== undefined) {
      for (const [name, statement] of Object.entries(SUM_TABLES)) {
        file.exec(`DROP TABLE IF EXISTS ${name}`);
        file.exec(statement);
      }
    }
    if (ended > 0)
      file
        .prepare(`INSERT INTO gap ("from", "to", reason, note) VALUES (?, ?, 'forgotten', ?)`)
        .run(bounds!['a']!, bounds!['b']!, `${ended} ${ended === 1 ? 'record' : 'records'}`);
    writeMeta(file, {
      lastSeq: Math.max(last, meta.lastSeq ?? 0),
      ...(meta.rows === undefined ? {} : { rows: meta.rows - ended }),
    });
    file.exec('COMMIT');
    file.exec('VACUUM');
  }
}

/** Where a segment is written anew. */
function copyPath({ path }: SegmentFile): string {
  return `${path}.forget`;
}

/** Puts the copy of a segment in its place, after a line in the manifest. @throws the system's error */
export function replaceSegment(directory: string, segment: SegmentFile, entry: ManifestEntry): void {
  const copy = copyPath(segment);
  if (!lstatSync(copy).isFile()) throw new HistoryError('NOT_A_HISTORY', `${segment.name}.forget is no ordinary file`);
  // Killed between the two, forgetting is done again: then the line is there twice, and the rows are gone.
  addToManifest(directory, entry);
  renameSync(copy, segment.path);
  sync(directory);
}

/** The line that is asked for over the control socket; `undefined` if it is none. */
export function rewrittenEntry(asked: unknown): ManifestEntry | undefined {
  const { segment, at, rows, sha256, was, reason, address } = (asked ?? {}) as Readonly<Record<string, unknown>>;
  const texts = { segment, at, sha256, was, reason, address };
  if (!Object.values(texts).every((text) => typeof text === 'string' && text.length <= MOST_REASON)) return undefined;
  return Number.isSafeInteger(rows) ? ({ what: 'rewritten', rows, ...texts } as ManifestEntry) : undefined;
}

/** The key of hashes of addresses: 64 hexadecimal digits. */
function keyOf(directory: string): string {
  const path = `${directory}/forget.key`;
  try {
    writeFileSync(path, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 });
    const { uid, gid } = statSync(directory);
    chownSync(path, uid, gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(path, 'utf8');
}
