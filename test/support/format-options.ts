// Options of writers, for tests of their output.

import type { FormatOptions } from '../../src/format/format-options.js';

/** Without any `-o`. */
export const PLAIN: FormatOptions = {
  layer3: false,
  id: false,
  ktimestamp: false,
  timestamp: false,
  labels: undefined,
  full: false,
  event: false,
};
