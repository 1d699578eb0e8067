// Options → FlowFilter, for the commands that choose among flows: list, get, update, delete, events.

import type { AddressBytes } from '../ctnetlink/address.js';
import type { End, FlowCondition, FlowFilter, Side } from '../ctnetlink/filter/condition.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { savedVtag } from '../ctnetlink/protocols/sctp.js';
import type { AddressValue, NatValue, OptionValues } from './invocation.js';

/** The conditions that the options state, all of which an entry must meet. `labelBits` are those of `-l`, already looked up. */
export function flowFilter(values: OptionValues, labelBits: readonly number[] = []): FlowFilter {
  const of: FlowCondition[] = [];
  const address = (side: Side, end: End, value: AddressValue | undefined) => {
    if (value) of.push({ kind: 'address', side, end, address: value.address, ...maskOf(value.mask) });
  };
  const port = (side: Side, end: End, value: number | undefined) => {
    if (value !== undefined) of.push({ kind: 'port', side, end, port: value });
  };
  const { protonum, family, status, mark } = values;
  if (family !== undefined) of.push({ kind: 'family', family });
  if (protonum !== undefined) of.push({ kind: 'protocol', protonum });
  address('original', 'src', values.src);
  address('original', 'dst', values.dst);
  address('reply', 'src', values.replySrc);
  address('reply', 'dst', values.replyDst);
  port('original', 'src', values.sport);
  port('original', 'dst', values.dport);
  port('reply', 'src', values.replySport);
  port('reply', 'dst', values.replyDport);
  for (const [field, value] of [
    ['type', values.icmpType],
    ['code', values.icmpCode],
    ['id', values.icmpId],
  ] as const)
    if (value !== undefined) of.push({ kind: 'icmp', protonum: protonum === icmpv6.number ? 58 : 1, field, value });
  if (values.state !== undefined && protonum !== undefined) of.push({ kind: 'state', protonum, state: values.state });
  if (values.origVtag !== undefined) of.push({ kind: 'vtag', side: 'original', tag: savedVtag(values.origVtag) });
  if (values.replyVtag !== undefined) of.push({ kind: 'vtag', side: 'reply', tag: savedVtag(values.replyVtag) });
  if (values.role !== undefined) of.push({ kind: 'role', role: values.role });
  if (mark) of.push({ kind: 'mark', value: mark.value, mask: mark.mask });
  if (status) of.push({ kind: 'status', set: status.set, clear: status.clear });
  if (labelBits.length > 0) of.push({ kind: 'labels', bits: labelBits });
  if (values.secmark !== undefined) of.push({ kind: 'secmark', value: values.secmark });
  if (values.zone !== undefined) of.push({ kind: 'zone', zone: values.zone });
  if (values.origZone !== undefined) of.push({ kind: 'zone', side: 'original', zone: values.origZone });
  if (values.replyZone !== undefined) of.push({ kind: 'zone', side: 'reply', zone: values.replyZone });
  for (const [nat, value] of [
    ['src', values.srcNat],
    ['dst', values.dstNat],
    ['any', values.anyNat],
  ] as const)
    if (value) of.push({ kind: 'nat', nat, ...natOf(value) });
  if (values.id !== undefined) of.push({ kind: 'id', id: values.id });
  if (values.timeout !== undefined) of.push({ kind: 'timeout', seconds: values.timeout });
  return { kind: 'all', of };
}

function maskOf(mask: AddressBytes | undefined): { mask?: AddressBytes } {
  return mask ? { mask } : {};
}

function natOf(value: NatValue): { address?: AddressBytes; port?: number } {
  return {
    ...(value.address ? { address: value.address } : {}),
    ...(value.port === undefined ? {} : { port: value.port }),
  };
}
