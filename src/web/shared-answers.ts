// SharedAnswers: answers that many ask for at the same time, as pages do when they hear of a sample, are made and encoded once.

/** Answers that are kept: each may be some hundred kilobytes. */
const MOST = 16;

/** An encoded answer, and the number of the sample that it is of. */
export interface SharedAnswer {
  readonly sample: number;
  readonly bytes: Uint8Array;
}

interface Kept {
  readonly sample: number;
  readonly until: number;
  readonly answer: Promise<SharedAnswer>;
}

export class SharedAnswers {
  /** Milliseconds for which an answer is good within its sample. */
  readonly #good: number;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();
  readonly #encoder = new TextEncoder();

  constructor(good: number, now: () => number = () => performance.now()) {
    this.#good = good;
    this.#now = now;
  }

  /** The answer to a question; `sample` is the newest. */
  ask(question: string, sample: number, make: () => Promise<{ readonly sample: number }>): Promise<SharedAnswer> {
    const now = this.#now();
    for (const [name, kept] of this.#kept) if (kept.until <= now || kept.sample !== sample) this.#kept.delete(name);
    const found = this.#kept.get(question);
    if (found) return found.answer;
    const answer = make().then((made) => ({ sample: made.sample, bytes: this.#encoder.encode(JSON.stringify(made)) }));
    if (this.#good <= 0) return answer;
    const kept = { sample, until: now + this.#good, answer };
    this.#kept.set(question, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break;
      this.#kept.delete(oldest);
    }
    // What is wrong with a question is told to each who asks it.
    answer.catch(() => {
      if (this.#kept.get(question) === kept) this.#kept.delete(question);
    });
    return answer;
  }
}
