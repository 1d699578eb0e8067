// `--netns` of words: the tables that it names, by name.

import { explain } from '../cli/messages.js';
import { tell } from '../cli/report.js';
import { ConntrackError } from '../errors.js';
import { Conntrack, listNamespaces, type NetworkNamespace } from '../library/index.js';
import type { LookAgain, NamespaceNews } from '../meter/index.js';

/** What was found. */
export interface OpenNamespaces {
  readonly conntracks: ReadonlyMap<string, Conntrack>;
  /** Whether none of them failed. */
  readonly complete: boolean;
  /** Looks again; only of all namespaces. `conntracks` has what there is then. */
  readonly lookAgain?: LookAgain;
}

/** The tables of all network namespaces. */
const ALL = 'all';

/** @throws ConntrackError where there is none to work with */
export async function openNamespaces(netns: string | undefined): Promise<OpenNamespaces> {
  if (netns !== ALL) {
    const conntrack = await Conntrack.open({ netns });
    return { conntracks: new Map([[netns ?? 'own', conntrack]]), complete: true };
  }
  const all = new AllNamespaces();
  const { failures } = await all.look();
  for (const { name, error } of failures) {
    const { message, hint } = explain(error, { command: 'L', table: 'conntrack' });
    tell(error.code, { message: `${name}: ${message}`, hint }, false);
  }
  if (all.conntracks.size === 0) throw new NoNamespaceError();
  return { conntracks: all.conntracks, complete: failures.length === 0, lookAgain: () => all.look() };
}

/** The tables of all network namespaces, as of the last look. */
class AllNamespaces {
  readonly conntracks = new Map<string, Conntrack>();
  /** By inode. A namespace that is open cannot lose its inode to another one. */
  readonly #open = new Map<number, NetworkNamespace>();
  /** Those that cannot be read are told once. */
  readonly #failed = new Set<string>();

  async look(): Promise<NamespaceNews> {
    const { namespaces, failures } = listNamespaces();
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
