// Rows as bodies that servers take.

import { MAX_ZIPPED, type PackedBody, packBody } from './bodies.js';
import type { Nl1Writer } from './nl1.js';
import type { Piece } from './running-query.js';

/** Bodies that are small enough, of the rows from `from` to before `to`: nearly always one. A row alone is as large as it is. */
export function piecesOf(bodyOf: (from: number, to: number) => PackedBody, from: number, to: number): Piece[] {
  const body = bodyOf(from, to);
  if (body.data.length <= MAX_ZIPPED || to - from <= 1) return [{ body, rows: to - from }];
  const middle = (from + to) >> 1;
  return [...piecesOf(bodyOf, from, middle), ...piecesOf(bodyOf, middle, to)];
}

/** Flows or events. `columns`: the reader knows COLUMNS of nl1. */
export function flowPieces(writer: Nl1Writer, columns: boolean): Piece[] {
  return piecesOf((from, to) => packBody('nl1', writer.body({ from, to, columns })), 0, writer.rows);
}
