// The filter language: canonical text of examples, mistakes with their place and repair, limits, values, completion, and docs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { filterTable } from '../../src/cli/filter-help.js';
import { completeFilterText } from '../../src/ctnetlink/filter/complete.js';
import { formatFlowFilter } from '../../src/ctnetlink/filter/format.js';
import { parseToFlowFilter } from '../../src/ctnetlink/filter/parser.js';
import { FOREIGN, TERMS } from '../../src/ctnetlink/filter/terms.js';
import {
  explainFilter,
  FilterError,
  type FilterReason,
  filter,
  formatFilter,
  LabelMap,
  matches,
  parseFilter,
  ValueError,
} from '../../src/index.js';
import { safeText } from '../../src/safe-text.js';
import { PROJECT } from '../support/project.js';

const labels = LabelMap.parse('3 gw-stale\n6 6to4\n7 two words\n9 12');
const services = (name: string) => (name === 'nrpe' ? [5666] : undefined);
const canonical = (text: string) => formatFlowFilter(parseToFlowFilter(text, { labels, services }));

/** Written as the second, or as itself. */
const EXAMPLES: readonly (readonly [text: string, canonical?: string])[] = [
  [
    'tcp and dst net 10.0.0.0/8 and not dst port {22,443,8000-8999} and bytes > 1M and state established and age > 1h and zone 7',
    'tcp and dst 10.0.0.0/8 and not dst port {22, 443, 8000-8999} and bytes > 1M and state established and age > 1h and zone 7',
  ],
  ['udp and dst 10.96.0.10:53 and dnat and not dnat to {10.244.1.7:53, 10.244.2.9:53}'],
  ['udp and dnat to 10.244.3.17'],
  ['host 10.244.3.17'],
  ['udp and dst port {5060, 5062} and snat to 198.51.100.7'],
  ['snat to 203.0.113.50:32768'],
  ['snat to 203.0.113.0/28 and dst 192.0.2.80:443 and tcp'],
  ['udp and unreplied and packets > 100'],
  ['udp and dst port 8125 and unreplied and age > 10m'],
  ['tcp and state syn-sent and age > 30s', 'tcp and state syn-sent and age > 30'],
  ['tcp and state established and timeout < 4d'],
  ['tcp and state {last-ack, close-wait}', 'tcp and state {close-wait, last-ack}'],
  ['src 192.168.1.23 and dst public'],
  ['src private and dst public and not nat'],
  ['dst port {ssh, 3389} and src public', 'dst port {22, 3389} and src public'],
  ['port 53 and not host {192.0.2.53, 2001:db8::53}'],
  ['offload and reply bytes > 1G'],
  ['zone {5-9, 17}'],
  ['orig zone 100 and tcp'],
  ['mark & 0xff00 = 0x2a00', 'mark 0x2a00/0xff00'],
  ['label "gw-stale" and not label 6', 'label 3 and not label 6'],
  ['label {6to4, "two words", "12"}', 'label {6, 7, 9}'],
  ['expected and master dst port 21'],
  ['icmp type echo-request and dst 192.0.2.1', 'icmp type 8 and dst 192.0.2.1'],
  ['ip6 icmpv6 type {echo-request, echo-reply}', 'ip6 and icmpv6 type 128-129'],
  [
    'proto {gre, esp, ah} or udp port {500, 4500, 1701, 51820}',
    'proto {gre, esp, ah} or (udp and port {500, 1701, 4500, 51820})',
  ],
  ['bytes > 100M or age > 1d'],
];

suite('canonical text', () => {
  for (const [text, form = text] of EXAMPLES)
    test(text, () => {
      assert.equal(canonical(text), form);
      assert.equal(canonical(form), form);
    });

  for (const [form, ...spellings] of [
    [
      'tcp and dst port 80',
      'tcp dst port 80',
      'TCP && DST PORT = 80',
      'tcp and dport 80',
      'tcp and (dport eq http)',
      'tcp\nand\tdport {80} # web',
    ],
    ['not (tcp and dst port 80)', 'not tcp dst port 80', '!(tcp dport 80)', 'not not not tcp dport 80'],
    ['not dst port 80', 'dport != 80', 'dport ne 80', 'dport not in {80}', 'not dport in {80}', '! dport 80'],
    [
      'src 10.0.0.0/8',
      'saddr 10.0.0.0/255.0.0.0',
      'orig src net 10.0.0.0-10.255.255.255',
      'source host {10.0.0.0/9, 10.128.0.0/9}',
    ],
    ['dst port > 1023', 'dport >= 1024', 'dport 1024-65535', 'dport gt 1023'],
    ['port < 1024', 'port <= 1023', 'port 0-1023', 'port {0-511, 512-1023}'],
    ['bytes 1500', 'bytes 1.5k', 'bytes 1500B'],
    ['bytes > 1Ki', 'bytes > 1024', 'bytes >= 1025'],
    ['age > 1h30m', 'age > 5400', 'duration > 90m', 'age > 1h30m'],
    ['timeout 1m30s', 'expires 90'],
    ['start >= 2026-11-28T10:00:00Z', 'start >= 2026-11-28T11:00:00+01:00'],
    ['unreplied', 'not replied', 'not seen_reply'],
    ['assured or dying', 'status {assured, dying}'],
    ['snat or dnat or tcp', 'nat or tcp'],
    ['nat to 10.0.0.1', 'snat to 10.0.0.1 or dnat to 10.0.0.1'],
    ['dst [2001:db8::1]:53', 'dst [2001:0db8:0::1]:53'],
    ['port 5666', 'port nrpe'],
    ['all', 'all', 'all and all'],
    ['none', 'none or none'],
    ['reply src 10.0.0.1', 'reply saddr 10.0.0.1', 'reply source addr 10.0.0.1'],
    ['orig host 10.0.0.1', 'original 10.0.0.1', 'orig host {10.0.0.1}'],
    ['key 7', 'key 0x7'],
    ['orig vtag 7', 'original vtag 7'],
    ['mark {1-2, 16}', 'mark {16, 2, 1}', 'mark 0x1,2,16'],
    ['helper ftp', 'helper "ftp"', "helper 'ftp'"],
  ] as const)
    for (const spelling of spellings) test(`${spelling} is ${form}`, () => assert.equal(canonical(spelling), form));
});

/** Text, why it is refused, the column, and a part of the hint or of the text that is suggested. */
const MISTAKES: readonly (readonly [text: string, reason: FilterReason, column: number, hint: string])[] = [
  ['', 'EMPTY', 1, 'write all'],
  [' \n ', 'EMPTY', 2, 'write all'],
  ['port 80 or 443', 'ELIDED', 12, 'port {80, 443}'],
  ['tcp port 80 or 443', 'ELIDED', 16, 'tcp port {80, 443}'],
  ['not host 10.0.0.1 and 10.0.0.2', 'ELIDED', 23, 'not host {10.0.0.1, 10.0.0.2}'],
  ['not dport 22 and not 80', 'ELIDED', 22, 'not dport {22, 80}'],
  ['dport != 22 or 80', 'ELIDED', 16, 'not dport {22, 80}'],
  ['dport != 22 and != 80', 'ELIDED', 20, 'not dport {22, 80}'],
  ['dport >= 80 and <= 443', 'ELIDED', 17, 'dport >= 80 and dport <= 443'],
  ['bytes > 5 or 6', 'ELIDED', 14, 'bytes > 5 or bytes > 6'],
  ['state established or syn-sent', 'ELIDED', 22, 'state {established, syn-sent}'],
  ['src 10.0.0.1 or 10.0.0.2', 'ELIDED', 17, 'src {10.0.0.1, 10.0.0.2}'],
  ['tcp and port 80 or udp', 'MIXED', 17, '(tcp and port 80) or udp, or tcp and (port 80 or udp)'],
  ['tcp || udp && port 53', 'MIXED', 12, '(tcp || udp) && port 53, or tcp || (udp && port 53)'],
  ['established', 'NOT_KNOWN', 1, 'state established, or replied'],
  ['new', 'NOT_KNOWN', 1, 'unreplied'],
  ['related', 'NOT_KNOWN', 1, 'expected'],
  ['invalid', 'NOT_KNOWN', 1, 'no entry'],
  ['tcp.port == 80', 'NOT_KNOWN', 1, 'tcp port == 80'],
  ['ip.addr == 10.0.0.1', 'NOT_KNOWN', 1, 'host == 10.0.0.1'],
  ['ct mark 5', 'NOT_KNOWN', 1, 'mark 5'],
  ['tcp and iface eth0', 'NOT_KNOWN', 9, 'interfaces'],
  ['dev eth0', 'NOT_KNOWN', 1, 'interfaces'],
  ['vlan 5', 'NOT_KNOWN', 1, 'VLANs'],
  ['pid 1', 'NOT_KNOWN', 1, 'process'],
  ['idle > 60', 'NOT_KNOWN', 1, 'timeout'],
  ['event new', 'NOT_KNOWN', 1, '-e NEW'],
  ['dst not 10.0.0.1', 'BAD_VALUE', 5, 'not dst 10.0.0.1'],
  ['port 8000 - 8999', 'BAD_VALUE', 11, '8000-8999'],
  ['port 1024-', 'BAD_VALUE', 6, '>= 1024'],
  ['port -1024', 'BAD_VALUE', 6, '<= 1024'],
  ['port 9000-80', 'BAD_VALUE', 6, '80-9000'],
  ['src or dst port 53', 'MISSING_VALUE', 5, 'orig port 53'],
  ['src or dst 10.0.0.1', 'MISSING_VALUE', 5, 'orig host 10.0.0.1'],
  ['src and dst net 10.0.0.0/8', 'MISSING_VALUE', 5, 'src net 10.0.0.0/8 and dst net 10.0.0.0/8'],
  ['src and dst 10.0.0.1', 'MISSING_VALUE', 5, 'src 10.0.0.1 and dst 10.0.0.1'],
  ['reply src and dst port 53', 'MISSING_VALUE', 11, ''],
  ['src and dst', 'MISSING_VALUE', 5, ''],
  ['tcp, udp', 'UNKNOWN_WORD', 4, 'proto {tcp, udp}'],
  ['{tcp, udp}', 'UNKNOWN_WORD', 1, 'proto {tcp, udp}'],
  ['-p tcp --dport 443', 'UNKNOWN_WORD', 1, 'tcp and dst port 443'],
  ['net 10', 'BAD_VALUE', 5, 'net 10.0.0.0/8'],
  ['dst net 192.0.2', 'BAD_VALUE', 9, 'dst net 192.0.2.0/24'],
  ['dst :443', 'BAD_VALUE', 5, 'dst port 443'],
  ['dport 80:443', 'BAD_VALUE', 7, 'dport 80-443'],
  ['dport 80..443', 'BAD_VALUE', 7, 'dport 80-443'],
  ['mark 5/0', 'BAD_VALUE', 6, 'mark 5'],
  ['state NEW', 'BAD_VALUE', 7, 'unreplied'],
  ['status unreplied', 'BAD_VALUE', 8, 'not status seen-reply'],
  ['tcp assured', 'MISSING_AND', 5, 'tcp and assured'],
  ['tcp udp port 53', 'MISSING_AND', 5, 'proto {tcp, udp} and port 53'],
  ['tcp bytes > 1M', 'MISSING_AND', 5, 'tcp and bytes > 1M'],
  ['tcp not port 80', 'MISSING_AND', 5, 'tcp and not port 80'],
  ['dst 10.0.0.1 10.0.0.2', 'MISSING_AND', 14, '{10.0.0.1, 10.0.0.2}'],
  ['dst 10.0.0.1 443', 'UNKNOWN_WORD', 14, 'port 443'],
  ['tcp and dprt 443', 'UNKNOWN_WORD', 9, 'tcp and dport 443'],
  ['hots 10.0.0.1', 'UNKNOWN_WORD', 1, 'host 10.0.0.1'],
  ['10.0.0.1', 'UNKNOWN_WORD', 1, 'host 10.0.0.1'],
  ['tcp | udp', 'UNKNOWN_WORD', 5, 'or ||'],
  ['host é', 'UNKNOWN_WORD', 6, 'quotes'],
  ['and tcp', 'MISSING_VALUE', 1, ''],
  ['tcp and', 'MISSING_VALUE', 5, ''],
  ['not', 'MISSING_VALUE', 1, ''],
  ['tcp port', 'MISSING_VALUE', 5, ''],
  ['udp 53', 'MISSING_VALUE', 5, 'udp port 53'],
  ['dst port {}', 'MISSING_VALUE', 11, ''],
  ['port {80, and}', 'MISSING_VALUE', 11, 'quotes'],
  ['type 8', 'MISSING_VALUE', 1, 'icmp type 8'],
  ['vtag 7', 'MISSING_VALUE', 1, 'orig vtag 7'],
  ['(tcp', 'UNBALANCED', 1, '(tcp)'],
  ['tcp)', 'UNBALANCED', 4, 'tcp'],
  ['port {80, 443', 'UNBALANCED', 6, 'port {80, 443}'],
  ['helper "ftp', 'UNBALANCED', 8, 'quote'],
  ['port (80 or 443)', 'BAD_VALUE', 6, 'port {80, 443}'],
  ['src 80', 'BAD_VALUE', 5, 'src port 80'],
  ['src 10.1', 'BAD_VALUE', 5, ''],
  ['dst 010.0.0.1', 'BAD_VALUE', 5, ''],
  ['host www.example.com', 'BAD_VALUE', 6, ''],
  ['dst net 10.1.2.3/8', 'BAD_VALUE', 9, '10.0.0.0/8, or 10.1.2.3'],
  ['dst 10.0.0.0/33', 'BAD_VALUE', 5, ''],
  ['dst fe80::1%eth0', 'BAD_VALUE', 5, ''],
  ['src 10.0.0.9-10.0.0.1', 'BAD_VALUE', 5, '10.0.0.1-10.0.0.9'],
  ['port 70000', 'BAD_VALUE', 6, ''],
  ['port 080', 'BAD_VALUE', 6, '80'],
  ['port htps', 'BAD_VALUE', 6, ''],
  ['port http-https', 'BAD_VALUE', 6, ''],
  ['bytes > 1M2', 'BAD_VALUE', 9, '1.5M'],
  ['bytes 1.0001k', 'BAD_VALUE', 7, ''],
  ['bytes < 0', 'BAD_VALUE', 9, ''],
  ['bytes > {1, 2}', 'BAD_VALUE', 9, ''],
  ['packets 5B', 'BAD_VALUE', 9, ''],
  ['age 30m1h', 'BAD_VALUE', 5, ''],
  ['timeout 500ms', 'BAD_VALUE', 9, 'whole seconds'],
  ['start 2026-11-28T10:00:00Z', 'BAD_VALUE', 7, '>='],
  ['start > 2026-11-28T10:00:00', 'BAD_VALUE', 9, ''],
  ['start > 2026-02-30T10:00:00Z', 'BAD_VALUE', 9, ''],
  ['mark 0x1f/0xf0', 'BAD_VALUE', 6, '0x10/0xf0'],
  ['mark & 0xf0 = 0x1f', 'BAD_VALUE', 15, ''],
  ['state estab', 'BAD_VALUE', 7, 'established'],
  ['state fin-wait-1', 'BAD_VALUE', 7, 'fin-wait'],
  ['state > established', 'BAD_VALUE', 9, ''],
  ['label nosuch', 'BAD_VALUE', 7, ''],
  ['label 128', 'BAD_VALUE', 7, ''],
  ['status assurd', 'BAD_VALUE', 8, 'assured'],
  ['has counter', 'BAD_VALUE', 5, ''],
  ['icmp type echo-requets', 'BAD_VALUE', 11, 'echo-request'],
];

suite('mistakes', () => {
  for (const [text, reason, column, hint] of MISTAKES)
    test(JSON.stringify(text), () => {
      const error = errorOf(() => parseFilter(text, { labels }));
      assert.deepEqual([error.reason, error.column], [reason, text.includes('\n') ? error.column : column], error.message);
      assert.ok(`${error.hint} ${error.suggestion}`.includes(hint), `${error.message}; ${error.hint}; ${error.suggestion}`);
      assert.doesNotMatch(`${error.message} ${error.hint ?? ''}`, /undefined|\[object|NaN/);
      if (error.suggestion !== undefined) parseFilter(error.suggestion, { labels });
    });

  test('every word of other tools is refused, with an answer', () => {
    for (const word of FOREIGN.keys()) {
      const error = errorOf(() => parseFilter(`tcp and ${word} 1`));
      assert.deepEqual([error.column, (error.hint?.length ?? 0) > 10], [9, true], word);
    }
  });

  test('the place is that of the character, on its line', () => {
    const error = errorOf(() => parseFilter('tcp and # "😀" and more\n  helper "😀" and dprt 5'));
    assert.deepEqual([error.line, error.column, error.length], [2, 18, 4]);
    assert.deepEqual(error.toJSON().column, 18);
  });

  test('what somebody wrote is harmless in a message', () => {
    const error = errorOf(() => parseFilter(`helper "\u001b[31m" x\u202e${'y'.repeat(300)}`));
    assert.equal(safeText(error.message + error.hint), error.message + error.hint);
    assert.ok(error.message.length < 300);
  });
});

test('a repair of negated tests never selects every flow', () => {
  for (const text of ['not dport 22 or 80', 'not dport 22 or not 80', 'not dport 22 and not 80', 'dport != 22 or != 80'])
    assert.equal(errorOf(() => parseFilter(text)).hint, 'write not dport {22, 80}', text);
  assert.equal(errorOf(() => parseFilter('mark 5/0')).hint, 'write 5');
});

test('a filter that leaves no flow out is noted', () => {
  const codes = (text: string) => explainFilter(text).notes.map(({ code }) => code);
  for (const text of ['dport != 22 or dport != 80', 'not (dport 22 and dport 80)', 'ip and (not tcp or not udp)'])
    assert.ok(codes(text).includes('ALWAYS'), text);
  for (const text of ['dport 22 or dport 80', 'tcp or udp', 'not dport {22, 80}', 'all', 'not tcp or dport 80'])
    assert.equal(codes(text).includes('ALWAYS'), false, text);
});

test('limits', () => {
  const reasonOf = (text: string) => errorOf(() => parseFilter(text)).reason;
  assert.equal(reasonOf(`tcp ${' '.repeat(4093)}`), 'TOO_LONG');
  assert.equal(reasonOf(`${'('.repeat(33)}tcp${')'.repeat(33)}`), 'TOO_DEEP');
  assert.equal(reasonOf('not '.repeat(33)), 'TOO_DEEP');
  assert.equal(reasonOf(Array.from({ length: 257 }, () => 'tcp').join(' or ')), 'TOO_MANY');
  assert.equal(reasonOf(`mark {${Array.from({ length: 1025 }, () => '1').join(' ')}}`), 'TOO_MANY');
  assert.doesNotThrow(() => parseFilter(Array.from({ length: 256 }, () => 'tcp').join(' and ')));
});

suite('the library', () => {
  const flow = {
    family: 'ipv4',
    protocol: 'tcp',
    original: { src: '10.0.0.1', dst: '192.0.2.1', protonum: 6, sport: 1000, dport: 443 },
    reply: { src: '192.0.2.1', dst: '10.0.0.1', protonum: 6, sport: 443, dport: 1000 },
    status: ['CONFIRMED', 'SEEN_REPLY'],
    state: 'ESTABLISHED',
  } as const;

  test('text wherever a filter is taken', () => {
    assert.equal(matches('tcp and dst port {443, 8443}', flow as never), true);
    assert.equal(matches('not tcp', flow as never), false);
    assert.equal(matches('bytes > 1M', flow as never), false);
    assert.equal(matches('not bytes > 1M', flow as never), false);
    assert.throws(() => matches('', flow as never), FilterError);
  });

  test('values in a template are never syntax', () => {
    assert.equal(
      formatFilter(filter`udp and dst ${'192.0.2.53'} and dst port ${[53, 853]}`),
      'udp and dst 192.0.2.53 and dst port {53, 853}',
    );
    assert.equal(formatFilter(filter`helper ${'a" or all or helper "b'}`), 'helper "a\\" or all or helper \\"b"');
    assert.equal(formatFilter(filter`bytes > ${1000n} and label ${3}`), 'bytes > 1k and label 3');
    assert.throws(() => filter`dst ${'10.0.0.1 or all'}`, FilterError);
    assert.throws(() => filter`dst port ${[]}`, ValueError);
    assert.throws(() => filter`dst port ${-1}`, ValueError);
    assert.throws(() => filter`${'tcp'} and udp`, FilterError);
  });

  test('an object becomes text', () => {
    assert.equal(formatFilter({ protocol: 'tcp', original: { dport: [80, [8000, 8999]] } }), 'tcp and dst port {80, 8000-8999}');
    assert.equal(formatFilter({ srcNat: '203.0.113.1' }), 'snat to 203.0.113.1 and not src 203.0.113.1');
    assert.equal(formatFilter({ labels: [3, 6] }, { labels }), 'label gw-stale and label 6to4');
    assert.equal(formatFilter({}), 'all');
    assert.equal(formatFilter({ any: [] }), 'none');
  });

  test('what the kernel does', () => {
    const { dumps, notes, constant } = explainFilter('tcp and dst 10.0.0.1 and mark {1, 3} and not assured and bytes > 1M', {
      kernel: '5.10.0',
      sysctls: { acct: 0 },
    });
    assert.deepEqual(dumps, ['ip and tcp and dst 10.0.0.1 and mark 0x1/0xfffffffd and not assured']);
    assert.deepEqual(notes.map(({ code }) => code).sort(), ['ACCT_OFF', 'KERNEL_IGNORES']);
    assert.equal(constant, false);
    assert.deepEqual(explainFilter('tcp and udp').dumps, []);
    assert.deepEqual(
      explainFilter('tcp and udp').notes.map(({ code }) => code),
      ['NEVER'],
    );
    assert.equal(explainFilter('host 10.0.0.1 or bytes > 5', { for: 'events' }).dumps, undefined);
    assert.match(explainFilter('host 10.0.0.1', { for: 'events' }).socket!.filter, /^host 10\.0\.0\.1$/);
  });
});

suite('completion', () => {
  const at = (text: string) => completeFilterText(text, text.length, { labels }).map((each) => each.text);
  for (const [text, some, none] of [
    ['', ['tcp', 'host', 'not'], ['and', 'established']],
    ['tc', ['tcp'], ['udp']],
    ['tcp ', ['and', 'or', 'dst', 'port', 'state'], ['tcp', 'bytes']],
    ['tcp and ', ['dst', 'bytes'], ['and']],
    ['tcp and state ', ['established'], ['tcp', 'and']],
    ['tcp and state {syn-', ['syn-sent', 'syn-recv'], ['established']],
    ['dst ', ['port', 'private'], ['tcp']],
    ['dst port htt', ['http', 'https'], ['ssh']],
    ['icmp type ec', ['echo-request', 'echo-reply'], []],
    ['has ', ['bytes', 'helper'], ['tcp']],
    ['label gw', ['gw-stale'], []],
    ['(tcp ', ['and'], ['established']],
    ['snat ', ['to', 'and'], []],
    ['nosuch ', [], ['and', 'tcp']],
  ] as const)
    test(JSON.stringify(text), () => {
      const found = at(text);
      for (const word of some) assert.ok(found.includes(word), `${word} of ${found}`);
      for (const word of none) assert.ok(!found.includes(word), `${word} of ${found}`);
    });
});

suite('docs/filters.md', () => {
  const page = readFileSync(`${PROJECT}/docs/filters.md`, 'utf8');
  test('has the table of the rows', () => {
    const table = page.slice(page.indexOf('<!-- terms -->') + '<!-- terms -->'.length, page.indexOf('<!-- /terms -->')).trim();
    assert.equal(table, filterTable());
  });

  test('every expression in it is one', () => {
    const found = [...page.matchAll(/--filter '([^']+)'/g), ...page.matchAll(/^\| `([^`]+)` \| (?!`)/gm)].map(
      ([, text]) => text!,
    );
    const blocks = [...page.matchAll(/^```(\w*)\n([^`]*)^```$/gm)]
      .filter(([, info, block]) => info === '' && !block!.startsWith('$'))
      .flatMap(([, , block]) => block!.trim().split('\n'));
    const expressions = [...found, ...blocks].filter((text) => !text.includes('dprt') && !text.startsWith('conntrack'));
    assert.ok(expressions.length > 20, `${expressions.length}`);
    for (const text of expressions) assert.doesNotThrow(() => parseFilter(text), text);
  });

  test('no word stands for two things', () => {
    const words = TERMS.flatMap((row) => row.words);
    assert.equal(new Set(words).size, words.length);
  });
});

function errorOf(work: () => unknown): FilterError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof FilterError, `${(error as Error).stack}`);
    return error;
  }
  return assert.fail('it was accepted');
}
