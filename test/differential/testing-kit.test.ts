// conntrack/testing: a replay repeats what a recorder recorded from the kernel, byte for byte, to the same code.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { KernelError } from '../../src/errors.js';
import { Conntrack, type Filter } from '../../src/index.js';
import { ALL_FLOW_EVENTS, EventSource } from '../../src/library/events/event-source.js';
import { Recorder, Replay } from '../../src/testing/index.js';
import {
  dump,
  MessageWriter,
  NetlinkSocket,
  NetworkNamespace,
  type OpenTransport,
  ReceiveBuffers,
  transact,
} from '../../src/wire/index.js';
import { manyFlows } from '../support/many.js';
import { Namespace } from '../support/namespace.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import { AS_NOBODY, PROJECT, requirePrerequisites, SELF_TEST } from '../support/project.js';

const GET = 0x101;
const REQUEST_ACK = 0x05;
const DUMP = 0x300;
const tuple = (sport: number) => ({ src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 });
const flow = (sport: number): NewFlow => ({
  proto: 17,
  original: tuple(sport),
  timeout: 10000,
});

/** Everything that can be done through transports, whatever is behind them. @returns what was seen */
async function session(open: OpenTransport): Promise<string[]> {
  const seen: string[] = [];
  const see = (what: string) => (bytes: Uint8Array, at: number, end: number) =>
    seen.push(
      `${what} ${Buffer.from(bytes.subarray(at, end))
        .toString('hex')
        .replace(/^(.{16}).{16}/, '$1')}`,
    );
  const writer = new MessageWriter();
  const request = (sequence: number, flags: number, family: number) => {
    writer.reset();
    writer.begin(GET, REQUEST_ACK | flags, sequence, family);
    writer.end();
    return { name: 'CT_GET', sequence, bytes: writer.bytes, length: writer.length };
  };

  const events = EventSource.open({ groups: ALL_FLOW_EVENTS, transport: open });
  const twoEvents = new Promise<void>((resolve, reject) => {
    let count = 0;
    events.start({
      message: (bytes, at, end) => {
        see('event')(bytes, at, end);
        if (++count === 2) resolve();
      },
      lost: () => reject(new Error('lost')),
      failed: reject,
    });
  });

  const socket = open({});
  const buffers = new ReceiveBuffers(socket);
  await dump(socket, buffers, request(5, DUMP, 2), { message: see('list') });
  const create = newFlow(flow(7));
  create.writeUInt32LE(6, 8);
  transact(socket, buffers, { name: 'CT_NEW', sequence: 6, bytes: create, length: create.length });
  create.writeUInt32LE(7, 8);
  assert.throws(
    () => transact(socket, buffers, { name: 'CT_NEW', sequence: 7, bytes: create, length: create.length }),
    (error) => error instanceof KernelError && error.code === 'EEXIST',
  );
  const another = newFlow(flow(8));
  another.writeUInt32LE(8, 8);
  transact(socket, buffers, { name: 'CT_NEW', sequence: 8, bytes: another, length: another.length });
  await dump(socket, buffers, request(9, DUMP, 2), { message: see('list again') });
  await twoEvents;
  events.close();
  socket.close();

  const conntrack = await Conntrack.open({ transport: open });
  for (const flow of await conntrack.list({ protocol: 'udp' }).toArray()) seen.push(`flow ${JSON.stringify(flow)}`);
  seen.push(`count ${(await conntrack.count()).entries}`);
  await conntrack.close();
  return seen;
}

before(requirePrerequisites);
suite('testing kit', { skip: SELF_TEST ? 'a part of our own library' : false }, () => {
  let folder: string;
  let file: string;
  let seen: string[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-kit-'));
    file = join(folder, 'table.ndjson');
    await using there = await Namespace.create('kit');
    // More than one datagram, so that a list has parts.
    await there.netlink(manyFlows(1000));
    const namespace = NetworkNamespace.open(there.pid);
    const recorder = Recorder.toFile(file, (options) => NetlinkSocket.open({ ...options, namespace }));
    seen = await session(recorder.open);
    recorder.close();
    namespace.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('the recorded session saw the kernel', () => {
    const count = (what: string) => seen.filter((line) => line.startsWith(`${what} `)).length;
    assert.deepEqual([count('list'), count('event'), count('flow'), seen.at(-1)], [1000 + 1002, 2, 1002, 'count 1002']);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('a replay shows the same', async () => {
    const replay = Replay.fromFile(file);
    const again = await session(replay.open);
    // Events come beside the answers: only each of the two has an order.
    const sorted = (lines: readonly string[]) => [...lines].sort((a, b) => Number(a < 'f') - Number(b < 'f'));
    assert.deepEqual(sorted(again), sorted(seen));
    replay.assertDone();
  });

  suite('what was never asked is not answered', () => {
    const key = (sport: number) => ({ protocol: 'udp', original: tuple(sport) }) as const;
    let there: Namespace;
    before(async () => {
      there = await Namespace.create('asked');
      await there.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
    });
    after(() => there.close());

    /** Records what `work` does to an empty table. @returns the recording */
    const record = async (work: (conntrack: Conntrack) => Promise<unknown>): Promise<string> => {
      let text = '';
      const recorder = new Recorder((line) => {
        text += line;
      });
      await using conntrack = await Conntrack.open({ netns: there.pid, transport: recorder.open });
      await conntrack.flush();
      await work(conntrack);
      return text;
    };

    test('a list behind a change that is not made', async () => {
      const text = await record(async (conntrack) => {
        await conntrack.list().toArray();
        await conntrack.create({ ...key(1), timeout: 100 });
        await conntrack.list().toArray();
      });
      const replay = Replay.fromText(text);
      await using conntrack = await Conntrack.open({ transport: replay.open });
      await conntrack.flush();
      assert.equal((await conntrack.list().toArray()).length, 0);
      await assert.rejects(conntrack.list().toArray(), { code: 'REPLAY' });
      await conntrack.create({ ...key(1), timeout: 100 });
      assert.equal((await conntrack.list().toArray()).length, 1);
      replay.assertDone();
    });

    test('a flow that is created a second time without being deleted', async () => {
      const text = await record(async (conntrack) => {
        await conntrack.create({ ...key(1), timeout: 100 });
        await conntrack.deleteMany([key(1)]);
        await conntrack.create({ ...key(1), timeout: 100 });
      });
      await using conntrack = await Conntrack.open({ transport: Replay.fromText(text).open });
      await conntrack.flush();
      await conntrack.create({ ...key(1), timeout: 100 });
      await assert.rejects(conntrack.create({ ...key(1), timeout: 100 }), { code: 'REPLAY' });
    });

    test('events that the recorded filter kept away', async () => {
      const listen = async (conntrack: Conntrack, filter: Filter) => {
        const events = conntrack.events(filter);
        await conntrack.create({ ...key(1), timeout: 100 });
        await conntrack.create({ ...key(2), timeout: 100 });
        const { value } = await events.next();
        events.close();
        return value?.flow.original.sport;
      };
      const narrow: Filter = { protocol: 'udp', original: { sport: 2 } };
      for (const [recorded, replayed, expected] of [
        [narrow, narrow, 2],
        [narrow, {}, undefined],
        [narrow, { protocol: 'tcp' }, undefined],
        [{}, narrow, 2],
      ] as const) {
        const text = await record((conntrack) => listen(conntrack, recorded));
        await using conntrack = await Conntrack.open({ transport: Replay.fromText(text).open });
        await conntrack.flush();
        if (expected === undefined) await assert.rejects(listen(conntrack, replayed), { code: 'REPLAY' });
        else assert.equal(await listen(conntrack, replayed), expected);
      }
    });

    test('another network namespace', async () => {
      await using other = await Namespace.create('other');
      const recorder = new Recorder(() => {});
      await using first = await Conntrack.open({ netns: there.pid, transport: recorder.open });
      await using again = await Conntrack.open({ netns: `/proc/${there.pid}/ns/net`, transport: recorder.open });
      await Promise.all([first.count(), again.count()]);
      await assert.rejects(Conntrack.open({ netns: other.pid, transport: recorder.open }), { code: 'RECORDING' });
    });
  });

  test('a replay needs neither root nor native code', () => {
    chmodSync(folder, 0o755);
    chmodSync(file, 0o644);
    const copy = join(folder, 'count.ndjson');
    const steps = readFileSync(file, 'utf8').trimEnd().split('\n');
    // The last transport is that of the count.
    const last = JSON.parse(steps.at(-1)!).transport;
    writeFileSync(copy, steps.filter((line, i) => i === 0 || JSON.parse(line).transport === last).join('\n'));
    const source = `
      process.dlopen = () => { throw new Error('native code is loaded') };
      const { Conntrack } = await import('${PROJECT}/build/src/index.js');
      const { Replay } = await import('${PROJECT}/build/src/testing/index.js');
      const conntrack = await Conntrack.open({ transport: Replay.fromFile('${copy}').open });
      console.log((await conntrack.count()).entries);
      await conntrack.close();`;
    const [setpriv = '', ...options] = AS_NOBODY;
    const node = [process.execPath, '--input-type=module', '-e', source];
    const result = spawnSync(setpriv, [...options, ...node], { encoding: 'utf8' });
    assert.equal(result.stdout, '1002\n', result.stderr);
  });
});
