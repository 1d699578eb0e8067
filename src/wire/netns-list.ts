// All network namespaces that can be found: those with a name, and those with a process in them.

import { readdirSync, statSync } from 'node:fs';
import { NamespaceError } from '../errors.js';
import { NAME_FOLDERS, NetworkNamespace, notANamespace } from './netns.js';
import { requireLinux } from './platform.js';

/** What was found. */
export interface NamespaceList {
  /** Each once: our own first, then by name, then by process id. The caller closes them. */
  readonly namespaces: readonly NetworkNamespace[];
  /** Number of processes whose namespace we may not read. */
  readonly hiddenProcesses: number;
  /** Names in the folders of `ip netns` that cannot be opened or are not namespaces. */
  readonly failures: readonly { readonly name: string; readonly error: NamespaceError }[];
}

/**
 * Network namespaces of `ip netns` and of all processes that /proc shows. A namespace is listed by its name, or without one by its lowest
 * process id. One that is kept only by a mount elsewhere or by an open file is not found.
 * @throws NamespaceError without /proc, PlatformError where this is not Linux
 */
export function listNamespaces(): NamespaceList {
  requireLinux();
  const found = new Map<number, NetworkNamespace>();
  const failures: { name: string; error: NamespaceError }[] = [];
  let hiddenProcesses = 0;
  const own = fromProc(() => statSync('/proc/thread-self/ns/net'));
  const add = (name: string | number) => {
    const namespace = NetworkNamespace.open(name);
    if (namespace.device !== own.dev) failures.push({ name: namespace.name, error: notANamespace(namespace.name) });
    else if (!found.has(namespace.inode)) {
      found.set(namespace.inode, namespace);
      return;
    }
    namespace.close();
  };
  for (const name of names()) {
    try {
      add(name);
    } catch (error) {
      if (!(error instanceof NamespaceError)) throw error;
      // Removed since the folder was read, or an error worth reporting.
      if (error.code !== 'ENOENT') failures.push({ name, error });
    }
  }
  for (const pid of processes()) {
    try {
      if (!found.has(statSync(`/proc/${pid}/ns/net`).ino)) add(pid);
    } catch (error) {
      const { code } = error as { readonly code?: string };
      // A process that has ended, perhaps not yet waited for, is in no namespace.
      if (code === 'EACCES' || code === 'EPERM') hiddenProcesses++;
      else if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
    }
  }
  const namespaces = [...found.values()].sort((a, b) => Number(b.inode === own.ino) - Number(a.inode === own.ino));
  return { namespaces, hiddenProcesses, failures };
}

/** @throws NamespaceError where there is no /proc to look in */
function fromProc<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code = 'EIO' } = cause as NodeJS.ErrnoException;
    throw new NamespaceError(`cannot look for network namespaces: /proc cannot be read: ${code}`, code, { cause });
  }
}

function names(): string[] {
  const all = NAME_FOLDERS.flatMap((folder) => {
    try {
      return readdirSync(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
  return [...new Set(all)].sort();
}

/** Ids of all processes, ascending. */
function processes(): number[] {
  return fromProc(() => readdirSync('/proc'))
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}
