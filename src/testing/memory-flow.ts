// MemoryFlow: one flow of a table in memory (struct nf_conn), and what lists and events contain about it. Which members each of them has:
// ctnetlink_fill_info() and ctnetlink_conntrack_event() in net/netfilter/nf_conntrack_netlink.c.

import type { Family, Flow, FlowMembers, FlowTimestamp, SeqAdj, SynproxyInfo } from '../ctnetlink/flow.js';
import { DCCP_ROLES, DCCP_STATES, dccp } from '../ctnetlink/protocols/dccp.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { SCTP_STATES, sctp } from '../ctnetlink/protocols/sctp.js';
import { TCP_STATES, tcp } from '../ctnetlink/protocols/tcp.js';
import { namesOfBits, STATUS_NAMES, type StatusName } from '../ctnetlink/status.js';
import type { Tuple } from '../ctnetlink/tuple.js';
import { IPS_CONFIRMED, IPS_DYING, IPS_SEQ_ADJUST } from '../ctnetlink/uapi/nf-conntrack-common.js';

/** The zone in which a flow is looked up: that of both directions, or of one of them while the other is in zone 0. */
export interface Zone {
  readonly id: number;
  readonly direction: 'both' | 'original' | 'reply';
}

/** The zone that a direction is in. */
export function zoneOf({ id, direction }: Zone, side: 'original' | 'reply'): number {
  return direction === 'both' || direction === side ? id : 0;
}

/** Something for each direction. */
export interface Sides<T> {
  original: T;
  reply: T;
}

/** Packets and bytes of a direction. */
export interface Counters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** What reports a flow: a list or an event. */
export type Telling = 'entry' | 'NEW' | 'UPDATE' | 'DESTROY';

/** 128 label bits, in words of 32. */
export type LabelWords = readonly [number, number, number, number];

export class MemoryFlow {
  id: number;
  readonly family: Family;
  readonly zone: Zone;
  readonly original: Tuple;
  /** NAT changes it only before the flow is in the table. */
  reply: Tuple;
  /** IPS_* bits. */
  status = IPS_CONFIRMED;
  /** When it ends, in seconds of the table's clock. */
  deadline = 0;
  mark = 0;
  /** State of the protocol's tracker, as a kernel number. */
  state = 0;
  tcpFlags: Sides<number> = { original: 0, reply: 0 };
  tcpScales: Sides<number> = { original: 0, reply: 0 };
  sctpTags: Sides<number> = { original: 0, reply: 0 };
  dccpRole = 0;
  dccpHandshake = 0n;
  /** Absent if there is no room for labels. */
  labels: LabelWords | undefined;
  helper: string | undefined;
  /** Whether it began with a helper; otherwise it can never have one. */
  hasHelperRoom = false;
  master: Tuple | undefined;
  counters: Sides<Counters> | undefined;
  /** Nanoseconds since the epoch. */
  timestamp: FlowTimestamp | undefined;
  seqAdj: Sides<SeqAdj | undefined> = { original: undefined, reply: undefined };
  synproxy: SynproxyInfo | undefined;
  /** Members that nothing here sets or reads: as a test gives them. */
  given: Partial<FlowMembers> = {};
  use = 1;

  constructor(family: Family, zone: Zone, original: Tuple, reply: Tuple, id: number) {
    this.family = family;
    this.zone = zone;
    this.original = original;
    this.reply = reply;
    this.id = id;
  }

  get protonum(): number {
    return this.original.protonum;
  }

  has(status: number): boolean {
    return (this.status & status) !== 0;
  }

  /** The flow as an object, at `now` on the table's clock, with the members that `telling` includes. */
  toFlow(telling: Telling, now: number): Omit<Flow, 'toJSON'> {
    const { protonum, zone } = this;
    const ending = telling === 'DESTROY';
    const listed = telling === 'entry';
    const timeout = this.secondsLeft(now);
    const labels = bitsOf(this.labels);
    const adjusted = !ending && this.has(IPS_SEQ_ADJUST);
    const side = (direction: 'original' | 'reply') => ({
      ...this[direction],
      zone: zone.direction === direction && zone.id !== 0 ? zone.id : undefined,
      ...(listed || ending ? this.counters?.[direction] : {}),
      seqAdj: adjusted ? this.seqAdj[direction] : undefined,
    });
    return {
      id: this.id,
      family: this.family,
      protocol: protocolByNumber(protonum).name,
      timeout: ending && timeout === 0 ? undefined : timeout,
      original: side('original'),
      reply: side('reply'),
      status: namesOfBits(STATUS_NAMES, (ending ? this.status | IPS_DYING : this.status) >>> 0) as StatusName[],
      mark: ending && this.mark === 0 ? undefined : this.mark,
      zone: zone.direction === 'both' && zone.id !== 0 ? zone.id : undefined,
      labels: ending || labels.length === 0 ? undefined : labels,
      helper: ending ? undefined : this.helper,
      master: listed || telling === 'NEW' ? this.master : undefined,
      ...(ending ? {} : this.given),
      use: listed ? this.use : undefined,
      timestamp: listed || ending ? this.timestamp : undefined,
      ...this.#tracker(ending),
      synproxy: ending ? undefined : this.synproxy,
    } as Omit<Flow, 'toJSON'>;
  }

  secondsLeft(now: number): number {
    return Math.max(0, Math.floor(this.deadline - now));
  }

  /** The data of the protocol's tracker; for a flow that ends, only its state. */
  #tracker(ending: boolean): object {
    switch (this.protonum) {
      case tcp.number:
        return {
          state: TCP_STATES[this.state],
          tcp: ending
            ? undefined
            : {
                wscaleOriginal: this.tcpScales.original,
                wscaleReply: this.tcpScales.reply,
                flagsOriginal: this.tcpFlags.original,
                flagsReply: this.tcpFlags.reply,
              },
        };
      case sctp.number: {
        const { original: vtagOriginal, reply: vtagReply } = this.sctpTags;
        return { state: SCTP_STATES[this.state], sctp: ending ? undefined : { vtagOriginal, vtagReply } };
      }
      case dccp.number: {
        const { dccpRole, dccpHandshake: handshakeSeq } = this;
        return { state: DCCP_STATES[this.state], dccp: ending ? undefined : { role: DCCP_ROLES[dccpRole], handshakeSeq } };
      }
      default:
        return {};
    }
  }
}

function bitsOf(words: LabelWords | undefined): number[] {
  const bits: number[] = [];
  words?.forEach((word, index) => {
    for (let bit = 0; bit < 32; bit++) if ((word >>> bit) & 1) bits.push(index * 32 + bit);
  });
  return bits;
}
