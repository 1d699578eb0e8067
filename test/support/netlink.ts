// Puts entries and expectations into the kernel byte by byte, for set-up only: this can create what neither the reference nor the tool
// under test can (helpers, every protocol state, flags). It is independent of src/ on purpose. Source: docs/kernel.md 2 and 3.

import { AF_INET, AF_INET6, AF_NETLINK, addressBytes, libc, NETLINK_NETFILTER, SOCK_CLOEXEC, SOCK_RAW } from './libc.js';

export const IPS_EXPECTED = 0x1;
export const IPS_SEEN_REPLY = 0x2;
export const IPS_ASSURED = 0x4;
export const IPS_CONFIRMED = 0x8;
export const IPS_FIXED_TIMEOUT = 0x400;

/** Numbers of `CTA_PROTOINFO_TCP_STATE` and `CTA_PROTOINFO_SCTP_STATE`. */
export const TCP = {
  NONE: 0,
  SYN_SENT: 1,
  SYN_RECV: 2,
  ESTABLISHED: 3,
  FIN_WAIT: 4,
  CLOSE_WAIT: 5,
  LAST_ACK: 6,
  TIME_WAIT: 7,
  CLOSE: 8,
  SYN_SENT2: 9,
} as const;
export const SCTP = {
  NONE: 0,
  CLOSED: 1,
  COOKIE_WAIT: 2,
  COOKIE_ECHOED: 3,
  ESTABLISHED: 4,
  SHUTDOWN_SENT: 5,
  SHUTDOWN_RECD: 6,
  SHUTDOWN_ACK_SENT: 7,
  HEARTBEAT_SENT: 8,
} as const;

/** One side of an entry. Ports stand for GRE keys too; `icmp` is type, code, id. */
export interface Side {
  src: string;
  dst: string;
  sport?: number;
  dport?: number;
  icmp?: readonly [type: number, code: number, id: number];
  zone?: number;
}

/** What `IPCTNL_MSG_CT_NEW` needs to create an entry. `reply` is derived when absent. */
export interface NewFlow {
  proto: number;
  original: Side;
  reply?: Side;
  timeout: number;
  status?: number;
  mark?: number;
  zone?: number;
  labels?: readonly number[];
  helper?: string;
  tcpState?: number;
  /** Of both directions, value and mask. Default: SACK permitted, liberal windows. */
  tcpFlags?: number;
  sctp?: { state: number; originalTag: number; replyTag: number };
  dccp?: { state: number; role: number };
  sourceNat?: { address: string; port?: number };
  destinationNat?: { address: string; port?: number };
}

/** What `IPCTNL_MSG_EXP_NEW` needs. `master` is the original tuple of an entry with a helper. */
export interface NewExpectation {
  proto: number;
  master: { proto: number; side: Side };
  tuple: Side;
  mask: Side;
  timeout: number;
  class?: number;
  flags?: number;
  zone?: number;
}

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLA_F_NESTED = 0x8000;

/** One attribute with its header and padding. */
export function attribute(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + payload.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, payload, Buffer.alloc((4 - (payload.length % 4)) % 4)]);
}

/** Attributes within one. */
export const nest = (type: number, ...parts: Buffer[]) => attribute(type | NLA_F_NESTED, Buffer.concat(parts));
const u8 = (type: number, value: number) => attribute(type, Buffer.from([value]));
const string = (type: number, value: string) => attribute(type, Buffer.from(`${value}\0`));
/** 16 bits in network order. */
export function be16(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return attribute(type, bytes);
}
/** 32 bits in network order. */
export function be32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attribute(type, bytes);
}

/** nlmsghdr and nfgenmsg around the attributes. */
export function message(type: number, flags: number, family: number, ...attributes: Buffer[]): Buffer {
  const body = Buffer.concat(attributes);
  const header = Buffer.alloc(20);
  header.writeUInt32LE(20 + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(1, 8);
  header[16] = family;
  return Buffer.concat([header, body]);
}

const familyOf = (side: Side) => (side.src.includes(':') ? AF_INET6 : AF_INET);

/** A tuple attribute with all of a side. */
export function tuple(type: number, proto: number, side: Side): Buffer {
  const v6 = familyOf(side) === AF_INET6;
  const ip = nest(1, attribute(v6 ? 3 : 1, addressBytes(side.src)), attribute(v6 ? 4 : 2, addressBytes(side.dst)));
  const parts = [u8(1, proto)];
  if (side.icmp !== undefined) {
    const [kind, code, id] = side.icmp;
    const base = v6 ? 7 : 4;
    parts.push(be16(base, id), u8(base + 1, kind), u8(base + 2, code));
  }
  if (side.sport !== undefined) parts.push(be16(2, side.sport));
  if (side.dport !== undefined) parts.push(be16(3, side.dport));
  const zone = side.zone === undefined ? [] : [be16(3, side.zone)];
  return nest(type, ip, nest(2, ...parts), ...zone);
}

const ICMP_REPLY: Readonly<Record<number, number>> = {
  8: 0,
  0: 8,
  13: 14,
  14: 13,
  15: 16,
  16: 15,
  17: 18,
  18: 17,
  128: 129,
  129: 128,
  139: 140,
  140: 139,
};

/** The untranslated reply of a tuple. */
export function invert(side: Side): Side {
  const inverted: Side = { src: side.dst, dst: side.src };
  if (side.sport !== undefined) inverted.dport = side.sport;
  if (side.dport !== undefined) inverted.sport = side.dport;
  if (side.icmp !== undefined) inverted.icmp = [ICMP_REPLY[side.icmp[0]] ?? side.icmp[0], side.icmp[1], side.icmp[2]];
  return inverted;
}

function nat(type: number, { address, port }: { address: string; port?: number }): Buffer {
  const proto = port === undefined ? [] : [nest(3, be16(1, port))];
  return nest(type, attribute(address.includes(':') ? 4 : 1, addressBytes(address)), ...proto);
}

function labelWords(bits: readonly number[]): Buffer {
  const words = Buffer.alloc(16);
  for (const bit of bits) words.writeUInt32LE((words.readUInt32LE((bit >> 5) * 4) | (1 << (bit & 31))) >>> 0, (bit >> 5) * 4);
  return words;
}

type ProtocolInfo = Pick<NewFlow, 'tcpState' | 'tcpFlags' | 'sctp' | 'dccp'>;

function protocolInfo({ tcpState, tcpFlags = 0x0a, sctp, dccp }: ProtocolInfo): Buffer[] {
  const flags = Buffer.from([tcpFlags, tcpFlags]);
  return [
    ...(tcpState === undefined ? [] : [nest(4, nest(1, u8(1, tcpState), attribute(4, flags), attribute(5, flags)))]),
    ...(sctp === undefined ? [] : [nest(4, nest(3, u8(1, sctp.state), be32(2, sctp.originalTag), be32(3, sctp.replyTag)))]),
    ...(dccp === undefined ? [] : [nest(4, nest(2, u8(1, dccp.state), u8(2, dccp.role)))]),
  ];
}

/** A request that creates one entry, exclusively. */
export function newFlow(flow: NewFlow): Buffer {
  const parts = [tuple(1, flow.proto, flow.original), tuple(2, flow.proto, flow.reply ?? invert(flow.original))];
  if (flow.helper !== undefined) parts.push(nest(5, string(1, flow.helper)));
  parts.push(be32(7, flow.timeout), be32(3, (flow.status ?? 0) | IPS_CONFIRMED));
  parts.push(...protocolInfo(flow));
  if (flow.mark !== undefined) parts.push(be32(8, flow.mark));
  if (flow.zone !== undefined) parts.push(be16(18, flow.zone));
  if (flow.sourceNat !== undefined) parts.push(nat(6, flow.sourceNat));
  if (flow.destinationNat !== undefined) parts.push(nat(13, flow.destinationNat));
  if (flow.labels !== undefined) parts.push(attribute(22, labelWords(flow.labels)));
  return message(0x100, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, familyOf(flow.original), ...parts);
}

/** New values for an existing entry. */
export interface FlowUpdate extends Pick<NewFlow, 'status' | 'mark' | 'tcpState' | 'tcpFlags' | 'sctp'> {
  readonly timeout?: number | undefined;
  /** Bits to set, and all bits whose value is given: every bit by default. */
  readonly labels?: { readonly set: readonly number[]; readonly touched?: readonly number[] };
}

/** A request that updates one entry, named by its original tuple and its zone. */
export function updateFlow({ proto, original, zone }: Pick<NewFlow, 'proto' | 'original' | 'zone'>, update: FlowUpdate): Buffer {
  const { timeout, status, mark, labels } = update;
  const parts = [tuple(1, proto, original), ...protocolInfo(update)];
  if (timeout !== undefined) parts.push(be32(7, timeout));
  if (status !== undefined) parts.push(be32(3, status | IPS_CONFIRMED));
  if (mark !== undefined) parts.push(be32(8, mark));
  if (zone !== undefined) parts.push(be16(18, zone));
  if (labels !== undefined) parts.push(attribute(22, labelWords(labels.set)));
  if (labels?.touched !== undefined) parts.push(attribute(23, labelWords(labels.touched)));
  return message(0x100, NLM_F_REQUEST | NLM_F_ACK, familyOf(original), ...parts);
}

/** A request that deletes one entry. */
export function deleteFlow(flow: NewFlow): Buffer {
  const zone = flow.zone === undefined ? [] : [be16(18, flow.zone)];
  return message(0x102, NLM_F_REQUEST | NLM_F_ACK, familyOf(flow.original), tuple(1, flow.proto, flow.original), ...zone);
}

/** A request that deletes one expectation. */
export function deleteExpectation({ proto, tuple: side }: NewExpectation): Buffer {
  return message(0x202, NLM_F_REQUEST | NLM_F_ACK, familyOf(side), tuple(2, proto, side));
}

/** A request that deletes all entries. */
export const FLUSH = message(0x102, NLM_F_REQUEST | NLM_F_ACK, 0);

/** Requests that create one expectation, exclusively, and then set its timeout, which the kernel ignores at first. */
export function newExpectation(expectation: NewExpectation): Buffer[] {
  const { proto } = expectation;
  const parts = [
    tuple(1, expectation.master.proto, expectation.master.side),
    tuple(2, proto, expectation.tuple),
    tuple(3, proto, expectation.mask),
    be32(4, expectation.timeout),
  ];
  if (expectation.zone !== undefined) parts.push(be16(7, expectation.zone));
  if (expectation.flags !== undefined) parts.push(be32(8, expectation.flags));
  if (expectation.class !== undefined) parts.push(be32(9, expectation.class));
  const family = familyOf(expectation.tuple);
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
  return [message(0x200, flags | NLM_F_EXCL, family, ...parts), message(0x200, flags, family, ...parts)];
}

/** Sends requests one by one in the caller's network namespace. @returns each one's errno, 0 for success. */
export function request(messages: readonly Buffer[]): number[] {
  const fd = openRequester();
  try {
    return requestBy(fd, messages);
  } finally {
    libc().close(fd);
  }
}

/** Of a request that starts a dump. */
export const DUMP_FLAGS = 0x301;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

/** Every message of the dump that a GET request starts. */
export function dump(type: number): Buffer[] {
  return dumpBy(message(type, DUMP_FLAGS, 0));
}

/** Every message of the dump that this request starts. @throws Error with `errno N` when the kernel refuses it */
export function dumpBy(bytes: Buffer): Buffer[] {
  const c = libc();
  const fd = c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  try {
    c.sendto(fd, bytes, bytes.length, 0, KERNEL, KERNEL.length);
    const messages: Buffer[] = [];
    for (const answer = Buffer.alloc(65536); ; ) {
      const length = c.recv(fd, answer, answer.length, 0);
      for (let at = 0; at < length; ) {
        const size = answer.readUInt32LE(at);
        const kind = answer.readUInt16LE(at + 4);
        if (kind === NLMSG_DONE) return messages;
        if (kind === NLMSG_ERROR)
          throw new Error(`dump of 0x${bytes.readUInt16LE(4).toString(16)}: errno ${0 - answer.readInt32LE(at + 16)}`);
        messages.push(Buffer.from(answer.subarray(at, at + size)));
        at += (size + 3) & ~3;
      }
    }
  } finally {
    c.close(fd);
  }
}

/** A socket for `requestBy`. As long as it is open, events say whose it is. */
export function openRequester(): number {
  return libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
}

/** As `request`, from an existing socket. */
export function requestBy(fd: number, messages: readonly Buffer[]): number[] {
  const c = libc();
  return messages.map((bytes) => {
    c.sendto(fd, bytes, bytes.length, 0, KERNEL, KERNEL.length);
    const answer = Buffer.alloc(8192);
    const length = c.recv(fd, answer, answer.length, 0);
    if (length < 20 || answer.readUInt16LE(4) !== 2)
      throw new Error(`no acknowledgement: ${answer.subarray(0, length).toString('hex')}`);
    return 0 - answer.readInt32LE(16);
  });
}

/** Sends a message whose answer is of no interest. */
export function sendBy(fd: number, bytes: Buffer): void {
  libc().sendto(fd, bytes, bytes.length, 0, KERNEL, KERNEL.length);
}

/**
 * Binds a socket to queue 0 of the firewall, and lets packets go on that wait there. Packets' numbers begin with 1, so that nothing has to be
 * read. Source: linux/netfilter/nfnetlink_queue.h
 */
export const PACKET_QUEUE = {
  bind: [
    message(0x302, NLM_F_REQUEST | NLM_F_ACK, 0, attribute(1, Buffer.from([1, 0, 0, AF_INET]))),
    // Nothing of a packet is copied, but that it waits.
    message(0x302, NLM_F_REQUEST | NLM_F_ACK, 0, attribute(2, Buffer.from([0, 0, 0, 0, 1]))),
  ],
  release: message(0x303, NLM_F_REQUEST, 0, attribute(2, Buffer.from([0, 0, 0, 1, 0, 0, 255, 255]))),
} as const;

/** Sends requests without acknowledgement, many at a time, as fast as the kernel takes them. */
export function flood(messages: readonly Buffer[]): void {
  const fd = openRequester();
  try {
    for (let at = 0; at < messages.length; at += 200) {
      const batch = Buffer.concat(messages.slice(at, at + 200).map(withoutAck));
      libc().sendto(fd, batch, batch.length, 0, KERNEL, KERNEL.length);
    }
  } finally {
    libc().close(fd);
  }
}

function withoutAck(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16LE(copy.readUInt16LE(6) & ~NLM_F_ACK, 6);
  return copy;
}

/** struct sockaddr_nl of the kernel, of ourselves with groups, or of another socket. */
export function netlinkAddress(groups = 0, portId = 0): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(portId, 4);
  address.writeUInt32LE(groups, 8);
  return address;
}
const KERNEL = netlinkAddress();
