// A screen of cells as SVG: a window with text in the columns of the screen, whatever typeface the reader has. Bars and lines are drawn as
// shapes, so that they touch.

const CELL = { width: 8.4, height: 19 };
const FONT_SIZE = 14;
const BASELINE = 14;
const PADDING = 14;
const BAR = 34;

/** What the theme makes of a style: 0 and the 16 colours of src/top/style.ts, and behind everything. */
const BACKGROUND = '#11161d';
const PLAIN = '#d3dae3';
const DIMMED = '#8793a3';
/** Index = colour of a style; a dimmed one is nearer to the background. */
const PALETTE = [
  [PLAIN, DIMMED],
  ['#39424e', '#39424e'],
  ['#ff7b72', '#b35f5c'],
  ['#7ee0a0', '#5a9c74'],
  ['#e9c46a', '#a58d52'],
  ['#79b0ff', '#5a80b5'],
  ['#d2a8ff', '#9579b5'],
  ['#6fd3e0', '#51949e'],
  ['#d3dae3', '#8793a3'],
  ['#8793a3', '#66707e'],
  ['#ffa198', '#b3716b'],
  ['#a5efbd', '#74a785'],
  ['#f4d98f', '#aa9865'],
  ['#a5cbff', '#748eb3'],
  ['#e2c5ff', '#9e8ab3'],
  ['#a2e8f0', '#71a2a8'],
  ['#ffffff', '#b3b3b3'],
];
const BOLD = 0x20;
const DIM = 0x40;
const UNDERLINE = 0x80;
const REVERSE = 0x100;
const COLOR = 0x1f;
/** Bars of eighths from below, the left half of a cell, and a line across. */
const EIGHTHS = '▁▂▃▄▅▆▇█';

/** The screen as an SVG document. `title` stands in the bar of the window, `description` is for who does not see it. */
export function toSvg(screen, { title, description, cursor }) {
  const width = round(screen.columns * CELL.width + 2 * PADDING);
  const height = round(screen.rows * CELL.height + BAR + PADDING);
  const looks = new Map();
  const rows = Array.from({ length: screen.rows }, (_, y) => drawRow(screen.cells(y), y, looks));
  const styles = [...looks].map(([style, name]) => `.${name}{${lookOf(style)}}`).join('');
  const lights = ['#ff5f57', '#febc2e', '#28c840'].map(
    (fill, n) => `<circle cx="${20 + 19 * n}" cy="17" r="5.5" fill="${fill}"/>`,
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="t d">`,
    `<title id="t">${escaped(title)}</title>`,
    `<desc id="d">${escaped(description)}</desc>`,
    `<style>text{font:${FONT_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}${styles}</style>`,
    `<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="9" fill="${BACKGROUND}" stroke="#2d3643"/>`,
    `<path d="M1 ${BAR - 4.5}H${width - 1}" stroke="#222a35"/>`,
    ...lights,
    `<text x="${width / 2}" y="21.5" text-anchor="middle" fill="${DIMMED}">${escaped(title)}</text>`,
    `<g transform="translate(${PADDING} ${BAR})">`,
    ...rows.filter((row) => row !== ''),
    ...(cursor ? [`<path d="${box(cursor.x, cursor.y, 0, 1, 0.12, 0.9)}" fill="${PLAIN}" fill-opacity=".75"/>`] : []),
    '</g>',
    '</svg>',
  ].join('\n')}\n`;
}

function drawRow(cells, y, looks) {
  let out = '';
  for (const run of runsOf(cells, ({ style }) => (style & REVERSE ? style & COLOR : -1)))
    if (run.kind >= 0) out += `<path d="${box(run.x, y, 0, run.length, 0, 1)}" fill="${PALETTE[run.kind][0]}"/>`;
  for (const run of runsOf(cells, ({ style }) => (style & UNDERLINE ? 1 : 0)))
    if (run.kind === 1)
      out += `<path d="M${px(run.x)} ${round(y * CELL.height + 17.5)}h${px(run.length)}" stroke="${DIMMED}" stroke-opacity=".7"/>`;
  for (const { x, length, kind } of runsOf(
    cells,
    ({ text, style }) => `${shapeOf(text) ? 's' : text === ' ' ? ' ' : 't'}${style}`,
  )) {
    if (kind.startsWith('s')) {
      const shapes = cells.slice(x, x + length).map(({ text }) => shapeOf(text));
      out += `<path class="${className(Number(kind.slice(1)), looks)}" d="${joined(shapes, x, y)}"/>`;
    }
  }
  for (const { x, text, style } of textRuns(cells))
    out += `<text class="${className(style, looks)}" x="${px(x)}" y="${round(y * CELL.height + BASELINE)}" textLength="${px([...text].length)}">${escaped(text)}</text>`;
  return out;
}

/** Cells beside each other of which the same is told. */
function runsOf(cells, kindOf) {
  const runs = [];
  for (const [x, cell] of cells.entries()) {
    const kind = kindOf(cell);
    const last = runs.at(-1);
    if (last && last.kind === kind) last.length++;
    else runs.push({ x, length: 1, kind });
  }
  return runs;
}

/** Words of one style with single blanks between them: each stands in its own column. */
function textRuns(cells) {
  const runs = [];
  for (const [x, { text, style }] of cells.entries()) {
    if (text === ' ' || text === '' || shapeOf(text)) continue;
    const last = runs.at(-1);
    const end = last ? last.x + last.length : -2;
    const look = style & ~UNDERLINE;
    if (last && last.style === look && (x === end || (x === end + 1 && cells[end].text === ' '))) {
      last.text += x === end ? text : ` ${text}`;
      last.length = x + 1 - last.x;
    } else runs.push({ x, length: 1, text, style: look });
  }
  return runs;
}

/** The part of its cell that a character fills: from left, right, top and bottom, 0 to 1. */
function shapeOf(text) {
  const eighth = EIGHTHS.indexOf(text);
  // A full one leaves a little of the line above it.
  if (text !== '' && eighth >= 0) return [0, 1, 1 - (0.92 * (eighth + 1)) / 8, 1];
  return { '▌': [0, 0.5, 0, 1], '─': [0, 1, 0.47, 0.53], '━': [0, 1, 0.38, 0.62] }[text];
}

/** Shapes beside each other as one path; those of the same height as one box. */
function joined(shapes, x, y) {
  let path = '';
  for (let n = 0; n < shapes.length; ) {
    const [left, right, top, bottom] = shapes[n];
    let to = n + 1;
    while (right === 1 && left === 0 && to < shapes.length && `${shapes[to]}` === `${shapes[n]}`) to++;
    path += box(x + n, y, left, to - n - 1 + right, top, bottom);
    n = to;
  }
  return path;
}

/** A box in cells: from a cell on, from `left` to `right` cells behind it, and from `top` to `bottom` in its row. */
function box(x, y, left, right, top, bottom) {
  const across = round((right - left) * CELL.width);
  return `M${px(x + left)} ${round((y + top) * CELL.height)}h${across}v${round((bottom - top) * CELL.height)}h${-across}z`;
}

function className(style, looks) {
  const look = style & ~UNDERLINE;
  if (!looks.has(look)) looks.set(look, `s${looks.size}`);
  return looks.get(look);
}

function lookOf(style) {
  const fill = style & REVERSE ? BACKGROUND : PALETTE[style & COLOR][style & DIM ? 1 : 0];
  return `fill:${fill}${style & BOLD ? ';font-weight:700' : ''}`;
}

function px(cells) {
  return round(cells * CELL.width);
}

function round(value) {
  return Math.round(value * 100) / 100;
}

function escaped(text) {
  return text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character]);
}
