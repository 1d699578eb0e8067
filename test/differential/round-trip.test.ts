// Saved tables are restored: `-o save,full`, `-o ndjson`, `-o save`, onto itself, in another order and after a flush, with every
// attribute that the kernel sends. Behaviour: docs/behaviour.md 4.13.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { kernelTable } from '../support/kernel-table.js';
import { newFlow } from '../support/netlink.js';
import { FLOWS } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Table } from '../support/table.js';

const SEED = seedFromEnvironment(20260304);
const OURS = { skip: SELF_TEST ? 'the reference is tested' : false } as const;

before(requirePrerequisites);
let table: Table;
let second: Table;
before(async () => {
  table = await Table.create('trip', { purpose: 'answer' });
  second = await Table.create('trip2', { purpose: 'answer' });
});
after(async () => {
  await table?.[Symbol.asyncDispose]();
  await second?.[Symbol.asyncDispose]();
});

/** Every entry's attributes, except the seconds left. */
async function raw(from: Table): Promise<string[]> {
  const text = await kernelTable(from.namespace, 'flows');
  return text
    .trimEnd()
    .replaceAll(/<timeout>.*?<\/timeout>/g, '')
    .split('\n')
    .sort();
}

/** Entries that only this tool can make: everything that the population lacks. */
const SPECIAL: readonly string[] = [
  '-I -s 192.0.2.50 -d 198.51.100.1 -p tcp --sport 21000 --dport 21 --state ESTABLISHED -t 5000 -u SEEN_REPLY,ASSURED --helper ftp --tcp-wscale 7,9 --tcp-flags 3,35',
  '-A -s 198.51.100.1 -d 192.0.2.50 -p tcp --sport 20 --dport 41010 --state ESTABLISHED -t 5000 -u SEEN_REPLY --master-src 192.0.2.50 --master-dst 198.51.100.1 --master-proto 6 --master-ports 21000,21',
  '-A -s 198.51.100.1 -d 192.0.2.50 -p udp --sport 1 --dport 2 -t 5000 -m 9 --master-src 192.0.2.50 --master-dst 198.51.100.1 --master-proto 6 --master-ports 21000,21',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p tcp --sport 1 --dport 80 --state SYN_SENT -t 5000 --tcp-wscale 0,14 --tcp-flags 1,1',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p tcp --sport 2 --dport 80 --state TIME_WAIT -t 5000 --tcp-flags 0,0',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p tcp --sport 3 --dport 80 --state ESTABLISHED -t 5000 --seqadj-orig 100,1,4294967295 --seqadj-reply 7,0,12 -n 203.0.113.77',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p tcp --sport 4 --dport 80 --state ESTABLISHED -t 5000 --synproxy 1,2,4294967295',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p tcp --sport 5 --dport 80 --state CLOSE -t 5000 -u FIXED_TIMEOUT,ASSURED -m 4294967295 --label-bits 0x80000000000000000000000000000001',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p sctp --sport 5 --dport 80 --state HEARTBEAT_SENT --orig-vtag 4294967295 --reply-vtag 1 -t 5000 -n 203.0.113.77:99',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p udplite --sport 5 --dport 80 -t 5000 -n 203.0.113.77:99 -g 203.0.113.78:100',
  '-I -s 2001:db8::50 -d 2001:db8:1::1 -p tcp --sport 5 --dport 80 --state ESTABLISHED -t 5000 -n [2001:db8:9::77]:99 -g [2001:db8:9::78]:100 -w 77',
  '-I -s 2001:db8::50 -d 2001:db8:1::1 -p udp --sport 6 --dport 80 -t 5000 -n [2001:db8::50]:99 --orig-zone 12',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p udp --sport 7 --dport 80 -t 5000 -g [198.51.100.1]:8080 --reply-zone 13'.replace(
    '[198.51.100.1]',
    '198.51.100.1',
  ),
  '-I -s 192.0.2.50 -d 198.51.100.1 -p icmp --icmp-type 8 --icmp-code 3 --icmp-id 65535 -t 5000 -g 203.0.113.78',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p gre --srckey 0xffff --dstkey 0 -t 5000 -n 203.0.113.77 -u ASSURED',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p 255 -t 5000 -n 203.0.113.77 -g 203.0.113.78 --zone 3',
  '-I -s 192.0.2.50 -d 198.51.100.1 -p dccp --sport 0 --dport 0 --state NONE --role client -t 5000 -m 3',
];

/** A saved line of a protocol whose ports this kernel does not track. */
const WITHOUT_PORTS = /-p (dccp|udplite)$/;

suite('what was saved comes back', OURS, () => {
  const fill = async (): Promise<void> => {
    await table.fill([]);
    await table.namespace.netlink(FLOWS.map(newFlow));
    const special = await table.load(SPECIAL);
    assert.equal(special.status, '0', special.stderr);
  };

  test('-o save,full brings back every attribute that can be set', async () => {
    await fill();
    const before = await table.saved();
    assert.equal(before.length, FLOWS.length + SPECIAL.length);
    for (const part of [
      '--helper ftp',
      '--helper sip',
      '--label-bits 0x8',
      '--master-ports 21000,21',
      '--tcp-wscale 7,9',
      '--seqadj-orig 100,1,4294967295',
      '--seqadj-reply 7,0,12',
      '--synproxy 1,2,4294967295',
      'FIXED_TIMEOUT',
      '--orig-zone 12',
      '--reply-zone 13',
      '-w 65535',
      '-n [2001:db8:9::77]:99 ',
      '-m 4294967295',
      'EXPECTED',
    ])
      assert.ok(
        before.some((text) => text.includes(part)),
        `nothing saved has ${part}`,
      );
    const expected = await raw(table);
    const random = new Random(SEED);
    for (const shuffled of [before, [...before].reverse(), random.shuffle(before)]) {
      await second.fill([]);
      const outcome = await second.load(shuffled.map((text) => text.replace('-t T', '-t 5000')));
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.deepEqual(await second.saved(), before);
      assert.deepEqual(await raw(second), expected);
    }
  });

  test('-L -o save,full | -R - as a pipe, onto itself and after a flush', async () => {
    await fill();
    const before = await table.saved();
    const expected = await raw(table);
    const saved = (await table.run('-L -o save,full')).stdout;
    const again = await table.load(saved);
    assert.equal(again.status, '0', again.stderr);
    assert.deepEqual(await table.saved(), before);
    assert.deepEqual(await raw(table), expected);
    const flushed = await table.load(`-F\n${saved}`);
    assert.equal(flushed.status, '0', flushed.stderr);
    assert.deepEqual(await raw(table), expected);
  });

  test('-L -o ndjson | -R - --format ndjson brings back every attribute that can be set', async () => {
    await fill();
    const before = await table.saved();
    const expected = await raw(table);
    const lines = (await table.run('-L -o ndjson')).stdout.trimEnd().split('\n');
    const random = new Random(SEED);
    for (const shuffled of [lines, [...lines].reverse(), random.shuffle(lines)]) {
      await second.fill([]);
      const outcome = await second.load(shuffled, '--format', 'ndjson');
      assert.equal(outcome.status, '0', outcome.stderr);
      // Status UNSET and ports of protocols that are not tracked are spelled by -o save,full, and the same in both tables.
      assert.deepEqual(await second.saved(), before);
      assert.deepEqual(await raw(second), expected);
    }
    // Onto itself, and what was deleted.
    const again = await second.load(lines, '--format', 'ndjson');
    assert.equal(again.status, '0', again.stderr);
    assert.deepEqual(await raw(second), expected);
    const deleted = (await second.run('-D -o ndjson')).stdout;
    assert.equal(await second.count(), 0);
    const restored = await second.load(deleted, '--format', 'ndjson');
    assert.equal(restored.status, '0', restored.stderr);
    assert.deepEqual(await raw(second), expected);
  });

  test('a wrong line of JSON is told with its place, and nothing is loaded', async () => {
    await second.fill([]);
    const good = '{"protocol":"udp","timeout":100,"original":{"src":"192.0.2.1","dst":"192.0.2.2","sport":1,"dport":2}}';
    for (const [bad, place] of [
      ['{"protocol":', /:2:\d+: not JSON/],
      ['[', /:2:\d+: the beginning of a JSON document[\s\S]*-o ndjson/],
      ['7', /:2:1: the value must be an object, not 7/],
      ['{"type":"NEW","flow":{}}', /:2:1: an event, not a flow[\s\S]*jq/],
      [good.replace('"sport":1', '"sport":70000'), /:2:1: original\.sport must be a whole number from 0 to 65535, not 70000/],
      [good.replace('timeout', 'time'), /:2:1: (timeout is missing|time is not known)/],
      [good.replace('192.0.2.2', '::1'), /:2:1: original\.src and original\.dst are of different families/],
    ] as const) {
      const outcome = await second.load([good, bad], '--format', 'ndjson');
      assert.equal(outcome.status, '2', bad);
      assert.match(outcome.stderr, place);
      assert.equal(await second.count(), 0, bad);
    }
    const refused = await second.load([good], '--format', 'yaml');
    assert.match(refused.stderr, /unknown format 'yaml'; it takes text, ndjson/);
    const loaded = await second.load(['', good, '{"matched":1,"deleted":1}'], '--format', 'ndjson');
    assert.equal(loaded.status, '0', loaded.stderr);
    assert.equal(await second.count(), 1);
  });

  test('-D -o save writes lines that delete the same flows again, whatever seconds are left (docs/differences.md B53)', async () => {
    await table.fill(FLOWS);
    const deleted = await table.run('-D -o save');
    assert.equal(deleted.status, '0', deleted.stderr);
    await table.fill(FLOWS.map((flow) => ({ ...flow, timeout: flow.timeout + 7 })));
    const all = deleted.stdout.trimEnd().split('\n');
    // Without its ports a line of UDP-Lite names no flow: it selects, by seconds and status as well (docs/differences.md B26).
    const lines = all.filter((text) => !/-p udplite$/.test(text));
    const outcome = await table.load(lines);
    assert.equal(outcome.status, '0', outcome.stderr);
    assert.equal(outcome.stdout.trimEnd().split('\n').length, lines.length);
    assert.equal(all.length, FLOWS.length);
    assert.equal(await table.count(), all.length - lines.length);
  });

  test('-L -o save | -R - brings back what that form has', async () => {
    await fill();
    const lines = (await table.run('-L -o save')).stdout.trimEnd().split('\n');
    const untracked = lines.some((text) => WITHOUT_PORTS.test(text));
    const refused = await second.load(lines);
    assert.equal(
      refused.status,
      untracked ? '2' : '0',
      `docs/differences.md B26: what a kernel does not track has no ports in this form: ${refused.stderr}`,
    );
    const loadable = lines.filter((text) => !WITHOUT_PORTS.test(text));
    await second.fill([]);
    const outcome = await second.load(loadable);
    assert.equal(outcome.status, '0', outcome.stderr);
    const before = loadable
      .map((text) =>
        text
          .replace(/^-A -t \d+/, '-A -t T')
          .replace('EXPECTED,', '')
          .replace('-u EXPECTED', '-u UNSET'),
      )
      .sort();
    assert.deepEqual(await second.list('-o', 'save'), before);
  });
});
