// `conntrack help [TOPIC]`: what `conntrack -h` prints, or the help on one thing.

import { helpOn, helpTopic, helpTopics } from '../cli/help-text.js';
import { quoted, UsageError } from '../cli/usage-error.js';
import { didYouMean } from '../nearest.js';
import type { Word } from './run-word.js';

export const word: Word = async ({ operands: [given] }, { out }) => {
  out.text(await helpOn(given === undefined ? undefined : topicOf(given)));
  return 0;
};

function topicOf(given: string): string {
  const name = given.replace(/^--?(?=[^-])/, '');
  const topic = name === 'expect' ? name : helpTopic(name);
  if (topic !== undefined) return topic;
  const near = didYouMean(name, helpTopics());
  const all = '; name a word (such as help), a command (such as update), a protocol (such as tcp), expect or filter';
  throw new UsageError(`there is no help on ${quoted(given)}${near || all}`, { hint: 'conntrack help lists all of them' });
}
