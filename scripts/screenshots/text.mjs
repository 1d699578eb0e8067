// A screen of cells as text: its rows; then, where a style is not plain, the same rows with a letter for each style, and what the letters
// mean.

const COLORS = 'black red green yellow blue magenta cyan white gray bright-red bright-green bright-yellow'.split(' ');
const ATTRIBUTES = [
  ['bold', 0x20],
  ['dim', 0x40],
  ['underline', 0x80],
  ['reverse', 0x100],
];

export function toText(screen) {
  const rows = Array.from({ length: screen.rows }, (_, y) => screen.row(y));
  const letters = new Map([[0, ' ']]);
  const letterOf = (style) => {
    if (!letters.has(style)) letters.set(style, String.fromCharCode('a'.charCodeAt(0) + letters.size - 1));
    return letters.get(style);
  };
  const styles = rows.map((_, y) =>
    screen
      .cells(y)
      .map(({ style }) => letterOf(style))
      .join('')
      .trimEnd(),
  );
  const legend = [...letters].filter(([style]) => style !== 0).map(([style, letter]) => `${letter}: ${nameOf(style)}`);
  return `${[...rows, rule(screen), ...styles, rule(screen), ...legend].join('\n')}\n`;
}

function rule({ columns }) {
  return '='.repeat(columns);
}

/** See src/top/style.ts. */
function nameOf(style) {
  const color = style & 0x1f;
  return [...(color === 0 ? [] : [COLORS[color - 1]]), ...ATTRIBUTES.filter(([, bit]) => style & bit).map(([name]) => name)].join(
    ' ',
  );
}
