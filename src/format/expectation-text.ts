// The text line of an expectation: `conntrack -L expect`, `-G expect`, `-E expect`. Order: cli.md 5.6.

import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { T } from '../ctnetlink/fields.js';
import { NF_CT_EXPECT_INACTIVE, NF_CT_EXPECT_PERMANENT, NF_CT_EXPECT_USERSPACE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import { writeEventType, writeOrigin } from './event-words.js';
import { writeTimestamp, writeTupleLayer4 } from './flow-text.js';
import type { FormatOptions, WallClock } from './options.js';
import { entrySize, NEWLINE, SPACE, writeDestination, writeSource } from './shared.js';

const PROTO = token('proto=');
const SRC = token('src=');
const DST = token('dst=');
const MASK_SRC = token('mask-src=');
const MASK_DST = token('mask-dst=');
const MASTER_SRC = token('master-src=');
const MASTER_DST = token('master-dst=');
const ZONE = token('zone=');
const CLASS = token('class=');
const HELPER = token('helper=');
const COMMA = 44;
const FLAGS: readonly (readonly [number, Token])[] = [
  [NF_CT_EXPECT_PERMANENT, token('PERMANENT')],
  [NF_CT_EXPECT_INACTIVE, token('INACTIVE')],
  [NF_CT_EXPECT_USERSPACE, token('USERSPACE')],
];

/** Appends one line. */
export function writeExpectationText(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, undefined, options.netns));
  options.netns?.writeText(out);
  if (options.timestamp) writeTimestamp(out, clock.seconds, clock.microseconds);
  if (options.event) writeEventType(out, view);
  if (view.has(X.timeout)) {
    out.decimal(view.be32(X.timeout));
    out.byte(SPACE);
  }
  const protonum = view.u8(EXPECTED_TUPLE + T.protonum);
  writeNumber(out, PROTO, protonum);
  writeTuple(out, view, EXPECTED_TUPLE, SRC, DST, protonum);
  writeTuple(out, view, EXPECTED_MASK, MASK_SRC, MASK_DST, protonum);
  writeTuple(out, view, EXPECTED_MASTER, MASTER_SRC, MASTER_DST, view.u8(EXPECTED_MASTER + T.protonum));
  if (view.has(X.zone)) writeNumber(out, ZONE, view.be16(X.zone));
  if (view.has(X.flags)) writeFlags(out, view.be32(X.flags));
  if (view.has(X.class)) writeNumber(out, CLASS, view.be32(X.class));
  if (view.has(X.helper)) {
    out.token(HELPER);
    out.raw(view.bytes, view.offset(X.helper), view.stringLength(X.helper));
    out.byte(SPACE);
  }
  if (options.event) writeOrigin(out, view);
  out.dropLast(); // the space behind the last field
  out.byte(NEWLINE);
  out.endEntry();
}

function writeTuple(out: ByteWriter, view: View, base: number, src: Token, dst: Token, protonum: number): void {
  out.token(src);
  writeSource(out, view, base);
  out.byte(SPACE);
  out.token(dst);
  writeDestination(out, view, base);
  out.byte(SPACE);
  writeTupleLayer4(out, view, base, protonum);
}

function writeFlags(out: ByteWriter, flags: number): void {
  let named = 0;
  for (let i = 0; i < FLAGS.length; i++) {
    const row = FLAGS[i]!;
    if ((flags & row[0]) === 0) continue;
    if (named++ > 0) out.byte(COMMA);
    out.token(row[1]);
  }
  if (named > 0) out.byte(SPACE);
}

function writeNumber(out: ByteWriter, name: Token, value: number): void {
  out.token(name);
  out.decimal(value);
  out.byte(SPACE);
}
