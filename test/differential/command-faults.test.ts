// What the command does if system calls fail, if descriptors, native code or privileges are missing, if it is killed between two batches,
// if somebody else writes to its sockets, and if the clock is set. strace(1) makes the calls fail.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Conntrack } from '../../src/index.js';
import { NetlinkSocket } from '../../src/wire/index.js';
import { Namespace } from '../support/namespace.js';
import { deleteFlow, IPS_SEEN_REPLY, type NewFlow, newFlow } from '../support/netlink.js';
import { closingLines, type Outcome, toOutcome } from '../support/outcome.js';
import { EXECUTABLE, ON_NODE, PROJECT, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Table } from '../support/table.js';
import { listeners, until, Watchers } from '../support/watchers.js';

const udp = (n: number): NewFlow => ({
  proto: 17,
  original: { src: `10.9.${n >> 8}.${n & 255}`, dst: '198.51.100.1', sport: 1024 + n, dport: 53 },
  timeout: 100_000,
  status: IPS_SEEN_REPLY,
});
const range = (count: number) => Array.from({ length: count }, (_, n) => n);
const line = (n: number) => `-A -t 5000 -u SEEN_REPLY -s 10.7.${n >> 8}.${n & 255} -d 198.51.100.1 -p udp --sport 7 --dport 53`;
const NEW = '-s 10.8.0.1 -d 198.51.100.1 -p udp --sport 1 --dport 2 -t 5000';

const SEED = seedFromEnvironment(7);
/** FAULT_STEPS=1000 takes every error at every place; without it some are chosen, by the seed. */
const ALL = process.env['FAULT_STEPS'] !== undefined;

/** Many runs of a traced command on a busy machine. */
const SLOW = { timeLimit: 60_000 } as const;
/** For errors, only this call stops the command: to stop at all of them takes longer, but signals are lost where the filter stops it. */
const inject = (what: string, ...more: readonly string[]) => [
  'strace',
  '-f',
  ...(what.includes(':error=') ? ['--seccomp-bpf'] : []),
  '-qq',
  '-o',
  '/dev/null',
  ...more,
  '-e',
  `trace=${what.slice(0, what.indexOf(':'))}`,
  '-e',
  `inject=${what}`,
];

/** The errors of a system call, and at which calls in a row to try them. EINTR leads to a retry; other errors are reported. */
const CALLS: readonly (readonly [call: string, errnos: readonly string[], when: readonly number[]])[] = [
  ['socket', ['EMFILE', 'ENFILE', 'ENOMEM', 'EPROTONOSUPPORT', 'EPERM'], [1]],
  ['bind', ['ENOMEM', 'EADDRINUSE'], [1]],
  ['getsockname', ['ENOBUFS'], [1]],
  ['sendto', ['EINTR', 'ENOBUFS', 'ENOMEM', 'EPERM', 'ECONNREFUSED', 'EBADF'], [1, 2]],
  ['recvmmsg', ['EINTR', 'ENOBUFS', 'ENOMEM', 'EAGAIN', 'EBADF'], [1, 2, 3]],
];
const COMMANDS: readonly (readonly [words: string, input?: string])[] = [
  ['-L -o id'],
  ['-L -o json'],
  ['-L expect'],
  ['-G -s 10.9.0.1 -d 198.51.100.1 -p udp --sport 1025 --dport 53 -o id'],
  [`-I ${NEW}`],
  [`-A ${NEW} -m 4`],
  ['-U -s 10.9.0.0/25 -m 9'],
  ['-D -s 10.9.0.0/25'],
  ['-D -s 10.9.0.0/25 --max 500'],
  ['-F'],
  ['-R -', range(150).map(line).join('\n')],
];

before(requirePrerequisites);
suite('faults of the command', { skip: SELF_TEST ? 'the words of messages are our own' : false }, () => {
  let table: Table;
  let folder: string;
  before(async () => {
    table = await Table.create('command-faults');
    folder = mkdtempSync(join(tmpdir(), 'conntrack-test-faults-'));
  });
  after(async () => {
    await table?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const run = async (argv: readonly string[], options: { input?: string; stdoutFile?: string } = {}): Promise<Outcome> => {
    const { input, stdoutFile } = options;
    return toOutcome(
      await table.namespace.run(argv, {
        ...SLOW,
        ...(input === undefined ? {} : { input: Buffer.from(input) }),
        ...(stdoutFile === undefined ? {} : { stdoutFile }),
      }),
    );
  };
  const entries = async () => new Set((await table.list('-o', 'extended')).map((text) => text.replace(/ use=\d+/, '')));
  /** Nothing that only developers of the tool understand. */
  const told = (outcome: Outcome, pattern = /^conntrack: |^\{"error":\{"code":"[A-Z_]+",/m) => {
    assert.equal(outcome.status, '1', outcome.stderr);
    assert.match(outcome.stderr, pattern);
    assert.doesNotMatch(outcome.stderr, /internal error|defect|\n +at |Error:/);
    assert.equal(closingLines(outcome.stderr), '', outcome.stderr);
  };

  suite('a system call fails', () => {
    for (const [words, input] of COMMANDS)
      test(words, async () => {
        const flows = range(200).map(udp);
        const argv = [UNDER_TEST, ...words.split(' ')];
        const options = input === undefined ? {} : { input };
        await table.fill(flows);
        const old = await entries();
        const right = await run(argv, options);
        assert.equal(right.status, '0', right.stderr);
        const now = await entries();
        const changes = [...now].some((text) => !old.has(text)) || now.size !== old.size;
        const seconds = (text: string) => text.replace(/(^|\n)(\S+ +\d+ )\d+ /g, '$1$2T ').replace(/"timeout":\d+/g, '');
        const random = new Random(SEED + words.length);
        const some = <T>(from: readonly T[], most: number) => (ALL ? from : random.sample(from, most));
        for (const [call, errnos, places] of CALLS)
          for (const errno of [...(errnos.includes('EINTR') ? ['EINTR'] : []), ...some(errnos, 2)])
            for (const when of some(places, 1)) {
              if (changes) await table.fill(flows);
              const outcome = await run([...inject(`${call}:error=${errno}:when=${when}`), ...argv], options);
              const title = `${words}: ${call} ${errno} ${when}: ${outcome.status} ${outcome.stderr}`;
              if (outcome.status === '0') {
                assert.equal(seconds(outcome.stdout), seconds(right.stdout), title);
                assert.equal(outcome.stderr, right.stderr, title);
                if (changes) assert.deepEqual(await entries(), now, title);
                continue;
              }
              assert.notEqual(errno, 'EINTR', title);
              told(outcome);
              if (changes)
                for (const text of await entries())
                  assert.ok(old.has(text) || now.has(text), `${title}: ${text} is neither old nor new`);
            }
      });

    test('what was changed before the fault is told', async () => {
      await table.fill(range(300).map(udp));
      // The second batch of deletes: after the count, the list and the first batch.
      const outcome = await run([...inject('recvmmsg:error=ENOBUFS:when=4+'), UNDER_TEST, '-D', '-p', 'udp']);
      told(
        outcome,
        /^conntrack: (100|200) flow entries had been deleted before this failed:\nconntrack: cannot delete flows: the kernel's answer/,
      );
      const count = Number(/(\d+) flow/.exec(outcome.stderr)![1]);
      assert.equal(outcome.stdout.split('\n').length - 1, count);
      assert.ok((await table.count()) <= 300 - count);
    });

    test('lines that may have been run are told', async () => {
      await table.fill([]);
      const input = `${range(350).map(line).join('\n')}\n`;
      const outcome = await run([...inject('sendto:error=ENOBUFS:when=3'), UNDER_TEST, '-R', '-'], { input });
      told(outcome, /: 200 flow entries created before line 201; lines 201 to 300 may have been run, later ones were not:/);
      assert.equal(await table.count(), 200);
    });
  });

  suite('descriptors are used up', () => {
    test('each limit gives the right answer, or says so', async () => {
      await table.fill(range(3).map(udp));
      const seen = new Set<string>();
      for (const [index, words] of ['-L', '-C', '-S', '-U -m 1 --ok-if-none', '-E --for 0', '-R -'].entries())
        for (const limit of range(9).map((n) => 17 + n)) {
          // Each limit with two of the commands.
          if (!ALL && limit % 3 !== index % 3) continue;
          const argv = ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh', UNDER_TEST, ...words.split(' ')];
          const outcome = await run(argv, { input: `${line(1)}\n` });
          if (/node::|binding\.|node:internal/.test(outcome.stderr + outcome.status) || outcome.status === 'SIGABRT') continue; // too few for Node.js itself
          seen.add(outcome.status);
          if (outcome.status === '0') {
            if (words === '-L') assert.equal(outcome.stdout.split('\n').length - 1, (await table.list()).length);
          } else told(outcome, /too many open files|EMFILE/);
        }
      // The standalone executable has all of itself in one file: these limits are enough for it.
      const expected = EXECUTABLE ? ['0'] : ['0', '1'];
      assert.deepEqual([...seen].sort(), expected);
    });
  });

  test('CONNTRACK_DEBUG=netlink shows every message, and changes nothing else', async () => {
    const plain = await run([UNDER_TEST, '-C']);
    const traced = await run(['env', 'CONNTRACK_DEBUG=netlink', UNDER_TEST, '-C']);
    assert.deepEqual([traced.status, traced.stdout], [plain.status, plain.stdout]);
    assert.match(traced.stderr, /^conntrack: > IPCTNL_MSG_CT_GET_STATS seq 1 flags REQUEST\|ACK family 0, 20 bytes$/m);
    assert.match(traced.stderr, new RegExp(`^conntrack: {5}CTA_STATS_GLOBAL_ENTRIES ${plain.stdout.trim()} `, 'm'));
    assert.match(traced.stderr, /^conntrack: < NLMSG_ERROR 0, an acknowledgement, seq 1, \d+ bytes$/m);
  });

  suite('native code', () => {
    const copy = () => {
      const place = mkdtempSync(join(folder, 'copy-'));
      for (const path of ['bin', 'dist/conntrack.cjs', 'package.json'])
        cpSync(join(PROJECT, path), join(place, path), { recursive: true });
      return place;
    };
    for (const [name, spoil] of [
      ['there is none', () => {}],
      [
        'it is damaged',
        (place: string) => {
          const at = join(place, `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}`);
          mkdirSync(at, { recursive: true });
          writeFileSync(join(at, 'koffi.node'), 'no library');
        },
      ],
    ] as const)
      test(name, async () => {
        const place = copy();
        spoil(place);
        const command = join(place, 'bin/conntrack');
        for (const words of ['-L', '-D', '-E', '-R -']) {
          const outcome = await run([command, ...words.split(' ')], { input: line(1) });
          told(outcome, /^conntrack: (standard input:1: )?cannot load the native library interface.*\n +hint: /);
        }
        for (const words of ['-V', '-h']) assert.equal((await run([command, words])).status, '0');
        assert.equal((await run([command, '--nosuch'])).status, '2');
        assert.equal((await run([command, '-L', '-o', 'json'])).stderr.includes('"code":"PLATFORM"'), true);
      });

    test('it is forbidden', ON_NODE, async () => {
      for (const argv of [
        ['env', 'NODE_OPTIONS=--no-addons', UNDER_TEST],
        [process.execPath, '--no-addons', UNDER_TEST],
      ])
        told(await run([...argv, '-C']), /^conntrack: Node.js has been told not to load native code.*\n +hint: .*--no-addons/);
    });

    test('a bundle that cannot be read', async () => {
      const place = copy();
      rmSync(join(place, 'dist/conntrack.cjs'));
      told(await run([join(place, 'bin/conntrack'), '-L']), /^conntrack: cannot read .*conntrack.cjs: ENOENT\n$/);
    });
  });

  suite('reading and writing', () => {
    test('standard input that is closed is no empty file', async () => {
      const load = (input: string) => run(['sh', '-c', `"$1" -R - ${input}`, 'sh', UNDER_TEST]);
      const closed = await load('<&-');
      assert.equal(closed.status, '2');
      assert.match(closed.stderr, /^conntrack: cannot read standard input: /);
      for (const empty of ['</dev/null', '<<END\nEND']) assert.equal((await load(empty)).status, '0', empty);
    });

    for (const errno of ['EIO', 'EDQUOT', 'ENOSPC', 'EFBIG'])
      test(`${errno} of standard output`, async () => {
        await table.fill(range(3).map(udp));
        const file = join(folder, 'out');
        for (const words of ['-L', '-L -o xml', '-L -o ndjson', '-E --initial --for 0', '-C', '-S', '-D -p udp']) {
          const outcome = await run([...inject(`write:error=${errno}:when=1+`, '-P', file), UNDER_TEST, ...words.split(' ')], {
            stdoutFile: file,
          });
          told(outcome, /cannot write the output: [a-z /]+(\n +hint: |","hint":")what was printed is incomplete/m);
        }
      });

    for (const errno of ['EINTR', 'EAGAIN'])
      test(`${errno} of standard output is no fault`, async () => {
        await table.fill(range(3).map(udp));
        const file = join(folder, 'again');
        for (const words of ['-L', '-E --initial --for 0.1']) {
          const outcome = await run([...inject(`write:error=${errno}:when=1`, '-P', file), UNDER_TEST, ...words.split(' ')], {
            stdoutFile: file,
          });
          assert.equal(outcome.status, '0', outcome.stderr);
          assert.match(closingLines(outcome.stderr), /^3 flow/);
        }
      });

    test('a file to load that cannot be read to its end', async () => {
      await table.fill([]);
      const file = join(folder, 'flows');
      writeFileSync(file, `${range(3000).map(line).join('\n')}\n`);
      for (const when of [1, 2, 3]) {
        const outcome = await run([...inject(`pread64:error=EIO:when=${when}`, '-P', file), UNDER_TEST, '-R', file]);
        told(outcome, /^conntrack: cannot read the lines: input\/output error\n$/);
        assert.equal(await table.count(), 0, 'nothing is run before everything was read');
      }
      const again = await run([...inject('pread64:error=EINTR:when=1+2', '-P', file), UNDER_TEST, '-R', file]);
      assert.equal(again.status, '0', again.stderr);
      assert.equal(await table.count(), 3000);
    });

    test('standard input that cannot be kept', async () => {
      const argv = ['env', 'TMPDIR=/proc', UNDER_TEST, '-R', '-'];
      told(await run(argv, { input: line(1) }), /^conntrack: cannot keep a copy of the lines in \/proc: .*\n +hint: set TMPDIR/);
    });

    test('standard input that is not ready yet', async () => {
      await table.fill([]);
      const injected = await run([...inject('read:error=EAGAIN:when=1..3', '-P', 'pipe'), UNDER_TEST, '-R', '-'], {
        input: line(2),
      });
      assert.equal(injected.status, '0', injected.stderr);
      assert.equal(await table.count(), 1);
    });
  });

  suite('killed at each step', () => {
    for (const words of ['-D -s 10.9.0.0/16', '-U -s 10.9.0.0/16 -m 9'])
      test(words, async () => {
        const flows = range(350).map(udp);
        await table.fill(flows);
        const old = await entries();
        const marked = new Set([...old].map((text) => text.replace('mark=0', 'mark=9')));
        let partly = 0;
        let before = 0;
        for (let when = 1, ended = false; !ended; when++) {
          assert.ok(when < 20, 'it sends more and more');
          await table.fill(flows);
          const { status } = await run([...inject(`sendto:signal=SIGKILL:when=${when}`), UNDER_TEST, ...words.split(' ')]);
          // Behind the last step nothing is killed any more.
          ended = status === '0';
          const left = await entries();
          for (const text of left) assert.ok(old.has(text) || marked.has(text), text);
          const unchanged = [...left].filter((text) => old.has(text)).length;
          assert.ok(words.startsWith('-D') || left.size === 350);
          // A send of at most a hundred is processed completely or not at all.
          const step = 350 - unchanged - before;
          assert.ok(step >= 0 && step <= 100, `${before} were changed, then ${350 - unchanged}`);
          before = 350 - unchanged;
          if (unchanged > 0 && unchanged < 350) partly++;
        }
        assert.ok(partly > 0, 'it was never killed between two batches');
      });

    test('-R', async () => {
      const input = `${range(350).map(line).join('\n')}\n`;
      const counts: number[] = [];
      for (const when of range(5)) {
        await table.fill([]);
        await run([...inject(`sendto:signal=SIGKILL:when=${when + 1}`), UNDER_TEST, '-R', '-'], { input });
        const left = await table.list();
        for (const n of range(left.length)) assert.ok(left.some((text) => text.includes(` src=10.7.${n >> 8}.${n & 255} `)));
        counts.push(left.length);
      }
      assert.deepEqual(counts, [0, 100, 200, 300, 350]);
    });
  });

  suite('somebody else writes to our sockets', () => {
    const forged = (sequence: number): Buffer[] => {
      const ended = (type: number, result: number) => {
        const bytes = Buffer.alloc(36);
        bytes.writeUInt32LE(36, 0);
        bytes.writeUInt16LE(type, 4);
        bytes.writeUInt32LE(sequence, 8);
        bytes.writeInt32LE(result, 16);
        return bytes;
      };
      const entry = newFlow({ ...udp(7777), mark: 666 });
      entry.writeUInt32LE(sequence, 8);
      return [entry, deleteFlow(udp(0)), ended(3, 0), ended(2, -1), ended(2, 0), Buffer.from('noise')];
    };

    test('a watch shows none of it', async () => {
      await using namespace = await Namespace.create('forged');
      const watchers = await Watchers.start(namespace, [
        [UNDER_TEST, '-E', '-o', 'id'],
        [UNDER_TEST, '-E', '--initial', '--resync'],
      ]);
      const both = await listeners(namespace);
      assert.equal(both.length, 2);
      for (const { portId } of both) await namespace.ask('forge', portId, forged(0));
      await namespace.netlink([newFlow(udp(1))]);
      for (const { portId } of both) await namespace.ask('forge', portId, forged(0));
      await until('the event is shown', async () => (await watchers.written(0)).stdout.includes('10.9.0.1'));
      for (const { status, stdout, stderr } of await watchers.end()) {
        assert.equal(status, '0');
        assert.match(stdout, /^ *\[NEW\] udp .*src=10\.9\.0\.1 .*\n$/);
        assert.match(stderr, /the record is complete/);
      }
    });

    test('answers are those of the kernel', async () => {
      await using namespace = await Namespace.create('forged-answers');
      await namespace.netlink(range(400).map((n) => newFlow(udp(n))));
      let sent = 0;
      const conntrack = await Conntrack.open({
        netns: namespace.pid,
        transport: (options) => {
          const socket = NetlinkSocket.open(options);
          const { sendAsync } = socket;
          socket.sendAsync = async (bytes, length) => {
            const sequence = Buffer.from(bytes).readUInt32LE(8);
            await namespace.ask('forge', socket.portId, forged(sequence));
            sent++;
            await sendAsync.call(socket, bytes, length);
            await namespace.ask('forge', socket.portId, forged(sequence));
          };
          return socket;
        },
      });
      const flows = await conntrack.list().toArray();
      assert.equal(flows.length, 400);
      assert.ok(flows.every(({ mark }) => mark === 0));
      assert.equal((await conntrack.count({ protocol: 'udp' })).entries, 400);
      await conntrack.flush();
      assert.equal((await conntrack.count()).entries, 0);
      assert.ok(sent >= 3);
      await conntrack.close();
    });
  });

  suite('the clock is set', () => {
    test('neither time limits nor lists mind', async () => {
      const jump = join(folder, 'jump.cjs');
      // Each look finds it a day later or earlier than the last.
      writeFileSync(jump, 'const now = Date.now; let n = 0; Date.now = () => now() + (n++ % 2 ? 86400000 : -86400000);');
      await table.namespace.sysctl({ 'net.netfilter.nf_conntrack_timestamp': 1 });
      await table.fill(range(300).map(udp));
      const env = ['env', `NODE_OPTIONS=--require=${jump}`];
      for (const words of ['-L -o ktimestamp', '-L -o timestamp', '-D -s 10.9.0.0/28', '-L -o xml,ktimestamp']) {
        const outcome = await run([...env, UNDER_TEST, ...words.split(' ')]);
        assert.equal(outcome.status, '0', outcome.stderr);
        assert.doesNotMatch(outcome.stdout, /delta-time=-|NaN|Invalid/);
      }
      const started = performance.now();
      const watched = await run([...env, UNDER_TEST, '-E', '--initial', '--resync', '--for', '0.5', '-o', 'timestamp']);
      const took = performance.now() - started;
      assert.equal(watched.status, '0', watched.stderr);
      assert.ok(took >= 500 && took < 20_000, `${took} ms`);
      assert.match(closingLines(watched.stderr), /^284 flow events/);
    });
  });
});
