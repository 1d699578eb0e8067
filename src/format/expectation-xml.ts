// The XML element of an expectation. Order: cli.md 5.7.

import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { T } from '../ctnetlink/fields.js';
import { NF_CT_EXPECT_INACTIVE, NF_CT_EXPECT_PERMANENT, NF_CT_EXPECT_USERSPACE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './options.js';
import { entrySize, writeDestination, writeSource } from './shared.js';
import {
  FLOW_CLOSE,
  LAYER3_CLOSE,
  type Tag,
  tag,
  writeElement,
  writeFlowOpen,
  writeLayer3Open,
  writeStringElement,
  writeWhen,
  xmlFrame,
} from './xml.js';
import { LAYER4_CLOSE, writeLayer4Members, writeLayer4Open } from './xml-layer4.js';

export const EXPECT_FRAME = xmlFrame('expect');

const EXPECTED = tag('expected');
const MASK = tag('mask');
const MASTER = tag('master');
const SRC = tag('src');
const DST = tag('dst');
const META = tag('meta');
const HELPER_NAME = tag('helper-name');
const TIMEOUT = tag('timeout');
const CLASS = tag('class');
const ZONE = tag('zone');
const PERMANENT = token('<permanent/>');
const INACTIVE = token('<inactive/>');
const USERSPACE = token('<userspace/>');

/** Appends one element and its newline. */
export function writeExpectationXml(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, undefined, options.netns));
  writeFlowOpen(out, view, options);
  writeLayer3Open(out, view);
  writeAddresses(out, view, EXPECTED_TUPLE, EXPECTED);
  writeAddresses(out, view, EXPECTED_MASK, MASK);
  writeAddresses(out, view, EXPECTED_MASTER, MASTER);
  out.token(LAYER3_CLOSE);
  const protonum = view.u8(EXPECTED_TUPLE + T.protonum);
  writeLayer4Open(out, protonum);
  writeMembers(out, view, EXPECTED_TUPLE, EXPECTED, protonum);
  writeMembers(out, view, EXPECTED_MASK, MASK, protonum);
  writeMembers(out, view, EXPECTED_MASTER, MASTER, view.u8(EXPECTED_MASTER + T.protonum));
  out.token(LAYER4_CLOSE);
  out.token(META.open);
  if (view.has(X.helper)) writeStringElement(out, HELPER_NAME, view, X.helper);
  if (view.has(X.timeout)) writeElement(out, TIMEOUT, view.be32(X.timeout));
  if (view.has(X.class)) writeElement(out, CLASS, view.be32(X.class));
  if (view.has(X.zone)) writeElement(out, ZONE, view.be16(X.zone));
  if (options.timestamp) writeWhen(out, clock.seconds, clock);
  const flags = view.be32(X.flags);
  if (flags & NF_CT_EXPECT_PERMANENT) out.token(PERMANENT);
  if (flags & NF_CT_EXPECT_INACTIVE) out.token(INACTIVE);
  if (flags & NF_CT_EXPECT_USERSPACE) out.token(USERSPACE);
  out.token(META.close);
  out.token(FLOW_CLOSE);
  out.endEntry();
}

function writeAddresses(out: ByteWriter, view: View, base: number, element: Tag): void {
  out.token(element.open);
  out.token(SRC.open);
  writeSource(out, view, base);
  out.token(SRC.close);
  out.token(DST.open);
  writeDestination(out, view, base);
  out.token(DST.close);
  out.token(element.close);
}

function writeMembers(out: ByteWriter, view: View, base: number, element: Tag, protonum: number): void {
  out.token(element.open);
  writeLayer4Members(out, view, base, protonum);
  out.token(element.close);
}
