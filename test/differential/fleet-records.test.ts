// The record of a host on its way through real servers into copies, while everything is killed: each record is there once.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { H } from '../../src/fleet/bodies.js';
import { shardOf, subjects } from '../../src/fleet/subjects.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { RunningAgent, RunningCollector } from '../support/fleet-agent.js';
import { Namespace } from '../support/namespace.js';
import { NATS_PORT, NatsServer } from '../support/nats-server.js';
import { connectIn, getIn } from '../support/net-sockets.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { numbersIn } from '../support/record-numbers.js';
import { until } from '../support/watchers.js';

const NATS = 'nats://127.0.0.1';
const LISTEN = 9468;

before(requirePrerequisites);
suite('records of a fleet', { skip: SELF_TEST ? 'the reference has no fleets' : false, timeout: 300_000 * SLOWNESS }, () => {
  let space: Namespace;
  let server: NatsServer;
  let folder: string;
  let recorder: number;
  const record = () => join(folder, 'record');
  const copies = () => join(folder, 'copies');
  const startAgent = () =>
    RunningAgent.start(space, [
      '--nats',
      NATS,
      '--name',
      'fw1',
      '--take-over',
      '--history',
      record(),
      '--ship',
      '--flush',
      '0.2s',
    ]);
  const startCollector = () =>
    RunningCollector.start(space, [
      '--nats',
      NATS,
      '--name',
      'c1',
      '--take-over',
      '--keep',
      'forever',
      '--dir',
      copies(),
      '--segment-rows',
      '400',
      '--listen',
      `127.0.0.1:${LISTEN}`,
    ]);
  const run = async (...words: string[]) => {
    const { status, stdout, stderr } = await space.run([UNDER_TEST, ...words], { timeLimit: 60_000 });
    return { status, out: stdout.toString(), err: stderr.toString() };
  };

  const flow = (n: number): NewFlow => ({
    proto: 17,
    original: { src: `192.0.2.${n & 0xff}`, dst: '198.51.100.7', sport: 1024 + n, dport: 53 },
    timeout: 100_000,
  });
  let made = 0;
  /** So many flows that come and go. */
  const makeFlows = async (count: number) => {
    await space.netlink(Array.from({ length: count }, () => newFlow(flow(made++))));
    assert.equal((await run('-D', '-p', 'udp', '--dport', '53')).status, 0);
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-fleet-records-'));
    space = await Namespace.create('records');
    server = await NatsServer.start(space);
    recorder = await space.start(
      [UNDER_TEST, 'record', '--keep', '1d', '--sync', '0.2s', '--segment-rows', '300', '--dir', record(), 'port', '53'],
      {
        timeLimit: 600_000,
      },
    );
    await until(
      'the recorder runs',
      async () => (await run('record', 'status', '--dir', record())).status === 0,
      30_000 * SLOWNESS,
    );
  });
  after(async () => {
    await space?.ask('signal', recorder, 'SIGTERM');
    await space?.ask('finish', recorder);
    await server?.[Symbol.asyncDispose]();
    await space?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A message of somebody who speaks the protocol himself. */
  const publish = async (subject: string, headers: Readonly<Record<string, string>>, body: string, where = space) => {
    const head = `NATS/1.0\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`;
    const socket = connectIn(where, '127.0.0.1', NATS_PORT);
    const answer = new Promise<string>((resolve, reject) => {
      let text = '';
      socket.on('error', reject).on('data', (data) => {
        text += data;
        if (/PONG/.test(text)) resolve(text);
      });
    });
    socket.write(
      `CONNECT {"verbose":false,"headers":true}\r\nHPUB ${subject} ${head.length} ${head.length + body.length}\r\n${head}${body}\r\nPING\r\n`,
    );
    assert.doesNotMatch(await answer, /-ERR/);
    socket.destroy();
  };

  const copyOfIt = () => join(copies(), 'fw1', readdirSync(join(copies(), 'fw1'))[0]!);

  test('whatever is killed, each record is in the copy once', async () => {
    let agent = await startAgent();
    let collector = await startCollector();
    const kills: readonly (() => Promise<void>)[] = [
      async () => {
        await agent.signal('SIGKILL');
        await agent.end();
        await makeFlows(40);
        agent = await startAgent();
      },
      async () => {
        await collector.signal('SIGKILL');
        await collector.end();
        await makeFlows(40);
        collector = await startCollector();
      },
      async () => {
        await server.kill();
        await makeFlows(40);
        await server.start();
      },
    ];
    for (const kill of [...kills, ...kills]) {
      await makeFlows(60);
      await kill();
    }
    await makeFlows(30);
    await until(
      'everything is in the copy',
      async () => readdirSync(copies()).includes('fw1') && numbersIn(copyOfIt()).length >= made,
      60_000 * SLOWNESS,
    );
    const truth = numbersIn(record());
    assert.deepEqual(
      truth,
      Array.from({ length: made }, (_, n) => n + 1),
    );
    assert.deepEqual(numbersIn(copyOfIt()), truth);
    assert.ok(segmentFiles(copyOfIt()).length > 1);
    // Whoever has them, the fleet's flows of the past are those of the host, to the byte.
    const past = await run('fleet', 'history');
    assert.equal(past.status, 0, past.err);
    const own = (await run('history', '--dir', record())).out;
    assert.equal(past.out, own.replace(/^/gm, 'host=fw1 ').replace(/host=fw1 $/, ''));
    const top = (words: readonly string[]) => run(...words, 'top', '--by', 'service', '-o', 'json');
    assert.equal((await top(['fleet', 'history'])).out, (await top(['history', '--dir', record()])).out);

    // The host is gone: what it shipped is known, and that flows which lived on may be missing.
    await makeFlows(1);
    const at = new Date().toISOString();
    const { original } = flow(made - 1);
    const end = `${original.src}:${original.sport}`;
    await until('it is in the copy as well', async () => numbersIn(copyOfIt()).length === made, 60_000 * SLOWNESS);
    const local = JSON.parse((await run('whohad', end, '--at', at, '--within', '1m', '--dir', record(), '-o', 'json')).out);
    const both = await run('fleet', 'whohad', end, '--at', at, '--within', '1m', '-o', 'json');
    assert.deepEqual(
      JSON.parse(both.out).hosts.fw1.matches.map((match: { start: string }) => match.start),
      [local.matches[0].start],
    );
    await agent.signal('SIGKILL');
    await agent.end();
    const gone = await run('fleet', 'whohad', end, '--at', at, '--within', '1m', '--wait', '3s', '-o', 'json');
    assert.equal(gone.status, 3, gone.err);
    assert.match(gone.err, /no answer from fw1/);
    const [match] = JSON.parse(gone.out).hosts.fw1.matches;
    assert.deepEqual([match.inside, match.evidence.sequence], [{ address: original.src, port: original.sport }, made]);
    const [known] = JSON.parse((await run('fleet', 'collectors', '-o', 'json')).out);
    assert.deepEqual([known.name, known.state, known.shards], ['c1', 'up', '0-63']);
    assert.match((await run('fleet', 'collectors')).out, /^COLLECTOR +STATE .*\nc1 +up +\d+s +0-63 +\d+ +\d+ +20.*Z\n$/);
    // While the collector runs, and goes on writing into the copy.
    const forget = ['history', 'forget', original.src, '--reason', 'request 17', '--dir', copyOfIt()];
    const forgotten = await run(...forget);
    assert.equal(forgotten.status, 0, forgotten.err);
    const [, taken] = /: (\d+) records? forgotten in \d+ files?$/m.exec(forgotten.out)!;
    const kept = numbersIn(copyOfIt());
    assert.ok(Number(taken) > 0 && !kept.includes(made));
    assert.equal(kept.length, made - Number(taken));
    assert.equal((await run('record', 'verify', '--dir', copyOfIt())).status, 0);
    const none = await run('fleet', 'whohad', end, '--at', at, '--within', '1m', '--wait', '0.5s', '-o', 'json');
    assert.deepEqual(JSON.parse(none.out).hosts.fw1?.matches ?? [], []);
    agent = await startAgent();
    await makeFlows(3);
    await until('the copy goes on', async () => numbersIn(copyOfIt()).at(-1) === made, 60_000 * SLOWNESS);
    await agent[Symbol.asyncDispose]();
    assert.match(await getIn(space, LISTEN, '/readyz'), /^HTTP\/1\.1 200 /);
    const metrics = await getIn(space, LISTEN, '/metrics');
    assert.match(metrics, /^conntrack_collector_lag_seconds\{shard="all"\} 0$/m);
    assert.match(metrics, /^conntrack_collector_applied_rows_total\{shard="\d\d"\} [1-9]/m);
    assert.match(metrics, /^conntrack_collector_missing_total 0$/m);
    await collector.signal('SIGTERM');
    const { status, err } = await collector.end();
    assert.equal(status, 0, err);
    assert.match(err, /flows taken, \d+ came twice, 0 never came, 0 messages could not be read\n$/);
  });

  test('tail prints each record, and goes on where it was', async () => {
    const state = join(folder, 'tail.json');
    const lines: string[] = [];
    for (let round = 0; round < 2; round++) {
      const handle = await space.start([UNDER_TEST, 'fleet', 'tail', '--state', state], { timeLimit: 60_000 });
      const written = async () => {
        const { stdout, stderr } = await space.ask('written', handle);
        return /reads from/.test(stderr.toString()) ? stdout.toString().split('\n').length : -1;
      };
      await until('it prints', async () => (await written()) > (round > 0 ? 0 : made), 30_000 * SLOWNESS);
      await space.ask('signal', handle, 'SIGTERM');
      const { status, stdout } = await space.ask('finish', handle);
      assert.equal(status, 0);
      lines.push(
        ...stdout
          .toString()
          .trimEnd()
          .split('\n')
          .filter((line: string) => line !== ''),
      );
    }
    const numbers = lines.map((line) => JSON.parse(line)).filter(({ sequence }) => sequence !== undefined);
    // Servers keep a message twice if an agent was killed before it heard that they have it.
    assert.deepEqual(
      [...new Set(numbers.map(({ sequence }) => sequence))].sort((a, b) => a - b),
      numbersIn(record()),
    );
    assert.ok(numbers.every(({ host, original }) => host === 'fw1' && original.dport === 53));
  });

  test('the doctor finds what keeps records from being complete, each when it is broken', async () => {
    const doctor = async () => {
      const { out } = await run('fleet', 'doctor', '-o', 'json');
      return (JSON.parse(out) as { findings: { id: string; title: string }[] }).findings;
    };
    const ids = async () => (await doctor()).map(({ id }) => id);
    const set = (name: string, value: number) => space.must(['sysctl', '-qw', `net.netfilter.nf_conntrack_${name}=${value}`]);
    for (const name of ['acct', 'timestamp']) await set(name, 1);
    {
      await using _agent = await startAgent();
      assert.deepEqual(await ids(), ['shards-uncollected']);
      await using _collector = await startCollector();
      assert.deepEqual(await ids(), ['shards-alone']);
      // As a server stamps it whose clock is five seconds behind.
      await publish(subjects.record(shardOf('fw1'), 'default', 'fw1'), { [H.sent]: `${Date.now() + 5000}` }, '');
      await until('the clock of the host is known', async () => (await ids()).includes('server-clocks'), 60_000 * SLOWNESS);
      assert.match((await doctor()).find(({ id }) => id === 'server-clocks')!.title, /is [45]\.\d s behind that of ct_hosts$/);
    }
    await set('timestamp', 0);
    await using _agent = await startAgent();
    assert.match(
      (await doctor()).find(({ id }) => id === 'host-settings')!.title,
      /^the record of fw1 lacks something: nf_conntrack_timestamp is off$/,
    );
  });

  test('the doctor finds a stream that has no room for its time', async () => {
    await using other = await Namespace.create('records2');
    await using _server = await NatsServer.start(other);
    const fleet = (...words: string[]) => other.run([UNDER_TEST, 'fleet', ...words]);
    assert.equal((await fleet('setup', '--replicas', '1', '--records-size', '1M')).status, 0);
    assert.equal((await fleet('doctor')).status, 0);
    for (let n = 0; n < 4; n++) await publish(subjects.record('00', 'default', 'x'), {}, 'x'.repeat(300_000), other);
    const { stdout } = await fleet('doctor', '-o', 'json');
    const { findings } = JSON.parse(stdout.toString()) as { findings: { id: string; title: string }[] };
    assert.deepEqual(
      findings.map(({ id, title }) => `${id}: ${title}`),
      ['records-short: CT_REC is full, and reaches back for 0.0 hours only'],
    );
  });
});
