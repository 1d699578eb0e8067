// Compiles field rows into the table that guides the decode pass: the kernel's nla_policy, flattened over the nests.

import { type Field, type Fields, KIND_SIZE } from './schema.js';
import { TUPLE_SIZE, tupleFields } from './tuple-fields.js';

/** Room for the attribute numbers of one nest; the highest known is 27. */
export const NEST_SIZE = 32;

/** A compiled set of rows. `action[nest + type]`: n > 0 stores slot n - 1, n < 0 enters the nest at -n, 0 skips. */
export interface Policy {
  readonly action: Int16Array;
  readonly minSize: Uint8Array;
  /** 1 where an empty attribute is padding. */
  readonly emptyIsPadding: Uint8Array;
  readonly slotCount: number;
  /** Top-level attributes that some keep apart from messages, by their numbers. */
  readonly apart: readonly number[];
}

/**
 * @param tuples top-level attribute of each tuple, in the order of their bases: the first has base 0, the next TUPLE_SIZE, …
 * @param fields the other rows; the first gets the slot after the last tuple
 * @param apart see `Policy`
 */
export function compilePolicy(tuples: readonly number[], fields: Fields, apart: readonly number[] = []): Policy {
  const rows: Field[] = [];
  for (const tuple of tuples)
    for (const row of Object.values<Field>(tupleFields)) rows.push({ ...row, path: [tuple, ...row.path] });
  rows.push(...Object.values(fields));
  const action: number[] = new Array(NEST_SIZE).fill(0);
  rows.forEach((row, slot) => {
    let nest = 0;
    row.path.forEach((type, depth) => {
      if (type >= NEST_SIZE) throw new RangeError(`attribute ${type} does not fit the policy`);
      if (depth === row.path.length - 1) action[nest + type] = slot + 1;
      else {
        if (action[nest + type]! >= 0) {
          action[nest + type] = -action.length;
          action.push(...new Array(NEST_SIZE).fill(0));
        }
        nest = -action[nest + type]!;
      }
    });
  });
  return {
    action: Int16Array.from(action),
    minSize: Uint8Array.from(rows, (row) => KIND_SIZE[row.kind]),
    emptyIsPadding: Uint8Array.from(rows, (row) => (row.emptyIsPadding ? 1 : 0)),
    slotCount: rows.length,
    apart,
  };
}

/** Slot number of each row that is not part of a tuple, given how many tuples come first. */
export function slotsOf<F extends Fields>(tuples: number, fields: F): Readonly<Record<keyof F & string, number>> {
  const names = Object.keys(fields) as (keyof F & string)[];
  return Object.fromEntries(names.map((name, i) => [name, tuples * TUPLE_SIZE + i])) as Record<keyof F & string, number>;
}
