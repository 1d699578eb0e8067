// All deliberate differences between commands that change the table and Debian's conntrack 1.4.7, one row each, with the right answer:
// for change-sessions.test.ts. Ids are rows of docs/differences.md, or of docs/behaviour.md 6. The right answer comes from the reference
// itself, asked in other words or one entry at a time, or from requests of our own (support/netlink.ts), so that afterwards the
// reference's table is what ours must be.

import {
  type CommandLine,
  cNumber,
  has,
  lastValue,
  outputItems,
  PROTOCOL_OPTIONS,
  readCommandLine,
  values,
} from '../support/argv.js';
import { entryLines, listing, rebuild } from '../support/entries.js';
import { createRequest, withoutFixedParts } from '../support/flow-request.js';
import type { Outcome } from '../support/outcome.js';
import type { Oracle } from '../support/twins.js';
import { type ChangeDifference, CLOSING, done, is, KEYS, nats, protocolOf, refusal } from './change-answers.js';
import { EXPECTATION_DIFFERENCES } from './expectation-differences.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';
import { deleteWanted, nothingSelected, selections } from './selection.js';
import { answerUpdate, UPDATE_DIFFERENCES } from './update-answer.js';

const creates = (line: CommandLine) => is(line, 'I', 'A') && line.table === 'conntrack';
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
    inFile &&
    (creates(line) || is(line, 'U')) &&
    values(line, 'status').some((value) => /(^|,)EX?P?E?C?T?E?D?(,|$)/i.test(value)),
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
    if (is(line, 'U')) return answerUpdate(line, oracle);
    return deleteWanted(line, oracle, ['state'], ({ state: word }) => word === state);
  },
  example: ['-I -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state X --orig-vtag 1 --reply-vtag 2 -t 900'],
};

// ---- -I and -A ----

const PORTS = ['sport', 'dport', 'reply-port-src', 'reply-port-dst'];
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

/** In order of application: first what the words mean, then the first that answers, last how it is printed. */
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
  ...UPDATE_DIFFERENCES,
  flushFamily,
  ...EXPECTATION_DIFFERENCES,
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
