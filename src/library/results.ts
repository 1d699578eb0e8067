// Results of changes, as objects that callers keep.

import type { ConntrackError, KernelError } from '../errors.js';
import type { ChangeResult } from './flow-changes.js';
import { withHint } from './hints.js';

/** The result of deleting flows. `matched` is the sum of the next three. */
export interface DeleteResult {
  /** Flows that were to be deleted. */
  readonly matched: number;
  readonly deleted: number;
  /** Ended by themselves between being found and being deleted, or were replaced by a flow with another id, which stays. */
  readonly alreadyGone: number;
  /** Refused by the kernel; `errors` has the first few reasons. */
  readonly failed: number;
  readonly errors?: readonly KernelError[];
}

/** The result of updating flows. `matched` is the sum of the following numbers. For `updateMany`, it counts the keys that were given. */
export interface UpdateResult {
  /** Flows that were to be updated. */
  readonly matched: number;
  readonly updated: number;
  /** Ended, or were certainly replaced by another flow with the same tuple, between being found and being updated. */
  readonly alreadyGone: number;
  /** Already had the new values, and were not touched. */
  readonly unchanged: number;
  /** Could not get labels, because no ruleset used labels when these flows began. They got the other new values. */
  readonly withoutLabelRoom: number;
  /** Refused by the kernel; `errors` has the first few reasons. */
  readonly failed: number;
  readonly errors?: readonly KernelError[];
}

/** The result of creating many flows. `given` is the sum of `created` and `failed`. */
export interface CreateResult {
  readonly given: number;
  /** Created; with `mayExist`, also existing flows that were updated. */
  readonly created: number;
  /** Of `created`: existed, and kept NAT, helper, master, status or a fixed timeout, which only new flows take. */
  readonly partly: number;
  /** Of `created`: could not get their labels, because no ruleset used labels when they began. */
  readonly withoutLabelRoom: number;
  readonly failed: number;
  /** The first few refusals, with the position of the flow among those given, from 0. */
  readonly errors?: readonly { readonly index: number; readonly error: ConntrackError }[];
}

export function toDeleteResult({ matched, changed, alreadyGone, failed, errors }: ChangeResult): DeleteResult {
  return { matched, deleted: changed, alreadyGone, failed, ...errorsOf(errors) };
}

export function toUpdateResult(result: ChangeResult): UpdateResult {
  const { matched, changed, alreadyGone, unchanged, withoutLabelRoom, failed, errors } = result;
  return {
    matched,
    updated: changed,
    alreadyGone,
    unchanged,
    withoutLabelRoom,
    failed,
    ...errorsOf(errors),
  };
}

/** Absent if there are none. */
function errorsOf(errors: readonly KernelError[]): { errors?: readonly KernelError[] } {
  return errors.length > 0 ? { errors: errors.map(withHint) } : {};
}
