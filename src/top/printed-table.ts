// A table as lines of text, for files and pipes: without escapes, and with what a screen has to cut in full.

import { inCell, type PlacedColumn, placeColumns, type TableColumn } from './table-layout.js';
import { textWidth } from './width.js';

/** Cells of a line, as far as columns are chosen. */
const WIDTH = 132;
/** Enough for every text that is not a name. */
const FULL = 120;

/** The titles, and a line for each row. */
export function printTable<R>(columns: readonly TableColumn<R>[], rows: readonly R[], ascii: boolean, several = false): string[] {
  const context = { unit: 'bits', averages: true, ascii, several, width: WIDTH } as const;
  const wide = ({ column, width, x }: PlacedColumn<R>): PlacedColumn<R> => {
    const { most, good, least } = column;
    if (most === undefined || column.chart) return { column, width, x };
    const texts = rows.map((row) => textWidth(column.text(row, FULL, context)));
    return { column, x, width: Math.max(good ?? least, ...texts) };
  };
  const placed = placeColumns(columns, 0, WIDTH, context, rows).map(wide);
  const line = (text: (column: TableColumn<R>, width: number) => string) =>
    placed
      .map(({ column, width }) => inCell(text(column, width), width, column.right ?? false, ascii))
      .join(' ')
      .trimEnd();
  return [
    line((column) => column.title(context)),
    ...rows.map((row) => line((column, width) => column.text(row, width, context))),
  ];
}
