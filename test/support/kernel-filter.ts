// What a kernel does with the conditions of a dump request (docs/kernel.md 4, docs/kernels.md): a model of it, apart from src/, that
// reads the bytes of the request and of an entry.

import { endianness } from 'node:os';

/** What kernels differ in. */
export interface FilteringKernel {
  readonly name: string;
  /** CTA_FILTER, since 5.8. */
  readonly tuples: boolean;
  /** Since 5.15. */
  readonly status: boolean;
  /** Since 6.8. */
  readonly zone: boolean;
  /** Before 7.3 an IPv6 address selects all other entries. */
  readonly ipv6: 'inverted' | 'equal';
}

export const KERNELS: readonly FilteringKernel[] = [
  { name: '5.4', tuples: false, status: false, zone: false, ipv6: 'inverted' },
  { name: '5.10', tuples: true, status: false, zone: false, ipv6: 'inverted' },
  { name: '6.1', tuples: true, status: true, zone: false, ipv6: 'inverted' },
  { name: '6.18', tuples: true, status: true, zone: true, ipv6: 'inverted' },
  { name: '7.3', tuples: true, status: true, zone: true, ipv6: 'equal' },
];

/** Payloads by type. */
type Attributes = ReadonlyMap<number, Buffer>;

const NETLINK_HEADER = 16;
const NFNETLINK_HEADER = 4;

function host16(bytes: Buffer, at: number): number {
  return endianness() === 'LE' ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

function attributes(bytes: Buffer | undefined): Attributes {
  const found = new Map<number, Buffer>();
  for (let at = 0; bytes && at + 4 <= bytes.length; ) {
    const length = host16(bytes, at);
    found.set(host16(bytes, at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

function parse(message: Uint8Array): { readonly family: number; readonly attributes: Attributes } {
  const bytes = Buffer.from(message);
  return { family: bytes[NETLINK_HEADER]!, attributes: attributes(bytes.subarray(NETLINK_HEADER + NFNETLINK_HEADER)) };
}

function be32(bytes: Buffer | undefined, absent = 0): number {
  return bytes ? bytes.readUInt32BE(0) : absent;
}

const TUPLES = [1, 2] as const;
const [STATUS, MARK, ZONE, MARK_MASK, FILTER, STATUS_MASK] = [3, 8, 18, 21, 25, 26];
const [TCP, UDP, ICMP, ICMPV6] = [6, 17, 1, 58];
/** Flags of CTA_FILTER, the attribute of the protocol's part that each compares, and the protocols for which it does. */
const PROTOCOL_FLAGS: readonly (readonly [flag: number, attribute: number, protocols: readonly number[]])[] = [
  [0x10, 2, [TCP, UDP]],
  [0x20, 3, [TCP, UDP]],
  [0x40, 5, [ICMP]],
  [0x80, 6, [ICMP]],
  [0x100, 4, [ICMP]],
  [0x200, 8, [ICMPV6]],
  [0x400, 9, [ICMPV6]],
  [0x800, 7, [ICMPV6]],
];

/** Whether the kernel sends an entry, the message of which is given, as answer to a request for a dump. */
export function kernelSends(kernel: FilteringKernel, request: Uint8Array, entry: Uint8Array): boolean {
  const asked = parse(request);
  const has = parse(entry);
  if (asked.family !== 0 && asked.family !== has.family) return false;
  const [a, e] = [asked.attributes, has.attributes];
  if (a.has(MARK) && (be32(e.get(MARK)) & be32(a.get(MARK_MASK), 0xffffffff)) >>> 0 !== be32(a.get(MARK))) return false;
  if (kernel.status && a.has(STATUS)) {
    const mask = be32(a.get(STATUS_MASK));
    if ((be32(e.get(STATUS)) & mask) >>> 0 !== be32(a.get(STATUS))) return false;
  }
  if (kernel.zone && a.has(ZONE)) {
    const zones = [e.get(ZONE), ...TUPLES.map((tuple) => attributes(e.get(tuple)).get(3))];
    if (!zones.some((zone) => zone?.equals(a.get(ZONE)!))) return false;
  }
  if (!kernel.tuples || !a.has(FILTER)) return true;
  if (asked.family === 0) throw new Error('EOPNOTSUPP: CTA_FILTER without a family');
  return TUPLES.every((tuple) => {
    const flags = attributes(a.get(FILTER)).get(tuple);
    const bits = flags ? (endianness() === 'LE' ? flags.readUInt32LE(0) : flags.readUInt32BE(0)) : 0;
    return bits === 0 || hasMembers(kernel, bits, a.get(tuple), e.get(tuple));
  });
}

function hasMembers(kernel: FilteringKernel, bits: number, asked: Buffer | undefined, has: Buffer | undefined): boolean {
  const [askedParts, parts] = [attributes(asked), attributes(has)];
  const [askedAddresses, addresses] = [attributes(askedParts.get(1)), attributes(parts.get(1))];
  const [askedProtocol, protocol] = [attributes(askedParts.get(2)), attributes(parts.get(2))];
  const member = (from: Attributes, type: number): Buffer => {
    const value = from.get(type);
    if (!value) throw new Error(`EINVAL: member ${type} is flagged and not there`);
    return value;
  };
  for (const [flag, v4, v6] of [[0x1, 1, 3] as const, [0x2, 2, 4] as const]) {
    if ((bits & flag) === 0) continue;
    if (askedAddresses.has(v4) && !member(askedAddresses, v4).equals(addresses.get(v4)!)) return false;
    if (askedAddresses.has(v6)) {
      const equal = member(askedAddresses, v6).equals(addresses.get(v6)!);
      if (equal !== (kernel.ipv6 === 'equal')) return false;
    }
  }
  if ((bits & 0x8) === 0) {
    if ((bits & 0xff0) !== 0) throw new Error('EINVAL: members of a protocol without the protocol');
    return true;
  }
  const protonum = protocol.get(1)![0]!;
  if (member(askedProtocol, 1)[0] !== protonum) return false;
  for (const [flag, type, protocols] of PROTOCOL_FLAGS)
    if ((bits & flag) !== 0 && protocols.includes(protonum) && !member(askedProtocol, type).equals(protocol.get(type)!))
      return false;
  return true;
}
