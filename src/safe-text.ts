// Makes text from outside harmless: names of programs, helpers, namespaces and files, texts of the kernel. Characters that could control
// a terminal, end a line or change the direction of writing are escaped. This file has the facts and the code for strings;
// format/safe-bytes.ts has the code for bytes.

/**
 * First and last of each range of characters that are escaped. Zero-width joiners are not among them, because scripts and emoji need
 * them.
 */
const UNSAFE = [
  [0x00, 0x1f], // C0: newline, escape and so on
  [0x7f, 0x9f], // DEL and C1: next line, and the introducers of control sequences in one byte
  [0x061c, 0x061c], // Arabic letter mark, of the bidi controls
  [0x200b, 0x200b], // zero width space
  [0x200e, 0x200f], // bidi marks
  [0x2028, 0x202e], // line and paragraph separators, bidi embeddings and overrides
  [0x2060, 0x206f], // invisible operators, bidi isolates
  [0xd800, 0xdfff], // halves of a surrogate pair, which UTF-8 does not have
  [0xfeff, 0xfeff], // byte order mark
  [0xfffe, 0xffff], // no characters; XML cannot hold them
] as const;

/** Whether a character is escaped. */
export function isUnsafe(codePoint: number): boolean {
  if (codePoint >= 0x20 && codePoint < 0x7f) return false; // nearly all
  for (const [first, last] of UNSAFE) if (codePoint <= last) return codePoint >= first;
  return false;
}

/** `\x0a` for ASCII and for a byte that belongs to no character, `\u{202e}` beyond. */
export function escapeOf(codePoint: number): string {
  return codePoint < 0x80 ? escapeOfByte(codePoint) : `\\u{${codePoint.toString(16)}}`;
}

/** `\xff`: a byte that is not part of a character. */
export function escapeOfByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** `\u202e`, as JSON has it; `codePoint` is below 2^16. */
export function jsonEscapeOf(codePoint: number): string {
  return `\\u${codePoint.toString(16).padStart(4, '0')}`;
}

/** The text with escapes: one line that is safe for any terminal. Safe text is unchanged, so escaping twice does no harm. */
export function safeText(text: string): string {
  return replaced(text, escapeOf);
}

/** As `JSON.stringify`, but with JSON escapes for such characters, so that parsing gives the same text. */
export function safeJson(value: unknown): string {
  return replaced(JSON.stringify(value), jsonEscapeOf);
}

function replaced(text: string, by: (codePoint: number) => string): string {
  let made = '';
  let done = 0;
  for (let at = 0; at < text.length; at++) {
    const codePoint = text.codePointAt(at)!;
    if (codePoint > 0xffff) at++;
    else if (isUnsafe(codePoint)) {
      made += text.slice(done, at) + by(codePoint);
      done = at + 1;
    }
  }
  return done === 0 ? text : made + text.slice(done);
}
