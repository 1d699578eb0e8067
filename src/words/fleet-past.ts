// `conntrack fleet whohad`: who had an address and port at a time, from the records of all hosts.

import { UsageError } from '../cli/usage-error.js';
import { type CollectedRecord, formatShards, readCollectedAnswer } from '../fleet/collected.js';
import { meantHosts } from '../fleet/past-client.js';
import { type HostPast, mergePast } from '../fleet/past-merge.js';
import { type PastAnswer, readPastAnswer } from '../fleet/past-question.js';
import { formatMoment, parseMoment, parseSpan } from '../history/moments.js';
import { safeJson, safeText } from '../safe-text.js';
import type { FleetVerb } from './fleet-call.js';
import { readingValues } from './past-values.js';
import { whoHadQuestion } from './who-had-question.js';
import { listOf } from './word-values.js';

/** Milliseconds that hosts may look. */
const DEADLINE = 30_000;
const NONE = 1;
const INCOMPLETE = 3;

export const whoHad: FleetVerb = async (call) => {
  const { line, operands, context, fleet } = call;
  const { out, err } = context;
  const format = (line.values['output'] as readonly string[] | undefined)?.at(-1) ?? 'text';
  if (format !== 'text' && format !== 'json')
    throw new UsageError(`-o ${format} cannot be had here`, { hint: 'one of text, json' });
  const { at, within, ...question } = whoHadQuestion(line, operands, err);
  const netns = listOf(line, 'netns')?.[0];
  // Every host is asked for the same time, whatever the words for it.
  const span = await readingValues(() => parseMoment(at, Date.now() * 1000));
  const past = await readingValues(() => {
    const { from, to } = span;
    const moment = formatMoment(from);
    return {
      ...question,
      at: to - from > 1 ? moment.replace('.000000', '') : moment,
      ...(within === undefined ? {} : { within: parseSpan(within) }),
      ...(netns === undefined ? {} : { netns }),
    };
  });
  const answers = new Map<string, PastAnswer>();
  const wrong: string[] = [];
  const visitor = {
    value: (host: string, value: unknown) => {
      const answer = readPastAnswer(value);
      if (answer) answers.set(host, answer);
      else wrong.push(host);
    },
  };
  const options = call.ask(DEADLINE);
  const [own, collected] = await Promise.all([
    fleet.ask('whohad', { past }, visitor, options),
    fleet.askCollectors({ op: 'whohad', body: { past }, read: readCollectedAnswer }, options),
  ]);
  const copies = new Map<string, CollectedRecord[]>();
  const wanted = await meantHosts(fleet, options, own);
  for (const record of collected?.answers.flatMap(({ value }) => value.records) ?? [])
    if (wanted(record.host)) copies.set(record.host, [...(copies.get(record.host) ?? []), record]);
  const merged = new Map<string, HostPast>();
  for (const host of new Set([...answers.keys(), ...copies.keys()])) {
    const known = mergePast(answers.get(host), copies.get(host) ?? [], span);
    if (known) merged.set(host, known);
    else wrong.push(host);
  }
  // Of a host that does not answer, collectors may know all that it would say.
  const missing = own.missing.filter(({ host }) => !merged.get(host)?.complete);
  const asked = { ...own, missing, complete: missing.length === 0 };
  if (collected && collected.lacking.length > 0 && !asked.complete)
    err(`conntrack: note: no collector answers for shards ${formatShards(collected.lacking)}`);
  for (const problem of collected?.problems ?? []) err(`conntrack: ${safeText(problem)}`);
  const all = [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
  const complete = asked.complete && wrong.length === 0 && all.every(([, answer]) => answer.complete);
  const found = all.filter(([, { matches }]) => matches > 0);
  if (format === 'json')
    out.text(
      `${safeJson({ at: past.at, complete, hosts: Object.fromEntries(all.map(([host, { answer }]) => [host, answer])), missing: asked.missing })}\n`,
    );
  else {
    out.text(`${safeText(`${operands.join(' ')} at ${past.at}`)}\n`);
    for (const [host, { lines, matches, complete: whole }] of all)
      if (matches > 0 || !whole) out.text(`${host}:\n${lines.map((text) => `  ${safeText(text)}\n`).join('')}`);
    const nobody = all.filter(([, { matches, complete: whole }]) => matches === 0 && whole).map(([host]) => host);
    if (nobody.length > 0)
      out.text(`Nobody on ${nobody.length > 20 ? `${nobody.length} hosts` : nobody.join(', ')}: the record is complete there.\n`);
  }
  for (const host of wrong) err(`conntrack: ${host}: its answer cannot be read`);
  if (found.length > 1 && question.to === undefined)
    err('conntrack: note: several hosts had it: --to, the other side, tells them apart');
  const status = call.conclude(asked, found.length === 0 ? NONE : 0);
  return complete ? status : INCOMPLETE;
};
