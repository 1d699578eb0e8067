// Each command needs no more than documented: CAP_NET_ADMIN alone, as a capability of a file or of an ordinary user; a user namespace; a
// sandbox without /proc, /sys and anything writable. Also which files each command opens, and which system calls it makes.

import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { newFlow } from '../support/netlink.js';
import { type Outcome, toOutcome } from '../support/outcome.js';
import { AS_NOBODY, EXECUTABLE, ON_NODE, PROJECT, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Table } from '../support/table.js';

const TUPLE = '-s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1 --dport 2';
/** Every command, in an order in which each finds what it needs; whether it works for everybody. */
const COMMANDS: readonly (readonly [words: string, everybody?: 'everybody'])[] = [
  [`-I ${TUPLE} -t 1000`],
  [`-A ${TUPLE} -t 1000 -m 1`],
  [`-G ${TUPLE}`],
  ['-L'],
  ['-L dying'],
  ['-L unconfirmed'],
  ['-L expect'],
  ['-C', 'everybody'],
  ['-C expect'],
  ['-S', 'everybody'],
  ['-U -m 4'],
  ['-E --initial --resync --for 0.2'],
  ['-E expect --for 0'],
  ['-D'],
  ['-F'],
  ['-F -f ipv4'],
  ['-F expect'],
  ['-V', 'everybody'],
  ['-h', 'everybody'],
];

const WITH_NET_ADMIN = [
  ...AS_NOBODY,
  '--no-new-privs',
  '--inh-caps=-all,+net_admin',
  '--ambient-caps=-all,+net_admin',
  '--bounding-set=-all,+net_admin',
];

before(requirePrerequisites);
suite('privileges', { skip: SELF_TEST ? 'what is tested is not in the reference' : false }, () => {
  let table: Table;
  let folder: string;
  before(async () => {
    table = await Table.create('privileges');
    folder = mkdtempSync(join(tmpdir(), 'conntrack-test-privileges-'));
  });
  after(async () => {
    await table?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const run = async (argv: readonly string[], input?: string): Promise<Outcome> =>
    toOutcome(
      await table.namespace.run(argv, { timeLimit: 60_000, ...(input === undefined ? {} : { input: Buffer.from(input) }) }),
    );
  const works = async (prefix: readonly string[]) => {
    await table.fill([]);
    for (const [words] of COMMANDS) {
      const outcome = await run([...prefix, ...words.split(' ')]);
      assert.equal(outcome.status, '0', `${words}: ${outcome.stderr}`);
    }
    const loaded = await run([...prefix, '-R', '-'], `-A ${TUPLE} -t 1000\n-U -m 3\n-D -m 3\n`);
    assert.equal(loaded.status, '0', loaded.stderr);
    assert.match(loaded.stdout, / mark=3 /);
  };

  test('an ordinary user with CAP_NET_ADMIN and nothing else', () => works([...WITH_NET_ADMIN, UNDER_TEST]));

  test('a copy of node that has the capability', ON_NODE, async () => {
    const node = join(folder, 'node');
    copyFileSync(process.execPath, node);
    await table.namespace.must(['setcap', 'cap_net_admin+ep', node]);
    await table.namespace.must(['chmod', '755', folder, node]);
    await works([...AS_NOBODY, node, UNDER_TEST]);
  });

  test('an ordinary user without: what needs it is refused, the rest works', async () => {
    await table.namespace.netlink([
      newFlow({ proto: 17, original: { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2 }, timeout: 9 }),
    ]);
    for (const [words, everybody] of COMMANDS) {
      const outcome = await run([...AS_NOBODY, UNDER_TEST, ...words.split(' ')]);
      if (everybody) assert.equal(outcome.status, '0', `${words}: ${outcome.stderr}`);
      else {
        assert.equal(outcome.status, '1', words);
        assert.match(outcome.stderr, /CAP_NET_ADMIN/);
      }
    }
  });

  test('an ordinary user in namespaces of its own', async () => {
    const script = COMMANDS.map(([words]) => `"$0" ${words} || { echo "$?: ${words}" >&2; exit 1; }`).join('\n');
    const outcome = await run([...AS_NOBODY, 'unshare', '-Urn', 'sh', '-c', script, UNDER_TEST]);
    assert.equal(outcome.status, '0', outcome.stderr);
  });

  test('--netns needs CAP_SYS_ADMIN as well', async () => {
    const outcome = await run([...WITH_NET_ADMIN, UNDER_TEST, '-L', '--netns', '/proc/self/ns/net']);
    assert.equal(outcome.status, '1');
    assert.match(outcome.stderr, /permission denied\n +hint: .*CAP_SYS_ADMIN/);
  });

  const withProc = { skip: EXECUTABLE ? 'Bun ends with an abort where there is no /proc' : false };
  suite('a box in which nothing can be written, without /proc and /sys', withProc, () => {
    const BOX = `
      mount -t tmpfs none /proc
      mount -t tmpfs none /sys
      for at in / /tmp /run /var /home "$(dirname "$0")"; do
        mount --rbind "$at" "$at" 2>/dev/null && mount -o remount,bind,ro "$at" 2>/dev/null
      done
      exec "$@"
    `;
    const boxed = (argv: readonly string[], input?: string) =>
      run(['unshare', '--mount', 'sh', '-c', BOX, UNDER_TEST, ...argv], input);
    test('every command works', async () => {
      await table.fill([]);
      for (const [words] of COMMANDS) {
        const outcome = await boxed([...WITH_NET_ADMIN, UNDER_TEST, ...words.split(' ')]);
        assert.equal(outcome.status, '0', `${words}: ${outcome.stderr}`);
      }
    });
    test('what needs /proc, or a place for a copy, says so', async () => {
      for (const [words, pattern] of [
        ['-C --netns all', /cannot look for network namespaces: \/proc cannot be read/],
        ['-D --protect-ssh', /--protect-ssh: this command does not run within an SSH session/],
        ['-L -p nosuch', /unknown protocol 'nosuch'/],
        ['-L -l web', /unknown label 'web'|^$/],
      ] as const) {
        const { status, stderr } = await boxed([UNDER_TEST, ...words.split(' ')]);
        if (words !== '-L -l web') assert.notEqual(status, '0', words);
        assert.match(stderr, words === '-L -l web' ? /./ : pattern);
        assert.doesNotMatch(stderr, /internal error/);
      }
      const copy = await boxed([UNDER_TEST, '-R', '-'], '-F\n');
      assert.equal(copy.status, '1');
      assert.match(copy.stderr, /cannot keep a copy of the lines in .*: read-only file system\n +hint: set TMPDIR/);
    });
  });

  suite('what is read', ON_NODE, () => {
    const OPEN = 'trace=open,openat,openat2,creat';
    /** Names of files that a command opens, without those of the package and those that Node.js opens by itself. */
    const opened = async (argv: readonly string[], input?: string): Promise<Set<string>> => {
      const trace = join(folder, 'trace');
      await run(['strace', '-f', '--seccomp-bpf', '-qq', '-e', OPEN, '-o', trace, ...argv], input);
      return new Set(
        [...readFileSync(trace, 'latin1').matchAll(/ (?:open\w*|creat)\((?:AT_FDCWD, )?"([^"]*)"/g)].map(([, path]) =>
          normalize(path!),
        ),
      );
    };
    let own: Set<string>;
    before(async () => {
      const idle = join(folder, 'idle.cjs');
      // Native code, and a thread: what Node.js opens for them is its own.
      writeFileSync(idle, `require('node:fs').readFile('/dev/null', () => {});`);
      own = await opened(['/usr/bin/env', 'node', idle]);
    });
    const EVENTS = '/proc/sys/net/netfilter/nf_conntrack_events';
    const LABELS = '/etc/xtables/connlabel.conf';
    const SETTING = /^\/proc\/sys\/net\/netfilter\/nf_conntrack_\w+$/;
    for (const [words, allowed] of [
      ['-V', []],
      ['-h', []],
      ['-L', []],
      ['-L -o xml,ktimestamp', []],
      ['-L -o json', []],
      ['-L -p tcp', []],
      ['-L -p ospf', ['/etc/protocols']],
      ['-L -o labels', [LABELS]],
      ['-L -l web', [LABELS]],
      ['-L -l web --labelmap /etc/hostname', ['/etc/hostname']],
      ['-L expect', []],
      ['-L dying', []],
      [`-G ${TUPLE}`, []],
      ['-C', []],
      ['-S', []],
      [`-I ${TUPLE} -t 1000`, []],
      ['explain tcp or udp --limit 1', ['/etc/services', '/proc/sys/net/netfilter', SETTING]],
      ['-U -m 4', []],
      ['-U --label-add web', [LABELS]],
      ['-E --for 0.1', [EVENTS]],
      ['-E expect --for 0', [EVENTS]],
      ['-D', []],
      ['-D --dry-run --max 5', []],
      ['-F', []],
      ['-F -f ipv4', []],
      ['-D --protect-ssh', [/^\/proc\/(self|\d+)\/(environ|status)$/]],
      ['-L --netns /proc/self/ns/net', ['/proc/self/ns/net', '/proc/thread-self/ns/net']],
      ['-R -', [/^\/tmp\/conntrack-\d+-[a-z0-9]+$/]],
      ['-R /etc/hostname', ['/etc/hostname']],
      ['usage', []],
      ['top --once --every 0.5', [LABELS, SETTING, /^\/proc\/(self|\d+)\/(environ|status)$/]],
      ['doctor --sample 0.5', ['/proc/net/dev', '/proc/net/netlink', '/proc/slabinfo', SETTING]],
      ['doctor --list', []],
    ] as readonly (readonly [string, readonly (string | RegExp)[]])[])
      test(words, async () => {
        const files = await opened([UNDER_TEST, ...words.split(' ')], words === '-R -' ? '# nothing\n' : undefined);
        const foreign = [...files].filter(
          (path) =>
            !own.has(path) &&
            !path.startsWith(`${PROJECT}/`) &&
            // V8 maps the code of Node.js a second time if it got no addresses near the first, which differs from run to run.
            path !== process.execPath &&
            path !== '/proc/self/maps' &&
            // Of env(1), which finds node, of the C library, when a thread gives memory back, and of Node.js for times of day.
            !/^\/usr\/(lib|share)\/(locale|zoneinfo)\/|gconv|^\/proc\/sys\/vm\/overcommit_memory$|locale-archive/.test(path),
        );
        for (const path of foreign)
          assert.ok(
            allowed.some((each) => (typeof each === 'string' ? each === path : each.test(path))),
            `${path} is opened`,
          );
        for (const each of allowed)
          assert.ok(
            foreign.some((path) => (typeof each === 'string' ? each === path : each.test(path))),
            `${each} is not opened any more: take it off the list here and in docs/privileges.md`,
          );
      });

    test('of a record and questions: the record, settings, and what a package with SQLite looks at', async () => {
      const directory = join(folder, 'record');
      const PACKAGE =
        /^(\/usr\/bin\/ldd|\/proc\/(cpuinfo|stat|meminfo|uptime|self\/(stat|cgroup))|\/sys\/(devices\/system\/cpu|fs\/cgroup)\/.*|\/(usr\/)?lib\/.*\.so[.\d]*|\/dev\/(null|urandom)|\/etc\/localtime)$/;
      const SYSTEM =
        /^\/usr\/(lib|share)\/(locale|zoneinfo)\/|gconv|^\/proc\/sys\/vm\/overcommit_memory$|locale-archive|^\/proc\/self\/maps$/;
      /** Which machine it is; not every container has one. */
      const MACHINE = /^\/(etc|var\/lib\/dbus)\/machine-id$/;
      for (const [words, allowed] of [
        [`record --keep forever --dir ${directory} --for 0.5s`, [SETTING, /^\/proc\/sys\/kernel\/random\/boot_id$/]],
        [`whohad 10.0.0.1:1 --at now --dir ${directory}`, []],
        [`history top --dir ${directory}`, []],
      ] as readonly (readonly [string, readonly RegExp[]])[]) {
        const argv = [UNDER_TEST, ...words.split(' ')];
        const files = await opened(argv);
        const foreign = [...files].filter(
          (path) => !own.has(path) && !path.startsWith(`${PROJECT}/`) && path !== process.execPath && !SYSTEM.test(path),
        );
        const unknown = foreign.filter(
          (path) =>
            !path.startsWith(directory) &&
            !PACKAGE.test(path) &&
            !(words.startsWith('record') && MACHINE.test(path)) &&
            !allowed.some((each) => each.test(path)),
        );
        assert.deepEqual(unknown, [], words);
        assert.ok(
          foreign.some((path) => path.startsWith(directory)),
          words,
        );
        for (const each of allowed)
          assert.ok(
            foreign.some((path) => each.test(path)),
            `${words}: ${each}`,
          );
      }
    });

    test('of the package: the bundle and one native file', async () => {
      const files = [...(await opened([UNDER_TEST, '-L']))].filter((path) => path.startsWith(`${PROJECT}/`));
      const names = files.map((path) => path.slice(PROJECT.length + 1)).sort();
      assert.deepEqual(
        names.filter((name) => !/^(bin\/)?package\.json$/.test(name)),
        [
          'bin/conntrack',
          'dist/conntrack.cjs',
          'dist/conntrack.cjs.table.cache',
          `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
        ],
      );
    });
  });

  test('system calls beyond those of Node.js', ON_NODE, async () => {
    const trace = join(folder, 'calls');
    const calls = async (argv: readonly string[], input?: string) => {
      await run(['strace', '-f', '-qq', '-o', trace, ...argv], input);
      return new Set([...readFileSync(trace, 'latin1').matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, name]) => name!));
    };
    const idle = join(folder, 'idle.cjs');
    writeFileSync(idle, `require('node:fs').readFile('/dev/null', () => setTimeout(() => process.stdout.write('x'), 5));`);
    const own = await calls(['/usr/bin/env', 'node', idle]);
    const beyond = new Set<string>();
    for (const [words] of COMMANDS)
      for (const name of await calls([UNDER_TEST, ...words.split(' ')])) if (!own.has(name)) beyond.add(name);
    const documented = ['socket', 'bind', 'getsockname', 'setsockopt', 'getsockopt', 'sendto', 'recvmmsg', 'poll', 'fsync'];
    for (const name of ['bind', 'sendto', 'recvmmsg']) assert.ok(beyond.has(name), name);
    // What Node.js does more of when it runs longer is not ours.
    const nodes = new Set([
      'restart_syscall',
      'sched_yield',
      'epoll_ctl',
      'rt_sigreturn',
      'tgkill',
      'getpid',
      'gettid',
      'mremap',
      'madvise',
      'statx',
      'fstat',
      'futex',
      'pread64',
      'lseek',
      'newfstatat',
      'epoll_wait',
      'epoll_pwait',
      'clock_nanosleep',
      'sched_getaffinity',
      'sysinfo',
      'uname',
    ]);
    assert.deepEqual(
      [...beyond].filter((name) => !documented.includes(name) && !nodes.has(name)),
      [],
    );
  });
});
