// An expectation as a JSON object: what `Expectation.toJSON()` of the library gives. Members: docs/json.md.

import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { T } from '../ctnetlink/fields.js';
import { EXPECTATION_FLAG_NAMES } from '../ctnetlink/status.js';
import type { View } from '../ctnetlink/view.js';
import type { ByteWriter } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import { bitTokens, describeBits, describeEnd, describeEntry, describeTuple, endValue, kindMembers, textMember } from './json.js';
import { type PlanBuilder, writePlanned } from './plan.js';
import { JSON_STRING } from './safe-bytes.js';
import { entrySize } from './shared.js';

const FLAG_WORDS = bitTokens(EXPECTATION_FLAG_NAMES);
const NO_KERNEL_TIME = -1;

/** Appends one object, without a newline. With `options.event` it is the member `expectation` of the event's object. */
export function writeExpectationJson(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, undefined, options.netns));
  writePlanned(out, view, options, clock, describe);
  endValue(out);
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  describeEntry(plan, options, 'expectation', NO_KERNEL_TIME, () => describeMembers(plan, view));
}

function describeMembers(plan: PlanBuilder, view: View): void {
  if (view.has(X.id)) plan.u32('"id":', X.id, ',');
  plan.text(kindMembers(view, view.u8(EXPECTED_TUPLE + T.protonum)));
  if (view.has(X.timeout)) plan.u32('"timeout":', X.timeout, ',');
  for (const [name, base] of [
    ['tuple', EXPECTED_TUPLE],
    ['mask', EXPECTED_MASK],
    ['master', EXPECTED_MASTER],
  ] as const) {
    plan.text(`"${name}":{`);
    describeTuple(plan, view, base);
    describeEnd(plan);
  }
  if (view.has(X.zone)) plan.u16('"zone":', X.zone, ',');
  if (view.has(X.flags)) describeBits(plan, 'flags', X.flags, FLAG_WORDS);
  if (view.has(X.class)) plan.u32('"class":', X.class, ',');
  if (view.has(X.helper)) plan.string(JSON_STRING, '"helper":"', X.helper, '",');
  if (view.has(X.natDirection))
    plan.choose32(X.natDirection, [[-1, 0, textMember('natDirection', 'original')]], textMember('natDirection', 'reply'));
  if (view.has(X.fn)) plan.string(JSON_STRING, '"fn":"', X.fn, '",');
}
