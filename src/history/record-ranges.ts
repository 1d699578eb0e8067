// Ranges of numbers of records: which are there, and which are asked for.

/** From a number to another, both in. */
export type RecordRange = readonly [from: number, to: number];

/** What is left of a range without others. */
export function without([from, to]: RecordRange, others: readonly RecordRange[]): RecordRange[] {
  const left: RecordRange[] = [];
  for (const [first, last] of [...others].sort((a, b) => a[0] - b[0])) {
    if (last < from) continue;
    if (first > to) break;
    if (first > from) left.push([from, first - 1]);
    from = Math.max(from, last + 1);
  }
  if (from <= to) left.push([from, to]);
  return left;
}

/** The same numbers in ascending ranges that do not touch. */
export function unite(ranges: readonly RecordRange[]): RecordRange[] {
  const united: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = united.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else if (from <= to) united.push([from, to]);
  }
  return united;
}

export function isWithin(number: number, ranges: readonly RecordRange[]): boolean {
  return ranges.some(([from, to]) => from <= number && number <= to);
}
