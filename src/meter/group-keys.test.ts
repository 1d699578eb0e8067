import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Random, seedFromEnvironment } from '../../test/support/random.js';
import { randomFlow } from '../../test/support/random-event.js';
import { compileFilter } from '../ctnetlink/filter/compile.js';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { LabelMap } from '../ctnetlink/label.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import { ValueError } from '../errors.js';
import { formatFilter, readFilter } from '../library/index.js';
import type { FlowInit } from '../testing/flow-factory.js';
import { makeFlow } from '../testing/index.js';
import { type GroupNames, KEY_WORDS, parseGrouping } from './group-keys.js';
import { GROUPING_NAMES } from './meter-names.js';

const NLM_F_MULTI = 2;
const NAMES: GroupNames = { tables: ['own', 'blue'], labels: LabelMap.parse('1 gold\n40 not paid\n41 7\n') };
const key = new Int32Array(KEY_WORDS);

/** Entries of every kind, as in a list. */
function randomEntries(random: Random, count: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  while (entries.length < count) {
    const message = randomFlow(random)();
    if (message[4] === 2) continue;
    message[6] = NLM_F_MULTI;
    entries.push(message);
  }
  return entries;
}

/** The words of a grouping for one flow. */
function describe(by: string, flow: FlowInit) {
  const grouping = parseGrouping(by);
  grouping.read(new FlowViews().of(makeFlow(flow)), 1, key);
  return grouping.describe(key, NAMES);
}

suite('groupings', () => {
  const all = [
    ...GROUPING_NAMES,
    ...['src/0', 'src/8', 'src/24', 'src/31', 'src/32', 'src/33', 'src/128', 'src/16,48', 'src/32,128', 'src/0,0'],
    ...['dst/1', 'dst/12', 'dst/24,65', 'mark/0', 'mark/1', 'mark/0xff', 'mark/0x80000000', 'mark/4294967295'],
  ];
  for (const by of all)
    test(`the filter of a group by ${by} selects its flows and no others`, () => {
      const random = new Random(seedFromEnvironment(20260601));
      const grouping = parseGrouping(by);
      assert.equal(grouping.name, by);
      const view = createFlowView();
      const entries = randomEntries(random, 300).map((message) => {
        view.decode(message, 0, message.length);
        key.fill(-7);
        grouping.read(view, 1, key);
        assert.ok(
          key.subarray(grouping.words).every((word) => word === -7),
          'a key is no longer than it says',
        );
        return { message, key: `${key.subarray(0, grouping.words)}` };
      });
      const keys = new Map<string, string>();
      let filters = 0;
      for (const group of new Set(entries.map(({ key }) => key))) {
        const { key: text, filter } = grouping.describe(Int32Array.from(group.split(','), Number), NAMES);
        assert.ok(!keys.has(text), `${text} is ${keys.get(text)} and ${group}`);
        keys.set(text, group);
        if (filter === undefined) continue;
        filters++;
        assert.equal(formatFilter(filter), filter);
        const wanted = compileFilter(readFilter(filter), Date.now);
        for (const { message, key } of entries) {
          view.decode(message, 0, message.length);
          assert.equal(wanted ? wanted(view) : true, key === group, `${text}: ${filter}`);
        }
      }
      assert.equal(filters > 0, by !== 'netns');
    });

  test('only what a later message may change is read from it again', () => {
    const changing = GROUPING_NAMES.filter((name) => parseGrouping(name).from !== undefined);
    assert.deepEqual(changing, ['state', 'mark', 'label', 'helper']);
  });

  for (const [by, flow, expected] of [
    ['src', { original: { src: '10.1.4.22' } }, { key: '10.1.4.22', filter: 'src 10.1.4.22' }],
    ['src/24', { original: { src: '10.1.4.22' } }, { key: '10.1.4.0/24', filter: 'src 10.1.4.0/24' }],
    ['dst/24', { original: { dst: '2001:db8:0:7:1::2' } }, { key: '2001:db8:0:7::/64', filter: 'dst 2001:db8:0:7::/64' }],
    ['dst/24,56', { original: { dst: '2001:db8:0:107::2' } }, { key: '2001:db8:0:100::/56', filter: 'dst 2001:db8:0:100::/56' }],
    ['dst/56', { original: { dst: '192.0.2.7' } }, { key: '192.0.2.7', filter: 'dst 192.0.2.7' }],
    [
      'pair',
      { original: { src: '10.0.0.1', dst: '10.0.0.2' } },
      { key: '10.0.0.1 10.0.0.2', filter: 'src 10.0.0.1 and dst 10.0.0.2' },
    ],
    ['service', { protocol: 'udp', original: { dport: 53 } }, { key: 'udp 53', filter: 'udp and dst port 53' }],
    ['service', { protocol: 'icmp' }, { key: 'icmp', filter: 'icmp and not has port' }],
    ['protocol', { protocol: 'sctp' }, { key: 'sctp', filter: 'sctp' }],
    ['state', { state: 'TIME_WAIT' }, { key: 'tcp TIME_WAIT', filter: 'tcp and state time-wait' }],
    ['state', { protocol: 'udp' }, { key: 'udp', filter: 'udp' }],
    ['family', { original: { src: 'fd00::1' } }, { key: 'ipv6', filter: 'ip6' }],
    ['zone', { zone: 7 }, { key: '7', filter: 'zone 7' }],
    ['mark', { mark: 0xffffffff }, { key: '4294967295', filter: 'mark 4294967295' }],
    ['mark/0xf0', { mark: 0x12345678 }, { key: '0x70/0xf0', filter: 'mark 0x70/0xf0' }],
    ['label', {}, { key: '-', filter: 'not has label' }],
    ['helper', { helper: 'ftp' }, { key: 'ftp', filter: 'helper ftp' }],
    ['helper', {}, { key: '-', filter: 'not has helper' }],
    ['helper', { helper: 'and' }, { key: 'and', filter: formatFilter({ helper: 'and' }) }],
    ['helper', { helper: 'a"b\\c' }, { key: 'a"b\\c', filter: formatFilter({ helper: 'a"b\\c' }) }],
    ['helper', { helper: 'Q.931-012345678' }, { key: 'Q.931-012345678', filter: formatFilter({ helper: 'Q.931-012345678' }) }],
    ['snat', { srcNat: '203.0.113.1' }, { key: 'tcp 203.0.113.1', filter: 'tcp and snat to 203.0.113.1' }],
    ['snat', {}, { key: '-', filter: 'not snat' }],
    ['dnat', { dstNat: '192.0.2.9' }, { key: '192.0.2.9', filter: 'dnat to 192.0.2.9' }],
    ['dnat', {}, { key: '-', filter: 'not dnat' }],
    ['netns', {}, { key: 'blue' }],
  ] as const)
    test(`${by} of ${JSON.stringify(flow)} is ${expected.key}`, () => assert.deepEqual(describe(by, flow), expected));

  test('labels are a group of those that are set', () => {
    const { key, filter } = describe('label', { labels: [1, 40, 127] });
    assert.equal(key, 'gold,not paid,127');
    assert.equal(describe('label', { labels: [7, 41] }).key, '7,"7"');
    assert.match(filter!, /^label 1 and label 40 and label 127 and not label \{0, 2, 3, /);
    const { key: every, filter: without } = describe('label', { labels: Array.from({ length: 128 }, (_, bit) => bit) });
    assert.equal(every.split(',').length, 128);
    assert.doesNotMatch(without!, /not/);
  });

  test('helpers sort by their names', () => {
    const keyOf = (helper: string) => {
      const grouping = parseGrouping('helper');
      grouping.read(new FlowViews().of(makeFlow({ helper })), 0, key);
      return [...key.subarray(0, grouping.words)].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join();
    };
    const names = ['RAS', 'amanda', 'ftp', 'ftp-20', 'h', 'h323', 'tftp'];
    assert.deepEqual(
      names.toReversed().sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
      names,
    );
  });

  for (const [text, message, hint] of [
    ['scr', /no grouping 'scr'; did you mean src\?/, /one of src, dst, .*mark\/0xff/],
    ['', /no grouping ''/, /one of/],
    ['constructor', /no grouping/, /one of/],
    ['SRC', /no grouping/, /one of/],
    ['zone/8', /'zone' takes no parameter/, /src\/24/],
    ['scr/8', /'scr'/, /src\/24/],
    ['src/', /'' is no prefix length/, /0 to 32/],
    ['src/129', /no prefix/, /0 to 32/],
    ['src/33,64', /no prefix/, /24,64/],
    ['src/24,129', /no prefix/, /24,64/],
    ['src/24,', /no prefix/, /24,64/],
    ['src/-1', /no prefix/, /24,64/],
    ['src/24/8', /no prefix/, /24,64/],
    ['mark/', /no mask/, /0xff00/],
    ['mark/0x100000000', /no mask/, /0xff00/],
    ['mark/4294967296', /no mask/, /0xff00/],
    ['mark/ff', /no mask/, /0xff00/],
  ] as const)
    test(`'${text}' is refused`, () => {
      assert.throws(
        () => parseGrouping(text),
        (error: unknown) => error instanceof ValueError && message.test(error.message) && hint.test(`${error.hint}`),
      );
    });
});

// A view that has nothing: whatever a message lacks, its group is there.
test('an entry of which nothing is known has a group', () => {
  const view = createFlowView();
  view.decode(Uint8Array.from([20, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]), 0, 20);
  for (const by of GROUPING_NAMES) {
    const grouping = parseGrouping(by);
    grouping.read(view as View, 0, key);
    assert.equal(typeof grouping.describe(key, NAMES).key, 'string');
  }
});
