// --filter, --filter-file and --explain-filter: with every command that takes them, beside other options, in load files, and where they
// are missing. The C tool knows none of them, and must never do more than was meant with a command line that was written for this one.

import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { type NewFlow, type Side, TCP } from '../support/netlink.js';
import type { Outcome } from '../support/outcome.js';
import { REFERENCE, requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Table } from '../support/table.js';

const side = (src: string, dst: string, sport: number, dport: number): Side => ({ src, dst, sport, dport });
const FLOWS: readonly NewFlow[] = [
  { proto: 17, original: side('192.0.2.1', '198.51.100.1', 1, 53), timeout: 10000 },
  { proto: 17, original: side('192.0.2.1', '198.51.100.1', 2, 5353), timeout: 10000, mark: 7 },
  { proto: 17, original: side('192.0.2.2', '198.51.100.1', 3, 53), timeout: 10000, zone: 5 },
  { proto: 6, original: side('192.0.2.1', '198.51.100.1', 4, 80), timeout: 10000, tcpState: TCP.ESTABLISHED },
  { proto: 6, original: side('10.0.0.1', '198.51.100.1', 4, 443), timeout: 100, tcpState: TCP.SYN_SENT, mark: 0x2a05 },
  { proto: 17, original: side('2001:db8::1', '2001:db8:1::1', 5, 53), timeout: 10000 },
];

before(requirePrerequisites);
suite('filters in text', { skip: SELF_TEST ? 'options of our own' : false }, () => {
  let table: Table;
  before(async () => {
    table = await Table.create('filters', { purpose: 'answer' });
    await table.namespace.sysctl({ 'net.netfilter.nf_conntrack_acct': 0, 'net.netfilter.nf_conntrack_timestamp': 0 });
  });
  after(() => table[Symbol.asyncDispose]());
  beforeEach(() => table.fill(FLOWS));
  const run = (command: string, expression: string, ...more: string[]) =>
    table.run([...command.split(' '), '--filter', expression, ...more]);
  /** Source ports, which tell the flows apart. */
  const ports = ({ stdout }: Outcome) =>
    [...stdout.matchAll(/^\S.*? src=(\S+) dst=\S+ sport=(\d+)/gm)].map(([, src, port]) => `${src}:${port}`).sort();

  for (const [expression, count] of [
    ['udp', 4],
    ['not udp', 2],
    ['dst port {53, 80}', 4],
    ['dst port 53-100 and not zone 5', 3],
    ['src 192.0.2.0/24 or ip6', 5],
    ['src private', 1],
    ['mark & 0xff00 = 0x2a00', 1],
    ['mark {7, 0x2a05}', 2],
    ['tcp and state {established, syn-sent} and timeout < 1h', 1],
    ['unreplied', 6],
    ['nat', 0],
    ['bytes > 0', 0],
    ['not bytes > 0', 0],
    ['not age > 1h', 0],
    ['has bytes or has start', 0],
    ['host 198.51.100.1', 5],
    ['host {2001:db8::1, 10.0.0.1}', 2],
    ['none', 0],
    ['all', 6],
  ] as const)
    test(`${expression}: ${count}, listed, counted, and as the rest of its negation`, async () => {
      const listed = await run('-L', expression);
      assert.equal(listed.status, '0', listed.stderr);
      assert.equal(ports(listed).length, count, listed.stdout);
      assert.equal((await run('-C', expression)).stdout, `${count}\n`);
      const dry = await run('-D', expression, '--dry-run');
      assert.deepEqual(ports(dry), ports(listed));
      assert.equal(dry.status, count > 0 ? '0' : '1');
      if (!/bytes|age/.test(expression)) assert.equal(ports(await run('-L', `not (${expression})`)).length, FLOWS.length - count);
    });

  test('all filters and options must hold', async () => {
    assert.deepEqual(ports(await table.run(['-L', '-p', 'udp', '--filter', 'src 192.0.2.1', '--filter', 'mark 7'])), [
      '192.0.2.1:2',
    ]);
    assert.equal(ports(await run('-L', 'udp', '-f', 'ipv6')).length, 1);
  });

  test('-D deletes what is found and nothing else', async () => {
    const deleted = await run('-D', 'udp and dst port 53 and not ip6');
    assert.deepEqual(ports(deleted), ['192.0.2.1:1', '192.0.2.2:3']);
    assert.equal(await table.count(), 4);
  });

  test('-U: options are new values, the filter says which', async () => {
    assert.deepEqual(ports(await run('-U', 'mark 7', '-m', '8')), ['192.0.2.1:2']);
    assert.deepEqual(ports(await run('-L', 'mark 8')), ['192.0.2.1:2']);
  });

  test('-G: a flow that is there, but is another', async () => {
    const tuple = '-G -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53';
    assert.equal((await run(tuple, 'unreplied')).status, '0');
    assert.equal((await run(tuple, 'replied')).status, '1');
  });

  test('-E shows events for which it holds', async () => {
    let watching = true;
    const watched = table
      .run(['-E', '-e', 'DESTROY', '--filter', 'udp and dst port {53}', '--count', '6', '--for', '60'])
      .finally(() => {
        watching = false;
      });
    // It begins sometime: until it has seen enough, flows come and go.
    while (watching) {
      await table.fill(FLOWS);
      await table.run('-F');
    }
    const { stdout, stderr } = await watched;
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, 6, stdout + stderr);
    for (const line of lines) assert.match(line, /\[DESTROY\] udp .* dport=53 .*src=/);
  });

  test('a mistake is refused with its place, and nothing is changed', async () => {
    for (const command of ['-L', '-D', '-U -m 5', '-C', '-E']) {
      const refused = await run(command, 'tcp and dprt 443');
      assert.equal(refused.status, '2');
      assert.equal(refused.stdout, '');
      assert.match(
        refused.stderr,
        /^conntrack: --filter: column 9: unknown word 'dprt'\n {2}tcp and dprt 443\n {10}\^{4}\n {2}hint: did you mean dport\?\n$/,
      );
    }
    for (const blank of ['', '  ', '#']) assert.equal((await run('-D', blank)).status, '2');
    assert.equal(await table.count(), 6);
  });

  test('commands and tables that take no filter say so', async () => {
    for (const words of ['-I', '-F', '-S', '-L expect', '-D expect', '-L -z']) {
      const refused = await run(words, 'tcp');
      assert.equal(refused.status, '2', words);
    }
    assert.equal(ports(await run('-L dying', 'tcp')).length, 0);
  });

  test('a filter that lost its option is refused where it would spare flows, and told where it would hide some', async () => {
    for (const command of ['-D -s 192.0.2.1', '-U -s 192.0.2.1 -m 3']) {
      const refused = await table.run([...command.split(' '), 'dport 53']);
      assert.equal(refused.status, '2');
      assert.match(refused.stderr, /hint: write --filter 'dport 53'/);
    }
    assert.equal(await table.count(), 6);
    const listed = await table.run(['-L', '-s', '192.0.2.1', 'dport', '53']);
    assert.deepEqual([listed.status, ports(listed).length], ['0', 3]);
    assert.match(listed.stderr, /'dport 53' belongs to no option.*--filter 'dport 53'/);
    const table_ = await table.run(['-D', 'dport 53']);
    assert.deepEqual([table_.status, await table.count()], ['2', 6]);
    assert.match(table_.stderr, /unknown table.*\n {2}hint: write --filter 'dport 53'/);
    assert.equal((await table.run(['-L', '-p', 'udp', 'whatever'])).stderr.includes('--filter'), false);
  });

  test('an expression without quotes is refused where it would change more, and told where it would show more', async () => {
    for (const words of [
      ['--filter', 'udp', 'and', 'dport', '53'],
      ['--filter', 'udp', 'and', 'dport 53'],
      ['--filter', 'udp', '&&', 'dport', '53'],
      ['--filter', 'udp', '--', 'and', 'dport', '53'],
      ['--filter', 'udp', 'dprt53'],
      ['--filter', 'not tcp', ')'],
      ['-p', 'udp', 'and', 'dport', '53'],
      ['-p', 'udp', 'or', 'dport', '53'],
    ]) {
      for (const command of [['-D'], ['-U', '-m', '3']]) {
        const refused = await table.run([...command, ...words]);
        assert.equal(refused.status, '2', words.join(' '));
        assert.match(refused.stderr, /belongs to no option and selects nothing\n {2}hint: /);
      }
    }
    for (const line of ['-D --filter udp and dport 53', '-D --filter "udp" "and dport 53"'])
      assert.equal((await table.run(['-R', '-'], { input: Buffer.from(`${line}\n`) })).status, '2', line);
    assert.equal(await table.count(), 6);
    const listed = await run('-L', 'udp', 'and', 'dport', '5353');
    assert.deepEqual([listed.status, ports(listed).length], ['0', 4]);
    assert.match(
      listed.stderr,
      /hint: the whole expression stands in quotes: --filter 'udp and dport 5353'|--filter 'udp and dport 5353'/,
    );
    const comment = await table.run(['-R', '-'], { input: Buffer.from('-D --filter "udp and dport 5353" # and this\n') });
    assert.deepEqual([comment.status, await table.count()], ['0', 5]);
  });

  test('a negated state without a protocol is noted where it changes flows without states', async () => {
    const noted = /note: not state established: flows without states, such as UDP, are selected too; write tcp and before it/;
    assert.match((await run('-D', 'state != established', '--dry-run')).stderr, noted);
    assert.doesNotMatch((await run('-D', 'tcp and state != established', '--dry-run')).stderr, /note:/);
    assert.equal(await table.count(), 6);
  });

  test('the C tool does not run a command line that has one', async () => {
    for (const words of [
      ['-D', '--filter', 'tcp'],
      ['-D', '--filter=tcp'],
      ['-L', '--filter', 'tcp'],
      ['-D', '-s', '192.0.2.1', '--filter-file', '-'],
    ]) {
      const outcome = await table.namespace.run([REFERENCE, ...words]);
      assert.notEqual(outcome.status, 0, words.join(' '));
    }
    assert.equal(await table.count(), 6);
  });

  test('a file, and standard input', async () => {
    const input = Buffer.from('# web\ntcp and\n  dst port {80,\n  443}\n');
    const listed = await table.run(['-L', '--filter-file', '-'], { input });
    assert.deepEqual([listed.status, ports(listed).length], ['0', 2], listed.stdout + listed.stderr);
    const wrong = await table.run(['-L', '--filter-file', '-'], { input: Buffer.from('tcp and\n  dprt 80\n') });
    assert.match(wrong.stderr, /--filter-file: standard input: line 2, column 3: unknown word 'dprt'\n {4}dprt 80\n {4}\^{4}\n/);
    const endless = await table.run(['-D', '--filter-file', '/dev/zero']);
    assert.equal(endless.status, '2');
    assert.match(endless.stderr, /--filter-file: \/dev\/zero: column 1: more than 1048576 characters/);
    const missing = await table.run(['-D', '--filter-file', '/proc/nosuch']);
    assert.deepEqual([missing.status, await table.count()], ['1', 6]);
  });

  test('lines of a load file', async () => {
    const load = (text: string) => table.run(['-R', '-'], { input: Buffer.from(text) });
    const loaded = await load('-U --filter "mark 7" -m 9\n-D --filter "udp and not mark 9"\n');
    assert.equal(loaded.status, '0', loaded.stderr);
    assert.equal(await table.count(), 3);
    assert.deepEqual(ports(await run('-L', 'mark 9')), ['192.0.2.1:2']);
    const wrong = await load('-D -p tcp\n-D --filter "dprt 5"\n');
    assert.equal(wrong.status, '2');
    assert.match(wrong.stderr, /standard input:2:\d+: --filter: column 1: unknown word 'dprt'/);
    assert.equal((await load('-D -p tcp\n-D --filter-file /etc/hostname\n')).status, '2');
    assert.equal(await table.count(), 3);
  });

  test('notes say what is not known, once, and change no exit status', async () => {
    const noted = await run('-L', 'not bytes > 1M and age > 1h');
    assert.equal(noted.status, '0');
    assert.deepEqual(
      noted.stderr
        .split('\n')
        .filter((line) => line.includes('note:'))
        .map((line) => /nf_conntrack_(\w+)/.exec(line)?.[1]),
      ['acct', 'timestamp'],
    );
    assert.match((await run('-C', 'tcp and udp')).stderr, /note: tcp and udp: can never hold/);
    assert.equal((await run('-L', 'tcp and dst port 80')).stderr.includes('note:'), false);
    assert.match(noted.stderr, /: 0 flow entries have been shown/);
  });

  test('no label is found because no flow has any', async () => {
    const noted = await run('-L', 'label 3');
    assert.equal(noted.status, '0');
    assert.match(noted.stderr, /^conntrack: note: no flow of this table has a label$/m);
    await run('-U', 'tcp and dst port 80', '--label-add', 'web');
    assert.equal((await run('-L', 'label 3')).stderr.includes('note:'), false);
  });

  test('--explain-filter runs nothing', async () => {
    const explained = await run('-D', 'udp and mark {1, 3} and not assured and bytes > 1M', '--explain-filter');
    assert.equal(explained.status, '0');
    assert.deepEqual(explained.stdout.split('\n').slice(0, 3), [
      'filter:  udp and mark {1, 3} and not assured and bytes > 1M',
      'kernel:  1 dump: udp and mark 0x1/0xfffffffd and not assured',
      'here:    the whole filter, on every entry that comes',
    ]);
    assert.equal(await table.count(), 6);
    const json = JSON.parse((await run('-E', 'host 10.0.0.1', '--explain-filter', '-o', 'json')).stdout) as {
      socket: { filter: string };
    };
    assert.equal(json.socket.filter, 'host 10.0.0.1');
  });
});
