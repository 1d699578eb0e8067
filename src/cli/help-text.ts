// `conntrack -h`: the manual at the prompt, made from the rows of words, commands and options. At most 100 columns wide. Topics: a word
// (`-h help`), a command (`-h update`, `-h U`), a protocol (`-h tcp`, `-h -p tcp`), the table `expect`; anything else is an error, as in
// the reference tool.

import { PROTOCOLS, protocolByName } from '../ctnetlink/protocols/index.js';
import type { Protocol } from '../ctnetlink/schema.js';
import { wordHelp, wordLine } from '../words/word-help.js';
import { wordByName, words } from '../words/words.js';
import { COMMANDS, type CommandRow } from './command-rows.js';
import { entry, examples, finish, UNBREAKABLE, wrap } from './help-layout.js';
import type { Table } from './invocation.js';
import { needOf } from './legality.js';
import { GROUPS, OPTIONS, type OptionRow, type OptionRows } from './options.js';
import { protocolOptions } from './protocol-options.js';

/** The topic a word after `-h` names, spelled as `helpText` takes it; `undefined` if none. Table names are the caller's. */
export function helpTopic(word: string): string | undefined {
  return (
    (word === FILTER_TOPIC ? word : undefined) ??
    wordByName(word)?.name ??
    commandOf(word)?.names[0] ??
    protocolByName(word)?.name
  );
}

/** The filter language, of which filter-help.ts has the help. */
export const FILTER_TOPIC = 'filter';

/** Every topic that has a name. */
export function helpTopics(): string[] {
  return [
    ...words(),
    ...COMMANDS.map((row) => ({ name: row.names[0] })),
    ...PROTOCOLS,
    { name: 'expect' },
    { name: FILTER_TOPIC },
  ].map(({ name }) => name);
}

/** The command of a letter or a long name. */
export function commandOf(word: string): CommandRow | undefined {
  const wanted = word === 'list' ? 'dump' : word === 'load' ? 'load-file' : word;
  return COMMANDS.find((row) => row.letter === wanted || row.names.includes(wanted));
}

/** As `helpText`, also on the filter language, whose rows are loaded for it. */
export async function helpOn(topic?: string): Promise<string> {
  return topic === FILTER_TOPIC ? (await import('./filter-help.js')).filterHelp() : helpText(topic);
}

/** The help, ending in a newline. A topic that is neither a word, a command nor `expect` is a protocol, with or without options. */
export function helpText(topic?: string): string {
  if (topic === undefined) return generalHelp();
  if (topic === 'expect') return expectHelp();
  const word = wordByName(topic);
  if (word) return wordHelp(word);
  const command = commandOf(topic);
  return command ? commandHelp(command) : protocolHelp(topic);
}

function generalHelp(): string {
  const out = [
    'conntrack: list, watch and change the connection tracking tables of the Linux kernel',
    '',
    'Usage: conntrack COMMAND [TABLE] [OPTION...]',
    '       conntrack WORD [OPTION...]',
    '       conntrack -h WORD | COMMAND | PROTOCOL | expect | filter      what one of them takes',
    '',
    'Words (the first word of the command line; details: conntrack WORD --help):',
    ...words().flatMap(wordLine),
    '',
    'Commands (exactly one; several letters may share a word, as in -Lpudp):',
    ...COMMANDS.flatMap(commandLine),
    '',
    'Tables (the word after the command; may be abbreviated):',
    ...TABLE_HELP.flatMap(([name, help]) => entry(`  ${name}`, help)),
  ];
  for (const group of Object.keys(GROUPS) as (keyof typeof GROUPS)[]) {
    const rows = Object.values<OptionRow>(OPTIONS).filter((row) => row.group === group);
    out.push('', `${GROUPS[group]}:`, ...rows.flatMap((row) => optionLines(row, takersNote(row))));
  }
  out.push('', 'Options of protocols (after -p; details: conntrack -h PROTOCOL):');
  for (const protocol of PROTOCOLS) out.push(...entry(`  -p ${protocol.name}`, longNames(protocolOptions(protocol)), 16));
  out.push(
    '',
    ...wrap(
      'The letters in brackets are the commands that take an option; * marks those that need it, + those that need one of two ' +
        'pairs (source and destination, of the original or of the reply direction). Long options may be abbreviated. An optional ' +
        'value follows as the next word or glued (--src-nat=ADDR).',
      '',
    ),
    '',
    'Examples:',
    ...examples([
      ['-L', 'list all connections'],
      ['-L -p tcp --dport 443 -o extended', 'those to port 443'],
      ['-L --src-nat', 'those that are source-translated'],
      ['-D -s 192.0.2.1', 'delete all that this host opened'],
      ['-U -s 192.0.2.1 -m 1', 'set their mark to 1'],
      ['-E -e NEW -o timestamp', 'watch new connections'],
      ['-L -o save > entries.txt', 'save the table'],
      ['-R entries.txt', 'load it again'],
    ]),
    '',
    'Exit status:',
    ...entry('  0', 'success; for -L also when nothing matched', 6),
    ...entry('  1', 'the kernel refused, no permission, or -G, -D, -U matched nothing', 6),
    ...entry('  2', 'the command line is wrong; nothing was done', 6),
    '',
    'Needs root or CAP_NET_ADMIN, except for -h and -V. Counts and errors go to standard error.',
  );
  return finish(out);
}

const TABLE_HELP: readonly (readonly [Table, string])[] = [
  ['conntrack', 'the tracked connections (default)'],
  ['expect', 'connections that helpers such as ftp or sip are waiting for'],
  ['dying', 'deleted entries whose event has not been delivered yet (-L only)'],
  ['unconfirmed', 'entries whose first packet is still on its way (-L only; empty on current kernels)'],
];

function commandHelp(command: CommandRow): string {
  const usage = `Usage: conntrack -${command.letter} ${command.synopsis}`.trimEnd();
  const out = [
    ...commandLine(command).map((line) => line.slice(2)),
    '',
    usage,
    '',
    ...command.about.flatMap((text) => wrap(text, '')),
  ];
  for (const table of tablesOf(command)) out.push(...tableHelp(command, table));
  if (command.examples.length > 0) out.push('', 'Examples:', ...examples(command.examples));
  return finish(out);
}

/** Tables whose options are listed separately. */
function tablesOf(command: CommandRow): ('conntrack' | 'expect')[] {
  if (command.target === 'nothing' || command.target === 'file') return ['conntrack'];
  return (['conntrack', 'expect'] as const).filter(
    (table) => command.tables.includes(table) && optionsOf(command, table).length > 0,
  );
}

function optionsOf(command: CommandRow, table: Table): OptionRow[] {
  return Object.values<OptionRow>(OPTIONS).filter((row) => !row.everywhere && needOf(row, command.letter, table));
}

/** The options of a command on one table, by need. */
function tableHelp(command: CommandRow, table: 'conntrack' | 'expect'): string[] {
  const title = (text: string) => (tablesOf(command).length > 1 ? `${text} on table ${table}:` : `${text}:`);
  const out: string[] = [];
  for (const [need, heading] of NEED_HEADINGS) {
    const rows = optionsOf(command, table).filter((row) => needOf(row, command.letter, table) === need);
    if (rows.length > 0) out.push('', title(heading), ...rows.flatMap((row) => optionLines(row, '', table)));
  }
  const protocols =
    command.target === 'nothing' ? [] : PROTOCOLS.flatMap((protocol) => protocolSummary(protocol, command, table));
  if (protocols.length > 0)
    out.push('', title('After -p (* is required, + one pair; details: conntrack -h PROTOCOL)'), ...protocols);
  return out;
}

const NEED_HEADINGS = [
  ['must', 'Required'],
  ['pair', 'One pair required (original or reply direction)'],
  ['may', 'Options'],
] as const;

function protocolSummary(protocol: Protocol, command: CommandRow, table: Table): string[] {
  const names = Object.values(protocolOptions(protocol)).flatMap((row) => {
    const need = needOf(row, command.letter, table);
    return need ? [`--${row.names[0]}${MARKS[need]}`] : [];
  });
  return names.length === 0 ? [] : entry(`  -p ${protocol.name}`, names.join(' '), 16);
}

function protocolHelp(name: string): string {
  const protocol = protocolByName(name);
  if (!protocol) return finish([`Protocol ${name} has no options of its own: entries differ by their addresses.`]);
  const rows = Object.values(protocolOptions(protocol));
  return finish([
    `Options of protocol ${protocol.name} (${protocol.number}), after -p ${protocol.name}:`,
    ...rows.flatMap((row) => optionLines(row, takersNote(row))),
    '',
    ...wrap(
      'The letters in brackets are the commands that take an option; * marks those that need it, + those that need one of two pairs, ' +
        'of the original or of the reply direction.',
      '',
    ),
    '',
    'Example:',
    ...examples([PROTOCOL_EXAMPLES[protocol.tuple]?.(protocol.name) ?? [`-L -p ${protocol.name}`, 'its entries']]),
  ]);
}

const PROTOCOL_EXAMPLES: Partial<Record<Protocol['tuple'], (name: string) => readonly [string, string]>> = {
  ports: (name) => [`-L -p ${name} --dport 5060`, 'its entries for one destination port'],
  keys: (name) => [`-D -p ${name} --srckey 0x10`, 'delete the entries of one call'],
  icmp: (name) => [`-L -p ${name} --icmp-type 8`, 'echo requests'],
  icmpv6: (name) => [`-L -p ${name} --icmpv6-type 128`, 'echo requests'],
};

function expectHelp(): string {
  const out = [
    'Table expect: connections that a helper (ftp, sip, ...) announced and the kernel is waiting for',
    '',
    ...COMMANDS.filter((row) => row.tables.includes('expect') && row.target !== 'nothing').flatMap(commandLine),
  ];
  out.push('', 'Options (* is required; details: conntrack -h COMMAND):');
  for (const command of COMMANDS) {
    if (command.target === 'nothing') continue;
    const marked = optionsOf(command, 'expect').map(
      (row) => `${shortOrLong(row)}${needOf(row, command.letter, 'expect') === 'must' ? '*' : ''}`,
    );
    if (marked.length > 0) out.push(...entry(`  -${command.letter} expect`, marked.join(' '), 16));
  }
  out.push(
    '',
    'Example:',
    ...examples([
      ['-L expect', 'what is expected now'],
      [
        '-I expect -s 192.0.2.1 -d 198.51.100.7 -p tcp --sport 40000 --dport 21 --tuple-src 198.51.100.7 --tuple-dst 192.0.2.1 ' +
          '--tuple-port-src 0 --tuple-port-dst 50000 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 ' +
          '--mask-port-dst 65535 -t 60',
        'an FTP data connection',
      ],
    ]),
  );
  return finish(out);
}

function shortOrLong(row: OptionRow): string {
  return row.short !== undefined && /[a-zA-Z]/.test(row.short) ? `-${row.short}` : `--${row.names[0]}`;
}

function commandLine(row: CommandRow): string[] {
  const file = row.tables.length === 0 ? ` ${row.synopsis}` : '';
  return entry(`  -${row.letter}, ${row.names.map((name) => `--${name}`).join(', ')}${file}`, row.help);
}

/** `  -s, --src, --orig-src ADDR[/LEN]`, then the text, the words it may take, and `note`. */
function optionLines(row: OptionRow, note = '', table: Table = 'conntrack'): string[] {
  const short = row.short === undefined ? '' : `-${row.short}, `;
  const value = row.value === undefined ? '' : row.arg === 'optional' ? ` [${row.value}]` : ` ${row.value}`;
  const help = (table === 'expect' ? row.expectHelp : undefined) ?? row.help;
  const untold = row.choices?.some((choice) => !help.includes(choice)) && !(table === 'expect' && row.expectHelp);
  const choices = untold ? ` ${row.value === 'LIST' ? 'Of' : 'One of'} ${row.choices!.join(', ')}.` : '';
  return entry(`  ${short}${row.names.map((name) => `--${name}`).join(', ')}${value}`, help + choices + note);
}

/** ` [L G+ D; expect: I*]`: the commands that take an option. */
function takersNote(row: OptionRow): string {
  if (row.everywhere) return ' [all]';
  const letters = (table: Table) => COMMANDS.flatMap((command) => letterNote(row, command, table)).join(' ');
  const own = letters('conntrack');
  const expect = letters('expect');
  return ` [${[own, expect && `expect: ${expect}`].filter(Boolean).join('; ')}]`.replace(/(?<!^) /g, UNBREAKABLE);
}

function letterNote(row: OptionRow, command: CommandRow, table: Table): string[] {
  const need = needOf(row, command.letter, table);
  return need === undefined ? [] : [`${command.letter}${MARKS[need]}`];
}

const MARKS = { may: '', must: '*', pair: '+' } as const;

function longNames(rows: OptionRows): string {
  return Object.values(rows)
    .map((row) => `--${row.names[0]}`)
    .join(' ');
}
