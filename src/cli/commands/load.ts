// `-R`: the commands of a file. All lines are checked before the first one is run. Behaviour: docs/behaviour.md 4.13.

import { closeSync } from 'node:fs';
import { ByteWriter } from '../../format/byte-writer.js';
import type { Context } from '../context.js';
import { LoadRunner } from '../load/load-runner.js';
import { type LoadSource, openLines } from '../load/load-source.js';
import { type CheckedLines, checkLines, FilterLanguageNeeded, stepsAfter } from '../load/load-steps.js';
import { writeAll } from '../output/output.js';
import { grouped, Progress } from '../output/progress.js';
import { notThisSsh } from '../ssh.js';
import { UsageError } from '../usage-error.js';

/** @returns 0 if every line was run and none was refused, otherwise 1 */
export async function load(given: Context): Promise<number> {
  const { file = '-', values } = given.invocation;
  if (values.protectSsh) notThisSsh(); // refuses without a session, before anything is done
  const json = values.format === 'ndjson' ? await import('../load/json-line.js') : undefined;
  const source: LoadSource = {
    name: file === '-' ? 'standard input' : file,
    fd: openLines(file),
    parseJson: json?.parseJsonLine,
  };
  const progress = new Progress(given);
  try {
    const { plan, context } = await checked(given, source, progress);
    if (values.max !== undefined && plan.creates > values.max)
      throw new UsageError(
        `${source.name} creates ${plan.creates} flow entries, but --max allows ${values.max}; nothing was changed`,
        {
          exitStatus: 1,
        },
      );
    const runner = new LoadRunner(besides(progress, context), source.name);
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

/** Checks every line; loads the language of filters in text where a line has one, and begins again. */
async function checked(
  context: Context,
  source: LoadSource,
  progress: Progress,
): Promise<{ readonly plan: CheckedLines; readonly context: Context }> {
  try {
    return { plan: checkLines(context, source, progress), context };
  } catch (error) {
    if (!(error instanceof FilterLanguageNeeded)) throw error;
    const { filterReader } = await import('../filter-text.js');
    const able = { ...context, readFilters: filterReader(context) };
    return { plan: checkLines(able, source, progress), context: able };
  }
}

/** A context that removes the progress line before it writes anything. */
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
