// Deletes and updates the flows that match a filter: the dump goes on while batches of changes are sent on another socket. Every change
// names one complete tuple, its zone and, where the kernel checks it, its id. Nothing here can flush.

import { copyValue, type FlowKey, putFlowKey, putKeyOf } from '../ctnetlink/encode.js';
import { S } from '../ctnetlink/fields.js';
import { changesFlow, type FlowChange, putFlowChange } from '../ctnetlink/flow-change.js';
import { isReplaced } from '../ctnetlink/flow-identity.js';
import { CTA_ID } from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { isMissing, type KernelError, NoAnswerError } from '../errors.js';
import { ENOENT, ENOSPC, ETIME } from '../wire/errno.js';
import type { Channel } from './channel.js';
import { BATCH_SIZE, PendingFlows } from './pending-flows.js';
import { CT_DELETE, CT_GET, CT_NEW } from './requests.js';

/** The result of changing many flows. `matched` is the sum of the others. */
export interface ChangeResult {
  matched: number;
  /** Deleted or updated. */
  changed: number;
  /** Ended, or were certainly replaced by another flow with the same tuple, between being listed and being changed. */
  alreadyGone: number;
  /** Already had the new values. */
  unchanged: number;
  /** Could not get labels: no ruleset used labels when these flows began. The kernel handles labels last, so the rest was changed. */
  withoutLabelRoom: number;
  /** Refused by the kernel; the first few errors say why. */
  failed: number;
  readonly errors: KernelError[];
}

/** Errors kept in a result: enough to see what is wrong, however many flows fail. */
export const ERRORS_KEPT = 10;

export function emptyResult(): ChangeResult {
  return { matched: 0, changed: 0, alreadyGone: 0, unchanged: 0, withoutLabelRoom: 0, failed: 0, errors: [] };
}

/** Changes the flows `from` to `to`; no more than a batch of them. */
type ChangeBatch = (flows: PendingFlows, from: number, to: number) => Promise<void>;

/** Collects flows while they are listed, and changes them a batch at a time whenever the list pauses. */
export class FlowChanger {
  readonly #result: ChangeResult;
  readonly #change: ChangeBatch;
  #collected = new PendingFlows();
  /** The flows being changed; while nothing is, the other buffer. */
  #sent = new PendingFlows();
  #changing: Promise<void> | undefined;

  constructor(result: ChangeResult, change: ChangeBatch) {
    this.#result = result;
    this.#change = change;
  }

  /** Takes the flow in a borrowed view. */
  add(view: View): void {
    this.#result.matched++;
    this.#collected.add(view);
  }

  /** Wait for it between two parts of the list: it changes the collected flows if they make up a batch. */
  pause(): Promise<void> | undefined {
    return this.#collected.count < BATCH_SIZE ? undefined : this.finish();
  }

  /** Changes what is left. */
  async finish(): Promise<void> {
    // Two lists may be read at a time, and each pauses for itself.
    while (this.#changing) await this.#changing;
    if (this.#collected.count === 0) return;
    [this.#collected, this.#sent] = [this.#sent, this.#collected];
    this.#changing = this.#changeAll(this.#sent);
    try {
      await this.#changing;
    } finally {
      this.#changing = undefined;
    }
  }

  async #changeAll(flows: PendingFlows): Promise<void> {
    for (let from = 0; from < flows.count; from += BATCH_SIZE)
      await this.#change(flows, from, Math.min(from + BATCH_SIZE, flows.count));
    flows.clear();
  }
}

/** Deletes flows; `deleted` gets each one as it was listed, in the order of the list. */
export function flowDeleter(
  channel: Channel,
  result: ChangeResult,
  deleted: (view: View) => void,
  background: boolean,
): FlowChanger {
  return new FlowChanger(result, async (flows, from, to) => {
    for (let i = from; i < to; i++) {
      const view = flows.at(i);
      channel.addToBatch(CT_DELETE, 0, view.family, (message) => {
        putKeyOf(message, view);
        copyValue(message, view, S.id, CTA_ID);
      });
    }
    const errors = new Map<number, KernelError>();
    await channel.sendBatch(CT_DELETE, undefined, (index, error) => errors.set(from + index, error), background);
    for (let i = from; i < to; i++) {
      const error = errors.get(i);
      if (error) countFailure(result, error);
      else {
        result.changed++;
        deleted(flows.at(i));
      }
    }
  });
}

/**
 * Updates flows; `updated` gets each one as the kernel has it afterwards, in the order of the list. The kernel does not check the id of
 * an update, so each flow is read again right before; one that has certainly been replaced is left alone.
 */
export function flowUpdater(
  channel: Channel,
  result: ChangeResult,
  change: FlowChange,
  updated: (view: View) => void,
  background: boolean,
): FlowChanger {
  const answer = createFlowView();

  /** Indexes of the flows that have not certainly been replaced. */
  const confirm = async (flows: PendingFlows, from: number, to: number): Promise<number[]> => {
    const ids: number[] = [];
    for (let i = from; i < to; i++) {
      const view = flows.at(i);
      ids.push(view.be32(S.id));
      channel.addToBatch(CT_GET, 0, view.family, (message) => putKeyOf(message, view));
    }
    const present: number[] = [];
    await channel.sendBatch(
      CT_GET,
      (bytes, at, end, index) => {
        answer.decode(bytes, at, end);
        if (answer.be32(S.id) === ids[index] && !isReplaced(flows.at(from + index), answer)) present.push(from + index);
      },
      (_, error) => {
        if (!isMissing(error)) throw error;
      },
      background,
    );
    result.alreadyGone += ids.length - present.length;
    return present;
  };

  return new FlowChanger(result, async (flows, from, to) => {
    const present = await confirm(flows, from, to);
    const refused = new Map<number, KernelError>();
    const read = new Set<number>();
    for (const i of present) {
      const view = flows.at(i);
      channel.addToBatch(CT_NEW, 0, view.family, (message) => putFlowChange(message, view, change));
      channel.addToBatch(CT_GET, 0, view.family, (message) => putKeyOf(message, view));
    }
    await channel.sendBatch(
      CT_NEW,
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
      background,
    );
    present.forEach((i, entry) => {
      const error = refused.get(entry);
      if (error) countFailure(result, error);
      else {
        result.changed++;
        // Gone at once, as with a timeout of 0: shown as it was.
        if (!read.has(entry)) updated(flows.at(i));
      }
    });
  });
}

/**
 * Updates flows that are named by their keys, no more than a batch of them, in the background; `changeOf` says how each. Each is read
 * first, because the kernel does not check the id of an update and takes status bits and tags as a whole.
 */
export async function updateKeys(
  channel: Channel,
  result: ChangeResult,
  keys: readonly FlowKey[],
  changeOf: (index: number) => FlowChange,
): Promise<void> {
  const answer = createFlowView();
  const changing = new PendingFlows();
  const changes: FlowChange[] = [];
  let answered = 0;
  for (const key of keys) channel.addToBatch(CT_GET, 0, key.family, (message) => putFlowKey(message, key));
  await channel.sendBatch(
    CT_GET,
    (bytes, at, end, index) => {
      answer.decode(bytes, at, end);
      answered++;
      const { id } = keys[index]!;
      const change = changeOf(index);
      if (id !== undefined && id !== answer.be32(S.id)) result.alreadyGone++;
      else if (!changesFlow(answer, change)) result.unchanged++;
      else {
        changing.add(answer);
        changes.push(change);
      }
    },
    (_, error) => {
      answered++;
      countFailure(result, error);
    },
    true,
  );
  result.matched += keys.length;
  if (answered !== keys.length) throw new NoAnswerError(`CT_GET: the kernel answered ${answered} of ${keys.length} requests`);
  changes.forEach((change, i) => {
    const view = changing.at(i);
    channel.addToBatch(CT_NEW, 0, view.family, (message) => putFlowChange(message, view, change));
  });
  let refused = 0;
  const failed = (_: number, error: KernelError) => {
    refused++;
    countFailure(result, error);
  };
  await channel.sendBatch(CT_NEW, undefined, failed, true);
  result.changed += changes.length - refused;
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
