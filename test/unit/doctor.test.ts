// The checks of the doctor, without a kernel: each finds its condition in a snapshot, with the right numbers, and is silent otherwise.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { checkSections } from '../../src/doctor/check-sections.js';
import { CHECK_IDS, CHECKS } from '../../src/doctor/checks.js';
import { judge } from '../../src/doctor/diagnose.js';
import { checkListText, diagnosisText, fixesScript } from '../../src/doctor/diagnosis-text.js';
import { doctorSchema } from '../../src/doctor/doctor-schema.js';
import type { Severity } from '../../src/doctor/finding.js';
import type { Snapshot, SnapshotParts } from '../../src/doctor/snapshot.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { isUnsafe } from '../../src/safe-text.js';
import { schemaFault } from '../support/json-schema.js';
import { readProjectFile } from '../support/project.js';
import { HEALTHY, HEALTHY_FLOWS, snapshotWith } from '../support/snapshots.js';

const { schema } = makeJsonSchema(doctorSchema());
const { statistics } = HEALTHY;
const grown = (more: Partial<SnapshotParts['statistics']['last']>): Partial<SnapshotParts> => ({
  statistics: { first: statistics.first, last: { ...statistics.last, ...more } },
});
const counts = (first: number, last: number): Partial<SnapshotParts> => ({
  counts: { first: { entries: first, maxEntries: 262_144 }, last: { entries: last, maxEntries: 262_144 } },
});
const flows = (more: Partial<SnapshotParts['flows']>): Partial<SnapshotParts> => ({ flows: { ...HEALTHY_FLOWS, ...more } });
const sysctls = (more: Record<string, number>): Partial<SnapshotParts> => ({ sysctls: { ...HEALTHY.sysctls, ...more } });

interface Case {
  readonly id: string;
  readonly parts: Partial<SnapshotParts>;
  readonly severity: Severity;
  readonly title: string | RegExp;
  /** The first line of the fix. */
  readonly fix?: string | RegExp;
}

const CASES: readonly Case[] = [
  {
    id: 'table-full',
    parts: counts(262_144, 262_144),
    severity: 'error',
    title: 'the table is full: 262,144 of 262,144 entries',
    fix: 'sysctl -w net.netfilter.nf_conntrack_max=524288  # takes up to 67 MB more when full',
  },
  {
    id: 'table-full',
    parts: { ...counts(262_000, 262_100), ...grown({ drop: 55, earlyDrop: 2 }) },
    severity: 'error',
    title: 'the table is full: 262,100 of 262,144 entries',
  },
  {
    id: 'table-nearly-full',
    parts: {
      ...counts(251_080, 251_904),
      ...flows({ flows: 251_904, sources: [{ src: '10.1.9.200', flows: 21_771, unreplied: 400 }] }),
    },
    severity: 'error',
    title: '251,904 of 262,144 entries (96 %), growing by 412 a second: full in 25 seconds',
    fix: 'sysctl -w net.netfilter.nf_conntrack_max=524288  # takes up to 67 MB more when full',
  },
  { id: 'table-nearly-full', parts: counts(215_000, 215_000), severity: 'warning', title: '215,000 of 262,144 entries (82 %)' },
  {
    id: 'table-nearly-full',
    parts: counts(150_000, 151_000),
    severity: 'error',
    title: '151,000 of 262,144 entries (58 %), growing by 500 a second: full in 3 minutes 42 seconds',
  },
  {
    id: 'drops-in-the-past',
    parts: {
      statistics: {
        first: { ...statistics.first, drop: 12, earlyDrop: 1 },
        last: { ...statistics.last, drop: 12, earlyDrop: 1 },
      },
    },
    severity: 'info',
    title: 'the table was full at some time: 12 new connections were dropped, 1 flow was removed early',
    fix: 'sysctl -w net.netfilter.nf_conntrack_max=524288  # if that happens again',
  },
  {
    id: 'insert-failed',
    parts: grown({ insertFailed: 8 }),
    severity: 'warning',
    title: '5 new flows could not be inserted in 2 seconds: packets were dropped',
    fix: /^# with NAT: /,
  },
  {
    id: 'clashes',
    parts: grown({ clashResolve: 8 }),
    severity: 'info',
    title: '1 clash of new flows in 2 seconds, all resolved',
  },
  {
    id: 'chains-too-long',
    parts: grown({ chaintoolong: 4 }),
    severity: 'error',
    title: '4 new flows were dropped in 2 seconds: their chain is too long',
    fix: 'sysctl -w net.netfilter.nf_conntrack_buckets=1048576  # takes 8.4 MB',
  },
  {
    id: 'chains-too-long',
    parts: grown({ searchRestart: 1100 }),
    severity: 'info',
    title: 'searches start again 500 a second: entries move meanwhile',
  },
  {
    id: 'few-buckets',
    parts: { ...sysctls({ buckets: 1024 }), slab: { entries: 9000, entrySize: 256 } },
    severity: 'warning',
    title: '9,000 entries in 1,024 buckets: 8.8 in each on average',
    fix: 'sysctl -w net.netfilter.nf_conntrack_buckets=16384  # takes 131 kB',
  },
  {
    id: 'invalid-packets',
    parts: grown({ invalid: 140 }),
    severity: 'warning',
    title: '100 packets in 2 seconds (50 a second) belong to no flow and cannot begin one',
    fix: 'sysctl -w net.netfilter.nf_conntrack_log_invalid=255  # then: dmesg | grep nf_ct_proto; 0 ends it',
  },
  {
    id: 'established-for-days',
    parts: { ...counts(200_000, 200_000), ...flows({ flows: 200_000, established: 190_000, idleForDays: 90_000 }) },
    severity: 'warning',
    title: '90,000 TCP connections, 45 % of the table, have been idle for more than a day',
    fix: 'sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=86400  # from the next packet of each on',
  },
  {
    id: 'scan',
    parts: flows({ sources: [{ src: '10.0.0.9', flows: 1500, unreplied: 1495 }] }),
    severity: 'warning',
    title: '10.0.0.9 has 1,500 flows, 99 % of them unanswered',
    fix: "conntrack -D --filter 'src 10.0.0.9 and unreplied'  # frees their places; stop the source as well",
  },
  {
    id: 'one-way-udp',
    parts: flows({
      oneWay: [
        { dst: '198.51.100.5', dport: 5060, flows: 4, translated: 4, young: 3, foreign: 0, src: '10.0.0.3' },
        { dst: '10.0.0.255', dport: 137, flows: 9, translated: 0, young: 0, foreign: 0, src: '10.0.0.4' },
      ],
    }),
    severity: 'warning',
    title: '4 UDP flows go on to 198.51.100.5:5060, and nothing ever came back',
    fix: /^conntrack -D --filter 'udp and unreplied and dst 198\.51\.100\.5 and dst port 5060' /,
  },
  {
    id: 'one-way-udp',
    parts: flows({
      oneWay: [{ dst: '2001:db8::5', dport: 514, flows: 1, translated: 0, young: 0, foreign: 0, src: '2001:db8::9' }],
    }),
    severity: 'info',
    title: '1 UDP flow goes on to [2001:db8::5]:514, and nothing ever came back',
  },
  {
    id: 'one-way-udp',
    parts: flows({ oneWay: [{ dst: '192.0.2.5', dport: 1194, flows: 2, translated: 2, young: 2, foreign: 0, src: '10.0.0.3' }] }),
    severity: 'warning',
    title: '2 UDP flows go on to 192.0.2.5:1194, and nothing ever came back',
    fix: '# to see whether packets leave, and whether answers arrive:',
  },
  {
    id: 'unanswered-syns',
    parts: flows({
      unanswered: [
        { dst: '192.0.2.9', dport: 443, flows: 25, old: 4 },
        { dst: '192.0.2.10', dport: 80, flows: 1, old: 0 },
      ],
    }),
    severity: 'warning',
    title: '25 TCP connections wait for a first answer, 4 for more than 30 seconds',
    fix: '# to see whether they leave and return:',
  },
  {
    id: 'unanswered-syns',
    parts: flows({ unanswered: [{ dst: '192.0.2.9', dport: 443, flows: 1, old: 1 }] }),
    severity: 'info',
    title: '1 TCP connection waits for a first answer, 1 for more than 30 seconds',
  },
  {
    id: 'snat-address-gone',
    parts: {
      ...flows({
        outside: [{ address: '198.51.100.7', flows: 118, answered: false, begun: 0 }],
        // Told once.
        oneWay: [
          {
            dst: '192.0.2.5',
            dport: 5060,
            flows: 9,
            translated: 9,
            young: 0,
            foreign: 9,
            outside: '198.51.100.7',
            src: '10.0.0.3',
          },
        ],
      }),
      routes: { '198.51.100.7': 'other' },
    },
    severity: 'warning',
    title: '118 flows are still translated to 198.51.100.7, which this host no longer has',
    fix: "conntrack -D --filter 'snat to 198.51.100.7'  # the next packet begins new flows, with the address of now",
  },
  {
    id: 'snat-address-gone',
    parts: {
      ...flows({ outside: [{ address: '198.51.100.7', flows: 118, answered: false, begun: 3 }] }),
      routes: { '198.51.100.7': 'other' },
    },
    severity: 'warning',
    title: '118 flows are still translated to 198.51.100.7, which this host no longer has',
    fix: '# first change the rule, or deleted flows come back with that address:',
  },
  {
    id: 'dnat-target-gone',
    parts: { failedNeighbours: ['10.0.0.80'] },
    severity: 'warning',
    title: '40 flows are translated to 10.0.0.80, which does not answer',
    fix: /^conntrack -D --filter 'dnat to 10\.0\.0\.80' /,
  },
  {
    id: 'dnat-target-gone',
    parts: flows({ targets: [{ address: '10.0.0.81', flows: 30, unreplied: 30 }] }),
    severity: 'warning',
    title: '30 flows are translated to 10.0.0.81, which does not answer',
  },
  {
    id: 'snat-ports-scarce',
    parts: flows({
      ports: [
        {
          address: '203.0.113.1',
          protonum: 17,
          dst: '192.0.2.1',
          dport: 53,
          ports: 91,
          moved: 91,
          lowest: 40_000,
          highest: 40_099,
        },
      ],
    }),
    severity: 'warning',
    title: '91 of 100 ports of 203.0.113.1 are in use for 192.0.2.1:53',
    fix: /^# give the rule more addresses or ports; /,
  },
  {
    id: 'snat-ports-scarce',
    parts: flows({
      ports: [
        {
          address: '203.0.113.1',
          protonum: 6,
          dst: '192.0.2.1',
          dport: 443,
          ports: 64_000,
          moved: 9000,
          lowest: 1024,
          highest: 65_535,
        },
      ],
    }),
    severity: 'error',
    title: '64,000 of 64,512 ports of 203.0.113.1 are in use for 192.0.2.1:443',
  },
  {
    id: 'offload-without-counters',
    parts: flows({ offloaded: 10, standing: 9 }),
    severity: 'info',
    title: '9 offloaded flows have counters that stand still',
  },
  {
    id: 'nothing-tracked',
    parts: { tracked: { ipv4: false, ipv6: false } },
    severity: 'warning',
    title: 'nothing is tracked: the table stays empty',
    fix: 'nft add table inet track',
  },
  {
    id: 'nothing-tracked',
    parts: { ...counts(0, 0), tracked: { ipv4: undefined, ipv6: undefined } },
    severity: 'warning',
    title: 'nothing is tracked: 500 packets went by, and the table is empty',
  },
  {
    id: 'nothing-tracked',
    parts: { tracked: { ipv4: true, ipv6: false } },
    severity: 'info',
    title: 'IPv6 is not tracked, only the other family is',
  },
  {
    id: 'accounting-off',
    parts: sysctls({ acct: 0 }),
    severity: 'info',
    title: 'flows have no packet and byte counters',
    fix: 'sysctl -w net.netfilter.nf_conntrack_acct=1  # counts for flows that begin afterwards',
  },
  { id: 'timestamps-off', parts: sysctls({ timestamp: 0 }), severity: 'info', title: 'flows have no times of beginning and end' },
  { id: 'events-off', parts: sysctls({ events: 0 }), severity: 'warning', title: 'the kernel sends no events of flows' },
  {
    id: 'events-auto',
    parts: { ...sysctls({ events: 2 }), listeners: [] },
    severity: 'info',
    title: 'nobody listens to events, so flows that begin now will end without one',
  },
  {
    id: 'labels-without-room',
    parts: { labelFile: true },
    severity: 'info',
    title: 'labels have names, but none of 3,000 flows has one',
  },
  {
    id: 'helpers-unused',
    parts: {
      modules: ['nf_conntrack_ftp', 'nf_conntrack_sip'],
      ...flows({ unhelped: { nf_conntrack_ftp: 2 }, helped: { sip: 1 } }),
    },
    severity: 'info',
    title: 'nf_conntrack_ftp reads nothing: 2 flows to tcp port 21 and none with the helper ftp',
  },
  {
    id: 'expectations-full',
    parts: { expectations: { entries: 900, byHelper: { sip: 890, ftp: 10 } } },
    severity: 'warning',
    title: 'helpers expect 900 connections, of 1,024 that are possible',
    fix: 'sysctl -w net.netfilter.nf_conntrack_expect_max=2048',
  },
  {
    id: 'listener-loses-events',
    parts: { listeners: [{ portId: 99, drops: { first: 10, last: 510 }, program: { name: 'collector', pid: 4711 } }] },
    severity: 'warning',
    title: 'collector (process 4711) lost 500 messages of events in 2 seconds, 510 since it listens',
  },
  {
    id: 'listener-loses-events',
    parts: { listeners: [{ portId: 99, drops: { first: 10, last: 10 } }] },
    severity: 'info',
    title: 'a program with netlink port 99 has lost 10 messages of events, but none in 2 seconds',
  },
  {
    id: 'receive-buffer-limited',
    parts: { buffer: { wanted: 16_777_216, got: 212_992 } },
    severity: 'info',
    title: 'a watch gets a receive buffer of 213 kB, not of 17 MB',
    fix: 'sysctl -w net.core.rmem_max=16777216  # on the host',
  },
  {
    id: 'kernel-knows-less',
    parts: { kernel: [5, 10] },
    severity: 'info',
    title: 'Linux 5.10 does not do all that is of use here',
  },
  {
    id: 'node-too-old',
    parts: { runtime: { node: '18.1.0', extraCertificates: false } },
    severity: 'info',
    title: /^Node\.js 18\.1\.0 is older than 20/,
  },
  {
    id: 'slow-start',
    parts: { runtime: { node: '22.1.0', extraCertificates: true } },
    severity: 'info',
    title: /^NODE_EXTRA_CA_CERTS is set/,
  },
];

suite('checks', () => {
  test('a healthy router: nothing, and everything could be checked', () => {
    const { findings, unchecked, fine } = judge([snapshotWith()]);
    assert.deepEqual(findings, []);
    assert.deepEqual(unchecked, []);
    assert.deepEqual(fine, CHECK_IDS);
  });

  for (const { id, parts, severity, title, fix } of CASES)
    test(`${id}: ${title}`, () => {
      const diagnosis = judge([snapshotWith(parts)]);
      const { findings } = diagnosis;
      const found = findings.filter((finding) => finding.id === id);
      assert.equal(found.length, 1, JSON.stringify(findings));
      // No other check mistakes it for its own, but those that say the same in another way.
      assert.deepEqual(
        findings.filter((finding) => finding.id !== id && finding.severity !== 'info').map((other) => other.id),
        [],
      );
      const [finding] = found;
      assert.equal(finding!.severity, severity);
      if (typeof title === 'string') assert.equal(finding!.title, title);
      else assert.match(finding!.title, title);
      if (typeof fix === 'string') assert.equal(finding!.fix[0], fix);
      else if (fix) assert.match(finding!.fix[0] ?? '', fix);
      assert.equal(finding!.about, `doctor.md#${id}`);
      assert.equal(
        schemaFault(schema, JSON.parse(JSON.stringify(diagnosis)), (schema['$defs'] as Record<string, never>)['diagnosis']),
        undefined,
      );
      assert.ok(!diagnosis.fine.includes(id));
    });

  test('every check has a case', () => {
    const refused = ['no-privilege', 'no-conntrack'];
    assert.deepEqual(
      CHECK_IDS.filter((id) => !CASES.some((one) => one.id === id)),
      refused,
    );
  });

  for (const [kind, id, code] of [
    ['privilege', 'no-privilege', 'CT_GET_STATS: Operation not permitted'],
    ['module', 'no-conntrack', 'CT_GET_STATS: Invalid argument'],
  ] as const)
    test(`${id}: nothing else can be checked then`, () => {
      const refused = { kind, message: code, contained: true } as const;
      const { findings, fine, unchecked } = judge([{ seconds: 0, enter: '', refused, parts: {} }]);
      assert.deepEqual(
        findings.map((finding) => [finding.id, finding.severity]),
        [[id, 'error']],
      );
      assert.equal(findings[0]!.detail[0], code);
      assert.equal(fine.length + unchecked.length + 1, CHECK_IDS.length);
      assert.equal(unchecked[0]!.reason, 'the table cannot be read');
    });

  test('answers for translated flows of a routed network make the address alive', () => {
    const outside = [{ address: '198.51.100.7', flows: 118, answered: true, begun: 0 }];
    assert.deepEqual(judge([snapshotWith({ ...flows({ outside }), routes: { '198.51.100.7': 'other' } })]).findings, []);
    const local = [{ address: '198.51.100.7', flows: 118, answered: false, begun: 0 }];
    assert.deepEqual(judge([snapshotWith({ ...flows({ outside: local }), routes: { '198.51.100.7': 'local' } })]).findings, []);
  });

  test('one-way flows of an address that is gone are told once, others beside them as well', () => {
    const oneWay = [
      { dst: '192.0.2.5', dport: 5060, flows: 9, translated: 9, young: 0, foreign: 4, outside: '198.51.100.7', src: '10.0.0.3' },
    ];
    const outside = [{ address: '198.51.100.7', flows: 4, answered: undefined, begun: 0 }];
    const gone = { ...flows({ oneWay, outside }), routes: { '198.51.100.7': 'other' as const } };
    assert.deepEqual(
      judge([snapshotWith(gone)]).findings.map(({ id, title }) => [id, title]),
      [
        ['snat-address-gone', '4 flows are still translated to 198.51.100.7, which this host no longer has'],
        ['one-way-udp', '5 UDP flows go on to 192.0.2.5:5060, and nothing ever came back'],
      ],
    );
    const routed = { ...gone, routes: { '198.51.100.7': 'local' as const } };
    assert.deepEqual(
      judge([snapshotWith(routed)]).findings.map(({ title }) => title),
      ['9 UDP flows go on to 192.0.2.5:5060, and nothing ever came back'],
    );
  });

  test('what cannot be read is not checked, with the reason; the rest is', () => {
    const { findings, unchecked } = judge([snapshotWith(sysctls({ acct: 0 }), { unknown: { listeners: 'permission denied' } })]);
    assert.deepEqual(
      findings.map(({ id }) => id),
      ['accounting-off'],
    );
    assert.deepEqual(unchecked, [
      { id: 'events-auto', reason: '/proc/net/netlink: permission denied' },
      { id: 'listener-loses-events', reason: '/proc/net/netlink: permission denied' },
    ]);
  });

  test('what a namespace cannot set is set on the host', () => {
    const [finding] = judge([
      snapshotWith({ ...counts(262_144, 262_144), fixedSysctls: ['max'] }, { netns: 'blue', enter: 'ip netns exec blue ' }),
    ]).findings;
    assert.equal(finding!.netns, 'blue');
    assert.equal(
      finding!.fix[0],
      'sysctl -w net.netfilter.nf_conntrack_max=524288  # takes up to 67 MB more when full; on the host: this network namespace cannot set it',
    );
  });

  test('commands run in the namespace of the finding, and what concerns the machine is said once', () => {
    const one = snapshotWith({ ...sysctls({ acct: 0 }), kernel: [5, 10] }, { netns: 'blue', enter: 'ip netns exec blue ' });
    const { findings } = judge([one, { ...one, netns: 'red', enter: 'ip netns exec red ' }]);
    assert.deepEqual(
      findings.map(({ id, netns, fix }) => [id, netns, fix[0]]),
      [
        [
          'accounting-off',
          'blue',
          'ip netns exec blue sysctl -w net.netfilter.nf_conntrack_acct=1  # counts for flows that begin afterwards',
        ],
        ['kernel-knows-less', undefined, undefined],
        [
          'accounting-off',
          'red',
          'ip netns exec red sysctl -w net.netfilter.nf_conntrack_acct=1  # counts for flows that begin afterwards',
        ],
      ],
    );
  });

  test('only some checks, and all but some', () => {
    const snapshot = snapshotWith(sysctls({ acct: 0, timestamp: 0 }));
    const only = judge([snapshot], new Set(['accounting-off', 'clashes']));
    assert.deepEqual(
      only.findings.map(({ id }) => id),
      ['accounting-off'],
    );
    assert.deepEqual(only.fine, ['clashes']);
  });
});

/** Numbers as a kernel, or a broken one, may give them. */
const number = fc.oneof(
  fc.nat(),
  fc.constantFrom(0, 1, 100, 1000, 2 ** 32 - 1, 2 ** 53),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
);
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\x1b[31mred', 'a\nb', '\u202eevil', "'; reboot; '", '::1'));
const record = <T extends object>(like: T): fc.Arbitrary<T> =>
  fc.record(Object.fromEntries(Object.entries(like).map(([name, value]) => [name, arbitraryLike(value)]))) as fc.Arbitrary<T>;
function arbitraryLike(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value === 'number') return number;
  if (typeof value === 'string') return text;
  if (typeof value === 'boolean') return fc.boolean();
  if (value === undefined) return fc.constantFrom(undefined, true, false);
  if (Array.isArray(value)) return fc.array(value.length > 0 ? arbitraryLike(value[0]) : text, { maxLength: 4 });
  const names = Object.keys(value as object);
  return names.length === 0 ? fc.dictionary(text, number, { maxKeys: 3 }) : record(value as object);
}

/** Every part, with at least one row in each list. */
const FULL: SnapshotParts = {
  ...HEALTHY,
  flows: {
    ...HEALTHY_FLOWS,
    oneWay: [
      { dst: '192.0.2.1', dport: 1, flows: 1, translated: 1, young: 0, foreign: 1, outside: '192.0.2.9', src: '10.0.0.1' },
    ],
  },
  listeners: [{ portId: 1, drops: { first: 1, last: 2 }, program: { name: 'x', pid: 1 } }],
};

test('no snapshot makes a check throw, and no name from outside controls a terminal', () => {
  const parts = fc.record(
    Object.fromEntries(
      Object.entries(FULL).map(([name, value]) => [
        name,
        fc.oneof(
          { weight: 5, arbitrary: arbitraryLike(value).map((known) => ({ value: known })) },
          { weight: 1, arbitrary: fc.record({ unknown: text }) },
        ),
      ]),
    ),
    { requiredKeys: [] },
  ) as unknown as fc.Arbitrary<Snapshot['parts']>;
  const snapshot = fc.record({ seconds: number, enter: fc.constant(''), netns: text, parts }) as fc.Arbitrary<Snapshot>;
  fc.assert(
    fc.property(fc.array(snapshot, { minLength: 1, maxLength: 2 }), (snapshots) => {
      const diagnosis = judge(snapshots);
      for (const output of [diagnosisText(diagnosis), fixesScript(diagnosis)])
        for (const line of output.split('\n'))
          for (const character of line) assert.ok(!isUnsafe(character.codePointAt(0)!), JSON.stringify(line));
      for (const line of fixesScript(diagnosis).split('\n'))
        assert.ok(!/^[^#]*'; reboot/.test(line) || line.includes("'\\''"), line);
    }),
    { numRuns: 300 },
  );
});

test('the text of a diagnosis', () => {
  const diagnosis = judge([
    snapshotWith(
      {
        ...counts(251_080, 251_904),
        flows: {
          ...HEALTHY_FLOWS,
          flows: 251_904,
          sources: [{ src: '10.1.9.200', flows: 21_771, unreplied: 21_400 }],
          outside: [],
        },
        ...sysctls({ acct: 0 }),
      },
      { unknown: { slab: 'permission denied', failedNeighbours: 'it is not there' } },
    ),
  ]);
  assert.equal(
    diagnosisText(diagnosis),
    ` error    table-nearly-full    251,904 of 262,144 entries (96 %), growing by 412
                               a second: full in 25 seconds
          10.1.9.200 has 21,771 of them (9 % of all, 98 % unanswered): conntrack
            top src 10.1.9.200
          fix: sysctl -w net.netfilter.nf_conntrack_max=524288
               # takes up to 84 MB more when full
 warning  scan                 10.1.9.200 has 21,771 flows, 98 % of them
                               unanswered
          a scan, or a program whose counterpart is gone: conntrack top --by
            service 'src 10.1.9.200'
          that is 9 % of all flows
          fix: conntrack -D --filter 'src 10.1.9.200 and unreplied'
               # frees their places; stop the source as well
               # to stop it:
               #   nft add table inet stop
               #   nft 'add chain inet stop first { type filter hook prerouting priority raw; }'
               #   nft add rule inet stop first ip saddr 10.1.9.200 drop
 info     accounting-off       flows have no packet and byte counters
          conntrack top shows no rates, and records have no bytes
          fix: sysctl -w net.netfilter.nf_conntrack_acct=1
               # counts for flows that begin afterwards
 fine     27 checks found nothing (conntrack doctor --list names all)
 unknown  dnat-target-gone     could not check: the neighbours (RTM_GETNEIGH):
                               it is not there
`,
  );
  // A wider terminal has longer lines; only commands are longer than a narrow one.
  assert.match(diagnosisText(diagnosis, 120), /^ error {4}table-nearly-full .* a second: full in 25 seconds$/m);
  for (const line of diagnosisText(diagnosis, 60).split('\n')) assert.ok(line.length <= 60 || /^ +(fix:|#) +\w/.test(line), line);
  assert.equal(
    fixesScript(diagnosis).split('\n').slice(0, 5).join('\n'),
    `#!/bin/sh
# conntrack doctor: what mends 3 findings. Read it before you run it.

# error table-nearly-full: 251,904 of 262,144 entries (96 %), growing by 412 a second: full in 25 seconds
sysctl -w net.netfilter.nf_conntrack_max=524288  # takes up to 84 MB more when full`,
  );
});

test('docs/doctor.md has a section for each check, made from the rows', () => {
  const page = readProjectFile('docs/doctor.md');
  const [, made] = /<!-- made by .* -->\n\n([\s\S]*)\n\n<!-- end -->/.exec(page) ?? [];
  assert.equal(made, checkSections(), 'run: node scripts/doctor-page.mjs');
});

test('--list shows every check', () => {
  const listed = checkListText()
    .split('\n')
    .filter((line) => /^[a-z]/.test(line));
  assert.deepEqual(listed, CHECK_IDS);
});

test('every part is read by some check', () => {
  const read = new Set(CHECKS.flatMap(({ reads, mayRead }) => [...reads, ...mayRead]));
  assert.deepEqual([...read].sort(), Object.keys(HEALTHY).sort());
});
