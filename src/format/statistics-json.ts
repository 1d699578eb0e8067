// Counters of one CPU as a JSON object: what the library's `statistics()` gives.

import { statisticMember } from '../ctnetlink/statistics.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import type { NamespaceLabel } from './format-options.js';
import { endObject, endValue, member, writeNumberMember } from './json.js';

const OPEN = token('{');
const CPU = member('cpu');
const OBJECT_SIZE = 1024;

/** Names of the counters, slot by slot, for `writeStatisticsJson`. */
export function statisticMembers(names: readonly string[]): readonly Token[] {
  return names.map((name) => member(statisticMember(name)));
}

/** Appends one object with the counters that the kernel sent, without a newline. */
export function writeStatisticsJson(out: ByteWriter, view: View, members: readonly Token[], netns?: NamespaceLabel): void {
  out.reserve(OBJECT_SIZE + (netns?.size ?? 0));
  out.token(OPEN);
  netns?.writeJson(out);
  writeNumberMember(out, CPU, view.resourceId);
  for (let slot = 0; slot < members.length; slot++) if (view.has(slot)) writeNumberMember(out, members[slot]!, view.be32(slot));
  endObject(out);
  endValue(out);
}
