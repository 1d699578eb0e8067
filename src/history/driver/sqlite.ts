// The part of SQLite that records need, whichever of its packages is there.

/** A value of a column. Integers are numbers where they are safe, and bigints in rows that were asked for so. */
export type SqliteValue = number | bigint | string | Uint8Array | null;
/** A row, by column. */
export type SqliteRow = Readonly<Record<string, SqliteValue>>;

/** A statement. */
export interface SqliteStatement {
  run(...values: readonly SqliteValue[]): void;
  /** As `run`, for many values: they are not kept. */
  runMany(values: readonly SqliteValue[]): void;
  all(...values: readonly SqliteValue[]): readonly SqliteRow[];
  /** As `all`, but each row is an array in the order of its columns: an object for each costs more than reading it. */
  arrays(...values: readonly SqliteValue[]): readonly (readonly SqliteValue[])[];
  iterate(...values: readonly SqliteValue[]): Iterable<SqliteRow>;
}

/** An open file. */
export interface SqliteFile {
  /** The name of the file in statements that are about files: `PRAGMA main.user_version`. */
  readonly schema: string;
  /** Statements without values. */
  exec(sql: string): void;
  /** `wide`: integers of its rows are bigints, for columns that may exceed 2^53. */
  prepare(sql: string, options?: { readonly wide?: boolean }): SqliteStatement;
  /** Nothing of the file is held afterwards, if it was opened for reading. */
  close(): void;
}

/** One of the packages. */
export interface SqliteDriver {
  readonly name: string;
  /** `readOnly`: the file must be there, and no statement changes it. */
  open(path: string, options?: { readonly readOnly?: boolean }): SqliteFile;
}
