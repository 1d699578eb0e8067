// A string that identifies a flow within its table.

import { ValueError } from '../errors.js';
import { type AddressBytes, formatAddress } from './address.js';
import { type FlowKeyInput, toFlowKey } from './new-flow.js';
import { generic } from './protocols/generic.js';
import { protocolByNumber } from './protocols/index.js';
import { AF_INET6 } from './uapi/in.js';

/**
 * A string that two flows of one table share only if one has taken the place of the other: protocol, original tuple, and the zone
 * of the original direction unless it is 0. It never changes while a flow lives. For keys of a `Map`, and for logs:
 *
 * ```text
 * tcp 192.0.2.1:40000>198.51.100.7:443
 * udp [2001:db8::1]:5000>[2001:db8::2]:53 zone=5
 * icmp 192.0.2.1>198.51.100.7 type=8 code=0 id=77
 * gre 192.0.2.1:1>198.51.100.7:2
 * 50 192.0.2.1>198.51.100.7
 * ```
 *
 * A protocol with its own tracker appears by name, any other by number. Addresses are spelled as in flows; IPv6 ones are in brackets.
 * Pass anything that names a flow and has the original tuple.
 * @throws ValueError if that is missing or incomplete
 */
export function flowKey(flow: FlowKeyInput): string {
  const { family, original, zone } = toFlowKey(flow);
  if (!original) throw new ValueError('a flow is identified by its original tuple', { hint: 'give original' });
  const { src, dst, sport, dport, icmpType, icmpCode, icmpId } = original;
  const protonum = original.protonum!;
  const { name, tuple } = protocolByNumber(protonum);
  const ports = tuple === 'ports' || tuple === 'keys';
  const end = (address: AddressBytes, port: number | undefined) => {
    const text = formatAddress(address);
    return (family === AF_INET6 ? `[${text}]` : text) + (ports && port !== undefined ? `:${port}` : '');
  };
  let key = `${name === generic.name ? protonum : name} ${end(src!, sport)}>${end(dst!, dport)}`;
  if (tuple === 'icmp' || tuple === 'icmpv6') key += ` type=${icmpType} code=${icmpCode} id=${icmpId}`;
  const inZone = zone || original.zone;
  return inZone ? `${key} zone=${inZone}` : key;
}
