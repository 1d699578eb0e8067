// Every field of an expectation message, and their slots. Source: enum ctattr_expect, docs/kernel.md 3.10.

import { compilePolicy, type Policy, slotsOf } from './policy.js';
import type { Fields } from './schema.js';
import { TUPLE_SIZE } from './tuple-fields.js';
import {
  CTA_EXPECT_CLASS,
  CTA_EXPECT_FLAGS,
  CTA_EXPECT_FN,
  CTA_EXPECT_HELP_NAME,
  CTA_EXPECT_ID,
  CTA_EXPECT_MASK,
  CTA_EXPECT_MASTER,
  CTA_EXPECT_NAT,
  CTA_EXPECT_NAT_DIR,
  CTA_EXPECT_TIMEOUT,
  CTA_EXPECT_TUPLE,
  CTA_EXPECT_ZONE,
} from './uapi/nfnetlink-conntrack.js';

/** Base slots of the three tuples of an expectation. */
export const EXPECTED_TUPLE = 0;
export const EXPECTED_MASK = TUPLE_SIZE;
export const EXPECTED_MASTER = 2 * TUPLE_SIZE;

export const expectationFields = {
  timeout: { path: [CTA_EXPECT_TIMEOUT], kind: 'be32', doc: 'Seconds until the expectation is dropped.' },
  id: { path: [CTA_EXPECT_ID], kind: 'be32', doc: 'Identifier.' },
  helper: { path: [CTA_EXPECT_HELP_NAME], kind: 'string', doc: 'Name of the helper that made it.' },
  zone: { path: [CTA_EXPECT_ZONE], kind: 'be16', doc: 'Zone of the master.' },
  flags: { path: [CTA_EXPECT_FLAGS], kind: 'be32', doc: 'NF_CT_EXPECT_* bits.' },
  class: { path: [CTA_EXPECT_CLASS], kind: 'be32', doc: "The helper's class of expectation." },
  natDirection: {
    path: [CTA_EXPECT_NAT, CTA_EXPECT_NAT_DIR],
    kind: 'be32',
    doc: 'Direction to which NAT is applied: 0 original, 1 reply.',
  },
  fn: { path: [CTA_EXPECT_FN], kind: 'string', doc: 'Name of the function called when the connection arrives.' },
} as const satisfies Fields;

/** Slot of each field that is not part of a tuple. */
export const X = slotsOf(3, expectationFields);

/** The decode policy of expectation messages. */
export function expectationPolicy(): Policy {
  return compilePolicy([CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_MASTER], expectationFields);
}
