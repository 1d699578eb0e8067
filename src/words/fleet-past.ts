// `conntrack fleet whohad`: who had an address and port at a time, from the records of all hosts.

import { UsageError } from '../cli/usage-error.js';
import { formatShards } from '../fleet/collected.js';
import { askWhoHad, toPastQuestion, WHO_HAD_DEADLINE } from '../fleet/who-had-client.js';
import { safeJson, safeText } from '../safe-text.js';
import type { FleetVerb } from './fleet-call.js';
import { readingValues } from './past-values.js';
import { whoHadQuestion } from './who-had-question.js';
import { listOf } from './word-values.js';

const NONE = 1;
const INCOMPLETE = 3;

export const whoHad: FleetVerb = async (call) => {
  const { line, operands, context, fleet } = call;
  const { out, err } = context;
  const format = (line.values['output'] as readonly string[] | undefined)?.at(-1) ?? 'text';
  if (format !== 'text' && format !== 'json')
    throw new UsageError(`-o ${format} cannot be had here`, { hint: 'one of text, json' });
  const question = whoHadQuestion(line, operands, err);
  const [netns, ...others] = listOf(line, 'netns') ?? [];
  if (others.length > 0) throw new UsageError('whohad asks about one network namespace, or all');
  const asked = await readingValues(() => toPastQuestion({ ...question, ...(netns === undefined ? {} : { netns }) }));
  const answer = await askWhoHad(fleet, asked, call.ask(WHO_HAD_DEADLINE));
  // Whoever is interrupted has got no answer of anybody.
  if (call.ask(0).signal?.aborted !== true) {
    if (answer.lackingShards.length > 0)
      err(`conntrack: note: no collector answers for shards ${formatShards(answer.lackingShards)}`);
    for (const problem of answer.problems) err(`conntrack: ${safeText(problem)}`);
  }
  const { complete, missing } = answer;
  const all = [...answer.hosts];
  const found = all.filter(([, { matches }]) => matches > 0);
  if (format === 'json')
    out.text(
      `${safeJson({ at: asked.past.at, complete, hosts: Object.fromEntries(all.map(([host, known]) => [host, known.answer])), missing })}\n`,
    );
  else {
    out.text(`${safeText(`${operands.join(' ')} at ${asked.past.at}`)}\n`);
    for (const [host, { lines, matches, complete: whole }] of all)
      if (matches > 0 || !whole) out.text(`${host}:\n${lines.map((text) => `  ${safeText(text)}\n`).join('')}`);
    const nobody = all.filter(([, { matches, complete: whole }]) => matches === 0 && whole).map(([host]) => host);
    if (nobody.length > 0)
      out.text(`Nobody on ${nobody.length > 20 ? `${nobody.length} hosts` : nobody.join(', ')}: the record is complete there.\n`);
  }
  for (const host of answer.unreadable) err(`conntrack: ${host}: its answer cannot be read`);
  if (found.length > 1 && question.to === undefined)
    err('conntrack: note: several hosts had it: --to, the other side, tells them apart');
  const status = call.conclude({ ...answer, complete: missing.length === 0 }, found.length === 0 ? NONE : 0);
  return complete ? status : INCOMPLETE;
};
