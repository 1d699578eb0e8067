// Numbers for people. Each function says how wide its text can be at most, so that a column never overflows. Everywhere `·` stands for
// what is not known yet, and `-` for what will never be known.

/** A number; undefined: not known yet; null: never known. */
export type Measured = number | undefined | null;

const NOT_YET = '·';
const NEVER = '-';
const STEPS = ['', 'k', 'M', 'G', 'T', 'P', 'E'] as const;

/** `0`, `480`, `2.1k`, `40.2k`, `322k`, `1.21M`, `88.4M`: per second, in steps of 1000. At most 5 columns. */
export function rate(bytesPerSecond: Measured, unit: 'bits' | 'bytes'): string {
  if (!isKnown(bytesPerSecond)) return unknown(bytesPerSecond);
  return scaled(unit === 'bits' ? bytesPerSecond * 8 : bytesPerSecond, rateDigits, '');
}

/** `480 B`, `2.1 MB`, `41 MB`, `18.2 GB`, in steps of 1000. At most 7 columns. */
export function bytes(value: Measured | bigint): string {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return isKnown(number) ? `${scaled(number, sizeDigits, ' ')}B` : unknown(number);
}

/** `131,204`. At most 13 columns: from eleven digits on it is `12,346M`. */
export function count(value: Measured): string {
  if (!isKnown(value)) return unknown(value);
  const number = Math.round(value);
  return number <= 9_999_999_999 ? grouped(number) : `${grouped(Math.min(Math.round(number / 1e6), 999_999_999))}M`;
}

/** `412`, `2k`, `98k`, `1.2M`. At most 4 columns. */
export function shortCount(value: Measured): string {
  return isKnown(value) ? scaled(value, shortDigits, '') : unknown(value);
}

/** `9s`, `2m14s`, `1h02m`, `4d11h`, `412d`. At most 6 columns. */
export function age(seconds: Measured): string {
  if (!isKnown(seconds)) return unknown(seconds);
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days >= 100) return `${Math.min(days, 99999)}d`;
  if (days > 0) return `${days}d${twoDigits(hours)}h`;
  if (hours > 0) return `${hours}h${twoDigits(minutes)}m`;
  return minutes > 0 ? `${minutes}m${twoDigits(whole % 60)}s` : `${whole}s`;
}

/**
 * `50 %`, or `16.6 %` with a decimal; `<1 %`, or `<0.1 %`, if it is less. Neither 0 % unless there is nothing, nor 100 % unless that is
 * all. At most 5 columns, 6 with a decimal.
 */
export function percent(part: Measured, whole: number, decimals: 0 | 1 = 0): string {
  if (!isKnown(part)) return unknown(part);
  if (part === 0) return '0 %';
  if (!(whole > 0)) return NEVER;
  if (part >= whole) return `${Math.min(Math.round((part / whole) * 100), 999)} %`;
  const unit = decimals === 0 ? 1 : 0.1;
  const value = (part / whole) * 100;
  return value < unit ? `<${unit} %` : `${Math.min(value, 100 - unit).toFixed(decimals)} %`;
}

const LEVELS = { unicode: [...'▁▂▃▄▅▆▇█'], ascii: [...'.:-=+*#%'] } as const;

/**
 * The last `width` values as bars of 8 heights, the newest on the right and the largest full, unless `most` says what is; a blank for what
 * is not known. Exactly `width` columns.
 */
export function sparkline(values: readonly Measured[], width: number, charset: 'unicode' | 'ascii', most?: number): string {
  const levels = LEVELS[charset];
  const seen = values.slice(Math.max(values.length - width, 0));
  const full = most ?? largest(seen);
  const bar = (value: Measured) => {
    if (!isKnown(value)) return ' ';
    const height = full > 0 ? Math.round((value / full) * (levels.length - 1)) : 0;
    return levels[Math.min(height, levels.length - 1)]!;
  };
  return seen.map(bar).join('').padStart(width);
}

/** `[####----]` or `━━━━━─────`: full from 1 on. Exactly `width` columns, at least the brackets. */
export function gauge(fraction: Measured, width: number, charset: 'unicode' | 'ascii' = 'ascii'): string {
  const inside = Math.max(charset === 'ascii' ? width - 2 : width, 0);
  const full = isKnown(fraction) ? Math.round(clamp(fraction, 0, 1) * inside) : 0;
  if (charset === 'unicode') return '━'.repeat(full) + '─'.repeat(inside - full);
  return `[${'#'.repeat(full)}${'-'.repeat(inside - full)}]`;
}

/** Three digits; of thousands at most one decimal, as 2.1k is as precise as anybody reads. */
function rateDigits(value: number, step: number): string {
  if (step === 0) return whole(value);
  if (step === 1) return decimals(value, value < 99.95 ? 1 : 0);
  return decimals(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

/** One decimal below 10, and from giga on below 100. */
function sizeDigits(value: number, step: number): string {
  if (step === 0) return whole(value);
  return decimals(value, value < (step >= 3 ? 99.95 : 9.95) ? 1 : 0);
}

function shortDigits(value: number, step: number): string {
  if (step === 0) return whole(value);
  return decimals(value, step > 1 && value < 9.95 ? 1 : 0);
}

/** What is there never shows as nothing. */
function whole(value: number): string {
  return `${value > 0 ? Math.max(Math.round(value), 1) : 0}`;
}

function decimals(value: number, places: number): string {
  return value.toFixed(places);
}

/** A number in its step of 1000: the first in which its digits, once rounded, are below 1000. */
function scaled(value: number, digits: (value: number, step: number) => string, space: string): string {
  let scaledValue = value;
  for (let step = 0; step < STEPS.length; step++, scaledValue /= 1000) {
    const text = digits(scaledValue, step);
    if (Number(text) < 1000) return text + space + STEPS[step];
  }
  return `999${space}${STEPS.at(-1)}`;
}

function isKnown(value: Measured): value is number {
  return typeof value === 'number' && value >= 0 && value !== Number.POSITIVE_INFINITY;
}

function unknown(value: Measured): string {
  return value === null ? NEVER : NOT_YET;
}

function largest(values: readonly Measured[]): number {
  let most = 0;
  for (const value of values) if (isKnown(value) && value > most) most = value;
  return most;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function grouped(number: number): string {
  return `${number}`.replace(/\B(?=(\d{3})+$)/g, ',');
}

function twoDigits(value: number): string {
  return `${value}`.padStart(2, '0');
}
