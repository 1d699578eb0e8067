// diagnose: snapshots of tables → what is wrong with them.

import { ValueError } from '../errors.js';
import { Conntrack, type Signal } from '../library/index.js';
import { type Namespaces, namespacesOf } from '../meter/index.js';
import { didYouMean } from '../nearest.js';
import { type Found, remedyLines } from './check-row.js';
import { ACCESS_CHECKS, CHECK_IDS, CHECKS } from './checks.js';
import { type Diagnosis, type Finding, SEVERITIES, type Unchecked } from './finding.js';
import { PART_NAMES, type PartName, type Snapshot, type SnapshotParts } from './snapshot.js';
import { refusedSnapshot, takeSnapshot } from './take-snapshot.js';

/** How to diagnose. */
export interface DiagnoseOptions {
  /** Milliseconds between the two samples, at least 500; default 2000. */
  readonly sample?: number | undefined;
  /** Ids of checks: only these, and not those. */
  readonly only?: readonly string[] | undefined;
  readonly except?: readonly string[] | undefined;
  readonly signal?: Signal | undefined;
}

/** What the command knows besides. */
export interface ExamineOptions extends DiagnoseOptions {
  readonly runtime?: SnapshotParts['runtime'];
  /** What is not read, whatever the checks want. */
  readonly without?: readonly PartName[];
}

const DEFAULT_SAMPLE = 2000;
const LEAST_SAMPLE = 500;
const MOST_SAMPLE = 86_400_000;

/**
 * What is wrong with the connection tracking of a network namespace, or of several. It only reads, and takes `sample` milliseconds and the
 * time of two lists.
 *
 * ```ts
 * const { findings } = await diagnose(conntrack);
 * for (const { severity, title } of findings) console.log(severity, title);
 * ```
 *
 * A table that may not be read is a finding; what else could not be checked is in `unchecked`.
 * @throws ValueError, ClosedError, NamespaceError, the signal's reason
 */
export function diagnose(conntrack: Namespaces, options: DiagnoseOptions = {}): Promise<Diagnosis> {
  return examine(conntrack, options);
}

/** As `diagnose`. @internal */
export async function examine(conntrack: Namespaces, options: ExamineOptions = {}): Promise<Diagnosis> {
  const { sample = DEFAULT_SAMPLE, runtime, without = [], signal } = options;
  if (!(sample >= LEAST_SAMPLE && sample <= MOST_SAMPLE))
    throw new ValueError(`sample must be from ${LEAST_SAMPLE} to ${MOST_SAMPLE} milliseconds, not ${sample}`);
  const ids = chosenIds(options);
  const wanted = CHECKS.filter(({ id }) => ids.has(id)).flatMap(({ reads, mayRead }) => [...reads, ...mayRead]);
  const parts = new Set(wanted.filter((part) => !without.includes(part)));
  const tables = namespacesOf(conntrack);
  const isOne = conntrack instanceof Conntrack;
  const take = ([name, table]: readonly [string, Conntrack]) =>
    takeSnapshot(table, { parts, sample, runtime, signal, netns: isOne ? undefined : name });
  return judge(await Promise.all(tables.map(take)), ids);
}

/** The diagnosis of a table that could not be opened; `undefined` if the error is of another kind. @internal */
export function diagnoseRefusal(error: unknown, options: DiagnoseOptions = {}): Diagnosis | undefined {
  const snapshot = refusedSnapshot(error, undefined);
  return snapshot && judge([snapshot], chosenIds(options));
}

/** @throws ValueError for a check that does not exist */
export function chosenIds({ only, except = [] }: Pick<DiagnoseOptions, 'only' | 'except'>): ReadonlySet<string> {
  for (const id of [...(only ?? []), ...except])
    if (!CHECK_IDS.includes(id))
      throw new ValueError(`there is no check '${id}'${didYouMean(id, CHECK_IDS)}`, {
        hint: 'conntrack doctor --list shows all',
      });
  const chosen = only ?? CHECK_IDS;
  return new Set(CHECK_IDS.filter((id) => chosen.includes(id) && !except.includes(id)));
}

/** What snapshots show. Pure. */
export function judge(snapshots: readonly Snapshot[], ids: ReadonlySet<string> = new Set(CHECK_IDS)): Diagnosis {
  const findings: Finding[] = [];
  const unchecked: Unchecked[] = [];
  const spoken = new Set<string>();
  for (const [i, snapshot] of snapshots.entries()) {
    const named = snapshot.netns === undefined ? {} : { netns: snapshot.netns };
    const tell = (id: string, found: Found, ofMachine: boolean) => {
      findings.push(toFinding(id, found, ofMachine ? { ...snapshot, netns: undefined } : snapshot));
      spoken.add(id);
    };
    for (const { id, kind, judge } of ACCESS_CHECKS)
      if (ids.has(id) && snapshot.refused?.kind === kind) tell(id, judge(snapshot.refused), false);
    for (const { id, reads, ofMachine, judge } of CHECKS) {
      if (!ids.has(id) || (ofMachine && i > 0)) continue;
      const reason = snapshot.refused ? 'the table cannot be read' : missingOf(snapshot, reads);
      const answer = reason === undefined ? (judge(knownParts(snapshot), snapshot.seconds) ?? []) : { unknown: reason };
      if ('unknown' in answer) {
        unchecked.push({ id, reason: answer.unknown, ...(ofMachine ? {} : named) });
        spoken.add(id);
      } else for (const found of 'severity' in answer ? [answer] : answer) tell(id, found, ofMachine);
    }
  }
  const order = (finding: Finding) => SEVERITIES.indexOf(finding.severity);
  return {
    findings: findings.sort((a, b) => order(a) - order(b)),
    fine: CHECK_IDS.filter((id) => ids.has(id) && !spoken.has(id)),
    unchecked,
    seconds: Math.max(0, ...snapshots.map(({ seconds }) => seconds)),
  };
}

/** Why a check cannot be made; `undefined` if it can. */
function missingOf({ parts }: Snapshot, reads: readonly PartName[]): string | undefined {
  for (const part of reads) {
    const reading = parts[part];
    if (!reading) return `${PART_NAMES[part]} was not read`;
    if ('unknown' in reading) return `${PART_NAMES[part]}: ${reading.unknown}`;
  }
  return undefined;
}

function knownParts({ parts }: Snapshot): Partial<SnapshotParts> {
  const known = Object.entries(parts).flatMap(([part, reading]) => ('value' in reading ? [[part, reading.value]] : []));
  return Object.fromEntries(known) as Partial<SnapshotParts>;
}

function toFinding(
  id: string,
  { severity, title, detail = [], fix = [] }: Found,
  { netns, enter }: { readonly netns?: string | undefined; readonly enter: string },
): Finding {
  return {
    id,
    severity,
    title,
    detail,
    fix: fix.flatMap((remedy) => remedyLines(remedy, enter)),
    about: `doctor.md#${id}`,
    ...(netns === undefined ? {} : { netns }),
  };
}
