// `-R`: the commands of a file. All lines are checked before the first one is run. What they create is kept encoded, up to a
// limit; beyond it lines are read a second time. So a file of any size takes bounded memory. Behaviour: docs/behaviour.md 4.13.

import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import type { FlowSpec } from '../../ctnetlink/flow-spec.js';
import { IPS_EXPECTED } from '../../ctnetlink/uapi/nf-conntrack-common.js';
import { ConntrackError, KernelError, PlatformError } from '../../errors.js';
import { ByteWriter } from '../../format/byte-writer.js';
import { type EncodedFlows, FlowEncoder } from '../../library/load/encoded-flows.js';
import { WaitingFlows } from '../../library/load/waiting-flows.js';
import { noLabelRoom } from '../../library/table.js';
import { unloadable } from '../command-line.js';
import { commandRow } from '../command-rows.js';
import { type Context, invocationContext } from '../context.js';
import { fileReason } from '../file-reason.js';
import { flowChange } from '../flow-spec.js';
import type { Invocation, OptionValues } from '../invocation.js';
import { LineReader, spool } from '../load-lines.js';
import { LoadRequests } from '../load-requests.js';
import { splitLoadLine } from '../load-words.js';
import { explain, failureLines } from '../messages.js';
import { writeAll } from '../output.js';
import { grouped, Progress } from '../progress.js';
import { notThisSsh } from '../ssh.js';
import { namesOneFlow } from '../tuples.js';
import { quoted, UsageError } from '../usage-error.js';
import { deleteEntries } from './delete.js';
import { flush } from './flush.js';
import { update } from './update.js';

/** Encoded requests kept in memory between check and run; the lines beyond are read again. */
const KEPT_BYTES = 20 * 1024 * 1024;
/** What a kept line that does not create takes, roughly. */
const INVOCATION_BYTES = 1024;
/** Failures told one by one; more are counted. */
const FAILURES_TOLD = 10;

/** Lines that create, sent together, or one line that does something else. */
type Step = { readonly flows: EncodedFlows; readonly line: number } | { readonly invocation: Invocation; readonly line: number };

/** @returns 0 when every line was run and none was refused, else 1 */
export async function load(context: Context): Promise<number> {
  const { file = '-', values } = context.invocation;
  if (values.protectSsh) notThisSsh(); // refuses without a session, before anything is done
  const json = values.format === 'ndjson' ? await import('../load-json.js') : undefined;
  const source: Source = {
    name: file === '-' ? 'standard input' : file,
    fd: open(file),
    parseJson: json?.parseJsonLine,
  };
  const progress = new Progress(context);
  try {
    const plan = check(context, source, progress);
    if (values.max !== undefined && plan.creates > values.max)
      throw new UsageError(
        `${source.name} creates ${plan.creates} flow entries, but --max allows ${values.max}; nothing was changed`,
        {
          exitStatus: 1,
        },
      );
    const runner = new Runner(besides(progress, context), source.name);
    for (const step of stepsAfter(context, source, plan)) {
      if (!(await runner.run(step))) break;
      progress.show(() => `conntrack: ${source.name}: ${grouped(runner.line)} of ${grouped(plan.lines)} lines`);
    }
    return await runner.report();
  } finally {
    progress.end();
    closeSync(source.fd);
  }
}

/** A context in which whatever is written takes the line of progress away first. */
function besides(progress: Progress, context: Context): Context {
  return {
    ...context,
    out: new ByteWriter((bytes, length) => {
      progress.end();
      writeAll(context.stdout, bytes, length);
    }),
    err: (line) => {
      progress.end();
      context.err(line);
    },
  };
}

interface Source {
  /** For messages. */
  readonly name: string;
  readonly fd: number;
  /** The flow of a line, where lines are JSON. */
  readonly parseJson: ((line: string) => FlowSpec | undefined) | undefined;
}

/** A descriptor that can be read from its start more than once. */
function open(file: string): number {
  try {
    if (file === '-' && standardInputIsClosed())
      throw new UsageError('cannot read standard input: it is closed, or /dev/null opened for writing');
    const fd = file === '-' ? 0 : openSync(file, 'r');
    if (fd !== 0 && fstatSync(fd).isFile()) return fd;
    try {
      return spool(fd);
    } finally {
      if (fd !== 0) closeSync(fd);
    }
  } catch (error) {
    if (error instanceof ConntrackError) throw error;
    throw new UsageError(`cannot read ${quoted(file)}: ${fileReason(error)}`);
  }
}

/**
 * Whether descriptor 0 was closed when the process began: Node.js puts /dev/null in the place of such a one, open for writing too, as
 * nobody opens what is to be read. Without /proc nobody can tell.
 */
function standardInputIsClosed(): boolean {
  try {
    if (readlinkSync('/proc/self/fd/0') !== '/dev/null') return false;
    const flags = /^flags:\s+(\d+)$/m.exec(readFileSync('/proc/self/fdinfo/0', 'latin1'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & constants.O_RDWR) !== 0;
  } catch {
    return false;
  }
}

/** A file of which every line is known to be correct. */
interface Checked {
  readonly kept: readonly Step[];
  /** Flows that it creates. */
  readonly creates: number;
  /** Number of its last line that does something. */
  readonly lines: number;
  /** The first line that is not among the kept ones, if they are not all. */
  readonly readAgainFrom: number | undefined;
}

/** Reads and checks every line; keeps what fits. */
function check(context: Context, source: Source, progress: Progress): Checked {
  const kept: Step[] = [];
  let last = 0;
  let bytes = 0;
  let creates = 0;
  let readAgainFrom: number | undefined;
  let forbidden: UsageError | undefined;
  const steps = stepsOf(context, source, 1, (error) => {
    forbidden ??= error;
  });
  for (const step of steps) {
    last = lastLineOf(step);
    progress.show(() => `conntrack: ${source.name}: ${grouped(last)} lines checked`);
    if ('flows' in step) creates += step.flows.count;
    if (bytes >= KEPT_BYTES) readAgainFrom ??= step.line;
    else {
      kept.push(step);
      bytes += 'flows' in step ? step.flows.length : INVOCATION_BYTES;
    }
  }
  // Only once every line is known to be well-formed.
  if (forbidden) throw forbidden;
  return { kept, creates, lines: last, readAgainFrom };
}

/** What is to be run: the kept steps, then those that are read again. */
function* stepsAfter(context: Context, source: Source, { kept, readAgainFrom }: Checked): Generator<Step> {
  yield* kept;
  if (readAgainFrom !== undefined) yield* stepsOf(context, source, readAgainFrom);
}

function lastLineOf(step: Step): number {
  return 'flows' in step ? step.flows.tag(step.flows.count - 1) : step.line;
}

/** The steps of the lines from `first` on. `forbidden` takes commands that a file may not hold; else they are thrown. */
function* stepsOf(context: Context, source: Source, first: number, forbidden?: (error: UsageError) => void): Generator<Step> {
  const requests = new LoadRequests({
    readProtocols: context.readProtocols,
    resolveLabels: (names) => context.labelSource.resolve(names, context.invocation.values.labelMap),
  });
  const encoder = new FlowEncoder();
  const lines = new LineReader(source.fd);
  let flows: EncodedFlows | undefined;
  while (lines.next()) {
    const line = lines.number;
    if (line < first) continue;
    let request = requests.find(lines.bytes, lines.start, lines.end);
    let invocation: Invocation | undefined;
    if (!request) {
      const text = lines.text();
      if (source.parseJson) request = within(source, text, line, () => jsonRequest(source, requests, text));
      else invocation = parseLine(requests, source, text, line, forbidden);
      if (invocation && commandRow(invocation.command).creates)
        request = within(source, text, line, () => requests.encodeLine(invocation!));
      else if (invocation?.command === 'U')
        within(source, text, line, () => flowChange(invocation!.values, invocation!.labelBits));
    }
    if (!request && !invocation) continue;
    if (flows && (!request || !flows.addRequest(request, line))) {
      yield sealed(flows);
      flows = undefined;
    }
    if (!request) {
      yield { invocation: invocation!, line };
      continue;
    }
    if (!flows) {
      flows = encoder.begin();
      flows.addRequest(request, line);
    }
    if (!flows.full) continue;
    yield sealed(flows);
    flows = undefined;
  }
  if (flows) yield sealed(flows);
}

function sealed(flows: EncodedFlows): Step {
  flows.seal();
  return { flows, line: flows.tag(0) };
}

function jsonRequest({ parseJson }: Source, requests: LoadRequests, text: string): Uint8Array | undefined {
  const flow = parseJson!(text);
  return flow && requests.encode(flow);
}

/** A command, or `undefined` for a line without one. @throws UsageError that names file, line and column */
function parseLine(
  requests: LoadRequests,
  source: Source,
  text: string,
  line: number,
  forbidden: ((error: UsageError) => void) | undefined,
): Invocation | undefined {
  const invocation = within(source, text, line, () => requests.parse(text));
  const problem = invocation && unloadable(invocation);
  if (!problem) return invocation;
  const told = placed(source, text, line, problem);
  if (!forbidden) throw told;
  forbidden(told);
  return undefined;
}

/** @throws UsageError that names file, line and column, for one of `work` */
function within<T>(source: Source, text: string, line: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw placed(source, text, line, error);
  }
}

/** The error with file, line and column. */
function placed(source: Source, text: string, line: number, error: UsageError): UsageError {
  const column = error.column ?? (source.parseJson ? 1 : columnOf(text, error.word));
  const { exitStatus, hint } = error;
  return new UsageError(`${source.name}:${line}:${column}: ${error.message}`, { exitStatus, hint });
}

/** Where word number `word` begins, counted from 1; the last word when there are fewer. */
function columnOf(text: string, word = 1): number {
  try {
    const { columns } = splitLoadLine(text);
    return columns[word - 1] ?? columns.at(-1) ?? 1;
  } catch {
    return 1; // the line cannot even be split: that is the error
  }
}

/**
 * What a line that updates or deletes means, when it may be a saved event: `-D -t 117 -u ASSURED` with both tuples tells what the flow was
 * like at its end, which does not name it (docs/differences.md B53); EXPECTED is the kernel's to set (docs/differences.md B27).
 */
function replayable({ command, values }: Invocation): OptionValues {
  if (command === 'D' && namesOneFlow(values)) {
    const { timeout, status, ...rest } = values;
    return rest;
  }
  if (command === 'U' && values.status)
    return { ...values, status: { ...values.status, set: values.status.set & ~IPS_EXPECTED } };
  return values;
}

const NO_MASTER = new UsageError('its master flow is not in the table', { exitStatus: 1 });

/** Runs steps and keeps account. */
class Runner {
  readonly #context: Context;
  readonly #name: string;
  readonly #failures: {
    readonly line: number;
    readonly invocation: Pick<Invocation, 'command' | 'table'>;
    readonly error: ConntrackError;
  }[] = [];
  readonly #waiting = new WaitingFlows();
  /** Lines of flows that lack their labels. */
  readonly #unlabelled: number[] = [];
  #created = 0;
  /** Lines that did something else. */
  #ran = 0;
  #partly = 0;
  #lastLine = 0;

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
  }

  /** Number of the last line that was run. */
  get line(): number {
    return this.#lastLine;
  }

  /** @returns whether the next step shall be run */
  async run(step: Step): Promise<boolean> {
    this.#lastLine = lastLineOf(step);
    if ('flows' in step) await this.#createOrTell(step.flows);
    else await this.#runLine(step.invocation, step.line);
    return this.#failures.length === 0;
  }

  /** Tells what failed and what was not run. @returns the exit status */
  async report(): Promise<number> {
    const { err, out } = this.#context;
    // Without any there may be no table: a dry run opens none.
    if (this.#failures.length === 0 && this.#waiting.count > 0)
      this.#created += await this.#waiting.create(this.#context.conntrack(), {
        failed: (line, error) => this.#fail(line, error ?? NO_MASTER, 'A'),
        unlabelled: (line) => this.#unlabelled.push(line),
      });
    out.flush();
    const { dryRun } = this.#context.invocation.values;
    if (dryRun) err(`conntrack: ${this.#name}: every line is correct; ${this.#created} flow entries would be created`);
    if (this.#partly > 0)
      err(`conntrack: ${this.#name}: ${this.#partly} flow entries were there already and kept what only new ones can be given`);
    this.#tellUnlabelled();
    if (this.#failures.length === 0 && !dryRun) this.#summarize();
    if (this.#failures.length === 0) return this.#unlabelled.length > 0 ? 1 : 0;
    for (const { line, invocation, error } of this.#failures.slice(0, FAILURES_TOLD)) {
      const { message, hint } = explain(error, invocation);
      for (const text of failureLines(`${this.#name}:${line}: ${message}`, hint)) err(text);
    }
    const more = this.#failures.length - FAILURES_TOLD;
    err(
      `conntrack: ${this.#name}: stopped after line ${this.#lastLine}: ${this.#created} flow entries created, ` +
        `${this.#failures.length} lines failed${more > 0 ? ` (${more} of them not shown)` : ''}; later lines were not run`,
    );
    return 1;
  }

  /** What was done, for somebody at a terminal: scripts get nothing, as from the C tool. */
  #summarize(): void {
    const { err, isTerminal } = this.#context;
    if (!isTerminal()) return;
    const others = this.#ran === 0 ? '' : `, ${grouped(this.#ran)} other lines run`;
    err(`conntrack: ${this.#name}: ${grouped(this.#created)} flow entries created or updated${others}`);
  }

  /** Flows that lack their labels are no reason to stop: the others of a saved table shall be there. */
  #tellUnlabelled(): void {
    const { err } = this.#context;
    const lines = this.#unlabelled.sort((a, b) => a - b);
    if (lines.length === 0) return;
    const { message, hint } = explain(noLabelRoom(), { command: 'A', table: 'conntrack' });
    for (const line of lines.slice(0, FAILURES_TOLD)) err(`conntrack: ${this.#name}:${line}: ${message}`);
    const more = lines.length - FAILURES_TOLD;
    for (const text of failureLines(
      `${this.#name}: ${lines.length} flow entries lack their labels${more > 0 ? ` (${more} of them not shown)` : ''}`,
      hint,
    ))
      err(text);
  }

  /** As `#create`. When it is not known what became of a batch, says what is known. */
  async #createOrTell(flows: EncodedFlows): Promise<void> {
    try {
      await this.#create(flows);
    } catch (error) {
      if (error instanceof ConntrackError && !(error instanceof KernelError) && !(error instanceof PlatformError))
        this.#context.err(
          `conntrack: ${this.#name}: ${this.#created} flow entries created before line ${flows.tag(0)}; ` +
            `lines ${flows.tag(0)} to ${this.#lastLine} may have been run, later ones were not:`,
        );
      throw error;
    }
  }

  /** Lines that create are sent together: when one fails, those behind it in the same batch have been run too. */
  async #create(flows: EncodedFlows): Promise<void> {
    const before = this.#failures.length;
    const waiting = this.#waiting.count;
    if (!this.#context.invocation.values.dryRun)
      this.#partly += await this.#context.conntrack().createEncoded(
        flows,
        (index, error) => {
          if (this.#waiting.keep(flows, index, error)) return;
          this.#fail(flows.tag(index), error, flows.mayExist(index) ? 'A' : 'I');
        },
        (index) => this.#unlabelled.push(flows.tag(index)),
      );
    this.#created += flows.count - (this.#failures.length - before) - (this.#waiting.count - waiting);
  }

  #fail(line: number, error: ConntrackError, command: 'A' | 'I'): void {
    this.#failures.push({ line, invocation: { command, table: 'conntrack' }, error });
  }

  async #runLine(invocation: Invocation, line: number): Promise<void> {
    const { dryRun, max, protectSsh, labelMap } = this.#context.invocation.values;
    const values: OptionValues = {
      ...(max === undefined ? {} : { max }),
      ...replayable(invocation),
      okIfNone: true, // a line that matches nothing is no failure
      ...(dryRun ? { dryRun } : {}),
      ...(labelMap === undefined ? {} : { labelMap }),
      ...(protectSsh ? { protectSsh } : {}),
    };
    const context: Context = {
      ...this.#context,
      ...invocationContext({ ...invocation, values }, this.#context.labelSource),
      close: () => {},
    };
    const command = { D: deleteEntries, U: update, F: flush }[invocation.command as 'D' | 'U' | 'F'];
    try {
      const status = await command(context);
      this.#ran++;
      if (status !== 0) throw new UsageError('the kernel refused some of the changes', { exitStatus: 1 });
    } catch (error) {
      if (!(error instanceof ConntrackError)) throw error;
      this.#failures.push({ line, invocation, error });
    }
  }
}
