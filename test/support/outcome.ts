// The output of a command, and whether two runs have the same. Two runs happen at different times, so ticking seconds are compared with a
// tolerance instead of being ignored; everything else must be equal byte for byte.

import { kernelIsAtLeast } from '../../src/wire/kernel.js';
import type { RunResult } from './agent.js';
import { SELF_TEST } from './project.js';

/** Standard output and error are latin1 text: one character per byte. */
export interface Outcome {
  /** The exit status or the signal's name, as text. */
  status: string;
  stdout: string;
  stderr: string;
}

export type Aspect = 'stdout' | 'status' | 'count' | 'diagnostic';

/** One difference, with both sides in a readable form. */
export interface Mismatch {
  aspect: Aspect;
  expected: string;
  actual: string;
}

export interface CompareOptions {
  /** `same`: both ran in one namespace, so even the order is equal. `any`: the hash order of two namespaces. */
  order: 'same' | 'any';
  /** `two`: two namespaces give an entry two ids, and it was made at two times. */
  namespaces: 'same' | 'two';
  /** By how much seconds may differ. */
  tolerance: number;
}

export function toOutcome(result: RunResult): Outcome {
  return {
    status: result.timedOut ? 'time limit' : String(result.status),
    stdout: result.stdout.toString('latin1'),
    stderr: result.stderr.toString('latin1'),
  };
}

const PREFIX = /^conntrack v[0-9][0-9.]* \(conntrack-tools\): /;
const CLOSING =
  /^(\d+ (flow entries|expectations) have been \w+\.|\d+ (flow|expectation) events have been shown\.|(connection tracking|expectation) table has been emptied\.)$/;

/** The closing lines of standard error without their prefix (docs/behaviour.md 4.16): the part of it that scripts read. */
export function closingLines(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => PREFIX.test(line))
    .map((line) => line.replace(PREFIX, ''))
    .filter((line) => CLOSING.test(line))
    .join('\n');
}

/** Whether standard error contains anything else: a warning, an error. Each tool has its own words. */
export function hasDiagnostic(stderr: string): boolean {
  return stderr.split('\n').some((line) => line !== '' && !(PREFIX.test(line) && CLOSING.test(line.replace(PREFIX, ''))));
}

/** A line without its seconds, and the seconds. */
interface Ticking {
  text: string;
  seconds: number[];
}

interface Mask {
  /** Matches within one line just what is replaced by `#`. */
  pattern: RegExp;
  /** The value to compare with a tolerance; absent: not compared at all. */
  seconds?: (match: string) => number;
}

const nanoseconds = (match: string) => Number(BigInt(match) / 1_000_000_000n);
const calendar = (match: string) => Date.parse(`${match} GMT`) / 1000;
const clock = (match: string) => {
  const [hour = 0, minute = 0, second = 0] = [...match.matchAll(/>(\d+)</g)].map(([, digits]) => Number(digits));
  return hour * 3600 + minute * 60 + second;
};

/** What ticks even if nothing changes. */
const TICKING: readonly Mask[] = [
  { pattern: /(?<=^(?:\[[^\]]*\]\t)?(?:(?:ipv4|ipv6|unknown) +\d+ )?[a-z0-9]+ +\d+ )\d+(?= )/g, seconds: Number }, // -L: the timeout
  { pattern: /(?<=^(?:\[[^\]]*\]\t)?)\d+(?= proto=)/g, seconds: Number }, // -L expect: likewise
  { pattern: /(?<=^-[AUD] -t )\d+/g, seconds: Number }, // -o save: likewise
  { pattern: /(?<=<timeout>)\d+(?=<)/g, seconds: Number },
  { pattern: /(?<= delta-time=)\d+/g, seconds: Number },
  { pattern: /(?<=<deltatime>)\d+(?=<)/g, seconds: Number },
  // -o timestamp; compared with itself, the reference misprints both (docs/differences.md B17)
  { pattern: SELF_TEST ? /(?<=^\[)\d+\.[\d ]{6}(?=\]\t)/g : /(?<=^\[)\d+\.\d{6}(?=\]\t)/g, seconds: Number },
  { pattern: /(?<=<when>).*?(?=<\/when>)/g, seconds: clock },
];

/** What differs between two namespaces that were filled alike. */
const PER_NAMESPACE: readonly Mask[] = [
  { pattern: /(?<= id=)\d+(?=( labels(=.*)?)?$)/g },
  { pattern: /(?<=<id>)\d+(?=<)/g },
  { pattern: /(?<=\[(start|stop)=)[^\]]*(?=\])/g, seconds: calendar },
  { pattern: /(?<=<(start|stop)>)\d+(?=<)/g, seconds: nanoseconds },
];

/**
 * On the dying list: a kernel that tries again to deliver an entry's event holds on to the entry meanwhile. Before 5.19 kernels hold
 * on to other entries as well, now and then.
 */
const REFERENCES: readonly Mask[] = [{ pattern: /(?<= use=)\d+(?=$| )/g }, { pattern: /(?<=<use>)\d+(?=<)/g }];

/** The line with every ticking or own number replaced by `#`, and the numbers. */
function mask(line: string, masks: readonly Mask[]): Ticking {
  const numbers: number[] = [];
  let text = line;
  for (const { pattern, seconds } of masks) {
    text = text.replace(pattern, (match) => {
      if (seconds !== undefined) numbers.push(seconds(match));
      return '#';
    });
  }
  return { text, seconds: numbers };
}

/** Lines with their own seconds, in an order that does not depend on the hash. */
function maskLines(text: string, { order, namespaces }: CompareOptions): Ticking[] {
  // Lists of one namespace have the same order, but for the dying list.
  const dying = namespaces === 'same' && order === 'any';
  const masks = [
    ...TICKING,
    ...(namespaces === 'two' ? PER_NAMESPACE : []),
    ...(dying || !kernelIsAtLeast(5, 19) ? REFERENCES : []),
  ];
  const lines = text.split('\n').map((line) => mask(line, masks));
  if (order === 'same') return lines;
  return lines.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : (a.seconds[0] ?? 0) - (b.seconds[0] ?? 0)));
}

function equalOutput(expected: string, actual: string, options: CompareOptions): boolean {
  if (expected === actual) return true;
  const left = maskLines(expected, options);
  const right = maskLines(actual, options);
  return (
    left.length === right.length &&
    left.every(({ text, seconds }, index) => {
      const other = right[index]!;
      return text === other.text && seconds.every((value, n) => Math.abs(value - other.seconds[n]!) <= options.tolerance);
    })
  );
}

/** All differences between `actual` and `expected`. */
export function compareOutcomes(expected: Outcome, actual: Outcome, options: CompareOptions): Mismatch[] {
  const mismatches: Mismatch[] = [];
  const check = (aspect: Aspect, a: string, b: string) => {
    if (a !== b) mismatches.push({ aspect, expected: a, actual: b });
  };
  check('status', expected.status, actual.status);
  check('count', closingLines(expected.stderr), closingLines(actual.stderr));
  if (hasDiagnostic(expected.stderr) !== hasDiagnostic(actual.stderr))
    mismatches.push({ aspect: 'diagnostic', expected: expected.stderr, actual: actual.stderr });
  if (!equalOutput(expected.stdout, actual.stdout, options))
    mismatches.push({ aspect: 'stdout', expected: expected.stdout, actual: actual.stdout });
  return mismatches;
}

/** The lines that differ, `-` expected and `+` actual, at most `limit` of each: for a person to read. */
export function diffLines(expected: string, actual: string, options: CompareOptions, limit = 6): string {
  const count = (text: string) => {
    const counts = new Map<string, { shown: string; times: number }>();
    const lines = text.split('\n');
    maskLines(text, { ...options, order: 'same' }).forEach(({ text: key }, index) => {
      const entry = counts.get(key) ?? { shown: lines[index]!, times: 0 };
      entry.times++;
      counts.set(key, entry);
    });
    return counts;
  };
  const left = count(expected);
  const right = count(actual);
  const only = (a: typeof left, b: typeof left, sign: string) => {
    const lines = [...a]
      .filter(([key, { times }]) => times > (b.get(key)?.times ?? 0))
      .map(([, { shown }]) => `  ${sign} ${shown}`);
    return lines.length > limit ? [...lines.slice(0, limit), `  ${sign} … ${lines.length - limit} more`] : lines;
  };
  const shown = [...only(left, right, '-'), ...only(right, left, '+')];
  if (shown.length > 0) return shown.join('\n');
  const lines = [expected.split('\n'), actual.split('\n')] as const;
  const at = lines[0].findIndex((line, index) => line !== lines[1][index]);
  return `  same lines in another order, or seconds too far apart; first at line ${at + 1}:\n  - ${lines[0][at] ?? '(none)'}\n  + ${lines[1][at] ?? '(none)'}`;
}
