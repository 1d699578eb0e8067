// What an error of SQLite means: every package has its number or its name somewhere else.

/** Result codes. Source: sqlite3.h */
const CODES = {
  SQLITE_BUSY: 5,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_NOTADB: 26,
  SQLITE_IOERR_WRITE: 778,
  SQLITE_IOERR_TRUNCATE: 1546,
  SQLITE_IOERR_SHMSIZE: 4874,
} as const;
/** Result codes that somebody asks for. */
export type SqliteCode = keyof typeof CODES;

/** There is no room to write to: on the disk, or because of a quota, which SQLite tells as a failure to write. */
export const NO_ROOM = ['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_TRUNCATE', 'SQLITE_IOERR_SHMSIZE'] as const;

/** Whether an error is one of these: a primary code stands for all codes that extend it. */
export function isSqliteError(error: unknown, ...codes: readonly SqliteCode[]): boolean {
  const { errcode, rawCode, errno, code } = error as Readonly<Record<string, unknown>>;
  const number = [errcode, rawCode, errno].find((each) => typeof each === 'number') as number | undefined;
  return codes.some(
    (name) =>
      (number !== undefined && (CODES[name] > 255 ? number : number & 255) === CODES[name]) ||
      (typeof code === 'string' && code.startsWith(name)),
  );
}
