// OpenSegments: files of a record that are open for reading. Half of the time of a question goes into opening them, so sealed ones stay open
// for a moment: nobody writes them, and those who ask once often ask again.

import { lstatSync } from 'node:fs';
import type { SqliteDriver, SqliteFile } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import type { SegmentFile } from './segment-files.js';
import { HistoryError } from './segment-meta.js';

/** Milliseconds for which a file stays open after its last question: if it is deleted, its space is not free before. */
const KEPT = 2000;
/** So many of them. Each may hold 2 MB of its pages. */
const MOST = 8;

interface OpenFile {
  readonly file: SqliteFile;
  readonly path: string;
  readonly inode: number;
}

export class OpenSegments implements Disposable {
  readonly #driver: SqliteDriver;
  /** Those that nobody reads, the longest unread first. */
  #idle: OpenFile[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(driver: SqliteDriver) {
    this.#driver = driver;
  }

  /**
   * Opens a file for one reader, who closes it.
   * @param keep it is sealed: it may stay open
   * @throws HistoryError; the system's or SQLite's error if it has gone
   */
  open(segment: SegmentFile, { keep = false } = {}): SqliteFile {
    const status = lstatSync(segment.path);
    // Neither a link to elsewhere nor a pipe, which would wait for ever.
    if (!status.isFile()) throw new HistoryError('NOT_A_HISTORY', `${segment.name} is no ordinary file`);
    if (!keep) return openForReading(this.#driver, segment);
    const { path } = segment;
    const inode = status.ino;
    const place = this.#idle.findIndex((each) => each.path === path && each.inode === inode);
    const [kept] = place < 0 ? [] : this.#idle.splice(place, 1);
    const open = kept ?? { file: openForReading(this.#driver, segment), path, inode };
    let isClosed = false;
    const close = () => {
      if (!isClosed) this.#keep(open);
      isClosed = true;
    };
    return { ...open.file, close };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { file } of this.#idle.splice(0)) file.close();
  }

  #keep(open: OpenFile): void {
    this.#idle.push(open);
    if (this.#idle.length > MOST) this.#idle.shift()!.file.close();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this[Symbol.dispose](), KEPT).unref();
  }
}

function openForReading(driver: SqliteDriver, file: SegmentFile): SqliteFile {
  let open: SqliteFile | undefined;
  try {
    open = driver.open(file.path, { readOnly: true });
    // What a file that somebody else made says is data: none of it is run.
    open.exec('PRAGMA trusted_schema = OFF');
    open.exec('PRAGMA cell_size_check = ON');
  } catch (error) {
    open?.close();
    throw isSqliteError(error, 'SQLITE_NOTADB', 'SQLITE_CORRUPT') ? damaged(file, error) : error;
  }
  return open;
}

export function damaged({ name }: SegmentFile, error: unknown): HistoryError {
  return new HistoryError('DAMAGED', `${name} is damaged: ${(error as Error).message}`, { cause: error });
}
