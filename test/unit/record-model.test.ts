// A recorder over a table in memory, against a model: whatever happens, in whatever order, each life of a flow is in the record once, or its
// end lies in a gap.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { loadDriver } from '../../src/history/driver/load-driver.js';
import { FlowRecorder } from '../../src/history/flow-recorder.js';
import { numberOfReason } from '../../src/history/record-columns.js';
import type { RecordOptions } from '../../src/history/recorder-options.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { Conntrack } from '../../src/library/index.js';
import { MemoryTable } from '../../src/testing/index.js';
import { disorderOf } from '../support/past-record.js';

const scratch = mkdtempSync(`${tmpdir()}/conntrack-record-`);
after(() => rmSync(scratch, { recursive: true }));
let folders = 0;

/** Numbers of the flows: their source ports. */
interface Life {
  readonly port: number;
  /** Step in which it ended; `undefined`: it lives. */
  ended?: number;
}

type Step =
  | { readonly do: 'begin'; readonly count: number }
  | { readonly do: 'end'; readonly which: number }
  | { readonly do: 'lose'; readonly begin: number; readonly end: number }
  | { readonly do: 'flush' | 'rotate' | 'restart' | 'crash' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('begin' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('lose' as const),
      begin: fc.integer({ min: 0, max: 3 }),
      end: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('flush' as const, 'rotate' as const, 'restart' as const, 'crash' as const) }),
  },
);

/** A recorder, its table, and what should be in the record. */
class Recording {
  readonly table = new MemoryTable({ accounting: true });
  readonly directory = `${scratch}/${++folders}`;
  readonly lives: Life[] = [];
  /** Periods, in steps, that the record says it may lack something of. */
  readonly holes: { from: number; to: number }[] = [];
  step = 0;
  /** Step after which everything is on the disk. */
  safe = 0;
  #port = 1000;
  #conntrack: Conntrack | undefined;
  #recorder: FlowRecorder | undefined;

  get options(): RecordOptions {
    return {
      dir: this.directory,
      keep: Number.POSITIVE_INFINITY,
      sync: 3600,
      checkpoint: 3600,
      reconcile: 3600,
      launcher: ['/bin/false'],
    };
  }

  async start(): Promise<void> {
    this.#conntrack = await Conntrack.open({ transport: this.table.open });
    this.#recorder = await FlowRecorder.open(this.#conntrack, this.options);
  }

  begin(): void {
    const port = this.#port++;
    this.table.add(keyOf(port));
    this.lives.push({ port });
  }

  end(which: number): void {
    const alive = this.lives.filter(({ ended }) => ended === undefined);
    const life = alive[which % alive.length];
    if (!life) return;
    this.table.expire(keyOf(life.port));
    life.ended = this.step;
  }

  async take(step: Step): Promise<void> {
    this.step++;
    switch (step.do) {
      case 'begin':
        for (let n = 0; n < step.count; n++) this.begin();
        break;
      case 'end':
        this.end(step.which);
        break;
      case 'lose': {
        await this.table.delivered();
        this.table.loseEvents(step.begin + Math.min(step.end, this.lives.filter(({ ended }) => ended === undefined).length) || 1);
        for (let n = 0; n < step.begin; n++) this.begin();
        for (let n = 0; n < step.end; n++) this.end(n);
        // What is lost is only told with the next event.
        this.begin();
        // Until the table has been listed.
        this.holes.push({ from: this.step, to: Number.POSITIVE_INFINITY });
        break;
      }
      case 'flush':
        await this.table.delivered();
        await this.#recorder!.flush();
        this.#listed();
        break;
      case 'rotate':
        this.#recorder!.rotate();
        break;
      case 'restart':
        await this.stop();
        await this.start();
        break;
      case 'crash':
        await this.table.delivered();
        await FlowRecorder.kill(this.#recorder!);
        await this.#conntrack!.close();
        this.holes.push({ from: this.safe + 1, to: this.step });
        await this.start();
        this.#listed();
        break;
    }
  }

  async stop(): Promise<void> {
    await this.table.delivered();
    await this.#recorder!.close();
    await this.#conntrack!.close();
    this.#listed();
  }

  #listed(): void {
    this.safe = this.step;
    for (const hole of this.holes) hole.to = Math.min(hole.to, this.step);
  }

  /** What is in the files: records by port, in their order, ports of flows that live, and gaps. */
  read() {
    const driver = loadDriver();
    const rows: { seq: number; sport: number; start: number; dur: number; ob: number | null }[] = [];
    let open: number[] = [];
    let gaps = 0;
    for (const { path, number } of segmentFiles(this.directory)) {
      const file = driver.open(path, { readOnly: true });
      rows.push(...(file.prepare('SELECT seq, sport, start, dur, ob FROM flow ORDER BY seq').all() as never[]));
      open = file
        .prepare('SELECT sport FROM open')
        .all()
        .map(({ sport }) => sport as number);
      gaps += file.prepare('SELECT * FROM gap').all().length;
      const [meta] = file.prepare("SELECT value FROM meta WHERE name = 'disorder'").all();
      const begun = file.prepare("SELECT 1 FROM meta WHERE name = 'ready'").all().length > 0;
      assert.equal(begun, number === 1, 'a record says when its first list was complete');
      const inOrder = file.prepare('SELECT start, dur FROM flow ORDER BY seq').all();
      assert.ok(disorderOf(inOrder) <= (meta!['value'] as number), 'ends are in order, as the segment says');
      file.close();
    }
    return { rows, open, gaps };
  }
}

function keyOf(port: number) {
  return { protocol: 'udp' as const, original: { src: '10.0.0.1', dst: '198.51.100.7', sport: port, dport: 53 } };
}

test('each life is in the record once, or its end lies in a gap', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 25 }), async (all) => {
      const recording = new Recording();
      recording.begin(); // before anybody records
      await recording.start();
      for (const step of all) await recording.take(step);
      await recording.stop();
      const { rows, open, gaps } = recording.read();
      assert.deepEqual(
        rows.map(({ seq }) => seq),
        rows.map((_, n) => n + 1),
        'numbers have no hole',
      );
      for (const { dur } of rows) assert.ok(dur >= 0);
      const recorded = new Map<number, number>();
      for (const { sport } of rows) recorded.set(sport, (recorded.get(sport) ?? 0) + 1);
      for (const { port, ended } of recording.lives) {
        const count = recorded.get(port) ?? 0;
        if (ended === undefined) {
          assert.equal(count, 0, `${port} lives`);
          assert.ok(open.includes(port), `${port} is known to live`);
        } else {
          assert.ok(count <= 1, `${port} is there once`);
          assert.ok(!open.includes(port), `${port} has ended`);
          if (count === 0)
            assert.ok(
              recording.holes.some(({ from, to }) => ended >= from && ended <= to),
              `${port} is missing without a gap`,
            );
        }
      }
      const restarts = all.filter((step) => step.do === 'restart' || step.do === 'crash').length;
      assert.ok(gaps >= restarts, 'each time without a recorder is a gap');
      rmSync(recording.directory, { recursive: true });
    }),
    { numRuns: Number(process.env['RUNS'] ?? 20), includeErrorInReport: true },
  );
});

test('namespaces come and go while others are recorded', async () => {
  const tables = [new MemoryTable(), new MemoryTable()] as const;
  const [first, second] = await Promise.all(tables.map(({ open }) => Conntrack.open({ transport: open })));
  const directory = `${scratch}/namespaces`;
  const recorder = await FlowRecorder.open(new Map([['a', first!]]), {
    dir: directory,
    keep: Number.POSITIVE_INFINITY,
    launcher: ['/bin/false'],
  });
  tables[0].add(keyOf(1));
  tables[1].add(keyOf(2));
  await recorder.add('b', second!, Date.now() * 1000 - 5_000_000);
  tables[1].add(keyOf(3));
  for (const [table, port] of [
    [tables[0], 1],
    [tables[1], 3],
  ] as const) {
    await table.delivered();
    table.expire(keyOf(port));
    await table.delivered();
  }
  recorder.remove('b');
  await second!.close(); // which is nobody's business any more
  await recorder.flush();
  // With none at all it waits for the next one.
  recorder.remove('a');
  assert.ok(Number.isFinite(await recorder.flush()));
  await recorder.close();
  await first!.close();
  const file = loadDriver().open(segmentFiles(directory)[0]!.path, { readOnly: true });
  const rows = file.prepare('SELECT sport, netns.name, end_reason FROM flow JOIN netns ON number = ns ORDER BY sport').all();
  assert.deepEqual(
    rows.map((row) => [row['sport'], row['name'], row['end_reason'] === numberOfReason('unseen')]),
    [
      [1, 'a', false],
      [2, 'b', true],
      [3, 'b', false],
    ],
  );
  const gaps = file.prepare('SELECT name, reason, "to" - "from" AS length FROM gap JOIN netns ON number = ns').all();
  assert.deepEqual(
    gaps.map(({ name, reason }) => [name, reason]),
    [['b', 'namespace']],
  );
  assert.ok((gaps[0]!['length'] as number) >= 5_000_000);
  file.close();
});
