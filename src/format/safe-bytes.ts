// Appends text from outside: bytes from the kernel or /proc, usually UTF-8. safe-text.ts defines what is unsafe; how it is escaped
// depends on the place: a line, a word of a line, XML, JSON.

import { escapeOf, escapeOfByte, isUnsafe, jsonEscapeOf } from '../safe-text.js';
import { ByteWriter } from './byte-writer.js';

/** Where text goes. */
export interface Place {
  /** By byte: 1 if it is written unchanged, which is always ASCII. */
  readonly plain: Uint8Array;
  /** Writes any other ASCII character, or an unsafe one beyond ASCII. */
  readonly escape: (codePoint: number) => string;
  /** Writes bytes that are not a character: `size` of them that belong together. */
  readonly broken: (out: ByteWriter, bytes: Uint8Array, at: number, size: number) => void;
  /** Written for an empty text. */
  readonly empty: string;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Within a line. */
export const LINE: Place = { plain: plainBut(''), escape: escapeOf, broken: writeBroken, empty: '' };

/**
 * As one word of a line of `-o save`: nothing in it ends the word for `-R`. The backslash is escaped too, so that a backslash always
 * means an escape, and `-R` knows that the word is not the text itself.
 */
export const WORD: Place = { plain: plainBut(' "\\'), escape: escapeOf, broken: writeBroken, empty: '""' };

/** In an element or an attribute of XML 1.0. Its only control characters are tab, newline and carriage return. */
export const XML: Place = { plain: plainBut('&<>"'), escape: xmlEscapeOf, broken: writeBroken, empty: '' };

/** In a string of JSON. Invalid UTF-8 becomes U+FFFD, as with TextDecoder. */
export const JSON_STRING: Place = { plain: plainBut('"\\'), escape: jsonEscape, broken: writeReplacement, empty: '' };

/**
 * Appends `length` bytes of text from `start` on. It writes at most 6 bytes for each byte, or 2 for an empty text; the caller has made
 * room.
 */
export function writeSafe(out: ByteWriter, bytes: Uint8Array, start: number, length: number, place: Place): void {
  const end = start + length;
  let at = out.copyWhile(bytes, start, end, place.plain);
  while (at < end) at = out.copyWhile(bytes, writeOther(out, bytes, at, end, place), end, place.plain);
  if (length === 0) writeAscii(out, place.empty);
}

/** A text escaped as by `writeSafe`, between `before` and `after`, which are ASCII. */
export function safeBytes(before: string, text: string, place: Place, after: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const out = new ByteWriter(() => {}, before.length + 6 * bytes.length + after.length);
  writeAscii(out, before);
  writeSafe(out, bytes, 0, bytes.length, place);
  writeAscii(out, after);
  return out.bytes.slice(0, out.length);
}

/** Appends the non-plain character at `at`. @returns the position of the next one */
function writeOther(out: ByteWriter, bytes: Uint8Array, at: number, end: number, place: Place): number {
  const first = bytes[at]!;
  const size = first < 0x80 ? 1 : utf8Size(bytes, at, end);
  if (size < 0) {
    place.broken(out, bytes, at, -size);
    return at - size;
  }
  const codePoint = size === 1 ? first : codePointAt(bytes, at, size);
  if (size === 1 || isUnsafe(codePoint)) writeAscii(out, place.escape(codePoint));
  else out.raw(bytes, at, size);
  return at + size;
}

function writeAscii(out: ByteWriter, text: string): void {
  for (let i = 0; i < text.length; i++) out.byte(text.charCodeAt(i));
}

function writeBroken(out: ByteWriter, bytes: Uint8Array, at: number, size: number): void {
  for (let i = 0; i < size; i++) writeAscii(out, escapeOfByte(bytes[at + i]!));
}

const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);

function writeReplacement(out: ByteWriter): void {
  out.raw(REPLACEMENT, 0, REPLACEMENT.length);
}

/** A reference to the character, or the text form if XML does not allow it. */
function xmlEscapeOf(codePoint: number): string {
  const entity = ENTITIES[String.fromCharCode(codePoint)];
  if (entity !== undefined) return entity;
  const allowed = codePoint === 9 || codePoint === 10 || codePoint === 13 || (codePoint >= 0x20 && codePoint < 0xfffe);
  return allowed ? `&#x${codePoint.toString(16)};` : escapeOf(codePoint);
}

function jsonEscape(codePoint: number): string {
  return codePoint === 34 || codePoint === 92 ? `\\${String.fromCharCode(codePoint)}` : jsonEscapeOf(codePoint);
}

/** The safe ASCII characters, except some. */
function plainBut(special: string): Uint8Array {
  const plain = new Uint8Array(256);
  for (let byte = 0; byte < 0x80; byte++) if (!isUnsafe(byte)) plain[byte] = 1;
  for (let i = 0; i < special.length; i++) plain[special.charCodeAt(i)] = 0;
  return plain;
}

/** Bytes of the UTF-8 sequence at `at`, negative if it is broken: that many bytes become one U+FFFD. Source: WHATWG Encoding. */
function utf8Size(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  const more = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
  if (more === 0) return -1;
  let lower = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  let upper = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let n = 1; n <= more; n++) {
    if (at + n >= end || bytes[at + n]! < lower || bytes[at + n]! > upper) return -n;
    lower = 0x80;
    upper = 0xbf;
  }
  return more + 1;
}

/** The character of a valid sequence of 2 to 4 bytes. */
function codePointAt(bytes: Uint8Array, at: number, size: number): number {
  let codePoint = bytes[at]! & (0x7f >> size);
  for (let n = 1; n < size; n++) codePoint = (codePoint << 6) | (bytes[at + n]! & 0x3f);
  return codePoint;
}
