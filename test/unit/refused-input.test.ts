// Filters, keys, new flows and updates that cannot be meant are refused, also where no compiler has seen them.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Filter, toFlowFilter, type WatchFilter } from '../../src/ctnetlink/filter/object-input.js';
import { type ExpectationKeyInput, toExpectationKey } from '../../src/ctnetlink/new-expectation.js';
import {
  type FlowCopy,
  type FlowKeyInput,
  type FlowUpdate,
  type NewFlow,
  toFlowChange,
  toFlowKey,
  toFlowSpec,
} from '../../src/ctnetlink/new-flow.js';
import { Conntrack, ValueError } from '../../src/index.js';

/** What is refused, with the message; what is right is not. */
function refuses<T>(
  read: (input: T) => unknown,
  wrong: readonly (readonly [input: unknown, message: RegExp])[],
  right: T[],
): void {
  for (const [input, message] of wrong)
    assert.throws(
      () => read(input as T),
      (error) => error instanceof ValueError && message.test(error.message),
      JSON.stringify(input),
    );
  for (const input of right) assert.doesNotThrow(() => read(input), JSON.stringify(input));
}

const ENDS = { src: '192.0.2.1', dst: '192.0.2.2' };
const PORTS = { ...ENDS, sport: 1, dport: 2 };

suite('refused', () => {
  test('filters about what flows of their protocol have not', () => {
    refuses<Filter>(
      toFlowFilter,
      [
        [{ protocol: 'udp', state: 'ESTABLISHED' }, /^state: udp has no states; only tcp, sctp and dccp have$/],
        [{ protocol: 17, state: 'ESTABLISHED' }, /^state: udp has no states/],
        [{ protocol: 50, state: 'ESTABLISHED' }, /^state: protocol 50 has no states/],
        [{ state: 'GONE' }, /^state must be one of NONE, SYN_SENT, .*, not "GONE"/],
        [{ protocol: 'tcp', state: 'COOKIE_WAIT' }, /^state of tcp must be one of NONE, SYN_SENT, .*, not "COOKIE_WAIT"/],
        [{ protocol: 'sctp', state: 'SYN_SENT' }, /^state of sctp must be one of NONE, CLOSED, .*, not "SYN_SENT"/],
        [{ protocol: 'icmp', original: { dport: 53 } }, /^original\.dport: icmp has no ports$/],
        [{ protocol: 'icmpv6', original: { sport: 53 } }, /^original\.sport: icmpv6 has no ports$/],
        [{ protocol: 1, reply: { dport: 53 } }, /^reply\.dport: icmp has no ports$/],
        [{ not: { any: [{}, { protocol: 'icmp', reply: { sport: 0 } }] } }, /^not\.any\[1\]\.reply\.sport: icmp has no ports$/],
        [{ protocol: 'icmp', anyNat: { port: 53 } }, /^anyNat\.port: icmp has no ports$/],
        [{ protocol: 'tcp', original: { icmpType: 8 } }, /^original\.icmpType needs protocol icmp or icmpv6$/],
        [{ original: { icmpType: 8 } }, /^original\.icmpType needs protocol icmp or icmpv6$/],
        [{ protocol: 'icmp', reply: { icmpType: 0 } }, /^reply\.icmpType is not known here/],
        [{ protocol: 'tcp', sctp: { vtagReply: 1 } }, /^sctp: only sctp has this, and the protocol is tcp$/],
        [{ protocol: 'udp', dccp: { role: 'client' } }, /^dccp: only dccp has this, and the protocol is udp$/],
        [{ original: { src: undefined } }, /^original\.src is undefined$/],
        [{ all: [{ mark: undefined }] }, /^all\[0\]\.mark is undefined$/],
      ],
      [
        {},
        { protocol: 'tcp', state: 'ESTABLISHED', original: { src: '192.0.2.0/24', dport: 443 } },
        { protocol: 6, state: 'ESTABLISHED', original: { dport: 443 } },
        { protocol: 'sctp', state: 'COOKIE_WAIT', sctp: { vtagReply: 1 } },
        { protocol: 132, state: 'COOKIE_WAIT', sctp: { vtagReply: 1 } },
        { sctp: { vtagReply: 1 } },
        { dccp: { role: 'client' } },
        { protocol: 'udp', original: { dport: 53 }, srcNat: { port: 1 } },
        { protocol: 'gre', original: { sport: 1 } },
        { protocol: 50, original: { dport: 1 } },
        { original: { dport: 53 } },
        { protocol: 'icmp', original: { src: '192.0.2.1', icmpType: 8, zone: 1 }, reply: { dst: '192.0.2.1' }, anyNat: true },
      ],
    );
  });

  test('views of what changes while a flow lives', async () => {
    await using conntrack = await Conntrack.open({ transport: () => ({ createDatagrams: () => ({}), close() {} }) as never });
    for (const changing of [
      { mark: 1 },
      { status: ['ASSURED'] },
      { labels: [1] },
      { timeout: 1 },
      { secmark: 1 },
      { protocol: 'tcp', state: 'ESTABLISHED' },
      { sctp: { vtagReply: 1 } },
      { dccp: { role: 'client' } },
      { not: { mark: 1 } },
      { any: [{ zone: 1 }, { all: [{ mark: 1 }] }] },
    ])
      await assert.rejects(
        conntrack.watch(changing as WatchFilter),
        (error) => error instanceof ValueError && /view/.test(error.message),
      );
  });

  test('keys that name no flow', () => {
    const ports = ['tcp', 'udp', 'udplite', 'sctp', 'dccp', 'gre'] as const;
    refuses<FlowKeyInput>(
      toFlowKey,
      [
        ...ports.flatMap((protocol) => [
          [{ protocol, original: ENDS }, new RegExp(`^original\\.sport is missing: flows of ${protocol} differ by it$`)] as const,
          [{ protocol, reply: { ...ENDS, sport: 1 } }, /^reply\.dport is missing: flows of \w+ differ by it$/] as const,
          [{ protocol, original: { ...PORTS, dport: undefined } }, /^original\.dport is missing/] as const,
        ]),
        [{ protocol: 6, original: ENDS }, /^original\.sport is missing: flows of tcp/],
        // TCP and UDP are tracked by every kernel.
        [{ original: { ...ENDS, protonum: 17 } }, /^original\.sport is missing: flows of udp/],
        [{ original: { ...ENDS, protonum: 132, sport: 1 } }, /^original\.dport is missing: flows of sctp/],
        [{ protocol: 'icmp', original: ENDS }, /^original\.icmpType is missing: flows of icmp/],
        [{ protocol: 'icmpv6', original: PORTS }, /^original\.icmpType is missing: flows of icmpv6/],
        [{ protocol: 'udp', original: { src: '192.0.2.1', sport: 1, dport: 2 } }, /complete tuple/],
        [{ protocol: 'udp' }, /complete tuple/],
        [{ original: PORTS }, /^protocol is missing$/],
      ],
      [
        ...ports.map((protocol): FlowKeyInput => ({ protocol, original: PORTS })),
        // As they are listed by a kernel that does not track them.
        ...[132, 33, 136, 47].map((protonum): FlowKeyInput => ({ reply: { ...ENDS, protonum } })),
        { protocol: 'icmp', original: { ...ENDS, icmpType: 8 } },
        { protocol: 50, original: ENDS },
        { protocol: 'unknown', original: { ...ENDS, protonum: 50 } },
      ],
    );
    refuses<ExpectationKeyInput>(
      toExpectationKey,
      [
        [{ protocol: 'tcp', tuple: { ...ENDS, dport: 1 } }, /^tuple\.sport is missing: flows of tcp/],
        [{ tuple: { ...ENDS, protonum: 17 } }, /^tuple\.sport is missing: flows of udp/],
      ],
      [{ protocol: 'tcp', tuple: PORTS }, { tuple: { ...PORTS, protonum: 17 } }],
    );
  });

  test('new flows without what they need', () => {
    const timeout = 60;
    refuses<NewFlow | FlowCopy>(
      toFlowSpec,
      [
        [{ protocol: 'udp', original: PORTS }, /^timeout is missing$/],
        [{ protocol: 'udp', timeout: undefined, original: PORTS }, /^timeout is missing$/],
        [{ protocol: 'udp', timeout, original: ENDS }, /^original\.sport is missing: flows of udp/],
        [{ protocol: 'udp', timeout, original: { ...ENDS, sport: 1 } }, /^original\.dport is missing: flows of udp/],
        [{ protocol: 'icmp', timeout, original: ENDS }, /^original\.icmpType is missing: flows of icmp/],
        [{ protocol: 'udp', timeout, original: PORTS, state: 'ESTABLISHED' }, /^state: udp has no states/],
        [{ protocol: 'tcp', timeout, original: PORTS, state: 'COOKIE_WAIT' }, /^state of tcp must be one of/],
        [{ protocol: 'udp', timeout }, /addresses of one direction/],
      ],
      [
        { protocol: 'udp', timeout, original: PORTS },
        { protocol: 'udp', timeout, reply: PORTS },
        { protocol: 'udp', timeout, original: { ...ENDS, sport: 1 }, reply: { sport: 2 } },
        { protocol: 'dccp', timeout, original: { ...ENDS, protonum: 33 } },
        { protocol: 50, timeout, original: ENDS },
      ],
    );
  });

  test('updates without a new value, or of what other flows have', () => {
    const protocols = { none: undefined, tcp: 6, udp: 17, sctp: 132 };
    for (const [name, update, message] of [
      ['none', {}, /^an update needs at least one new value$/],
      ['none', { mark: undefined }, /^mark is undefined$/],
      ['none', { labels: {} }, /^labels needs a new value$/],
      ['sctp', { sctp: {} }, /^sctp needs a new value$/],
      ['tcp', { sctp: { vtagReply: 1 } }, /^sctp: only flows of sctp have verification tags$/],
      ['none', { sctp: { vtagReply: 1 } }, /^sctp: only flows of sctp have verification tags$/],
      ['udp', { state: 'ESTABLISHED' }, /^state: udp has no states/],
      ['none', { state: 'ESTABLISHED' }, /^state needs a protocol/],
    ] as const)
      refuses<FlowUpdate>((input) => toFlowChange(input, protocols[name]), [[update, message]], []);
    refuses<FlowUpdate>(
      (input) => toFlowChange(input, protocols.sctp),
      [],
      [
        { mark: 0 },
        { timeout: 0 },
        { labels: { set: [1] } },
        { labels: { clear: 'all' } },
        { sctp: { vtagReply: 1 } },
        { state: 'CLOSED' },
      ],
    );
  });
});
