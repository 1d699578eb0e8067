// `conntrack serve` as its users run it: the built command in a private namespace, asked over real sockets.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import type { Namespace } from './namespace.js';
import { connectIn } from './net-sockets.js';
import { COMMAND_ENVIRONMENT, SLOWNESS, UNDER_TEST } from './project.js';
import { type Asked, EventReader, type Told } from './web-tester.js';

export const PORT = 8466;
export const HERE = '127.0.0.1';
const LISTENING = /^conntrack: (https?:|unix:|descriptor )/m;

export interface ServedOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Passed as descriptor 3. */
  readonly passed?: number;
  /** Words before the command, such as those of setpriv(1). */
  readonly before?: readonly string[];
  /** Where requests go. Default: TCP on loopback. */
  readonly connect?: () => net.Socket;
}

export interface ServedRequest extends Asked {
  readonly token?: string;
}

/** Asks a server over real sockets. */
export class WebClient {
  /** Makes a connection. */
  readonly connect: () => net.Socket;

  constructor(connect: () => net.Socket) {
    this.connect = connect;
  }

  /** The response of a request, over a connection of its own unless one is given. */
  open(
    path: string,
    { token, method, headers, json, body }: ServedRequest = {},
    agent?: http.Agent,
  ): Promise<http.IncomingMessage> {
    const text = json === undefined ? (body as string | undefined) : JSON.stringify(json);
    return new Promise((resolve, reject) => {
      const request = http.request({
        path,
        method: method ?? (text === undefined ? 'GET' : 'POST'),
        headers: {
          host: `${HERE}:${PORT}`,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(agent ? { agent } : { createConnection: () => this.connect() }),
      });
      request.on('response', resolve).on('error', reject);
      request.end(text);
    });
  }

  /** The whole answer. */
  async ask(path: string, asked?: ServedRequest, agent?: http.Agent): Promise<Told> {
    const response = await this.open(path, asked, agent);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const isJson = response.headers['content-type']?.startsWith('application/json');
    return {
      status: response.statusCode!,
      headers: new Headers(response.headers as Record<string, string>),
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  }

  /** `200`, or status and code of a refusal. */
  async outcome(path: string, asked?: ServedRequest): Promise<string> {
    const { status, json } = await this.ask(path, asked);
    return status === 200 ? '200' : `${status} ${json?.error.code}`;
  }

  async stream(path: string, asked?: ServedRequest): Promise<EventReader> {
    const response = await this.open(path, asked);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}`);
    return new EventReader(Readable.toWeb(response) as ReadableStream<Uint8Array>);
  }

  /** Sends bytes, and reads what comes until the server ends the connection. */
  raw(bytes: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = this.connect();
      let text = '';
      const timer = setTimeout(() => socket.destroy(), 15_000 * SLOWNESS);
      socket.on('data', (data) => {
        text += data.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(text);
      });
      socket.write(bytes, 'latin1');
    });
  }
}

/** The end of a server. */
export interface ServedEnd {
  readonly status: number | string;
  readonly err: string;
}

const running = new Set<ChildProcess>();
process.on('exit', () => Served.killAll());

export class Served extends WebClient implements AsyncDisposable {
  readonly ended: Promise<ServedEnd>;
  readonly #child: ChildProcess;
  #err = '';
  #out = '';
  #heard = () => {};

  private constructor(namespace: Namespace, words: readonly string[], options: ServedOptions) {
    super(options.connect ?? (() => connectIn(namespace, HERE, PORT)));
    const { environment, passed, before = [] } = options;
    const argv = ['-t', `${namespace.pid}`, '-n', '-m', '--', ...before, UNDER_TEST, 'serve', ...words];
    const child = spawn('nsenter', argv, {
      cwd: '/',
      env: { ...COMMAND_ENVIRONMENT, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', ...(passed === undefined ? [] : [passed])],
    });
    this.#child = child;
    running.add(child);
    child.stderr!.on('data', (text) => {
      this.#err += text;
      this.#heard();
    });
    child.stdout!.on('data', (text) => {
      this.#out += text;
    });
    this.ended = new Promise((resolve) =>
      child.on('close', (status, signal) => {
        running.delete(child);
        this.#heard();
        resolve({ status: status ?? `${signal}`, err: this.#err });
      }),
    );
  }

  /** Starts it, and waits until it listens. @throws Error with what it says if it does not */
  static async start(namespace: Namespace, words: readonly string[], options: ServedOptions = {}): Promise<Served> {
    const served = new Served(namespace, words, options);
    await served.said(LISTENING);
    return served;
  }

  /** Starts it where it should end by itself. */
  static run(namespace: Namespace, words: readonly string[], options: ServedOptions = {}): Promise<ServedEnd> {
    const served = new Served(namespace, words, options);
    const timer = setTimeout(() => served.#child.kill('SIGKILL'), 20_000 * SLOWNESS);
    return served.ended.finally(() => clearTimeout(timer));
  }

  /** Ends those that a failed test left behind. */
  static killAll(): void {
    for (const child of running) child.kill('SIGKILL');
  }

  /** What it has told so far. */
  get err(): string {
    return this.#err;
  }

  get out(): string {
    return this.#out;
  }

  /** Process ids: first what was started, last what serves. */
  get pids(): readonly number[] {
    return withChildren(this.#child.pid!);
  }

  get pid(): number {
    return this.pids.at(-1)!;
  }

  /** Open descriptors of what serves. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Memory of what serves, in megabytes. */
  get memory(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))![1]) / 1024;
  }

  /** Waits until it has told something. */
  async said(what: RegExp): Promise<RegExpExecArray> {
    const until = Date.now() + 20_000 * SLOWNESS;
    for (;;) {
      const found = what.exec(this.#err);
      if (found) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null || Date.now() > until)
        throw new Error(`${what} was not told, but: ${this.#err}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it as a service manager does. */
  async stop(): Promise<ServedEnd> {
    this.signal('SIGTERM');
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!running.has(this.#child)) return;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000 * SLOWNESS);
    await this.stop();
    clearTimeout(timer);
  }
}

/** A process, its first child, the first child of that, and so on. */
export function withChildren(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? [pid] : [pid, ...withChildren(Number(children.split(' ')[0]))];
}

/** A connection with TLS over another. */
export function secured(socket: net.Socket, options: tls.ConnectionOptions): tls.TLSSocket {
  return tls.connect({ socket, servername: 'localhost', ...options });
}
