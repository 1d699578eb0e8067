// The lines of *.case files; their grammar is at the top of cases/read.case.

import { splitWords } from './argv.js';

/** One line. */
export interface Case {
  /** Its section. */
  readonly table: string;
  readonly argv: readonly string[];
  /** Exit status of this tool. */
  readonly status: string;
  /** Lines of standard output, if the case says how many. */
  readonly lines: number | undefined;
  /** Known differences that must show, sorted. */
  readonly differences: readonly string[];
  /** Known differences that may or may not show. */
  readonly sometimes: readonly string[];
  /** FILE:LINE. */
  readonly place: string;
}

/** Reads a case file. @throws Error with FILE:LINE for an invalid line. */
export function parseCases(text: string, file: string): Case[] {
  const cases: Case[] = [];
  let table: string | undefined;
  for (const [n, line] of text.split('\n').entries()) {
    const place = `${file}:${n + 1}`;
    if (line === '' || line.startsWith('#')) continue;
    const section = /^\[(\w+)\]$/.exec(line);
    if (section !== null) {
      table = section[1]!;
      continue;
    }
    const [, status, count, ids, words] = /^(\d+)(?: =(\d+))?(?: @(\S+))?(?: (.*))?$/.exec(line) ?? [];
    if (status === undefined || table === undefined) throw new Error(`${place}: neither a case nor a [section]: ${line}`);
    const named = (ids ?? '').replaceAll('_', ' ').split(',').filter(Boolean);
    cases.push({
      table,
      argv: splitWords(words ?? ''),
      status,
      lines: count === undefined ? undefined : Number(count),
      differences: named.filter((id) => !id.endsWith('?')).sort(),
      sometimes: named.filter((id) => id.endsWith('?')).map((id) => id.slice(0, -1)),
      place,
    });
  }
  return cases;
}
