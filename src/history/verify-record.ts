// verifyRecord: whether the sealed files of a record are what they were when they were sealed. Whoever may write to the directory could
// make files and manifest anew: what they cannot make is a hash that is kept elsewhere.

import { lstatSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Signal } from '../library/index.js';
import { askRecorder } from './control-socket.js';
import { loadDriver } from './driver/load-driver.js';
import type { SqliteDriver, SqliteFile, SqliteRow } from './driver/sqlite.js';
import { type ManifestLine, readManifest } from './manifest.js';
import { without } from './record-ranges.js';
import { SUMMED_COLUMNS } from './record-schema.js';
import { numberIn } from './row-messages.js';
import { hashOf } from './seal-segment.js';
import { numberOfSegment, type SegmentFile, segmentFiles, segmentsIn } from './segment-files.js';
import { readMeta, type SegmentMeta } from './segment-meta.js';

/** A sealed file. */
export interface VerifiedSegment {
  readonly name: string;
  readonly number: number;
  /** Numbers of its first and its last record; absent: it has none. */
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  /** Records that it has. */
  readonly records: number;
  /** Records that were taken out since, as the manifest says. */
  readonly forgotten: number;
  readonly sha256: string;
}

/** What is not as it should be. */
export interface RecordFault {
  /** The file, if it is about one. */
  readonly segment?: string | undefined;
  /** In words. */
  readonly text: string;
}

/** What `verifyRecord` found. */
export interface RecordVerification {
  readonly directory: string;
  /** Nothing is wrong. */
  readonly ok: boolean;
  readonly faults: readonly RecordFault[];
  /** Sealed files, in the order of their numbers, as they are. */
  readonly segments: readonly VerifiedSegment[];
  /** Files that are not sealed: nobody can tell whether they were changed. */
  readonly unsealed: readonly string[];
  readonly manifest: {
    readonly lines: number;
    /** SHA-256 of the last line. Kept elsewhere, it tells later whether everything up to now is as it was. */
    readonly last?: string | undefined;
  };
}

/** How a record is verified. */
export interface VerifyOptions {
  /** A SHA-256 that was the last of the manifest at some time: the manifest must still have it. */
  readonly known?: string | undefined;
  readonly signal?: Signal | undefined;
}

/**
 * Compares the sealed files of a directory with its manifest, the lines of the manifest with each other, the numbers of records, which have
 * no hole but where records were taken out, and the sums of each file with its rows. Reads every sealed file twice, and keeps the event loop
 * while it sums one up.
 * @throws HistoryError, the system's error
 */
export async function verifyRecord(directory: string, options: VerifyOptions = {}): Promise<RecordVerification> {
  return new Verifier(directory, options).run();
}

/** Milliseconds for the answer of a recorder. */
const PATIENCE = 2000;

class Verifier {
  readonly #directory: string;
  readonly #options: VerifyOptions;
  readonly #driver: SqliteDriver = loadDriver();
  readonly #faults: RecordFault[] = [];
  /** Their records may lack between two files. */
  readonly #copies = new Set<string>();
  #written: Promise<boolean> | undefined;

  constructor(directory: string, options: VerifyOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  async run(): Promise<RecordVerification> {
    const directory = this.#directory;
    const { lines, hashes, broken } = readManifest(directory);
    if (broken !== undefined) this.#complain(`manifest.ndjson: line ${broken} does not follow from the line before`);
    const { known, signal } = this.#options;
    if (known !== undefined && !hashes.includes(known.toLowerCase()))
      this.#complain(`manifest.ndjson: no line has the SHA-256 ${known}`);
    // Where there is neither, there is no record.
    const files = lines.length === 0 ? segmentsIn(directory) : segmentFiles(directory);
    const segments: VerifiedSegment[] = [];
    const unsealed: string[] = [];
    for (const file of files) {
      signal?.throwIfAborted();
      const own = lines.filter(({ segment }) => segment === file.name);
      const found = await this.#segment(file, own, hashes);
      if (found) segments.push(found);
      else unsealed.push(file.name);
    }
    this.#lookForMissing(files, lines);
    this.#lookForHoles(segments);
    return {
      directory,
      ok: this.#faults.length === 0,
      faults: this.#faults,
      segments,
      unsealed,
      manifest: { lines: hashes.length, last: hashes.at(-1) },
    };
  }

  #complain(text: string, segment?: string): void {
    this.#faults.push({
      ...(segment === undefined ? {} : { segment }),
      text: segment === undefined ? text : `${segment} ${text}`,
    });
  }

  /** @returns `undefined` if it is not sealed */
  async #segment(
    file: SegmentFile,
    own: readonly ManifestLine[],
    hashes: readonly string[],
  ): Promise<VerifiedSegment | undefined> {
    const { name, number } = file;
    const expected = own.findLast(({ sha256 }) => typeof sha256 === 'string')?.sha256;
    if (!lstatSync(file.path, { throwIfNoEntry: false })?.isFile()) {
      this.#complain('is no ordinary file', name);
      return undefined;
    }
    const sha256 = expected === undefined ? undefined : await hashOf(file.path);
    if (sha256 !== expected) this.#complain('was changed', name);
    let described: Described | undefined;
    try {
      described = this.#describe(file);
    } catch (error) {
      if (sha256 === expected) this.#complain(`cannot be read: ${(error as Error).message}`, name);
      return undefined;
    }
    if (!described.sealed) {
      if (expected !== undefined && sha256 === expected) this.#complain('is told as sealed, and is not', name);
      return undefined;
    }
    if (sha256 === undefined) {
      // A recorder that runs tells it when it has read the whole file.
      if (!(await this.#isWritten())) this.#complain('is sealed, and the manifest does not have it', name);
      return undefined;
    }
    const { meta, records, first, last, lacking, wrongSums } = described;
    if (meta.applied !== undefined) this.#copies.add(name);
    if (meta.prevHash !== undefined && !hashes.includes(meta.prevHash))
      this.#complain('was sealed when the manifest had a line that it no longer has', name);
    // Killed while it was told, taking out is told twice.
    const forgotten = own.reduce((sum, { what, rows }) => sum + (what === 'rewritten' ? (rows ?? 0) : 0), 0);
    const holes = lacking - forgotten;
    if (holes > 0) this.#complain(`lacks ${holes} of its records`, name);
    if (wrongSums.length > 0) this.#complain(`has other sums than rows: ${wrongSums.join(', ')}`, name);
    return { name, number, first, last, records, forgotten: Math.min(forgotten, lacking), sha256 };
  }

  /** Whether a recorder or a collector runs. */
  #isWritten(): Promise<boolean> {
    const places = [this.#directory, dirname(dirname(resolve(this.#directory)))];
    this.#written ??= Promise.all(places.map((place) => askRecorder(place, 'status', PATIENCE))).then((answers) =>
      answers.some((answer) => answer !== undefined),
    );
    return this.#written;
  }

  #describe(file: SegmentFile): Described {
    const open = this.#driver.open(file.path, { readOnly: true });
    try {
      open.exec('PRAGMA trusted_schema = OFF');
      const meta = readMeta(open, file.name);
      if (meta.sealed === undefined) return { ...NOTHING, meta, sealed: false };
      const one = (sql: string): SqliteRow => open.prepare(sql).all()[0] ?? {};
      const { n, a, b } = one('SELECT count(*) AS n, min(seq) AS a, max(seq) AS b FROM flow');
      const records = numberIn(n) ?? 0;
      const first = meta.firstSeq;
      const last = Math.max(numberIn(b) ?? 0, meta.lastSeq ?? first + records - 1);
      const outside = records > 0 && (numberIn(a)! < first || numberIn(b)! > last);
      const count = last - first + 1 - lostIn(open, first, last);
      return {
        meta,
        sealed: true,
        records,
        ...(count > 0 ? { first, last } : {}),
        lacking: outside ? records : Math.max(0, count - records),
        wrongSums: wrongSums(open),
      };
    } finally {
      open.close();
    }
  }

  #lookForMissing(files: readonly SegmentFile[], lines: readonly ManifestLine[]): void {
    const here = new Set(files.map(({ name }) => name));
    const gone = new Set(lines.flatMap(({ what, segment }) => (what === 'deleted' ? [segment] : [])));
    const told = new Set(lines.map(({ segment }) => segment));
    for (const name of told) if (!here.has(name) && !gone.has(name)) this.#complain('is missing', name);
    const numbers = new Set([...files.map(({ name }) => name), ...told].map(numberOfSegment));
    const last = files.at(-1)?.number ?? 0;
    for (let number = 1, from = 0; number <= last; number++) {
      if (numbers.has(number)) continue;
      from ||= number;
      if (number < last && !numbers.has(number + 1)) continue;
      this.#complain(
        from === number
          ? `segment ${from} is not there, and the manifest does not say that it was deleted`
          : `segments ${from} to ${number} are not there, and the manifest does not say that they were deleted`,
      );
      from = 0;
    }
  }

  /** A file begins where the one before it ends. */
  #lookForHoles(segments: readonly VerifiedSegment[]): void {
    let previous: VerifiedSegment | undefined;
    for (const next of segments) {
      const follows = previous && next.number === previous.number + 1 && !this.#copies.has(next.name);
      if (follows && previous?.last !== undefined && next.first !== undefined && next.first !== previous.last + 1)
        this.#complain(`begins with record ${next.first}, and ${previous.name} ends with ${previous.last}`, next.name);
      previous = next;
    }
  }
}

/** What a file says of itself. */
interface Described {
  readonly meta: SegmentMeta;
  readonly sealed: boolean;
  readonly records: number;
  readonly first?: number;
  readonly last?: number;
  /** Records that it should have and has not. */
  readonly lacking: number;
  /** Columns whose sum is another than that of the rows. */
  readonly wrongSums: readonly string[];
}
const NOTHING = { records: 0, lacking: 0, wrongSums: [] };

/** Of a copy: records that it knows to lack. */
function lostIn(file: SqliteFile, first: number, last: number): number {
  const lost = file
    .prepare('SELECT first, last FROM gap WHERE first IS NOT NULL AND last IS NOT NULL ORDER BY first')
    .all()
    .map((row): readonly [number, number] => [Number(row['first']), Number(row['last'])]);
  if (lost.length === 0) return 0;
  const rest = without([first, last], lost).reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return last - first + 1 - rest;
}

/** Columns whose sums in the table `talker` are others than those of the rows. */
function wrongSums(file: SqliteFile): readonly string[] {
  // As text: above 2^53, too.
  const sums = (flows: string, table: string) =>
    file
      .prepare(
        `SELECT ${[...SUMMED_COLUMNS.map((name) => [`sum(${name})`, name]), [flows, 'flows']]
          .map(([sum, name]) => `CAST(${sum} AS TEXT) AS ${name}`)
          .join(', ')} FROM ${table}`,
      )
      .all()[0]!;
  const [own, told] = [sums('count(*)', 'flow'), sums('coalesce(sum(flows), 0)', 'talker')];
  return ['flows', ...SUMMED_COLUMNS].filter((name) => own[name] !== told[name]);
}
