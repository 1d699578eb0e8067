// Every field of a flow message: the rows that are not a protocol's, the protocols' rows, and their slots.
// Source: linux/netfilter/nfnetlink_conntrack.h (enum ctattr_type), docs/kernel.md 3.1.

import { compilePolicy, type Policy, slotsOf } from './policy.js';
import { dccpFields } from './protocols/dccp.js';
import { sctpFields } from './protocols/sctp.js';
import { tcpFields } from './protocols/tcp.js';
import type { Fields } from './schema.js';
import { TUPLE_SIZE } from './tuple-fields.js';
import {
  CTA_COUNTERS_BYTES,
  CTA_COUNTERS_ORIG,
  CTA_COUNTERS_PACKETS,
  CTA_COUNTERS_REPLY,
  CTA_HELP,
  CTA_HELP_INFO,
  CTA_HELP_NAME,
  CTA_ID,
  CTA_LABELS,
  CTA_MARK,
  CTA_SECCTX,
  CTA_SECCTX_NAME,
  CTA_SECMARK,
  CTA_SEQ_ADJ_ORIG,
  CTA_SEQ_ADJ_REPLY,
  CTA_SEQADJ_CORRECTION_POS,
  CTA_SEQADJ_OFFSET_AFTER,
  CTA_SEQADJ_OFFSET_BEFORE,
  CTA_STATUS,
  CTA_SYNPROXY,
  CTA_SYNPROXY_ISN,
  CTA_SYNPROXY_ITS,
  CTA_SYNPROXY_TSOFF,
  CTA_TIMEOUT,
  CTA_TIMESTAMP,
  CTA_TIMESTAMP_EVENT,
  CTA_TIMESTAMP_START,
  CTA_TIMESTAMP_STOP,
  CTA_TUPLE_MASTER,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_USE,
  CTA_ZONE,
} from './uapi/nfnetlink-conntrack.js';

export { T, TUPLE_SIZE } from './tuple-fields.js';

/** Base slot of a direction's tuple: `view.be16(ORIGINAL + T.sport)`. */
export type Direction = number;
export const ORIGINAL: Direction = 0;
export const REPLY: Direction = TUPLE_SIZE;
/** The tuple of the flow that expected this one. */
export const MASTER: Direction = 2 * TUPLE_SIZE;

export const flowFields = {
  status: { path: [CTA_STATUS], kind: 'be32', emptyIsPadding: true, doc: 'Status bits (IPS_*).' },
  ...tcpFields,
  ...dccpFields,
  ...sctpFields,
  helper: { path: [CTA_HELP, CTA_HELP_NAME], kind: 'string', doc: 'Name of the helper that reads this flow, such as ftp.' },
  helperInfo: { path: [CTA_HELP, CTA_HELP_INFO], kind: 'bytes', doc: "The helper's private data." },
  timeout: { path: [CTA_TIMEOUT], kind: 'be32', doc: 'Seconds until the entry is dropped.' },
  mark: { path: [CTA_MARK], kind: 'be32', doc: 'The ctmark.' },
  packetsOriginal: { path: [CTA_COUNTERS_ORIG, CTA_COUNTERS_PACKETS], kind: 'be64', doc: 'Packets of the original direction.' },
  bytesOriginal: { path: [CTA_COUNTERS_ORIG, CTA_COUNTERS_BYTES], kind: 'be64', doc: 'Bytes of the original direction.' },
  packetsReply: { path: [CTA_COUNTERS_REPLY, CTA_COUNTERS_PACKETS], kind: 'be64', doc: 'Packets of the reply direction.' },
  bytesReply: { path: [CTA_COUNTERS_REPLY, CTA_COUNTERS_BYTES], kind: 'be64', doc: 'Bytes of the reply direction.' },
  use: { path: [CTA_USE], kind: 'be32', doc: 'Reference count.' },
  id: { path: [CTA_ID], kind: 'be32', doc: 'Identifier of the entry: a hash, not unique over time.' },
  seqAdjOriginalPos: {
    path: [CTA_SEQ_ADJ_ORIG, CTA_SEQADJ_CORRECTION_POS],
    kind: 'be32',
    doc: 'Sequence number of the last change of length, original direction.',
  },
  seqAdjOriginalBefore: {
    path: [CTA_SEQ_ADJ_ORIG, CTA_SEQADJ_OFFSET_BEFORE],
    kind: 'be32',
    doc: 'Offset before that number, original direction.',
  },
  seqAdjOriginalAfter: {
    path: [CTA_SEQ_ADJ_ORIG, CTA_SEQADJ_OFFSET_AFTER],
    kind: 'be32',
    doc: 'Offset after that number, original direction.',
  },
  seqAdjReplyPos: {
    path: [CTA_SEQ_ADJ_REPLY, CTA_SEQADJ_CORRECTION_POS],
    kind: 'be32',
    doc: 'Sequence number of the last change of length, reply direction.',
  },
  seqAdjReplyBefore: {
    path: [CTA_SEQ_ADJ_REPLY, CTA_SEQADJ_OFFSET_BEFORE],
    kind: 'be32',
    doc: 'Offset before that number, reply direction.',
  },
  seqAdjReplyAfter: {
    path: [CTA_SEQ_ADJ_REPLY, CTA_SEQADJ_OFFSET_AFTER],
    kind: 'be32',
    doc: 'Offset after that number, reply direction.',
  },
  secmark: { path: [CTA_SECMARK], kind: 'be32', doc: 'LSM mark as a number. Obsolete: kernels since 2.6.37 send secctx.' },
  zone: { path: [CTA_ZONE], kind: 'be16', doc: 'Zone of both directions; absent means 0 or a zone per direction.' },
  secctx: { path: [CTA_SECCTX, CTA_SECCTX_NAME], kind: 'string', doc: 'LSM security context.' },
  timestampStart: {
    path: [CTA_TIMESTAMP, CTA_TIMESTAMP_START],
    kind: 'be64',
    doc: 'Start of the entry, nanoseconds since the epoch.',
  },
  timestampStop: {
    path: [CTA_TIMESTAMP, CTA_TIMESTAMP_STOP],
    kind: 'be64',
    doc: 'End of the entry, nanoseconds since the epoch.',
  },
  labels: { path: [CTA_LABELS], kind: 'labels', doc: 'Connection labels: bit n is bit n % 32 of host-order word n / 32.' },
  synproxyIsn: { path: [CTA_SYNPROXY, CTA_SYNPROXY_ISN], kind: 'be32', doc: 'Initial sequence number chosen by synproxy.' },
  synproxyIts: { path: [CTA_SYNPROXY, CTA_SYNPROXY_ITS], kind: 'be32', doc: 'Initial timestamp chosen by synproxy.' },
  synproxyTsoff: { path: [CTA_SYNPROXY, CTA_SYNPROXY_TSOFF], kind: 'be32', doc: 'Timestamp offset kept by synproxy.' },
  timestampEvent: { path: [CTA_TIMESTAMP_EVENT], kind: 'be64', doc: 'Time of the event, nanoseconds since the epoch.' },
} as const satisfies Fields;

/** Slot of each field that is not part of a tuple. */
export const S = slotsOf(3, flowFields);

/** Where a direction has what belongs to it: its tuple from `tuple` on, the others in a slot each. */
export interface DirectionRow {
  readonly name: 'original' | 'reply';
  readonly tuple: Direction;
  readonly packets: number;
  readonly bytes: number;
  /** The first of three slots. */
  readonly seqAdj: number;
}

export const ORIGINAL_SIDE: DirectionRow = {
  name: 'original',
  tuple: ORIGINAL,
  packets: S.packetsOriginal,
  bytes: S.bytesOriginal,
  seqAdj: S.seqAdjOriginalPos,
};
export const REPLY_SIDE: DirectionRow = {
  name: 'reply',
  tuple: REPLY,
  packets: S.packetsReply,
  bytes: S.bytesReply,
  seqAdj: S.seqAdjReplyPos,
};
export const DIRECTIONS = [ORIGINAL_SIDE, REPLY_SIDE] as const;

/** Compiled at its first use, and never changed: commands that read no flow do without it. */
let policy: Policy | undefined;

/** The decode policy of flow messages. */
export function flowPolicy(): Policy {
  policy ??= compilePolicy([CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TUPLE_MASTER], flowFields, [
    CTA_COUNTERS_ORIG,
    CTA_COUNTERS_REPLY,
    CTA_TIMESTAMP,
  ]);
  return policy;
}
