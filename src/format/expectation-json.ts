// An expectation as a JSON object: what `Expectation.toJSON()` of the library gives. Members: docs/json.md.

import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, X } from '../ctnetlink/expectation-fields.js';
import { T } from '../ctnetlink/fields.js';
import { EXPECTATION_FLAG_NAMES } from '../ctnetlink/status.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import {
  bitTokens,
  endObject,
  endValue,
  member,
  openEvent,
  textMember,
  writeBitsMember,
  writeFamily,
  writeNumberMember,
  writeProtocol,
  writeStringMember,
  writeTupleMembers,
} from './json.js';
import type { FormatOptions, WallClock } from './options.js';
import { entrySize } from './shared.js';

const OPEN = token('{');
const EXPECTATION = token('"expectation":{');
const ID = member('id');
const TIMEOUT = member('timeout');
const TUPLE = token('"tuple":{');
const MASK = token('"mask":{');
const MASTER = token('"master":{');
const ZONE = member('zone');
const FLAGS = token('"flags":[');
const FLAG_WORDS = bitTokens(EXPECTATION_FLAG_NAMES);
const CLASS = member('class');
const HELPER = member('helper');
const NAT_DIRECTION = [textMember('natDirection', 'original'), textMember('natDirection', 'reply')] as const;
const FN = member('fn');
const NO_KERNEL_TIME = -1;

/** Appends one object, without a newline behind it. With `options.event` it is the member `expectation` of the event's object. */
export function writeExpectationJson(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, undefined, options.netns));
  if (options.event) {
    openEvent(out, view, options, clock, NO_KERNEL_TIME);
    out.token(EXPECTATION);
  } else {
    out.token(OPEN);
    options.netns?.writeJson(out);
  }
  if (view.has(X.id)) writeNumberMember(out, ID, view.be32(X.id));
  writeFamily(out, view);
  writeProtocol(out, view.u8(EXPECTED_TUPLE + T.protonum));
  if (view.has(X.timeout)) writeNumberMember(out, TIMEOUT, view.be32(X.timeout));
  writeTuple(out, view, TUPLE, EXPECTED_TUPLE);
  writeTuple(out, view, MASK, EXPECTED_MASK);
  writeTuple(out, view, MASTER, EXPECTED_MASTER);
  if (view.has(X.zone)) writeNumberMember(out, ZONE, view.be16(X.zone));
  if (view.has(X.flags)) writeBitsMember(out, FLAGS, view.be32(X.flags), FLAG_WORDS);
  if (view.has(X.class)) writeNumberMember(out, CLASS, view.be32(X.class));
  if (view.has(X.helper)) writeStringMember(out, HELPER, view, X.helper);
  if (view.has(X.natDirection)) out.token(NAT_DIRECTION[view.be32(X.natDirection) === 0 ? 0 : 1]);
  if (view.has(X.fn)) writeStringMember(out, FN, view, X.fn);
  endObject(out);
  if (options.event) endObject(out);
  endValue(out);
}

function writeTuple(out: ByteWriter, view: View, name: Token, base: number): void {
  out.token(name);
  writeTupleMembers(out, view, base);
  endObject(out);
}
