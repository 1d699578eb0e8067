// The words after `conntrack` → an Invocation, or a UsageError for the first mistake, in the order of docs/behaviour.md 1.5. No I/O.

import type { FlowFilter } from '../ctnetlink/filter/condition.js';
import type { Protocol } from '../ctnetlink/schema.js';
import { didYouMean } from '../nearest.js';
import { COMMANDS, type CommandRow, commandName, commandRow, isLoadable } from './command-rows.js';
import { OptionNames, OptionReader, type ReadOption } from './getopt.js';
import { helpTopic, helpTopics } from './help-text.js';
import type { CommandLetter, FilterText, Invocation, OptionValues, Table } from './invocation.js';
import { checkLegality, checkNamespace, needOf } from './legality.js';
import { type Draft, OPTIONS, type OptionRow, type OptionRows, optionName } from './options.js';
import { protocolOptions, protocolsWithOption } from './protocol-options.js';
import { quoted, UsageError } from './usage-error.js';

/** What parsing needs from outside. */
export interface ParseEnvironment {
  /** Text of /etc/protocols, or '' if there is none. Called only when `-p` is neither a known name nor a number. */
  readProtocols(): string;
  /**
   * Bits of the labels named on this line, from the label file (`--labelmap`, else the default one). If any label is named, it is called
   * once, after all words are read and before legality is checked. The map's keys are exactly `names`.
   * @throws UsageError for a name that is not in the file. Without this function names stay unresolved.
   */
  resolveLabels?(names: readonly string[], labelMap: string | undefined): ReadonlyMap<string, number>;
  /** What `--filter` and `--filter-file` mean. Without this function they stay text. @throws UsageError */
  readFilters?(filters: readonly FilterText[], labelMap: string | undefined): FlowFilter;
  /** The words are a line of a load file. */
  readonly loading?: boolean;
}

/** Parses `argv` (without node and script). No words, or operands only, ask for help. @throws UsageError */
export function parseCommandLine(argv: readonly string[], env: ParseEnvironment): Invocation {
  const [first, file] = argv;
  // The first two words decide: docs/behaviour.md 1.8.
  if ((first === '-R' || first === '--load-file') && file !== undefined)
    return { command: 'R', table: 'conntrack', values: loadOptions(argv.slice(2)), file, warnings: [] };
  const help: Invocation = { command: 'h', table: 'conntrack', values: {}, warnings: [] };
  return parseWords(argv, env) ?? (first ? { ...help, word: first } : help);
}

/** An option whose value is a separate word. */
export interface OptionValue {
  readonly key: string;
  readonly row: OptionRow;
  /** How messages call the option. */
  readonly name: string;
}

/**
 * Parses one line of a load file, already split into words (docs/behaviour.md 4.13). Whether -R may run it: `unloadable`.
 * `valuePositions` gets the options whose values are words of their own, by the position of the value. @throws UsageError
 */
export function parseLoadLine(
  words: readonly string[],
  env: ParseEnvironment,
  valuePositions?: Map<number, OptionValue>,
): Invocation {
  const invocation = parseWords(words, { ...env, loading: true }, valuePositions);
  if (!invocation) throw noLoadCommand();
  return invocation;
}

function noLoadCommand(): UsageError {
  return new UsageError(`no command; a line takes one of ${loadable()}`);
}

/** `-D, -I, -A, -U, -F` */
function loadable(): string {
  return COMMANDS.filter(isLoadable)
    .map((row) => `-${row.letter}`)
    .join(', ');
}

/** Why a load file must not contain this; reported after all lines are parsed. */
export function unloadable({ command, table, values }: Invocation): UsageError | undefined {
  if (!isLoadable(commandRow(command)))
    return new UsageError(`-${command} cannot be used in a load file; it takes ${loadable()}`);
  if (table !== 'conntrack') return new UsageError(`a load file works on table conntrack only, not on ${table}`);
  if (values.netns !== undefined)
    return new UsageError('--netns cannot be used in a load file: all of it goes to one network namespace', {
      hint: 'give it after the file name: conntrack -R FILE --netns NAME',
    });
  return undefined;
}

/** The options that `-R` takes after the file name: our own, and the label file. Other words there are ignored, as by the reference. */
function loadOptions(words: readonly string[]): OptionValues {
  const names = new OptionNames<Named>();
  addOptions(
    names,
    Object.fromEntries(
      Object.entries<OptionRow>(OPTIONS).filter(
        ([key, row]) => (row.isNew || key === 'labelMap') && needOf(row, 'R', 'conntrack'),
      ),
    ),
  );
  const reader = new OptionReader<Named>(words, names);
  const draft = newDraft({ readProtocols: () => '' });
  for (let token = reader.next(); token; token = reader.next()) {
    if (token.kind === 'missing') throw mistake(token, reader, undefined);
    if (token.kind === 'option' && 'row' in token.option)
      takeOption(token.option.key, token.option.row, token.option.name, token.value, draft);
  }
  checkNamespace(draft, commandRow('R'), 'conntrack');
  return draft.values;
}

type Named = { readonly command: CommandRow } | { readonly key: string; readonly row: OptionRow; readonly name: string };
type Chosen = { readonly command: CommandRow; readonly spelled: string; readonly table: Table; readonly topic?: string };

/** `undefined`: neither a command nor an option. */
function parseWords(
  words: readonly string[],
  env: ParseEnvironment,
  valuePositions?: Map<number, OptionValue>,
): Invocation | undefined {
  const reader = new OptionReader<Named>(words, namesFor(undefined, undefined));
  try {
    return readWords(reader, env, valuePositions);
  } catch (error) {
    if (error instanceof UsageError) error.word ??= reader.position;
    throw error;
  }
}

function readWords(
  reader: OptionReader<Named>,
  env: ParseEnvironment,
  valuePositions: Map<number, OptionValue> | undefined,
): Invocation | undefined {
  const draft = newDraft(env);
  const operands: string[] = [];
  let chosen: Chosen | undefined;
  let { tracker } = draft;
  let command: CommandRow | undefined;
  for (let token = reader.next(); token; token = reader.next()) {
    if (token.kind === 'operand') {
      operands.push(token.word); // left-over words are ignored: docs/behaviour.md 1.3
      continue;
    }
    if (token.kind !== 'option') throw mistake(token, reader, chosen);
    if ('command' in token.option) chosen = choose(token.option.command, token.spelled, token.value, token.glued, chosen);
    else {
      takeOption(token.option.key, token.option.row, token.option.name, token.value, draft);
      if (token.value !== undefined && !token.glued) valuePositions?.set(reader.position - 1, token.option);
    }
    if (draft.tracker !== tracker || chosen?.command !== command) {
      tracker = draft.tracker;
      command = chosen?.command;
      reader.use(namesFor(tracker, command?.letter));
    }
  }
  if (!chosen && draft.given.size === 0) return undefined;
  return finish(draft, chosen, env, operands);
}

/** The state of parsing before the first word. */
export function newDraft(env: ParseEnvironment): Draft {
  const warnings: string[] = [];
  return {
    values: {},
    given: new Map(),
    masks: {},
    warnings,
    loading: env.loading ?? false,
    warn: (warning) => warnings.push(warning),
    readProtocols: () => env.readProtocols(),
  };
}

/** Names by the protocol and command that bring some. Constant, but made when first needed: a load file has many lines. */
const NAMES = new Map<string, OptionNames<Named>>();

function namesFor(tracker: Protocol | undefined, command: CommandLetter | undefined): OptionNames<Named> {
  const behind = command !== undefined && LETTERS_WITH_OPTIONS.has(command) ? command : undefined;
  const key = `${behind ?? ''} ${tracker?.name ?? ''}`;
  let names = NAMES.get(key);
  if (!names) {
    if (tracker) {
      names = new OptionNames(namesFor(undefined, behind));
      addOptions(names, protocolOptions(tracker));
    } else if (behind) {
      names = new OptionNames(namesFor(undefined, undefined));
      addOptions(names, rowsBehind(behind));
    } else {
      names = new OptionNames();
      for (const row of COMMANDS) if (row.target !== 'file') addCommand(names, row);
      addOptions(names, rowsBehind(undefined));
    }
    NAMES.set(key, names);
  }
  return names;
}

function rowsBehind(letter: CommandLetter | undefined): OptionRows {
  return Object.fromEntries(Object.entries<OptionRow>(OPTIONS).filter(([, row]) => row.behind === letter));
}

const LETTERS_WITH_OPTIONS: ReadonlySet<CommandLetter> = new Set(
  Object.values<OptionRow>(OPTIONS).flatMap((row) => (row.behind ? [row.behind] : [])),
);

function addCommand(names: OptionNames<Named>, command: CommandRow): void {
  const named = { command };
  names.addShort(command.letter, command.short, named);
  for (const name of command.names) names.addLong(name, command.long, named);
}

function addOptions(names: OptionNames<Named>, rows: OptionRows): void {
  for (const [key, row] of Object.entries(rows)) {
    const named = { key, row, name: optionName(row) };
    if (row.short !== undefined) names.addShort(row.short, row.arg, named);
    for (const name of row.names) names.addLong(name, row.arg, named, row.isNew);
  }
}

function takeOption(key: string, row: OptionRow, name: string, value: string | undefined, draft: Draft): void {
  if (row.arg === 'required') row.read(draft, name, value!);
  else if (row.arg === 'optional') row.read(draft, name, value);
  else row.read(draft, name);
  draft.given.set(key, name);
}

/** A command and the table word that may follow it (docs/behaviour.md 1.2). */
function choose(
  command: CommandRow,
  spelled: string,
  word: string | undefined,
  glued: boolean,
  before: Chosen | undefined,
): Chosen {
  if (before) {
    const twice = before.command === command;
    throw new UsageError(
      twice ? `${commandName(command)} is given twice` : `only one command at a time: ${before.spelled} and ${spelled} are two`,
      { hint: before.command.letter === 'h' ? `conntrack --help ${command.names[0]}` : undefined },
    );
  }
  if (word === undefined) return { command, spelled, table: 'conntrack' };
  if (word === '' && glued) throw new UsageError(`${spelled}: the table name is empty`);
  const table = tableOf(word);
  if (!table) {
    const topic = command.letter === 'h' ? helpTopic(word) : undefined;
    if (topic !== undefined) return { command, spelled, table: 'conntrack', topic };
    throw unknownTable(word, command);
  }
  if (!command.tables.includes(table))
    throw new UsageError(`${commandName(command)} does not work on table ${table}, only on ${command.tables.join(' and ')}`);
  return command.letter === 'h' && table === 'expect'
    ? { command, spelled, table, topic: 'expect' }
    : { command, spelled, table };
}

const TABLES: readonly Table[] = ['expect', 'conntrack', 'dying', 'unconfirmed'];

/** Any abbreviation is accepted, even the empty one; it means the first of these tables that it fits. */
function tableOf(word: string): Table | undefined {
  return TABLES.find((table) => table.startsWith(word));
}

function unknownTable(word: string, command: CommandRow): UsageError {
  if (command.letter === 'h') {
    const near = didYouMean(word, helpTopics());
    return new UsageError(
      `no help on ${quoted(word)}${near || '; name a command (such as update), a protocol (such as tcp), expect or filter'}`,
    );
  }
  const suggestion = didYouMean(word, TABLES) || `; the tables are ${command.tables.join(', ')}`;
  const error = new UsageError(`${commandName(command)}: unknown table ${quoted(word)}${suggestion}`);
  error.perhapsFilter = { command: command.letter, text: word };
  return error;
}

/** Steps 2 to 5 of docs/behaviour.md 1.5, and the result. */
function finish(draft: Draft, chosen: Chosen | undefined, env: ParseEnvironment, operands: readonly string[] = []): Invocation {
  const { values, warnings } = draft;
  const { labels, labelAdd, labelDel } = values;
  const named = labels || labelAdd || labelDel ? [...new Set([...(labels ?? []), ...(labelAdd ?? []), ...(labelDel ?? [])])] : [];
  const labelBits = named.length > 0 ? env.resolveLabels?.(named, values.labelMap) : undefined;
  if (!chosen) {
    const [option] = draft.given.values();
    throw new UsageError(`${option} needs a command, such as -L (--dump) or -E (--event)`, { hint: 'see conntrack --help' });
  }
  const { command, table } = chosen;
  checkLegality(draft, command, table);
  if (values.filters) checkBehindFilter(values.filters, operands, command.letter, warnings);
  settleMasks(draft, table);
  const topic = command.letter === 'h' ? (draft.protocolName ?? chosen.topic) : undefined;
  return {
    command: command.letter,
    table,
    values,
    ...(topic === undefined ? {} : { topic }),
    ...(labelBits ? { labelBits } : {}),
    ...(values.filters && env.readFilters ? { textFilter: env.readFilters(values.filters, values.labelMap) } : {}),
    ...(operands.length > 0 && !draft.loading ? { operands } : {}),
    warnings,
  };
}

/**
 * Words behind `--filter tcp and dport 22` that lost their quotes: they would have narrowed it. No line with a filter is one of the
 * reference, which ignores such words, so they are refused where that changes more; in a load file, what follows a # is a comment.
 */
function checkBehindFilter(
  filters: readonly FilterText[],
  operands: readonly string[],
  letter: string,
  warnings: string[],
): void {
  const comment = operands.findIndex((word) => word.startsWith('#'));
  const words = (comment < 0 ? operands : operands.slice(0, comment)).join(' ');
  if (words === '') return;
  const last = filters.at(-1)!;
  const problem = `${quoted(words)} belongs to no option and selects nothing`;
  const hint = `the whole expression stands in quotes${'text' in last ? `: --filter ${quoted(`${last.text} ${words}`)}` : ''}`;
  if (letter === 'D' || letter === 'U') throw new UsageError(problem, { hint });
  warnings.push(`${problem}: ${hint}`);
}

/** Entries: the mask belongs to its address. Expectations: the mask is a separate value, wherever it came from. */
function settleMasks({ values, masks }: Draft, table: Table): void {
  if (masks.src) {
    if (table !== 'expect' && values.src) values.src = { ...values.src, mask: masks.src };
    else values.maskSrc = masks.src;
  }
  if (masks.dst) {
    if (table !== 'expect' && values.dst) values.dst = { ...values.dst, mask: masks.dst };
    else values.maskDst = masks.dst;
  }
}

/** The error for a word that is not an option, or an incomplete one. */
function mistake(
  token: Exclude<ReadOption<Named>, { kind: 'option' | 'operand' }>,
  reader: OptionReader<Named>,
  chosen: Chosen | undefined,
): UsageError {
  const hint = chosen ? `see conntrack --help ${chosen.command.names[0]}` : 'see conntrack --help';
  switch (token.kind) {
    case 'missing':
      return new UsageError(`${nameOf(token.option)} needs a value`, { hint });
    case 'unwanted':
      return new UsageError(`${nameOf(token.option)} takes no value, got ${quoted(token.value)}`, { hint });
    case 'ambiguous':
      return new UsageError(
        `${token.spelled} could mean ${token.names.map((name) => `--${name}`).join(', ')}; write more of it`,
        { hint },
      );
    case 'unknown':
      return unknownOption(token.spelled, token.word, reader, hint);
  }
}

function nameOf(named: Named): string {
  return 'command' in named ? commandName(named.command) : optionName(named.row);
}

function unknownOption(spelled: string, word: string, reader: OptionReader<Named>, hint: string): UsageError {
  if (spelled === '-R' || spelled === '--load-file')
    return new UsageError(`${spelled} must be the first word, and the file name the second: conntrack -R FILE`);
  if (!spelled.startsWith('--')) {
    const within = word.length > 2 ? ` in ${quoted(word)}` : '';
    return new UsageError(`unknown option ${quoted(spelled)}${within}`, { hint });
  }
  const name = spelled.slice(2);
  const protocols = protocolsWithOption(name);
  if (protocols.length > 0) {
    return new UsageError(`${spelled} belongs to ${protocols.join(', ')}: give -p ${protocols[0]} before it`, { hint });
  }
  return new UsageError(`unknown option ${quoted(spelled)}${didYouMean(name, reader.longNames(), '--')}`, { hint });
}
