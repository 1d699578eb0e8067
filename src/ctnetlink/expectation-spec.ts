// ExpectationSpec → request attributes. Source: enum ctattr_expect, docs/kernel.md 2.3, 3.10.

import type { MessageWriter } from '../wire/message.js';
import { putTuple, type TupleSpec } from './encode.js';
import { CTA_EXPECT_MASK, CTA_EXPECT_MASTER, CTA_EXPECT_TIMEOUT, CTA_EXPECT_TUPLE } from './uapi/nfnetlink-conntrack.js';

/** An expectation as a request states it. */
export interface ExpectationSpec {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** Original tuple of the flow that expects; it must exist and have a helper. */
  readonly master: TupleSpec;
  /** What is expected. */
  readonly tuple: TupleSpec;
  /** Which bits of `tuple` count. Current kernels use only the source half. */
  readonly mask: TupleSpec;
  /** Seconds; the helper's own timeout takes precedence. */
  readonly timeout: number;
}

/** Appends everything the spec states. */
export function putExpectation(message: MessageWriter, expectation: ExpectationSpec): void {
  putTuple(message, CTA_EXPECT_TUPLE, expectation.tuple);
  putTuple(message, CTA_EXPECT_MASTER, expectation.master);
  putTuple(message, CTA_EXPECT_MASK, expectation.mask);
  message.be32(CTA_EXPECT_TIMEOUT, expectation.timeout);
}
