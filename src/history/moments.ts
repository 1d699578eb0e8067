// Times of questions: text ↔ microseconds since the epoch. A time without an offset from UTC is refused: taken for that of another zone,
// it names somebody else.

import { parseTime } from '../ctnetlink/filter/times.js';
import { ValueError } from '../errors.js';

/** From a moment to another, which is not in: microseconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A moment: microseconds since the epoch, or text as `--at` takes it: RFC 3339 with an offset from UTC, `now`, `15m-ago`. */
export type Moment = number | string;

/** From a moment on, and before another. Default: ever. */
export interface TimeSpan {
  readonly from?: Moment | undefined;
  readonly to?: Moment | undefined;
}

const SECOND = 1_000_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1000, s: SECOND, m: 60 * SECOND, h: 3600 * SECOND, d: 86_400 * SECOND };

/**
 * A time as text: RFC 3339 with an offset, `now`, or `15m-ago`. A time without a fraction is that whole second: what others write down
 * they cut so. With one, and for `now`, it is the moment.
 * @param now microseconds since the epoch
 * @throws ValueError
 */
export function parseMoment(text: string, now: number): Span {
  if (text === 'now') return { from: now, to: now + 1 };
  const ago = /^(\d{1,9})(ms|s|m|h|d)-ago$/.exec(text);
  const time = ago ? undefined : parseTime(text.replace(/^(\d{4}-\d\d-\d\d) /, '$1T'));
  if (!ago && time === undefined) throw notAMoment(text);
  const from = ago ? now - Number(ago[1]) * UNITS[ago[2]!]! : Number(time! / 1000n);
  if (from < 0) throw notAMoment(text);
  if (!ago && /\.\d/.test(text)) return { from, to: from + 1 };
  const second = Math.floor(from / SECOND) * SECOND;
  return { from: second, to: second + SECOND };
}

/** A moment, read. @param now milliseconds since the epoch @throws ValueError */
export function readMoment(moment: Moment, now: () => number): Span {
  if (typeof moment === 'string') return parseMoment(moment, Math.floor(now() * 1000));
  if (!Number.isSafeInteger(moment) || moment < 0) throw new ValueError('a moment is microseconds since the epoch, or text');
  return { from: moment, to: moment + 1 };
}

/** A span with both its ends; `undefined`: ever. @param now milliseconds since the epoch @throws ValueError */
export function readSpan({ from, to }: TimeSpan, now: () => number): Span | undefined {
  if (from === undefined && to === undefined) return undefined;
  const span = {
    from: from === undefined ? 0 : readMoment(from, now).from,
    to: to === undefined ? Number.MAX_SAFE_INTEGER : readMoment(to, now).from,
  };
  if (span.to <= span.from) throw new ValueError('the span ends before it begins');
  return span;
}

/** A length of time as text: `2s`, `500ms`. Microseconds. @throws ValueError */
export function parseSpan(text: string): number {
  const parts = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (!parts) throw new ValueError(`${JSON.stringify(text)} is no length of time`, { hint: 'such as 500ms, 2s, 10m' });
  return Number(parts[1]) * UNITS[parts[2]!]!;
}

/** RFC 3339 in UTC with microseconds. */
export function formatMoment(microseconds: number): string {
  const seconds = Math.floor(microseconds / SECOND);
  if (seconds >= 0 && seconds < YEAR_10000) {
    const day = Math.floor(seconds / 86_400);
    const second = seconds - day * 86_400;
    const minute = Math.floor(second / 60);
    const fraction = microseconds - seconds * SECOND + SECOND;
    return `${dateText(day)}T${two(Math.floor(minute / 60))}:${two(minute % 60)}:${two(second % 60)}.${String(fraction).slice(1)}Z`;
  }
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `${microseconds} us`; // of a damaged file
  return `${date.toISOString().slice(0, 19)}.${String(microseconds - seconds * SECOND).padStart(6, '0')}Z`;
}

/** Seconds since the epoch. */
const YEAR_10000 = 253_402_300_800;
const TWO_DIGITS = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'));

function two(number: number): string {
  return TWO_DIGITS[number]!;
}

/** The date of a day since the epoch. `Date` takes ten times as long. Years begin in March, so that a leap day is the last. */
function dateText(day: number): string {
  const since0000 = day + 719_468;
  const era = Math.floor(since0000 / 146_097);
  const dayOfEra = since0000 - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  const year = yearOfEra + era * 400 + (month < 10 ? 0 : 1);
  return `${two(Math.floor(year / 100))}${two(year % 100)}-${two(month < 10 ? month + 3 : month - 9)}-${two(dayOfYear - Math.floor((153 * month + 2) / 5) + 1)}`;
}

function notAMoment(text: string): ValueError {
  const local = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)$/.exec(text);
  const clock = local && (local[2]!.length === 5 ? `${local[2]}:00` : local[2]!);
  const candidates = clock ? candidatesOf(`${local[1]}T${clock}`) : [];
  if (candidates.length === 0)
    return new ValueError(`${JSON.stringify(text)} is no time`, {
      hint:
        hintOf(text) ??
        'RFC 3339 with the offset from UTC, such as 2026-03-01T14:32:15Z or 2026-03-01T15:32:15+01:00; now; 15m-ago',
    });
  return new ValueError(`${JSON.stringify(text)} does not say of which time zone it is`, {
    hint: `give the offset: ${candidates.join(', or ')}`,
  });
}

/** How to write a time that is known, but is not written as RFC 3339 has it. */
function hintOf(text: string): string | undefined {
  const [, digits, more = ''] = /^(\d{9,10})(\d{3})?$/.exec(text) ?? [];
  if (digits !== undefined) {
    const at = new Date(Number(digits + more) * (more === '' ? 1000 : 1)).toISOString();
    return more === ''
      ? `if these are seconds since 1970, it is ${at.slice(0, 19)}Z`
      : `if these are milliseconds since 1970, it is ${at}`;
  }
  const minute = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  if (minute) return `with seconds: ${minute[1]}T${minute[2]}:00${minute[3]}; --within looks before and after`;
  const parts = FORMS.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined);
  if (!parts) return undefined;
  const { date, day = '', month = '', year = '', time, sign, hours, minutes } = parts;
  const number = MONTHS.indexOf(month.toLowerCase()) + 1;
  if (date === undefined && number === 0) return undefined;
  const own = date ?? `${year}-${String(number).padStart(2, '0')}-${day.padStart(2, '0')}`;
  return `write it as ${own}T${time}${sign}${hours}:${minutes}`;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const CLOCK = '(?<time>\\d\\d:\\d\\d:\\d\\d) ?(?<sign>[+-])(?<hours>\\d\\d):?(?<minutes>\\d\\d)';
/** Times of logs that have their offset: of date(1) and ISO 8601, of web servers, of mail. */
const FORMS = [
  new RegExp(`^(?<date>\\d{4}-\\d\\d-\\d\\d)[Tt ]${CLOCK}$`),
  new RegExp(`^\\[?(?<day>\\d{1,2})/(?<month>[A-Za-z]{3})/(?<year>\\d{4}):${CLOCK}\\]?$`),
  new RegExp(`^(?:[A-Za-z]{3}, )?(?<day>\\d{1,2}) (?<month>[A-Za-z]{3}) (?<year>\\d{4}) ${CLOCK}$`),
];

/** What a time without an offset may mean: UTC, and the offsets that this machine has around then; an example if that is UTC. */
function candidatesOf(text: string): string[] {
  const utc = Date.parse(`${text}Z`);
  if (Number.isNaN(utc)) return [];
  const offsets = new Set([utc - 86_400_000, utc, utc + 86_400_000].map((at) => -new Date(at).getTimezoneOffset()));
  const local = [...offsets]
    .filter((offset) => offset !== 0 && -new Date(utc - offset * 60_000).getTimezoneOffset() === offset)
    .map((offset) => {
      const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((n) => String(n).padStart(2, '0'));
      const inUtc = new Date(utc - offset * 60_000).toISOString().replace(/\.\d+Z$/, 'Z');
      return `${text}${offset < 0 ? '-' : '+'}${hours}:${minutes} if it is of the zone of this machine, which is ${inUtc}`;
    });
  const elsewhere = `${text}+01:00 if its clock was an hour ahead of UTC`;
  return [`${text}Z if it is UTC`, ...(local.length > 0 ? local : [elsewhere])];
}
