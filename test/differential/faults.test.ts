// What can go wrong during changes to the table: a full table, changes by others, a sudden end, no privilege; and each refusal of the
// kernel that can be provoked, which must be reported with what to do. Refusals: docs/kernel.md 5.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { manyFlows } from '../support/many.js';
import { IPS_FIXED_TIMEOUT, type NewFlow, type Side } from '../support/netlink.js';
import { closingLines, type Outcome, toOutcome } from '../support/outcome.js';
import { AS_NOBODY, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Table } from '../support/table.js';
import { alone, withTableLimit } from '../support/table-limit.js';

const side = (src: string, dst: string, sport: number, dport: number): Side => ({ src, dst, sport, dport });
const udp = (sport: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 17,
  original: side('192.0.2.1', '198.51.100.1', sport, 53),
  timeout: 10000,
  ...more,
});
const saved = (n: number, more = '', letter = 'A') =>
  `-${letter} -t 5000 -u SEEN_REPLY,ASSURED -s 10.${n >> 16}.${(n >> 8) & 255}.${n & 255} -d 198.51.100.1 -p udp --sport ${1 + (n % 60000)} --dport 53${more}`;
const many = (count: number, first = 0, more = '', letter = 'A') =>
  Array.from({ length: count }, (_, n) => saved(first + n, more, letter));

/** Many entries, several at work, perhaps on a busy machine. */
const SLOW = { timeLimit: 60_000 } as const;

before(requirePrerequisites);
suite('faults', { skip: SELF_TEST ? 'the words of messages are our own' : false }, () => {
  let table: Table;
  before(async () => {
    table = await Table.create('faults', { purpose: 'answer' });
  });
  after(() => table[Symbol.asyncDispose]());
  /** A message with a hint, and no closing line. */
  const told = (outcome: Outcome, pattern: RegExp, status = '1') => {
    assert.equal(outcome.status, status, outcome.stderr);
    assert.match(outcome.stderr, pattern);
    assert.match(outcome.stderr, /\n +hint: \S/, 'it is not told what to do');
  };

  suite('each refusal of the kernel is told with what to do', () => {
    const ONE = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53 -t 100';
    const TWO = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 2 --dport 53 -t 100';
    for (const [name, words, pattern] of [
      ['EEXIST', `-I ${ONE}`, /cannot create the flow: there is one already/],
      [
        'EEXIST, the reply',
        '-I -s 192.0.2.7 -d 198.51.100.1 -r 198.51.100.1 -q 192.0.2.1 -p udp --sport 1 --dport 53 --reply-port-src 53 --reply-port-dst 1 -t 100',
        /there is one already/,
      ],
      [
        'EEXIST of -A, the reply',
        '-A -s 192.0.2.7 -d 198.51.100.1 -r 198.51.100.1 -q 192.0.2.1 -p udp --sport 1 --dport 53 --reply-port-src 53 --reply-port-dst 1 -t 100',
        /another flow has/,
      ],
      [
        'ENOENT of a master',
        `-I ${TWO} --master-src 192.0.2.99 --master-dst 198.51.100.1 --master-proto 50`,
        /cannot create the flow: the flow that --master-src/,
      ],
      ['EBUSY of -I', `-I ${TWO} -u EXPECTED`, /its status cannot be changed to that/],
      ['EBUSY of -A', `-A ${ONE} -u UNSET`, /its status cannot be changed to that/],
      ['EBUSY of -U', '-U -p udp --sport 1 -u EXPECTED', /1 of 1 flows were refused.*its status cannot be changed to that/],
      ['EOPNOTSUPP of -A', `-A ${ONE} -n 203.0.113.5 -u SEEN_REPLY`, /the flow exists, and NAT, helper and master/],
      ['EOPNOTSUPP of a helper', `-I ${TWO} --helper nosuch`, /does not know the helper/],
      [
        'EEXIST, the translated port',
        '-I -s 192.0.2.8 -d 198.51.100.1 -p udp --sport 7 --dport 53 -t 100 -n 192.0.2.1:1',
        /there is one already, or one whose reply/,
      ],
      ['EINVAL of two zones', `-I ${TWO} -w 5 --orig-zone 6`, /incomplete or contradictory/],
      [
        'EINVAL of an ICMP type',
        '-I -s 192.0.2.1 -d 198.51.100.1 -p icmp --icmp-type 3 --icmp-code 0 -t 100',
        /incomplete or contradictory/,
      ],
      [
        'ERANGE',
        '-I -s 192.0.2.1 -d 198.51.100.1 -p sctp --sport 1 --dport 2 --state HEARTBEAT_ACKED --orig-vtag 1 --reply-vtag 2 -t 100',
        /out of the range/,
      ],
      ['EPERM of a fixed timeout, -U', '-U -p udp --sport 3 -t 100', /1 of 1 flows were refused.*FIXED_TIMEOUT/],
      [
        'EPERM of a fixed timeout, -A',
        '-A -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 3 --dport 53 -t 100',
        /permission denied\n.*FIXED_TIMEOUT/,
      ],
      ['ENOENT of -G', '-G -s 192.0.2.99 -d 198.51.100.1 -p 50', /there is no such entry/],
      [
        'ENOENT of -D expect',
        '-D expect -s 192.0.2.99 -d 198.51.100.1 -p tcp --sport 1 --dport 2',
        /cannot delete expectations: there is no such expectation/,
      ],
      [
        'ENOENT of -I expect',
        '-I expect -t 100 -s 192.0.2.99 -d 198.51.100.1 -p tcp --sport 1 --dport 2 --tuple-src 192.0.2.1 --tuple-dst 198.51.100.1 --tuple-port-src 0 --tuple-port-dst 9 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535',
        /the connection that -s, -d and the ports name is not in the table/,
      ],
      [
        'EOPNOTSUPP of -I expect',
        '-I expect -t 100 -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53 --tuple-src 192.0.2.1 --tuple-dst 198.51.100.1 --tuple-port-src 0 --tuple-port-dst 9 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535',
        /that connection has no helper/,
      ],
    ] as const) {
      test(name, async () => {
        await table.fill([udp(1, { status: 2 }), udp(3, { status: IPS_FIXED_TIMEOUT })]);
        const before = await table.count();
        told(await table.run(words), pattern);
        assert.equal(await table.count(), before);
      });
    }

    test('ENOSPC of labels', async () => {
      await using bare = await Table.create('bare', { labels: false });
      await bare.fill([udp(1)]);
      told(
        await bare.run('-A -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53 -t 100 --label-add web'),
        /^conntrack: cannot set the labels: the flow entry exists, but has no room for them/,
      );
      told(await bare.run('-U --label-add web'), /no room for labels/);
      const loaded = await bare.load('-A -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53 -t 100 --label-add web\n');
      told(loaded, /^conntrack: standard input:1: .*the flow entry exists, but has no room for them/);
    });
  });

  suite('a full table', () => {
    const LIMIT = 40_000;
    test('in the middle of a load: what fits is there, the lines that failed are told', async (t) => {
      const work = async () => {
        await using full = await Table.create('full');
        const outcome = await full.run('-R -', { input: Buffer.from(`${many(LIMIT + 5000).join('\n')}\n`), timeLimit: 60_000 });
        const count = await full.count();
        told(outcome, /standard input:(\d+): cannot add the flow: the table is full/);
        // The kernel allows a few more or less.
        assert.ok(count > LIMIT - 500 && count < LIMIT + 500, `${count} entries`);
        const [, after, created, failed] =
          /stopped after line (\d+): (\d+) flow entries created, (\d+) lines failed/.exec(outcome.stderr) ?? [];
        assert.equal(Number(created), count, outcome.stderr);
        assert.equal(Number(after), Number(created) + Number(failed), outcome.stderr);
        const first = Number(/standard input:(\d+):/.exec(outcome.stderr)![1]);
        assert.ok(first > LIMIT - 500 && Number(after) - first < 100);
        told(await full.run(saved(LIMIT + 4999, '', 'I')), /the table is full.*\n +hint: .*nf_conntrack_max/);
        assert.equal((await full.run(saved(0, ' -m 5'))).status, '0', 'an entry that is there can be changed all the same');
      };
      const why = await alone(() => withTableLimit(LIMIT, work));
      if (why !== undefined) t.skip(why);
    });
  });

  suite('others are at work', () => {
    test('entries that expire and are created while -D runs', async () => {
      await using busy = await Table.create('busy');
      await busy.namespace.netlink(manyFlows(6000));
      // One process renews the table all the time, with entries that live no longer than a second.
      const text = Buffer.from(`${many(8000, 100_000).join('\n').replaceAll('-t 5000', '-t 1')}\n`);
      const maker = await busy.namespace.start(
        ['sh', '-c', 'for n in 1 2 3 4; do "$1" -R - < "$2" || exit 9; done', 'sh', UNDER_TEST, await file(busy, text)],
        SLOW,
      );
      let deleted = 0;
      for (let n = 0; n < 4; n++) {
        const outcome = await busy.run('-D -p udp -o id', SLOW);
        assert.ok(outcome.status === '0' || outcome.status === '1', outcome.stderr);
        const count = Number(/(\d+) flow entries have been deleted/.exec(outcome.stderr)?.[1]);
        assert.equal(outcome.stdout.split('\n').length - 1, count, 'each deleted entry is printed once');
        assert.equal(closingLines(outcome.stderr), `${count} flow entries have been deleted.`);
        assert.doesNotMatch(outcome.stderr, /refused|hint/);
        deleted += count;
      }
      assert.ok(deleted >= 6000, `${deleted} deleted`);
      const made = await busy.namespace.ask('finish', maker);
      assert.equal(made.status, 0, made.stderr.toString());
      const last = await busy.run('-D -s 10.0.0.0/8 --ok-if-none');
      assert.equal(last.status, '0', last.stderr);
      assert.equal((await busy.run('-L -d 198.51.100.1 -p udp')).stdout, '');
    });

    test('entries that end while -U runs', async () => {
      await using busy = await Table.create('busy');
      for (let n = 0; n < 3; n++) {
        assert.equal((await busy.load(many(3000))).status, '0');
        const update = await busy.namespace.start([UNDER_TEST, '-U', '-m', `${n + 1}`], SLOW);
        const flush = await busy.run('-D -p udp', SLOW);
        const updated = toOutcome(
          await busy.namespace
            .ask('finish', update)
            .then((result) => ({ ...result, stdout: Buffer.from(result.stdout), stderr: Buffer.from(result.stderr) })),
        );
        assert.ok(['0', '1'].includes(updated.status) && ['0', '1'].includes(flush.status), updated.stderr + flush.stderr);
        assert.doesNotMatch(updated.stderr + flush.stderr, /refused|cannot|internal/);
        await busy.run('-F');
      }
    });

    test('two loads at once', async () => {
      await using busy = await Table.create('busy');
      const first = await file(busy, Buffer.from(`${many(6000, 0, ' -m 1').join('\n')}\n`), 'first');
      const second = await file(busy, Buffer.from(`${many(6000, 3000, ' -m 2').join('\n')}\n`), 'second');
      const handles = [
        await busy.namespace.start([UNDER_TEST, '-R', first], SLOW),
        await busy.namespace.start([UNDER_TEST, '-R', second], SLOW),
      ];
      for (const handle of handles) {
        const result = await busy.namespace.ask('finish', handle);
        assert.equal(result.status, 0, Buffer.from(result.stderr).toString());
      }
      assert.equal(await busy.count(), 9000);
      const ones = (await busy.list('-m', '1')).length;
      const twos = (await busy.list('-m', '2')).length;
      assert.equal(ones + twos, 9000);
      assert.ok(ones >= 3000 && twos >= 3000);
      // Exclusive ones: exactly one of both makes each entry.
      await busy.run('-F');
      const mine = await file(busy, Buffer.from(`${many(400, 0, '', 'I').join('\n')}\n`), 'mine');
      const two = [
        await busy.namespace.start([UNDER_TEST, '-R', mine], SLOW),
        await busy.namespace.start([UNDER_TEST, '-R', mine], SLOW),
      ];
      const statuses: unknown[] = [];
      for (const handle of two) statuses.push((await busy.namespace.ask('finish', handle)).status);
      assert.ok(statuses.includes(1), 'one of them must find some there');
      assert.ok((await busy.count()) >= 100);
    });
  });

  test('killed in the middle of a load: the lines so far are in the table, in order', async () => {
    const COUNT = 60_000;
    await using killed = await Table.create('killed');
    const path = await file(killed, Buffer.from(`${many(COUNT).join('\n')}\n`));
    const number = async () => Number(await killed.namespace.ask('read', '/proc/sys/net/netfilter/nf_conntrack_count'));
    let partly = 0;
    for (let attempt = 0; attempt < 5 && partly === 0; attempt++) {
      await killed.run('-F');
      const handle = await killed.namespace.start([UNDER_TEST, '-R', path], SLOW);
      for (let n = 0; n < 2000 && (await number()) === 0; n++) await new Promise((resolve) => setTimeout(resolve, 2));
      await killed.namespace.ask('signal', handle, 'SIGKILL');
      const result = await killed.namespace.ask('finish', handle);
      const count = await killed.count();
      if (result.status !== 'SIGKILL' || count === COUNT) continue; // it was faster
      partly = count;
      const found = new Set((await killed.list()).map((text) => / src=(10\.\S+)/.exec(text)![1]!));
      for (let n = 0; n < count; n++)
        assert.ok(found.has(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`), `entry ${n} of ${count} is missing`);
    }
    assert.ok(partly > 0, 'every load was over before it was killed');
    // And it can be done again.
    assert.equal((await killed.run(`-R ${path}`, SLOW)).status, '0');
    assert.equal(await killed.count(), COUNT);
  });

  suite('without privilege', () => {
    const LINES = [
      '-I -s 192.0.2.1 -d 198.51.100.1 -p 50 -t 100',
      '-A -s 192.0.2.1 -d 198.51.100.1 -p 50 -t 100',
      '-U -m 1',
      '-D',
      '-D -p udp',
      '-F',
      '-F -f ipv4',
      '-F --dry-run',
      '-D --max 5',
      '-F expect',
      '-D expect -s 192.0.2.1 -d 198.51.100.1 -p tcp --sport 1 --dport 2',
    ];
    for (const [name, prefix] of [
      ['another user', AS_NOBODY],
      ['a user namespace of its own', ['unshare', '--user', '--']],
    ] as const) {
      test(name, async () => {
        await table.fill([udp(1), udp(2)]);
        for (const words of LINES) {
          const outcome = toOutcome(await table.namespace.run([...prefix, UNDER_TEST, ...words.split(' ')]));
          told(outcome, /permission denied\n +hint: .*CAP_NET_ADMIN/);
          assert.equal(closingLines(outcome.stderr), '', words);
          assert.equal(outcome.stdout, '');
        }
        for (const lines of [[saved(1)], [saved(1), saved(2), '-D'], ['-D -p udp'], ['-F']]) {
          const outcome = toOutcome(
            await table.namespace.run([...prefix, UNDER_TEST, '-R', '-'], { input: Buffer.from(`${lines.join('\n')}\n`) }),
          );
          told(outcome, /permission denied\n +hint: .*CAP_NET_ADMIN/);
          assert.equal(closingLines(outcome.stderr), '');
        }
        const wrong = toOutcome(
          await table.namespace.run([...prefix, UNDER_TEST, '-R', '-'], { input: Buffer.from('-D --nosuch\n') }),
        );
        assert.equal(wrong.status, '2', 'a mistake is found without privilege too');
        assert.equal((await table.list()).length, 2);
      });
    }
    test('root of its own user and network namespace may do everything', async () => {
      const own = ['unshare', '--user', '--map-root-user', '--net', '--', 'sh', '-c'];
      const script = `"$1" -I -s 192.0.2.1 -d 198.51.100.1 -p 50 -t 100 && "$1" -U -m 5 && "$1" -D -m 5 && "$1" -F`;
      const outcome = toOutcome(await table.namespace.run([...own, script, 'sh', UNDER_TEST]));
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.equal(outcome.stdout.split('\n').length - 1, 2);
    });
  });
});

/** Writes a file that only this namespace sees. @returns its path */
async function file(table: Table, bytes: Buffer, name = 'load'): Promise<string> {
  const path = `/etc/xtables/${name}`;
  await table.namespace.ask('write', path, bytes.toString());
  return path;
}
