// MetricFamily: metrics of one name, and the rows that they are made from: a fact about each family, and how to read its values.

import { safeText } from '../safe-text.js';

/** Metrics with the same name. */
export interface MetricFamily {
  /** Without the suffix of counters and infos: `conntrack_bytes`, whose samples are `conntrack_bytes_total`. */
  readonly name: string;
  readonly type: MetricType;
  /** What is counted, which is also the end of the name: `bytes`, `seconds`. */
  readonly unit?: string | undefined;
  /** One sentence. */
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

/** `info`: the labels say it all, and the value is 1. */
export type MetricType = 'gauge' | 'counter' | 'info';

/** A value with its labels. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A family, and how its values are read. */
export interface FamilyRow<Context> extends Omit<MetricFamily, 'samples'> {
  readonly labels: readonly string[];
  /** Calls `add` with every value, and those of the labels in their order; what is not known is left out. */
  readonly read: (context: Context, add: AddSample) => void;
}

/** Adds a value with those of the labels, in the order of the row; `undefined`: not known, and without this label. */
export type AddSample = (value: number | undefined, ...labels: readonly (string | undefined)[]) => void;

/** Longest text of a label. */
const MOST_CHARACTERS = 200;

/** Reads all families that have values. Labels come from outside, too: they are made harmless, and if two look the same then, added up. */
export function readFamilies<Context>(rows: readonly FamilyRow<Context>[], context: Context): MetricFamily[] {
  return rows.flatMap(({ name, type, unit, help, labels: names, read }) => {
    const samples = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>();
    read(context, (value, ...given) => {
      if (value === undefined) return;
      const texts = names.flatMap((label, n) => (given[n] === undefined ? [] : [[label, labelText(given[n])] as const]));
      const key = JSON.stringify(texts);
      const known = samples.get(key);
      if (known) known.value += value;
      else samples.set(key, { labels: Object.fromEntries(texts), value });
    });
    return samples.size === 0 ? [] : [{ name, type, unit, help, samples: [...samples.values()] }];
  });
}

function labelText(text: string): string {
  const safe = safeText(text);
  return safe.length <= MOST_CHARACTERS ? safe : `${safeText(safe.slice(0, MOST_CHARACTERS - 1)).slice(0, MOST_CHARACTERS - 1)}…`;
}
