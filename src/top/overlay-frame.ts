// The frame around an overlay: a box in the middle of the screen, a title and notes on its border, and text that is cut where it ends.

import { safeText } from '../safe-text.js';
import type { TerminalInput } from './input.js';
import type { Screen } from './screen.js';
import { BOLD, DIM, type Style } from './style.js';
import { textWidth } from './width.js';

/** Cells of the screen, without the frame around them. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly columns: number;
  readonly rows: number;
}

/** Cells that a frame takes to the left and right of what is in it, a blank included; and above and below. */
export const FRAME_COLUMNS = 4;
export const FRAME_ROWS = 2;

interface Border {
  readonly across: string;
  readonly down: string;
  /** From the left above to the right below. */
  readonly corners: readonly [string, string, string, string];
}

const LINES: Border = { across: '─', down: '│', corners: ['┌', '┐', '└', '┘'] };
const ASCII_LINES: Border = { across: '-', down: '|', corners: ['+', '+', '+', '+'] };

/** Draws a frame for so many cells, or as many as there are. @returns the cells in it, which are blank */
export function drawFrame(
  screen: Screen,
  title: string,
  size: { readonly columns: number; readonly rows: number },
  ascii: boolean,
): Area {
  const columns = Math.max(0, Math.min(size.columns, screen.columns - FRAME_COLUMNS));
  const rows = Math.max(0, Math.min(size.rows, screen.rows - FRAME_ROWS));
  const left = Math.floor((screen.columns - columns - FRAME_COLUMNS) / 2);
  const top = Math.floor((screen.rows - rows - FRAME_ROWS) / 2);
  const right = left + columns + FRAME_COLUMNS - 1;
  const bottom = top + rows + 1;
  const { across, down, corners } = ascii ? ASCII_LINES : LINES;
  for (let y = top; y <= bottom; y++) {
    const edge = y === top || y === bottom;
    screen.fill(left, y, right - left, edge ? across : ' ');
    screen.put(left, y, y === top ? corners[0] : edge ? corners[2] : down);
    screen.put(right, y, y === top ? corners[1] : edge ? corners[3] : down);
  }
  const area = { x: left + FRAME_COLUMNS / 2, y: top + 1, columns, rows };
  if (title !== '') putCut(screen, area.x, top, ` ${title} `, BOLD, area.x + columns, ascii);
  return area;
}

/** Writes onto the lower border of a frame, where there is room: at its left or right end. */
export function putBelow(screen: Screen, { x, y, columns, rows }: Area, side: 'left' | 'right', text: string): void {
  const width = textWidth(text) + 2;
  if (width <= columns) screen.put(side === 'left' ? x : x + columns - width, y + rows, ` ${text} `, DIM);
}

/** Draws text up to a column. If there is more of it, the last cell says so. @returns the column after it */
export function putCut(screen: Screen, x: number, y: number, text: string, style: Style, end: number, ascii: boolean): number {
  const safe = safeText(text);
  if (x + textWidth(safe) <= end) return screen.put(x, y, safe, style, end);
  screen.put(x, y, safe, style, end - 1);
  if (x < end) screen.put(end - 1, y, ascii ? '~' : '…', style, end);
  return end;
}

/** Whether an input presses the left button, and if so where: in or outside of an area. */
export function clickAt(input: TerminalInput): { readonly x: number; readonly y: number } | undefined {
  return input.type === 'mouse' && input.action === 'press' && input.button === 'left' ? input : undefined;
}

/** Whether a cell is in an area or on the frame around it. */
export function isInFrame({ x, y, columns, rows }: Area, at: { readonly x: number; readonly y: number }): boolean {
  return at.x >= x - 2 && at.x < x + columns + 2 && at.y >= y - 1 && at.y <= y + rows;
}
