// `-h`: what the program does, or what one command or protocol takes.

import { nearest } from '../../nearest.js';
import { words } from '../../words/words.js';
import type { Context } from '../context.js';
import { commandOf, helpOn } from '../help-text.js';
import { quoted } from '../usage-error.js';

export async function help({ invocation, out, err }: Context): Promise<number> {
  out.text(await helpOn(invocation.topic));
  out.flush();
  const meant = invocation.word === undefined ? undefined : meantBy(invocation.word);
  if (meant !== undefined) err(`conntrack: there is no word ${quoted(invocation.word!)}; did you mean conntrack ${meant}?`);
  return 0;
}

/** The command line that a word looks like: the name of a command without its dashes, or a misspelled word. */
function meantBy(word: string): string | undefined {
  const command = commandOf(word);
  return command
    ? `-${command.letter}`
    : nearest(
        word,
        words().map((row) => row.name),
      );
}
