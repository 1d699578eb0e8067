// Pieces of XML that flows and expectations share: document frame, elements, escaping, local time.

import { eventType } from '../ctnetlink/event-type.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import type { FormatOptions, WallClock } from './options.js';

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

const FLOW_OPEN = token('<flow>');
/** By origin, then by type of event. */
const FLOW_EVENT_OPEN = ['', ' origin="initial"', ' origin="resync"'].map((origin) =>
  ['new', 'update', 'destroy'].map((type) => token(`<flow type="${type}"${origin}>`)),
);
export const FLOW_CLOSE = token('</flow>\n');

/** `<flow>`; of an event with its type, and origin when a list supplied it; of several network namespaces with the entry's. */
export function writeFlowOpen(out: ByteWriter, view: View, options: FormatOptions): void {
  out.token(options.event ? FLOW_EVENT_OPEN[view.origin]![eventType(view)]! : FLOW_OPEN);
  if (options.netns) {
    out.dropLast(); // the `>`
    options.netns.writeAttribute(out);
  }
}

const LAYER3_IPV4 = token('<layer3 protonum="2" protoname="ipv4">');
const LAYER3_IPV6 = token('<layer3 protonum="10" protoname="ipv6">');
const LAYER3_OTHER = token('<layer3 protonum="');
const LAYER3_UNKNOWN = token('" protoname="unknown">');
export const LAYER3_CLOSE = token('</layer3>');

export function writeLayer3Open(out: ByteWriter, view: View): void {
  if (view.family === AF_INET) out.token(LAYER3_IPV4);
  else if (view.family === AF_INET6) out.token(LAYER3_IPV6);
  else {
    out.token(LAYER3_OTHER);
    out.decimal(view.family);
    out.token(LAYER3_UNKNOWN);
  }
}

/** Start and end tag of an element. */
export interface Tag {
  readonly open: Token;
  readonly close: Token;
}
export function tag(name: string): Tag {
  return { open: token(`<${name}>`), close: token(`</${name}>`) };
}

export function writeElement(out: ByteWriter, element: Tag, value: number): void {
  out.token(element.open);
  out.decimal(value);
  out.token(element.close);
}

const AMP = token('&amp;');
const LESS = token('&lt;');
const GREATER = token('&gt;');
const QUOTE = token('&quot;');
const QUESTION = 63;

/** A string from the kernel as element content. What XML 1.0 cannot hold (control and non-ASCII bytes) becomes `?`. */
export function writeStringElement(out: ByteWriter, element: Tag, view: View, slot: number): void {
  out.token(element.open);
  const at = view.offset(slot);
  const length = view.stringLength(slot);
  for (let i = 0; i < length; i++) {
    const byte = view.bytes[at + i]!;
    if (byte === 38) out.token(AMP);
    else if (byte === 60) out.token(LESS);
    else if (byte === 62) out.token(GREATER);
    else if (byte === 34) out.token(QUOTE);
    else out.byte((byte < 32 && byte !== 9) || byte > 126 ? QUESTION : byte);
  }
  out.token(element.close);
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
