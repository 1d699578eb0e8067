// The layout of help: two columns, examples, and lines of at most 100 columns.

import { wrapWords } from '../wrap-words.js';

const WIDTH = 100;
/** Column of the help text of an option or a command. */
const TEXT = 32;
/** Column of the explanation of an example. */
const EXAMPLE_TEXT = 52;
/** A non-breaking space, until `finish`. */
export const UNBREAKABLE = '\u00a0';

/** Command lines without the program's name, and what they do. */
export function examples(list: readonly (readonly [string, string])[]): string[] {
  return list.flatMap(([words, meaning]) => {
    const line = `  conntrack ${words}`;
    if (line.length < EXAMPLE_TEXT - 1) return entry(line, meaning, EXAMPLE_TEXT);
    const breakable = words.replace(/ (?!-)/g, UNBREAKABLE); // an option stays with its value
    return [...wrap(`conntrack ${breakable}`, '  ', '      ', ' \\'), `      ${meaning}`];
  });
}

/** A term and its text, in two columns. */
export function entry(term: string, text: string, column = TEXT): string[] {
  const indent = ' '.repeat(column);
  const lines = wrap(text, indent);
  if (term.length + 2 > column) return [term, ...lines];
  return [term.padEnd(column) + (lines[0] ?? '').trimStart(), ...lines.slice(1)];
}

/** Breaks a text into lines; `tail` ends all but the last. */
export function wrap(text: string, first: string, next = first, tail = ''): string[] {
  return wrapWords(text, WIDTH, first, next, tail);
}

/** The text of some lines, ending in a newline. */
export function finish(lines: readonly string[]): string {
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`.replaceAll(UNBREAKABLE, ' ');
}
