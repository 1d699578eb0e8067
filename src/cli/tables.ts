// The tables on which a command works: that of its own network namespace, that of `--netns`, or all of them with `--netns all`.

import { ConntrackError } from '../errors.js';
import { ConntrackTable, type NetworkNamespace, readIn } from '../library/index.js';
import type { OpenTransport } from '../wire/transport.js';
import { OutputError } from './output/output.js';
import { UsageError } from './usage-error.js';

/** The table of one network namespace. */
export interface NamespaceTable {
  /** Which namespace, if that should be shown. */
  readonly netns: string | undefined;
  /** The table, opened at its first use. @throws SystemError, PlatformError, NamespaceError */
  conntrack(): ConntrackTable;
  /** That namespace; if absent, that of the process. */
  readonly namespace: NetworkNamespace | undefined;
  /** A file below /proc as this namespace sees it; `undefined` if it cannot be read: the caller has a better error. */
  readText(path: string): string | undefined;
}

/** Every table of one command line. */
export interface Tables {
  /** The only table. @throws Error if there may be several */
  readonly only: NamespaceTable;
  /** Each entry shows its namespace. */
  readonly several: boolean;
  /**
   * Runs `work` on each table. If there are several, a failure is reported with the name of its namespace and the others go on; the
   * failure of an only one is thrown. @returns whether none failed
   */
  each(work: (table: NamespaceTable) => void | Promise<void>): Promise<boolean>;
  close(): void;
}

class LazyTable implements NamespaceTable {
  readonly netns: string | undefined;
  readonly #namespace: NetworkNamespace | undefined;
  readonly #transport: OpenTransport | undefined;
  #conntrack: ConntrackTable | undefined;

  constructor(namespace?: NetworkNamespace, transport?: OpenTransport, netns?: string) {
    this.#namespace = namespace;
    this.#transport = transport;
    this.netns = netns;
  }

  conntrack(): ConntrackTable {
    this.#conntrack ??= ConntrackTable.open({ netns: this.#namespace, transport: this.#transport });
    return this.#conntrack;
  }

  get namespace(): NetworkNamespace | undefined {
    return this.#namespace;
  }

  readText(path: string): string | undefined {
    return readIn(this.#namespace, path);
  }

  /** Closes the sockets; they are opened again on demand. */
  release(): void {
    this.#conntrack?.close();
    this.#conntrack = undefined;
  }

  close(): void {
    this.release();
    this.#namespace?.close();
  }
}

/** One table: of `namespace`, or of the namespace the process is in. `transport`: what its sockets are, if not netlink sockets. */
export function oneTable(namespace?: NetworkNamespace, transport?: OpenTransport): Tables {
  const table = new LazyTable(namespace, transport);
  return {
    only: table,
    several: false,
    each: async (work) => {
      await work(table);
      return true;
    },
    close: () => table.close(),
  };
}

/** The tables of several namespaces, which are closed with them. `failed` receives each failure. `all`: no namespace is missing. */
export function manyTables(
  namespaces: readonly NetworkNamespace[],
  all: boolean,
  failed: (error: ConntrackError, netns: string) => void,
  transport?: OpenTransport,
): Tables {
  const tables = namespaces.map((namespace) => new LazyTable(namespace, transport, namespace.name));
  return {
    get only(): NamespaceTable {
      throw new Error('one table was asked for where there may be several');
    },
    several: true,
    each: async (work) => {
      let complete = all;
      for (const table of tables)
        try {
          await work(table);
        } catch (error) {
          if (!(error instanceof ConntrackError) || error instanceof OutputError || error instanceof UsageError) throw error;
          complete = false;
          failed(error, table.netns!);
        } finally {
          table.release();
        }
      return complete;
    },
    close: () => {
      for (const table of tables) table.close();
    },
  };
}
