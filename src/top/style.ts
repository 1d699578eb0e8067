// How a cell of the screen looks: one of the 16 colours of the terminal's theme, and attributes, in one small number. The sequences that
// switch between looks are ECMA-48's SGR.

/** A colour (0 or one of `COLORS`) plus any of `BOLD`, `DIM`, `UNDERLINE` and `REVERSE`; 0 is plain. */
export type Style = number;

/** Colours of the theme; the second eight are the bright ones. */
export const COLORS = {
  black: 1,
  red: 2,
  green: 3,
  yellow: 4,
  blue: 5,
  magenta: 6,
  cyan: 7,
  white: 8,
  gray: 9,
  brightRed: 10,
  brightGreen: 11,
  brightYellow: 12,
  brightBlue: 13,
  brightMagenta: 14,
  brightCyan: 15,
  brightWhite: 16,
} as const satisfies Readonly<Record<string, Style>>;

/** The bits of a style that are a colour. */
const COLOR = 0x1f;
export const BOLD = 0x20;
export const DIM = 0x40;
export const UNDERLINE = 0x80;
export const REVERSE = 0x100;
const ATTRIBUTES = BOLD | DIM | UNDERLINE | REVERSE;

/** The style as a terminal without colours shows it. */
export function withoutColor(style: Style): Style {
  return style & ATTRIBUTES;
}

/** The shortest sequence that turns one look into another. */
export function styleChange(from: Style, to: Style): string {
  if (from === to) return '';
  if (to === 0) return '\x1b[m';
  const fresh = `\x1b[0;${codesOf(to)}m`;
  const lost = from & ~to & ATTRIBUTES;
  const colorOnly = (to & COLOR) === (from & COLOR) ? 0 : to & COLOR;
  const steps = [
    ...(lost & (BOLD | DIM) ? ['22'] : []),
    ...(lost & UNDERLINE ? ['24'] : []),
    ...(lost & REVERSE ? ['27'] : []),
    ...((from & COLOR) !== 0 && (to & COLOR) === 0 ? ['39'] : []),
  ];
  // 22 ends both bold and dim.
  const kept = lost & (BOLD | DIM) ? from & ~(BOLD | DIM) : from;
  const added = codesOf((to & ~kept & ATTRIBUTES) | colorOnly);
  const step = `\x1b[${[...steps, ...(added === '' ? [] : [added])].join(';')}m`;
  return step.length < fresh.length ? step : fresh;
}

function codesOf(style: Style): string {
  const color = style & COLOR;
  const codes = [];
  if (style & BOLD) codes.push(1);
  if (style & DIM) codes.push(2);
  if (style & UNDERLINE) codes.push(4);
  if (style & REVERSE) codes.push(7);
  if (color > 0) codes.push(color <= 8 ? 29 + color : 81 + color);
  return codes.join(';');
}
