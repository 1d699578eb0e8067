// A deletion in words: the question before it, and its result in a sentence.

import type { DeletionPlan, DeletionResult, DeletionTarget, MeteredFlow } from '../meter/index.js';
import { count } from '../units.js';
import type { DeleteQuestion } from './delete-dialog.js';
import { flowLine } from './picture.js';

/** More flows than that are deleted only if somebody types their number. */
const MUST_TYPE_ABOVE = 100;

/** `shown`: the flows on the screen. */
export function deletionQuestion(
  { count: wanted, largest, warnings, target: planned }: DeletionPlan,
  target: DeletionTarget,
  shown: readonly MeteredFlow[],
  ascii: boolean,
): Omit<DeleteQuestion, 'confirmed'> {
  const one = wanted === 1 && largest[0] ? flowLine(largest[0], ascii) : undefined;
  const onScreen = new Set(shown.map(({ number }) => number));
  const hidden = 'flows' in target ? target.flows.filter(({ number }) => !onScreen.has(number)).length : 0;
  return {
    what: one ?? `${count(wanted)} flows`,
    lines: [
      ...('filter' in planned ? [`filter: ${planned.filter}`] : []),
      ...(one === undefined ? largest.map((flow) => flowLine(flow, ascii)) : []),
      ...(hidden > 0 ? [`${hidden} of them are not on the screen`] : []),
    ],
    warnings,
    count: wanted,
    mustType: wanted > MUST_TYPE_ABOVE,
  };
}

export function deletionText({ deleted, alreadyGone, failed }: DeletionResult, cameBack?: number): string {
  const parts = [
    `deleted ${count(deleted)}`,
    ...(alreadyGone > 0 ? [`${count(alreadyGone)} already gone`] : []),
    ...(failed > 0 ? [`${count(failed)} refused`] : []),
  ];
  const back = cameBack === undefined ? '' : `; ${cameBack === 0 ? 'none' : count(cameBack)} came back within 5 s`;
  return parts.join(', ') + back;
}
