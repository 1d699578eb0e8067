// The `<layer4>` content of a tuple: ports, keys or ICMP fields.

import { T } from '../ctnetlink/fields.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, TokenTable, token } from './byte-writer.js';
import { tag, writeElement } from './xml.js';

const LAYER4_OPEN = new TokenTable((n) => `<layer4 protonum="${n}" protoname="${protocolByNumber(n).name}">`);
export const LAYER4_CLOSE = token('</layer4>');

const SPORT = tag('sport');
const DPORT = tag('dport');
const SRCKEY_OPEN = token('<srckey>0x');
const SRCKEY_CLOSE = token('</srckey>');
const DSTKEY_OPEN = token('<dstkey>0x');
const DSTKEY_CLOSE = token('</dstkey>');
const TYPE = tag('type');
const CODE = tag('code');
const ID = tag('id');

export function writeLayer4Open(out: ByteWriter, protonum: number): void {
  out.token(LAYER4_OPEN.get(protonum));
}

/** The members of the tuple at `base` that protocol `protonum` uses. ICMP fields: B12, the C tool leaves them out. */
export function writeLayer4Members(out: ByteWriter, view: View, base: number, protonum: number): void {
  switch (protocolByNumber(protonum).tuple) {
    case 'ports':
      writeElement(out, SPORT, view.be16(base + T.sport));
      writeElement(out, DPORT, view.be16(base + T.dport));
      break;
    case 'keys':
      out.token(SRCKEY_OPEN);
      out.hex(view.be16(base + T.sport));
      out.token(SRCKEY_CLOSE);
      out.token(DSTKEY_OPEN);
      out.hex(view.be16(base + T.dport));
      out.token(DSTKEY_CLOSE);
      break;
    case 'icmp':
      writeElement(out, TYPE, view.u8(base + T.icmpType));
      writeElement(out, CODE, view.u8(base + T.icmpCode));
      writeElement(out, ID, view.be16(base + T.icmpId));
      break;
    case 'icmpv6':
      writeElement(out, TYPE, view.u8(base + T.icmpv6Type));
      writeElement(out, CODE, view.u8(base + T.icmpv6Code));
      writeElement(out, ID, view.be16(base + T.icmpv6Id));
      break;
    case 'none':
      break;
  }
}
