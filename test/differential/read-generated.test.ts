// A few thousand command lines that read, made from a seed, each run by the reference and by the command under test, one
// after the other in one namespace: the same entries, ids and order. Run `SEED=n` for other lines; CONNTRACK_UNDER_TEST to
// compare another program; EVERY=n for each n-th line, LINES=n for the first n of these; LANES=n to compare n at a time.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { has, readCommandLine } from '../support/argv.js';
import { compare } from '../support/compare.js';
import { Namespace } from '../support/namespace.js';
import { fillDyingList, type PopulateOptions, populate } from '../support/population.js';
import { requirePrerequisites } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Report } from '../support/report.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';
import { readLines } from './read-lines.js';

const SEED = seedFromEnvironment(20260101);
const LEAST = 1500;
const EVERY = Number(process.env['EVERY'] ?? 1);
const LANES = Number(process.env['LANES'] ?? 2);

/** The tables that lines are run against. */
const TABLES = {
  full: { accounting: true, timestamps: true, traffic: 'all' },
  plain: { accounting: false, timestamps: false, traffic: 'all' },
  /** No packets, so all counters are zero and stay so: for -z. */
  zero: { accounting: true, timestamps: true, traffic: 'none' },
  dying: { accounting: true, timestamps: true, traffic: 'all' },
} as const satisfies Record<string, PopulateOptions>;
type TableName = keyof typeof TABLES;

/** Namespaces that one lane of comparisons uses, made when first needed. */
class Lane {
  readonly #namespaces = new Map<TableName, Promise<Namespace>>();
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  namespace(table: TableName): Promise<Namespace> {
    let made = this.#namespaces.get(table);
    if (made === undefined) {
      made = Lane.#make(`${table}${this.#number}`, table);
      this.#namespaces.set(table, made);
    }
    return made;
  }

  async close(): Promise<void> {
    for (const namespace of this.#namespaces.values()) await (await namespace).close();
  }

  static async #make(name: string, table: TableName): Promise<Namespace> {
    const namespace = await Namespace.create(name, 'answer');
    await populate(namespace, TABLES[table]);
    if (table === 'dying') await fillDyingList(namespace);
    return namespace;
  }
}

const lanes = Array.from({ length: LANES }, (_, n) => new Lane(n));
before(requirePrerequisites);
after(async () => {
  for (const lane of lanes) await lane.close();
});

test(`generated command lines read the same (SEED=${SEED})`, async () => {
  const random = new Random(SEED);
  const limit = Number(process.env['LINES'] ?? Number.POSITIVE_INFINITY);
  const work = readLines(random)
    .filter((_, n) => n % EVERY === 0)
    .slice(0, limit)
    .map((argv) => ({ argv, table: tableFor(argv, random) }));
  const report = new Report();
  let next = 0;
  const started = Date.now();
  await Promise.all(
    lanes.map(async (lane) => {
      for (let item = work[next++]; item !== undefined; item = work[next++]) {
        const namespace = await lane.namespace(item.table);
        const verdict = await compare(namespace, item.argv, KNOWN_DIFFERENCES, {
          order: item.table === 'dying' ? 'any' : 'same',
        });
        report.add(verdict, item.table);
      }
    }),
  );
  console.log(
    `${report.summary(`generated reading, SEED=${SEED}`)}\n  ${((Date.now() - started) / 1000).toFixed(0)} s in ${LANES} lanes`,
  );
  if (work.length === limit) return report.verify();
  const least = LEAST / EVERY;
  assert.ok(report.distinct >= least, `only ${report.distinct} distinct command lines; at least ${least} are wanted`);
  report.verify();
});

function tableFor(argv: readonly string[], random: Random): TableName {
  const line = readCommandLine(argv);
  if (line.table === 'dying') return 'dying';
  if (has(line, 'zero')) return 'zero';
  return random.chance(0.15) ? 'plain' : 'full';
}
