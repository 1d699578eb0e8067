// News: the stream that tells pages what has changed: that there is a new sample, how many flows come and go, what was deleted. Rows are
// asked for by those who show them, so a viewer costs next to nothing, and a slow one is merely late.

import type { FlowMeter, MeterSample } from '../meter/index.js';
import { ByteStream } from './byte-stream.js';
import { eventText, PING, RETRY } from './event-text.js';
import { WebError } from './web-error.js';

/** Milliseconds between comments on a quiet stream, and between counts. */
const PING_EVERY = 15_000;
const COUNT_EVERY = 1000;
/** Seconds of samples that a reader who comes back gets at once. */
const MOST_MISSED = 600;

export class News {
  readonly #meter: FlowMeter;
  /** Of this start of the server: samples of another are others. */
  readonly #epoch: string;
  readonly #most: number;
  readonly #streams = new Set<ByteStream>();
  /** Streams that could not take the last sample: they get the newest. */
  readonly #late = new Set<ByteStream>();
  #timers: NodeJS.Timeout[] = [];
  #notices = '';
  #begun = 0;
  #ended = 0;

  constructor(meter: FlowMeter, epoch: string, most: number) {
    this.#meter = meter;
    this.#epoch = epoch;
    this.#most = most;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Opens a stream; `last` is the id of the last event that its reader has seen. @throws WebError 503 */
  open(last: string | null): ReadableStream<Uint8Array> {
    if (this.#streams.size >= this.#most)
      throw new WebError(503, 'TOO_MANY_STREAMS', `${this.#most} streams are open`, { retryAfter: 5 });
    const stream = new ByteStream(() => {
      this.#streams.delete(stream);
      this.#late.delete(stream);
      if (this.#streams.size === 0) this.#stop();
    });
    stream.write(RETRY);
    this.#resume(stream, last);
    stream.write(this.#sampleText(this.#meter.sample));
    if (this.#streams.size === 0) this.#start();
    this.#streams.add(stream);
    return stream.body;
  }

  /** A sample was taken. */
  sample(sample: MeterSample): void {
    const text = this.#sampleText(sample);
    for (const stream of this.#streams) {
      if (stream.write(text)) this.#late.delete(stream);
      else this.#late.add(stream);
    }
    const notices = JSON.stringify(this.#meter.status.notices);
    if (notices !== this.#notices) {
      this.#notices = notices;
      this.tell('status', this.#meter.status);
    }
  }

  /** Something else happened. */
  tell(type: string, data: unknown): void {
    const text = eventText(type, data);
    for (const stream of this.#streams) stream.write(text);
  }

  /** Says goodbye, and ends all streams. */
  close(): void {
    this.tell('bye', {});
    for (const stream of this.#streams) stream.end();
    this.#stop();
  }

  /** What a reader who comes back has missed. */
  #resume(stream: ByteStream, last: string | null): void {
    if (last === null) return;
    const [epoch, number] = last.split('-');
    const missed = this.#meter.sample.number - Number(number);
    if (epoch !== this.#epoch || !(missed >= 0)) {
      stream.write(eventText('reset', {}));
      return;
    }
    if (missed > 0) stream.write(eventText('series', seriesJson(this.#meter, MOST_MISSED)));
  }

  #start(): void {
    const { begun, ended } = this.#meter.counts;
    [this.#begun, this.#ended] = [begun, ended];
    this.#timers = [setInterval(() => this.#count(), COUNT_EVERY), setInterval(() => this.#ping(), PING_EVERY)];
    for (const timer of this.#timers) timer.unref();
  }

  #stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #count(): void {
    const { flows, begun, ended } = this.#meter.counts;
    this.tell('counts', { flows, begun: begun - this.#begun, ended: ended - this.#ended });
    [this.#begun, this.#ended] = [begun, ended];
    for (const stream of this.#late) if (stream.write(this.#sampleText(this.#meter.sample))) this.#late.delete(stream);
  }

  #ping(): void {
    for (const stream of this.#streams) stream.write(PING);
  }

  #sampleText(sample: MeterSample): string {
    return eventText('sample', sample, `${this.#epoch}-${sample.number}`);
  }
}

/** The samples of the last so many seconds, as JSON: what is not known is null. */
export function seriesJson(meter: FlowMeter, seconds: number): object {
  const series = meter.series({ seconds });
  return Object.fromEntries(
    Object.entries(series).map(([name, value]) => [
      name,
      typeof value === 'number'
        ? value
        : Array.from(value as Float64Array, (one) => (Number.isNaN(one) ? null : Math.round(one * 10) / 10)),
    ]),
  );
}
