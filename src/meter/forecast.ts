// When a table will be full, if it goes on as in the last minutes: the median of the slopes between all pairs of recent means (Theil and
// Sen), which a burst does not move. Told only if the growth is much larger than its scatter.

/** How long is looked back, and over how long each mean is, in seconds. */
const WINDOW = 300;
const STEP = 10;
/** Means that are needed: a minute. */
const LEAST = 6;
/** The slope must be so many times its scatter. */
const CERTAIN = 3;
/** Nothing is said about later than this, in seconds. */
const HORIZON = 6 * 3600;

export class Forecast {
  /** Of each step of 10 s its number, the sum of the entries seen in it, and how often they were. */
  readonly #steps: { readonly step: number; sum: number; count: number }[] = [];

  /** Notes the number of entries at a time in seconds, later than all before. */
  add(seconds: number, entries: number): void {
    const step = Math.floor(seconds / STEP);
    const steps = this.#steps;
    const last = steps.at(-1);
    if (last?.step === step) {
      last.sum += entries;
      last.count++;
    } else steps.push({ step, sum: entries, count: 1 });
    while (steps[0]!.step < step - WINDOW / STEP) steps.shift();
  }

  /** Seconds until `limit` entries; `undefined` when the table does not grow steadily, or will be full only in many hours. */
  full(limit: number): number | undefined {
    const steps = this.#steps;
    if (steps.length < LEAST) return undefined;
    const means = steps.map(({ sum, count }) => sum / count);
    const slopes: number[] = [];
    for (let i = 0; i < steps.length; i++)
      for (let j = i + 1; j < steps.length; j++)
        slopes.push((means[j]! - means[i]!) / ((steps[j]!.step - steps[i]!.step) * STEP));
    const slope = median(slopes);
    if (slope <= 0) return undefined;
    const level = median(means.map((mean, i) => mean - slope * steps[i]!.step * STEP));
    const misses = means.map((mean, i) => Math.abs(mean - level - slope * steps[i]!.step * STEP));
    const scatter = median(misses) / (STEP * Math.sqrt(steps.length));
    const left = Math.max(0, (limit - means.at(-1)!) / slope);
    return slope > CERTAIN * scatter && left < HORIZON ? left : undefined;
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
