// View: the one decode pass over a conntrack message, and typed reads of what it found. Everything else asks the view.
//
// The kernel writes the attributes of like entries in the same order and sizes (docs/kernel.md 3.12). So the result of a walk is kept as
// a layout, a few per message size: a message with the same attribute headers, word for word, has its values in the same places, and
// comparing some 25 words is ten times cheaper than walking. Any difference means a walk.

import { DecodeError } from '../errors.js';
import { be64, dataHost16, dataHost32, host16, host32, machineWords } from '../wire/bytes.js';
import { align4 } from '../wire/message.js';
import { NLA_HDRLEN, NLA_TYPE_MASK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_MULTI } from '../wire/uapi/netlink.js';
import { NFNL_ATTRS } from '../wire/uapi/nfnetlink.js';
import { expectationPolicy } from './expectation-fields.js';
import { flowPolicy } from './fields.js';
import { NEST_SIZE, type Policy } from './policy.js';
import { IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW } from './uapi/nfnetlink-conntrack.js';

/** A message from the kernel, unchanged. */
export const ORIGIN_KERNEL = 0;
/** From the list that a watch began with. */
export const ORIGIN_INITIAL = 1;
/** From a list that was compared with the known entries after events had been lost. */
export const ORIGIN_RESYNC = 2;
/** From a record of flows that have ended. */
export const ORIGIN_PAST = 3;
/** From a record, of a flow that lived when it was written last. */
export const ORIGIN_OPEN = 4;
export type Origin =
  | typeof ORIGIN_KERNEL
  | typeof ORIGIN_INITIAL
  | typeof ORIGIN_RESYNC
  | typeof ORIGIN_PAST
  | typeof ORIGIN_OPEN;

const EMPTY = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);

/** The result of a walk over a message. All positions count from the start of the message. */
class Layout {
  /** Payload offset per slot; 0 = absent (a payload never starts at 0). */
  readonly at: Int32Array;
  /** What a reader has worked out for messages of this layout; it lives as long as the layout. */
  memo: object | undefined = undefined;
  /**
   * For each attribute header, its position in words of 4 bytes and the header itself: length and type. Padded to a multiple of four
   * headers.
   */
  headers: Int32Array = NO_WORDS;
  apart: Int32Array = NO_WORDS;

  constructor(slotCount: number) {
    this.at = new Int32Array(slotCount);
  }

  /** Whether the message at word `start` has the same headers in the same places. */
  fits(words: Int32Array, start: number): boolean {
    const { headers } = this;
    const count = headers.length;
    for (let i = 0; i < count; i = (i + 8) | 0)
      if (
        words[(start + headers[i]!) | 0] !== headers[(i + 1) | 0] ||
        words[(start + headers[(i + 2) | 0]!) | 0] !== headers[(i + 3) | 0] ||
        words[(start + headers[(i + 4) | 0]!) | 0] !== headers[(i + 5) | 0] ||
        words[(start + headers[(i + 6) | 0]!) | 0] !== headers[(i + 7) | 0]
      )
        return false;
    return true;
  }
}

/**
 * A borrowed look at one flow or expectation inside a receive buffer: valid until the next `decode()`. Keep an owned object, never a
 * view. Absent values read as 0; call `has` if that matters.
 */
export class View {
  bytes: Uint8Array = EMPTY;
  /** The same memory. */
  data: DataView = new DataView(new ArrayBuffer(0));
  /** nlmsg_type: subsystem << 8 | message. */
  type = 0;
  /** nlmsg_flags. */
  flags = 0;
  /** Port id of the socket whose request caused an event; 0 for packets and timeouts. */
  portId = 0;
  /** nfgen_family: 2 or 10. */
  family = 0;
  /** res_id: the CPU of a statistics answer. */
  resourceId = 0;
  /** Where the message begins in `bytes`. */
  start = 0;
  /** Where it comes from: a message of the kernel, or a list that replaces events. */
  origin: Origin = ORIGIN_KERNEL;
  /** Bytes in the message: an upper bound for every variable part. */
  size = 0;
  readonly #policy: Policy;
  /** Where attributes begin in a message: behind nlmsghdr and the header of its family. */
  readonly #attributes: number;
  /** `bytes` as words; empty where they are not aligned. */
  #words: Int32Array = machineWords(EMPTY);
  #replaced = 0;
  /** Layouts met, by message size in words. */
  readonly #layouts: (Layout[] | undefined)[] = [];
  #layout: Layout;

  constructor(policy: Policy, attributes = NFNL_ATTRS) {
    this.#policy = policy;
    this.#attributes = attributes;
    this.#layout = new Layout(policy.slotCount);
  }

  /**
   * Decodes one message: `bytes` from `at` (its nlmsghdr) to `end`.
   * @throws DecodeError, with the offset in `bytes`, for anything that is not a complete message
   */
  decode(bytes: Uint8Array, at: number, end: number): void {
    const size = end - at;
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.#words = machineWords(bytes);
      this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    this.start = at;
    this.origin = ORIGIN_KERNEL;
    if (size < NFNL_ATTRS || end > bytes.length) {
      this.#layout = new Layout(this.#policy.slotCount);
      throw new DecodeError(`message of ${size} bytes is too short`, at);
    }
    const data = this.data;
    this.type = dataHost16(data, at + 4);
    this.flags = dataHost16(data, at + 6);
    this.portId = dataHost32(data, at + 12);
    this.family = data.getUint8(at + 16);
    this.resourceId = data.getUint16(at + 18, false);
    this.size = size;
    const words = this.#words;
    const aligned = ((at | size) & 3) === 0 && size < MAX_CACHED_SIZE && words.length > 0;
    const known = aligned ? this.#layouts[size >> 2] : undefined;
    if (known) {
      for (let i = 0; i < known.length; i++) {
        const candidate = known[i]!;
        if (!candidate.fits(words, at >> 2)) continue;
        this.#layout = candidate;
        return;
      }
    }
    const layout = new Layout(this.#policy.slotCount);
    this.#layout = layout;
    const headers: number[] = [];
    this.#walk(layout, headers, 0, at + this.#attributes, end);
    if (this.#policy.apart.length > 0) layout.apart = this.#findApart(end);
    if (!aligned) return;
    // `fits` compares four at a time; repeating the first does no harm.
    while (headers.length & 7) headers.push(headers[0]!, headers[1]!);
    layout.headers = Int32Array.from(headers);
    if (!known) this.#layouts[size >> 2] = [layout];
    else if (known.length < LAYOUTS_PER_SIZE) known.push(layout);
    else known[this.#replaced++ % LAYOUTS_PER_SIZE] = layout; // in turn: a frequent layout soon comes back
  }

  #walk(layout: Layout, headers: number[], nest: number, from: number, end: number): void {
    const { action, minSize, emptyIsPadding } = this.#policy;
    const { bytes, start } = this;
    let at = from;
    while (at + NLA_HDRLEN <= end) {
      const length = host16(bytes, at);
      const type = host16(bytes, at + 2) & NLA_TYPE_MASK;
      if (length < NLA_HDRLEN || at + length > end) throw new DecodeError(`attribute ${type}: bad length ${length}`, at);
      headers.push((at - start) >> 2, this.#words[at >> 2] ?? 0); // useless for an unaligned message, and not used for one
      const what = type < NEST_SIZE ? action[nest + type]! : 0;
      if (what < 0) this.#walk(layout, headers, -what, at + NLA_HDRLEN, at + length);
      else if (what > 0) {
        const slot = what - 1;
        const size = length - NLA_HDRLEN;
        if (size >= minSize[slot]!) layout.at[slot] = at + NLA_HDRLEN - start;
        else if (size !== 0 || emptyIsPadding[slot] === 0)
          throw new DecodeError(`attribute ${type}: ${size} bytes is too short`, at);
      } // 0: an attribute newer than this table; skipped on purpose
      at += align4(length);
    }
  }

  #findApart(end: number): Int32Array {
    const parts: number[] = [];
    const { bytes, start } = this;
    for (let at = start + this.#attributes, size = 0; at + NLA_HDRLEN <= end; at += size) {
      size = align4(host16(bytes, at));
      if (!this.#policy.apart.includes(host16(bytes, at + 2) & NLA_TYPE_MASK)) continue;
      const from = (at - start) >> 2;
      if (parts.at(-1) === from) parts.pop();
      else parts.push(from);
      parts.push((at + size - start) >> 2);
    }
    return parts.length > 0 ? Int32Array.from(parts) : NO_WORDS;
  }

  /**
   * Where the message has counters and the time an entry began at, which somebody may keep apart from it: the beginning and end of each
   * part, in words of 4 bytes from the start of the message.
   */
  get apart(): Int32Array {
    return this.#layout.apart;
  }

  /** The data that a reader keeps for messages with the same layout as this one. */
  get memo(): object | undefined {
    return this.#layout.memo;
  }

  set memo(value: object) {
    this.#layout.memo = value;
  }

  /** Whether an event reports a new entry rather than a change. */
  get created(): boolean {
    return (this.flags & NLM_F_CREATE) !== 0;
  }

  /**
   * Whether the kernel sent all that it knows of the entry: it was listed or asked for. Events leave out what did not change; they are
   * no answers, and have the sequence number 0.
   */
  get isWhole(): boolean {
    return (this.flags & NLM_F_MULTI) !== 0 || this.origin !== ORIGIN_KERNEL || dataHost32(this.data, this.start + 8) !== 0;
  }

  /** Turns a listed or stored entry into an event: 0 new, 1 update, 2 destroy. No request caused it. */
  becomeEvent(type: 0 | 1 | 2, origin: Origin): void {
    this.type = (this.type & ~0xff) | (type === 2 ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW);
    this.flags = type === 0 ? NLM_F_CREATE | NLM_F_EXCL : 0;
    this.portId = 0;
    this.origin = origin;
  }

  /** How many bytes at the beginning of the attributes are the same in another message: 0, or the whole of the first two. */
  sameBeginning(other: View): number {
    const own = this.#words;
    const others = other.#words;
    const first = (this.start + NFNL_ATTRS) >> 2;
    const end = (this.start + this.size) >> 2;
    const distance = ((other.start + NFNL_ATTRS) >> 2) - first;
    const otherEnd = (other.start + other.size) >> 2;
    if (own.length < end || others.length < otherEnd) return 0;
    let at = first;
    for (let attribute = 0; attribute < 2; attribute++) {
      const next = at < end ? at + (align4(host16(this.bytes, 4 * at)) >> 2) : at;
      if (next === at || next > end || next + distance > otherEnd) return 0;
      for (; at < next; at = (at + 1) | 0) if (own[at] !== others[(at + distance) | 0]) return 0;
    }
    return 4 * (at - first);
  }

  has(slot: number): boolean {
    return this.#layout.at[slot] !== 0;
  }

  /** Where a value begins in `bytes`; 0 when absent. */
  offset(slot: number): number {
    const at = this.#layout.at[slot]!;
    return at === 0 ? 0 : this.start + at;
  }

  /** How many bytes the value has; 0 when absent. */
  length(slot: number): number {
    const at = this.offset(slot);
    return at === 0 ? 0 : host16(this.bytes, at - NLA_HDRLEN) - NLA_HDRLEN;
  }

  u8(slot: number): number {
    const at = this.#layout.at[slot]!;
    return at === 0 ? 0 : this.bytes[this.start + at]!;
  }

  be16(slot: number): number {
    const at = this.#layout.at[slot]!;
    return at === 0 ? 0 : this.data.getUint16(this.start + at, false);
  }

  be32(slot: number): number {
    const at = this.#layout.at[slot]!;
    return at === 0 ? 0 : this.data.getUint32(this.start + at, false);
  }

  /** Whether any of the three 32-bit numbers in `slot` and the two after it is not 0: the kernel sends unused ones as 0. */
  any32x3(slot: number): boolean {
    return (this.be32(slot) | this.be32(slot + 1) | this.be32(slot + 2)) !== 0;
  }

  /**
   * The upper 32 bits of a 64-bit value as a signed number; `low32` has the rest. Neither allocates: unsigned numbers above 2^31 would,
   * where the call is not inlined.
   */
  high32(slot: number): number {
    const at = this.#layout.at[slot]!;
    return at === 0 ? 0 : this.data.getInt32(this.start + at, false);
  }

  low32(slot: number): number {
    const at = this.#layout.at[slot]!;
    return at === 0 ? 0 : this.data.getInt32(this.start + at + 4, false);
  }

  /** Allocates: for owned objects, not for hot paths. */
  be64(slot: number): bigint {
    const at = this.offset(slot);
    return at === 0 ? 0n : be64(this.bytes, at);
  }

  /** Bytes of a string without its NUL. */
  stringLength(slot: number): number {
    const at = this.offset(slot);
    const size = this.length(slot);
    let n = 0;
    while (n < size && this.bytes[at + n] !== 0) n++;
    return n;
  }

  /** Word `index` of the labels; 0 past their end. */
  labelWord(slot: number, index: number): number {
    const at = this.offset(slot);
    return at === 0 || index * 4 + 4 > this.length(slot) ? 0 : host32(this.bytes, at + index * 4);
  }
}

/** Few kinds of entry have the same size: TCP over IPv4 is as long as UDP over IPv6. */
const LAYOUTS_PER_SIZE = 8;

/** Larger messages are too rare to keep their layouts. */
const MAX_CACHED_SIZE = 2048;

/** A view of conntrack entries and events; slots: `S`, `T` with ORIGINAL, REPLY, MASTER. */
export function createFlowView(): View {
  return new View(flowPolicy());
}

/** A view of expectations and their events; slots: `X`, `T` with EXPECTED_TUPLE, EXPECTED_MASK, EXPECTED_MASTER. */
export function createExpectationView(): View {
  return new View(expectationPolicy());
}
