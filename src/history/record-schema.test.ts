import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadDrivers } from './driver/load-driver.js';
import { COLUMN, RECORD_COLUMNS } from './record-columns.js';
import { SEALING_STATEMENTS, SEGMENT_TABLES } from './record-schema.js';
import { readMeta, writeMeta } from './segment-meta.js';

for (const driver of loadDrivers()) {
  test(`${driver.name}: people read a segment with any SQLite`, () => {
    const file = driver.open(':memory:');
    for (const statement of SEGMENT_TABLES) file.exec(statement);
    const row = new Array<number | Uint8Array | null>(RECORD_COLUMNS.length).fill(null);
    const values = {
      start: 1_772_368_335_123_456,
      dur: 1_500_000,
      src: 0x0a010416,
      sport: 41002,
      dst: Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Array(11).fill(0), 1),
      dport: 443,
      ext: 0xcb007132 | 0,
      eport: 32768,
      proto: 6,
      state: 3,
      ob: 12,
      end_reason: 5,
      how: 0,
    };
    for (const [name, value] of Object.entries(values)) row[COLUMN[name as 'start']] = value;
    file.prepare(`INSERT INTO flow VALUES (1, ${RECORD_COLUMNS.map(() => '?').join(', ')})`).run(...row);
    assert.deepEqual(
      { ...file.prepare('SELECT * FROM flows').all()[0] },
      {
        seq: 1,
        start: '2026-03-01T12:32:15.123456Z',
        end: '2026-03-01T12:32:16.623456Z',
        protocol: 'tcp',
        src: '10.1.4.22',
        sport: 41002,
        dst: '2001:0db8:0000:0000:0000:0000:0000:0001',
        dport: 443,
        outside: '203.0.113.50',
        outside_port: 32768,
        responder: null,
        responder_port: null,
        state: 'ESTABLISHED',
        mark: 0,
        zone: 0,
        packets: null,
        bytes: 12,
        reply_packets: null,
        reply_bytes: null,
        end_reason: 'closed',
        status: null,
        netns: null,
        how: 0,
        start_slack: null,
        end_slack: null,
      },
    );
    for (const statement of SEALING_STATEMENTS) file.exec(statement);
    assert.deepEqual({ ...file.prepare('SELECT src, flows, ob FROM talker').all()[0] }, { src: 0x0a010416, flows: 1, ob: 12 });
    file.close();
  });

  test(`${driver.name}: a segment says what it is`, () => {
    const file = driver.open(':memory:');
    assert.throws(() => readMeta(file, 'a.db'), { code: 'NOT_A_HISTORY' });
    for (const statement of SEGMENT_TABLES) file.exec(statement);
    writeMeta(file, { recorder: 'x', number: 3, alive: 1_772_368_335_123_456, closed: undefined });
    assert.deepEqual(readMeta(file, 'a.db'), { recorder: 'x', number: 3, alive: 1_772_368_335_123_456, closed: undefined });
    file.exec('PRAGMA user_version = 99');
    assert.throws(() => readMeta(file, 'a.db'), { code: 'NEWER_SCHEMA' });
    file.close();
  });
}
