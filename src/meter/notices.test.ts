import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { accountingOf, type Circumstances, type NoticeCode, noticesOf } from './notices.js';

/** Nothing to say. */
const FINE: Circumstances = {
  acct: 1,
  events: 1,
  timestamp: 1,
  tracking: true,
  flows: 10,
  read: 10,
  blank: 0,
  blind: 0,
  entries: 10,
  maxEntries: 1000,
  dropped: 0,
  lost: 0,
  repaired: 0,
  pace: 2000,
  interval: 2000,
  enter: '',
};

const CASES: readonly (readonly [NoticeCode | undefined, Partial<Circumstances>, text: RegExp, remedy?: string])[] = [
  ['ACCOUNTING_OFF', { acct: 0, read: 0, blank: 10 }, /off/, 'sysctl -w net.netfilter.nf_conntrack_acct=1  # new flows only'],
  ['ACCOUNTING_OFF', { acct: 0, read: 0, flows: 0 }, /off/, 'sysctl -w net.netfilter.nf_conntrack_acct=1  # new flows only'],
  ['ACCOUNTING_PARTLY', { acct: 1, read: 7, blank: 3 }, /^3 of 10 flows/],
  [
    'ACCOUNTING_PARTLY',
    { acct: 0, read: 7, blank: 3 },
    /^3 of 10/,
    'sysctl -w net.netfilter.nf_conntrack_acct=1  # new flows only',
  ],
  ['EVENTS_OFF', { events: 0 }, /off/, 'sysctl -w net.netfilter.nf_conntrack_events=1  # new flows only'],
  ['EVENTS_NEW_ONLY', { events: 2 }, /may end without an event/],
  [
    'TIMESTAMP_OFF',
    { timestamp: 0, enter: 'ip netns exec blue' },
    /at least/,
    'ip netns exec blue sysctl -w net.netfilter.nf_conntrack_timestamp=1  # new flows only',
  ],
  ['TABLE_FULL', { dropped: 4, enter: 'ip netns exec blue' }, /4 packets/, 'sysctl -w net.netfilter.nf_conntrack_max=2000'],
  ['TIMESTAMP_OFF', { timestamp: 0 }, /at least/, 'sysctl -w net.netfilter.nf_conntrack_timestamp=1  # new flows only'],
  ['EVENTS_LOST', { lost: 2, repaired: 5 }, /^2 times .* 5 entries/],
  ['TABLE_NEARLY_FULL', { entries: 800 }, /^80 %/, 'sysctl -w net.netfilter.nf_conntrack_max=2000'],
  ['TABLE_FULL', { entries: 1000, dropped: 4 }, /4 packets/, 'sysctl -w net.netfilter.nf_conntrack_max=2000'],
  ['OFFLOAD_WITHOUT_COUNTERS', { blind: 6 }, /^6 offloaded/],
  ['SLOW', { pace: 3100 }, /every 3\.1 s, not every 2 s/],
  ['NOTHING_TRACKED', { tracking: false, flows: 0, read: 0, entries: 0 }, /no rule/],
  // What is no reason for a notice.
  [undefined, {}, /./],
  [undefined, { read: 6 }, /./], // four have just begun
  [undefined, { tracking: false }, /./],
  [undefined, { tracking: undefined, flows: 0, read: 0 }, /./],
  [undefined, { acct: undefined, events: undefined, timestamp: undefined }, /./],
  [undefined, { entries: 799 }, /./],
  [undefined, { maxEntries: undefined, entries: 1e9 }, /./],
  [undefined, { maxEntries: 0 }, /./],
  [undefined, { pace: 3000 }, /./],
];

suite('notices', () => {
  for (const [code, differs, text, remedy] of CASES)
    test(`${JSON.stringify(differs)} gives ${code ?? 'none'}`, () => {
      const notices = noticesOf({ ...FINE, ...differs });
      assert.deepEqual(
        notices.map((notice) => [notice.code, notice.remedy]),
        code === undefined ? [] : [[code, remedy]],
      );
      if (code !== undefined) assert.match(notices[0]!.text, text);
    });

  test('all of them come in order of importance, each once', () => {
    const worst = noticesOf({
      ...FINE,
      acct: 0,
      events: 0,
      timestamp: 0,
      blank: 3,
      read: 7,
      lost: 1,
      blind: 1,
      dropped: 1,
      pace: 1e4,
    });
    assert.deepEqual(
      worst.map(({ code }) => code),
      ['TABLE_FULL', 'ACCOUNTING_PARTLY', 'EVENTS_OFF', 'TIMESTAMP_OFF', 'EVENTS_LOST', 'OFFLOAD_WITHOUT_COUNTERS', 'SLOW'],
    );
  });
});

test('accounting is off where it is off in all namespaces', () => {
  const [on, partly, off] = [FINE, { ...FINE, read: 7, blank: 3 }, { ...FINE, acct: 0, read: 0 }].map(noticesOf);
  assert.equal(accountingOf(on!, 1), 'on');
  assert.equal(accountingOf(partly!, 1), 'partly');
  assert.equal(accountingOf(off!, 1), 'off');
  assert.equal(accountingOf([...off!, ...off!], 2), 'off');
  assert.equal(accountingOf([...on!, ...off!], 2), 'partly');
  assert.equal(accountingOf([...on!, ...partly!], 2), 'partly');
});
