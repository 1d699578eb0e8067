// The part of a FlowFilter that a socket filter can do before an event takes room in the queue: family, protocol, and addresses
// and ports of the original direction, which stand at fixed offsets (docs/kernel.md 3.12, 6.6). As with kernel-plan.ts it is a
// pre-filter only: what it cannot judge it lets through, and every event is checked again.

import { be16, be32, putHost16 } from '../../wire/bytes.js';
import { NLA_F_NESTED } from '../../wire/uapi/netlink.js';
import { type AddressBytes, familyOf, prefixMask } from '../address.js';
import { AF_INET, AF_INET6 } from '../uapi/in.js';
import {
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
} from '../uapi/nfnetlink-conntrack.js';
import { BpfProgram } from './bpf.js';
import type { FlowFilter } from './condition.js';
import { requiredLeaves } from './kernel-plan.js';
import { rangesOfAddresses, single } from './sets.js';

/** nfgen_family */
const FAMILY = 16;
/** Where an attribute's type stands behind its header's beginning. */
const TYPE = 2;
/** Header of CTA_TUPLE_ORIG, the first attribute; then CTA_TUPLE_IP and its first address. */
const ORIGINAL = 20;
const IP = 24;
const SOURCE = 28;

interface Offsets {
  readonly family: number;
  /** Headers of the attributes: the values are 4 bytes behind. */
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly protonum: number;
  readonly sport: number;
  readonly dport: number;
  readonly sourceType: number;
  readonly destinationType: number;
}

const IPV4: Offsets = offsets(AF_INET, 4, CTA_IP_V4_SRC, CTA_IP_V4_DST);
const IPV6: Offsets = offsets(AF_INET6, 16, CTA_IP_V6_SRC, CTA_IP_V6_DST);

function offsets(family: number, addressSize: number, sourceType: number, destinationType: number): Offsets {
  const destination = SOURCE + 4 + addressSize;
  const protocol = destination + 4 + addressSize;
  const protonum = protocol + 4;
  return {
    family,
    source: SOURCE,
    destination,
    protocol,
    protonum,
    sport: protonum + 8,
    dport: protonum + 16,
    sourceType,
    destinationType,
  };
}

/** What the program can judge. */
type Usable =
  | { readonly kind: 'family'; readonly family: number }
  | { readonly kind: 'protocol'; readonly protonum: number }
  | { readonly kind: 'address'; readonly end: 'src' | 'dst'; readonly address: AddressBytes; readonly mask?: AddressBytes }
  | { readonly kind: 'port'; readonly end: 'src' | 'dst'; readonly port: number };

/** The socket filter for events that `filter` may want, as struct sock_filter; `undefined` when it would let everything through. */
export function eventFilter(filter: FlowFilter): Uint8Array | undefined {
  const conditions = usableOf(filter);
  if (conditions.length === 0) return undefined;
  const program = new BpfProgram();
  for (const layout of [IPV4, IPV6]) {
    program.require({ at: FAMILY, size: 1, value: layout.family }, `not ${layout.family}`);
    addFamily(program, layout, conditions);
    program.label(`not ${layout.family}`);
  }
  // Neither IPv4 nor IPv6, or not laid out as expected: the view decides.
  program.label('accept');
  program.accept();
  program.label('drop');
  program.drop();
  return program.encode();
}

function usableOf(filter: FlowFilter): Usable[] {
  const found: Usable[] = [];
  for (const { condition: c, wanted } of requiredLeaves(filter)) {
    if (!wanted) continue;
    if (c.kind === 'family') found.push(c);
    else if (c.kind === 'number' && c.field === 'protocol') {
      const protonum = single(c.ranges);
      if (protonum !== undefined) found.push({ kind: 'protocol', protonum });
    } else if ((c.kind === 'address' || c.kind === 'port') && c.ends.length === 1 && c.ends[0]!.side === 'original') {
      const { end } = c.ends[0]!;
      if (c.kind === 'port') {
        const port = single(c.ranges);
        if (port !== undefined) found.push({ kind: 'port', end, port });
      } else if (c.set.names.length + c.set.sockets.length === 0) {
        const ranges = rangesOfAddresses(c.set);
        const { masked } = c.set;
        if (ranges.length + masked.length !== 1) continue;
        const [range] = ranges;
        if (!range) found.push({ kind: 'address', end, ...masked[0]! });
        else if (range.prefix !== undefined)
          found.push({ kind: 'address', end, address: range.first, mask: prefixMask(range.prefix, range.first.length) });
      }
    }
  }
  return found;
}

/** Judges an event of one family for good. */
function addFamily(program: BpfProgram, layout: Offsets, conditions: readonly Usable[]): void {
  const family = conditions.some((c) => familyOfCondition(c) === otherFamily(layout.family));
  if (family) {
    program.jump('drop');
    return;
  }
  const isType = (header: number, type: number) =>
    program.require({ at: header + TYPE, size: 2, value: typeAsLoaded(type) }, 'accept');
  isType(ORIGINAL, CTA_TUPLE_ORIG | NLA_F_NESTED);
  isType(IP, CTA_TUPLE_IP | NLA_F_NESTED);
  isType(layout.source, layout.sourceType);
  isType(layout.destination, layout.destinationType);
  isType(layout.protocol, CTA_TUPLE_PROTO | NLA_F_NESTED);
  isType(layout.protonum, CTA_PROTO_NUM);
  for (const c of conditions) {
    if (c.kind === 'protocol') program.require({ at: layout.protonum + 4, size: 1, value: c.protonum }, 'drop');
    else if (c.kind === 'address')
      requireAddress(program, (c.end === 'src' ? layout.source : layout.destination) + 4, c.address, c.mask);
    else if (c.kind === 'port') {
      const [header, type] = c.end === 'src' ? [layout.sport, CTA_PROTO_SRC_PORT] : [layout.dport, CTA_PROTO_DST_PORT];
      isType(header, type);
      program.require({ at: header + 4, size: 2, value: c.port }, 'drop');
    }
  }
  program.jump('accept');
}

function requireAddress(program: BpfProgram, at: number, address: AddressBytes, mask: AddressBytes | undefined): void {
  for (let i = 0; i < address.length; i += 4) {
    const bits = mask ? be32(mask, i) : 0xffffffff;
    if (bits === 0) continue;
    const value = (be32(address, i) & bits) >>> 0;
    program.require({ at: at + i, size: 4, value, ...(bits === 0xffffffff ? {} : { mask: bits }) }, 'drop');
  }
}

function familyOfCondition(c: Usable): number | undefined {
  if (c.kind === 'family') return c.family;
  return c.kind === 'address' ? familyOf(c.address) : undefined;
}

function otherFamily(family: number): number {
  return family === AF_INET ? AF_INET6 : AF_INET;
}

/** Attribute types are in the host's order, but a socket filter loads network order. */
function typeAsLoaded(type: number): number {
  const bytes = new Uint8Array(2);
  putHost16(bytes, 0, type);
  return be16(bytes, 0);
}
