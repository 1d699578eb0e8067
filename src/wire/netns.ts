// Network namespaces: finding one, and doing something in it while the process stays where it is. setns(2) moves only the calling thread.
// The thread that runs JavaScript goes there, does one synchronous thing and comes back. Nothing else runs on it meanwhile, and it starts
// no thread there, because that would stay.

import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { ClosedError, NamespaceError } from '../errors.js';
import { safeText } from '../safe-text.js';
import { Descriptor } from './descriptor.js';
import { EINVAL, EPERM, errnoName, errnoReason } from './errno.js';
import { libc } from './ffi.js';
import type { Libc } from './libc.js';
import { requireLinux } from './platform.js';

/** linux/sched.h */
const CLONE_NEWNET = 0x40000000;

/** Where `ip netns` keeps its names. */
export const NAME_FOLDERS = ['/run/netns', '/var/run/netns'];

const OWN = '/proc/thread-self/ns/net';
/** The name can be that of any kind of file, and opening it must not wait for another process. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * An open network namespace. It stays the same one, and continues to exist, until `close`, whatever happens to its name or to the process
 * by which it was found.
 */
export class NetworkNamespace implements Disposable {
  /** The name, path or process id by which it was opened. `--netns` takes it. */
  readonly name: string;
  /** Device and number of the file: the same however you name the namespace. The device is the same for all namespaces. */
  readonly device: number;
  readonly inode: number;
  readonly #descriptor: Descriptor;

  private constructor(name: string, fd: number) {
    this.name = name;
    this.#descriptor = new Descriptor(this, fd, closeSync);
    ({ dev: this.device, ino: this.inode } = fstatSync(fd));
  }

  /**
   * Opens a namespace by the name that `ip netns` gave it, by a path (with a `/`), or by the id of a process in it. Digits are a process
   * id unless a namespace has that name. Whether the file is a network namespace shows when it is entered.
   * @throws NamespaceError; PlatformError where this is not Linux
   */
  static open(where: string | number): NetworkNamespace {
    requireLinux();
    const name = String(where);
    const [path, isPid] = find(where);
    try {
      return new NetworkNamespace(name, openSync(path, OPEN_FLAGS));
    } catch (cause) {
      throw cannotOpen(name, path, isPid, cause);
    }
  }

  /**
   * Runs `work` in this namespace. It must be synchronous: do everything before it returns. If the thread cannot come back, although that
   * was tried before leaving, the process ends, because nobody could say any more in which namespace it acts.
   * @throws NamespaceError with `code` EPERM without CAP_SYS_ADMIN, EINVAL when this is no network namespace
   */
  run<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
    if (this.#descriptor.closed) throw new ClosedError(`the network namespace ${this.name} is closed`);
    const c = libc();
    const own = openOwn(this.name);
    try {
      // A process may be allowed to leave but not to return: in a user namespace of its own, but not in a network namespace of it.
      const back = c.setns(own, CLONE_NEWNET);
      if (back < 0) throw cannotEnter(this.name, -back);
      const there = c.setns(this.#descriptor.number, CLONE_NEWNET);
      if (there < 0) throw cannotEnter(this.name, -there);
      try {
        return work();
      } finally {
        const returned = c.setns(own, CLONE_NEWNET);
        if (returned < 0) endLost(c, this.name, -returned);
      }
    } finally {
      closeSync(own);
    }
  }

  /** Idempotent. Whatever was opened in the namespace stays open. An unreachable namespace is closed too, some time later. */
  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether a name that is gone can lead to a namespace again: not that of a process, whose id may be another one's then. */
export function canComeAgain(name: string): boolean {
  const [path, isPid] = find(name);
  return !isPid && !path.startsWith('/proc/');
}

/** A file below /proc as a network namespace sees it; `undefined` if it cannot be read: the caller has a better error. */
export function readIn(namespace: NetworkNamespace | undefined, path: string): string | undefined {
  const text = () => readFileSync(path, 'utf8');
  try {
    return namespace ? namespace.run(text) : text();
  } catch (error) {
    if (error instanceof NamespaceError) throw error;
    return undefined;
  }
}

/** What begins a command line that runs something in a network namespace: `ip netns exec blue`; empty if that is this thread's own. */
export function enteringCommand(namespace: NetworkNamespace | undefined): string {
  if (namespace === undefined || namespace.inode === statSync(OWN).ino) return '';
  const [path, isPid] = find(namespace.name);
  if (isPid) return `nsenter -t ${namespace.name} -n`;
  const isName = !namespace.name.includes('/');
  const word = isName ? namespace.name : path;
  const quoted = /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
  return isName ? `ip netns exec ${quoted}` : `nsenter --net=${quoted}`;
}

/** The way back. */
function openOwn(name: string): number {
  try {
    return openSync(OWN, OPEN_FLAGS);
  } catch (cause) {
    throw new NamespaceError(`cannot enter network namespace ${name}: ${OWN} cannot be opened`, codeOf(cause), {
      cause,
      hint: NEEDS_PROC,
    });
  }
}

/** Ends the process, which is in a namespace that nobody expects it in. */
function endLost(c: Libc, name: string, errno: number): void {
  try {
    const where = `network namespace ${safeText(name)}`;
    writeSync(2, `conntrack: cannot return from ${where}: ${errnoReason(errno)}; the process ends here\n`);
  } finally {
    c.exit(1);
  }
}

/** The file of a namespace, and whether the name was a process id. */
function find(where: string | number): readonly [path: string, isPid: boolean] {
  if (typeof where === 'number') return [`/proc/${where}/ns/net`, true];
  if (where.includes('/')) return [where, false];
  const paths = NAME_FOLDERS.map((folder) => `${folder}/${where}`);
  const found = paths.find((path) => existsSync(path));
  if (found === undefined && /^[0-9]+$/.test(where)) return [`/proc/${where}/ns/net`, true];
  return [found ?? paths[0]!, false];
}

function cannotOpen(name: string, path: string, isPid: boolean, cause: unknown): NamespaceError {
  const code = codeOf(cause);
  const what = isPid ? `process ${name}` : path === name ? `network namespace ${path}` : `network namespace '${name}'`;
  if (code === 'ENOENT')
    return new NamespaceError(
      isPid ? `there is no process ${name}, and no network namespace of that name` : `there is no ${what}`,
      code,
      {
        cause,
        hint: 'give a name that "ip netns" lists, a path such as /proc/PID/ns/net, or a process id',
      },
    );
  if (code === 'EACCES' || code === 'EPERM')
    return new NamespaceError(`cannot open ${isPid ? `the network namespace of ${what}` : what}: permission denied`, code, {
      cause,
      hint: NEEDS_ADMIN,
    });
  return new NamespaceError(`cannot open ${what}: ${code}`, code, { cause });
}

/** The error for a file that is no network namespace. */
export function notANamespace(name: string): NamespaceError {
  return new NamespaceError(`${name} is not a network namespace`, errnoName(EINVAL), {
    hint: 'a file in /run/netns with nothing mounted on it is a left-over: ip netns delete NAME removes it',
  });
}

function cannotEnter(name: string, errno: number): NamespaceError {
  const code = errnoName(errno);
  if (errno === EINVAL) return notANamespace(name);
  if (errno === EPERM)
    return new NamespaceError(`cannot enter network namespace ${name}: permission denied`, code, { hint: NEEDS_ADMIN });
  return new NamespaceError(`cannot enter network namespace ${name}: ${errnoReason(errno)}`, code);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'EIO';
}

const NEEDS_PROC = 'other network namespaces need /proc, and a free file descriptor';
const NEEDS_ADMIN =
  'run it as root, or with CAP_SYS_ADMIN in the user namespaces of both network namespaces, to enter and to come back';
