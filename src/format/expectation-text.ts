// The text line of an expectation: `conntrack -L expect`, `-G expect`, `-E expect`. Order: docs/behaviour.md 5.6.

import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { T } from '../ctnetlink/fields.js';
import { NF_CT_EXPECT_INACTIVE, NF_CT_EXPECT_PERMANENT, NF_CT_EXPECT_USERSPACE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import type { ByteWriter } from './byte-writer.js';
import { writeEventType, writeOrigin } from './event-words.js';
import { describeTupleLayer4, writeNetns, writeTimestamp } from './flow-text.js';
import type { FormatOptions, WallClock } from './format-options.js';
import { combinations, type PlanBuilder } from './plan.js';
import { LINE } from './safe-bytes.js';
import { entrySize, writeLine } from './shared.js';

const FLAGS = combinations(
  [
    [NF_CT_EXPECT_PERMANENT, 'PERMANENT'],
    [NF_CT_EXPECT_INACTIVE, 'INACTIVE'],
    [NF_CT_EXPECT_USERSPACE, 'USERSPACE'],
  ],
  (names) => `${names.join()} `,
);

/** Appends one line. */
export function writeExpectationText(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, undefined, options.netns));
  writeLine(out, view, options, clock, describe);
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  if (options.netns) plan.write(writeNetns);
  if (options.timestamp) plan.write(writeTime);
  if (options.event) plan.write(writeEventType);
  if (view.has(X.timeout)) plan.u32('', X.timeout, ' ');
  const protonum = view.u8(EXPECTED_TUPLE + T.protonum);
  plan.text(`proto=${protonum} `);
  describeTuple(plan, EXPECTED_TUPLE, '', protonum);
  describeTuple(plan, EXPECTED_MASK, 'mask-', protonum);
  describeTuple(plan, EXPECTED_MASTER, 'master-', view.u8(EXPECTED_MASTER + T.protonum));
  if (view.has(X.zone)) plan.u16('zone=', X.zone, ' ');
  plan.choose32(X.flags, FLAGS);
  if (view.has(X.class)) plan.u32('class=', X.class, ' ');
  if (view.has(X.helper)) plan.string(LINE, 'helper=', X.helper, ' ');
  if (options.event) plan.write(writeOrigin);
}

/** The prefix applies to addresses; ports have none. */
function describeTuple(plan: PlanBuilder, base: number, prefix: string, protonum: number): void {
  plan.address(`${prefix}src=`, base + T.v4Src, base + T.v6Src);
  plan.address(` ${prefix}dst=`, base + T.v4Dst, base + T.v6Dst, ' ');
  describeTupleLayer4(plan, base, protonum);
}

function writeTime(out: ByteWriter, _view: View, _options: FormatOptions, clock: WallClock): void {
  writeTimestamp(out, clock.seconds, clock.microseconds);
}
