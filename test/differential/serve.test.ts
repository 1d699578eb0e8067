// `conntrack serve` on the kernel, in private namespaces: what it may do, who may ask, and that its answers are those of the table.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Namespace } from '../support/namespace.js';
import { connectIn, listenIn } from '../support/net-sockets.js';
import { deleteFlow, type NewFlow, newFlow, TCP, updateFlow } from '../support/netlink.js';
import { AS_NOBODY, PROJECT, requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { PseudoTerminal } from '../support/pseudo-terminal.js';
import { HERE, PORT, Served, type ServedOptions, secured, WebClient, withChildren } from '../support/served.js';
import { EventReader } from '../support/web-tester.js';

const API = '/api/v1';
/** CAP_NET_ADMIN. */
const NET_ADMIN = '0000000000001000';
const NOBODY = 65534;
/** Every flow of this host is tracked, those of the tests' own requests among them. */
const TRACKING = 'table inet tracking { chain in { type filter hook input priority 0; ct state new accept; }; }';
const AS_NOBODY_WITH_RIGHTS = [
  ...AS_NOBODY,
  '--no-new-privs',
  '--inh-caps=-all,+net_admin',
  '--ambient-caps=-all,+net_admin',
  '--bounding-set=-all,+net_admin',
];

const flow = (n: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 17,
  original: { src: `192.0.2.${1 + (n >> 8)}`, dst: `198.51.100.${n & 0xff}`, sport: 1024 + n, dport: 53 },
  timeout: 100_000,
  ...more,
});

before(requirePrerequisites);
suite('serve', { skip: SELF_TEST ? 'the reference has no server' : false, timeout: 300_000 * SLOWNESS }, () => {
  let folder: string;
  let namespace: Namespace;
  const change = 'change-0123456789-0123456789';
  const read = 'read-token-0123456789-0123456789';
  let tokens: readonly string[];
  let files = 0;

  /** A file with a mode and an owner. */
  const file = (text: string, mode = 0o600, uid = 0): string => {
    const path = join(folder, `${++files}`);
    writeFileSync(path, text);
    chmodSync(path, mode);
    chownSync(path, uid, uid);
    return path;
  };
  const serve = (words: readonly string[] = [], options?: ServedOptions) =>
    Served.start(namespace, [...tokens, ...words], options);
  /** How it ends where it cannot serve. */
  const refused = async (words: readonly string[], options?: ServedOptions): Promise<string> => {
    const { status, err } = await Served.run(namespace, words, options);
    return `${status} ${err.trimEnd()}`;
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-serve-'));
    chmodSync(folder, 0o755);
    tokens = ['--token-file', file(`${change}\n`), '--read-token-file', file(read)];
    namespace = await Namespace.create('serve');
    await namespace.nft(TRACKING);
  });
  after(async () => {
    Served.killAll();
    await namespace?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  suite('the process', () => {
    test('of root becomes nobody with the right to the table alone, and hands its secrets to nobody else', async () => {
      await using served = await serve();
      const [first, last] = served.pids as [number, number];
      assert.equal(served.pids.length, 2);
      const status = readFileSync(`/proc/${last}/status`, 'utf8');
      const lines = new Map(status.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]));
      assert.deepEqual(lines.get('Uid')!.split('\t'), Array(4).fill(`${NOBODY}`));
      assert.deepEqual(lines.get('Gid')!.split('\t'), Array(4).fill(`${NOBODY}`));
      assert.equal(lines.get('Groups')!.trim(), '');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) assert.equal(lines.get(set), NET_ADMIN, set);
      assert.equal(lines.get('NoNewPrivs'), '1');
      for (const pid of [first, last])
        for (const place of ['environ', 'cmdline'])
          for (const secret of [change, read])
            assert.ok(!readFileSync(`/proc/${pid}/${place}`, 'latin1').includes(secret), place);
      // Another process of the same user cannot look into it.
      const look = await namespace.run([...AS_NOBODY, 'cat', `/proc/${last}/environ`]);
      assert.equal(look.status, 1);
      assert.match(look.stderr.toString(), /Permission denied/);
      assert.equal(await served.outcome(`${API}/status`, { token: read }), '200');
      const { status: ended, err } = await served.stop();
      assert.equal(ended, 0);
      assert.ok(!err.includes(change) && !err.includes(read));
      assert.equal(served.out, '');
    });

    test('ends with the one that started it, however that ends', async () => {
      await using served = await serve();
      const { pid } = served;
      served.signal('SIGKILL');
      assert.equal((await served.ended).status, 'SIGKILL');
      for (const until = Date.now() + 5000 * SLOWNESS; existsSync(`/proc/${pid}`) && Date.now() < until; ) await delay(20);
      assert.ok(!existsSync(`/proc/${pid}`));
    });

    test('opens no debugger for other processes of its user', async () => {
      await using served = await serve();
      await namespace.must([...AS_NOBODY, 'sh', '-c', `kill -USR1 ${served.pid}`]);
      const { status, err } = await served.ended;
      assert.equal(status, 1);
      assert.ok(!/debugger/i.test(err), err);
    });

    test('opens no files but settings and what the doctor reads once it listens, and no connections', async () => {
      const trace = file('');
      // What it writes and starts would show, too. `-D`: what is traced is what was started, so that signals reach it.
      const calls =
        'trace=open,openat,openat2,creat,execve,connect,listen,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2';
      const before = ['strace', '-D', '-f', '--seccomp-bpf', '-qq', '-s', '256', '-e', calls, '-e', 'signal=none', '-o', trace];
      await using served = await serve(['--allow-changes'], { before });
      await namespace.netlink([newFlow(flow(1))]);
      const { flows } = (await served.ask(`${API}/flows?filter=dst+198.51.100.1&sort=bytes`, { token: change })).json;
      const key = `${API}/flows/${flows[0].key}`;
      const asset = /assets\/[\w.-]+\.js/.exec((await served.ask('/')).text)![0];
      const paths = [
        '/',
        `/${asset}`,
        '/metrics',
        '/../../etc/passwd',
        '/assets/..%2f..%2f..%2fetc%2fpasswd',
        key,
        `${key}/explanation`,
      ];
      const routes = [
        'status',
        'groups?by=src',
        'series?seconds=60',
        'doctor',
        'statistics',
        'expectations',
        'filter?text=tcp',
        'openapi.json',
      ];
      for (const path of [...paths, ...routes.map((route) => `${API}/${route}`)]) {
        const { status } = await served.ask(path, { token: change });
        assert.ok(status === 200 || (status === 404 && path.includes('etc')), `${path}: ${status}`);
      }
      assert.equal(await served.outcome(`${API}/deletions`, { token: change, json: { filter: 'udp', max: 10 } }), '200');
      assert.equal((await served.stop()).status, 0);
      const lines = readFileSync(trace, 'latin1').split('\n');
      const started = lines.findIndex((line) => line.includes(' listen('));
      assert.ok(started > 0);
      // The first process loads the native file of the package when the second has ended.
      const done = lines.slice(started + 1).filter((line) => !line.includes(`"${PROJECT}/`));
      const OPENED = / openat\(AT_FDCWD, "([^"]*)", O_RDONLY(\|O_\w+)*/;
      const READ =
        /^(\/proc\/(self\/(stat|maps)|net\/(dev|netlink)|slabinfo|sys\/(net\/netfilter(\/nf_conntrack_\w+)?|vm\/overcommit_memory))|\/etc\/(localtime|services|xtables\/connlabel\.conf)|\/usr\/share\/zoneinfo\/.*)$/;
      const others = done.filter((line) => line !== '' && !READ.test(OPENED.exec(line)?.[1] ?? ''));
      assert.deepEqual(others, []);
      for (const some of ['/proc/net/netlink', '/proc/sys/net/netfilter/nf_conntrack_acct'])
        assert.ok(
          done.some((line) => line.includes(some)),
          some,
        );
    });

    test('has no terminal of whoever started it to type into', async () => {
      await using terminal = PseudoTerminal.start([UNDER_TEST, 'serve'], { namespace, columns: 200 });
      await terminal.waitForText('#token=');
      const [, child] = withChildren(terminal.pid);
      // The 7th field is the number of the controlling terminal.
      const fields = readFileSync(`/proc/${child}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      assert.equal(fields[4], '0');
    });

    test('of an ordinary user with the right to the table serves as that', async () => {
      const token = file(change, 0o600, NOBODY);
      await using served = await Served.start(namespace, ['--token-file', token], { before: AS_NOBODY_WITH_RIGHTS });
      assert.equal(served.pids.length, 1);
      assert.equal(await served.outcome(`${API}/flows`, { token: change }), '200');
    });

    test('becomes whom it is told, but not root, and nobody who is not there', async () => {
      await using served = await serve(['--user', 'daemon']);
      assert.match(readFileSync(`/proc/${served.pid}/status`, 'utf8'), /^Uid:\t1\t1\t1\t1$/m);
      assert.match(await refused([...tokens, '--user', 'root']), /^\d .*root would keep its files/);
      assert.match(await refused([...tokens, '--user', 'nobody-of-that-name']), /^\d .*there is no user nobody-of-that-name/);
    });

    test('is refused where setpriv is missing', async () => {
      const bin = join(folder, 'bin');
      execFileSync('sh', ['-c', `mkdir ${bin} && ln -s ${process.execPath} ${bin}/node && ln -s "$(command -v id)" ${bin}/id`]);
      const outcome = await refused(tokens, { before: ['env', `PATH=${bin}`] });
      assert.match(outcome, /^\d conntrack: .*setpriv cannot be run/);
    });
  });

  suite('tokens', () => {
    test('are made and told on a terminal, for this start', async () => {
      for (const [words, role] of [
        [[], /\(reading only\)/],
        [['--allow-changes'], /#token=[\w-]{32}\s*$/],
      ] as const) {
        await using terminal = PseudoTerminal.start([UNDER_TEST, 'serve', ...words], { namespace, columns: 200 });
        await terminal.waitForText('#token=');
        const line = terminal.screen().find((row) => row.includes('#token='))!;
        assert.match(line, role);
        const token = /#token=([\w-]{32})/.exec(line)![1]!;
        const client = new WebClient(() => connectIn(namespace, HERE, PORT));
        const status = await client.ask(`${API}/status`, { token });
        assert.equal(status.json.changes, words.length > 0);
        assert.equal(await client.outcome(`${API}/status`, { token: `${token}x` }), '401 TOKEN');
        terminal.send('\x03');
        assert.equal((await terminal.exited).status, 0);
      }
    });

    test('are not made where nobody sees them', async () => {
      assert.match(await refused([]), /^2 conntrack: .*a token file is needed[\s\S]*openssl rand/);
    });

    test('have their roles', async () => {
      await using served = await serve(['--allow-changes']);
      const json = { filter: 'udp', dryRun: true };
      assert.equal(await served.outcome(`${API}/status`), '401 TOKEN');
      assert.equal(await served.outcome(`${API}/deletions`, { json }), '401 TOKEN');
      assert.equal(await served.outcome(`${API}/deletions`, { json, token: read }), '403 READ_ONLY');
      assert.equal(await served.outcome(`${API}/deletions`, { json, token: change }), '200');
      for (const path of ['/healthz', '/readyz', '/']) assert.equal((await served.ask(path)).status, 200, path);
    });

    test('come from files that others cannot read', async () => {
      const wrong: readonly (readonly [path: string, RegExp])[] = [
        [file(change, 0o640), /others may read the token/],
        [file(change, 0o604), /others may read the token/],
        [file(change, 0o620), /others may read the token/],
        [file(change, 0o600, NOBODY), /belongs to somebody else/],
        [file('short'), /at least 22 printable/],
        [file(`${change} ${change}`), /at least 22 printable/],
        [file(''), /at least 22 printable/],
        [join(folder, 'none'), /cannot read the token/],
        [folder, /token/],
      ];
      for (const option of ['--token-file', '--read-token-file'])
        for (const [path, why] of wrong) assert.match(await refused([option, path]), why);
      const outcome = await refused(['--token-file', file(change, 0o400), '--check']);
      assert.equal(outcome, '0 ');
    });

    test('come from the credentials of a service manager', async () => {
      writeFileSync(join(folder, 'token'), change, { mode: 0o640 });
      await using served = await Served.start(namespace, [], { environment: { CREDENTIALS_DIRECTORY: folder } });
      assert.equal(await served.outcome(`${API}/status`, { token: change }), '200');
    });
  });

  suite('places', () => {
    test('sockets in the file system are for owner and group, and left behind by nobody', async () => {
      const dir = mkdtempSync(join(folder, 'run-'));
      chownSync(dir, NOBODY, NOBODY);
      const path = join(dir, 'sock');
      const listen = ['--listen', `unix:${path}`, '--host', 'example.org'];
      const served = await serve(listen, { connect: () => net.connect(path) });
      assert.match(served.err, new RegExp(`^conntrack: unix:${path} \\(reading only\\)$`, 'm'));
      const { mode, uid } = statSync(path);
      assert.deepEqual([(mode & 0o777).toString(8), uid], ['660', NOBODY]);
      assert.equal(await served.outcome(`${API}/status`, { token: read, headers: { host: 'example.org' } }), '200');
      assert.match(await refused([...tokens, ...listen]), /another program listens at/);
      assert.equal((await served.stop()).status, 0);
      assert.ok(!existsSync(path));

      // A server that was killed leaves its socket behind: the next one takes its place.
      const killed = await serve(listen, { connect: () => net.connect(path) });
      process.kill(killed.pid, 'SIGKILL');
      assert.equal((await killed.ended).status, 1);
      assert.ok(existsSync(path));
      await using next = await serve(listen, { connect: () => net.connect(path) });
      assert.equal(await next.outcome(`${API}/status`, { token: read, headers: { host: 'example.org' } }), '200');
    });

    test('what is no socket is not removed', async () => {
      const path = file('precious');
      assert.match(await refused([...tokens, '--listen', `unix:${path}`]), /is there already, and is no socket/);
      assert.equal(readFileSync(path, 'utf8'), 'precious');
    });

    test('can be several', async () => {
      const dir = mkdtempSync(join(folder, 'run-'));
      chownSync(dir, NOBODY, NOBODY);
      const path = join(dir, 'sock');
      await using served = await serve(['--listen', `unix:${path}`, '--listen', `[::1]:${PORT}`, '--listen', `${HERE}:${PORT}`]);
      const asked = { token: read };
      for (const client of [
        served,
        new WebClient(() => net.connect(path)),
        new WebClient(() => connectIn(namespace, '::1', PORT)),
      ])
        assert.equal(await client.outcome(`${API}/status`, asked), '200');
    });

    test('that are taken are refused, and nothing is left open', async () => {
      await using served = await serve();
      const began = performance.now();
      const outcome = await refused(tokens);
      assert.match(outcome, /^1 conntrack: cannot listen at 127\.0\.0\.1:8466: address already in use/);
      assert.ok(performance.now() - began < 5000 * SLOWNESS);
      assert.equal(await served.outcome(`${API}/status`, { token: read }), '200');
    });

    test('that others can reach need a token, and TLS or consent', async () => {
      await namespace.must(['ip', 'address', 'replace', '192.0.2.200/32', 'dev', 'lo']);
      const outside = ['--listen', `192.0.2.200:${PORT}`];
      assert.match(await refused([...tokens, ...outside]), /^1 conntrack: .*in the clear/);
      assert.match(await refused([...tokens, '--listen', `0.0.0.0:${PORT}`]), /^1 .*in the clear/);
      assert.match(await refused([...tokens, '--listen', `[::]:${PORT}`]), /^1 .*in the clear/);
      assert.match(await refused([...outside, '--no-auth', '--plain-http']), /^1 .*--no-auth is possible only/);
      await using served = await serve([...outside, '--plain-http'], {
        connect: () => connectIn(namespace, '192.0.2.200', PORT),
      });
      const ask = (host: string) => served.outcome(`${API}/status`, { token: read, headers: { host } });
      assert.equal(await ask(`192.0.2.200:${PORT}`), '200');
      assert.equal(await ask('192.0.2.201'), '421 HOST');
      assert.equal(await ask('rebound.example'), '421 HOST');
    });

    test('without a token are for this machine, with a warning', async () => {
      await using served = await Served.start(namespace, ['--no-auth', '--allow-changes']);
      await served.said(/warning: no token is needed/);
      assert.equal((await served.ask(`${API}/status`)).json.changes, true);
    });

    test('are passed by a service manager', async () => {
      for (const [address, host] of [
        [HERE, HERE],
        ['::1', '[::1]'],
      ] as const) {
        const fd = listenIn(namespace, address, 8999);
        const sh = ['sh', '-c', 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', 'sh'];
        const served = await serve([], { passed: fd, before: sh, connect: () => connectIn(namespace, address, 8999) });
        closeSync(fd);
        assert.match(served.err, /^conntrack: http:\/\/[^ ]+:8999\//m);
        assert.equal(await served.outcome(`${API}/status`, { token: read, headers: { host: `${host}:8999` } }), '200');
        assert.equal(await served.outcome(`${API}/status`, { token: read, headers: { host: 'example.org' } }), '421 HOST');
        assert.equal((await served.stop()).status, 0);
      }
    });

    test('that are passed and reachable by others need what these need', async () => {
      const sh = ['sh', '-c', 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', 'sh'];
      const fd = listenIn(namespace, '0.0.0.0', 8998);
      try {
        assert.match(await refused(tokens, { passed: fd, before: sh }), /^1 .*in the clear/);
        assert.match(await refused(['--no-auth'], { passed: fd, before: sh }), /^1 .*--no-auth is possible only/);
        const two = ['sh', '-c', 'LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"', 'sh'];
        assert.match(await refused(tokens, { passed: fd, before: two }), /^2 .*one socket can be passed/);
      } finally {
        closeSync(fd);
      }
      // Meant for another process: not ours.
      await using served = await serve([], { environment: { LISTEN_FDS: '1', LISTEN_PID: '1' } });
      assert.equal(await served.outcome('/healthz'), '200');
    });
  });

  suite('TLS', () => {
    const openssl = (words: string) => execFileSync('openssl', words.split(' '), { cwd: folder, stdio: 'pipe' });
    const names = '-addext subjectAltName=DNS:localhost,IP:127.0.0.1';
    before(() => {
      for (const [name, days] of [
        ['good', 30],
        ['other', 30],
      ] as const)
        openssl(
          `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${name}.key -out ${name}.pem -days ${days} -subj /CN=localhost ${names}`,
        );
      writeFileSync(
        join(folder, 'ca.cnf'),
        '[ca]\ndefault_ca=x\n[x]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n',
      );
      writeFileSync(join(folder, 'index'), '');
      openssl('req -new -key good.key -out request.pem -subj /CN=localhost');
      openssl(
        'ca -batch -config ca.cnf -selfsign -keyfile good.key -in request.pem -out expired.pem -create_serial -startdate 20200101000000Z -enddate 20200201000000Z -notext',
      );
      openssl('ec -in good.key -aes256 -passout pass:secret -out locked.key');
      for (const name of ['good.key', 'other.key', 'locked.key']) chmodSync(join(folder, name), 0o600);
    });
    const pair = (cert: string, key: string) => ['--tls-cert', join(folder, cert), '--tls-key', join(folder, key)];

    test('serves the certificate, and nothing in the clear', async () => {
      const ca = readFileSync(join(folder, 'good.pem'));
      await using served = await serve(pair('good.pem', 'good.key'), {
        connect: () => secured(connectIn(namespace, HERE, PORT), { ca }),
      });
      assert.match(served.err, /^conntrack: https:\/\/127\.0\.0\.1:8466\//m);
      assert.equal(await served.outcome(`${API}/status`, { token: read }), '200');
      const stream = await served.stream(`${API}/stream`, { token: read });
      assert.equal((await stream.next())!.event, 'sample');
      await stream.cancel();
      const plain = new WebClient(() => connectIn(namespace, HERE, PORT));
      assert.equal(await plain.raw('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'), '');
      // Whoever does not know who signed it, or asks for an old protocol, gets nothing.
      const stranger = new WebClient(() => secured(connectIn(namespace, HERE, PORT), {}));
      await assert.rejects(stranger.ask('/healthz'), /self-signed/);
      const old = new WebClient(() =>
        secured(connectIn(namespace, HERE, PORT), { ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }),
      );
      await assert.rejects(old.ask('/healthz'));
      // A handshake that never comes is given up.
      const silent = connectIn(namespace, HERE, PORT);
      const began = performance.now();
      await new Promise((resolve) =>
        silent
          .on('error', () => {})
          .on('close', resolve)
          .resume(),
      );
      assert.ok(performance.now() - began < 15_000 * SLOWNESS);
      assert.equal(await served.outcome('/healthz'), '200');
    });

    test('is refused where certificate and key cannot be used', async () => {
      assert.match(await refused([...tokens, ...pair('good.pem', 'other.key')]), /^1 .*cannot be used: .*mismatch/i);
      assert.match(
        await refused([...tokens, ...pair('expired.pem', 'good.key'), '--check']),
        /^0 .*warning: the certificate ended at 2020-02-01T00:00:00/,
      );
      assert.match(await refused([...tokens, ...pair('good.pem', 'locked.key')]), /^1 .*cannot be used/);
      assert.match(await refused([...tokens, ...pair('good.key', 'good.key')]), /^1 .*cannot be used/);
      assert.match(await refused([...tokens, ...pair('none.pem', 'good.key')]), /^1 .*cannot read the certificate/);
      assert.match(await refused([...tokens, '--tls-cert', join(folder, 'good.pem')]), /^2 .*need each other/);
      chmodSync(join(folder, 'other.key'), 0o644);
      assert.match(await refused([...tokens, ...pair('other.pem', 'other.key')]), /^1 .*others may read the private key/);
    });
  });

  suite('--check', () => {
    test('checks what a start would, and serves nothing', async () => {
      assert.equal(await refused([...tokens, '--check']), '0 ');
      await using _ = await serve();
      assert.equal(await refused([...tokens, '--check']), '0 ');
      assert.match(await refused(['--token-file', join(folder, 'none'), '--check']), /^1 .*cannot read the token/);
      assert.match(await refused([...tokens, '--check', '--user', 'no-such-user']), /^\d .*there is no user/);
      assert.match(await refused([...tokens, '--check', '--listen', 'nonsense:x']), /^1 .*--listen cannot be/);
      assert.match(await refused([...tokens, '--check', '--netns', 'no-such-namespace']), /^\d .*no-such-namespace/);
      assert.match(await refused([...tokens, '--check'], { before: AS_NOBODY }), /^1 .*cannot read the token/);
      const own = file(change, 0o600, NOBODY);
      assert.match(await refused(['--token-file', own, '--check'], { before: AS_NOBODY }), /^1 .*CAP_NET_ADMIN/s);
    });
  });

  suite('the end', () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
      test(`by ${signal} says goodbye to streams and takes less than two seconds`, async () => {
        await using served = await serve();
        const news = await served.stream(`${API}/stream`, { token: read });
        const events = await served.stream(`${API}/events`, { token: read });
        const idle = served.connect();
        const half = served.connect();
        half.write('GET /api/v1/status HT');
        for (const socket of [idle, half]) socket.on('error', () => {});
        await news.next();
        const began = performance.now();
        served.signal(signal);
        const [a, b, end] = await Promise.all([news.rest(), events.rest(), served.ended]);
        assert.equal(end.status, 0);
        assert.ok(performance.now() - began < 2000 * SLOWNESS, `${performance.now() - began}`);
        assert.equal(a.at(-1), 'bye');
        assert.equal(b.at(-1), 'bye');
        idle.destroy();
        half.destroy();
        assert.throws(() => served.connect(), /errno 111/); // ECONNREFUSED
      });
  });

  suite('deletions', () => {
    let served: Served;
    const ask = (json: object, more: object = {}) => served.ask(`${API}/deletions`, { json, token: change, ...more });
    before(async () => {
      served = await serve(['--allow-changes', '--every', '0.5']);
    });
    after(() => served.stop());

    test('are shown, confirmed, done once, logged and told', async () => {
      await namespace.netlink([...Array(30).keys()].map((n) => newFlow(flow(n))));
      const news = await served.stream(`${API}/stream`, { token: read });
      const filter = 'udp and dst port 53 and src 192.0.2.1';
      const shown = await until(
        () => ask({ filter, dryRun: true }),
        ({ json }) => json.matched === 30,
      );
      assert.equal((await listed(`${filter}`)).length, 30);
      const { confirm } = shown.json;
      // Neither another filter nor another token.
      assert.equal((await ask({ filter: 'udp', confirm })).json.error.code, 'CONFIRM');
      assert.equal((await ask({ filter, confirm }, { token: read })).json.error.code, 'READ_ONLY');
      const again = await ask({ filter, dryRun: true });
      const done = await ask({ filter, confirm: again.json.confirm });
      assert.deepEqual([done.status, done.json.deleted, done.json.failed], [200, 30, 0]);
      assert.equal((await listed(filter)).length, 0);
      assert.equal((await ask({ filter, confirm: again.json.confirm })).status, 410);
      const told = await news.next('deletion');
      assert.equal(told!.data.deleted, 30);
      await namespace.netlink([newFlow(flow(3))]);
      const after = await news.next('deletion');
      assert.equal(after!.data.cameBack, 1);
      await news.cancel();
      await served.said(
        /deletion POST \/api\/v1\/deletions 200 127\.0\.0\.1:\d+ change filter="udp and dst port 53 and src 192\.0\.2\.1" deleted=30/,
      );
      await namespace.netlink([deleteFlow(flow(3))]);
    });

    test('stop where more match by now, and at a most', async () => {
      const filter = 'udp and dst port 54';
      const other = (n: number) => flow(n, { original: { ...flow(n).original, dport: 54 } });
      await namespace.netlink([newFlow(other(0))]);
      const { confirm } = (
        await until(
          () => ask({ filter, dryRun: true }),
          ({ json }) => json.matched === 1,
        )
      ).json;
      await namespace.netlink([...Array(40).keys()].slice(1).map((n) => newFlow(other(n))));
      const stopped = await until(
        () => ask({ filter, max: 39 }),
        ({ status }) => status === 409,
      );
      assert.deepEqual([stopped.json.error.code, stopped.json.error.matched], ['CHANGED', 40]);
      const changed = await ask({ filter, confirm });
      assert.deepEqual([changed.status, changed.json.error.code], [409, 'CHANGED']);
      assert.equal((await listed(filter)).length, 40);
      assert.equal((await ask({ filter, max: 40 })).json.deleted, 40);
      assert.equal((await listed(filter)).length, 0);
    });

    test('of the whole table keep the connection that asks', async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      Object.assign(agent, { createConnection: () => served.connect() });
      const { matched, confirm } = (
        await served.ask(`${API}/deletions`, { json: { all: true, dryRun: true }, token: change }, agent)
      ).json;
      assert.ok(matched >= 0);
      const done = await served.ask(`${API}/deletions`, { json: { all: true, confirm }, token: change }, agent);
      assert.equal(done.status, 200, done.text);
      const own = (await listed('tcp')).filter(({ original }) => original.dport === PORT);
      assert.equal(own.length, 1);
      assert.equal((await served.ask(`${API}/status`, { token: read }, agent)).status, 200);
      agent.destroy();
    });

    test('of one flow by its key take that flow, and not its successor', async () => {
      const one = flow(500);
      await namespace.netlink([newFlow(one)]);
      const filter = 'udp and src port 1524';
      const { json } = await until(
        () => served.ask(`${API}/flows?filter=${encodeURIComponent(filter)}`, { token: read }),
        ({ json }) => json.flows.length === 1,
      );
      const path = `${API}/flows/${json.flows[0].key}`;
      assert.equal((await served.ask(path, { token: read })).json.flow.original.sport, 1524);
      assert.equal(await served.outcome(path, { token: read, method: 'DELETE' }), '403 READ_ONLY');
      await namespace.netlink([deleteFlow(one), newFlow({ ...one, mark: 7 })]);
      await until(
        () => served.ask(path, { token: read }),
        ({ status }) => status === 404,
      );
      assert.equal(await served.outcome(path, { token: change, method: 'DELETE' }), '404 NOT_FOUND');
      assert.equal((await listed(filter)).length, 1);
      const next = await until(
        () => served.ask(`${API}/flows?filter=${encodeURIComponent(filter)}`, { token: read }),
        ({ json }) => json.flows.length === 1 && json.flows[0].flow.mark === 7,
      );
      assert.equal(await served.outcome(`${API}/flows/${next.json.flows[0].key}`, { token: change, method: 'DELETE' }), '200');
      assert.equal((await listed(filter)).length, 0);
    });

    test('are not there without --allow-changes', async () => {
      await using reading = await Served.start(namespace, [...tokens, '--listen', `${HERE}:8467`], {
        connect: () => connectIn(namespace, HERE, 8467),
      });
      assert.equal(
        await reading.outcome(`${API}/deletions`, { token: change, json: { all: true, dryRun: true } }),
        '404 NOT_FOUND',
      );
      assert.equal(await reading.outcome(`${API}/flows/x`, { token: change, method: 'DELETE' }), '405 METHOD');
    });
  });

  suite('flows', () => {
    let served: Served;
    const FLOWS = 2500;
    const made = (n: number) => flow(n, { proto: 17, timeout: 100_000, mark: n % 5 });
    const all = [...Array(FLOWS).keys()];
    before(async () => {
      await namespace.sysctl({ 'net.netfilter.nf_conntrack_timestamp': 1, 'net.netfilter.nf_conntrack_acct': 1 });
      await namespace.netlink(all.map((n) => newFlow(made(n))));
      served = await serve(['--every', '0.5']);
    });
    after(async () => {
      await served.stop();
      await namespace.must([UNDER_TEST, '-F']);
    });

    test('are those of -L -o json', async () => {
      const rest = new Map((await listed('udp')).map((one) => [one.id, one]));
      assert.equal(rest.size, FLOWS);
      const { json } = await served.ask(`${API}/flows?filter=udp&limit=1000&sort=sport`, { token: read });
      assert.deepEqual([json.matched, json.flows.length], [FLOWS, 1000]);
      for (const { flow } of json.flows) assert.deepEqual(withoutClock(flow), withoutClock(rest.get(flow.id)!));
    });

    test('come all in a stream, a line each', async () => {
      const { text, headers } = await served.ask(`${API}/flows?filter=udp+and+mark+3`, {
        token: read,
        headers: { accept: 'application/x-ndjson' },
      });
      assert.equal(headers.get('content-type'), 'application/x-ndjson');
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).flow);
      assert.deepEqual(
        lines.map(({ original }) => original.sport).sort((a: number, b: number) => a - b),
        all.filter((n) => n % 5 === 3).map((n) => 1024 + n),
      );
    });

    for (const sort of ['', '&sort=age'])
      test(`that are there throughout come exactly once in a walk${sort}, whatever comes and goes`, async () => {
        const seen = new Map<number, number>();
        let round = 0;
        for (let cursor = ''; ; ) {
          const { json, status } = await served.ask(`${API}/flows?filter=udp&limit=70&cursor=${cursor}${sort}`, { token: read });
          assert.equal(status, 200);
          for (const { flow } of json.flows) seen.set(flow.original.sport, (seen.get(flow.original.sport) ?? 0) + 1);
          // Each tenth flow goes at some time, and others come.
          const gone = all.filter((n) => n % 10 === 9).slice(round * 8, round * 8 + 8);
          await namespace.netlink([
            ...gone.map((n) => deleteFlow(made(n))),
            ...gone.map((n) => newFlow(flow(n, { original: { ...flow(n).original, sport: 40_000 + n } }))),
            ...gone.filter((n) => n % 20 === 9).map((n) => newFlow(made(n))),
          ]);
          round++;
          if (json.next === undefined) break;
          cursor = json.next;
        }
        assert.ok(round > 30);
        for (const n of all) if (n % 10 !== 9) assert.equal(seen.get(1024 + n), 1, `${n}`);
        for (const [sport, times] of seen) assert.equal(times, 1, `${sport}`);
        await namespace.must([UNDER_TEST, '-D', '-p', 'udp', '--filter', 'src port 40000-65535']).catch(() => {});
        await namespace.netlink(all.filter((n) => n % 20 === 19).map((n) => newFlow(made(n))));
      });
  });

  suite('events', () => {
    let served: Served;
    before(async () => {
      await namespace.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
      served = await serve();
    });
    after(() => served.stop());
    const one = flow(9000, {
      proto: 6,
      original: { src: '192.0.2.9', dst: '198.51.100.9', sport: 9000, dport: 443 },
      tcpState: TCP.ESTABLISHED,
    });

    test('are those of the kernel, of the flows and types that are asked for', async () => {
      const stream = await served.stream(`${API}/events?filter=tcp+and+src+192.0.2.9`, { token: read });
      const ends = await served.stream(`${API}/events?filter=tcp&types=DESTROY`, { token: read });
      await namespace.netlink([newFlow(one)]);
      await namespace.netlink([updateFlow(one, { mark: 5 })]);
      await namespace.netlink([newFlow(flow(9001)), deleteFlow(flow(9001))]);
      await namespace.netlink([deleteFlow(one)]);
      const events = [await stream.next(), await stream.next(), await stream.next()];
      assert.deepEqual(
        events.map((event) => [event!.event, event!.data.type, event!.data.flow.original.sport, event!.data.flow.mark]),
        [
          ['NEW', 'NEW', 9000, 0],
          ['UPDATE', 'UPDATE', 9000, 5],
          ['DESTROY', 'DESTROY', 9000, 5],
        ],
      );
      const end = await ends.next();
      assert.deepEqual([end!.event, end!.data.flow.original.sport], ['DESTROY', 9000]);
      for (const reader of [stream, ends]) await reader.cancel();
    });

    test('and samples resume: what was missed is told', async () => {
      const first = await served.stream(`${API}/stream`, { token: read });
      const { id } = (await first.next('sample'))!;
      await first.cancel();
      await delay(2500);
      const again = await served.stream(`${API}/stream`, { token: read, headers: { 'last-event-id': id! } });
      const series = await again.next();
      assert.equal(series!.event, 'series');
      const sample = await again.next();
      assert.equal(sample!.event, 'sample');
      assert.ok(Number(sample!.id!.split('-')[1]) > Number(id!.split('-')[1]));
      await again.cancel();
      const other = await served.stream(`${API}/stream`, { token: read, headers: { 'last-event-id': `ffffffff-3` } });
      assert.equal((await other.next())!.event, 'reset');
      await other.cancel();
      const events = await served.stream(`${API}/events`, { token: read, headers: { 'last-event-id': id! } });
      assert.deepEqual((await events.next())!.data, { events: null });
      await events.cancel();
    });
  });

  suite('another namespace', () => {
    test('is served with what it takes to enter it, and with a warning', async () => {
      await using other = await Namespace.create('served');
      await other.sysctl({ 'net.netfilter.nf_conntrack_events': 1 }); // also for flows from before
      await other.netlink([newFlow(flow(1)), newFlow(flow(2))]);
      await using served = await serve(['--netns', `${other.pid}`]);
      await served.said(/warning: --netns needs CAP_SYS_ADMIN/);
      // CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN
      assert.match(readFileSync(`/proc/${served.pid}/status`, 'utf8'), /^CapEff:\t0000000000281000$/m);
      assert.match(readFileSync(`/proc/${served.pid}/status`, 'utf8'), new RegExp(`^Uid:\\t${NOBODY}\\t`, 'm'));
      const { json } = await served.ask(`${API}/flows?filter=udp`, { token: read });
      assert.equal(json.matched, 2);
      const events = await served.stream(`${API}/events`, { token: read });
      await other.netlink([deleteFlow(flow(1))]);
      assert.equal((await events.next())!.event, 'DESTROY');
      await events.cancel();
    });

    test('and all others are told apart: what is read, heard and deleted is of the one that was meant', async () => {
      // Where /proc and /run/netns show only what is made here. Both have the same flow.
      const setUp = `set -e; mount -t tmpfs none /run
for name in blue red; do
  ip netns add $name
  ip netns exec $name sysctl -qw net.netfilter.nf_conntrack_events=1
  for port in 1 2; do ip netns exec $name "$1" -I -s 192.0.2.9 -d 192.0.2.8 -p udp --sport $port --dport 53 -t 9999 2>/dev/null; done
done
ip netns exec red "$1" -I -s 192.0.2.7 -d 192.0.2.8 -p udp --sport 3 --dport 53 -t 9999 2>/dev/null
exec "$@"`;
      const before = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--mount', 'sh', '-c', setUp, 'sh'];
      await using served = await serve(['--netns', 'all', '--allow-changes'], { before });
      const command = (...words: string[]) =>
        execFileSync('nsenter', ['-t', `${served.pids.at(-2)}`, '-n', '-m', '-p', '--', UNDER_TEST, ...words], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
      const get = async (path: string) => (await served.ask(`${API}/${path}`, { token: read })).json;
      interface Row {
        readonly key: string;
        readonly netns: string;
        readonly flow: { readonly id: number };
      }
      const rows = (flows: readonly Row[]) => flows.map(({ netns, flow: { id } }) => `${netns} ${id}`).sort();
      const listed = (...words: string[]) =>
        command('-L', '-p', 'udp', '--netns', 'all', '-o', 'ndjson', ...words)
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line))
          .map(({ netns, id }) => `${netns} ${id}`)
          .sort();

      const { namespaces } = await get('status');
      assert.deepEqual(namespaces.map(({ name }: { name: string }) => name).slice(1), ['blue', 'red']);
      const all = await get('flows?filter=udp&limit=100');
      assert.equal(all.matched, 5);
      assert.deepEqual(rows(all.flows), listed());
      const groups = (await get('groups?by=netns&filter=udp&sort=key')).groups;
      assert.deepEqual(
        groups.map(({ key, flows }: { key: string; flows: number }) => [key, flows]),
        [['blue', 2], ['red', 3]], // biome-ignore format: a table
      );
      const red = await get('flows?filter=udp&netns=red');
      assert.deepEqual(rows(red.flows), listed().filter((row) => row.startsWith('red '))); // biome-ignore format: one line
      const metrics = (await served.ask('/metrics', { token: read })).text;
      assert.match(metrics, /^conntrack_entries\{netns="red"\} 3$/m);

      // One flow by its key, though the other namespace has its twin; then all that match in one of them.
      const heard = await served.stream(`${API}/events?netns=red`, { token: read });
      const twin = red.flows.find(({ flow: { original } }: { flow: { original: { sport: number } } }) => original.sport === 1);
      assert.equal((await get(`flows/${twin.key}`)).netns, 'red');
      assert.equal(await served.outcome(`${API}/flows/${twin.key}`, { token: change, method: 'DELETE' }), '200');
      assert.equal((await heard.next('DESTROY'))!.data.flow.id, twin.flow.id);
      assert.deepEqual(listed('--sport', '1').map((row) => row.split(' ')[0]), ['blue']); // biome-ignore format: one line
      const { json } = await served.ask(`${API}/deletions`, {
        token: change,
        json: { filter: 'src 192.0.2.9', netns: 'blue', max: 10 },
      });
      assert.deepEqual([json.deleted, json.failed], [2, 0]);
      assert.deepEqual(listed().map((row) => row.split(' ')[0]), ['red', 'red']); // biome-ignore format: one line
      await heard.cancel();
      assert.equal(await served.outcome(`${API}/flows?netns=green`, { token: read }), '404 NOT_FOUND');
    });
  });

  suite('what one client can cost', () => {
    let served: Served;
    before(async () => {
      served = await serve();
    });
    after(() => served.stop());
    /** Descriptors are again what they were. */
    const settled = (before: number) =>
      until(
        async () => served.descriptors,
        (now) => now <= before,
      );

    test('connections that say nothing keep nobody out, and end', async () => {
      const before = served.descriptors;
      const idle = Array.from({ length: 300 }, () => served.connect());
      const closed = idle.map(
        (socket) =>
          new Promise((resolve) =>
            socket
              .on('error', () => {})
              .on('close', resolve)
              .resume(),
          ),
      );
      // Others are answered, again and again.
      for (let n = 0; n < 20; n++) assert.equal(await served.outcome(`${API}/status`, { token: read }), '200');
      assert.ok(served.descriptors <= before + 256, `${served.descriptors}`);
      await Promise.race([Promise.all(closed), delay(20_000 * SLOWNESS).then(() => assert.fail('they are still open'))]);
      await settled(before);
    });

    test('headers that never end are given up', async () => {
      const socket = served.connect();
      let text = '';
      socket.on('data', (data) => {
        text += data;
      });
      const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
      const began = performance.now();
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n');
      const timer = setInterval(() => socket.write('X: y\r\n'), 500);
      await closed;
      clearInterval(timer);
      assert.match(text, /^HTTP\/1\.1 408 /);
      assert.ok(performance.now() - began < 15_000 * SLOWNESS);
    });

    test('requests whose answers are not read are few', async () => {
      const before = served.descriptors;
      const { memory } = served;
      const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
      const sockets = Array.from({ length: 20 }, () => {
        const socket = served.connect();
        socket.on('error', () => {}).pause();
        socket.write(request.repeat(2000));
        return socket;
      });
      assert.equal(await served.outcome(`${API}/status`, { token: read }), '200');
      await settled(before);
      assert.ok(served.memory < memory + 100, `${served.memory} MB, before ${memory}`);
      for (const socket of sockets) socket.destroy();
      // A few are answered, as HTTP allows.
      const answers = await served.raw(
        `${request.repeat(3)}GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      );
      assert.equal(answers.match(/HTTP\/1\.1 200 OK/g)?.length, 4);
    });

    test('headers and bodies have a size', async () => {
      const ask = (headers: Record<string, string>) => served.ask('/healthz', { headers });
      assert.equal((await ask({ x: 'y'.repeat(7000) })).status, 200);
      assert.equal((await ask({ x: 'y'.repeat(9000) })).status, 431);
      assert.equal((await served.ask(`/healthz?${'y'.repeat(9000)}`)).status, 431);
      await using changing = await serve(['--allow-changes', '--listen', `${HERE}:8468`], {
        connect: () => connectIn(namespace, HERE, 8468),
      });
      const body = (size: number) => changing.outcome(`${API}/deletions`, { token: change, json: { filter: 'x'.repeat(size) } });
      assert.equal(await body(100_000), '400 FILTER');
      assert.equal(await body(600_000), '413 TOO_LARGE');
      const endless = changing.connect();
      endless.on('error', () => {});
      const closed = new Promise((resolve) => endless.resume().on('close', resolve));
      endless.write(`POST ${API}/deletions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`);
      let sent = 0;
      while (!endless.destroyed && sent < 1e9) {
        sent += 65_536;
        if (!endless.write(`10000\r\n${'x'.repeat(65_536)}\r\n`)) await Promise.race([closed, delay(20)]);
      }
      await closed;
      assert.ok(sent < 1e9);
    });

    test('smuggled, malformed and foreign requests are refused', async () => {
      const host = 'Host: localhost\r\n';
      const post = `POST ${API}/deletions HTTP/1.1\r\n${host}`;
      const wrong = [
        `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
        `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
        `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
        `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x`,
        `${post}Content-Length: -1\r\n\r\n`,
        'GET /healthz HTTP/1.1\nHost: localhost\n\n',
        `GET /healthz HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`,
        `GET /healthz HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`,
        'GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n',
        'GET /healthz HTTP/1.1\r\n\r\n',
        'GET /healthz HTTP/1.0\r\n\r\n',
        `GET javascript:alert(1) HTTP/1.1\r\n${host}\r\n`,
        `GET ftp://localhost/healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
        `OPTIONS * HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      ];
      for (const bytes of wrong) {
        const text = await served.raw(bytes.replace(/^(GET .*HTTP\/1\.[01]\r\n)/, '$1Connection: close\r\n'));
        assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, text);
        assert.match(text, /^HTTP\/1\.1 400 /, bytes);
      }
      assert.equal(await served.raw(`CONNECT localhost:22 HTTP/1.1\r\n${host}\r\n`), '');
      const two = `GET /healthz HTTP/1.1\r\n${host}Host: evil.example\r\nConnection: close\r\n\r\n`;
      assert.match(await served.raw(two), /^HTTP\/1\.1 421 /);
      for (const method of ['TRACE', 'OPTIONS', 'PUT'])
        assert.match(
          await served.raw(`${method} /healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n`),
          /^HTTP\/1\.1 405 /,
          method,
        );
    });

    test('readers that stop take a MiB each at most, and are told what they missed', async () => {
      const EVENTS = 30_000;
      const { memory } = served;
      const slow = [];
      for (let n = 0; n < 10; n++) {
        const response = await served.open(`${API}/events?filter=udp+and+dst+port+77`, { token: read });
        slow.push(response.on('error', () => {}).pause());
      }
      const flows = Array.from({ length: EVENTS / 20 }, (_, n) => flow(n, { original: { ...flow(n).original, dport: 77 } }));
      for (let round = 0; round < 10; round++) await namespace.netlink([...flows.map(newFlow), ...flows.map(deleteFlow)]);
      assert.equal(await served.outcome(`${API}/status`, { token: read }), '200');
      const grown = served.memory - memory;
      assert.ok(grown < 100, `${grown} MB`);
      // One reads on: it is told what it missed, and gets what happens now.
      const reader = new EventReader(Readable.toWeb(slow[0]!) as ReadableStream<Uint8Array>);
      const last = flow(9999, { original: { ...flow(9999).original, dport: 77 } });
      const timer = setInterval(() => void namespace.netlink([newFlow(last), deleteFlow(last)]), 200);
      let met = 0;
      let missing = 0;
      for (;;) {
        const event = (await reader.next())!;
        if (event.event === 'gap') missing += event.data.events;
        else if (event.data.flow.original.sport === last.original.sport) break;
        else met++;
      }
      clearInterval(timer);
      assert.ok(met > 1000 && missing > 1000 && met + missing <= EVENTS, `${met} and ${missing}`);
      for (const response of slow) response.destroy();
    });

    test('streams and exports that are left free what they had', async () => {
      const before = served.descriptors;
      const open = async (path: string, accept: string) => {
        const response = await served.open(path, { token: read, headers: { accept } });
        assert.equal(response.statusCode, 200);
        return response;
      };
      for (let round = 0; round < 3; round++) {
        const streams = [];
        for (let n = 0; n < 64; n++)
          streams.push(await open(`${API}/${n % 2 ? 'stream' : `events?filter=udp+and+src+10.0.0.${n}`}`, 'text/event-stream'));
        assert.equal(await served.outcome(`${API}/stream`, { token: read }), '503 TOO_MANY_STREAMS');
        for (const stream of streams) stream.on('error', () => {}).destroy();
        await settled(before);
      }
      for (let n = 0; n < 20; n++) (await open(`${API}/flows`, 'application/x-ndjson')).on('error', () => {}).destroy();
      await until(
        () => served.outcome(`${API}/flows`, { token: read, headers: { accept: 'application/x-ndjson' } }),
        (outcome) => outcome === '200',
      );
      await settled(before);
    });
  });

  /** The flows of `-L -o json` that match. */
  async function listed(filter: string): Promise<readonly Listed[]> {
    const text = await namespace.must([UNDER_TEST, '-L', '-o', 'json', '--filter', filter]);
    return text === '' ? [] : JSON.parse(text);
  }
});

interface Listed {
  readonly id: number;
  readonly timeout?: number;
  readonly timestamp?: object;
  readonly original: { readonly sport?: number; readonly dport?: number };
}

/** Asks again until the answer is right: events may be on their way. */
async function until<T>(ask: () => Promise<T>, right: (value: T) => boolean): Promise<T> {
  for (const limit = Date.now() + 10_000 * SLOWNESS; ; ) {
    const value = await ask();
    if (right(value)) return value;
    if (Date.now() > limit) assert.fail(`not in time: ${JSON.stringify(value).slice(0, 500)}`);
    await delay(50);
  }
}

/** Without what ticks. */
function withoutClock({ timeout, timestamp, ...rest }: Listed): object {
  return rest;
}
