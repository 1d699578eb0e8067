// whoHad: who used an address and port at a time. An answer names the record that it rests on, and says what may be missing.

import { type AddressBytes, parseAddress, prefixMask } from '../ctnetlink/address.js';
import type { FlowSide } from '../ctnetlink/flow.js';
import type { SqliteRow, SqliteValue } from './driver/sqlite.js';
import { type FoundRow, searchFlows } from './flow-search.js';
import { readManifest } from './manifest.js';
import { formatMoment, type Span } from './moments.js';
import { formatNetwork, spansOf, within } from './networks.js';
import { type PastFlow, PastFlowReader, qualityOf, type RecordQuality } from './past-flow.js';
import { type EndReason, EXPIRY_DELAY } from './record-columns.js';
import type { ClockState, DirectoryState, RecordDirectory, RecordGap } from './record-directory.js';
import { addressIn, numberIn } from './row-messages.js';
import { all, any, type IndexUse, type SqlCondition, type SqlPlan } from './sql-plan.js';

/** An address, and a port unless the protocol has none. */
export interface AddressAndPort {
  readonly address: string;
  readonly port?: number | undefined;
}

/**
 * How sure it is that a flow lived at the time. `certain`: it did. `possible`: by what is known of its beginning and end it may have.
 * `near`: it did not, but within the tolerance that was given.
 */
export type Grade = 'certain' | 'possible' | 'near';
const GRADES = ['certain', 'possible', 'near'] as const satisfies readonly Grade[];

/** `source`: the inside address opened connections from the one asked for; `destination`: it answered for it, as by a forwarded port. */
export type InsideRole = 'source' | 'destination';

/** A translation before or behind that of a match. */
export interface TranslationHop {
  readonly inside: AddressAndPort;
  readonly outside: AddressAndPort;
  readonly zone?: number | undefined;
  readonly netns?: string | undefined;
}

/** Where the record of a match is. */
export interface MatchEvidence {
  /** UUID of the recorder. */
  readonly recorder: string;
  /** File, without its directory. */
  readonly segment: string;
  /** Number of the record, from 1, without holes; absent while the flow lives. */
  readonly sequence?: number | undefined;
  /** Of the file, as the manifest says, once it is sealed. */
  readonly sha256?: string | undefined;
  readonly sealed: boolean;
}

/** A flow that had the address and port. Times are microseconds since the epoch. */
export interface WhoHadMatch {
  readonly grade: Grade;
  readonly role: InsideRole;
  /** Who it was. */
  readonly inside: AddressAndPort;
  /** What was asked for. */
  readonly outside: AddressAndPort;
  /** The other side. Absent when destinations are not recorded. */
  readonly remote?: AddressAndPort | undefined;
  readonly translated: boolean;
  readonly protocol: string;
  /** Number of the protocol. */
  readonly protonum: number;
  readonly zone?: number | undefined;
  readonly netns?: string | undefined;
  readonly start: number;
  /** Absent for a flow that lives. */
  readonly end?: number | undefined;
  readonly open: boolean;
  readonly endReason?: EndReason | undefined;
  /** Of both directions, from the inside and to it. */
  readonly sent?: { readonly packets?: bigint | undefined; readonly bytes?: bigint | undefined } | undefined;
  readonly received?: { readonly packets?: bigint | undefined; readonly bytes?: bigint | undefined } | undefined;
  /** Further translations of the inside address on this host, the next one first. */
  readonly hops: readonly TranslationHop[];
  readonly quality: RecordQuality & {
    readonly clock?: string | undefined;
    /** Microseconds by which the clock was set near the time that was asked for. */
    readonly clockStep?: number | undefined;
  };
  readonly evidence: MatchEvidence;
}

/** Somebody who had the address, where no port was asked for. */
export interface InsideGroup {
  readonly inside: string;
  readonly grade: Grade;
  readonly flows: number;
  /** The first beginning and the last end, microseconds since the epoch. */
  readonly start: number;
  /** Absent if a flow lives. */
  readonly end?: number | undefined;
}

/** The answer to `whoHad`. Times are microseconds since the epoch. */
export interface WhoHadAnswer {
  readonly question: {
    readonly address: string;
    readonly port?: number | undefined;
    readonly protocol?: number | undefined;
    readonly from: number;
    /** Not in. */
    readonly to: number;
    readonly within: number;
  };
  /** Whether the record is complete for that time: no gap, no file that is missing or cannot be read, neither too old nor too new. */
  readonly complete: boolean;
  /** Why it is not, in words. */
  readonly why: readonly string[];
  /** The gaps that the time meets. */
  readonly gaps: readonly RecordGap[];
  /** Several had it at the same time, for certain. */
  readonly ambiguous: boolean;
  /** The most certain first, and then those that lasted longest within that time. At most 1,000. */
  readonly matches: readonly WhoHadMatch[];
  /** How many matches there are besides. */
  readonly more: number;
  /** Without a port: who had the address, the most flows first. */
  readonly groups?: readonly InsideGroup[] | undefined;
  /** What else an answer depends on, in words: that only some flows are recorded, or not all of them. */
  readonly notes: readonly string[];
  readonly coverage: { readonly from: number; readonly to: number };
}

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

const MOST_MATCHES = 1000;
const MOST_HOPS = 4;
/** Matches whose further translations are looked for. */
const MOST_FOLLOWED = 20;

/** A match, and how long it lasted within the time of the question. */
interface Found {
  readonly match: WhoHadMatch;
  readonly overlap: number;
}

/** Asks the record of one directory. @throws HistoryError if none of it can be read */
export async function whoHadIn(
  directory: RecordDirectory,
  question: WhoHadQuestion,
  options: { readonly now: () => number; readonly completeTo: number | undefined },
): Promise<WhoHadAnswer> {
  const { span, within, port, netns } = question;
  const { now, completeTo } = options;
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
    { now, problem: (_file, reason) => problems.push(reason) },
  );
  for await (const _ of search);
  const matches = withHashes(
    directory.path,
    inOrder(found)
      .slice(0, MOST_MATCHES)
      .map(({ match }) => match),
  );
  const hops = question.follow && isLayered(before, matches) ? await follow(directory, matches, question, now) : undefined;
  // What was deleted meanwhile was not found.
  const after = directory.state(completeTo);
  const coverage = { from: Math.max(before.from, after.from), to: after.to };
  const gaps = after.gaps.filter((gap) => concerns(gap, question));
  const why = [...reasons(gaps, coverage, span), ...problems];
  return {
    question: { address: formatNetwork(question), port, protocol: question.protocol, from: span.from, to: span.to, within },
    complete: why.length === 0,
    why: [...new Set(why)],
    gaps,
    ambiguous: port !== undefined && isAmbiguous(matches),
    matches: hops ? matches.map((match, n) => ({ ...match, hops: hops[n] ?? [] })) : matches,
    more: count - matches.length,
    ...(port === undefined ? { groups: sorted(groups) } : {}),
    notes: notesOf(after, span),
    coverage,
  };
}

/**
 * The answers of several records of the same flows in one, each flow once; of a flow that one record has seen end, that is what is known.
 * `complete`: whether together they are.
 */
export function uniteAnswers(answers: readonly WhoHadAnswer[], complete: boolean, why: readonly string[]): WhoHadAnswer {
  const found = new Map<string, WhoHadMatch>();
  for (const match of answers.flatMap(({ matches }) => matches)) {
    const { inside, outside, remote, protonum, start, zone, netns } = match;
    const key = JSON.stringify([inside, outside, remote, protonum, start, zone, netns]);
    const other = found.get(key);
    if (!other || (other.open && !match.open)) found.set(key, match);
  }
  const matches = [...found.values()].sort((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade)).slice(0, MOST_MATCHES);
  const groups = new Map<string, InsideGroup>();
  for (const match of matches) addToGroups(groups, groupOf(match));
  const [first] = answers;
  return {
    ...first!,
    complete,
    why,
    gaps: complete ? [] : answers.flatMap(({ gaps }) => gaps),
    ambiguous: first!.question.port !== undefined && isAmbiguous(matches),
    matches,
    more: Math.max(...answers.map(({ more }) => more)),
    ...(first!.question.port === undefined ? { groups: sorted(groups) } : {}),
    notes: [...new Set(answers.flatMap(({ notes }) => notes))],
    coverage: {
      from: Math.min(...answers.map(({ coverage }) => coverage.from)),
      to: Math.max(...answers.map(({ coverage }) => coverage.to)),
    },
  };
}

/** The answers of several records in one. */
export function joinAnswers(answers: readonly WhoHadAnswer[]): WhoHadAnswer {
  const [first] = answers;
  if (answers.length === 1) return first!;
  const all = answers.flatMap(({ matches }) => matches).sort((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade));
  const matches = all.slice(0, MOST_MATCHES);
  const groups = new Map<string, InsideGroup>();
  for (const group of answers.flatMap((answer) => answer.groups ?? [])) addToGroups(groups, group);
  return {
    ...first!,
    complete: answers.every(({ complete }) => complete),
    why: answers.flatMap(({ why }) => why),
    gaps: answers.flatMap(({ gaps }) => gaps),
    ambiguous: first!.question.port !== undefined && isAmbiguous(matches),
    matches,
    more: answers.reduce((sum, { more }) => sum + more, 0) + all.length - matches.length,
    ...(first!.groups ? { groups: sorted(groups) } : {}),
    notes: [...new Set(answers.flatMap(({ notes }) => notes))],
    coverage: {
      from: Math.max(...answers.map(({ coverage }) => coverage.from)),
      to: Math.min(...answers.map(({ coverage }) => coverage.to)),
    },
  };
}

/**
 * How sure it is that the flow of a row lived within the span; `undefined`: it did not.
 * @param step microseconds by which the clock was set near then, so that times may be off by as much
 */
export function gradeOf(found: FoundRow, span: Span, step: number, within: number): Grade | undefined {
  const { row, open, segment } = found;
  const number = (name: string) => numberIn(row[name]) ?? 0;
  const quality = qualityOf(found);
  const start = number('start');
  // Of a flow that lives, its end may not have been told yet.
  const end = open ? Number.POSITIVE_INFINITY : start + number('dur');
  const { alive, seenTo = 0 } = segment.meta;
  const surelyUntil = open ? Math.max(number('seen'), start < seenTo ? seenTo : 0, alive - EXPIRY_DELAY) : end - quality.endSlack;
  const perhapsFrom = quality.start === 'listed' ? Number.NEGATIVE_INFINITY : start - quality.startSlack;
  const meets = (from: number, to: number, margin: number) => from < span.to + margin && to >= span.from - margin;
  if (!quality.imported && meets(start, surelyUntil, 0)) return 'certain';
  if (meets(perhapsFrom, end, step)) return 'possible';
  return within > 0 && meets(perhapsFrom, end, within) ? 'near' : undefined;
}

function isNear(at: number, margin: number, { from, to }: Span): boolean {
  return at >= from - margin && at < to + margin;
}

function widened({ from, to }: Span, margin: number): Span {
  return { from: from - margin, to: to + margin };
}

function inOrder(found: readonly Found[]): Found[] {
  return [...found].sort((a, b) => GRADES.indexOf(a.match.grade) - GRADES.indexOf(b.match.grade) || b.overlap - a.overlap);
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

function equals(column: string, value: SqliteValue): SqlCondition {
  return { sql: `${column} = ?`, values: [value] };
}

/** Whether a row has the address as its outside source; else it was its destination. */
function isSource(row: SqliteRow, { address, prefix = address.length * 8, port }: WhoHadQuestion): boolean {
  const ext = addressIn(row['ext']);
  if (ext?.length !== address.length || (port !== undefined && row['eport'] !== port)) return false;
  const mask = prefixMask(prefix, address.length);
  return ext.every((byte, i) => (byte & mask[i]!) === (address[i]! & mask[i]!));
}

function matchOf(
  { row, segment, open }: FoundRow,
  past: PastFlow,
  grade: Grade,
  source: boolean,
  state: DirectoryState,
  step: number | undefined,
): WhoHadMatch {
  const { flow, start, end, endReason, netns, quality, sequence } = past;
  const { original, reply } = flow;
  const own = source ? original : reply;
  const other = source ? reply : original;
  const inside = endOf(own, 'src');
  const outside = endOf(other, 'dst');
  const clock = state.clock.findLast(({ at, quality: kept }: ClockState) => kept !== undefined && at <= (end ?? start))?.quality;
  return {
    grade,
    role: source ? 'source' : 'destination',
    inside,
    outside,
    remote: source ? (row['dst'] === null ? undefined : endOf(original, 'dst')) : endOf(original, 'src'),
    translated: inside.address !== outside.address || inside.port !== outside.port,
    protocol: flow.protocol,
    protonum: original.protonum,
    zone: flow.zone ?? original.zone ?? reply.zone,
    netns,
    start,
    end,
    open,
    endReason,
    sent: countersOf(own),
    received: countersOf(source ? reply : original),
    hops: [],
    quality: { ...quality, clock, ...(step === undefined ? {} : { clockStep: step }) },
    evidence: {
      recorder: state.recorder,
      segment: segment.file.name,
      sequence,
      sealed: segment.meta.sealed !== undefined,
    },
  };
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

/** An end of a direction; the identifier of ICMP is its port, at either end. */
function endOf(side: FlowSide, end: 'src' | 'dst'): AddressAndPort {
  return { address: side[end], port: side.icmpId ?? (end === 'src' ? side.sport : side.dport) };
}

function countersOf({ packets, bytes }: FlowSide) {
  return packets === undefined && bytes === undefined ? undefined : { packets, bytes };
}

function groupOf({ inside, grade, start, end }: WhoHadMatch): InsideGroup {
  return { inside: inside.address, grade, flows: 1, start, end };
}

function addToGroups(groups: Map<string, InsideGroup>, { inside, grade, flows, start, end }: InsideGroup): void {
  const known = groups.get(inside);
  groups.set(inside, {
    inside,
    grade: known && GRADES.indexOf(known.grade) < GRADES.indexOf(grade) ? known.grade : grade,
    flows: (known?.flows ?? 0) + flows,
    start: Math.min(known?.start ?? start, start),
    end: end === undefined || (known && known.end === undefined) ? undefined : Math.max(known?.end ?? end, end),
  });
}

function sorted(groups: ReadonlyMap<string, InsideGroup>): readonly InsideGroup[] {
  return [...groups.values()].sort((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade) || b.flows - a.flows);
}

function isAmbiguous(matches: readonly WhoHadMatch[]): boolean {
  return new Set(matches.filter(({ grade }) => grade === 'certain').map(({ inside }) => inside.address)).size > 1;
}

/** Whether flows of the time may be missing because of a gap: also of one that begins soon after, for ends are told late. */
function concerns({ from, to, incomplete, netns }: RecordGap, { span, netns: asked }: WhoHadQuestion): boolean {
  if (!incomplete || (asked !== undefined && netns !== undefined && netns !== asked)) return false;
  return from < span.to + EXPIRY_DELAY && to >= span.from;
}

function reasons(gaps: readonly RecordGap[], coverage: WhoHadAnswer['coverage'], span: Span): readonly string[] {
  const found = gaps.map(
    ({ reason, from, to, note }) =>
      `${reason} from ${formatMoment(from)} to ${to === Infinity ? 'now' : formatMoment(to)}${note ? ` (${note})` : ''}`,
  );
  if (span.from < coverage.from) found.push(`the record begins at ${formatMoment(coverage.from)}`);
  if (span.to > coverage.to + 1) found.push(`the record goes up to ${formatMoment(coverage.to)}`);
  return found;
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

/** Whether flows may be translated several times on this host: it has namespaces or zones. */
function isLayered({ segments, last }: DirectoryState, matches: readonly WhoHadMatch[]): boolean {
  return last?.zones || segments.some(({ namespaces }) => namespaces.size > 0) || matches.some(({ zone }) => zone !== undefined);
}

/** Where an inside address is the outside one of a flow in another namespace or zone, the one who had that, and so on. */
async function follow(
  directory: RecordDirectory,
  matches: readonly WhoHadMatch[],
  question: WhoHadQuestion,
  now: () => number,
): Promise<readonly (readonly TranslationHop[])[]> {
  const addressOf = (text: string) => parseAddress(text)!;
  const chains = matches
    .slice(0, MOST_FOLLOWED)
    .map(({ inside, zone, netns }) => ({ at: [{ inside, zone, netns }], hops: [] as TranslationHop[] }));
  const reader = new PastFlowReader();
  const span = question.span;
  for (let hop = 0; hop < MOST_HOPS; hop++) {
    const open = chains.filter(({ at, hops }) => hops.length === hop && at[hop]!.inside.port !== undefined);
    if (open.length === 0) break;
    const addresses = open.map(({ at }) => addressOf(at[hop]!.inside.address));
    const conditions = open.map(({ at }, n) =>
      all([within('ext', spansOf({ address: addresses[n]! })), equals('eport', at[hop]!.inside.port!)]),
    );
    const sql = any(conditions);
    const indexes = conditions.map((condition) => ({ index: 'flow_ext', ...condition, only: condition.values }));
    const rows = searchFlows(
      directory,
      { plan: { flow: sql, open: sql, indexes }, span, everBefore: true },
      (found, view): PastFlow | undefined => (gradeOf(found, span, 0, 0) ? reader.read(found, view()) : undefined),
      { now },
    );
    for await (const batch of rows)
      for (const past of batch) {
        if (!past) continue;
        const { original, reply, zone: both } = past.flow;
        const zone = both ?? original.zone ?? reply.zone;
        const { netns } = past;
        const outside = endOf(reply, 'dst');
        for (const { at, hops } of open) {
          const last = at[hop]!;
          const isNext = outside.address === last.inside.address && outside.port === last.inside.port;
          const elsewhere = at.every((place) => place.zone !== zone || place.netns !== netns);
          if (hops.length > hop || !isNext || !elsewhere) continue;
          const inside = endOf(original, 'src');
          hops.push({ inside, outside, zone, netns });
          at.push({ inside, zone, netns });
        }
      }
  }
  return chains.map(({ hops }) => hops);
}
