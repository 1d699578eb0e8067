// Filters in text: read, written, explained, completed. The language is described in docs/filters.md.

import { completeFilterText, type FilterCompletion } from '../ctnetlink/filter/complete.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { explainFlowFilter, type FilterExplanation } from '../ctnetlink/filter/explain.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { flatten } from '../ctnetlink/filter/normal.js';
import { type Filter, type FilterInput, toFlowFilter } from '../ctnetlink/filter/object-input.js';
import { type FilterLimits, parseToFlowFilter } from '../ctnetlink/filter/parser.js';
import { toFilter } from '../ctnetlink/filter/to-object.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { ValueError } from '../errors.js';

/** How a filter in text is read. */
export interface ParseFilterOptions {
  /** Names of labels. Without them labels are bits. */
  readonly labels?: LabelMap;
  /** The ports of a service whose name the language does not have. */
  readonly services?: (name: string) => readonly number[] | undefined;
  /** How large the text may be. Default: 4,096 characters, 32 levels, 256 tests, 1,024 values. */
  readonly limits?: Partial<FilterLimits>;
}

/**
 * Reads a filter in text: `tcp and dst port {80, 443}`. The object is plain JSON and can be stored, sent and combined.
 * @throws FilterError that tells the place, and often what could have been meant
 */
export function parseFilter(text: string, options: ParseFilterOptions = {}): Filter {
  return toFilter(parseToFlowFilter(text, options));
}

/** The canonical text of a filter: `parseFilter` reads it as the same filter. @throws ValueError, FilterError */
export function formatFilter(filter: FilterInput, options: { readonly labels?: LabelMap } = {}): string {
  return formatFlowFilter(readFilter(filter), options);
}

/** How a filter is used, for `explainFilter`. */
export interface ExplainFilterOptions {
  /** Default `list`. */
  readonly for?: 'list' | 'events';
  /** Release of the kernel, such as `6.18.1`. */
  readonly kernel?: string;
  /** `net.netfilter.nf_conntrack_acct` and `nf_conntrack_timestamp`. */
  readonly sysctls?: { readonly acct?: number; readonly timestamp?: number };
}

/** What a filter means, what the kernel does of it, and what may surprise. @throws ValueError, FilterError */
export function explainFilter(filter: FilterInput, options: ExplainFilterOptions = {}): FilterExplanation {
  return explainFlowFilter(readFilter(filter), { for: 'list', ...options });
}

/** Words that may stand at `cursor` in the text of a filter, beginning with what is typed of them. */
export function completeFilter(
  text: string,
  cursor: number = text.length,
  options: { readonly labels?: LabelMap } = {},
): readonly FilterCompletion[] {
  return completeFilterText(text, cursor, options);
}

/** A value in a template of `filter`: one, or several of which one must match. */
export type FilterValue = string | number | bigint | readonly (string | number)[];

/**
 * A filter with values in it, which are never read as anything but values.
 *
 * ```ts
 * const ports = [53, 853];
 * conntrack.list(filter`udp and dst ${'192.0.2.53'} and dst port ${ports}`)
 * ```
 *
 * @throws FilterError; ValueError for an empty array, which would match nothing, or everything behind `not`
 */
export function filter(strings: TemplateStringsArray, ...values: readonly FilterValue[]): Filter {
  return parseFilter(strings.reduce((text, part, i) => `${text} ${holeOf(values[i - 1]!)} ${part}`));
}

function holeOf(value: FilterValue): string {
  if (typeof value === 'object') {
    if (value.length === 0) throw new ValueError('an empty array has no values for a filter');
    return `{${value.map(holeOf).join(', ')}}`;
  }
  if (typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0))
    throw new ValueError(`${value} is no value for a filter: numbers are whole and not negative`);
  return typeof value === 'string' ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : String(value);
}

/** A filter of a caller: an object, or text. @throws ValueError, FilterError */
export function readFilter(filter: FilterInput): FlowFilter {
  return typeof filter === 'string' ? parseToFlowFilter(filter) : flatten(toFlowFilter(filter));
}
