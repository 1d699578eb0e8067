// Where the numbers are that an entry has once, and what it means that one is absent.

import { ORIGINAL, REPLY, S, T } from '../fields.js';
import { dccp } from '../protocols/dccp.js';
import { icmp } from '../protocols/icmp.js';
import { icmpv6 } from '../protocols/icmpv6.js';
import { sctp } from '../protocols/sctp.js';
import type { NumberField } from './condition.js';

/** The place of a number, and the rules for it. */
export interface NumberRow {
  readonly slot: number;
  /** Bytes. */
  readonly size: 1 | 2 | 4;
  /**
   * Absent, it is 0; or the flow cannot have it; or the kernel did not tell, and then nothing is known. A number of one protocol is
   * not told of flows of this protocol, and flows of others cannot have it.
   */
  readonly absent: 'zero' | 'impossible' | 'unknown';
  /** The only protocol whose flows have it. */
  readonly protonum?: number;
  /** Stays the same while the flow lives. */
  readonly constant: boolean;
}

const MAX_OF_SIZE = { 1: 0xff, 2: 0xffff, 4: 0xffffffff } as const;

/** The greatest number that fits. */
export function maxOf(field: NumberField): number {
  return field === 'role' ? 1 : MAX_OF_SIZE[NUMBER_FIELDS[field].size];
}

const tuple = (slot: number, size: 1 | 2, protonum: number) =>
  ({ slot: ORIGINAL + slot, size, absent: 'impossible', protonum, constant: true }) as const;

export const NUMBER_FIELDS: Readonly<Record<NumberField, NumberRow>> = {
  protocol: { slot: ORIGINAL + T.protonum, size: 1, absent: 'impossible', constant: true },
  icmpType: tuple(T.icmpType, 1, icmp.number),
  icmpCode: tuple(T.icmpCode, 1, icmp.number),
  icmpId: tuple(T.icmpId, 2, icmp.number),
  icmpv6Type: tuple(T.icmpv6Type, 1, icmpv6.number),
  icmpv6Code: tuple(T.icmpv6Code, 1, icmpv6.number),
  icmpv6Id: tuple(T.icmpv6Id, 2, icmpv6.number),
  zone: { slot: S.zone, size: 2, absent: 'zero', constant: true },
  originalZone: { slot: ORIGINAL + T.tupleZone, size: 2, absent: 'zero', constant: true },
  replyZone: { slot: REPLY + T.tupleZone, size: 2, absent: 'zero', constant: true },
  id: { slot: S.id, size: 4, absent: 'unknown', constant: true },
  timeout: { slot: S.timeout, size: 4, absent: 'unknown', constant: false },
  use: { slot: S.use, size: 4, absent: 'unknown', constant: false },
  secmark: { slot: S.secmark, size: 4, absent: 'unknown', constant: false },
  vtagOriginal: { slot: S.sctpVtagOriginal, size: 4, absent: 'unknown', protonum: sctp.number, constant: false },
  vtagReply: { slot: S.sctpVtagReply, size: 4, absent: 'unknown', protonum: sctp.number, constant: false },
  role: { slot: S.dccpRole, size: 1, absent: 'unknown', protonum: dccp.number, constant: false },
};
