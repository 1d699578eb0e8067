// All deliberate differences between this tool and Debian's conntrack 1.4.7 in reading: one row each, with the number of its row in
// docs/differences.md, or in docs/behaviour.md 6. A row says on which command lines it may show, and turns the reference's output into
// the right one; the comparison is then exact. A row that no case shows any more fails the run (read-cases.test.ts).

import { kernelIsAtLeast } from '../../src/wire/kernel.js';
import {
  type CommandLine,
  cNumber,
  has,
  lastValue,
  outputItems,
  protocolWithOptions,
  statusSets,
  values,
} from '../support/argv.js';
import type { KnownDifference } from '../support/compare.js';
import { type Entry, entryLines, listing, parseEntry, rebuild, select } from '../support/entries.js';
import type { Outcome } from '../support/outcome.js';

const SUCCESS = '0';

/** Refused: nothing on standard output, a message on standard error. */
function refused(status: 1 | 2): Outcome {
  return { status: String(status), stdout: '', stderr: 'conntrack: refused\n' };
}

const command = (line: CommandLine) => line.commands[0];
const is = (line: CommandLine, ...letters: string[]) => line.commands.length === 1 && letters.includes(command(line) ?? '');
const isList = (line: CommandLine) => is(line, 'L');
const isComplete = (line: CommandLine) => line.table !== undefined && line.unknown.length === 0;
const all = () => true;
const without =
  (...names: string[]) =>
  (name: string) =>
    !names.includes(name);
/** Every line of output but those of an XML frame. */
const eachLine = (outcome: Outcome, change: (line: string) => string): Outcome => ({
  ...outcome,
  stdout: outcome.stdout.split('\n').map(change).join('\n'),
});

// ---- what the words mean ----

/** `-Lz`: 1.4.7 ignores what is glued to the letter of a command. */
const bundling: KnownDifference = {
  id: '6.1',
  reason: 'letters behind -L and -G in one word are options, as in 1.4.9; 1.4.7 drops them',
  applies: (line) =>
    line.unglued.length > line.argv.length && is(line, 'L', 'G') && line.argv.some((word) => /^-[a-zA-Z]*[LG]./.test(word)),
  rewrite: (line) => line.unglued,
};

/** `--src-nat=A`, `--dump=expect`, `-Cexpect`. */
const gluedOptionalValues: KnownDifference = {
  id: 'B5',
  reason: 'a value glued to an option or command that may do without one counts; the reference drops it',
  applies: (line) => line.unglued.length > line.argv.length && !EMPTY_TABLE(line),
  rewrite: (line) => line.unglued,
};
const EMPTY_TABLE = (line: CommandLine) => line.argv.some((word) => /^--(dump|get|counter|count)=$/.test(word));
const gluedNothing: KnownDifference = {
  id: 'B5',
  reason: 'a table name of no letters glued to the command (--dump=) is refused; the reference drops it',
  applies: EMPTY_TABLE,
  correct: () => refused(2),
};

const idNeedsValue: KnownDifference = {
  id: 'B44',
  reason: '--id takes its value as the next word, as -i does; the reference crashes (docs/behaviour.md 6.2)',
  applies: (line) => line.argv.some((word) => /^--id?$/.test(word)),
  rewrite: (line) => line.argv.map((word) => (/^--id?$/.test(word) ? '-i' : word)),
};

const labelMap: KnownDifference = {
  id: '6.5',
  reason: '--labelmap and -M name the label file, as in 1.4.9; 1.4.7 does not know them',
  applies: (line) =>
    is(line, 'L') && line.table !== 'expect' && values(line, 'labelmap').length === 1 && line.unknown.length === 0,
  // Cases name a file with the same content as the default one, or one that is not opened.
  rewrite: (line) => rebuild(line, without('labelmap')),
};

const expectReplyPorts: KnownDifference = {
  id: '2.3',
  reason: '-G expect needs no reply ports or keys, which it never uses; the reference demands them',
  applies: (line) =>
    is(line, 'G') &&
    line.table === 'expect' &&
    has(line, 'sport', 'srckey') &&
    !has(line, 'reply-port-src', 'reply-port-dst', 'reply-key-src', 'reply-key-dst'),
  rewrite: (line) => {
    const kind = has(line, 'srckey') ? 'key' : 'port';
    return [...line.argv, `--reply-${kind}-src`, '0', `--reply-${kind}-dst`, '0'];
  },
};

const NUMBERS: Readonly<Record<string, number>> = {
  zone: 0xffff,
  'orig-zone': 0xffff,
  'reply-zone': 0xffff,
  id: 0xffffffff,
  secmark: 0xffffffff,
  mark: 0xffffffff,
};
const auto = (text: string, max: number) => {
  const number = cNumber(text.replace(/^[ \t\n\v\f\r]*\+?/, ''));
  return number !== undefined && number <= max;
};
const decimal = (text: string, max: number) => /^[ \t\n\v\f\r]*\+?\d+$/.test(text) && Number(text) <= max;

/** 1.4.7 takes `-m abc` as 0, `-w 65536` as 0. */
const strictNumbers: KnownDifference = {
  id: '6.3',
  reason: '-m -w -i -c --orig-zone --reply-zone refuse what is no number or too large, exit 1, as in 1.4.9',
  applies: (line) =>
    line.options.some(
      ({ name, value = '' }) => name in NUMBERS && !auto(name === 'mark' ? value.replace(/\/.*/s, '') : value, NUMBERS[name]!),
    ),
  correct: () => refused(1),
};

/** Ports `http`, keys 65537, marks `1/`. */
const strictProtocolNumbers: KnownDifference = {
  id: 'B38',
  reason: 'ports, keys, ICMP fields, tags and mark masks refuse what is no number or too large; the reference cuts them',
  applies: (line) => hasBadMask(line) || hasBadNumber(line),
  correct: ({ line }) => refused(hasBadMask(line) ? 1 : 2),
};
const hasBadMask = (line: CommandLine) =>
  values(line, 'mark').some((value) => value.includes('/') && !auto(value.replace(/^[^/]*\//s, ''), 0xffffffff));
const hasBadNumber = (line: CommandLine) =>
  line.options.some(({ name, value = '' }) => {
    if (/^icmp(v6)?-(type|code)$/.test(name)) return !decimal(value, 0xff);
    if (/^(icmp(v6)?-id|sport|dport|(reply|mask|tuple)-port-(src|dst))$/.test(name)) return !decimal(value, 0xffff);
    if (/key/.test(name)) return !auto(value, 0xffff);
    return name.endsWith('vtag') && !decimal(value, 0xffffffff);
  });

const exactFamily: KnownDifference = {
  id: '3.3',
  reason: '-f takes ipv4 and ipv6 and nothing that begins so',
  applies: (line) => values(line, 'family').some((value) => /^ipv[46]./.test(value)),
  correct: () => refused(2),
};

const addressAlone: KnownDifference = {
  id: '3.2',
  reason: 'text behind a blank in an address is refused; the reference ignores it, as inet_aton does',
  applies: (line) =>
    line.options.some(({ name, value = '' }) => /-(src|dst|nat)$|^(src|dst)$/.test(name) && /^[0-9a-fx.]+\s/i.test(value)),
  correct: () => refused(2),
};

const natValue: KnownDifference = {
  id: '3.11',
  reason: 'text before [ and behind ] in -n, -g, -j is refused; the reference ignores it',
  applies: (line) =>
    ['src-nat', 'dst-nat', 'any-nat'].some((name) => values(line, name).some((value) => /[^[]+\[|\][^:]/.test(value))),
  correct: () => refused(2),
};

/** 1.4.7 crashes. */
const sctpState: KnownDifference = {
  id: 'B25',
  reason:
    'SCTP states HEARTBEAT_SENT and HEARTBEAT_ACKED are known and others refused; the reference crashes, and saves the former as (null)',
  applies: (line) =>
    (protocolWithOptions(lastValue(line, 'proto') ?? '') === 132 && has(line, 'state')) || outputItems(line).has('save'),
  correct: async ({ line, expected, ask }) => {
    if (outputItems(line).has('save'))
      return eachLine(expected, (text) => text.replace(' --state (null)', ' --state HEARTBEAT_SENT'));
    if (!expected.status.startsWith('SIG')) return expected;
    const state = lastValue(line, 'state')!;
    if (state !== 'HEARTBEAT_SENT' && state !== 'HEARTBEAT_ACKED') return refused(2);
    return select(line, ask, without('state'), (entry) => entry.state === state);
  },
};

const twoProtocols: KnownDifference = {
  id: '-p twice',
  reason: 'a second -p for another protocol is refused; the reference mixes their options',
  applies: (line) => new Set(values(line, 'proto').map((value) => protocolWithOptions(value) ?? value)).size > 1,
  correct: () => refused(2),
};

/** 1.4.7: the status of a later -u lands in the mark. */
const statusAfterMark: KnownDifference = {
  id: '6.7',
  reason: '-u after -m leaves the mark alone, as since 1.4.8',
  applies: (line) =>
    isList(line) &&
    isComplete(line) &&
    line.options.some(({ name }, n) => name === 'mark' && line.options.slice(n).some((option) => option.name === 'status')),
  rewrite: (line) =>
    rebuild(
      line,
      without('mark'),
      line.options.flatMap(({ name, value }) => (name === 'mark' ? ['-m', value!] : [])),
    ),
};

const repeatedStatus: KnownDifference = {
  id: '1.4',
  reason: 'several -u are one list; the reference keeps the mask of the first for the kernel and finds nothing',
  applies: (line) => isList(line) && isComplete(line) && values(line, 'status').length > 1,
  rewrite: (line) => rebuild(line, without('status'), ['-u', values(line, 'status').join(',')]),
};

// ---- what is selected ----

const isFlowList = (line: CommandLine) => isList(line) && line.table !== 'expect' && line.table !== undefined;
const succeeded = (outcome: Outcome) => outcome.status === SUCCESS;

const lookUp: KnownDifference = {
  id: 'B33',
  reason: '-G finds an entry by its reply tuple alone, and in a zone with -w; the reference refuses both',
  applies: (line) =>
    is(line, 'G') &&
    line.table === 'conntrack' &&
    has(line, 'proto') &&
    line.unknown.length === 0 &&
    (has(line, 'zone')
      ? has(line, 'src') && has(line, 'dst')
      : !has(line, 'src', 'dst') && has(line, 'reply-src') && has(line, 'reply-dst')),
  correct: async ({ line, expected, ask }) => {
    if (expected.stderr.includes('number of arguments') || expected.status === SUCCESS) return expected;
    const listed = await ask(['-L', ...rebuild(line, all).slice(1)]);
    if (listed.status !== SUCCESS) return expected;
    if (listed.stderr.includes(': 0 flow')) return refused(1);
    return eachLine(listed, (text) => text.replace(/( use=|<use>)(\d+)/, (_, name, use) => `${name}${Number(use) + 1}`)); // the request holds the entry
  },
};

const greKeys: KnownDifference = {
  id: 'B3',
  reason: 'GRE keys select; the reference ignores them',
  applies: (line) =>
    isFlowList(line) &&
    protocolWithOptions(lastValue(line, 'proto') ?? '') === 47 &&
    line.options.some(({ name }) => /key/.test(name)),
  correct: ({ line, expected, ask }) => {
    if (!succeeded(expected)) return expected;
    const key = (name: string) => {
      const value = lastValue(line, name);
      return value === undefined ? undefined : cNumber(value.replace(/^[ \t]*\+?/, ''));
    };
    const same = (name: string, value: number | undefined) => key(name) === undefined || key(name) === value;
    return select(line, ask, (name) => !/key/.test(name), ({ original, reply }) => same('srckey', original.sport) && same('dstkey', original.dport) && same('reply-key-src', reply.sport) && same('reply-key-dst', reply.dport)); // biome-ignore format: one condition
  },
};

const secmark: KnownDifference = {
  id: 'B4',
  reason: '-c selects entries with this secmark; the reference ignores it',
  applies: (line) => isFlowList(line) && has(line, 'secmark'),
  correct: ({ line, expected, ask }) => (succeeded(expected) ? select(line, ask, without('secmark'), () => false) : expected), // no kernel sends it now
};

const NAT = ['src-nat', 'dst-nat', 'any-nat'];

/** How a NAT value selects, by what an entry shows. Only population.ts's entry to port 53 from 7010 differs without NAT. */
function translated(entry: Entry, name: string, value: string | undefined): boolean {
  const { original, reply } = entry;
  if (reply.src === '203.0.113.100') return false;
  const [, address, port] =
    value === undefined ? [] : (/^\[(.*)\]:(\d+)$/.exec(value) ?? /^([\d.]+):(\d+)$/.exec(value) ?? [value, value, undefined]);
  const sides: [from: string, to: string, fromPort: number | undefined, toPort: number | undefined][] = [];
  if (name !== 'dst-nat') sides.push([original.src, reply.dst, original.sport, reply.dport]);
  if (name !== 'src-nat') sides.push([original.dst, reply.src, original.dport, reply.sport]);
  return sides.some(([from, to, fromPort, toPort]) => {
    const addressDone = from !== to;
    const portDone = entry.proto !== 47 && fromPort !== toPort;
    if (address === undefined) return addressDone || portDone;
    return addressDone && sameAddress(to, address) && (port === undefined || (portDone && toPort === Number(port)));
  });
}
const sameAddress = (a: string, b: string) =>
  a === b || (b.includes(':') && new URL(`http://[${a}]`).hostname === new URL(`http://[${b}]`).hostname);

const nat: KnownDifference = {
  id: 'B8',
  reason:
    'ICMP and ICMPv6 entries are translated only if an address is; the reference compares type and code with the id (bare -n -g -j)',
  applies: (line) =>
    isFlowList(line) && NAT.some((name) => line.options.some((option) => option.name === name && option.value === undefined)),
  correct: ({ line, expected, ask }) => (succeeded(expected) ? selectNat(line, ask) : expected),
};
const natV6: KnownDifference = {
  id: 'B6',
  reason: 'an IPv6 address in -n, -g, -j selects; the reference ignores it',
  applies: (line) => isFlowList(line) && NAT.some((name) => values(line, name).some((value) => value.split(':').length > 2)),
  correct: ({ line, expected, ask }) => (succeeded(expected) ? selectNat(line, ask) : expected),
};
const anyNat: KnownDifference = {
  id: 'B7',
  reason: '-j with an address goes with -p and -s; the reference then finds nothing',
  applies: (line) => isFlowList(line) && lastValue(line, 'any-nat') !== undefined,
  correct: ({ line, expected, ask }) => (succeeded(expected) ? selectNat(line, ask) : expected),
};
function selectNat(line: CommandLine, ask: (argv: readonly string[]) => Promise<Outcome>): Promise<Outcome> {
  // A NAT address also sets the family.
  const address = NAT.flatMap((name) => values(line, name))[0];
  const family = address === undefined || has(line, 'family') ? undefined : address.split(':').length > 2 ? 6 : 4;
  const wishes = line.options.filter(({ name }) => NAT.includes(name));
  // Of several values of one option the last counts.
  const last = NAT.flatMap((name) => wishes.filter((wish) => wish.name === name).slice(-1));
  return select(
    line,
    ask,
    without(...NAT),
    (entry) =>
      (family === undefined || entry.family === family) && last.every(({ name, value }) => translated(entry, name, value)),
  );
}

function selectStatus(
  line: CommandLine,
  ask: (argv: readonly string[]) => Promise<Outcome>,
  more: (entry: Entry) => boolean = all,
  drop: readonly string[] = [],
): Promise<Outcome> {
  const { set, clear } = statusSets(line);
  return select(line, ask, without('status', ...drop), (entry, saved) => {
    const bits = new Set((/ -u (\S+)/.exec(saved)?.[1] ?? '').split(','));
    return [...set].every((bit) => bits.has(bit)) && [...clear].every((bit) => !bits.has(bit)) && more(entry);
  });
}

const status: KnownDifference = {
  id: 'B41',
  reason:
    '-u with and without ! selects by both; the reference finds nothing. -u that names no bit is refused with exit 2, not by the kernel',
  applies: (line) => isList(line) && line.table === 'conntrack' && has(line, 'status'),
  correct: async ({ line, expected, ask }) => {
    // The reference leaves it to the kernel, of which older ones do not heed it.
    const heeded = kernelIsAtLeast(5, 15);
    const { set, clear } = statusSets(line);
    if (set.size === 0 && clear.size === 0) return expected.status === '1' || !heeded ? refused(2) : expected;
    if (!succeeded(expected) || (heeded && (set.size === 0 || clear.size === 0))) return expected;
    const selected = await selectStatus(line, ask);
    // What it says of the words remains.
    return { ...selected, stderr: expected.stderr.replace(/conntrack v.*\n$/, '') + selected.stderr };
  },
};

/** Whether an address passes `-s` or `-d` with its prefix or mask, of which the later word counts. */
function within(address: string, line: CommandLine, end: 'src' | 'dst'): boolean {
  const given = lastValue(line, end);
  if (given === undefined) return true;
  const base = addressBits(given.replace(/\/.*/s, ''));
  let mask = '1'.repeat(base.length);
  for (const { name, value = '' } of line.options) {
    const [, length] = /\/(\d+)$/.exec(value) ?? [];
    if (name === end && length !== undefined) mask = '1'.repeat(Number(length)).padEnd(base.length, '0');
    if (name === `mask-${end}`) mask = addressBits(value);
  }
  const bits = addressBits(address);
  return bits.length === base.length && [...mask].every((bit, n) => bit === '0' || bits[n] === base[n]);
}
function addressBits(text: string): string {
  if (!text.includes(':'))
    return text
      .split('.')
      .map((byte) => Number(byte).toString(2).padStart(8, '0'))
      .join('');
  const plain = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const words = (part: string | undefined) => (part === undefined || part === '' ? [] : part.split(':'));
  const middle = tail === undefined ? [] : new Array<string>(8 - words(head).length - words(tail).length).fill('0');
  return [...words(head), ...middle, ...words(tail)]
    .map((word) => Number.parseInt(word, 16).toString(2).padStart(16, '0'))
    .join('');
}

const dyingFilters: KnownDifference = {
  id: 'B40',
  reason:
    'on dying and unconfirmed, prefixes, masks and -u with ! select as on conntrack, and what is refused there is refused; the reference finds nothing, or everything',
  applies: (line) =>
    isList(line) &&
    (line.table === 'dying' || line.table === 'unconfirmed') &&
    (has(line, 'status', 'mask-src', 'mask-dst') ||
      values(line, 'src')
        .concat(values(line, 'dst'))
        .some((value) => value.includes('/'))),
  correct: ({ line, expected, ask }) => {
    if (!succeeded(expected)) return expected;
    const { set, clear } = statusSets(line);
    if (has(line, 'status') && set.size + clear.size === 0) return refused(2);
    if ((has(line, 'mask-src') && !has(line, 'src')) || (has(line, 'mask-dst') && !has(line, 'dst'))) return refused(2);
    const inNetworks = ({ original }: Entry) => within(original.src, line, 'src') && within(original.dst, line, 'dst');
    return selectStatus(line, ask, inNetworks, ['src', 'dst', 'mask-src', 'mask-dst']);
  },
};

const expectFamilies: KnownDifference = {
  id: 'B45',
  reason: '-L expect and -C expect see both families unless -f names one; the reference sees IPv4',
  applies: (line) => is(line, 'L', 'C') && line.table === 'expect' && !has(line, 'family'),
  anyOrder: true,
  correct: async ({ line, expected, ask }) => {
    if (!succeeded(expected)) return expected;
    if (is(line, 'C'))
      return {
        ...expected,
        stdout: `${(await expectationsOf(ask, 'ipv4')).length + (await expectationsOf(ask, 'ipv6')).length}\n`,
      };
    const [v4, v6] = [await ask([...rebuild(line, all), '-f', 'ipv4']), await ask([...rebuild(line, all), '-f', 'ipv6'])];
    const lines = [...entryLines(v4.stdout), ...entryLines(v6.stdout)];
    return lines.length === 0 ? expected : listing(line, lines, expected);
  },
};
const expectationsOf = async (ask: (argv: readonly string[]) => Promise<Outcome>, family: string) =>
  entryLines((await ask(['-L', 'expect', '-f', family])).stdout);

// ---- how it is printed ----

const wellFormedXml: KnownDifference = {
  id: 'B10',
  reason:
    'XML is a whole document for -L and -G, also when it is empty; the reference leaves -G, dying and unconfirmed unclosed and an empty list blank',
  applies: (line) => is(line, 'L', 'G') && outputItems(line).has('xml'),
  correct: ({ line, expected }) => {
    const shown = /(\d+) (flow entries|expectations) have been shown/.exec(expected.stderr);
    return shown === null && !expected.stdout.startsWith('<?xml')
      ? expected
      : { ...expected, stdout: listing(line, entryLines(expected.stdout), expected).stdout };
  },
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
const SCTP_STATES = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
  'HEARTBEAT_SENT',
  'HEARTBEAT_ACKED',
];

const xmlStates: KnownDifference = {
  id: 'B11',
  reason: 'XML names the states of SCTP; the reference prints the names that TCP has for these numbers',
  applies: (line) => is(line, 'L', 'G') && outputItems(line).has('xml') && line.table !== 'expect',
  correct: ({ expected }) =>
    eachLine(expected, (text) =>
      text.includes('protonum="132"')
        ? text.replace(/<state>(\w+)</, (whole, name) => `<state>${SCTP_STATES[TCP_STATES.indexOf(name)] ?? whole}<`)
        : text,
    ),
};

const xmlAdditions: KnownDifference = {
  id: 'B12',
  reason: 'XML has elements for ICMP type, code and id and for the status EXPECTED; the reference leaves them out',
  applies: (line) => is(line, 'L', 'G') && outputItems(line).has('xml'),
  correct: async ({ line, expected, ask }) => {
    if (expected.stdout === '') return expected;
    const find = line.table === 'expect' ? await expectationTexts(ask) : await flowTexts(ask, line.table ?? 'conntrack');
    return eachLine(expected, (xml) => {
      const found = find(xml);
      return found === undefined ? xml : addElements(xml, ...found);
    });
  },
};

/** For an XML line: the same entry as text and as a saved line. */
type Texts = (xml: string) => [text: string, saved: string] | undefined;

async function flowTexts(ask: (argv: readonly string[]) => Promise<Outcome>, table: string): Promise<Texts> {
  const texts = entryLines((await ask(['-L', table, '-o', 'extended,id'])).stdout);
  const saved = entryLines((await ask(['-L', table, '-o', 'save'])).stdout);
  const byId = new Map(texts.map((text, n) => [parseEntry(text).id, [text, saved[n] ?? ''] as [string, string]]));
  return (xml) => byId.get(/<id>(\d+)<\/id>/.exec(xml)?.[1] ?? '');
}

async function expectationTexts(ask: (argv: readonly string[]) => Promise<Outcome>): Promise<Texts> {
  const byXml = new Map<string, [string, string]>();
  const key = (xml: string) => xml.replace(/<timeout>\d+</, '<timeout><').replace(/<when>.*<\/when>/, '');
  for (const family of ['ipv4', 'ipv6']) {
    const texts = entryLines((await ask(['-L', 'expect', '-f', family])).stdout);
    const xml = entryLines((await ask(['-L', 'expect', '-f', family, '-o', 'xml'])).stdout);
    for (const [n, text] of texts.entries()) byXml.set(key(xml[n] ?? ''), [text, '']);
  }
  return (xml) => byXml.get(key(xml));
}

/** ICMP fields of each tuple, in the order in which text shows them; the status. */
function addElements(xml: string, text: string, saved: string): string {
  const fields = [...text.matchAll(/\btype=(\d+) code=(\d+) id=(\d+)/g)].map(
    ([, type, code, id]) => `<type>${type}</type><code>${code}</code><id>${id}</id>`,
  );
  let n = 0;
  const withFields = text.includes('proto=')
    ? xml.replace(/<layer4 protonum="(1|58)" .*<\/layer4>/, (layer) =>
        layer.replaceAll(/<(expected|mask)><\//g, (_, name) => `<${name}>${fields[n++] ?? ''}</`),
      )
    : xml.replaceAll(/(<layer4 protonum="(?:1|58)" [^>]*>)<\/layer4>/g, (_, open) => `${open}${fields[n++] ?? ''}</layer4>`);
  return / -u \S*EXPECTED/.test(saved)
    ? withFields.replace(/(<id>\d+<\/id>(?:<assured\/>)?(?:<unreplied\/>)?)(?=<timestamp>|<deltatime>|<\/meta>)/, '$1<expected/>')
    : withFields;
}

const emptyLabels: KnownDifference = {
  id: 'B19',
  reason: 'labels without a name in the file leave the field out; the reference prints the lone word labels',
  applies: (line) =>
    is(line, 'L', 'G') && (outputItems(line).has('labels') || has(line, 'label')) && !outputItems(line).has('xml'),
  correct: ({ expected }) => eachLine(expected, (text) => text.replace(/ labels$/, '')),
};

const microseconds: KnownDifference = {
  id: 'B17',
  reason: 'microseconds of expectations are padded with zeros on the left; the reference pads with blanks on the right',
  applies: (line) => is(line, 'L') && line.table === 'expect' && outputItems(line).has('timestamp'),
  correct: ({ expected }) =>
    eachLine(expected, (text) =>
      text.replace(/^\[(\d+)\.(\d+) *\]/, (_, seconds, micros) => `[${seconds}.${micros.padStart(6, '0')}]`),
    ),
};

const unprivilegedCounts: KnownDifference = {
  id: 'B37',
  situation: 'unprivileged',
  reason:
    '-C and -S without privileges print what /proc says and succeed; of expectations that is -S only. The reference prints numbers of connections for all four and fails',
  applies: (line) => is(line, 'C', 'S'),
  correct: ({ line, expected }) => {
    if (expected.status !== '1' || expected.stdout === '') return expected;
    if (line.table !== 'expect') return { status: SUCCESS, stdout: expected.stdout, stderr: '' };
    return is(line, 'C')
      ? refused(1)
      : { status: SUCCESS, stdout: expected.stdout.replaceAll(/(?<=\t| )(?!expect)\w+=\d+ /g, ''), stderr: '' };
  },
};

const fullDevice: KnownDifference = {
  id: 'B39',
  situation: 'full',
  reason: 'output that cannot be written is an error, exit 1 and no closing line; the reference does not notice',
  applies: (line) => is(line, 'L', 'G', 'C', 'S', 'V', 'h'),
  correct: ({ line, expected }) =>
    expected.status === SUCCESS && (!/: 0 (flow entries|expectations) /.test(expected.stderr) || outputItems(line).has('xml'))
      ? refused(1)
      : expected,
};

const version: KnownDifference = {
  id: 'version',
  reason: '-V says 1.4.9, the release whose behaviour this is',
  applies: (line) => is(line, 'V'),
  correct: ({ expected }) => ({ ...expected, stdout: expected.stdout.replace('v1.4.7', 'v1.4.9') }),
};

const help: KnownDifference = {
  id: '6.18',
  reason: 'the text of the help is our own',
  applies: (line) => is(line, 'h') || line.commands.length === 0,
  correct: ({ expected, actual }) =>
    succeeded(expected) && expected.stdout !== '' && actual.stdout !== '' ? { ...expected, stdout: actual.stdout } : expected,
};

/** Rows in the order in which they are applied: what the words mean, what is refused, what is selected, how it is printed. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  bundling,
  gluedOptionalValues,
  gluedNothing,
  idNeedsValue,
  labelMap,
  expectReplyPorts,
  statusAfterMark,
  repeatedStatus,
  twoProtocols,
  strictProtocolNumbers,
  strictNumbers,
  exactFamily,
  natValue,
  addressAlone,
  lookUp,
  greKeys,
  secmark,
  nat,
  natV6,
  anyNat,
  status,
  dyingFilters,
  expectFamilies,
  sctpState,
  xmlStates,
  xmlAdditions,
  wellFormedXml,
  emptyLabels,
  microseconds,
  unprivilegedCounts,
  fullDevice,
  version,
  help,
];
