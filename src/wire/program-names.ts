// The programs behind netlink port ids, from /proc. A lookup may visit every process, so a result is reused for a second, and lookups
// take at most a quarter of the time: a program that may change flows can do so from any number of sockets.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { NamespaceError } from '../errors.js';
import { type NetworkNamespace, readIn } from './netns.js';

const NETLINK_NETFILTER = '12';
/** How long a result is reused, in milliseconds; the system reuses port ids. */
const LIFETIME = 1000;
const MOST_KEPT = 1024;
/** The share of time that lookups may take, and how many milliseconds they may take at once after a rest. */
const SHARE = 0.25;
const MOST_SAVED = 1000;
/** As MOST_SAVED, in a program that has other things to do on the same thread. */
export const MOST_SAVED_BESIDE_OTHERS = 25;

/** A process that has a socket open. */
export interface Program {
  /** Its name in the kernel: up to 15 bytes, which the process chooses. */
  readonly name: Uint8Array;
  readonly pid: number;
}

interface Answer {
  readonly program: Program | undefined;
  readonly until: number;
}

export class ProgramNames {
  readonly #answers = new Map<number, Answer>();
  readonly #sockets: () => string;
  readonly #now: () => number;
  readonly #most: number;
  #saved: number;
  #last: number;

  /**
   * @param sockets reads /proc/net/netlink of the network namespace to which the port ids belong
   * @param most milliseconds that lookups may take at once after a rest; the last one may take longer
   * @param now milliseconds of a clock that nobody sets
   */
  constructor(sockets: () => string, most = MOST_SAVED, now: () => number = () => performance.now()) {
    this.#sockets = sockets;
    this.#most = most;
    this.#saved = most;
    this.#now = now;
    this.#last = now();
  }

  /** Names of the sockets of a namespace; absent: of the one the process is in. */
  static in(namespace: NetworkNamespace | undefined, most?: number): ProgramNames {
    return new ProgramNames(() => {
      try {
        return readIn(namespace, '/proc/net/netlink') ?? '';
      } catch (error) {
        if (error instanceof NamespaceError) return ''; // no longer permitted, so nobody is found
        throw error;
      }
    }, most);
  }

  /** `undefined` if it has ended, belongs to another network namespace, or lookups have taken too much time. */
  find(portId: number): Program | undefined {
    const known = this.#answers.get(portId);
    const now = this.#now();
    if (known && known.until > now) return known.program;
    this.#saved = Math.min(this.#most, this.#saved + (now - this.#last) * SHARE);
    this.#last = now;
    if (this.#saved <= 0) return undefined;
    if (this.#answers.size >= MOST_KEPT) this.#answers.clear();
    const program = lookUp(portId, this.#sockets());
    this.#answers.set(portId, { program, until: now + LIFETIME });
    this.#saved -= this.#now() - now;
    return program;
  }
}

/** Socket of the port id → process that has it open (docs/behaviour.md 5.2 row 27). */
function lookUp(portId: number, sockets: string): Program | undefined {
  const inode = inodeOf(portId, sockets);
  if (inode === undefined) return undefined;
  // The first socket of a process has the process's own number.
  return programOfSocket(inode, `${portId}`);
}

/** The process that has a socket open; `likely` is looked at first. `undefined` if none can be seen. */
export function programOfSocket(inode: number | string, likely?: string): Program | undefined {
  const link = `socket:[${inode}]`;
  if (likely !== undefined && hasOpen(likely, link)) return programOf(likely);
  for (const process of entries('/proc')) if (/^\d+$/.test(process) && hasOpen(process, link)) return programOf(process);
  return undefined;
}

function inodeOf(portId: number, sockets: string): string | undefined {
  for (const line of sockets.split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (columns[1] === NETLINK_NETFILTER && columns[2] === `${portId}`) return columns[9];
  }
  return undefined;
}

function hasOpen(process: string, link: string): boolean {
  const folder = `/proc/${process}/fd`;
  return entries(folder).some((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`) === link;
    } catch {
      return false; // closed meanwhile
    }
  });
}

/** The second field of /proc/PID/stat, up to the first parenthesis that closes. */
function programOf(process: string): Program | undefined {
  const stat = read(`/proc/${process}/stat`);
  const start = stat.indexOf('(') + 1;
  const end = stat.indexOf(')');
  return start > 0 && end > start ? { name: new Uint8Array(stat.subarray(start, end)), pid: Number(process) } : undefined;
}

/** Processes come and go, and we may not read those of other users: whatever cannot be read is empty. */
function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
