// A row of a record → the message that the kernel sent of that flow, so that predicates, writers and objects, which know messages, serve
// what is past. What was not recorded is not in the message.

import { formatIpv6 } from '../ctnetlink/address.js';
import { putTuple, type TupleSpec } from '../ctnetlink/encode.js';
import type { ProtocolState } from '../ctnetlink/flow-spec.js';
import { putProtocol } from '../ctnetlink/flow-spec.js';
import { dccp } from '../ctnetlink/protocols/dccp.js';
import { icmp } from '../ctnetlink/protocols/icmp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { sctp } from '../ctnetlink/protocols/sctp.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import { inverseIcmpType } from '../ctnetlink/tuple-spec.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import {
  CTA_COUNTERS_BYTES,
  CTA_COUNTERS_ORIG,
  CTA_COUNTERS_PACKETS,
  CTA_COUNTERS_REPLY,
  CTA_ID,
  CTA_MARK,
  CTA_STATUS,
  CTA_TIMESTAMP,
  CTA_TIMESTAMP_START,
  CTA_TIMESTAMP_STOP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { MessageWriter } from '../wire/message.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/uapi/netlink.js';
import { NFNL_SUBSYS_CTNETLINK } from '../wire/uapi/nfnetlink.js';
import type { SqliteRow, SqliteValue } from './driver/sqlite.js';
import { ORIGINAL_ONLY, REPLY_ONLY, startKindOf } from './record-columns.js';

const ENDED = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
const ALIVE = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;

/** A number of a column; `undefined` for NULL, and for what is no number, which only a damaged file has. */
export function numberIn(value: SqliteValue | undefined): number | undefined {
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined;
}

/** Whether a column has an address; only a damaged file has anything else there. */
export function isAddress(value: SqliteValue | undefined): boolean {
  return typeof value === 'number' || (value instanceof Uint8Array && value.length === 16);
}

/** The text of an address of a column; `undefined` for NULL. */
export function addressText(value: SqliteValue | undefined): string | undefined {
  if (typeof value === 'number') return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  return value instanceof Uint8Array && value.length === 16 ? formatIpv6(value, 0) : undefined;
}

/** An address of a column: 4 or 16 bytes. */
export function addressIn(value: SqliteValue | undefined): Uint8Array | undefined {
  if (typeof value === 'number') return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  return value instanceof Uint8Array && value.length === 16 ? value : undefined;
}

/** Makes views of rows, one after another in the same memory. */
export class RowMessages {
  readonly #message = new MessageWriter();
  readonly #view = createFlowView();

  /** A view of a row of `flow` or `open`, valid until the next call. */
  of(row: SqliteRow): View {
    this.#message.reset();
    putRow(this.#message, row);
    this.#view.decode(this.#message.bytes, 0, this.#message.length);
    return this.#view;
  }
}

function putRow(message: MessageWriter, row: SqliteRow): void {
  const number = (name: string) => numberIn(row[name]);
  const protonum = (number('proto') ?? 0) & 255;
  const zone = number('zone') ?? 0;
  const src = addressIn(row['src']);
  const ended = row['dur'] !== undefined;
  message.begin(ended ? ENDED : ALIVE, ended ? 0 : NLM_F_CREATE | NLM_F_EXCL, 0, src?.length === 16 ? AF_INET6 : AF_INET);
  const dst = addressIn(row['dst']);
  const [sport, dport] = [number('sport'), number('dport')];
  const responder = addressIn(row['rsrc']);
  const ownZone = (only: number) => ((zone & (ORIGINAL_ONLY | REPLY_ONLY)) === only ? { zone: zone & 0xffff } : {});
  putTuple(message, CTA_TUPLE_ORIG, { src, dst, ...layer4(protonum, sport, dport, false), ...ownZone(ORIGINAL_ONLY) });
  putTuple(message, CTA_TUPLE_REPLY, {
    src: responder ?? dst,
    dst: addressIn(row['ext']),
    ...layer4(protonum, responder ? number('rsport') : dport, number('eport'), true, dport),
    ...ownZone(REPLY_ONLY),
  });
  if (zone !== 0 && zone < ORIGINAL_ONLY) message.be16(CTA_ZONE, zone);
  message.be32(CTA_STATUS, (number('status') ?? 0) >>> 0);
  message.be32(CTA_MARK, (number('mark') ?? 0) >>> 0);
  const id = number('ctid');
  if (id !== undefined) message.be32(CTA_ID, id >>> 0);
  const state = number('state');
  const protocol = state === undefined ? undefined : protocolState(protonum, state & 255);
  if (protocol) putProtocol(message, protocol);
  putCounters(message, CTA_COUNTERS_ORIG, counterIn(row['opk']), counterIn(row['ob']));
  putCounters(message, CTA_COUNTERS_REPLY, counterIn(row['rpk']), counterIn(row['rb']));
  putTimes(message, row, ended);
  message.end();
}

/** Ports, keys, or ICMP fields of a direction: of the reply, `first` is the answer's port and `icmp` the type and code of the query. */
function layer4(
  protonum: number,
  first: number | undefined,
  second: number | undefined,
  reply: boolean,
  query: number | undefined = second,
): TupleSpec {
  if (protonum !== icmp.number && protonum !== icmpv6.number) return { protonum, sport: port(first), dport: port(second) };
  const id = reply ? second : first;
  const type = query === undefined ? undefined : (query >> 8) & 255;
  return {
    protonum,
    icmpId: port(id),
    icmpType: type === undefined ? undefined : reply ? (inverseIcmpType(protonum, type) ?? type) : type,
    icmpCode: query === undefined ? undefined : query & 255,
  };
}

function port(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value & 0xffff;
}

function protocolState(protonum: number, state: number): ProtocolState | undefined {
  switch (protonum) {
    case tcp.number:
      return { tcp: { state } };
    case sctp.number:
      return { sctp: { state } };
    case dccp.number:
      return { dccp: { state } };
    default:
      return undefined;
  }
}

/** A counter of a column, of 64 bits. Above 2^53 it comes as text, which every driver has. */
export function counterIn(value: SqliteValue | undefined): bigint | undefined {
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value)))
    return BigInt.asUintN(64, BigInt(value));
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? BigInt.asUintN(64, BigInt(value)) : undefined;
}

function putCounters(message: MessageWriter, type: number, packets: bigint | undefined, bytes: bigint | undefined): void {
  if (packets === undefined && bytes === undefined) return;
  const nest = message.nest(type);
  if (packets !== undefined) message.be64(CTA_COUNTERS_PACKETS, packets);
  if (bytes !== undefined) message.be64(CTA_COUNTERS_BYTES, bytes);
  message.endNest(nest);
}

/** When a flow began that was there before it was recorded is not known. */
function putTimes(message: MessageWriter, row: SqliteRow, ended: boolean): void {
  const start = numberIn(row['start']) ?? 0;
  const known = startKindOf(numberIn(row['how']) ?? 0) !== 'listed';
  if (!known && !ended) return;
  const nest = message.nest(CTA_TIMESTAMP);
  if (known) message.be64(CTA_TIMESTAMP_START, nanoseconds(start));
  if (ended) message.be64(CTA_TIMESTAMP_STOP, nanoseconds(start + (numberIn(row['dur']) ?? 0)));
  message.endNest(nest);
}

function nanoseconds(microseconds: number): bigint {
  return BigInt(Math.max(0, Math.trunc(microseconds))) * 1000n;
}
