// Creates encoded flows, many in one send: decides what to send again after a refusal, and finds flows that lack their labels.

import { createFlowView } from '../../ctnetlink/view.js';
import { isMissing, KernelError } from '../../errors.js';
import type { VisitMessage } from '../../wire/answers.js';
import { EBUSY, EEXIST, ENOSPC, EOPNOTSUPP, EPERM, errnoName, errnoReason } from '../../wire/errno.js';
import type { Channel } from '../channel.js';
import { CT_GET, CT_NEW } from '../requests.js';
import type { EncodedFlows, EncodedPlace } from './encoded-flows.js';

/** The kernel's refusals of updates with values that only new flows take; EPERM for a fixed timeout. */
const FIXED_PART_ERRORS: ReadonlySet<number> = new Set([EBUSY, EOPNOTSUPP, EPERM]);

/** Unchanged, or without values that only new flows take, and perhaps without its timeout. */
type Again = 'whole' | 'with timeout' | 'without timeout';

/**
 * How to send a flow that may exist again after a refusal, if that can help. EEXIST: the flow did not exist, and then did; it may be just
 * ending, because the kernel considers a flow gone a moment before its place is free.
 */
function howAgain({ errno }: KernelError): Again | undefined {
  if (errno === EEXIST) return 'whole';
  if (!FIXED_PART_ERRORS.has(errno)) return undefined;
  return errno === EPERM ? 'without timeout' : 'with timeout';
}

/**
 * Creates many flows in one send. `failed` gets each refusal with the flow's index; the others are in the table, but those that
 * `unlabelled` gets lack their labels.
 * A flow that exists and may be updated, but not in its NAT, status, helper, master or fixed timeout, gets the rest of its values.
 * @returns how many flows got only that
 */
export async function createEncoded(
  channel: Channel,
  flows: EncodedFlows,
  failed: (index: number, error: KernelError) => void,
  unlabelled: (index: number) => void,
  background: boolean,
): Promise<number> {
  let partly = 0;
  let again: (readonly [index: number, how: Again])[] = [];
  const done = new Set<number>();
  const refused = (index: number, error: KernelError) => {
    done.add(index);
    const how = flows.mayExist(index) ? howAgain(error) : undefined;
    if (error.errno === ENOSPC && flows.hasLabels(index)) unlabelled(index);
    else if (how) again.push([index, how]);
    else failed(index, error);
  };
  await channel.sendEncoded(CT_NEW, flows, refused, background);
  const created = Array.from({ length: flows.count }, (_, index) => index).filter((index) => !done.has(index));
  // Flows that are sent again completely may be refused once more, in part.
  while (again.length > 0) {
    const sent = again;
    again = [];
    for (const [index, how] of sent) {
      const { family, flags, put } = how === 'whole' ? flows.single(index) : flows.withoutFixedParts(index, how);
      channel.addToBatch(CT_NEW, how === 'whole' ? flags : 0, family, put);
    }
    const others = new Map(sent);
    const refusedAgain = (i: number, error: KernelError) => {
      const [index, how] = sent[i]!;
      const next = how === 'whole' ? howAgain(error) : undefined;
      if (error.errno === ENOSPC) {
        unlabelled(index);
        if (how !== 'whole') return;
      } else if (next && next !== 'whole') again.push([index, next]);
      else failed(index, error);
      others.delete(index);
    };
    await channel.sendBatch(CT_NEW, undefined, refusedAgain, background);
    for (const [index, how] of others)
      if (how === 'whole') created.push(index);
      else partly++;
  }
  await checkLabels(channel, created, (index) => ({ flows, index }), unlabelled, background);
  return partly;
}

/**
 * Creates flows from encoded batches, no more than a batch of them, in one send. `failed` gets each refusal with the flow's position; the
 * others are in the table, but those that `unlabelled` gets lack their labels.
 */
export async function createPlaced(
  channel: Channel,
  places: readonly EncodedPlace[],
  failed: (position: number, error: KernelError) => void,
  unlabelled: (position: number) => void,
  background: boolean,
): Promise<void> {
  for (const { flows, index } of places) {
    const { family, flags, put } = flows.single(index);
    channel.addToBatch(CT_NEW, flags, family, put);
  }
  const created = new Set(places.keys());
  const refused = (position: number, error: KernelError) => {
    created.delete(position);
    if (error.errno === ENOSPC) unlabelled(position);
    else failed(position, error);
  };
  await channel.sendBatch(CT_NEW, undefined, refused, background);
  await checkLabels(channel, [...created], (position) => places[position]!, unlabelled, background);
}

/**
 * Reads the flows that should have labels: if no ruleset uses labels, the kernel gives new flows none, and does not say so. `unlabelled`
 * gets those that lack theirs.
 */
async function checkLabels(
  channel: Channel,
  created: readonly number[],
  placeOf: (one: number) => EncodedPlace,
  unlabelled: (one: number) => void,
  background: boolean,
): Promise<void> {
  const asked = created.filter((one) => {
    const { flows, index } = placeOf(one);
    return flows.hasLabels(index);
  });
  for (const one of asked) {
    const { flows, index } = placeOf(one);
    const { family, put } = flows.single(index);
    channel.addToBatch(CT_GET, 0, family, put);
  }
  const view = createFlowView();
  const visit: VisitMessage = (bytes, at, end, i) => {
    view.decode(bytes, at, end);
    const { flows, index } = placeOf(asked[i]!);
    if (!flows.labelled(index, view)) unlabelled(asked[i]!);
  };
  const ended = (_: number, error: KernelError) => {
    if (!isMissing(error)) throw error; // else it has ended by itself
  };
  await channel.sendBatch(CT_GET, visit, ended, background);
}

/** The error with which the kernel refuses labels for an existing flow. New flows it silently creates without labels. */
export function noLabelRoom(): KernelError {
  return new KernelError(CT_NEW.name, ENOSPC, errnoName(ENOSPC), errnoReason(ENOSPC));
}
