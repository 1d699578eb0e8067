// The largest of many numbers, without sorting the others: a heap whose root is the least of those found so far.

/** The indexes of the `most` largest values, the largest first; of equal ones, the first. NaN is left out. */
export function largestOf(values: Float64Array, most: number): Int32Array {
  const heap = new Int32Array(Math.min(most, values.length));
  let size = 0;
  /** Whether the value at `a` comes behind that at `b`. */
  const isBehind = (a: number, b: number) => values[a]! < values[b]! || (values[a] === values[b] && a > b);
  const sink = (from: number) => {
    for (let at = from; ; ) {
      let last = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < size; child++)
        if (isBehind(heap[child]!, heap[last]!)) last = child;
      if (last === at) return;
      const index = heap[at]!;
      heap[at] = heap[last]!;
      heap[last] = index;
      at = last;
    }
  };
  for (let index = 0; index < values.length && heap.length > 0; index++) {
    if (Number.isNaN(values[index])) continue;
    if (size < heap.length) {
      heap[size++] = index;
      if (size === heap.length) for (let at = size >> 1; at >= 0; at--) sink(at);
    } else if (isBehind(heap[0]!, index)) {
      heap[0] = index;
      sink(0);
    }
  }
  return heap.subarray(0, size).sort((a, b) => (isBehind(a, b) ? 1 : -1));
}
