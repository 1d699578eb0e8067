// What `conntrack agent` and `conntrack collector` share as services: pages about their state, and the words of their units.

import type { StatusPages } from '../fleet/status-pages.js';
import { unitWord } from '../history/record-unit.js';
import type { Listener } from '../web/listeners.js';
import type { WordLine } from './word-line.js';
import { textOf } from './word-values.js';

/** Where it is asked for its health and metrics: `--listen`. @throws UsageError, ServeError */
export async function listenerOf(
  line: WordLine,
  port: number,
  { handle }: Pick<StatusPages<never>, 'handle'>,
  host: NodeJS.Process,
): Promise<Listener | undefined> {
  const where = textOf(line, 'listen');
  if (where === undefined) return undefined;
  const { listenAt } = await import('../web/listeners.js');
  const { parsePlace } = await import('../web/server-options.js');
  return listenAt(parsePlace(where, port), handle, { umask: (mask) => host.umask(mask) });
}

/** The command line of a unit, as it was given: the seed is handed over by the service manager. */
export function unitWords(word: string, line: WordLine, { argv }: NodeJS.Process) {
  const given = argv.slice(3).filter((each) => each !== '--print-unit');
  const at = given.indexOf('--seed');
  const words = at < 0 ? given.filter((each) => !each.startsWith('--seed=')) : given.toSpliced(at, 2);
  return { words: ['/usr/bin/conntrack', word, ...words].map(unitWord), seed: textOf(line, 'seed') };
}
