// Ages in a socket filter, which reckons with the upper halves of the times: in units of 2^32 nanoseconds, 4.3 seconds.

import { MAX_COUNT } from './condition.js';
import { type Ranges, rangesOf } from './sets.js';

/** Nanoseconds. */
const UNIT = 1n << 32n;
const MILLISECOND = 1_000_000n;
/** Milliseconds. */
const SECOND = 1000;
/** From here on a difference is that of an end before the beginning, when a clock was set: such a flow is of age 0. */
const NEGATIVE = 0x80000000;

/**
 * The differences, modulo 2^32, of the upper halves of two times of which the later may be one of `ages` behind the other: as many
 * units as fit into the age, or one more. Ages are taken a millisecond wider on both sides, since compile.ts rounds.
 */
export function ageDifferences(ages: Ranges): Ranges {
  const differences: [number, number][] = [];
  for (let i = 0; i < ages.length; i += 2) {
    const from = units(ages[i]! - 1);
    const to = units(ages[i + 1]! + 2) + 1;
    if (from < NEGATIVE) differences.push([from, Math.min(to, NEGATIVE - 1)]);
    if (from === 0) differences.push([NEGATIVE, 0xffffffff]);
  }
  return rangesOf(differences);
}

/** The ages that `ageDifferences` may let through, in whole seconds. */
export function judgedAges(ages: Ranges): Ranges {
  const differences = ageDifferences(ages);
  const judged: [number, number][] = [];
  for (let i = 0; i < differences.length; i += 2) {
    const [from, to] = [differences[i]!, differences[i + 1]!];
    if (from >= NEGATIVE) continue;
    const above = Math.floor((milliseconds(from - 1) - 2) / SECOND) * SECOND;
    const below = Math.ceil((milliseconds(to + 1) + 2) / SECOND) * SECOND;
    judged.push([above < 0 ? 0 : above + 1, to >= NEGATIVE - 1 ? MAX_COUNT : below - 1]);
  }
  return rangesOf(judged);
}

function units(age: number): number {
  const whole = (BigInt(Math.max(0, age)) * MILLISECOND) / UNIT;
  return whole > 0xffffffffn ? 0xffffffff : Number(whole);
}

function milliseconds(difference: number): number {
  return difference <= 0 ? 0 : Number((BigInt(difference) * UNIT) / MILLISECOND);
}
