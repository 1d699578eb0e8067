// Sealing: a segment that has ended gets its indexes and sums, is checked, and becomes a file that nobody changes any more. It costs as
// much as some minutes of recording, so a process of its own does it; killed at any step, it is begun anew.

import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SqliteDriver, SqliteFile } from './driver/sqlite.js';
import { isSqliteError } from './driver/sqlite-errors.js';
import { readManifest } from './manifest.js';
import { SEALING_STATEMENTS } from './record-schema.js';
import { sync } from './segment-files.js';
import { HistoryError, readMeta, writeMeta } from './segment-meta.js';

/** Of a file that is sealed. */
export interface Seal {
  readonly rows: number;
  readonly sha256: string;
}

/** What is left of it by then may be read by the group, and changed by nobody. */
const SEALED_MODE = 0o440;

/** How often, and with which pause, in milliseconds, the end of readers is awaited: for an hour, with the driver's own patience. */
const ATTEMPTS = 600;
const BETWEEN_ATTEMPTS = 1000;

/** @param directory of the record, whose manifest it will be told in @throws HistoryError, errors of the driver */
export async function sealSegment(
  driver: SqliteDriver,
  path: string,
  now: number,
  directory: string = dirname(path),
): Promise<Seal> {
  const name = basename(path);
  const file = driver.open(path);
  let rows: number;
  try {
    const meta = readMeta(file, name);
    if (meta.closed === undefined) throw new HistoryError('LOCKED', `${name} is in use`);
    rows = meta.rows ?? 0;
    if (meta.sealed === undefined) {
      const [check] = file.prepare('PRAGMA quick_check(1)').all();
      const found = Object.values(check ?? {})[0];
      if (found !== 'ok') throw new HistoryError('DAMAGED', `${name} is damaged: ${String(found)}`);
      file.exec('BEGIN IMMEDIATE');
      for (const statement of SEALING_STATEMENTS) file.exec(statement);
      writeMeta(file, { sealed: now, prevHash: readManifest(directory).hashes.at(-1) });
      file.exec('COMMIT');
    }
    await leaveLog(file);
  } finally {
    file.close();
  }
  chmodSync(path, SEALED_MODE);
  sync(path);
  return { rows, sha256: await hashOf(path) };
}

/**
 * Sealing that was interrupted leaves a journal beside its segment, and who only reads cannot undo what had been done.
 * @throws errors of the driver
 */
export function undoSealing(driver: SqliteDriver, path: string): void {
  if (!existsSync(`${path}-journal`)) return;
  const file = driver.open(path);
  try {
    file.prepare('SELECT count(*) FROM sqlite_master').all();
  } catch (error) {
    if (!isSqliteError(error, 'SQLITE_CORRUPT', 'SQLITE_NOTADB')) throw error; // told where it is read
  } finally {
    file.close();
  }
}

/** Readers that are there keep the write-ahead log; they are waited for. */
async function leaveLog(file: SqliteFile): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      file.exec('PRAGMA journal_mode = DELETE');
      return;
    } catch (error) {
      if (!isSqliteError(error, 'SQLITE_BUSY') || attempt === ATTEMPTS) throw error;
      await sleep(BETWEEN_ATTEMPTS);
    }
}

/** SHA-256 of a file, in hexadecimal digits. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
