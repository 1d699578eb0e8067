// Which entries `-D` and `-U` mean, if the reference selects others: lists them with fewer options, and selects here.

import { type CommandLine, cNumber, has, lastValue, outputItems, readCommandLine, statusSets } from '../support/argv.js';
import { entryLines, rebuild } from '../support/entries.js';
import { deleteRequest } from '../support/flow-request.js';
import type { Oracle } from '../support/twins.js';
import { type Answer, type ChangeDifference, done, is, KEYS, nats, protocolOf } from './change-answers.js';

/** An entry as the reference lists it. */
export interface Listed {
  readonly id: string;
  readonly family: string;
  readonly proto: number;
  readonly state: string | undefined;
  readonly mark: number;
  readonly labels: readonly string[];
  readonly saved: string;
}

/** The value of an option in a saved line. */
export const word = (saved: string, option: string) => new RegExp(` ${option} (\\S+)`).exec(saved)?.[1];

/** The entries that the line means without these options. */
export async function listed(line: CommandLine, { run }: Oracle, drop: readonly string[]): Promise<Listed[]> {
  const keep = (name: string) => name !== 'output' && name !== 'labelmap' && !drop.includes(name);
  const words = rebuild(line, keep).slice(1);
  const texts = entryLines((await run(['-L', ...words, '-o', 'extended,id,labels'])).stdout);
  const saved = entryLines((await run(['-L', ...words, '-o', 'save'])).stdout);
  if (texts.length !== saved.length) throw new Error('the reference lists differently from one moment to the next');
  return texts.map((text, n) => ({
    id: / id=(\d+)(?: labels\S*)?$/.exec(text)![1]!,
    family: text.slice(0, 4),
    proto: Number(/^ipv[46] +\d+ \S+ +(\d+)/.exec(text)![1]),
    state: /^ipv[46] +\d+ \S+ +\d+ \d+ ([A-Z]\S*) /.exec(text)?.[1],
    mark: Number(/ mark=(\d+)/.exec(text)?.[1] ?? 0),
    labels: / labels=(\S+)$/.exec(text)?.[1]?.split(',') ?? [],
    saved: saved[n]!,
  }));
}

/** Of the entries that the line means without `drop`, deletes those that `wanted` accepts, one by one, and prints them as requested. */
export async function deleteWanted(
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

const statusBits = ({ saved }: Listed) => new Set((word(saved, '-u') ?? '').split(','));

/** docs/behaviour.md 4.3 for entries of the sessions, where every translation changes an address, to one in a network of its own. */
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

/** Each reason why the reference selects the wrong entries: the options, and what they should mean. */
const SELECTIONS: readonly {
  id: string;
  /** For `-U` too: the others are new values there. */
  update?: true;
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
    update: true,
    drop: KEYS,
    applies: (line) => protocolOf(line) === 47 && has(line, ...KEYS),
    wanted:
      (line) =>
      ({ saved }) =>
        KEYS.every((name) => !has(line, name) || cNumber(lastValue(line, name)!) === Number(word(saved, `--${name}`))),
  },
  {
    id: 'B6',
    update: true,
    drop: ['src-nat', 'dst-nat'],
    applies: (line) => nats(line).some((value) => value.split(':').length > 2),
    wanted: natWanted,
  },
  {
    id: 'B8',
    update: true,
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
  is(line, 'D', 'U') && line.table === 'conntrack' && line.unknown.length === 0
    ? SELECTIONS.filter(({ applies, update }) => (is(line, 'D') || update) && applies(line))
    : [];

/** How to select the entries that the line means: from the reference's list without `drop`, by `wanted`. */
export function selection(line: CommandLine): { ids: string[]; drop: string[]; wanted: (entry: Listed) => boolean } {
  const rows = selecting(line);
  const wanted = rows.map((row) => row.wanted(line));
  return {
    ids: rows.map((row) => row.id),
    drop: rows.flatMap((row) => row.drop),
    wanted: (entry) => wanted.every((want) => want(entry)),
  };
}

/** All rows that select at once: they may meet in one line. */
async function deleteSelected(line: CommandLine, oracle: Oracle): Promise<Answer> {
  const { ids, drop, wanted } = selection(line);
  return deleteWanted(line, oracle, drop, wanted, ids);
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

/** One row for each, of `-D`; `-U` has an answer of its own. */
export const selections: readonly ChangeDifference[] = SELECTIONS.map(({ id }) => {
  const [reason, example] = REASONS[id]!;
  const applies = (line: CommandLine) => is(line, 'D') && selecting(line).some((row) => row.id === id);
  return { id, reason, applies, answer: deleteSelected, example };
});

export const nothingSelected: ChangeDifference = {
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
