// `--netns` of words: the tables that it names, by name.

import { explain } from '../cli/messages.js';
import { tell } from '../cli/report.js';
import { ConntrackError } from '../errors.js';
import { Conntrack, listNamespaces } from '../library/index.js';

/** What was found. */
export interface OpenNamespaces {
  readonly conntracks: ReadonlyMap<string, Conntrack>;
  /** Whether none of them failed. */
  readonly complete: boolean;
}

/** The tables of all network namespaces. */
const ALL = 'all';

/** @throws ConntrackError where there is none to work with */
export async function openNamespaces(netns: string | undefined): Promise<OpenNamespaces> {
  if (netns !== ALL) {
    const conntrack = await Conntrack.open({ netns });
    return { conntracks: new Map([[netns ?? 'own', conntrack]]), complete: true };
  }
  const { namespaces, failures } = listNamespaces();
  const conntracks = new Map<string, Conntrack>();
  let complete = failures.length === 0;
  const failed = (name: string, error: ConntrackError) => {
    complete = false;
    const { message, hint } = explain(error, { command: 'L', table: 'conntrack' });
    tell(error.code, { message: `${name}: ${message}`, hint }, false);
  };
  for (const { name, error } of failures) failed(name, error);
  for (const namespace of namespaces)
    try {
      const conntrack = await Conntrack.open({ netns: namespace });
      await conntrack.count();
      conntracks.set(namespace.name, conntrack);
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      failed(namespace.name, error);
    }
  if (conntracks.size === 0) throw new NoNamespaceError();
  return { conntracks, complete };
}

class NoNamespaceError extends ConntrackError {
  readonly code = 'NAMESPACE';

  constructor() {
    super('no network namespace can be read', { hint: 'run it as root' });
  }
}
