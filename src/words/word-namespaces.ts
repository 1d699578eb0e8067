// `--netns` of words: the tables that it names, by name.

import { explain } from '../cli/messages.js';
import { tell } from '../cli/report.js';
import { ConntrackError, NamespaceError } from '../errors.js';
import { Conntrack, canComeAgain, listNamespaces, type NamespaceList, NetworkNamespace } from '../library/index.js';
import type { LookAgain, NamespaceNews } from '../meter/index.js';

/** What was found. */
export interface OpenNamespaces {
  readonly conntracks: ReadonlyMap<string, Conntrack>;
  /** Whether none of them failed. */
  readonly complete: boolean;
  /** Looks again, where namespaces can come and go: all of them, or one of a name. `conntracks` has what there is then. */
  readonly lookAgain?: LookAgain;
}

/** Every namespace that can be found. */
const ALL = 'all';

/** @throws ConntrackError where there is none to work with */
export async function openNamespaces(netns: string | undefined): Promise<OpenNamespaces> {
  if (netns === undefined) return { conntracks: new Map([['own', await Conntrack.open()]]), complete: true };
  const isAll = netns === ALL;
  const followed = new FollowedNamespaces(isAll ? listNamespaces : () => ofName(netns));
  const { failures } = await followed.look();
  if (!isAll && failures[0]) throw failures[0].error;
  for (const { name, error } of failures) {
    const { message, hint } = explain(error, { command: 'L', table: 'conntrack' });
    tell(error.code, { message: `${name}: ${message}`, hint }, false);
  }
  // What is not there cannot be opened, and the error says why.
  if (!isAll && followed.conntracks.size === 0) NetworkNamespace.open(netns).close();
  if (followed.conntracks.size === 0) throw new NoNamespaceError();
  const lookAgain = isAll || canComeAgain(netns) ? () => followed.look() : undefined;
  return { conntracks: followed.conntracks, complete: failures.length === 0, ...(lookAgain ? { lookAgain } : {}) };
}

/** The namespace that a name leads to now, if any. @throws NamespaceError */
function ofName(name: string): Found {
  try {
    return { namespaces: [NetworkNamespace.open(name)], failures: [] };
  } catch (error) {
    if (!(error instanceof NamespaceError) || error.code !== 'ENOENT') throw error;
    return { namespaces: [], failures: [] };
  }
}

type Found = Pick<NamespaceList, 'namespaces' | 'failures'>;

/** The tables of namespaces, as of the last look. */
class FollowedNamespaces {
  readonly conntracks = new Map<string, Conntrack>();
  readonly #find: () => Found;
  /** By inode. A namespace that is open cannot lose its inode to another one. */
  readonly #open = new Map<number, NetworkNamespace>();
  /** Those that cannot be read are told once. */
  readonly #failed = new Set<string>();

  constructor(find: () => Found) {
    this.#find = find;
  }

  async look(): Promise<NamespaceNews> {
    const { namespaces, failures } = this.#find();
    const found = new Set(namespaces.map(({ inode }) => inode));
    const gone = [...this.#open.values()].filter(({ inode }) => !found.has(inode)).map((namespace) => this.#leave(namespace));
    const came: [string, Conntrack][] = [];
    const failed: { name: string; error: ConntrackError }[] = [...failures];
    for (const namespace of namespaces) {
      if (this.#open.has(namespace.inode)) namespace.close();
      else
        try {
          came.push([namespace.name, await this.#enter(namespace)]);
        } catch (error) {
          namespace.close();
          if (!(error instanceof ConntrackError)) throw error;
          failed.push({ name: namespace.name, error });
        }
    }
    const news = failed.filter(({ name }) => !this.#failed.has(name));
    this.#failed.clear();
    for (const { name } of failed) this.#failed.add(name);
    return { came, gone, failures: news };
  }

  /** @throws ConntrackError */
  async #enter(namespace: NetworkNamespace): Promise<Conntrack> {
    const conntrack = await Conntrack.open({ netns: namespace });
    try {
      await conntrack.count();
    } catch (error) {
      await conntrack.close();
      throw error;
    }
    this.#open.set(namespace.inode, namespace);
    this.conntracks.set(namespace.name, conntrack);
    return conntrack;
  }

  /** Its name is free at once; it is closed when nobody uses it any more. */
  #leave(namespace: NetworkNamespace): NamespaceNews['gone'][number] {
    const { name, inode } = namespace;
    const conntrack = this.conntracks.get(name)!;
    this.conntracks.delete(name);
    this.#open.delete(inode);
    const close = async () => {
      await conntrack.close();
      namespace.close();
    };
    return { name, close };
  }
}

class NoNamespaceError extends ConntrackError {
  readonly code = 'NAMESPACE';

  constructor() {
    super('no network namespace can be read', { hint: 'run it as root' });
  }
}
