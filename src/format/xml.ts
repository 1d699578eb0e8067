// Pieces of XML that flows and expectations share: document frame, elements, local time.

import { familyName } from '../ctnetlink/address.js';
import { eventType } from '../ctnetlink/event-type.js';
import { T } from '../ctnetlink/fields.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './format-options.js';
import type { PlanBuilder } from './plan.js';
import { icmpSlots } from './shared.js';

const DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n';

/** First and last lines of a document. */
export interface XmlFrame {
  readonly open: string;
  readonly close: string;
}

/** The frame of a document whose outermost element is `root`. */
export function xmlFrame(root: string): XmlFrame {
  return { open: `${DECLARATION}<${root}>\n`, close: `</${root}>\n` };
}

/** By origin, then by type of event. */
const EVENT_OPEN = ['', ' origin="initial"', ' origin="resync"'].map((origin) =>
  ['new', 'update', 'destroy'].map((type) => token(`<flow type="${type}"${origin}>`)),
);
export const FLOW_CLOSE = '</flow>\n';

/**
 * `<flow>`; for an event with its type, and its origin if a list supplied it; with the entry's network namespace if there are several.
 */
export function describeFlowOpen(plan: PlanBuilder, options: FormatOptions): void {
  if (options.event) plan.write((out, view) => out.token(EVENT_OPEN[view.origin]![eventType(view)]!));
  else plan.text('<flow>');
  if (options.netns) plan.write(addNetns);
}

function addNetns(out: ByteWriter, _view: View, options: FormatOptions): void {
  out.dropLast(); // the `>`
  options.netns!.writeAttribute(out);
}

/** The start tag of the network layer, for the family in the message. */
export function layer3Tag(view: View): string {
  return `<layer3 protonum="${view.family}" protoname="${familyName(view.family)}">`;
}

/** The `<src>` and `<dst>` of the tuple at `base`. */
export function describeAddresses(plan: PlanBuilder, base: number): void {
  plan.address('<src>', base + T.v4Src, base + T.v6Src, '</src>').address('<dst>', base + T.v4Dst, base + T.v6Dst, '</dst>');
}

/** The start tag of the transport layer. */
export function layer4Tag(protonum: number): string {
  return `<layer4 protonum="${protonum}" protoname="${protocolByNumber(protonum).name}">`;
}

/** The members of the tuple at `base` that protocol `protonum` uses. The C tool leaves ICMP fields out: docs/differences.md B12. */
export function describeLayer4(plan: PlanBuilder, base: number, protonum: number): void {
  const { tuple } = protocolByNumber(protonum);
  switch (tuple) {
    case 'ports':
      plan.u16('<sport>', base + T.sport, '</sport>').u16('<dport>', base + T.dport, '</dport>');
      break;
    case 'keys':
      plan.hex16('<srckey>0x', base + T.sport, '</srckey>').hex16('<dstkey>0x', base + T.dport, '</dstkey>');
      break;
    case 'icmp':
    case 'icmpv6': {
      const { type, code, id } = icmpSlots(tuple, base);
      plan.u8('<type>', type, '</type>').u8('<code>', code, '</code>').u16('<id>', id, '</id>');
      break;
    }
    case 'none':
      break;
  }
}

const WHEN_HOUR = token('<when><hour>');
const WHEN_MIN = token('</hour><min>');
const WHEN_SEC = token('</min><sec>');
const WHEN_WDAY = token('</sec><wday>');
const WHEN_DAY = token('</wday><day>');
const WHEN_MONTH = token('</day><month>');
const WHEN_YEAR = token('</month><year>');
const WHEN_CLOSE = token('</year></when>');

/** Local date and time of a second; `wday` 1 is Sunday. */
export function writeWhen(out: ByteWriter, seconds: number, clock: WallClock): void {
  const date = clock.local(seconds);
  out.token(WHEN_HOUR);
  out.decimal(date.getHours());
  out.token(WHEN_MIN);
  out.padded(date.getMinutes(), 2);
  out.token(WHEN_SEC);
  out.padded(date.getSeconds(), 2);
  out.token(WHEN_WDAY);
  out.decimal(date.getDay() + 1);
  out.token(WHEN_DAY);
  out.decimal(date.getDate());
  out.token(WHEN_MONTH);
  out.decimal(date.getMonth() + 1);
  out.token(WHEN_YEAR);
  out.decimal(date.getFullYear());
  out.token(WHEN_CLOSE);
}
