// WebMetrics: what `GET /metrics` answers: the metrics of the meter, of this process, and of what was asked here.

import type { FlowMeter } from '../meter/index.js';
import {
  chooseFormat,
  collectMetrics,
  type FamilyRow,
  METRICS_TYPES,
  type MetricFamily,
  ProcessMetrics,
  readFamilies,
  TopGroups,
  writeMetrics,
} from '../metrics/index.js';
import type { OpenStreams } from './open-streams.js';
import type { HandlerOptions, Role } from './web-options.js';

interface WebReading {
  readonly deleted: ReadonlyMap<Role, number>;
  /** Requests by route, method and class of the status. */
  readonly requests: ReadonlyMap<string, { readonly labels: readonly string[]; readonly count: number }>;
  readonly streams: number;
}

/** The metrics of the server, a row each. */
export const WEB_FAMILIES: readonly FamilyRow<WebReading>[] = [
  {
    name: 'conntrack_deleted',
    type: 'counter',
    help: 'Flows that were deleted through this server.',
    labels: ['role'],
    read: ({ deleted }, add) => {
      for (const [role, count] of deleted) add(count, role);
    },
  },
  {
    name: 'conntrack_http_requests',
    type: 'counter',
    help: 'Requests that were answered.',
    labels: ['route', 'method', 'class'],
    read: ({ requests }, add) => {
      for (const { labels, count } of requests.values()) add(count, ...labels);
    },
  },
  {
    name: 'conntrack_http_streams',
    type: 'gauge',
    help: 'Streams that are open.',
    labels: [],
    read: ({ streams }, add) => add(streams),
  },
];

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'DELETE']);

export class WebMetrics {
  readonly #meter: FlowMeter;
  readonly #streams: OpenStreams;
  readonly #version: string | undefined;
  readonly #top: TopGroups | undefined;
  readonly #own = new ProcessMetrics();
  readonly #deleted = new Map<Role, number>([['change', 0]]);
  readonly #requests = new Map<string, { readonly labels: readonly string[]; count: number }>();
  /** Those who ask at the same time get the same. */
  #collecting: Promise<MetricFamily[]> | undefined;

  /** @throws ValueError */
  constructor({ meter, version, metricsTop }: HandlerOptions, streams: OpenStreams) {
    this.#meter = meter;
    this.#streams = streams;
    this.#version = version;
    this.#top = metricsTop && metricsTop.length > 0 ? new TopGroups(metricsTop) : undefined;
  }

  /** A request was answered. `route`: the path of its row; `undefined` where nothing is. */
  answered(route: string | undefined, method: string, status: number): void {
    const labels = [route ?? 'other', METHODS.has(method) ? method : 'other', `${Math.floor(status / 100)}xx`];
    const key = labels.join(' ');
    const known = this.#requests.get(key);
    if (known) known.count++;
    else this.#requests.set(key, { labels, count: 1 });
  }

  deleted(role: Role | undefined, count: number): void {
    if (role) this.#deleted.set(role, (this.#deleted.get(role) ?? 0) + count);
  }

  /** The metrics in the format that is wanted. @throws ClosedError, or why the meter has ended */
  async answer(accept: string | null): Promise<Response> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined;
    });
    const format = chooseFormat(accept);
    return new Response(writeMetrics(await this.#collecting, format), { headers: { 'Content-Type': METRICS_TYPES[format] } });
  }

  close(): void {
    this.#own.close();
  }

  #collect(): Promise<MetricFamily[]> {
    const reading = { deleted: this.#deleted, requests: this.#requests, streams: this.#streams.size };
    const more = [...this.#own.read(), ...readFamilies(WEB_FAMILIES, reading)];
    return collectMetrics(this.#meter, { top: this.#top, version: this.#version, more });
  }
}
