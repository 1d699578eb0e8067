// The API of the server: requests with the token, and the stream that says that there is news.

import type { Problem } from './shapes.js';

/** A refusal of the server. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  /** Where a filter is wrong. */
  readonly offset: number | undefined;

  constructor(status: number, { code = '', problem, message = 'the server refuses', hint, offset }: Partial<Problem>) {
    super(problem ?? message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.offset = offset;
  }
}

const STORED = 'conntrack-token';

/** Takes the token out of the address, where it stands once; nothing else of the address is lost. */
export function readToken(): void {
  const values = new URLSearchParams(location.hash.slice(1));
  const token = values.get('token');
  if (token === null) return;
  sessionStorage.setItem(STORED, token);
  values.delete('token');
  history.replaceState(null, '', `${location.pathname}${location.search}${values.size === 0 ? '' : `#${values}`}`);
}

export function setToken(token: string): void {
  sessionStorage.setItem(STORED, token);
}

function headers(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const token = sessionStorage.getItem(STORED);
  return { ...(token === null ? {} : { Authorization: `Bearer ${token}` }), ...more };
}

/** Sends a request. The address is relative, so that the page can be served below a path. @throws ApiError, TypeError if nobody answers */
async function send(path: string, options: RequestInit): Promise<Response> {
  const response = await fetch(`api/v1/${path}`, options);
  if (response.ok) return response;
  const answer = (await response.json().catch(() => ({}))) as { readonly error?: Partial<Problem> };
  throw new ApiError(response.status, answer.error ?? { message: response.statusText });
}

/** The answer to a question. @throws ApiError, TypeError */
export async function ask<T>(path: string, values: Readonly<Record<string, string>> = {}): Promise<T> {
  const query = new URLSearchParams(values);
  const response = await send(query.size === 0 ? path : `${path}?${query}`, { headers: headers() });
  return (await response.json()) as T;
}

/** The answer to an order. @throws ApiError, TypeError */
export async function order<T>(path: string, body: object): Promise<T> {
  const response = await send(path, {
    method: 'POST',
    headers: headers({ 'Content-Type': 'application/json' }),
    body: JSON.stringify(body),
  });
  return (await response.json()) as T;
}

/** All flows that match, a line each. @throws ApiError, TypeError */
export async function exported(query: string): Promise<Blob> {
  return (await send(`flows?${query}`, { headers: headers({ Accept: 'application/x-ndjson' }) })).blob();
}

/** The last event of a stream; the next stream says what has come since. */
let last: string | undefined;

/** Calls `heard` with each event until the stream breaks. @throws ApiError, TypeError, DOMException at the abort */
export async function follow(heard: (type: string, data: unknown) => void, signal: AbortSignal): Promise<void> {
  const { body } = await send('stream', { headers: headers(last === undefined ? {} : { 'Last-Event-ID': last }), signal });
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const events = (rest + next.value).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(event)?.[1];
      last = field('id') ?? last;
      const [type, data] = [field('event'), field('data')];
      if (type !== undefined && data !== undefined) heard(type, JSON.parse(data));
    }
  }
}
