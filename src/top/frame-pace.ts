// When the next frame may be written: not before the terminal has taken the last one, so that a slow one never gets a backlog, and at most
// ten times in a second. After a pause two frames go at once, so that the answer to a key does not wait.

/** Milliseconds in which one more frame becomes allowed. */
const INTERVAL = 125;
/** Frames that can be saved up. With the interval: in any second at most ten. */
const SAVED = 2;

export class FramePace {
  readonly #write: () => void;
  readonly #now: () => number;
  #wanted = false;
  #busy = false;
  #timer: NodeJS.Timeout | undefined;
  /** When all frames will be saved up again. */
  #full = 0;

  /** `write` writes the newest picture. */
  constructor(write: () => void, now: () => number = () => performance.now()) {
    this.#write = write;
    this.#now = now;
  }

  /** Something has changed. Several changes before the frame is written make one frame. */
  ask(): void {
    this.#wanted = true;
    // Not at once: what else happens in this turn of the event loop belongs to the same frame.
    if (!this.#busy && this.#timer === undefined) this.#timer = setTimeout(this.#due, this.#wait());
  }

  /** The terminal has not taken everything. */
  busy(): void {
    this.#busy = true;
  }

  /** The terminal has taken everything. */
  taken(): void {
    this.#busy = false;
    if (this.#wanted) this.ask();
  }

  /** Forgets what was asked for. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
  }

  readonly #due = (): void => {
    this.#timer = undefined;
    if (this.#busy || !this.#wanted) return; // `taken` asks again
    this.#wanted = false;
    this.#full = Math.max(this.#full, this.#now()) + INTERVAL;
    this.#write();
  };

  /** Milliseconds until a frame is allowed. */
  #wait(): number {
    return Math.max(this.#full - this.#now() - (SAVED - 1) * INTERVAL, 0);
  }
}
