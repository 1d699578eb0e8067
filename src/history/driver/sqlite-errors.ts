// What an error of SQLite means: every package has its number or its name somewhere else.

/** Result codes. Source: sqlite3.h */
const CODES = {
  SQLITE_BUSY: 5,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_NOTADB: 26,
} as const;
/** Result codes that somebody asks for. */
export type SqliteCode = keyof typeof CODES;

/** Whether an error is one of these, in its primary code. */
export function isSqliteError(error: unknown, ...codes: readonly SqliteCode[]): boolean {
  const { errcode, rawCode, errno, code } = error as Readonly<Record<string, unknown>>;
  const number = [errcode, rawCode, errno].find((each) => typeof each === 'number') as number | undefined;
  return codes.some(
    (name) => (number !== undefined && (number & 255) === CODES[name]) || (typeof code === 'string' && code.startsWith(name)),
  );
}
