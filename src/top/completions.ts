// Words that complete what somebody types. The first Tab writes what all of them begin with; if that leaves a choice, they are listed, and
// more Tabs write one after the other.

import { typedAt } from '../ctnetlink/filter/complete.js';
import { putCut } from './overlay-frame.js';
import type { Screen } from './screen.js';
import { DIM, REVERSE } from './style.js';
import { textWidth } from './width.js';

export interface CompletionWord {
  /** The whole word. */
  readonly text: string;
  readonly help: string;
}

/** Blanks between words, and before the help. */
const GAP = 2;
/** The part of the line that is for the help, at most. */
const HELP_PART = 0.5;

export class Completions {
  readonly #words: readonly CompletionWord[];
  readonly #before: string;
  readonly #after: string;
  readonly #begun: string;
  /** Which word is written; -1: only the beginning. */
  #current = -1;

  /** For a text, its cursor, and the words that may stand there. */
  constructor(text: string, cursor: number, words: readonly CompletionWord[]) {
    const typed = typedAt(text, cursor);
    this.#words = words;
    this.#before = text.slice(0, cursor - typed.length);
    this.#after = text.slice(cursor);
    const common = commonBeginning(words.map((word) => word.text));
    if (words.length === 1) this.#begun = this.#after.startsWith(' ') || !/\w$/.test(common) ? common : `${common} `;
    else this.#begun = common.length < typed.length ? typed : common;
  }

  /** Whether there is a choice to list. */
  get isOpen(): boolean {
    return this.#words.length > 1;
  }

  /** The text with the word that is written now, and where the cursor is then. */
  get text(): string {
    return this.#before + this.#written + this.#after;
  }

  get cursor(): number {
    return this.#before.length + this.#written.length;
  }

  /** Writes the next word, or the one before. */
  go(step: 1 | -1): void {
    const count = this.#words.length;
    this.#current = this.#current < 0 ? (step > 0 ? 0 : count - 1) : (this.#current + step + count) % count;
  }

  /** Lists the words from a column to another: the current one can be seen, with its help at the right. */
  draw(screen: Screen, x: number, y: number, end: number, ascii: boolean): void {
    const current = Math.max(0, this.#current);
    const { text: word, help } = this.#words[current]!;
    // The word comes before its help, with the signs for what is left out.
    const most = Math.min((end - x) * HELP_PART, end - x - textWidth(word) - 3 * GAP);
    const helpWidth = Math.max(0, Math.min(textWidth(help), Math.floor(most)));
    putCut(screen, end - helpWidth, y, help, DIM, end, ascii);
    const limit = end - helpWidth - (helpWidth === 0 ? 0 : GAP);
    const widths = this.#words.map(({ text }) => textWidth(text) + GAP);
    let first = 0;
    // Where words are left out at the left, a sign stands for them.
    const used = (from: number) => widths.slice(from, current + 1).reduce((sum, width) => sum + width, 0) + (from > 0 ? GAP : 0);
    while (first < current && x + used(first) > limit) first++;
    let at = first > 0 ? screen.put(x, y, ascii ? '<' : '‹', DIM) + 1 : x;
    for (const [n, { text }] of this.#words.entries()) {
      if (n < first) continue;
      const isLast = n === this.#words.length - 1;
      if (n > current && at + textWidth(text) + (isLast ? 0 : GAP) > limit) {
        screen.put(at, y, ascii ? '>' : '›', DIM, limit);
        return;
      }
      at = putCut(screen, at, y, text, n === this.#current ? REVERSE : 0, limit, ascii) + GAP;
    }
  }

  get #written(): string {
    return this.#words[this.#current]?.text ?? this.#begun;
  }
}

function commonBeginning(texts: readonly string[]): string {
  const [first = ''] = texts;
  let length = first.length;
  for (const text of texts) while (!text.startsWith(first.slice(0, length))) length--;
  return first.slice(0, length);
}
