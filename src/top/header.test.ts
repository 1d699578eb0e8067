// The lines at the top of `conntrack top`.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { MeterSample, MeterSeries, NamespaceSample } from '../meter/index.js';
import { drawHeader, type HeaderFacts } from './header.js';
import { Screen } from './screen.js';
import { COLORS } from './style.js';

const NOW = new Date(2026, 2, 12, 14, 22, 8);

const NAMESPACE: NamespaceSample = {
  name: 'own',
  entries: 131_204,
  maxEntries: 262_144,
  kernel: {
    ...{ drop: 0, earlyDrop: 0, insertFailed: 3, invalid: 0, found: 0 },
    ...{ insert: 0, error: 0, searchRestart: 0, clashResolve: 0, chaintoolong: 0 },
  },
  sysctls: { acct: 1, events: 1, timestamp: 1 },
  sweepTime: 0.61,
  sweepAge: 1,
  lost: 0,
};

const SAMPLE: MeterSample = {
  number: 5,
  at: NOW.getTime() - 1000,
  seconds: 2,
  entries: 131_204,
  maxEntries: 262_144,
  flows: 131_204,
  nextFlow: 200_000,
  unreplied: 3936,
  protocols: { tcp: 98_110, udp: 31_004, icmp: 1802, other: 288 },
  begun: 3824,
  ended: 3000,
  rate: { original: 101_500_000, reply: 426_250_000 },
  packetRate: 410_000,
  counted: {
    begun: 3824,
    ended: 3000,
    endedUnreplied: 20,
    bytes: { original: 1, reply: 1 },
    packets: { original: 1, reply: 1 },
    unseen: 0,
    resets: 0,
  },
  cost: 0.09,
  namespaces: [NAMESPACE],
  skipped: 0,
};

const SERIES = { rateOriginal: [Number.NaN, 0, 1e8], rateReply: [Number.NaN, 0, 4.25e8] } as unknown as MeterSeries;

interface Options {
  readonly lines?: number;
  readonly columns?: number;
  readonly ascii?: boolean;
}

function header(sample: Partial<MeterSample> = {}, facts: Partial<HeaderFacts> = {}, options: Options = {}): Screen {
  const { lines = 4, columns = 80, ascii = false } = options;
  const screen = new Screen(columns, 5, { ascii });
  const whole = { sample: { ...SAMPLE, ...sample }, series: SERIES, host: 'fw1', interval: 2000, paused: undefined, now: NOW };
  const context = { unit: 'bits', averages: true, ascii, several: false, width: columns } as const;
  drawHeader(screen, lines, { ...whole, ...facts }, context);
  return screen;
}

const row = (y: number, ...of: Parameters<typeof header>) => header(...of).row(y);
const title = (...of: Parameters<typeof header>) => row(0, ...of);

suite('the title', () => {
  test('says what this is, how often, at what cost, and when', () => {
    assert.equal(title(), ' conntrack top · fw1               ● live  every 2.0 s  9 % of a core  14:22:08');
    assert.match(title({}, {}, { columns: 140 }), / \(list 0\.61 s\) {2}9 % of a core {2}no event lost {2}14:22:08$/);
    assert.equal(
      title({}, {}, { ascii: true }),
      ' conntrack top - fw1               * live  every 2.0 s  9 % of a core  14:22:08',
    );
  });

  const blue = { ...NAMESPACE, name: 'blue' };
  const CASES: readonly (readonly [string, Partial<MeterSample>, Partial<HeaderFacts>, RegExp])[] = [
    ['the namespace, if it is another', { namespaces: [blue] }, {}, /^ conntrack top · fw1 · netns blue {2}/],
    ['how many there are', { namespaces: [NAMESPACE, blue] }, {}, /· fw1 · 2 netns {2}/],
    ['that the picture stands', {}, { paused: 72 }, / PAUSED 1m12s {2}every/],
    ['how often there really are samples, if they are late', { seconds: 3.1 }, {}, /every 3\.1 s/],
    ['as planned, if they are nearly in time', { seconds: 2.3 }, {}, /every 2\.0 s/],
    ['as planned, if namespaces take turns', { seconds: 1, namespaces: [NAMESPACE, blue] }, {}, /every 2\.0 s/],
    ['how old the last list is, if no new one comes', { at: NOW.getTime() - 95_000 }, {}, / ● late {2}last list 1m35s ago/],
    [
      'the namespace rather than the program, if there is no room',
      { namespaces: [blue] },
      { paused: 72 },
      /^ fw1 · netns blue +PAUSED/,
    ],
    ['that it costs nearly nothing', { cost: 0.004 }, {}, / <1 % of a core/],
    ['that it costs more than a core', { cost: 1.2 }, {}, / 120 % of a core/],
  ];
  for (const [name, sample, facts, expected] of CASES) test(`says ${name}`, () => assert.match(title(sample, facts), expected));
});

suite('the table', () => {
  const full = (entries: number, rest: Partial<MeterSample> = {}) => ({ namespaces: [{ ...NAMESPACE, entries }], ...rest });

  test('is a gauge, green, yellow from 80 % and red from 95 %', () => {
    for (const [entries, color] of [
      [131_204, COLORS.green],
      [209_716, COLORS.yellow],
      [249_037, COLORS.red],
    ] as const) {
      const screen = header(full(entries));
      assert.equal(screen.cells(1)[7]!.style, color);
      assert.equal(screen.cells(1)[7]!.text, '━');
    }
  });

  test('says when it is full', () => {
    assert.match(row(1, { full: 318 }), / 131,204 of 262,144 {2}50 % +full in 5 min$/);
    assert.match(row(1, { full: 75 }), /full in 1m15s$/);
    assert.match(row(1, { full: 7300 }), /full in 2h02 min$|full in 2h02m$/);
    assert.match(row(1, { full: 318 }, {}, { columns: 140 }), /\+412\/s +full in 5 min \(\d\d:\d\d\) at this pace$/);
  });

  test('without a limit has no gauge', () => {
    assert.equal(row(1, { namespaces: [{ ...NAMESPACE, maxEntries: undefined as never }] }), ' Table 131,204 entries');
  });

  test('of no namespace says so', () => {
    assert.match(row(1, { namespaces: [] }), /^ Table none: the network namespace is gone/);
    assert.match(row(0, { namespaces: [] }, {}, { columns: 140 }), /list 0\.00 s/);
  });

  test('of several namespaces is that of the fullest, with its name', () => {
    const blue = { ...NAMESPACE, name: 'blue', entries: 200_000 };
    assert.match(row(1, { namespaces: [NAMESPACE, blue] }), /^ Table blue .* 200,000 of 262,144 {2}76 %/);
  });

  test('in ASCII has brackets', () => assert.match(row(1, {}, {}, { ascii: true }), /^ Table \[#+-+\] {2}131,204/));
});

suite('flows and rates', () => {
  test('are there in numbers', () => {
    assert.equal(row(2), ' Flows +412/s  new 1,912/s  ended 1,500/s            tcp 98k  udp 31k  other 2k');
    assert.match(row(3), /^ Rate {2}→ 812M {2}← 3\.41G bit\/s .*█ +peak 4\.20G$/);
    assert.match(
      row(2, {}, {}, { columns: 140 }),
      /unreplied 3 % .* icmp 1,802 {2}other 288 +drop 0 {2}early drop 0 {2}insert failed 3$/,
    );
  });

  test('are not known after the first list', () => {
    const { rate: _, packetRate: __, ...first } = SAMPLE;
    const screen = header({ ...first, rate: undefined as never, seconds: 0 }, {});
    assert.match(screen.row(2), /^ Flows {2}new · {2}ended · /);
    assert.match(screen.row(3), /^ Rate {2}→ · {2}← · bit\/s/);
    assert.match(
      header({ ...first, rate: undefined as never, seconds: 0 }, {}, { ascii: true }).row(3),
      /^ Rate {2}> \. {2}< \. bit/,
    );
  });

  test('two lines are table and rate, one is the table', () => {
    assert.match(header({}, {}, { lines: 2 }).row(1), /^ Rate/);
    assert.match(header({}, {}, { lines: 1 }).row(0), /^ Table/);
    assert.equal(header({}, {}, { lines: 1 }).row(1), '');
  });

  test('nothing overlaps or leaves the screen, from 60 columns on', () => {
    const namespaces = [{ ...NAMESPACE, name: 'a-namespace-with-a-long-name' }];
    for (let columns = 60; columns < 200; columns++) {
      const screen = header({ namespaces, full: 318, seconds: 30 }, { paused: 1e6 }, { columns });
      assert.match(screen.row(0), /every 30\.0 s.* 14:22:08$/);
      assert.match(screen.row(3), / bit\/s/);
    }
  });
});
