// `conntrack top`: the live picture on a terminal, samples without one.

import { hostname } from 'node:os';
import { notThisSsh } from '../cli/ssh.js';
import { UsageError } from '../cli/usage-error.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { returnFreedMemory } from '../library/index.js';
import { divideFilter, FLOW_SORTS, GROUP_SORTS } from '../meter/index.js';
import { runBatch } from '../top/batch.js';
import type { TopOptions } from '../top/top-options.js';
import { RECORD_DIRECTORY } from './past-values.js';
import type { Word } from './run-word.js';
import { expressionOf } from './word-filter.js';
import { labelsOf } from './word-labels.js';
import type { WordLine } from './word-line.js';
import { openNamespaces } from './word-namespaces.js';
import { groupingOf, isGiven, isUtf8, millisecondsOf, numberOf, rateOf, sortOf, textOf } from './word-values.js';

export const word: Word = async (line, context) => {
  const { host, out } = context;
  const { env, stdin, stdout } = host;
  const output = textOf(line, 'output');
  const samples = numberOf(line, 'samples', 1, Number.MAX_SAFE_INTEGER, true);
  const batch = isGiven(line, 'batch') || samples !== undefined;
  const isTerminal = stdout.isTTY && stdin.isTTY && env['TERM'] !== 'dumb';
  const printed = batch || isGiven(line, 'once') || output !== undefined || !isTerminal;
  const limit = numberOf(line, 'limit', 0, 1_000_000, true);
  if (!printed && limit !== undefined)
    throw new UsageError('--limit is about what is printed', {
      hint: 'with --once or --batch; on a terminal nothing is left out',
    });
  const given = optionsOf(line, expressionOf(line.operands, context, textOf(line, 'labelmap')), env);
  const { conntracks, complete, lookAgain } = await openNamespaces(textOf(line, 'netns'));
  const options = { ...given, lookAgain, labels: labelsOf(line, context) };
  for (const conntrack of conntracks.values()) await conntrack.count();
  const status = complete ? 0 : 3;
  if (printed) {
    await runBatch(conntracks, options, {
      samples: samples ?? (batch ? Number.POSITIVE_INFINITY : 1),
      limit: limit ?? 20,
      format: output === 'ndjson' ? 'ndjson' : 'text',
      write: (text) => {
        out.text(text);
        out.flush();
      },
    });
    return status;
  }
  returnFreedMemory();
  const { runTop } = await import('../top/top-program.js');
  const { terminalStreams } = await import('../top/terminal-streams.js');
  return (await runTop(conntracks, options, terminalStreams(host))) || status;
};

function optionsOf(
  line: WordLine,
  expression: string | undefined,
  env: NodeJS.ProcessEnv,
): Omit<TopOptions, 'lookAgain' | 'labels'> {
  const { scope, rest } = expression === undefined ? {} : divideFilter(expression);
  const by = groupingOf(line);
  const color = textOf(line, 'color') ?? 'auto';
  return {
    scope,
    filter: rest,
    by,
    sort: by === undefined ? sortOf(line, FLOW_SORTS) : sortOf(line, GROUP_SORTS),
    reverse: isGiven(line, 'reverse'),
    leastRate: rateOf(line, 'min-rate'),
    netns: textOf(line, 'netns'),
    history: textOf(line, 'history') ?? RECORD_DIRECTORY,
    interval: millisecondsOf(line, 'every') ?? 2000,
    share: (numberOf(line, 'share', 0.1, 100) ?? 25) / 100,
    readOnly: isGiven(line, 'read-only'),
    ascii: isGiven(line, 'ascii') || !isUtf8(env),
    color: color === 'always' || (color === 'auto' && !env['NO_COLOR']),
    mouse: !isGiven(line, 'no-mouse'),
    tmux: (env['TMUX'] ?? '') !== '',
    host: hostname(),
    kept: ownSession(),
  };
}

/** All flows but that of the SSH session one sits at; `undefined` at the console. */
function ownSession(): string | undefined {
  try {
    return formatFlowFilter(notThisSsh());
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}
