// Inputs of a terminal for tests, and what a screen shows.

import type { TerminalInput } from '../../src/top/input.js';
import type { Overlay } from '../../src/top/overlay.js';
import { Screen } from '../../src/top/screen.js';

/** A key by its name; one character types itself. */
export function key(name: string): TerminalInput {
  return { type: 'key', key: name, text: [...name].length === 1 ? name : '' };
}

export function paste(text: string, cut = false): TerminalInput {
  return { type: 'paste', text, cut };
}

export function click(x: number, y: number): TerminalInput {
  return { type: 'mouse', action: 'press', button: 'left', x, y, shift: false, alt: false, ctrl: false };
}

export function wheel(action: 'wheel up' | 'wheel down'): TerminalInput {
  return { type: 'mouse', action, button: 'none', x: 0, y: 0, shift: false, alt: false, ctrl: false };
}

/** An overlay on a screen of its own, drawn before and after every input. */
export class OverlayTester {
  readonly screen: Screen;
  readonly #overlay: Overlay;
  readonly #ascii: boolean;
  open = true;

  constructor(overlay: Overlay, { columns = 80, rows = 24, ascii = false } = {}) {
    this.#overlay = overlay;
    this.#ascii = ascii;
    this.screen = new Screen(columns, rows);
    this.#draw();
  }

  /** Takes inputs; a text is the name of a key. */
  take(...inputs: readonly (string | TerminalInput)[]): this {
    for (const input of inputs) {
      if (!this.open) throw new Error('input after it was closed');
      this.open = this.#overlay.take(typeof input === 'string' ? key(input) : input);
      if (this.open) this.#draw();
    }
    return this;
  }

  /** Types a text, one key for each character. */
  type(text: string): this {
    return this.take(...[...text]);
  }

  resize(columns: number, rows: number): this {
    this.screen.resize(columns, rows);
    this.#draw();
    return this;
  }

  /** The rows that are not blank, without blanks around them. */
  get lines(): string[] {
    return Array.from({ length: this.screen.rows }, (_, y) => this.screen.row(y).trim()).filter((row) => row !== '');
  }

  /** The cell where a text is. */
  find(text: string): { readonly x: number; readonly y: number } {
    for (let y = 0; y < this.screen.rows; y++) {
      const x = this.screen.row(y).indexOf(text);
      if (x >= 0) return { x, y };
    }
    throw new Error(`${text} is not on the screen:\n${this.lines.join('\n')}`);
  }

  clickOn(text: string): this {
    const { x, y } = this.find(text);
    return this.take(click(x, y));
  }

  /** The text of a row whose cells have one of these bits in their style. */
  marked(y: number, bits: number): string {
    return this.screen
      .cells(y)
      .filter(({ style }) => (style & bits) === bits)
      .map(({ text }) => text)
      .join('');
  }

  #draw(): void {
    this.screen.clear();
    this.screen.hideCursor();
    this.#overlay.draw(this.screen, { ascii: this.#ascii });
  }
}
