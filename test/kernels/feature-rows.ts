// What a kernel offers besides filters: each row asks the kernel, and the command under test must cope with the answer.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { ConntrackTable } from '../../src/library/table.js';
import { isTracking } from '../../src/library/tracking.js';
import {
  AF_NETLINK,
  libc,
  MSG_DONTWAIT,
  NETLINK_NETFILTER,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../support/libc.js';
import {
  attribute,
  be32,
  DUMP_FLAGS,
  deleteFlow,
  dump,
  dumpBy,
  FLUSH,
  message,
  type NewFlow,
  netlinkAddress,
  newExpectation,
  newFlow,
  request,
  type Side,
  TCP,
  updateFlow,
} from '../support/netlink.js';
import type { ResidentResult } from '../support/resident.js';

/** Runs the command under test. */
export type Tool = (words: string) => Promise<ResidentResult>;

export interface FeatureRow {
  readonly name: string;
  /** What the kernel does, in a word or two. */
  readonly kernel: () => string;
  /** Something that must hold on every kernel. @returns what is wrong */
  readonly tool?: (run: Tool, kernel: string) => Promise<string | undefined>;
  /** What the tool does if the kernel does not. */
  readonly otherwise: string;
}

const ports = (sport: number, dport: number): Side => ({ src: '192.0.2.1', dst: '198.51.100.1', sport, dport });
const udp = (sport: number): NewFlow => ({ proto: 17, original: ports(sport, 53), timeout: 1000 });
const HEADER = 20;
const yes = (holds: boolean) => (holds ? 'yes' : 'no');

interface Found {
  readonly type: number;
  readonly payload: Buffer;
}

function attributes(bytes: Buffer): Found[] {
  const found: Found[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += (bytes.readUInt16LE(at) + 3) & ~3)
    found.push({ type: bytes.readUInt16LE(at + 2) & 0x3fff, payload: bytes.subarray(at + 4, at + bytes.readUInt16LE(at)) });
  return found;
}

const types = (entry: Buffer) => attributes(entry.subarray(HEADER)).map(({ type }) => type);

function send(...messages: Buffer[]): void {
  const errors = request(messages);
  const failed = errors.findIndex((errno) => errno !== 0);
  if (failed >= 0) throw new Error(`request ${messages[failed]!.toString('hex')}: errno ${errors[failed]}`);
}

/** An empty table, then these. */
function only(...flows: NewFlow[]): void {
  send(FLUSH, ...flows.map(newFlow));
}

const setting = (name: string) => `/proc/sys/net/netfilter/nf_conntrack_${name}`;

/** A flow of a protocol without a state of its own. */
export const portsOnly = (proto: number, sport: number): NewFlow => ({ proto, original: ports(sport, 9), timeout: 900 });

/** Whether two flows that differ by their ports only can both be there, and show them. */
export function tracksPorts(flow: (sport: number) => NewFlow): string {
  send(FLUSH);
  const errors = request([flow(1), flow(2)].map(newFlow));
  if (errors[0] !== 0) return `refused (${errors[0]})`;
  const [entry] = dump(0x101);
  const tuple = attributes(attributes(entry!.subarray(HEADER)).find(({ type }) => type === 1)!.payload);
  const proto = attributes(tuple.find(({ type }) => type === 2)!.payload);
  return yes(errors[1] === 0 && proto.some(({ type }) => type === 2));
}

/** Both flows can be made by the command; where the kernel ignores ports, the second is the first. */
const makesFlows = (words: string) => async (run: Tool, kernel: string) => {
  send(FLUSH);
  const made = await run(`-I -s 192.0.2.1 -d 198.51.100.1 ${words} -t 900`);
  if (made.status !== 0) return `-I ${words}: ${made.stderr}`;
  const saved = await run('-L -o save,full');
  send(FLUSH);
  // What is saved must load again.
  const again = await run(saved.stdout.toString().trim());
  if (again.status !== 0) return `${saved.stdout}: ${again.stderr}`;
  const listed = (await run('-L')).stdout.toString();
  return listed.includes('sport=') === (kernel === 'yes') || listed.includes('srckey=') === (kernel === 'yes')
    ? undefined
    : `lists ${listed}`;
};

/** What one event says: attribute numbers of the message that `change` causes. */
function event(groups: number, change: () => void): { types: number[]; count: number } {
  const c = libc();
  const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  try {
    c.bind(fd, netlinkAddress(groups), 12);
    change();
    const bytes = Buffer.alloc(8192);
    let first: number[] = [];
    for (let count = 0; ; count++) {
      try {
        const length = c.recv(fd, bytes, bytes.length, MSG_DONTWAIT);
        if (count === 0) first = types(bytes.subarray(0, length));
      } catch {
        return { types: first, count };
      }
    }
  } finally {
    c.close(fd);
  }
}

const NEW = 1;
const UPDATE = 2;
const DESTROY = 4;
const established: NewFlow = { proto: 6, original: ports(1, 80), timeout: 1000, tcpState: TCP.ESTABLISHED };

const accepts = (option: number, size = 4) => {
  const c = libc();
  const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  try {
    c.setsockopt(fd, SOL_NETLINK, option, Buffer.from(new Int32Array([1]).buffer), size);
    return 'yes';
  } catch {
    return 'no';
  } finally {
    c.close(fd);
  }
};

/** Whether a list can be asked for. */
function answers(request: number): string {
  try {
    dumpBy(message(request, DUMP_FLAGS, 0));
    return 'yes';
  } catch {
    return 'no';
  }
}

function statistics(command: number): Set<number> {
  const answers = dumpBy(message(command, DUMP_FLAGS, 0));
  return new Set(answers.flatMap(types));
}

/** The answer to GET_STATS, which is one message without an end. */
function globalStatistics(): number[] {
  const c = libc();
  const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  try {
    const bytes = message(0x105, 1, 0);
    c.sendto(fd, bytes, bytes.length, 0, netlinkAddress(), 12);
    const answer = Buffer.alloc(8192);
    return types(answer.subarray(0, c.recv(fd, answer, answer.length, 0)));
  } finally {
    c.close(fd);
  }
}

const succeeds = (words: string) => async (run: Tool) => {
  const { status, stderr } = await run(words);
  return status === 0 ? undefined : `${words}: exit ${status}: ${stderr}`;
};

const ALL = '255.255.255.255';

export const FEATURE_ROWS: readonly FeatureRow[] = [
  {
    name: 'TCP, UDP and SCTP with ports',
    kernel: () =>
      yes(
        [6, 17].every(
          (proto) =>
            tracksPorts((n) => ({ proto, original: ports(n, 9), timeout: 900, ...(proto === 6 ? { tcpState: 3 } : {}) })) ===
            'yes',
        ) &&
          tracksPorts((n) => ({
            proto: 132,
            original: ports(n, 9),
            timeout: 900,
            sctp: { state: 4, originalTag: 1, replyTag: 2 },
          })) === 'yes',
      ),
    tool: makesFlows('-p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2'),
    otherwise: '-',
  },
  {
    name: 'UDP-Lite with ports',
    kernel: () => tracksPorts((n) => portsOnly(136, n)),
    tool: makesFlows('-p udplite --sport 1 --dport 2'),
    otherwise: 'an entry of it has no ports and is shown so; `-o save,full` writes a line that loads',
  },
  {
    name: 'DCCP with ports and state',
    kernel: () => tracksPorts((n) => portsOnly(33, n)),
    tool: makesFlows('-p dccp --sport 1 --dport 2 --state OPEN --role client'),
    otherwise: 'an entry of it has no ports and is shown so; `-o save,full` writes a line that loads',
  },
  {
    name: 'GRE with keys',
    kernel: () => tracksPorts((n) => portsOnly(47, n)),
    tool: makesFlows('-p gre --srckey 1 --dstkey 2'),
    otherwise: '-',
  },
  {
    name: 'emptying one family only',
    kernel: () => {
      only(udp(1), { proto: 17, original: { src: '2001:db8::1', dst: '2001:db8::2', sport: 1, dport: 2 }, timeout: 900 });
      const bytes = message(0x102, 5, 2);
      bytes[17] = 1;
      send(bytes);
      return yes(dump(0x101).length === 1);
    },
    tool: async (run) => {
      only(udp(1), { proto: 17, original: { src: '2001:db8::1', dst: '2001:db8::2', sport: 1, dport: 2 }, timeout: 900 });
      const { status } = await run('-F -f ipv4');
      return status === 0 && dump(0x101).length === 1 ? undefined : '-F -f ipv4 left the wrong entries';
    },
    otherwise: 'before 5.3: deletes one by one',
  },
  {
    name: 'says in each answer that it filtered',
    kernel: () => {
      only(udp(1));
      const [entry] = dumpBy(message(0x101, DUMP_FLAGS, 2));
      return yes((entry!.readUInt16LE(6) & 0x20) !== 0);
    },
    otherwise: '-',
  },
  {
    name: 'setting labels',
    kernel: () => {
      only(udp(1));
      const [errno] = request([updateFlow(udp(1), { labels: { set: [3] } })]);
      return errno === 0 ? 'yes' : errno === 28 ? 'with a rule that uses them' : `refused (${errno})`;
    },
    otherwise: 'leaves entries without room for labels alone, and says so',
  },
  {
    name: 'refuses TCP states that do not exist',
    kernel: () => {
      send(FLUSH);
      return yes(request([newFlow({ ...established, tcpState: 14 })])[0] !== 0);
    },
    tool: async (run) => {
      send(FLUSH);
      request([newFlow({ ...established, tcpState: 14 })]);
      return succeeds('-L')(run);
    },
    otherwise: '-',
  },
  {
    name: 'limit of the table in GET_STATS',
    kernel: () => yes(globalStatistics().includes(2)),
    tool: succeeds('-C'),
    otherwise: '-',
  },
  {
    name: 'counters of `-S`',
    kernel: () => `${[...statistics(0x104)].sort((a, b) => a - b).join(', ')}`,
    tool: succeeds('-S'),
    otherwise: '-',
  },
  { name: 'counters of `-S expect`', kernel: () => yes(statistics(0x203).size > 0), tool: succeeds('-S expect'), otherwise: '-' },
  {
    name: 'expectations',
    kernel: () => {
      only({ ...established, helper: 'ftp' });
      const tuple: Side = { src: '198.51.100.1', dst: '192.0.2.1', sport: 0, dport: 4000 };
      const mask: Side = { src: ALL, dst: ALL, sport: 0, dport: 65535 };
      send(...newExpectation({ proto: 6, master: { proto: 6, side: established.original }, tuple, mask, timeout: 900 }));
      return yes(dump(0x201).length === 1);
    },
    tool: async (run) => {
      const { stdout } = await run('-L expect');
      return stdout.toString().includes('dport=4000') ? undefined : `-L expect: ${stdout}`;
    },
    otherwise: '-',
  },
  {
    name: 'list of dying entries',
    kernel: () => answers(0x106),
    tool: succeeds('-L dying'),
    otherwise: '-',
  },
  {
    name: 'list of unconfirmed entries',
    kernel: () => answers(0x107),
    tool: succeeds('-L unconfirmed'),
    otherwise: '-',
  },
  {
    name: 'events by default',
    kernel: () => {
      const value = readFileSync(setting('events'), 'latin1').trim();
      return value === '2' ? 'while somebody listens (2)' : `always (${value})`;
    },
    otherwise: 'with 2, entries made before anybody listened are silent: docs/events.md',
  },
  {
    name: 'time in events',
    kernel: () => {
      only();
      writeFileSync(setting('timestamp'), '1');
      const { types: found } = event(NEW, () => send(newFlow(udp(1))));
      writeFileSync(setting('timestamp'), '0');
      return yes(found.includes(27));
    },
    otherwise: '`-E -o timestamp` tells when the event was read',
  },
  {
    name: 'state of TCP in DESTROY events',
    kernel: () => {
      send(FLUSH);
      return yes(event(DESTROY, () => send(newFlow(established), deleteFlow(established))).types.includes(4));
    },
    otherwise: 'the event is shown without it',
  },
  {
    name: 'an update of nothing causes an event',
    kernel: () => {
      // Where events are recorded only while somebody listens, the listener must be there first.
      send(FLUSH);
      const { count } = event(NEW | UPDATE, () => send(newFlow(udp(1)), updateFlow(udp(1), { mark: 0 })));
      return yes(count === 2);
    },
    otherwise: '-',
  },
  { name: 'short acknowledgements (CAP_ACK)', kernel: () => accepts(10), otherwise: '-' },
  { name: 'reasons in acknowledgements (EXT_ACK)', kernel: () => accepts(11), otherwise: '-' },
  {
    name: 'lost events of one socket (SO_MEMINFO)',
    kernel: () => {
      const c = libc();
      const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
      try {
        const size = Buffer.from(new Int32Array([36]).buffer);
        c.getsockopt(fd, SOL_SOCKET, 55, Buffer.alloc(36), size);
        return yes(size.readInt32LE() === 36);
      } catch {
        return 'no';
      } finally {
        c.close(fd);
      }
    },
    otherwise: '-',
  },
  {
    name: 'changing entries in zones',
    kernel: () => {
      only({ ...udp(1), zone: 7 });
      return yes(request([updateFlow({ ...udp(1), zone: 7 }, { mark: 3 })])[0] === 0);
    },
    tool: async (run) => {
      only({ ...udp(1), zone: 7 });
      const { status, stderr } = await run('-U -p udp -w 7 -m 9');
      const listed = (await run('-L -m 9')).stdout.toString();
      return status === 0 && listed.includes('zone=7') ? undefined : `-U -w 7: ${status} ${stderr}`;
    },
    otherwise: '-',
  },
  {
    name: 'list of hooks',
    kernel: () => {
      try {
        dumpBy(message(0xc00, DUMP_FLAGS, 2, be32(1, 0)));
        return 'yes';
      } catch {
        return 'no';
      }
    },
    tool: async (_, listed) => {
      const table = ConntrackTable.open({});
      const nft = (rules: string) => execFileSync('nft', ['-f', '-'], { input: rules });
      try {
        const before = await isTracking(table);
        nft('table inet probe { chain in { type filter hook input priority 0; ct state new accept; }; }');
        const after = await isTracking(table);
        nft('delete table inet probe');
        const [wantedBefore, wantedAfter] = listed === 'yes' ? [false, true] : [undefined, undefined];
        return before === wantedBefore && after === wantedAfter ? undefined : `without a rule ${before}, with one ${after}`;
      } finally {
        table.close();
      }
    },
    otherwise: '`-L` of an empty table on a terminal says that there may be no rule that tracks',
  },
  {
    name: 'an attribute that is too short',
    kernel: () => {
      only(udp(1));
      const [errno] = request([message(0x100, 0x405, 2, attribute(8, Buffer.alloc(2)), be32(7, 1))]);
      return errno === 34 ? 'refused (ERANGE)' : errno === 22 ? 'refused (EINVAL)' : `${errno}`;
    },
    otherwise: 'never sends one',
  },
];
