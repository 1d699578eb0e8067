// What a segment says of itself: the table `meta`.

import { ConntrackError } from '../errors.js';
import type { SqliteFile } from './driver/sqlite.js';
import { isSqliteError, NO_ROOM } from './driver/sqlite-errors.js';
import { APPLICATION_ID, SCHEMA_VERSION } from './record-schema.js';

/** Times are microseconds since the epoch. */
export interface SegmentMeta {
  /** A UUID that was made with the directory. */
  readonly recorder: string;
  readonly number: number;
  readonly host: string;
  /** Which machine that is: machine-id.ts. Absent where it has no identifier, and in segments of older versions. */
  readonly machine?: string | undefined;
  /** The running system, anew at each start of the machine. */
  readonly boot: string;
  readonly version: string;
  readonly kernel: string;
  /** Sequence number of the first record that it has or will have. */
  readonly firstSeq: number;
  readonly opened: number;
  /** Everything up to then is in the record, but for gaps. */
  readonly alive: number;
  /** Every flow that began before is in `flow` or in `open`. */
  readonly openTo?: number | undefined;
  /** Every flow in `open` that began before was alive then: a list of the table said so. */
  readonly seenTo?: number | undefined;
  /** When the first list of the recorder was complete. */
  readonly ready?: number | undefined;
  /** No more records come. */
  readonly closed?: number | undefined;
  /** Number of its last record, if some were taken out or it is closed. */
  readonly lastSeq?: number | undefined;
  /** It has its indexes. */
  readonly sealed?: number | undefined;
  /**
   * SHA-256 of the last line that the manifest had when it was sealed, so that files and manifest can only be replaced together. Absent in
   * the first, and in segments of older versions.
   */
  readonly prevHash?: string | undefined;
  /** When the first of its flows may have begun. */
  readonly minStart?: number | undefined;
  /**
   * Microseconds: no flow ended so much earlier than another with a smaller number. What ended before a time can be left out by it without a
   * look. Absent: not known.
   */
  readonly disorder?: number | undefined;
  /** Of a closed segment: records, and when the last of their flows ended. */
  readonly rows?: number | undefined;
  readonly maxEnd?: number | undefined;
  /** Of a copy (record-copy.ts): number of the last record that it has or knows to lack, and when the first flow that lived at `alive` began. */
  readonly applied?: number | undefined;
  readonly openFrom?: number | undefined;
  /** 1: its records come from elsewhere (import-flows.ts). */
  readonly imported?: number | undefined;
  readonly noDestination?: number | undefined;
  /** Records of flows that did not match were left out. */
  readonly filter?: string | undefined;
}

/** Why a record cannot be read or written. */
export type HistoryCode = 'NOT_A_HISTORY' | 'DENIED' | 'NEWER_SCHEMA' | 'DAMAGED' | 'LOCKED';

/** A record that cannot be read, or not be written. */
export class HistoryError extends ConntrackError {
  readonly code: HistoryCode;

  constructor(code: HistoryCode, message: string, options?: { readonly hint?: string; readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** @throws HistoryError if that is not a segment, or cannot be read */
export function readMeta(file: SqliteFile, name: string): SegmentMeta {
  const number = (pragma: string) => Number(Object.values(file.prepare(`PRAGMA ${file.schema}.${pragma}`).all()[0] ?? {})[0]);
  try {
    if (number('application_id') !== APPLICATION_ID)
      throw new HistoryError('NOT_A_HISTORY', `${name} is not a segment of a record`);
    if (number('user_version') > SCHEMA_VERSION)
      throw new HistoryError('NEWER_SCHEMA', `${name} was written by a newer version`, { hint: 'upgrade this program' });
    const rows = file.prepare('SELECT name, value FROM meta').all();
    return Object.fromEntries(rows.map(({ name, value }) => [name, value ?? undefined])) as unknown as SegmentMeta;
  } catch (error) {
    // A full disk has no room for the index of a log.
    if (isSqliteError(error, 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_IOERR') && !isSqliteError(error, ...NO_ROOM))
      throw new HistoryError('DAMAGED', `${name} is damaged: ${(error as Error).message}`, { cause: error });
    throw error;
  }
}

/** Keeps values of `meta`, within the caller's transaction. */
export function writeMeta(file: SqliteFile, values: Partial<SegmentMeta>): void {
  const statement = file.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)');
  for (const [name, value] of Object.entries(values)) statement.run(name, value ?? null);
}
