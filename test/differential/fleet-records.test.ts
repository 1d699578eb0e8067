// The record of a host on its way through real servers into copies, while everything is killed: each record is there once.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { loadDrivers } from '../../src/history/driver/load-driver.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { RunningAgent, RunningCollector } from '../support/fleet-agent.js';
import { Namespace } from '../support/namespace.js';
import { NatsServer } from '../support/nats-server.js';
import { getIn } from '../support/net-sockets.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { until } from '../support/watchers.js';

const NATS = 'nats://127.0.0.1';
const LISTEN = 9468;
const driver = loadDrivers(1)[0]!;

/** Numbers of all records of a directory. */
function numbersIn(directory: string): number[] {
  return segmentFiles(directory).flatMap(({ path }) => {
    const file = driver.open(path, { readOnly: true });
    try {
      return file
        .prepare('SELECT seq FROM flow ORDER BY seq')
        .all()
        .map(({ seq }) => seq as number);
    } finally {
      file.close();
    }
  });
}

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
});
