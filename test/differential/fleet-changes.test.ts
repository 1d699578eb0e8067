// `conntrack fleet delete`, `update` and `log` over a real server and the kernel's tables.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RunningAgent } from '../support/fleet-agent.js';
import { Namespace } from '../support/namespace.js';
import { NATS_PORT, NatsServer } from '../support/nats-server.js';
import { connectIn } from '../support/net-sockets.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import { PROJECT, requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { PseudoTerminal } from '../support/pseudo-terminal.js';
import { until } from '../support/watchers.js';

const NATS = 'nats://127.0.0.1';
const PROGRAM = fileURLToPath(new URL('../support/fleet-program.js', import.meta.url));
const SIP = 'udp and dst port 5060';

const flow = (n: number, dport = 5060): NewFlow => ({
  proto: 17,
  original: { src: `192.0.2.${1 + (n >> 12)}`, dst: '198.51.100.7', sport: 1024 + (n & 0xfff), dport },
  timeout: 100_000,
});
const flows = (from: number, count: number, dport?: number) =>
  Array.from({ length: count }, (_, n) => newFlow(flow(from + n, dport)));

before(requirePrerequisites);
suite('changes to a fleet', { skip: SELF_TEST ? 'the reference has no fleets' : false, timeout: 300_000 * SLOWNESS }, () => {
  let folder: string;
  let one: Namespace;
  let other: Namespace;
  let server: NatsServer;
  const agents: RunningAgent[] = [];

  const command = (words: readonly string[]) => [UNDER_TEST, 'fleet', ...words, '--seed', join(folder, 'alice.seed')];
  const fleet = async (...words: string[]) => {
    const { status, stdout, stderr } = await one.run(command(words), { timeLimit: 120_000 });
    return { status, out: stdout.toString(), err: stderr.toString() };
  };
  const sizes = async () =>
    Promise.all(
      [one, other].map(async (space) =>
        Number((await space.must([UNDER_TEST, '-L', '--filter', SIP, '-o', 'json'])).match(/"dport":5060/g)?.length ?? 0),
      ),
    );

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-fleet-changes-'));
    one = await Namespace.create('changes1');
    other = await Namespace.create('changes2');
    server = await NatsServer.start(one);
    assert.equal((await one.run([UNDER_TEST, 'fleet', 'auth', 'operator', 'alice', '--keys', folder])).status, 0);
    const lines = await one.must([UNDER_TEST, 'fleet', 'auth', 'changers', '--keys', folder]);
    assert.match(lines, /^alice U[A-Z2-7]{55} delete,update\n$/);
    writeFileSync(join(folder, 'changers'), lines);
    const changes = ['--allow', 'delete,update', '--changers', join(folder, 'changers')];
    for (const [name, ...words] of [
      ['fw1', ...changes],
      ['fw2', '--netns', `${other.pid}`, ...changes],
      ['fw3', '--netns', `${other.pid}`],
    ])
      agents.push(await RunningAgent.start(one, ['--nats', NATS, '--name', name!, ...words]));
  });
  after(async () => {
    for (const agent of agents) await agent[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await one?.close();
    await other?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('an agent says whom it trusts, and refuses a file that others may write', async () => {
    assert.match(await agents[0]!.err(), /alice may delete and update\n/);
    const hosts = JSON.parse((await fleet('hosts', '-o', 'json')).out) as { host: string; allow: string[] }[];
    assert.deepEqual(
      hosts.map(({ host, allow }) => [host, allow.join()]),
      [
        ['fw1', 'delete,update'],
        ['fw2', 'delete,update'],
        ['fw3', ''],
      ],
    );
    const open = join(folder, 'open');
    writeFileSync(open, readFileSync(join(folder, 'changers')), { mode: 0o666 });
    await one.must(['chmod', '666', open]);
    assert.equal(statSync(open).mode & 0o777, 0o666);
    for (const [words, what] of [
      [['--allow', 'delete', '--changers', open], /others may write .*\n {2}hint: chmod go-w /],
      [['--allow', 'destroy', '--changers', open], /--allow cannot be 'destroy'/],
      [['--allow', 'delete'], /--allow needs --changers FILE/],
      [['--changers', open], /--changers goes with --allow/],
    ] as const) {
      const { status, stderr } = await one.run([UNDER_TEST, 'agent', '--nats', NATS, '--name', 'fw9', ...words]);
      assert.equal(status, 2);
      assert.match(stderr.toString(), what);
    }
  });

  test('without a terminal a number has to be given; nothing happens otherwise', async () => {
    await one.must(['sysctl', '-qw', 'net.netfilter.nf_conntrack_timestamp=1']);
    await one.netlink(flows(0, 30));
    await other.netlink(flows(0, 12));
    for (const [words, what] of [
      [['delete'], /needs a filter/],
      [['delete', SIP], /asks on a terminal, and there is none\n {2}hint: --yes --max NUMBER/],
      [['delete', SIP, '--yes'], /--yes needs --max NUMBER/],
      [['update', SIP, '--yes', '--max', '50'], /needs new values/],
      [['update', SIP, '--yes', '--max', '50', '--set', 'zone=1'], /--set cannot be 'zone=1'/],
    ] as const) {
      const asked = await fleet(...words);
      assert.deepEqual([asked.status, asked.out], [2, ''], words.join(' '));
      assert.match(asked.err, what);
    }
    const unsigned = await one.run([UNDER_TEST, 'fleet', 'delete', SIP, '--dry-run', '--nats', NATS]);
    assert.equal(unsigned.status, 2);
    assert.match(unsigned.stderr.toString(), /changes are signed with a key\n {2}hint: --seed FILE/);
    const looked = await fleet('delete', SIP, '--dry-run', '--on', 'fw1,fw2');
    assert.equal(looked.status, 0, looked.err);
    assert.match(
      looked.out,
      /^HOST +MATCHED +FOR EXAMPLE\nfw1 +30 +udp 192\.0\.2\.1:\d+ -> 198\.51\.100\.7:5060, since \d\d:\d\d:\d\dZ\nfw2 +12 +udp .*\n$/,
    );
    const few = await fleet('delete', SIP, '--yes', '--max', '41', '--on', 'fw1,fw2');
    assert.equal(few.status, 1);
    assert.match(few.err, /42 flows would be changed, but --max allows 41; nothing was changed/);
    assert.deepEqual(await sizes(), [30, 12]);
  });

  test('on a terminal the number has to be typed', async () => {
    const words = command(['delete', 'udp', 'and', 'dst', 'port', '5060']);
    for (const [typed, left] of [
      ['41', [30, 12]],
      ['42', [0, 0]],
    ] as const) {
      await using terminal = PseudoTerminal.start(words, { namespace: one, columns: 100 });
      await until('it asks', () => terminal.screen().join('\n').includes('Type 42 to delete them:'), 30_000 * SLOWNESS);
      assert.match(terminal.screen().join('\n'), /fw3 +- +changes are not allowed on this host/);
      assert.match(terminal.screen().join('\n'), /42 flows on 2 hosts; fw3 keeps its own\. /);
      terminal.send(`${typed}\r`);
      const said = typed === '42' ? /fw1 {2}30 deleted\s+fw2 {2}12 deleted/ : /nothing was changed: that is not the number/;
      const { status } = await terminal.exited;
      await until(`it says ${said}`, () => said.test(terminal.screen().join('\n')));
      assert.equal(status, 3); // fw3 keeps its own
      assert.deepEqual(await sizes(), left);
    }
  });

  test('new values', async () => {
    await one.netlink(flows(0, 5));
    const set = ['--set', 'mark=0x10/0xff,timeout=77'];
    const done = await fleet('update', SIP, ...set, '--yes', '--max', '9', '--on', 'fw1', '-o', 'json');
    assert.equal(done.status, 0, done.err);
    const { hosts, matched } = JSON.parse(done.out);
    assert.deepEqual([matched, hosts[0].outcome.updated], [5, 5]);
    const listed = await one.must([UNDER_TEST, '-L', '--filter', `${SIP} and mark 0x10`, '-o', 'json']);
    assert.equal(listed.match(/"mark":16/g)?.length, 5);
    const nothing = await fleet('delete', 'udp and dst port 5999', '--yes', '--max', '9', '--on', 'fw1');
    assert.equal(nothing.status, 1);
  });

  test('while flows begin, none is deleted beyond the number that was confirmed', async () => {
    let begun = 0;
    let running = true;
    const [before] = await sizes();
    const beginning = (async () => {
      while (running) {
        await one.netlink(flows(10_000 + begun, 10));
        begun += 10;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    let confirmed = 0;
    let told = 0;
    const statuses = new Set<number | string | null>();
    try {
      for (let round = 0; round < 3; round++) {
        const room = [1, 400, 100_000][round % 3]!;
        const { matched } = JSON.parse((await fleet('delete', SIP, '--dry-run', '--on', 'fw1', '-o', 'json')).out);
        const max = matched + room;
        const { status, out } = await fleet('delete', SIP, '--yes', '--max', `${max}`, '--on', 'fw1', '-o', 'json');
        statuses.add(status);
        const [host] = JSON.parse(out).hosts;
        confirmed += max;
        const deleted = host?.outcome?.deleted ?? 0;
        assert.ok(deleted <= max, `${deleted} of ${max}`);
        if (host && !host.outcome) assert.equal(host.error.code, 'TOO_MANY');
        told += deleted;
      }
    } finally {
      running = false;
      await beginning;
    }
    const [left] = await sizes();
    assert.equal(before! + begun - left!, told);
    assert.ok(told <= confirmed);
    assert.ok(told > 0 && statuses.has(0));
  });

  test('the audit has every change, signed; without it nothing is changed', async () => {
    const log = await fleet('log', '--keys', folder, '--on', 'fw2', '--by', 'alice', '--from', '10m-ago');
    assert.equal(log.status, 0, log.err);
    assert.match(
      log.out,
      /^\d{4}-.*Z {2}fw2 {2}alice: delete 'udp and dst port 5060', at most 12: begins \(signed\)\n.*: 12 deleted \(signed\)\n$/,
    );
    const all = (await fleet('log', '-o', 'ndjson')).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.ok(all.length >= 6);
    assert.ok(all.every(({ trust }) => trust === 'signed'));
    // Somebody takes the stream away.
    const socket = connectIn(one, '127.0.0.1', NATS_PORT);
    const answered = new Promise((resolve) => socket.on('data', (data) => /PONG/.test(data.toString()) && resolve(undefined)));
    socket.write('CONNECT {"verbose":false}\r\nPUB $JS.API.STREAM.DELETE.CT_AUDIT 0\r\n\r\nPING\r\n');
    await answered;
    await until('the stream is gone', async () => (await fleet('log')).status === 1);
    socket.destroy();
    await other.netlink(flows(0, 3));
    const refused = await fleet('delete', SIP, '--yes', '--max', '9', '--on', 'fw2');
    assert.equal(refused.status, 1);
    assert.match(refused.err, /fw2: it cannot be written down: .*\n {2}hint: conntrack fleet setup makes the stream CT_AUDIT/);
    assert.equal((await sizes())[1], 3);
    assert.equal((await fleet('setup', '--replicas', '1')).out, 'Made on one server: CT_AUDIT.\n');
    assert.equal((await fleet('delete', SIP, '--yes', '--max', '9', '--on', 'fw2')).status, 0);
  });

  test('the doctor finds what is wrong, and nothing else', async () => {
    const well = await fleet('doctor', '--keys', join(folder, 'none'));
    assert.deepEqual([well.status, well.err], [0, ''], well.out);
    assert.match(well.out, /^ fine +21 checks found nothing \(docs\/fleet\.md names all\)\n$/);
    const ill = await fleet('doctor', '--keys', folder, '--nats', `${NATS},nats://127.0.0.1:4999`, '-o', 'json');
    assert.equal(ill.status, 1);
    const { findings } = JSON.parse(ill.out) as { findings: { id: string; severity: string }[] };
    assert.deepEqual(
      findings.map(({ id, severity }) => [id, severity]),
      [
        ['server-unreachable', 'warning'],
        ['stream-alone', 'warning'],
        ['stream-alone', 'warning'],
        ['stream-alone', 'warning'],
        ['stream-alone', 'warning'],
        ['keys-and-hosts', 'info'],
      ],
    );
    const nobody = await fleet('doctor', '--nats', 'nats://127.0.0.1:4999');
    assert.equal(nobody.status, 1);
    assert.match(nobody.err, /cannot connect to nats:\/\/127\.0\.0\.1:4999/);
  });

  test('a program does the same through conntrack/fleet', async () => {
    await using space = await Namespace.create('changes3');
    await using _server = await NatsServer.start(space);
    await space.netlink(flows(0, 7));
    const words = [process.execPath, PROGRAM, join(PROJECT, 'dist'), join(folder, 'alice.seed'), join(folder, 'changers')];
    const { status, stdout, stderr } = await space.run(words, { timeLimit: 60_000 });
    assert.equal(status, 0, stderr.toString());
    assert.deepEqual(JSON.parse(stdout.toString()), { total: 7, told: true });
  });

  test('a host that does not answer is waited for, unless --partial is given', async () => {
    await one.netlink(flows(0, 2));
    await agents[1]!.signal('SIGKILL');
    await agents[1]!.end();
    const words = ['delete', SIP, '--yes', '--max', '100000', '--on', 'fw1,fw2', '--wait', '2s'];
    const all = await fleet(...words);
    assert.equal(all.status, 3);
    assert.match(all.err, /no answer from fw2.*\nconntrack: not every host has answered: nothing was changed\n/);
    assert.ok((await sizes())[0]! >= 2);
    const some = await fleet(...words, '--partial');
    assert.equal(some.status, 3);
    assert.match(some.out, /fw1 {2}\d+ deleted/);
    assert.deepEqual((await sizes())[0], 0);
  });
});
