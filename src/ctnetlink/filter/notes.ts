// What may surprise whoever writes a filter: tests that cannot be known, cannot hold, or select more than they seem to. Notes warn and
// never fail: rules may be prepared before accounting is on.

import { AF_UNSPEC } from '../uapi/in.js';
import type { FlowCondition, FlowFilter } from './condition.js';
import { formatFlowFilter } from './format.js';
import { type Atoms, atomsOf } from './kernel-plan.js';
import { type FilterLeaf, leafFilter, type NormalFilter, toNormalForm } from './normal.js';
import { isRelease } from './release.js';

/** What is known of where a filter is used. */
export interface FilterUse {
  /** A list, a change of what is listed, or events. */
  readonly for: 'list' | 'change' | 'events';
  /** Events with a list before them, or a repair after a loss: the end of what was shown must come. */
  readonly tracked?: boolean | undefined;
  /** Only DESTROY events are asked for. */
  readonly onlyDestroy?: boolean | undefined;
  readonly sysctls?: { readonly acct?: number | undefined; readonly timestamp?: number | undefined } | undefined;
  /** Release of the kernel, such as `6.18.1`. */
  readonly kernel?: string | undefined;
}

/** What a note is about. */
export type NoteCode =
  | 'NEVER'
  | 'ALWAYS'
  | 'ACCT_OFF'
  | 'TIMESTAMP_OFF'
  | 'EVENTS_ONLY_DESTROY'
  | 'OTHER_FAMILY'
  | 'OTHER_PROTOCOLS'
  | 'KERNEL_IGNORES';

/** Something that whoever wrote the filter may not expect. */
export interface FilterNote {
  readonly code: NoteCode;
  /** The test that it is about. */
  readonly test: string;
  readonly message: string;
}

export function notesOf(filter: FlowFilter, use: FilterUse): readonly FilterNote[] {
  const notes: FilterNote[] = [];
  const normal = toNormalForm(filter);
  const note = (code: NoteCode, test: FlowFilter, message: string) => {
    const text = formatFlowFilter(test);
    if (!notes.some((known) => known.code === code && known.test === text)) notes.push({ code, test: text, message });
  };
  for (const part of conjunctionsOf(normal))
    if (!atomsOf(part)) note('NEVER', part, 'can never hold: its tests contradict each other');
  for (const part of disjunctionsOf(normal))
    if (!atomsOf({ kind: 'not', of: part }))
      note('ALWAYS', part, 'leaves no flow out: whatever one of its tests refuses, another takes');
  const atoms = atomsOf(filter);
  for (const leaf of leavesOf(normal)) {
    const { condition, wanted } = leaf;
    const test = leafFilter(leaf);
    noteSysctls(condition, test, use, note);
    if (use.for === 'events' && !use.onlyDestroy && isOfTheEnd(condition))
      note('EVENTS_ONLY_DESTROY', test, 'only DESTROY events carry this: NEW and UPDATE events are left out');
    if (wanted) continue;
    if (condition.kind === 'address' && atoms?.family === AF_UNSPEC)
      note('OTHER_FAMILY', test, 'flows of the other family are selected too; write ip and, or ip6 and, before it');
    if (condition.kind === 'port' && atoms?.protonum === undefined && use.for === 'change')
      note('OTHER_PROTOCOLS', test, 'flows without ports, such as ICMP, are selected too; write tcp and, or udp and, before it');
    if (condition.kind === 'state' && atoms?.protonum === undefined && use.for === 'change')
      note('OTHER_PROTOCOLS', test, 'flows without states, such as UDP, are selected too; write tcp and before it');
  }
  if (atoms && use.kernel !== undefined) noteKernel(use.kernel, filter, atoms, note);
  return notes;
}

type Note = (code: NoteCode, test: FlowFilter, message: string) => void;

function noteSysctls(condition: FlowCondition, test: FlowFilter, { sysctls }: FilterUse, note: Note): void {
  if (condition.kind === 'counter' && sysctls?.acct === 0)
    note('ACCT_OFF', test, 'flows that begin while net.netfilter.nf_conntrack_acct is 0 have no counters, and it is 0 now');
  if ((condition.kind === 'age' || condition.kind === 'time') && sysctls?.timestamp === 0)
    note(
      'TIMESTAMP_OFF',
      test,
      'flows that begin while net.netfilter.nf_conntrack_timestamp is 0 have no times, and it is 0 now',
    );
}

/** What the kernel tells of a flow at its end only. */
function isOfTheEnd(condition: FlowCondition): boolean {
  return condition.kind === 'counter' || condition.kind === 'age' || (condition.kind === 'time' && condition.of === 'stop');
}

function noteKernel(kernel: string, filter: FlowFilter, atoms: Atoms, note: Note): void {
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  const before = (wantedMajor: number, wantedMinor: number) => !isRelease(kernel, wantedMajor, wantedMinor);
  const slower = (what: string, since: string) =>
    note(
      'KERNEL_IGNORES',
      filter,
      `Linux ${major}.${minor} does not filter by ${what} (${since} does): the result is the same, only slower`,
    );
  if ((atoms.set | atoms.clear) !== 0 && before(5, 15)) slower('status', '5.15');
  if (atoms.zone !== 0 && before(6, 8)) slower('zone', '6.8');
  const addresses = [atoms.original.src, atoms.original.dst, atoms.reply.src, atoms.reply.dst];
  if (addresses.some((address) => address?.length === 16) && before(7, 3)) slower('IPv6 address', '7.3');
}

/** All parts that are conjunctions: the whole, and what stands in an `or`. */
function conjunctionsOf(normal: NormalFilter): readonly FlowFilter[] {
  return partsOf(normal, (part, within) => part.kind !== 'any' && (within === undefined || within === 'any'));
}

function disjunctionsOf(normal: NormalFilter): readonly FlowFilter[] {
  return partsOf(normal, (part) => part.kind === 'any' && part.of.length > 1);
}

function partsOf(
  normal: NormalFilter,
  isWanted: (part: NormalFilter, within: NormalFilter['kind'] | undefined) => boolean,
): readonly FlowFilter[] {
  const found: FlowFilter[] = [];
  const visit = (part: NormalFilter, within: NormalFilter['kind'] | undefined) => {
    if (isWanted(part, within)) found.push(toFilterAgain(part));
    if (part.kind !== 'leaf') for (const inner of part.of) visit(inner, part.kind);
  };
  visit(normal, undefined);
  return found;
}

function toFilterAgain(part: NormalFilter): FlowFilter {
  if (part.kind === 'leaf') return leafFilter(part);
  return { kind: part.kind, of: part.of.map(toFilterAgain) };
}

function leavesOf(part: NormalFilter): readonly FilterLeaf[] {
  return part.kind === 'leaf' ? [part] : part.of.flatMap(leavesOf);
}

/** Whether a filter asks for labels. */
export function asksLabels(filter: FlowFilter): boolean {
  return leavesOf(toNormalForm(filter)).some(({ condition }) => condition.kind === 'label');
}
