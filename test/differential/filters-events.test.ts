// Socket filters of events in the kernel itself: random filters, each on a socket of its own, while flows begin, change and end. What
// arrives is what the predicate wants of all events, what the judged filter says, and what the interpreter of the unit tests keeps.
// And the longest programs that are made are accepted where a kernel has least room for them.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { inspect } from 'node:util';
import { formatAddress } from '../../src/ctnetlink/address.js';
import { BpfProgram } from '../../src/ctnetlink/filter/bpf.js';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import type { FlowFilter } from '../../src/ctnetlink/filter/condition.js';
import { eventProgram, PROGRAM_BUDGET } from '../../src/ctnetlink/filter/event-program.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { SystemError } from '../../src/errors.js';
import { ALL_FLOW_EVENTS, EventSource } from '../../src/library/events/event-source.js';
import { NetworkNamespace } from '../../src/library/index.js';
import { EAGAIN } from '../../src/wire/errno.js';
import { NetlinkSocket } from '../../src/wire/socket.js';
import { runBpf } from '../support/bpf.js';
import { Namespace } from '../support/namespace.js';
import { deleteFlow, FLUSH, IPS_ASSURED, IPS_SEEN_REPLY, type NewFlow, newFlow, updateFlow } from '../support/netlink.js';
import { datagrams, FLOWS, populate } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { POOL, randomCondition, randomFilter } from '../support/random-filter.js';

const FILTERS = Number(process.env['EVENT_FILTERS'] ?? 200);
/** What older kernels have by default, in bytes. */
const LEAST_OPTMEM = 20_480;

const view = createFlowView();
const now = () => 0;

function wants(filter: FlowFilter, message: Uint8Array): boolean {
  const wanted = compileFilter(filter, now);
  view.decode(message, 0, message.length);
  return wanted?.(view) ?? true;
}

/** Everything that waits. */
function receiveAll(socket: NetlinkSocket): Uint8Array[] {
  const received: Uint8Array[] = [];
  const slots = socket.createDatagrams(64, 8192);
  for (;;) {
    const count = socket.receive(slots);
    if (count === -EAGAIN) return received;
    assert.ok(count > 0, `recvmmsg: ${count}`);
    for (let i = 0; i < count; i++) received.push(slots.bytes.slice(slots.start(i), slots.start(i) + slots.length(i)));
  }
}

const sorted = (messages: readonly Uint8Array[]) => messages.map((message) => Buffer.from(message).toString('hex')).sort();

/** A flow with the values of random filters. */
function randomNewFlow(random: Random): NewFlow {
  const pool = random.chance(0.6) ? POOL.v4 : POOL.v6;
  const address = () => formatAddress(Uint8Array.from(random.pick(pool)));
  const proto = random.pick([6, 6, 17, 17, 132, 47]);
  const v4 = pool === POOL.v4;
  return {
    proto,
    original: { src: address(), dst: address(), sport: random.pick(POOL.ports), dport: random.pick(POOL.ports) },
    timeout: random.pick([30, 600, 100_000]),
    status: random.pick([0, IPS_SEEN_REPLY, IPS_SEEN_REPLY | IPS_ASSURED]),
    mark: random.pick(POOL.marks),
    labels: random.sample(POOL.labels, random.below(3)),
    ...(proto === 6 && { tcpState: random.below(10) }),
    ...(random.chance(0.3) && { zone: random.pick([1, 2, 7]) }),
    ...(random.chance(0.2) && v4 && { sourceNat: { address: address(), port: 443 } }),
    ...(random.chance(0.2) && v4 && { destinationNat: { address: address() } }),
  };
}

before(requirePrerequisites);
suite('socket filters of events', { skip: SELF_TEST ? 'the reference has no socket filters' : false }, () => {
  let namespace: Namespace;
  let place: NetworkNamespace;
  before(async () => {
    namespace = await Namespace.create('bpf');
    place = NetworkNamespace.open(namespace.pid);
  });
  after(async () => {
    place.close();
    await namespace.close();
  });

  const listen = (filter?: Uint8Array) =>
    NetlinkSocket.open({ groups: ALL_FLOW_EVENTS, filter, receiveBuffer: 4 * 1024 * 1024, namespace: place });

  /** Flows of every kind begin, change and end. */
  async function live(random: Random): Promise<void> {
    await populate(namespace, { accounting: true, timestamps: true, traffic: 'all' });
    const flows = Array.from({ length: 150 }, () => randomNewFlow(random));
    // Some are there already, or are not as the kernel wants them.
    await namespace.netlink(flows.map(newFlow)).catch(() => undefined);
    const changes = [...flows, ...FLOWS].flatMap((flow) => [
      updateFlow(flow, { mark: random.pick(POOL.marks) }),
      updateFlow(flow, { timeout: random.pick([20, 700]), labels: { set: random.sample(POOL.labels, 2) } }),
    ]);
    await namespace.netlink(changes).catch(() => undefined);
    await namespace.netlink(random.sample(flows, 40).map(deleteFlow)).catch(() => undefined);
    await datagrams(namespace);
    await namespace.netlink([FLUSH]);
  }

  test('what arrives is what is wanted', async () => {
    const random = new Random(seedFromEnvironment(12));
    const all = listen();
    const filters = Array.from({ length: FILTERS }, () => {
      const filter = randomFilter(random, random.pick([0, 1, 1, 2, 3]));
      const program = eventProgram(filter);
      return { filter, program, socket: listen(program.bytes) };
    });
    try {
      await live(random);
      const events = receiveAll(all);
      assert.ok(events.length > 300, `${events.length} events`);
      const types = new Set(events.map((event) => `${event[4]} ${event[7]! & 4}`));
      assert.equal(types.size, 3, 'new, changed and destroyed');
      let kept = 0;
      for (const { filter, program, socket } of filters) {
        const what = inspect({ filter, judged: program.judged }, { depth: 12 });
        const arrived = receiveAll(socket);
        kept += arrived.length;
        const { bytes } = program;
        assert.deepEqual(sorted(arrived), sorted(events.filter((event) => !bytes || runBpf(bytes, event) !== 0)), what);
        const isWanted = (event: Uint8Array) => wants(filter, event);
        assert.deepEqual(sorted(arrived.filter(isWanted)), sorted(events.filter(isWanted)), what);
      }
      assert.ok(kept > events.length * FILTERS * 0.1 && kept < events.length * FILTERS * 0.9, `${kept} kept`);
      console.error(`${events.length} events, ${FILTERS} filters: ${(kept / events.length / FILTERS).toFixed(2)} kept`);
    } finally {
      for (const socket of [all, ...filters.map(({ socket }) => socket)]) socket.close();
    }
  });

  test('the longest programs are accepted where there is least room', async () => {
    // Older kernels have this value, and none of it in a namespace.
    await namespace.sysctl({ 'net.core.optmem_max': LEAST_OPTMEM }).catch(() => undefined);
    const parts: Readonly<Record<string, (program: BpfProgram, end: number) => void>> = {
      'loads at fixed offsets': (program, end) => {
        program.loadAt(16, 4);
        program.jumpIfEqual(1, end, undefined);
      },
      'loads behind X': (program) => {
        program.findAttribute(1);
        program.toX();
        for (let n = 0; n < 100; n++) program.loadBehindX(4, 2);
      },
      attributes: (program) => program.findAttribute(3),
      nests: (program, end) => {
        program.constant(20);
        program.findNested(3);
        program.jumpIfEqual(0, end, undefined);
      },
      'small numbers': (program, end) => program.jumpIfEqual(1, end, undefined),
      'large numbers': (program, end) => program.jumpIfAtLeast(0x80000000, end, undefined),
      cells: (program) => {
        program.keep(0);
        program.recallToX(0);
        program.subtractX();
      },
    };
    for (const [name, part] of Object.entries(parts)) {
      let longest: Uint8Array | undefined;
      for (let repeats = 1; ; repeats++) {
        const program = new BpfProgram();
        const end = program.newLabel();
        for (let n = 0; n < repeats; n++) part(program, end);
        program.place(end);
        program.accept();
        if (program.cost > PROGRAM_BUDGET) break;
        longest = program.encode();
      }
      assert.ok(longest);
      try {
        listen(longest).close();
      } catch (error) {
        assert.fail(`${name}: ${longest.length / 8} instructions: ${error}`);
      }
    }
    // Conditions are added until the dearest has to go again.
    const random = new Random(13);
    const lengths: number[] = [];
    for (let n = 0; n < FILTERS / 20; n++) {
      const of: FlowFilter[] = [];
      let longest = eventProgram({ kind: 'all', of });
      for (;;) {
        of.push({ kind: 'not', of: randomCondition(random) });
        const longer = eventProgram({ kind: 'all', of });
        if (longer.instructions < longest.instructions) break;
        longest = longer;
      }
      lengths.push(longest.instructions);
      listen(longest.bytes).close();
    }
    assert.ok(Math.max(...lengths) > 500, `${lengths} instructions`);
  });

  test('a program that the kernel has no room for is left out', async () => {
    await namespace.sysctl({ 'net.core.optmem_max': LEAST_OPTMEM }).catch(() => undefined);
    const program = new BpfProgram();
    for (let n = 0; n < 2000; n++) program.loadAt(16, 4);
    program.accept();
    assert.throws(
      () => listen(program.encode()),
      (error) => error instanceof SystemError && error.code === 'ENOMEM',
    );
    EventSource.open({ groups: ALL_FLOW_EVENTS, filter: program.encode(), namespace: place }).close();
  });
});
