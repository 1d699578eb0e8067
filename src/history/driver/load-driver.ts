// Finds a package with SQLite: that of Node.js, that of Bun, or one that was installed beside this.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { PlatformError } from '../../errors.js';
import type { SqliteDriver, SqliteFile, SqliteRow, SqliteStatement, SqliteValue } from './sqlite.js';

/** A class of the kind that better-sqlite3 made common. */
type DatabaseClass = new (path: string, options?: Readonly<Record<string, unknown>>) => Database;

interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): void;
  /** Of those that close late. */
  readonly inTransaction?: boolean;
}

interface Statement {
  /** Of those that take values as an array. */
  runMany?(values: readonly SqliteValue[]): void;
  run(...values: readonly SqliteValue[]): unknown;
  all(...values: readonly SqliteValue[]): readonly SqliteRow[];
  iterate(...values: readonly SqliteValue[]): Iterable<SqliteRow>;
  /** Of node:sqlite; the others have `safeIntegers`, and `raw` or `values`. */
  setReadBigInts?(wide: boolean): void;
  setReturnArrays?(arrays: boolean): void;
  raw?(arrays: boolean): unknown;
  columns?(): readonly { readonly name: string }[];
  values?(...values: readonly SqliteValue[]): readonly SqliteValue[][];
  safeIntegers?(wide: boolean): unknown;
}

/** What differs between the packages. */
interface Flavour {
  readonly name: string;
  readonly load: () => DatabaseClass;
  readonly readOnly: Readonly<Record<string, unknown>>;
  /** Integers are asked for when the file is opened. */
  readonly wideByFile?: true;
  /** Blobs come as an ArrayBuffer, and values go as an array: a blob alone would be taken for named values, and end the process. */
  readonly buffers?: true;
  /** Closing waits for the garbage collector: so a file that is read is attached to an empty database, which can let go of it at once. */
  readonly closesLate?: true;
}

const FLAVOURS: readonly Flavour[] = [
  { name: 'node:sqlite', load: loadNodeSqlite, readOnly: { readOnly: true } },
  { name: 'bun:sqlite', load: () => load<BunSqlite>('bun:sqlite').Database, readOnly: { readonly: true }, wideByFile: true },
  { name: 'better-sqlite3', load: () => load('better-sqlite3'), readOnly: { readonly: true } },
  { name: 'libsql', load: () => load('libsql'), readOnly: { readonly: true }, buffers: true, closesLate: true },
];

interface BunSqlite {
  readonly Database: DatabaseClass;
}
interface NodeSqlite {
  readonly DatabaseSync: DatabaseClass;
}

/** Milliseconds to wait for another process's lock. */
const BUSY_TIMEOUT = 5000;

let found: SqliteDriver | undefined;

/** The first package that is there. @throws PlatformError when none is */
export function loadDriver(): SqliteDriver {
  found ??= loadDrivers(1)[0];
  if (found) return found;
  throw new PlatformError('this Node.js has no SQLite, which records are kept in', {
    hint: 'use Node.js 22.13 or later, or npm install libsql',
  });
}

/** The packages that are there, at most so many. */
export function loadDrivers(most = FLAVOURS.length): SqliteDriver[] {
  const drivers: SqliteDriver[] = [];
  for (const flavour of FLAVOURS) {
    if (drivers.length === most) break;
    try {
      drivers.push(toDriver(flavour, flavour.load()));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return drivers;
}

function isMissing(error: unknown): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return (
    ['MODULE_NOT_FOUND', 'ERR_UNKNOWN_BUILTIN_MODULE'].includes(String(code)) ||
    /cannot find (module|package)/i.test(String(message))
  );
}

function toDriver(flavour: Flavour, Database: DatabaseClass): SqliteDriver {
  const { name, readOnly: readOnlyOptions, wideByFile, closesLate } = flavour;
  const idle: Base[] = [];
  return {
    name,
    open: (path, { readOnly = false } = {}) => {
      const wide = wideByFile ? { safeIntegers: true } : {};
      if (readOnly && closesLate) return attached(idle.pop() ?? emptyDatabase(Database), path, flavour, idle);
      const file = new Database(path, { ...(readOnly ? readOnlyOptions : {}), ...wide });
      file.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
      // Not every package keeps what its option promises.
      if (readOnly) file.exec('PRAGMA query_only = ON');
      return toFile(file, flavour, 'main', () => file.close());
    },
  };
}

/** An empty database that one file after the other is attached to: making one takes longer than attaching a file. */
interface Base {
  readonly file: Database;
  /** Files that it has had. */
  uses: number;
}

/** Statements are given back only when garbage is collected, and each file takes longer to detach for each of them. */
const MOST_USES = 16;
/** A question may have many files open, but most parts of a program have one at a time. */
const MOST_IDLE = 4;

function emptyDatabase(Database: DatabaseClass): Base {
  const file = new Database(':memory:');
  file.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
  file.exec('PRAGMA query_only = ON');
  return { file, uses: 0 };
}

/** A file that is let go of when it is closed; what it was attached to then waits among the `idle` ones. */
function attached(base: Base, path: string, flavour: Flavour, idle: Base[]): SqliteFile {
  const { file } = base;
  const { pathname } = pathToFileURL(path);
  file.exec(`ATTACH 'file:${pathname.replaceAll("'", "''")}?mode=ro' AS ${ATTACHED}`);
  let open = true;
  return toFile(file, flavour, ATTACHED, () => {
    if (!open) return;
    open = false;
    // Trying to, where there is none, takes longer than closing.
    if (file.inTransaction) file.exec('ROLLBACK');
    file.exec(`DETACH ${ATTACHED}`);
    if (++base.uses < MOST_USES && idle.length < MOST_IDLE) idle.push(base);
    else file.close();
  });
}

const ATTACHED = 'segment';

function toFile(file: Database, { wideByFile, buffers }: Flavour, schema: string, close: () => void): SqliteFile {
  const narrow = wideByFile === true;
  return {
    schema,
    exec: (sql) => void file.exec(sql),
    close,
    prepare: (sql, { wide = false } = {}) => {
      const statement = file.prepare(sql);
      if (wide) (statement.setReadBigInts ?? statement.safeIntegers)?.call(statement, true);
      if (buffers) return toStatement(takingArrays(statement), { narrow: false, rows: false });
      return toStatement(statement, narrow && !wide ? { narrow, rows: true } : undefined);
    },
  };
}

function takingArrays(statement: Statement): Statement {
  const { run, all, iterate } = statement as unknown as Readonly<
    Record<'run' | 'all' | 'iterate', (values: readonly SqliteValue[]) => never>
  >;
  // Rows come as arrays: made by the package, an object costs twice as much.
  let names: readonly string[] | undefined;
  /** Somebody wants arrays. */
  let asked = false;
  const asArrays = () => {
    if (!names) statement.raw!(true);
    names ??= statement.columns!().map(({ name }) => name);
    return names;
  };
  return {
    run: (...values) => run.call(statement, values),
    runMany: (values) => run.call(statement, values),
    all(...values) {
      const own = asArrays();
      const rows = all.call(statement, values) as readonly (readonly unknown[])[];
      return asked ? (rows as never) : rows.map((row) => toRow(own, row));
    },
    raw: (arrays) => {
      asked = arrays;
    },
    *iterate(...values) {
      const own = asArrays();
      for (const row of iterate.call(statement, values) as Iterable<readonly unknown[]>) yield toRow(own, row);
    },
  };
}

function toRow(names: readonly string[], values: readonly unknown[]): SqliteRow {
  const row: Record<string, SqliteValue> = {};
  for (let n = 0; n < names.length; n++) row[names[n]!] = plainValue(values[n] as SqliteValue | ArrayBuffer, false);
  return row;
}

/** What is done to values: `narrow`: bigints become numbers; `rows`: also in rows with names, which else have it behind them. */
interface Conversion {
  readonly narrow: boolean;
  readonly rows: boolean;
}

function toStatement(statement: Statement, conversion: Conversion | undefined): SqliteStatement {
  const convert = conversion?.rows && ((row: SqliteRow) => converted(row, conversion.narrow));
  return {
    run: (...values) => void statement.run(...values),
    runMany: statement.runMany ? (values) => statement.runMany!(values) : (values) => void statement.run(...values),
    all: (...values) => (convert ? statement.all(...values).map(convert) : statement.all(...values)),
    arrays: (...values) => {
      const rows = arraysOf(statement, values);
      if (conversion)
        for (const row of rows) for (let n = 0; n < row.length; n++) row[n] = plainValue(row[n]!, conversion.narrow);
      return rows;
    },
    iterate: (...values) => (convert ? convertEach(statement.iterate(...values), convert) : statement.iterate(...values)),
  };
}

function arraysOf(statement: Statement, values: readonly SqliteValue[]): readonly SqliteValue[][] {
  if (statement.values) return statement.values(...values);
  const setting = statement.setReturnArrays ?? statement.raw;
  // Node.js before 22.16 has objects only.
  if (!setting) return statement.all(...values).map((row) => Object.values(row));
  setting.call(statement, true);
  try {
    return statement.all(...values) as unknown as readonly SqliteValue[][];
  } finally {
    setting.call(statement, false);
  }
}

function* convertEach(rows: Iterable<SqliteRow>, convert: (row: SqliteRow) => SqliteRow): Generator<SqliteRow> {
  for (const row of rows) yield convert(row);
}

/** In place: a row is nobody else's. */
function converted(row: SqliteRow, narrow: boolean): SqliteRow {
  const values = row as Record<string, SqliteValue>;
  for (const name in values) {
    const value = values[name]!;
    const plain = plainValue(value, narrow);
    if (plain !== value) values[name] = plain;
  }
  return row;
}

function plainValue(value: SqliteValue | ArrayBuffer, narrow: boolean): SqliteValue {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return narrow && typeof value === 'bigint' ? Number(value) : value;
}

/** Node.js warns that its SQLite is young. What is used of it here has not changed since; users can do nothing about it. */
function loadNodeSqlite(): DatabaseClass {
  const { emitWarning } = process;
  process.emitWarning = (warning, ...more) => {
    if (!String(warning).includes('SQLite')) (emitWarning as (...all: unknown[]) => void).call(process, warning, ...more);
  };
  try {
    return load<NodeSqlite>('node:sqlite').DatabaseSync;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** In a bundle `node:module` is a substitute, which returns the `require` there. */
function load<T = DatabaseClass>(name: string): T {
  return createRequire(import.meta.url)(name) as T;
}
