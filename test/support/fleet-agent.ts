// `conntrack agent` and `conntrack collector` in a private namespace, as its users run it.

import type { Namespace } from './namespace.js';
import { SLOWNESS, UNDER_TEST } from './project.js';
import { until } from './watchers.js';

export interface AgentEnd {
  readonly status: number | string | null;
  readonly err: string;
}

/** A command that goes on until a signal ends it. */
class RunningCommand implements AsyncDisposable {
  readonly #namespace: Namespace;
  readonly #handle: number;
  #ended: AgentEnd | undefined;

  protected constructor(namespace: Namespace, handle: number) {
    this.#namespace = namespace;
    this.#handle = handle;
  }

  /** What it has told so far. */
  async err(): Promise<string> {
    return (await this.#namespace.ask('written', this.#handle)).stderr.toString();
  }

  async says(what: RegExp): Promise<void> {
    await until(`it says ${what}`, async () => what.test(await this.err()), 20_000 * SLOWNESS);
  }

  signal(name: NodeJS.Signals): Promise<void> {
    return this.#namespace.ask('signal', this.#handle, name);
  }

  /** Waits for its end. */
  async end(): Promise<AgentEnd> {
    if (!this.#ended) {
      const { status, stderr } = await this.#namespace.ask('finish', this.#handle);
      this.#ended = { status, err: stderr.toString() };
    }
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    await this.signal('SIGTERM');
    await this.end();
  }
}

export class RunningAgent extends RunningCommand {
  /** Starts it, and waits until it answers. */
  static async start(namespace: Namespace, words: readonly string[]): Promise<RunningAgent> {
    const handle = await namespace.start([UNDER_TEST, 'agent', ...words], { timeLimit: 600_000 });
    const agent = new RunningAgent(namespace, handle);
    await agent.says(/ answers at /);
    return agent;
  }
}

export class RunningCollector extends RunningCommand {
  /** Starts it, and waits until it collects. */
  static async start(namespace: Namespace, words: readonly string[]): Promise<RunningCollector> {
    const handle = await namespace.start([UNDER_TEST, 'collector', ...words], { timeLimit: 600_000 });
    const collector = new RunningCollector(namespace, handle);
    await collector.says(/ collects at /);
    return collector;
  }
}
