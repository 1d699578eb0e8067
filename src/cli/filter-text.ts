// Filters in text → FlowFilter, for the command. Loaded only when there is one.

import { closeSync, openSync, readFileSync } from 'node:fs';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import { DEFAULT_LIMITS, FILE_LIMITS, type ParseOptions, parseToFlowFilter } from '../ctnetlink/filter/parser.js';
import { FilterError } from '../errors.js';
import { safeText } from '../safe-text.js';
import { fileReason } from './file-reason.js';
import type { FilterText } from './invocation.js';
import type { LabelSource } from './labels.js';
import { readSome } from './load/line-reader.js';
import { quoted, UsageError } from './usage-error.js';
import { lookUpProtocol } from './values.js';

/** Where names are looked up. */
export interface FilterSources {
  readonly labelSource: LabelSource;
  readProtocols(): string;
}

/** Reads all filters of a command line, which must all hold. @throws UsageError */
export type ReadFilters = (filters: readonly FilterText[], labelMap: string | undefined) => FlowFilter;

export function filterReader(sources: FilterSources): ReadFilters {
  let services: string | undefined;
  return (filters, labelMap) => {
    const of = filters.map((filter) => {
      const { text, name } = textOf(filter);
      const options: ParseOptions = {
        limits: 'file' in filter ? FILE_LIMITS : DEFAULT_LIMITS,
        // A label file that is missing is a warning: it is looked for only where a label is named.
        labels: /\blabel\b/i.test(text) ? sources.labelSource.load(labelMap) : undefined,
        protocols: (wanted) => lookUpProtocol(sources.readProtocols(), wanted),
        services: (wanted) => {
          services ??= readServices();
          return portsOf(services, wanted);
        },
      };
      try {
        return parseToFlowFilter(text, options);
      } catch (error) {
        throw error instanceof FilterError ? refused(error, name, text) : error;
      }
    });
    return of.length === 1 ? of[0]! : { kind: 'all', of };
  };
}

/**
 * Whether words that belong to no option are a filter that somebody forgot to name: `conntrack -D -s 10.0.0.1 'dport 22'`, of which the
 * C tool ignores the end.
 */
export function isFilter(text: string): boolean {
  try {
    parseToFlowFilter(text);
    return true;
  } catch (error) {
    if (error instanceof FilterError) return false;
    throw error;
  }
}

function textOf(filter: FilterText): { readonly text: string; readonly name: string } {
  if ('text' in filter) return { text: filter.text, name: filter.option };
  const { file, option } = filter;
  try {
    return { text: readBounded(file), name: `${option}: ${file === '-' ? 'standard input' : file}` };
  } catch (error) {
    throw new UsageError(`${option}: cannot read ${quoted(file)}: ${fileReason(error)}`, { exitStatus: 1 });
  }
}

/** Bytes of a file that are read: more than the limit of its characters, so that the language refuses what is longer. */
const MAX_BYTES = FILE_LIMITS.length * 4 + 1;

/** A file that need not have an end, such as /dev/zero. */
function readBounded(file: string): string {
  const fd = file === '-' ? 0 : openSync(file, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; size < MAX_BYTES; ) {
      const chunk = Buffer.allocUnsafe(65_536);
      const length = readSome(fd, chunk, 0, null);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
      size += length;
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}

function refused(error: FilterError, name: string, text: string): UsageError {
  const { line, column, problem, hint } = error;
  const place = text.includes('\n') ? `line ${line}, column ${column}` : `column ${column}`;
  return new UsageError(`${name}: ${place}: ${problem}`, {
    hint,
    excerpt: text.trim() === '' ? undefined : excerptOf(error, text),
  });
}

/** Characters of the line that are shown around the place. */
const BEFORE = 40;
const BEHIND = 30;

/** The line, and below it a mark under the place. Each character is one that a terminal may be given, and takes one place in the line. */
function excerptOf({ line, column, length }: FilterError, text: string): readonly [string, string] {
  const characters = [...text.split('\n')[line - 1]!].map((character) => (character === '\t' ? ' ' : safeText(character)));
  const at = column - 1;
  const start = Math.max(0, at - BEFORE);
  const end = Math.min(characters.length, at + Math.max(length, 1) + BEHIND);
  const before = (start > 0 ? '...' : '') + characters.slice(start, at).join('');
  const marked = characters.slice(at, Math.min(end, at + Math.max(length, 1))).join('');
  const behind = characters.slice(Math.min(end, at + Math.max(length, 1)), end).join('') + (end < characters.length ? '...' : '');
  return [before + marked + behind, ' '.repeat(before.length) + '^'.repeat(Math.max(1, Math.min(marked.length, 60)))];
}

function readServices(): string {
  try {
    return readFileSync('/etc/services', 'utf8');
  } catch {
    return '';
  }
}

/** The ports of a name or alias in the text of /etc/services: `name port/protocol alias... # comment`. */
function portsOf(database: string, wanted: string): readonly number[] | undefined {
  const ports = new Set<number>();
  for (const line of database.split('\n')) {
    if (!line.includes(wanted)) continue;
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    const port = /^(\d{1,5})\//.exec(words[1] ?? '')?.[1];
    if (port !== undefined && (words[0] === wanted || words.includes(wanted, 2))) ports.add(Number(port));
  }
  return ports.size === 0 ? undefined : [...ports];
}
