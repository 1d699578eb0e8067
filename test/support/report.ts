// The totals of a run of comparisons: how many, how many equal, how often each known difference was seen, what failed.

import { describe, type Verdict } from './compare.js';

/** Collects verdicts. */
export class Report {
  readonly #seen = new Map<string, number>();
  readonly #lines = new Set<string>();
  readonly #failures: string[] = [];
  #equal = 0;
  #explained = 0;
  #withOutput = 0;
  #runs = 0;
  readonly #took = { reference: 0, actual: 0 };

  add(verdict: Verdict, where = ''): void {
    this.#runs++;
    this.#took.reference += verdict.took.reference;
    this.#took.actual += verdict.took.actual;
    this.#lines.add(JSON.stringify(verdict.argv));
    if (verdict.expected.status === '0' && verdict.expected.stdout !== '') this.#withOutput++;
    if (verdict.mismatches.length > 0) this.#failures.push(describe(verdict, where));
    else if (verdict.differences.length === 0) this.#equal++;
    else {
      this.#explained++;
      for (const id of verdict.differences) this.#seen.set(id, (this.#seen.get(id) ?? 0) + 1);
    }
  }

  /** How often each known difference was seen and found as it should be. */
  get seen(): ReadonlyMap<string, number> {
    return this.#seen;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Distinct command lines. */
  get distinct(): number {
    return this.#lines.size;
  }

  /** Lines for the end of a run. */
  summary(title: string): string {
    const seen = [...this.#seen].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
    const mean = (total: number) => (total / Math.max(1, this.#runs)).toFixed(0);
    return [
      `${title}: ${this.distinct} distinct command lines compared; ${this.#withOutput} runs succeeded with output`,
      `  equal ${this.#equal}, known differences ${this.#explained}, unexpected differences ${this.#failures.length}`,
      `  mean time of a run: reference ${mean(this.#took.reference)} ms, under test ${mean(this.#took.actual)} ms`,
      ...(seen.length === 0 ? [] : [`  known differences by id: ${seen.map(([id, times]) => `${id} ${times}×`).join(', ')}`]),
    ].join('\n');
  }

  /** @throws Error with every unexpected difference, or the first `limit` of them. */
  verify(limit = 40): void {
    if (this.#failures.length === 0) return;
    const shown = this.#failures.slice(0, limit);
    const more = this.#failures.length > limit ? `\n… and ${this.#failures.length - limit} more` : '';
    throw new Error(`${this.#failures.length} unexpected differences\n\n${shown.join('\n\n')}${more}`);
  }
}
