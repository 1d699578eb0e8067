// Attention: whether somebody looks. While nobody does, lists are rare: they cost processor time, and events keep the table up to date. Whoever
// comes is answered at once, from what is known, and the next list begins.

import type { FlowMeter } from '../meter/index.js';

export interface AttentionOptions {
  /** Milliseconds between lists while nobody looks; `undefined`: as always. */
  readonly idleInterval: number | undefined;
  /** Milliseconds without a request or a stream, after which nobody looks. */
  readonly patience: number;
  /** Streams that are open. */
  readonly streams: { readonly size: number };
  readonly now?: () => number;
}

export class Attention {
  readonly #meter: Pick<FlowMeter, 'interval'>;
  readonly #options: AttentionOptions;
  readonly #now: () => number;
  /** As it was while somebody looked; `undefined`: somebody does. */
  #interval: number | undefined;
  #lookedAt: number;
  #cameAt = Number.NEGATIVE_INFINITY;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(meter: Pick<FlowMeter, 'interval'>, options: AttentionOptions) {
    this.#meter = meter;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#lookedAt = this.#now();
    if (options.idleInterval !== undefined) this.#timer = setInterval(() => this.check(), options.patience / 4).unref();
  }

  /** Somebody asks. */
  look(): void {
    this.#lookedAt = this.#now();
    if (this.#interval === undefined) return;
    this.#cameAt = this.#lookedAt;
    this.#meter.interval = this.#interval;
    this.#interval = undefined;
  }

  /** Milliseconds since somebody came after nobody had looked. */
  get watchedFor(): number {
    return this.#now() - this.#cameAt;
  }

  /** Looks whether nobody has looked for long enough. */
  check(): void {
    const { idleInterval, patience, streams } = this.#options;
    if (streams.size > 0) this.#lookedAt = this.#now();
    if (idleInterval === undefined || this.#interval !== undefined || this.#now() - this.#lookedAt < patience) return;
    if (idleInterval <= this.#meter.interval) return;
    this.#interval = this.#meter.interval;
    this.#meter.interval = idleInterval;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
