// Options of the public API, one row each, with what its value must be. They are checked before anything is opened or sent; a slip is a
// ValueError.

import { EVENT_TYPES } from '../ctnetlink/event.js';
import { FLOW_FIELDS } from '../ctnetlink/flow.js';
import { LabelMap } from '../ctnetlink/label.js';
import { show } from '../ctnetlink/members.js';
import { ValueError } from '../errors.js';
import { FLOW_FORMATS } from '../format/format-options.js';
import { nearest, suggest } from '../nearest.js';
import { NetworkNamespace } from '../wire/netns.js';
import {
  type CallOptions,
  type CreateOptions,
  type EventQueueOptions,
  type EventsOptions,
  type FamilyOptions,
  type FlowEventsOptions,
  type FlowFormatOptions,
  type ListOptions,
  OVERFLOW_POLICIES,
  type WatchOptions,
} from './call-options.js';
import { FLOW_LISTS } from './flow-dumps.js';
import type { ConntrackOptions } from './socket-pool.js';

/** @throws ValueError for a value that an option, or a part of one, must not have. Messages call it `name` */
type Check = (value: unknown, name: string) => void;
/** Options by name. `undefined` as a value means "not given". */
export type OptionChecks = Readonly<Record<string, Check>>;
/** A row for each option of a type, and no others. */
type RowsOf<T> = { readonly [K in keyof Required<T>]: Check };

const BOOLEAN = must('be true or false', (value) => typeof value === 'boolean');
const CALLBACK = must('be a function', isFunction);
const SIGNAL = must('be an AbortSignal', isSignal, (value) =>
  isSignal(memberOf(value, 'signal')) ? 'give the signal of the controller' : undefined,
);
/** setsockopt(2) takes an int, and the kernel doubles it. */
const RECEIVE_BUFFER = must('be a whole number from 1 to 1073741823', (value) => isWhole(value) && value < 2 ** 30);
const HIGH_WATER_MARK = must(
  'be a whole number from 1 on, or Infinity',
  (value) => isWhole(value) || value === Number.POSITIVE_INFINITY,
);
const NETNS = must(
  'be a name, a path, a process id or a NetworkNamespace',
  (value) => (typeof value === 'string' && value !== '') || isWhole(value) || value instanceof NetworkNamespace,
);
const TRANSPORT = must('be a function', isFunction, (value) =>
  isFunction(memberOf(value, 'open')) ? 'give its open, such as replay.open' : undefined,
);

/** Of every call. */
export const CALL_OPTIONS = { signal: SIGNAL } as const satisfies RowsOf<CallOptions>;
export const OPEN_OPTIONS = { netns: NETNS, transport: TRANSPORT } as const satisfies RowsOf<ConntrackOptions>;
export const CREATE_OPTIONS = { ...CALL_OPTIONS, mayExist: BOOLEAN } as const satisfies RowsOf<CreateOptions>;
/** Of calls about one family or both. */
export const FAMILY_OPTIONS = { ...CALL_OPTIONS, family: oneOf(['ipv4', 'ipv6']) } as const satisfies RowsOf<FamilyOptions>;
export const LIST_OPTIONS = {
  ...CALL_OPTIONS,
  fields: someOf(FLOW_FIELDS, 0),
  list: oneOf(FLOW_LISTS),
  zero: BOOLEAN,
} as const satisfies RowsOf<ListOptions>;
export const WATCH_OPTIONS = { ...CALL_OPTIONS, receiveBuffer: RECEIVE_BUFFER } as const satisfies RowsOf<WatchOptions>;
const QUEUE_OPTIONS = {
  highWaterMark: HIGH_WATER_MARK,
  overflow: oneOf(OVERFLOW_POLICIES),
  onLost: CALLBACK,
} as const satisfies RowsOf<EventQueueOptions>;
/** Of events of expectations, and of flows beside others. */
export const EVENT_OPTIONS = {
  ...WATCH_OPTIONS,
  ...QUEUE_OPTIONS,
  initial: BOOLEAN,
  resync: BOOLEAN,
  program: BOOLEAN,
} as const satisfies RowsOf<EventsOptions>;
export const FLOW_EVENT_OPTIONS = {
  ...EVENT_OPTIONS,
  types: someOf(EVENT_TYPES, 1),
} as const satisfies RowsOf<FlowEventsOptions>;
/** Of what is printed. */
export const FORMAT_OPTIONS = {
  id: BOOLEAN,
  ktimestamp: BOOLEAN,
  full: BOOLEAN,
  labels: must('be a LabelMap', (value) => value instanceof LabelMap),
  now: must('be milliseconds since the epoch', (value) => Number.isFinite(value) && (value as number) >= 0),
} as const satisfies RowsOf<FlowFormatOptions>;

/** @throws ValueError for an unknown option, or one with a wrong value */
export function checkOptions(options: unknown, rows: OptionChecks): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options) || isSignal(options))
    throw new ValueError(`the options must be an object, not ${isSignal(options) ? 'a signal' : show(options)}`, {
      hint: isSignal(options) ? 'write { signal }' : undefined,
    });
  for (const name in options) {
    const check = Object.hasOwn(rows, name) ? rows[name] : undefined;
    if (!check) throw new ValueError(`there is no option ${show(name)} here`, { hint: suggest(name, Object.keys(rows)) });
    const value = memberOf(options, name);
    if (value !== undefined) check(value, name);
  }
}

/** @throws ValueError for a listener that cannot be called */
export function checkListener(listener: unknown): void {
  CALLBACK(listener, 'the listener');
}

/** @throws ValueError for an unknown form */
export function checkFormat(format: unknown): void {
  FORMAT(format, 'format');
}

/** @throws ValueError for flows or keys that cannot be iterated over */
export function checkIterable(items: unknown, name: string): void {
  ITERABLE(items, name);
}

const FORMAT = oneOf(FLOW_FORMATS);
const ITERABLE = must(
  'be an array, or another iterable or async iterable',
  (value) => isFunction(memberOf(value, Symbol.asyncIterator)) || isFunction(memberOf(value, Symbol.iterator)),
);

function must(what: string, is: (value: unknown) => boolean, hint?: (value: unknown) => string | undefined): Check {
  return (value, name) => {
    if (!is(value)) throw new ValueError(`${name} must ${what}, not ${show(value)}`, { hint: hint?.(value) });
  };
}

function oneOf(words: readonly string[]): Check {
  return must(
    `be one of ${words.join(', ')}`,
    (value) => words.includes(value as string),
    (value) => {
      const word = typeof value === 'string' ? nearest(value, words) : undefined;
      return word === undefined ? undefined : `did you mean ${word}?`;
    },
  );
}

/** An array of some of these words; `least` is how many at least. */
function someOf(words: readonly string[], least: 0 | 1): Check {
  const one = oneOf(words);
  const array = must(
    `be an array of ${words.join(', ')}${least > 0 ? ', with one at least' : ''}`,
    (value) => Array.isArray(value) && value.length >= least,
  );
  return (value, name) => {
    array(value, name);
    for (const [i, item] of (value as readonly unknown[]).entries()) one(item, `${name}[${i}]`);
  };
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

/** A whole number from 1 on. */
function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** Recognized by its members, because signals can come from other realms. */
function isSignal(value: unknown): boolean {
  return typeof memberOf(value, 'aborted') === 'boolean' && isFunction(memberOf(value, 'throwIfAborted'));
}

function memberOf(value: unknown, name: string | symbol): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
