// Keys of flows in addresses: opaque for those who ask, and enough to find the same flow again, or to know that it has gone.

import type { Flow } from '../ctnetlink/flow.js';
import type { FlowKeyInput } from '../ctnetlink/new-flow.js';
import type { MeteredFlow } from '../meter/index.js';
import { WebError } from './web-error.js';

/** What a key says. */
export interface FlowKeyParts {
  readonly netns: string | undefined;
  /** Its number in the meter that made the key. */
  readonly number: number;
  readonly epoch: string;
  readonly key: FlowKeyInput;
  /** When it began, if the kernel says that: another flow may have the same id. */
  readonly start: string | undefined;
}

const LONGEST = 1024;

export function encodeKey({ flow, netns, number }: MeteredFlow, epoch: string): string {
  const { id, protocol, original, zone, timestamp } = flow;
  const { src, dst, protonum, sport, dport, icmpType, icmpCode, icmpId, zone: ownZone } = original;
  const tuple = { src, dst, protonum, sport, dport, icmpType, icmpCode, icmpId, zone: ownZone };
  const start = timestamp?.start?.toString();
  return Buffer.from(
    JSON.stringify([epoch, number, netns ?? null, start ?? null, { id, protocol, zone, original: tuple }]),
  ).toString('base64url');
}

/** Whether a text is a key. */
export function isKey(text: string): boolean {
  try {
    return decodeKey(text) !== undefined;
  } catch {
    return false;
  }
}

/** @throws WebError 404 for what is no key */
export function decodeKey(text: string): FlowKeyParts {
  try {
    if (text.length > LONGEST) throw new RangeError('too long');
    const [epoch, number, netns, start, key] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [
      string,
      number,
      string | null,
      string | null,
      FlowKeyInput,
    ];
    if (typeof epoch !== 'string' || typeof number !== 'number' || typeof key !== 'object' || key === null)
      throw new TypeError('no key');
    if ((netns !== null && typeof netns !== 'string') || (start !== null && typeof start !== 'string'))
      throw new TypeError('no key');
    return { epoch, number, netns: netns ?? undefined, start: start ?? undefined, key };
  } catch {
    throw new WebError(404, 'NOT_FOUND', 'this is no key of a flow');
  }
}

/** Whether a flow that was found by a key is the one that it names. */
export function isNamed({ start }: FlowKeyParts, flow: Flow): boolean {
  return start === undefined || flow.timestamp?.start === undefined || flow.timestamp.start.toString() === start;
}
