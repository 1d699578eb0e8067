import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DCCP_STATES, dccp } from '../ctnetlink/protocols/dccp.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { SCTP_STATES, sctp } from '../ctnetlink/protocols/sctp.js';
import { TCP_STATES, tcp } from '../ctnetlink/protocols/tcp.js';
import { UsageError, type UsageStatus } from './usage-error.js';
import {
  NUMBERS,
  type NumberKind,
  parseEvents,
  parseFamily,
  parseLabels,
  parseMark,
  parseNat,
  parseNetwork,
  parseNumber,
  parseOutput,
  parsePlainAddress,
  parseProtocol,
  parseRole,
  parseState,
  parseStatus,
} from './values.js';

const OPTION = '--option';

function refuses(run: () => unknown, exitStatus: UsageStatus = 2, pattern?: RegExp): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof UsageError, String(error));
    assert.equal(error.exitStatus, exitStatus, error.message);
    assert.match(error.message, /^--option: [^\n]*[^.\n]$/);
    if (pattern) assert.match(error.message, pattern);
    return true;
  });
}

const silent = () => assert.fail('no warning expected');

// ---- numbers ----

const AUTO: NumberKind[] = ['zone', 'id', 'secmark', 'mark', 'key', 'protocol'];
const DECIMAL: NumberKind[] = ['timeout', 'bufferSize', 'count', 'port', 'icmpType', 'icmpCode', 'icmpId', 'vtag'];
const EXIT_1: NumberKind[] = ['zone', 'id', 'secmark', 'mark'];

test('every kind of number is in the tests', () => {
  assert.deepEqual([...AUTO, ...DECIMAL].sort(), Object.keys(NUMBERS).sort());
});

test('ranges are those of the kernel fields', () => {
  const max = (kind: NumberKind) => NUMBERS[kind].max;
  for (const kind of ['zone', 'port', 'key', 'icmpId'] as const) assert.equal(max(kind), 65535);
  for (const kind of ['id', 'secmark', 'mark', 'timeout', 'vtag'] as const) assert.equal(max(kind), 4294967295);
  for (const kind of ['icmpType', 'icmpCode'] as const) assert.equal(max(kind), 255);
});

for (const kind of [...AUTO, ...DECIMAL]) {
  const status = EXIT_1.includes(kind) ? 1 : 2;
  test(`a ${kind} is checked whole and in range, exit status ${status}`, () => {
    const { max } = NUMBERS[kind];
    assert.equal(parseNumber('0', OPTION, kind), 0);
    assert.equal(parseNumber('10', OPTION, kind), 10);
    assert.equal(parseNumber(' \t+10', OPTION, kind), 10);
    assert.equal(parseNumber(String(max), OPTION, kind), max);
    for (const bad of [
      '',
      ' ',
      '-1',
      '-0',
      '++1',
      '+ 1',
      '10x',
      '10 ',
      'abc',
      '1.0',
      '1e3',
      '0xzz',
      '0x',
      '1_0',
      '９',
      String(max + 1),
      '9'.repeat(60),
    ])
      refuses(() => parseNumber(bad, OPTION, kind), status);
  });
}

for (const kind of AUTO) {
  test(`a ${kind} may be hexadecimal or octal`, () => {
    assert.equal(parseNumber('0x1f', OPTION, kind), 31);
    assert.equal(parseNumber('0X1F', OPTION, kind), 31);
    assert.equal(parseNumber('017', OPTION, kind), 15);
    assert.equal(parseNumber('00', OPTION, kind), 0);
    for (const bad of ['08', '0x1g', '018', '0b1', '0o7'])
      refuses(() => parseNumber(bad, OPTION, kind), EXIT_1.includes(kind) ? 1 : 2);
  });
}

for (const kind of DECIMAL) {
  test(`a ${kind} is decimal`, () => {
    assert.equal(parseNumber('017', OPTION, kind), 17);
    refuses(() => parseNumber('0x1f', OPTION, kind));
  });
}

test('a mark has a mask of all ones unless one is given', () => {
  assert.deepEqual(parseMark('5', OPTION), { value: 5, mask: 0xffffffff });
  assert.deepEqual(parseMark('0x1f/0x0f', OPTION), { value: 31, mask: 15 });
  assert.deepEqual(parseMark('0/0', OPTION), { value: 0, mask: 0 });
  assert.deepEqual(parseMark('017/+1', OPTION), { value: 15, mask: 1 });
  assert.deepEqual(parseMark('4294967295/4294967295', OPTION), { value: 0xffffffff, mask: 0xffffffff });
});

test('a wrong mark or mask is exit status 1', () => {
  for (const bad of ['', 'abc', '-1', '1 ', '4294967296', '1/4294967297', '31/', '/1', '1/1/1', '1/x', '1 /1'])
    refuses(() => parseMark(bad, OPTION), 1);
});

// ---- addresses ----

const v4 = (...bytes: number[]) => Uint8Array.from(bytes);

test('IPv4 is read as inet_aton does', () => {
  for (const text of ['192.0.2.1', '192.0.513', '3221225985', '0xc0000201', '0300.0.2.1', '0xc0.0.2.1'])
    assert.deepEqual(parsePlainAddress(text, OPTION), v4(192, 0, 2, 1), text);
  assert.deepEqual(parsePlainAddress('192.0.2', OPTION), v4(192, 0, 0, 2));
});

test('what is no address is refused', () => {
  for (const bad of [
    '',
    ' 192.0.2.1',
    '192.0.2.1 ',
    '192.0.2.1 x',
    '256.1.1.1',
    '1.2.3.4.5',
    '1.2.3.',
    'localhost',
    '2001:db8::1::',
    'fe80::1%eth0',
    '[::1]',
    ':::',
    '12345::',
    '1:2:3:4:5:6:7',
  ])
    refuses(() => parsePlainAddress(bad, OPTION));
});

test('an IPv4-mapped address is IPv6', () => {
  assert.equal(parsePlainAddress('::ffff:192.0.2.1', OPTION).length, 16);
});

test('a prefix is refused where none may be', () => {
  refuses(() => parsePlainAddress('192.0.2.0/24', OPTION), 2, /prefix/);
});

test('a network has the mask of its prefix, none for a full one', () => {
  const mask = (text: string) => parseNetwork(text, OPTION).mask;
  assert.deepEqual(parseNetwork('192.0.2.77/24', OPTION), { address: v4(192, 0, 2, 77), mask: v4(255, 255, 255, 0) });
  assert.deepEqual(parseNetwork('192.0.2.77', OPTION), { address: v4(192, 0, 2, 77) });
  assert.ok(!('mask' in parseNetwork('192.0.2.77/32', OPTION)));
  assert.ok(!('mask' in parseNetwork('::1/128', OPTION)));
  assert.deepEqual(mask('1.2.3.4/0'), v4(0, 0, 0, 0));
  assert.deepEqual(mask('1.2.3.4/'), v4(0, 0, 0, 0));
  assert.deepEqual(mask('1.2.3.4/ 24'), v4(255, 255, 255, 0));
  assert.deepEqual(mask('1.2.3.4/+9'), v4(255, 128, 0, 0));
  assert.deepEqual(mask('1.2.3.4/010'), v4(255, 192, 0, 0));
  assert.deepEqual(mask('2001:db8::/33'), Uint8Array.from([255, 255, 255, 255, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
});

test('a wrong prefix is refused', () => {
  for (const bad of [
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/24x',
    '1.2.3.4/24 ',
    '1.2.3.4/255.255.255.0',
    '1.2.3.4/0x8',
    '1.2.3.4/24/24',
    '::/129',
    '/24',
    'x/24',
  ])
    refuses(() => parseNetwork(bad, OPTION));
});

test('a family is ipv4 or ipv6, exactly', () => {
  assert.equal(parseFamily('ipv4', OPTION), 2);
  assert.equal(parseFamily('ipv6', OPTION), 10);
  for (const bad of ['', 'IPv4', 'inet', '4', 'ipv4foo', 'ipv']) refuses(() => parseFamily(bad, OPTION));
});

test('a NAT value is an address, with a port after a colon or after brackets', () => {
  assert.deepEqual(parseNat('192.0.2.1', OPTION), { address: v4(192, 0, 2, 1) });
  assert.deepEqual(parseNat('192.0.2.1:80', OPTION), { address: v4(192, 0, 2, 1), port: 80 });
  assert.deepEqual(parseNat('192.0.2.1:0', OPTION), { address: v4(192, 0, 2, 1), port: 0 });
  assert.deepEqual(parseNat('[203.0.113.5]:80', OPTION), { address: v4(203, 0, 113, 5), port: 80 });
  assert.deepEqual(parseNat('::1', OPTION), { address: parsePlainAddress('::1', OPTION) });
  assert.deepEqual(parseNat('[2001:db8::1]:65535', OPTION), { address: parsePlainAddress('2001:db8::1', OPTION), port: 65535 });
});

test('a wrong NAT value is refused', () => {
  for (const bad of [
    '',
    ':80',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:+1',
    '192.0.2.1: 1',
    '192.0.2.1:80x',
    '192.0.2.1:0x50',
    '192.0.2.1-192.0.2.9',
    '192.0.2.1:1-9',
    '192.0.2.0/24',
    '[2001:db8::1]',
    '[2001:db8::1]:',
    '[2001:db8::1',
    '[]:80',
    'x[2001:db8::1]:80',
    '[2001:db8::1]y:80',
    '[2001:db8::1]80',
    '[[::1]]:80',
  ])
    refuses(() => parseNat(bad, OPTION));
});

// ---- protocols, states ----

const DATABASE = `# comment
ip\t0\tIP\t\t# internet protocol
hopopt\t0\tHOPOPT
3pc 34 3PC
esp\t50\tIPSEC-ESP # Encap
ipv6-icmp\t58\tIPv6-ICMP
broken
big 256 BIG
ospf 89 OSPFIGP OSPF
`;
const database = () => DATABASE;
const unread = () => assert.fail('the protocol database is not needed');

test('a tracker is named in any case, or by number', () => {
  for (const protocol of PROTOCOLS) {
    const wanted = { number: protocol.number, name: protocol.name, tracker: protocol };
    assert.deepEqual(parseProtocol(protocol.name, OPTION, unread), wanted);
    assert.deepEqual(parseProtocol(protocol.name.toUpperCase(), OPTION, unread), wanted);
    assert.deepEqual(parseProtocol(String(protocol.number), OPTION, unread), wanted);
    assert.deepEqual(parseProtocol(`0x${protocol.number.toString(16)}`, OPTION, unread), wanted);
    assert.deepEqual(parseProtocol(`0${protocol.number.toString(8)}`, OPTION, unread), wanted);
  }
});

test('other numbers have no tracker', () => {
  assert.deepEqual(parseProtocol('0', OPTION, unread), { number: 0, name: '0' });
  assert.deepEqual(parseProtocol('255', OPTION, unread), { number: 255, name: '255' });
});

test('names and aliases of the protocol database are exact and bring no options', () => {
  assert.deepEqual(parseProtocol('esp', OPTION, database), { number: 50, name: 'esp' });
  assert.deepEqual(parseProtocol('IPSEC-ESP', OPTION, database), { number: 50, name: 'IPSEC-ESP' });
  assert.deepEqual(parseProtocol('OSPF', OPTION, database), { number: 89, name: 'OSPF' });
  assert.deepEqual(parseProtocol('ip', OPTION, database), { number: 0, name: 'ip' });
  assert.deepEqual(parseProtocol('3pc', OPTION, database), { number: 34, name: '3pc' });
  assert.deepEqual(parseProtocol('ipv6-icmp', OPTION, database), { number: 58, name: 'ipv6-icmp' });
});

test('what is no protocol is refused', () => {
  for (const bad of ['', 'ESP', 'nope', '256', '-1', '17x', '#', 'comment', 'broken', 'big', '50', '08'].filter(
    (text) => text !== '50',
  ))
    refuses(() => parseProtocol(bad, OPTION, database));
  refuses(() => parseProtocol('esp', OPTION, () => ''));
  refuses(() => parseProtocol('tpc', OPTION, database), 2, /did you mean tcp\?/);
});

test('states are exact names in the numbering of their protocol', () => {
  for (const [protocol, states] of [
    [tcp, TCP_STATES],
    [sctp, SCTP_STATES],
    [dccp, DCCP_STATES],
  ] as const) {
    assert.equal(states.length, 10);
    for (const [number, name] of states.entries()) assert.equal(parseState(name, OPTION, protocol), number);
    for (const bad of ['', 'X', '3', 'established', 'ESTABLISHED ']) refuses(() => parseState(bad, OPTION, protocol));
  }
  assert.equal(parseState('LISTEN', OPTION, tcp), 9);
  assert.equal(parseState('HEARTBEAT_SENT', OPTION, sctp), 8);
  refuses(() => parseState('LISTEN', OPTION, sctp));
  refuses(() => parseState('ESTABLISHD', OPTION, tcp), 2, /did you mean ESTABLISHED\?/);
});

test('a role is abbreviated in any case, nothing means client', () => {
  for (const text of ['client', 'CLIENT', 'c', 'Cli', '']) assert.equal(parseRole(text, OPTION), 0, text);
  for (const text of ['server', 'S', 'serv']) assert.equal(parseRole(text, OPTION), 1, text);
  for (const bad of ['x', 'clients', 'server ']) refuses(() => parseRole(bad, OPTION));
});

// ---- lists ----

test('status items are abbreviated, in order, in any case', () => {
  const set = (text: string) => parseStatus(text, OPTION, undefined, silent).set;
  assert.equal(set('ASSURED'), 4);
  assert.equal(set('a'), 4);
  assert.equal(set('SE'), 2);
  assert.equal(set('seen_reply'), 2);
  assert.equal(set('U'), 0);
  assert.equal(set('UN'), 0);
  assert.equal(set('UNSET'), 0);
  assert.equal(set('F'), 0x400);
  assert.equal(set('E'), 1);
  assert.equal(set('O'), 0x4000);
  assert.equal(set('H'), 0x8000);
  assert.equal(set('ASSURED,seen,HW_OFFLOAD'), 0x8006);
});

test('status items behind ! are wanted clear, UNREPLIED is !SEEN_REPLY', () => {
  const parse = (text: string) => parseStatus(text, OPTION, undefined, silent);
  assert.deepEqual(parse('!ASSURED,!SEEN_REPLY'), { set: 0, clear: 6 });
  assert.deepEqual(parse('UNREPLIED'), { set: 0, clear: 2 });
  assert.deepEqual(parse('UNREPLIEDx'), { set: 0, clear: 2 });
  assert.deepEqual(parse('ASSURED,UNREPLIED'), { set: 4, clear: 2 });
  assert.deepEqual(parse('!UNSET'), { set: 0, clear: 0 });
  assert.deepEqual(parseStatus('!E', OPTION, { set: 4, clear: 2 }, silent), { set: 4, clear: 3 });
});

test('wrong status items are refused', () => {
  for (const bad of [
    '',
    ',',
    'ASSURED,',
    ',ASSURED',
    '!',
    '!!ASSURED',
    'X',
    'unreplied',
    'UNREPLIE',
    '!UNREPLIED',
    'ASSURED ',
    ' ASSURED',
    'CONFIRMED',
  ])
    refuses(() => parseStatus(bad, OPTION, undefined, silent));
});

test('the old words SRC_NAT and DST_NAT, and so S and D, select nothing and warn', () => {
  for (const word of ['S', 'D', 's', 'd', 'SRC', 'SRC_NAT', 'dst_nat']) {
    for (const text of [word, `!${word}`]) {
      const warnings: string[] = [];
      assert.deepEqual(
        parseStatus(text, OPTION, undefined, (w) => warnings.push(w)),
        { set: 0, clear: 0 },
      );
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /^--option: '[a-zA-Z_]+' stands for (SRC|DST)_NAT/);
    }
    const warnings: string[] = [];
    assert.equal(
      parseEvents(word, OPTION, undefined, (w) => warnings.push(w)),
      0,
    );
    assert.equal(parseOutput(word, OPTION, undefined, (w) => warnings.push(w)).save, false);
    assert.equal(warnings.length, 2);
  }
});

test('events are group bits', () => {
  const parse = (text: string, before?: number) => parseEvents(text, OPTION, before, silent);
  assert.equal(parse('NEW'), 1);
  assert.equal(parse('UPDATES'), 2);
  assert.equal(parse('update'), 2);
  assert.equal(parse('DESTROY'), 4);
  assert.equal(parse('DE'), 4);
  assert.equal(parse('ALL'), 7);
  assert.equal(parse('a'), 7);
  assert.equal(parse('n,u'), 3);
  assert.equal(parse('DE', 1), 5);
  for (const bad of ['', 'NEW,', 'X', 'NEWS', '!NEW']) refuses(() => parse(bad));
});

test('output modes accumulate', () => {
  const names = (text: string, before?: Parameters<typeof parseOutput>[2]) =>
    Object.entries(parseOutput(text, OPTION, before, silent))
      .filter(([, on]) => on)
      .map(([name]) => name);
  assert.deepEqual(names('xml'), ['xml']);
  assert.deepEqual(names('x,E,t,i,k,l,u'), ['xml', 'extended', 'timestamp', 'id', 'ktimestamp', 'labels', 'userspace']);
  assert.deepEqual(names('sa'), ['save']);
  assert.deepEqual(names('save,userspace'), ['userspace', 'save']);
  assert.deepEqual(names('id', parseOutput('xml', OPTION, undefined, silent)), ['xml', 'id']);
  for (const bad of ['', 'xml,', 'nope', 'xmll', '!xml']) refuses(() => names(bad));
});

test('save stands alone: exit status 1', () => {
  for (const other of ['xml', 'extended', 'timestamp', 'id', 'ktimestamp', 'labels']) {
    refuses(() => parseOutput(`save,${other}`, OPTION, undefined, silent), 1);
    refuses(() => parseOutput('save', OPTION, parseOutput(other, OPTION, undefined, silent), silent), 1);
  }
});

test('labels are all names of a comma list', () => {
  assert.deepEqual(parseLabels('web', OPTION), ['web']);
  assert.deepEqual(parseLabels('web,eth0-in,with space', OPTION), ['web', 'eth0-in', 'with space']);
  for (const bad of ['', ',', 'a,', ',a', 'a,,b']) refuses(() => parseLabels(bad, OPTION));
});

test('any text is a value or a usage error', () => {
  const parsers: ((text: string) => unknown)[] = [
    ...Object.keys(NUMBERS).map((kind) => (text: string) => parseNumber(text, OPTION, kind as NumberKind)),
    (text) => parseMark(text, OPTION),
    (text) => parsePlainAddress(text, OPTION),
    (text) => parseNetwork(text, OPTION),
    (text) => parseFamily(text, OPTION),
    (text) => parseNat(text, OPTION),
    (text) => parseProtocol(text, OPTION, database),
    (text) => parseState(text, OPTION, tcp),
    (text) => parseRole(text, OPTION),
    (text) => parseStatus(text, OPTION, undefined, () => {}),
    (text) => parseEvents(text, OPTION, undefined, () => {}),
    (text) => parseOutput(text, OPTION, undefined, () => {}),
    (text) => parseLabels(text, OPTION),
  ];
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdefx.:/[]+-,! ') }),
    fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty'),
  );
  fc.assert(
    fc.property(text, fc.nat(parsers.length - 1), (value, which) => {
      try {
        parsers[which]!(value);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
        assert.doesNotMatch(error.message, /[\p{Cc}\n]/u);
      }
    }),
    { numRuns: 3000 },
  );
});
