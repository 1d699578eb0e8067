import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PROTOCOLS, protocolByName } from '../ctnetlink/protocols/index.js';
import { type ParseEnvironment, parseCommandLine, parseLoadLine, unloadable } from './command-line.js';
import { COMMANDS } from './command-rows.js';
import type { Invocation, Table } from './invocation.js';
import { OPTIONS, type OptionRow } from './options.js';
import { protocolOptions } from './protocol-options.js';
import { UsageError, type UsageStatus } from './usage-error.js';

const env: ParseEnvironment = { readProtocols: () => 'esp 50 IPSEC-ESP\nipv6-icmp 58 IPv6-ICMP\n' };

const parse = (...words: string[]): Invocation => parseCommandLine(words, env);

function refuses(words: readonly string[], pattern?: RegExp, exitStatus: UsageStatus = 2): void {
  assert.throws(
    () => parseCommandLine(words, env),
    (error: unknown) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.equal(error.exitStatus, exitStatus, `${words.join(' ')}: ${error.message}`);
      if (pattern) assert.match(error.message, pattern);
      return true;
    },
    words.join(' '),
  );
}

const v4 = (...bytes: number[]) => Uint8Array.from(bytes);

// ---- commands: docs/behaviour.md 1.1 ----

test('every command has its short and long names', () => {
  const names: [string, string[]][] = [
    ['L', ['-L', '--dump']],
    ['I', []],
    ['D', ['-D', '--delete']],
    ['U', ['-U', '--update']],
    ['E', ['-E', '--event']],
    ['F', ['-F', '--flush']],
    ['C', ['-C', '--count', '--counter', '--coun']],
    ['S', ['-S', '--stats']],
    ['V', ['-V', '--version']],
    ['h', ['-h', '--help']],
  ];
  for (const [letter, spellings] of names)
    for (const spelled of spellings)
      assert.deepEqual(parse(spelled), { command: letter, table: 'conntrack', values: {}, warnings: [] });
  const tuple = ['-s', '1.1.1.1', '-d', '2.2.2.2', '-p', '89'];
  for (const spelled of ['-G', '--get']) assert.equal(parse(spelled, ...tuple).command, 'G');
  for (const spelled of ['-I', '--create', '--cr']) assert.equal(parse(spelled, ...tuple, '-t', '1').command, 'I');
  for (const spelled of ['-A', '--add', '--ad']) assert.equal(parse(spelled, ...tuple, '-t', '1').command, 'A');
});

test('no command: help without options, an error with options', () => {
  const help = { command: 'h', table: 'conntrack', values: {}, warnings: [] };
  assert.deepEqual(parse(), help);
  assert.deepEqual(parse('foo'), { ...help, word: 'foo' });
  assert.deepEqual(parse(''), help);
  assert.deepEqual(parse('foo', 'expect', '-'), { ...help, word: 'foo' });
  assert.deepEqual(parse('--'), { ...help, word: '--' });
  assert.deepEqual(parse('--', '-L', '-p'), { ...help, word: '--' });
  refuses(['-p', 'udp'], /-p \(--proto\) needs a command/);
  refuses(['-z'], /needs a command/);
  refuses(['-a', 'x'], /needs a command/);
  refuses(['--nope'], /unknown option/);
});

test('only one command', () => {
  refuses(['-L', '-L'], /given twice/);
  refuses(['-L', '--dump'], /given twice/);
  refuses(['-LD'], /-L and -D are two/);
  refuses(['-h', '-L'], /only one command/);
  refuses(['-I', '-E'], /only one command/);
});

test('-R is recognised as the first word, with a file name after it', () => {
  const load = { command: 'R', table: 'conntrack', values: {}, file: 'f', warnings: [] };
  assert.deepEqual(parse('-R', 'f'), load);
  assert.deepEqual(parse('--load-file', 'f'), load);
  assert.deepEqual(parse('-R', 'f', '--nope', '-L', '-p'), load);
  assert.equal(parse('-R', '-').file, '-');
  assert.equal(parse('-R', '-L').file, '-L');
  assert.equal(parse('-R', '').file, '');
  refuses(['-R'], /first word/);
  refuses(['--load-file'], /first word/);
  refuses(['--load-file=f']);
  refuses(['--load', 'f']);
  refuses(['-Rf'], /first word/);
  refuses(['-L', '-R', 'f'], /first word/);
  refuses(['x', '-R', 'f'], /first word/);
});

// ---- tables: docs/behaviour.md 1.2 ----

const TABLE_CASES: [words: string[], table: Table][] = [
  [['-L'], 'conntrack'],
  [['-L', 'expect'], 'expect'],
  [['--dump', 'expect'], 'expect'],
  [['--dump=expect'], 'expect'],
  [['--dump=e'], 'expect'],
  [['-L', 'e'], 'expect'],
  [['-L', 'exp'], 'expect'],
  [['-L', ''], 'expect'],
  [['-L', 'c'], 'conntrack'],
  [['-L', 'conntrack'], 'conntrack'],
  [['-L', 'd'], 'dying'],
  [['-L', 'dying'], 'dying'],
  [['-L', 'u'], 'unconfirmed'],
  [['-L', 'unconfirmed'], 'unconfirmed'],
  [['-S', 'expect'], 'expect'],
  [['--stats', 'expect'], 'expect'],
  [['-C', 'expect'], 'expect'],
  [['-Cexpect'], 'expect'],
  [['--count=expect'], 'expect'],
  [['--counter', 'expect'], 'expect'],
  [['-F', 'expect'], 'expect'],
  [['-E', 'expect'], 'expect'],
  [['-V', 'expect'], 'expect'],
  [['-h', 'expect'], 'expect'],
  [['-h', 'c'], 'conntrack'],
  [['-zL', 'conntrack'], 'conntrack'],
  [['-Lz', 'expect'], 'conntrack'],
  [['-Lz', 'foo'], 'conntrack'],
  [['-L', '-'], 'conntrack'],
  [['-L', '!x'], 'conntrack'],
  [['-L', '--', 'expect'], 'conntrack'],
  [['foo', '-L', 'expect'], 'expect'],
  [['-L', 'expect', 'foo'], 'expect'],
  [['-L', '-p', 'udp', 'extra', 'words'], 'conntrack'],
];

for (const [words, table] of TABLE_CASES) {
  test(`conntrack ${words.join(' ')} works on ${table}`, () => assert.equal(parse(...words).table, table));
}

const BAD_TABLES: string[][] = [
  ['-L', 'foo'],
  ['-L', 'foo', 'expect'],
  ['-L', 'EXPECT'],
  ['-L', 'expected'],
  ['--dump=foo'],
  ['--dump='],
  ['-V', 'foo'],
  ['-h', 'foo'],
  ['-h', 'dying'],
  ['-V', 'u'],
  ['-D', 'dying'],
  ['-E', 'unconfirmed'],
  ['-C', 'd'],
  ['-U', 'expect'],
  ['-A', 'expect'],
  ['-Lexpect'],
  ['-zL', 'expect'],
  ['-Cfoo'],
  ['-Cz'],
  ['--stats=expect'],
  ['--help=list'],
  ['--version=1'],
];

for (const words of BAD_TABLES) test(`conntrack ${words.join(' ')} is refused`, () => refuses(words));

test('the table is checked at its word, before later mistakes', () => {
  refuses(['-U', 'expect', '-o', 'save,xml'], /does not work on table expect/);
  refuses(['-L', 'contrack', '-w', 'x'], /did you mean conntrack/);
});

// ---- getopt behaviour: docs/behaviour.md 1.3 ----

test('short options bundle', () => {
  assert.equal(parse('-Lpudp').values.protonum, 17);
  assert.equal(parse('-Loid').values.output?.id, true);
  assert.equal(parse('-Lz').values.zero, true);
  assert.deepEqual(parse('-Ln').values.srcNat, {});
  refuses(['-Lnz'], /-n \(--src-nat\): 'z'/);
});

test('values are glued or the next word', () => {
  assert.deepEqual(parse('-L', '-s192.0.2.1').values.src, { address: v4(192, 0, 2, 1) });
  assert.deepEqual(parse('-L', '-s', '192.0.2.1').values.src, { address: v4(192, 0, 2, 1) });
  assert.deepEqual(parse('-L', '--src=192.0.2.1').values.src, { address: v4(192, 0, 2, 1) });
  assert.deepEqual(parse('-L', '--orig-src', '192.0.2.1').values.src, { address: v4(192, 0, 2, 1) });
  refuses(['-L', '-s=192.0.2.1']);
  refuses(['-L', '-p', '-1'], /'-1'/);
  refuses(['-L', '-m', '-1'], /'-1'/, 1);
  refuses(['-L', '-s'], /-s \(--src\) needs a value/);
  refuses(['-L', '--src'], /needs a value/);
  refuses(['-L', '--zero=1'], /takes no value/);
});

test('optional values are honoured, glued or not', () => {
  assert.deepEqual(parse('-L', '-n').values.srcNat, {});
  assert.deepEqual(parse('-L', '-n', '-z').values.srcNat, {});
  assert.deepEqual(parse('-L', '-n', '192.0.2.9').values.srcNat, { address: v4(192, 0, 2, 9) });
  assert.deepEqual(parse('-L', '-n192.0.2.9').values.srcNat, { address: v4(192, 0, 2, 9) });
  assert.deepEqual(parse('-D', '--src-nat=203.0.113.5').values.srcNat, { address: v4(203, 0, 113, 5) });
  assert.deepEqual(parse('-L', '--dst-nat', '203.0.113.5:80').values.dstNat, { address: v4(203, 0, 113, 5), port: 80 });
  assert.deepEqual(parse('-L', '--any-nat').values.anyNat, {});
  assert.deepEqual(parse('-U', '--label-del=web').values.labelDel, ['web']);
  assert.deepEqual(parse('-U', '--label-del', 'web').values.labelDel, ['web']);
  assert.deepEqual(parse('-U', '--label-del', '-m', '1').values.labelDel, []);
  assert.deepEqual(parse('-L', '-n', '-n', '1.1.1.1', '-n').values.srcNat, {});
  refuses(['-L', '-n', ''], /not an IPv4/);
  refuses(['-L', '--src-nat='], /not an IPv4/);
  refuses(['-L', '-n', 'expect'], /not an IPv4/);
  refuses(['-U', '--label-del='], /empty/);
});

const PREFIXES: [string[], (it: Invocation) => unknown][] = [
  [['-L', '--proto', '6'], (it) => it.values.protonum],
  [['-L', '--prot', '6'], (it) => it.values.protonum],
  [['-L', '--protonum', '6'], (it) => it.values.protonum],
  [['--count'], (it) => it.command === 'C'],
  [['-L', '--out', 'id'], (it) => it.values.output],
  [['-L', '--zon', '1'], (it) => it.values.zone],
  [['-L', '--fam', 'ipv4'], (it) => it.values.family],
  [['-L', '--sec', '1'], (it) => it.values.secmark],
  [['-L', '--any'], (it) => it.values.anyNat],
  [['-L', '-s', '1.1.1.1', '--mask-s', '255.0.0.0'], (it) => it.values.src?.mask],
  [['-U', '--label-a', 'x'], (it) => it.values.labelAdd],
  [['--du'], (it) => it.command === 'L'],
  [['--up'], (it) => it.command === 'U'],
  [['--he'], (it) => it.command === 'h'],
  [['--v'], (it) => it.command === 'V'],
  [['-L', '--label', 'x'], (it) => it.values.labels],
  [['--event'], (it) => it.command === 'E'],
  [['-D', '--i', '1'], (it) => it.values.id],
];

for (const [words, read] of PREFIXES) test(`${words.join(' ')} is understood`, () => assert.ok(read(parse(...words))));

test('ambiguous abbreviations are refused', () => {
  for (const word of [
    '--d',
    '--s',
    '--sr',
    '--o',
    '--ma',
    '--lab',
    '--orig',
    '--reply',
    '--st',
    '--sta',
    '--even',
    '--tup',
    '--'.concat('m'),
  ])
    refuses(['-L', word, '1'], /could mean/);
});

/** Long names of the reference tool, one word for each option. */
const REFERENCE: readonly string[][] = [
  ['dump'],
  ['create'],
  ['add'],
  ['delete'],
  ['update'],
  ['get'],
  ['flush'],
  ['event'],
  ['counter'],
  ['stats'],
  ['version'],
  ['help'],
  ['src', 'orig-src'],
  ['dst', 'orig-dst'],
  ['reply-src'],
  ['reply-dst'],
  ['protonum'],
  ['timeout'],
  ['status'],
  ['zero'],
  ['event-mask'],
  ['tuple-src'],
  ['tuple-dst'],
  ['mask-src'],
  ['mask-dst'],
  ['nat-range'],
  ['mark'],
  ['id'],
  ['family'],
  ['src-nat'],
  ['dst-nat'],
  ['output'],
  ['secmark'],
  ['buffer-size'],
  ['any-nat'],
  ['zone'],
  ['label'],
  ['label-add'],
  ['label-del'],
  ['orig-zone'],
  ['reply-zone'],
  ['labelmap'],
];

test('every abbreviation that the reference tool takes means the same here, also after -p', () => {
  const own = new Map<string, string>();
  const rows = [...COMMANDS.filter((row) => row.letter !== 'R'), ...Object.values<OptionRow>(OPTIONS)];
  for (const row of rows) for (const name of row.names) own.set(name, row.names[0]);
  for (const protocol of [undefined, ...PROTOCOLS]) {
    const extra = protocol ? Object.values(protocolOptions(protocol)).map((row) => [...row.names]) : [];
    const all = [...REFERENCE, ...extra];
    const rowNames = new Map(own);
    for (const names of extra) for (const name of names) rowNames.set(name, names[0]!);
    for (const names of all) {
      for (const name of names) {
        for (let length = 1; length <= name.length; length++) {
          const prefix = name.slice(0, length);
          const fits = all.filter((other) => other.some((it) => it.startsWith(prefix)));
          if (fits.length !== 1 && length < name.length) continue;
          const message = messageOf([...(protocol ? ['-p', protocol.name] : []), `--${prefix}`, '\0bad']);
          // Every outcome names the option or command it took the word for.
          assert.doesNotMatch(message, /unknown option|could mean/, `${prefix}: ${message}`);
          assert.match(
            message,
            new RegExp(`--${rowNames.get(name)}\\b|needs a command|table|no help`),
            `${prefix} of ${name}: ${message}`,
          );
        }
      }
    }
  }
});

function messageOf(words: readonly string[]): string {
  try {
    return JSON.stringify(parseCommandLine(words, env))
      .replace(/.*"labels":.*/, '--label')
      .replace(/.*"labelAdd".*/, '--label-add');
  } catch (error) {
    return (error as UsageError).message;
  }
}

test('protocol options come after -p and change which abbreviations are unique', () => {
  assert.equal(parse('-L', '-p', 'udp', '--sport', '1').values.sport, 1);
  assert.equal(parse('-L', '-p', 'udp', '--orig-port-s', '1').values.sport, 1);
  assert.equal(parse('-L', '-p', 'udp', '--sp', '1').values.sport, 1);
  assert.equal(parse('-L', '-p6', '--sport', '1').values.sport, 1);
  assert.equal(parse('-L', '-p', 'gre', '--srckey', '0x10').values.sport, 16);
  assert.equal(parse('-L', '-p', 'icmp', '--icmp-type', '8').values.icmpType, 8);
  assert.equal(parse('-L', '-p', 'ICMPv6', '--icmpv6-id', '9').values.icmpId, 9);
  refuses(['-L', '--sport', '1', '-p', 'udp'], /--sport belongs to tcp, udp/);
  refuses(['-L', '-p', 'udp', '--orig-p', '1'], /could mean/);
  refuses(['-L', '-p', 'udp', '--state', 'X'], /--state belongs to tcp, sctp, dccp/);
  refuses(['-L', '-p', 'ipv6-icmp', '--icmpv6-type', '1'], /belongs to icmpv6/);
  refuses(['-L', '-p', 'esp', '--sport', '1'], /belongs to/);
});

test('every protocol has the long names of docs/behaviour.md 1.6', () => {
  const ports =
    'sport orig-port-src dport orig-port-dst reply-port-src reply-port-dst mask-port-src mask-port-dst tuple-port-src tuple-port-dst';
  const keys =
    'srckey orig-key-src dstkey orig-key-dst reply-key-src reply-key-dst mask-key-src mask-key-dst tuple-key-src tuple-key-dst';
  const names: Record<string, string> = {
    tcp: `${ports} state`,
    udp: ports,
    udplite: ports,
    sctp: `${ports} state orig-vtag reply-vtag`,
    dccp: `${ports} state role`,
    gre: keys,
    icmp: 'icmp-type icmp-code icmp-id',
    icmpv6: 'icmpv6-type icmpv6-code icmpv6-id',
  };
  for (const [protocol, list] of Object.entries(names)) {
    const own = Object.values(protocolOptions(protocolByName(protocol)!)).flatMap((row) => row.names);
    assert.deepEqual([...own].sort(), list.split(' ').sort());
  }
});

test('a second, different protocol is refused, the same one is fine', () => {
  refuses(['-L', '-p', 'tcp', '-p', 'udp'], /only one protocol at a time; tcp was given before udp/);
  assert.equal(parse('-L', '-p', 'tcp', '-p', '6', '--sport', '1').values.sport, 1);
  assert.equal(parse('-L', '-p', 'ipv6-icmp', '-p', 'icmpv6', '--icmpv6-type', '1').values.icmpType, 1);
});

test('unknown options are named, also within a bundle', () => {
  refuses(['-L', '-xp'], /'-x' in '-xp'/);
  refuses(['-L', '-x'], /unknown option '-x'$/);
  refuses(['-L', '--stauts', 'x'], /did you mean --status\?/);
});

// ---- values and their accumulation: docs/behaviour.md 1.4, 3 ----

test('every short option reads its value', () => {
  const { values } = parse(
    ...'-E -s 192.0.2.1 -d 192.0.2.2 -r 192.0.2.3 -q 192.0.2.4 -p tcp -e NEW -m 1/2 -f ipv4 -n -g -o xml -c 3 -b 4 -w 5 -l web'.split(
      ' ',
    ),
    ...'-( 6 -) 7 -M map -{ 255.0.0.0 -} 255.255.0.0 --sport 8 --dport 9 --reply-port-src 10 --reply-port-dst 11 --state CLOSE'.split(
      ' ',
    ),
  );
  assert.deepEqual(values, {
    family: 2,
    src: { address: v4(192, 0, 2, 1), mask: v4(255, 0, 0, 0) },
    dst: { address: v4(192, 0, 2, 2), mask: v4(255, 255, 0, 0) },
    replySrc: { address: v4(192, 0, 2, 3) },
    replyDst: { address: v4(192, 0, 2, 4) },
    protonum: 6,
    eventMask: 1,
    mark: { value: 1, mask: 2 },
    srcNat: {},
    dstNat: {},
    output: {
      xml: true,
      extended: false,
      timestamp: false,
      id: false,
      ktimestamp: false,
      labels: false,
      userspace: false,
      save: false,
      full: false,
      json: false,
      ndjson: false,
    },
    secmark: 3,
    bufferSize: 4,
    zone: 5,
    labels: ['web'],
    origZone: 6,
    replyZone: 7,
    labelMap: 'map',
    sport: 8,
    dport: 9,
    replySport: 10,
    replyDport: 11,
    state: 8,
  });
  const update = parse(
    ...'-U -u ASSURED,!SEEN -t 5 -i 0x10 -< a,b -< c -p sctp --orig-vtag 1 --reply-vtag 4294967295'.split(' '),
  );
  assert.deepEqual(update.values, {
    status: { set: 4, clear: 2 },
    timeout: 5,
    id: 16,
    labelAdd: ['a', 'b', 'c'],
    protonum: 132,
    origVtag: 1,
    replyVtag: 0xffffffff,
  });
});

test('an expectation has masks of its own', () => {
  const words =
    '-I expect -s 1.1.1.1 -d 2.2.2.2 -p udp -t 9 --tuple-src 3.3.3.3 --mask-src 255.255.255.255 --tuple-dst 4.4.4.0/24'.split(
      ' ',
    );
  const ports = '--sport 1 --dport 2 --mask-port-src 3 --mask-port-dst 4 --tuple-port-src 5 --tuple-port-dst 6'.split(' ');
  const { values } = parse(...words, ...ports);
  assert.deepEqual(values.tupleSrc, { address: v4(3, 3, 3, 3) });
  assert.deepEqual(values.tupleDst, { address: v4(4, 4, 4, 0) });
  assert.deepEqual(values.maskSrc, v4(255, 255, 255, 255));
  assert.deepEqual(values.maskDst, v4(255, 255, 255, 0));
  assert.deepEqual([values.maskSport, values.maskDport, values.tupleSport, values.tupleDport], [3, 4, 5, 6]);
});

test('of a prefix and a mask, the later word wins; a later address keeps the mask', () => {
  const mask = (...words: string[]) => parse('-L', ...words).values.src?.mask;
  assert.deepEqual(mask('-s', '1.0.0.0/8', '--mask-src', '255.255.0.0'), v4(255, 255, 0, 0));
  assert.deepEqual(mask('--mask-src', '255.255.0.0', '-s', '1.0.0.0/8'), v4(255, 0, 0, 0));
  assert.deepEqual(mask('-s', '1.0.0.0/8', '-s', '2.2.2.2'), v4(255, 0, 0, 0));
  assert.equal(parse('-L', '-s', '1.0.0.0/8').values.maskSrc, undefined);
});

test('single values: the last wins; lists accumulate', () => {
  assert.equal(parse('-D', '-t', '1', '-t', '2').values.timeout, 2);
  assert.deepEqual(parse('-L', '-s', '1.1.1.1', '-s', '2.2.2.2').values.src, { address: v4(2, 2, 2, 2) });
  const { values } = parse('-L', '-o', 'id', '-o', 'xml', '-u', 'ASSURED', '-u', '!SEEN', '-l', 'a,b', '-l', 'b,c');
  assert.equal(values.output?.id && values.output.xml, true);
  assert.deepEqual(values.status, { set: 4, clear: 2 });
  assert.deepEqual(values.labels, ['a', 'b', 'c']);
  assert.equal(parse('-E', '-e', 'NEW', '-e', 'UPDATES').values.eventMask, 3);
  assert.deepEqual(parse('-U', '--label-del', 'a', '--label-del').values.labelDel, []);
  assert.deepEqual(parse('-U', '--label-del', '--label-del', 'a').values.labelDel, []);
  assert.deepEqual(parse('-U', '--label-del', 'a', '--label-del', 'b').values.labelDel, ['a', 'b']);
  refuses(['-L', '--labelmap', 'a', '-M', 'a'], /only one label file/);
});

test('all addresses and -f are of one family', () => {
  assert.equal(parse('-L', '-s', '::1').values.family, 10);
  assert.equal(parse('-L', '-s', '1.1.1.1').values.family, 2);
  assert.equal(parse('-L', '-n', '::1').values.family, 10);
  assert.equal(parse('-L', '-s', '::/0', '-f', 'ipv6').values.family, 10);
  assert.equal(parse('-L').values.family, undefined);
  const mixtures = [
    ['-s', '::1', '-d', '1.1.1.1'],
    ['-f', 'ipv4', '-s', '::1'],
    ['-s', '1.1.1.1', '-f', 'ipv6'],
    ['-f', 'ipv4', '-f', 'ipv6'],
    ['-n', '1.1.1.1', '-g', '::1'],
    ['-s', '1.1.1.1/0', '-q', '::1'],
    ['-s', '::1', '--mask-src', '255.0.0.0'],
    ['-j', '[::1]:80', '-r', '1.1.1.1'],
  ];
  for (const words of mixtures) refuses(['-L', ...words], /is IPv[46], but .* is IPv[46]/);
  refuses(['-I', 'expect', '--tuple-src', '1.1.1.1', '--tuple-dst', '::1'], /IPv6, but/);
});

test('exit status 1: wrong -w -i -c -m, save with others, labels added and deleted', () => {
  for (const word of ['-w', '--orig-zone', '--reply-zone', '-i', '-c', '-m', '-(', '-)'])
    refuses(['-L', word, 'abc'], undefined, 1);
  refuses(['-L', '-i', '1'], /does not take -i/, 2);
  refuses(['-L', '-o', 'save,xml'], /save/, 1);
  refuses(['-L', '-o', 'xml', '-o', 'save', '--nope'], /save/, 1);
  refuses(['-U', '--label-add', 'a', '--label-del'], /exclude/, 1);
  refuses(['-U', '--label-del', 'b', '--label-add', 'a', '--nope'], /exclude/, 1);
  refuses(['-F', '--label-del', '--label-add', 'a'], /exclude/, 1);
  assert.equal(parse('-L', '-o', 'save,userspace').values.output?.save, true);
});

test('exit status 2: every other wrong value', () => {
  for (const words of [
    '-t abc',
    '-b 1x',
    '-p nope',
    '-u X',
    '-e X',
    '-o y',
    '-s x',
    '-f inet',
    '-n x',
    '-l a,,b',
    '-p tcp --sport http',
    '-p tcp --state X',
  ])
    refuses(['-L', ...words.split(' ')]);
});

test('mistakes are reported from left to right', () => {
  refuses(['-L', '-w', 'x', '--nope'], /-w/, 1);
  refuses(['-L', '--nope', '-w', 'x'], /unknown/, 2);
  refuses(['-L', '-L', '-w', 'x'], /twice/, 2);
});

test('a bad zone is reported by its name, not by its letter', () => {
  refuses(['-L', '-(', 'x'], /^--orig-zone:/, 1);
});

test('warnings do not stop the command', () => {
  assert.match(parse('-L', '-a', 'x').warnings[0]!, /-a \(--nat-range\) is deprecated/);
  assert.equal(parse('-V', '-a', 'x').command, 'V');
  assert.match(parse('-L', '-u', 'ASSURED,S').warnings[0]!, /SRC_NAT/);
  assert.deepEqual(parse('-L', '-s', '1.1.1.1').warnings, []);
});

// ---- labels (1.5 step 2) ----

test('labels are looked up after all words and before legality', () => {
  const asked: unknown[] = [];
  const withLabels: ParseEnvironment = {
    ...env,
    resolveLabels(names, labelMap) {
      asked.push([names, labelMap]);
      if (names.includes('nope')) throw new UsageError("unknown label 'nope'");
      return new Map(names.map((name, bit) => [name, bit]));
    },
  };
  const update = parseCommandLine(['-U', '-l', 'a,b', '--label-add', 'b,c', '-M', 'map'], withLabels);
  assert.deepEqual(asked, [[['a', 'b', 'c'], 'map']]);
  assert.equal(update.labelBits?.get('c'), 2);
  assert.throws(() => parseCommandLine(['-F', '-l', 'nope'], withLabels), /unknown label/);
  assert.throws(() => parseCommandLine(['-F', '-l', 'a'], withLabels), /does not take -l/);
  assert.throws(() => parseCommandLine(['-L', '-l', 'nope', '--nope'], withLabels), /unknown option/);
  asked.length = 0;
  assert.equal(parseCommandLine(['-U', '--label-del'], withLabels).labelBits, undefined);
  parseCommandLine(['-L', '-o', 'labels', '-M', '/nonexistent'], withLabels);
  assert.deepEqual(asked, []);
});

test('/etc/protocols is read only for a name that is not known, and the label file never', () => {
  let reads = 0;
  const counting = { readProtocols: () => `${reads++ ? '' : ''}esp 50\n` };
  for (const protocol of ['tcp', '50', '0x32', 'UDP']) parseCommandLine(['-L', '-p', protocol], counting);
  assert.equal(reads, 0);
  assert.equal(parseCommandLine(['-L', '-p', 'esp'], counting).values.protonum, 50);
  assert.equal(reads, 1);
});

// ---- help ----

test('help is asked about a command, a protocol or expect', () => {
  const topic = (...words: string[]) => parse(...words).topic;
  assert.equal(topic('-h'), undefined);
  assert.equal(topic('-h', 'update'), 'update');
  assert.equal(topic('--help', 'U'), 'update');
  assert.equal(topic('-h', 'list'), 'dump');
  assert.equal(topic('-h', 'count'), 'count');
  assert.equal(topic('-h', 'load-file'), 'load-file');
  assert.equal(topic('-h', 'TCP'), 'tcp');
  assert.equal(topic('-h', 'udp'), 'udp');
  assert.equal(topic('-h', 'expect'), 'expect');
  assert.equal(topic('-h', 'conntrack'), undefined);
  assert.equal(topic('-h', '-p', 'tcp'), 'tcp');
  assert.equal(topic('-h', '-p', '6'), 'tcp');
  assert.equal(topic('-h', '-p', 'esp'), 'esp');
  assert.equal(topic('-h', '-p', '41'), '41');
  refuses(['-h', '-p', 'nope']);
  refuses(['-h', '-s', '1.1.1.1'], /does not take -s/);
  refuses(['-V', '-p', 'tcp'], /does not take -p/);
});

// ---- load files: docs/behaviour.md 4.13 ----

test('a line of a load file has the same grammar, and must have a command', () => {
  const line = (text: string) => parseLoadLine(text.split(' '), env);
  const added = line('-A -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -t 60 # from the dump');
  assert.equal(added.command, 'A');
  assert.equal(unloadable(added), undefined);
  assert.equal(unloadable(line('conntrack -D -s 1.1.1.1')), undefined);
  assert.equal(unloadable(line('-F -f ipv6')), undefined);
  assert.throws(() => line('conntrack'), /no command/);
  assert.throws(() => line('-p udp'), UsageError);
  assert.throws(() => line('-R file'), UsageError);
  assert.throws(() => line('-I -s 1.1.1.1'), UsageError);
});

test('a load file holds -I -A -U -D -F on table conntrack only', () => {
  for (const text of ['-L', '-E', '-C', '-S', '-V', '-h', '-G -s 1.1.1.1 -d 2.2.2.2 -p 89'])
    assert.ok(unloadable(parseLoadLine(text.split(' '), env)) instanceof UsageError, text);
  assert.match(unloadable(parseLoadLine(['-F', 'expect'], env))!.message, /table conntrack only/);
});

// ---- anything ----

test('any words give an invocation or a usage error', () => {
  const rows = Object.values<OptionRow>(OPTIONS);
  const protocolRows = PROTOCOLS.flatMap((protocol) => Object.values(protocolOptions(protocol)));
  const option = fc.constantFrom(
    ...COMMANDS.flatMap((row) => [`-${row.letter}`, ...row.names.map((name) => `--${name}`)]),
    ...[...rows, ...protocolRows].flatMap((row) => [
      ...(row.short ? [`-${row.short}`] : []),
      ...row.names.map((name) => `--${name}`),
    ]),
  );
  const value = fc.oneof(
    fc.constantFrom(
      '192.0.2.1',
      '::1',
      '192.0.2.0/24',
      '[::1]:80',
      'tcp',
      'udp',
      'gre',
      'icmp',
      'sctp',
      'dccp',
      '6',
      '0',
      '1',
      '0x10',
      '1/2',
    ),
    fc.constantFrom(
      'expect',
      'dying',
      'ASSURED',
      'S',
      'NEW',
      'xml',
      'save',
      'ESTABLISHED',
      'client',
      'a,b',
      'ipv4',
      'ipv6',
      '',
      '-',
      '!x',
      '--',
    ),
    fc.constantFrom('__proto__', 'constructor', 'toString', '-__proto__', '--__proto__', '--constructor', '--toString='),
    fc.string(),
    fc.string({ unit: 'binary' }),
  );
  const glued = fc.tuple(option, fc.constantFrom('', '='), value).map((parts) => parts.join(''));
  const bundle = fc
    .string({ unit: fc.constantFrom(...'LIADUGFECSRVhsdrqptuze[]{}amifngocbjwl<>()M'), maxLength: 5 })
    .map((text) => `-${text}`);
  const words = fc.array(fc.oneof({ weight: 4, arbitrary: option }, { weight: 5, arbitrary: value }, glued, bundle), {
    maxLength: 14,
  });
  let accepted = 0;
  fc.assert(
    fc.property(words, (argv) => {
      try {
        const invocation = parseCommandLine(argv, env);
        assert.ok(COMMANDS.some((row) => row.letter === invocation.command));
        accepted++;
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error instanceof Error ? error.stack : error));
        assert.ok(error.exitStatus === 1 || error.exitStatus === 2);
        assert.doesNotMatch(error.message, /[\p{Cc}]|undefined|\[object/u);
        assert.match(error.message, /^[-a-z'[\]{}<>()]/);
      }
    }),
    { numRuns: 5000 },
  );
  assert.ok(accepted > 0);
});
