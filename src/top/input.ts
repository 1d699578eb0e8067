// Bytes from a terminal → keys, mouse, pasted text. Pure: the caller tells the time, and asks `deadline` when to come back for an escape
// or a paste that may not be finished. Any bytes are taken, in any pieces; what means nothing is dropped. Sources: ECMA-48, xterm's
// ctlseqs, the Linux console's console_codes(4).

import { isUnsafe } from '../safe-text.js';
import { type KeyInput, keyOf, keyOfConsole, keyOfControl, keyOfFunction, keyOfLetter } from './keys.js';
import { type MouseInput, mouseOf } from './mouse.js';

/** Text that was pasted, one line of harmless characters, at most 64 KiB; `cut` if there was more. */
export interface PasteInput {
  readonly type: 'paste';
  readonly text: string;
  readonly cut: boolean;
}

export type TerminalInput = KeyInput | MouseInput | PasteInput;

/** Milliseconds after which an escape that goes on with nothing is the key Escape. */
export const ESCAPE_TIME = 50;
/** Milliseconds after the last byte of a paste whose end is lost. */
export const PASTE_TIME = 2000;
/** The most bytes of a paste that are kept. */
export const PASTE_LIMIT = 64 * 1024;

const ESC = 0x1b;
const BEL = 0x07;
const BACKSLASH = 0x5c;
/** No terminal sends a longer sequence that means something here. */
const SEQUENCE_LIMIT = 32;
/** What follows CSI M, on terminals that do not know SGR mouse coordinates. */
const OLD_MOUSE_BYTES = 3;
const PASTE_BEGIN = '200~';
const PASTE_END = [ESC, 0x5b, 0x32, 0x30, 0x31, 0x7e] as const; // ESC [201~

/**
 * What the next byte belongs to: nothing yet; a character of several bytes; ESC; ESC [; ESC [ [; ESC O; a mouse report to skip; a string
 * such as OSC to skip; a paste.
 */
type State = 'ground' | 'character' | 'escape' | 'csi' | 'console' | 'ss3' | 'old mouse' | 'string' | 'paste';

export class InputParser {
  #state: State = 'ground';
  #deadline: number | undefined;
  /** Parameters and final byte after CSI, bounded by SEQUENCE_LIMIT. */
  #sequence = '';
  /** Of a character: its value so far, the least that so many bytes may have, and whether Alt was with it. */
  #value = 0;
  #least = 0;
  #alt = false;
  /** Bytes still to come of a character or an old mouse report. */
  #missing = 0;
  /** Whether a string's last byte was ESC. */
  #escaped = false;
  #paste = new Uint8Array();
  #pasted = 0;
  #matched = 0;
  #out: TerminalInput[] = [];

  /** When to call `expire`, in the caller's milliseconds; undefined if nothing is unfinished. */
  get deadline(): number | undefined {
    return this.#deadline;
  }

  /** Takes bytes that arrived at `now`. @returns what they make, in order. */
  push(bytes: Uint8Array, now: number): TerminalInput[] {
    const before = this.expire(now);
    for (const byte of bytes) this.#take(byte);
    if (this.#state === 'ground') this.#deadline = undefined;
    else if (bytes.length > 0) this.#deadline = now + (this.#state === 'paste' ? PASTE_TIME : ESCAPE_TIME);
    const after = this.#taken();
    return before.length === 0 ? after : [...before, ...after];
  }

  /** Ends what is unfinished, if its time is over. */
  expire(now: number): TerminalInput[] {
    if (this.#deadline === undefined || now < this.#deadline) return [];
    this.#deadline = undefined;
    if (this.#state === 'escape') this.#key('Escape');
    // Nobody sends these alone but a keyboard.
    else if (this.#state === 'csi' && this.#sequence === '') this.#key('Alt-[');
    else if (this.#state === 'ss3') this.#key('Alt-O');
    else if (this.#state === 'paste') this.#endPaste();
    this.#state = 'ground';
    return this.#taken();
  }

  #taken(): TerminalInput[] {
    const out = this.#out;
    if (out.length > 0) this.#out = [];
    return out;
  }

  #key(key: string): void {
    this.#out.push({ type: 'key', key, text: '' });
  }

  #add(event: TerminalInput | undefined): void {
    this.#state = 'ground';
    if (event) this.#out.push(event);
  }

  #take(byte: number): void {
    if (this.#state === 'ground') this.#takeFirst(byte, false);
    else if (this.#state === 'paste') this.#takePaste(byte);
    else if (this.#state === 'character') this.#takeContinuation(byte);
    else if (this.#state === 'old mouse') this.#takeOldMouse();
    else if (this.#state === 'string') this.#takeString(byte);
    else if (byte === ESC) this.#takeSecondEscape();
    else if (this.#state === 'escape') this.#takeEscape(byte);
    else if (this.#state === 'csi') this.#takeSequence(byte);
    else if (this.#state === 'console') this.#add(keyOfConsole(byte));
    else this.#add(keyOfLetter(String.fromCharCode(byte), ''));
  }

  #takeFirst(byte: number, alt: boolean): void {
    this.#state = 'ground';
    this.#alt = alt;
    if (byte === ESC) this.#state = 'escape';
    else if (byte < 0x20 || byte === 0x7f) this.#add(keyOfControl(byte, alt));
    else if (byte < 0x80) this.#add(keyOf(byte, alt));
    else if (byte >= 0xc2 && byte < 0xe0) this.#beginCharacter(byte & 0x1f, 1, 0x80);
    else if (byte >= 0xe0 && byte < 0xf0) this.#beginCharacter(byte & 0x0f, 2, 0x800);
    else if (byte >= 0xf0 && byte < 0xf5) this.#beginCharacter(byte & 0x07, 3, 0x10000);
  }

  #beginCharacter(value: number, missing: number, least: number): void {
    this.#state = 'character';
    this.#value = value;
    this.#missing = missing;
    this.#least = least;
  }

  #takeContinuation(byte: number): void {
    if ((byte & 0xc0) !== 0x80) {
      this.#takeFirst(byte, false);
      return;
    }
    this.#value = (this.#value << 6) | (byte & 0x3f);
    if (--this.#missing > 0) return;
    const valid = this.#value >= this.#least && this.#value <= 0x10ffff && !isUnsafe(this.#value);
    this.#add(valid ? keyOf(this.#value, this.#alt) : undefined);
  }

  /** ESC within a sequence begins a new one; after ESC, the first one was the key. */
  #takeSecondEscape(): void {
    if (this.#state === 'escape') this.#key('Escape');
    this.#state = 'escape';
  }

  #takeEscape(byte: number): void {
    this.#sequence = '';
    this.#escaped = false;
    if (byte === 0x5b) this.#state = 'csi';
    else if (byte === 0x4f) this.#state = 'ss3';
    // OSC, DCS, SOS, PM and APC: answers of terminals. Nothing here asks for any.
    else if (byte === 0x5d || byte === 0x50 || byte === 0x58 || byte === 0x5e || byte === 0x5f) this.#state = 'string';
    else this.#takeFirst(byte, true);
  }

  #takeSequence(byte: number): void {
    if (byte < 0x20 || byte > 0x7e)
      this.#takeFirst(byte, false); // which cancels the sequence
    else if (this.#sequence === '' && byte === 0x5b) this.#state = 'console';
    else if (byte < 0x40) {
      if (this.#sequence.length < SEQUENCE_LIMIT) this.#sequence += String.fromCharCode(byte);
    } else this.#endSequence(this.#sequence, String.fromCharCode(byte));
  }

  #endSequence(parameters: string, final: string): void {
    this.#state = 'ground';
    if (parameters.length >= SEQUENCE_LIMIT) return;
    if (parameters[0] === '<') this.#add(mouseOf(parameters.slice(1), final));
    else if (parameters === '' && final === 'M') {
      this.#state = 'old mouse';
      this.#missing = OLD_MOUSE_BYTES;
    } else if (parameters + final === PASTE_BEGIN) this.#beginPaste();
    else if (final === '~') this.#add(keyOfFunction(parameters));
    else this.#add(keyOfLetter(final, parameters));
  }

  #takeOldMouse(): void {
    if (--this.#missing === 0) this.#state = 'ground';
  }

  #takeString(byte: number): void {
    if (byte === BEL || (this.#escaped && byte === BACKSLASH)) this.#state = 'ground';
    this.#escaped = byte === ESC;
  }

  #beginPaste(): void {
    this.#state = 'paste';
    this.#pasted = 0;
    this.#matched = 0;
  }

  #takePaste(byte: number): void {
    if (byte === PASTE_END[this.#matched]) {
      if (++this.#matched === PASTE_END.length) this.#endPaste();
      return;
    }
    for (let i = 0; i < this.#matched; i++) this.#keep(PASTE_END[i]!);
    this.#matched = byte === ESC ? 1 : 0;
    if (this.#matched === 0) this.#keep(byte);
  }

  #keep(byte: number): void {
    if (this.#pasted++ >= PASTE_LIMIT) return;
    if (this.#pasted > this.#paste.length) {
      const grown = new Uint8Array(Math.min(Math.max(1024, this.#paste.length * 2), PASTE_LIMIT));
      grown.set(this.#paste);
      this.#paste = grown;
    }
    this.#paste[this.#pasted - 1] = byte;
  }

  #endPaste(): void {
    const length = Math.min(this.#pasted, PASTE_LIMIT);
    // As of a stream, so that the beginning of a character at the end is left out.
    const text = new TextDecoder().decode(this.#paste.subarray(0, length), { stream: true });
    this.#paste = new Uint8Array();
    this.#add({ type: 'paste', text: oneLine(text), cut: this.#pasted > PASTE_LIMIT });
  }
}

/** Line ends and tabs as spaces, and no other control characters. */
function oneLine(text: string): string {
  let made = '';
  for (const character of text.replace(/\r\n|[\r\n\t]/g, ' ')) if (!isUnsafe(character.codePointAt(0)!)) made += character;
  return made;
}
