// Series: what the samples said, as columns of numbers: each second for 10 minutes, every 10 s for 2 hours, each minute for a day. A step
// without a sample has the values of the next one, which is about that time too; a step with several has their mean.

/** What is kept of each sample. Rates are bytes per second. */
export const SERIES = ['entries', 'begun', 'ended', 'rateOriginal', 'rateReply', 'packetRate', 'dropped'] as const;
export type SeriesName = (typeof SERIES)[number];
/** One value for each name; NaN: not known. */
export type SeriesValues = Readonly<Record<SeriesName, number>>;

/** Columns of equal length, oldest first; NaN where nothing is known. */
export interface MeterSeries extends Readonly<Record<SeriesName, Float64Array>> {
  /** Seconds between values. */
  readonly step: number;
  /** When the last step began, in seconds since the epoch. */
  readonly end: number;
}

const STEPS = [
  { step: 1, count: 600 },
  { step: 10, count: 720 },
  { step: 60, count: 1440 },
] as const;

export class Series {
  readonly #rings = STEPS.map(({ step, count }) => new Ring(step, count));

  /** Notes a sample at a time in seconds since the epoch, later than all before. */
  add(seconds: number, values: SeriesValues): void {
    for (const ring of this.#rings) ring.add(seconds, values);
  }

  /** The last so many seconds, in the finest steps that reach so far back. */
  last(seconds: number): MeterSeries {
    const ring = this.#rings.find(({ span }) => seconds <= span) ?? this.#rings.at(-1)!;
    return ring.last(Math.ceil(seconds / ring.step));
  }
}

class Ring {
  readonly step: number;
  readonly #count: number;
  readonly #columns: Record<SeriesName, Float64Array>;
  /** Number of the newest step; how many samples it had. */
  #newest = Number.NaN;
  #samples = 0;

  constructor(step: number, count: number) {
    this.step = step;
    this.#count = count;
    this.#columns = columnsOf((_) => new Float64Array(count).fill(Number.NaN));
  }

  /** Seconds that it keeps. */
  get span(): number {
    return this.step * this.#count;
  }

  add(seconds: number, values: SeriesValues): void {
    const number = Math.floor(seconds / this.step);
    if (number === this.#newest) {
      this.#samples++;
      const at = number % this.#count;
      for (const name of SERIES) {
        const column = this.#columns[name];
        column[at] = Number.isNaN(column[at]) ? values[name] : column[at]! + (values[name] - column[at]!) / this.#samples;
      }
      return;
    }
    // The clock of the machine may be set back.
    const gap = number > this.#newest ? Math.min(number - this.#newest, this.#count) : 1;
    for (let n = number - gap + 1; n <= number; n++)
      for (const name of SERIES) this.#columns[name][n % this.#count] = values[name];
    this.#newest = number;
    this.#samples = 1;
  }

  last(count: number): MeterSeries {
    const size = Math.min(count, this.#count);
    const first = this.#newest - size + 1;
    const part = (name: SeriesName) =>
      Float64Array.from({ length: Number.isNaN(this.#newest) ? 0 : size }, (_, n) =>
        first + n < 0 ? Number.NaN : this.#columns[name][(first + n) % this.#count]!,
      );
    return { step: this.step, end: this.#newest * this.step, ...columnsOf(part) };
  }
}

function columnsOf(make: (name: SeriesName) => Float64Array): Record<SeriesName, Float64Array> {
  return Object.fromEntries(SERIES.map((name) => [name, make(name)])) as Record<SeriesName, Float64Array>;
}
