// Flows as bodies that servers take.

import { MAX_ZIPPED, packBody } from './bodies.js';
import type { Nl1Writer } from './nl1.js';
import type { Piece } from './running-query.js';

/** Rows as bodies that are small enough: nearly always one. */
export function piecesOf(writer: Nl1Writer, from = 0, to = writer.rows): Piece[] {
  const body = packBody('nl1', writer.body(from, to));
  if (body.data.length <= MAX_ZIPPED || to - from <= 1) return [{ body, rows: to - from }];
  const middle = (from + to) >> 1;
  return [...piecesOf(writer, from, middle), ...piecesOf(writer, middle, to)];
}
