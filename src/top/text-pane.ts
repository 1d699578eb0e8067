// Lines of text in an area of the screen: wrapped to its width, and scrolled if they are more than its rows.

import { safeText } from '../safe-text.js';
import type { TerminalInput } from './input.js';
import type { Area } from './overlay-frame.js';
import type { Screen } from './screen.js';
import type { Style } from './style.js';
import { textWidth } from './width.js';

export interface TextLine {
  readonly text: string;
  readonly style?: Style;
}

/** Rows that a turn of the wheel goes. */
const WHEEL_ROWS = 3;

export class TextPane {
  #lines: readonly TextLine[] = [];
  #wrapped: readonly TextLine[] = [];
  #first = 0;
  #rows = 1;

  constructor(lines: readonly (string | TextLine)[]) {
    this.show(lines);
  }

  /** Other lines, at the same place. */
  show(lines: readonly (string | TextLine)[]): void {
    this.#lines = lines.map((line) => (typeof line === 'string' ? { text: line } : line));
  }

  /** Columns of the longest line. */
  get columns(): number {
    return this.#lines.reduce((most, { text }) => Math.max(most, textWidth(text)), 0);
  }

  /** Rows that it needs at a width. */
  rowsAt(columns: number): number {
    return this.#wrap(columns).length;
  }

  draw(screen: Screen, { x, y, columns, rows }: Area): void {
    this.#wrapped = this.#wrap(columns);
    this.#rows = Math.max(1, rows);
    this.#scrollTo(this.#first);
    for (const [n, { text, style }] of this.#wrapped.slice(this.#first, this.#first + rows).entries())
      screen.put(x, y + n, text, style ?? 0, x + columns);
  }

  /** Which lines are seen; undefined if all are. */
  get place(): string | undefined {
    const { length } = this.#wrapped;
    if (length <= this.#rows) return undefined;
    return `${this.#first + 1}-${Math.min(this.#first + this.#rows, length)} of ${length}`;
  }

  /** @returns whether it was an input that scrolls */
  take(input: TerminalInput): boolean {
    const to = this.#target(input);
    if (to !== undefined) this.#scrollTo(to);
    return to !== undefined;
  }

  #target(input: TerminalInput): number | undefined {
    if (input.type === 'paste') return undefined;
    switch (input.type === 'key' ? input.key : input.action) {
      case 'Up':
      case 'k':
        return this.#first - 1;
      case 'Down':
      case 'j':
        return this.#first + 1;
      case 'PageUp':
        return this.#first - this.#rows;
      case 'PageDown':
      case ' ':
        return this.#first + this.#rows;
      case 'Home':
        return 0;
      case 'End':
        return this.#wrapped.length;
      case 'wheel up':
        return this.#first - WHEEL_ROWS;
      case 'wheel down':
        return this.#first + WHEEL_ROWS;
      default:
        return undefined;
    }
  }

  #scrollTo(first: number): void {
    this.#first = Math.max(0, Math.min(first, this.#wrapped.length - this.#rows));
  }

  #wrap(columns: number): TextLine[] {
    return this.#lines.flatMap(({ text, style }) =>
      wrapText(text, columns).map((part) => (style === undefined ? { text: part } : { text: part, style })),
    );
  }
}

/**
 * A line in pieces of at most `columns`, broken at blanks where it can be. What follows the first piece is indented as the text is, or, if
 * two or more blanks divide it in columns, as the second column is.
 */
export function wrapText(text: string, columns: number): string[] {
  const safe = safeText(text);
  if (textWidth(safe) <= columns || columns < 1) return [safe];
  const indent = hangingIndent(safe, columns);
  const pieces: string[] = [];
  let piece = '';
  for (const [blanksAndWord] of safe.matchAll(/ *[^ ]+/g)) {
    if (textWidth(piece + blanksAndWord) <= columns) {
      piece += blanksAndWord;
      continue;
    }
    if (piece !== '') pieces.push(piece);
    piece = pieces.length > 0 ? indent : '';
    for (const character of pieces.length > 0 ? blanksAndWord.trimStart() : blanksAndWord) {
      if (textWidth(piece + character) > columns) {
        pieces.push(piece);
        piece = indent;
      }
      piece += character;
    }
  }
  return piece === '' ? pieces : [...pieces, piece];
}

function hangingIndent(text: string, columns: number): string {
  const own = text.length - text.trimStart().length;
  const second = textWidth(/^ *\S+(?: \S+)* {2,}(?=\S)/.exec(text)?.[0] ?? '');
  return ' '.repeat([second, own].find((indent) => indent > 0 && indent <= columns / 2) ?? 0);
}
