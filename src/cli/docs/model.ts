// The model for completions and the manual page: the option rows in a form that suits a shell. The command does not contain it.

import { PROTOCOLS } from '../../ctnetlink/protocols/index.js';
import type { WordRow } from '../../words/words.js';
import { COMMANDS, type CommandRow } from '../command-rows.js';
import { helpTopics } from '../help-text.js';
import type { Table } from '../invocation.js';
import { needOf } from '../legality.js';
import { OPTIONS, type OptionRow } from '../options.js';
import { protocolOptions } from '../protocol-options.js';

/** How a value is completed. `list`: words with commas between them; `expression`: the command is asked (words/complete-filter). */
export type ValueKind = 'none' | 'text' | 'words' | 'list' | 'file' | 'netns' | 'expression';

/** An option as a shell sees it. */
export interface ShellOption {
  /** With dashes; letters only, no punctuation. The first is a short one where there is one. */
  readonly names: readonly string[];
  readonly arg: OptionRow['arg'];
  /** Name of the value; '' without one. */
  readonly value: string;
  readonly kind: ValueKind;
  readonly words: readonly string[];
  /** First sentence of the help. */
  readonly help: string;
  /** Letters of the commands that take it, on the flow tables and on the table expect. */
  readonly conntrack: string;
  readonly expect: string;
  /** The protocol that must have been named; '' for options of every protocol. */
  readonly protocol: string;
}

/** Every option; those of protocols come last. */
export function shellOptions(): ShellOption[] {
  const general = Object.entries<OptionRow>(OPTIONS).map(([key, row]) => shellOption(key, row, ''));
  const special = PROTOCOLS.flatMap((protocol) =>
    Object.entries(protocolOptions(protocol)).map(([key, row]) => shellOption(key, row, protocol.name)),
  );
  return [...general, ...special];
}

function shellOption(key: string, row: OptionRow, protocol: string): ShellOption {
  const letters = (table: Table) =>
    COMMANDS.filter((command) => takes(command, table) && needOf(row, command.letter, table))
      .map((command) => command.letter)
      .join('');
  const short = row.short !== undefined && /[a-zA-Z]/.test(row.short) ? [`-${row.short}`] : [];
  const [kind, words] = completionOf(key, row);
  return {
    names: [...short, ...row.names.map((name) => `--${name}`)],
    arg: row.arg,
    value: row.value ?? '',
    kind,
    words,
    help: firstSentence(row.help),
    conntrack: letters('conntrack'),
    expect: letters('expect'),
    protocol,
  };
}

/** -R takes no table, and works on the flow table. */
function takes(command: CommandRow, table: Table): boolean {
  return command.tables.includes(table) || (command.target === 'file' && table === 'conntrack');
}

function completionOf(key: string, row: OptionRow): readonly [ValueKind, readonly string[]] {
  if (row.arg === 'none') return ['none', []];
  if (key === 'protonum') return ['words', PROTOCOLS.map((protocol) => protocol.name)];
  if (key === 'netns') return ['netns', []];
  if (row.choices) return [row.value === 'LIST' ? 'list' : 'words', row.choices];
  return [kindOf(row.value), []];
}

/** How a value is completed, by its name. */
function kindOf(value: string | undefined): ValueKind {
  return value === 'FILE' ? 'file' : value === 'EXPR' ? 'expression' : 'text';
}

/** Up to the first full stop, colon or semicolon that ends something; without it. */
export function firstSentence(text: string): string {
  return text.replace(/[.:;](?: .*)?$/s, '').replace(/[.:;] .*$/s, '');
}

/** Words that may follow a command. */
export function topicsOf(command: CommandRow): readonly string[] {
  if (command.letter !== 'h') return command.tables;
  return helpTopics();
}

/** A word as a shell sees it. */
export interface ShellWord {
  readonly name: string;
  /** First sentence of the help. */
  readonly help: string;
  readonly options: readonly Pick<ShellOption, 'names' | 'arg' | 'value' | 'kind' | 'words' | 'help'>[];
  /** What may follow it, besides options: one of the words, or all words of an expression, behind one of the words if there are any. */
  readonly operands: { readonly kind: 'words' | 'expression'; readonly words: readonly string[] };
}

export function shellWords(rows: readonly WordRow[]): ShellWord[] {
  return rows.map((row) => ({
    name: row.name,
    help: firstSentence(row.help),
    options: [
      ...wordOptions(row),
      { names: ['-h', '--help'], arg: 'none', value: '', kind: 'none', words: [], help: 'Show help' },
    ],
    operands: {
      kind: row.operands?.kind === 'expression' ? 'expression' : 'words',
      words: row.operands?.kind === 'topic' ? helpTopics() : (row.verbs ?? []),
    },
  }));
}

function wordOptions(row: WordRow): ShellWord['options'] {
  return Object.entries(row.options).map(([name, { short, value, choices, help }]) => ({
    names: [...(short === undefined ? [] : [`-${short}`]), `--${name}`],
    arg: value === undefined ? 'none' : 'required',
    value: value ?? '',
    kind: value === undefined ? 'none' : choices ? 'words' : name === 'netns' ? 'netns' : kindOf(value),
    words: choices ?? [],
    help: firstSentence(help),
  }));
}
