// What a filter means, what the kernel does of it, and what may surprise. The parts that the kernel does are filters themselves.

import { isConstant } from './compile.js';
import type { FlowFilter } from './condition.js';
import { eventProgram } from './event-program.js';
import { type FilterTextOptions, formatFlowFilter } from './format.js';
import { atomsFilter, type TupleFilter } from './kernel-plan.js';
import { kernelRequests } from './kernel-requests.js';
import { type FilterNote, type FilterUse, notesOf } from './notes.js';
import { isRelease } from './release.js';

/** An explanation of a filter. */
export interface FilterExplanation {
  /** The filter in canonical text. */
  readonly filter: string;
  /**
   * What each dump of a list asks the kernel for; all of it is checked again. None: nothing can match. A list makes one dump of all of
   * them where these would be most of the table.
   */
  readonly dumps?: readonly string[];
  /** What the filter of the event socket lets through, and how long its program is. Absent: everything comes. */
  readonly socket?: { readonly filter: string; readonly instructions: number };
  /** Whether a flow that matches once matches as long as it lives. */
  readonly constant: boolean;
  readonly notes: readonly FilterNote[];
}

export function explainFlowFilter(filter: FlowFilter, use: FilterUse, options: FilterTextOptions = {}): FilterExplanation {
  return {
    filter: formatFlowFilter(filter, options),
    ...(use.for === 'events' ? socketOf(filter, use) : { dumps: dumpsOf(filter, use) }),
    constant: isConstant(filter),
    notes: notesOf(filter, use),
  };
}

function dumpsOf(filter: FlowFilter, { kernel }: FilterUse): readonly string[] {
  const isAtLeast = (major: number, minor: number) => isRelease(kernel ?? '6.18', major, minor);
  const trusted: TupleFilter = isAtLeast(7, 3) ? 'everything' : isAtLeast(5, 8) ? 'noIpv6Address' : 'nothing';
  const requests = kernelRequests(filter, trusted, trusted !== 'nothing');
  return requests?.alternatives.map((atoms) => formatFlowFilter(atomsFilter(atoms))) ?? [];
}

function socketOf(filter: FlowFilter, { tracked }: FilterUse): Pick<FilterExplanation, 'socket'> {
  const { bytes, judged, instructions } = eventProgram(filter, { tracked: tracked ?? false });
  return bytes ? { socket: { filter: formatFlowFilter(judged), instructions } } : {};
}
