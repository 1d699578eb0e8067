// Deleting and updating the flows that a filter wants: the dump goes on while batches of changes are sent on another socket.
// Every change names one complete tuple, its zone and, where the kernel heeds it, its id. Nothing here can flush.

import { copyValue, putKeyOf } from '../ctnetlink/encode.js';
import { S } from '../ctnetlink/fields.js';
import { type FlowChange, putFlowChange } from '../ctnetlink/flow-change.js';
import { CTA_ID, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_NEW } from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { isMissing, type KernelError } from '../errors.js';
import { ENOENT, ENOSPC, ETIME } from '../wire/errno.js';
import { type Channel, ctnetlink } from './channel.js';
import { BATCH_SIZE, PendingFlows } from './pending-flows.js';

/** What a change to many flows came to. `matched` is the sum of the others. */
export interface ChangeResult {
  matched: number;
  /** Deleted or updated. */
  changed: number;
  /** Went away, or made room for another flow with the same tuple, between being listed and being changed. */
  alreadyGone: number;
  /** Already had what an update asks for. */
  unchanged: number;
  /** Could not get labels: no ruleset used labels when these flows began. */
  withoutLabelRoom: number;
  /** Refused by the kernel; the first few errors tell why. */
  failed: number;
  readonly errors: KernelError[];
}

/** Errors kept in a result: enough to see what is wrong, however many flows fail. */
export const ERRORS_KEPT = 10;

export function emptyResult(): ChangeResult {
  return { matched: 0, changed: 0, alreadyGone: 0, unchanged: 0, withoutLabelRoom: 0, failed: 0, errors: [] };
}

/** Collects flows and changes them a batch at a time. */
export interface FlowChanger {
  /** Takes the flow in a borrowed view; may send a batch. */
  add(view: View): void;
  /** Sends what is left. */
  finish(): void;
}

/** Deletes flows; `deleted` gets each one as it was listed, in the order of the list. */
export function flowDeleter(channel: Channel, result: ChangeResult, deleted: (view: View) => void): FlowChanger {
  const pending = new PendingFlows();
  const flush = () => {
    const errors = new Map<number, KernelError>();
    for (let i = 0; i < pending.count; i++) {
      const view = pending.at(i);
      channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_DELETE), 0, view.family, (message) => {
        putKeyOf(message, view);
        copyValue(message, view, S.id, CTA_ID);
      });
    }
    channel.sendBatch('CT_DELETE', undefined, (index, error) => errors.set(index, error));
    for (let i = 0; i < pending.count; i++) {
      const error = errors.get(i);
      if (error) countFailure(result, error);
      else {
        result.changed++;
        deleted(pending.at(i));
      }
    }
    pending.clear();
  };
  return changer(pending, result, flush);
}

/**
 * Updates flows; `updated` gets each one as the kernel has it afterwards, in the order of the list.
 * The kernel does not look at the id of an update, so each flow is asked for again right before: one that is another by now is
 * left alone.
 */
export function flowUpdater(
  channel: Channel,
  result: ChangeResult,
  change: FlowChange,
  updated: (view: View) => void,
): FlowChanger {
  const pending = new PendingFlows();
  const answer = createFlowView();
  const flush = () => {
    const present = confirm(channel, pending, answer, result);
    const refused = new Map<number, KernelError>();
    const read = new Set<number>();
    for (const i of present) {
      const view = pending.at(i);
      channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_NEW), 0, view.family, (message) => putFlowChange(message, view, change));
      channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_GET), 0, view.family, (message) => putKeyOf(message, view));
    }
    channel.sendBatch(
      'CT_NEW',
      (bytes, at, end, index) => {
        const entry = index >> 1;
        if (refused.has(entry)) return;
        answer.decode(bytes, at, end);
        read.add(entry);
        updated(answer);
      },
      (index, error) => {
        if ((index & 1) === 0) refused.set(index >> 1, error);
      },
    );
    present.forEach((pendingIndex, entry) => {
      const error = refused.get(entry);
      if (error) countFailure(result, error);
      else {
        result.changed++;
        // Gone at once, as with a timeout of 0: shown as it was.
        if (!read.has(entry)) updated(pending.at(pendingIndex));
      }
    });
    pending.clear();
  };
  return changer(pending, result, flush);
}

/** Indexes of the pending flows that are still the same, by id. */
function confirm(channel: Channel, pending: PendingFlows, answer: View, result: ChangeResult): number[] {
  const ids: number[] = [];
  for (let i = 0; i < pending.count; i++) {
    const view = pending.at(i);
    ids.push(view.be32(S.id));
    channel.addToBatch(ctnetlink(IPCTNL_MSG_CT_GET), 0, view.family, (message) => putKeyOf(message, view));
  }
  const present: number[] = [];
  channel.sendBatch(
    'CT_GET',
    (bytes, at, end, index) => {
      answer.decode(bytes, at, end);
      if (answer.be32(S.id) === ids[index]) present.push(index);
    },
    (_, error) => {
      if (!isMissing(error)) throw error;
    },
  );
  result.alreadyGone += ids.length - present.length;
  return present;
}

function changer(pending: PendingFlows, result: ChangeResult, flush: () => void): FlowChanger {
  return {
    add(view) {
      result.matched++;
      pending.add(view);
      if (pending.count === BATCH_SIZE) flush();
    },
    finish() {
      if (pending.count > 0) flush();
    },
  };
}

/** Counts a flow that could not be changed, by what the kernel said. */
export function countFailure(result: ChangeResult, error: KernelError): void {
  if (error.errno === ENOENT || error.errno === ETIME) result.alreadyGone++;
  else if (error.errno === ENOSPC) result.withoutLabelRoom++;
  else {
    result.failed++;
    if (result.errors.length < ERRORS_KEPT) result.errors.push(error);
  }
}
