// Texts over the picture of which a part has to be asked for: until it is there, a line says so, and the picture goes on.

import type { Signal } from '../library/index.js';
import type { Overlay } from './overlay.js';
import { COLORS, DIM } from './style.js';
import { TextOverlay } from './text-overlay.js';
import type { TextLine } from './text-pane.js';

/** What is shown, and how it is found out. */
export interface AwaitedText {
  readonly title: string;
  /** Stands there until the answer does. */
  readonly waiting: string;
  /** A failure is shown in place of the answer. */
  readonly ask: (signal: Signal) => Promise<readonly TextLine[]>;
  /** What is known at once, below. */
  readonly rest?: () => readonly string[];
}

/** One question at a time, and none for longer than its overlay is open. */
export class AwaitedTexts {
  readonly #draw: () => void;
  #open: { readonly overlay: Overlay; readonly abort: AbortController } | undefined;
  #answered: Promise<void> = Promise.resolve();

  /** `draw`: called when an answer has come. */
  constructor(draw: () => void) {
    this.#draw = draw;
  }

  /** An overlay with what is known; the answer comes into it. */
  open({ title, waiting, ask, rest = () => [] }: AwaitedText): Overlay {
    this.#abort();
    const overlay = new TextOverlay(title, [{ text: waiting, style: DIM }, ...rest()]);
    const abort = new AbortController();
    this.#open = { overlay, abort };
    this.#answered = this.#answered.then(async () => {
      if (abort.signal.aborted) return;
      const lines = await ask(abort.signal).catch((error: unknown) => [failureLine(error)]);
      if (abort.signal.aborted) return;
      overlay.show([...lines, ...rest()]);
      this.#draw();
    });
    return overlay;
  }

  /** Tells what lies over the picture now: who has closed an overlay no longer asks. */
  seen(overlay: Overlay | undefined): void {
    if (this.#open && this.#open.overlay !== overlay) this.#abort();
  }

  /** Ends what is asked. */
  async close(): Promise<void> {
    this.#abort();
    await this.#answered;
  }

  #abort(): void {
    this.#open?.abort.abort();
    this.#open = undefined;
  }
}

function failureLine(error: unknown): TextLine {
  return { text: `cannot say: ${error instanceof Error ? error.message : String(error)}`, style: COLORS.red };
}
