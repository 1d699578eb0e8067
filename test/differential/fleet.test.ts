// `conntrack agent` and `conntrack fleet` over real servers, in private namespaces.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RunningAgent } from '../support/fleet-agent.js';
import { Namespace } from '../support/namespace.js';
import { NatsServer } from '../support/nats-server.js';
import { getIn } from '../support/net-sockets.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import { populate } from '../support/population.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { until } from '../support/watchers.js';

const NATS = 'nats://127.0.0.1';
/** Where the agent answers for its health. */
const LISTEN = 9467;
/** Not those of the tests' own connections. */
const OTHERS = 'not port 4222 and not port 9467';

const flow = (n: number): NewFlow => ({
  proto: 17,
  original: { src: `192.0.2.${1 + (n >> 12)}`, dst: `198.51.100.${n & 0xff}`, sport: 1024 + (n & 0xfff), dport: 53 },
  timeout: 100_000,
});

/** Without what goes on between two lists: remaining seconds and ages. */
function steady(text: string): string {
  return text
    .replace(/^((?:ipv\d\s+\d+ )?\S+\s+\d+ )\d+ /gm, '$1T ')
    .replace(/"timeout":\d+/g, '"timeout":T')
    .replace(/"deltaTime":\d+/g, '"deltaTime":T')
    .replace(/<timeout>\d+</g, '<timeout>T<')
    .replace(/<delta-?time>\d+</g, '<deltatime>T<')
    .replace(/delta-time=\d+/g, 'delta-time=T')
    .replace(/ -t \d+/g, ' -t T');
}

before(requirePrerequisites);
suite('fleet', { skip: SELF_TEST ? 'the reference has no fleets' : false, timeout: 300_000 * SLOWNESS }, () => {
  let one: Namespace;
  let server: NatsServer;

  before(async () => {
    one = await Namespace.create('fleet');
    await populate(one, { accounting: true, timestamps: true, traffic: 'none' });
    server = await NatsServer.start(one);
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await one?.close();
  });

  const fleet = async (...words: string[]) => {
    const { status, stdout, stderr } = await one.run([UNDER_TEST, 'fleet', ...words], { timeLimit: 60_000 });
    return { status, out: stdout.toString(), err: stderr.toString() };
  };

  test('without an agent there is no fleet, and it is said how to get one', async () => {
    const asked = await fleet('hosts');
    assert.equal(asked.status, 1);
    assert.match(
      asked.err,
      /know no fleet yet\n {2}hint: conntrack fleet setup prepares them; where no keys are needed, the first agent does\n$/,
    );
  });

  test('a server that is not there is named, with the reason', async () => {
    const asked = await fleet('list', '--nats', 'nats://127.0.0.1:4999,nats://127.0.0.1:4998');
    assert.deepEqual([asked.status, asked.out], [1, '']);
    assert.match(
      asked.err,
      /cannot connect to nats:\/\/127.0.0.1:4999 \(.+\), nats:\/\/127.0.0.1:4998 \(.+\)\n {2}hint: .*nats-server -js/,
    );
  });

  test('a service manager hears that agents and collectors are alive, while they wait for a server, and of what they wait', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conntrack-notify-'));
    try {
      const listen =
        'socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, pack_sockaddr_un($ARGV[0])); $| = 1; while (defined recv(S, $m, 99, 0)) { print "$m\\n" }';
      for (const words of [
        ['agent', '--name', 'fw7'],
        ['collector', '--name', 'c7', '--keep', '1d', '--dir', join(folder, 'copies')],
      ]) {
        const socket = join(folder, words[0]!);
        const manager = await one.start(['perl', '-MSocket', '-e', listen, socket], { timeLimit: 60_000 });
        await until('it listens', () => existsSync(socket), 20_000 * SLOWNESS);
        const env = [`NOTIFY_SOCKET=${socket}`, 'WATCHDOG_USEC=200000'];
        const nowhere = ['--nats', 'nats://127.0.0.1:1'];
        const service = await one.start(['env', ...env, UNDER_TEST, ...words, ...nowhere], { timeLimit: 60_000 });
        const told = async (handle: number) => {
          const { stdout, stderr } = await one.ask('written', handle);
          return `${stdout}${stderr}`;
        };
        await until('it is alive', async () => /^READY=1\nWATCHDOG=1\nWATCHDOG=1\n/.test(await told(manager)), 20_000 * SLOWNESS);
        const why = /cannot connect to nats:\/\/127\.0\.0\.1:1 \(connection refused\); it goes on trying/;
        await until('it says why it waits', async () => why.test(await told(service)), 20_000 * SLOWNESS);
        await one.ask('signal', service, 'SIGTERM');
        assert.equal((await one.ask('finish', service)).status, 0);
        await until('it ends', async () => /STOPPING=1\n$/.test(await told(manager)), 20_000 * SLOWNESS);
        await one.ask('signal', manager, 'SIGTERM');
        await one.ask('finish', manager);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('whoever leaves this machine is told of TLS and keys', async () => {
    const clear = await fleet('list', '--nats', 'nats://192.0.2.1');
    assert.deepEqual([clear.status, clear.out], [2, '']);
    assert.match(clear.err, /on another machine: TLS is needed\n {2}hint: write tls:\/\/HOST/);
    const keyless = await fleet('list', '--nats', 'tls://n1.example.net');
    assert.equal(keyless.status, 2);
    assert.match(keyless.err, /want a key\n {2}hint: --seed FILE; conntrack fleet auth/);
  });

  suite('with an agent', () => {
    let agent: RunningAgent;
    before(async () => {
      agent = await RunningAgent.start(one, ['--nats', NATS, '--name', 'fw1', '--listen', `127.0.0.1:${LISTEN}`]);
    });
    after(async () => {
      await agent?.[Symbol.asyncDispose]();
    });

    for (const output of [[], ['extended,id,ktimestamp'], ['save,full'], ['xml'], ['json'], ['ndjson']]) {
      const words = output.flatMap((modes) => ['-o', modes]);
      test(`list ${words.join(' ')} has the bytes of -L`, async () => {
        const local = await one.run([UNDER_TEST, '-L', '--filter', OTHERS, ...words]);
        const remote = await fleet('list', OTHERS, ...words);
        assert.equal(local.status, 0);
        assert.equal(remote.status, 0, remote.err);
        const lines = local.stdout.toString();
        assert.ok(lines.length > 1000);
        const named = remote.out
          .replaceAll('host=fw1 ', '')
          .replaceAll('"host":"fw1",', '')
          .replaceAll('<flow host="fw1">', '<flow>');
        if (output[0] !== 'save,full') assert.notEqual(named, remote.out);
        assert.equal(steady(named), steady(lines));
      });
    }

    test('filters choose what they choose locally', async () => {
      for (const filter of ['udp and unreplied', 'ipv6 or mark 1']) {
        const all = `(${filter}) and ${OTHERS}`;
        const local = await one.run([UNDER_TEST, '-L', '--filter', all]);
        const remote = await fleet('list', all);
        assert.equal(steady(remote.out.replaceAll('host=fw1 ', '')), steady(local.stdout.toString()), filter);
        const counted = JSON.parse((await fleet('count', all, '-o', 'json')).out);
        assert.equal(counted.total, local.stdout.toString().split('\n').length - 1, filter);
      }
    });

    test('events are those of -E, and a host that is back is watched again', async () => {
      const filter = 'dst port 9999';
      const start = (words: readonly string[]) => one.start([UNDER_TEST, ...words], { timeLimit: 120_000 });
      const local = await start(['-E', '-o', 'id', '--filter', filter]);
      const remote = await start(['fleet', 'events', '-o', 'id', '--nats', NATS, filter, '--limit', '30']);
      const written = async (handle: number) => (await one.ask('written', handle)).stdout.toString();
      const probe = (sport: number, dport = 9999) =>
        newFlow({ proto: 17, original: { src: '10.9.9.9', dst: '192.0.2.1', sport, dport }, timeout: 1000 });
      // Until both listen.
      let made = 0;
      await until('both listen', async () => {
        await one.netlink([probe(++made)]);
        return (await written(local)) !== '' && (await written(remote)) !== '';
      });
      const from = made;
      await one.netlink(Array.from({ length: 30 }, () => probe(++made)));
      const { status, stdout, stderr } = await one.ask('finish', remote);
      assert.equal(status, 0, stderr.toString());
      assert.match(
        stderr.toString(),
        /30 flow events have been shown\.\nconntrack: the record is complete: no event was lost\n$/,
      );
      await until('-E has them, too', async () => (await written(local)).includes(`sport=${made} `));
      await one.ask('signal', local, 'SIGINT');
      const own = (await one.ask('finish', local)).stdout.toString().replace(/ progname=\S+/g, '');
      for (const line of stdout.toString().trimEnd().split('\n')) assert.ok(own.includes(line.replace(/^host=fw1 /, '')), line);
      assert.ok(stdout.toString().includes(`sport=${from + 1} `));
      await one.run([UNDER_TEST, '-D', '-p', 'udp', '--dport', '9999']);
    });

    test('a filter that is wrong is refused before anybody is asked', async () => {
      const asked = await fleet('list', 'tcp and dst prt 22');
      assert.equal(asked.status, 2);
      assert.match(asked.err, /column 13: .*\n/);
    });

    test('hosts are listed, with what they say of themselves', async () => {
      const text = await fleet('hosts');
      assert.equal(text.status, 0);
      assert.match(
        text.out,
        /^HOST +SITE +STATE +SEEN +ENTRIES +RECORD +CLOCK +AGENT +ALLOWS\nfw1 +default +up +\d+s +[\d,]+ of [\d,]+ .*\n1 host: 1 up\.\n$/,
      );
      const [host] = JSON.parse((await fleet('hosts', '-o', 'json')).out);
      assert.equal(host.host, 'fw1');
      assert.deepEqual(host.features, ['ping', 'count', 'list', 'top', 'stats', 'events', 'nl1']);
      assert.equal(host.machine.length, 32);
    });

    test('has and get name the host, and say when nobody has it', async () => {
      const { original } = flow(1);
      await one.netlink([newFlow(flow(1))]);
      const end = `${original.src}:${original.sport}`;
      const has = await fleet('has', end);
      assert.deepEqual([has.status, has.err], [0, '']);
      assert.match(has.out, new RegExp(`^fw1 {2}udp ${end} -> ${original.dst}:53.*\nfw1 has it\\.\n$`));
      const get = await fleet('get', `udp ${end} > ${original.dst}:53`);
      assert.equal(get.status, 0);
      assert.match(get.out, new RegExp(`^host=fw1 udp .* src=${original.src} .*\n$`));
      const nobody = await fleet('has', '203.0.113.77:1');
      assert.deepEqual([nobody.status, nobody.out], [1, 'fw1 does not have it.\n']);
      assert.equal((await fleet('get', 'udp 203.0.113.77:1 > 203.0.113.78:2')).status, 1);
    });

    test('stats and top have what -S and usage have', async () => {
      const stats = await fleet('stats');
      const local = await one.must([UNDER_TEST, '-S']);
      assert.equal(stats.out.replaceAll('host=fw1 ', '').replace(/\d+/g, 'N'), local.replace(/\d+/g, 'N'));
      const top = JSON.parse((await fleet('top', OTHERS, '--by', 'protocol', '-o', 'json')).out);
      const usage = JSON.parse(await one.must([UNDER_TEST, 'usage', OTHERS, '--by', 'protocol', '-o', 'json']));
      const flows = (groups: readonly { key: string; flows: number }[]) =>
        Object.fromEntries(groups.map((g) => [g.key, g.flows]));
      assert.deepEqual(flows(top.groups), flows(usage.groups));
    });

    test('an agent says that it is ready, and counts', async () => {
      const ask = (path: string) => getIn(one, LISTEN, path);
      assert.match(await ask('/readyz'), /^HTTP\/1\.1 200 /);
      const metrics = await ask('/metrics');
      assert.match(metrics, /^conntrack_agent_queries_total\{op="list",result="ok"\} [1-9]/m);
      assert.match(metrics, /^conntrack_agent_connected 1$/m);
    });

    test('names and sites that nobody has are wrong command lines', async () => {
      for (const words of [
        ['--on', 'fw9'],
        ['--on', 'x*'],
        ['--site', 'nowhere'],
      ]) {
        const asked = await fleet('count', ...words);
        assert.deepEqual([asked.status, asked.out], [2, '']);
        assert.match(asked.err, /there is no (host|site) "/);
      }
      assert.match((await fleet('lits')).err, /there is no verb 'lits'; did you mean list\?/);
    });

    test('an inventory of 10,000 hosts is read whole, while they write to it', async () => {
      const program = fileURLToPath(new URL('../support/inventory-program.js', import.meta.url));
      assert.equal(await one.must([process.execPath, program, '10000']), 'every value was read\n');
    });

    test('a second agent of the same name does not start', async () => {
      const { status, stderr } = await one.run([UNDER_TEST, 'agent', '--nats', NATS, '--name', 'fw1']);
      assert.equal(status, 4);
      assert.match(
        stderr.toString(),
        /another agent named fw1 runs on this machine \(process \d+, \d+ s ago\)\n {2}hint: .*--take-over/,
      );
    });

    test('two hosts: tables are told apart, chosen by name and site, and in order', async () => {
      await using other = await Namespace.create('fleet2');
      await other.netlink(Array.from({ length: 7000 }, (_, n) => newFlow(flow(n))));
      await using second = await RunningAgent.start(one, [
        '--nats',
        NATS,
        '--name',
        'fw2',
        '--site',
        'ams',
        '--netns',
        `${other.pid}`,
      ]);
      const counted = JSON.parse((await fleet('count', '-o', 'json')).out);
      assert.deepEqual(Object.keys(counted.hosts), ['fw1', 'fw2']);
      assert.equal(counted.hosts.fw2.matched, 7000);
      for (const words of [
        ['--on', 'fw2'],
        ['--on', 'f*2'],
        ['--site', 'ams'],
      ]) {
        const { out, err, status } = await fleet('list', ...words);
        assert.equal(status, 0, err);
        const lines = out.trimEnd().split('\n');
        assert.equal(lines.length, 7000, words.join(' '));
        assert.ok(lines.every((line) => line.startsWith('host=fw2 ')));
        assert.equal(new Set(lines).size, 7000);
      }
      const { out } = await fleet('list', '--sort', 'host', OTHERS);
      const names = out
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[0]!);
      assert.deepEqual(names, [...names].sort());
      const limited = await fleet('list', '--limit', '3500');
      assert.equal(limited.out.trimEnd().split('\n').length, 3500);
      assert.equal(limited.status, 0, limited.err);

      // One that is killed is silent; the others still answer.
      await second.signal('SIGKILL');
      await second.end();
      const after = await fleet('count', '--wait', '0.5s', '-o', 'json');
      assert.equal(after.status, 3);
      assert.match(after.err, /^conntrack: no answer from fw2\n$/);
      const { complete, missing, hosts } = JSON.parse(after.out);
      assert.deepEqual([complete, missing[0].host, missing[0].why, Object.keys(hosts)], [false, 'fw2', 'silent', ['fw1']]);
      const strict = await fleet('count', '--wait', '0.5s', '--strict');
      assert.deepEqual([strict.status, strict.out], [3, '']);
    });

    test('whohad asks the records of the hosts, and says who keeps none', async () => {
      await using other = await Namespace.create('fleet3');
      const folder = mkdtempSync(join(tmpdir(), 'conntrack-fleet-record-'));
      try {
        const recorder = await one.start([UNDER_TEST, 'record', '--keep', '1d', '--dir', folder, '--netns', `${other.pid}`], {
          timeLimit: 120_000,
        });
        await until(
          'the recorder runs',
          async () => (await one.run([UNDER_TEST, 'record', 'status', '--dir', folder])).status === 0,
          30_000,
        );
        const known = newFlow(flow(3));
        await other.netlink([known]);
        const { original } = flow(3);
        const end = `${original.src}:${original.sport}`;
        const words = [end, '--at', 'now'];
        await until(
          'it is recorded',
          async () => (await one.run([UNDER_TEST, 'whohad', ...words, '--dir', folder])).status !== 1,
          30_000,
        );
        await using _third = await RunningAgent.start(one, [
          '--nats',
          NATS,
          '--name',
          'fw3',
          '--netns',
          `${other.pid}`,
          '--history',
          folder,
        ]);
        const at = new Date().toISOString();
        const local = JSON.parse(
          (await one.run([UNDER_TEST, 'whohad', end, '--at', at, '--dir', folder, '-o', 'json'])).stdout.toString(),
        );
        assert.equal(local.matches.length, 1);
        writeFileSync(join(folder, 'access.ndjson'), '');
        const remote = await fleet('whohad', end, '--at', at, '-o', 'json');
        const [asked] = readFileSync(join(folder, 'access.ndjson'), 'utf8').trim().split('\n');
        assert.deepEqual([JSON.parse(asked!).user, JSON.parse(asked!).asked[1].address], ['fleet local', original.src]);
        const told = JSON.parse(remote.out);
        assert.deepEqual(told.hosts.fw3.matches, local.matches);
        assert.equal(told.hosts.fw3.complete, local.complete);
        // fw1 keeps no record, so that nobody can say that the answer is complete.
        assert.equal(remote.status, 3);
        assert.match(remote.err, /^conntrack: fw1: it keeps no record: conntrack agent --history DIR$/m);
        const text = await fleet('whohad', end, '--at', at, '--on', 'fw3');
        assert.equal(text.status, local.complete ? 0 : 3, text.err);
        assert.match(text.out, new RegExp(`^${end} at .*\\nfw3:\\n {2}certain {3}${end} to `));
        const nobody = await fleet('whohad', '203.0.113.99:1', '--at', at, '--on', 'fw3');
        assert.equal(nobody.status, local.complete ? 1 : 3);
        assert.equal((await fleet('whohad', end)).status, 2);
        assert.match((await fleet('whohad', end, '--at', '2026-03-01T14:32:15')).err, /offset/);
        await one.ask('signal', recorder, 'SIGTERM');
        await one.ask('finish', recorder);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    test('a reader that goes away ends everything', async () => {
      const { status, stdout } = await one.run(['sh', '-c', `${UNDER_TEST} fleet list | head -n 1; echo done`]);
      assert.equal(status, 0);
      assert.match(stdout.toString(), /^host=fw1 .*\ndone\n$/);
    });

    test('an agent goes on after its server was away, and says good-bye', async () => {
      await server.kill();
      await agent.says(/is lost/);
      await server.start();
      await until('the agent is back', async () => (await fleet('count', '--on', 'fw1', '--wait', '0.5s')).status === 0, 30_000);
      await agent.signal('SIGTERM');
      const { status, err } = await agent.end();
      assert.equal(status, 0, err);
      const gone = await fleet('count', '--on', 'fw1');
      assert.deepEqual([gone.status, gone.out], [0, '0 flows on 0 of 0 hosts.\n']);
      assert.match(gone.err, /^conntrack: note: fw1 was stopped \d+s ago\n$/);
      assert.match((await fleet('hosts')).out, /fw1 +default +stopped /);
    });
  });
});
