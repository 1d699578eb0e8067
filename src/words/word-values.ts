// The values of the options of words → numbers and names, or a UsageError.

import { quoted, UsageError } from '../cli/usage-error.js';
import { ConntrackError } from '../errors.js';
import { checkGrouping, type GroupingName } from '../meter/index.js';
import { didYouMean } from '../nearest.js';
import type { WordLine } from './word-line.js';

/** The text of an option; `undefined` if it was not given. */
export function textOf({ values }: WordLine, name: string): string | undefined {
  return values[name] as string | undefined;
}

/** Names with commas between them, of an option that may be repeated; `undefined` if it was not given. */
export function listOf({ values }: WordLine, name: string): readonly string[] | undefined {
  const texts = values[name] as readonly string[] | undefined;
  return texts
    ?.flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/** Whether a switch was given. */
export function isGiven({ values }: WordLine, name: string): boolean {
  return values[name] === true;
}

/** A number from `least` to `most`; `whole`: without a fraction. @throws UsageError */
export function numberOf(line: WordLine, name: string, least: number, most: number, whole = false): number | undefined {
  const text = textOf(line, name);
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new UsageError(`--${name} must be ${kind} from ${least} to ${most}, not ${quoted(text)}`);
}

/** A time such as 90, 2s, 5m or 180d, in seconds. @throws UsageError */
export function secondsOf(line: WordLine, name: string, least: number, most: number): number | undefined {
  const text = textOf(line, name);
  if (text === undefined) return undefined;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|[smhdwy])?$/.exec(text) ?? [];
  const value = Number(number) * (TIME_UNITS[unit ?? 's'] ?? Number.NaN);
  if (value >= least && value <= most) return value;
  throw new UsageError(
    `--${name} must be a number of seconds from ${least} to ${most}, or a duration such as 5m or 2d, not ${quoted(text)}`,
  );
}

/** A pause, in milliseconds: half a second to a day. @throws UsageError */
export function millisecondsOf(line: WordLine, name: string): number | undefined {
  const seconds = secondsOf(line, name, 0.5, 86_400);
  return seconds === undefined ? undefined : seconds * 1000;
}

const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};

const SIZES: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Bytes such as 500M or 50G. @throws UsageError */
export function sizeOf(line: WordLine, name: string): number | undefined {
  const text = textOf(line, name);
  if (text === undefined) return undefined;
  const [, number, unit] = /^(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * (SIZES[unit?.toLowerCase() ?? ''] ?? Number.NaN));
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(`--${name} must be a size such as 500M or 50G, not ${quoted(text)}`);
}

/** A percentage such as 5%, from 0 to 1. @throws UsageError */
export function shareOf(line: WordLine, name: string): number | undefined {
  const text = textOf(line, name);
  if (text === undefined) return undefined;
  const [, number] = /^(\d+(?:\.\d+)?)%?$/.exec(text) ?? [];
  if (Number(number) < 100) return Number(number) / 100;
  throw new UsageError(`--${name} must be a percentage such as 5%, not ${quoted(text)}`);
}

const STEPS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bits per second such as 500k or 1.5M, as bytes per second. @throws UsageError */
export function rateOf(line: WordLine, name: string): number | undefined {
  const text = textOf(line, name);
  if (text === undefined) return undefined;
  const parts = /^(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(text);
  if (!parts) throw new UsageError(`--${name} must be bits per second such as 500k or 1.5M, not ${quoted(text)}`);
  return (Number(parts[1]) * STEPS[parts[2]!.toLowerCase()]!) / 8;
}

/** The grouping of `--by`. @throws UsageError */
export function groupingOf(line: WordLine): GroupingName | undefined {
  const by = textOf(line, 'by');
  if (by === undefined) return undefined;
  try {
    return checkGrouping(by);
  } catch (error) {
    if (!(error instanceof ConntrackError)) throw error;
    throw new UsageError(`--by: ${error.message}`, { hint: error.hint });
  }
}

/** Bounds of times about records, in seconds: a tenth, and thousand years. */
export const LEAST_TIME = 0.1;
export const MOST_TIME = 31_536_000_000;

/** `--keep`, which `word` must be given: seconds, or infinity. @throws UsageError */
export function keepOf(line: WordLine, word: string): number {
  const keep = textOf(line, 'keep') === 'forever' ? Number.POSITIVE_INFINITY : secondsOf(line, 'keep', LEAST_TIME, MOST_TIME);
  if (keep !== undefined) return keep;
  throw new UsageError(`${word} needs to know how long records are kept`, {
    hint: '--keep 180d, or --keep forever; what a law allows is yours to know',
  });
}

/** One of some names. @throws UsageError */
export function choiceOf<S extends string>(line: WordLine, name: string, choices: readonly S[]): S | undefined {
  const text = textOf(line, name);
  if (text === undefined || (choices as readonly string[]).includes(text)) return text as S | undefined;
  throw new UsageError(`--${name} cannot be ${quoted(text)} here${didYouMean(text, choices)}`, {
    hint: `one of ${choices.join(', ')}`,
  });
}

/** The order of `--sort`, one of `sorts`. @throws UsageError */
export function sortOf<S extends string>(line: WordLine, sorts: readonly S[]): S | undefined {
  return choiceOf(line, 'sort', sorts);
}

/** Whether text may have other characters than ASCII: the locale says so. */
export function isUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
