// Flows that wait for a batch: copies of their messages, so that the receive buffer they came in can be reused.

import { createFlowView, type View } from '../ctnetlink/view.js';

/** Entries changed together: more in one send gain nothing (docs/kernel.md 6.1), and their failures must fit the queue. */
export const BATCH_SIZE = 100;

export class PendingFlows {
  readonly #view = createFlowView();
  readonly #starts: number[] = [];
  #bytes = new Uint8Array(65536);
  #length = 0;

  get count(): number {
    return this.#starts.length;
  }

  /** Keeps a copy of the message in the view. */
  add(view: View): void {
    const { size } = view;
    if (this.#length + size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + size));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    for (let i = 0; i < size; i++) this.#bytes[this.#length + i] = view.bytes[view.start + i]!;
    this.#starts.push(this.#length);
    this.#length += size;
  }

  /** A view of entry `index`, valid until the next call. */
  at(index: number): View {
    this.#view.decode(this.#bytes, this.#starts[index]!, this.#starts[index + 1] ?? this.#length);
    return this.#view;
  }

  clear(): void {
    this.#starts.length = 0;
    this.#length = 0;
  }
}
