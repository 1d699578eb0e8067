// Answers questions about flows of the past, of a host or of a collector.

import { largestGroups } from '../history/past-groups.js';
import { packBody } from './bodies.js';
import { type FlowsPart, readFlowsPart } from './flows-question.js';
import type { QueryBody } from './operations.js';
import { encodePastRows, MOST_PAST_ROWS, type SentRow } from './past-rows.js';
import type { PastAsked, PastSearch, PastSource } from './past-source.js';
import { piecesOf } from './pieces.js';
import type { Piece, RunningQuery } from './running-query.js';

/** Groups of one answer. */
export const MOST_PAST_GROUPS = 10_000;

/** What there is of a span: `records`. */
export async function answerRecords(query: RunningQuery, body: QueryBody, source: PastSource): Promise<void> {
  query.json({ records: await source.records(readFlowsPart(body.past), askedBy(query, body)) });
}

/** Flows, or their sums: `history`. */
export async function answerHistory(query: RunningQuery, body: QueryBody, source: PastSource): Promise<void> {
  const part = readFlowsPart(body.past);
  const asked = askedBy(query, body);
  const problems = new Set<string>();
  const search: PastSearch = {
    check: () => query.check(),
    problem: (reason) => {
      if (problems.size < MOST_PROBLEMS && !problems.has(reason)) query.warnings.push(reason);
      problems.add(reason);
    },
  };
  if (part.by !== undefined) query.json(await sumsOf(part, asked, source, search));
  else await sendFlows(query, part, asked, source.flows(part, asked, search));
}

const MOST_PROBLEMS = 8;

function askedBy({ user }: RunningQuery, { filter, limit, shards }: QueryBody): PastAsked {
  return { user, filter, limit, shards };
}

async function sumsOf(part: FlowsPart, asked: PastAsked, source: PastSource, search: PastSearch): Promise<object> {
  const { by = 'src', sort = 'bytes' } = part;
  const sums = await source.sums(part, asked, search);
  const groups = largestGroups(sums, by, { sort, reverse: false, limit: Math.min(asked.limit ?? 1000, MOST_PAST_GROUPS) });
  const counters = ['packets', 'bytes', 'replyPackets', 'replyBytes'] as const;
  return {
    count: sums.size,
    groups: groups.map((group) => ({
      key: group.key,
      flows: group.flows,
      ...Object.fromEntries(counters.flatMap((name) => (group[name] === undefined ? [] : [[name, String(group[name])]]))),
    })),
  };
}

async function sendFlows(
  query: RunningQuery,
  { chunk = MOST_PAST_ROWS }: FlowsPart,
  { limit }: PastAsked,
  flows: AsyncIterable<SentRow>,
): Promise<void> {
  let rows: SentRow[] = [];
  let count = 0;
  for await (const row of flows) {
    if (rows.length === chunk) {
      for (const piece of pieces(rows)) await query.part(piece.body, piece.rows);
      rows = [];
    }
    rows.push(row);
    count++;
  }
  await query.end(pieces(rows), { complete: true, ...(count === limit ? { reason: 'limit' as const } : {}) });
}

function pieces(rows: readonly SentRow[]): Piece[] {
  return piecesOf((from, to) => packBody('jc1', encodePastRows(rows.slice(from, to))), 0, rows.length);
}
