// The files of a record: which segments a directory has, and in which order they were written.

import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { HistoryError } from './segment-meta.js';

const MAKE_ONE = 'conntrack record writes one; --dir DIR says where it is';

/** A segment. */
export interface SegmentFile {
  /** Of its file, without the directory. */
  readonly name: string;
  readonly path: string;
  /** Segments are numbered from 1; the clock may have been set back between two of them. */
  readonly number: number;
}

const NAME = /^\d{8}T\d{6}Z-(\d{6,9})\.db$/;

/** Name of the segment that begins at a time, in microseconds since the epoch. */
export function segmentName(at: number, number: number): string {
  const time = new Date(Math.floor(at / 1000)).toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${String(number).padStart(6, '0')}.db`;
}

/** `undefined` if it is no name of a segment. */
export function numberOfSegment(name: string): number | undefined {
  const number = NAME.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** The segments of a directory by number: what they hold follows each other. @throws the system's error when it cannot be read */
export function segmentFiles(directory: string): SegmentFile[] {
  const found: SegmentFile[] = [];
  for (const name of readdirSync(directory)) {
    const number = numberOfSegment(name);
    if (number !== undefined) found.push({ name, path: `${directory}/${name}`, number });
  }
  return found.sort((a, b) => a.number - b.number);
}

/** The segments of a directory, of which there is one at least. @throws HistoryError */
export function segmentsIn(directory: string): SegmentFile[] {
  try {
    const files = segmentFiles(directory);
    if (files.length > 0) return files;
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOENT':
        throw new HistoryError('NOT_A_HISTORY', `${directory}: there is no such directory`, { hint: MAKE_ONE });
      case 'ENOTDIR':
        throw new HistoryError('NOT_A_HISTORY', `${directory} is not a directory`, { hint: MAKE_ONE });
      case 'EACCES':
        throw new HistoryError('DENIED', `${directory}: permission denied`, {
          hint: `its owner and its group may read it: ls -ld ${directory} says which, and id whether you are in it`,
        });
      default:
        throw error;
    }
  }
  throw new HistoryError('NOT_A_HISTORY', `${directory}: no record is in it`, { hint: MAKE_ONE });
}

/** Makes the directory of a record. @throws HistoryError when something else has that name; the system's error */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw new HistoryError('NOT_A_HISTORY', `${path} is not a directory`, {
      hint: '--dir DIR says where the record is',
      cause: error,
    });
  }
}

/** When a segment began, by its name: microseconds since the epoch. */
export function beginningOf({ name }: SegmentFile): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(name)!;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) * 1000;
}

/** Waits until the disk has a file, or the names in a directory. */
export function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
