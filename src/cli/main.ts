// The command: words → invocation → exit status. The only file that touches `process`.

import { fstatSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type ConntrackError, NamespaceError } from '../errors.js';
import type { ByteWriter } from '../format/byte-writer.js';
import { safeJson } from '../safe-text.js';
import { endProcess } from '../wire/end-process.js';
import type { OpenTransport } from '../wire/transport.js';
import { WritableDescriptor } from '../wire/writable.js';
import { parseCommandLine } from './command-line.js';
import { commandRow } from './command-rows.js';
import { CLOSING_PREFIX, type Context, invocationContext, outputTo } from './context.js';
import { type CommandLetter, type Invocation, isJson } from './invocation.js';
import { LabelSource } from './labels.js';
import { explain } from './messages.js';
import { err, report, tell } from './report.js';
import { oneTable, type Tables } from './tables.js';
import { quoted, UsageError } from './usage-error.js';

type Command = (context: Context) => Promise<number>;

const STDOUT = 1;
const STDERR = 2;
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Each command's module is evaluated only when it runs. */
const COMMANDS: Readonly<Partial<Record<CommandLetter, () => Promise<Command>>>> = {
  L: async () => (await import('./commands/list.js')).list,
  G: async () => (await import('./commands/get.js')).get,
  D: async () => (await import('./commands/delete.js')).deleteEntries,
  I: async () => (await import('./commands/create.js')).create,
  A: async () => (await import('./commands/create.js')).create,
  U: async () => (await import('./commands/update.js')).update,
  E: async () => (await import('./commands/events.js')).events,
  F: async () => (await import('./commands/flush.js')).flush,
  R: async () => (await import('./commands/load.js')).load,
  C: async () => (await import('./commands/count.js')).count,
  S: async () => (await import('./commands/stats.js')).stats,
  V: async () => (await import('./commands/version.js')).version,
  h: async () => (await import('./commands/help.js')).help,
};

async function main(argv: readonly string[]): Promise<number> {
  let invocation: Invocation | undefined;
  const labelSource = new LabelSource((line) => warn(line, saysJson(argv, invocation)));
  try {
    invocation = parseCommandLine(argv, {
      readProtocols,
      resolveLabels: (names, path) => labelSource.resolve(names, path),
    });
    invocation = await withFilter(invocation, labelSource);
    for (const warning of invocation.warnings) warn(warning, isJson(invocation.values.output));
    return await run(invocation, labelSource);
  } catch (error) {
    const told = error instanceof UsageError ? await withHintOfFilter(error) : error;
    const explained = (known: ConntrackError) => (invocation ? explain(known, invocation) : known);
    return report(told, saysJson(argv, invocation), explained);
  }
}

/** Commands that change what a forgotten filter would have spared. */
const CHANGING = 'DU';
/** Commands that show more than was meant. */
const SHOWING = 'LGEC';

/** The command line with the meaning of its filters in text. The language of filters is loaded only where there is one. */
async function withFilter(invocation: Invocation, labelSource: LabelSource): Promise<Invocation> {
  const { values, operands, command, warnings } = invocation;
  const { filters } = values;
  const mayHaveForgotten = operands !== undefined && (CHANGING + SHOWING).includes(command);
  if (!filters && !values.explainFilter && !mayHaveForgotten) return invocation;
  const { filterReader, isFilter } = await import('./filter-text.js');
  const read = filters
    ? { ...invocation, textFilter: filterReader({ labelSource, readProtocols })(filters, values.labelMap) }
    : invocation;
  const words = operands?.join(' ') ?? '';
  // With a filter, command-line.ts has judged them. `-p tcp and dport 22` continues the options.
  const [, operator, rest] = /^(?:(and|&&|or|\|\|)\s+)?(.*)$/is.exec(words)!;
  if (!mayHaveForgotten || filters || !isFilter(rest!)) return read;
  const problem = `${quoted(words)} belongs to no option and selects nothing`;
  const either = operator !== undefined && /^(or|\|\|)$/i.test(operator);
  const hint = either ? "write the whole selection as one filter: --filter 'A or B'" : `write --filter ${quoted(rest!)}`;
  if (CHANGING.includes(command)) throw new UsageError(problem, { hint });
  return { ...read, warnings: [...warnings, `${problem}: ${hint}`] };
}

/** Says how to write a filter that stands where a table should. */
async function withHintOfFilter(error: UsageError): Promise<UsageError> {
  const { perhapsFilter, message, exitStatus } = error;
  if (!perhapsFilter || !(CHANGING + SHOWING).includes(perhapsFilter.command)) return error;
  const { isFilter } = await import('./filter-text.js');
  if (!isFilter(perhapsFilter.text)) return error;
  return new UsageError(message, { exitStatus, hint: `write --filter ${quoted(perhapsFilter.text)}` });
}

/** Whether messages are JSON, according to the command line; if that cannot be parsed, this guesses. */
function saysJson(argv: readonly string[], invocation: Invocation | undefined): boolean {
  if (invocation) return isJson(invocation.values.output);
  return argv.some((word, i) => {
    const list = /^(?:-o|--output=)(.+)$/.exec(word)?.[1] ?? (/^(?:-o|--output)$/.test(word) ? argv[i + 1] : undefined);
    return list?.split(',').some((item) => /^(?:nd)?json$/i.test(item)) ?? false;
  });
}

/** A line of text for standard error as a line of JSON. */
function lineJson(line: string): string {
  const hint = /^ +hint: (.*)$/.exec(line)?.[1];
  return safeJson(hint === undefined ? { warning: line.replace(/^conntrack: /, '') } : { hint });
}

function warn(line: string, json: boolean): void {
  err(json ? safeJson({ warning: line }) : `conntrack: ${line}`);
}

async function run(invocation: Invocation, labelSource: LabelSource): Promise<number> {
  const explained = invocation.values.explainFilter;
  const load = explained
    ? async () => (await import('./commands/explain-filter.js')).explainFilter
    : COMMANDS[invocation.command];
  if (!load) throw new UsageError(`-${invocation.command} is not available yet`);
  const command = await load();
  const out = outputTo(STDOUT);
  const tables = await tablesFor(invocation, out);
  const json = isJson(invocation.values.output);
  if (invocation.textFilter && !explained) await tellNotes(invocation, tables, json);
  const messages = (write: (line: string) => void) => ({
    err: json ? (line: string) => write(lineJson(line)) : write,
    close: json ? () => {} : (text: string) => write(CLOSING_PREFIX + text),
  });
  try {
    return await command({
      ...invocationContext(invocation, labelSource),
      conntrack: () => tables.only.conntrack(),
      tables,
      out,
      stdout: STDOUT,
      stderr: STDERR,
      isTerminal,
      onSignal: (callback) => {
        for (const signal of ENDING_SIGNALS) process.on(signal, callback);
        process.on('SIGPIPE', endByBrokenPipe);
      },
      ...messages(err),
      messages,
      now: Date.now,
      readProtocols,
    });
  } finally {
    tables.close();
  }
}

/** What may surprise about a filter in text. */
async function tellNotes(invocation: Invocation, tables: Tables, json: boolean): Promise<void> {
  const { filterUse } = await import('./commands/explain-filter.js');
  const { notesOf } = await import('../ctnetlink/filter/notes.js');
  const table = tables.several ? undefined : tables.only;
  for (const { test, message } of notesOf(invocation.textFilter!, filterUse(invocation, table)))
    warn(`note: ${test}: ${message}`, json);
}

/**
 * Node.js ignores SIGPIPE, which the kernel also sends for each write to a pipe that nobody reads: standard output reports that as an
 * error, and a watch outlives the reader of its messages. A SIGPIPE sent by somebody else ends the process, as it ends any other.
 */
function endByBrokenPipe(): void {
  if (new WritableDescriptor(STDERR).broken) return;
  process.off('SIGPIPE', endByBrokenPipe); // back to what the signal does by itself
  process.kill(process.pid, 'SIGPIPE');
}

async function tablesFor(invocation: Invocation, out: ByteWriter): Promise<Tables> {
  const { netns, output } = invocation.values;
  const json = isJson(output);
  if (commandRow(invocation.command).target === 'nothing') return oneTable();
  const transport = await debugTransport();
  if (netns === undefined) return oneTable(undefined, transport);
  const { tablesOf } = await import('./namespace-tables.js');
  return tablesOf(
    netns,
    {
      failed: (error, name) => {
        out.flush();
        const { message, hint } = explain(error, invocation);
        tell(error.code, { message: error instanceof NamespaceError ? message : `netns ${name}: ${message}`, hint }, json);
      },
      warning: (text) => warn(text, json),
    },
    transport,
  );
}

/** The transport that CONNTRACK_DEBUG requests, which shows every message. */
async function debugTransport(): Promise<OpenTransport | undefined> {
  if (process.env['CONNTRACK_DEBUG'] !== 'netlink') return undefined;
  const { traced } = await import('../library/index.js');
  return traced((line) => err(`conntrack: ${line}`));
}

/** Whether somebody reads standard error on a terminal. Loading node:tty takes milliseconds, and most descriptors are not devices. */
function isTerminal(): boolean {
  try {
    if (!fstatSync(STDERR).isCharacterDevice()) return false;
  } catch {
    return false; // closed
  }
  return createRequire(import.meta.url)('node:tty').isatty(STDERR);
}

/** The protocol database; '' where there is none. */
function readProtocols(): string {
  try {
    return readFileSync('/etc/protocols', 'utf8');
  } catch {
    return '';
  }
}

main(process.argv.slice(2)).then(endProcess);
