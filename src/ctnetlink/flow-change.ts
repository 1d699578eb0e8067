// FlowChange: the new values of an update, for any number of flows, and its attributes for one of them. Source: docs/behaviour.md 4.7,
// docs/kernel.md 2.2, 3.4, 3.5.

import { host32, putHost32 } from '../wire/bytes.js';
import type { MessageWriter } from '../wire/message.js';
import { putKeyOf } from './encode.js';
import { ORIGINAL, S, T } from './fields.js';
import { LABEL_BITS, type ProtocolState, putProtocol, type TcpFlags } from './flow-spec.js';
import { dccp } from './protocols/dccp.js';
import { sctp } from './protocols/sctp.js';
import { TCP_STATES, type TcpState, tcp } from './protocols/tcp.js';
import { CTA_LABELS, CTA_LABELS_MASK, CTA_MARK, CTA_MARK_MASK, CTA_STATUS, CTA_TIMEOUT } from './uapi/nfnetlink-conntrack.js';
import type { View } from './view.js';

/** New values; absent members stay unchanged. */
export interface FlowChange {
  /** Seconds; 0 ends the flow. */
  readonly timeout?: number | undefined;
  /** `new = (old & ~mask) ^ value`, computed by the kernel at the moment of the change. */
  readonly mark?: { readonly value: number; readonly mask: number } | undefined;
  /** Status bits to set. None can be cleared. */
  readonly status?: number | undefined;
  /** State of the protocol's tracker, as a kernel number, for flows of `protonum`. */
  readonly state?: number | undefined;
  /** The protocol to which `state` belongs. */
  readonly protonum?: number | undefined;
  /** SCTP verification tags; if absent, those of the flow. */
  readonly vtagOriginal?: number | undefined;
  readonly vtagReply?: number | undefined;
  /** Label bits to set and to clear; the others stay. */
  readonly labelsSet?: readonly number[] | undefined;
  readonly labelsClear?: readonly number[] | 'all' | undefined;
}

/** Whether the flow in the view would differ afterwards. */
export function changesFlow(view: View, change: FlowChange): boolean {
  const { timeout, mark, status, state, vtagOriginal, vtagReply } = change;
  if (timeout !== undefined && !(view.has(S.timeout) && view.be32(S.timeout) === timeout)) return true;
  if (mark && newMark(view.be32(S.mark), mark.value, mark.mask) !== view.be32(S.mark)) return true;
  if (status !== undefined && (view.be32(S.status) & status) !== status) return true;
  if (state !== undefined && view.u8(stateSlot(change.protonum)) !== state) return true;
  if (vtagOriginal !== undefined && view.be32(S.sctpVtagOriginal) !== vtagOriginal) return true;
  if (vtagReply !== undefined && view.be32(S.sctpVtagReply) !== vtagReply) return true;
  return changesLabels(view, change);
}

/** Appends the key of the flow in the view, and the changes. */
export function putFlowChange(message: MessageWriter, view: View, change: FlowChange): void {
  putKeyOf(message, view);
  if (change.status !== undefined) message.be32(CTA_STATUS, (view.be32(S.status) | change.status) >>> 0);
  if (change.timeout !== undefined) message.be32(CTA_TIMEOUT, change.timeout);
  if (change.mark) {
    message.be32(CTA_MARK, change.mark.value);
    message.be32(CTA_MARK_MASK, change.mark.mask);
  }
  const protocol = protocolState(view, change);
  if (protocol) putProtocol(message, protocol);
  if (changesLabels(view, change)) {
    message.raw(CTA_LABELS, labelBytes(change.labelsSet ?? []));
    message.raw(CTA_LABELS_MASK, labelMask(change));
  }
}

function newMark(old: number, value: number, mask: number): number {
  return ((old & ~mask) ^ value) >>> 0;
}

function stateSlot(protonum: number | undefined): number {
  if (protonum === sctp.number) return S[sctp.state];
  return protonum === dccp.number ? S[dccp.state] : S[tcp.state];
}

function changesLabels(view: View, { labelsSet = [], labelsClear = [] }: FlowChange): boolean {
  const has = (bit: number) => ((view.labelWord(S.labels, bit >> 5) >>> (bit & 31)) & 1) === 1;
  if (labelsClear === 'all') return view.has(S.labels);
  return labelsSet.some((bit) => !has(bit)) || labelsClear.some(has);
}

function labelMask({ labelsSet = [], labelsClear = [] }: FlowChange): Uint8Array {
  if (labelsClear === 'all') return new Uint8Array(LABEL_BITS / 8).fill(0xff);
  return labelBytes([...labelsSet, ...labelsClear]);
}

/** Label bits as the bytes of CTA_LABELS, 16 for all bits that kernels store: bit n in host-order word n / 32. */
export function labelBytes(bits: readonly number[], size = LABEL_BITS / 8): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const bit of bits) {
    const word = (bit >> 5) * 4;
    putHost32(bytes, word, host32(bytes, word) | (1 << (bit & 31)));
  }
  return bytes;
}

/** Whether the flow in the view has the labels that CTA_LABELS and its mask ask for. */
export function hasLabels(view: View, labels: Uint8Array, mask: Uint8Array | undefined): boolean {
  for (let word = 0; 4 * word < labels.length; word++) {
    const bits = mask ? host32(mask, 4 * word) : -1;
    if ((view.labelWord(S.labels, word) & bits) !== (host32(labels, 4 * word) & bits)) return false;
  }
  return true;
}

function protocolState(view: View, change: FlowChange): ProtocolState | undefined {
  const { state, vtagOriginal, vtagReply } = change;
  const protonum = view.u8(ORIGINAL + T.protonum);
  if (state === undefined && vtagOriginal === undefined && vtagReply === undefined) return undefined;
  if (protonum === tcp.number && state !== undefined) return { tcp: tcpState(state) };
  if (protonum === dccp.number) return { dccp: { state, role: view.u8(S.dccpRole) } };
  if (protonum !== sctp.number) return undefined;
  // The kernel requires all three.
  return {
    sctp: {
      state: state ?? view.u8(S.sctpState),
      vtagOriginal: vtagOriginal ?? view.be32(S.sctpVtagOriginal),
      vtagReply: vtagReply ?? view.be32(S.sctpVtagReply),
    },
  };
}

/**
 * A TCP state set by hand, with flags that keep the tracker from checking later packets against windows that it never saw: SACK permitted
 * and liberal, and for closing states that a FIN was sent. Source: docs/behaviour.md 4.6.
 */
export function tcpState(state: number): NonNullable<ProtocolState['tcp']> {
  const flags = SACK_PERM | BE_LIBERAL | (CLOSING_STATES.has(state) ? CLOSE_INIT : 0);
  const both = { flags, mask: flags };
  return { state, flagsOriginal: both, flagsReply: both };
}

/** The original tracker flags, not those that suit an entry made by hand. */
export function exactTcpFlags(flags = 0): TcpFlags {
  return { flags, mask: 0xff };
}

// IP_CT_TCP_FLAG_* of linux/netfilter/nf_conntrack_tcp.h.
const SACK_PERM = 0x02;
const CLOSE_INIT = 0x04;
const BE_LIBERAL = 0x08;
const CLOSING_STATES: ReadonlySet<number> = new Set(
  ['TIME_WAIT', 'CLOSE', 'SYN_SENT2'].map((s) => TCP_STATES.indexOf(s as TcpState)),
);
