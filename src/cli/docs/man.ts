// The manual page conntrack(8), from the rows: man(7) macros, which every system can display.

import { PROTOCOLS } from '../../ctnetlink/protocols/index.js';
import { optionText } from '../../words/word-help.js';
import { type WordRow, words } from '../../words/words.js';
import { COMMANDS, type CommandRow, commandNames } from '../command-rows.js';
import { FILTER_RULES, filterTests } from '../filter-help.js';
import type { Table } from '../invocation.js';
import { needOf } from '../legality.js';
import { GROUPS, OPTIONS, type OptionRow } from '../options.js';
import { protocolOptions } from '../protocol-options.js';

/** Data about the page: the package's version, and the date of the build, as YYYY-MM-DD. */
export interface Edition {
  readonly version: string;
  readonly date: string;
}

/** The page. */
export function manualPage({ version, date }: Edition): string {
  const page = [
    '.\\" Generated from the option rows.',
    `.TH CONNTRACK 8 ${date} "conntrack ${version}" "System Administration"`,
    '.SH NAME',
    'conntrack \\- list, watch and change the connection tracking tables of the Linux kernel',
    '.SH SYNOPSIS',
    ...COMMANDS.flatMap((row, i) => [
      ...(i === 0 ? [] : ['.br']),
      `.B conntrack ${text(`-${row.letter}`)}`,
      ...(row.synopsis === '' ? [] : [text(row.synopsis)]),
    ]),
    ...words().flatMap((row) => ['.br', `.B conntrack ${row.name}`, text(row.synopsis)]),
    '.SH DESCRIPTION',
    ...lines(
      'conntrack shows and changes the entries that the kernel keeps of each connection that passes through or ends at this machine. ' +
        'It talks netlink to the kernel, and takes the commands, options and formats of the program of that name in conntrack-tools.',
    ),
    ...paragraph(
      'Exactly one command is given. Several letters may share a word, as in -Lpudp. Long options may be abbreviated. An optional ' +
        'value follows as the next word or glued (--src-nat=ADDR). Entries go to standard output, counts and errors to standard error.',
    ),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(command),
    '.SH WORDS',
    ...lines('A word is the first word of the command line. Its options are long and may be in any order.'),
    ...words().flatMap(word),
    '.SH TABLES',
    ...entry('.B conntrack', ['The tracked connections. The default.']),
    ...entry('.B expect', ['Connections that helpers such as ftp or sip are waiting for.']),
    ...entry('.B dying', ['Deleted entries whose event has not been delivered yet; -L only.']),
    ...entry('.B unconfirmed', ['Entries whose first packet is still on its way; -L only, empty on current kernels.']),
    '.SH OPTIONS',
    ...lines(
      'The letters in brackets are the commands that take an option. An asterisk marks those that need it, a plus those that need one of ' +
        'two pairs: source and destination of the original or of the reply direction.',
    ),
    ...(Object.keys(GROUPS) as (keyof typeof GROUPS)[]).flatMap((group) => {
      const rows = Object.values<OptionRow>(OPTIONS).filter((row) => row.group === group);
      return rows.length === 0 ? [] : [`.SS ${quoted(GROUPS[group])}`, ...rows.flatMap(option)];
    }),
    '.SH "OPTIONS OF PROTOCOLS"',
    ...lines('Give them after -p, which makes them available.'),
    ...PROTOCOLS.flatMap((protocol) => {
      const rows = Object.values(protocolOptions(protocol));
      return rows.length === 0 ? [] : [`.SS ${quoted(`-p ${protocol.name}`)}`, ...rows.flatMap(option)];
    }),
    '.SH FILTERS',
    ...lines(FILTER_RULES[0]!),
    ...FILTER_RULES.slice(1).flatMap(paragraph),
    ...filterTests().flatMap(([test, help]) => entry(`.B ${quoted(test)}`, [help])),
    '.SH "EXIT STATUS"',
    ...entry('.B 0', ['Success; for -L also when nothing matched.']),
    ...entry('.B 1', ['The kernel refused, no permission, or -G, -D, -U matched nothing.']),
    ...entry('.B 2', ['The command line is wrong; nothing was done.']),
    '.SH FILES',
    ...entry('.I /etc/xtables/connlabel.conf', ['Names of the label bits.']),
    ...entry('.I /etc/protocols', ['Names of protocols for -p.']),
    ...entry('.I /run/netns', ['Names of network namespaces for --netns.']),
    '.SH EXAMPLES',
    ...[...COMMANDS, ...words()].flatMap((row) =>
      row.examples.flatMap(([words, meaning]) => entry(`.B ${text(`conntrack ${words}`)}`, [meaning])),
    ),
    '.SH "SEE ALSO"',
    '.BR nft (8),',
    '.BR ip-netns (8),',
    '.BR sysctl (8)',
  ];
  return `${page.join('\n')}\n`;
}

function command(row: CommandRow): string[] {
  const names = commandNames(row).map(text).join(', ');
  return entry(`.BR ${quoted(names)}`, [row.help, ...row.about]);
}

function word(row: WordRow): string[] {
  return [
    ...entry(`.B ${quoted(`${row.name} ${row.synopsis}`)}`, [row.help, ...row.about]),
    ...Object.entries(row.options).flatMap(([name, it]) => {
      const names = [...(it.short === undefined ? [] : [`-${it.short}`]), `--${name}`];
      const value = it.value === undefined ? '' : ` \\fI${text(it.value)}\\fR`;
      return [
        '.RS',
        ...entry(`${names.map((spelled) => `\\fB${text(spelled)}\\fR`).join(', ')}${value}`, [optionText(it)]),
        '.RE',
      ];
    }),
  ];
}

function option(row: OptionRow): string[] {
  const short = row.short === undefined ? [] : [`-${row.short}`];
  const names = [...short, ...row.names.map((name) => `--${name}`)].map((name) => `\\fB${text(name)}\\fR`).join(', ');
  const value =
    row.value === undefined ? '' : row.arg === 'optional' ? ` [\\fI${text(row.value)}\\fR]` : ` \\fI${text(row.value)}\\fR`;
  const choices = row.choices?.filter((choice) => !row.help.includes(choice)) ?? [];
  const words = choices.length === 0 ? '' : ` ${row.value === 'LIST' ? 'Of' : 'One of'} ${row.choices!.join(', ')}.`;
  const expect = row.expectHelp === undefined ? [] : [`On table expect: ${row.expectHelp}`];
  return [
    '.TP',
    `${names}${value}`,
    ...lines(`${row.help}${words} ${takers(row)}`),
    ...expect.flatMap((line) => ['.IP', ...lines(line)]),
  ];
}

/** `[L G+ D; expect: I*]` */
function takers(row: OptionRow): string {
  if (row.everywhere) return '[all]';
  const marks = { may: '', must: '*', pair: '+' } as const;
  const letters = (table: Table) =>
    COMMANDS.flatMap(({ letter }) => {
      const need = needOf(row, letter, table);
      return need ? [`${letter}${marks[need]}`] : [];
    }).join(' ');
  const [own, expect] = [letters('conntrack'), letters('expect')];
  return `[${[own, expect && `expect: ${expect}`].filter(Boolean).join('; ')}]`;
}

function entry(term: string, texts: readonly string[]): string[] {
  const [first = '', ...rest] = texts;
  return ['.TP', term, ...lines(first), ...rest.flatMap((more) => ['.IP', ...lines(more)])];
}

function paragraph(words: string): string[] {
  return ['.PP', ...lines(words)];
}

/** One sentence per line, as roff prefers. */
function lines(words: string): string[] {
  return words
    .trim()
    .split(/(?<=[.!?]) (?=[A-Z[])/)
    .map((sentence) => text(sentence).replace(/^(?=['.])/, '\\&'));
}

function text(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga');
}

/** A macro's argument with blanks in it. */
function quoted(words: string): string {
  return `"${(words.includes('\\') ? words : text(words)).replaceAll('"', '\\(dq')}"`;
}
