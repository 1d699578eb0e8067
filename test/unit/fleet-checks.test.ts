// What conntrack fleet doctor finds, from snapshots.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { CollectorInfo } from '../../src/fleet/ask-collectors.js';
import type { StreamHealth } from '../../src/fleet/bus.js';
import { diagnoseFleet, FLEET_CHECKS, type FleetSnapshot } from '../../src/fleet/fleet-checks.js';
import type { HostInfo } from '../../src/fleet/inventory.js';
import { STREAMS } from '../../src/fleet/streams.js';
import { AUDIT_STREAM, RECORD_STREAM } from '../../src/fleet/subjects.js';
import { readProjectFile } from '../support/project.js';

const AUDIT = STREAMS.find(({ name }) => name === AUDIT_STREAM)!;
const STATE: StreamHealth = {
  subjects: AUDIT.subjects,
  replicas: 3,
  maxBytes: AUDIT.maxBytes,
  maxAge: undefined,
  maxMessage: AUDIT.maxMessage,
  full: 'refuse',
  isProtected: true,
  onDisk: true,
  bytes: 1000,
  since: undefined,
  sites: [],
  leader: 'n1',
  followers: [
    { name: 'n2', current: true, offline: false, lag: 0 },
    { name: 'n3', current: true, offline: false, lag: 0 },
  ],
};
const HOST: HostInfo = {
  host: 'fw1',
  site: 'ams',
  state: 'up',
  age: 3000,
  instance: 'x',
  machine: '',
  pid: 1,
  agent: '0.1.0',
  features: [],
  kernel: '',
  netns: [],
  entries: 1,
  maxEntries: 2,
  allow: ['delete'],
  off: [],
  record: null,
  clock: { offset: 20, error: 1 },
};
const COLLECTOR: CollectorInfo = {
  name: 'c1',
  state: 'up',
  age: 3000,
  instance: 'x',
  pid: 1,
  agent: '0.1.0',
  features: [],
  shards: '0-63',
  lag: 0,
  late: 0,
  copies: 1,
  rows: 1,
  until: 1,
  holds: Array.from({ length: 64 }, (_, n) => n),
};
const RECORDS = STREAMS.find(({ name }) => name === RECORD_STREAM)!;
const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const FINE: FleetSnapshot = {
  servers: ['tls://n1:4222', 'tls://n2:4222', 'tls://n3:4222'].map((url) => ({ url, version: '2.9.10' })),
  streams: [
    { name: 'ct_hosts', state: { ...STATE, subjects: ['$KV.ct_hosts.>'] } },
    { name: AUDIT_STREAM, wanted: AUDIT, state: STATE },
    {
      name: RECORD_STREAM,
      wanted: RECORDS,
      state: {
        ...STATE,
        subjects: RECORDS.subjects,
        maxBytes: 1000,
        maxAge: RECORDS.maxAge,
        maxMessage: RECORDS.maxMessage,
        full: 'drop',
        since: NOW - 40 * HOUR,
      },
    },
  ],
  hosts: [HOST],
  unreadable: 0,
  collectors: [COLLECTOR, { ...COLLECTOR, name: 'c2' }],
  serverClocks: 12,
  now: NOW,
  users: [{ role: 'agent', name: 'fw1', site: 'ams', nkey: 'U' }],
};
const withAudit = (state: FleetSnapshot['streams'][number]['state']): FleetSnapshot => ({
  ...FINE,
  streams: [FINE.streams[0]!, { name: AUDIT_STREAM, wanted: AUDIT, state }, FINE.streams[2]!],
});
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const withRecords = (more: Partial<StreamHealth>): FleetSnapshot => {
  const { state, ...rest } = FINE.streams[2]!;
  return { ...FINE, streams: [...FINE.streams.slice(0, 2), { ...rest, state: { ...(state as StreamHealth), ...more } }] };
};
const withCollectors = (...collectors: Partial<CollectorInfo>[]): FleetSnapshot => ({
  ...FINE,
  hosts: [{ ...HOST, record: { recorder: 'x', acked: 1, mark: 1, alive: 1, behind: 0 } }],
  collectors: collectors.map((more) => ({ ...COLLECTOR, ...more })),
});
const withHost = (more: Partial<HostInfo>): FleetSnapshot => ({ ...FINE, hosts: [{ ...HOST, ...more }] });

test('a fleet that is well has no findings', () => {
  const { findings, fine, unchecked } = diagnoseFleet(FINE);
  assert.deepEqual([findings, unchecked], [[], []]);
  assert.equal(fine.length, FLEET_CHECKS.length);
});

suite('each check finds what it is for, and nothing else does', () => {
  const cases: readonly (readonly [id: string, severity: string, title: RegExp, snapshot: FleetSnapshot])[] = [
    [
      'server-unreachable',
      'warning',
      /^tls:\/\/n3:4222 cannot be reached$/,
      { ...FINE, servers: [...FINE.servers.slice(0, 2), { url: 'tls://n3:4222', error: 'ECONNREFUSED' }] },
    ],
    ['server-old', 'error', /2\.9\.3: 2\.9\.4 or later/, { ...FINE, servers: [{ url: 'tls://n1:4222', version: '2.9.3' }] }],
    [
      'servers-mixed',
      'info',
      /2\.10\.1, 2\.9\.10$/,
      { ...FINE, servers: FINE.servers.map((one, i) => ({ ...one, version: i ? '2.9.10' : '2.10.1' })) },
    ],
    ['stream-missing', 'error', /^CT_AUDIT is missing$/, withAudit('missing')],
    ['stream-settings', 'warning', /^CT_AUDIT is not as/, withAudit({ ...STATE, full: 'drop', isProtected: false })],
    ['stream-alone', 'warning', /^CT_AUDIT is on one server only$/, withAudit({ ...STATE, replicas: 1, followers: [] })],
    ['stream-followers', 'error', /has no leader/, withAudit({ ...STATE, leader: undefined })],
    [
      'stream-followers',
      'warning',
      /^n3 is away, and lacks CT_AUDIT$/,
      withAudit({ ...STATE, followers: [STATE.followers[0]!, { name: 'n3', current: false, offline: true, lag: 7 }] }),
    ],
    ['audit-full', 'warning', /^CT_AUDIT is 81 % full$/, withAudit({ ...STATE, bytes: Math.ceil(AUDIT.maxBytes * 0.805) })],
    ['audit-full', 'error', /100 % full/, withAudit({ ...STATE, bytes: AUDIT.maxBytes })],
    ['host-silent', 'warning', /^fw1 is silent$/, withHost({ state: 'silent', age: 100_000 })],
    ['host-clock', 'warning', /^the clock of fw1 is 3\.5 s behind$/, withHost({ clock: { offset: -3500, error: 1 } })],
    ['server-clocks', 'warning', /that of CT_REC is 2\.0 s behind that of ct_hosts$/, { ...FINE, serverClocks: -2000 }],
    ['server-clocks', 'warning', /is 90\.0 s ahead of that/, { ...FINE, serverClocks: 90_000 }],
    [
      'host-settings',
      'warning',
      /^the record of fw1 lacks something: nf_conntrack_timestamp is off$/,
      withHost({ record: { recorder: 'x', acked: 1, mark: 1, alive: 1, behind: 0 }, off: ['timestamp'] }),
    ],
    ['collector-silent', 'warning', /^the collector c3 is silent$/, withCollectors({}, {}, { name: 'c3', state: 'silent' })],
    ['shards-uncollected', 'warning', /^no collector is there$/, withCollectors()],
    [
      'shards-uncollected',
      'warning',
      /^shards 0,63 have no collector$/,
      withCollectors({ holds: range(1, 62) }, { holds: range(1, 62) }),
    ],
    ['shards-uncollected', 'warning', /^no collector is there$/, withCollectors({ state: 'stopped' })],
    ['shards-alone', 'info', /^all shards have one collector only$/, withCollectors({})],
    ['shards-alone', 'info', /^shards 32-63 have one collector only$/, withCollectors({}, { holds: range(0, 31) })],
    ['collector-behind', 'warning', /^c1 is 20 minutes behind: 7 messages wait$/, withCollectors({ late: HOUR / 3, lag: 7 }, {})],
    ['collector-behind', 'error', /^c1 is 2220 minutes behind/, withCollectors({ late: 37 * HOUR, lag: 7 }, {})],
    [
      'records-short',
      'warning',
      /^CT_REC is full, and reaches back for 5\.0 hours only$/,
      withRecords({ since: NOW - 5 * HOUR }),
    ],
    [
      'site-cut-off',
      'warning',
      /servers of ams for 90 seconds$/,
      withRecords({ sites: [{ site: 'ams', lag: 0, silent: 90_000 }] }),
    ],
    ['site-cut-off', 'warning', /servers of ams yet$/, withRecords({ sites: [{ site: 'ams', lag: 0, silent: undefined }] })],
    [
      'agents-mixed',
      'info',
      /0\.1\.0, 0\.2\.0$/,
      {
        ...FINE,
        hosts: [HOST, { ...HOST, host: 'fw2', agent: '0.2.0' }],
        users: [...FINE.users!, { role: 'agent', name: 'fw2', nkey: 'U' }],
      },
    ],
    ['inventory-unreadable', 'info', /^2 values/, { ...FINE, unreadable: 2 }],
    [
      'keys-and-hosts',
      'info',
      /^fw9 has a key, and is no host$/,
      { ...FINE, users: [...FINE.users!, { role: 'agent', name: 'fw9', nkey: 'U' }] },
    ],
  ];
  for (const [id, severity, title, snapshot] of cases)
    test(`${id}: ${title.source}`, () => {
      const { findings } = diagnoseFleet(snapshot);
      assert.deepEqual(
        findings.map((one) => [one.id, one.severity]),
        [[id, severity]],
      );
      assert.match(findings[0]!.title, title);
    });

  test('every one is tried, and in docs/fleet.md', () => {
    const docs = readProjectFile('docs/fleet.md');
    for (const { id } of FLEET_CHECKS) {
      assert.ok(
        cases.some(([tried]) => tried === id),
        id,
      );
      assert.ok(docs.includes(`| \`${id}\` |`), id);
    }
  });
});

test('the worst comes first, and what cannot be read is no finding', () => {
  const { findings, unchecked } = diagnoseFleet({
    ...withAudit({ unknown: 'Permissions Violation' }),
    serverClocks: { unknown: 'nor may it do that' },
    unreadable: 1,
    hosts: undefined,
    servers: [{ url: 'nats://n1:4222', version: '2.8.0' }],
  });
  assert.deepEqual(
    findings.map(({ severity }) => severity),
    ['error', 'info', 'info'],
  );
  assert.deepEqual(unchecked, [
    { id: AUDIT_STREAM, reason: 'Permissions Violation' },
    { id: 'server-clocks', reason: 'nor may it do that' },
  ]);
});

test('differences of a stream are told one by one', () => {
  const { findings } = diagnoseFleet(
    withAudit({ ...STATE, subjects: ['x'], maxAge: 7_200_000, maxMessage: 1, full: 'drop', isProtected: false, onDisk: false }),
  );
  assert.deepEqual(findings[0]!.detail, [
    'subjects: x instead of ct.v1.audit.*.*',
    'messages are kept: 2 h instead of for ever',
    `bytes of a message: 1 instead of ${AUDIT.maxMessage}`,
    'when it is full, what comes: replaces the oldest instead of is refused',
    'single messages can be taken out of it',
    'it is in memory only',
  ]);
});
