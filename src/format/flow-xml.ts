// The XML element of a flow. Order and elements: docs/behaviour.md 5.5.

import { DIRECTIONS, type DirectionRow, ORIGINAL, S, T } from '../ctnetlink/fields.js';
import { IPS_ASSURED, IPS_EXPECTED, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import { type Choice, type PlanBuilder, writePlanned } from './plan.js';
import { XML } from './safe-bytes.js';
import { entrySize, nanosecondsOf, secondsOf, stateWords, writeLabelNames } from './shared.js';
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

export const CONNTRACK_FRAME = xmlFrame('conntrack');

const META_INDEPENDENT = '<meta direction="independent">';
const META_CLOSE = token('</meta>');
const LABEL_OPEN = token('<label>');
const LABEL_CLOSE = token('</label>');

const STATES = stateWords('');
/** The C tool has assured and unreplied; the others are ours (docs/differences.md B12). */
const STATUS: readonly Choice[] = [
  [IPS_ASSURED, IPS_ASSURED, '<assured/>'],
  [IPS_SEEN_REPLY, 0, '<unreplied/>'],
  [IPS_EXPECTED, IPS_EXPECTED, '<expected/>'],
  [IPS_OFFLOAD, IPS_OFFLOAD, '<offload/>'],
  [IPS_HW_OFFLOAD, IPS_HW_OFFLOAD, '<hw-offload/>'],
];

/** Appends one element and its newline. */
export function writeFlowXml(out: ByteWriter, view: View, options: FormatOptions, clock: WallClock): void {
  out.reserve(entrySize(view, options.labels, options.netns));
  writePlanned(out, view, options, clock, describe);
  out.endEntry();
}

function describe(plan: PlanBuilder, view: View, options: FormatOptions): void {
  describeFlowOpen(plan, options);
  for (const direction of DIRECTIONS) describeDirection(plan, view, direction);
  plan.text(META_INDEPENDENT);
  describeIndependent(plan, view, options);
  plan.write(closeIndependent);
  if (options.event && options.timestamp) plan.write(writeEventTime);
  if (view.has(S.helper)) plan.string(XML, '<helper>', S.helper, '</helper>');
  plan.text(FLOW_CLOSE);
}

function describeDirection(plan: PlanBuilder, view: View, { name, tuple: base, packets, bytes }: DirectionRow): void {
  const protonum = view.u8(base + T.protonum);
  plan.text(`<meta direction="${name}">`);
  plan.text(layer3Tag(view));
  describeAddresses(plan, base);
  plan.text('</layer3>');
  plan.text(layer4Tag(protonum));
  describeLayer4(plan, base, protonum);
  plan.text('</layer4>');
  if (view.has(base + T.tupleZone)) plan.u16('<zone>', base + T.tupleZone, '</zone>');
  // Both directions show counters as soon as the original one has them.
  if (view.has(S.packetsOriginal) && view.has(S.bytesOriginal))
    plan.u64('<counters><packets>', packets, '</packets>').u64('<bytes>', bytes, '</bytes></counters>');
  plan.text('</meta>');
}

function describeIndependent(plan: PlanBuilder, view: View, options: FormatOptions): void {
  const states = STATES[view.u8(ORIGINAL + T.protonum)];
  if (states && view.has(states.slot)) plan.text('<state>').word8(states.slot, states.words).text('</state>');
  if (view.has(S.timeout)) plan.u32('<timeout>', S.timeout, '</timeout>');
  if (view.has(S.mark)) plan.u32('<mark>', S.mark, '</mark>');
  if (options.labels && view.has(S.labels)) plan.text('<labels>').write(writeLabels).text('</labels>');
  if (view.has(S.secmark)) plan.u32('<secmark>', S.secmark, '</secmark>');
  if (view.has(S.secctx)) plan.string(XML, '<secctx>', S.secctx, '</secctx>');
  if (view.has(S.zone)) plan.u16('<zone>', S.zone, '</zone>');
  if (view.has(S.use)) plan.u32('<use>', S.use, '</use>');
  if (view.has(S.id)) plan.u32('<id>', S.id, '</id>');
  if (view.has(S.status)) for (const word of STATUS) plan.choose32(S.status, [word]);
  if (view.has(S.timestampStart)) describeTimes(plan, view, options);
}

function describeTimes(plan: PlanBuilder, view: View, options: FormatOptions): void {
  if (options.ktimestamp) {
    plan.u64('<timestamp><start>', S.timestampStart, '</start>');
    if (view.has(S.timestampStop)) plan.u64('<stop>', S.timestampStop, '</stop>');
    plan.text('</timestamp>');
  }
  plan.text('<deltatime>').write(writeAge).text('</deltatime>');
}

/** With a stop time, the difference is computed in nanoseconds and then truncated, unlike in text (docs/differences.md B13). */
function writeAge(out: ByteWriter, view: View, _options: FormatOptions, clock: WallClock): void {
  const stopped = view.has(S.timestampStop);
  let age = (stopped ? secondsOf(view, S.timestampStop) : clock.seconds) - secondsOf(view, S.timestampStart);
  if (stopped && nanosecondsOf(view, S.timestampStop) < nanosecondsOf(view, S.timestampStart)) age--;
  out.decimal(Math.max(0, age));
}

/** An empty element is left out: an entry whose status has none of the words may have nothing else. */
function closeIndependent(out: ByteWriter): void {
  if (out.endsWith(META_INDEPENDENT)) out.length -= META_INDEPENDENT.length;
  else out.token(META_CLOSE);
}

function writeLabels(out: ByteWriter, view: View, options: FormatOptions): void {
  writeLabelNames(out, view, options.labels!, LABEL_OPEN, LABEL_CLOSE);
}

function writeEventTime(out: ByteWriter, view: View, _options: FormatOptions, clock: WallClock): void {
  writeWhen(out, view.has(S.timestampEvent) ? secondsOf(view, S.timestampEvent) : clock.seconds, clock);
}
