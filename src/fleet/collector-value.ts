// What a collector says of itself in the bucket of collectors.

import { objectOf } from './json-object.js';
import { isName } from './subjects.js';

/** Bytes of a value. */
const MOST_BYTES = 16_384;

/** What a collector says of itself: the value in the bucket. */
export interface CollectorValue {
  readonly v: 1;
  readonly name: string;
  readonly state: 'up' | 'stopped';
  readonly instance: string;
  readonly pid: number;
  readonly agent: string;
  readonly features: readonly string[];
  readonly shards: string;
  /** Messages that wait, and milliseconds for which the first of them has been on the servers. */
  readonly lag: number;
  readonly late: number;
  readonly copies: number;
  readonly rows: number;
  /** Up to when the record of its slowest host is known: microseconds since the epoch; 0: nothing yet. */
  readonly until: number;
}

/** A value of the bucket; `undefined` if it is none. */
export function readCollectorValue({
  key,
  value,
}: {
  readonly key: string;
  readonly value: Uint8Array;
}): CollectorValue | undefined {
  const told = objectOf<keyof CollectorValue>(value, MOST_BYTES);
  if (!isName(key) || told?.v !== 1 || told.name !== key) return undefined;
  const text = (name: keyof CollectorValue) => (typeof told[name] === 'string' ? (told[name] as string).slice(0, 500) : '');
  const number = (name: keyof CollectorValue) => (Number.isSafeInteger(told[name]) ? Math.max(0, told[name] as number) : 0);
  const { features } = told;
  return {
    v: 1,
    name: key,
    state: told.state === 'stopped' ? 'stopped' : 'up',
    instance: text('instance'),
    pid: number('pid'),
    agent: text('agent'),
    features: Array.isArray(features) ? features.slice(0, 100).filter((one): one is string => typeof one === 'string') : [],
    shards: text('shards'),
    lag: number('lag'),
    late: number('late'),
    copies: number('copies'),
    rows: number('rows'),
    until: number('until'),
  };
}
