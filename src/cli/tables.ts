// The tables that a command works on: that of its own network namespace, that of `--netns`, or with `--netns all` every one.

import { ConntrackError } from '../errors.js';
import { ConntrackTable, type NetworkNamespace, readIn } from '../library/index.js';
import type { OpenTransport } from '../wire/transport.js';
import { OutputError } from './output/output.js';
import { UsageError } from './usage-error.js';

/** The table of one network namespace. */
export interface NamespaceTable {
  /** Which namespace, where that is to be shown. */
  readonly netns: string | undefined;
  /** The table, opened when first asked for. @throws SystemError, PlatformError, NamespaceError */
  conntrack(): ConntrackTable;
  /** That namespace; absent: the one the process is in. */
  readonly namespace: NetworkNamespace | undefined;
  /** A file below /proc as this namespace sees it; `undefined` where it cannot be read: the caller has a better error than that. */
  readText(path: string): string | undefined;
}

/** Every table of one command line. */
export interface Tables {
  /** The only one. @throws Error when there may be more */
  readonly only: NamespaceTable;
  /** Each entry tells which namespace it is of. */
  readonly several: boolean;
  /**
   * Runs `work` on each table. Of several, a failure is told with the name of its namespace and the others go on; the failure of
   * the only one is thrown. @returns whether none failed
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

  /** Closes the sockets; they are opened again when asked for. */
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

/** The tables of several namespaces, which are closed with them. `failed` is told each failure. `all`: no namespace is missing. */
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
