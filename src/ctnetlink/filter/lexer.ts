// The text of a filter → tokens. What a word means is decided by the place it stands in, so a word is anything but blanks and punctuation.

import { FilterError, type FilterReason, type TextPlace } from '../../errors.js';

export interface FilterToken {
  readonly kind: 'word' | 'string' | 'punctuation' | 'end';
  /** As written; of a string what it stands for. */
  readonly text: string;
  /** Of a word: in lower case, with `-` for `_`. Of punctuation: the text. Else empty. */
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** Parts of a text, the longest first. */
const PUNCTUATION = ['&&', '||', '!=', '==', '<=', '>=', '(', ')', '{', '}', ',', '!', '=', '<', '>', '&'] as const;
const WORD = /[^\s(){},!=<>&|"'#]+(?:#[^\s(){},!=<>&|"']*)*/y;

/** Where offset `start` to `end` of a text is. */
export function placeOf(text: string, start: number, end: number): TextPlace {
  const before = text.slice(0, start).split('\n');
  return { offset: start, line: before.length, column: [...before.at(-1)!].length + 1, length: Math.max(end - start, 0) };
}

/** @throws FilterError */
export function fail(
  text: string,
  reason: FilterReason,
  at: { readonly start: number; readonly end: number },
  problem: string,
  options?: { hint?: string | undefined; suggestion?: string | undefined },
): never {
  throw new FilterError(reason, problem, placeOf(text, at.start, at.end), options);
}

/** @throws FilterError */
export function tokensOf(text: string): FilterToken[] {
  const tokens: FilterToken[] = [];
  let at = 0;
  while (at < text.length) {
    const c = text[at]!;
    if (c === ' ' || c === '\t' || c === '\n' || c === '\r') at++;
    else if (c === '#') at = endOfLine(text, at);
    else {
      const token = tokenAt(text, at);
      tokens.push(token);
      at = token.end;
    }
  }
  tokens.push({ kind: 'end', text: '', word: '', start: text.length, end: text.length });
  return tokens;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

function tokenAt(text: string, start: number): FilterToken {
  const c = text[start]!;
  if (c === '"' || c === "'") return stringAt(text, start, c);
  const punctuation = PUNCTUATION.find((mark) => text.startsWith(mark, start));
  if (punctuation) return { kind: 'punctuation', text: punctuation, word: punctuation, start, end: start + punctuation.length };
  if (c === '|') fail(text, 'UNKNOWN_WORD', { start, end: start + 1 }, "'|' is no operator", { hint: 'or is written or, or ||' });
  WORD.lastIndex = start;
  const word = WORD.exec(text)?.[0] ?? c;
  const strange = [...word].findIndex((character) => character < '!' || character > '~');
  if (strange >= 0) {
    const from = start + [...word].slice(0, strange).join('').length;
    const character = [...word][strange]!;
    fail(
      text,
      'UNKNOWN_WORD',
      { start: from, end: from + character.length },
      `unexpected character ${JSON.stringify(character)}`,
      {
        hint: 'filters are written in ASCII; a name with other characters stands in quotes',
      },
    );
  }
  return { kind: 'word', text: word, word: word.toLowerCase().replaceAll('_', '-'), start, end: start + word.length };
}

function stringAt(text: string, start: number, quote: string): FilterToken {
  let value = '';
  for (let at = start + 1; at < text.length; at++) {
    const c = text[at]!;
    if (c === quote) return { kind: 'string', text: value, word: '', start, end: at + 1 };
    const next = text[at + 1];
    if (c === '\\' && (next === '"' || next === "'" || next === '\\')) {
      value += next;
      at++;
    } else value += c;
  }
  return fail(text, 'UNBALANCED', { start, end: start + 1 }, 'the quote is not closed', {
    hint: 'a text in quotes ends with the quote that it begins with; in a load file the whole expression stands in double quotes',
  });
}
