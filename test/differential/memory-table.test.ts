// MemoryTable against the kernel: the same random calls of the library on a table in memory and on a real one in a private namespace give
// the same results, errors, events and tables. SEED=n for other sessions, SESSIONS=n for how many.

import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { putTuple } from '../../src/ctnetlink/encode.js';
import { type FlowSpec, putFlow } from '../../src/ctnetlink/flow-spec.js';
import {
  CTA_ID,
  CTA_MARK,
  CTA_MARK_MASK,
  CTA_STATUS,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
} from '../../src/ctnetlink/uapi/nfnetlink-conntrack.js';
import { Conntrack, type ExpectationEvent, type FlowEvent, type KernelError } from '../../src/index.js';
import { HELPERS } from '../../src/testing/helpers.js';
import { type FlowInit, MemoryTable, makeFlow } from '../../src/testing/index.js';
import { host16, host32 } from '../../src/wire/bytes.js';
import { MessageWriter, NetlinkSocket, NetworkNamespace, type Transport } from '../../src/wire/index.js';
import { populate } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Table } from '../support/table.js';
import { Calls, comparableEvents, contentOf, outcomeOf, type World } from '../support/table-sessions.js';

const SEED = seedFromEnvironment(20261128);

/** Settings of both the kernel and the table in memory; each gets a share of the sessions. */
const SETTINGS = [
  { accounting: false, timestamps: false, labels: true },
  { accounting: true, timestamps: true, labels: false },
] as const;
const SESSIONS = Math.ceil(Number(process.env['SESSIONS'] ?? 80) / SETTINGS.length);

/** An event that shows that all earlier ones have been delivered. */
const LAST = {
  protocol: 'udp',
  timeout: 100,
  original: { src: '10.9.9.9', dst: '10.9.9.9', sport: 9, dport: 9 },
  helper: 'tftp',
} as const;
const LAST_EXPECTATION = {
  protocol: 'udp',
  master: LAST.original,
  tuple: LAST.original,
  mask: { src: '255.255.255.255', dst: '255.255.255.255', sport: 0xffff, dport: 0xffff },
} as const;

/** Listens to flows and expectations. @returns what gives everything that has happened since */
function listen(conntrack: Conntrack): () => Promise<unknown> {
  const flows = conntrack.events();
  const expectations = conntrack.expectations.events();
  return async () => {
    const seen: (FlowEvent | ExpectationEvent)[] = [];
    await conntrack.create(LAST);
    await conntrack.expectations.create(LAST_EXPECTATION);
    for await (const event of flows) {
      if (event.flow.original.src === LAST.original.src) break;
      seen.push(event);
    }
    for await (const event of expectations) {
      if (event.expectation.tuple.src === LAST.original.src) break;
      seen.push(event);
    }
    return comparableEvents(seen);
  };
}

/** Which of the protocols that some kernels only track has ports here. */
async function worldOf(conntrack: Conntrack): Promise<World> {
  const tracked = new Set<number>();
  for (const protocol of [33, 136]) {
    await conntrack.create({ protocol, timeout: 100, original: LAST.original });
    const [flow] = await conntrack.list({ protocol }).toArray();
    if (flow?.original.sport !== undefined) tracked.add(protocol);
  }
  await conntrack.flush();
  return { tracked };
}

const NEW = 0x100;
const GET = 0x101;
const DELETE = 0x102;
const CREATE = 0x400;
const EXCL = 0x200;
const DUMP = 0x300;

const FLOW: FlowSpec = {
  family: 2,
  original: { src: Uint8Array.of(10, 0, 0, 1), dst: Uint8Array.of(10, 0, 0, 2), protonum: 132, sport: 1, dport: 2 },
  reply: { src: Uint8Array.of(10, 0, 0, 2), dst: Uint8Array.of(10, 0, 0, 1), protonum: 132, sport: 2, dport: 1 },
  timeout: 1000,
};
const TCP_FLOW: FlowSpec = {
  ...FLOW,
  original: { ...FLOW.original, protonum: 6 },
  reply: { ...FLOW.reply, protonum: 6 },
};

function putMark(out: MessageWriter, mark: number, mask: number): void {
  out.be32(CTA_MARK, mark);
  out.be32(CTA_MARK_MASK, mask);
}

/** What the library never sends: name, type, flags, family, version, attributes. */
const REQUESTS: readonly (readonly [string, number, number, number, number, (out: MessageWriter) => void])[] = [
  ['create without a reply', NEW, CREATE, 2, 0, (out) => putFlow(out, { ...FLOW, reply: undefined })],
  ['create without a timeout', NEW, CREATE, 2, 0, (out) => putFlow(out, { ...FLOW, timeout: undefined })],
  ['create of two protocols', NEW, CREATE, 2, 0, (out) => putFlow(out, { ...FLOW, reply: TCP_FLOW.reply })],
  ['create without a family', NEW, CREATE, 0, 0, (out) => putFlow(out, FLOW)],
  ['create with CONFIRMED missing', NEW, CREATE, 2, 0, (out) => putFlow(out, { ...FLOW, status: 2 })],
  ['create with a part of SCTP', NEW, CREATE, 2, 0, (out) => putFlow(out, { ...FLOW, protocol: { sctp: { state: 4 } } })],
  ['update of nothing', NEW, 0, 2, 0, (out) => putFlow(out, FLOW)],
  ['only new of nothing', NEW, EXCL, 2, 0, (out) => putFlow(out, FLOW)],
  ['create', NEW, CREATE, 2, 0, (out) => putFlow(out, FLOW)],
  ['create of TCP without a state', NEW, CREATE | EXCL, 2, 0, (out) => putFlow(out, TCP_FLOW)],
  ['only new of what is there', NEW, EXCL, 2, 0, (out) => putFlow(out, FLOW)],
  ['update without clearing', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, status: 0x0f & ~1, timeout: 2000 })],
  ['update that clears ASSURED', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, status: 0x0a })],
  ['update of NAT bits, which is passed over', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, status: 0xffff3dbe & ~0x201 })],
  ['update by the reply alone', NEW, 0, 2, 0, (out) => putTuple(out, CTA_TUPLE_REPLY, FLOW.reply!)],
  ['update with a master', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, master: TCP_FLOW.original })],
  ['a state of TCP that is none', NEW, 0, 2, 0, (out) => putFlow(out, { ...TCP_FLOW, protocol: { tcp: { state: 10 } } })],
  ['the nest of another protocol', NEW, 0, 2, 0, (out) => putFlow(out, { ...TCP_FLOW, protocol: { sctp: { state: 4 } } })],
  ['a mark with a mask', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, mark: 0xff, markMask: 0xf0 })],
  ['labels of one word', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, labels: new Uint8Array(4).fill(255) })],
  ['labels of half a word', NEW, 0, 2, 0, (out) => putFlow(out, { ...FLOW, labels: new Uint8Array(6) })],
  [
    'labels and a mask of another length',
    NEW,
    0,
    2,
    0,
    (out) => putFlow(out, { ...FLOW, labels: new Uint8Array(16), labelsMask: new Uint8Array(8) }),
  ],
  ['get by both tuples', GET, 0, 2, 0, (out) => putFlow(out, FLOW)],
  ['get by nothing', GET, 0, 2, 0, () => {}],
  ['get by half a tuple', GET, 0, 2, 0, (out) => putTuple(out, CTA_TUPLE_ORIG, { src: FLOW.original.src, protonum: 6 })],
  ['get in another family', GET, 0, 10, 0, (out) => putTuple(out, CTA_TUPLE_ORIG, FLOW.original)],
  ['list of a family that is none', GET, DUMP, 7, 0, () => {}],
  ['list by a status mask of 0', GET, DUMP, 0, 0, (out) => out.be32(CTA_STATUS, 0)],
  ['list by mark 0', GET, DUMP, 0, 0, (out) => out.be32(CTA_MARK, 0)],
  ['list by a mark outside its mask', GET, DUMP, 0, 0, (out) => putMark(out, 0x105, 0xff)],
  ['list by zone 0', GET, DUMP, 0, 0, (out) => out.be16(CTA_ZONE, 0)],
  ['list with only one bit of the two', GET, 0x100, 2, 0, () => {}],
  ['the unconfirmed without a list', 0x107, 0, 0, 0, () => {}],
  ['a message that is unknown', 0x10f, 0, 0, 0, () => {}],
  ['a subsystem that is unknown', 0x7f00, 0, 0, 0, () => {}],
  [
    'delete with another id',
    DELETE,
    0,
    2,
    0,
    (out) => {
      putTuple(out, CTA_TUPLE_ORIG, FLOW.original);
      out.be32(CTA_ID, 1);
    },
  ],
  ['flush of a family', DELETE, 0, 10, 1, () => {}],
  ['delete by mark, which nothing has', DELETE, 0, 0, 0, (out) => putMark(out, 1, 0)],
  ['delete by mark', DELETE, 0, 0, 0, (out) => putMark(out, 0xff, 0xff)],
  ['delete of a family, which is not heeded', DELETE, 0, 10, 0, () => {}],
  ['count', 0x105, 0, 0, 0, () => {}],
  ['statistics without a list', 0x104, 0, 0, 0, () => {}],
];

/** What comes back: type, flags, errno or family of each message, and how many there are in the table. */
function answersOf(transport: Transport, request: Uint8Array): string[] {
  const into = transport.createDatagrams(16, 32768);
  transport.send(request, request.length);
  const answers: string[] = [];
  for (let count = transport.receive(into); count > 0; count = transport.receive(into))
    for (let i = 0; i < count; i++) {
      const bytes = Buffer.from(into.bytes.buffer, into.start(i), into.length(i));
      for (let at = 0; at + 16 <= bytes.length; at += (host32(bytes, at) + 3) & ~3) {
        const type = host16(bytes, at + 4);
        const value = type === 2 ? `errno ${-(host32(bytes, at + 16) | 0)}` : type === 3 ? 'end' : `family ${bytes[at + 16]}`;
        // A filter of the kernel's own is told by a flag that nobody needs.
        answers.push(`${type.toString(16)} flags ${(host16(bytes, at + 6) & ~0x20).toString(16)} ${value}`);
      }
    }
  return answers;
}

before(requirePrerequisites);
suite('memory table', { skip: SELF_TEST ? 'a part of our own library' : false }, () => {
  for (const [variant, settings] of SETTINGS.entries())
    test(`${SESSIONS} sessions as with the kernel, ${JSON.stringify(settings)} (SEED=${SEED})`, async (t) => {
      await using there = await Table.create('memory', { labels: settings.labels, purpose: 'answer' });
      await there.namespace.sysctl({
        'net.netfilter.nf_conntrack_events': 1,
        'net.netfilter.nf_conntrack_acct': Number(settings.accounting),
        'net.netfilter.nf_conntrack_timestamp': Number(settings.timestamps),
      });
      await using kernel = await Conntrack.open({ netns: there.namespace.pid });
      const world = await worldOf(kernel);
      const counts = new Map<string, number>();
      for (let number = 0; number < SESSIONS; number++) {
        const calls = new Calls(new Random(Math.imul(SEED ^ (2 * number + variant), 0x9e3779b1)), world);
        await kernel.flush();
        const table = new MemoryTable(settings);
        await using memory = await Conntrack.open({ transport: table.open });
        const [heardOfKernel, heardOfMemory] = [listen(kernel), listen(memory)];
        const lines: string[] = [];
        const story = () => `session ${number} (SEED=${SEED})\n${lines.join('\n')}`;
        for (let n = 0; n < 14; n++) {
          const call = calls.next();
          const expected = await outcomeOf(call, kernel);
          lines.push(`${call.text}: ${JSON.stringify(expected)}`);
          assert.deepEqual(await outcomeOf(call, memory), expected, story());
          const verdict = (expected as { code?: string } | undefined)?.code ?? 'done';
          const name = `${call.text.slice(0, call.text.indexOf('('))} ${verdict}`;
          counts.set(name, (counts.get(name) ?? 0) + 1);
        }
        assert.deepEqual(await contentOf(memory), await contentOf(kernel), story());
        assert.deepEqual(await heardOfMemory(), await heardOfKernel(), story());
      }
      for (const [name, count] of [...counts].sort()) t.diagnostic(`${name}: ${count}`);
    });

  test('requests that the library never makes get the same answers', async () => {
    await using there = await Table.create('memory-raw', { purpose: 'answer' });
    const namespace = NetworkNamespace.open(there.namespace.pid);
    const transports = [NetlinkSocket.open({ namespace }), new MemoryTable().open({})];
    const writer = new MessageWriter();
    try {
      for (const [name, type, flags, family, version, put] of REQUESTS) {
        writer.reset();
        writer.begin(type, flags | 5, 7, family, version);
        put(writer);
        writer.end();
        const request = writer.bytes.slice(0, writer.length);
        const [ofKernel, ofMemory] = transports.map((transport) => answersOf(transport, request).sort());
        assert.deepEqual(ofMemory, ofKernel, name);
        writer.reset();
        writer.begin(GET, DUMP | 5, 8, 0);
        writer.end();
        const [left, right] = transports.map((transport) => answersOf(transport, writer.bytes.slice(0, writer.length)).length);
        assert.equal(right, left, `entries after ${name}`);
      }
    } finally {
      for (const open of [...transports, namespace]) open.close();
    }
  });

  test('a reply may be the tuple of a flow in the zone of one direction', async () => {
    await using there = await Table.create('memory-zone', { purpose: 'answer' });
    const [a, b] = [1, 3].map((n) => ({ src: `10.0.0.${n}`, dst: `10.0.0.${n + 1}`, sport: n, dport: n + 1 }));
    for (const options of [{ netns: there.namespace.pid }, { transport: new MemoryTable().open }]) {
      await using conntrack = await Conntrack.open(options);
      await conntrack.create({ protocol: 'udp', timeout: 100, original: { ...a!, zone: 7 } });
      await conntrack.create({ protocol: 'udp', timeout: 100, original: { ...b!, zone: 7 }, reply: a! });
      await assert.rejects(conntrack.create({ protocol: 'udp', timeout: 100, original: { ...b!, sport: 9 }, reply: a! }), {
        code: 'EEXIST',
      });
    }
  });

  test('every helper is for the same protocols, and expects as much for as long', async () => {
    await using there = await Table.create('memory-helpers', { purpose: 'answer' });
    const seen = await Promise.all(
      [{ netns: there.namespace.pid }, { transport: new MemoryTable().open }].map(async (options) => {
        await using conntrack = await Conntrack.open(options);
        const lines: string[] = [];
        for (const [n, helper] of ['none', ...HELPERS.keys()].entries())
          for (const [version, src, dst, whole] of [
            [4, '10.0.0.1', '10.0.0.2', '255.255.255.255'],
            [6, 'fd00::1', 'fd00::2', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
          ] as const)
            for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
              const master = { src, dst, sport: n, dport: 1 };
              const mask = { src: whole, dst: whole, sport: 0, dport: 0xffff };
              try {
                await conntrack.create({ protocol, helper, timeout: 1000, original: master });
                for (let port = 1; port <= 40; port++)
                  await conntrack.expectations.create({ protocol, master, mask, tuple: { src, dst, sport: 0, dport: port } });
                const all = await conntrack.expectations.list().toArray();
                const seconds = new Set(all.map(({ timeout }) => Math.ceil(timeout! / 3) * 3));
                lines.push(`${helper} ${protocol} ${version}: ${all.length} for ${[...seconds]} s`);
                await conntrack.flush();
              } catch (error) {
                lines.push(`${helper} ${protocol} ${version}: ${(error as KernelError).code}`);
              }
            }
        return lines;
      }),
    );
    // A kernel need not have all of them.
    const known = [...HELPERS.keys()].filter((helper) =>
      seen[0]!.some((line) => line.startsWith(`${helper} `) && / for /.test(line)),
    );
    const [ofKernel, ofMemory] = seen.map((lines) =>
      lines.filter((line) => known.some((helper) => line.startsWith(`${helper} `))),
    );
    assert.deepEqual(ofMemory, ofKernel);
    assert.ok(known.includes('ftp') && known.includes('tftp'), `${known}`);
  });

  test('makeFlow and a table make again every flow of a table that has one of everything', async () => {
    await using there = await Table.create('memory-flows', { purpose: 'answer' });
    await populate(there.namespace, { accounting: true, timestamps: true, traffic: 'all' });
    await using kernel = await Conntrack.open({ netns: there.namespace.pid });
    // Where DCCP is not tracked its flows have no ports; in memory it is.
    const flows = (await kernel.list().toArray()).filter(({ protocol, original }) => protocol !== 'dccp' || original.sport);
    assert.ok(flows.length > 50, `${flows.length}`);
    for (const flow of flows) assert.deepEqual(makeFlow(flow as FlowInit), flow);
    assert.deepEqual(new MemoryTable({ flows: flows as FlowInit[] }).flows, flows);
  });
});
