// Command rows: names, tables, and properties of a command. Parser, legality checks, messages, help and completions read them. Source:
// docs/behaviour.md 1.1, 1.4.

import type { Arity } from './getopt.js';
import type { CommandLetter, Table } from './invocation.js';

/** A command. */
export interface CommandRow {
  readonly letter: CommandLetter;
  /** Long names; the first is the one in messages. */
  readonly names: readonly [string, ...string[]];
  /** How the table may follow the letter. Unless this is `none`, the long form also takes `=TABLE`. */
  readonly short: Arity;
  readonly long: Arity;
  /** Tables it works on; others are refused as soon as they are read. */
  readonly tables: readonly Table[];
  /** What it works on: entries that a filter selects, one entry, a table as a whole, a file of command lines, or nothing in the kernel. */
  readonly target: 'filter' | 'entry' | 'table' | 'file' | 'nothing';
  /** It may change entries. */
  readonly changes?: true;
  /** It creates entries. */
  readonly creates?: true;
  /** Mark, status, timeout and the like are new values, not conditions. */
  readonly sets?: true;
  /** When it takes every entry of a table: always, or if no option selects. */
  readonly empties?: 'always' | 'unfiltered';
  /** Tables with which it works in one network namespace at a time. */
  readonly oneNamespace?: readonly Table[];
  /** Tables for which its only output forms are its own and JSON. */
  readonly onlyJson?: readonly Table[];
  /** Most of its time is its start, so its compiled code is kept small. */
  readonly brief?: true;
  /** What it does, for "cannot …". */
  readonly attempt: string;
  /** What follows it, in the synopsis. */
  readonly synopsis: string;
  /** One line. */
  readonly help: string;
  /** Paragraphs for the command's own help. */
  readonly about: readonly string[];
  /** Command lines without the program's name, and what they do. */
  readonly examples: readonly (readonly [string, string])[];
}

const ENTRIES = ['conntrack', 'expect'] as const;

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandRow[] = [
  {
    letter: 'L',
    names: ['dump'],
    short: 'detached',
    long: 'optional',
    tables: ['conntrack', 'expect', 'dying', 'unconfirmed'],
    target: 'filter',
    attempt: 'list',
    synopsis: '[TABLE] [FILTER...] [-o MODES] [-z]',
    help: 'List the entries that match, or all.',
    about: [
      'Prints one line for each entry that matches all filters. Finding none is not an error.',
      'With -z the kernel resets the counters of every entry it lists, so -z can only be combined with -f, -n, -g, -j and -o.',
    ],
    examples: [
      ['-L', 'all entries, IPv4 and IPv6'],
      ['-L -p tcp --dport 443 --state ESTABLISHED', 'established connections to port 443'],
      ['-L -s 192.0.2.0/24 -o extended,id', 'entries from one network, with family and id'],
      ['-L expect', 'what helpers such as ftp are waiting for'],
    ],
  },
  {
    letter: 'G',
    names: ['get'],
    short: 'detached',
    long: 'optional',
    tables: ENTRIES,
    target: 'entry',
    onlyJson: ['expect'],
    attempt: 'get',
    synopsis: '[TABLE] -s ADDR -d ADDR -p PROTO [PORTS]',
    help: 'Look up one entry by its tuple.',
    about: ['Asks the kernel for the one entry with these addresses, protocol and ports. Exit status 1 if it does not exist.'],
    examples: [['-G -s 192.0.2.1 -d 198.51.100.7 -p tcp --sport 40000 --dport 443', 'this connection']],
  },
  {
    letter: 'D',
    names: ['delete'],
    short: 'detached',
    long: 'optional',
    tables: ENTRIES,
    target: 'filter',
    changes: true,
    empties: 'unfiltered',
    onlyJson: ['expect'],
    attempt: 'delete',
    synopsis: '[TABLE] [FILTER...]',
    help: 'Delete the entries that match, or all.',
    about: [
      'Deletes and prints every entry that matches all filters; WITHOUT FILTERS THAT IS EVERY ENTRY. Try the same filters with -L first.',
      'Exit status 1 when nothing matched. On table expect, one expectation is named by its addresses, protocol and ports.',
    ],
    examples: [
      ['-D -s 192.0.2.1', 'all entries that this host opened'],
      ['-D -p udp --dport 5060', 'all SIP entries, so that new NAT rules apply to them'],
    ],
  },
  {
    letter: 'I',
    names: ['create'],
    short: 'detached',
    long: 'optional',
    tables: ENTRIES,
    target: 'entry',
    changes: true,
    creates: true,
    sets: true,
    oneNamespace: ENTRIES,
    attempt: 'create',
    synopsis: '[TABLE] -s ADDR -d ADDR -p PROTO -t SECONDS [PORTS] [VALUES...]',
    help: 'Create an entry; it must not exist yet.',
    about: [
      'The other direction is derived from the one you give. Protocols with ports need those of the same direction as the addresses.',
      'On table expect, -s -d --sport --dport name the existing connection, --tuple-... and --mask-... the one to expect.',
    ],
    examples: [
      ['-I -s 192.0.2.1 -d 198.51.100.7 -p udp --sport 5000 --dport 53 -t 60', 'a UDP entry for one minute'],
      [
        '-I -s 192.0.2.1 -d 198.51.100.7 -p tcp --sport 5000 --dport 80 --state ESTABLISHED -t 600 -n 203.0.113.5',
        'a TCP entry that is source-translated',
      ],
    ],
  },
  {
    letter: 'A',
    names: ['add'],
    short: 'detached',
    long: 'optional',
    tables: ['conntrack'],
    target: 'entry',
    changes: true,
    creates: true,
    sets: true,
    oneNamespace: ENTRIES,
    attempt: 'add',
    synopsis: '-s ADDR -d ADDR -p PROTO -t SECONDS [PORTS] [VALUES...]',
    help: 'Create an entry, or update it if it exists.',
    about: [
      'As -I, but an entry that exists gets the new timeout, mark, status and state. -o save writes these lines, -R loads them.',
    ],
    examples: [['-A -s 192.0.2.1 -d 198.51.100.7 -p udp --sport 5000 --dport 53 -t 60 -m 7', 'create or renew, with mark 7']],
  },
  {
    letter: 'U',
    names: ['update'],
    short: 'detached',
    long: 'optional',
    tables: ['conntrack'],
    target: 'filter',
    changes: true,
    sets: true,
    attempt: 'update',
    synopsis: '[FILTER...] VALUES...',
    help: 'Change the entries that match.',
    about: [
      'Addresses, ports, protocol, id and -l select entries; -m, -t, -u, --state and the label changes are their new values.',
      'Exit status 1 when nothing was changed.',
    ],
    examples: [
      ['-U -s 192.0.2.1 -m 1', 'set the mark of all entries from this host to 1'],
      ['-U -p tcp --dport 80 -m 0x10/0xf0', 'change four bits of the mark'],
      ['-U -s 192.0.2.1 --label-add web', 'add a label'],
    ],
  },
  {
    letter: 'E',
    names: ['event'],
    short: 'detached',
    long: 'optional',
    tables: ENTRIES,
    target: 'filter',
    attempt: 'watch',
    synopsis: '[TABLE] [FILTER...] [-e EVENTS] [-o MODES] [-b BYTES]',
    help: 'Show events as they happen, until interrupted.',
    about: ['Prints a line for each new, changed or deleted entry that matches the filters. Ctrl-C ends it, with exit status 0.'],
    examples: [
      ['-E -o timestamp', 'all events, with the time'],
      ['-E -e NEW,DESTROY -p tcp --dport 22', 'SSH connections as they begin and end'],
      ['-E -b 8388608', 'a larger buffer for a busy router'],
    ],
  },
  {
    letter: 'F',
    names: ['flush'],
    short: 'detached',
    long: 'optional',
    tables: ENTRIES,
    target: 'table',
    changes: true,
    empties: 'always',
    oneNamespace: ['expect'],
    attempt: 'flush',
    synopsis: '[TABLE] [-f FAMILY]',
    help: 'Empty the table.',
    about: ['Deletes all entries, or those of one family, without printing them.'],
    examples: [
      ['-F', 'delete every entry'],
      ['-F -f ipv6', 'delete the IPv6 entries'],
    ],
  },
  {
    letter: 'C',
    names: ['count', 'counter'],
    short: 'optional', // `-Cexpect` is not a bundle: docs/behaviour.md 1.3
    long: 'optional',
    tables: ENTRIES,
    target: 'table',
    onlyJson: ENTRIES,
    brief: true,
    attempt: 'count',
    synopsis: '[TABLE]',
    help: 'Print the number of entries.',
    about: ['Prints one number. Takes no filter; to count some entries, list them and read the closing line.'],
    examples: [['-C', 'entries in the table now']],
  },
  {
    letter: 'S',
    names: ['stats'],
    short: 'detached',
    long: 'detached',
    tables: ENTRIES,
    target: 'table',
    onlyJson: ENTRIES,
    brief: true,
    attempt: 'read the statistics of',
    synopsis: '[TABLE]',
    help: 'Print the statistics of each CPU.',
    about: ['Counters since boot, one line per CPU: failed insertions, drops, early drops and so on.'],
    examples: [['-S', 'look for insert_failed, drop and early_drop when connections are lost']],
  },
  {
    letter: 'R',
    names: ['load-file'],
    short: 'none',
    long: 'none',
    tables: [], // not known to the parser, except as the first word: docs/behaviour.md 1.8
    target: 'file',
    changes: true,
    oneNamespace: ENTRIES,
    attempt: 'load',
    synopsis: 'FILE [--dry-run] [--max NUMBER] [--protect-ssh]',
    help: 'Run the commands of a file, such as -o save writes.',
    about: [
      'One command on each line, without the word conntrack: -I, -A, -U, -D or -F on table conntrack. # begins a comment line. FILE - is standard input.',
      'All lines are read and checked before the first is run. -R must be the first word, the file name the second.',
      '--max limits how many entries the file creates, and how many each of its other lines touches; --protect-ssh applies to every line that deletes, changes or flushes.',
      'Lines that create are sent up to 100 at a time. If one fails, loading stops after its batch and says what was done.',
    ],
    examples: [
      ['-R entries.txt', 'load what "conntrack -L -o save,full > entries.txt" wrote'],
      ['-R -', 'read the commands from standard input'],
    ],
  },
  {
    letter: 'V',
    names: ['version'],
    short: 'detached',
    long: 'detached',
    tables: ENTRIES,
    target: 'nothing',
    brief: true,
    attempt: 'show the version',
    synopsis: '',
    help: 'Print the version.',
    about: ['Prints the version and ends.'],
    examples: [],
  },
  {
    letter: 'h',
    names: ['help'],
    short: 'detached',
    long: 'detached',
    tables: ENTRIES,
    target: 'nothing',
    brief: true,
    attempt: 'show help',
    synopsis: '[COMMAND | PROTOCOL | expect] [-p PROTO]',
    help: 'Print this help, or that of one command or protocol.',
    about: [
      'Add a word for help on one command (-h delete, -h D), one protocol (-h tcp, or -h -p tcp), or the table expect (-h expect).',
    ],
    examples: [
      ['-h update', 'everything that -U takes'],
      ['-h -p sctp', 'the options of SCTP'],
    ],
  },
];

/** The row of a command. */
export function commandRow(letter: CommandLetter): CommandRow {
  return COMMANDS.find((row) => row.letter === letter)!;
}

/** The commands allowed in a load file: those that change entries of one namespace and take no file themselves. */
export function isLoadable(row: CommandRow): boolean {
  return row.changes === true && row.target !== 'file';
}

/** Words that choose the compiled code of the brief commands: `-C`, `--count`. */
export function briefWords(): string[] {
  return COMMANDS.filter((row) => row.brief).flatMap(commandNames);
}

/** With dashes: `-L`, `--dump`. */
export function commandNames(command: CommandRow): string[] {
  return [`-${command.letter}`, ...command.names.map((name) => `--${name}`)];
}

/** How messages call a command: `-L (--dump)`. */
export function commandName(row: CommandRow): string {
  return `-${row.letter} (--${row.names[0]})`;
}
