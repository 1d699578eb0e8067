// The API of the server: requests with the token, and the stream that says that there is news.

/** A refusal of the server. */
export class ApiError extends Error {
  readonly status: number;
  readonly hint: string | undefined;

  constructor(status: number, message: string, hint?: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

const STORED = 'conntrack-token';

/** Takes the token out of the address, where it stands once. */
export function readToken(): void {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  sessionStorage.setItem(STORED, token);
  history.replaceState(null, '', location.pathname + location.search);
}

export function setToken(token: string): void {
  sessionStorage.setItem(STORED, token);
}

function headers(): Record<string, string> {
  const token = sessionStorage.getItem(STORED);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/** The answer to a request. @throws ApiError */
export async function ask<T>(path: string, body?: object): Promise<T> {
  const response = await fetch(`api/v1/${path}`, {
    headers: { ...headers(), ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
  });
  const answer = (await response.json()) as T & { readonly error?: { readonly message: string; readonly hint?: string } };
  if (!response.ok) throw new ApiError(response.status, answer.error?.message ?? response.statusText, answer.error?.hint);
  return answer;
}

/** Calls `heard` with each event until the stream breaks. @throws ApiError, TypeError */
export async function follow(heard: (type: string, data: unknown) => void, signal: AbortSignal): Promise<void> {
  const response = await fetch('api/v1/stream', { headers: headers(), signal });
  if (!response.ok || !response.body) throw new ApiError(response.status, response.statusText);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const events = (rest + next.value).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const type = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (type !== undefined && data !== undefined) heard(type, JSON.parse(data));
    }
  }
}
