// Which columns of a table fit into a width, and where. Columns come by priority; what is left over goes to those that can use it.

import { safeText } from '../safe-text.js';
import { asciiText } from './ascii-text.js';
import type { Style } from './style.js';
import { textWidth } from './width.js';

/** What the text of a cell depends on, besides its row. */
export interface CellContext {
  readonly unit: 'bits' | 'bytes';
  /** Rates are averages, or of the last interval. */
  readonly averages: boolean;
  readonly ascii: boolean;
  /** Several namespaces are shown. */
  readonly several: boolean;
  /** Columns of the whole screen. */
  readonly width: number;
}

/** From so many columns on, a screen is wide: words are written in full. */
export const WIDE = 100;

/** A column of a table. */
export interface TableColumn<R> {
  readonly name: string;
  title(context: CellContext): string;
  /** Cells that it needs; that it shall have on a wide screen before less important columns come in; and that it can use. */
  readonly least: number;
  readonly good?: number;
  readonly most?: number;
  readonly right?: boolean;
  /** Its cells are bars, which stay as they are in the selected row. */
  readonly chart?: true;
  /** Columns with smaller numbers come first into a narrow table. */
  readonly priority: number;
  /** What the table is sorted by, when this column leads. */
  readonly sort?: string;
  /** The key that chooses that. */
  readonly key?: string;
  /** The text, no wider than `width`. */
  text(row: R, width: number, context: CellContext): string;
  /** How it looks in a row that has no look of its own. */
  style?(row: R): Style;
  /** Whether there is anything to show at all. */
  isUseful?(context: CellContext): boolean;
  /** Whether a row has nothing to show: the column is left out where no row has. */
  isEmpty?(row: R): boolean;
}

/** A column with its place. */
export interface PlacedColumn<R> {
  readonly column: TableColumn<R>;
  readonly x: number;
  readonly width: number;
}

/** The columns that fit between `x` and `end`, one cell between two; the first `hidden` of those that do not all fit are left out. */
export function placeColumns<R>(
  columns: readonly TableColumn<R>[],
  x: number,
  end: number,
  context: CellContext,
  rows: readonly R[] = [],
  hidden = 0,
): PlacedColumn<R>[] {
  const isUseful = (column: TableColumn<R>) =>
    (column.isUseful?.(context) ?? true) && !(column.isEmpty && rows.every((row) => column.isEmpty!(row)));
  const useful = columns.filter(isUseful);
  const ranked = [...useful].sort((a, b) => a.priority - b.priority);
  // The first two say what a row is.
  const wanted = [...ranked.slice(0, 2), ...ranked.slice(2 + hidden)];
  const chosen = new Set<TableColumn<R>>();
  let left = end - x + 1;
  const needed = (column: TableColumn<R>) => (context.width >= WIDE ? (column.good ?? column.least) : column.least);
  for (const column of wanted) {
    if (needed(column) + 1 > left) break;
    chosen.add(column);
    left -= needed(column) + 1;
  }
  const widths = new Map([...chosen].map((column) => [column, needed(column)]));
  // What is left is shared out by turns, the most important first.
  for (let given = true; given && left > 0; ) {
    given = false;
    for (const column of wanted) {
      const width = widths.get(column);
      if (width === undefined || width >= (column.most ?? column.least) || left === 0) continue;
      widths.set(column, width + 1);
      left--;
      given = true;
    }
  }
  let at = x;
  return useful
    .filter((column) => chosen.has(column))
    .map((column) => {
      const width = widths.get(column)!;
      const placed = { column, x: at, width };
      at += width + 1;
      return placed;
    });
}

/** A text in a cell of a width: padded, or cut at its end. */
export function inCell(text: string, width: number, right: boolean, ascii: boolean): string {
  const safe = safeText(ascii ? asciiText(text) : text);
  const own = textWidth(safe);
  if (own > width) return cutEnd(safe, width, ascii);
  const blanks = ' '.repeat(width - own);
  return right ? blanks + safe : safe + blanks;
}

/** The beginning of a text, with a mark where it goes on. Exactly `width` cells, unless the text is shorter. */
export function cutEnd(text: string, width: number, ascii: boolean): string {
  if (textWidth(text) <= width) return text;
  let made = '';
  let used = 0;
  for (const character of text) {
    const size = textWidth(character);
    if (used + size > width - 1) break;
    made += character;
    used += size;
  }
  return `${made}${ellipsis(ascii)}${' '.repeat(Math.max(0, width - used - 1))}`;
}

/** What stands for what was left out. One cell. */
export function ellipsis(ascii: boolean): string {
  return ascii ? '~' : '…';
}
