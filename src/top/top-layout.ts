// Where the parts of the screen are: header, a notice, lists, details, footer.

/** Lines of a part. */
export interface Part {
  readonly y: number;
  /** Rows behind its title lines. */
  readonly rows: number;
}

export interface TopLayout {
  readonly header: number;
  readonly notice: number | undefined;
  /** Line of the separator; the titles follow, then the rows. */
  readonly groups: Part | undefined;
  readonly flows: Part | undefined;
  /** Line of the separator, and lines behind it. */
  readonly details: Part | undefined;
  /** What is selected in a line, and the keys; absent on low screens: only keys. */
  readonly summary: number | undefined;
  readonly keys: number;
}

/** What shall be seen. */
export interface Wanted {
  readonly grouped: boolean;
  /** The flows of one group are looked at. */
  readonly drilled: boolean;
  readonly details: boolean;
  readonly notice: boolean;
}

/** Below this there is only a line that says so. */
export const LEAST_COLUMNS = 60;
export const LEAST_ROWS = 10;
/** From so many rows on, groups and the flows of the selected one are both on the screen. */
const BOTH_FROM = 32;
/** Lines of the details; on a screen of fewer columns than that some of them go on in the next line. */
const DETAIL_LINES = 5;
const DETAILS_WIDE = 120;
const WRAPPED_DETAIL_LINES = 8;
/** Separator and titles. */
const TITLES = 2;

export function layOut(
  { columns, rows }: { readonly columns: number; readonly rows: number },
  { grouped, drilled, details, notice }: Wanted,
): TopLayout {
  const header = rows >= 24 ? 4 : rows >= 16 ? 2 : 1;
  const footer = rows >= 16 ? 2 : 1;
  const noticeLine = notice && rows >= 16 ? header : undefined;
  const top = header + (noticeLine === undefined ? 0 : 1);
  const showDetails = details && rows >= 20;
  const detailLines = columns >= DETAILS_WIDE ? DETAIL_LINES : WRAPPED_DETAIL_LINES;
  const end = rows - footer - (showDetails ? detailLines + 1 : 0);
  const both = grouped && rows >= BOTH_FROM;
  const groupsEnd = both ? top + Math.round((end - top) * 0.45) : grouped && !drilled ? end : top;
  const part = (from: number, to: number): Part | undefined =>
    to - from > TITLES ? { y: from, rows: to - from - TITLES } : undefined;
  return {
    header,
    notice: noticeLine,
    groups: part(top, groupsEnd),
    flows: both || !grouped || drilled ? part(groupsEnd, end) : undefined,
    details: showDetails ? { y: end, rows: detailLines } : undefined,
    summary: footer === 2 ? rows - 2 : undefined,
    keys: rows - 1,
  };
}
