// The pen of a terminal: where the next character goes and how it will look. It returns the shortest sequences that move it and change its
// look, and knows when it has lost its place.

import { type Style, styleChange } from './style.js';

export class Pen {
  /** -1: somewhere in the row, or in no known row. */
  #x = -1;
  #y = -1;
  #look: Style = 0;
  /** Sequences that were needed before: a theme has few. The key is both looks. */
  readonly #changes = new Map<number, string>();

  get look(): Style {
    return this.#look;
  }

  /** How many columns it would have to go to the right to be at a cell; undefined if that is not the way. */
  gapTo(x: number, y: number): number | undefined {
    return this.#y === y && this.#x >= 0 && this.#x <= x ? x - this.#x : undefined;
  }

  moveTo(x: number, y: number): string {
    const gap = this.gapTo(x, y);
    const sameRow = this.#y === y;
    this.#x = x;
    this.#y = y;
    if (gap === 0) return '';
    if (gap === 1) return '\x1b[C';
    if (gap !== undefined) return `\x1b[${gap}C`;
    if (sameRow) return x === 0 ? '\r' : `\x1b[${x + 1}G`;
    return x === 0 ? `\x1b[${y + 1}H` : `\x1b[${y + 1};${x + 1}H`;
  }

  changeLook(style: Style): string {
    if (style === this.#look) return '';
    const key = (this.#look << 9) | style;
    const known = this.#changes.get(key);
    const change = known ?? styleChange(this.#look, style);
    if (known === undefined) this.#changes.set(key, change);
    this.#look = style;
    return change;
  }

  /** Something was written that moved it to the right. */
  advance(columns: number): void {
    this.#x += columns;
  }

  /** Something was written after which terminals differ about the column. */
  loseColumn(): void {
    this.#x = -1;
  }

  /** Blanks the terminal and begins anew, whatever state that is in. */
  blank(): string {
    this.#x = this.#y = 0;
    this.#look = 0;
    return '\x1b[m\x1b[H\x1b[2J';
  }
}
