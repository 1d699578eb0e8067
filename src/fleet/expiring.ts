// Texts that are known until a time, no more than so many.

export class Expiring {
  readonly #most: number;
  readonly #known = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  add(text: string, now: number, until: number): 'new' | 'known' | 'full' {
    if ((this.#known.get(text) ?? Number.NEGATIVE_INFINITY) >= now) return 'known';
    if (this.#known.size >= this.#most) for (const [other, end] of this.#known) if (end < now) this.#known.delete(other);
    if (this.#known.size >= this.#most) return 'full';
    this.#known.set(text, until);
    return 'new';
  }
}
