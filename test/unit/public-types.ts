// Wrong use of the library does not compile: this file is only type-checked. Each line under @ts-expect-error must be an error.

import {
  Conntrack,
  type DeleteResult,
  type Filter,
  type Flow,
  type FlowJson,
  type FlowUpdate,
  type NewFlow,
  type StatusName,
  type TableCount,
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
  for await (const part of conntrack.list({}, { fields: ['original', 'state'] })) {
    same<keyof typeof part, 'original' | 'state' | 'toJSON'>(true);
    part.original.sport?.toFixed();
    // @ts-expect-error: not read
    part.reply;
  }
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
