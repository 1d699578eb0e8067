// A line of text that somebody types, for filters and searches: the text, where the cursor is, which part is seen, and what was entered
// before. The cursor moves by graphemes. It draws nothing.

import { isUnsafe } from '../safe-text.js';
import type { PasteInput } from './input.js';
import type { KeyInput } from './keys.js';
import { textWidth } from './width.js';

/** The most UTF-16 units that a box takes. */
export const TEXT_LIMIT = 4096;
const HISTORY_LIMIT = 100;

/** Where the cursor can go: one grapheme to a side, to the beginning of the word before it, to an end. */
export type CursorPlace = 'left' | 'right' | 'word' | 'start' | 'end';

/** What is seen of a box: a text of at most the width asked for, and the column of the cursor in it. */
export interface TextBoxView {
  readonly text: string;
  readonly cursor: number;
}

/** What keys do besides typing. */
const EDITS: Readonly<Record<string, (box: TextBox) => void>> = {
  Backspace: (box) => box.deleteTo('left'),
  Delete: (box) => box.deleteTo('right'),
  'Ctrl-d': (box) => box.deleteTo('right'),
  'Ctrl-w': (box) => box.deleteTo('word'),
  'Ctrl-u': (box) => box.deleteTo('start'),
  'Ctrl-k': (box) => box.deleteTo('end'),
  Left: (box) => box.moveTo('left'),
  Right: (box) => box.moveTo('right'),
  Home: (box) => box.moveTo('start'),
  'Ctrl-a': (box) => box.moveTo('start'),
  End: (box) => box.moveTo('end'),
  'Ctrl-e': (box) => box.moveTo('end'),
  Up: (box) => box.recall(-1),
  Down: (box) => box.recall(1),
};

export class TextBox {
  readonly #graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
  #text = '';
  /** In UTF-16 units, never inside a grapheme. */
  #cursor = 0;
  /** The oldest first. */
  readonly #history: readonly string[];
  /** Which line of the history is shown; its length: the own one, which is kept while another is shown. */
  #line: number;
  #own = '';
  /** The first unit that is seen. */
  #scroll = 0;

  constructor(text = '', history: readonly string[] = []) {
    this.#history = history.slice(-HISTORY_LIMIT);
    this.#line = this.#history.length;
    this.set(text);
  }

  get text(): string {
    return this.#text;
  }

  /** Where the cursor is in `text`, in UTF-16 units. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Takes a key or a paste. @returns false if it means nothing here, such as Enter, Escape, Tab and keys of functions. */
  take(input: KeyInput | PasteInput): boolean {
    if (input.type === 'paste' || input.text !== '') {
      this.insert(input.text);
      return true;
    }
    if (!Object.hasOwn(EDITS, input.key)) return false;
    EDITS[input.key]!(this);
    return true;
  }

  /** Inserts text at the cursor, as much as there is room for. */
  insert(text: string): void {
    let room = TEXT_LIMIT - this.#text.length;
    let fitting = '';
    for (const grapheme of this.#split(harmless(text))) {
      room -= grapheme.length;
      if (room < 0) break;
      fitting += grapheme;
    }
    this.#put(this.#text.slice(0, this.#cursor) + fitting + this.#text.slice(this.#cursor), this.#cursor + fitting.length);
  }

  /** Replaces everything, as a completion does. A cursor inside a grapheme goes to its end. */
  set(text: string, cursor = text.length): void {
    this.#put(harmless(text.slice(0, TEXT_LIMIT)), harmless(text.slice(0, cursor)).length);
  }

  /** Deletes what is between the cursor and another place. */
  deleteTo(place: CursorPlace): void {
    const [from, to] = [this.#cursor, this.#at(place)].sort((a, b) => a - b) as [number, number];
    this.#put(this.#text.slice(0, from) + this.#text.slice(to), from);
  }

  moveTo(place: CursorPlace): void {
    this.#cursor = this.#at(place);
  }

  /** Shows an older (-1) or newer (1) line of the history. After the newest comes the own text again. */
  recall(step: -1 | 1): void {
    const line = this.#line + step;
    if (line < 0 || line > this.#history.length) return;
    if (this.#line === this.#history.length) this.#own = this.#text;
    this.#line = line;
    this.set(this.#history[line] ?? this.#own);
  }

  /** The history with this text as its newest line, for the next box. */
  remembered(): readonly string[] {
    const others = this.#history.filter((line) => line !== this.#text);
    return (this.#text === '' ? others : [...others, this.#text]).slice(-HISTORY_LIMIT);
  }

  /** The part around the cursor that fits. It moves only when the cursor would leave it, or when there is room for more. */
  view(width: number): TextBoxView {
    const graphemes = this.#split(this.#text);
    // starts[n]: units before the grapheme n; columns[n]: columns before it.
    const starts = [0];
    const columns = [0];
    for (const [n, grapheme] of graphemes.entries()) {
      starts.push(starts[n]! + grapheme.length);
      columns.push(columns[n]! + textWidth(grapheme));
    }
    const cursor = starts.indexOf(this.#cursor);
    const total = columns.at(-1)!;
    let first = cursor;
    while (first > 0 && starts[first - 1]! >= this.#scroll) first--;
    // The cursor needs a column, also behind the text.
    while (first < cursor && columns[cursor]! - columns[first]! >= width) first++;
    while (first > 0 && total - columns[first - 1]! < width) first--;
    this.#scroll = starts[first]!;
    let end = first;
    while (end < graphemes.length && columns[end + 1]! - columns[first]! <= width) end++;
    return { text: graphemes.slice(first, end).join(''), cursor: columns[cursor]! - columns[first]! };
  }

  #at(place: CursorPlace): number {
    const before = this.#text.slice(0, this.#cursor);
    if (place === 'start') return 0;
    if (place === 'end') return this.#text.length;
    if (place === 'word') return before.replace(/[^ ]* *$/, '').length;
    if (place === 'right') return this.#endAt(this.#cursor);
    return this.#graphemes.segment(before).containing(before.length - 1)?.index ?? 0;
  }

  /** Takes harmless text. It looks at the grapheme at the cursor, not at all of them: a long text may come key by key. */
  #put(text: string, cursor: number): void {
    this.#text = text;
    this.#cursor = Math.min(cursor, text.length);
    if (this.#graphemes.segment(text).containing(this.#cursor)?.index !== this.#cursor) this.#cursor = this.#endAt(this.#cursor);
  }

  /** The end of the grapheme at a place, or of the text. */
  #endAt(place: number): number {
    const grapheme = this.#graphemes.segment(this.#text).containing(place);
    return grapheme ? grapheme.index + grapheme.segment.length : this.#text.length;
  }

  #split(text: string): string[] {
    return Array.from(this.#graphemes.segment(text), ({ segment }) => segment);
  }
}

/** Without the characters that a screen would escape. */
function harmless(text: string): string {
  let made = '';
  for (const character of text) if (!isUnsafe(character.codePointAt(0)!)) made += character;
  return made;
}
