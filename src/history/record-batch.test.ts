import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { type FlowInit, makeFlow } from '../testing/index.js';
import { ENDED, keyOfRow, kindOfRow, nameOfRow, OPENED, RecordBatch, rowValues } from './record-batch.js';
import { COLUMN, type ColumnName, RECORD_COLUMNS } from './record-columns.js';

const views = new FlowViews();

/** The columns that are not NULL, of a flow in a batch. */
function recorded(flow: FlowInit, kind: typeof ENDED | typeof OPENED = ENDED): Record<string, unknown> {
  const batch = new RecordBatch();
  batch.add(views.of(makeFlow(flow)), kind);
  const values = rowValues(batch, 0);
  const named = RECORD_COLUMNS.map(({ name }, place) => {
    const value = values[place]!;
    return [
      name,
      typeof value === 'object' && value !== null ? [...value].map((byte) => byte.toString(16).padStart(2, '0')).join('') : value,
    ];
  });
  return Object.fromEntries(named.filter(([, value]) => value !== null));
}

test('a flow without translation is its own outside', () => {
  assert.deepEqual(
    recorded({
      protocol: 'tcp',
      original: { src: '10.1.4.22', dst: '203.0.113.7', sport: 41002, dport: 443 },
      mark: 0,
      status: ['CONFIRMED'],
    }),
    {
      src: 0x0a010416,
      sport: 41002,
      dst: 0xcb007107 | 0,
      dport: 443,
      ext: 0x0a010416,
      eport: 41002,
      proto: 6,
      status: 8,
      state: 3,
    },
  );
});

test('translations show outside and inside', () => {
  const { src, ext, eport, rsrc, rsport, dst, dport } = recorded({
    protocol: 'udp',
    original: { src: '10.0.0.1', dst: '203.0.113.7', sport: 5000, dport: 53 },
    reply: { src: '192.168.1.9', dst: '198.51.100.7', sport: 5353, dport: 32768 },
    status: ['SRC_NAT', 'SRC_NAT_DONE', 'DST_NAT', 'DST_NAT_DONE'],
  });
  assert.deepEqual(
    { src, ext, eport, rsrc, rsport, dst, dport },
    { src: 0x0a000001, ext: 0xc6336407 | 0, eport: 32768, rsrc: 0xc0a80109 | 0, rsport: 5353, dst: 0xcb007107 | 0, dport: 53 },
  );
});

test('ICMP has its identifier, type and code; IPv6 its bytes; zones say whose they are', () => {
  const icmp = recorded({ protocol: 'icmp', original: { icmpType: 8, icmpCode: 0, icmpId: 77 } });
  assert.deepEqual([icmp['sport'], icmp['dport'], icmp['eport']], [77, 2048, 77]);
  const six = recorded({ family: 'ipv6', original: { src: '2001:db8::1', dst: '2001:db8::2' }, zone: 7 });
  assert.deepEqual([six['src'], six['zone']], ['20010db8000000000000000000000001', 7]);
  assert.equal(recorded({ original: { zone: 3 } })['zone'], 65_539);
  assert.equal(recorded({ reply: { zone: 3 } })['zone'], 131_075);
});

test('counters are exact, and absent where there are none', () => {
  const none = recorded({});
  assert.deepEqual(
    ['opk', 'ob', 'rpk', 'rb'].filter((name) => name in none),
    [],
  );
  const flow: FlowInit = {
    original: { packets: 1n, bytes: 2n ** 32n + 5n },
    reply: { packets: 2n ** 53n, bytes: 2n ** 62n + 1n },
  };
  const { opk, ob, rpk, rb } = recorded(flow);
  assert.deepEqual([opk, ob, rpk, rb], [1, 2 ** 32 + 5, 2n ** 53n, 2n ** 62n + 1n]);
  assert.equal('ob' in recorded(flow, OPENED), false);
});

test('rows keep to themselves, and go over as they are', () => {
  const batch = new RecordBatch();
  for (let n = 0; n < 300; n++) {
    batch.add(views.of(makeFlow({ family: n % 2 ? 'ipv6' : 'ipv4', original: { sport: n } })), ENDED);
    if (n % 3 === 0) batch.setKey(n);
  }
  batch.drop(7);
  const contents = batch.take();
  assert.deepEqual([batch.count, contents.count], [0, 301]);
  for (let n = 0; n < 300; n++) {
    assert.equal(rowValues(contents, n)[COLUMN.sport], n);
    assert.deepEqual([kindOfRow(contents, n), keyOfRow(contents, n)], [ENDED, n % 3 === 0 ? n : Number.NaN]);
  }
  assert.equal(keyOfRow(contents, 300), 7);
});

test('a flow has the same name in a batch and in a table', () => {
  for (const flow of [{}, { family: 'ipv6' }, { protocol: 'icmp' }, { zone: 5 }] as FlowInit[]) {
    const batch = new RecordBatch();
    batch.add(views.of(makeFlow(flow)), OPENED);
    const values = rowValues(batch, 0);
    const row = Object.fromEntries(RECORD_COLUMNS.map(({ name }, place) => [name as ColumnName, values[place]!]));
    assert.equal(batch.nameOfLast(), nameOfRow(row));
  }
});
