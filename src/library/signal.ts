// Signal: AbortSignal for programs that have its declaration from nowhere: neither lib.dom nor @types/node has to be there.

/** What is used of an `AbortSignal`. */
export interface MinimalSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** The `AbortSignal` that the program declares. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : MinimalSignal;
