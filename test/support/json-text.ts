// JSON objects back to the reference's text, by docs/behaviour.md 5 and independent of src/: `-o json` must contain enough to write the
// line that the reference prints.

import type { ExpectationJson } from '../../src/ctnetlink/expectation.js';
import type { FlowJson } from '../../src/ctnetlink/flow.js';

type TupleJson = ExpectationJson['tuple'];

/** A line of `-L -o extended,id,ktimestamp`-less text: `-o extended,id`. delta-time is left to the caller, as it moves. */
export function flowText(flow: FlowJson): string {
  const { original, reply, status = [] } = flow;
  const words: (string | undefined)[] = [
    flow.family === 'ipv4' ? 'ipv4     2' : 'ipv6     10',
    `${flow.protocol.padEnd(8)} ${original.protonum}`,
    field('', flow.timeout),
    flow.state,
    ...tupleWords(original, flow.protocol, 'zone-orig='),
    field('packets=', original.packets),
    field('bytes=', original.bytes),
    status.includes('SEEN_REPLY') ? undefined : '[UNREPLIED]',
    ...tupleWords(reply, flow.protocol, 'zone-reply='),
    field('packets=', reply.packets),
    field('bytes=', reply.bytes),
    (['HW_OFFLOAD', 'OFFLOAD', 'ASSURED'] as const).filter((bit) => status.includes(bit)).map((bit) => `[${bit}]`)[0],
    field('mark=', flow.mark),
    field('secmark=', flow.secmark),
    field('secctx=', flow.secctx),
    field('zone=', flow.zone),
    flow.timestamp ? 'delta-time=*' : undefined,
    field('helper=', flow.helper),
    field('use=', flow.use),
    field('id=', flow.id),
  ];
  return words.filter((word) => word !== undefined).join(' ');
}

/** A line of `-L expect`. */
export function expectationText(expectation: ExpectationJson): string {
  const { tuple, mask, master, flags = [] } = expectation;
  const protocolOf = (protonum: number) =>
    ({ 1: 'icmp', 58: 'icmpv6', 47: 'gre', 6: 'tcp', 17: 'udp', 132: 'sctp', 33: 'dccp', 136: 'udplite' })[protonum] ?? 'unknown';
  const protocol = expectation.protocol;
  const words: (string | undefined)[] = [
    field('', expectation.timeout),
    `proto=${tuple.protonum}`,
    ...tupleWords(tuple, protocol, ''),
    ...tupleWords(mask, protocol, '', 'mask-'),
    ...tupleWords(master, protocolOf(master.protonum), '', 'master-'),
    field('zone=', expectation.zone),
    flags.length > 0 ? flags.join() : undefined,
    field('class=', expectation.class),
    field('helper=', expectation.helper),
  ];
  return words.filter((word) => word !== undefined).join(' ');
}

function field(name: string, value: number | string | undefined): string | undefined {
  return value === undefined ? undefined : `${name}${value}`;
}

function tupleWords(tuple: TupleJson, protocol: string, zone: string, prefix = ''): (string | undefined)[] {
  return [
    `${prefix}src=${tuple.src}`,
    `${prefix}dst=${tuple.dst}`,
    ...layer4(tuple, protocol),
    tuple.zone === undefined ? undefined : `${zone}${tuple.zone}`,
  ];
}

function layer4(tuple: TupleJson, protocol: string): string[] {
  const { sport = 0, dport = 0, icmpType = 0, icmpCode = 0, icmpId = 0 } = tuple;
  switch (protocol) {
    case 'unknown':
      return [];
    case 'gre':
      return [`srckey=0x${sport.toString(16)}`, `dstkey=0x${dport.toString(16)}`];
    case 'icmp':
    case 'icmpv6':
      return [`type=${icmpType}`, `code=${icmpCode}`, `id=${icmpId}`];
    default:
      return [`sport=${sport}`, `dport=${dport}`];
  }
}
