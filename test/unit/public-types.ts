// Wrong use of the library does not compile: this file is only type-checked. Each line under @ts-expect-error must be an error.

import {
  Conntrack,
  type DccpInfo,
  type DccpState,
  type DeleteResult,
  type Expectation,
  type ExpectationJson,
  type Filter,
  FLOW_FIELDS,
  type Flow,
  type FlowEvent,
  type FlowField,
  type FlowJson,
  type FlowPart,
  type FlowSide,
  type FlowState,
  type FlowUpdate,
  type GreFlow,
  type IcmpFlow,
  type Json,
  type ListOptions,
  type NewFlow,
  type PartialFlow,
  type ProtocolInput,
  type ProtocolName,
  type SctpInfo,
  type SctpState,
  type StatusName,
  type TableCount,
  type TcpFlow,
  type TcpInfo,
  type TcpState,
  toJson,
  type UdpFlow,
  type UdpliteFlow,
  type UnknownFlow,
  type WatchFilter,
} from '../../src/index.js';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}

export async function rightUse(): Promise<void> {
  await using conntrack = await Conntrack.open();
  const abort = new AbortController();
  for await (const flow of conntrack.list({ protocol: 'tcp', original: { dst: '192.0.2.0/24', dport: 443 } }, abort)) {
    same<typeof flow, Flow>(true);
    same<typeof flow.original.src, string>(true);
    same<typeof flow.original.packets, bigint | undefined>(true);
    same<typeof flow.mark, number | undefined>(true);
    same<typeof flow.status, readonly StatusName[] | undefined>(true);
  }
  for await (const flow of conntrack.list({}, { fields: FLOW_FIELDS })) same<typeof flow, Flow>(true);
  for await (const part of conntrack.list({}, { fields: ['original', 'state'] })) {
    same<keyof typeof part, 'original' | 'state' | 'toJSON'>(true);
    part.original.sport?.toFixed();
    // @ts-expect-error: not read
    part.reply;
  }
  for await (const part of conntrack.list({}, { fields: ['protocol', 'state'] }))
    if (part.protocol === 'tcp') same<typeof part.state, TcpState | undefined>(true);
  const found = await conntrack.get({ protocol: 'udp', original: { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2 } });
  same<typeof found, Flow | undefined>(true);
  if (found) {
    await conntrack.create(found);
    await conntrack.create(found.toJSON());
    await conntrack.deleteMany([found]);
    same<ReturnType<typeof found.toJSON>, FlowJson>(true);
    same<FlowJson['original']['bytes'], number | string | undefined>(true);
  }
  same<Awaited<ReturnType<typeof conntrack.delete>>, DeleteResult>(true);
  same<Awaited<ReturnType<typeof conntrack.count>>, TableCount>(true);
  await conntrack.update({ protocol: 'tcp', not: { status: ['ASSURED'] } }, { state: 'CLOSE', mark: { value: 1, mask: 0xff } });
}

export function narrowing(flow: Flow): void {
  // Before the protocol is known, a flow has everything that some flow has.
  same<typeof flow.state, FlowState | undefined>(true);
  same<typeof flow.original.sport, number | undefined>(true);
  same<typeof flow.reply.icmpType, number | undefined>(true);
  same<typeof flow.tcp, TcpInfo | undefined>(true);
  same<typeof flow.protocol, ProtocolName>(true);
  const side: FlowSide = flow.original;
  const key: FlowField[] = ['id', 'protocol', 'tcp'];
  if (flow.tcp) same<typeof flow, TcpFlow>(true);
  switch (flow.protocol) {
    case 'tcp':
      same<typeof flow, TcpFlow>(true);
      same<typeof flow.state, TcpState | undefined>(true);
      same<typeof flow.original.sport, number>(true);
      same<typeof flow.reply.dport, number>(true);
      // @ts-expect-error: a state of SCTP
      flow.state === 'COOKIE_WAIT';
      // @ts-expect-error: SCTP only
      flow.sctp?.vtagOriginal;
      // @ts-expect-error: ICMP only
      flow.original.icmpType + 1;
      break;
    case 'udp':
      same<typeof flow, UdpFlow>(true);
      same<typeof flow.original.sport, number>(true);
      same<typeof flow.state, undefined>(true);
      // @ts-expect-error: UDP has no states
      flow.state?.length;
      // @ts-expect-error: TCP only
      flow.tcp?.wscaleReply;
      break;
    case 'sctp':
      same<typeof flow.state, SctpState | undefined>(true);
      same<typeof flow.sctp, SctpInfo | undefined>(true);
      // Not every kernel tracks it.
      same<typeof flow.original.sport, number | undefined>(true);
      // @ts-expect-error: DCCP only
      flow.dccp?.role;
      break;
    case 'dccp':
      same<typeof flow.state, DccpState | undefined>(true);
      same<typeof flow.dccp, DccpInfo | undefined>(true);
      same<typeof flow.original.sport, number | undefined>(true);
      break;
    case 'udplite':
    case 'gre':
      same<typeof flow, UdpliteFlow | GreFlow>(true);
      same<typeof flow.original.sport, number | undefined>(true);
      same<typeof flow.state, undefined>(true);
      break;
    case 'icmp':
    case 'icmpv6':
      same<typeof flow, IcmpFlow>(true);
      same<typeof flow.original.icmpType, number>(true);
      same<typeof flow.original.sport, undefined>(true);
      // @ts-expect-error: ICMP has no ports
      flow.reply.dport + 1;
      // @ts-expect-error: nor states
      flow.state?.length;
      break;
    case 'unknown':
      same<typeof flow, UnknownFlow>(true);
      same<typeof flow.original, FlowSide>(true);
      break;
    default:
      same<typeof flow, never>(true); // those were all
  }
  const json = flow.toJSON();
  if (json.protocol === 'tcp') same<typeof json.state, TcpState | undefined>(true);
  void [side, key];
}

export async function chosenMembers(conntrack: Conntrack, names: FlowField[], one: 'id' | 'mark'): Promise<void> {
  for await (const part of conntrack.list({}, { fields: names })) {
    same<typeof part, PartialFlow>(true);
    same<typeof part.mark, number | undefined>(true);
    part.original?.src.length;
    // @ts-expect-error: perhaps not read
    part.original.src;
    // @ts-expect-error: perhaps not read
    const whole: Flow = part;
    void whole;
  }
  // As well where options are made elsewhere.
  const options: ListOptions = { fields: names };
  // @ts-expect-error: perhaps not read
  for await (const part of conntrack.list({}, options)) part.family.length;
  const some: ('original' | 'reply')[] = ['original'];
  for await (const part of conntrack.list({}, { fields: some })) {
    part.original?.src.length;
    // @ts-expect-error: perhaps not read
    part.reply.src;
    // @ts-expect-error: not read
    part.mark;
  }
  for await (const part of conntrack.list({}, { fields: [one, 'original'] })) {
    part.mark?.toFixed();
    // @ts-expect-error: what is certain of one choice is not known of several
    part.original.src;
  }
  const two = ['family', 'protocol'] as const;
  for await (const part of conntrack.list({}, { fields: two })) {
    same<typeof part, FlowPart<'family' | 'protocol'>>(true);
    part.family.length;
  }
}

export function copies(flow: Flow, event: FlowEvent, expectation: Expectation): void {
  same<ReturnType<typeof toJson<Flow>>, FlowJson>(true);
  same<ReturnType<typeof toJson<Expectation>>, ExpectationJson>(true);
  const { toJSON: _, ...copy } = flow;
  const json = toJson(copy);
  same<typeof json.timestamp, FlowJson['timestamp']>(true);
  same<typeof json.original.bytes, number | string | undefined>(true);
  same<ReturnType<typeof event.toJSON>, Json<FlowEvent>>(true);
  toJson({ ...event, flow: { ...flow } }).flow.original.src.length;
  toJson([expectation]).map(({ tuple }) => tuple.src);
  // @ts-expect-error: no object
  toJson('flow');
  // @ts-expect-error: counters are numbers and strings in JSON
  json.original.bytes === 1n;
}

export async function filters(conntrack: Conntrack, given: Filter, lasting: WatchFilter, protocol: ProtocolInput): Promise<void> {
  // Right: what flows of the protocol have, or of any.
  conntrack.list({ protocol: 'tcp', state: 'ESTABLISHED', original: { src: '192.0.2.0/24', dport: 443 } });
  conntrack.list({ protocol: 'sctp', state: 'COOKIE_WAIT', sctp: { vtagReply: 1 } });
  conntrack.list({ protocol: 'dccp', state: 'REQUEST', dccp: { role: 'client' } });
  conntrack.list({ protocol: 'gre', original: { sport: 1 } });
  conntrack.list({ protocol: 'icmp', original: { icmpType: 8 }, reply: { src: '192.0.2.1' }, srcNat: '203.0.113.1' });
  conntrack.list({ original: { dport: 53 }, sctp: { vtagReply: 1 } });
  // Of a number the compiler knows nothing.
  conntrack.list({ protocol: 6, state: 'ESTABLISHED', original: { dport: 443 } });
  conntrack.list({ protocol, mark: 1, original: { src: '192.0.2.1' } });
  conntrack.list({ ...given, mark: 1 });
  // Sets, ranges and bounds, and states of any tracker.
  conntrack.list({
    state: ['ESTABLISHED', 'SYN_SENT'],
    protocol: ['tcp', 'sctp'],
    port: [53, [8000, 8999]],
    bytes: { min: 1000 },
  });
  conntrack.list({
    host: ['10.0.0.0/8', 'private'],
    snatTo: { port: 1 },
    start: { after: 5n },
    has: 'helper',
    master: { dport: 21 },
  });
  conntrack.list(lasting);
  for (const name of ['tcp', 'udp', 'icmp'] as const) await conntrack.count({ protocol: name });
  await conntrack.watch(lasting);
  await conntrack.watch({ protocol: 'udp', original: { dport: 53 }, any: [{ zone: 1 }, { not: { srcNat: true } }], id: 5 });
  await conntrack.watch({ protocol: 'icmp', original: { icmpType: 8 } });
  await conntrack.watch({ protocol });

  // @ts-expect-error: UDP has no states
  conntrack.list({ protocol: 'udp', state: 'ESTABLISHED' });
  const slip = { protocol: 'udp', state: 'ESTABLISHED' } as const;
  // @ts-expect-error: also where it is not written in the call
  conntrack.list(slip);
  // @ts-expect-error: a state of SCTP
  conntrack.list({ protocol: 'tcp', state: 'COOKIE_WAIT' });
  // @ts-expect-error: a state of TCP
  conntrack.list({ protocol: 'sctp', state: 'SYN_SENT' });
  // @ts-expect-error: a state of TCP
  conntrack.list({ protocol: 'dccp', state: 'SYN_SENT' });
  // @ts-expect-error: ICMP has no ports
  conntrack.list({ protocol: 'icmp', original: { dport: 53 } });
  // @ts-expect-error: ICMP has no ports
  conntrack.list({ protocol: 'icmpv6', reply: { sport: 53 } });
  // @ts-expect-error: ICMP has no ports
  conntrack.list({ protocol: 'icmp', anyNat: { port: 53 } });
  // @ts-expect-error: TCP has no ICMP types
  conntrack.list({ protocol: 'tcp', original: { icmpType: 8 } });
  // @ts-expect-error: an ICMP type needs a protocol
  conntrack.list({ original: { icmpType: 8 } });
  // @ts-expect-error: ICMP members are told of the original direction
  conntrack.list({ protocol: 'icmp', reply: { icmpType: 0 } });
  // @ts-expect-error: SCTP only
  conntrack.list({ protocol: 'tcp', sctp: { vtagReply: 1 } });
  // @ts-expect-error: DCCP only
  conntrack.list({ protocol: 'udp', dccp: { role: 'client' } });
  // @ts-expect-error: the same in what is combined
  conntrack.list({ all: [{ protocol: 'udp', state: 'ESTABLISHED' }] });
  // @ts-expect-error: undefined would let everything match
  conntrack.list({ protocol: 'tcp', state: undefined });
  // @ts-expect-error: undefined would let everything match
  conntrack.list({ not: { original: { dst: undefined } } });

  // @ts-expect-error: a mark changes
  await conntrack.watch({ mark: 1 });
  // @ts-expect-error: a status changes
  await conntrack.watch({ status: ['ASSURED'] });
  // @ts-expect-error: a state changes
  await conntrack.watch({ protocol: 'tcp', state: 'ESTABLISHED' });
  // @ts-expect-error: labels change
  await conntrack.watch({ labels: [1] });
  // @ts-expect-error: time passes
  await conntrack.watch({ timeout: 1 });
  // @ts-expect-error: also in what is combined
  await conntrack.watch({ any: [{ not: { mark: 1 } }] });
  // @ts-expect-error: it may be about what changes
  await conntrack.watch(given);
  // @ts-expect-error: ICMP has no ports
  await conntrack.watch({ protocol: 'icmp', original: { dport: 53 } });
}

export async function keys(conntrack: Conntrack, flow: Flow, port: number | undefined): Promise<void> {
  const ends = { src: '192.0.2.1', dst: '192.0.2.2' };
  const ports = { ...ends, sport: 1, dport: 2 };
  // Right: complete tuples, and what was listed.
  await conntrack.get({ protocol: 'udp', original: ports, zone: 1, id: 5 });
  await conntrack.get({ protocol: 'tcp', reply: ports });
  await conntrack.get({ protocol: 'icmp', original: { ...ends, icmpType: 8 } });
  await conntrack.get({ protocol: 50, original: ends });
  await conntrack.get({ protocol: flow.protocol, reply: flow.reply, zone: flow.zone });
  await conntrack.get({ original: flow.original });
  await conntrack.get({ ...flow, id: 5 });
  await conntrack.get(flow.toJSON());
  await conntrack.deleteMany([flow, { protocol: 'sctp', original: ports }]);
  await conntrack.deleteMany(conntrack.list());
  await conntrack.deleteMany(conntrack.list({}, { fields: ['protocol', 'original', 'zone', 'id'] }));
  await conntrack.deleteMany(conntrack.list({}, { fields: ['reply', 'zone'] }));
  await conntrack.expectations.get({ protocol: 'tcp', tuple: ports });
  for await (const expectation of conntrack.expectations.list()) await conntrack.expectations.delete(expectation);

  // @ts-expect-error: flows of UDP differ by their ports
  await conntrack.get({ protocol: 'udp', original: ends });
  // @ts-expect-error: flows of TCP differ by both ports
  await conntrack.get({ protocol: 'tcp', original: { ...ends, dport: 2 } });
  // @ts-expect-error: perhaps none
  await conntrack.get({ protocol: 'tcp', original: { ...ports, dport: port } });
  // @ts-expect-error: flows of SCTP differ by their ports
  await conntrack.deleteMany([{ protocol: 'sctp', reply: ends }]);
  // @ts-expect-error: flows of DCCP differ by their ports
  await conntrack.deleteMany([{ protocol: 'dccp', original: ends }]);
  // @ts-expect-error: flows of ICMP differ by type
  await conntrack.get({ protocol: 'icmp', original: ports });
  // @ts-expect-error: a protocol is needed
  await conntrack.get({ original: ports });
  // @ts-expect-error: a tuple is needed
  await conntrack.get({ protocol: 'udp' });
  // @ts-expect-error: a tuple has both addresses
  await conntrack.get({ protocol: 50, original: { src: '192.0.2.1' } });
  // @ts-expect-error: not read
  await conntrack.deleteMany(conntrack.list({}, { fields: ['protocol', 'id'] }));
  // @ts-expect-error: expectations are named by both ports
  await conntrack.expectations.get({ protocol: 'tcp', tuple: { ...ends, dport: 2 } });
}

export async function changes(conntrack: Conntrack, flow: Flow, event: FlowEvent): Promise<void> {
  const original = { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2 };
  // Right: what was listed, copies and JSON of it, and what is written with a timeout.
  await conntrack.create(flow);
  await conntrack.create({ ...flow, mark: 1 });
  await conntrack.create(flow.toJSON());
  await conntrack.createMany([flow, event.flow, { protocol: 'udp', timeout: 60, original }]);
  await conntrack.createMany(conntrack.list());
  const udp = (more: Partial<NewFlow> = {}): NewFlow => ({ protocol: 'udp', timeout: 60, original, ...more });
  await conntrack.create(udp({ mark: 1 }), { mayExist: true });
  await conntrack.update({}, { mark: 1 });
  await conntrack.update({}, { labels: { clear: 'all' }, timeout: 5 });
  await conntrack.update({ protocol: 'sctp' }, { sctp: { vtagReply: 1 } });
  const both: FlowUpdate = { mark: { value: 1, mask: 1 }, status: ['ASSURED'] };
  await conntrack.update({}, both);

  // @ts-expect-error: how long shall it live?
  await conntrack.create({ protocol: 'udp', original });
  // @ts-expect-error: undefined is none
  await conntrack.create({ protocol: 'udp', timeout: undefined, original });
  // @ts-expect-error: how long shall it live?
  await conntrack.createMany([{ protocol: 'udp', original }]);
  // @ts-expect-error: changes nothing
  await conntrack.update({}, {});
  // @ts-expect-error: changes nothing
  await conntrack.update({}, { mark: undefined });
  // @ts-expect-error: changes nothing
  await conntrack.update({}, { labels: {} });
  // @ts-expect-error: changes nothing
  await conntrack.update({}, { sctp: {} });
}

export async function wrongUse(conntrack: Conntrack, flow: Flow): Promise<void> {
  // @ts-expect-error: made by open() only
  new Conntrack();
  // @ts-expect-error: a promise
  for (const _ of conntrack.list());
  // @ts-expect-error: no such member
  conntrack.list({ orginal: { src: '192.0.2.1' } });
  // @ts-expect-error: names of source and destination are src and dst
  conntrack.list({ original: { source: '192.0.2.1' } });
  // @ts-expect-error: a port is a number
  conntrack.list({ original: { dport: '443' } });
  // @ts-expect-error: no such protocol
  conntrack.list({ protocol: 'https' });
  // @ts-expect-error: not a protocol that can be asked for
  conntrack.list({ protocol: 'unknown' });
  // @ts-expect-error: no such state
  conntrack.list({ state: 'OPENED' });
  // @ts-expect-error: no such status
  conntrack.list({ status: ['ASURED'] });
  // @ts-expect-error: no such member of a flow
  conntrack.list({}, { fields: ['src'] });
  // @ts-expect-error: undefined would let everything match
  conntrack.delete({ original: { src: undefined } });
  // @ts-expect-error: deleting everything has to be said: {}
  conntrack.delete();
  // @ts-expect-error: flows cannot be written to
  flow.mark = 1;
  // @ts-expect-error: nor their parts
  flow.original.sport = 1;
  // @ts-expect-error: counters are bigint
  flow.original.bytes + 1;
  // @ts-expect-error: may be absent
  flow.zone + 1;
  // @ts-expect-error: names cannot be compared with what is none
  flow.protocol === 'https';
  // @ts-expect-error: a mark is a number
  const update: FlowUpdate = { mark: '1' };
  // @ts-expect-error: seconds are a number
  const created: NewFlow = { protocol: 'udp', timeout: '60', original: {} };
  // @ts-expect-error: counters are no filter
  const filter: Filter = { original: { packets: 1n } };
  // @ts-expect-error: a family is ipv4 or ipv6
  await conntrack.flush({ family: 'inet' });
  // @ts-expect-error: internal
  conntrack.scan;
  void [update, created, filter];
}
