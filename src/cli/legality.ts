// Whether a command takes the options it was given, and has those it needs. The facts are in the option rows; this file has the order of
// the checks (docs/behaviour.md 1.5, 2) and the few rules that rows cannot express.

import type { Protocol } from '../ctnetlink/schema.js';
import { COMMANDS, type CommandRow, commandName } from './command-rows.js';
import { type CommandLetter, isJson, type Table } from './invocation.js';
import { type Draft, type Need, OPTIONS, type OptionRow, type OptionRows, optionName } from './options.js';
import { protocolOptions } from './protocol-options.js';
import { namesOneFlow } from './tuples.js';
import { UsageError } from './usage-error.js';

/** Whether a command on a table needs or allows an option; `undefined` if it refuses it. */
export function needOf(row: OptionRow, letter: CommandLetter, table: Table): Need | undefined {
  if (row.everywhere) return 'may';
  return (table === 'expect' ? row.expect : row.conntrack)?.[letter];
}

/** The commands that take an option, for messages: `-D, -I, -A, -U, and -I on table expect`. */
function takers(row: OptionRow): string {
  const letters = (table: Table) =>
    COMMANDS.filter((command) => needOf(row, command.letter, table) && command.tables.includes(table))
      .map((command) => `-${command.letter}`)
      .join(', ');
  const own = letters('conntrack');
  const expect = letters('expect');
  return [own, expect && `${expect} on table expect`].filter(Boolean).join(', and ');
}

/** Checks a finished draft. @throws UsageError for the first mistake, in the reference tool's order. */
export function checkLegality(draft: Draft, command: CommandRow, table: Table): void {
  if (draft.values.anyNat && (draft.values.srcNat || draft.values.dstNat))
    throw new UsageError('--any-nat already covers --src-nat and --dst-nat; give it alone or give those two');
  if (!isPlainlyLegal(draft, planFor(command, table, draft.tracker))) {
    checkRows(draft, OPTIONS, undefined, command, table);
    if (draft.tracker) checkRows(draft, protocolOptions(draft.tracker), draft.tracker, command, table);
  }
  checkLate(draft, command, table);
  checkNamespace(draft, command, table);
}

/** The word for every network namespace. */
export const ALL_NAMESPACES = 'all';
/** `--netns all` is only for commands that read or select. @throws UsageError */
export function checkNamespace({ values, given }: Draft, command: CommandRow, table: Table): void {
  if (values.netns !== ALL_NAMESPACES) return;
  if (command.oneNamespace?.includes(table))
    throw new UsageError(
      `${where(command, table)} works in one network namespace at a time, so it does not take --netns ${ALL_NAMESPACES}`,
    );
  if (values.output?.save)
    throw new UsageError('-o save does not say which network namespace a line belongs to; give --netns a single one');
  const { empties } = command;
  const everything = empties === 'always' || (empties === 'unfiltered' && ![...given.keys()].some(selectsEntries));
  if (everything && values.max === undefined && !values.dryRun)
    throw new UsageError(`${commandName(command)} with --netns all would empty the tables of every namespace and container`, {
      hint: 'look with --dry-run first, then allow a number of entries with --max NUMBER',
    });
}

/** Whether an option selects entries; options of protocols do. */
function selectsEntries(key: string): boolean {
  const group = (OPTIONS as OptionRows)[key]?.group;
  return group === undefined || !['output', 'safety', 'namespace', 'old'].includes(group);
}

/** What the rows say about a command, for a quick yes. If it is no, the rows themselves find the first mistake. */
interface Plan {
  readonly taken: ReadonlySet<string>;
  readonly musts: readonly string[];
  /** Groups of four rows, of which either the first two or the last two must be given. */
  readonly pairs: readonly (readonly string[])[];
}

/** Constant, but made when first needed: a load file has many lines. */
const PLANS = new Map<string, Plan>();

function planFor(command: CommandRow, table: Table, tracker: Protocol | undefined): Plan {
  const key = `${command.letter} ${table} ${tracker?.name ?? ''}`;
  let plan = PLANS.get(key);
  if (!plan) {
    const groups = tracker ? [OPTIONS, protocolOptions(tracker)] : [OPTIONS];
    const having = (rows: OptionRows, need: Need) =>
      Object.keys(rows).filter((row) => needOf(rows[row]!, command.letter, table) === need);
    plan = {
      taken: new Set(groups.flatMap((rows) => (['may', 'must', 'pair'] as const).flatMap((need) => having(rows, need)))),
      musts: groups.flatMap((rows) => having(rows, 'must')),
      pairs: groups.map((rows) => having(rows, 'pair')).filter((keys) => keys.length > 0),
    };
    PLANS.set(key, plan);
  }
  return plan;
}

function isPlainlyLegal({ given }: Draft, { taken, musts, pairs }: Plan): boolean {
  for (const key of given.keys()) if (!taken.has(key)) return false;
  for (const key of musts) if (!given.has(key)) return false;
  for (const [a, b, c, d] of pairs) if (!((given.has(a!) && given.has(b!)) || (given.has(c!) && given.has(d!)))) return false;
  return true;
}

/** `tracker` is the protocol that brings the rows, if one does. */
function checkRows(draft: Draft, rows: OptionRows, tracker: Protocol | undefined, command: CommandRow, table: Table): void {
  const pairs: [string, OptionRow][] = [];
  for (const [key, row] of Object.entries(rows)) {
    const need = needOf(row, command.letter, table);
    const given = draft.given.get(key);
    if (need === undefined && given !== undefined) throw refused(row, given, command, table);
    if (need === 'must' && given === undefined) throw missing(optionName(row), tracker, command, table);
    if (need === 'pair') pairs.push([key, row]);
  }
  if (pairs.length === 0) return;
  // Of the four rows, either the first two or the last two must be given.
  const has = pairs.map(([key]) => draft.given.has(key));
  if ((has[0] && has[1]) || (has[2] && has[3])) return;
  const names = pairs.map(([, row]) => `--${row.names[0]}`);
  const original = `${names[0]} and ${names[1]}`;
  const reply = `${names[2]} and ${names[3]}`;
  const onlyReply = !has[0] && !has[1] && (has[2] || has[3]);
  throw missing(
    onlyReply ? `both ${reply} (or else ${original})` : `both ${original} (or else ${reply})`,
    tracker,
    command,
    table,
  );
}

/**
 * What rows cannot express: combinations that the C tool refuses only while running, or runs although it should not (docs/differences.md
 * B1, B32).
 */
function checkLate(draft: Draft, command: CommandRow, table: Table): void {
  const { values, given } = draft;
  if (values.output && !isJson(values.output) && command.onlyJson?.includes(table))
    throw new UsageError(`${where(command, table)} takes no other output mode than json and ndjson`, { hint: hint(command) });
  if (table === 'expect') return;
  if (values.output?.full && !values.output.save) throw new UsageError('-o full needs -o save: write -o save,full');
  if (values.zero && table === 'conntrack') {
    const filter = UNZEROED.find((key) => given.has(key));
    if (filter)
      throw new UsageError(
        `-z (--zero) resets every entry, so it cannot be combined with ${optionName(OPTIONS[filter])}; list without -z`,
      );
  }
  if (command.target === 'filter') {
    if (draft.masks.src && !values.src) throw new UsageError('--mask-src needs the address it is for: give --src');
    if (draft.masks.dst && !values.dst) throw new UsageError('--mask-dst needs the address it is for: give --dst');
  }
  // If a loaded line deletes a flow by both tuples, its status does not count: docs/differences.md B53.
  const named = draft.loading && command.empties === 'unfiltered' && namesOneFlow(values);
  if (
    command.target === 'filter' &&
    !command.sets &&
    !named &&
    values.status &&
    values.status.set === 0 &&
    values.status.clear === 0
  )
    throw new UsageError(
      `-u (--status) selects nothing here, so ${commandName(command)} would take every entry; name a bit that is set, or '!BIT' for one that is not`,
    );
  if (command.creates && draft.tracker) checkDirections(draft, draft.tracker, command);
}

/** Filters that `-L -z` refuses, because the kernel resets whatever it lists before a filter sees it (docs/behaviour.md 4.2, 4.4). */
const UNZEROED = [
  'src',
  'dst',
  'replySrc',
  'replyDst',
  'protonum',
  'status',
  'mark',
  'secmark',
  'zone',
  'labels',
  'origZone',
  'replyZone',
  'filter',
  'filterFile',
] as const satisfies readonly (keyof typeof OPTIONS)[];

/** Addresses of one direction need its ports: the other direction is derived from both (docs/differences.md B32). */
function checkDirections({ given }: Draft, protocol: Protocol, command: CommandRow): void {
  if (protocol.tuple !== 'ports' && protocol.tuple !== 'keys') return;
  const rows = protocolOptions(protocol);
  const name = (key: string) => `--${rows[key]!.names[0]}`;
  const both = (a: string, b: string) => given.has(a) && given.has(b);
  const original = given.has('src') || given.has('dst');
  const reply = given.has('replySrc') || given.has('replyDst');
  if (!reply && !both('sport', 'dport'))
    throw new UsageError(`${commandName(command)} with --src and --dst needs ${name('sport')} and ${name('dport')}`);
  if (!original && !both('replySport', 'replyDport'))
    throw new UsageError(
      `${commandName(command)} with --reply-src and --reply-dst needs ${name('replySport')} and ${name('replyDport')}`,
    );
}

function where(command: CommandRow, table: Table): string {
  return table === 'conntrack' ? commandName(command) : `${commandName(command)} on table ${table}`;
}

function hint(command: CommandRow): string {
  return command.letter === 'h' ? 'see conntrack --help' : `see conntrack --help ${command.names[0]}`;
}

function missing(what: string, tracker: Protocol | undefined, command: CommandRow, table: Table): UsageError {
  const because = tracker ? ` for protocol ${tracker.name}` : '';
  return new UsageError(`${where(command, table)} needs ${what}${because}`, { hint: hint(command) });
}

/** `given` is what the user typed: the option, or a prefix that counts as one. */
function refused(row: OptionRow, given: string, command: CommandRow, table: Table): UsageError {
  const name = optionName(row);
  const counts = given === name ? '' : ` (${given} counts as it)`;
  return new UsageError(`${where(command, table)} does not take ${name}${counts}; it goes with ${takers(row)}`, {
    hint: hint(command),
  });
}
