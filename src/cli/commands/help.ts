// `-h`: what the program does, or what one command or protocol takes.

import { token } from '../../format/byte-writer.js';
import type { Context } from '../context.js';
import { helpText } from '../help.js';

export async function help({ invocation, out }: Context): Promise<number> {
  const text = token(helpText(invocation.topic));
  out.reserve(text.length);
  out.token(text);
  out.flush();
  return 0;
}
