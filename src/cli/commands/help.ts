// `-h`: what the program does, or what one command or protocol takes.

import type { Context } from '../context.js';
import { helpText } from '../help.js';

export async function help({ invocation, out }: Context): Promise<number> {
  out.text(helpText(invocation.topic));
  out.flush();
  return 0;
}
