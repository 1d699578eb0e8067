// What a flow is, in words: from the flow and what surrounds it, without a kernel; and on a table in memory.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { PROTOCOLS } from '../../src/ctnetlink/protocols/index.js';
import { STATUS_NAMES } from '../../src/ctnetlink/status.js';
import { doctorSchema } from '../../src/doctor/doctor-schema.js';
import { explainFlow } from '../../src/doctor/explain-flow.js';
import { explanationLines, explanationOf, type FlowSurroundings } from '../../src/doctor/explanation.js';
import { STATE_WORDS, STATUS_WORDS, timeoutSysctl } from '../../src/doctor/flow-words.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { Conntrack, type Flow } from '../../src/index.js';
import { MemoryTable, makeFlow } from '../../src/testing/index.js';
import { schemaFault } from '../support/json-schema.js';

const { schema } = makeJsonSchema(doctorSchema());

const AROUND: FlowSurroundings = {
  now: 1_700_000_134_000,
  timeouts: { tcp_timeout_established: 432_000, udp_timeout: 30, udp_timeout_stream: 120 },
  accounting: true,
  process: 'none',
  standing: false,
  service: (port, protocol) => (port === 443 && protocol === 'tcp' ? 'https' : undefined),
  problems: [],
};

const TCP = makeFlow({
  protocol: 'tcp',
  id: 2847193022,
  original: { src: '10.1.4.22', dst: '142.250.74.46', sport: 51514, dport: 443, packets: 18_211n, bytes: 2_100_000n },
  reply: { src: '142.250.74.46', dst: '198.51.100.7', sport: 443, dport: 51514, packets: 1_091_220n, bytes: 1_500_000_000n },
  state: 'ESTABLISHED',
  timeout: 431_999,
  status: ['SEEN_REPLY', 'ASSURED', 'CONFIRMED', 'SRC_NAT', 'SRC_NAT_DONE', 'DST_NAT_DONE'],
  timestamp: { start: 1_700_000_000_000_000_000n },
} as Parameters<typeof makeFlow>[0]) as Flow;

const texts = (flow: Flow, around: Partial<FlowSurroundings> = {}) =>
  explanationOf(flow, { ...AROUND, ...around }).facts.map(({ text }) => text);
const udp = (more: object): Flow =>
  makeFlow({
    protocol: 'udp',
    original: { src: '10.0.0.2', dst: '192.0.2.1', sport: 5000, dport: 53 },
    timeout: 20,
    status: ['CONFIRMED'],
    ...more,
  } as Parameters<typeof makeFlow>[0]) as Flow;

suite('an explanation', () => {
  test('of a translated connection', () => {
    const explanation = explanationOf(TCP, AROUND);
    assert.equal(
      explanationLines(explanation).join('\n'),
      `tcp 10.1.4.22:51514 → 142.250.74.46:443 (port of https)                                 id 2847193022
   10.1.4.22:51514 ──► [ this host: source becomes 198.51.100.7:51514 ] ──► 142.250.74.46:443
   10.1.4.22:51514 ◄── [ this host: destination becomes 10.1.4.22:51514 ] ◄── 142.250.74.46:443
   it began 2 minutes 14 seconds ago
   SEEN_REPLY: packets in both directions
   ASSURED: it is not removed early when the table is full
   SRC_NAT: this host translates its source
   ESTABLISHED: open; the first FIN makes it FIN_WAIT, a reset CLOSE
   it ends 5 days after its last packet (net.netfilter.nf_conntrack_tcp_timeout_established = 432000); 4 days 23 hours left
   18,211 packets and 2.1 MB went out, 1,091,220 packets and 1.5 GB came back
   conntrack -E --filter 'id 2847193022'   ·   conntrack -U --filter 'id 2847193022' -m 1   ·   conntrack -D --filter 'id 2847193022'`,
    );
    const json = JSON.parse(JSON.stringify({ explanations: [explanation], more: 0 }));
    assert.equal(schemaFault(schema, json, (schema['$defs'] as Record<string, never>)['explanations']), undefined);
  });

  test('of one that nobody answers, and of one that is not assured', () => {
    const alone = explanationOf(udp({}), AROUND);
    assert.equal(alone.picture[1], '10.0.0.2:5000 ◄── nothing has come back from 192.0.2.1:53');
    assert.ok(texts(udp({})).includes('UNREPLIED: nothing has come back; when the table is full, it goes first'));
    assert.ok(
      texts(udp({ status: ['SEEN_REPLY', 'CONFIRMED'] })).includes(
        'not ASSURED: when the table is full, it may be removed early',
      ),
    );
    assert.ok(texts(udp({ status: ['CONFIRMED', 'BIT_20'] })).includes('BIT_20: not known to this program'));
  });

  test('timeouts: of a sysctl, of somebody else, fixed, offloaded, unknown', () => {
    assert.ok(
      texts(udp({})).includes(
        'it ends 30 seconds after its last packet (net.netfilter.nf_conntrack_udp_timeout = 30); 20 seconds left',
      ),
    );
    assert.ok(
      texts(udp({ timeout: 600 })).includes(
        '10 minutes left: more than net.netfilter.nf_conntrack_udp_timeout = 30, so somebody, or a rule (ct timeout), has set another timeout',
      ),
    );
    assert.ok(texts(udp({ status: ['FIXED_TIMEOUT', 'CONFIRMED'] })).includes('it ends in 20 seconds, whatever happens'));
    assert.ok(
      texts(udp({ status: ['OFFLOAD', 'CONFIRMED'] })).includes(
        'the flowtable keeps it alive while packets come; 20 seconds left',
      ),
    );
    assert.ok(
      texts(udp({}), { timeouts: {} }).includes(
        'it ends 20 seconds from now unless a packet renews it; which sysctl says how long is not known',
      ),
    );
  });

  test('counters: absent, and standing still', () => {
    assert.ok(texts(udp({}), { accounting: false }).includes('it has no counters: accounting is off (accounting-off)'));
    assert.ok(texts(udp({})).includes('it has no counters: it began while accounting was off'));
    assert.ok(
      texts(TCP, { standing: true }).some((text) =>
        text.endsWith('they stand still, because whoever forwards it does not count'),
      ),
    );
  });

  test('whose it is', () => {
    for (const [process, text] of [
      [{ end: 'the client', owner: { name: 'curl', pid: 7 } }, 'the client is this host: it belongs to curl (process 7)'],
      [{ end: 'the server', owner: 'none' }, 'the server is this host: no socket has it any more'],
      [{ end: 'the server', owner: undefined }, 'the server is this host: whose socket it is cannot be seen'],
      ['unknown', 'whether this host is an end of it could not be read'],
    ] as const)
      assert.equal(texts(TCP, { process }).at(-1), text);
    const helped = udp({ helper: 'sip', mark: 16, zone: 3, labels: [1, 7] });
    const facts = texts(helped, { expected: 2 });
    for (const text of [
      'the helper sip reads it, and expects 2 connections because of it',
      'its mark is 16 (0x10)',
      'it is in zone 3',
      'its labels are 1, 7',
    ])
      assert.ok(facts.includes(text), `${text}: ${facts.join('; ')}`);
  });

  test('commands name the namespace, and flows without an id by their ends', () => {
    const { id: _, ...rest } = { ...TCP };
    assert.deepEqual(
      explanationOf(rest as Flow, { ...AROUND, netns: 'blue one' }).commands[2],
      "conntrack -D --netns 'blue one' --filter 'proto 6 and src 10.1.4.22 and dst 142.250.74.46 and src port 51514 and dst port 443'",
    );
  });

  test('every state of every protocol has words, but those that no flow has', () => {
    const missing = PROTOCOLS.flatMap(({ name, states = [] }) =>
      states.filter((state) => STATE_WORDS[name]?.[state] === undefined).map((state) => `${name} ${state}`),
    );
    assert.deepEqual(missing, ['sctp NONE', 'dccp NONE', 'dccp IGNORE', 'dccp INVALID']);
    // Bits that only confirm others.
    assert.deepEqual(
      STATUS_NAMES.filter((bit) => STATUS_WORDS[bit] === undefined),
      ['CONFIRMED', 'SRC_NAT_DONE', 'DST_NAT_DONE'],
    );
    assert.equal(timeoutSysctl({ protocol: 'tcp', state: 'SYN_SENT2', status: [] }), 'tcp_timeout_syn_sent');
    assert.equal(timeoutSysctl({ protocol: 'udp', status: ['SEEN_REPLY', 'ASSURED'] }), 'udp_timeout_stream');
  });

  test('no flow makes it throw', () => {
    const flow = fc.record({
      protocol: fc.constantFrom('tcp', 'udp', 'sctp', 'icmp', 'gre'),
      status: fc.subarray([...STATUS_NAMES]),
      timeout: fc.nat(),
      mark: fc.nat(),
      helper: fc.option(fc.string(), { nil: undefined }),
    });
    fc.assert(
      fc.property(flow, ({ protocol, ...more }) => {
        const original = { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2 };
        const made = { ...udp({}), ...more, protocol, original: { ...original, protonum: 17 } } as unknown as Flow;
        const explanation = explanationOf(made, { ...AROUND, expected: 1 });
        assert.ok(explanationLines(explanation).length > 3);
      }),
    );
  });

  test('of a flow of a table in memory: what is not of this machine is unknown', async () => {
    const table = new MemoryTable({ flows: [udp({ id: undefined })] });
    await using conntrack = await Conntrack.open({ transport: table.open });
    const [flow] = await conntrack.list().toArray();
    const explanation = await explainFlow(conntrack, flow!);
    assert.match(explanation.title, /^udp 10\.0\.0\.2:5000 → 192\.0\.2\.1:53/);
    assert.equal(explanation.facts.at(-1)?.text, 'whether this host is an end of it could not be read');
    await conntrack.flush();
    await assert.rejects(explainFlow(conntrack, flow!), /there is no such flow any more/);
  });
});
