// Values in the query and the body of a request, checked.

import { WebError } from './web-error.js';

/** The parameters of a request, of which none may be unknown. */
export class QueryValues {
  readonly #values: URLSearchParams;

  /** @throws WebError 400 for a parameter that is not among `names`, unless any is taken, or comes twice */
  constructor(values: URLSearchParams, names: readonly string[], taken: 'known' | 'any') {
    this.#values = values;
    if (taken === 'any') return;
    const met = new Set<string>();
    for (const name of values.keys()) {
      if (!names.includes(name))
        throw new WebError(400, 'VALUE', `there is no parameter ${JSON.stringify(name.slice(0, 40))} here`, {
          hint: names.length === 0 ? 'there are none' : `known are ${names.join(', ')}`,
        });
      if (met.has(name)) throw new WebError(400, 'VALUE', `${name} is there twice`);
      met.add(name);
    }
  }

  /** `undefined` when it is absent or empty. */
  text(name: string): string | undefined {
    return this.#values.get(name) || undefined;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** @throws WebError 400 */
  number(name: string, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) throw new WebError(400, 'VALUE', `${name} must be a number from ${least} to ${most}`);
    return value;
  }

  /** @throws WebError 400 */
  whole(name: string, least: number, most: number): number | undefined {
    const value = this.number(name, least, most);
    if (value !== undefined && !Number.isInteger(value)) throw new WebError(400, 'VALUE', `${name} must be a whole number`);
    return value;
  }

  flag(name: string): boolean {
    const text = this.#values.get(name);
    if (text === null || text === '0' || text === 'false') return false;
    if (text === '1' || text === 'true' || text === '') return true;
    throw new WebError(400, 'VALUE', `${name} must be 1 or 0`);
  }
}

/** Bytes of a body: room for the keys of 1,000 flows. */
const MOST = 512 * 1024;

/** The body of a request as an object. @throws WebError 400, 413 */
export async function bodyOf(request: Request): Promise<Readonly<Record<string, unknown>>> {
  if (Number(request.headers.get('content-length') ?? 0) > MOST) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > MOST) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof WebError) throw error;
    throw new WebError(400, 'VALUE', 'the body broke off');
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new WebError(400, 'VALUE', 'the body is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WebError(400, 'VALUE', 'the body must be an object');
  return value as Readonly<Record<string, unknown>>;
}

function tooLarge(): WebError {
  return new WebError(413, 'TOO_LARGE', `the body has more than ${MOST / 1024} KiB`);
}
