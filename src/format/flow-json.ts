// A flow as a JSON object: what `Flow.toJSON()` of the library gives. The members are the rows of flow-members.ts, from which the schema
// (json-schema.ts) is made too. What they mean: docs/json.md.

import { familyName } from '../ctnetlink/address.js';
import { type DirectionRow, flowFields, MASTER, ORIGINAL, ORIGINAL_SIDE, REPLY_SIDE, S, T } from '../ctnetlink/fields.js';
import { type FieldName, FLOW_MEMBERS, type MemberRow, SEQ_ADJ } from '../ctnetlink/flow-members.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { Field } from '../ctnetlink/schema.js';
import { STATUS_NAMES } from '../ctnetlink/status.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import {
  bitTokens,
  describeBits,
  describeEnd,
  describeEntry,
  describeHex,
  describeTuple,
  endArray,
  endObject,
  endValue,
  member,
  textMember,
  writeNumberMember,
} from './json.js';
import { type PlanBuilder, writePlanned } from './plan.js';
import { JSON_STRING } from './safe-bytes.js';
import { entrySize, stateWords, writeLabelNames } from './shared.js';

const STATES = stateWords('",');
const STATUS_WORDS = bitTokens(STATUS_NAMES);
const LABELS = token('"labels":[');
const LABEL_NAMES = token('"labelNames":[');
const QUOTE = token('"');
const QUOTE_COMMA = token('",');
const COMMA = 44;

/** A label bit takes at most this many bytes: `1023,`. */
const BYTES_PER_LABEL = 8;

/** Appends one object, without a newline. With `options.event` the flow is the member `flow` of the event's object. */
export function writeFlowJson(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns) + view.length(S.labels) * 8 * BYTES_PER_LABEL);
  writePlanned(out, view, options, clock, describe);
  endValue(out);
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  describeEntry(plan, options, 'flow', S.timestampEvent, () => describeMembers(plan, view));
}

function describeMembers(plan: PlanBuilder, view: View): void {
  for (const row of FLOW_MEMBERS as readonly MemberRow[]) {
    const { name, field, parts, triple } = row;
    if (field) describeField(plan, view, name, field);
    else if (!parts) OWN[name as OwnMember](plan, view);
    else if (triple) describeTriple(plan, view, S[Object.values(parts)[0]!], name, Object.keys(parts));
    else describeObject(plan, view, name, Object.entries(parts));
  }
}

/** Members that are not just the value of a field. */
type OwnMember = Exclude<(typeof FLOW_MEMBERS)[number], { readonly field: FieldName } | { readonly parts: object }>['name'];

const OWN: Readonly<Record<OwnMember, (plan: PlanBuilder, view: View) => void>> = {
  family: (plan, view) => plan.text(textMember('family', familyName(view.family))),
  protocol: (plan, view) => plan.text(textMember('protocol', protocolByNumber(protonumOf(view)).name)),
  state: (plan, view) => {
    const states = STATES[protonumOf(view)];
    if (states && view.has(states.slot)) plan.text('"state":"').word8(states.slot, states.words);
  },
  original: (plan, view) => describeSide(plan, view, ORIGINAL_SIDE),
  reply: (plan, view) => describeSide(plan, view, REPLY_SIDE),
  status: (plan, view) => {
    if (view.has(S.status)) describeBits(plan, 'status', S.status, STATUS_WORDS);
  },
  labels: (plan, view) => {
    if (view.has(S.labels)) plan.write(writeLabels);
  },
  master: (plan, view) => {
    if (!view.has(MASTER + T.protonum)) return;
    plan.text('"master":{');
    describeTuple(plan, view, MASTER);
    describeEnd(plan);
  },
};

function protonumOf(view: View): number {
  return view.u8(ORIGINAL + T.protonum);
}

/** The value of a field, if the kernel sent it, as its kind is written. */
function describeField(plan: PlanBuilder, view: View, name: string, field: FieldName): void {
  const slot = S[field];
  if (!view.has(slot)) return;
  const { kind, names }: Field = flowFields[field];
  const before = `"${name}":`;
  if (names)
    plan.word8(
      slot,
      names.map((word) => textMember(name, word)),
    );
  else if (kind === 'u8' || kind === 'pair8') plan.u8(before, slot, ',');
  else if (kind === 'be16') plan.u16(before, slot, ',');
  else if (kind === 'be32') plan.u32(before, slot, ',');
  else if (kind === 'be64') plan.safe64(before, slot, ',');
  else if (kind === 'string') plan.string(JSON_STRING, `${before}"`, slot, '",');
  else if (kind === 'bytes') describeHex(plan, name, slot);
  else throw new Error(`no member is written as ${kind}`);
}

function describeSide(plan: PlanBuilder, view: View, { name, tuple, packets, bytes, seqAdj }: DirectionRow): void {
  plan.text(`"${name}":{`);
  describeTuple(plan, view, tuple);
  if (view.has(packets)) plan.safe64('"packets":', packets, ',');
  if (view.has(bytes)) plan.safe64('"bytes":', bytes, ',');
  describeTriple(plan, view, seqAdj, 'seqAdj', SEQ_ADJ);
  describeEnd(plan);
}

/** An object of the members that the kernel sent; nothing if it sent none. */
function describeObject(plan: PlanBuilder, view: View, name: string, parts: readonly (readonly [string, FieldName])[]): void {
  if (!parts.some(([, field]) => view.has(S[field]))) return;
  plan.text(`"${name}":{`);
  for (const [part, field] of parts) describeField(plan, view, part, field);
  describeEnd(plan);
}

/** An object of three numbers, unless all are 0: the kernel sends unused ones as 0. */
function describeTriple(plan: PlanBuilder, view: View, slot: number, name: string, names: readonly string[]): void {
  if (![slot, slot + 1, slot + 2].some((each) => view.has(each))) return;
  const open = token(`"${name}":{`);
  const members = names.map(member);
  plan.write((out, entry) => {
    if (!entry.any32x3(slot)) return;
    out.token(open);
    for (let i = 0; i < 3; i++) writeNumberMember(out, members[i]!, entry.be32(slot + i));
    endObject(out);
  });
}

function writeLabels(out: ByteWriter, view: View, options: FormatOptions): void {
  out.token(LABELS);
  const words = view.length(S.labels) >> 2;
  for (let word = 0; word < words; word++) {
    const bits = view.labelWord(S.labels, word);
    for (let bit = 0; bit < 32; bit++) {
      if (((bits >>> bit) & 1) === 0) continue;
      out.decimal(word * 32 + bit);
      out.byte(COMMA);
    }
  }
  endArray(out);
  if (!options.labels) return;
  out.token(LABEL_NAMES);
  writeLabelNames(out, view, options.labels, QUOTE, QUOTE_COMMA);
  endArray(out);
}
