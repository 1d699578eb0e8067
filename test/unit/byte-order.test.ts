// On a machine with the other byte order everything reads the same: each fixture as that machine's kernel would send it, decoded and
// written; requests; socket filters. And only one place knows the order.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addressIs, type FlowFilter, markIs, numberIs, portIs, statusIs } from '../../src/ctnetlink/filter/condition.js';
import { eventProgram } from '../../src/ctnetlink/filter/event-program.js';
import { putKernelFilter } from '../../src/ctnetlink/filter/kernel-plan.js';
import type { View } from '../../src/ctnetlink/view.js';
import type { KernelError } from '../../src/errors.js';
import type { ByteWriter } from '../../src/format/byte-writer.js';
import { type FormatOptions, WallClock } from '../../src/format/format-options.js';
import type { Request } from '../../src/wire/answers.js';
import { walkDatagram } from '../../src/wire/answers.js';
import { MessageWriter } from '../../src/wire/message.js';
import { pollAnswer, pollRequest } from '../../src/wire/pollfd.js';
import { runBpf } from '../support/bpf.js';
import { OtherMachine, turned } from '../support/byte-order.js';
import { Random } from '../support/random.js';
import { randomEvent } from '../support/random-event.js';
import { randomFilter } from '../support/random-filter.js';
import { KINDS, readFixtures, snapshot, type ViewName } from './fixture.js';

process.env['TZ'] = 'UTC';
const SRC = fileURLToPath(new URL('../../../src/', import.meta.url));
const machine = new OtherMachine();
after(() => machine[Symbol.dispose]());

const { createFlowView: otherFlowView, createExpectationView: otherExpectationView } =
  await machine.load<typeof import('../../src/ctnetlink/view.js')>('ctnetlink/view');
const { createStatisticsView, CPU_STATISTICS, GLOBAL_STATISTICS, EXPECTATION_STATISTICS } =
  await machine.load<typeof import('../../src/ctnetlink/statistics.js')>('ctnetlink/statistics');
const OTHER: Readonly<Record<ViewName, () => View>> = {
  flow: otherFlowView,
  expectation: otherExpectationView,
  'stats-cpu': () => createStatisticsView(CPU_STATISTICS),
  'stats-global': () => createStatisticsView(GLOBAL_STATISTICS),
  'stats-expect': () => createStatisticsView(EXPECTATION_STATISTICS),
};
const fixtures = readFixtures();

const OPTIONS: FormatOptions = {
  layer3: true,
  id: true,
  ktimestamp: true,
  timestamp: false,
  labels: undefined,
  full: true,
  event: false,
};

/** What a writer of `format/` makes of a view. */
async function written(
  load: <T>(name: string) => Promise<T>,
  name: 'text' | 'save' | 'xml' | 'json',
  view: View,
): Promise<string> {
  const of = `write${({ text: 'FlowText', save: 'FlowSave', xml: 'FlowXml', json: 'FlowJson' } as const)[name]}`;
  const module = await load<Record<string, (...args: unknown[]) => void>>(`format/flow-${name}`);
  const { ByteWriter: Writer } = await load<{ ByteWriter: typeof ByteWriter }>('format/byte-writer');
  const pieces: string[] = [];
  const out = new Writer((chunk, length) => pieces.push(Buffer.from(chunk.subarray(0, length)).toString('latin1')));
  module[of]!(out, view, OPTIONS, name === 'save' ? 'add' : new WallClock());
  out.flush();
  return pieces.join('');
}
const own = <T>(name: string) => import(`../../src/${name}.js`) as Promise<T>;
const other = <T>(name: string) => machine.load<T>(name);

describe('a message of a machine of the other order', () => {
  for (const { name, bytes, expected } of fixtures)
    test(name, async () => {
      const message = turned(bytes);
      assert.notDeepEqual(message, bytes);
      const view = OTHER[expected.view]();
      // Twice: the second time by its layout, where that is kept.
      for (const _ of [1, 2]) {
        view.decode(message, 0, message.length);
        assert.deepEqual(snapshot(expected.view, view), expected);
      }
      if (expected.view !== 'flow') return;
      const here = KINDS.flow.create();
      here.decode(bytes, 0, bytes.length);
      for (const form of ['text', 'save', 'xml', 'json'] as const) {
        // quirk: docs/differences.md B35, saved verification tags are in the order of the host.
        const text = (line: string) => (form === 'save' ? line.replace(/--(orig|reply)-vtag \d+/g, '') : line);
        assert.equal(text(await written(other, form, view)), text(await written(own, form, here)), form);
      }
    });
});

test('layouts are kept there too: a second message of the same kind is not walked again', () => {
  const { bytes } = fixtures.find(({ name }) => name === 'tcp-v4')!;
  const message = turned(bytes);
  const view = otherFlowView();
  view.decode(message, 0, message.length);
  // A walk makes a layout, which is an array.
  const real = globalThis.Int32Array;
  let made = 0;
  globalThis.Int32Array = new Proxy(real, {
    construct(target, args) {
      made++;
      return Reflect.construct(target, args);
    },
  });
  try {
    view.decode(message, 0, message.length);
    assert.equal(made, 0);
    const another = turned(fixtures.find(({ name }) => name === 'icmp')!.bytes);
    made = 0;
    view.decode(another, 0, another.length);
    assert.ok(made > 1, 'a layout is no array any more: count something else');
  } finally {
    globalThis.Int32Array = real;
  }
});

describe('what is sent', () => {
  const filters: readonly FlowFilter[] = [
    { kind: 'family', family: 2 },
    {
      kind: 'all',
      of: [
        { kind: 'family', family: 2 },
        numberIs('protocol', 6),
        addressIs('original', 'src', Uint8Array.of(192, 0, 2, 1)),
        portIs('reply', 'dst', 443),
        markIs(5, 0xff),
        { kind: 'all', of: statusIs(4, 0) },
      ],
    },
  ];
  for (const [n, filter] of filters.entries())
    test(`list request ${n}`, async () => {
      const there = await machine.load<typeof import('../../src/wire/message.js')>('wire/message');
      const kernelFilter =
        await machine.load<typeof import('../../src/ctnetlink/filter/kernel-plan.js')>('ctnetlink/filter/kernel-plan');
      const build = (writer: MessageWriter, put: typeof putKernelFilter) => {
        writer.begin(0x101, 0x305, 77, 2);
        put(writer, filter, 2, 'everything');
        writer.end();
        return new Uint8Array(writer.bytes.subarray(0, writer.length));
      };
      assert.deepEqual(
        build(new there.MessageWriter(), kernelFilter.putKernelFilter),
        turned(build(new MessageWriter(), putKernelFilter)),
      );
    });

  test('labels to set, and pollfd', async () => {
    const flows = await machine.load<typeof import('../../src/ctnetlink/flow-spec.js')>('ctnetlink/flow-spec');
    const { putFlow } = await own<typeof import('../../src/ctnetlink/flow-spec.js')>('ctnetlink/flow-spec');
    const there = await machine.load<typeof import('../../src/wire/message.js')>('wire/message');
    const flow = {
      family: 2,
      original: { src: Uint8Array.of(192, 0, 2, 1), dst: Uint8Array.of(192, 0, 2, 2), protonum: 17, sport: 1, dport: 2 },
      reply: { src: Uint8Array.of(192, 0, 2, 2), dst: Uint8Array.of(192, 0, 2, 1), protonum: 17, sport: 2, dport: 1 },
      timeout: 100,
      mark: 0x01020304,
      labels: [1, 40, 127],
    } as unknown as Parameters<typeof putFlow>[1];
    const build = (writer: MessageWriter, put: typeof putFlow) => {
      writer.begin(0x100, 0x605, 77, 2);
      put(writer, flow);
      writer.end();
      return new Uint8Array(writer.bytes.subarray(0, writer.length));
    };
    assert.deepEqual(build(new there.MessageWriter(), flows.putFlow), turned(build(new MessageWriter(), putFlow)));
    const poll = await machine.load<typeof import('../../src/wire/pollfd.js')>('wire/pollfd');
    const swapped = (request: Uint8Array) => {
      const bytes = Buffer.from(request);
      bytes.subarray(0, 4).swap32();
      bytes.subarray(4).swap16();
      return new Uint8Array(bytes);
    };
    const request = pollRequest(0x123456, 4);
    assert.deepEqual(poll.pollRequest(0x123456, 4), swapped(request));
    request[6] = 0x11;
    assert.equal(poll.pollAnswer(swapped(request)), pollAnswer(request));
  });
});

test('refusals, with what the kernel says of them', async () => {
  const there = await machine.load<typeof import('../../src/wire/answers.js')>('wire/answers');
  const bytes = Buffer.alloc(36 + 8 + 12);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(2, 4);
  bytes.writeUInt16LE(0x300, 6); // NLM_F_CAPPED, NLM_F_ACK_TLVS
  bytes.writeUInt32LE(9, 8);
  bytes.writeInt32LE(-22, 16);
  bytes.writeUInt32LE(20, 20);
  bytes.writeUInt16LE(8, 36);
  bytes.writeUInt16LE(2, 38);
  bytes.writeUInt32LE(24, 40);
  bytes.writeUInt16LE(11, 44);
  bytes.writeUInt16LE(1, 46);
  bytes.write('wrong\0\0', 48);
  const request: Request = { name: 'CT_GET', sequence: 9, bytes, length: 0 };
  const refusal = (walk: typeof walkDatagram, datagram: Uint8Array) => {
    try {
      walk(datagram, 0, datagram.length, request, undefined);
      return 'none';
    } catch (error) {
      const { code, detail, offset } = error as KernelError;
      return { code, detail, offset };
    }
  };
  const here = refusal(walkDatagram, bytes);
  assert.deepEqual(here, { code: 'EINVAL', detail: 'wrong', offset: 24 });
  assert.deepEqual(refusal(there.walkDatagram, turned(bytes)), here);
});

test('a socket filter keeps the same events', async () => {
  const there =
    await machine.load<typeof import('../../src/ctnetlink/filter/event-program.js')>('ctnetlink/filter/event-program');
  const random = new Random(11);
  const filters: readonly FlowFilter[] = [
    { kind: 'family', family: 2 },
    numberIs('protocol', 17),
    addressIs('original', 'src', Uint8Array.of(192, 0, 2, 1)),
    {
      kind: 'all',
      of: [numberIs('protocol', 6), portIs('original', 'dst', 80)],
    },
    ...[0, 1, 31, 40, 127].map((bit) => ({ kind: 'label', bits: [bit] }) as const),
    { kind: 'has', what: 'label' },
    ...Array.from({ length: 300 }, () => randomFilter(random, 1)),
  ];
  const events = [
    ...fixtures.filter(({ expected }) => expected.view === 'flow'),
    ...Array.from({ length: 60 }, (_, n) => ({ name: `random event ${n}`, bytes: randomEvent(random) })),
  ];
  let kept = 0;
  let dropped = 0;
  for (const filter of filters) {
    const [here, other] = [eventProgram(filter).bytes, there.eventProgram(filter).bytes];
    assert.equal(other === undefined, here === undefined);
    if (!here || !other) continue;
    for (const { name, bytes } of events) {
      const verdict: boolean = runBpf(here, bytes) !== 0;
      assert.equal(runBpf(other, turned(bytes), false) !== 0, verdict, name);
      if (verdict) kept++;
      else dropped++;
    }
  }
  assert.ok(kept > 3000 && dropped > 3000, `${kept} kept, ${dropped} dropped`);
});

test('the order is known in one place', () => {
  // machineWords compares words with each other. A DataView's order is an argument, the same on every machine.
  const allowed = new Set(['wire/byte-order.ts', 'wire/bytes.ts']);
  const wrong = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => {
    if (!path.endsWith('.ts') || path.endsWith('.test.ts') || allowed.has(path)) return false;
    const code = readFileSync(SRC + path, 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '');
    return /endianness|LITTLE_ENDIAN|(?:Uint|Int|Float|BigInt|BigUint)(?:16|32|64)Array\([a-zA-Z.]+\.buffer|\.(?:read|write)U?Int(?:16|32)/.test(
      code,
    );
  });
  assert.deepEqual(wrong, []);
});
