// CONNTRACK_DEBUG=netlink: every message to and from the kernel, decoded, on standard error. A message is
//
//   > IPCTNL_MSG_CT_GET seq 1 flags REQUEST|ACK family 2, 52 bytes
//       CTA_TUPLE_ORIG
//         CTA_TUPLE_IP
//           CTA_IP_V4_SRC 192.0.2.1
//
// with `>` for what is sent and `<` for what is received. Attributes are shown as they lie there, known or not.

import { formatAddress } from '../ctnetlink/address.js';
import { EXPECTATION_MESSAGES, FLOW_MESSAGES, type MessageNames, type Nest } from '../ctnetlink/attribute-names.js';
import { be16, be32, be64, host16, host32, hostSigned32 } from '../wire/bytes.js';
import type { Datagrams } from '../wire/datagrams.js';
import { errnoName } from '../wire/errno.js';
import { align4, messageLength } from '../wire/message.js';
import { NetlinkSocket } from '../wire/socket.js';
import type { OpenTransport, Transport } from '../wire/transport.js';
import {
  NLA_HDRLEN,
  NLA_TYPE_MASK,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_EXCL,
  NLM_F_MULTI,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HDRLEN,
  NLMSG_MIN_TYPE,
} from '../wire/uapi/netlink.js';
import { NFNL_ATTRS, NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_CTNETLINK_EXP } from '../wire/uapi/nfnetlink.js';

type Write = (line: string) => void;

/** Opens netlink sockets whose messages are shown. */
export function traced(write: Write): OpenTransport {
  const open: OpenTransport = (options) => new TracedTransport(NetlinkSocket.open(options), write);
  return Object.assign(open, { over: NetlinkSocket.open });
}

class TracedTransport implements Transport {
  readonly #inner: Transport;
  readonly #write: Write;

  constructor(inner: Transport, write: Write) {
    this.#inner = inner;
    this.#write = write;
  }

  get portId(): number {
    return this.#inner.portId;
  }

  get receiveBuffer(): number {
    return this.#inner.receiveBuffer;
  }

  get drops(): number {
    return this.#inner.drops;
  }

  createDatagrams(slots: number, slotSize: number): Datagrams {
    return this.#inner.createDatagrams(slots, slotSize);
  }

  send(bytes: Uint8Array, length: number): void {
    traceMessages('>', bytes, 0, length, this.#write);
    this.#inner.send(bytes, length);
  }

  sendAsync(bytes: Uint8Array, length: number): Promise<void> {
    traceMessages('>', bytes, 0, length, this.#write);
    return this.#inner.sendAsync(bytes, length);
  }

  receive(into: Datagrams): number {
    return this.#received(into, this.#inner.receive(into));
  }

  async receiveAsync(into: Datagrams): Promise<number> {
    return this.#received(into, await this.#inner.receiveAsync(into));
  }

  watch(ready: (status: number) => void): ReturnType<Transport['watch']> {
    return this.#inner.watch(ready);
  }

  close(): void {
    this.#inner.close();
  }

  #received(datagrams: Datagrams, count: number): number {
    for (let i = 0; i < count; i++) {
      const start = datagrams.start(i);
      const what = datagrams.fromKernel(i) ? '<' : '< not from the kernel:';
      traceMessages(what, datagrams.bytes, start, start + datagrams.length(i), this.#write);
    }
    return count;
  }
}

/** Shows the messages from `at` to `end`. Bytes that are no message are shown as such. */
export function traceMessages(direction: string, bytes: Uint8Array, at: number, end: number, write: Write): void {
  while (at < end) {
    const length = at + NLMSG_HDRLEN <= end ? messageLength(bytes, at, end) : 0;
    if (length === 0) {
      write(`${direction} no message: ${hex(bytes, at, end)}`);
      return;
    }
    traceMessage(direction, bytes, at, at + length, write);
    at += align4(length);
  }
}

const MESSAGES: Readonly<Record<number, readonly MessageNames[]>> = {
  [NFNL_SUBSYS_CTNETLINK]: FLOW_MESSAGES,
  [NFNL_SUBSYS_CTNETLINK_EXP]: EXPECTATION_MESSAGES,
};

function traceMessage(direction: string, bytes: Uint8Array, at: number, end: number, write: Write): void {
  const type = host16(bytes, at + 4);
  const flags = host16(bytes, at + 6);
  const sequence = host32(bytes, at + 8);
  const size = `${end - at} bytes`;
  if (type < NLMSG_MIN_TYPE) {
    write(`${direction} ${controlName(type, bytes, at, end)} seq ${sequence}, ${size}`);
    return;
  }
  const known = MESSAGES[type >> 8]?.[type & 0xff];
  const name = known?.name ?? `message ${type & 0xff} of subsystem ${type >> 8}`;
  const family = end - at >= NFNL_ATTRS ? ` family ${bytes[at + NLMSG_HDRLEN]}` : '';
  write(`${direction} ${name} seq ${sequence}${flagNames(flags, direction)}${family}, ${size}`);
  traceAttributes(known?.attributes, bytes, at + NFNL_ATTRS, end, '    ', write);
}

function controlName(type: number, bytes: Uint8Array, at: number, end: number): string {
  if (type === NLMSG_DONE) return 'NLMSG_DONE';
  if (type !== NLMSG_ERROR || end - at < NLMSG_HDRLEN + 4) return `control message ${type}`;
  const error = hostSigned32(bytes, at + NLMSG_HDRLEN);
  return error === 0 ? 'NLMSG_ERROR 0, an acknowledgement,' : `NLMSG_ERROR ${errnoName(-error)}`;
}

/** The kernel's messages use the bits of a request's for other things. */
function flagNames(flags: number, direction: string): string {
  const names: string[] = [];
  const add = (bits: number, name: string) => {
    if ((flags & bits) === bits) names.push(name);
  };
  add(NLM_F_REQUEST, 'REQUEST');
  add(NLM_F_MULTI, 'MULTI');
  add(NLM_F_ACK, 'ACK');
  add(NLM_F_DUMP_INTR, 'DUMP_INTR');
  add(NLM_F_CREATE, 'CREATE');
  if (direction === '>' && (flags & NLM_F_DUMP) === NLM_F_DUMP) names.push('DUMP');
  else add(NLM_F_EXCL, 'EXCL');
  return names.length === 0 ? '' : ` flags ${names.join('|')}`;
}

function traceAttributes(
  nest: Nest | undefined,
  bytes: Uint8Array,
  from: number,
  end: number,
  indent: string,
  write: Write,
): void {
  let at = from;
  while (at + NLA_HDRLEN <= end) {
    const length = host16(bytes, at);
    const type = host16(bytes, at + 2) & NLA_TYPE_MASK;
    if (length < NLA_HDRLEN || at + length > end) break;
    const name = nest?.names[type - 1] ?? `attribute ${type}`;
    const inside = nest?.nests?.[name];
    const value = at + NLA_HDRLEN;
    if (inside) {
      write(`${indent}${name}`);
      traceAttributes(inside, bytes, value, at + length, `${indent}  `, write);
    } else write(`${indent}${name} ${valueText(name, bytes, value, at + length)}`.trimEnd());
    at += align4(length);
  }
  if (at < end) write(`${indent}no attribute: ${hex(bytes, at, end)}`);
}

function valueText(name: string, bytes: Uint8Array, at: number, end: number): string {
  const size = end - at;
  if (/_V4_|_V6_/.test(name) && (size === 4 || size === 16)) return formatAddress(bytes.subarray(at, end));
  if (/_NAME$|_FN$/.test(name)) return new TextDecoder().decode(bytes.subarray(at, end)).replace(/\0$/, '');
  if (size === 1) return String(bytes[at]);
  if (size === 2 && !name.includes('_FLAGS')) return String(be16(bytes, at));
  if (size === 4) return `${be32(bytes, at)} (0x${be32(bytes, at).toString(16)})`;
  if (size === 8) return String(be64(bytes, at));
  return hex(bytes, at, end);
}

function hex(bytes: Uint8Array, at: number, end: number): string {
  let text = '';
  for (let i = at; i < end; i++) text += bytes[i]!.toString(16).padStart(2, '0');
  return text;
}
