// Options → FlowFilter, for the commands that select flows: list, get, update, delete, events.

import {
  addressIs,
  type End,
  type FlowFilter,
  labelsAre,
  markIs,
  natIs,
  numberIs,
  portIs,
  type Side,
  statusIs,
} from '../ctnetlink/filter/condition.js';
import { gre } from '../ctnetlink/protocols/gre.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { savedVtag } from '../ctnetlink/protocols/sctp.js';
import type { AddressValue, OptionValues } from './invocation.js';

/**
 * The conditions that the options state, all of which an entry must meet. `labelBits` are those of `-l`, already looked up;
 * `text` is what `--filter` says.
 */
export function flowFilter(values: OptionValues, labelBits: readonly number[] = [], text?: FlowFilter): FlowFilter {
  const of: FlowFilter[] = [];
  const { protonum, family, status, mark } = values;
  const address = (side: Side, end: End, value: AddressValue | undefined) => {
    if (value) of.push(addressIs(side, end, value.address, value.mask));
  };
  const port = (side: Side, end: End, value: number | undefined) => {
    if (value !== undefined) of.push(portIs(side, end, value, protonum === gre.number ? 'key' : 'port'));
  };
  const number = (...[field, value]: [field: Parameters<typeof numberIs>[0], value: number | undefined]) => {
    if (value !== undefined) of.push(numberIs(field, value));
  };
  if (family !== undefined) of.push({ kind: 'family', family });
  number('protocol', protonum);
  address('original', 'src', values.src);
  address('original', 'dst', values.dst);
  address('reply', 'src', values.replySrc);
  address('reply', 'dst', values.replyDst);
  port('original', 'src', values.sport);
  port('original', 'dst', values.dport);
  port('reply', 'src', values.replySport);
  port('reply', 'dst', values.replyDport);
  const ipv6 = protonum === icmpv6.number;
  number(ipv6 ? 'icmpv6Type' : 'icmpType', values.icmpType);
  number(ipv6 ? 'icmpv6Code' : 'icmpCode', values.icmpCode);
  number(ipv6 ? 'icmpv6Id' : 'icmpId', values.icmpId);
  const state = values.state === undefined ? undefined : protocolByNumber(protonum!).states?.[values.state];
  if (state !== undefined) of.push({ kind: 'state', names: [state] });
  number('vtagOriginal', values.origVtag === undefined ? undefined : savedVtag(values.origVtag));
  number('vtagReply', values.replyVtag === undefined ? undefined : savedVtag(values.replyVtag));
  number('role', values.role);
  if (mark) of.push(markIs(mark.value, mark.mask));
  if (status) of.push(...statusIs(status.set, status.clear));
  of.push(...labelsAre(labelBits));
  number('secmark', values.secmark);
  number('zone', values.zone);
  number('originalZone', values.origZone);
  number('replyZone', values.replyZone);
  for (const [nat, value] of [
    ['src', values.srcNat],
    ['dst', values.dstNat],
    ['any', values.anyNat],
  ] as const)
    if (value) of.push(natIs(nat, value.address, value.port));
  number('id', values.id);
  number('timeout', values.timeout);
  if (text) of.push(text);
  return { kind: 'all', of };
}
