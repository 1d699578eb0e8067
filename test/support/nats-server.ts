// Real servers of a fleet: Debian's nats-server in a private network namespace, ended by its process id.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Namespace } from './namespace.js';
import { connectIn } from './net-sockets.js';
import { SLOWNESS } from './project.js';

export const NATS_PORT = 4222;

export interface NatsServerOptions {
  /** The text of its configuration file; `$DIR` is its folder. Default: JetStream, on loopback, without users. */
  readonly config?: string;
  /** Where it listens. */
  readonly address?: string;
}

export class NatsServer implements AsyncDisposable {
  readonly folder: string;
  readonly #namespace: Namespace;
  readonly #address: string;
  #handle: number | undefined;

  private constructor(namespace: Namespace, { config, address = '127.0.0.1' }: NatsServerOptions) {
    this.folder = mkdtempSync(join(tmpdir(), 'conntrack-nats-'));
    this.#namespace = namespace;
    this.#address = address;
    const text = config ?? `listen: "${address}:${NATS_PORT}"\njetstream { store_dir: "$DIR/js" }\n`;
    writeFileSync(join(this.folder, 'conf'), text.replaceAll('$DIR', this.folder));
  }

  /** Starts it, and waits until it listens. */
  static async start(namespace: Namespace, options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(namespace, options);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    this.#handle = await this.#namespace.start(['nats-server', '-c', join(this.folder, 'conf'), '-l', join(this.folder, 'log')], {
      timeLimit: 600_000,
    });
    for (const until = Date.now() + 20_000 * SLOWNESS; ; ) {
      if (await this.#listens()) return;
      if (Date.now() > until) throw new Error('nats-server does not listen');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** SIGKILL: as when the power is cut. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#handle === undefined) return;
    await this.#namespace.ask('signal', this.#handle, signal);
    await this.#namespace.ask('finish', this.#handle);
    this.#handle = undefined;
  }

  /** Makes it read its configuration again. */
  async reload(text: string): Promise<void> {
    writeFileSync(join(this.folder, 'conf'), text.replaceAll('$DIR', this.folder));
    await this.#namespace.ask('signal', this.#handle!, 'SIGHUP');
  }

  /** It greets whoever connects. */
  #listens(): Promise<boolean> {
    return new Promise((resolve) => {
      let socket: ReturnType<typeof connectIn>;
      try {
        socket = connectIn(this.#namespace, this.#address, NATS_PORT);
      } catch {
        resolve(false); // nobody listens yet
        return;
      }
      const done = (answer: boolean) => {
        socket.destroy();
        resolve(answer);
      };
      socket.once('data', () => done(true));
      socket.once('error', () => done(false));
      socket.once('close', () => done(false));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
