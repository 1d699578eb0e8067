// JSON that others say, as an object: what is no object, is too long or nested too deep, is nothing.

/** Nothing of a fleet is nested deeper; what is deeper could be read, but not written again. */
const DEEPEST = 32;

/** The object; `undefined` if the bytes are none, or more than `most`. */
export function objectOf<Names extends string = string>(
  data: Uint8Array,
  most: number,
): Readonly<Partial<Record<Names, unknown>>> | undefined {
  if (data.length > most) return undefined;
  try {
    const told: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
    if (typeof told !== 'object' || told === null || Array.isArray(told) || !isShallow(told)) return undefined;
    return told as Readonly<Partial<Record<Names, unknown>>>;
  } catch {
    return undefined;
  }
}

/** Whether a value of JSON is nested at most that deep. */
export function isShallow(told: unknown, deepest = DEEPEST): boolean {
  if (typeof told !== 'object' || told === null) return true;
  if (deepest === 0) return false;
  // Most are long columns of numbers.
  for (const each of Array.isArray(told) ? told : Object.values(told))
    if (typeof each === 'object' && !isShallow(each, deepest - 1)) return false;
  return true;
}
