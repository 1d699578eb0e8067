// What agents and collectors answer at --listen: whether they live, whether they are ready, and their metrics. Nothing of a flow is in it.

import { chooseFormat, type FamilyRow, METRICS_TYPES, ProcessMetrics, readFamilies, writeMetrics } from '../metrics/index.js';

/** Who is asked, and what for. */
export interface StatusSource<Reading> {
  readonly read: () => Reading;
  readonly families: readonly FamilyRow<Reading>[];
  /** Why it is not ready; `undefined`: it is. */
  readonly notReady: (reading: Reading) => string | undefined;
}

/** Answers requests: `/healthz`, `/readyz`, `/metrics`. */
export class StatusPages<Reading> {
  readonly #source: StatusSource<Reading>;
  readonly #own = new ProcessMetrics();

  constructor(source: StatusSource<Reading>) {
    this.#source = source;
  }

  readonly handle = async (request: Request): Promise<Response> => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return text('only GET is answered\n', 405, { allow: 'GET, HEAD' });
    const { read, families, notReady } = this.#source;
    switch (new URL(request.url).pathname) {
      case '/healthz':
        return text('ok\n', 200);
      case '/readyz': {
        const why = notReady(read());
        return why === undefined ? text('ok\n', 200) : text(`not ready: ${why}\n`, 503);
      }
      case '/metrics': {
        const format = chooseFormat(request.headers.get('accept'));
        const all = [...readFamilies(families, read()), ...this.#own.read()];
        return text(writeMetrics(all, format), 200, { 'content-type': METRICS_TYPES[format] });
      }
      default:
        return text('there are /healthz, /readyz and /metrics\n', 404);
    }
  };

  close(): void {
    this.#own.close();
  }
}

function text(body: string, status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, {
    status,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
  });
}
