// Owned objects without their absent members: for JSON and for printing.

/**
 * Converts a value for JSON: a `bigint` becomes a number up to 2^53 - 1, and above that a string of its digits; absent members are left
 * out.
 */
export type Json<T> = T extends bigint
  ? number | string
  : T extends readonly (infer E)[]
    ? readonly Json<E>[]
    : T extends (...args: never) => unknown
      ? never
      : T extends object
        ? { readonly [K in keyof T as K extends 'toJSON' ? never : K]: Json<T[K]> }
        : T;

/** The method that Node.js calls to print an object. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * A flow, expectation or event in the form of JSON: what their `toJSON()` gives, and what `-o json` of the command prints. Copies made by
 * spreading, `structuredClone()` or `postMessage()` have lost that method, and `JSON.stringify` refuses their `bigint` members; use
 * `JSON.stringify(toJson(copy))`. It also takes lists.
 */
export function toJson<T extends object>(value: T): Json<T> {
  return copy(value, jsonNumber) as Json<T>;
}

/** The object with every number as it is. */
export function toPlain(value: object): object {
  return copy(value, (number) => number) as object;
}

function jsonNumber(value: bigint): number | string {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : `${value}`;
}

function copy(value: unknown, number: (value: bigint) => unknown): unknown {
  if (typeof value === 'bigint') return number(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copy(item, number));
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) if (item !== undefined) result[key] = copy(item, number);
  return result;
}
