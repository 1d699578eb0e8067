// The process inside a private network and mount namespace that works there for namespace.ts: it runs commands, writes sysctls, talks
// netlink, makes traffic. The namespace exists exactly as long as this process, and this process ends when its parent does (the IPC
// channel closes), however the parent ends, so nothing is left behind.

import { type ChildProcess, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  libc,
  MSG_DONTWAIT,
  NETLINK_BROADCAST_ERROR,
  NETLINK_NETFILTER,
  rawAddress,
  SO_RCVBUF,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from './libc.js';
import { dump, flood, netlinkAddress, openRequester, PACKET_QUEUE, request, requestBy, sendBy } from './netlink.js';
import { SLOWNESS } from './project.js';
import { isResident, type Purpose, runResident } from './resident.js';

/** One run of a command. */
export interface RunRequest {
  argv: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Bytes for standard input; otherwise it is /dev/null. */
  input?: Uint8Array;
  /** A file to be standard output instead of a pipe, such as /dev/full. */
  stdoutFile?: string;
  /** Milliseconds after which the command is killed with SIGKILL. */
  timeLimit: number;
  /** Whether it has to be a process of its own. */
  purpose: Purpose;
}

/** The result. */
export interface RunResult {
  /** The exit status, or the name of the signal that killed it. */
  status: number | string;
  stdout: Buffer;
  stderr: Buffer;
  /** True if the time limit was exceeded. */
  timedOut: boolean;
  /** Milliseconds since the epoch. */
  started: number;
  ended: number;
}

interface Running {
  child: ChildProcess;
  result: Promise<RunResult>;
  stdout: Buffer[];
  stderr: Buffer[];
}

let lastHandle = 0;
const running = new Map<number, Running>();
const sockets = new Map<number, net.Socket>();
const servers: (net.Server | dgram.Socket)[] = [];
const listeners: number[] = [];
let requester: number | undefined;

function start({ argv, environment, input, stdoutFile, timeLimit }: RunRequest): number {
  const [file, ...rest] = argv;
  const output = stdoutFile === undefined ? 'pipe' : openSync(stdoutFile, 'w');
  const started = Date.now();
  const child = spawn(file!, rest, {
    env: environment,
    cwd: '/',
    stdio: [input === undefined ? 'ignore' : 'pipe', output, 'pipe'],
  });
  if (typeof output === 'number') closeSync(output);
  if (input !== undefined) {
    child.stdin?.on('error', () => {}); // a command need not read its input
    child.stdin?.end(input);
  }
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeLimit);
  const result = new Promise<RunResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const status = code ?? String(signal);
      resolve({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), timedOut, started, ended: Date.now() });
    });
  });
  result.catch(() => {}); // reported by `finish`
  const handle = ++lastHandle;
  running.set(handle, { child, result, stdout, stderr });
  return handle;
}

async function finish(handle: number): Promise<RunResult> {
  const process = running.get(handle);
  if (process === undefined) throw new Error(`no running command ${handle}`);
  try {
    return await process.result;
  } finally {
    running.delete(handle);
  }
}

async function runHere({ argv, environment, input }: RunRequest): Promise<RunResult> {
  const started = Date.now();
  const result = await runResident({ argv, environment, ...(input === undefined ? {} : { input }) });
  return { ...result, timedOut: false, started, ended: Date.now() };
}

const socketOf = (handle: number): net.Socket => {
  const socket = sockets.get(handle);
  if (socket === undefined) throw new Error(`no connection ${handle}`);
  return socket;
};

/** The next data that arrives on a connection, as text. */
function heard(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the peer stays silent')), 5000 * SLOWNESS);
    socket.once('data', (data) => {
      clearTimeout(timer);
      resolve(data.toString('latin1'));
    });
  });
}

/** What namespace.ts can ask for. Arguments and results cross a process border. */
export const operations = {
  /** Runs a command until it ends. */
  run: (what: RunRequest): Promise<RunResult> =>
    what.stdoutFile === undefined && isResident(what.argv, what.purpose) ? runHere(what) : finish(start(what)),
  /** Starts a command in the background: `finish` waits for it. */
  start,
  finish,
  signal: (handle: number, name: NodeJS.Signals): void => void running.get(handle)?.child.kill(name),
  /** What a started command has written so far. */
  written: (handle: number): { stdout: Buffer; stderr: Buffer } => {
    const process = running.get(handle);
    if (process === undefined) throw new Error(`no running command ${handle}`);
    return { stdout: Buffer.concat(process.stdout), stderr: Buffer.concat(process.stderr) };
  },

  /** Writes a file as this namespace sees it: a sysctl, the label file. */
  write: (path: string, text: string | Uint8Array): void => {
    if (!path.startsWith('/proc/')) mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  },
  read: (path: string): string => readFileSync(path, 'latin1'),
  remove: (path: string): void => rmSync(path, { force: true }),

  /** Sends requests made by netlink.ts. @returns each one's errno. */
  netlink: (messages: readonly Uint8Array[]): number[] => request(messages.map((bytes) => Buffer.from(bytes))),

  /** Every message of a dump, as the kernel sends it. */
  dump: (type: number): Buffer[] => dump(type),
  /** As `netlink`, always from one socket, which stays open: events can name this process. */
  netlinkKept: (messages: readonly Uint8Array[]): number[] => {
    requester ??= openRequester();
    return requestBy(
      requester,
      messages.map((bytes) => Buffer.from(bytes)),
    );
  },
  /** As `netlink`, as fast as the kernel takes them, without reading the results. */
  flood: (messages: readonly Uint8Array[]): void => flood(messages.map((bytes) => Buffer.from(bytes))),

  /** Sends datagrams to the netlink socket of another process here, as any process with CAP_NET_ADMIN can. */
  forge: (portId: number, datagrams: readonly Uint8Array[]): void => {
    const c = libc();
    const fd = openRequester();
    const to = netlinkAddress(0, portId);
    for (const bytes of datagrams) c.sendto(fd, Buffer.from(bytes), bytes.length, 0, to, to.length);
    c.close(fd);
  },

  /** A listener to DESTROY events that never reads and insists on delivery: from now on, deleted entries stay on the dying list. */
  listenDeaf: (): void => {
    const c = libc();
    const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    const number = (value: number) => Buffer.from(new Int32Array([value]).buffer);
    c.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, number(1), 4);
    c.setsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, number(1), 4);
    c.bind(fd, netlinkAddress(0x4), 12);
    listeners.push(fd);
  },
  /** How many messages the deaf listeners took anyway. */
  drainDeaf: (): number => {
    const c = libc();
    let count = 0;
    for (const fd of listeners) {
      for (const bytes = Buffer.alloc(8192); ; count++) {
        try {
          c.recv(fd, bytes, bytes.length, MSG_DONTWAIT);
        } catch {
          break;
        }
      }
    }
    return count;
  },

  /** One packet of any protocol; the kernel adds the IP header. */
  rawSend: (proto: number, src: string, dst: string, payload: Uint8Array): void => {
    const c = libc();
    const fd = c.socket(src.includes(':') ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, proto);
    try {
      const from = rawAddress(src);
      const to = rawAddress(dst);
      c.bind(fd, from, from.length);
      c.sendto(fd, Buffer.from(payload), payload.length, 0, to, to.length);
    } finally {
      c.close(fd);
    }
  },

  /** A UDP server that echoes everything, or stays silent. */
  udpServe: (address: string, port: number, silent = false): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
      servers.push(socket);
      socket.on('error', reject);
      if (!silent) socket.on('message', (data, from) => socket.send(data, from.port, from.address));
      socket.bind(port, address, resolve);
    }),
  /** Sends datagrams of `size` bytes (or one with `text`); with `answers`, waits for as many replies. */
  udpSend: (
    from: [string, number],
    to: [string, number],
    what: { count: number; size: number; text?: string; answers: boolean },
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = dgram.createSocket(from[0].includes(':') ? 'udp6' : 'udp4');
      let sent = 0;
      const timer = setTimeout(() => {
        socket.close();
        reject(new Error(`udp ${from.join(':')} to ${to.join(':')}: no answer`));
      }, 5000 * SLOWNESS);
      const next = () => {
        if (sent++ < what.count) {
          const bytes = what.text === undefined ? Buffer.alloc(what.size, 0x2e) : Buffer.from(what.text, 'latin1');
          socket.send(bytes, to[1], to[0], (error) => (error ? reject(error) : what.answers ? undefined : next()));
        } else {
          clearTimeout(timer);
          socket.close(() => resolve());
        }
      };
      socket.on('error', (error) => (what.answers ? reject(error) : undefined)); // port unreachable is fine if no reply is expected
      socket.on('message', () => (what.answers ? next() : undefined));
      socket.bind(from[1], from[0], next);
    }),

  /**
   * From each port, two datagrams that wait in queue 0 of the firewall and go on together: so the kernel has made two entries of one flow, of
   * which the first is confirmed when the second is to be.
   */
  udpClash: async (from: [string, number], to: [string, number], count: number): Promise<void> => {
    const fd = openRequester();
    try {
      const answers = requestBy(fd, PACKET_QUEUE.bind);
      if (answers.some((errno) => errno !== 0)) throw new Error(`no queue of packets: errno ${answers.join()}`);
      for (let n = 0; n < count; n++) {
        const socket = dgram.createSocket('udp4');
        socket.on('error', () => {});
        await new Promise<void>((resolve) => {
          socket.bind(from[1] + n, from[0], resolve);
        });
        for (let twice = 0; twice < 2; twice++)
          await new Promise<void>((resolve) => {
            socket.send('.', to[1], to[0], () => resolve());
          });
        sendBy(fd, PACKET_QUEUE.release);
        socket.close();
      }
    } finally {
      libc().close(fd);
    }
  },

  /** A TCP server: `echo`, or `ftp`, which knows just enough of RFC 959 and 2428 for the kernel's helper to have something to read. */
  tcpServe: (address: string, port: number, kind: 'echo' | 'ftp' = 'echo', passivePort = 0): Promise<void> =>
    new Promise((resolve, reject) => {
      const server = net.createServer((socket) => {
        socket.on('error', () => {});
        if (kind === 'ftp') speakFtp(socket, address, passivePort);
        else socket.on('data', (data) => socket.write(data));
      });
      servers.push(server);
      server.on('error', reject);
      server.listen(port, address, resolve);
    }),
  tcpConnect: (from: [string, number], to: [string, number]): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({
        host: to[0],
        port: to[1],
        localAddress: from[0],
        localPort: from[1],
        family: to[0].includes(':') ? 6 : 4,
      });
      socket.on('error', reject);
      socket.on('connect', () => {
        sockets.set(++lastHandle, socket);
        resolve(lastHandle);
      });
    }),
  tcpHear: (handle: number): Promise<string> => heard(socketOf(handle)),
  /** Sends a line and returns the reply. */
  tcpSay: (handle: number, text: string): Promise<string> => {
    const socket = socketOf(handle);
    const answer = heard(socket);
    socket.write(text, 'latin1');
    return answer;
  },
  tcpClose: (handle: number, how: 'end' | 'reset'): Promise<void> =>
    new Promise((resolve) => {
      const socket = socketOf(handle);
      sockets.delete(handle);
      socket.on('close', () => resolve());
      if (how === 'end') socket.end();
      else socket.resetAndDestroy();
    }),
} as const;

export type Operations = typeof operations;

function speakFtp(socket: net.Socket, address: string, passivePort: number): void {
  const say = (line: string) => socket.write(`${line}\r\n`);
  say('220 ready');
  socket.on('data', (data) => {
    const [word = '', argument = ''] = data.toString('latin1').trim().split(' ');
    switch (word.toUpperCase()) {
      case 'USER':
        return say('331 password, please');
      case 'PASS':
        return say('230 welcome');
      case 'PASV':
        return say(`227 Entering Passive Mode (${address.replaceAll('.', ',')},${passivePort >> 8},${passivePort & 0xff})`);
      case 'EPSV':
        return say(`229 Entering Extended Passive Mode (|||${passivePort}|)`);
      case 'PORT':
      case 'EPRT':
        return say(`200 ${word} ${argument} it is`);
      case 'QUIT':
        return say('221 bye');
      default:
        return say('502 not here');
    }
  });
}

interface Question {
  id: number;
  operation: keyof Operations;
  args: unknown[];
}

/** An answer; `id` 0 is the sign that the agent is ready. */
export type Answer = { id: number; value: unknown } | { id: number; error: string };

function serve(): void {
  const answer = (message: Answer) => process.connected && process.send!(message);
  process.on('message', async ({ id, operation, args }: Question) => {
    try {
      answer({ id, value: await (operations[operation] as (...args: unknown[]) => unknown)(...args) });
    } catch (error) {
      answer({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  const leave = () => {
    for (const { child } of running.values()) child.kill('SIGKILL');
    process.exit();
  };
  process.on('disconnect', leave);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {}); // the parent decides; ^C reaches the whole group
  answer({ id: 0, value: null });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) serve();
