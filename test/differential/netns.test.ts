// --netns and { netns }, which the C tool does not have: the right table is reached, the process stays where it was, and a namespace that
// cannot be entered is reported. Tests of all namespaces run where only those of the tests are visible.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { Conntrack, NamespaceError, NetworkNamespace } from '../../src/index.js';
import { NetlinkSocket } from '../../src/wire/index.js';
import { schemaFault } from '../support/json-schema.js';
import { Namespace } from '../support/namespace.js';
import { type NewFlow, newFlow } from '../support/netlink.js';
import { closingLines, toOutcome } from '../support/outcome.js';
import { AS_NOBODY, PROJECT, REFERENCE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';

const { schema } = makeJsonSchema();

const flow = (sport: number): NewFlow => ({
  proto: 17,
  original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 },
  timeout: 10000,
});
const own = () => readlinkSync('/proc/thread-self/ns/net');

before(requirePrerequisites);
suite('netns', { skip: SELF_TEST ? 'an option of our own' : false }, () => {
  /** Where commands are started; its table is empty. */
  let here: Namespace;
  /** Two entries. */
  let there: Namespace;
  before(async () => {
    [here, there] = await Promise.all([Namespace.create('nshere'), Namespace.create('nsthere')]);
    await there.netlink([newFlow(flow(1)), newFlow(flow(2))]);
  });
  after(() => Promise.all([here.close(), there.close()]));
  const run = async (...words: string[]) => toOutcome(await here.run([UNDER_TEST, ...words]));

  suite('one namespace', () => {
    test('commands work there, and the output is as without the option', async () => {
      const pid = String(there.pid);
      const inside = toOutcome(await there.run([UNDER_TEST, '-L']));
      const outside = await run('-L', '--netns', pid);
      const still = (text: string) => text.replace(/ \d{4,} src/g, ' T src');
      assert.equal(still(outside.stdout), still(inside.stdout));
      assert.match(outside.stdout, /^udp +17 \d+ src=192\.0\.2\.1 .*\n.*\n$/);
      assert.equal((await run('-C', '--netns', pid)).stdout, '2\n');
      assert.equal((await run('-C')).stdout, '0\n');
      const created = await run(
        '-I',
        '-s',
        '192.0.2.9',
        '-d',
        '192.0.2.8',
        '-p',
        'udp',
        '--sport',
        '1',
        '--dport',
        '2',
        '-t',
        '99',
        '--netns',
        pid,
      );
      assert.equal(created.status, '0');
      assert.equal(
        closingLines((await run('-D', '-s', '192.0.2.9', `--netns=${pid}`)).stderr),
        '1 flow entries have been deleted.',
      );
    });

    test('a path names one too', async () => {
      assert.equal((await run('-C', '--netns', `/proc/${there.pid}/ns/net`)).stdout, '2\n');
    });

    test('names are those of ip netns, and come before process ids', async () => {
      const script = `set -e; mount -t tmpfs none /run
ip netns add blue; ip netns add ${there.pid}
ip netns exec blue "$1" -I -s 192.0.2.9 -d 192.0.2.8 -p udp --sport 1 --dport 2 -t 99
"$1" -C --netns blue; "$1" -C --netns ${there.pid}; "$1" -C --netns /run/netns/blue`;
      const result = toOutcome(await here.run(['unshare', '--mount', 'sh', '-c', script, 'sh', UNDER_TEST]));
      assert.equal(result.stdout, '1\n0\n1\n', result.stderr);
    });

    test('a load file goes there, and may not say otherwise', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'conntrack-test-netns-'));
      try {
        const line = '-I -s 192.0.2.7 -d 192.0.2.8 -p udp --sport 1 --dport 2 -t 99';
        writeFileSync(`${folder}/good`, `${line}\n`);
        writeFileSync(`${folder}/bad`, `${line} --netns ${there.pid}\n`);
        assert.equal((await run('-R', `${folder}/good`, '--netns', String(there.pid))).status, '0');
        assert.equal(
          closingLines((await run('-D', '-s', '192.0.2.7', '--netns', String(there.pid))).stderr),
          '1 flow entries have been deleted.',
        );
        const bad = await run('-R', `${folder}/bad`);
        assert.equal(bad.status, '2');
        assert.match(bad.stderr, /bad:1:.*--netns cannot be used in a load file/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test('-E shows the events of that namespace, and the program there that made them', async () => {
      const watch = await here.start([UNDER_TEST, '-E', '--count', '1', '--netns', String(there.pid)]);
      for (let tries = 0; ; tries++) {
        // A socket that listens has groups in the fourth column.
        const sockets = await there.ask('read', '/proc/net/netlink');
        if (sockets.split('\n').some((line) => / 12 +\d+ +0000000[1-7] /.test(line))) break;
        assert.ok(tries < 200, 'it does not listen there');
        await sleep(50);
      }
      const namespace = NetworkNamespace.open(there.pid);
      const sender = NetlinkSocket.open({ namespace });
      namespace.close();
      await here.netlink([newFlow(flow(88))]);
      const request = newFlow(flow(99));
      sender.send(request, request.length);
      const { stdout } = await here.ask('finish', watch);
      sender.close();
      const [, portId, name] =
        /^ +\[NEW\] udp .* sport=99 .* portid=(\d+) progname=(.*)\n$/.exec(Buffer.from(stdout).toString('latin1')) ?? [];
      assert.equal(portId, String(sender.portId));
      assert.equal(name, readFileSync('/proc/self/comm', 'latin1').trim());
      for (const [namespace, sport] of [
        [here, 88],
        [there, 99],
      ] as const)
        await namespace.must([UNDER_TEST, '-D', '-p', 'udp', '--sport', String(sport)]);
    });

    for (const [where, message] of [
      ['conntrack-no-such-name', /there is no network namespace 'conntrack-no-such-name'\n {2}hint: /],
      ['4194304', /there is no process 4194304, /],
      ['/dev/null', /\/dev\/null is not a network namespace\n {2}hint: /],
      ['/proc/self/ns/mnt', /\/proc\/self\/ns\/mnt is not a network namespace/],
      ['/conntrack/no/such/path', /there is no network namespace \/conntrack\/no\/such\/path/],
    ] as const)
      test(`${where} is refused`, async () => {
        const result = await run('-L', '--netns', where);
        assert.equal(result.status, '1');
        assert.equal(result.stdout, '');
        assert.match(result.stderr, message);
      });

    test('an empty name is a wrong command line', async () => {
      const result = await run('-L', '--netns', '');
      assert.equal(result.status, '2');
    });

    test('without CAP_SYS_ADMIN the reason is told, and nothing is shown of the own namespace', async () => {
      const path = `/proc/${there.pid}/ns/net`;
      const result = toOutcome(
        await here.run(['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', UNDER_TEST, '-C', '--netns', path]),
      );
      assert.equal(result.status, '1');
      assert.equal(result.stdout, '');
      assert.match(result.stderr, /permission denied\n {2}hint: .*CAP_SYS_ADMIN/);
    });

    test('what may not be opened is named once', async () => {
      const ask = async (where: string) => toOutcome(await here.run([...AS_NOBODY, UNDER_TEST, '-C', '--netns', where]));
      const path = `/proc/${there.pid}/ns/net`;
      assert.match(
        (await ask(path)).stderr,
        new RegExp(`^conntrack: cannot open network namespace ${path}: permission denied\n`),
      );
      assert.match(
        (await ask(String(there.pid))).stderr,
        new RegExp(`^conntrack: cannot open the network namespace of process ${there.pid}: permission denied\n`),
      );
    });

    test('what /proc tells without CAP_NET_ADMIN is told of that namespace', async () => {
      const unprivileged = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', UNDER_TEST];
      const ask = async (...words: string[]) =>
        toOutcome(await here.run([...unprivileged, ...words, '--netns', String(there.pid)]));
      const count = await ask('-C');
      assert.deepEqual([count.stdout, count.status], ['2\n', '0'], count.stderr);
      const statistics = await ask('-S');
      assert.equal(statistics.status, '0');
      const inserted = [...statistics.stdout.matchAll(/ insert=(\d+) /g)].reduce((sum, [, n]) => sum + Number(n), 0);
      const inside = (await there.must([UNDER_TEST, '-S'])).matchAll(/ insert=(\d+) /g);
      assert.equal(
        inserted,
        [...inside].reduce((sum, [, n]) => sum + Number(n), 0),
      );
      assert.ok(inserted >= 2);
    });

    test('one that could be entered but not left again is refused before', async () => {
      // A user namespace of its own may enter the network namespaces made in it; this one began in a network namespace above it.
      const script = 'unshare --net sleep 100 & sleep 0.5; "$1" -C --netns "$!"; echo "status $?"; kill "$!"';
      const result = toOutcome(await here.run(['unshare', '--user', '--map-root-user', 'sh', '-c', script, 'sh', UNDER_TEST]));
      assert.equal(result.stdout, 'status 1\n');
      assert.match(result.stderr, /cannot enter network namespace \d+: permission denied/);
    });
  });

  suite('all namespaces', () => {
    /**
     * Runs a script where /proc and /run/netns show only what the script makes: `a` with two entries, `b` with one, and a
     * process alone in a third, `$third`, with one. `$c` is the command.
     */
    const runAlone = async (script: string) => {
      const setUp = `set -e; mount -t tmpfs none /run; c="$1"; reference="$2"
add() { nsenter --net="$2" "$reference" -I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport "$1" --dport 53 -t 9000 2>/dev/null; }
ip netns add a; ip netns add b; unshare --net sleep 1000 & third=$!
until [ "$(readlink /proc/$third/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
cd /run/netns; add 1 a; add 2 a; add 3 b; add 4 /proc/$third/ns/net; set +e
${script}`;
      const isolated = [
        'unshare',
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        '--mount',
        'sh',
        '-c',
        setUp,
        'sh',
        UNDER_TEST,
        REFERENCE,
      ];
      const result = toOutcome(await here.run(isolated));
      return { ...result, closing: closingLines(result.stderr), lines: result.stdout.trimEnd().split('\n') };
    };

    test('in JSON each entry tells its namespace', async () => {
      const { lines, stderr } = await runAlone(
        '"$c" -L --netns all -o ndjson; "$c" -C --netns all -o json; "$c" -L -p udp --netns all -o json | tr -d "\\n"; echo; "$c" -S --netns all -o ndjson | head -n 1; "$c" -D -p udp --sport 1 --netns all -o ndjson',
      );
      const values = lines.map((line) => JSON.parse(line));
      for (const value of values) assert.equal(schemaFault(schema, value), undefined, JSON.stringify(value));
      const ports = (flows: { netns: string; original: { sport: number } }[]) =>
        flows.map(({ netns, original }) => `${/^\d+$/.test(netns) ? 'third' : netns} ${original.sport}`).sort();
      assert.deepEqual(ports(values.slice(0, 4)), ['a 1', 'a 2', 'b 3', 'third 4']);
      const counts = values[4].map(({ entries }: { entries: number }) => entries);
      assert.equal(
        counts.reduce((sum: number, count: number) => sum + count, 0),
        4,
      );
      assert.deepEqual(ports(values[5]), ['a 1', 'a 2', 'b 3', 'third 4']);
      assert.equal(typeof values[6].netns, 'string');
      assert.deepEqual(ports([values[7]]), ['a 1']);
      assert.deepEqual(values[8], { matched: 1, deleted: 1, alreadyGone: 0, failed: 0 });
      assert.equal(stderr, '');
    });

    test('each namespace is counted once, the own first', async () => {
      const { lines, stderr } = await runAlone('"$c" -C --netns all; echo "$? $third"');
      const [status, third] = lines.at(-1)!.split(' ');
      assert.deepEqual(lines.slice(0, -1), ['netns=1 0', 'netns=a 2', 'netns=b 1', `netns=${third} 1`], stderr);
      assert.equal(status, '0');
      assert.match(stderr, /: 4 flow entries have been counted\.$/m);
    });

    test('text has a column, XML an attribute, and the closing line the sum', async () => {
      const text = await runAlone('"$c" -L --netns all; "$c" -L --netns all -p udp --sport 3 -o xml');
      const lines = text.lines.map((line) => line.replace(/ src.*| \d{4}.*/, ''));
      assert.deepEqual(
        lines.slice(0, 4).map((line) => line.replace(/netns=\d+/, 'netns=N')),
        ['netns=a udp      17', 'netns=a udp      17', 'netns=b udp      17', 'netns=N udp      17'],
      );
      assert.match(text.stdout, /<conntrack>\n<flow netns="b"><meta .*<\/flow>\n<\/conntrack>\n$/);
      assert.deepEqual(text.closing.split('\n'), ['4 flow entries have been shown.', '1 flow entries have been shown.']);
    });

    test('-G finds an entry wherever it is', async () => {
      const tuple = '-s 192.0.2.1 -d 198.51.100.1 -p udp --dport 53';
      const { lines, stderr } = await runAlone(
        `"$c" -G ${tuple} --sport 3 --netns all; echo $?; "$c" -G ${tuple} --sport 9 --netns all; echo $?`,
      );
      assert.match(lines[0]!, /^netns=b udp .* sport=3 /);
      assert.deepEqual(lines.slice(1), ['0', '1']);
      assert.match(stderr, /there is no such entry/);
    });

    test('-D and -U work everywhere, and exit as for one table', async () => {
      const { lines, closing } = await runAlone(`"$c" -U -p udp -m 7 --netns all >/dev/null; echo $?
"$c" -D -p udp --sport 1 --netns all | cut -d ' ' -f 1; "$c" -D -m 9 --netns all; echo $?; "$c" -C --netns all`);
      assert.deepEqual(lines.slice(0, 3), ['0', 'netns=a', '1']);
      assert.deepEqual(
        lines.slice(3).map((line) => line.split(' ')[1]),
        ['0', '1', '1', '1'],
      );
      assert.deepEqual(closing.split('\n').slice(0, 3), [
        '4 flow entries have been updated.',
        '1 flow entries have been deleted.',
        '0 flow entries have been deleted.',
      ]);
    });

    test('emptying every table has to be confirmed by a number, which is the sum', async () => {
      const { lines, stderr } =
        await runAlone(`for line in -F -D '-F --max 3' '-D --max 3' '-F --dry-run'; do "$c" $line --netns all; echo $?; done
"$c" -C --netns all | cut -d ' ' -f 2 | tr '\\n' ,; "$c" -F --max 4 --netns all; "$c" -C --netns all | cut -d ' ' -f 2 | tr '\\n' ,`);
      assert.deepEqual(lines, ['2', '2', '1', '1', '0', '0,2,1,1,0,0,0,0,']);
      assert.match(stderr, /4 flow entries would be flushed, but --max allows 3/);
      assert.match(stderr, /: netns a: connection tracking table would be emptied: 2 flow entries\./);
      assert.match(stderr, /: netns b: connection tracking table has been emptied\./);
    });

    test('one that fails is named, the others are listed, and the exit status is 1', async () => {
      const { lines, stderr } = await runAlone('touch "/run/netns/left over"; "$c" -C --netns all; echo $?');
      assert.deepEqual(lines.slice(1, 3), ['netns=a 2', 'netns=b 1']);
      assert.equal(lines.at(-1), '1');
      assert.match(stderr, /left over is not a network namespace/);
    });

    test('-E tells the namespace of each event', async () => {
      const { lines, stderr } = await runAlone(`"$c" -E --count 2 -o xml --netns all > /run/events & watch=$!
until [ "$(ip netns exec b sh -c "grep -c ' 12 .* 00000007 ' /proc/net/netlink")" -gt 0 ]; do sleep 0.1; done
sleep 0.3; add 21 a; add 22 b; wait $watch; echo $?; grep -o 'flow .*netns="[^>]*>' /run/events`);
      assert.deepEqual(lines, ['0', 'flow type="new" netns="a">', 'flow type="new" netns="b">'], stderr);
    });

    test('a name with a blank stays one word', async () => {
      const { lines } = await runAlone('ip netns add "x y<"; "$c" -C --netns all');
      assert.ok(lines.includes('netns=x\\x20y< 0'), lines.join('\n'));
    });

    test('a name with a line end and control characters stays in its line', async () => {
      const { stdout, stderr } = await runAlone(`name=$(printf 'x\\n-F\\033[2J\\342\\200\\256'); ip netns add "$name"
"$c" -C --netns all; "$c" -C --netns all -o ndjson; add 5 "$name"; "$c" -L -p udp --sport 5 --netns all -o xml
ip netns delete "$name"; touch "/run/netns/$name"; "$c" -C --netns all > /dev/null`);
      const text = Buffer.from(stdout, 'latin1').toString();
      assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Bidi_Control}]/u);
      assert.match(text, /^netns=x\\x0a-F\\x1b\[2J\\u\{202e\} 0$/m);
      assert.match(text, /^<flow netns="x&#xa;-F\\x1b\[2J&#x202e;"><meta /m);
      const names = Array.from(text.matchAll(/^\{.*\}$/gm), ([line]) => JSON.parse(line).netns);
      assert.ok(names.includes('x\n-F\x1b[2J\u202e'), text);
      assert.match(stderr, /^conntrack: x\\x0a-F\\x1b\[2J\\u\{202e\} is not a network namespace$/m);
    });

    for (const words of [
      '-I -s 192.0.2.1 -d 192.0.2.2 -p udp --sport 1 --dport 2 -t 9',
      '-R /dev/null',
      '-L -o save',
      '-F expect',
    ])
      test(`conntrack ${words} is refused`, async () => {
        const { lines, stderr } = await runAlone(`"$c" ${words} --netns all; echo $?`);
        assert.deepEqual(lines, ['2'], stderr);
      });
  });

  suite('library', () => {
    test('a table of another namespace is opened from where the process is, and the process stays there', async () => {
      const before = own();
      const conntrack = await Conntrack.open({ netns: there.pid });
      try {
        assert.equal((await conntrack.count()).entries, 2);
        assert.equal(own(), before);
        // A change during a list uses a socket that is opened only then.
        const result = await conntrack.update({ original: { sport: 2 } }, { mark: 5 });
        assert.equal(result.updated, 1);
        assert.equal(own(), before);
      } finally {
        await conntrack.close();
      }
      assert.match(await there.must([UNDER_TEST, '-L', '-m', '5']), / sport=2 /);
    });

    test('no descriptor is left open', async () => {
      const count = () => readdirSync('/proc/self/fd').length;
      const before = count();
      for (let i = 0; i < 10; i++) {
        const conntrack = await Conntrack.open({ netns: `/proc/${there.pid}/ns/net` });
        await conntrack.close();
      }
      for (const netns of ['/dev/null', '/proc/self/ns/mnt']) await assert.rejects(Conntrack.open({ netns }), NamespaceError);
      assert.equal(count(), before);
    });

    test('an open namespace outlives its process, and serves many tables', async () => {
      const gone = await Namespace.create('nsgone');
      await gone.netlink([newFlow(flow(1))]);
      const netns = NetworkNamespace.open(gone.pid);
      await gone.close();
      try {
        for (let i = 0; i < 2; i++) {
          const conntrack = await Conntrack.open({ netns });
          assert.equal((await conntrack.count()).entries, 1);
          await conntrack.close();
        }
      } finally {
        netns.close();
      }
      assert.throws(() => netns.run(() => 0), { code: 'CLOSED' });
    });

    test('what is thrown inside comes out, back in the own namespace', () => {
      const before = own();
      const netns = NetworkNamespace.open(there.pid);
      try {
        assert.throws(() => netns.run(() => assert.fail(own())), { message: readlinkSync(`/proc/${there.pid}/ns/net`) });
        assert.equal(own(), before);
      } finally {
        netns.close();
      }
    });

    test('it works in a worker thread', async () => {
      const source = `const { parentPort, workerData } = require('node:worker_threads');
import(workerData.index).then(async ({ Conntrack }) => {
  const conntrack = await Conntrack.open({ netns: workerData.pid });
  parentPort.postMessage((await conntrack.count()).entries);
  await conntrack.close();
});`;
      const worker = new Worker(source, { eval: true, workerData: { index: `${PROJECT}/build/src/index.js`, pid: there.pid } });
      const count = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      assert.equal(count, 2);
      await worker.terminate();
    });

    test('a process that cannot come back says so and ends', () => {
      // The way back is taken away: the file of the own namespace is closed while the process is in the other one.
      const source = `
        import { closeSync, readdirSync, readlinkSync, statSync } from 'node:fs';
        import { NetworkNamespace } from '${PROJECT}/build/src/index.js';
        const own = statSync('/proc/self/ns/net').ino;
        process.on('exit', () => console.log('exit handlers run'));
        try {
          NetworkNamespace.open(${there.pid}).run(() => {
            for (const fd of readdirSync('/proc/self/fd')) if (linkOf(fd) === \`net:[\${own}]\`) closeSync(Number(fd));
          });
        } finally {
          console.log('goes on');
        }
        function linkOf(fd) { try { return readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } }`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
      assert.equal(stdout, '');
      assert.match(stderr, /^conntrack: cannot return from network namespace \d+: bad file descriptor; the process ends here\n$/);
      assert.equal(status, 1);
    });
  });
});
