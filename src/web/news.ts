// News: the stream that tells pages what has changed: that there is a new sample, how many flows come and go, what was deleted. Rows are
// asked for by those who show them, so a viewer costs next to nothing, and a slow one is merely late.

import type { FlowMeter, MeterSample } from '../meter/index.js';
import type { ByteStream } from './byte-stream.js';
import { eventText, RETRY } from './event-text.js';
import type { OpenStreams } from './open-streams.js';
import type { Peer } from './web-options.js';
import type { WebTimes } from './web-times.js';

/** Seconds of samples that a reader who comes back gets at once. */
const MOST_MISSED = 600;

export class News {
  readonly #meter: FlowMeter;
  /** Of this start of the server: samples of another are others. */
  readonly #epoch: string;
  readonly #all: OpenStreams;
  readonly #times: WebTimes;
  readonly #streams = new Set<ByteStream>();
  /** Streams that could not take the last sample: they get the newest. */
  readonly #late = new Set<ByteStream>();
  readonly #encoder = new TextEncoder();
  #timer: NodeJS.Timeout | undefined;
  #notices = '';
  #begun = 0;
  #ended = 0;

  constructor(meter: FlowMeter, epoch: string, all: OpenStreams, times: WebTimes) {
    this.#meter = meter;
    this.#epoch = epoch;
    this.#all = all;
    this.#times = times;
    this.#notices = JSON.stringify(meter.status.notices);
  }

  /** Opens a stream; `last` is the id of the last event that its reader has seen. @throws WebError 503 */
  open(last: string | null, peer: Peer | undefined): ReadableStream<Uint8Array> {
    const stream = this.#all.open(peer, () => {
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
    const bytes = this.#encoder.encode(this.#sampleText(sample));
    for (const stream of this.#streams) {
      if (stream.write(bytes)) this.#late.delete(stream);
      else this.#late.add(stream);
    }
    // Whoever asks after a sample need not ask again at once.
    this.#timer?.refresh();
    const notices = JSON.stringify(this.#meter.status.notices);
    if (notices !== this.#notices) {
      this.#notices = notices;
      this.tell('status', this.#meter.status);
    }
  }

  /** Something else happened. */
  tell(type: string, data: unknown): void {
    const bytes = this.#encoder.encode(eventText(type, data));
    for (const stream of this.#streams) stream.write(bytes);
  }

  /** What a reader who comes back has missed. */
  #resume(stream: ByteStream, last: string | null): void {
    if (last === null) return;
    const [, epoch, number] = /^([0-9a-f]+)-(\d{1,15})$/.exec(last) ?? [];
    const missed = this.#meter.sample.number - Number(number);
    if (epoch !== this.#epoch || !(missed >= 0)) stream.write(eventText('reset', {}));
    else if (missed > 0) stream.write(eventText('series', seriesJson(this.#meter, MOST_MISSED)));
  }

  #start(): void {
    const { begun, ended } = this.#meter.counts;
    [this.#begun, this.#ended] = [begun, ended];
    this.#timer = setInterval(() => this.#count(), this.#times.count).unref();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #count(): void {
    const { flows, begun, ended } = this.#meter.counts;
    this.tell('counts', { flows, begun: begun - this.#begun, ended: ended - this.#ended });
    [this.#begun, this.#ended] = [begun, ended];
    for (const stream of this.#late) if (stream.write(this.#sampleText(this.#meter.sample))) this.#late.delete(stream);
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
