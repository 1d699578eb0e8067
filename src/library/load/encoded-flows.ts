// Flows to create, encoded as they are read: a load keeps them in memory between checking its lines and sending them.

import { hasLabels } from '../../ctnetlink/flow-change.js';
import { type FlowSpec, putFlow } from '../../ctnetlink/flow-spec.js';
import {
  CTA_HELP,
  CTA_LABELS,
  CTA_LABELS_MASK,
  CTA_NAT_DST,
  CTA_NAT_SRC,
  CTA_STATUS,
  CTA_TIMEOUT,
  CTA_TUPLE_MASTER,
  CTA_ZONE,
} from '../../ctnetlink/uapi/nfnetlink-conntrack.js';
import type { View } from '../../ctnetlink/view.js';
import { host16, host32, putHost16, putHost32 } from '../../wire/bytes.js';
import { align4, MessageWriter } from '../../wire/message.js';
import { NLA_HDRLEN, NLA_TYPE_MASK, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from '../../wire/uapi/netlink.js';
import { NFNL_ATTRS } from '../../wire/uapi/nfnetlink.js';

import type { EncodedRequests } from '../channel.js';
import { BATCH_SIZE } from '../pending-flows.js';
import { CT_NEW } from '../requests.js';

/**
 * Up to BATCH_SIZE CT_NEW requests, each for another flow, complete except for their sequence numbers. `tag` is the caller's mark of
 * each, such as a line number.
 */
export class EncodedFlows implements EncodedRequests {
  bytes: Uint8Array;
  /** Start and tag of each request, in pairs. Typed and outside the heap: a load keeps thousands of batches. */
  readonly #index = new Uint32Array(2 * BATCH_SIZE);
  #count = 0;
  #scratch: MessageWriter | undefined;
  readonly #slots: Uint8Array;

  /** `scratch` and `slots` are overwritten, so they can serve many batches, one after another. */
  constructor(scratch: MessageWriter, slots: Uint8Array) {
    scratch.reset();
    slots.fill(0);
    this.#scratch = scratch;
    this.#slots = slots;
    this.bytes = scratch.bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** No more requests fit. */
  get full(): boolean {
    return this.#count === BATCH_SIZE;
  }

  /** The caller's mark of request `index`. */
  tag(index: number): number {
    return this.#index[2 * index + 1]!;
  }

  /**
   * Adds a flow to create; with `mayExist`, an existing one is updated.
   * @returns false, with nothing added, when the batch has that flow already: otherwise a request that is sent again could come after the
   * next one for the same flow
   */
  add(flow: FlowSpec, mayExist: boolean, tag: number): boolean {
    const start = this.#scratch!.length;
    putCreate(this.#scratch!, flow, mayExist);
    return this.#added(start, tag);
  }

  /** As `add`, of a flow that a RequestEncoder encoded. */
  addRequest(request: Uint8Array, tag: number): boolean {
    const start = this.#scratch!.length;
    this.#scratch!.append(request);
    return this.#added(start, tag);
  }

  #added(start: number, tag: number): boolean {
    const writer = this.#scratch!;
    this.bytes = writer.bytes;
    this.#index[2 * this.#count] = start;
    this.#index[2 * this.#count + 1] = tag;
    const slot = this.#slotOf(this.#count);
    if (this.#slots[slot] !== 0) {
      writer.length = start;
      return false;
    }
    this.#slots[slot] = ++this.#count;
    return true;
  }

  /** No more flows: keeps a copy, so that `scratch` is free again. */
  seal(): void {
    if (!this.#scratch) return;
    this.bytes = this.#scratch.bytes.slice(0, this.#scratch.length);
    this.#scratch = undefined;
  }

  get length(): number {
    return this.#scratch?.length ?? this.bytes.length;
  }

  /** Numbers the requests from `first` on and asks for an acknowledgement of the last. */
  number(first: number): void {
    for (let i = 0; i < this.#count; i++) putHost32(this.bytes, this.#start(i) + 8, first + i);
    const last = this.#start(this.#count - 1);
    putHost16(this.bytes, last + 6, host16(this.bytes, last + 6) | NLM_F_ACK);
  }

  /** Whether request `index` updates a flow that exists. */
  mayExist(index: number): boolean {
    return (host16(this.bytes, this.#start(index) + 6) & NLM_F_EXCL) === 0;
  }

  /** Whether request `index` has a master, which must be in the table first. */
  hasMaster(index: number): boolean {
    return this.#find(index, CTA_TUPLE_MASTER) > 0;
  }

  /** Whether request `index` sets labels. */
  hasLabels(index: number): boolean {
    return this.#find(index, CTA_LABELS) > 0;
  }

  /** Whether the flow in the view has the labels that request `index` asks for. */
  labelled(index: number, view: View): boolean {
    return hasLabels(view, this.#value(index, CTA_LABELS)!, this.#value(index, CTA_LABELS_MASK));
  }

  /** Request `index` alone, to be sent again. */
  single(index: number): SingleRequest {
    return this.#request(index, () => true);
  }

  /** Request `index` alone, with only what an existing flow can still take (docs/differences.md B50). */
  withoutFixedParts(index: number, timeout: 'with timeout' | 'without timeout'): SingleRequest {
    const fixed = timeout === 'with timeout' ? FIXED_PARTS : FIXED_PARTS_AND_TIMEOUT;
    return this.#request(index, (type) => !fixed.has(type));
  }

  /** The slot of request `index`: that of an earlier request for the same flow, or else a free one. Slots hold an index plus one. */
  #slotOf(index: number): number {
    const at = this.#start(index) + NFNL_ATTRS;
    const size = host16(this.bytes, at);
    let hash = 0;
    for (let i = 0; i < size; i += 4) hash = Math.imul(hash ^ host32(this.bytes, at + i), HASH_FACTOR);
    let slot = hash >>> (32 - SLOT_BITS);
    for (let taken = this.#slots[slot]!; taken !== 0 && !this.#sameFlow(index, taken - 1); taken = this.#slots[slot]!)
      slot = (slot + 1) % SLOTS;
    return slot;
  }

  /** By the original tuple, which is the first attribute, and the zone. */
  #sameFlow(index: number, other: number): boolean {
    const a = this.#start(index) + NFNL_ATTRS;
    const b = this.#start(other) + NFNL_ATTRS;
    const size = host16(this.bytes, a);
    for (let i = 0; i < size; i++) if (this.bytes[a + i] !== this.bytes[b + i]) return false;
    return this.#zone(index) === this.#zone(other);
  }

  #zone(index: number): number {
    const at = this.#find(index, CTA_ZONE);
    return at > 0 ? host16(this.bytes, at + 4) : 0;
  }

  /** Where the attribute of this type begins in request `index`; 0 when it has none. */
  #find(index: number, type: number): number {
    const start = this.#start(index);
    const end = start + host32(this.bytes, start);
    for (let at = start + NFNL_ATTRS; at < end; at += align4(host16(this.bytes, at)))
      if ((host16(this.bytes, at + 2) & NLA_TYPE_MASK) === type) return at;
    return 0;
  }

  #value(index: number, type: number): Uint8Array | undefined {
    const at = this.#find(index, type);
    return at > 0 ? this.bytes.subarray(at + NLA_HDRLEN, at + host16(this.bytes, at)) : undefined;
  }

  #start(index: number): number {
    return this.#index[2 * index]!;
  }

  /** With the attributes that `taken` accepts. */
  #request(index: number, taken: (type: number) => boolean): SingleRequest {
    const start = this.#start(index);
    const end = start + host32(this.bytes, start);
    return {
      family: this.bytes[start + 16]!,
      flags: host16(this.bytes, start + 6) & (NLM_F_CREATE | NLM_F_EXCL),
      put: (message) => {
        for (let at = start + NFNL_ATTRS; at < end; at += align4(host16(this.bytes, at))) {
          const type = host16(this.bytes, at + 2);
          if (taken(type & NLA_TYPE_MASK)) message.copy(type, this.bytes, at + 4, host16(this.bytes, at) - 4);
        }
      },
    };
  }
}

/** Appends a CT_NEW request without a sequence number; with `mayExist`, an existing flow is updated. */
function putCreate(message: MessageWriter, flow: FlowSpec, mayExist: boolean): void {
  const flags = NLM_F_REQUEST | NLM_F_CREATE | (mayExist ? 0 : NLM_F_EXCL);
  message.begin(CT_NEW.type, flags, 0, flow.family);
  putFlow(message, flow);
  message.end();
}

/** Makes requests one after another in the same memory, for `EncodedFlows.addRequest`. */
export class RequestEncoder {
  readonly #message = new MessageWriter();

  /** The request, valid until the next call. With `mayExist`, an existing flow is updated. */
  encode(flow: FlowSpec, mayExist: boolean): Uint8Array {
    this.#message.reset();
    putCreate(this.#message, flow, mayExist);
    return this.#message.bytes.subarray(0, this.#message.length);
  }
}

/** Where a request is. */
export interface EncodedPlace {
  readonly flows: EncodedFlows;
  readonly index: number;
}

/** One request out of several, as it is sent alone. */
export interface SingleRequest {
  readonly family: number;
  /** NLM_F_CREATE, and NLM_F_EXCL where the flow must not exist. */
  readonly flags: number;
  put(message: MessageWriter): void;
}

const FIXED_PARTS: ReadonlySet<number> = new Set([CTA_STATUS, CTA_NAT_SRC, CTA_NAT_DST, CTA_HELP, CTA_TUPLE_MASTER]);
const FIXED_PARTS_AND_TIMEOUT: ReadonlySet<number> = new Set([...FIXED_PARTS, CTA_TIMEOUT]);

/** More than twice a batch, so that a free slot is near. */
const SLOT_BITS = 8;
const SLOTS = 1 << SLOT_BITS;
/** Knuth's multiplicative hashing: 2^32 divided by the golden ratio. */
const HASH_FACTOR = 0x9e3779b1;

/**
 * Fills batches with flows, one after another in the same memory: send or seal a batch that it hands out before you add the next flow.
 */
export class FlowEncoder {
  readonly #scratch = new MessageWriter();
  readonly #slots = new Uint8Array(SLOTS);
  #flows: EncodedFlows | undefined;

  /** Adds a flow to create; with `mayExist`, an existing one is updated. @returns a batch that takes no more, if this was its last */
  add(flow: FlowSpec, mayExist: boolean, tag: number): EncodedFlows | undefined {
    const flows = this.#current();
    if (flows.add(flow, mayExist, tag)) return this.#unlessOpen(flows);
    this.#behind(flows).add(flow, mayExist, tag);
    return flows;
  }

  /** As `add`, of a flow that a RequestEncoder encoded. */
  addRequest(request: Uint8Array, tag: number): EncodedFlows | undefined {
    const flows = this.#current();
    if (flows.addRequest(request, tag)) return this.#unlessOpen(flows);
    this.#behind(flows).addRequest(request, tag);
    return flows;
  }

  /** No more flows for now. @returns the batch of flows that have not been handed out yet */
  finish(): EncodedFlows | undefined {
    const flows = this.#flows;
    this.#flows = undefined;
    return flows;
  }

  #current(): EncodedFlows {
    this.#flows ??= new EncodedFlows(this.#scratch, this.#slots);
    return this.#flows;
  }

  #unlessOpen(flows: EncodedFlows): EncodedFlows | undefined {
    return flows.full ? this.finish() : undefined;
  }

  /** A new batch for a flow that `flows` has already: that one goes first. */
  #behind(flows: EncodedFlows): EncodedFlows {
    flows.seal();
    this.#flows = undefined;
    return this.#current();
  }
}
