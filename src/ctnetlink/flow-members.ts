// The members of a flow, a row each: which fields it is made of. Objects, JSON and its schema have them in this order. What a member
// means to a program is said where its type is (flow.ts).

import type { flowFields } from './fields.js';

/** Name of a field row. */
export type FieldName = keyof typeof flowFields;

/** A member that is the value of one field, or an object of such members; one with neither has code of its own. */
export interface MemberRow {
  readonly name: string;
  readonly field?: FieldName;
  /** Members of an object, which is absent if none of them was sent. */
  readonly parts?: Readonly<Record<string, FieldName>>;
  /** The parts are three numbers in a row of slots, absent together if all are 0: the kernel sends them so if they are unused. */
  readonly triple?: true;
  /** What an object is, for the schema; a field says it itself. */
  readonly doc?: string;
  /** Only the kernel sets it: ignored in a flow to create. */
  readonly readOnly?: true;
}

export const FLOW_MEMBERS = [
  { name: 'id', field: 'id', readOnly: true },
  { name: 'family' },
  { name: 'protocol' },
  { name: 'state' },
  { name: 'timeout', field: 'timeout' },
  { name: 'original' },
  { name: 'reply' },
  { name: 'status' },
  { name: 'mark', field: 'mark' },
  { name: 'zone', field: 'zone' },
  { name: 'labels' },
  { name: 'helper', field: 'helper' },
  { name: 'helperInfo', field: 'helperInfo', readOnly: true },
  { name: 'master' },
  { name: 'secmark', field: 'secmark', readOnly: true },
  { name: 'secctx', field: 'secctx', readOnly: true },
  { name: 'use', field: 'use', readOnly: true },
  {
    name: 'timestamp',
    parts: { start: 'timestampStart', stop: 'timestampStop' },
    doc: 'Kept with sysctl net.netfilter.nf_conntrack_timestamp.',
    readOnly: true,
  },
  {
    name: 'tcp',
    parts: {
      wscaleOriginal: 'tcpWscaleOriginal',
      wscaleReply: 'tcpWscaleReply',
      flagsOriginal: 'tcpFlagsOriginal',
      flagsReply: 'tcpFlagsReply',
    },
    doc: 'TCP only.',
  },
  { name: 'sctp', parts: { vtagOriginal: 'sctpVtagOriginal', vtagReply: 'sctpVtagReply' }, doc: 'SCTP only.' },
  { name: 'dccp', parts: { role: 'dccpRole', handshakeSeq: 'dccpHandshakeSeq' }, doc: 'DCCP only.' },
  {
    name: 'synproxy',
    parts: { isn: 'synproxyIsn', its: 'synproxyIts', tsoff: 'synproxyTsoff' },
    triple: true,
    doc: 'Data of synproxy; absent if all are 0.',
  },
] as const satisfies readonly MemberRow[];

/** Three numbers that come together, as `seqAdj` of a direction and `synproxy` have them, in the order of their slots. */
export const SEQ_ADJ = ['correctionPos', 'offsetBefore', 'offsetAfter'] as const;
export const SYNPROXY = ['isn', 'its', 'tsoff'] as const;
