// "Did you mean": the name closest to a mistyped one.

/**
 * The candidate within a few slips of the pen (insert, delete, replace, swap; case is ignored), the closest first; `undefined` if none is
 * close.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length < 2 || word.length > 40) return undefined;
  const wanted = word.toLowerCase();
  let limit = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const slips = distance(wanted, candidate.toLowerCase());
    if (slips > limit) continue;
    // Of two that are as close, a swap or a wrong letter is likelier than a letter too many.
    const closer = best === undefined || slips < limit || (candidate.length === word.length && best.length !== word.length);
    if (closer) best = candidate;
    limit = slips;
  }
  return best;
}

/** `; did you mean NAME?`, or nothing: the end of a message about an unknown name. */
export function didYouMean(word: string, candidates: Iterable<string>, prefix = ''): string {
  const name = nearest(word, candidates);
  return name === undefined ? '' : `; did you mean ${prefix}${name}?`;
}

/** For a hint about an unknown name: the likely one, or all names. */
export function suggest(word: string, names: Iterable<string>): string {
  const name = nearest(word, names);
  return name === undefined ? `known are ${[...names].join(', ')}` : `did you mean ${name}?`;
}

/** Optimal string alignment distance. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
}
