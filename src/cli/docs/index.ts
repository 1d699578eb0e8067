// The files that the build makes from the rows, by their path in the package.

import { bashCompletion } from './bash.js';
import { fishCompletion } from './fish.js';
import { type Edition, manualPage } from './man.js';
import { zshCompletion } from './zsh.js';

/** Path below dist/ → text. */
export function generatedFiles(edition: Edition): Readonly<Record<string, string>> {
  return {
    'completions/conntrack.bash': bashCompletion(),
    'completions/_conntrack': zshCompletion(),
    'completions/conntrack.fish': fishCompletion(),
    'man/conntrack.8': manualPage(edition),
  };
}
