// A text over the picture, for reading: help, information, command lines.

import type { TerminalInput } from './input.js';
import { isKey, LEAVING, type Overlay, type OverlayContext } from './overlay.js';
import { type Area, clickAt, drawFrame, FRAME_COLUMNS, isInFrame, putBelow } from './overlay-frame.js';
import type { Screen } from './screen.js';
import { type TextLine, TextPane } from './text-pane.js';
import { textWidth } from './width.js';

const CLOSING = [...LEAVING, 'q', 'Enter', '?', 'i', 'F1', 'Backspace'] as const;
const HOW_TO_CLOSE = 'Esc closes';
/** For notes on the border. */
const LEAST_COLUMNS = 32;

export class TextOverlay implements Overlay {
  readonly #title: string;
  readonly #pane: TextPane;
  #area: Area | undefined;

  constructor(title: string, lines: readonly (string | TextLine)[]) {
    this.#title = title;
    this.#pane = new TextPane(lines);
  }

  /** Other lines, at the same place: what is told has changed. */
  show(lines: readonly (string | TextLine)[]): void {
    this.#pane.show(lines);
  }

  draw(screen: Screen, { ascii }: OverlayContext): void {
    const wanted = Math.max(this.#pane.columns, textWidth(this.#title) + 2, LEAST_COLUMNS);
    const columns = Math.min(wanted, screen.columns - FRAME_COLUMNS);
    this.#area = drawFrame(screen, this.#title, { columns, rows: this.#pane.rowsAt(columns) }, ascii);
    this.#pane.draw(screen, this.#area);
    if (this.#pane.place !== undefined) putBelow(screen, this.#area, 'left', this.#pane.place);
    putBelow(screen, this.#area, 'right', HOW_TO_CLOSE);
    screen.hideCursor();
  }

  take(input: TerminalInput): boolean {
    if (isKey(input, ...CLOSING)) return false;
    const click = clickAt(input);
    if (click && this.#area && !isInFrame(this.#area, click)) return false;
    this.#pane.take(input);
    return true;
  }
}
