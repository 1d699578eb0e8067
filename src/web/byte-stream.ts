// ByteStream: a response that goes on. It never waits for its reader: what does not fit is left out, and the caller is told.

/** Bytes that may wait for a reader. */
const MOST_WAITING = 1 << 20;

export interface ByteStreamOptions {
  /** Milliseconds after which a reader that takes nothing is given up. */
  readonly patience: number;
  /** Ends the connection of a reader that was given up; without it, the body ends with an error. */
  readonly cut?: (() => void) | undefined;
  /** Called once when it has ended, for whatever reason. */
  readonly closed: () => void;
}

export class ByteStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: ByteStreamOptions;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #stuckSince: number | undefined;
  #ended = false;
  readonly #encoder = new TextEncoder();

  constructor(options: ByteStreamOptions) {
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.#stuckSince = undefined;
        },
        cancel: () => this.#finish(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MOST_WAITING }),
    );
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Writes a text, or its bytes, if there is room. @returns whether there was */
  write(text: string | Uint8Array): boolean {
    if (this.#ended) return false;
    if ((this.#controller.desiredSize ?? 0) <= 0) {
      const now = performance.now();
      this.#stuckSince ??= now;
      if (now - this.#stuckSince > this.#options.patience) this.#giveUp();
      return false;
    }
    this.#controller.enqueue(typeof text === 'string' ? this.#encoder.encode(text) : text);
    return true;
  }

  /** Ends it; what waits is still read. */
  end(): void {
    if (this.#ended) return;
    try {
      this.#controller.close();
    } catch {
      // The reader went away at the same time.
    }
    this.#finish();
  }

  /** Drops what waits, and the connection: a reader that takes nothing would keep both for ever. */
  #giveUp(): void {
    const { cut } = this.#options;
    this.#finish();
    if (cut) cut();
    else this.#controller.error(new Error('the reader took nothing'));
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.closed();
  }
}
