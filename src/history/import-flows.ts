// importFlows: flows that `conntrack history` printed, from another machine or an older record, as a record of their own. What they rest
// on is elsewhere: none of them is ever certain, and what their origin did not see is not known.

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { basename } from 'node:path';
import { ValueError } from '../errors.js';
import { type Signal, TimeSlice } from '../library/index.js';
import { ControlSocket } from './control-socket.js';
import { loadDriver } from './driver/load-driver.js';
import type { SqliteDriver, SqliteFile, SqliteStatement } from './driver/sqlite.js';
import { ALL_COLUMNS, FlowInserts } from './flow-inserts.js';
import { CsvRows, type ImportedRow, rowOfJson } from './imported-row.js';
import { machineHash } from './machine-id.js';
import { makeSegment } from './make-segment.js';
import { addToManifest } from './manifest.js';
import { type ColumnName, RECORD_COLUMNS } from './record-columns.js';
import { sealSegment } from './seal-segment.js';
import { makeDirectory, type SegmentFile, segmentFiles, segmentName, sync } from './segment-files.js';
import { HistoryError, readMeta, type SegmentMeta, writeMeta } from './segment-meta.js';

/** How flows are imported. */
export interface ImportOptions {
  /** Milliseconds since the epoch. Default: the system's clock. */
  readonly now?: () => number;
  readonly signal?: Signal | undefined;
}

/** What was imported. */
export interface Imported {
  readonly records: number;
  /** Flows that lived when the lines were printed: without an end they are no records. */
  readonly living: number;
  /** The file that was made, without its directory; absent: there was nothing to keep. */
  readonly segment?: string | undefined;
}

/** Characters of a line. */
const MOST_LINE = 64 * 1024;
/** Namespaces that are told apart. */
const MOST_NAMESPACES = 65_536;
/** Rows of a transaction. */
const ROWS = 5000;
/** Where a segment is made: a crash leaves no more than that. */
const SCRATCH = 'import';

/**
 * Imports a file of lines that `conntrack history -o ndjson` or `-o csv` printed as one sealed segment: all of it, or nothing. The directory
 * is made if it is missing, and has imported records alone: not those of a recorder.
 * @throws ValueError for the directory of a recorder; HistoryError, of a line that is none with its number; the system's error
 */
export async function importFlows(directory: string, file: string, options: ImportOptions = {}): Promise<Imported> {
  options.signal?.throwIfAborted();
  makeDirectory(directory);
  const lock = await ControlSocket.open(directory).catch((error: unknown) => {
    throw error instanceof HistoryError && error.code === 'LOCKED' ? ofRecorder(directory) : error;
  });
  try {
    return await new Importer(directory, file, options).run();
  } finally {
    await lock.close();
  }
}

function ofRecorder(directory: string): ValueError {
  return new ValueError(`${directory} is the record of a recorder: imported flows need a directory of their own`, {
    hint: '--dir OTHER; whohad and history ask both with --dir twice',
  });
}

class Importer {
  readonly #directory: string;
  readonly #source: string;
  readonly #options: ImportOptions;
  readonly #now: number;
  readonly #driver: SqliteDriver = loadDriver();
  readonly #hash = createHash('sha256');
  readonly #namespaces = new Map<string, number>();
  #living = 0;
  #rows = 0;
  #sequence = 0;
  #minStart = Number.POSITIVE_INFINITY;
  #maxEnd = Number.NEGATIVE_INFINITY;
  #disorder = 0;

  constructor(directory: string, source: string, options: ImportOptions) {
    this.#directory = directory;
    this.#source = source;
    this.#options = options;
    this.#now = Math.floor((options.now ?? Date.now)()) * 1000;
  }

  async run(): Promise<Imported> {
    const before = this.#lastMeta();
    this.#sequence = before?.lastSeq ?? 0;
    const scratch = `${this.#directory}/${SCRATCH}`;
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch, { mode: 0o700 });
    try {
      const made = makeSegment(this.#driver, scratch, { now: this.#now, meta: this.#metaAfter(before) });
      await this.#fill(made);
      if (this.#rows === 0) return { records: 0, living: this.#living };
      return { records: this.#rows, living: this.#living, segment: await this.#place(made) };
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }

  /** @throws ValueError if a recorder wrote, or will write, what is there */
  #lastMeta(): SegmentMeta | undefined {
    const last = segmentFiles(this.#directory).at(-1);
    if (!last) return undefined;
    const file = this.#driver.open(last.path, { readOnly: true });
    try {
      const meta = readMeta(file, last.name);
      if (meta.imported !== undefined) return meta;
    } finally {
      file.close();
    }
    throw ofRecorder(this.#directory);
  }

  #metaAfter(before: SegmentMeta | undefined): SegmentMeta {
    return {
      recorder: before?.recorder ?? randomUUID(),
      number: (before?.number ?? 0) + 1,
      host: hostname(),
      machine: machineHash(),
      boot: '',
      version: '',
      kernel: release(),
      firstSeq: this.#sequence + 1,
      opened: this.#now,
      alive: this.#now,
      imported: 1,
    };
  }

  async #fill({ path }: SegmentFile): Promise<void> {
    const file = this.#driver.open(path);
    try {
      // Until it is whole, nobody needs it.
      file.exec('PRAGMA synchronous = OFF');
      const insert = new FlowInserts(file).of(ALL_COLUMNS).one();
      const slice = new TimeSlice();
      file.exec('BEGIN');
      for await (const row of this.#read()) {
        this.#write(insert, row);
        if (this.#rows % ROWS !== 0) continue;
        file.exec('COMMIT');
        await slice.pause();
        this.#options.signal?.throwIfAborted();
        file.exec('BEGIN');
      }
      this.#describe(file);
      file.exec('COMMIT');
    } finally {
      file.close();
    }
  }

  #write(insert: SqliteStatement, { columns, netns }: ImportedRow): void {
    const { start, dur, sslack } = columns as { readonly start: number; readonly dur: number; readonly sslack: number };
    const ns = netns === undefined ? null : this.#numberOf(netns);
    insert.run(
      ++this.#sequence,
      ...(RECORD_COLUMNS as readonly { readonly name: ColumnName }[]).map(({ name }) =>
        name === 'ns' ? ns : (columns[name] ?? null),
      ),
    );
    this.#rows++;
    const end = start + dur;
    this.#disorder = Math.max(this.#disorder, this.#maxEnd - end);
    this.#minStart = Math.min(this.#minStart, start - sslack);
    this.#maxEnd = Math.max(this.#maxEnd, end);
  }

  #numberOf(name: string): number {
    const known = this.#namespaces.get(name);
    if (known !== undefined) return known;
    if (this.#namespaces.size === MOST_NAMESPACES) throw new ValueError('there are too many network namespaces');
    const number = this.#namespaces.size + 1;
    this.#namespaces.set(name, number);
    return number;
  }

  #describe(file: SqliteFile): void {
    const netns = file.prepare('INSERT INTO netns (number, name) VALUES (?, ?)');
    for (const [name, number] of this.#namespaces) netns.run(number, name);
    const source = { file: basename(this.#source), sha256: this.#hash.digest('hex') };
    file
      .prepare('INSERT INTO session ("from", "to", boot, sysctls, options) VALUES (?, ?, ?, ?, ?)')
      .run(this.#now, this.#now, '', '{}', JSON.stringify({ imported: source }));
    writeMeta(file, {
      closed: this.#now,
      rows: this.#rows,
      lastSeq: this.#sequence,
      disorder: this.#disorder,
      ...(this.#rows > 0 ? { minStart: this.#minStart, maxEnd: this.#maxEnd } : {}),
    });
  }

  /** Seals what was made, tells it, and puts it in its place. */
  async #place({ path, number }: SegmentFile): Promise<string> {
    const { rows, sha256 } = await sealSegment(this.#driver, path, this.#now, this.#directory);
    this.#options.signal?.throwIfAborted();
    const name = segmentName(this.#now, number);
    // Told before it is there, it would be missing after a crash.
    renameSync(path, `${this.#directory}/${name}`);
    sync(this.#directory);
    const at = new Date(this.#now / 1000).toISOString();
    addToManifest(this.#directory, { what: 'sealed', segment: name, at, rows, sha256, reason: 'imported' });
    return name;
  }

  /** The rows of the file, in their order. */
  async *#read(): AsyncGenerator<ImportedRow> {
    let csv: CsvRows | undefined;
    let number = 0;
    /** A cell in quotation marks may have several lines. */
    let begun = '';
    for await (const more of this.#lines()) {
      number++;
      const line = this.#checked(begun + more);
      begun = csv && line.split('"').length % 2 === 0 ? `${line}\n` : '';
      if (line === '' || begun !== '') continue;
      try {
        if (number === 1 && !line.startsWith('{')) {
          csv = new CsvRows(withoutReturn(line));
          continue;
        }
        const row = csv ? csv.row(withoutReturn(line)) : rowOfJson(line);
        if (row) yield row;
        else this.#living++;
      } catch (error) {
        if (error instanceof ValueError) throw this.#wrong(number, error.message);
        throw error;
      }
    }
    if (begun !== '') throw this.#wrong(number, 'its quotation marks do not fit');
  }

  #wrong(number: number, message: string): HistoryError {
    return new HistoryError('DAMAGED', `${this.#source}: line ${number}: ${message}`, {
      hint: 'conntrack history -o ndjson and -o csv print what can be imported',
    });
  }

  async *#lines(): AsyncGenerator<string> {
    if (!existsSync(this.#source)) throw new ValueError(`${this.#source}: there is no such file`);
    let rest = '';
    for await (const chunk of createReadStream(this.#source, 'utf8')) {
      this.#hash.update(chunk as string);
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      yield* lines;
      if (rest.length > MOST_LINE) this.#checked(rest);
    }
    if (rest !== '') yield rest;
  }

  #checked(line: string): string {
    if (line.length <= MOST_LINE) return line;
    throw new HistoryError('DAMAGED', `${this.#source} has a line of more than ${MOST_LINE} characters`);
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
