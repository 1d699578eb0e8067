// A screen of cells. One draws the whole picture with `put` and `fill`; `frame` returns what a terminal needs to get from the last picture
// to this one. No text can leave its cell: control characters are escaped as in safe-text.ts, and after a character whose width terminals
// disagree on the cursor is set anew. It expects a terminal that does not wrap lines (CSI ? 7 l).

import { escapeOf, isUnsafe } from '../safe-text.js';
import { asciiText } from './ascii-text.js';
import { Pen } from './pen.js';
import { type Style, withoutColor } from './style.js';
import { codePointWidth, isCertain } from './width.js';

const BLANK = ' ';
/** Stands in the right half of a wide character. */
const RIGHT_HALF = '';
/** A base and four marks; the marks of more than that are not letters. */
const MOST_CHARACTERS = 5;
/** Unchanged cells are written again if that is no longer than to jump over them. */
const SHORT_GAP = 3;
const ASCII = Array.from({ length: 0x7f }, (_, code) => String.fromCharCode(code));

export class Screen {
  columns = 0;
  rows = 0;
  readonly #color: boolean;
  readonly #ascii: boolean;
  /** The picture that is being drawn, and the one that the terminal shows. */
  #text: string[] = [];
  #style = new Uint16Array();
  #shownText: string[] = [];
  #shownStyle = new Uint16Array();
  /** Where the cursor shall be seen; -1: nowhere. */
  #cursorX = -1;
  #cursorY = -1;
  #shownCursor = false;
  #repaint = true;
  readonly #pen = new Pen();

  /** `ascii`: whatever is drawn, the terminal gets no other characters. */
  constructor(columns: number, rows: number, { color = true, ascii = false } = {}) {
    this.#color = color;
    this.#ascii = ascii;
    this.resize(columns, rows);
  }

  /** A blank picture of another size. The next frame paints everything. */
  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.#text = new Array(columns * rows).fill(BLANK);
    this.#style = new Uint16Array(columns * rows);
    this.#shownText = new Array(columns * rows).fill(BLANK);
    this.#shownStyle = new Uint16Array(columns * rows);
    this.hideCursor();
    this.repaint();
  }

  /** The next frame paints everything, whatever the terminal shows. */
  repaint(): void {
    this.#repaint = true;
  }

  /** Blanks the picture. */
  clear(): void {
    this.#text.fill(BLANK);
    this.#style.fill(0);
  }

  /** The cursor is seen at a cell, for who types there. */
  showCursor(x: number, y: number): void {
    const inside = x >= 0 && x < this.columns && y >= 0 && y < this.rows;
    this.#cursorX = inside ? x : -1;
    this.#cursorY = inside ? y : -1;
  }

  hideCursor(): void {
    this.showCursor(-1, -1);
  }

  /**
   * Draws text from a cell on; what lies outside the screen or at `end` and beyond is left out, and the half of a wide character is a
   * blank. @returns the column after the text, also if that is outside.
   */
  put(x: number, y: number, drawn: string, style: Style = 0, end = this.columns): number {
    const text = this.#ascii ? asciiText(drawn) : drawn;
    const limit = y >= 0 && y < this.rows ? Math.min(end, this.columns) : 0;
    const look = this.#color ? style : withoutColor(style);
    const row = y * this.columns;
    let at = x;
    let last = -1; // the cell that a mark joins
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x20 && code < 0x7f) {
        if (at >= 0 && at < limit) {
          this.#set(row + at, ASCII[code]!, look);
          last = row + at;
        } else last = -1;
        at++;
        continue;
      }
      const codePoint = text.codePointAt(i)!;
      if (codePoint > 0xffff) i++;
      if (isUnsafe(codePoint)) {
        at = this.put(at, y, escapeOf(codePoint), style, end);
        last = -1;
        continue;
      }
      const width = codePointWidth(codePoint);
      if (width < 0) continue;
      if (width === 0) {
        if (last >= 0) this.#join(last, codePoint);
        continue;
      }
      last = this.#putCharacter(row, at, limit, codePoint, width, look);
      at += width;
    }
    return at;
  }

  /** Draws one ASCII character or block several times. */
  fill(x: number, y: number, width: number, character: string, style: Style = 0): void {
    for (let at = x; at < x + width; ) {
      const next = this.put(at, y, character, style, x + width);
      if (next === at) return; // nothing that can be seen
      at = next;
    }
  }

  /** Gives cells another style, whatever they hold: a selected row. */
  restyle(x: number, y: number, width: number, style: Style): void {
    if (y < 0 || y >= this.rows) return;
    const look = this.#color ? style : withoutColor(style);
    const row = y * this.columns;
    for (let at = Math.max(x, 0); at < Math.min(x + width, this.columns); at++) {
      this.#style[row + at] = look;
      if (this.#text[row + at] === RIGHT_HALF) this.#style[row + at - 1] = look;
      if (at + 1 < this.columns && this.#text[row + at + 1] === RIGHT_HALF) this.#style[row + at + 1] = look;
    }
  }

  /** The text of a row as drawn, without blanks at its end. */
  row(y: number): string {
    const row = this.#text.slice(y * this.columns, (y + 1) * this.columns);
    return row.join('').trimEnd();
  }

  /** The cells of a row as drawn; an empty text is the right half of a wide character. */
  cells(y: number): { readonly text: string; readonly style: Style }[] {
    const row = y * this.columns;
    return Array.from({ length: this.columns }, (_, x) => ({ text: this.#text[row + x]!, style: this.#style[row + x]! }));
  }

  /** What the terminal needs to show this picture, as one synchronized update; empty if it shows it already. */
  frame(): string {
    let out = this.#repaint ? this.#blankAll() : '';
    for (let y = 0; y < this.rows; y++) out += this.#changedRow(y);
    const cursor = this.#cursorX >= 0;
    if (cursor) out += this.#pen.moveTo(this.#cursorX, this.#cursorY);
    if (cursor !== this.#shownCursor) out += cursor ? '\x1b[?25h' : '\x1b[?25l';
    this.#shownCursor = cursor;
    return out === '' ? '' : `\x1b[?2026h${out}\x1b[?2026l`;
  }

  #blankAll(): string {
    this.#repaint = false;
    this.#shownText.fill(BLANK);
    this.#shownStyle.fill(0);
    this.#shownCursor = false;
    return `\x1b[?25l${this.#pen.blank()}`;
  }

  #changedRow(y: number): string {
    const row = y * this.columns;
    let out = '';
    let spoiled = -1; // a cell into which the character before it may have been drawn
    for (let x = 0; x < this.columns; x++) {
      const i = row + x;
      const text = this.#text[i]!;
      const style = this.#style[i]!;
      const same = text === this.#shownText[i] && style === this.#shownStyle[i];
      this.#shownText[i] = text;
      this.#shownStyle[i] = style;
      if (text === RIGHT_HALF || (same && x !== spoiled)) continue;
      out += this.#jumpTo(x, y) + this.#pen.changeLook(style);
      if (style === 0 && text === BLANK && this.#isBlankFrom(x, y)) {
        this.#shownText.fill(BLANK, i, row + this.columns);
        this.#shownStyle.fill(0, i, row + this.columns);
        return `${out}\x1b[K`;
      }
      const width = this.#text[i + 1] === RIGHT_HALF ? 2 : 1;
      const certain = text.length === 1 && isCertain(text.charCodeAt(0));
      // Where a terminal draws only the left half, the right one shall be blank.
      out += certain || width === 1 ? text : `  \x1b[${x + 1}G${text}`;
      if (certain) this.#pen.advance(width);
      else this.#pen.loseColumn();
      if (!certain) spoiled = x + width;
    }
    return out;
  }

  /** Moves to a cell. What is in between is written again if that is shorter. */
  #jumpTo(x: number, y: number): string {
    const gap = this.#pen.gapTo(x, y);
    const from = y * this.columns + x - (gap ?? 0);
    if (gap === undefined || gap === 0 || gap > SHORT_GAP || !this.#isPlainRun(from, from + gap)) return this.#pen.moveTo(x, y);
    this.#pen.advance(gap);
    return this.#text.slice(from, from + gap).join('');
  }

  /** Whether these cells are ASCII in the look that the pen has. */
  #isPlainRun(from: number, to: number): boolean {
    for (let i = from; i < to; i++) {
      const text = this.#text[i]!;
      if (this.#style[i] !== this.#pen.look || text.length !== 1 || text > '~') return false;
    }
    return true;
  }

  #isBlankFrom(x: number, y: number): boolean {
    for (let i = y * this.columns + x; i < (y + 1) * this.columns; i++)
      if (this.#text[i] !== BLANK || this.#style[i] !== 0) return false;
    return true;
  }

  /** Fills one cell, and blanks the other half of a wide character that was there. */
  #set(i: number, text: string, style: Style): void {
    if (this.#text[i] === RIGHT_HALF) this.#text[i - 1] = BLANK;
    if (this.#text[i + 1] === RIGHT_HALF) this.#text[i + 1] = BLANK;
    this.#text[i] = text;
    this.#style[i] = style;
  }

  /** @returns the cell where the character stands; -1 if none. */
  #putCharacter(row: number, at: number, limit: number, codePoint: number, width: number, style: Style): number {
    const left = at >= 0 && at < limit;
    const right = at + width - 1 >= 0 && at + width - 1 < limit;
    if (left) this.#set(row + at, left && right ? String.fromCodePoint(codePoint) : BLANK, style);
    if (right && width === 2) {
      this.#set(row + at + 1, BLANK, style);
      if (left) this.#text[row + at + 1] = RIGHT_HALF;
    }
    return left && right ? row + at : -1;
  }

  #join(i: number, mark: number): void {
    let characters = 0;
    for (const _ of this.#text[i]!) characters++;
    if (characters < MOST_CHARACTERS) this.#text[i] += String.fromCodePoint(mark);
  }
}
