// `-E`: events as they happen, until a signal, a count, a time or a closed pipe ends it.

import { ORIGIN_RESYNC } from '../../ctnetlink/view.js';
import { ByteWriter } from '../../format/byte-writer.js';
import { EventWatch, ProgramNames } from '../../library/index.js';
import type { Context } from '../context.js';
import { flowFilter } from '../flow-filter.js';
import { expectationWriter, flowWriter } from '../output/entry-writer.js';
import { EventRecord, warnOfEventMode } from '../output/event-record.js';
import { PacedMessages } from '../output/paced-messages.js';
import { PacedOutput } from '../output/paced-output.js';

/** How long to wait for a stalled reader after a signal, in milliseconds. */
const LAST_CHANCE = 1000;

/** A watch on the table of one network namespace. */
interface Watching {
  readonly netns: string | undefined;
  readonly watch: EventWatch;
  readonly names: ProgramNames;
  /** Events [RESYNC] written since the last repair ended. */
  resynced: number;
}

/** @returns exit status 0; 1 when one of several namespaces could not be watched */
export async function events(context: Context): Promise<number> {
  const { values, table } = context.invocation;
  const watchings: Watching[] = [];
  const output = new PacedOutput(context.stdout);
  try {
    const complete = await context.tables.each((each) => {
      const options = {
        table: table === 'expect' ? 'expect' : 'conntrack',
        namespace: each.namespace,
        groups: values.eventMask,
        receiveBuffer: values.bufferSize,
        filter: flowFilter(values, context.filterLabels, context.invocation.textFilter),
        initial: values.initial ?? false,
        resync: values.resync ?? false,
      } as const;
      const watch = EventWatch.open(options, () => each.conntrack());
      watchings.push({ netns: each.netns, watch, names: ProgramNames.in(each.namespace), resynced: 0 });
      if (values.bufferSize !== undefined)
        context.err(`conntrack: the receive buffer for events has ${watch.receiveBuffer} bytes`);
      warnOfEventMode(context, each);
    });
    const messages = new PacedMessages(context.stderr);
    const { err, close } = context.messages(messages.line);
    const record = new EventRecord(err, values.resync ?? false);
    const shown = await show(context, watchings, output, record);
    record.close(output.kept);
    close(`${shown} ${table === 'expect' ? 'expectation events' : 'flow events'} have been shown.`);
    await messages.close(LAST_CHANCE);
    return complete ? 0 : 1;
  } finally {
    for (const { watch } of watchings) watch.close();
    output.close();
  }
}

/** Shows events until something ends it. @returns how many */
async function show(context: Context, watchings: readonly Watching[], output: PacedOutput, record: EventRecord): Promise<number> {
  const { values, table } = context.invocation;
  const limit = values.eventCount ?? Number.POSITIVE_INFINITY;
  const out = new ByteWriter((bytes, length) => output.write(bytes, length));
  let current: Watching | undefined;
  const program = (portId: number) => current?.names.find(portId);
  const options = { labels: context.labels, event: true, program, netns: context.tables.several };
  const writer = await (table === 'expect' ? expectationWriter : flowWriter)(out, values.output, options);
  const { first: signal, deadline } = interruption(context, output);
  const each = (work: (watch: EventWatch) => void) => {
    for (const { watch } of watchings) work(watch);
  };
  let count = 0;
  writer.clock.set(context.now());
  writer.begin();
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => {
      each((watch) => watch.close());
      reject(error);
    };
    /** Writes the pending output; if the reader does not take it, the watches pause until it does. */
    const flush = () => {
      out.flush();
      if (output.kept === 0) return;
      each((watch) => watch.pause());
      output.taken().then(() => each((watch) => watch.resume()), fail);
    };
    const end = () => void Promise.all(watchings.map(({ watch }) => watch.finish())).then(() => resolve(), fail);
    signal.then(end);
    deadline.then(resolve);
    if (values.duration !== undefined) setTimeout(end, values.duration * 1000);
    for (const watching of watchings)
      watching.watch.start({
        beginBatch: () => {
          writer.clock.set(context.now());
          if (output.kept > 0) flush();
        },
        event: (view) => {
          if (count >= limit) return;
          if (current !== watching) {
            writer.begin(watching.netns);
            current = watching;
          }
          writer.entry(view);
          if (view.origin === ORIGIN_RESYNC) watching.resynced++;
          if (++count < limit) return;
          each((watch) => watch.close());
          resolve();
        },
        idle: flush,
        lost: (loss) => record.lost(loss, watching),
        repaired: () => {
          record.repaired(watching.resynced, watching);
          watching.resynced = 0;
        },
        failed: fail,
      });
    if (limit === 0) resolve();
    else flush();
  });
  each((watch) => watch.reportLoss());
  each((watch) => watch.close());
  writer.end();
  out.flush();
  await Promise.race([output.taken(), deadline]);
  return count;
}

/**
 * What signals do: the first ends the watch properly, the second at once. `deadline` also strikes if the reader of `output` takes nothing
 * for a while after the first signal, so that it cannot hold us up.
 */
function interruption(
  context: Context,
  output: PacedOutput,
): { readonly first: Promise<void>; readonly deadline: Promise<void> } {
  let onFirst!: () => void;
  let onDeadline!: () => void;
  const first = new Promise<void>((resolve) => {
    onFirst = resolve;
  });
  const deadline = new Promise<void>((resolve) => {
    onDeadline = resolve;
  });
  let count = 0;
  context.onSignal(() => {
    if (++count > 1) onDeadline();
    onFirst();
  });
  first.then(() => {
    let { written } = output;
    setInterval(() => {
      if (output.kept > 0 && output.written === written) onDeadline();
      written = output.written;
    }, LAST_CHANCE);
  });
  return { first, deadline };
}
