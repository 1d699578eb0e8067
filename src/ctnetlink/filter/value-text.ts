// Values of the filter language: text → numbers, in the units of FlowFilter.

import type { LabelMap } from '../label.js';
import { DCCP_ROLES } from '../protocols/dccp.js';
import { bitOfName, STATUS_NAMES } from '../status.js';
import { MAX_COUNT } from './condition.js';
import { STATE_NAMES } from './object-input.js';
import { ICMP_TYPES, OTHER_STATES, PROTOCOL_WORDS, SERVICES, type TestValue } from './terms.js';

/** A range that was read; or what is wrong with the text, as the end of a sentence about it, and what could have been meant. */
export type NumberReading = { readonly range: readonly [number, number] } | Wrong;
export interface Wrong {
  readonly wrong: string;
  readonly repairs?: readonly string[] | undefined;
  /** Names that could have been meant. */
  readonly names?: Iterable<string> | undefined;
}

/** How names are looked up, and how much a text may hold. */
export interface ValueOptions {
  /** Names of labels. */
  readonly labels?: LabelMap | undefined;
  /** The ports of a service that the language does not know. */
  readonly services?: ((name: string) => readonly number[] | undefined) | undefined;
  /** The number of a protocol that the language does not know. */
  readonly protocols?: ((name: string) => number | undefined) | undefined;
}

type NumberKind = Extract<
  TestValue,
  'port' | 'key' | 'number' | 'size' | 'count' | 'duration' | 'seconds' | 'protocol' | 'icmp type' | 'role'
>;

/** What is expected, for messages. */
export const EXPECTED: Readonly<Record<TestValue, string>> = {
  address: 'an address, such as 10.0.0.1 or 2001:db8::/32',
  port: 'a port, such as 443, 8000-8999 or https',
  key: 'a key, 0 to 65535',
  number: 'a number',
  size: 'a size, such as 1500, 1.5M or 4Ki',
  count: 'a number, such as 100 or 1k',
  duration: 'a duration, such as 90, 5m or 1h30m',
  seconds: 'a duration in whole seconds, such as 90 or 5m',
  time: 'a time, such as 2026-11-28T10:00:00Z',
  protocol: 'a protocol, such as tcp or 50',
  state: 'a state, such as established',
  label: 'a label',
  mark: 'a mark, such as 7 or 0x10/0xf0',
  status: 'a status bit, such as src-nat-done',
  text: 'a name',
  role: 'client or server',
  'icmp type': 'an ICMP type, such as 8 or echo-request',
  presence: 'something that a flow may have, such as bytes or helper',
};

/** A number, or two with `-` between. `max` is the largest that the field has. */
export function readRange(
  text: string,
  kind: NumberKind,
  max: number,
  options: ValueOptions,
  icmp: 'icmp' | 'icmpv6',
): NumberReading {
  const one = (part: string, alone: boolean) => readOne(part, kind, options, icmp, alone);
  const whole = one(text, true);
  if (typeof whole === 'number') return whole <= max ? { range: [whole, whole] } : tooLarge(max, kind);
  const other = kind === 'role' ? null : /^(\d+)(?::|\.\.)(\d+)$/.exec(text);
  if (other) return { wrong: "is no range: its ends stand around a '-'", repairs: [`${other[1]}-${other[2]}`] };
  const dash = text.indexOf('-');
  if (dash === text.length - 1 && dash > 0) return { wrong: 'has no end', repairs: [`>= ${text.slice(0, -1)}`] };
  if (dash === 0 && text.length > 1) return { wrong: 'has no beginning', repairs: [`<= ${text.slice(1)}`] };
  const between = /^([^-]+)-([^-]+)$/.exec(text);
  if (!between || kind === 'role') return whole;
  const [from, to] = [one(between[1]!, false), one(between[2]!, false)];
  if (typeof from !== 'number' || typeof to !== 'number') return whole;
  if (from > to) return { wrong: 'ends before it begins', repairs: [`${between[2]}-${between[1]}`] };
  return to <= max ? { range: [from, to] } : tooLarge(max, kind);
}

function tooLarge(max: number, kind: NumberKind): Wrong {
  if (kind === 'size' || kind === 'count' || kind === 'duration') return { wrong: 'is too large' };
  return { wrong: `is above ${max}` };
}

function readOne(text: string, kind: NumberKind, options: ValueOptions, icmp: 'icmp' | 'icmpv6', alone: boolean): number | Wrong {
  const lower = text.toLowerCase().replaceAll('_', '-');
  switch (kind) {
    case 'size':
    case 'count':
      return readSize(text, kind === 'size');
    case 'duration':
    case 'seconds': {
      const milliseconds = readDuration(lower);
      if (typeof milliseconds !== 'number' || kind === 'duration') return milliseconds;
      return milliseconds % 1000 === 0 ? milliseconds / 1000 : { wrong: 'is no whole number of seconds' };
    }
    case 'port': {
      const number = readNumber(text);
      if (typeof number === 'number' || !alone) return number;
      if (/^0\d+$/.test(text)) return number;
      const port = SERVICES.get(lower) ?? onlyOne(options.services?.(lower));
      return port ?? { wrong: 'is neither a port nor the name of a service', names: SERVICES.keys() };
    }
    case 'protocol': {
      const number = readNumber(text);
      if (typeof number === 'number') return number;
      return (
        PROTOCOL_WORDS.get(lower) ??
        options.protocols?.(lower) ?? { wrong: 'is neither a protocol nor its number', names: PROTOCOL_WORDS.keys() }
      );
    }
    case 'icmp type': {
      const number = readNumber(text);
      if (typeof number === 'number') return number;
      return ICMP_TYPES[icmp].get(lower) ?? { wrong: `is no type of ${icmp}`, names: ICMP_TYPES[icmp].keys() };
    }
    case 'role': {
      const role = DCCP_ROLES.indexOf(lower as (typeof DCCP_ROLES)[number]);
      return role >= 0 ? role : { wrong: 'is neither client nor server', names: DCCP_ROLES };
    }
    case 'key':
    case 'number':
      return readNumber(text);
  }
}

function onlyOne(numbers: readonly number[] | undefined): number | undefined {
  return numbers?.length === 1 ? numbers[0] : undefined;
}

/** Decimal without leading zeros, or hexadecimal. */
function readNumber(text: string): number | Wrong {
  if (/^(0|[1-9]\d*|0[xX][0-9a-fA-F]+)$/.test(text)) {
    const number = Number(text);
    return number <= MAX_COUNT ? number : { wrong: 'is too large' };
  }
  if (/^0\d+$/.test(text)) return { wrong: 'has leading zeros', repairs: [text.replace(/^0+(?=\d)/, '')] };
  return { wrong: 'is no number' };
}

const FACTORS: Readonly<Record<string, number>> = {
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** 1500, 1.5M, 4Ki; with B where bytes are meant. */
function readSize(text: string, bytes: boolean): number | Wrong {
  const match = /^(\d+)(?:\.(\d+))?([kmgt]i?)?(b)?$/i.exec(text);
  if (!match || (match[4] && !bytes)) return readNumber(text);
  const [, whole, fraction = '', unit = ''] = match;
  if (unit === '' && fraction === '') return readNumber(whole!);
  const factor = unit === '' ? 1 : FACTORS[unit.toLowerCase()]!;
  if (fraction.length > 15) return { wrong: 'is too precise' };
  const digits = BigInt(whole! + fraction) * BigInt(factor);
  const divisor = 10n ** BigInt(fraction.length);
  if (digits % divisor !== 0n) return { wrong: 'is no whole number' };
  const value = digits / divisor;
  return value <= BigInt(MAX_COUNT) ? Number(value) : { wrong: 'is too large' };
}

const UNITS = [
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** Seconds, or weeks to milliseconds in this order, each once: 1h30m. @returns milliseconds */
function readDuration(text: string): number | Wrong {
  if (/^\d+$/.test(text)) {
    const seconds = readNumber(text);
    return typeof seconds !== 'number' ? seconds : seconds <= MAX_COUNT / 1000 ? seconds * 1000 : { wrong: 'is too large' };
  }
  const parts = [...text.matchAll(/(\d+)(ms|[wdhms])/gy)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return { wrong: 'is no duration' };
  let last = -1;
  let sum = 0;
  for (const [, digits, unit] of parts) {
    const index = UNITS.findIndex(([name]) => name === unit);
    if (index <= last) return { wrong: 'has its units in another order than w, d, h, m, s, ms' };
    last = index;
    sum += Number(digits) * UNITS[index]![1];
  }
  return sum <= MAX_COUNT ? sum : { wrong: 'is too large' };
}

/** A state by the kernel's name. `listen` is the old name of `syn-sent2`. */
export function readState(text: string): { readonly name: string } | Wrong {
  const lower = text.toLowerCase().replaceAll('_', '-');
  const name = (lower === 'listen' ? 'syn-sent2' : lower).toUpperCase().replaceAll('-', '_');
  if (STATE_NAMES.includes(name)) return { name };
  const other = OTHER_STATES.get(lower);
  return { wrong: 'is no state', ...(other ? { repairs: [other] } : { names: STATE_WORDS }) };
}

/** How a state is written. */
export function stateWord(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

export const STATE_WORDS: readonly string[] = STATE_NAMES.map(stateWord);

/** A status bit by the kernel's name. */
export function readStatusBit(text: string): { readonly bit: number } | Wrong {
  const bit = bitOfName(STATUS_NAMES, text.toUpperCase().replaceAll('-', '_'));
  if (bit !== undefined) return { bit };
  const wrong = 'is no status bit';
  return text.toLowerCase() === 'unreplied' ? { wrong, repairs: ['not status seen-reply'] } : { wrong, names: STATUS_WORDS };
}

export const STATUS_WORDS: readonly string[] = STATUS_NAMES.map(stateWord);

/** The highest label that a flow can have. */
const MAX_LABEL_BIT = 127;

/** A label: a bit, or a name; a name of digits stands in quotes. */
export function readLabel(text: string, quoted: boolean, labels: LabelMap | undefined): { readonly bit: number } | Wrong {
  if (!quoted && /^\d+$/.test(text)) {
    const bit = readNumber(text);
    if (typeof bit !== 'number') return bit;
    return bit <= MAX_LABEL_BIT ? { bit } : { wrong: `is above ${MAX_LABEL_BIT}` };
  }
  const bit = labels?.bit(text);
  if (bit !== undefined) return { bit };
  return labels ? { wrong: 'is no label', names: labels.names() } : { wrong: 'is a name, and there is no file of label names' };
}

/** `VALUE/MASK`. */
export function readMaskedMark(text: string): { readonly value: number; readonly mask: number } | Wrong | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const [value, mask] = [readNumber(text.slice(0, slash)), readNumber(text.slice(slash + 1))];
  if (typeof value !== 'number' || typeof mask !== 'number') return { wrong: 'is no mark: VALUE/MASK takes two numbers' };
  if (value > 0xffffffff || mask > 0xffffffff) return { wrong: 'is above 0xffffffff' };
  if ((value & ~mask) !== 0)
    return {
      wrong: 'can match no mark: its value has bits outside the mask',
      // A mask of 0 would match every mark.
      repairs: [mask === 0 ? text.slice(0, slash) : `0x${((value & mask) >>> 0).toString(16)}/0x${mask.toString(16)}`],
    };
  return { value, mask };
}
