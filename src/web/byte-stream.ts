// ByteStream: a response that goes on. It never waits for its reader: what does not fit is left out, and the caller is told.

/** Bytes that may wait for a reader. */
const MOST_WAITING = 1 << 20;
/** Milliseconds after which a reader that takes nothing is given up. */
const PATIENCE = 30_000;

export class ByteStream {
  readonly body: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #stuckSince: number | undefined;
  #ended = false;
  readonly #encoder = new TextEncoder();
  /** Called once when it has ended, for whatever reason. */
  readonly #closed: () => void;

  constructor(closed: () => void) {
    this.#closed = closed;
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

  /** Whether there is room for more. */
  get hasRoom(): boolean {
    return !this.#ended && (this.#controller.desiredSize ?? 0) > 0;
  }

  /** Writes a text, if there is room. @returns whether there was */
  write(text: string): boolean {
    if (this.#ended) return false;
    if (!this.hasRoom) {
      const now = performance.now();
      this.#stuckSince ??= now;
      if (now - this.#stuckSince > PATIENCE) this.end();
      return false;
    }
    this.#controller.enqueue(this.#encoder.encode(text));
    return true;
  }

  end(): void {
    if (this.#ended) return;
    try {
      this.#controller.close();
    } catch {
      // The reader went away at the same time.
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#closed();
  }
}
