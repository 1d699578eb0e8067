// One line of a load file → words. Quoting rules: docs/behaviour.md 4.13.

import { UsageError } from '../usage-error.js';

/** Longest word, and most words of a line, as in the C tool. */
const MAX_WORD = 1023;
const MAX_WORDS = 253;

const TAB = 9;
const SPACE = 32;
const QUOTE = 34;
const BACKSLASH = 92;

/** Words of a line with the column (from 1) each begins at. */
export interface LoadWords {
  readonly words: string[];
  readonly columns: number[];
}

/** Matches anything except words separated by single blanks, which is how all saved lines look. */
const UNUSUAL = /["\t\r]| {2}|^[ #]|^$| $/;

/** The words of a line, as `splitLoadLine` finds them; `undefined` if a short look is not enough. */
export function splitPlainLine(line: string): string[] | undefined {
  if (line.length > MAX_WORD || UNUSUAL.test(line)) return undefined;
  const words = line.split(' ');
  return words.length > MAX_WORDS ? undefined : words;
}

/**
 * Splits a line without its newline. Blanks separate; double quotes hold words together, inside them a backslash takes the next
 * character as it is; a closing quote ends the word. @returns no words for an empty line or a comment
 * @throws UsageError for a word or a line that is too long
 */
export function splitLoadLine(line: string): LoadWords {
  const words: string[] = [];
  const columns: number[] = [];
  const end = line.endsWith('\r') ? line.length - 1 : line.length;
  let at = skipBlanks(line, 0, end);
  if (at === end || line[at] === '#') return { words, columns };
  while (at < end) {
    const start = at;
    while (at < end && !isBlank(line, at) && line.charCodeAt(at) !== QUOTE) at++;
    let word = line.slice(start, at);
    if (line.charCodeAt(at) === QUOTE && at < end) {
      at++;
      for (; at < end && line.charCodeAt(at) !== QUOTE; at++) {
        if (line.charCodeAt(at) === BACKSLASH && at + 1 < end) at++;
        word += line[at];
      }
      at++; // the closing quote, which ends the word
    }
    if (word.length > MAX_WORD) throw new UsageError(`a word of more than ${MAX_WORD} characters`);
    words.push(word);
    columns.push(start + 1);
    if (words.length > MAX_WORDS) throw new UsageError(`more than ${MAX_WORDS} words on one line`);
    at = skipBlanks(line, at, end);
  }
  return { words, columns };
}

function skipBlanks(line: string, from: number, end: number): number {
  let at = from;
  while (at < end && isBlank(line, at)) at++;
  return at;
}

function isBlank(line: string, at: number): boolean {
  const code = line.charCodeAt(at);
  return code === SPACE || code === TAB;
}
