// `-V`: the release whose interface this is.

import { token } from '../../format/byte-writer.js';
import { type Context, INTERFACE_VERSION } from '../context.js';

export async function version({ out }: Context): Promise<number> {
  out.token(token(`conntrack v${INTERFACE_VERSION} (conntrack-tools)\n`));
  out.flush();
  return 0;
}
