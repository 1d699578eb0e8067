// GroupHistory: the rate of the largest groups during the last minute, for small pictures beside them.

/** Groups that have a history. */
const MOST = 256;
/** How far back it goes, in milliseconds. */
const SPAN = 60_000;

interface Point {
  readonly at: number;
  /** Bytes per second, both directions. */
  readonly rate: number;
}

export class GroupHistory {
  #points = new Map<number, Point[]>();

  /** Notes the rates of a sample by group, at a time in milliseconds. */
  add(at: number, rates: Float64Array): void {
    const next = new Map<number, Point[]>();
    for (const group of largest(rates, MOST)) {
      const points = (this.#points.get(group) ?? []).filter((point) => at - point.at < SPAN);
      points.push({ at, rate: rates[group]! });
      next.set(group, points);
    }
    this.#points = next;
  }

  /** Bytes per second at each sample of the last minute, oldest first; `undefined` for a group that is too small. */
  of(group: number): readonly number[] | undefined {
    return this.#points.get(group)?.map(({ rate }) => rate);
  }

  /** The groups have got new numbers, old ones are the indexes. */
  renumber(numbers: Int32Array): void {
    const next = new Map<number, Point[]>();
    for (const [group, points] of this.#points) if (numbers[group]! !== 0) next.set(numbers[group]!, points);
    this.#points = next;
  }
}

/** The indexes of the `most` largest values above 0: a heap whose root is the smallest of them. */
function largest(values: Float64Array, most: number): number[] {
  const heap: number[] = [];
  const sink = (from: number) => {
    for (let at = from; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < heap.length && values[heap[child]!]! < values[heap[least]!]!) least = child;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  };
  for (let index = 1; index < values.length; index++) {
    if (values[index]! <= 0) continue;
    if (heap.length < most) {
      heap.push(index);
      if (heap.length === most) for (let at = most >> 1; at >= 0; at--) sink(at);
    } else if (values[index]! > values[heap[0]!]!) {
      heap[0] = index;
      sink(0);
    }
  }
  return heap;
}
