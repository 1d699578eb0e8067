// `--netns`: the tables it names. Evaluated only when the option is given.

import type { ConntrackError } from '../errors.js';
import { listNamespaces, NetworkNamespace } from '../library/index.js';
import type { OpenTransport } from '../wire/transport.js';
import { ALL_NAMESPACES } from './legality.js';
import { manyTables, oneTable, type Tables } from './tables.js';

/** Reports about several namespaces. */
export interface Tell {
  /** A failure in one of them. */
  failed(error: ConntrackError, netns: string): void;
  warning(text: string): void;
}

/** @throws NamespaceError when there is no such namespace */
export function tablesOf(netns: string, tell: Tell, transport: OpenTransport | undefined): Tables {
  if (netns !== ALL_NAMESPACES) return oneTable(NetworkNamespace.open(netns), transport);
  const { namespaces, failures, hiddenProcesses } = listNamespaces();
  for (const { name, error } of failures) tell.failed(error, name);
  if (hiddenProcesses > 0)
    tell.warning(
      `the network namespace of ${hiddenProcesses} process${hiddenProcesses === 1 ? '' : 'es'} cannot be read; ` +
        'a namespace without any other process is left out',
    );
  return manyTables(namespaces, failures.length === 0, tell.failed, transport);
}
