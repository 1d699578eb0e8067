// The tables of docs/behaviour.md 2.1 and 2.3 against the rows (needOf) and against whole command lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeBlocks, page } from '../../test/support/pages.js';
import { protocolByName } from '../ctnetlink/protocols/index.js';
import { type ParseEnvironment, parseCommandLine } from './command-line.js';
import { COMMANDS, commandRow } from './command-rows.js';
import type { CommandLetter, Table } from './invocation.js';
import { needOf } from './legality.js';
import { type Need, OPTIONS, type OptionRow } from './options.js';
import { protocolOptions } from './protocol-options.js';
import { UsageError } from './usage-error.js';

/** The tables of the page, which say what every command takes. */
const [MATRIX = ''] = codeBlocks(page('docs/behaviour.md').sections.get('2.1')!);
const [PROTOCOL_MATRICES = ''] = codeBlocks(page('docs/behaviour.md').sections.get('2.3')!);

interface Cell {
  readonly table: Table;
  readonly letter: CommandLetter;
  readonly short: string;
  readonly cell: string;
}

function cells(): Cell[] {
  const [head, ...lines] = MATRIX.trim().split('\n');
  const shorts = head!.trim().split(/ +/);
  const out: Cell[] = [];
  let table = '';
  for (const line of lines) {
    const words = line.trim().split(/ +/);
    if (words.length === shorts.length + 2) table = words.shift()!;
    const letter = words.shift()!.slice(1) as CommandLetter;
    assert.equal(words.length, shorts.length, line);
    const tables: Table[] = table === 'any' ? ['conntrack', 'expect'] : [table as Table];
    if (table === 'conntrack' && letter === 'L') tables.push('dying', 'unconfirmed');
    for (const it of tables) for (const [i, cell] of words.entries()) out.push({ table: it, letter, short: shorts[i]!, cell });
  }
  return out;
}

const NEEDS: Record<string, Need | undefined> = {
  o: 'may',
  M: 'must',
  P: 'pair',
  '.': 'may',
  '-': undefined,
  // What the C tool refuses.
  '+': 'may',
  J: 'may',
};

const env: ParseEnvironment = { readProtocols: () => '' };

function accepts(words: readonly string[]): void {
  assert.doesNotThrow(() => parseCommandLine(words, env), words.join(' '));
}

function refuses(words: readonly string[], pattern?: RegExp): void {
  assert.throws(
    () => parseCommandLine(words, env),
    (error: unknown) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.equal(error.exitStatus, 2, words.join(' '));
      if (pattern) assert.match(error.message, pattern);
      return true;
    },
    words.join(' '),
  );
}

/** A good value of each option. */
const VALUES: Record<string, string[]> = {
  s: ['192.0.2.1'],
  d: ['192.0.2.2'],
  r: ['192.0.2.2'],
  q: ['192.0.2.1'],
  p: ['89'],
  t: ['60'],
  u: ['ASSURED'],
  z: [],
  e: ['NEW'],
  '[': ['192.0.2.3'],
  ']': ['192.0.2.4'],
  '{': ['255.255.255.0'],
  '}': ['255.255.255.0'],
  a: ['x'],
  m: ['1'],
  i: ['1'],
  f: ['ipv4'],
  n: [],
  g: [],
  o: ['id'],
  c: ['1'],
  b: ['65536'],
  j: [],
  w: ['1'],
  l: ['web'],
  '<': ['web'],
  '>': [],
  '(': ['1'],
  ')': ['1'],
  M: ['/dev/null'],
};

const option = (short: string): string[] => [`-${short}`, ...VALUES[short]!];
const rowOf = (short: string): OptionRow => Object.values<OptionRow>(OPTIONS).find((row) => row.short === short)!;

test('the rows are in the order of the check, which is that of the table', () => {
  const shorts = Object.values<OptionRow>(OPTIONS).flatMap((row) => row.short ?? []);
  assert.deepEqual(shorts.slice(0, 30), MATRIX.trim().split('\n')[0]!.trim().split(/ +/));
  assert.deepEqual(Object.keys(VALUES), shorts.slice(0, 30));
});

test('the table covers every command and table', () => {
  const seen = new Set(cells().map(({ table, letter }) => `${letter} ${table}`));
  for (const row of COMMANDS)
    for (const table of row.tables) assert.ok(seen.has(`${row.letter} ${table}`), `${row.letter} ${table}`);
});

for (const { table, letter, short, cell } of cells()) {
  test(`-${letter} ${table} and -${short}: ${cell}`, () => {
    assert.equal(needOf(rowOf(short), letter, table), NEEDS[cell]);
    const all = cells().filter((it) => it.table === table && it.letter === letter);
    const start = [`-${letter}`, table];
    // The least this command needs: all mandatory options, the original pair.
    const needed = all.filter((it) => it.cell === 'M' || (it.cell === 'P' && 'sd'.includes(it.short))).map((it) => it.short);
    const line = (shorts: readonly string[]) => [...start, ...shorts.flatMap(option)];
    if (cell === '-') refuses(line([...needed, short]), new RegExp(`does not take .*--${rowOf(short).names[0]}`));
    else if (cell === 'M') {
      accepts(line(needed));
      refuses(line(needed.filter((it) => it !== short)), new RegExp(`needs .*--${rowOf(short).names[0]}`));
    } else if (cell === 'P') {
      accepts(line([...needed, ...(needed.includes(short) ? [] : [short])]));
      accepts(line([...needed.filter((it) => !'sd'.includes(it)), 'r', 'q']));
      refuses(line(needed.filter((it) => it !== ('sr'.includes(short) ? 's' : 'd'))), /needs both/);
    } else {
      if (cell === 'J') {
        refuses(line([...needed, short]), /no other output mode than json/);
        for (const mode of ['json', 'ndjson']) accepts([...line(needed), '-o', mode]);
        return;
      }
      // -{ and -} are for -s and -d.
      const companion = short === '{' ? ['s'] : short === '}' ? ['d'] : [];
      accepts(line([...new Set([...needed, ...companion, short])]));
    }
  });
}

// ---- pair rules: docs/behaviour.md 2.2 ----

for (const letter of ['I', 'A', 'G']) {
  const rest = letter === 'G' ? ['-p', '89'] : ['-p', '89', '-t', '1'];
  test(`-${letter}: source and destination of one direction, and messages name the one that was begun`, () => {
    accepts([`-${letter}`, ...rest, '-s', '1.1.1.1', '-d', '2.2.2.2']);
    accepts([`-${letter}`, ...rest, '-r', '1.1.1.1', '-q', '2.2.2.2']);
    accepts([`-${letter}`, ...rest, '-s', '1.1.1.1', '-d', '2.2.2.2', '-r', '2.2.2.2']);
    refuses([`-${letter}`, ...rest], /needs both --src and --dst/);
    refuses([`-${letter}`, ...rest, '-s', '1.1.1.1'], /needs both --src and --dst/);
    refuses([`-${letter}`, ...rest, '-s', '1.1.1.1', '-r', '2.2.2.2'], /needs both --src and --dst/);
    refuses([`-${letter}`, ...rest, '-s', '1.1.1.1', '-q', '2.2.2.2'], /needs both --src and --dst/);
    refuses([`-${letter}`, ...rest, '-q', '2.2.2.2'], /needs both --reply-src and --reply-dst/);
  });
}

// ---- protocols: docs/behaviour.md 2.3 ----

const PORT_PROTOCOLS = ['tcp', 'udp', 'udplite', 'sctp', 'dccp', 'gre'];
/** Keys of the rows, as the table heads them. */
const KEY_OF: Readonly<Record<string, string>> = {
  sp: 'sport',
  dp: 'dport',
  rsp: 'replySport',
  rdp: 'replyDport',
  msp: 'maskSport',
  mdp: 'maskDport',
  state: 'state',
  tsp: 'tupleSport',
  tdp: 'tupleDport',
  'orig-vtag': 'origVtag',
  'reply-vtag': 'replyVtag',
  role: 'role',
  type: 'icmpType',
  code: 'icmpCode',
  id: 'icmpId',
};
const KEYS = Object.values(KEY_OF).filter((key) => !key.startsWith('icmp'));

const PROTOCOL_CELLS = new Map<string, string>();
for (const matrix of PROTOCOL_MATRICES.trim().split('\n\n')) {
  const [head, ...lines] = matrix.trim().split('\n');
  const keys = head!.trim().split(/ +/);
  for (const line of lines) {
    const words = line.trim().split(/ +/);
    const table = words.shift()!;
    const values = words.splice(-keys.length);
    for (const letter of words)
      for (const [i, cell] of values.entries()) PROTOCOL_CELLS.set(`${table} ${letter} ${KEY_OF[keys[i]!]}`, cell);
  }
}

function protocolCell(name: string, table: string, letter: string, key: string): string {
  // -I expect -p gre needs all eight keys.
  if (name === 'gre' && table === 'expect' && letter === 'I' && key.startsWith('reply')) return 'M';
  return PROTOCOL_CELLS.get(`${table} ${letter} ${key}`)!;
}

const EXTRA_KEYS: Record<string, string[]> = {
  tcp: ['state'],
  sctp: ['state', 'origVtag', 'replyVtag'],
  dccp: ['state', 'role'],
};

const COMBINATIONS = [
  ...['L', 'D', 'E', 'U', 'G', 'I', 'A'].map((letter) => ['conntrack', letter] as const),
  ...['I', 'D', 'G'].map((letter) => ['expect', letter] as const),
];

const PROTOCOL_VALUE: Record<string, string> = { state: 'NONE', role: 'client' };

for (const name of [...PORT_PROTOCOLS, 'icmp', 'icmpv6']) {
  const rows = protocolOptions(protocolByName(name)!);
  test(`${name} has its options, in the order of the check`, () => {
    const ports = KEYS.filter((key) => /port$/i.test(key) || EXTRA_KEYS[name]?.includes(key));
    assert.deepEqual(Object.keys(rows), name.startsWith('icmp') ? ['icmpType', 'icmpCode', 'icmpId'] : ports);
  });
  for (const [table, letter] of COMBINATIONS) {
    test(`-${letter} ${table} -p ${name}`, () => {
      const cell = (key: string) => protocolCell(name, table, letter, key);
      const flag = (key: string) => [`--${rows[key]!.names[0]}`, PROTOCOL_VALUE[key] ?? '1'];
      const all = Object.keys(rows);
      const needed = all.filter((key) => cell(key) === 'M' || (cell(key) === 'P' && (key === 'sport' || key === 'dport')));
      const generic = cells()
        .filter(
          (it) => it.table === table && it.letter === letter && (it.cell === 'M' || (it.cell === 'P' && 'sd'.includes(it.short))),
        )
        .filter((it) => it.short !== 'p')
        .flatMap((it) => option(it.short));
      const line = (keys: readonly string[]) => [`-${letter}`, table, ...generic, '-p', name, ...keys.flatMap(flag)];
      accepts(line(needed));
      for (const key of all) {
        assert.equal(needOf(rows[key]!, letter as CommandLetter, table), NEEDS[cell(key)], key);
        const long = rows[key]!.names[0];
        if (cell(key) === '-') refuses(line([...needed, key]), new RegExp(`does not take --${long}`));
        else if (cell(key) === 'M')
          refuses(line(needed.filter((it) => it !== key)), new RegExp(`needs --${long} for protocol ${name}`));
        else if (cell(key) === 'P') {
          accepts(line([...new Set([...needed, key])]));
          const half = needed.filter((it) => it !== 'dport');
          refuses(line(half), /needs both/);
          if (key.startsWith('reply')) refuses(line([...half.filter((it) => it !== 'sport'), key]), /needs both --reply-/);
        } else accepts(line([...needed, key]));
      }
    });
  }
}

test('commands without -p have no protocol options either', () => {
  for (const words of [['-F'], ['-C'], ['-S'], ['-V'], ['-L', 'expect'], ['-E', 'expect']]) {
    refuses([...words, '-p', 'tcp'], /does not take -p/);
    refuses([...words, '-p', 'tcp', '--sport', '1'], /does not take -p/);
  }
  refuses(['-h', '-p', 'tcp', '--sport', '1'], /does not take --sport/);
});

test('a protocol without a tracker needs nothing', () => {
  accepts(['-I', '-s', '1.1.1.1', '-d', '2.2.2.2', '-t', '1', '-p', '50']);
});

// ---- order of the checks: docs/behaviour.md 1.5 ----

test('the first offence in the order of the check is reported', () => {
  refuses(['-I', '-s', '1.1.1.1', '-t', '3'], /needs -p/);
  refuses(['-I', '-p', 'udp', '--state', 'X'], /--state belongs to/);
  refuses(['-I', '-z', '-s', '1.1.1.1'], /needs -p/);
  refuses(['-L', '-b', '1', '-t', '1'], /does not take -t/);
  refuses(['-I', '-s', '1.1.1.1', '-p', 'udp', '-t', '1', '--tuple-port-src', '1'], /needs both --src/);
  refuses(
    ['-I', '-s', '1.1.1.1', '-d', '1.1.1.2', '-p', 'udp', '-t', '1', '--tuple-port-src', '1'],
    /does not take --tuple-port-src/,
  );
  refuses(['-I', '-s', '1.1.1.1', '-d', '1.1.1.2', '-p', 'tcp', '-t', '1'], /needs --state/);
  refuses(['-F', '-j', '-n'], /--any-nat/);
});

test('a prefix counts as a mask option, a full one does not', () => {
  const rest = ['-d', '192.0.2.2', '-p', '89', '-t', '1'];
  refuses(['-I', '-s', '192.0.2.0/24', ...rest], /does not take --mask-src \(the prefix of -s/);
  accepts(['-I', '-s', '192.0.2.0/32', ...rest]);
  refuses(['-G', '-s', '192.0.2.1', '-d', '192.0.2.0/24', '-p', '89'], /--mask-dst/);
  refuses(['-D', 'expect', '-s', '192.0.2.0/24', ...rest.slice(0, 4)], /--mask-src/);
});

test('the prefix of an expected tuple is its mask, a full one is none', () => {
  const rest = [
    '-I',
    'expect',
    '-s',
    '1.1.1.1',
    '-d',
    '2.2.2.2',
    '-p',
    '89',
    '-t',
    '1',
    '--mask-dst',
    '255.0.0.0',
    '--tuple-dst',
    '4.4.4.4',
  ];
  accepts([...rest, '--tuple-src', '3.3.3.0/24']);
  refuses([...rest, '--tuple-src', '3.3.3.0/32'], /needs --mask-src/);
});

// ---- rules beyond the rows ----

test('--any-nat excludes the other two', () => {
  refuses(['-L', '-j', '-n'], /--any-nat/);
  refuses(['-E', '-g', '1.1.1.1', '-j'], /--any-nat/);
  accepts(['-L', '-n', '-g']);
});

test('-L -z takes no filter but family and NAT, except where it has no effect', () => {
  for (const short of ['s', 'd', 'r', 'q', 'p', 'u', 'm', 'c', 'w', 'l', '(', ')']) {
    refuses(['-L', '-z', ...option(short)], /-z \(--zero\) resets every entry/);
    accepts(['-L', 'dying', '-z', ...option(short)]);
  }
  for (const short of ['f', 'n', 'g', 'j', 'o', 'M', 'a']) accepts(['-L', '-z', ...option(short)]);
});

test('a mask needs its address, on every list (docs/differences.md B40)', () => {
  for (const letter of ['L', 'D', 'U', 'E']) {
    refuses([`-${letter}`, '--mask-src', '255.0.0.0'], /--src/);
    refuses([`-${letter}`, '--mask-dst', '255.0.0.0', '-s', '1.1.1.1'], /--dst/);
  }
  for (const table of ['dying', 'unconfirmed']) refuses(['-L', table, '--mask-src', '255.0.0.0'], /--src/);
});

test('-L and -D refuse a status that selects nothing, others take it', () => {
  for (const letter of ['L', 'D'])
    for (const text of ['UNSET', '!UNSET', 'S', 'UNSET,D']) refuses([`-${letter}`, '-u', text], /selects nothing/);
  accepts(['-D', '-u', 'UNSET,ASSURED']);
  accepts(['-D', '-u', 'UNSET,!ASSURED']);
  accepts(['-U', '-u', 'UNSET']);
  accepts(['-I', '-s', '1.1.1.1', '-d', '2.2.2.2', '-p', '89', '-t', '1', '-u', 'UNSET']);
});

test('-I and -A refuse ports of the direction that has no addresses (docs/differences.md B32)', () => {
  const original = ['-s', '1.1.1.1', '-d', '2.2.2.2'];
  const reply = ['-r', '2.2.2.2', '-q', '1.1.1.1'];
  const rest = ['-t', '1', '-p', 'udp'];
  const ports = ['--sport', '1', '--dport', '2'];
  const replyPorts = ['--reply-port-src', '2', '--reply-port-dst', '1'];
  for (const letter of ['-I', '-A']) {
    accepts([letter, ...original, ...rest, ...ports]);
    accepts([letter, ...reply, ...rest, ...replyPorts]);
    accepts([letter, ...original, ...rest, ...ports, ...replyPorts]);
    accepts([letter, ...original, ...reply, ...rest, ...ports]);
    accepts([letter, ...original, '-r', '2.2.2.2', ...rest, ...ports]);
    refuses([letter, ...original, ...rest, ...replyPorts], /needs --sport and --dport/);
    refuses([letter, ...reply, ...rest, ...ports], /needs --reply-port-src and --reply-port-dst/);
    refuses([letter, ...original, '-t', '1', '-p', 'gre', '--reply-key-src', '1', '--reply-key-dst', '2'], /needs --srckey/);
  }
  accepts(['-G', ...reply, '-p', 'udp', ...ports]);
});

test('messages name the option, the command and who takes the option', () => {
  refuses(
    ['-L', '-t', '3'],
    /^-L \(--dump\) does not take -t \(--timeout\); it goes with -D, -I, -A, -U, and -I on table expect$/,
  );
  refuses(['-E', 'expect', '-e', 'NEW'], /^-E \(--event\) on table expect does not take -e \(--event-mask\); it goes with -E$/);
  assert.equal(commandRow('h').names[0], 'help');
});
