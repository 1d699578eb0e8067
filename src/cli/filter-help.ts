// The filter language for readers, from the rows that read it: `conntrack -h filter`, the section of the manual, and the table of
// docs/filters.md. Loaded only when it is asked for.

import { ADDRESS_NAMES, NAMED_ADDRESSES } from '../ctnetlink/filter/address-names.js';
import { PRESENCES } from '../ctnetlink/filter/condition.js';
import { atomsFilter, atomsOf } from '../ctnetlink/filter/kernel-plan.js';
import { NUMBER_FIELDS } from '../ctnetlink/filter/number-fields.js';
import { parseToFlowFilter } from '../ctnetlink/filter/parser.js';
import { PRESENCE_HELP, TERMS, type TermRow } from '../ctnetlink/filter/terms.js';
import { entry, examples, finish, wrap } from './help-layout.js';

/** A value for each field, to show how a test is written. */
const SAMPLES: Readonly<Record<string, string>> = {
  proto: 'proto {gre, 50}',
  orig: 'orig host 10.0.0.1',
  reply: 'reply src 10.0.0.1',
  master: 'master dst port 21',
  src: 'src 10.0.0.0/8',
  dst: 'dst port 443',
  host: 'host 10.0.0.1',
  port: 'port {53, 853}',
  key: 'key 7',
  sport: 'sport > 1023',
  dport: 'dport 8000-8999',
  saddr: 'saddr 10.0.0.1',
  daddr: 'daddr public',
  type: 'icmp type echo-request',
  code: 'icmp code 0',
  state: 'state established',
  vtag: 'orig vtag 7',
  role: 'role client',
  status: 'status src-nat-done',
  mark: 'mark 0x10/0xf0',
  zone: 'zone 7',
  label: 'label 3',
  bytes: 'bytes > 1M',
  packets: 'reply packets = 0',
  age: 'age > 1h',
  start: 'start >= 2026-11-28T10:00:00Z',
  stop: 'stop < 2026-11-28T11:00:00Z',
  timeout: 'timeout < 60',
  snat: 'snat to 203.0.113.5',
  dnat: 'dnat to 10.0.0.1:80',
  nat: 'nat to port 1024-2047',
  helper: 'helper ftp',
  id: 'id 1234',
  use: 'use > 1',
  secmark: 'secmark 1',
  secctx: 'secctx "system_u:object_r"',
  has: 'has bytes',
};

/** How a test of a word is written. */
function sampleOf(row: TermRow): string {
  return SAMPLES[row.words[0]] ?? row.words[0];
}

/** What a test is where the kernel did not send what it is about. */
function whenAbsent(row: TermRow): string {
  switch (row.kind) {
    case 'number': {
      const { absent } = NUMBER_FIELDS[row.field ?? row.original!];
      return absent === 'zero' ? 'counts as 0' : absent === 'unknown' ? 'unknown' : 'false';
    }
    case 'icmp type':
    case 'icmp code':
    case 'what':
    case 'end':
    case 'fused':
      return 'false';
    case 'mark':
      return 'counts as 0';
    case 'id':
    case 'counter':
    case 'age':
    case 'start':
    case 'stop':
    case 'secctx':
      return 'unknown';
    case 'state':
      return 'false without a state machine, else unknown';
    case 'label':
      return 'false in lists, unknown in events';
    case 'helper':
      return 'false; unknown at the end of a flow';
    case 'side':
      return row.side === 'master' ? 'false unless expected' : 'false';
    case 'all':
    case 'none':
    case 'family':
    case 'protocol':
    case 'flag':
    case 'protocols':
    case 'status':
    case 'has':
    case 'snat':
    case 'dnat':
    case 'nat':
      return '';
  }
}

/** Whether a dump can be asked for what the test of a word says, or for a part of it. */
function isAskedFor(row: TermRow): boolean {
  const atoms = atomsOf(parseToFlowFilter(sampleOf(row)));
  const filter = atoms && atomsFilter(atoms);
  return filter === undefined || (filter.kind === 'all' && filter.of.length > 0);
}

const PROTOCOL_ROWS = TERMS.filter(({ kind }) => kind === 'protocol');

/** All protocols that have a word, each between two marks. */
function protocolWords(mark: string): string {
  return PROTOCOL_ROWS.map(({ words: [word] }) => `${mark}${word}${mark}`).join(', ');
}

/** The table of docs/filters.md. */
export function filterTable(): string {
  const rows = TERMS.flatMap((row) => {
    if (row.kind === 'protocol')
      return row === PROTOCOL_ROWS[0] ? [`| ${protocolWords('`')} | \`tcp\` | the protocol |  | yes |`] : [];
    const [word, ...others] = row.words;
    const also = others.length > 0 ? ` (also ${others.map((other) => `\`${other}\``).join(', ')})` : '';
    return `| \`${word}\`${also} | \`${sampleOf(row)}\` | ${row.help} | ${whenAbsent(row)} | ${isAskedFor(row) ? 'yes' : ''} |`;
  });
  return ['| word | as in | meaning | not sent | narrows a dump |', '|---|---|---|---|---|', ...rows].join('\n');
}

/** Sentences about the language, for the help and the manual. */
export const FILTER_RULES: readonly string[] = [
  'Tests are joined by and, or and not, with parentheses wherever and meets or. Several values stand in braces: port {80, 443}. ' +
    'A range has no blanks: 8000-8999. Before a value may stand =, !=, <, <=, >, >=.',
  'src and dst are those of the original direction, reply src and reply dst those of the other; host and port mean any end. A protocol or a ' +
    'family directly before a field belongs to it: tcp dst port 80.',
  'Sizes take k M G T (powers of 1000) and Ki Mi Gi Ti (of 1024), durations w d h m s ms, times are RFC 3339 with a zone.',
  'What the kernel did not send is unknown, and so is its negation: a flow is chosen only if the whole is true. has FIELD asks whether it was sent.',
];

/** Words and their meaning, each with how a test is written. */
export function filterTests(): readonly (readonly [test: string, help: string])[] {
  return TERMS.flatMap((row) => {
    if (row.kind !== 'protocol') return [[sampleOf(row), row.help] as const];
    return row === PROTOCOL_ROWS[0] ? [['tcp', `the protocol: ${protocolWords('')}`] as const] : [];
  });
}

/** `conntrack -h filter`, ending in a newline. */
export function filterHelp(): string {
  return finish([
    "Usage: conntrack -L | -G | -C | -D | -U | -E --filter 'EXPR'",
    '',
    ...FILTER_RULES.flatMap((rule) => wrap(rule, '')),
    '',
    'Tests:',
    ...filterTests().flatMap(([test, help]) => entry(`  ${test}`, help, 36)),
    '',
    'Addresses with names:',
    ...ADDRESS_NAMES.flatMap((name) => entry(`  ${name}`, NAMED_ADDRESSES[name].help, 36)),
    '',
    'What has asks for:',
    ...PRESENCES.flatMap((what) => entry(`  ${what}`, PRESENCE_HELP[what], 36)),
    '',
    'Examples:',
    ...examples([
      ["-L --filter 'tcp and dst port {80, 443} and bytes > 1M'", 'long downloads and uploads of the web'],
      ["-D --filter 'udp and dnat to 10.244.3.17'", 'flows of a dead endpoint'],
      ["-U --filter 'mark 5' -m 6", 'from mark 5 to mark 6'],
      ["-L --explain-filter --filter 'host 10.0.0.1'", 'what the kernel does of it'],
    ]),
  ]);
}
