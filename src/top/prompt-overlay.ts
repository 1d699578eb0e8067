// A line at the bottom of the screen in which somebody types: a filter, a search, a number. The line above it tells what is wrong, what
// may be meant, or how to use it.

import { Completions, type CompletionWord } from './completions.js';
import type { TerminalInput } from './input.js';
import { isKey, LEAVING, type Overlay, type OverlayContext } from './overlay.js';
import { putCut } from './overlay-frame.js';
import type { Screen } from './screen.js';
import { BOLD, COLORS, DIM, UNDERLINE } from './style.js';
import { TextBox } from './text-box.js';
import { textWidth } from './width.js';

/** What is wrong with a text. Its place is in UTF-16 units. */
export interface PromptError {
  readonly message: string;
  readonly hint?: string | undefined;
  readonly at?: number | undefined;
  readonly length?: number | undefined;
}

export interface PromptOptions {
  /** Asked before a changed text is drawn, and before `done`. */
  readonly check?: (text: string) => PromptError | undefined;
  /** Words that may stand at the cursor, in place of what is typed of them. */
  readonly complete?: (text: string, cursor: number) => readonly CompletionWord[];
  /** Takes what was entered, and the history for the next prompt. */
  readonly done: (text: string, history: readonly string[]) => void;
  /** Shown while there is nothing else to say. */
  readonly hint?: string;
}

const CUT = 'the pasted text was too long and is cut';

export class PromptOverlay implements Overlay {
  readonly #label: string;
  readonly #options: PromptOptions;
  readonly #box: TextBox;
  #error: PromptError | undefined;
  #completions: Completions | undefined;
  /** What is wrong may be only that the text is not finished. */
  #unfinished = false;
  #cut = false;
  /** The text has changed since it was checked. Text may come faster than pictures: it is checked once for each. */
  #unchecked = true;

  constructor(label: string, text: string, history: readonly string[], options: PromptOptions) {
    this.#label = label;
    this.#options = options;
    this.#box = new TextBox(text, history);
  }

  draw(screen: Screen, { ascii }: OverlayContext): void {
    if (this.#unchecked) this.#check();
    const y = screen.rows - 1;
    this.#drawSaying(screen, y - 1, ascii);
    screen.fill(0, y, screen.columns, ' ');
    const x = screen.put(1, y, this.#label, BOLD, screen.columns - 1);
    const start = /^$|\/$/.test(this.#label) ? x : x + 1; // `/tcp`, `src/24`, but `find: tcp`
    const width = Math.max(1, screen.columns - 1 - start);
    const { text, cursor } = this.#box.view(width);
    screen.put(start, y, text, 0, start + width);
    const before = (units: number) => textWidth(this.#box.text.slice(0, units));
    const { at, length = 1 } = this.#error ?? {};
    if (at !== undefined && !this.#unfinished) {
      const from = before(at) - (before(this.#box.cursor) - cursor);
      const to = from + Math.max(1, before(at + length) - before(at));
      const [left, right] = [Math.max(0, from), Math.min(to, width)];
      screen.restyle(start + left, y, right - left, COLORS.red | UNDERLINE);
    }
    screen.showCursor(start + cursor, y);
  }

  #drawSaying(screen: Screen, y: number, ascii: boolean): void {
    const { hint } = this.#options;
    const saying = this.#completions?.isOpen || this.#cut || this.#error || hint;
    if (!saying) return;
    const end = screen.columns - 1;
    screen.fill(0, y, screen.columns, ' ');
    if (this.#completions?.isOpen) this.#completions.draw(screen, 1, y, end, ascii);
    else if (this.#cut) putCut(screen, 1, y, CUT, COLORS.yellow, end, ascii);
    else if (this.#error) {
      const { message, hint: remedy } = this.#error;
      // Where both do not fit into a line, the hint has the line below.
      const both = remedy === undefined || 1 + textWidth(message) + 2 + textWidth(remedy) <= end;
      if (!both) screen.fill(0, y - 1, screen.columns, ' ');
      const x = putCut(screen, 1, both ? y : y - 1, message, this.#unfinished ? DIM : COLORS.red, end, ascii);
      if (remedy !== undefined) putCut(screen, both ? x + 2 : 1, y, remedy, DIM, end, ascii);
    } else if (hint !== undefined) putCut(screen, 1, y, hint, DIM, end, ascii);
  }

  take(input: TerminalInput): boolean {
    if (isKey(input, ...LEAVING)) return false;
    if (isKey(input, 'Enter')) return !this.#enter();
    if (isKey(input, 'Tab', 'Shift-Tab')) this.#complete(isKey(input, 'Tab') ? 1 : -1);
    else if (input.type !== 'mouse') this.#edit(input);
    return true;
  }

  /** @returns whether the text was right */
  #enter(): boolean {
    this.#changed();
    this.#check();
    this.#unfinished = false;
    if (this.#error) return false;
    this.#options.done(this.#box.text, this.#box.remembered());
    return true;
  }

  #complete(step: 1 | -1): void {
    const { text, cursor } = this.#box;
    const open = this.#completions?.isOpen ? this.#completions : undefined;
    open?.go(step);
    const completions = open ?? new Completions(text, cursor, this.#options.complete?.(text, cursor) ?? []);
    this.#box.set(completions.text, completions.cursor);
    this.#changed();
    this.#completions = completions;
  }

  #edit(input: Exclude<TerminalInput, { readonly type: 'mouse' }>): void {
    const { length } = this.#box.text;
    if (!this.#box.take(input)) return;
    this.#changed();
    this.#cut = input.type === 'paste' && (input.cut || this.#box.text.length - length < input.text.length);
  }

  #changed(): void {
    this.#completions = undefined;
    this.#cut = false;
    this.#unchecked = true;
  }

  #check(): void {
    this.#unchecked = false;
    this.#error = this.#options.check?.(this.#box.text);
    this.#unfinished = this.#error?.at !== undefined && this.#mayGoOn(this.#error.at + (this.#error.length ?? 0));
  }

  /** Whether a text with an error that ends somewhere is the beginning of a right one: as far as is known, it can be completed. */
  #mayGoOn(end: number): boolean {
    const { text, cursor } = this.#box;
    if (cursor < text.length) return false;
    const begun = `${text} `;
    return end >= text.length || (this.#options.complete?.(begun, begun.length).length ?? 0) > 0;
  }
}
