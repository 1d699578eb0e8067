// A table as lines of text, for files and pipes: columns of fixed width, without escapes.

import { inCell, placeColumns, type TableColumn } from './table-layout.js';

/** Cells of a line. */
const WIDTH = 132;

/** The titles, and a line for each row. */
export function printTable<R>(columns: readonly TableColumn<R>[], rows: readonly R[], ascii: boolean, several = false): string[] {
  const context = { unit: 'bits', averages: true, ascii, several, width: WIDTH } as const;
  const placed = placeColumns(columns, 0, WIDTH, context, rows);
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
