// The help of a word, from its row.

import { entry, examples, finish, wrap } from '../cli/help-layout.js';
import type { WordOptionRow, WordRow } from './words.js';

/** What `conntrack WORD --help` prints. At most 100 columns wide. */
export function wordHelp(row: WordRow): string {
  return finish([
    ...wordLine(row).map((line) => line.slice(2)),
    '',
    `Usage: conntrack ${row.name} ${row.synopsis}`.trimEnd(),
    ...row.about.flatMap((text) => ['', ...wrap(text, '')]),
    '',
    'Options:',
    ...Object.entries(row.options).flatMap(([name, option]) => entry(optionTerm(name, option), optionText(option))),
    ...entry('  -h, --help', 'Show this.'),
    ...(row.examples.length > 0 ? ['', 'Examples:', ...examples(row.examples)] : []),
  ]);
}

/** A word and what it does, in two columns. */
export function wordLine(row: WordRow): string[] {
  return entry(`  ${row.name}`, row.help);
}

function optionTerm(name: string, { short, value }: WordOptionRow): string {
  return `  ${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

/** The help of an option, with its choices if the sentence does not name them. */
export function optionText({ help, choices }: WordOptionRow): string {
  const untold = choices?.some((choice) => !help.includes(choice)) ?? false;
  return untold ? `${help} One of ${choices!.join(', ')}.` : help;
}
