import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { FLOW_FIELDS, type Flow, type IcmpFlow, type TcpFlow, type UdpFlow } from '../ctnetlink/flow.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { STATUS_NAMES, type StatusName } from '../ctnetlink/status.js';
import { ValueError } from '../errors.js';
import { type FlowInit, makeFlow } from './flow-factory.js';
import { MemoryTable } from './memory-table.js';

suite('makeFlow', () => {
  test('without anything it is a TCP connection in use', () => {
    assert.deepEqual(makeFlow().toJSON(), {
      id: makeFlow().id,
      family: 'ipv4',
      protocol: 'tcp',
      state: 'ESTABLISHED',
      timeout: 432000,
      original: { src: '192.0.2.1', dst: '198.51.100.1', protonum: 6, sport: 40000, dport: 443 },
      reply: { src: '198.51.100.1', dst: '192.0.2.1', protonum: 6, sport: 443, dport: 40000 },
      status: ['SEEN_REPLY', 'ASSURED', 'CONFIRMED'],
      mark: 0,
      use: 1,
      tcp: { wscaleOriginal: 0, wscaleReply: 0, flagsOriginal: 10, flagsReply: 10 },
    });
  });

  test('its type is that of the protocol', () => {
    // Assignments that do not compile if the type is another.
    const tcp: TcpFlow = makeFlow();
    const udp: UdpFlow = makeFlow({ protocol: 'udp' });
    const icmp: IcmpFlow = makeFlow({ protocol: 'icmpv6' });
    const any: Flow = makeFlow({ protocol: 50 });
    // @ts-expect-error: a UDP flow has no state
    const state: string = makeFlow({ protocol: 'udp' }).state;
    assert.deepEqual(
      [tcp, udp, icmp, any].map(({ protocol, family }) => `${protocol} ${family}`),
      ['tcp ipv4', 'udp ipv4', 'icmpv6 ipv6', 'unknown ipv4'],
    );
    assert.equal(state, undefined);
  });

  test('every protocol and state has a timeout, and the reply is the answer', () => {
    for (const { name, states = [undefined] } of PROTOCOLS)
      for (const state of states) {
        if (name === 'sctp' && state === 'HEARTBEAT_ACKED') continue; // kernels refuse it
        const flow = makeFlow({ protocol: name, state } as FlowInit) as Flow;
        assert.ok(flow.timeout! > 0 && flow.id! >= 0, name);
        assert.equal(flow.state, state, name);
        assert.deepEqual([flow.reply.src, flow.reply.sport], [flow.original.dst, flow.original.dport]);
      }
    assert.equal(makeFlow({ protocol: 'icmp' }).reply.icmpType, 0);
  });

  test('what is not said follows from what is', () => {
    assert.deepEqual(makeFlow({ state: 'SYN_SENT' }).status, ['CONFIRMED']);
    assert.equal(makeFlow({ protocol: 'udp', status: [] }).timeout, 30);
    assert.equal(makeFlow({ original: { dst: '2001:db8::9' } }).original.src, '2001:db8::1');
    assert.equal(makeFlow({ family: 'ipv6' }).original.dst, '2001:db8:1::1');
    const translated = makeFlow({ srcNat: '203.0.113.1', dstNat: { address: '10.0.0.1', port: 8443 } });
    assert.deepEqual([translated.reply.src, translated.reply.sport, translated.reply.dst], ['10.0.0.1', 8443, '203.0.113.1']);
    const nat: readonly StatusName[] = ['SRC_NAT', 'DST_NAT', 'SRC_NAT_DONE', 'DST_NAT_DONE'];
    assert.deepEqual(
      nat,
      translated.status!.filter((name) => nat.includes(name)),
    );
    assert.deepEqual(makeFlow({ helper: 'anything' }).status?.at(-1), 'HELPER');
    assert.deepEqual(makeFlow({ reply: { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2 } }).original.src, '10.0.0.2');
    const counted = makeFlow({ protocol: 'udp', reply: { dst: '10.0.0.3', sport: 500, packets: 5n } });
    const { original, reply } = counted;
    assert.deepEqual([original.src, original.dport, reply.src, reply.packets], ['10.0.0.3', 500, '198.51.100.1', 5n]);
    assert.equal(makeFlow({ protocol: 'icmp', reply: { icmpType: 14 } }).original.icmpType, 13);
    assert.notEqual(makeFlow({ zone: 1 }).id, makeFlow().id);
  });

  test('every member can be said', () => {
    const flow: FlowInit = {
      id: 5,
      family: 'ipv4',
      protocol: 'tcp',
      state: 'CLOSE_WAIT',
      timeout: 1,
      original: { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2, packets: 3n, bytes: 2n ** 63n, zone: 9 },
      reply: { packets: 4, bytes: '5', seqAdj: { correctionPos: 1, offsetBefore: 2, offsetAfter: 3 } },
      status: ['OFFLOAD', 'DYING', 'FIXED_TIMEOUT'],
      mark: 0xffffffff,
      labels: [0, 127],
      helper: 'ftp',
      helperInfo: '00ff',
      master: { protonum: 6, src: '10.0.0.3', dst: '10.0.0.4', sport: 5, dport: 6 },
      secmark: 7,
      secctx: 'system_u:object_r:x',
      use: 8,
      timestamp: { start: 10n, stop: 20n },
      tcp: { wscaleOriginal: 14, wscaleReply: 0, flagsOriginal: 0x23, flagsReply: 0x0f },
      synproxy: { isn: 1, its: 2, tsoff: 3 },
    };
    const made = makeFlow(flow).toJSON();
    const absent = FLOW_FIELDS.filter((field) => made[field as keyof typeof made] === undefined);
    assert.deepEqual(absent, ['zone', 'sctp', 'dccp']);
    assert.deepEqual(made.original, { ...flow.original, protonum: 6, packets: 3, bytes: `${2n ** 63n}` });
    assert.deepEqual(made.status, ['EXPECTED', 'CONFIRMED', 'SEQ_ADJUST', 'DYING', 'FIXED_TIMEOUT', 'HELPER', 'OFFLOAD']);
    for (const name of [
      'id',
      'state',
      'timeout',
      'mark',
      'labels',
      'helper',
      'helperInfo',
      'master',
      'use',
      'tcp',
      'synproxy',
    ] as const)
      assert.deepEqual(made[name as keyof typeof made], flow[name], name);
    assert.deepEqual(made.timestamp, { start: 10, stop: 20 });
    assert.deepEqual(makeFlow({ protocol: 'sctp', sctp: { vtagReply: 5 } }).sctp, { vtagOriginal: 0, vtagReply: 5 });
    assert.deepEqual(makeFlow({ protocol: 'dccp', dccp: { role: 'server', handshakeSeq: 2n } }).dccp, {
      role: 'server',
      handshakeSeq: 2n,
    });
  });

  test('a flow makes itself again, as it is and from JSON', () => {
    const port = fc.integer({ min: 0, max: 65535 });
    const mark = fc.integer({ min: 0, max: 0xffffffff });
    const init: fc.Arbitrary<FlowInit> = fc.record(
      {
        protocol: fc.constantFrom(...(['tcp', 'udp', 'sctp', 'gre', 'icmp', 'icmpv6', 'dccp', 'udplite', 50] as const)),
        family: fc.constantFrom(...(['ipv4', 'ipv6'] as const)),
        timeout: fc.integer({ min: 0, max: 8589934 }),
        original: fc.record({ zone: port, packets: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }, { requiredKeys: [] }),
        status: fc.subarray(STATUS_NAMES.filter((name) => !/NAT/.test(name))),
        mark,
        labels: fc.subarray([0, 31, 32, 127]),
        helper: fc.constantFrom('ftp', 'other'),
        srcNat: fc.constantFrom('203.0.113.1', '203.0.113.2'),
        timestamp: fc.record({ start: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
        use: mark,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(init, ({ srcNat, ...rest }) => {
        const flow = makeFlow({ ...rest, ...(srcNat && rest.family !== 'ipv6' && rest.protocol !== 'icmpv6' ? { srcNat } : {}) });
        assert.deepEqual(makeFlow(flow as FlowInit), flow);
        assert.deepEqual(makeFlow(JSON.parse(JSON.stringify(flow))), flow);
        assert.deepEqual(new MemoryTable({ flows: [flow as FlowInit] }).flows, [flow]);
      }),
    );
  });

  for (const [what, flow] of [
    ['an address', { original: { src: 'here' } }],
    ['a port', { original: { sport: 65536 } }],
    ['a state of another protocol', { protocol: 'udp', state: 'ESTABLISHED' }],
    ['a status', { status: ['assured'] }],
    ['a member', { marks: 5 }],
    ['a member of a direction', { original: { port: 5 } }],
    ['a family', { family: 'ipv6', original: { src: '10.0.0.1' } }],
    ['families', { original: { src: '10.0.0.1', dst: '::1' } }],
    ['a window scale', { tcp: { wscaleOriginal: 256 } }],
    ['counters', { original: { packets: -1 } }],
    ['nothing', null],
  ] as const)
    test(`${what} that is wrong is a ValueError`, () => {
      assert.throws(() => makeFlow(flow as never), ValueError);
    });
});
