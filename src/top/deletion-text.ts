// The result of a deletion in a sentence.

import type { DeletionResult } from '../meter/index.js';
import { count } from '../units.js';

export function deletionText({ deleted, alreadyGone, failed }: DeletionResult, cameBack?: number): string {
  const parts = [
    `deleted ${count(deleted)}`,
    ...(alreadyGone > 0 ? [`${count(alreadyGone)} already gone`] : []),
    ...(failed > 0 ? [`${count(failed)} refused`] : []),
  ];
  const back = cameBack === undefined ? '' : `; ${cameBack === 0 ? 'none' : count(cameBack)} came back within 5 s`;
  return parts.join(', ') + back;
}
