// WhoHadAnswer: who used an address and port at a time, as far as records say, and how answers of several records become one.

import type { RecordQuality } from './past-flow.js';
import type { EndReason } from './record-columns.js';
import type { RecordGap } from './record-directory.js';

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
/** The most certain first. */
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

/** Matches that an answer has at most. */
export const MOST_MATCHES = 1000;

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
  const matches = [...found.values()].sort(byGrade).slice(0, MOST_MATCHES);
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
    ...(first!.question.port === undefined ? { groups: inGroupOrder(groups) } : {}),
    notes: [...new Set(answers.flatMap(({ notes }) => notes))],
    coverage: {
      from: Math.min(...answers.map(({ coverage }) => coverage.from)),
      to: Math.max(...answers.map(({ coverage }) => coverage.to)),
    },
  };
}

/**
 * What imported records say beside those of recorders: it adds matches, and takes nothing from whether these are complete.
 */
export function besides(imported: WhoHadAnswer, others: readonly WhoHadAnswer[]): WhoHadAnswer {
  if (others.length === 0) return imported;
  const { coverage } = joinAnswers(others);
  return { ...imported, complete: true, why: [], gaps: [], coverage };
}

/** The answers of several records in one. */
export function joinAnswers(answers: readonly WhoHadAnswer[]): WhoHadAnswer {
  const [first] = answers;
  if (answers.length === 1) return first!;
  const all = answers.flatMap(({ matches }) => matches).sort(byGrade);
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
    ...(first!.groups ? { groups: inGroupOrder(groups) } : {}),
    notes: [...new Set(answers.flatMap(({ notes }) => notes))],
    coverage: {
      from: Math.max(...answers.map(({ coverage }) => coverage.from)),
      to: Math.min(...answers.map(({ coverage }) => coverage.to)),
    },
  };
}

/** The most certain first. */
export function byGrade(a: { readonly grade: Grade }, b: { readonly grade: Grade }): number {
  return GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade);
}

/** What a match says of who it was. */
export function groupOf({ inside, grade, start, end }: WhoHadMatch): InsideGroup {
  return { inside: inside.address, grade, flows: 1, start, end };
}

export function addToGroups(groups: Map<string, InsideGroup>, { inside, grade, flows, start, end }: InsideGroup): void {
  const known = groups.get(inside);
  groups.set(inside, {
    inside,
    grade: known && byGrade(known, { grade }) < 0 ? known.grade : grade,
    flows: (known?.flows ?? 0) + flows,
    start: Math.min(known?.start ?? start, start),
    end: end === undefined || (known && known.end === undefined) ? undefined : Math.max(known?.end ?? end, end),
  });
}

/** The most certain first, then those with the most flows. */
export function inGroupOrder(groups: ReadonlyMap<string, InsideGroup>): readonly InsideGroup[] {
  return [...groups.values()].sort((a, b) => byGrade(a, b) || b.flows - a.flows);
}

/** Whether several had it for certain. */
export function isAmbiguous(matches: readonly WhoHadMatch[]): boolean {
  return new Set(matches.filter(({ grade }) => grade === 'certain').map(({ inside }) => inside.address)).size > 1;
}
