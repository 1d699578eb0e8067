// Reads requests as the kernel does: with the field rows of flows and expectations, and rows that only requests have. Source:
// ctnetlink_parse_tuple_filter(), ctnetlink_parse_zone() in net/netfilter/nf_conntrack_netlink.c.

import { AddressTexts } from '../ctnetlink/address-texts.js';
import { X } from '../ctnetlink/expectation-fields.js';
import { type Direction, flowFields, REPLY, S, T, TUPLE_SIZE } from '../ctnetlink/fields.js';
import type { Family } from '../ctnetlink/flow.js';
import { compilePolicy, slotsOf } from '../ctnetlink/policy.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { Fields } from '../ctnetlink/schema.js';
import { type Tuple, toTuple } from '../ctnetlink/tuple.js';
import { inverseIcmpType } from '../ctnetlink/tuple-spec.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import {
  CTA_FILTER,
  CTA_FILTER_ORIG_FLAGS,
  CTA_FILTER_REPLY_FLAGS,
  CTA_LABELS_MASK,
  CTA_MARK_MASK,
  CTA_NAT_DST,
  CTA_NAT_PROTO,
  CTA_NAT_SRC,
  CTA_NAT_V4_MINIP,
  CTA_NAT_V6_MINIP,
  CTA_PROTONAT_PORT_MIN,
  CTA_STATUS_MASK,
  CTA_TUPLE_MASTER,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createExpectationView, View } from '../ctnetlink/view.js';
import { EINVAL, EOPNOTSUPP } from '../wire/errno.js';
import type { MessageWriter } from '../wire/message.js';
import type { Zone } from './memory-flow.js';
import { Refusal } from './netlink-answers.js';

/** Fields that only requests have. */
const requestFields = {
  markMask: { path: [CTA_MARK_MASK], kind: 'be32', doc: 'Bits of the mark that count.' },
  statusMask: { path: [CTA_STATUS_MASK], kind: 'be32', doc: 'Bits of the status that count.' },
  labelsMask: { path: [CTA_LABELS_MASK], kind: 'labels', doc: 'Labels that are changed.' },
  srcNatV4: { path: [CTA_NAT_SRC, CTA_NAT_V4_MINIP], kind: 'ipv4', doc: 'IPv4 address of a source translation.' },
  srcNatV6: { path: [CTA_NAT_SRC, CTA_NAT_V6_MINIP], kind: 'ipv6', doc: 'IPv6 address of a source translation.' },
  srcNatPort: { path: [CTA_NAT_SRC, CTA_NAT_PROTO, CTA_PROTONAT_PORT_MIN], kind: 'be16', doc: 'Port of a source translation.' },
  dstNatV4: { path: [CTA_NAT_DST, CTA_NAT_V4_MINIP], kind: 'ipv4', doc: 'IPv4 address of a destination translation.' },
  dstNatV6: { path: [CTA_NAT_DST, CTA_NAT_V6_MINIP], kind: 'ipv6', doc: 'IPv6 address of a destination translation.' },
  dstNatPort: {
    path: [CTA_NAT_DST, CTA_NAT_PROTO, CTA_PROTONAT_PORT_MIN],
    kind: 'be16',
    doc: 'Port of a destination translation.',
  },
  filterOriginal: { path: [CTA_FILTER, CTA_FILTER_ORIG_FLAGS], kind: 'labels', doc: 'Members of the original tuple that count.' },
  filterReply: { path: [CTA_FILTER, CTA_FILTER_REPLY_FLAGS], kind: 'labels', doc: 'Members of the reply tuple that count.' },
} as const satisfies Fields;

const fields = { ...flowFields, ...requestFields };

/** Slot of each field, as in `S`, and of those that only requests have. */
export const R = slotsOf(3, fields);

/** A translation to an address, and optionally to a port. */
export interface Translation {
  readonly address: string;
  readonly port: number | undefined;
}

/** The text of a string; `undefined` if it is absent. */
export function textOf(view: View, slot: number): string | undefined {
  const at = view.offset(slot);
  return view.has(slot) ? String.fromCharCode(...view.bytes.subarray(at, at + view.stringLength(slot))) : undefined;
}

/** Whether a request has CTA_FILTER. */
export function hasFilter(view: View): boolean {
  return view.has(R.filterOriginal) || view.has(R.filterReply);
}

const POLICY = compilePolicy([CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TUPLE_MASTER], fields);

/** The view for requests about flows. */
export function flowRequest(): TableRequest {
  return new TableRequest(new View(POLICY), S.zone);
}

/** As `flowRequest`, for requests about expectations. */
export function expectationRequest(): TableRequest {
  return new TableRequest(createExpectationView(), X.zone);
}

/** Requests, one after another in the same view. */
export class TableRequest {
  readonly view: View;
  readonly #zone: number;
  readonly #addresses = new AddressTexts();

  constructor(view: View, zone: number) {
    this.view = view;
    this.#zone = zone;
  }

  /** Reads the message in a writer. */
  readFrom({ bytes, length }: MessageWriter): void {
    this.view.decode(bytes, 0, length);
  }

  /** A request that names a flow must have one. @throws Refusal */
  get family(): Family {
    const { family } = this.view;
    if (family !== AF_INET && family !== AF_INET6) throw new Refusal(EOPNOTSUPP);
    return family === AF_INET ? 'ipv4' : 'ipv6';
  }

  /** Whether any member of the tuple at `base` is present. */
  hasTuple(base: Direction): boolean {
    for (let slot = base; slot < base + TUPLE_SIZE; slot++) if (this.view.has(slot)) return true;
    return false;
  }

  /** The complete tuple at `base`, without members that its protocol lacks, and without a zone. @throws Refusal */
  tuple(base: Direction): Tuple {
    const { view } = this;
    const v4 = this.family === 'ipv4';
    const addresses = view.has(base + (v4 ? T.v4Src : T.v6Src)) && view.has(base + (v4 ? T.v4Dst : T.v6Dst));
    if (!addresses || !view.has(base + T.protonum)) throw new Refusal(EINVAL);
    return completeTuple(toTuple(view, base, this.#addresses));
  }

  /** The members of the tuple at `base` that are present, for a filter. */
  partialTuple(base: Direction): Tuple {
    return toTuple(this.view, base, this.#addresses);
  }

  /** The zone in which the tuples at `bases` are looked up: that of both directions, or of one of them. @throws Refusal */
  zone(...bases: Direction[]): Zone {
    const { view } = this;
    let zone: Zone = { id: view.be16(this.#zone), direction: 'both' };
    for (const base of bases) {
      if (!view.has(base + T.tupleZone)) continue;
      if (zone.id !== 0) throw new Refusal(EINVAL);
      zone = { id: view.be16(base + T.tupleZone), direction: base === REPLY ? 'reply' : 'original' };
    }
    return zone;
  }

  /** The translation of a direction, if any. */
  translation(v4: number, v6: number, port: number): Translation | undefined {
    const { view } = this;
    const address = view.has(v4)
      ? this.#addresses.ipv4(view.bytes, view.offset(v4))
      : view.has(v6)
        ? this.#addresses.ipv6(view.bytes, view.offset(v6))
        : undefined;
    return address === undefined ? undefined : { address, port: view.has(port) ? view.be16(port) : undefined };
  }

  /** Three numbers that belong together, from `slot` on; `undefined` if none is given. @throws Refusal if only some are */
  triple(slot: number): readonly [number, number, number] | undefined {
    const { view } = this;
    const given = [slot, slot + 1, slot + 2].filter((each) => view.has(each)).length;
    if (given === 0) return undefined;
    if (given < 3) throw new Refusal(EINVAL);
    return [view.be32(slot), view.be32(slot + 1), view.be32(slot + 2)];
  }
}

/** Checks that a tuple has what its protocol needs. @throws Refusal */
function completeTuple({ src, dst, protonum, sport, dport, icmpType, icmpCode, icmpId }: Tuple): Tuple {
  switch (protocolByNumber(protonum).tuple) {
    case 'ports':
    case 'keys':
      if (sport === undefined || dport === undefined) throw new Refusal(EINVAL);
      return { src, dst, protonum, sport, dport };
    case 'icmp':
    case 'icmpv6':
      if (icmpType === undefined || icmpCode === undefined || icmpId === undefined) throw new Refusal(EINVAL);
      if (inverseIcmpType(protonum, icmpType) === undefined) throw new Refusal(EINVAL);
      return { src, dst, protonum, icmpType, icmpCode, icmpId };
    case 'none':
      return { src, dst, protonum };
  }
}
