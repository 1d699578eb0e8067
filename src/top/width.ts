// How many columns of a terminal a character takes. Terminals differ about emoji and about characters that are newer than they are, so
// this file also says which widths every terminal agrees on. Source: Unicode Standard Annex 11, by get-east-asian-width.

import { eastAsianWidth } from 'get-east-asian-width';
import { escapeOf, isUnsafe } from '../safe-text.js';

/** The width of a character that a screen leaves out: a joiner, a variation selector, a tag. */
export const INVISIBLE = -1;

const FORMAT = /^[\p{Default_Ignorable_Code_Point}\p{Cf}]$/u;
const MARK = /^\p{M}$/u;

/** First and last of ranges that are one column wide everywhere; no marks, no formats, no emoji of two columns. */
const NARROW = [
  [0x20, 0x7e],
  [0xa1, 0xac],
  [0xae, 0x2ff], // Latin
  [0x370, 0x373], // Greek
  [0x37b, 0x37d],
  [0x391, 0x3a1],
  [0x3a3, 0x482], // Greek, Cyrillic
  [0x48a, 0x52f],
  [0x2010, 0x2027], // dashes, quotation marks, ellipsis
  [0x2190, 0x21ff], // arrows
  [0x2500, 0x25fc], // boxes, blocks, shapes
] as const;

/** The same for two columns. */
const WIDE = [
  [0x3041, 0x3096], // kana
  [0x30a0, 0x30ff],
  [0x4e00, 0x9fa5], // ideographs
  [0xac00, 0xd7a3], // Hangul
  [0xff01, 0xff5e], // full-width ASCII
] as const;

/** Whether every terminal draws this character in as many columns as `codePointWidth` says. */
export function isCertain(codePoint: number): boolean {
  return isWithin(NARROW, codePoint) || isWithin(WIDE, codePoint);
}

/** 1 or 2 columns; 0 for a mark, which joins the character before it; `INVISIBLE`. For characters that are not unsafe. */
export function codePointWidth(codePoint: number): number {
  if (isWithin(NARROW, codePoint)) return 1;
  if (isWithin(WIDE, codePoint)) return 2;
  if (isJoiningJamo(codePoint)) return 0;
  const text = String.fromCodePoint(codePoint);
  if (FORMAT.test(text)) return INVISIBLE;
  return MARK.test(text) ? 0 : eastAsianWidth(codePoint);
}

/** How many columns `Screen.put` takes for a text. Unsafe characters count as their escapes. */
export function textWidth(text: string): number {
  let width = 0;
  for (let at = 0; at < text.length; at++) {
    const codePoint = text.codePointAt(at)!;
    if (codePoint > 0xffff) at++;
    width += isUnsafe(codePoint) ? escapeOf(codePoint).length : Math.max(codePointWidth(codePoint), 0);
  }
  return width;
}

/** Vowels and final consonants, which terminals draw into the consonant before. */
function isJoiningJamo(codePoint: number): boolean {
  return (codePoint > 0x1160 && codePoint <= 0x11ff) || (codePoint >= 0xd7b0 && codePoint <= 0xd7fb);
}

function isWithin(ranges: readonly (readonly [number, number])[], codePoint: number): boolean {
  for (const [first, last] of ranges) if (codePoint <= last) return codePoint >= first;
  return false;
}
