// Flows of a record as a file of Parquet, for programs that read columns: DuckDB, ClickHouse, Spark, pandas. The columns are those of CSV.
// The build puts the package that writes Parquet into this module's file.

import * as zlib from 'node:zlib';
import { ByteWriter as Bytes, type ColumnSource, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { PAST_COLUMNS, type PastCell, type PastCellKind } from './past-columns.js';

/** Rows of a group, which are encoded at once: a tenth of a second. */
const GROUP = 16_384;

const TYPES: Readonly<Record<PastCellKind, Omit<SchemaElement, 'name'>>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  moment: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
  integer: { type: 'INT32' },
  wide: { type: 'INT64' },
};

const SCHEMA: SchemaElement[] = [
  { name: 'flows', num_children: PAST_COLUMNS.length },
  ...PAST_COLUMNS.map(({ name, kind }): SchemaElement => ({ ...TYPES[kind], name, repetition_type: 'OPTIONAL' })),
];

/** Node.js has zstd from 22.15 on. */
const { zstdCompressSync } = zlib as { readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array };

/**
 * The bytes of a file, in parts, each with a group of rows.
 * @param rows cells in the order of `PAST_COLUMNS`
 * @param about what the file says of itself, under the name `conntrack`
 */
export async function* parquetFile(
  rows: AsyncIterable<readonly { readonly cells: readonly PastCell[] }[]>,
  about: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = new PartWriter();
  const writer = new ParquetWriter({
    writer: bytes,
    schema: SCHEMA,
    codec: zstdCompressSync ? 'ZSTD' : 'GZIP',
    compressors: { GZIP: (input) => zlib.gzipSync(input, { level: 1 }), ...(zstdCompressSync ? { ZSTD: zstdCompressSync } : {}) },
    kvMetadata: [{ key: 'conntrack', value: about }],
    createdBy: 'conntrack',
  });
  let columns = PAST_COLUMNS.map(() => [] as unknown[]);
  const group = () => {
    const columnData = PAST_COLUMNS.map(({ name, kind }, n): ColumnSource => {
      const delta = kind === 'moment' || name === 'seq';
      return { name, data: columns[n]!, ...(delta ? { encoding: 'DELTA_BINARY_PACKED' } : {}) };
    });
    writer.write({ columnData, rowGroupSize: GROUP });
    columns = PAST_COLUMNS.map(() => []);
    return bytes.take();
  };
  for await (const some of rows)
    for (const { cells } of some) {
      for (let n = 0; n < PAST_COLUMNS.length; n++) columns[n]!.push(CONVERT[PAST_COLUMNS[n]!.kind](cells[n]));
      if (columns[0]!.length === GROUP) yield group();
    }
  if (columns[0]!.length > 0) yield group();
  writer.finish();
  yield bytes.take();
}

const wide = (cell: PastCell) => {
  if (cell === undefined) return undefined;
  return typeof cell === 'number' ? BigInt(cell) : BigInt.asIntN(64, BigInt(cell));
};
const CONVERT: Readonly<Record<PastCellKind, (cell: PastCell) => unknown>> = {
  text: (cell) => cell,
  moment: wide,
  integer: (cell) => cell,
  wide,
};

/** Bytes that are handed on in parts. */
class PartWriter extends Bytes {
  declare index: number;

  /** What was written since the last part. */
  take(): Uint8Array {
    const part = new Uint8Array(this.buffer.slice(0, this.index));
    this.index = 0;
    return part;
  }
}
