// Names of the programs behind netlink port ids, from /proc. Looked up at most once a second for each port id, since a look-up may
// visit every process.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Table } from './tables.js';

const NETLINK_NETFILTER = '12';
/** How long an answer holds, in milliseconds: port ids are used again. */
const LIFETIME = 1000;
const MOST_KEPT = 1024;

interface Answer {
  readonly name: Uint8Array | undefined;
  readonly until: number;
}

export class ProgramNames {
  readonly #answers = new Map<number, Answer>();
  readonly #table: Pick<Table, 'readText'>;
  readonly #now: () => number;

  /** Port ids are those of the table's network namespace. `now`: milliseconds of a clock that nobody sets. */
  constructor(table: Pick<Table, 'readText'>, now = () => performance.now()) {
    this.#table = table;
    this.#now = now;
  }

  /** The bytes of the program's name; `undefined` when it has ended or belongs to another network namespace. */
  find(portId: number): Uint8Array | undefined {
    const known = this.#answers.get(portId);
    const now = this.#now();
    if (known && known.until > now) return known.name;
    if (this.#answers.size >= MOST_KEPT) this.#answers.clear();
    const name = lookUp(portId, this.#table.readText('/proc/net/netlink') ?? '');
    this.#answers.set(portId, { name, until: now + LIFETIME });
    return name;
  }
}

/** Socket of the port id → process that has it open → its name (docs/behaviour.md 5.2 row 27). */
function lookUp(portId: number, sockets: string): Uint8Array | undefined {
  const inode = inodeOf(portId, sockets);
  if (inode === undefined) return undefined;
  const link = `socket:[${inode}]`;
  // The first socket of a process has the process's own number.
  const own = `${portId}`;
  if (hasOpen(own, link)) return nameOf(own);
  for (const process of entries('/proc')) if (/^\d+$/.test(process) && hasOpen(process, link)) return nameOf(process);
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
function nameOf(process: string): Uint8Array | undefined {
  const stat = read(`/proc/${process}/stat`);
  const start = stat.indexOf('(') + 1;
  const end = stat.indexOf(')');
  return start > 0 && end > start ? new Uint8Array(stat.subarray(start, end)) : undefined;
}

/** Processes come and go, and those of others may not be looked into: what cannot be read is empty. */
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
