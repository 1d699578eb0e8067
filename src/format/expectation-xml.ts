// The XML element of an expectation. Order: docs/behaviour.md 5.7.

import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { T } from '../ctnetlink/fields.js';
import { NF_CT_EXPECT_INACTIVE, NF_CT_EXPECT_PERMANENT, NF_CT_EXPECT_USERSPACE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import type { ByteWriter } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import { type Choice, type PlanBuilder, writePlanned } from './plan.js';
import { XML } from './safe-bytes.js';
import { entrySize } from './shared.js';
import {
  describeAddresses,
  describeFlowOpen,
  describeLayer4,
  FLOW_CLOSE,
  layer3Tag,
  layer4Tag,
  writeWhen,
  xmlFrame,
} from './xml.js';

export const EXPECT_FRAME = xmlFrame('expect');

const FLAGS: readonly Choice[] = [
  [NF_CT_EXPECT_PERMANENT, NF_CT_EXPECT_PERMANENT, '<permanent/>'],
  [NF_CT_EXPECT_INACTIVE, NF_CT_EXPECT_INACTIVE, '<inactive/>'],
  [NF_CT_EXPECT_USERSPACE, NF_CT_EXPECT_USERSPACE, '<userspace/>'],
];

/** Appends one element and its newline. */
export function writeExpectationXml(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, undefined, options.netns));
  writePlanned(out, view, options, clock, describe);
  out.endEntry();
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  const protonum = view.u8(EXPECTED_TUPLE + T.protonum);
  const tuples = [
    ['expected', EXPECTED_TUPLE, protonum],
    ['mask', EXPECTED_MASK, protonum],
    ['master', EXPECTED_MASTER, view.u8(EXPECTED_MASTER + T.protonum)],
  ] as const;
  describeFlowOpen(plan, options);
  plan.text(layer3Tag(view));
  for (const [name, base] of tuples) {
    plan.text(`<${name}>`);
    describeAddresses(plan, base);
    plan.text(`</${name}>`);
  }
  plan.text('</layer3>').text(layer4Tag(protonum));
  for (const [name, base, number] of tuples) {
    plan.text(`<${name}>`);
    describeLayer4(plan, base, number);
    plan.text(`</${name}>`);
  }
  plan.text('</layer4><meta>');
  if (view.has(X.helper)) plan.string(XML, '<helper-name>', X.helper, '</helper-name>');
  if (view.has(X.timeout)) plan.u32('<timeout>', X.timeout, '</timeout>');
  if (view.has(X.class)) plan.u32('<class>', X.class, '</class>');
  if (view.has(X.zone)) plan.u16('<zone>', X.zone, '</zone>');
  if (options.timestamp) plan.write(writeTime);
  for (const word of FLAGS) plan.choose32(X.flags, [word]);
  plan.text('</meta>').text(FLOW_CLOSE);
}

function writeTime(out: ByteWriter, _view: View, _options: FormatOptions, clock: WallClock): void {
  writeWhen(out, clock.seconds, clock);
}
