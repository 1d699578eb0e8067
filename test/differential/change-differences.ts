// Everything in which commands that change the table differ from Debian's conntrack 1.4.7 on purpose, one row each, and what is
// right instead: for change-sessions.test.ts. Numbers as in cli.md 6 and 7 and docs/differences.md. The right answer is made
// with the reference itself, asked in other words or one entry at a time, or with requests of our own (support/netlink.ts): so
// the reference's table is afterwards what ours has to be.

import {
  type CommandLine,
  cNumber,
  has,
  lastValue,
  outputItems,
  PROTOCOL_OPTIONS,
  protocolWithOptions,
  readCommandLine,
  values,
} from '../support/argv.js';
import { entryLines, listing, rebuild } from '../support/entries.js';
import { createRequest, deleteRequest, withoutFixedParts } from '../support/flow-request.js';
import type { Outcome } from '../support/outcome.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';

const CLOSING = 'conntrack v1.4.7 (conntrack-tools): ';

/** What a row works with: the namespace of the reference. */
export interface Oracle {
  /** Runs the reference. */
  run(argv: readonly string[]): Promise<Outcome>;
  /** Sends a request. @returns its errno */
  send(message: Buffer): Promise<number>;
  /** Within a load file: entries that are there already take the rest of their values (B50). */
  readonly inFile: boolean;
}

/** The right answer. `shown`: the difference, or the list of them, was seen and not just possible. */
export interface Answer {
  readonly outcome: Outcome;
  readonly shown: boolean | readonly string[];
}

export interface ChangeDifference {
  readonly id: string;
  readonly reason: string;
  readonly applies: (line: CommandLine, inFile: boolean) => boolean;
  /** The words that mean to the reference what these mean to us. */
  readonly rewrite?: (line: CommandLine) => readonly string[];
  /** The exit status with which these words are refused, whatever is in the table. */
  readonly refuses?: 1 | 2 | ((line: CommandLine) => 1 | 2 | undefined);
  /** Answers instead of the reference. */
  readonly answer?: (line: CommandLine, oracle: Oracle) => Promise<Answer>;
  /** How the answer is printed. */
  readonly print?: (line: CommandLine, outcome: Outcome) => Outcome;
  /** Lines, the last of which shows the difference after the others were run; with `\n` the lines of a load file. */
  readonly example: readonly string[];
}

// ---- answers ----

/** Nothing on standard output, a message on standard error, the table as it was. */
export function refusal(status: 1 | 2): Outcome {
  return { status: String(status), stdout: '', stderr: 'conntrack: refused\n' };
}

function done(count: number, what: string, stdout = ''): Outcome {
  return { status: count > 0 ? '0' : '1', stdout, stderr: `${CLOSING}${count} flow entries have been ${what}.\n` };
}

const is = (line: CommandLine, ...letters: string[]) => line.commands.length === 1 && letters.includes(line.commands[0]!);
const creates = (line: CommandLine) => is(line, 'I', 'A');
const selects = (line: CommandLine) => is(line, 'D', 'U');
const without =
  (...names: string[]) =>
  (name: string) =>
    !names.includes(name);

/** The entry that `-I` and `-A` state, sent by us. */
async function sendFlow(line: CommandLine, { send, inFile }: Oracle): Promise<Outcome> {
  const add = is(line, 'A');
  const request = createRequest(line, { exclusive: !add });
  let errno = await send(request);
  const there = add && inFile && (errno === EBUSY || errno === EOPNOTSUPP || errno === EPERM);
  if (there) errno = await send(withoutFixedParts(request, errno === EPERM));
  if (errno !== 0) return refusal(1);
  return done(1, add ? 'added' : 'created');
}
const EPERM = 1;
const EBUSY = 16;
const EOPNOTSUPP = 95;

// ---- what is given ----

/** Numbers that 1.4.7 cuts or takes as 0, one row of known-differences.ts each; those apply to any command. */
const reading = (id: string) => KNOWN_DIFFERENCES.filter((row) => row.id === id);
const readingApplies = (id: string) => (line: CommandLine) => reading(id).some((row) => row.applies(line));

const decimal = (text: string, max: number) => /^[ \t\n\v\f\r]*\+?\d+$/.test(text) && Number(text) <= max;
const badTimeout = (line: CommandLine) => values(line, 'timeout').some((value) => !decimal(value, 0xffffffff));

const gluedCommand: ChangeDifference = {
  id: '6.1',
  reason: 'letters behind the letter of a command are options, as in 1.4.9; 1.4.7 drops them',
  applies: (line) => line.unglued.length > line.argv.length && line.argv.some((word) => /^-[a-zA-Z]*[IADUF][^IADUF-]/.test(word)),
  rewrite: (line) => line.unglued,
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900', '-Dptcp'],
};

const gluedValue: ChangeDifference = {
  id: 'B5',
  reason: 'a value glued to -n, -g or --label-del counts; the reference drops it',
  applies: (line) => line.unglued.length > line.argv.length && !gluedCommand.applies(line, false),
  rewrite: (line) => line.unglued,
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900 -n203.0.113.5'],
};

const longId: ChangeDifference = {
  id: 'B44',
  reason: '--id takes its value as the next word; the reference crashes',
  applies: (line) => selects(line) && line.argv.some((word) => /^--id?$/.test(word)),
  rewrite: (line) => line.argv.map((word) => (/^--id?$/.test(word) ? '-i' : word)),
  example: ['-D --id 5'],
};

const statusAfterMark: ChangeDifference = {
  id: '6.7',
  reason: '-u after -m leaves the mark alone, as since 1.4.8',
  applies: (line) =>
    line.options.some(({ name }, n) => name === 'mark' && line.options.slice(n).some((option) => option.name === 'status')),
  rewrite: (line) => rebuild(line, without('mark'), ['-m', lastValue(line, 'mark')!]),
  example: ['-I -m 5 -u ASSURED,SEEN_REPLY -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900'],
};

const addressesLast: ChangeDifference = {
  id: 'B34',
  reason: 'the addresses of -I may follow the ICMP type; the kernel refuses what the reference makes of that',
  applies: (line) => {
    const type = line.options.findIndex(({ name }) => /^icmp(v6)?-type$/.test(name));
    return creates(line) && type >= 0 && line.options.slice(type).some(({ name }) => name === 'src' || name === 'dst');
  },
  rewrite: (line) => {
    const own = (name: string) => name === 'proto' || /^icmp/.test(name);
    const last = line.options.filter(({ name }) => own(name));
    return rebuild(
      line,
      (name) => !own(name),
      last.flatMap(({ name, value }) => [name === 'proto' ? '-p' : `--${name}`, value!]),
    );
  },
  example: ['-I -p icmp --icmp-type 8 --icmp-code 0 -t 900 -s 192.0.2.1 -d 198.51.100.1'],
};

const expectedStatus: ChangeDifference = {
  id: 'B27',
  reason: '-R leaves EXPECTED out of a status, which the kernel refuses',
  applies: (line, inFile) =>
    inFile && creates(line) && values(line, 'status').some((value) => /(^|,)EX?P?E?C?T?E?D?(,|$)/i.test(value)),
  rewrite: (line) => {
    const status = lastValue(line, 'status')!
      .split(',')
      .filter((item) => !/^E/i.test(item));
    return rebuild(line, without('status'), ['-u', status.length > 0 ? status.join() : 'UNSET']);
  },
  example: ['-A -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900 -u EXPECTED,SEEN_REPLY\n'],
};

const strictNumbers: ChangeDifference = {
  id: '6.3',
  reason: '-m -w -i --orig-zone --reply-zone refuse what is no number or too large, exit 1, as in 1.4.9',
  applies: readingApplies('6.3'),
  refuses: 1,
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900 -m abc'],
};

const strictOwnNumbers: ChangeDifference = {
  id: 'B38',
  reason: 'seconds, ports, keys, ICMP fields, tags and mark masks refuse what is no number or too large; the reference cuts them',
  applies: (line) => badTimeout(line) || readingApplies('B38')(line),
  refuses: (line) => (!badTimeout(line) && values(line, 'mark').some((value) => readingMask(value)) ? 1 : 2),
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 65538 -t 900'],
};
const readingMask = (value: string) =>
  value.includes('/') && cNumber(value.replace(/^[^/]*\//s, '').replace(/^[ \t]*\+?/, '')) === undefined;

const exactFamily: ChangeDifference = {
  id: '3.3',
  reason: '-f takes ipv4 and ipv6 and nothing that begins so',
  applies: readingApplies('3.3'),
  refuses: 2,
  example: ['-F -f ipv4foo'],
};

const addressAlone: ChangeDifference = {
  id: '3.2',
  reason: 'text behind a blank in an address is refused; the reference ignores it',
  applies: readingApplies('3.2'),
  refuses: 2,
  example: ["-I -s '192.0.2.1 x' -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900"],
};

const natValue: ChangeDifference = {
  id: '3.11',
  reason: 'text before [ and behind ] in -n and -g is refused; the reference ignores it',
  applies: readingApplies('3.11'),
  refuses: 2,
  example: ["-I -s 2001:db8::1 -d 2001:db8:1::1 -p udp --sport 1 --dport 2 -t 900 -n 'x[2001:db8::9]:80'"],
};

const twoProtocols: ChangeDifference = {
  id: '-p twice',
  reason: 'a second -p for another protocol is refused; the reference mixes their options',
  applies: readingApplies('-p twice'),
  refuses: 2,
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p tcp -p udp --sport 1 --dport 2 -t 900'],
};

const protocolOf = (line: CommandLine) => {
  const text = lastValue(line, 'proto');
  return text === undefined ? undefined : (protocolWithOptions(text) ?? cNumber(text));
};
const SCTP_OF_REFERENCE = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
];

const sctpState: ChangeDifference = {
  id: 'B25',
  reason: 'SCTP states HEARTBEAT_SENT and HEARTBEAT_ACKED are known and others refused; the reference crashes',
  applies: (line) => protocolOf(line) === 132 && has(line, 'state') && !SCTP_OF_REFERENCE.includes(lastValue(line, 'state')!),
  refuses: (line) => (/^HEARTBEAT_(SENT|ACKED)$/.test(lastValue(line, 'state')!) ? undefined : 2),
  answer: async (line, oracle) => {
    const state = lastValue(line, 'state')!;
    if (creates(line)) return { outcome: await sendFlow(line, oracle), shown: true };
    return deleteWanted(line, oracle, ['state'], ({ state: word }) => word === state);
  },
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state X --orig-vtag 1 --reply-vtag 2 -t 900'],
};

// ---- -I and -A ----

const PORTS = ['sport', 'dport', 'reply-port-src', 'reply-port-dst'];
const KEYS = ['srckey', 'dstkey', 'reply-key-src', 'reply-key-dst'];
/** The names of a protocol's ports or keys; undefined for others. */
const portNames = (line: CommandLine) => {
  const protocol = protocolOf(line);
  if (protocol === 47) return KEYS;
  return protocol !== undefined && PROTOCOL_OPTIONS[protocol]?.flat().includes('sport') ? PORTS : undefined;
};

/** A complete, legal -I or -A of a protocol with ports. */
const complete = (line: CommandLine) => {
  const pairs = (has(line, 'src') && has(line, 'dst')) || (has(line, 'reply-src') && has(line, 'reply-dst'));
  return creates(line) && pairs && portNames(line) !== undefined && has(line, 'timeout');
};

const contradiction: ChangeDifference = {
  id: 'B32',
  reason:
    'ports of the direction whose addresses are not given make no entry: refused; the reference creates one that nobody meant',
  applies: (line) => {
    const [sport, dport, replySport, replyDport] = portNames(line) ?? [];
    if (!complete(line) || sport === undefined) return false;
    const original = has(line, 'src') || has(line, 'dst');
    const reply = has(line, 'reply-src') || has(line, 'reply-dst');
    return (
      (!reply && !(has(line, sport) && has(line, dport!))) || (!original && !(has(line, replySport!) && has(line, replyDport!)))
    );
  },
  refuses: 2,
  example: ['-I -r 198.51.100.1 -q 192.0.2.1 -p udp --sport 1 --dport 2 -t 900'],
};

const explicitReplyPorts: ChangeDifference = {
  id: 'B32',
  reason: 'reply ports given with the original addresses count; the reference overwrites them',
  applies: (line) => {
    const [, , replySport, replyDport] = portNames(line) ?? [];
    return (
      complete(line) && replySport !== undefined && has(line, replySport, replyDport!) && !has(line, 'reply-src', 'reply-dst')
    );
  },
  answer: async (line, oracle) => ({ outcome: await sendFlow(line, oracle), shown: !impliedReply(line) }),
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 --reply-port-src 80 --reply-port-dst 90 -t 900'],
};
/** Nothing but what the reference derives as well. */
function impliedReply(line: CommandLine): boolean {
  const [sport, dport, replySport, replyDport] = (portNames(line) ?? []).map((name) => lastValue(line, name));
  return replySport === dport && replyDport === sport;
}

const partialReply: ChangeDifference = {
  id: '3.13',
  reason:
    'what is not given of the reply direction is derived from the original one; the kernel refuses what the reference sends',
  applies: (line) => {
    const [sport, , replySport, replyDport] = portNames(line) ?? [];
    if (
      creates(line) &&
      has(line, 'icmp-type', 'icmpv6-type') &&
      has(line, 'reply-src') &&
      has(line, 'reply-dst') &&
      !has(line, 'src', 'dst')
    )
      return true;
    const part = has(line, 'reply-src', 'reply-dst') && has(line, 'src') && has(line, 'dst');
    return (
      complete(line) && part && sport !== undefined && has(line, sport) && !(has(line, replySport!) && has(line, replyDport!))
    );
  },
  answer: async (line, oracle) => ({ outcome: await sendFlow(line, oracle), shown: true }),
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -r 198.51.100.1 -q 192.0.2.1 -p udp --sport 1 --dport 2 -t 900'],
};

const nats = (line: CommandLine) => [...values(line, 'src-nat'), ...values(line, 'dst-nat')];
const hasNatPort = (line: CommandLine) => nats(line).some((value) => /^\d+\.[\d.]+:|\]:/.test(value));

const natPorts: ChangeDifference = {
  id: 'B51',
  reason: 'NAT ports are sent for sctp, udplite and dccp and refused for protocols without; the reference drops them',
  applies: (line) => creates(line) && hasNatPort(line) && protocolOf(line) !== 6 && protocolOf(line) !== 17,
  refuses: (line) => (portNames(line) === PORTS ? undefined : 2),
  answer: async (line, oracle) => ({ outcome: await sendFlow(line, oracle), shown: true }),
  example: [
    '-I -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state CLOSED --orig-vtag 1 --reply-vtag 2 -t 900 -n 203.0.113.5:99',
  ],
};

const doubleNat: ChangeDifference = {
  id: 'B24',
  reason: 'the translated ports of a saved line with -g and -n are kept; the reference loses them',
  applies: (line) => {
    const [, , replySport, replyDport] = portNames(line) ?? [];
    return (
      complete(line) &&
      nats(line).length > 0 &&
      replySport !== undefined &&
      has(line, replySport, replyDport!) &&
      has(line, 'src')
    );
  },
  answer: async (line, oracle) => ({ outcome: await sendFlow(line, oracle), shown: nats(line).length > 1 }),
  example: [
    '-I -s 192.0.2.1 -d 198.51.100.1 -g 203.0.113.9 -n 203.0.113.5 -p udp --sport 1 --dport 2 --reply-port-src 3 --reply-port-dst 4 -t 900',
  ],
};

const addExisting: ChangeDifference = {
  id: '6.12',
  reason: '-A updates an entry that is there, as since 1.4.8; 1.4.7 leaves it alone and says 0',
  applies: (line) => is(line, 'A'),
  answer: async (line, oracle) => {
    const outcome = await oracle.run(line.argv);
    if (!outcome.stderr.includes(': 0 flow entries have been added')) return { outcome, shown: false };
    return { outcome: await sendFlow(line, oracle), shown: true };
  },
  example: [
    '-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900',
    '-A -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900 -m 7',
  ],
};

// ---- -D and -U: which entries ----

/** An entry as the reference lists it. */
interface Listed {
  readonly id: string;
  readonly family: string;
  readonly proto: number;
  readonly state: string | undefined;
  readonly line: string;
  readonly saved: string;
}

const word = (saved: string, option: string) => new RegExp(` ${option} (\\S+)`).exec(saved)?.[1];

/** The entries that the line means without these options. */
async function listed(line: CommandLine, { run }: Oracle, drop: readonly string[]): Promise<Listed[]> {
  const keep = (name: string) => name !== 'output' && name !== 'labelmap' && !drop.includes(name);
  const words = rebuild(line, keep).slice(1);
  const texts = entryLines((await run(['-L', ...words, '-o', 'extended,id'])).stdout);
  const saved = entryLines((await run(['-L', ...words, '-o', 'save'])).stdout);
  if (texts.length !== saved.length) throw new Error('the reference lists differently from one moment to the next');
  return texts.map((text, n) => ({
    id: / id=(\d+)(?: labels\S*)?$/.exec(text)![1]!,
    family: text.slice(0, 4),
    proto: Number(/^ipv[46] +\d+ \S+ +(\d+)/.exec(text)![1]),
    state: /^ipv[46] +\d+ \S+ +\d+ \d+ ([A-Z]\S*) /.exec(text)?.[1],
    line: text,
    saved: saved[n]!,
  }));
}

/** Deletes, one by one, those that `wanted` takes out of what the line means without `drop`, and prints them as asked. */
async function deleteWanted(
  line: CommandLine,
  oracle: Oracle,
  drop: readonly string[],
  wanted: (entry: Listed) => boolean,
  ids?: readonly string[],
): Promise<Answer> {
  // -L takes neither -i nor -t; sessions have no entry with such an id or so many seconds left.
  const notListed = ['id', 'timeout'];
  const none = has(line, ...notListed);
  const items = outputItems(line);
  // Times and labels are no part of what -D prints.
  for (const item of ['labels', 'timestamp', 'ktimestamp']) items.delete(item);
  const words = rebuild(
    line,
    (name) => name !== 'output' && name !== 'labelmap' && !notListed.includes(name) && !drop.includes(name),
  ).slice(1);
  const shown = await oracle.run(['-L', ...words, ...(items.size > 0 ? ['-o', [...items].join()] : [])]);
  if (shown.status === '2') return { outcome: shown, shown: false };
  const printed = entryLines(shown.stdout);
  const entries = await listed(line, oracle, [...drop, ...notListed]);
  if (printed.length !== entries.length) throw new Error('the reference lists differently from one moment to the next');
  let stdout = '';
  let count = 0;
  for (const [n, entry] of entries.entries()) {
    if (none || !wanted(entry)) continue;
    count++;
    // -L shows the labels that -l asks for, -D does not.
    const text = printed[n]!.replace(/^-A /, '-D ')
      .replace(/ labels\S*$/, '')
      .replace(/<labels>.*<\/labels>/, '');
    stdout += `${text}\n`;
    if (/--(orig|reply)-zone/.test(entry.saved)) await oracle.run(['-D', '-i', entry.id]);
    else if ((await oracle.send(deleteRequest(readCommandLine(entry.saved.split(' '))))) !== 0)
      throw new Error(`not deleted: ${entry.saved}`);
  }
  return { outcome: done(count, 'deleted', stdout), shown: ids ?? true };
}

const STATUS_WORDS = ['ASSURED', 'SEEN_REPLY', 'UNSET', 'FIXED_TIMEOUT', 'EXPECTED', 'OFFLOAD', 'HW_OFFLOAD'];

/** Bits that must be set and that must not, as cli.md 3.5 recommends to read `-u`. */
function statusSets(line: CommandLine): { set: Set<string>; clear: Set<string> } {
  const set = new Set<string>();
  const clear = new Set<string>();
  for (const item of values(line, 'status').flatMap((value) => value.split(','))) {
    if (item.startsWith('UNREPLIED')) {
      clear.add('SEEN_REPLY');
      continue;
    }
    const text = item.replace(/^!/, '').toUpperCase();
    const name =
      'SRC_NAT'.startsWith(text) || 'DST_NAT'.startsWith(text) ? undefined : STATUS_WORDS.find((full) => full.startsWith(text));
    if (name !== undefined && name !== 'UNSET') (item.startsWith('!') ? clear : set).add(name);
  }
  return { set, clear };
}
const statusBits = ({ saved }: Listed) => new Set((word(saved, '-u') ?? '').split(','));

/** cli.md 4.3 for entries of the sessions, where every translation changes an address, to a network of its own. */
function translated({ saved }: Listed, option: 'src-nat' | 'dst-nat', value: string | undefined): boolean {
  const address = word(saved, option === 'src-nat' ? '-n' : '-g');
  if (address === undefined) return false;
  const [, wanted, port] =
    value === undefined ? [] : (/^\[(.*)\]:(\d+)$/.exec(value) ?? /^([\d.]+):(\d+)$/.exec(value) ?? [value, value, undefined]);
  if (wanted === undefined) return true;
  const [from, to] = option === 'src-nat' ? ['--sport', '--reply-port-dst'] : ['--dport', '--reply-port-src'];
  return canonical(wanted) === address && (port === undefined || (word(saved, to) === port && word(saved, from) !== port));
}
const canonical = (address: string) => (address.includes(':') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address);

const COMPARING = [
  'proto',
  'src',
  'dst',
  'reply-src',
  'reply-dst',
  'mark',
  'status',
  'id',
  'zone',
  'label',
  'orig-zone',
  'reply-zone',
];

/** Each reason why the reference would delete other entries than it should: the options, and what they should mean. */
const SELECTIONS: readonly {
  id: string;
  drop: readonly string[];
  applies: (line: CommandLine) => boolean;
  wanted: (line: CommandLine) => (entry: Listed) => boolean;
}[] = [
  {
    id: 'B1',
    drop: ['status'],
    applies: (line) => has(line, 'status') && statusSets(line).clear.size > 0,
    wanted: (line) => {
      const { set, clear } = statusSets(line);
      return (entry) =>
        [...set].every((bit) => statusBits(entry).has(bit)) && [...clear].every((bit) => !statusBits(entry).has(bit));
    },
  },
  {
    // Sessions have no entry with just so many seconds left.
    id: 'B2',
    drop: ['timeout'],
    applies: (line) => has(line, 'timeout') && !has(line, ...COMPARING),
    wanted: () => () => false,
  },
  {
    id: 'B3',
    drop: KEYS,
    applies: (line) => protocolOf(line) === 47 && has(line, ...KEYS),
    wanted:
      (line) =>
      ({ saved }) =>
        KEYS.every((name) => !has(line, name) || cNumber(lastValue(line, name)!) === Number(word(saved, `--${name}`))),
  },
  {
    id: 'B6',
    drop: ['src-nat', 'dst-nat'],
    applies: (line) => nats(line).some((value) => value.split(':').length > 2),
    wanted: natWanted,
  },
  {
    id: 'B8',
    drop: ['src-nat', 'dst-nat'],
    applies: (line) => has(line, 'src-nat', 'dst-nat') && !nats(line).some((value) => value.split(':').length > 2),
    wanted: natWanted,
  },
  {
    id: 'B53',
    drop: ['orig-vtag', 'reply-vtag', 'role'],
    applies: (line) => has(line, 'orig-vtag', 'reply-vtag'),
    wanted:
      (line) =>
      ({ saved }) =>
        ['orig-vtag', 'reply-vtag'].every(
          (name) => !has(line, name) || Number(lastValue(line, name)) === Number(word(saved, `--${name}`)),
        ),
  },
];

function natWanted(line: CommandLine): (entry: Listed) => boolean {
  const value = nats(line)[0];
  const family = value === undefined ? undefined : value.split(':').length > 2 ? 'ipv6' : 'ipv4';
  return (entry) =>
    (family === undefined || entry.family === family) &&
    (['src-nat', 'dst-nat'] as const).every((name) => !has(line, name) || translated(entry, name, lastValue(line, name)));
}

const selecting = (line: CommandLine) =>
  is(line, 'D') && line.table === 'conntrack' && line.unknown.length === 0
    ? SELECTIONS.filter(({ applies }) => applies(line))
    : [];

/** All rows that select at once: they may meet in one line. */
async function deleteSelected(line: CommandLine, oracle: Oracle): Promise<Answer> {
  const rows = selecting(line);
  const wanted = rows.map((row) => row.wanted(line));
  const drop = rows.flatMap((row) => row.drop);
  return deleteWanted(
    line,
    oracle,
    drop,
    (entry) => wanted.every((want) => want(entry)),
    rows.map((row) => row.id),
  );
}

const REASONS: Readonly<Record<string, readonly [reason: string, example: readonly string[]]>> = {
  B1: [
    '-D selects by bits that are not set; the reference deletes everything',
    ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900 -u ASSURED', "-D -u '!ASSURED'"],
  ],
  B2: [
    '-t always compares; the reference heeds it only with certain other options and else deletes everything',
    ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900', '-D -t 5'],
  ],
  B3: [
    'GRE keys select; the reference ignores them',
    ['-I -s 192.0.2.1 -d 198.51.100.1 -p gre --srckey 1 --dstkey 2 -t 900', '-D -p gre --srckey 7'],
  ],
  B6: [
    'an IPv6 address in -n or -g selects; the reference ignores it',
    ['-I -s 2001:db8::1 -d 2001:db8:1::1 -p udp --sport 1 --dport 2 -t 900 -n 2001:db8:9::1', '-D -n 2001:db8:9::2'],
  ],
  B8: [
    'ICMP entries are translated only if an address is; the reference compares type and code with the id',
    ['-I -s 192.0.2.1 -d 198.51.100.1 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 5 -t 900 -n 203.0.113.1', '-D -g'],
  ],
  B53: [
    '-D takes verification tags, as -E -o save writes them; the reference refuses them',
    [
      '-I -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state CLOSED --orig-vtag 1 --reply-vtag 2 -t 900',
      '-D -p sctp --orig-vtag 1',
    ],
  ],
};

const selections: readonly ChangeDifference[] = SELECTIONS.map(({ id }) => {
  const [reason, example] = REASONS[id]!;
  return { id, reason, applies: (line) => selecting(line).some((row) => row.id === id), answer: deleteSelected, example };
});

const nothingSelected: ChangeDifference = {
  id: 'B1',
  reason: 'a status list of -D that names no bit is refused; the reference deletes everything',
  applies: (line) => {
    const { set, clear } = statusSets(line);
    // A wrong value is found first.
    const wrongOutput = outputItems(line).has('save') && outputItems(line).has('xml');
    return is(line, 'D') && has(line, 'status') && set.size + clear.size === 0 && line.unknown.length === 0 && !wrongOutput;
  },
  refuses: 2,
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900', '-D -u UNSET'],
};

const wholeXml: ChangeDifference = {
  id: 'B10',
  reason: 'XML of -D and -U is a whole document; the reference prints bare elements',
  applies: (line) => selects(line) && outputItems(line).has('xml'),
  print: (line, outcome) =>
    / flow entries have been/.test(outcome.stderr)
      ? { ...outcome, stdout: listing(line, entryLines(outcome.stdout), outcome).stdout }
      : outcome,
  example: ['-D -p udp -o xml'],
};

const TCP_STATES = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
];
const SCTP_STATES = [...SCTP_OF_REFERENCE, 'HEARTBEAT_SENT', 'HEARTBEAT_ACKED'];
const xmlStates: ChangeDifference = {
  id: 'B11',
  reason: 'XML names the states of SCTP; the reference prints the names that TCP has for these numbers',
  applies: (line) => selects(line) && outputItems(line).has('xml'),
  print: (_, outcome) => ({
    ...outcome,
    stdout: outcome.stdout.replaceAll(/^.*protonum="132".*$/gm, (text) =>
      text.replace(/<state>(\w+)</, (whole, name) => `<state>${SCTP_STATES[TCP_STATES.indexOf(name)] ?? whole}<`),
    ),
  }),
  example: [
    '-I -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state CLOSED --orig-vtag 1 --reply-vtag 2 -t 900',
    '-D -o xml',
  ],
};

const savedSctpState: ChangeDifference = {
  id: 'B25',
  reason: 'the SCTP state HEARTBEAT_SENT is saved by its name; the reference saves (null)',
  applies: (line) => selects(line) && outputItems(line).has('save'),
  print: (_, outcome) => ({ ...outcome, stdout: outcome.stdout.replaceAll(' --state (null)', ' --state HEARTBEAT_SENT') }),
  example: [
    '-A -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 -t 900',
    '-U -s 192.0.2.1 -p sctp --state HEARTBEAT_SENT -o save',
  ],
};

/** What of a `-U` line is a new value and no filter. */
const NEW_VALUES = ['mark', 'status', 'timeout', 'state'];

const updateOneByOne: ChangeDifference = {
  id: '6.9',
  reason:
    '-U changes all entries that match, of both families, and counts them; 1.4.7 gets out of step with several and fails without a family',
  applies: (line) => is(line, 'U') && line.unknown.length === 0,
  answer: async (line, oracle) => {
    const output = line.options.flatMap(({ name, value }) => (name === 'output' ? ['-o', value!] : []));
    const change = line.options.flatMap(({ name, value }) =>
      NEW_VALUES.includes(name) ? [name === 'mark' ? '-m' : `--${name}`, value!] : [],
    );
    let stdout = '';
    let count = 0;
    for (const { id, family } of await listed(line, oracle, NEW_VALUES)) {
      const protocol = has(line, 'state') ? ['-p', lastValue(line, 'proto')!] : [];
      const outcome = await oracle.run(['-U', '-f', family, '-i', id, ...protocol, ...change, ...output]);
      if (outcome.status === '0') count++;
      stdout += outcome.stdout;
    }
    return { outcome: done(count, 'updated', stdout), shown: true };
  },
  example: [
    '-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900',
    '-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 3 --dport 2 -t 900',
    '-U -p udp -m 5',
  ],
};

const flushFamily: ChangeDifference = {
  id: '-F -f',
  reason: '-F -f empties one family; the reference empties both',
  applies: (line) =>
    is(line, 'F') &&
    line.table === 'conntrack' &&
    /^ipv[46]$/.test(lastValue(line, 'family') ?? '') &&
    line.options.length === 1 &&
    line.unknown.length === 0,
  answer: async (line, { run }) => {
    await run(['-D', '-f', lastValue(line, 'family')!]);
    return {
      outcome: { status: '0', stdout: '', stderr: `${CLOSING}connection tracking table has been emptied.\n` },
      shown: true,
    };
  },
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 900', '-F -f ipv6'],
};

/** Within load files only: not of a line, but of the whole. */
export const FILE_DIFFERENCES = {
  '-R batches': 'a line that cannot be run does not stop those behind it in the same batch of lines that create',
  B21: 'each line of a load file has its own values; the reference uses the filters of the last for all',
  B50: '-A lines for entries that are there give them the rest of their values; 1.4.7 leaves them alone',
} as const;

/** In the order in which they are asked: first what the words mean, then the first that answers, last how it is printed. */
export const CHANGE_DIFFERENCES: readonly ChangeDifference[] = [
  gluedCommand,
  gluedValue,
  longId,
  expectedStatus,
  statusAfterMark,
  strictNumbers,
  strictOwnNumbers,
  exactFamily,
  addressAlone,
  natValue,
  twoProtocols,
  addressesLast,
  contradiction,
  nothingSelected,
  sctpState,
  natPorts,
  doubleNat,
  explicitReplyPorts,
  partialReply,
  addExisting,
  ...selections,
  updateOneByOne,
  flushFamily,
  savedSctpState,
  xmlStates,
  wholeXml,
];

/** What the words mean to the reference, and the differences that it took to say so. */
function rewritten(argv: readonly string[], inFile: boolean): { line: CommandLine; differences: string[] } {
  let line = readCommandLine(argv);
  const differences: string[] = [];
  for (const row of CHANGE_DIFFERENCES) {
    if (row.rewrite === undefined || !row.applies(line, inFile)) continue;
    line = readCommandLine(row.rewrite(line));
    differences.push(row.id);
  }
  return { line, differences };
}

const refusalBy = ({ refuses }: ChangeDifference, line: CommandLine) => (typeof refuses === 'function' ? refuses(line) : refuses);

/** Whether the words alone are a difference that refuses them. */
export function refusedByWords(argv: readonly string[], inFile: boolean): boolean {
  const { line } = rewritten(argv, inFile);
  return CHANGE_DIFFERENCES.some((row) => row.applies(line, inFile) && refusalBy(row, line) !== undefined);
}

/** The right answer to one command, and the differences it took. `faulty`: the reference refuses it too, whatever else is in it. */
export async function answerTo(
  argv: readonly string[],
  oracle: Oracle,
  faulty = false,
): Promise<{ outcome: Outcome; differences: readonly string[] }> {
  const { line, differences } = rewritten(argv, oracle.inFile);
  for (const row of CHANGE_DIFFERENCES) {
    const status = row.applies(line, oracle.inFile) ? refusalBy(row, line) : undefined;
    if (status !== undefined) return { outcome: refusal(status), differences: [...new Set([...differences, row.id])] };
  }
  const answering = faulty
    ? undefined
    : CHANGE_DIFFERENCES.find((row) => row.answer !== undefined && row.applies(line, oracle.inFile));
  let outcome: Outcome;
  if (answering === undefined) outcome = await oracle.run(line.argv);
  else {
    const answer = await answering.answer!(line, oracle);
    outcome = answer.outcome;
    if (typeof answer.shown !== 'boolean') differences.push(...answer.shown);
    else if (answer.shown) differences.push(answering.id);
  }
  for (const row of CHANGE_DIFFERENCES) {
    if (row.print === undefined || !row.applies(line, oracle.inFile)) continue;
    const printed = row.print(line, outcome);
    if (printed.stdout !== outcome.stdout) differences.push(row.id);
    outcome = printed;
  }
  return { outcome, differences: [...new Set(differences)] };
}
