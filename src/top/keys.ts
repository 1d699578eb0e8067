// Which key a terminal means: control characters, and the sequences of function keys in the variants of xterm, rxvt, screen and the Linux
// console.

/**
 * A key. `key` is a character or a name (`Enter`, `Tab`, `Backspace`, `Escape`, `Up`, `PageDown`, `F1`), with the modifiers before it in
 * this order: `Ctrl-c`, `Alt-x`, `Ctrl-Alt-x`, `Shift-Tab`. `text` is what it types, if it types something.
 */
export interface KeyInput {
  readonly type: 'key';
  readonly key: string;
  readonly text: string;
}

/** The final letter after ESC O or CSI. */
const LETTERS: Readonly<Record<string, string>> = {
  A: 'Up',
  B: 'Down',
  C: 'Right',
  D: 'Left',
  F: 'End',
  H: 'Home',
  M: 'Enter', // of the keypad
  P: 'F1',
  Q: 'F2',
  R: 'F3',
  S: 'F4',
};

/** The number before `~`. */
const NUMBERS: Readonly<Record<string, string>> = {
  1: 'Home',
  2: 'Insert',
  3: 'Delete',
  4: 'End',
  5: 'PageUp',
  6: 'PageDown',
  7: 'Home',
  8: 'End',
  11: 'F1',
  12: 'F2',
  13: 'F3',
  14: 'F4',
  15: 'F5',
  17: 'F6',
  18: 'F7',
  19: 'F8',
  20: 'F9',
  21: 'F10',
  23: 'F11',
  24: 'F12',
};

/** Control characters that have keys of their own. */
const CONTROLS: Readonly<Record<number, string>> = {
  8: 'Backspace',
  9: 'Tab',
  10: 'Enter',
  13: 'Enter',
  127: 'Backspace',
};

/** Bits of the modifier parameter less one. */
const SHIFT = 1;
const ALT = 2 | 8; // 8 is Meta
const CTRL = 4;

/** A character that can be seen. */
export function keyOf(codePoint: number, alt: boolean): KeyInput {
  const character = String.fromCodePoint(codePoint);
  return alt ? named(`Alt-${character}`) : { type: 'key', key: character, text: character };
}

/** C0 or DEL, except ESC. */
export function keyOfControl(byte: number, alt: boolean): KeyInput {
  const own = CONTROLS[byte];
  if (own !== undefined) return named(withModifiers(own, alt ? ALT : 0));
  // NUL is Ctrl-Space, 1 to 26 are letters, the rest are \ ] ^ _.
  const character = byte === 0 ? ' ' : String.fromCharCode(byte <= 26 ? byte + 0x60 : byte + 0x40);
  return named(withModifiers(character, CTRL | (alt ? ALT : 0)));
}

/** `CSI A`, `CSI 1 ; 5 A`, `ESC O A`. Undefined for what is no key, such as a change of focus. */
export function keyOfLetter(final: string, parameters: string): KeyInput | undefined {
  if (final === 'Z') return named('Shift-Tab');
  const name = LETTERS[final];
  const match = /^(?:1?;)?(\d*)$/.exec(parameters);
  return name === undefined || match === null ? undefined : named(withModifiers(name, modifiersOf(match[1]!)));
}

/** `CSI 3 ~`, `CSI 3 ; 5 ~`. */
export function keyOfFunction(parameters: string): KeyInput | undefined {
  const match = /^(\d{1,2})(?:;(\d*))?$/.exec(parameters);
  const name = match ? NUMBERS[match[1]!] : undefined;
  return name === undefined ? undefined : named(withModifiers(name, modifiersOf(match![2] ?? '')));
}

/** `ESC [ [ A` of the Linux console: F1 to F5. */
export function keyOfConsole(byte: number): KeyInput | undefined {
  return byte >= 0x41 && byte <= 0x45 ? named(`F${byte - 0x40}`) : undefined;
}

function named(key: string): KeyInput {
  return { type: 'key', key, text: '' };
}

function modifiersOf(parameter: string): number {
  const number = Number(parameter);
  return number >= 2 && number <= 16 ? number - 1 : 0;
}

function withModifiers(name: string, modifiers: number): string {
  return (modifiers & CTRL ? 'Ctrl-' : '') + (modifiers & ALT ? 'Alt-' : '') + (modifiers & SHIFT ? 'Shift-' : '') + name;
}
