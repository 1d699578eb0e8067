// `conntrack whohad`: who used an address and port at a time.

import { openHistory } from '../history/open-history.js';
import { answerJson, answerText } from '../history/who-had-text.js';
import { directoriesOf, readingValues, writeAccess } from './past-values.js';
import type { Word } from './run-word.js';
import { whoHadQuestion } from './who-had-question.js';
import { textOf } from './word-values.js';

/** Exit statuses besides 0: found. */
const NONE = 1;
const INCOMPLETE = 3;

export const word: Word = async (line, { out, err, host }) => {
  const question = whoHadQuestion(line, line.operands, err);
  const answer = await readingValues(async () => {
    writeAccess(directoriesOf(line), host);
    const history = await openHistory(directoriesOf(line));
    return history.whoHad({ ...question, netns: textOf(line, 'netns') });
  });
  out.text(textOf(line, 'output') === 'json' ? answerJson(answer) : answerText(answer));
  if (answer.ambiguous && question.to === undefined)
    err('conntrack: whohad: several had it at once: ask with --to, the other side');
  return !answer.complete ? INCOMPLETE : answer.matches.length === 0 ? NONE : 0;
};
