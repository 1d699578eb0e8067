// `conntrack complete-filter [--] TEXT`: what may stand at the end of a filter that is being typed, for the completions of shells. The
// first line is `filter-words:` and the number of characters that each word takes the place of; then one word a line, a tab, and its help.
// Never fails: of a text that is wrong before its end, the first line is all there is.

import { LabelSource } from '../cli/labels.js';
import { completeFilterText, typedAt } from '../ctnetlink/filter/complete.js';
import type { Word } from './run-word.js';

export const word: Word = async ({ operands }, { out }) => {
  const text = operands.join(' ');
  const labels = /\blabel\b/i.test(text) ? new LabelSource(() => {}).load() : undefined;
  out.text(`filter-words:${typedAt(text, text.length).length}\n`);
  for (const each of completeFilterText(text, text.length, { labels }))
    if (ONE_WORD.test(each.text)) out.text(`${each.text}\t${each.help}\n`);
  return 0;
};

/** A label with blanks needs quotes within those of the shell: nobody completes it. */
const ONE_WORD = /^[\w.:/-]+$/;
