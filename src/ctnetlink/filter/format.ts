// FlowFilter → its canonical text: words as the rows have them first, sets sorted, parentheses only where they are needed. What is
// parsed from it is the same filter.

import type { LabelMap } from '../label.js';
import { DCCP_ROLES } from '../protocols/dccp.js';
import { icmp } from '../protocols/icmp.js';
import { icmpv6 } from '../protocols/icmpv6.js';
import { bitName, STATUS_NAMES } from '../status.js';
import { AF_INET } from '../uapi/in.js';
import { addressTexts } from './address-values.js';
import { type FlowCondition, type FlowFilter, MAX_AGE, MAX_COUNT, type NumberField, type TupleEnd } from './condition.js';
import { flatten } from './normal.js';
import { maxOf } from './number-fields.js';
import { type AddressSet, numbersOf, type Ranges, sizeOf } from './sets.js';
import { protocolWord, TERMS } from './terms.js';
import { formatTime } from './times.js';
import { stateWord } from './value-text.js';

/** How a filter is written. */
export interface FilterTextOptions {
  /** Names of labels; without them labels are numbers. */
  readonly labels?: LabelMap | undefined;
}

/** The canonical text. */
export function formatFlowFilter(filter: FlowFilter, options: FilterTextOptions = {}): string {
  return written(flatten(filter), options, 'alone');
}

type Where = 'alone' | 'all' | 'any' | 'not';

function written(filter: FlowFilter, options: FilterTextOptions, where: Where): string {
  switch (filter.kind) {
    case 'all':
    case 'any': {
      if (filter.of.length === 0) return filter.kind === 'all' ? 'all' : 'none';
      const either = filter.kind === 'any' ? eitherNat(filter.of) : undefined;
      if (either !== undefined) return either;
      const word = filter.kind === 'all' ? ' and ' : ' or ';
      const text = filter.of.map((part) => written(part, options, filter.kind)).join(word);
      return where === 'alone' ? text : `(${text})`;
    }
    case 'not':
      return isFlag(filter.of, false) ?? `not ${written(filter.of, options, 'not')}`;
    default: {
      const parts = conditionTexts(filter, options);
      if (parts.length === 1) return parts[0]!;
      const text = parts.join(' and ');
      return where === 'alone' || where === 'all' ? text : `(${text})`;
    }
  }
}

/** `nat`: the same of source and destination. */
function eitherNat([source, destination, ...more]: readonly FlowFilter[]): string | undefined {
  if (more.length > 0 || !source || !destination) return undefined;
  if (source.kind === 'nat' && destination.kind === 'nat')
    return source.nat === 'src' && destination.nat === 'dst' ? 'nat' : undefined;
  if (source.kind !== 'natTo' || destination.kind !== 'natTo' || source.nat !== 'src' || destination.nat !== 'dst')
    return undefined;
  const [texts, others] = [natToTexts(source), natToTexts(destination)];
  return texts.length === 1 && texts[0] === others[0] ? `nat ${texts[0]}` : undefined;
}

/** The word for a bit that is set, or clear. */
function isFlag(filter: FlowFilter, set: boolean): string | undefined {
  if (filter.kind !== 'status') return undefined;
  return TERMS.find((row) => row.kind === 'flag' && row.bit === filter.bit && row.set === set)?.words[0];
}

/** One test, or several that all must hold. */
function conditionTexts(c: FlowCondition, options: FilterTextOptions): readonly string[] {
  switch (c.kind) {
    case 'family':
      return [c.family === AF_INET ? 'ip' : 'ip6'];
    case 'number':
      return [numberText(c.field, c.ranges)];
    case 'address':
      return [`${endsText(c.ends, 'host')} ${addressesText(c.set)}`];
    case 'port':
      return [`${endsText(c.ends, c.of)} ${rangesText(c.ranges, 0xffff, String)}`];
    case 'state':
      return [`state ${listText(c.names.map(stateWord))}`];
    case 'mark':
      return [markText(c.mask, c.ranges)];
    case 'status':
      return [isFlag(c, true) ?? `status ${stateWord(bitName(STATUS_NAMES, c.bit))}`];
    case 'label':
      return [`label ${listText(c.bits.map((bit) => labelText(bit, options.labels)))}`];
    case 'nat':
      return [`${c.nat === 'src' ? 'snat' : 'dnat'}`];
    case 'natTo': {
      const word = c.nat === 'src' ? 'snat' : 'dnat';
      return natToTexts(c).map((text) => `${word} ${text}`);
    }
    case 'counter': {
      const side = c.side === undefined ? '' : `${c.side === 'original' ? 'orig' : 'reply'} `;
      return [`${side}${c.of} ${rangesText(c.ranges, MAX_COUNT, sizeText)}`];
    }
    case 'age':
      return [`age ${rangesText(c.ranges, MAX_AGE, durationText)}`];
    case 'time': {
      const parts: string[] = [];
      // A nanosecond behind a whole second stands for `>` and `<=`.
      const isBehind = (time: bigint) => time % 1_000_000_000n === 1n;
      if (c.from !== undefined)
        parts.push(`${c.of} ${isBehind(c.from) ? `> ${formatTime(c.from - 1n)}` : `>= ${formatTime(c.from)}`}`);
      if (c.before !== undefined)
        parts.push(`${c.of} ${isBehind(c.before) ? `<= ${formatTime(c.before - 1n)}` : `< ${formatTime(c.before)}`}`);
      return parts;
    }
    case 'text':
      return [`${c.field} ${listText(c.values.map(textText))}`];
    case 'has':
      return [`has ${c.what}`];
  }
}

function natToTexts({ set, ports }: Extract<FlowCondition, { kind: 'natTo' }>): string[] {
  const texts: string[] = [];
  if (set) texts.push(`to ${addressesText(set)}`);
  if (ports) texts.push(`to port ${rangesText(ports, 0xffff, String)}`);
  return texts;
}

const NUMBER_WORDS: Readonly<Record<Exclude<NumberField, 'protocol' | 'role'>, string>> = {
  icmpType: `${protocolWord(icmp.number)} type`,
  icmpCode: `${protocolWord(icmp.number)} code`,
  icmpId: `${protocolWord(icmp.number)} id`,
  icmpv6Type: `${protocolWord(icmpv6.number)} type`,
  icmpv6Code: `${protocolWord(icmpv6.number)} code`,
  icmpv6Id: `${protocolWord(icmpv6.number)} id`,
  zone: 'zone',
  originalZone: 'orig zone',
  replyZone: 'reply zone',
  id: 'id',
  timeout: 'timeout',
  use: 'use',
  secmark: 'secmark',
  vtagOriginal: 'orig vtag',
  vtagReply: 'reply vtag',
};

/** So many protocols are written by name. */
const MOST_NAMES = 8;

function numberText(field: NumberField, ranges: Ranges): string {
  if (field === 'role') return `role ${rangesText(ranges, 1, (role) => DCCP_ROLES[role]!)}`;
  if (field !== 'protocol') {
    const value = field === 'timeout' ? (seconds: number) => durationText(seconds * 1000) : String;
    return `${NUMBER_WORDS[field]} ${rangesText(ranges, maxOf(field), value)}`;
  }
  const few = sizeOf(ranges) <= MOST_NAMES ? numbersOf(ranges).map((n) => protocolWord(n) ?? String(n)) : undefined;
  if (few?.length === 1 && protocolWord(ranges[0]!) !== undefined) return few[0]!;
  return `proto ${few ? listText(few) : rangesText(ranges, 0xff, String)}`;
}

/** The words for some ends, which are those of one test. */
function endsText(ends: readonly TupleEnd[], what: 'host' | 'port' | 'key'): string {
  const sides = new Set(ends.map(({ side }) => side));
  const [first] = ends;
  if (sides.size > 1) return what;
  const side = first!.side === 'original' ? '' : `${first!.side} `;
  if (ends.length === 1) return `${side}${first!.end}${what === 'host' ? '' : ` ${what}`}`;
  return `${first!.side === 'original' ? 'orig ' : side}${what}`;
}

function listText(items: readonly string[]): string {
  return items.length === 1 ? items[0]! : `{${items.join(', ')}}`;
}

/** Numbers, ranges, or a comparison where one bound is that of the field. `one`: how a number alone is written. */
function rangesText(ranges: Ranges, max: number, value: (n: number) => string, one = value): string {
  const [from, to] = ranges as readonly [number, number];
  if (ranges.length === 2 && from !== to) {
    if (to === max) return from === 0 ? `>= ${value(0)}` : shorter(`> ${value(from - 1)}`, `>= ${value(from)}`);
    if (from === 0) return shorter(`<= ${value(to)}`, `< ${value(to + 1)}`);
  }
  const items: string[] = [];
  for (let i = 0; i < ranges.length; i += 2)
    items.push(ranges[i] === ranges[i + 1] ? one(ranges[i]!) : `${value(ranges[i]!)}-${value(ranges[i + 1]!)}`);
  return listText(items);
}

function shorter(a: string, b: string): string {
  return b.length < a.length ? b : a;
}

function addressesText(set: AddressSet): string {
  return listText(addressTexts(set));
}

function markText(mask: number, ranges: Ranges): string {
  if (mask === 0xffffffff) return `mark ${rangesText(ranges, 0xffffffff, String)}`;
  const hex = (n: number) => `0x${n.toString(16)}`;
  if (ranges.length === 2 && ranges[0] === ranges[1] && (ranges[0]! & ~mask) === 0) return `mark ${hex(ranges[0]!)}/${hex(mask)}`;
  const text = rangesText(ranges, 0xffffffff, hex);
  return `mark & ${hex(mask)} ${/^[<>]/.test(text) ? text : `= ${text}`}`;
}

const SIZE_UNITS = [
  ['Ti', 2 ** 40],
  ['T', 1e12],
  ['Gi', 2 ** 30],
  ['G', 1e9],
  ['Mi', 2 ** 20],
  ['M', 1e6],
  ['Ki', 2 ** 10],
  ['k', 1e3],
] as const;

/** In the largest unit that stays exact. */
function sizeText(value: number): string {
  const unit = value === 0 ? undefined : SIZE_UNITS.find(([, factor]) => value % factor === 0);
  return unit ? `${value / unit[1]}${unit[0]}` : String(value);
}

const DURATION_UNITS = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** Of milliseconds: seconds alone without a unit, more in all units that it takes. */
function durationText(milliseconds: number): string {
  if (milliseconds % 1000 === 0 && milliseconds < 60_000) return String(milliseconds / 1000);
  let rest = milliseconds;
  let text = '';
  for (const [unit, size] of DURATION_UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

function labelText(bit: number, labels: LabelMap | undefined): string {
  const name = labels?.name(bit);
  return name === undefined ? String(bit) : /^\d+$/.test(name) ? quoted(name) : textText(name);
}

/** Bare where it is one word that cannot be taken for another. */
function textText(text: string): string {
  return /^[A-Za-z0-9_.:/-]+$/.test(text) && !/^(and|or|not|in)$/i.test(text) ? text : quoted(text);
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
