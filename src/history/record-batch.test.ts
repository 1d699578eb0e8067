import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { type FlowInit, makeFlow } from '../testing/index.js';
import { BLOCK_ROWS, BlockFilter, hashOfLookup, INDEXES } from './block-filter.js';
import { loadDriver } from './driver/load-driver.js';
import { addLookups, ENDED, keyOfRow, kindOfRow, nameOfRow, OPENED, RecordBatch, rowValues } from './record-batch.js';
import { COLUMN, type ColumnName, RECORD_COLUMNS } from './record-columns.js';
import { RecordWriter } from './record-writer.js';

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

test('a row is found by what the filter of its block was told', () => {
  const filter = new BlockFilter();
  const batch = new RecordBatch();
  const v4 = { src: '10.0.0.1', dst: '203.0.113.7', sport: 5000, dport: 53 };
  const forwarded = { src: '192.168.1.9', dst: '198.51.100.7', sport: 5353, dport: 32768 };
  batch.add(views.of(makeFlow({ protocol: 'udp', original: v4, reply: forwarded, status: ['DST_NAT', 'DST_NAT_DONE'] })), ENDED);
  batch.add(
    views.of(makeFlow({ protocol: 'tcp', original: { src: '2001:db8::1', dst: '2001:db8::2', sport: 1, dport: 2 } })),
    ENDED,
  );
  for (const row of [0, 1]) addLookups(batch.contents, row, filter);
  const places = INDEXES.map(({ name }) => name);
  const hash = (name: (typeof places)[number], address: number | Uint8Array, port = 0) =>
    hashOfLookup(places.indexOf(name), address, port);
  const [inside, outside, asked, real] = [0x0a000001, 0xc6336407 | 0, 0xcb007107 | 0, 0xc0a80109 | 0];
  const six = new Uint8Array([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  for (const there of [
    hash('flow_ext', outside, 32768),
    hash('flow_src', inside),
    hash('flow_dnat', asked, 53),
    hash('flow_in', real),
    hash('flow_ext', six, 1),
    hash('flow_src', six),
  ])
    assert.ok(filter.mayHave(there));
  for (const other of [
    hash('flow_ext', outside, 32769),
    hash('flow_src', outside),
    hash('flow_dnat', 1, 2),
    hash('flow_in', inside),
    hash('flow_ext', six, 2),
  ])
    assert.ok(!filter.mayHave(other));
});

test('a full block is read in vain seldom, and never left out', () => {
  const filter = new BlockFilter();
  const hash = (n: number, port: number) => hashOfLookup(n & 1, Math.imul(n, 0x9e3779b1), port);
  for (let n = 0; n < 2 * BLOCK_ROWS; n++) filter.add(hash(n, 443));
  for (let n = 0; n < 2 * BLOCK_ROWS; n++) assert.ok(filter.mayHave(hash(n, 443)));
  let vain = 0;
  for (let n = 0; n < 20_000; n++) vain += filter.mayHave(hash(n, 444)) ? 1 : 0;
  assert.ok(vain < 20_000 / 25, `${vain} of 20,000`);
});

test('a writer has filters of whole blocks, and rows are found with and without', () => {
  const directory = mkdtempSync(`${tmpdir()}/conntrack-blocks-`);
  try {
    const driver = loadDriver();
    const session = { from: 1, boot: 'b', sysctls: {}, options: {}, version: '0', noDestination: false };
    const options = { directory, sync: 'none', segmentRows: 1e9, segmentAge: 1e15, session } as const;
    const { writer } = RecordWriter.open(driver, options);
    const view = views.of(
      makeFlow({ protocol: 'tcp', original: { src: '10.0.0.1', dst: '203.0.113.7', sport: 1, dport: 2 }, status: ['CONFIRMED'] }),
    );
    const rows = 2 * BLOCK_ROWS + 5;
    for (let n = 0; n < rows; ) {
      const batch = new RecordBatch();
      for (const end = Math.min(rows, n + 5000); n < end; n++) {
        batch.add(view, ENDED);
        for (const [column, value] of [
          ['start', n],
          ['dur', 1],
          ['sslack', 0],
          ['eslack', 0],
          ['src', n],
        ] as const)
          batch.set(COLUMN[column], value);
      }
      writer.write({ batch: batch.take(), gaps: [], now: 10 });
    }
    const file = driver.open(writer.segment.path, { readOnly: true });
    const blocks = file.prepare('SELECT first, last, filter FROM block ORDER BY first').all();
    assert.deepEqual(
      blocks.map(({ first, last }) => [first, last]),
      [
        [1, BLOCK_ROWS],
        [BLOCK_ROWS + 1, 2 * BLOCK_ROWS],
      ],
    );
    const [row] = file.prepare('SELECT src, sport, mark, start FROM flow WHERE seq = 6000').all();
    assert.deepEqual({ ...row }, { src: 5_999, sport: 1, mark: null, start: 5_999 });
    const place = INDEXES.findIndex(({ name }) => name === 'flow_src');
    const found = blocks.map(({ filter }) => new BlockFilter(filter as Uint8Array).mayHave(hashOfLookup(place, 5_999, 0)));
    assert.deepEqual(found, [false, true]);
    file.close();
    writer.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
