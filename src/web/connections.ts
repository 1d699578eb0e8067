// Connections: how many a listener keeps. When there are too many, the one that has waited longest for a request makes room, so that whoever
// opens connections and says nothing keeps nobody out. Requests of one connection that nobody reads the answers of are few, too.

/** What is kept of a socket here. */
export interface Connection {
  destroy(): void;
  once(event: 'close', listener: () => void): void;
}

/** Requests of a connection that may be under way: browsers send one at a time. */
const MOST_PIPELINED = 8;

export class Connections<C extends Connection> {
  readonly #most: number;
  /** How many requests of each are under way. */
  readonly #open = new Map<C, number>();
  /** Those without requests, the one that has waited longest first. */
  readonly #waiting = new Set<C>();

  constructor(most: number) {
    this.#most = most;
  }

  /** A connection was made. It is ended at once where all others are being answered. */
  add(connection: C): void {
    if (this.#open.size >= this.#most) {
      const [oldest] = this.#waiting;
      this.#forget(oldest ?? connection);
      (oldest ?? connection).destroy();
      if (!oldest) return;
    }
    this.#open.set(connection, 0);
    this.#waiting.add(connection);
    connection.once('close', () => this.#forget(connection));
  }

  /** A request came. @returns whether it may be answered: otherwise its connection was ended */
  begin(connection: C): boolean {
    const requests = this.#open.get(connection);
    if (requests === undefined) return true; // it is not counted
    if (requests >= MOST_PIPELINED) {
      this.#forget(connection);
      connection.destroy();
      return false;
    }
    this.#open.set(connection, requests + 1);
    this.#waiting.delete(connection);
    return true;
  }

  /** A request was answered, or given up. */
  end(connection: C): void {
    const requests = this.#open.get(connection);
    if (requests === undefined) return;
    this.#open.set(connection, requests - 1);
    if (requests === 1) this.#waiting.add(connection);
  }

  #forget(connection: C): void {
    this.#open.delete(connection);
    this.#waiting.delete(connection);
  }
}
