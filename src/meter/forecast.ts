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

/** The entries seen in a step of 10 s, with their times: sums of so many. */
interface Step {
  readonly number: number;
  seconds: number;
  entries: number;
  count: number;
}

export class Forecast {
  readonly #steps: Step[] = [];
  #now = 0;

  /** Notes the number of entries at a time in seconds, later than all before. */
  add(seconds: number, entries: number): void {
    this.#now = seconds;
    const number = Math.floor(seconds / STEP);
    const steps = this.#steps;
    let last = steps.at(-1);
    if (last?.number !== number) {
      last = { number, seconds: 0, entries: 0, count: 0 };
      steps.push(last);
    }
    last.seconds += seconds;
    last.entries += entries;
    last.count++;
    while (steps[0]!.number < number - WINDOW / STEP) steps.shift();
  }

  /** Seconds until `limit` entries; `undefined` when the table does not grow steadily, or will be full only in many hours. */
  full(limit: number): number | undefined {
    if (this.#steps.length < LEAST) return undefined;
    const means = this.#steps.map(({ seconds, entries, count }) => ({ at: seconds / count, entries: entries / count }));
    const slopes: number[] = [];
    for (const [i, from] of means.entries())
      for (const to of means.slice(i + 1)) slopes.push((to.entries - from.entries) / (to.at - from.at));
    const slope = median(slopes);
    if (slope <= 0) return undefined;
    const level = median(means.map(({ at, entries }) => entries - slope * at));
    const misses = means.map(({ at, entries }) => Math.abs(entries - level - slope * at));
    const scatter = median(misses) / (STEP * Math.sqrt(means.length));
    const last = means.at(-1)!;
    const left = Math.max(0, (limit - last.entries) / slope - (this.#now - last.at));
    return slope > CERTAIN * scatter && left < HORIZON ? left : undefined;
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
