// A small box of choices, each with its key.

import type { TerminalInput } from './input.js';
import { isKey, LEAVING, type Overlay, type OverlayContext } from './overlay.js';
import { type Area, clickAt, drawFrame, FRAME_COLUMNS, FRAME_ROWS, isInFrame, putBelow, putCut } from './overlay-frame.js';
import type { Screen } from './screen.js';
import { BOLD, REVERSE } from './style.js';
import { textWidth } from './width.js';

export interface MenuItem {
  readonly key: string;
  readonly text: string;
}

/** Blanks between two columns of items, and around one. */
const GAP = 2;

export class MenuOverlay implements Overlay {
  readonly #title: string;
  readonly #items: readonly MenuItem[];
  readonly #chosen: (key: string) => void;
  #current: number;
  /** Of the last drawing: the area, the items in a column, the width of one, and the first row that is seen. */
  #area: Area = { x: 0, y: 0, columns: 0, rows: 0 };
  #perColumn = 1;
  #width = 1;
  #first = 0;

  /** `current` is the key of the item on which the cursor is; the first one unless told. */
  constructor(title: string, items: readonly MenuItem[], chosen: (key: string) => void, current?: string) {
    this.#title = title;
    this.#items = items;
    this.#chosen = chosen;
    this.#perColumn = Math.max(1, items.length);
    this.#current = Math.max(
      0,
      items.findIndex(({ key }) => key === current),
    );
  }

  draw(screen: Screen, { ascii }: OverlayContext): void {
    const keys = this.#widest(({ key }) => key);
    const room = screen.columns - FRAME_COLUMNS;
    this.#width = Math.min(keys + this.#widest(({ text }) => text) + 2 * GAP, room);
    const most = Math.max(1, Math.floor((room + GAP) / (this.#width + GAP)));
    const inOne = Math.max(1, screen.rows - FRAME_ROWS);
    const columns = Math.min(most, Math.ceil(this.#items.length / inOne));
    this.#perColumn = Math.ceil(this.#items.length / Math.max(1, columns));
    const width = Math.max(columns * (this.#width + GAP) - GAP, Math.min(room, textWidth(this.#title) + 2));
    this.#area = drawFrame(screen, this.#title, { columns: width, rows: this.#perColumn }, ascii);
    const { rows } = this.#area;
    const row = this.#current % this.#perColumn;
    this.#first = Math.max(0, Math.min(Math.max(this.#first, row - rows + 1), row, this.#perColumn - rows));
    for (const [n, item] of this.#items.entries()) this.#drawItem(screen, n, item, keys, ascii);
    if (rows < this.#perColumn) putBelow(screen, this.#area, 'left', `${this.#current + 1} of ${this.#items.length}`);
    screen.hideCursor();
  }

  #drawItem(screen: Screen, n: number, { key, text }: MenuItem, keys: number, ascii: boolean): void {
    const y = (n % this.#perColumn) - this.#first;
    if (y < 0 || y >= this.#area.rows) return;
    const x = this.#area.x + Math.floor(n / this.#perColumn) * (this.#width + GAP);
    const look = n === this.#current ? REVERSE : 0;
    screen.fill(x, this.#area.y + y, this.#width, ' ', look);
    screen.put(x + 1, this.#area.y + y, key, look | BOLD);
    putCut(screen, x + 1 + keys + GAP, this.#area.y + y, text, look, x + this.#width, ascii);
  }

  take(input: TerminalInput): boolean {
    const item = input.type === 'key' ? this.#items.find(({ key }) => key === input.key) : this.#clicked(input);
    if (item) return this.#choose(item);
    if (isKey(input, ...LEAVING, 'q', 'Backspace')) return false;
    if (isKey(input, 'Enter')) return this.#choose(this.#items[this.#current]);
    const click = clickAt(input);
    if (click && !isInFrame(this.#area, click)) return false;
    this.#move(input);
    return true;
  }

  #choose(item: MenuItem | undefined): false {
    if (item) this.#chosen(item.key);
    return false;
  }

  #clicked(input: TerminalInput): MenuItem | undefined {
    const click = clickAt(input);
    const { x, y, rows, columns } = this.#area;
    if (!click || click.x < x || click.x >= x + columns || click.y < y || click.y >= y + rows) return undefined;
    const column = Math.floor((click.x - x) / (this.#width + GAP));
    const row = click.y - y + this.#first;
    return row < this.#perColumn ? this.#items[column * this.#perColumn + row] : undefined;
  }

  #move(input: TerminalInput): void {
    const last = this.#items.length - 1;
    const go = (to: number) => {
      this.#current = Math.max(0, Math.min(to, last));
    };
    if (isKey(input, 'Up', 'k', 'Shift-Tab')) go(this.#current - 1);
    else if (isKey(input, 'Down', 'j', 'Tab')) go(this.#current + 1);
    else if (isKey(input, 'Left') && this.#current >= this.#perColumn) go(this.#current - this.#perColumn);
    else if (isKey(input, 'Right') && this.#current + this.#perColumn <= last) go(this.#current + this.#perColumn);
    else if (isKey(input, 'Home', 'PageUp')) go(0);
    else if (isKey(input, 'End', 'PageDown')) go(last);
    else if (input.type === 'mouse' && input.action === 'wheel up') go(this.#current - 1);
    else if (input.type === 'mouse' && input.action === 'wheel down') go(this.#current + 1);
  }

  #widest(of: (item: MenuItem) => string): number {
    return this.#items.reduce((most, item) => Math.max(most, textWidth(of(item))), 0);
  }
}
