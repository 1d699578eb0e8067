// Reading, case by case: the lines of cases/*.case against tables filled over netlink, real traffic through a router, and runs in special
// circumstances. At the end, every known difference must have shown, so that one that has disappeared is noticed.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe as suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kernelIsAtLeast } from '../../src/wire/kernel.js';
import { splitWords } from '../support/argv.js';
import { type Case, parseCases } from '../support/case-file.js';
import { type CompareSettings, compare, describe, type Verdict } from '../support/compare.js';
import { manyFlows } from '../support/many.js';
import { LABEL_FILE, Namespace } from '../support/namespace.js';
import { type CompareOptions, closingLines, compareOutcomes, hasDiagnostic, toOutcome } from '../support/outcome.js';
import { datagrams, fillDyingList, LABELS, populate, populateCounters } from '../support/population.js';
import {
  AS_NOBODY,
  PROJECT,
  REFERENCE,
  readProjectFile,
  requirePrerequisites,
  SELF_TEST,
  SLOWNESS,
  UNDER_TEST,
} from '../support/project.js';
import { Report } from '../support/report.js';
import { makeTraffic } from '../support/traffic.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';

const report = new Report();
before(requirePrerequisites);
after(() => console.log(report.summary('reading, case by case')));

/** Compares and fails at once on a difference that is not known. */
async function check(
  namespace: Namespace,
  words: string | readonly string[],
  settings: CompareSettings = {},
  where = '',
): Promise<Verdict> {
  const argv = typeof words === 'string' ? splitWords(words) : words;
  const verdict = await compare(namespace, argv, KNOWN_DIFFERENCES, settings);
  report.add(verdict, where);
  return verdict;
}

async function same(
  namespace: Namespace,
  words: string | readonly string[],
  settings: CompareSettings = {},
  where = '',
): Promise<Verdict> {
  const verdict = await check(namespace, words, settings, where);
  if (verdict.mismatches.length > 0) assert.fail(describe(verdict, where));
  return verdict;
}

const TABLES: Readonly<Record<string, (namespace: Namespace) => Promise<void>>> = {
  populated: (namespace) => populate(namespace, { accounting: true, timestamps: true, traffic: 'all' }),
  plain: (namespace) => populate(namespace, { accounting: false, timestamps: false, traffic: 'datagrams' }),
  dying: async (namespace) => {
    await populate(namespace, { accounting: true, timestamps: true, traffic: 'none' });
    await fillDyingList(namespace);
  },
  empty: (namespace) => namespace.labels(LABELS),
};

const FOLDER = join('test', 'differential', 'cases');
for (const file of readdirSync(join(PROJECT, FOLDER)).filter((name) => name.startsWith('read') && name.endsWith('.case'))) {
  const cases = parseCases(readProjectFile(join(FOLDER, file)), file);
  for (const table of new Set(cases.map((one) => one.table))) {
    test(`${file} [${table}]`, async () => {
      const fill = TABLES[table];
      assert.ok(fill, `${file}: no table ${table}`);
      await using namespace = await Namespace.create(`case-${table}`, 'answer');
      await fill(namespace);
      await namespace.ask('write', '/etc/xtables/same.conf', LABELS);
      const faults: string[] = [];
      for (const one of cases) if (one.table === table) faults.push(...(await runCase(namespace, one)));
      assert.equal(faults.length, 0, `${faults.length} faults\n\n${faults.join('\n\n')}`);
    });
  }
}

async function runCase(namespace: Namespace, one: Case): Promise<string[]> {
  const verdict = await check(namespace, one.argv, one.table === 'dying' ? { order: 'any' } : {}, one.place);
  if (SELF_TEST) return verdict.mismatches.length > 0 ? [describe(verdict, one.place)] : [];
  const faults = verdict.mismatches.length > 0 ? [describe(verdict, one.place)] : [];
  const say = (what: string) => faults.push(`${describe(verdict, one.place)}\n  ${what}`);
  if (verdict.actual.status !== one.status) say(`the case says exit ${one.status}, it is ${verdict.actual.status}`);
  const lines = verdict.actual.stdout.split('\n').length - 1;
  if (one.lines !== undefined && lines !== one.lines) say(`the case says ${one.lines} lines, there are ${lines}`);
  const shown = [...new Set(verdict.differences)].filter((id) => !one.sometimes.includes(id)).sort();
  // Where the kernel does not heed what the reference leaves to it, more of them show, and some have no entry to show on.
  if (kernelIsAtLeast(5, 15) && shown.join() !== one.differences.join())
    say(`the case says known differences [${one.differences}], there are [${shown}]`);
  return faults;
}

suite('real traffic through a router', () => {
  const LINES = [
    '-L', '-L -o extended,id', '-L -o labels,ktimestamp,id', '-L -o save', '-L -o xml', '-L -o xml,labels,ktimestamp', '-L -f ipv6', '-L -f ipv4 -o extended',
    '-L -p tcp', '-L -p udp', '-L -p icmp', '-L -p icmpv6 -o extended', '-L -p sctp -o save', '-L -p gre', '-L -p gre -o save', '-L -p udplite', '-L -p 50', '-L -p dccp',
    '-L -p tcp --state ESTABLISHED', '-L -p tcp --state TIME_WAIT', '-L -p tcp --dport 80', '-L -p tcp --reply-port-src 80', '-L -p udp --sport 30053', '-L -p icmp --icmp-id 4711',
    '-L -n', '-L -g', '-L -j', '-L -g 10.8.0.2', '-L -g 10.8.0.2:80', '-L -g 10.8.0.2:53', '-L -n 10.8.0.77', '-L -n 10.8.0.77:5000', '-L -n fd08::77', '-L -n fd08::78', '-L -j 10.8.0.77', '-L -p udp -j 10.8.0.2', '-L -n -o xml', '-L -g -o save',
    '-L -w 5', '-L -w 0', '-L --orig-zone 7', '-L --reply-zone 8', '-L --orig-zone 7 -o save', '-L --reply-zone 8 -o xml',
    '-L -m 0x35', '-L -m 0x10/0xf0', '-L -m 0', '-L -l web', '-L -l web -l eth0-in', '-L -l web,eth0-in -o labels', '-L -o labels -p udp --dport 1055',
    '-L -u ASSURED', '-L -u EXPECTED', '-L -u EXPECTED -o xml', '-L -u UNREPLIED', '-L -u SEEN_REPLY,!ASSURED', '-L -s 10.7.0.0/24', '-L -d 10.8.0.99', '-L -r 10.8.0.2', '-L -q 10.8.0.77', '-L -s fd07::/64', '-L -d fd08::2 -o extended',
    '-L expect', '-L expect -f ipv4', '-L expect -f ipv6', '-L expect -o xml', '-L expect -f ipv4 -o timestamp', '-C', '-C expect', '-S', '-S expect', '-L dying', '-L unconfirmed',
    '-G -s 10.7.0.2 -d 10.8.0.99 -p tcp --sport 40002 --dport 8080', '-G -s 10.7.0.2 -d 10.8.0.99 -p tcp --sport 40002 --dport 8080 -o xml', '-G -s 10.7.0.2 -d 10.8.0.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 4711 -o id',
    '-G -s fd07::2 -d fd08::2 -p udp --sport 30053 --dport 53', '-G -s 10.8.0.2 -d 10.7.0.2 -p tcp --sport 80 --dport 40001', '-G -r 10.8.0.2 -q 10.7.0.2 -p tcp --reply-port-src 80 --reply-port-dst 40002',
    '-G -s 10.7.0.2 -d 10.8.0.2 -p udp --sport 31005 --dport 1005', '-G -s 10.7.0.2 -d 10.8.0.2 -p udp --sport 31005 --dport 1005 -w 5',
  ]; // biome-ignore format: a list
  for (const [accounting, timestamps] of [
    [true, true],
    [false, false],
    [true, false],
  ] as const) {
    test(`accounting ${accounting ? 'on' : 'off'}, timestamps ${timestamps ? 'on' : 'off'}`, async () => {
      await using scene = await makeTraffic({ accounting, timestamps, purpose: 'answer' });
      const shown = await scene.router.must([REFERENCE, '-L', '-o', 'labels']);
      for (const part of [
        'zone=5',
        'zone-orig=7',
        'zone-reply=8',
        'mark=53',
        'labels=web,eth0-in',
        'sctp ',
        'gre ',
        'udplite ',
        'icmp ',
        'icmpv6 ',
        'unknown  50',
        'helper=ftp',
        'dst=10.8.0.77',
        'dst=fd08::77',
        '[UNREPLIED]',
        '[ASSURED]',
      ])
        assert.ok(shown.includes(part), `the traffic left no ${part} in the table:\n${shown}`);
      assert.equal(shown.includes('packets='), accounting);
      assert.equal(shown.includes('delta-time='), timestamps);
      for (const family of ['ipv4', 'ipv6'])
        assert.match(await scene.router.must([REFERENCE, '-L', 'expect', '-f', family]), /helper=ftp/);
      assert.match(await scene.router.must([REFERENCE, '-L', '-u', 'EXPECTED']), /dport=30100/);
      for (const line of LINES) await same(scene.router, line, {}, 'traffic');
    });
  }
});

test('two namespaces that were filled alike', async () => {
  await using first = await Namespace.create('first');
  await using second = await Namespace.create('second');
  for (const namespace of [first, second])
    await populate(namespace, { accounting: true, timestamps: true, traffic: 'datagrams' });
  const twins: CompareSettings = { second, slack: 5 };
  for (const line of [
    '-L',
    '-L -o extended,id',
    '-L -o save',
    '-L -o xml',
    '-L -o labels,ktimestamp,id',
    '-L -o xml,labels,ktimestamp',
    '-L -f ipv6',
    '-L -p tcp -o id',
    '-L -s 192.0.2.0/24',
    '-L -n -o save',
    '-L expect',
    '-L expect -o xml',
    '-L expect -f ipv6',
    '-C',
    '-C expect',
    '-G -s 192.0.2.1 -d 198.51.100.1 -p tcp --sport 40003 --dport 80 -o id,ktimestamp',
  ])
    await same(first, line, twins, 'two namespaces');
});

// The kernel resets an entry's counters while it fills a message; where the message then is too short for the entry, it comes
// again in the next one, with zeros. So these tables are small.
test('-z in two namespaces that were filled alike', async () => {
  await using first = await Namespace.create('first');
  await using second = await Namespace.create('second');
  for (const namespace of [first, second]) await populateCounters(namespace);
  // A UDP stream is assured once it is two seconds old: let all be, so that how fast this machine is does not show.
  for (const namespace of [first, second]) await datagrams(namespace);
  await sleep(2500);
  for (const namespace of [first, second]) await datagrams(namespace);
  const options: CompareOptions = { order: 'any', namespaces: 'two', tolerance: 10 };
  for (const line of [
    '-L -z',
    '-zL -o xml',
    '-L -z -o save',
    '-L -z -f ipv4',
    '-L -z -f ipv6 -o extended',
    '-L -z -n 127.0.0.8',
    '-L -z -g 203.0.113.9',
    '-L --zero -o id',
  ]) {
    for (const namespace of [first, second]) await datagrams(namespace);
    // docs/differences.md B12 asks the reference again, which is too late for counters; they are in the text.
    await same(first, line, { second, slack: 5 }, 'counters');
    const left = toOutcome(await first.run([REFERENCE, '-L']));
    const right = toOutcome(await second.run([REFERENCE, '-L']));
    assert.deepEqual(compareOutcomes(left, right, options), [], `after ${line} the counters of the two namespaces differ`);
    assert.equal(/packets=[1-9].* dst=127/.test(left.stdout), line.includes('ipv6'), `after ${line}`);
    assert.equal(/packets=[1-9].* dst=::1/.test(left.stdout), /ipv4|-[ng] /.test(line), `after ${line}`); // a NAT address sets the family
  }
});

test('a table of 40,000 entries', async () => {
  await using namespace = await Namespace.create('many');
  await namespace.netlink(manyFlows(40_000));
  await namespace.netlink(manyFlows(2000, 6));
  // An emulated machine takes minutes for each of these lines.
  const some = (lines: readonly string[]) => (SLOWNESS > 1 ? lines.slice(0, 1) : lines);
  for (const line of some(['-L -f ipv4', '-L -f ipv4 -o xml', '-L -f ipv6 -o save', '-L -p udp --dport 53 -f ipv4 -o id', '-C']))
    await same(namespace, line, {}, '42,000 entries');
  // Both families of a table this large are read at once: docs/differences.md, "Order of a large list".
  for (const line of some(['-L -o extended,id', '-L', '-L -o save']))
    await same(namespace, line, { order: 'any' }, '42,000 entries');
});

suite('without privileges', () => {
  const LINES = [
    '-L',
    '-L -o xml',
    '-L expect',
    '-L dying',
    '-L -p udp -z',
    '-L -z',
    '-C',
    '-C expect',
    '-S',
    '-S expect',
    '-G -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 5000 --dport 53',
    '-V',
    '-h',
    '-L -p nosuch',
    '-L -o labels',
    '',
  ];
  for (const [name, prefix] of [
    ['another user', AS_NOBODY],
    ['a user namespace of its own', ['unshare', '--user', '--']],
  ] as const) {
    test(name, async () => {
      await using namespace = await Namespace.create('unprivileged');
      await populate(namespace, { accounting: true, timestamps: true, traffic: 'none' });
      for (const line of LINES)
        await same(namespace, line, { wrap: (argv) => [...prefix, ...argv], situation: 'unprivileged' }, name);
    });
  }
  test('root of its own user and network namespace', async () => {
    await using namespace = await Namespace.create('userns');
    const wrap = (argv: readonly string[]) => ['unshare', '--user', '--map-root-user', '--net', '--', ...argv];
    for (const line of ['-L', '-C', '-S', '-L expect', '-L -o xml']) {
      const { reference } = await same(namespace, line, { wrap }, 'user and network namespace');
      assert.equal(reference.status, '0', `user namespaces cannot be made here: ${reference.stderr}`);
    }
  });
});

suite('standard output', () => {
  test('a full device is an error', async () => {
    await using namespace = await Namespace.create('full');
    await populate(namespace, { accounting: true, timestamps: true, traffic: 'none' });
    for (const line of [
      '-L',
      '-L -o xml',
      '-L -o save',
      '-L expect',
      '-C',
      '-S',
      '-V',
      '-h',
      '-G -s 192.0.2.1 -d 198.51.100.1 -p 50',
      '-L -m 12345',
    ])
      await same(namespace, line, { run: { stdoutFile: '/dev/full' }, situation: 'full' }, '/dev/full');
  });

  test('a reader that went away ends the command quietly', async () => {
    await using namespace = await Namespace.create('pipe');
    await namespace.netlink(manyFlows(5000));
    for (const words of [['-L'], ['-L', '-o', 'xml'], ['-L', '-o', 'save']]) {
      for (const command of [REFERENCE, UNDER_TEST]) {
        const result = await namespace.run(['sh', '-c', '{ "$@"; echo "status $?" >&2; } | head -n 1', 'sh', command, ...words]);
        const [closing, status] = [closingLines(result.stderr.toString()), /status (\d+)/.exec(result.stderr.toString())?.[1]];
        assert.ok(status === '141' || status === '0', `${command} ${words.join(' ')}: status ${status}`);
        assert.equal(closing, '', `${command} ${words.join(' ')}`);
        assert.equal(hasDiagnostic(result.stderr.toString().replace(/status \d+\n/, '')), false, result.stderr.toString());
        assert.equal(result.stdout.toString().split('\n').length, 2);
      }
    }
  });

  test('a slow reader gets everything, also through a pipe that does not block', async () => {
    await using namespace = await Namespace.create('slow');
    await namespace.netlink(manyFlows(5000));
    for (const words of ['-L', '-L -o xml', '-L -o save']) {
      await same(namespace, words, {}, '5000 entries');
      await same(
        namespace,
        words,
        { wrap: (argv) => ['sh', '-c', '"$@" | (sleep 0.3; cat)', 'sh', ...argv] },
        '5000 entries, slow reader',
      );
    }
    // O_NONBLOCK belongs to the open file: a process that sets it on the pipe sets it for all who write there.
    const nonBlocking = `const net = require('node:net'); new net.Socket({ fd: 1, writable: true }); require('node:child_process').spawnSync(process.argv[1], process.argv.slice(2), { stdio: 'inherit' })`;
    const whole = await namespace.run([UNDER_TEST, '-L', '-o', 'extended']);
    const piped = await namespace.run([
      'sh',
      '-c',
      '"$@" | (sleep 0.5; cat)',
      'sh',
      process.execPath,
      '-e',
      nonBlocking,
      UNDER_TEST,
      '-L',
      '-o',
      'extended',
    ]);
    assert.equal(piped.stdout.toString().split('\n').length, whole.stdout.toString().split('\n').length, piped.stderr.toString());
  });
});

suite('the label file', () => {
  const LINES = ['-L -o labels', '-L -l web', '-L -p udp -o xml,labels', '-L', '-L -o labels -o id -s 192.0.2.1', '-C -l web'];
  const FILES: Readonly<Record<string, string | undefined>> = {
    missing: undefined,
    empty: '',
    'without a valid line': '# nothing\nx web\n1024 toobig\n-1 minus\n',
    odd: '1 web\r\n2\teth0-in\n 0x3 three \n1 other\n4 web\n5  a-b c\n127 last\n',
    'with long lines': `1 ${'w'.repeat(1500)}\n2 eth0-in\n${'#'.repeat(3000)}\n3 three`,
  };
  for (const [name, text] of Object.entries(FILES)) {
    test(name, async () => {
      await using namespace = await Namespace.create('labels');
      await populate(namespace, { accounting: false, timestamps: false, traffic: 'none' });
      await namespace.labels(text);
      for (const line of LINES) await same(namespace, line, {}, `label file ${name}`);
    });
  }

  test('--labelmap names another one', { skip: SELF_TEST ? 'the reference has no --labelmap' : false }, async () => {
    await using namespace = await Namespace.create('labelmap');
    await populate(namespace, { accounting: false, timestamps: false, traffic: 'none' });
    const other = '1 eins\n2 zwei\n64 vierundsechzig\n';
    await namespace.ask('write', '/etc/xtables/other.conf', other);
    for (const [words, reference] of [
      ['-L --labelmap /etc/xtables/other.conf -o labels', '-L -o labels'],
      ['-L -M /etc/xtables/other.conf -l eins', '-L -l eins'],
      ['-L --labelmap=/etc/xtables/other.conf -l web', '-L -l web'],
      ['-L -o labels,xml --labelm /etc/xtables/other.conf -p udp', '-L -o labels,xml -p udp'],
    ] as const) {
      await namespace.labels(undefined);
      const actual = toOutcome(await namespace.run([UNDER_TEST, ...splitWords(words)]));
      await namespace.labels(other);
      const verdict = await same(namespace, reference, {}, 'the same labels in the default file');
      const expected = { ...verdict.expected, stdout: verdict.actual.stdout };
      assert.deepEqual(compareOutcomes(expected, actual, { order: 'same', namespaces: 'same', tolerance: 5 }), [], words);
    }
    assert.equal(await namespace.ask('read', LABEL_FILE), other);
    const missing = toOutcome(await namespace.run([UNDER_TEST, '-L', '--labelmap', '/etc/xtables/none', '-o', 'labels']));
    assert.equal(missing.status, '0');
    assert.ok(hasDiagnostic(missing.stderr));
  });
});

test('microseconds of expectations, early in a second', async () => {
  await using namespace = await Namespace.create('micros');
  await populate(namespace, { accounting: true, timestamps: true, traffic: 'none' });
  // docs/differences.md B17 shows in the first tenth of a second: it is met at the latest when starting a program takes a second.
  for (let n = 0; n < 40; n++) {
    await sleep(1000 - ((Date.now() + 40 * n) % 1000));
    const verdict = await same(namespace, '-L expect -f ipv4 -o timestamp', {}, 'early in a second');
    if (SELF_TEST || verdict.differences.includes('B17')) return;
  }
  assert.fail('docs/differences.md B17 does not show');
});

suite('known differences', () => {
  test('every one of them still shows', { skip: SELF_TEST ? 'the reference is compared with itself' : false }, () => {
    const gone = KNOWN_DIFFERENCES.filter(({ id }) => !report.seen.has(id));
    // Where the kernel heeds no status, it does not matter which one the reference sends.
    const hidden = gone.filter(({ id }) => kernelIsAtLeast(5, 15) || id !== '1.4');
    assert.deepEqual(
      hidden.map(({ id, reason }) => `${id}: ${reason}`),
      [],
      'these known differences were not seen in any case: remove the row and its line in docs/differences.md, or mend its case',
    );
  });
  test('every one of them is told in docs/differences.md', () => {
    const text = readProjectFile('docs/differences.md');
    const untold = [...new Set(KNOWN_DIFFERENCES.map(({ id }) => id))].filter(
      (id) => !new RegExp(`(?<![\\w.])${id.replaceAll('.', '\\.')}(?![\\w]|\\.\\d)`).test(text),
    );
    assert.deepEqual(untold, [], 'docs/differences.md does not mention these');
  });
});
