// What can go wrong during a watch, and how a watch ends: losses, repairs, stalled and slow readers, signals, a full disk, no privilege.
// The output of a watch is replayed and compared with the table.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { xmlFault } from '../fuzz/xml.js';
import { manyFlows } from '../support/many.js';
import { Namespace, type RunOptions } from '../support/namespace.js';
import {
  deleteFlow,
  FLUSH,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  type NewFlow,
  newExpectation,
  newFlow,
  TCP,
  updateFlow,
} from '../support/netlink.js';
import { closingLines, type Outcome } from '../support/outcome.js';
import { EXPECTATIONS, FLOWS } from '../support/population.js';
import { AS_NOBODY, REFERENCE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Random } from '../support/random.js';
import { listed, mapDifference, Replay } from '../support/replay.js';
import { alone } from '../support/table-limit.js';
import { type Listener, listeners, until, Watchers } from '../support/watchers.js';

/** A flood: `npm test` makes a shorter one. */
const FLOOD = Number(process.env['FLOOD'] ?? 200_000);
const COMPLETE = /^conntrack: the record is complete: no event was lost$/m;
const INCOMPLETE = /^conntrack: the record is incomplete: /m;

const udp = (n: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 17,
  original: { src: `10.200.${(n >> 8) & 255}.${n & 255}`, dst: '198.51.100.1', sport: 1024 + n, dport: 53 },
  timeout: 10_000,
  ...more,
});
const tcp = (n: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 6,
  original: { src: `10.1.${(n >> 8) & 255}.${n & 255}`, dst: '198.51.100.2', sport: 1024 + n, dport: 80 },
  timeout: 10_000,
  tcpState: TCP.SYN_SENT,
  ...more,
});
const range = (count: number, first = 0) => Array.from({ length: count }, (_, n) => first + n);

async function create(name: string, mode = 1): Promise<Namespace> {
  const namespace = await Namespace.create(name);
  await namespace.sysctl({ 'net.netfilter.nf_conntrack_events': mode });
  return namespace;
}

/** Starts one watch and waits until it listens. */
const watch = (namespace: Namespace, line: string, options: RunOptions = {}) =>
  Watchers.start(namespace, [[UNDER_TEST, ...line.split(' ')]], options);

const linesOf = (text: string) => text.split('\n').length - 1;

function expectEnd({ status, stderr }: Outcome, shown: number | undefined, record: RegExp): void {
  assert.equal(status, '0', stderr);
  assert.match(stderr, record);
  assert.match(
    closingLines(stderr),
    shown === undefined ? /^\d+ flow events have been shown\.$/ : new RegExp(`^${shown} flow events have been shown\\.$`),
  );
  assert.match(stderr, /\(conntrack-tools\): \d+ flow events have been shown\.\n$/, 'the closing line comes last');
}

/** A FIFO whose reader is this process. */
class SlowReader {
  readonly path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'conntrack-test-fifo-'));
  #fd = -1;
  text = '';

  private constructor() {
    this.path = join(this.#folder, 'pipe');
  }

  static async create(namespace: Namespace): Promise<SlowReader> {
    const reader = new SlowReader();
    await namespace.must(['mkfifo', reader.path]);
    reader.#fd = openSync(reader.path, constants.O_RDWR | constants.O_NONBLOCK);
    return reader;
  }

  /** Reads at most this many of the available bytes. @returns how many */
  read(most: number): number {
    const bytes = Buffer.alloc(most);
    try {
      const count = readSync(this.#fd, bytes);
      this.text += bytes.toString('latin1', 0, count);
      return count;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    rmSync(this.#folder, { recursive: true });
  }
}

/** Kilobytes of memory that a process has. Of the sockets of a process, the first has its number. */
const memoryOf = (pid: number) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);

before(requirePrerequisites);
suite('watching', { skip: SELF_TEST ? 'what is tested is not in the reference' : false }, () => {
  suite('output', { concurrency: 2 }, () => {
    test('a single event comes through a pipe at once', async () => {
      await using namespace = await create('single');
      for (const line of ['-E', '-E -o save', '-E -o xml', '-E --resync', '-E -o timestamp,id -p udp']) {
        const watchers = await watch(namespace, line);
        await sleep(200);
        await namespace.netlink([newFlow(udp(1))]);
        await until(`${line} shows the event`, async () => (await watchers.written(0)).stdout.includes('10.200.0.1'), 1000);
        await namespace.netlink([FLUSH]);
        await watchers.end();
      }
    });

    test('-b is for the socket of the events, which holds as many more', async () => {
      await using namespace = await create('buffer');
      const watchers = await watch(namespace, '-E -b 8388608');
      await watchers.signal(0, 'SIGSTOP');
      await namespace.ask(
        'flood',
        range(6000).map((n) => newFlow(udp(n))),
      );
      assert.deepEqual(
        (await listeners(namespace)).map(({ drops }) => drops),
        [0],
      );
      await watchers.signal(0, 'SIGCONT');
      const [outcome] = (await watchers.end()) as [Outcome];
      expectEnd(outcome, 6000, COMPLETE);
      assert.match(outcome.stderr, /receive buffer for events has 16777216 bytes/);
    });

    test('the kernel drops what is not wanted before it is queued', async () => {
      await using namespace = await create('kernel-filter');
      const watchers = await Watchers.start(
        namespace,
        ['-E -p tcp', '-E -f ipv6', '-E -s 10.1.0.0/16', '-E -d 198.51.100.2 -p tcp --dport 80', '-E -e DESTROY,UPDATES'].map(
          (line) => [UNDER_TEST, ...line.split(' '), '-b', '10000'],
        ),
      );
      for (const n of range(5)) await watchers.signal(n, 'SIGSTOP');
      await namespace.netlink(range(500).map((n) => newFlow(udp(n))));
      assert.deepEqual(
        (await listeners(namespace)).map(({ waiting, drops }) => [waiting, drops]),
        range(5).map(() => [0, 0]),
      );
      await namespace.netlink([
        newFlow(tcp(1)),
        newFlow(tcp(2)),
        newFlow({ ...udp(1), original: { src: '2001:db8::1', dst: '2001:db8::2', sport: 1, dport: 2 } }),
      ]);
      for (const n of range(5)) await watchers.signal(n, 'SIGCONT');
      const outcomes = await watchers.end();
      assert.deepEqual(
        outcomes.map(({ stdout }) => linesOf(stdout)),
        [2, 1, 2, 2, 0],
      );
      for (const outcome of outcomes) expectEnd(outcome, undefined, COMPLETE);
    });

    test('names of programs are found', async () => {
      await using namespace = await create('names');
      const watchers = await watch(namespace, '-E');
      await namespace.netlink([newFlow(udp(1)), FLUSH], 'kept');
      const [{ stdout }] = (await watchers.end()) as [Outcome];
      assert.match(stdout, new RegExp(`\\[USERSPACE\\] portid=${namespace.agentPid} progname=\\S+\\n`), stdout);
    });
  });

  suite('ends', { concurrency: 3 }, () => {
    test('SIGPIPE from outside ends it as it ends any program', async () => {
      await using namespace = await create('sigpipe');
      const watchers = await Watchers.start(namespace, [[UNDER_TEST, '-E']]);
      const [{ status }] = (await watchers.end('SIGPIPE')) as [Outcome];
      assert.equal(status, 'SIGPIPE');
    });

    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      test(`${signal} prints the closing count`, async () => {
        await using namespace = await create('signal');
        const watchers = await Watchers.start(namespace, [
          [UNDER_TEST, '-E', '-o', 'xml'],
          [UNDER_TEST, '-E', 'expect', '-o', 'xml'],
          [UNDER_TEST, '-E', '-e', 'NEW'],
        ]);
        await namespace.netlink(range(3).map((n) => newFlow(udp(n))));
        const [xml, expect, plain] = (await watchers.end(signal)) as [Outcome, Outcome, Outcome];
        expectEnd(xml, 3, COMPLETE);
        assert.equal(xmlFault(xml.stdout), undefined);
        assert.equal(linesOf(xml.stdout), 6);
        assert.equal(expect.status, '0');
        assert.equal(xmlFault(expect.stdout), undefined);
        assert.match(closingLines(expect.stderr), /^0 expectation events have been shown\.$/);
        expectEnd(plain, 3, COMPLETE);
      });
    }

    test('--count ends after so many events', async () => {
      await using namespace = await create('count');
      const watchers = await Watchers.start(
        namespace,
        [
          '-E --count 3',
          '-E --count 2 -e DESTROY -o xml',
          '-E -p udp --count=1',
          '-E --count 5 --resync',
          '-E --initial --count 2',
        ].map((line) => [UNDER_TEST, ...line.split(' ')]),
      );
      await sleep(300);
      await namespace.netlink([...range(10).map((n) => newFlow(tcp(n))), newFlow(udp(1)), FLUSH]);
      for (const [n, count] of [3, 2, 1, 5, 2].entries()) {
        const outcome = await watchers.outcome(n);
        expectEnd(outcome, count, COMPLETE);
        assert.equal(linesOf(outcome.stdout), n === 1 ? count + 3 : count);
        if (n === 1) assert.equal(xmlFault(outcome.stdout), undefined);
      }
      const none = await namespace.run([UNDER_TEST, '-E', '--count', '0']);
      assert.equal(none.status, 0);
      assert.match(none.stderr.toString(), /0 flow events/);
    });

    test('--for ends after a time', async () => {
      await using namespace = await create('for');
      for (const [line, least] of [
        ['-E --for 0.5', 500],
        ['-E --for 0', 0],
        ['-E expect --for 0.2', 200],
        ['-E --initial --resync --for 0.3 -o save', 300],
      ] as const) {
        const result = await namespace.run([UNDER_TEST, ...line.split(' ')]);
        assert.equal(result.status, 0, result.stderr.toString());
        const took = result.ended - result.started;
        assert.ok(took >= least && took < least + 20_000, `${line}: ${took} ms`);
        assert.match(result.stderr.toString(), COMPLETE);
      }
    });

    test('a closed pipe ends quietly', async () => {
      await using namespace = await create('closed');
      for (const more of ['', '-o xml', '-o save', '--initial', '--resync']) {
        const words = ['-E', ...more.split(' ').filter(Boolean)];
        const watchers = await Watchers.start(namespace, [
          ['sh', '-c', '{ "$@"; echo "status $?" >&2; } | head -n 1', 'sh', UNDER_TEST, ...words],
        ]);
        await sleep(200);
        for (const n of range(20)) {
          await namespace.netlink([newFlow(udp(n))]);
          await sleep(10);
        }
        const { stderr } = await watchers.outcome();
        assert.equal(stderr, 'status 141\n', more);
        await namespace.netlink([FLUSH]);
      }
    });

    test('a full disk is told', async () => {
      await using namespace = await create('full');
      const watchers = await watch(namespace, '-E', { stdoutFile: '/dev/full' });
      await namespace.netlink([newFlow(udp(1))]);
      const { status, stderr } = await watchers.outcome();
      assert.equal(status, '1');
      assert.match(stderr, /no space left on the device/);
      assert.equal(closingLines(stderr), '');
    });

    test('without privilege it is said what is needed', async () => {
      await using namespace = await create('nobody');
      for (const words of [['-E'], ['-E', 'expect'], ['-E', '--initial', '-o', 'xml'], ['-E', '-p', 'tcp', '-b', '5000']]) {
        const result = await namespace.run([...AS_NOBODY, UNDER_TEST, ...words]);
        assert.equal(result.status, 1);
        assert.equal(result.stdout.toString(), '');
        assert.match(result.stderr.toString(), /CAP_NET_ADMIN/);
        assert.equal(closingLines(result.stderr.toString()), '');
      }
    });

    test('root of its own user and network namespace may watch', async () => {
      await using namespace = await create('user');
      const script =
        'ip link set lo up; "$1" -E --for 1 -o id & sleep 0.5; "$1" -I -s 192.0.2.1 -d 192.0.2.2 -p udp --sport 1 --dport 2 -t 9; wait $!';
      const result = await namespace.run(['unshare', '-Urn', 'sh', '-c', script, 'sh', UNDER_TEST]);
      assert.equal(result.status, 0, result.stderr.toString());
      assert.match(result.stdout.toString(), /\[NEW\] udp /);
    });

    test('the name of the namespace goes away', async () => {
      await using namespace = await create('deleted');
      const name = `conntrack-test-${process.pid}`;
      await namespace.must(['ip', 'netns', 'add', name]);
      const handle = await namespace.start(['ip', 'netns', 'exec', name, UNDER_TEST, '-E', '--initial']);
      await sleep(1000);
      await namespace.must(['ip', 'netns', 'delete', name]);
      await sleep(300);
      await namespace.ask('signal', handle, 'SIGTERM');
      const { status, stderr } = await namespace.ask('finish', handle);
      assert.equal(status, 0);
      assert.match(Buffer.from(stderr).toString(), COMPLETE);
    });
  });

  suite('what the kernel will not send is told once', { concurrency: 2 }, () => {
    const notice = /cause no UPDATE or DESTROY events/g;
    for (const [name, mode, flows, expected] of [
      ['mode 2, older flows', 2, 3, 1],
      ['mode 2, no flows', 2, 0, 0],
      ['mode 1', 1, 3, 0],
    ] as const) {
      test(name, async () => {
        await using namespace = await create('mode', mode);
        await namespace.netlink(range(flows).map((n) => newFlow(udp(n))));
        const watchers = await watch(namespace, '-E');
        await sleep(200);
        await namespace.netlink([newFlow(tcp(1)), ...range(flows).map((n) => deleteFlow(udp(n))), deleteFlow(tcp(1))]);
        const [{ stdout, stderr }] = (await watchers.end()) as [Outcome];
        assert.equal(stderr.match(notice)?.length ?? 0, expected, stderr);
        if (expected > 0) assert.match(stderr, /hint: .*net\.netfilter\.nf_conntrack_events=1/);
        // Mode 2 keeps records for flows that begin while anybody on the machine listens, so others may have made these visible.
        assert.match(stdout, /\[NEW\] tcp .*\n(.*\n)*\[DESTROY\] tcp /);
      });
    }
    test('mode 0', async () => {
      await using namespace = await create('mode', 0);
      const watchers = await watch(namespace, '-E');
      await namespace.netlink([newFlow(tcp(1))]);
      const [{ stdout, stderr }] = (await watchers.end()) as [Outcome];
      assert.match(stderr, /nf_conntrack_events is 0\n +hint: sysctl -w net\.netfilter\.nf_conntrack_events=1/);
      assert.equal(stdout, '');
    });
  });

  suite('losses', { concurrency: 2 }, () => {
    test('an overrun is told with the number lost, and the watch goes on', async () => {
      await using namespace = await create('overrun');
      const watchers = await watch(namespace, '-E -b 20000');
      for (const round of range(3)) {
        await watchers.signal(0, 'SIGSTOP');
        await namespace.netlink(range(400, round * 400).map((n) => newFlow(udp(n))));
        await watchers.signal(0, 'SIGCONT');
        await until(
          'the loss is told',
          async () => [...(await watchers.written(0)).stderr.matchAll(/events were lost:/g)].length === round + 1,
        );
      }
      await namespace.netlink([newFlow(tcp(1))]);
      const [{ drops }] = (await listeners(namespace)) as readonly Listener[] as [Listener];
      const [outcome] = (await watchers.end()) as [Outcome];
      expectEnd(outcome, undefined, INCOMPLETE);
      const lost = [...outcome.stderr.matchAll(/^conntrack: \d{4}-\d\d-\d\dT[\d:.]+Z: (\d+) events were lost: /gm)].map(([, n]) =>
        Number(n),
      );
      assert.equal(lost.length, 3);
      const total = lost.reduce((sum, n) => sum + n, 0);
      assert.equal(total, drops);
      assert.equal(total + linesOf(outcome.stdout), 1201);
      assert.match(outcome.stderr, new RegExp(`incomplete: ${total} events were lost in 3 overruns`));
      assert.match(outcome.stdout, /\[NEW\] tcp [^\n]*\n$/, 'events go on behind a loss');
      assert.equal(outcome.stderr.match(/hint:/g)?.length, 1);
    });

    test('expectations as well', async () => {
      await using namespace = await create('overrun-expect');
      await namespace.netlink(FLOWS.filter(({ helper }) => helper).map(newFlow));
      const watchers = await watch(namespace, '-E expect --resync');
      await watchers.signal(0, 'SIGSTOP');
      const ftp = FLOWS.find(({ helper }) => helper === 'sip')!;
      const expectation = (n: number) => ({ ...EXPECTATIONS[2]!, tuple: { ...EXPECTATIONS[2]!.tuple, dport: 20_000 + n } });
      assert.ok(ftp);
      // As many as a master may have are few: they come and go.
      await namespace.netlink(range(3).map((n) => newExpectation(expectation(n))[0]!));
      await watchers.signal(0, 'SIGCONT');
      await watchers.drained();
      const [outcome] = (await watchers.end()) as [Outcome];
      assert.equal(outcome.status, '0');
      assert.equal(linesOf(outcome.stdout), 3, outcome.stdout);
    });

    const churn = (random: Random) => {
      const live = new Map<number, NewFlow>();
      /** This many changes: begin, change, end. */
      return (count: number): Buffer[] =>
        range(count).map(() => {
          const n = random.below(3000);
          const flow = live.get(n);
          if (flow === undefined) {
            const made = n % 2 === 0 ? udp(n, { mark: random.below(4) }) : tcp(n, { mark: random.below(4) });
            live.set(n, made);
            return newFlow(made);
          }
          if (random.chance(0.5)) {
            live.delete(n);
            return deleteFlow(flow);
          }
          const mark = random.below(4);
          return updateFlow(
            flow,
            n % 2 === 0
              ? { mark, status: IPS_SEEN_REPLY }
              : { mark, status: IPS_SEEN_REPLY | IPS_ASSURED, tcpState: TCP.ESTABLISHED },
          );
        });
    };

    for (const more of ['', '--initial']) {
      test(`--resync ${more} shows what was missed, until the record is right again`, async () => {
        await using namespace = await create('resync');
        const changes = churn(new Random(42));
        await namespace.netlink(changes(2000));
        const before = more === '' ? listed(await namespace.must([UNDER_TEST, '-L', '-o', 'id'])) : undefined;
        const watchers = await watch(namespace, `-E -o id --resync ${more}`.trim());
        await sleep(500);
        for (const _ of range(3)) {
          await namespace.netlink(changes(200));
          await watchers.signal(0, 'SIGSTOP');
          await namespace.netlink(changes(1500));
          await watchers.signal(0, 'SIGCONT');
          await namespace.netlink(changes(300));
        }
        const [outcome] = (await watchers.end()) as [Outcome];
        const replay = new Replay({ strict: more !== '' });
        for (const [key, value] of before ?? []) replay.entries.set(key, value);
        replay.apply(outcome.stdout);
        assert.deepEqual(mapDifference(listed(await namespace.must([UNDER_TEST, '-L', '-o', 'id'])), replay.entries), []);
        expectEnd(outcome, linesOf(outcome.stdout), COMPLETE);
      });

      test(`--resync ${more} with a tiny buffer`, async () => {
        await using namespace = await create('resync-tiny');
        const changes = churn(new Random(43));
        await namespace.netlink(changes(2000));
        const before = more === '' ? listed(await namespace.must([UNDER_TEST, '-L', '-o', 'id'])) : undefined;
        const watchers = await watch(namespace, `-E -o id -b 30000 --resync ${more}`.trim());
        await sleep(1500); // The table is read by then, also on a busy machine.
        for (const _ of range(3)) {
          await watchers.signal(0, 'SIGSTOP');
          await namespace.netlink(changes(1500));
          await watchers.signal(0, 'SIGCONT');
          await namespace.ask('flood', changes(500));
        }
        const [outcome] = (await watchers.end()) as [Outcome];
        const replay = new Replay();
        for (const [key, value] of before ?? []) replay.entries.set(key, value);
        replay.apply(outcome.stdout);
        assert.deepEqual(mapDifference(listed(await namespace.must([UNDER_TEST, '-L', '-o', 'id'])), replay.entries), []);
        expectEnd(
          outcome,
          linesOf(outcome.stdout),
          /^conntrack: \d+ events were lost in \d+ overruns; \d+ events \[RESYNC\] repaired the record$/m,
        );
        for (const type of ['NEW', 'UPDATE', 'DESTROY'])
          assert.ok((replay.marks.get(`RESYNC ${type}`) ?? 0) > 0, `no [${type}] was missed`);
        const supplied = [...replay.marks].reduce((sum, [mark, n]) => sum + (mark.startsWith('RESYNC') ? n : 0), 0);
        assert.match(outcome.stderr, new RegExp(`; ${supplied} events \\[RESYNC\\] repaired`));
      });
    }

    test('saved events with what was missed load, and make the same table', async () => {
      await using namespace = await create('resync-save');
      const changes = churn(new Random(44));
      await namespace.netlink(changes(200));
      const watchers = await Watchers.start(namespace, [
        [UNDER_TEST, '-E', '-o', 'save', '--initial', '--resync', '-b', '30000'],
        [UNDER_TEST, '-E', '-o', 'xml', '--initial', '--resync', '-b', '30000'],
      ]);
      await sleep(1500); // The table is read by then, also on a busy machine.
      for (const n of range(2)) await watchers.signal(n, 'SIGSTOP');
      await namespace.netlink(changes(350));
      for (const n of range(2)) await watchers.signal(n, 'SIGCONT');
      const [save, xml] = (await watchers.end()) as [Outcome, Outcome];
      assert.equal(xmlFault(xml.stdout), undefined);
      for (const form of [
        'type="new" origin="initial"',
        'type="new" origin="resync"',
        'type="update" origin="resync"',
        'type="destroy" origin="resync"',
      ])
        assert.ok(xml.stdout.includes(`<flow ${form}>`), form);
      assert.match(save.stdout, /^# \[INITIAL\]\n-A /m);
      for (const verb of ['A', 'U', 'D']) assert.match(save.stdout, new RegExp(`^# \\[RESYNC\\]\\n-${verb} `, 'm'));
      await using second = await create('resync-load');
      const loaded = await second.run([UNDER_TEST, '-R', '-'], { input: Buffer.from(save.stdout, 'latin1'), timeLimit: 60_000 });
      assert.equal(loaded.status, 0, loaded.stderr.toString());
      const tuples = async (where: Namespace) =>
        (await where.must([UNDER_TEST, '-L', '-o', 'save']))
          .split('\n')
          .map((line) => line.replace(/^-A -t \d+/, '-A -t T'))
          .sort();
      const [made, original] = [await tuples(second), await tuples(namespace)];
      assert.deepEqual(
        [made.filter((line) => !original.includes(line)), original.filter((line) => !made.includes(line))],
        [[], []],
      );
      assert.equal(made.length, original.length);
    });

    test('--initial has no gap and nothing twice, whatever happens meanwhile', async () => {
      await using namespace = await create('initial');
      await namespace.ask('flood', manyFlows(30_000));
      const changes = churn(new Random(45));
      const busy = (async () => {
        for (const _ of range(12)) await namespace.netlink(changes(1000), 'kept');
      })();
      const watchers = await Watchers.start(
        namespace,
        range(4).map((n) => [
          UNDER_TEST,
          '-E',
          '--initial',
          '-o',
          'id',
          ...(n % 2 === 1 ? ['--resync'] : []),
          ...(n > 1 ? ['-p', 'udp'] : []),
        ]),
      );
      await busy;
      const outcomes = await watchers.end();
      const table = await namespace.must([UNDER_TEST, '-L', '-o', 'id']);
      for (const [n, outcome] of outcomes.entries()) {
        expectEnd(outcome, linesOf(outcome.stdout), COMPLETE);
        const replay = new Replay({ strict: true }).apply(outcome.stdout);
        const expected = listed(n > 1 ? table.replace(/^(?!udp ).*\n/gm, '') : table);
        assert.deepEqual(replay.faults.slice(0, 5), []);
        assert.deepEqual(mapDifference(expected, replay.entries), []);
        assert.ok((replay.marks.get('INITIAL NEW') ?? 0) >= 30_000);
      }
    });

    test('--initial of expectations', async () => {
      await using namespace = await create('initial-expect');
      await namespace.netlink([...FLOWS.filter(({ helper }) => helper).map(newFlow), ...EXPECTATIONS.flatMap(newExpectation)]);
      const watchers = await watch(namespace, '-E expect --initial');
      await sleep(300);
      await namespace.netlink([FLUSH]);
      const [{ stdout }] = (await watchers.end()) as [Outcome];
      const count = (pattern: RegExp) => stdout.match(pattern)?.length;
      assert.equal(count(/^ +\[NEW\] .*\[INITIAL\]$/gm), EXPECTATIONS.length);
      assert.equal(count(/^\[DESTROY\] (?!.*\[INITIAL\])/gm), EXPECTATIONS.length);
    });
  });

  suite('readers', () => {
    test('one that has stopped costs no memory; what is lost is told, and a signal ends the watch', async () => {
      await using namespace = await create('stopped');
      using reader = await SlowReader.create(namespace);
      const watchers = await watch(namespace, '-E -o extended,id -b 1000000', { stdoutFile: reader.path });
      const [{ portId: pid }] = (await listeners(namespace)) as readonly Listener[] as [Listener];
      const flood = async () => {
        await namespace.ask('flood', manyFlows(20_000));
        await namespace.ask('flood', [FLUSH]);
      };
      await flood();
      await sleep(300);
      const before = memoryOf(pid);
      for (const _ of range(4)) await flood();
      await sleep(300);
      const after = memoryOf(pid);
      assert.ok(after < before + 20_000, `memory grew from ${before} to ${after} kB`);
      const began = Date.now();
      await watchers.signal(0, 'SIGINT');
      const { status, stderr } = await watchers.outcome();
      assert.ok(Date.now() - began < 4000, `it took ${Date.now() - began} ms to end`);
      assert.equal(status, '0');
      assert.match(stderr, /incomplete: the reader did not take the last \d+ bytes/);
      assert.match(stderr, /incomplete: \d{4,} events were lost in \d+ overruns/);
    });

    test('one that has stopped reading both outputs does not keep a signal from ending the watch', async () => {
      await using namespace = await create('stopped-both');
      using reader = await SlowReader.create(namespace);
      const watchers = await Watchers.start(namespace, [['sh', '-c', 'exec "$@" 2>&1', 'sh', UNDER_TEST, '-E', '-b', '20000']], {
        stdoutFile: reader.path,
      });
      for (const _ of range(3)) await namespace.ask('flood', [...manyFlows(5000), FLUSH]);
      await sleep(300);
      const began = Date.now();
      await watchers.signal(0, 'SIGTERM');
      assert.equal((await watchers.outcome()).status, '0');
      assert.ok(Date.now() - began < 5000, `it took ${Date.now() - began} ms to end`);
    });

    test('one that reads a byte a second, and then all', async () => {
      await using namespace = await create('slow');
      using reader = await SlowReader.create(namespace);
      const watchers = await watch(namespace, '-E -o id -b 30000', { stdoutFile: reader.path });
      await namespace.ask('flood', manyFlows(3000));
      for (const _ of range(3)) {
        await until('a byte comes', () => reader.read(1) === 1);
        await sleep(1000);
      }
      const everything = () => {
        while (reader.read(65536) > 0) {}
        return reader.text;
      };
      await until('the loss is told', async () => {
        everything();
        if (!(await watchers.written(0)).stderr.includes('events were lost')) return false;
        // A first loss may be told while there is no room for more yet.
        return (await listeners(namespace)).every(({ waiting }) => waiting === 0);
      });
      await namespace.netlink([newFlow(tcp(1))]);
      await until('the last event comes', () => /\[NEW\] tcp .*\n/.test(everything()));
      const [{ drops }] = (await listeners(namespace)) as readonly Listener[] as [Listener];
      const [outcome] = (await watchers.end()) as [Outcome];
      expectEnd(outcome, linesOf(reader.text), INCOMPLETE);
      assert.ok(drops > 0);
      assert.equal(linesOf(reader.text) + drops, 3001);
      for (const line of reader.text.trimEnd().split('\n'))
        assert.match(line, /^ +\[NEW\] (udp|tcp) .* id=\d+ \[USERSPACE\] portid=\d+( progname=\S+)?$/);
    });
  });

  suite(`${FLOOD} flows`, () => {
    const saved = (n: number) =>
      `-A -t 5000 -u SEEN_REPLY -s 10.${n >> 16}.${(n >> 8) & 255}.${n & 255} -d 198.51.100.1 -p udp --sport ${1 + (n % 60000)} --dport 53\n`;

    for (const [name, line, busy, record] of [
      ['a large buffer', '-E -e NEW -b 67108864', false, COMPLETE],
      ['the default buffer, --resync', '-E -o id --resync', false, /the record is complete|repaired the record/],
      ['a small buffer, --resync, a busy machine', '-E -o id -b 200000 --resync', true, /repaired the record/],
    ] as const) {
      test(name, async (t) => {
        const most = Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'latin1'));
        if (most < FLOOD + 1000) return t.skip(`nf_conntrack_max is ${most}`);
        await alone(async () => {
          await using namespace = await create('large');
          const folder = mkdtempSync(join(tmpdir(), 'conntrack-test-large-'));
          const load = busy ? spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }) : undefined;
          try {
            writeFileSync(join(folder, 'flows'), range(FLOOD).map(saved).join(''));
            const out = join(folder, 'events');
            const watchers = await watch(namespace, line, { stdoutFile: out });
            await namespace.must([REFERENCE, '-R', join(folder, 'flows')], { timeLimit: 120_000 });
            const [outcome] = (await watchers.end()) as [Outcome];
            const text = readFileSync(out, 'latin1');
            expectEnd(outcome, linesOf(text), record);
            if (record === COMPLETE) assert.equal(linesOf(text), FLOOD);
            else {
              const replay = new Replay().apply(text);
              const table = listed(await namespace.must([UNDER_TEST, '-L', '-o', 'id'], { timeLimit: 60_000 }));
              assert.equal(table.size, FLOOD);
              assert.deepEqual(mapDifference(table, replay.entries), []);
            }
          } finally {
            load?.kill('SIGKILL');
            rmSync(folder, { recursive: true });
          }
        });
      });
    }
  });
});
