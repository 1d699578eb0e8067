// MemoryExpectations: the expectations of a table in memory, and the rules for requests about them.
// Source: net/netfilter/nf_conntrack_expect.c; ctnetlink_create_expect() in net/netfilter/nf_conntrack_netlink.c.

import { parseAddress } from '../ctnetlink/address.js';
import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE } from '../ctnetlink/expectation-fields.js';
import { putExpectation } from '../ctnetlink/expectation-spec.js';
import type { Family } from '../ctnetlink/flow.js';
import { toExpectationSpec } from '../ctnetlink/new-expectation.js';
import type { Tuple } from '../ctnetlink/tuple.js';
import {
  CTA_EXPECT_CLASS,
  CTA_EXPECT_FLAGS,
  CTA_EXPECT_HELP_NAME,
  CTA_EXPECT_ID,
  CTA_EXPECT_ZONE,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { EBUSY, EINVAL, ENOENT, EOPNOTSUPP } from '../wire/errno.js';
import type { MessageWriter } from '../wire/message.js';
import { expectationPolicy } from './helpers.js';
import type { MemoryFlow, Zone } from './memory-flow.js';
import { idOf, keyOf, type MemoryFlows } from './memory-flows.js';
import { Refusal } from './netlink-answers.js';
import type { TableRequest } from './table-request.js';

export interface MemoryExpectation {
  readonly id: number;
  readonly family: Family;
  readonly tuple: Tuple;
  readonly mask: Tuple;
  readonly master: MemoryFlow;
  readonly helper: string;
  /** When it ends, in seconds of the table's clock. */
  deadline: number;
}

/** What happens to expectations. */
export interface ExpectationEvents {
  readonly began: (expectation: MemoryExpectation) => void;
  readonly ended: (expectation: MemoryExpectation) => void;
}

export class MemoryExpectations implements Iterable<MemoryExpectation> {
  /** From the oldest to the newest. */
  #all: MemoryExpectation[] = [];
  created = 0;
  deleted = 0;

  [Symbol.iterator](): Iterator<MemoryExpectation> {
    return this.#all.values();
  }

  /** The one that packets of this tuple would match. */
  find(tuple: Tuple, zone: Zone): MemoryExpectation | undefined {
    return this.#all.find((one) => one.master.zone.id === zone.id && agree(one.tuple, tuple, [one.mask]));
  }

  /** Makes the expectation of a request. @throws Refusal */
  create(request: TableRequest, flows: MemoryFlows, now: number, { began, ended }: ExpectationEvents): void {
    const zone = request.zone();
    const tuple = request.tuple(EXPECTED_TUPLE);
    const { src, sport, icmpId, protonum } = request.tuple(EXPECTED_MASK);
    const master = flows.find(request.tuple(EXPECTED_MASTER), zone);
    if (!master) throw new Refusal(ENOENT);
    const { helper } = master;
    if (helper === undefined) throw new Refusal(EOPNOTSUPP);
    if (protonum !== tuple.protonum) throw new Refusal(EINVAL);
    const mask = sourceMask(tuple, src, sport ?? icmpId);
    const clash = this.#all.some((one) => one.master.zone.id === master.zone.id && agree(one.tuple, tuple, [one.mask, mask]));
    if (clash) throw new Refusal(EBUSY);
    const { most, timeout } = expectationPolicy(helper);
    const siblings = this.#all.filter((one) => one.master === master);
    if (siblings.length >= most) this.remove(siblings[0]!, ended);
    const id = idOf(`${keyOf(master.original, master.zone.id)} expects ${keyOf(tuple, 0)}`);
    const { family } = request;
    const expectation = { id, family, tuple, mask, master, helper, deadline: now + timeout };
    this.#all.push(expectation);
    this.created++;
    began(expectation);
  }

  /** Does nothing if it is gone. */
  remove(expectation: MemoryExpectation, ended: ExpectationEvents['ended']): void {
    if (!this.#all.includes(expectation)) return;
    this.#all = this.#all.filter((one) => one !== expectation);
    this.deleted++;
    ended(expectation);
  }

  removeWhere(wanted: (expectation: MemoryExpectation) => boolean, ended: ExpectationEvents['ended']): void {
    for (const one of this.#all.filter(wanted)) this.remove(one, ended);
  }
}

/** Only the source half of a mask counts: the rest is whole. */
function sourceMask(tuple: Tuple, src: string, sourcePort: number | undefined): Tuple {
  const v6 = tuple.dst.includes(':');
  const dst = v6 ? 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' : '255.255.255.255';
  const { protonum } = tuple;
  if (tuple.icmpType !== undefined) return { src, dst, protonum, icmpType: 0xff, icmpCode: 0xff, icmpId: sourcePort };
  return tuple.sport === undefined ? { src, dst, protonum } : { src, dst, protonum, sport: sourcePort, dport: 0xffff };
}

/** Whether two tuples agree in everything that all of the masks include. */
function agree(a: Tuple, b: Tuple, masks: readonly Tuple[]): boolean {
  if (a.protonum !== b.protonum || a.dst !== b.dst || a.dport !== b.dport) return false;
  if (a.icmpType !== b.icmpType || a.icmpCode !== b.icmpCode) return false;
  const port = masks.reduce((bits, mask) => bits & (mask.sport ?? mask.icmpId ?? 0), 0xffff);
  if ((((a.sport ?? a.icmpId ?? 0) ^ (b.sport ?? b.icmpId ?? 0)) & port) !== 0) return false;
  const [ours, theirs] = [parseAddress(a.src)!, parseAddress(b.src)!];
  const bits = masks.map((mask) => parseAddress(mask.src)!);
  return ours.every((byte, i) => bits.reduce((rest, mask) => rest & mask[i]!, byte ^ theirs[i]!) === 0);
}

/** Appends what lists and events contain about an expectation. */
export function putMemoryExpectation(message: MessageWriter, expectation: MemoryExpectation, now: number): void {
  const { id, tuple, mask, master, helper, deadline } = expectation;
  const timeout = Math.max(0, Math.floor(deadline - now));
  putExpectation(message, toExpectationSpec({ tuple, mask, master: master.original, timeout }));
  message.be32(CTA_EXPECT_ID, id);
  message.string(CTA_EXPECT_HELP_NAME, helper);
  message.be32(CTA_EXPECT_FLAGS, 0);
  message.be32(CTA_EXPECT_CLASS, 0);
  if (master.zone.id !== 0 && master.zone.direction === 'both') message.be16(CTA_EXPECT_ZONE, master.zone.id);
}
