// Asks before flows are deleted. It makes hard what would delete by mistake: the cursor is on Cancel, pasted text presses nothing, many
// flows need their number typed, and nobody can agree to what is not on the screen yet.

import type { TerminalInput } from './input.js';
import { isKey, LEAVING, type Overlay, type OverlayContext } from './overlay.js';
import { type Area, clickAt, drawFrame, FRAME_COLUMNS, FRAME_ROWS, putBelow, putCut } from './overlay-frame.js';
import type { Screen } from './screen.js';
import { BOLD, COLORS, DIM, REVERSE, UNDERLINE } from './style.js';
import { TextBox } from './text-box.js';
import { type TextLine, TextPane } from './text-pane.js';
import { textWidth } from './width.js';

export interface DeleteQuestion {
  /** `the flow tcp 10.0.0.1:2 → 10.0.0.2:80`, `1,204 flows of src 10.1.4.22`. */
  readonly what: string;
  /** The largest of them, the filter. */
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
  readonly count: number;
  /** The number must be typed. */
  readonly mustType: boolean;
  readonly confirmed: () => void;
  /** It is closed, in whichever way; after `confirmed`. */
  readonly closed?: () => void;
}

type Button = 'cancel' | 'delete';
const BUTTONS: Readonly<Record<Button, string>> = { cancel: '[ Cancel ]', delete: '[ Delete ]' };
const BUTTON_GAP = 2;
/** Cells before lines and warnings. */
const INDENT = 3;
const LEAST_COLUMNS = 40;
const MOST_COLUMNS = 96;
/** Of the field, besides the digits. */
const FIELD_COLUMNS = 4;
const FIELD_GAP = 2;
const NOT_TYPED = 'type it first';
const TYPED = 'Enter again deletes';

export class DeleteDialog implements Overlay {
  readonly #question: DeleteQuestion;
  readonly #field = new TextBox();
  readonly #pane = new TextPane([]);
  #focus: Button = 'cancel';
  /** Somebody has gone to a button since something was typed: Enter presses it. */
  #chosen = false;
  /** What is said beside the field: it is not right yet, or it is and what comes next. */
  #note: 'refused' | 'typed' | undefined;
  /** Where the buttons are; undefined: nobody has seen them yet. */
  #buttons: readonly { readonly button: Button; readonly x: number; readonly y: number }[] | undefined;

  constructor(question: DeleteQuestion) {
    this.#question = question;
  }

  draw(screen: Screen, { ascii }: OverlayContext): void {
    const { what, lines, warnings, mustType } = this.#question;
    const field = mustType
      ? `${this.#fieldLabel}${this.#question.count}${this.#wrong}${TYPED}`.length + FIELD_COLUMNS + FIELD_GAP
      : 0;
    const texts = [`Delete ${what}`, ...lines, ...warnings];
    const wanted = Math.max(LEAST_COLUMNS, field, ...texts.map((text) => textWidth(text) + INDENT));
    const columns = Math.min(wanted, MOST_COLUMNS, screen.columns - FRAME_COLUMNS);
    const bottomRows = mustType ? 2 : 1;
    // Blank lines between the parts, if there is room for them.
    this.#pane.show(this.#lines(true));
    const gap = this.#pane.rowsAt(columns) + 2 * bottomRows <= screen.rows - FRAME_ROWS ? 1 : 0;
    if (gap === 0) this.#pane.show(this.#lines(false));
    const rows = this.#pane.rowsAt(columns) + (1 + gap) * bottomRows;
    const area = drawFrame(screen, 'Delete', { columns, rows }, ascii);
    this.#pane.draw(screen, { ...area, rows: area.rows - (1 + gap) * bottomRows });
    if (this.#pane.place !== undefined) putBelow(screen, area, 'left', this.#pane.place);
    const y = area.y + area.rows - 1;
    screen.hideCursor();
    if (mustType) this.#drawField(screen, area, y - 1 - gap, ascii);
    this.#drawButtons(screen, area, y);
  }

  /** Where not everything can be seen at once, the warnings come first. */
  #lines(roomy: boolean): TextLine[] {
    const blank = roomy ? [{ text: '' }] : [];
    const lines = this.#question.lines.map((text) => ({ text: `   ${text}` }));
    const warnings = this.#question.warnings.map((text) => ({ text: `!  ${text}`, style: COLORS.yellow }));
    const parts = roomy ? [lines, warnings] : [warnings, lines];
    return [
      { text: `Delete ${this.#question.what}?`, style: BOLD },
      ...parts.filter((part) => part.length > 0).flatMap((part) => [...blank, ...part]),
    ];
  }

  #drawField(screen: Screen, { x, columns }: Area, y: number, ascii: boolean): void {
    const from = putCut(screen, x, y, this.#fieldLabel, this.#note === 'refused' ? COLORS.red | BOLD : 0, x + columns, ascii);
    const width = Math.min(String(this.#question.count).length + FIELD_COLUMNS, x + columns - from);
    if (width < 1) return;
    const { text, cursor } = this.#field.view(width);
    screen.fill(from, y, width, ' ', UNDERLINE);
    screen.put(from, y, text, UNDERLINE | (this.#isTyped ? COLORS.green : 0), from + width);
    const at = from + width + FIELD_GAP;
    if (this.#note === 'refused') putCut(screen, at, y, this.#wrong, COLORS.red, x + columns, ascii);
    else if (this.#note === 'typed') putCut(screen, at, y, TYPED, COLORS.green, x + columns, ascii);
    screen.showCursor(from + cursor, y);
  }

  #drawButtons(screen: Screen, { x, columns }: Area, y: number): void {
    const { cancel } = BUTTONS;
    const width = cancel.length + BUTTON_GAP + BUTTONS.delete.length;
    const left = x + Math.max(0, Math.floor((columns - width) / 2));
    this.#buttons = [
      { button: 'cancel', x: left, y },
      { button: 'delete', x: left + cancel.length + BUTTON_GAP, y },
    ];
    for (const place of this.#buttons) {
      const able = place.button === 'cancel' || this.#mayDelete;
      const color = place.button === 'delete' && able ? COLORS.red : 0;
      const look = place.button === this.#focus ? REVERSE | BOLD : able ? 0 : DIM;
      screen.put(place.x, y, BUTTONS[place.button], color | look, x + columns);
    }
  }

  take(input: TerminalInput): boolean {
    const goesOn = this.#take(input);
    if (!goesOn) this.#question.closed?.();
    return goesOn;
  }

  #take(input: TerminalInput): boolean {
    const { count, mustType } = this.#question;
    if (isKey(input, ...LEAVING, 'q', 'n', 'N')) return false;
    if (this.#buttons === undefined) return !isKey(input, 'Enter');
    if (isKey(input, 'y') && count === 1 && !mustType) return this.#press('delete');
    if (isKey(input, 'Enter')) return this.#enter();
    if (isKey(input, 'Tab', 'Shift-Tab')) this.#goTo(this.#focus === 'cancel' ? 'delete' : 'cancel');
    else if (isKey(input, 'Left', 'Right')) this.#goTo(isKey(input, 'Left') ? 'cancel' : 'delete');
    else if (input.type === 'mouse') {
      const button = this.#clicked(input);
      if (button) return this.#press(button);
      this.#pane.take(input);
    } else this.#type(input);
    return true;
  }

  /** Enter behind a number is about the number: the right one leads to Delete, any other is refused. Else it presses the button. */
  #enter(): boolean {
    if (this.#chosen || this.#field.text === '') return this.#press(this.#focus);
    if (this.#isTyped) this.#goTo('delete');
    this.#note = this.#isTyped ? 'typed' : 'refused';
    return true;
  }

  #goTo(button: Button): void {
    this.#focus = button;
    this.#chosen = true;
    this.#note = undefined;
  }

  #press(button: Button): boolean {
    if (button === 'cancel') return false;
    if (!this.#mayDelete) {
      this.#note = 'refused';
      return true;
    }
    this.#question.confirmed();
    return false;
  }

  #clicked(input: TerminalInput): Button | undefined {
    const click = clickAt(input);
    return this.#buttons?.find(
      ({ button, x, y }) => click && click.y === y && click.x >= x && click.x < x + BUTTONS[button].length,
    )?.button;
  }

  #type(input: Exclude<TerminalInput, { readonly type: 'mouse' }>): void {
    const before = this.#field.text;
    if (!this.#question.mustType) this.#pane.take(input);
    else if (input.type === 'paste') this.#field.insert(input.text.trim());
    else if (isKey(input, 'Up', 'Down') || !(/^[\d,]?$/.test(input.text) && this.#field.take(input))) this.#pane.take(input);
    this.#note = undefined;
    if (this.#field.text === before) return;
    this.#focus = 'cancel';
    this.#chosen = false;
  }

  /** What is wrong with what was typed. */
  get #wrong(): string {
    return this.#field.text === '' ? NOT_TYPED : `that is not ${this.#question.count}`;
  }

  get #fieldLabel(): string {
    return `Type ${this.#question.count} to delete: `;
  }

  get #isTyped(): boolean {
    return this.#field.text.replaceAll(',', '') === String(this.#question.count);
  }

  get #mayDelete(): boolean {
    return !this.#question.mustType || this.#isTyped;
  }
}
