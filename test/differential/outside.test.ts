// How the runtime can be influenced from outside: by signals, the environment, files of the current folder. The claims of
// docs/security.md.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Namespace } from '../support/namespace.js';
import { AS_NOBODY, EXECUTABLE, ON_NODE, PROJECT, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Watchers } from '../support/watchers.js';

const FILE = Array.from(
  { length: 5000 },
  (_, n) => `-I -t 500 -s 10.0.${n >> 8}.${n & 255} -d 198.51.100.1 -p udp --sport 1 --dport 53\n`,
).join('');
const RAN = 'code from outside ran';
/** A line of /proc/net/tcp: something listens on 127.0.0.1:9229. */
const LISTENS = /: 0100007F:240D 00000000:0000 0A /;
const NODE_MAJOR = Number(process.versions.node.split('.')[0]);

before(requirePrerequisites);
suite('outside', { skip: SELF_TEST ? 'what is tested is not in the reference' : false }, () => {
  let namespace: Namespace;
  let folder: string;
  before(async () => {
    namespace = await Namespace.create('outside');
    folder = mkdtempSync(join(tmpdir(), 'conntrack-test-outside-'));
    chmodSync(folder, 0o755);
    const { status, stderr } = await namespace.run([UNDER_TEST, '-R', '-'], { input: Buffer.from(FILE) });
    assert.equal(status, 0, stderr.toString());
  });
  after(async () => {
    await namespace?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = async (argv: readonly string[], environment: Readonly<Record<string, string>> = {}) => {
    const { status, stdout, stderr } = await namespace.run(argv, { environment });
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  };
  /** A script that Node.js is told to run first. */
  const hook = (name: string, text: string): string => {
    const path = join(folder, `${name}.cjs`);
    writeFileSync(path, text);
    return path;
  };
  const announces = () => hook('announces', `require('node:fs').writeSync(2, '${RAN}\\n');`);

  /** One that names native code, which is not there. */
  const opensslConfiguration = (): string => {
    const path = join(folder, 'openssl.cnf');
    const lines = 'nodejs_conf=a\n[a]\nengines=b\n[b]\nc=d\n[d]\nengine_id=e\ndynamic_path=/nonexistent.so\ninit=0\n';
    writeFileSync(path, lines);
    return path;
  };

  suite('SIGUSR1 ends the command and opens no debugger', () => {
    // A full pipe on descriptor 3, which nobody reads.
    const FULL = 'mkfifo "$2"; exec 3<>"$2"; rm "$2"; timeout 1 cat /dev/zero >&3;';
    const END = 'timeout --preserve-status -k 3 -s USR1 2 "$1"';
    for (const [name, line] of [
      ['-L that waits for its reader', `${FULL} ${END} -L >&3 2>/dev/null`],
      ['-C that waits for its reader', `${FULL} ${END} -C >&3`],
      ['-V that waits for its reader', `${FULL} ${END} -V >&3`],
      ['-h that waits for its reader', `${FULL} ${END} -h >&3`],
      ['-E that waits for its reader', `${FULL} ${END} -E --initial >&3`],
      ['-R that waits for its lines', `sleep 5 | ${END} -R -`],
    ] as const)
      test(name, async () => {
        const { stdout, stderr } = await run(['sh', '-c', `${line}; echo $?`, 'sh', UNDER_TEST, join(folder, name)]);
        assert.match(stdout, /^138$/m, stderr);
        assert.doesNotMatch(stderr, /Debugger/);
      });

    for (const signal of ['SIGUSR1', 'SIGUSR2'] as const)
      test(`-E that waits for events, ${signal}`, async () => {
        const watchers = await Watchers.start(namespace, [[UNDER_TEST, '-E']]);
        await watchers.signal(0, signal);
        const { status, stderr } = await watchers.outcome();
        assert.equal(status, signal);
        assert.doesNotMatch(stderr, /Debugger/);
      });

    const SIGNAL = "process.kill(process.pid, 'SIGUSR1');";
    for (const [name, text] of [
      ['it has opened the debugger', `${SIGNAL} while (!process.binding('inspector').url());`],
      ['the debugger is about to open', SIGNAL],
      // As under load: what opens it is a thread of Node.js, which may come late.
      ['the debugger opens later', `setTimeout(() => require('node:inspector').open(0), 500);`],
    ] as const)
      test(`before the first line: ${name}`, ON_NODE, async () => {
        const path = hook('early', text);
        const { status } = await run([process.execPath, '--require', path, UNDER_TEST, '-E', '--for', '5']);
        assert.equal(status, 'SIGUSR1');
      });

    test('--inspect still opens it, for who wants it', ON_NODE, async () => {
      for (const [options, environment] of [
        [['--inspect=0'], {}],
        [[], { NODE_OPTIONS: '--inspect=0' }],
      ] as const) {
        const { status, stderr } = await run([process.execPath, ...options, UNDER_TEST, '-V'], environment);
        assert.equal(status, 0);
        assert.match(stderr, /^Debugger listening on /);
      }
    });

    test('the library leaves the signals of its program alone', ON_NODE, async () => {
      const script = `
        import { readFileSync } from 'node:fs';
        import { Conntrack } from '${PROJECT}/dist/index.js';
        const caught = () => readFileSync('/proc/self/status', 'utf8').match(/^Sig.*$/gm).slice(1).join();
        const before = caught();
        const conntrack = await Conntrack.open();
        await conntrack.count();
        const events = conntrack.events();
        const first = events[Symbol.asyncIterator]().next();
        console.log(caught() === before, process.eventNames().filter((name) => String(name).startsWith('SIG')).length);
        process.exit();`;
      const { stdout, stderr } = await run([process.execPath, '--input-type=module', '-e', script]);
      assert.equal(stdout, 'true 0\n', stderr);
    });

    test('--disable-sigusr1 opens none in a program that uses the library, nor does a listener', ON_NODE, async (t) => {
      const signalled = (first = '') => `${first} process.kill(process.pid, 'SIGUSR1'); setTimeout(() => {}, 1000);`;
      const listener = signalled("process.on('SIGUSR1', () => process.exit(138));");
      assert.deepEqual(await run([process.execPath, '-e', listener]), { status: 138, stdout: '', stderr: '' });
      assert.match((await run([process.execPath, '-e', signalled()])).stderr, /^Debugger listening/);
      if (!process.allowedNodeEnvironmentFlags.has('--disable-sigusr1'))
        return t.skip('Node.js before 22.14 does not know --disable-sigusr1');
      const disabled = await run([process.execPath, '--disable-sigusr1', '-e', signalled()]);
      assert.deepEqual(disabled, { status: 0, stdout: '', stderr: '' });
    });
  });

  suite('the environment', () => {
    test('who chooses it chooses what root runs', ON_NODE, async () => {
      const path = announces();
      assert.match((await run([UNDER_TEST, '-V'], { NODE_OPTIONS: `--require ${path}` })).stderr, new RegExp(RAN));
      assert.match((await run([UNDER_TEST, '-V'], { OPENSSL_CONF: opensslConfiguration() })).stderr, /load.*\/nonexistent\.so/);
      assert.match((await run([UNDER_TEST, '-V'], { LD_PRELOAD: '/nonexistent.so' })).stderr, /nonexistent\.so/);
      assert.match((await run([UNDER_TEST, '-V'], { NODE_DEBUG: 'module' })).stderr, /^MODULE /);
      for (const [variable, since] of [
        ['NODE_V8_COVERAGE', 20],
        ['NODE_COMPILE_CACHE', 22],
      ] as const) {
        const files = join(folder, variable);
        mkdirSync(files);
        assert.equal((await run([UNDER_TEST, '-V'], { [variable]: files })).status, 0);
        assert.equal(readdirSync(files).length, NODE_MAJOR >= since ? 1 : 0, variable);
      }
      const opened = await run(['strace', '-f', '-e', 'trace=open,openat', UNDER_TEST, '-V'], {
        NODE_EXTRA_CA_CERTS: '/nonexistent.pem',
      });
      assert.equal(opened.stderr.includes('/nonexistent.pem'), NODE_MAJOR < 22);
    });

    test('an ordinary user with ambient capabilities chooses it', async () => {
      const environment = { NODE_OPTIONS: `--require ${announces()}`, BUN_OPTIONS: `--preload ${announces()}` };
      const ambient = [...AS_NOBODY, '--inh-caps=-all,+net_admin', '--ambient-caps=-all,+net_admin'];
      const { status, stderr } = await run([...ambient, UNDER_TEST, '-L', '-p', 'tcp'], environment);
      assert.equal(status, 0, stderr);
      assert.match(stderr, new RegExp(RAN));
    });

    test('of the executable too', { skip: EXECUTABLE ? false : 'about Bun' }, async () => {
      const path = announces();
      assert.match((await run([UNDER_TEST, '-V'], { BUN_OPTIONS: `--preload ${path}` })).stderr, new RegExp(RAN));
      assert.match((await run([UNDER_TEST, path], { BUN_BE_BUN: '1' })).stderr, new RegExp(RAN));
      assert.equal((await run([UNDER_TEST, '-V'], { NODE_OPTIONS: `--require ${path}` })).stderr, '');
      const line = '"$1" -E --for 3 & sleep 1; cat /proc/net/tcp; wait';
      assert.match((await run(['sh', '-c', line, 'sh', UNDER_TEST], { BUN_INSPECT: '9229' })).stdout, LISTENS);
    });

    test('sudo leaves nothing of it, unless it is told to', async (t) => {
      if (spawnSync('sudo', ['-n', 'true']).status !== 0) return t.skip('there is no sudo');
      const environment = {
        NODE_OPTIONS: `--require ${announces()}`,
        BUN_OPTIONS: `--preload ${announces()}`,
      };
      assert.equal((await run(['sudo', '-n', UNDER_TEST, '-V'], environment)).stderr, '');
      assert.match((await run(['sudo', '-n', '-E', UNDER_TEST, '-V'], environment)).stderr, new RegExp(RAN));
    });

    test('a copy of node with a capability does not run what it names, nor load it', ON_NODE, async () => {
      const node = join(folder, 'node');
      copyFileSync(process.execPath, node);
      chmodSync(node, 0o755);
      await namespace.must(['setcap', 'cap_net_admin+ep', node]);
      const argv = (command: string, ...variables: string[]) => [...AS_NOBODY, 'env', ...variables, command, UNDER_TEST, '-L'];
      const plain = await run([...argv(node), '-p', 'tcp']);
      assert.equal(plain.status, 0, plain.stderr);
      for (const variable of [
        `NODE_OPTIONS=--require ${announces()}`,
        `OPENSSL_CONF=${opensslConfiguration()}`,
        'NODE_EXTRA_CA_CERTS=/nonexistent.pem',
      ])
        assert.equal((await run([...argv(node, variable), '-p', 'tcp'])).stderr, plain.stderr, variable);
      const complaints = async (command: string) =>
        (await run(argv(command), { LD_PRELOAD: '/nonexistent.so' })).stderr.match(/nonexistent\.so/g)?.length;
      // setpriv and env complain in both cases.
      assert.deepEqual([await complaints(process.execPath), await complaints(node)], [3, 2]);
      // But whoever may run it may have it run anything.
      assert.match((await run([...AS_NOBODY, node, announces()])).stderr, new RegExp(RAN));
    });
  });

  test('files of the folder one is in are not obeyed', async () => {
    const here = join(folder, 'here');
    mkdirSync(join(here, 'node_modules', 'koffi'), { recursive: true });
    const path = announces();
    writeFileSync(join(here, 'bunfig.toml'), `preload = ["${path}"]\n`);
    writeFileSync(join(here, '.env'), `NODE_OPTIONS=--require ${path}\nTMPDIR=/nonexistent\n`);
    writeFileSync(join(here, 'package.json'), '{"type":"module","main":"koffi.js"}\n');
    for (const file of ['koffi.js', 'index.js', 'node_modules/koffi/index.js']) copyFileSync(path, join(here, file));
    const line = 'cd "$1" && echo "-U -p tcp -m 1" | "$2" -R - && "$2" -C';
    const { stdout, stderr } = await run(['sh', '-c', line, 'sh', here, UNDER_TEST]);
    assert.equal(stdout, '5000\n', stderr);
    assert.doesNotMatch(stderr, new RegExp(RAN));
  });
});
