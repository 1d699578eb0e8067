// Private network namespaces: each has its own connection tracking table, its own /etc/xtables, and an agent process inside. The
// machine's own namespace and files are never touched. Safe to use from tests that run side by side.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Answer, Operations, RunRequest, RunResult } from './agent.js';
import { COMMAND_ENVIRONMENT, SLOWNESS } from './project.js';
import type { Purpose } from './resident.js';

const AGENT = fileURLToPath(new URL('./agent.js', import.meta.url));

/** Where the reference, which has no `--labelmap`, looks for label names. Every namespace has its own. */
export const LABEL_FILE = '/etc/xtables/connlabel.conf';

/** Inside the new mount namespace: /etc becomes a folder of links to the machine's files, except for xtables/, which is ours. */
const ENTER = `
set -e
mount -t tmpfs -o mode=755 conntrack-test "$1"
mkdir "$1/machine" "$1/etc"
mount --bind /etc "$1/machine"
mount -o remount,bind,ro "$1/machine"
ln -s "$1"/machine/* "$1/etc/"
rm -f "$1/etc/xtables"
mkdir "$1/etc/xtables"
mount --bind "$1/etc" /etc
ip link set lo up
shift
exec "$@"
`;

export interface RunOptions {
  environment?: Readonly<Record<string, string>>;
  input?: Uint8Array;
  stdoutFile?: string;
  /** Milliseconds; 20 s unless told. */
  timeLimit?: number;
  /** What the test is after; that of the namespace, unless told. */
  purpose?: Purpose;
}

type Result<K extends keyof Operations> = Awaited<ReturnType<Operations[K]>>;

const open = new Set<Namespace>();

/** One private namespace. `await using ns = await Namespace.create('client')`. */
export class Namespace {
  /** For messages and interface names. */
  readonly name: string;
  /** What tests here are after, where they do not say so of a run. */
  readonly #purpose: Purpose;
  readonly #agent: ChildProcess;
  readonly #mountPoint: string;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #last = 0;
  #closed = false;

  private constructor(name: string, purpose: Purpose, agent: ChildProcess, mountPoint: string) {
    this.name = name;
    this.#purpose = purpose;
    this.#agent = agent;
    this.#mountPoint = mountPoint;
  }

  /** @throws Error with the reason when namespaces cannot be made here. */
  static async create(name: string, purpose: Purpose = 'process'): Promise<Namespace> {
    const mountPoint = mkdtempSync(join(tmpdir(), `conntrack-test-${name}-`));
    // If the compiler is switched off, because an emulator would have to translate its output, switch it off here, too.
    const flags = process.execArgv.filter((word) => word.startsWith('--no-'));
    const argv = ['--net', '--mount', 'sh', '-c', ENTER, 'sh', mountPoint, process.execPath, ...flags, AGENT];
    const agent = spawn('unshare', argv, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, TZ: COMMAND_ENVIRONMENT['TZ'] }, // for commands that run inside the agent
    });
    const namespace = new Namespace(name, purpose, agent, mountPoint);
    open.add(namespace);
    installExitHandlers();
    await new Promise<void>((resolve, reject) => {
      agent.on('error', reject);
      agent.on('exit', (code, signal) => {
        const error = new Error(`the agent of namespace ${name} ended with ${signal ?? code}; root and CAP_SYS_ADMIN are needed`);
        reject(error);
        for (const { reject } of namespace.#waiting.values()) reject(error);
        namespace.#waiting.clear();
      });
      agent.on('message', (answer: Answer) => {
        if (answer.id === 0) return resolve();
        const waiting = namespace.#waiting.get(answer.id);
        namespace.#waiting.delete(answer.id);
        if ('error' in answer) waiting?.reject(new Error(`in namespace ${name}: ${answer.error}`));
        else waiting?.resolve(answer.value as never);
      });
    });
    return namespace;
  }

  /** For `ip link set … netns PID`. */
  get pid(): number {
    return this.#agent.pid!;
  }

  /** Of the agent itself, which `pid` becomes: the sender of `netlink`. */
  get agentPid(): number {
    return this.#agent.pid!;
  }

  /** Asks the agent. */
  ask<K extends keyof Operations>(operation: K, ...args: Parameters<Operations[K]>): Promise<Result<K>> {
    if (this.#closed) return Promise.reject(new Error(`namespace ${this.name} is closed`));
    const id = ++this.#last;
    return new Promise<Result<K>>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#agent.send({ id, operation, args });
    });
  }

  /** Runs a command until it ends, with the environment of all compared commands. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const request = this.#request(argv, options);
    // What runs inside the agent cannot be ended without it.
    const hangs = setTimeout(() => this.#agent.kill('SIGKILL'), request.timeLimit + 10_000 * SLOWNESS);
    const result = await this.ask('run', request).finally(() => clearTimeout(hangs));
    return { ...result, stdout: Buffer.from(result.stdout), stderr: Buffer.from(result.stderr) };
  }

  /** Runs a command that must succeed. @returns its output. */
  async must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await this.run(argv, options);
    if (result.status !== 0)
      throw new Error(`in namespace ${this.name}: ${argv.join(' ')}: ${result.status}\n${result.stderr.toString()}`);
    return result.stdout.toString();
  }

  /** Starts a command in the background. @returns a handle for `ask('signal' | 'written' | 'finish', handle)`. */
  start(argv: readonly string[], options: RunOptions = {}): Promise<number> {
    return this.ask('start', this.#request(argv, options));
  }

  #request(argv: readonly string[], options: RunOptions): RunRequest {
    const { input, stdoutFile, purpose = this.#purpose } = options;
    return {
      argv,
      environment: { ...COMMAND_ENVIRONMENT, ...options.environment },
      timeLimit: (options.timeLimit ?? 20_000) * SLOWNESS,
      purpose,
      ...(input === undefined ? {} : { input }),
      ...(stdoutFile === undefined ? {} : { stdoutFile }),
    };
  }

  /** `net.netfilter.nf_conntrack_acct` and the like: of this namespace. */
  async sysctl(settings: Readonly<Record<string, number>>): Promise<void> {
    for (const [name, value] of Object.entries(settings))
      await this.ask('write', `/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`);
  }

  /** Loads an nft script. */
  async nft(script: string): Promise<void> {
    await this.must(['nft', '-f', '-'], { input: Buffer.from(script) });
  }

  /** Sends requests of netlink.ts, all of which must succeed. `kept`: from one socket that stays open, so that events can name it. */
  async netlink(messages: readonly Buffer[], how: 'once' | 'kept' = 'once'): Promise<void> {
    const errors = await this.ask(how === 'kept' ? 'netlinkKept' : 'netlink', messages);
    const failed = errors.flatMap((errno, index) =>
      errno === 0 ? [] : [`request ${index}: errno ${errno}: ${messages[index]!.toString('hex')}`],
    );
    if (failed.length > 0) throw new Error(`in namespace ${this.name}: ${failed.join('\n')}`);
  }

  /** The content of the label file here; undefined removes it. */
  async labels(text: string | undefined): Promise<void> {
    if (text === undefined) await this.ask('remove', LABEL_FILE);
    else await this.ask('write', LABEL_FILE, text);
  }

  /** Ends the agent and with it the namespace. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const ended = new Promise<void>((resolve) =>
      (this.#agent.exitCode ?? this.#agent.signalCode) === null ? this.#agent.once('exit', () => resolve()) : resolve(),
    );
    if (this.#agent.connected) this.#agent.disconnect();
    await ended;
    this.#forget();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** At the end of the process: the agent notices by itself, kills what it runs, and ends. @internal */
  abandon(): void {
    this.#closed = true;
    this.#forget();
  }

  #forget(): void {
    open.delete(this);
    try {
      rmdirSync(this.#mountPoint); // rmdir only: it must never reach the machine's /etc, which was mounted below in the other mount namespace
    } catch {
      // An empty folder in the temporary folder may stay; nothing else can.
    }
  }
}

let installed = false;
function installExitHandlers(): void {
  if (installed) return;
  installed = true;
  const abandonAll = () => {
    for (const namespace of open) namespace.abandon();
  };
  process.on('exit', abandonAll);
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      abandonAll();
      process.exit(status);
    });
  }
}
