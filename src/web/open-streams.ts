// OpenStreams: all streams of a handler, of whatever kind: how many there may be, the comments that keep them alive, and their end.

import { ByteStream } from './byte-stream.js';
import { eventText, PING } from './event-text.js';
import { WebError } from './web-error.js';
import type { Peer } from './web-options.js';
import type { WebTimes } from './web-times.js';

export class OpenStreams {
  /** How many may be open. */
  readonly most: number;
  readonly #times: WebTimes;
  readonly #open = new Set<ByteStream>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(most: number, times: WebTimes) {
    this.most = most;
    this.#times = times;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Opens a stream. `closed`: it has ended. @throws WebError 503 */
  open(peer: Peer | undefined, closed: () => void): ByteStream {
    if (this.#closed) throw new WebError(503, 'ENDED', 'the server has ended');
    if (this.#open.size >= this.most)
      throw new WebError(503, 'TOO_MANY_STREAMS', `${this.most} streams are open`, { retryAfter: 5 });
    const stream: ByteStream = new ByteStream({
      patience: this.#times.patience,
      cut: peer?.cut,
      closed: () => {
        this.#open.delete(stream);
        if (this.#open.size === 0) clearInterval(this.#timer);
        closed();
      },
    });
    if (this.#open.size === 0) this.#timer = setInterval(() => this.#ping(), this.#times.ping).unref();
    this.#open.add(stream);
    return stream;
  }

  /** Says goodbye, and ends all streams; further ones are refused. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#open) {
      stream.write(eventText('bye', {}));
      stream.end();
    }
  }

  #ping(): void {
    for (const stream of this.#open) stream.write(PING);
  }
}
