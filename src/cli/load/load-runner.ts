// Runs the steps of a load file until one fails, and reports what was created, what failed and what was not run.

import { IPS_EXPECTED } from '../../ctnetlink/uapi/nf-conntrack-common.js';
import { ConntrackError, KernelError, PlatformError } from '../../errors.js';
import { type EncodedFlows, FlowLoader, noLabelRoom } from '../../library/index.js';
import { deleteEntries } from '../commands/delete.js';
import { flush } from '../commands/flush.js';
import { update } from '../commands/update.js';
import { type Context, invocationContext } from '../context.js';
import type { Invocation, OptionValues } from '../invocation.js';
import { explain, failureLines } from '../messages.js';
import { grouped } from '../output/progress.js';
import { namesOneFlow } from '../tuples.js';
import { UsageError } from '../usage-error.js';
import { type LoadStep, lastLineOf } from './load-steps.js';

/** Failures reported individually; further ones are counted. */
const FAILURES_TOLD = 10;

/**
 * The meaning of a line that updates or deletes, if it may be a saved event: the options of `-D -t 117 -u ASSURED` with both tuples
 * describe the flow at its end and do not name it (docs/differences.md B53); only the kernel sets EXPECTED (docs/differences.md B27).
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

/** Runs the steps of a file and reports the results. */
export class LoadRunner {
  readonly #context: Context;
  readonly #name: string;
  readonly #failures: {
    readonly line: number;
    readonly invocation: Pick<Invocation, 'command' | 'table'>;
    readonly error: ConntrackError;
  }[] = [];
  readonly #loader: FlowLoader;
  /** Lines of flows that lack their labels. */
  readonly #unlabelled: number[] = [];
  /** Flows that would be created, if this were no dry run. */
  #wouldCreate = 0;
  /** Lines that did something else. */
  #ran = 0;
  #lastLine = 0;

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
    this.#loader = new FlowLoader(() => context.conntrack(), {
      failed: (line, error, mayExist) => this.#fail(line, error ?? NO_MASTER, mayExist ? 'A' : 'I'),
      unlabelled: (line) => this.#unlabelled.push(line),
    });
  }

  /** Number of the last line that was run. */
  get line(): number {
    return this.#lastLine;
  }

  /** @returns whether to run the next step */
  async run(step: LoadStep): Promise<boolean> {
    this.#lastLine = lastLineOf(step);
    if ('flows' in step) await this.#createOrTell(step.flows);
    else await this.#runLine(step.invocation, step.line);
    return this.#failures.length === 0;
  }

  /** Reports what failed and what was not run. @returns the exit status */
  async report(): Promise<number> {
    const { err, out } = this.#context;
    if (this.#failures.length === 0) await this.#loader.finish();
    out.flush();
    const { dryRun } = this.#context.invocation.values;
    if (dryRun) err(`conntrack: ${this.#name}: every line is correct; ${this.#wouldCreate} flow entries would be created`);
    if (this.#loader.partly > 0)
      err(
        `conntrack: ${this.#name}: ${this.#loader.partly} flow entries existed already; values that only new ones can take were left out`,
      );
    this.#tellUnlabelled();
    if (this.#failures.length === 0 && !dryRun) this.#summarize();
    if (this.#failures.length === 0) return this.#unlabelled.length > 0 ? 1 : 0;
    for (const { line, invocation, error } of this.#failures.slice(0, FAILURES_TOLD)) {
      const { message, hint } = explain(error, invocation);
      for (const text of failureLines(`${this.#name}:${line}: ${message}`, hint)) err(text);
    }
    const more = this.#failures.length - FAILURES_TOLD;
    err(
      `conntrack: ${this.#name}: stopped after line ${this.#lastLine}: ${this.#loader.created} flow entries created, ` +
        `${this.#failures.length} lines failed${more > 0 ? ` (${more} of them not shown)` : ''}; later lines were not run`,
    );
    return 1;
  }

  /** A summary for somebody at a terminal; scripts get nothing, as from the C tool. */
  #summarize(): void {
    const { err, isTerminal } = this.#context;
    if (!isTerminal()) return;
    const others = this.#ran === 0 ? '' : `, ${grouped(this.#ran)} other lines run`;
    err(`conntrack: ${this.#name}: ${grouped(this.#loader.created)} flow entries created or updated${others}`);
  }

  /** Flows that lack their labels are no reason to stop: the rest of a saved table should be loaded. */
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

  /** As `#create`. If the outcome of a batch is unknown, it reports what is known. */
  async #createOrTell(flows: EncodedFlows): Promise<void> {
    try {
      await this.#create(flows);
    } catch (error) {
      if (error instanceof ConntrackError && !(error instanceof KernelError) && !(error instanceof PlatformError))
        this.#context.err(
          `conntrack: ${this.#name}: ${this.#loader.created} flow entries created before line ${flows.tag(0)}; ` +
            `lines ${flows.tag(0)} to ${this.#lastLine} may have been run, later ones were not:`,
        );
      throw error;
    }
  }

  /** Lines that create are sent together: if one fails, later ones in the same batch have been run, too. */
  async #create(flows: EncodedFlows): Promise<void> {
    if (this.#context.invocation.values.dryRun) this.#wouldCreate += flows.count;
    else await this.#loader.send(flows);
  }

  #fail(line: number, error: ConntrackError, command: 'A' | 'I'): void {
    this.#failures.push({ line, invocation: { command, table: 'conntrack' }, error });
  }

  async #runLine(invocation: Invocation, line: number): Promise<void> {
    const { dryRun, max, protectSsh, labelMap } = this.#context.invocation.values;
    const values: OptionValues = {
      ...(max === undefined ? {} : { max }),
      ...replayable(invocation),
      okIfNone: true, // a line that matches nothing is not a failure
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
