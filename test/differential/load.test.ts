// `-R`: its grammar, all or nothing for mistakes, and that saved tables are restored. Behaviour: docs/behaviour.md 4.13.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';

import { LoadRequests } from '../../src/cli/load/load-requests.js';

import { UsageError } from '../../src/cli/usage-error.js';
import { closingLines, toOutcome } from '../support/outcome.js';
import { REFERENCE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Table } from '../support/table.js';
import { alone } from '../support/table-limit.js';
import { Changes } from './change-lines.js';

const SEED = seedFromEnvironment(20260304);
const line = (sport: number, more = '') => `-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport ${sport} --dport 53 -t 1000${more}`;

const OURS = { skip: SELF_TEST ? 'the reference is tested' : false } as const;

before(requirePrerequisites);
let table: Table;
let second: Table;
before(async () => {
  table = await Table.create('load', { purpose: 'answer' });
  second = await Table.create('load2', { purpose: 'answer' });
});
after(async () => {
  await table[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

suite('grammar', OURS, () => {
  /** Text of a file; entries afterwards and exit status of this tool; those of the reference where they are others. */
  const CASES: Readonly<
    Record<string, readonly [text: string, entries: number, status: string, reference?: readonly [number, string]]>
  > = {
    'an empty file': ['', 0, '0'],
    'only comments and blanks': ['# a\n\n   \n\t\n  # b\n#', 0, '0'],
    'no newline at the end': [`${line(1)}\n${line(2)}`, 2, '0'],
    'tabs and many blanks': [`\t ${line(1).replaceAll(' ', ' \t  ')}\t \n`, 1, '0'],
    'CRLF everywhere': [`${line(1)}\r\n\r\n# c\r\n${line(2)}\r\n`, 2, '0', [0, '2']],
    'conntrack as the first word': [`conntrack ${line(1)}\n`, 1, '0'],
    'a note behind the options': [`${line(1)} # a note\n${line(2)} [USERSPACE] portid=5 progname=x\n`, 2, '0'],
    'double quotes': ['-I -s "192.0.2.1" -d "198.51.100.1" "-p" udp --sport "1" --dport 53 -t "1000"\n', 1, '0'],
    'a closing quote ends the word': ['-I -s "192.0.2.1"-d 198.51.100.1 -p udp --sport 1 --dport "53""-t" 1000\n', 1, '0'],
    'quotes inside a word': ['-I -s 192."0.2.1" -d 198.51.100.1 -p udp --sport 1 --dp"ort" 53 -t 1000\n', 1, '0'],
    'a backslash inside quotes': ['-I -s "192.0\\.2.1" -d 198.51.100.1 -p udp --sport 1 --dport 53 -t 1000\n', 1, '0'],
    'a backslash outside quotes': ['-I -s 192.0\\.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53 -t 1000\n', 0, '2'],
    'single quotes': ["-I -s '192.0.2.1' -d 198.51.100.1 -p udp --sport 1 --dport 53 -t 1000\n", 0, '2'],
    'an open quote ends with the line': [`${line(1)} "open\n${line(2)}\n`, 2, '0'],
    'an empty word': [`${line(1)} ""\n`, 1, '0'],
    'an empty word as the table': ['-D "" -s 192.0.2.1\n', 0, '2'],
    'no continued lines': ['-I -s 192.0.2.1 \\\n-d 198.51.100.1 -p udp --sport 1 --dport 53 -t 1000\n', 0, '2'],
    'a word of 1023 bytes': [`${line(1)} ${'x'.repeat(1023)}\n`, 1, '0'],
    'a word of 1024 bytes': [`${line(1)} ${'x'.repeat(1024)}\n`, 0, '2'],
    '253 words': [`${line(1)}${' x'.repeat(253 - 13)}\n`, 1, '0'],
    '254 words': [`${line(1)}${' x'.repeat(254 - 13)}\n`, 0, '2'],
    'options without a command': [`${line(1)}\n-p udp\n`, 0, '2'],
    'operands without a command': [`${line(1)}\nnothing\n`, 0, '2'],
    'create, update, delete, flush': [
      `${line(1)}\n${line(2)}\n-U -s 192.0.2.1 -p udp --sport 1 -m 5\n-D -p udp --sport 2\n${line(3)}\n`,
      2,
      '0',
    ],
    'flush in between': [`${line(1)}\n-F\n${line(2)}\n`, 1, '0'],
    'delete and update that find nothing': ['-D -s 192.0.2.9\n-U -s 192.0.2.9 -m 1\n', 0, '0'],
    'a line of our own options': [`${line(1, ' --label-bits 0x6')}\n`, 1, '0', [0, '2']],
    ...Object.fromEntries(
      ['-L', '-G -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53', '-C', '-S', '-E', '-V', '-h'].map((words) => [
        `${words.slice(0, 2)} is not for files`,
        [`${line(1)}\n${words}\n`, 0, '2'] as const,
      ]),
    ),
    ...Object.fromEntries(
      ['-F expect', '-D expect -s 192.0.2.1 -d 198.51.100.1 -p 50', '-F dying'].map((words) => [
        `${words} is not for files`,
        [`${line(1)}\n${words}\n`, 0, '2'] as const,
      ]),
    ),
  };
  for (const [name, [text, entries, status, reference = [entries, status]]] of Object.entries(CASES)) {
    test(name, async () => {
      await table.fill([]);
      await second.fill([]);
      const outcome = await table.load(text);
      assert.equal(outcome.status, status, outcome.stderr);
      assert.equal(closingLines(outcome.stderr), text.includes('-F\n') ? 'connection tracking table has been emptied.' : '');
      assert.equal(await table.count(), entries);
      if (status === '2') assert.match(outcome.stderr, /^conntrack: standard input:\d+:\d+: /);
      await second.namespace.ask('write', '/etc/xtables/load', text);
      const other = toOutcome(await second.namespace.run([REFERENCE, '-R', '/etc/xtables/load']));
      assert.deepEqual([await second.count(), other.status], [...reference], `reference: ${other.stderr}`);
    });
  }
});

suite('mistakes', OURS, () => {
  const good = Array.from({ length: 250 }, (_, n) => line(1000 + n));
  for (const [wrong, column, status] of [
    [line(1).replace('53', 'http'), 58, '2'],
    [`   ${line(1).replace('53', 'http')}`, 61, '2'],
    ['-I -s 192.0.2.1', undefined, '2'],
    ['-D --nosuch', 4, '2'],
    ['-X', 1, '2'],
    [line(1, ' -m abc'), 72, '1'],
    ['-D -u UNSET', undefined, '2'],
    ['-L', undefined, '2'],
    ['-D -l nosuch', undefined, '2'],
    ['-I -s 192.0.2.1 -d 198.51.100.1 -p 50 -t 900 -n 203.0.113.5:80', undefined, '2'],
    [line(1, ' --label-add beyond'), undefined, '1'],
    ['-U -m 1 --label-add beyond', undefined, '1'],
  ] as const) {
    test(`${wrong.trim().slice(-28)}: the table is as it was, wherever the line stands`, async () => {
      await table.fill([]);
      for (const at of [0, 100, 250]) {
        const text = [...good.slice(0, at), wrong, ...good.slice(at)].join('\n');
        await table.namespace.ask('write', '/etc/xtables/load', text);
        const outcome = await table.run('-R /etc/xtables/load');
        assert.equal(outcome.status, status, outcome.stderr);
        const [, where, place] = /^conntrack: \/etc\/xtables\/load:(\d+):(\d+): \S/.exec(outcome.stderr) ?? [];
        assert.equal(where, String(at + 1), outcome.stderr);
        if (column !== undefined) assert.equal(place, String(column), outcome.stderr);
        assert.equal(await table.count(), 0);
      }
    });
  }

  test('the first mistake in the file is told, forbidden commands last', async () => {
    assert.match((await table.load([line(1), '-L', '-D -t x', '-D -t y'])).stderr, /input:3:/);
    assert.match((await table.load([line(1), '-G', line(2)])).stderr, /input:2:/);
  });

  test('a refusal by the kernel stops the load, and tells what was done', async () => {
    await table.fill([]);
    const outcome = await table.load([line(1), line(2), line(1), line(3), '-D -p udp', line(4)]);
    assert.equal(outcome.status, '1');
    assert.match(outcome.stderr, /^conntrack: standard input:3: cannot create the flow: there is one already.*\n +hint: .*-U/);
    assert.match(outcome.stderr, /stopped after line 4: 3 flow entries created, 1 lines failed; later lines were not run/);
    assert.equal(await table.count(), 3);
  });

  test('each line has its own values (docs/differences.md B20, B21)', async () => {
    await table.fill([]);
    const outcome = await table.load([
      line(1, ' --label-add web'),
      line(2, ' --label-add last'),
      '-U -s 192.0.2.1 -p udp --sport 1 -m 11',
      '-U -s 192.0.2.1 -p udp --sport 2 -m 22',
      '-U -l last --label-add eth0-in',
      '-U -l web -u ASSURED',
    ]);
    assert.equal(outcome.status, '0', outcome.stderr);
    const list = (await table.list('-o', 'labels')).map((text) => text.replace(/.* sport=(\d) .* mark=/, '$1 '));
    assert.deepEqual(list, ['1 11 use=1 labels=web', '2 22 use=1 labels=eth0-in,last']);
    assert.equal((await table.list('-u', 'ASSURED')).length, 1);
  });
});

suite('labels where no ruleset uses any', OURS, () => {
  let bare: Table;
  before(async () => {
    bare = await Table.create('load-bare', { labels: false });
  });
  after(() => bare?.[Symbol.asyncDispose]());
  const flow = (sport: number, more = '') => line(sport, more).replace('-I', '-A');
  const NONE = /: cannot set the labels: the flow entry exists, but has no room for them$/gm;

  test('every line that asks for some is told and counts as an error, the others are loaded, and so it is every time', async () => {
    const lines = [
      flow(1),
      flow(2, ' --label-bits 0x6'),
      flow(3, ' --label-add web -m 5'),
      // Its master comes later.
      flow(4, ' --label-bits 0x1 --master-src 192.0.2.1 --master-dst 198.51.100.1 --master-proto 17 --master-ports 9,53'),
      ...Array.from({ length: 150 }, (_, n) => flow(100 + n)),
      flow(9),
      flow(10, ' --label-bits 0x8 -n 203.0.113.5'),
    ];
    const [first, second, third] = [await bare.load(lines), await bare.load(lines), await bare.load(lines)];
    const told = (text: string) => text.replace(/^.* existed already; .*\n/m, '');
    assert.deepEqual([first.status, second.status, third.status], ['1', '1', '1']);
    assert.match(
      first.stderr,
      new RegExp(
        `^${[2, 3, 4, 156].map((n) => `conntrack: standard input:${n}${NONE.source.slice(0, -1)}\n`).join('')}` +
          'conntrack: standard input: 4 flow entries lack their labels\n +hint: labels must be in use.*\n$',
      ),
    );
    assert.deepEqual([told(second.stderr), told(third.stderr)], [first.stderr, first.stderr]);
    assert.equal(await bare.count(), 156);
    assert.equal((await bare.list('-m', '5')).length, 1);
  });

  test('ten of many lines are told', async () => {
    await bare.fill([]);
    const outcome = await bare.load(Array.from({ length: 250 }, (_, n) => flow(1 + n, ' --label-bits 0x2')));
    assert.equal(outcome.status, '1');
    assert.equal(outcome.stderr.match(NONE)?.length, 10);
    assert.match(outcome.stderr, /: 250 flow entries lack their labels \(240 of them not shown\)\n/);
    assert.equal(await bare.count(), 250);
  });

  test('lines of JSON likewise', async () => {
    await bare.fill([]);
    const json = {
      protocol: 'udp',
      timeout: 1000,
      original: { src: '192.0.2.1', dst: '198.51.100.1', sport: 1, dport: 53 },
      labels: [1],
    };
    for (let time = 0; time < 2; time++) {
      const outcome = await bare.load([JSON.stringify(json)], '--format', 'ndjson');
      assert.deepEqual([outcome.status, outcome.stderr.match(NONE)?.length], ['1', 1]);
    }
  });

  test('-I and -A likewise', async () => {
    await bare.fill([]);
    for (const command of [line(1, ' --label-add web'), flow(2, ' --label-add web'), flow(2, ' --label-add web')]) {
      const outcome = await bare.run(command);
      assert.equal(outcome.status, '1', command);
      assert.match(
        outcome.stderr,
        /^conntrack: cannot set the labels: the flow entry exists, but has no room for them\n +hint: .*\n$/,
      );
    }
    assert.equal(await bare.count(), 2);
  });

  test('labels that can be given are, with a mask beside those that are there', async () => {
    await table.fill([]);
    for (const [bits, labels] of [
      ['0x2', 'web'],
      ['0x4', 'web,eth0-in'],
    ]) {
      const outcome = await table.load([flow(1, ` --label-bits ${bits}`), flow(2), flow(3, ` --label-bits ${bits}`)]);
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.equal((await table.list('-o', 'labels')).filter((text) => text.endsWith(` labels=${labels}`)).length, 2);
    }
  });
});

suite('over a live table (docs/differences.md B50)', OURS, () => {
  const flow = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53';
  const entry = async () => /mark=\d+/.exec((await table.list())[0]!)![0];
  test('entries that are there get the rest of their values, and the last line of each has the last word', async () => {
    await table.fill([]);
    assert.equal((await table.load([`-I ${flow} -t 1000 -u SEEN_REPLY -n 203.0.113.5`])).status, '0');
    for (const [lines, mark] of [
      [[`-A ${flow} -t 1000 -m 1 -n 203.0.113.5`], 'mark=1'],
      [[`-A ${flow} -t 1000 -m 2 -u UNSET`], 'mark=2'],
      [[`-A ${flow} -t 1000 -m 3 -n 203.0.113.5`, `-A ${flow} -t 1000 -m 4`], 'mark=4'],
      [[`-A ${flow} -t 1000 -m 5`, `-A ${flow} -t 1000 -m 6 -n 203.0.113.5`], 'mark=6'],
      [[`-A ${flow} -t 1000 -m 7 -u UNSET`, `-A ${flow} -t 1000 -m 8`, `-A ${flow} -t 1000 -m 9 -n 203.0.113.5`], 'mark=9'],
    ] as const) {
      const outcome = await table.load(lines);
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.match(outcome.stderr, /^conntrack: standard input: \d flow entries existed already; values/);
      assert.equal(await entry(), mark, lines.join('; '));
      assert.equal((await table.list('-u', 'SEEN_REPLY', '-n', '203.0.113.5')).length, 1);
    }
  });
});

suite('lines for one flow are run one after another', OURS, () => {
  const flow = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 53';
  test('what is sent again in other words ends the flow that was there, not the one that the next line creates', async () => {
    await table.fill([]);
    assert.equal((await table.load([`-I ${flow} -t 1000 -n 203.0.113.5`])).status, '0');
    const outcome = await table.load([`-A ${flow} -t 0 -n 203.0.113.5`, line(7), `-I ${flow} -t 2000 -m 2`]);
    assert.equal(outcome.status, '0', outcome.stderr);
    assert.match((await table.list('-m', '2')).join(), /^udp +17 T src=192.0.2.1 .* sport=1 /);
    assert.equal(await table.count(), 2);
  });
  test('in different zones they are different flows', async () => {
    await table.fill([]);
    const zones = [`-A ${flow} -t 1000`, `-A ${flow} -t 1000 -w 1`, `-A ${flow} -t 1000 -w 1 -m 1`, `-A ${flow} -t 1000 -w 2`];
    const outcome = await table.load([...zones, ...zones]);
    assert.equal(outcome.status, '0', outcome.stderr);
    assert.equal(await table.count(), 3);
  });
  test('a failing line keeps a later one for its flow from being run, and none of the others with it', async () => {
    await table.fill([]);
    const outcome = await table.load([line(1), `${line(1)} -m 1`, line(2), line(1).replace('-I', '-A'), line(3)]);
    assert.equal(outcome.status, '1');
    assert.match(outcome.stderr, /standard input:2: .*\n.*\n.*stopped after line 3: 2 flow entries created, 1 lines failed/);
    assert.equal(await table.count(), 2);
  });
});

suite('where the lines come from', OURS, () => {
  const text = `${line(1)}\n${line(2)}\n`;
  const sh = (script: string, ...words: string[]) => ['sh', '-c', script, 'sh', ...words];
  const run = async (argv: readonly string[]) => toOutcome(await table.namespace.run(argv));

  test('a file, standard input from a file, a pipe, a slow pipe, a FIFO, --load-file', async () => {
    await table.namespace.ask('write', '/etc/xtables/load', text);
    for (const argv of [
      [UNDER_TEST, '-R', '/etc/xtables/load'],
      [UNDER_TEST, '--load-file', '/etc/xtables/load'],
      sh('"$1" -R - < /etc/xtables/load', UNDER_TEST),
      sh('cat /etc/xtables/load | "$1" -R -', UNDER_TEST),
      sh('cat /etc/xtables/load | "$1" -R /dev/stdin', UNDER_TEST),
      sh('{ head -n 1 /etc/xtables/load; sleep 0.3; tail -n 1 /etc/xtables/load; } | "$1" -R -', UNDER_TEST),
      sh(
        'mkfifo /etc/xtables/fifo; cat /etc/xtables/load > /etc/xtables/fifo & "$1" -R /etc/xtables/fifo; rm /etc/xtables/fifo',
        UNDER_TEST,
      ),
    ]) {
      await table.fill([]);
      const outcome = await run(argv);
      assert.equal(outcome.status, '0', `${argv.join(' ')}: ${outcome.stderr}`);
      assert.equal(await table.count(), 2, argv.join(' '));
    }
  });

  test('what cannot be read is refused', async () => {
    for (const [file, words] of [
      ['/etc/xtables', 'directory'],
      ['/etc/xtables/none', 'does not exist'],
      ['', 'does not exist'],
    ] as const) {
      const outcome = await run([UNDER_TEST, '-R', file]);
      assert.equal(outcome.status, '2', file);
      assert.match(outcome.stderr, new RegExp(words));
    }
    assert.equal((await run([UNDER_TEST, '-R', '/dev/null'])).status, '0');
    assert.equal((await run([UNDER_TEST, '-R'])).status, '2');
  });
});

suite('lines like earlier ones take the short way', OURS, () => {
  const env = {
    readProtocols: () => '',
    resolveLabels: (names: readonly string[]) =>
      new Map(
        names.map((name) => {
          if (!/^(web|eth0-in|last)$/.test(name)) throw new UsageError(`unknown label ${name}`);
          return [name, name.length] as const;
        }),
      ),
  };
  const result = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return { message: error.message, status: error.exitStatus };
    }
  };

  /** The request of a line, made from an earlier similar one if there is one, and made the long way. */
  const compare = (requests: LoadRequests, text: string): { short: boolean; long: unknown } => {
    const bytes = Buffer.from(`\n${text}\n`);
    const short = requests.find(bytes, 1, bytes.length - 1)?.slice();
    const long = result(() => {
      const invocation = requests.parse(text);
      return invocation && 'IA'.includes(invocation.command) ? requests.encodeLine(invocation).slice() : invocation;
    });
    if (short) assert.deepEqual(short, long, text);
    return { short: short !== undefined, long };
  };

  test(`and mean the same as by the long way (SEED=${SEED})`, () => {
    const random = new Random(SEED);
    const requests = new LoadRequests(env);
    const theme = { zones: true, nat: true, labels: true, fixed: true, odd: true };
    const changes = new Changes(random, theme);
    const VALUES = [
      '1',
      '2',
      '53',
      '65535',
      '65536',
      '0',
      '007',
      '0x10',
      'x',
      '',
      '-1',
      '192.0.2.1',
      '192.0.2.0/24',
      '10.0.0.1',
      '2001:db8::1',
      '::/0',
      '1/2',
      '4294967295',
      '4294967296',
      '999999999',
      '9999999999',
      ' 5',
      '"7"',
      '7\\',
      "'7'",
      '=1',
      '#',
      'ASSURED',
    ];
    let lines = 0;
    let refused = 0;
    let found = 0;
    for (let n = 0; n < 700; n++) {
      const words = [...changes.any().argv];
      for (let copy = 0; copy < 12; copy++) {
        // The same line with other values in some places, which may be any word.
        const other = words.map((word, at) =>
          at > 0 && copy > 0 && random.chance(0.15) ? (random.chance(0.3) ? word : random.pick(VALUES)) : word,
        );
        const text =
          other.join(random.chance(0.02) ? '  ' : ' ') + (random.chance(0.02) ? ' ' : '') + (random.chance(0.02) ? '\r' : '');
        const { short, long } = compare(requests, text);
        if (short) found++;
        lines++;
        if (typeof long === 'object' && long !== null && 'message' in long) refused++;
      }
    }
    assert.ok(lines > 8000 && refused > lines * 0.1 && refused < lines * 0.8, `${lines} lines, ${refused} refused`);
    assert.ok(found > 200, `${found} lines the short way`);
  });

  test('saved lines of one shape, with every value at its limits', () => {
    const requests = new LoadRequests(env);
    const random = new Random(SEED + 1);
    let found = 0;
    const one = (usual: readonly string[], odd: readonly string[]) => random.pick(random.chance(0.95) ? usual : odd);
    const V4 = ['0.0.0.0', '255.255.255.255', '192.0.2.1', '10.1.2.3'];
    const V6 = ['::', '2001:db8::1', '1:2:3:4:5:6:7:8', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '1::', 'FE80::A:0'];
    const ODD = ['300.1.1.1', '1.2.3', '::ffff:192.0.2.1', '1:::2', '10.0.0.1/24', '1:2:3:4:5:6:7:8:9', '01.2.3.4', '', '5'];
    const port = () => one(['0', '1', '65535', '80', '00'], ['65536', '1e3', '+5', '٣', '-1', '']);
    for (let n = 0; n < 6000; n++) {
      const usual = random.chance(0.5) ? V4 : V6;
      const address = () => one(usual, ODD);
      const timeout = one(['0', '1', '431999', '4294967295'], ['4294967296', '', '007']);
      const mark = one(['0', '5', '4294967295'], ['x', '1/2', '0x10']);
      const text = `-A -t ${timeout} -u SEEN_REPLY,ASSURED -s ${address()} -d ${address()} -r ${address()} -q ${address()} -p tcp --sport ${port()} --dport ${port()} --reply-port-src ${port()} --reply-port-dst ${port()} --state ESTABLISHED -m ${mark}`;
      if (compare(requests, text).short) found++;
    }
    assert.ok(found > 1000 && found < 5000, `${found} lines the short way`);
  });
});

suite('a file too large to be kept', OURS, () => {
  // Encoded requests beyond 20 MiB are made again from the file: at 164 bytes each that is from line 128,000 on.
  const LINES = 200_000;
  const text = () => {
    const lines: string[] = [];
    for (let n = 0; n < LINES; n++)
      lines.push(
        `-A -t 1000 -u SEEN_REPLY -s 10.${n >> 16}.${(n >> 8) & 255}.${n & 255} -d 198.51.100.1 -p udp --sport ${n % 60000} --dport 53 -m ${n & 0xff}`,
      );
    return `${lines.join('\n')}\n`;
  };

  test(`${LINES} lines, with the part that is read a second time`, async (t) => {
    const most = Number(await table.namespace.ask('read', '/proc/sys/net/netfilter/nf_conntrack_max'));
    if (most < LINES + 10) return t.skip(`nf_conntrack_max is ${most}`);
    await alone(async () => {
      await using big = await Table.create('big');
      const whole = text();
      const loaded = await big.run('-R -', { input: Buffer.from(whole), timeLimit: 120_000 });
      assert.equal(loaded.status, '0', loaded.stderr);
      assert.equal(await big.count(), LINES);
      for (const n of [0, 50_000, 150_000, LINES - 1]) {
        const found = await big.run(
          `-G -s 10.${n >> 16}.${(n >> 8) & 255}.${n & 255} -d 198.51.100.1 -p udp --sport ${n % 60000} --dport 53`,
        );
        assert.match(found.stdout, new RegExp(` mark=${n & 0xff} `), `entry ${n}`);
      }
      // The last line cannot be: everything before it is there, and it is named.
      await big.fill([]);
      const duplicate = `-I -t 5 -s 10.0.0.0 -d 198.51.100.1 -p udp --sport 0 --dport 53\n`;
      const failed = await big.run('-R -', { input: Buffer.from(whole + duplicate), timeLimit: 120_000 });
      assert.equal(failed.status, '1');
      assert.match(failed.stderr, new RegExp(`standard input:${LINES + 1}: cannot create the flow`));
      assert.equal(await big.count(), LINES);
      // The last line is wrong: nothing is done.
      await big.fill([]);
      const wrong = await big.run('-R -', { input: Buffer.from(`${whole}-D --nosuch\n`), timeLimit: 120_000 });
      assert.equal(wrong.status, '2');
      assert.match(wrong.stderr, new RegExp(`standard input:${LINES + 1}:4: `));
      assert.equal(await big.count(), 0);
    });
  });
});
