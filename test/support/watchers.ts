// Commands that watch events side by side in one namespace: finds out whether they listen and have read everything, and what they showed.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace, RunOptions } from './namespace.js';
import { type Outcome, toOutcome } from './outcome.js';
import { SLOWNESS } from './project.js';

/** A NETLINK_NETFILTER socket that listens to events, as /proc/net/netlink of a namespace tells. */
export interface Listener {
  readonly portId: number;
  /** Bytes that wait in its receive buffer. */
  readonly waiting: number;
  readonly drops: number;
}

export async function listeners(namespace: Namespace): Promise<Listener[]> {
  const table = await namespace.ask('read', '/proc/net/netlink');
  return table.split('\n').flatMap((line) => {
    const [, protocol, portId, groups, waiting, , , , drops] = line.trim().split(/\s+/);
    if (protocol !== '12' || Number.parseInt(groups ?? '0', 16) === 0) return [];
    return [{ portId: Number(portId), waiting: Number(waiting), drops: Number(drops) }];
  });
}

/** Waits until a condition holds. @throws Error with `what` if it does not within ten seconds (or as given) */
export async function until(what: string, holds: () => Promise<boolean> | boolean, limit = 10_000): Promise<void> {
  for (const end = Date.now() + limit * SLOWNESS; ; await sleep(20)) {
    if (await holds()) return;
    if (Date.now() > end) throw new Error(`this did not happen in time: ${what}`);
  }
}

/** Commands that were started and listen. */
export class Watchers {
  readonly #namespace: Namespace;
  readonly #handles: readonly number[];

  private constructor(namespace: Namespace, handles: readonly number[]) {
    this.#namespace = namespace;
    this.#handles = handles;
  }

  /** Starts all, and waits until every one listens. */
  static async start(
    namespace: Namespace,
    commands: readonly (readonly string[])[],
    options: RunOptions = {},
  ): Promise<Watchers> {
    const before = (await listeners(namespace)).length;
    const handles: number[] = [];
    for (const command of commands) handles.push(await namespace.start(command, { timeLimit: 180_000, ...options }));
    const wanted = before + commands.length;
    await until(`${wanted} listen`, async () => (await listeners(namespace)).length >= wanted, 60_000);
    return new Watchers(namespace, handles);
  }

  /** Waits until all have read everything sent so far. */
  async drained(): Promise<void> {
    await until(
      'all events are read',
      async () => (await listeners(this.#namespace)).every(({ waiting }) => waiting === 0),
      60_000,
    );
  }

  /** What watcher `index` has shown so far. */
  async written(index: number): Promise<{ stdout: string; stderr: string }> {
    const { stdout, stderr } = await this.#namespace.ask('written', this.#handles[index]!);
    return { stdout: Buffer.from(stdout).toString('latin1'), stderr: Buffer.from(stderr).toString('latin1') };
  }

  async signal(index: number, name: NodeJS.Signals): Promise<void> {
    await this.#namespace.ask('signal', this.#handles[index]!, name);
  }

  /** Waits until watcher `index` ends by itself. */
  async outcome(index = 0): Promise<Outcome> {
    const result = await this.#namespace.ask('finish', this.#handles[index]!);
    return toOutcome({ ...result, stdout: Buffer.from(result.stdout), stderr: Buffer.from(result.stderr) });
  }

  /** Ends all with a signal once they have read everything. @returns what each showed, in the order of the commands */
  async end(name: NodeJS.Signals = 'SIGINT'): Promise<Outcome[]> {
    await this.drained();
    await sleep(100); // the reference formats what it has read
    for (const index of this.#handles.keys()) await this.signal(index, name);
    const outcomes: Outcome[] = [];
    for (const index of this.#handles.keys()) outcomes.push(await this.outcome(index));
    return outcomes;
  }
}
