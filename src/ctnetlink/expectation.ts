// Expectation: a connection that the kernel waits for, as an owned object, and how a view becomes one.

import { familyName } from './address.js';
import { AddressTexts, StringTexts } from './address-texts.js';
import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from './expectation-fields.js';
import { T } from './fields.js';
import { type Family, stringOf } from './flow.js';
import { INSPECT, type Json, toJson, toPlain } from './plain.js';
import { type ProtocolName, protocolByNumber } from './protocols/index.js';
import { EXPECTATION_FLAG_NAMES, type ExpectationFlagName, namesOfBits } from './status.js';
import { be16Of, be32Of, type Tuple, toTuple } from './tuple.js';
import type { View } from './view.js';

/**
 * What a helper waits for, such as the data connection of FTP. Plain data that belongs to the caller; absent members are `undefined`.
 * Source: enum ctattr_expect in linux/netfilter/nfnetlink_conntrack.h.
 */
export interface Expectation {
  /** Identifier, 0 to 2^32 - 1. CTA_EXPECT_ID. */
  readonly id?: number | undefined;
  readonly family: Family | 'unknown';
  /** Layer-4 protocol of what is expected; `unknown` for those without a tracker. */
  readonly protocol: ProtocolName;
  /** Seconds until the expectation is dropped. CTA_EXPECT_TIMEOUT. */
  readonly timeout?: number | undefined;
  /** What is expected. CTA_EXPECT_TUPLE. */
  readonly tuple: Tuple;
  /** Which bits of `tuple` count. CTA_EXPECT_MASK. */
  readonly mask: Tuple;
  /** Original tuple of the flow that caused the expectation. CTA_EXPECT_MASTER. */
  readonly master: Tuple;
  /** Zone of the master, 1 to 65535. CTA_EXPECT_ZONE. */
  readonly zone?: number | undefined;
  /** Flags that are set, in bit order. CTA_EXPECT_FLAGS. */
  readonly flags?: readonly ExpectationFlagName[] | undefined;
  /** The helper's class of expectation: 0, 1 and so on. CTA_EXPECT_CLASS. */
  readonly class?: number | undefined;
  /** Name of the helper that expects it. CTA_EXPECT_HELP_NAME. */
  readonly helper?: string | undefined;
  /** Direction to which NAT is applied when the connection arrives. CTA_EXPECT_NAT_DIR. */
  readonly natDirection?: 'original' | 'reply' | undefined;
  /** Name of the kernel function that is called when the connection arrives. CTA_EXPECT_FN. */
  readonly fn?: string | undefined;
  /** The same as `-L expect -o json` of the command prints. Absent members are left out. */
  toJSON(): ExpectationJson;
}

/** An expectation in JSON. */
export type ExpectationJson = Json<Expectation>;

/** Makes expectations from views. */
export class ExpectationReader {
  readonly #addresses = new AddressTexts();
  readonly #strings = new StringTexts();

  read(view: View): Expectation {
    return new ExpectationObject(view, this.#addresses, this.#strings);
  }
}

class ExpectationObject {
  readonly id: number | undefined;
  readonly family: Family | 'unknown';
  readonly protocol: ProtocolName;
  readonly timeout: number | undefined;
  readonly tuple: Tuple;
  readonly mask: Tuple;
  readonly master: Tuple;
  readonly zone: number | undefined;
  readonly flags: readonly ExpectationFlagName[] | undefined;
  readonly class: number | undefined;
  readonly helper: string | undefined;
  readonly natDirection: 'original' | 'reply' | undefined;
  readonly fn: string | undefined;

  constructor(view: View, addresses: AddressTexts, strings: StringTexts) {
    this.id = be32Of(view, X.id);
    this.family = familyName(view.family);
    this.protocol = protocolByNumber(view.u8(EXPECTED_TUPLE + T.protonum)).name as ProtocolName;
    this.timeout = be32Of(view, X.timeout);
    this.tuple = toTuple(view, EXPECTED_TUPLE, addresses);
    this.mask = toTuple(view, EXPECTED_MASK, addresses);
    this.master = toTuple(view, EXPECTED_MASTER, addresses);
    this.zone = be16Of(view, X.zone);
    this.flags = view.has(X.flags)
      ? (namesOfBits(EXPECTATION_FLAG_NAMES, view.be32(X.flags)) as ExpectationFlagName[])
      : undefined;
    this.class = be32Of(view, X.class);
    this.helper = view.has(X.helper) ? stringOf(view, X.helper, strings) : undefined;
    this.natDirection = view.has(X.natDirection) ? (view.be32(X.natDirection) === 0 ? 'original' : 'reply') : undefined;
    this.fn = view.has(X.fn) ? stringOf(view, X.fn, strings) : undefined;
  }

  toJSON(): ExpectationJson {
    return toJson<Expectation>(this);
  }

  [INSPECT](): object {
    return toPlain(this);
  }
}
