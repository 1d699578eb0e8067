// The files that the build makes from the rows, by their path in the package.

import { type WordRow, words } from '../../words/words.js';
import { bashCompletion } from './bash.js';
import { fishCompletion } from './fish.js';
import { type Edition, manualPage } from './man.js';
import { shellWords } from './model.js';
import { zshCompletion } from './zsh.js';

/** Path below dist/ → text. */
export function generatedFiles(edition: Edition): Readonly<Record<string, string>> {
  return { ...completions(words()), 'man/conntrack.8': manualPage(edition) };
}

/** Path below dist/ → text of the completions, if these are the words. */
export function completions(rows: readonly WordRow[]): Readonly<Record<string, string>> {
  const words = shellWords(rows);
  return {
    'completions/conntrack.bash': bashCompletion(words),
    'completions/_conntrack': zshCompletion(words),
    'completions/conntrack.fish': fishCompletion(words),
  };
}
