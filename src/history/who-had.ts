// whoHad: who used an address and port at a time. An answer names the record that it rests on, and says what may be missing.

import type { AddressBytes } from '../ctnetlink/address.js';
import { type SearchOptions, searchFlows } from './flow-search.js';
import type { IndexUse } from './index-uses.js';
import { readManifest } from './manifest.js';
import { formatMoment, type Span } from './moments.js';
import { formatNetwork, spansOf, within } from './networks.js';
import { PastFlowReader } from './past-flow.js';
import { EXPIRY_DELAY, GAP_REASONS, type GapReason } from './record-columns.js';
import type { DirectoryState, RecordDirectory, RecordGap } from './record-directory.js';
import { all, any, equals } from './sql-condition.js';
import type { SqlPlan } from './sql-plan.js';
import { followTranslations, isLayered } from './translation-hops.js';
import {
  addToGroups,
  byGrade,
  groupOf,
  type InsideGroup,
  inGroupOrder,
  isAmbiguous,
  MOST_MATCHES,
  type WhoHadAnswer,
  type WhoHadMatch,
} from './who-had-answer.js';
import { gradeOf, isSource, matchOf } from './who-had-match.js';

/** A question, read. */
export interface WhoHadQuestion {
  readonly address: AddressBytes;
  /** Bits of the address that count: less for a network. */
  readonly prefix?: number | undefined;
  readonly port?: number | undefined;
  readonly protocol?: number | undefined;
  readonly remote?: { readonly address: AddressBytes; readonly port?: number | undefined } | undefined;
  readonly span: Span;
  /** Microseconds. */
  readonly within: number;
  readonly zone?: number | undefined;
  readonly netns?: string | undefined;
  /** Follow further translations. */
  readonly follow: boolean;
}

/** A match, and how long it lasted within the time of the question. */
interface Found {
  readonly match: WhoHadMatch;
  readonly overlap: number;
}

/** Asks the record of one directory. @throws HistoryError if none of it can be read */
export async function whoHadIn(
  directory: RecordDirectory,
  question: WhoHadQuestion,
  options: Pick<SearchOptions, 'now' | 'check'> & { readonly completeTo: number | undefined },
): Promise<WhoHadAnswer> {
  const { span, within, port, netns } = question;
  const { now, check, completeTo } = options;
  const before = directory.state(completeTo);
  const step = before.clock.find(({ at, delta }) => delta !== undefined && isNear(at, Math.abs(delta), span))?.delta;
  const margin = Math.abs(step ?? 0);
  const reader = new PastFlowReader();
  const groups = new Map<string, InsideGroup>();
  const problems: string[] = [];
  let found: Found[] = [];
  let count = 0;
  const search = searchFlows(
    directory,
    { plan: planOf(question), span: widened(span, Math.max(within, margin)), everBefore: true, netns },
    (row, view) => {
      const grade = gradeOf(row, span, margin, within);
      if (!grade) return;
      count++;
      const flow = reader.read(row, view());
      const match = matchOf(row, flow, grade, isSource(row.row, question), before, step);
      if (port === undefined) addToGroups(groups, groupOf(match));
      found.push({ match, overlap: Math.min(flow.end ?? Infinity, span.to) - Math.max(flow.start, span.from) });
      if (found.length >= 4 * MOST_MATCHES) found = inOrder(found).slice(0, MOST_MATCHES);
    },
    { now, check, problem: (_file, reason) => problems.push(reason) },
  );
  for await (const _ of search);
  const matches = withHashes(
    directory.path,
    inOrder(found)
      .slice(0, MOST_MATCHES)
      .map(({ match }) => match),
  );
  const hops =
    question.follow && isLayered(before, matches)
      ? await followTranslations(directory, matches, span, { now, check })
      : undefined;
  // What was deleted meanwhile was not found.
  const after = directory.state(completeTo);
  const coverage = { from: Math.max(before.from, after.from), to: after.to };
  const gaps = after.gaps.filter((gap) => concerns(gap, question));
  const told = new Set(gaps.map(({ note }) => note));
  const why = [
    ...(after.imported ? [IMPORTED] : []),
    ...reasons(gaps, coverage, span),
    ...problems.filter((problem) => !told.has(problem)),
  ];
  return {
    question: { address: formatNetwork(question), port, protocol: question.protocol, from: span.from, to: span.to, within },
    complete: why.length === 0,
    why: [...new Set(why)],
    gaps,
    ambiguous: port !== undefined && isAmbiguous(matches),
    matches: hops ? matches.map((match, n) => ({ ...match, hops: hops[n] ?? [] })) : matches,
    more: count - matches.length,
    ...(port === undefined ? { groups: inGroupOrder(groups) } : {}),
    notes: [
      ...notesOf(after, span),
      ...namespaceNote(after, netns),
      ...(count === 0 ? await insideNote(directory, question, { now, check }) : []),
    ],
    coverage,
  };
}

function isNear(at: number, margin: number, { from, to }: Span): boolean {
  return at >= from - margin && at < to + margin;
}

function widened({ from, to }: Span, margin: number): Span {
  return { from: from - margin, to: to + margin };
}

function inOrder(found: readonly Found[]): Found[] {
  return [...found].sort((a, b) => byGrade(a.match, b.match) || b.overlap - a.overlap);
}

/**
 * (a) The address is what the other side saw. (b) It is what a translated destination was before. A port is an identifier of ICMP or a
 * key of GRE, where a protocol has those.
 */
function planOf({ address, prefix, port, protocol, remote, zone }: WhoHadQuestion): SqlPlan {
  const asked = spansOf({ address, prefix });
  const source = all([within('ext', asked), ...(port === undefined ? [] : [equals('eport', port)])]);
  const destination = all([
    { sql: 'rsrc IS NOT NULL', values: [] },
    within('dst', asked),
    ...(port === undefined ? [] : [equals('dport', port), { sql: 'proto NOT IN (1, 58)', values: [] }]),
  ]);
  const to = (column: string, portColumn: string) =>
    all([
      within(column, spansOf({ address: remote!.address })),
      ...(remote!.port === undefined ? [] : [equals(portColumn, remote!.port)]),
    ]);
  const common = [
    ...(protocol === undefined ? [] : [equals('proto', protocol)]),
    ...(zone === undefined ? [] : [equals('(coalesce(zone, 0) & 65535)', zone)]),
  ];
  const sql = any([
    all([source, ...(remote ? [any([to('dst', 'dport'), to('rsrc', 'rsport')])] : []), ...common]),
    all([destination, ...(remote ? [to('src', 'sport')] : []), ...common]),
  ]);
  const own = within('ext', asked).values;
  const only = own.length === 1 && port !== undefined ? [...own, port] : undefined;
  const indexes: IndexUse[] = [
    { index: 'flow_ext', ...source, only },
    { index: 'flow_dnat', ...destination, only },
  ];
  return { flow: sql, open: sql, indexes };
}

/** The SHA-256 of sealed segments, as the manifest has them. */
function withHashes(directory: string, matches: readonly WhoHadMatch[]): readonly WhoHadMatch[] {
  if (!matches.some(({ evidence }) => evidence.sealed)) return matches;
  const hashes = new Map(readManifest(directory).lines.map((line) => [line?.segment, line?.sha256]));
  return matches.map((match) => {
    const sha256 = match.evidence.sealed ? hashes.get(match.evidence.segment) : undefined;
    return typeof sha256 === 'string' ? { ...match, evidence: { ...match.evidence, sha256 } } : match;
  });
}

/** Whether flows of the time may be missing because of a gap: also of one that begins soon after, for ends are told late. */
function concerns({ from, to, incomplete, netns, alsoBefore }: RecordGap, { span, netns: asked }: WhoHadQuestion): boolean {
  if (!incomplete || (asked !== undefined && netns !== undefined && netns !== asked)) return false;
  return (alsoBefore || from < span.to + EXPIRY_DELAY) && to >= span.from;
}

function reasons(gaps: readonly RecordGap[], coverage: WhoHadAnswer['coverage'], span: Span): readonly string[] {
  const found = gaps.map(
    ({ reason, from, to, note, alsoBefore }) =>
      `${reason} from ${formatMoment(from)} to ${to === Infinity ? 'now' : formatMoment(to)} (${note ?? docOf(reason)}` +
      `${alsoBefore && from >= span.to ? '; flows that had begun before and ended then lack' : ''})`,
  );
  if (span.from < coverage.from) found.push(`the record begins at ${formatMoment(coverage.from)}`);
  if (span.to > coverage.to + 1) found.push(`the record goes up to ${formatMoment(coverage.to)}`);
  return found;
}

const IMPORTED = 'these flows were imported: what their origin did not record is not known';

/** What a reason means, within a sentence. One of a newer version has no words here. */
function docOf(reason: GapReason): string {
  const doc: string = Object.hasOwn(GAP_REASONS, reason) ? GAP_REASONS[reason].doc : 'what that is a newer version knows';
  return `${doc[0]!.toLowerCase()}${doc.slice(1).replace(/\.$/, '')}`;
}

/** Nobody is in a namespace that the record does not have. */
function namespaceNote({ segments }: DirectoryState, netns: string | undefined): readonly string[] {
  const names = new Set(segments.flatMap(({ namespaces }) => [...namespaces.values()]));
  if (netns === undefined || names.has(netns)) return [];
  const some = [...names].slice(0, MOST_NAMES).map((name) => JSON.stringify(name));
  return [
    `the record has no network namespace ${JSON.stringify(netns)}, but ${['its own, without a name', ...some].join(', ')}` +
      (names.size > MOST_NAMES ? ' and others' : ''),
  ];
}

const MOST_NAMES = 10;

/** Who asks for an inside address finds nobody: the one that others saw was meant. */
async function insideNote(
  directory: RecordDirectory,
  { address, prefix, span, netns }: WhoHadQuestion,
  options: Pick<SearchOptions, 'now' | 'check'>,
): Promise<readonly string[]> {
  const inside = within('src', spansOf({ address, prefix }));
  const indexes = [{ index: 'flow_src', ...inside, only: inside.values.length === 1 ? inside.values : undefined }];
  const found = searchFlows(directory, { plan: { flow: inside, open: inside, indexes }, span, netns }, () => true, options);
  for await (const some of found)
    if (some.length > 0) {
      const name = formatNetwork({ address, prefix });
      return [`${name} is an inside address, which others did not see: conntrack history src ${name} lists its flows`];
    }
  return [];
}

function notesOf({ segments: all, last }: DirectoryState, span: Span): readonly string[] {
  const segments = all.filter(({ meta: { opened, closed = Infinity } }) => opened < span.to && closed > span.from);
  const filters = new Set(segments.flatMap(({ meta }) => (typeof meta.filter === 'string' ? [meta.filter] : [])));
  return [
    ...[...filters].map((filter) => `only flows that match ${JSON.stringify(filter)} are recorded`),
    ...(segments.some(({ meta }) => meta.noDestination)
      ? ['destinations are not recorded: several users of one port at the same time cannot be told apart']
      : []),
    ...(last?.meta.applied !== undefined && span.to > (last.meta.openFrom ?? 0)
      ? [`${COPY_NOTE} ${formatMoment(last.meta.alive)} are not in it`]
      : []),
  ];
}

/** How a note begins that says what a copy does not have. */
export const COPY_NOTE = 'this is a copy: flows that still lived at';
