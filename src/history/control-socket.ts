// ControlSocket: DIR/record.sock. Whoever may write to the directory can ask a recorder for something: a line of JSON each way. It is the
// lock of the directory, too: as long as it answers, another recorder is there.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { HistoryError } from './segment-meta.js';

/** What is asked for. */
export interface ControlRequest {
  readonly request: string;
  /** What goes with it. */
  readonly [name: string]: unknown;
}

type Answer = Readonly<Record<string, unknown>>;

const MOST_REQUEST = 4096;
/** Milliseconds for an answer. */
const PATIENCE = 30_000;
const MODE = 0o660;

export class ControlSocket {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #serve: ((request: ControlRequest) => Promise<Answer>) | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Takes the directory. @throws HistoryError when another recorder has it */
  static async open(directory: string): Promise<ControlSocket> {
    const path = `${directory}/record.sock`;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) {
      if (await isAnswered(path))
        throw new HistoryError('LOCKED', `another recorder writes to ${directory}`, {
          hint: `conntrack record status --dir ${directory} says what it does`,
        });
      unlinkSync(path);
    }
    const server = createServer();
    const socket = new ControlSocket(server);
    server.on('connection', (connection) => socket.#talk(connection));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
    chmodSync(path, MODE);
    return socket;
  }

  /** Answers from now on. */
  serve(answer: (request: ControlRequest) => Promise<Answer>): void {
    this.#serve = answer;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #talk(connection: Socket): void {
    this.#connections.add(connection);
    connection.setTimeout(PATIENCE, () => connection.destroy());
    connection.on('error', () => {}).on('close', () => this.#connections.delete(connection));
    let text = '';
    connection.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.length > MOST_REQUEST) connection.destroy();
      const end = text.indexOf('\n');
      if (end < 0) return;
      connection.pause();
      void this.#answer(text.slice(0, end)).then((answer) => connection.end(`${JSON.stringify(answer)}\n`));
    });
  }

  async #answer(line: string): Promise<Answer> {
    try {
      const request = JSON.parse(line) as ControlRequest;
      if (!this.#serve) return { error: { code: 'STARTING', message: 'the first list is not complete' } };
      return await this.#serve(request);
    } catch (error) {
      return { error: { code: 'REQUEST', message: (error as Error).message } };
    }
  }
}

/** Asks the recorder of a directory. @returns its answer; `undefined` when there is no recorder, or none that answers in time */
export function askRecorder(
  directory: string,
  request: string,
  milliseconds: number,
  more: Answer = {},
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const connection = connect(`${directory}/record.sock`, () => connection.write(`${JSON.stringify({ request, ...more })}\n`));
    connection.setTimeout(milliseconds, () => connection.destroy());
    let text = '';
    connection.setEncoding('utf8').on('data', (part: string) => (text += part));
    connection.on('error', () => {});
    connection.on('close', () => {
      try {
        resolve(JSON.parse(text) as Answer);
      } catch {
        resolve(undefined);
      }
    });
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', () => resolve(false));
  });
}
