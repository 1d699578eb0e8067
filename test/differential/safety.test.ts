// The safety options, which the C tool does not have: --dry-run, --max, --ok-if-none, --protect-ssh.

import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { IPS_ASSURED, IPS_SEEN_REPLY, type NewFlow, type Side, TCP } from '../support/netlink.js';
import { closingLines, type Outcome, toOutcome } from '../support/outcome.js';
import { requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Table } from '../support/table.js';

const side = (src: string, dst: string, sport: number, dport: number): Side => ({ src, dst, sport, dport });
const FLOWS: readonly NewFlow[] = [
  { proto: 17, original: side('192.0.2.1', '198.51.100.1', 1, 53), timeout: 10000 },
  { proto: 17, original: side('192.0.2.1', '198.51.100.1', 2, 53), timeout: 10000, mark: 7 },
  { proto: 17, original: side('192.0.2.2', '198.51.100.1', 3, 53), timeout: 10000, zone: 5 },
  { proto: 6, original: side('192.0.2.1', '198.51.100.1', 4, 80), timeout: 10000, tcpState: TCP.ESTABLISHED },
  { proto: 17, original: side('2001:db8::1', '2001:db8:1::1', 5, 53), timeout: 10000 },
];
const line = (sport: number) => `-I -s 192.0.2.9 -d 198.51.100.1 -p udp --sport ${sport} --dport 53 -t 1000`;

before(requirePrerequisites);
suite('safety', { skip: SELF_TEST ? 'options of our own' : false }, () => {
  let table: Table;
  let before_: string[];
  before(async () => {
    table = await Table.create('safety', { purpose: 'answer' });
  });
  after(() => table[Symbol.asyncDispose]());
  beforeEach(async () => {
    await table.fill(FLOWS);
    before_ = await table.saved();
  });
  const untouched = async () => assert.deepEqual(await table.saved(), before_);
  const lines = ({ stdout }: Outcome) =>
    stdout
      .split('\n')
      .map((text) => text.replace(/\d{4,} /, 'T ').replace(/<timeout>\d+/, '<timeout>T'))
      .sort();
  /** The closing line, also one of our own wording. */
  const closing = ({ stderr }: Outcome) => /\(conntrack-tools\): (.*)/.exec(stderr)?.[1] ?? '';

  suite('--dry-run', () => {
    for (const [words, count] of [
      ['-D', 5],
      ['-D -p udp', 4],
      ['-D -w 5 -o save', 1],
      ['-D -s 192.0.2.1 -o extended', 3],
      ['-D -p udp --sport 1 -s 192.0.2.1 -d 198.51.100.1 --dport 53', 1],
      ['-D -s 192.0.2.77', 0],
      ['-D -f ipv6 -o xml', 1],
    ] as const) {
      test(`${words} prints what it would delete, and deletes nothing`, async () => {
        const dry = await table.run(`${words} --dry-run`);
        assert.equal(closing(dry), `${count} flow entries would be deleted.`);
        assert.equal(dry.status, count > 0 ? '0' : '1');
        await untouched();
        const wet = await table.run(words);
        assert.equal(closing(wet), `${count} flow entries have been deleted.`);
        assert.deepEqual(lines(dry), lines(wet));
      });
    }
    for (const [words, count] of [
      ['-U -m 7', 4],
      ['-U -p udp -t 500', 4],
      ['-U -p tcp --state CLOSE -u ASSURED', 1],
      ['-U -u UNSET', 0],
      ['-U --label-add web -w 5', 1],
    ] as const) {
      test(`${words} counts what it would change, and changes nothing`, async () => {
        const dry = await table.run(`${words} --dry-run`);
        assert.equal(closing(dry), `${count} flow entries would be updated.`);
        assert.equal(dry.stdout.split('\n').length - 1, count);
        assert.equal(dry.status, count > 0 ? '0' : '1');
        await untouched();
        assert.equal(closing(await table.run(words)), `${count} flow entries have been updated.`);
      });
    }
    test('-F, of all and of one family', async () => {
      for (const [words, count] of [
        ['-F', 5],
        ['-F -f ipv4', 4],
        ['-F -f ipv6', 1],
      ] as const) {
        const dry = await table.run(`${words} --dry-run`);
        assert.equal(closing(dry), `connection tracking table would be emptied: ${count} flow entries.`);
        assert.equal(dry.status, '0');
        await untouched();
      }
    });
    test('-R checks and counts, and does nothing; a mistake is told as ever', async () => {
      const dry = await table.load([line(1), line(2), '-D -p tcp', '-U -p udp -m 99', '-F'], '--dry-run');
      assert.equal(dry.status, '0', dry.stderr);
      assert.match(dry.stderr, /every line is correct; 2 flow entries would be created/);
      assert.equal(closingLines(dry.stderr), '');
      assert.equal(dry.stdout.split('\n').length - 1, 1 + 4, dry.stdout);
      await untouched();
      const wrong = await table.load([line(1), '-D --nosuch'], '--dry-run');
      assert.equal(wrong.status, '2');
      assert.match(wrong.stderr, /standard input:2:4: /);
      await untouched();
    });
  });

  suite('--max', () => {
    for (const [words, touched, what] of [
      ['-D', 5, 'deleted'],
      ['-D -p udp', 4, 'deleted'],
      ['-U -m 7', 4, 'updated'],
      ['-U -p udp -m 8', 4, 'updated'],
      ['-F', 5, 'flushed'],
      ['-F -f ipv4', 4, 'flushed'],
    ] as const) {
      test(`${words} touches ${touched} or nothing`, async () => {
        const refused = await table.run(`${words} --max ${touched - 1}`);
        assert.equal(refused.status, '1');
        assert.equal(refused.stdout, '');
        assert.match(
          refused.stderr,
          new RegExp(
            `^conntrack: ${touched} flow entries would be ${what}, but --max allows ${touched - 1}; nothing was changed\\n +hint: `,
          ),
        );
        assert.equal(closingLines(refused.stderr), '');
        await untouched();
        const allowed = await table.run(`${words} --max ${touched}`);
        assert.equal(allowed.status, '0', allowed.stderr);
        assert.notDeepEqual(await table.saved(), before_);
      });
    }
    test('-R creates so many or nothing', async () => {
      const refused = await table.load([line(1), line(2), line(3)], '--max', '2');
      assert.equal(refused.status, '1');
      assert.match(refused.stderr, /creates 3 flow entries, but --max allows 2; nothing was changed/);
      await untouched();
      assert.equal((await table.load([line(1), line(2), line(3)], '--max', '3')).status, '0');
      assert.equal(await table.count(), 8);
    });
    test('-R FILE --max holds for each line that deletes, changes or flushes', async () => {
      const lines = [line(1), '-D -p tcp', '-U -p udp -m 9', line(2)];
      const refused = await table.load(lines, '--max', '3');
      assert.equal(refused.status, '1');
      assert.match(refused.stderr, /standard input:3: 5 flow entries would be updated, but --max allows 3/);
      assert.equal(await table.count(), 5);
      assert.equal((await table.load(lines.slice(1), '--max', '5')).status, '0');
    });
    test('with --dry-run it refuses as well; a bad number is refused', async () => {
      assert.equal((await table.run('-D --dry-run --max 4')).status, '1');
      assert.equal((await table.run('-D --dry-run --max 5')).status, '0');
      for (const value of ['', 'x', '-1', '1.5']) assert.equal((await table.run(['-D', '--max', value])).status, '2', value);
      assert.equal((await table.run('-D --max 0')).status, '1');
      await untouched();
    });
    test('within a load file, for one line', async () => {
      const refused = await table.load([line(1), '-D -p udp --max 2', line(2)]);
      assert.equal(refused.status, '1');
      assert.match(refused.stderr, /standard input:2: .*--max allows 2/);
      assert.equal(await table.count(), 6);
    });
  });

  test('--ok-if-none: nothing found is success, other failures are not', async () => {
    for (const words of [
      '-D -s 192.0.2.77',
      '-U -s 192.0.2.77 -m 1',
      '-U -m 0 -p tcp',
      '-G -s 192.0.2.77 -d 198.51.100.1 -p 50',
      '-D expect -s 192.0.2.77 -d 198.51.100.1 -p tcp --sport 1 --dport 2',
    ]) {
      assert.equal((await table.run(words)).status, '1', words);
      const outcome = await table.run(`${words} --ok-if-none`);
      assert.equal(outcome.status, '0', `${words}: ${outcome.stderr}`);
      if (!words.startsWith('-G'))
        assert.match(closing(outcome), /^0 (flow entries|expectations) have been (deleted|updated)\.$/);
    }
    assert.equal((await table.run('-D -s x --ok-if-none')).status, '2');
    assert.equal((await table.run('-U -u EXPECTED --ok-if-none')).status, '1');
    await untouched();
  });

  test('options of our own do not change what abbreviations mean, and are refused where they mean nothing', async () => {
    for (const words of [
      '-L --dry-run',
      '-I --max 1',
      '-C --ok-if-none',
      '-L --protect-ssh',
      '-A --dry-run',
      '-F expect --dry-run',
    ])
      assert.equal((await table.run(words)).status, '2', words);
    assert.equal((await table.run('-D --ma 5')).status, '2');
    await untouched();
  });

  suite('--protect-ssh', () => {
    const SSH = { SSH_CONNECTION: '203.0.113.50 50022 192.0.2.22 22' };
    const established = (original: Side, more: Partial<NewFlow> = {}): NewFlow => ({
      proto: 6,
      original,
      timeout: 10000,
      tcpState: TCP.ESTABLISHED,
      status: IPS_SEEN_REPLY | IPS_ASSURED,
      ...more,
    });
    const incoming = established(side('203.0.113.50', '192.0.2.22', 50022, 22));
    const others = [
      established(side('203.0.113.50', '192.0.2.22', 50023, 22)),
      established(side('203.0.113.51', '192.0.2.22', 50022, 22)),
      established(side('192.0.2.22', '203.0.113.50', 22, 50022)),
      { proto: 17, original: side('203.0.113.50', '192.0.2.22', 50022, 22), timeout: 10000 },
    ];
    const kept = async () => (await table.list('-p', 'tcp', '--sport', '50022', '-s', '203.0.113.50')).length;
    const withSsh = (words: string) => table.run(words, { environment: SSH });

    test('-D, -U and -F leave the session alone', async () => {
      await table.fill([incoming, others[0]!, others[1]!, others[3]!]);
      const updated = await withSsh('-U -m 5 --protect-ssh');
      assert.equal(closing(updated), '3 flow entries have been updated.');
      assert.equal((await table.list('-m', '0')).length, 1);
      const deleted = await withSsh('-D -p tcp --protect-ssh');
      assert.equal(closing(deleted), '2 flow entries have been deleted.');
      assert.equal(await kept(), 1);
      const dry = await withSsh('-D --protect-ssh --dry-run');
      assert.equal(closing(dry), '1 flow entries would be deleted.');
      const flushed = await withSsh('-F --protect-ssh');
      assert.equal(flushed.status, '0');
      assert.equal(closing(flushed), 'connection tracking table has been emptied.');
      assert.equal(await table.count(), 1);
      assert.equal(await kept(), 1);
      assert.equal(closing(await withSsh('-F -f ipv4 --protect-ssh')), 'connection tracking table has been emptied.');
      assert.equal(await kept(), 1);
    });

    test('only that one: without it all go', async () => {
      await table.fill([incoming, others[0]!]);
      assert.equal(closing(await withSsh('-D')), '2 flow entries have been deleted.');
    });

    test('behind a translation: the destination of one side, the source of the other', async () => {
      // A router in front translates to this server: its table knows the client and the virtual address.
      const dnat = established(side('203.0.113.50', '192.0.2.99', 50022, 2222), {
        destinationNat: { address: '192.0.2.22', port: 22 },
      });
      await table.fill([dnat, others[0]!]);
      assert.equal(closing(await withSsh('-D --protect-ssh')), '1 flow entries have been deleted.');
      assert.equal((await table.list('-d', '192.0.2.99')).length, 1);
    });

    test('IPv6', async () => {
      const environment = { SSH_CONNECTION: '2001:db8::50 50022 2001:db8:1::22 22' };
      await table.fill([established(side('2001:db8::50', '2001:db8:1::22', 50022, 22)), others[0]!]);
      assert.equal(closing(await table.run('-D --protect-ssh', { environment })), '1 flow entries have been deleted.');
      assert.equal((await table.list('-f', 'ipv6')).length, 1);
    });

    test('the session of a parent, where sudo has cleaned the environment', async () => {
      await table.fill([incoming, others[0]!]);
      const nested = [
        'sh',
        '-c',
        'env -i PATH="$PATH" sh -c \'"$@"; exit $?\' sh "$@"; exit $?',
        'sh',
        UNDER_TEST,
        '-D',
        '--protect-ssh',
      ];
      const outcome = toOutcome(await table.namespace.run(nested, { environment: SSH }));
      assert.equal(closing(outcome), '1 flow entries have been deleted.', outcome.stderr);
      assert.equal(await kept(), 1);
    });

    test('-R FILE --protect-ssh holds for every line', async () => {
      await table.fill([incoming, others[0]!, others[1]!]);
      const input = Buffer.from('-D -p tcp --sport 50023\n-U -m 5\n-F\n-D\n-F -f ipv4\n');
      const outcome = await table.run('-R - --protect-ssh', { environment: SSH, input });
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.equal(outcome.stdout.split('\n').length - 1, 2);
      assert.equal(await table.count(), 1);
      assert.equal(await kept(), 1);
    });

    test('without a session it refuses, and touches nothing', async () => {
      // In a process namespace of its own there are no parents: these tests may well run within an SSH session.
      const alone = ['unshare', '--pid', '--fork', '--mount-proc', '--', UNDER_TEST];
      for (const words of ['-D --protect-ssh', '-F --protect-ssh', '-U -m 1 --protect-ssh', '-R /dev/null --protect-ssh']) {
        const outcome = toOutcome(await table.namespace.run([...alone, ...words.split(' ')]));
        assert.equal(outcome.status, '1');
        assert.match(outcome.stderr, /^conntrack: --protect-ssh: .*\n +hint: /);
        await untouched();
      }
      const broken = toOutcome(
        await table.namespace.run([...alone, '-D', '--protect-ssh'], { environment: { SSH_CONNECTION: 'x y z' } }),
      );
      assert.equal(broken.status, '1');
      await untouched();
    });
  });
});
