// What SQLite is asked for a filter never leaves out a row that the predicate wants, with and without indexes. FILTER_CASES asks for more
// filters than the usual ones, SEED for others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { FILE_LIMITS, parseToFlowFilter } from '../../src/ctnetlink/filter/parser.js';
import { loadDrivers } from '../../src/history/driver/load-driver.js';
import { searchFlows } from '../../src/history/flow-search.js';
import { RecordDirectory } from '../../src/history/record-directory.js';
import { RowMessages } from '../../src/history/row-messages.js';
import { sqlPlan } from '../../src/history/sql-plan.js';
import { FilterError, ValueError } from '../../src/index.js';
import { randomExpression } from '../support/filter-text.js';
import { asOpen, inRecord, type PastRow, randomRow, T0, writeRecord } from '../support/past-record.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const CASES = Number(process.env['FILTER_CASES'] ?? 200);
const ROWS = 300;
const NOW = T0 / 1000 + 120_000;
const parse = (text: string) => parseToFlowFilter(text, { limits: FILE_LIMITS });

for (const driver of loadDrivers())
  test(`${driver.name}: flows of the past are chosen as those of a list`, async () => {
    const random = new Random(seedFromEnvironment(20260901));
    await inRecord(async (path) => {
      const rows = Array.from({ length: ROWS }, () => randomRow(random, T0));
      const open = Array.from({ length: 60 }, () => asOpen(randomRow(random, T0)));
      const third = ROWS / 3;
      writeRecord(driver, path, [
        { rows: rows.slice(0, third), opened: T0 - 1, closed: T0, sealed: true },
        { rows: rows.slice(third, 2 * third), opened: T0, closed: T0 + 1 },
        { rows: rows.slice(2 * third), open, opened: T0 + 1, alive: T0 + 2 },
      ]);
      const directory = new RecordDirectory(path, driver);
      const messages = new RowMessages();
      const ofRow = (row: PastRow) => messages.of({ ...NULLS, ...row } as never);
      const ofOpen = ({ seen: _, ...row }: PastRow & { seen?: number }) => messages.of(row as never);
      let chosen = 0;
      let refused = 0;
      let indexed = 0;
      for (let n = 0; n < CASES; n++) {
        const { text } = randomExpression(random);
        const filter = parse(text);
        let plan: ReturnType<typeof sqlPlan>;
        try {
          plan = sqlPlan(filter);
        } catch (error) {
          if (!(error instanceof ValueError)) throw error;
          assert.match(error.message, /is not recorded/);
          refused++;
          continue;
        }
        if (plan.indexes) indexed++;
        const predicate = compileFilter(filter, () => NOW);
        const wanted = [
          ...rows.flatMap((row, i) => (!predicate || predicate(ofRow(row)) ? [i + 1] : [])),
          ...open.flatMap((row, i) => (!predicate || predicate(ofOpen(row)) ? [-i - 1] : [])),
        ];
        const found: number[] = [];
        const newestFirst = random.chance(0.3);
        const search = searchFlows(
          directory,
          { filter, newestFirst },
          ({ row }) => (row['seq'] as number | undefined) ?? -(row['key'] as number),
          { now: () => NOW },
        );
        for await (const batch of search) found.push(...batch);
        assert.deepEqual(
          found.sort((a, b) => a - b),
          wanted.sort((a, b) => a - b),
          text,
        );
        chosen += wanted.length;
      }
      assert.ok(chosen > CASES * 10 && refused > CASES / 100 && indexed > 0, `${chosen} ${refused} ${indexed}`);
    });
  });

test('a condition on what is not recorded is refused by name', () => {
  for (const text of [
    'helper ftp',
    'tcp and not label 3',
    'timeout > 5',
    'has seqadj',
    'master dst 10.0.0.1',
    'use 1',
    'not secmark 3',
  ])
    assert.throws(
      () => sqlPlan(parse(text)),
      (error) => error instanceof ValueError && !(error instanceof FilterError) && /not recorded/.test(error.message),
      text,
    );
  for (const text of ['tcp', 'has bytes', 'snat to 10.0.0.1', 'not src 10.0.0.0/8 or mark 5']) sqlPlan(parse(text));
});

test('addresses are looked up in indexes', () => {
  const indexes = (text: string) => sqlPlan(parse(text)).indexes?.map(({ index, sql }) => `${index}: ${sql}`);
  assert.deepEqual(indexes('src 10.0.0.1 and dst port 443'), ['flow_src: src = ?']);
  assert.deepEqual(indexes('reply dst 203.0.113.50 and reply dst port 32768'), ['flow_ext: (ext = ? AND eport = ?)']);
  assert.deepEqual(indexes('src 10.0.0.1 or snat to 203.0.113.50'), ['flow_src: src = ?', 'flow_ext: ext = ?']);
  assert.deepEqual(indexes('dnat and dst 203.0.113.50 and dst port 80'), [
    'flow_dnat: (rsrc IS NOT NULL AND dst = ? AND dport = ?)',
  ]);
  assert.equal(indexes('dst 10.0.0.1'), undefined);
  assert.equal(indexes('src 10.0.0.1 or tcp'), undefined);
});

/** What a row has of columns that were not given. */
const NULLS = {
  seq: 1,
  dur: null,
  sport: null,
  dport: null,
  eport: null,
  rsrc: null,
  rsport: null,
  state: null,
  zone: null,
  mark: null,
};
