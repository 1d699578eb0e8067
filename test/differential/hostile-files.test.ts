// Malicious files to load: they can do nothing but change the table, and cannot exhaust memory or time.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { closingLines, type Outcome, toOutcome } from '../support/outcome.js';
import { ON_NODE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Table } from '../support/table.js';

const FLOW = '-s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1 --dport 2 -t 100';
const JSON_FLOW = { protocol: 'udp', timeout: 100, original: { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2 } };
/** Control sequences of a terminal. */
const CONTROL = /[^\n\P{Cc}]/u;
/** Kilobytes; Node.js itself takes some 50,000. */
const MEMORY = 400_000;

before(requirePrerequisites);
suite('hostile files', { skip: SELF_TEST ? 'the reference takes other files' : false }, () => {
  let table: Table;
  let folder: string;
  before(async () => {
    table = await Table.create('hostile', { purpose: 'answer' });
    folder = mkdtempSync(join(tmpdir(), 'conntrack-test-hostile-'));
    writeFileSync(join(folder, 'secret'), '7 password-of-somebody\n');
  });
  after(async () => {
    await table?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const load = async (text: string | Uint8Array, ...more: readonly string[]): Promise<Outcome> => {
    await table.fill([{ proto: 17, original: { src: '10.9.9.9', dst: '10.0.0.2', sport: 1, dport: 2 }, timeout: 1000 }]);
    return table.run(['-R', '-', ...more], { input: Buffer.from(text), timeLimit: 60_000 });
  };
  const refused = async (text: string | Uint8Array, pattern: RegExp, ...more: readonly string[]) => {
    const outcome = await load(text, ...more);
    // 1 is for the few wrong values of docs/behaviour.md 2.4.
    assert.match(outcome.status, /^[12]$/, `${outcome.stderr}${outcome.stdout}`);
    assert.match(outcome.stderr, pattern);
    assert.doesNotMatch(outcome.stderr, /internal error|password/);
    assert.equal(outcome.stdout, '');
    assert.equal(closingLines(outcome.stderr), '');
    assert.doesNotMatch(outcome.stderr, CONTROL);
    const left = await table.namespace.ask('dump', 0x101);
    assert.equal(left.length, 1, 'the table was changed');
  };

  suite('commands and options that reach beyond the table', () => {
    for (const line of [
      '-R /etc/passwd',
      '-R -',
      '-L',
      '-L -o json',
      '-L expect',
      `-G ${FLOW}`,
      '-E',
      '-E --for 1000',
      '-C',
      '-S',
      '-V',
      '-h',
      '-h delete',
      '-F expect',
      '-D expect -s 10.0.0.1 -d 10.0.0.2 -p tcp --sport 1 --dport 2',
      `-A ${FLOW} -o xml`,
      `-A ${FLOW} -b 1000000000`,
      `-A ${FLOW} --netns 1`,
      `-A ${FLOW} --netns=/proc/1/ns/net`,
      '-D --netns 1',
      '-F --netns all',
      '-U -m 1 --netns 1',
      `-A ${FLOW} --format ndjson`,
      `-A ${FLOW} --label-add password-of-somebody --labelmap SECRET`,
      '-U -m 1 --label-add x --labelmap SECRET',
      '-U -m 1 --label-add x -M SECRET',
      '-D -l x --labelmap=SECRET',
      '-D -o labels --labelmap SECRET',
      '-D --labelmap /dev/zero -l x',
      '-D -e ALL',
      '-D --initial',
      '-D --for 1000000',
      '-D --zero',
      '-D -f /etc/passwd',
      '-D @/etc/passwd',
      '-D $(touch /tmp/owned)',
      '-D ; -F',
    ])
      test(line, () =>
        refused(`-A ${FLOW}\n${line.replaceAll('SECRET', join(folder, 'secret'))}\n-F\n`, /^conntrack: standard input:2:\d+: /),
      );

    test('the label file is chosen behind the file name', async () => {
      const outcome = await load(
        `-A ${FLOW} --label-add password-of-somebody\n-U -p udp --label-add password-of-somebody\n`,
        '--labelmap',
        join(folder, 'secret'),
      );
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.equal((await table.list('--labelmap', join(folder, 'secret'), '-l', 'password-of-somebody')).length, 2);
    });

    test('no file but the one that is loaded is opened for it', ON_NODE, async () => {
      const file = join(folder, 'lines');
      writeFileSync(file, `-A ${FLOW}\n-U -m 4\n-D -o json --dry-run\n-F\n`);
      const trace = join(folder, 'trace');
      const traced = [
        'strace',
        '-f',
        '--seccomp-bpf',
        '-qq',
        '-e',
        'trace=open,openat,openat2,creat,execve,unlink,connect',
        '-o',
        trace,
      ];
      const outcome = toOutcome(await table.namespace.run([...traced, UNDER_TEST, '-R', file]));
      assert.equal(outcome.status, '0', outcome.stderr);
      const text = readFileSync(trace, 'latin1');
      const behind = text.slice(text.indexOf(file));
      const opened = [...behind.matchAll(/ (?:open\w*|creat|execve|unlink|connect)\([^"]*"([^"]*)"/g)].map(([, path]) => path!);
      assert.deepEqual(
        opened.filter((path) => path !== file && !path.endsWith('/koffi.node') && path !== '/proc/sys/vm/overcommit_memory'),
        [],
      );
    });
  });

  suite('lines that are no lines', () => {
    for (const [name, text, pattern] of [
      ['a NUL byte in a word', `-A ${FLOW.replace('10.0.0.1', '10.0.0.1\0')}`, /:1:\d+: /],
      ['a NUL byte alone', '\0', /:1:\d+: /],
      ['only NUL bytes', '\0'.repeat(100_000), /:1:\d+: /],
      ['invalid UTF-8', Buffer.from(`-A ${FLOW.replace('udp', 'ud\xff')}`, 'latin1'), /:1:\d+: /],
      ['control characters, which do not reach the terminal', `-A ${FLOW} --\x1b]0;owned\x07`, /:1:\d+: /],
      ['UTF-16', Buffer.from(`-A ${FLOW}`, 'utf16le'), /:1:\d+: /],
      ['a word of 1024 characters', `-A -s ${'1'.repeat(1024)}`, /:1:1: a word of more than 1023/],
      ['too many words', `-A ${'-m '.repeat(300)}`, /:1:1: more than 253 words/],
      ['a number beyond all', `-A ${FLOW} -m 99999999999999999999999999`, /:1:\d+: /],
      ['a number with an exponent', `-A ${FLOW} -m 1e3`, /:1:\d+: /],
      ['a line of 2 MiB', 'x'.repeat(2 << 20), /: line 1 has more than 1048576 bytes|:1:1: a word of more/],
      ['a line that never ends', Buffer.alloc(64 << 20, 0x78), /: line 1 has more than 1048576 bytes/],
      ['an executable', readFileSync(process.execPath).subarray(0, 1 << 20), /standard input:\d+:\d+: |line \d+ has more/],
    ] as const)
      test(name, () => refused(text, pattern));
  });

  suite('JSON', () => {
    const line = (more: string) => `${JSON.stringify(JSON_FLOW).slice(0, -1)},${more}}`;
    const long = '9'.repeat(400);
    for (const [name, text] of [
      ['__proto__', line('"__proto__":{"mark":7}')],
      ['__proto__ within', line('"reply":{"__proto__":{"src":"1.2.3.4"}}')],
      ['constructor', line('"constructor":{"prototype":{"mark":7}}')],
      ['toString', line('"toString":1')],
      ['an unknown member', line('"netns":"1"')],
      ['a command', line('"command":"-F"')],
      ['a mark beyond 32 bits', line('"mark":4294967296')],
      ['a mark that is no whole number', line('"mark":1.5')],
      ['a mark of 400 digits', line(`"mark":${long}`)],
      ['a negative timeout', JSON.stringify({ ...JSON_FLOW, timeout: -1 })],
      ['a port of 65536', JSON.stringify({ ...JSON_FLOW, original: { ...JSON_FLOW.original, sport: 65536 } })],
      ['a port that is text', JSON.stringify({ ...JSON_FLOW, original: { ...JSON_FLOW.original, sport: '1' } })],
      ['an address that is a number', JSON.stringify({ ...JSON_FLOW, original: { ...JSON_FLOW.original, src: 1 } })],
      [
        'an address of 100,000 characters',
        JSON.stringify({ ...JSON_FLOW, original: { ...JSON_FLOW.original, src: '1'.repeat(100_000) } }),
      ],
      ['a helper of 100,000 characters', line(`"helper":"${'x'.repeat(100_000)}"`)],
      ['a helper with a NUL', line('"helper":"ft\\u0000p"')],
      ['labels beyond 127', line('"labels":[128]')],
      ['100,000 labels', line(`"labels":[${'1,'.repeat(100_000)}1,999]`)],
      ['deep nesting', line(`"reply":${'['.repeat(200_000)}${']'.repeat(200_000)}`)],
      ['deeper nesting that does not end', '{"a":'.repeat(150_000)],
      ['an array', `[${JSON.stringify(JSON_FLOW)}]`],
      ['a number', '1'],
      ['null', 'null'],
      ['a text', '"-F"'],
      ['a command line', '-F'],
      ['NaN', line('"mark":NaN')],
      ['a NUL byte', `${JSON.stringify(JSON_FLOW)}\0`],
      [
        'invalid UTF-8 in a name',
        Buffer.concat([Buffer.from(`${JSON.stringify(JSON_FLOW).slice(0, -1)},"`), Buffer.of(0xff), Buffer.from('":1}')]),
      ],
      ['a line that never ends', Buffer.alloc(64 << 20, 0x20)],
    ] as const)
      test(name, () =>
        refused(
          Buffer.concat([Buffer.from(`${JSON.stringify({ ...JSON_FLOW, mark: 1 })}\n`), Buffer.from(text)]),
          /standard input:2:\d+: |line 2 has more than/,
          '--format',
          'ndjson',
        ),
      );

    test('members of an object twice: the last counts, as in JSON', async () => {
      const outcome = await load(line('"mark":1,"mark":2'), '--format', 'ndjson');
      assert.equal(outcome.status, '0', outcome.stderr);
      assert.match((await table.list('-s', '10.0.0.1'))[0]!, /mark=2 /);
    });
  });

  suite('a large file takes bounded memory', ON_NODE, () => {
    const most = async (text: string, status = '0', ...more: readonly string[]) => {
      const file = join(folder, 'large');
      writeFileSync(file, text);
      // GNU time is not everywhere: the kernel keeps the account of a process that has ended.
      const script = `"$@" >/dev/null 2>"$0.err"; status=$?; exit $status`;
      const program = `process.on('exit', () => require('fs').writeFileSync(${JSON.stringify(`${file}.rss`)}, String(process.resourceUsage().maxRSS)));`;
      writeFileSync(`${file}.cjs`, program);
      const outcome = toOutcome(
        await table.namespace.run(
          ['env', `NODE_OPTIONS=--require=${file}.cjs`, 'sh', '-c', script, file, UNDER_TEST, '-R', file, '--dry-run', ...more],
          { timeLimit: 120_000 },
        ),
      );
      assert.equal(outcome.status, status, readFileSync(`${file}.err`, 'latin1'));
      return Number(readFileSync(`${file}.rss`, 'latin1'));
    };
    test('of many lines', async () => {
      const lines = Array.from(
        { length: 300_000 },
        (_, n) => `-A -s 10.${n >> 16}.${(n >> 8) & 255}.${n & 255} -d 10.0.0.2 -p udp --sport 1 --dport 2 -t 100`,
      );
      const memory = await most(`${lines.join('\n')}\n`);
      assert.ok(memory < MEMORY, `${memory} kB`);
    });
    test('of many comments and long ones', async () => {
      const memory = await most(`# ${'x'.repeat(900_000)}\n`.repeat(60));
      assert.ok(memory < MEMORY, `${memory} kB`);
    });
    test('of many updates', async () => {
      // Too many are created, so that it ends when every line was read.
      const lines = `${'-U -s 10.1.1.1 -m 1\n'.repeat(100_000)}-A ${FLOW}\n`;
      const memory = await most(lines, '1', '--max', '0');
      assert.ok(memory < MEMORY, `${memory} kB`);
    });
  });
});
