// `conntrack usage`: who has how much of a table, from one list, or with rates after a while.

import { UsageError } from '../cli/usage-error.js';
import { GROUP_SORTS, usage } from '../meter/index.js';
import { safeJson } from '../safe-text.js';
import { fillOf, usageText } from '../top/usage-text.js';
import type { Word } from './run-word.js';
import { expressionOf } from './word-filter.js';
import { labelsOf } from './word-labels.js';
import { openNamespaces } from './word-namespaces.js';
import { groupingOf, isGiven, isUtf8, millisecondsOf, numberOf, sortOf, textOf } from './word-values.js';

/** Orders that one list says nothing about. */
const NEEDS_TIME = /^(average|rate|packetRate|begun|ended)/;

export const word: Word = async (line, context) => {
  const { out, err, host } = context;
  const by = groupingOf(line) ?? 'src';
  const sort = sortOf(line, GROUP_SORTS);
  const limit = numberOf(line, 'limit', 0, 1_000_000, true);
  const over = millisecondsOf(line, 'over');
  const failAbove = numberOf(line, 'fail-above', 0, 100);
  const criticalAbove = numberOf(line, 'critical-above', 0, 100);
  if (failAbove !== undefined && criticalAbove !== undefined && criticalAbove < failAbove)
    throw new UsageError('--critical-above cannot be below --fail-above', {
      hint: 'such as --fail-above 80 --critical-above 95',
    });
  if (over === undefined && sort !== undefined && NEEDS_TIME.test(sort))
    throw new UsageError(`--sort ${sort} needs more than one list`, { hint: 'look on for some seconds: --over 5' });
  const filter = expressionOf(line.operands, context, textOf(line, 'labelmap'));
  const labels = by === 'label' ? labelsOf(line, context) : undefined;
  const { conntracks, complete } = await openNamespaces(textOf(line, 'netns'));
  const answer = await usage(conntracks, { by, filter, sort, limit, over, labels, reverse: isGiven(line, 'reverse') });
  const fill = fillOf(answer);
  if (textOf(line, 'output') === 'json') out.text(`${safeJson({ by, filter, fill, ...answer })}\n`);
  else out.text(usageText(answer, by, { failAbove, criticalAbove }, !isUtf8(host.env)));
  const limited = failAbove !== undefined || criticalAbove !== undefined;
  if (limited && fill === undefined) err('conntrack: usage: the kernel does not say how many entries there may be');
  if (!complete || (limited && fill === undefined)) return 3;
  const isAbove = (limit: number | undefined) => limit !== undefined && fill! * 100 > limit;
  return isAbove(criticalAbove) ? 2 : isAbove(failAbove) ? 1 : 0;
};
