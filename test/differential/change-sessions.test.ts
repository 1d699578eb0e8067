// Random sessions of commands that change the tables, made from a seed: the reference runs in one namespace, the command under
// test in a twin. After each command status, closing line and output are compared; after each session both tables, flows and
// expectations, as both tools list them and as the kernel dumps them. SEED=n for other sessions, SESSIONS=n for the first n
// only, SESSION=n for that one alone, CONNTRACK_UNDER_TEST to compare another program.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { quote, readCommandLine, splitWords } from '../support/argv.js';
import { flowKey } from '../support/flow-request.js';
import type { Namespace } from '../support/namespace.js';
import { compareOutcomes, diffLines, hasDiagnostic, type Mismatch, type Outcome, toOutcome } from '../support/outcome.js';
import { REFERENCE, readProjectFile, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { since, Twins } from '../support/twins.js';
import { refusal } from './change-answers.js';
import { answerTo, CHANGE_DIFFERENCES, FILE_DIFFERENCES, refusedByWords } from './change-differences.js';
import { Changes, randomTheme } from './change-lines.js';
import type { Change } from './change-words.js';
import { ExpectationChanges, MASTER_REQUESTS } from './expectation-lines.js';

const SEED = seedFromEnvironment(20260303);
const SESSIONS = Number(process.env['SESSIONS'] ?? 504);
const ONLY = process.env['SESSION'];
/** One more than the number of processors: a lane often waits. */
const LANES = Number(process.env['LANES'] ?? 3);

/** What a session did, for a report, and its findings. */
interface Log {
  readonly lines: string[];
  readonly faults: string[];
  /** Milliseconds since the epoch. */
  readonly started: number;
}

const seen = new Map<string, number>();
const counts = { commands: 0, changed: 0, refused: 0, faulty: 0, inFiles: 0 };
const note = (ids: readonly string[]) => {
  for (const id of ids) seen.set(id, (seen.get(id) ?? 0) + 1);
};

function check(
  log: Log,
  what: string,
  expected: Outcome,
  actual: Outcome,
  differences: readonly string[],
  ignore: readonly Mismatch['aspect'][] = [],
): void {
  counts.commands++;
  if (expected.status === '0') counts.changed++;
  else counts.refused++;
  note(differences);
  const mismatches = compareOutcomes(expected, actual, since(log.started)).filter(({ aspect }) => !ignore.includes(aspect));
  for (const mismatch of mismatches) {
    const detail =
      mismatch.aspect === 'stdout'
        ? diffLines(mismatch.expected, mismatch.actual, since(log.started))
        : `expected ${JSON.stringify(mismatch.expected)}, got ${JSON.stringify(mismatch.actual)}`;
    log.faults.push(
      `${what}${differences.length > 0 ? ` [${differences}]` : ''}: ${mismatch.aspect}: ${detail}${mismatch.aspect === 'diagnostic' ? '' : `\n  stderr: ${actual.stderr}`}`,
    );
  }
}

async function single(twins: Twins, { argv, faulty }: Change, log: Log): Promise<void> {
  if (faulty) counts.faulty++;
  log.lines.push(`conntrack ${quote(argv)}`);
  const { outcome, differences } = await answerTo(argv, twins.oracle(), faulty);
  check(log, quote(argv), outcome, await twins.underTest(argv), differences);
}

/** A load file of generated lines; it must do what its lines do one by one. */
async function file(twins: Twins, changes: readonly Change[], log: Log): Promise<void> {
  const lines = changes.map(({ argv }) => argv.map(quoteForFile).join(' '));
  counts.inFiles += lines.length;
  log.lines.push('conntrack -R - <<END', ...lines, 'END');
  const wrong = changes.find(({ argv, faulty }) => faulty || refusedByWords(argv, true));
  if (wrong !== undefined) {
    const { outcome, differences } = await answerTo(wrong.argv, twins.oracle(true), wrong.faulty);
    const expected = outcome.status === '0' || outcome.stdout !== '' ? outcome : refusal(outcome.status === '1' ? 1 : 2);
    counts.faulty++;
    check(
      log,
      `-R with ${quote(wrong.argv)}`,
      expected,
      await twins.underTest(['-R', '-'], `${lines.join('\n')}\n`),
      differences,
    );
    return;
  }
  const answer = await fileAnswer(twins, changes);
  check(
    log,
    `-R\n${lines.join('\n')}`,
    answer.outcome,
    await twins.underTest(['-R', '-'], `${lines.join('\n')}\n`),
    answer.differences,
    answer.outcome.status === '0' ? ['diagnostic'] : [],
  );
}

async function fileAnswer(twins: Twins, changes: readonly Change[]): Promise<{ outcome: Outcome; differences: string[] }> {
  const differences: string[] = [];
  let stdout = '';
  let stderr = '';
  let failed = false;
  const filters = changes.filter(
    ({ argv }) =>
      ['D', 'U'].includes(readCommandLine(argv).commands[0]!) &&
      readCommandLine(argv).options.some(({ name }) => name === 'mark' || name === 'label'),
  );
  if (filters.length > 0 && changes.length > 1) differences.push('B21');
  // Lines that create are sent together, up to the next one for the same flow.
  const batch = new Set<string>();
  for (const { argv } of changes) {
    const line = readCommandLine(argv);
    const letter = line.commands[0]!;
    const creates = letter === 'I' || letter === 'A';
    const flow = creates ? flowKey(line) : '';
    if (!creates || batch.size === 0 || batch.has(flow)) {
      if (failed) break;
      batch.clear();
    }
    if (creates) batch.add(flow);
    if (failed) differences.push('-R batches');
    const { outcome, differences: own } = await answerTo(argv, twins.oracle(true));
    differences.push(...own.map((id) => (id === '6.12' ? 'B50' : id)));
    stdout += outcome.stdout;
    if (letter === 'F') stderr += outcome.stderr;
    // For -D and -U, finding nothing is not a failure.
    if (outcome.status !== '0' && (creates || hasDiagnostic(outcome.stderr))) failed = true;
  }
  return {
    outcome: { status: failed ? '1' : '0', stdout, stderr: stderr + (failed ? 'conntrack: refused\n' : '') },
    differences: [...new Set(differences)],
  };
}

const quoteForFile = (word: string) => (word === '' || /[\s"#]/.test(word) ? `"${word.replaceAll(/["\\]/g, '\\$&')}"` : word);

/** Each tool loads what the reference saved into an empty table. */
async function saved(twins: Twins, log: Log): Promise<void> {
  const text = (await twins.reference.must([REFERENCE, '-L', '-o', 'save'])).toString();
  // docs/differences.md B24, B25, B27.
  if (text === '' || text.includes('(null)') || (/ -g /.test(text) && / -n /.test(text)) || text.includes('EXPECTED')) return;
  log.lines.push('conntrack -F', 'conntrack -R - <<END', ...text.trimEnd().split('\n'), 'END');
  await twins.reset();
  const [reference, actual] = await twins.loadFile(text);
  check(log, `-R of saved lines\n${text}`, reference, actual, []);
}

async function session(twins: Twins, random: Random, number: number): Promise<Log> {
  const log: Log = { lines: [], faults: [], started: Date.now() };
  const changes = new Changes(random, randomTheme(random));
  const expectations = random.chance(0.25) ? new ExpectationChanges(random) : undefined;
  await twins.reset(expectations === undefined ? [] : MASTER_REQUESTS);
  // The first of them is a load file with several.
  const length = random.pick([2, 2, 2, 3, 3, 3, 4, 4, 5]);
  for (let n = 0; n < length && log.faults.length === 0; n++) {
    const roll = random.below(100);
    if (roll < 12 || n === 0) {
      const all = Array.from({ length: 2 + random.below(6) }, () =>
        n === 0 ? changes.create(random.pick(['I', 'A', 'A'])) : changes.any(),
      );
      const mayFail = random.chance(0.25);
      await file(twins, mayFail ? all : all.filter(({ argv, faulty }) => !faulty && !refusedByWords(argv, true)), log);
    } else if (roll < 15) await saved(twins, log);
    else await single(twins, changes.any(), log);
    for (let more = expectations === undefined ? 0 : 1 + random.below(2); more > 0 && log.faults.length === 0; more--)
      await single(twins, expectations!.any(), log);
  }
  log.faults.push(...(await twins.differences(log.started, number, expectations !== undefined)));
  return log;
}

before(requirePrerequisites);

/**
 * Seeds of the sessions, so that one can be run alone. They are not sums of SEED and number or the like, which other SEEDs would share.
 */
function sessionSeeds(): number[] {
  const random = new Random(SEED);
  return Array.from({ length: Math.max(SESSIONS, Number(ONLY ?? 0) + 1) }, () => random.below(2 ** 32));
}

test(`${SESSIONS} random sessions leave equal tables (SEED=${SEED})`, {
  skip: SELF_TEST ? 'the right answers are those of 1.4.9' : false,
}, async () => {
  const failures: string[] = [];
  const started = Date.now();
  const seeds = sessionSeeds();
  const numbers = ONLY === undefined ? [...seeds.keys()].slice(0, SESSIONS) : [Number(ONLY)];
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const twins = await Twins.create(`s${lane}`);
      try {
        for (let number = numbers.shift(); number !== undefined && failures.length < 12; number = numbers.shift()) {
          const log = await session(twins, new Random(seeds[number]!), number);
          if (log.faults.length > 0)
            failures.push(
              `session ${number} (SEED=${SEED} SESSION=${number})\n${log.lines.map((line) => `    ${line}`).join('\n')}\n  ${log.faults.join('\n  ')}`,
            );
        }
      } finally {
        await twins.close();
      }
    }),
  );
  const ids = [...seen].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  console.log(
    `changing, SEED=${SEED}: ${SESSIONS} sessions, ${counts.commands} commands (${counts.changed} succeeded, ${counts.refused} refused or without effect, ${counts.faulty} wrong on purpose), ${counts.inFiles} lines in load files, ${((Date.now() - started) / 1000).toFixed(0)} s\n  known differences by id: ${ids.map(([id, times]) => `${id} ${times}×`).join(', ')}`,
  );
  assert.equal(failures.length, 0, `${failures.length} sessions differ\n\n${failures.join('\n\n')}`);
  if (SESSIONS < 500 || ONLY !== undefined) return;
  const ids500 = [...CHANGE_DIFFERENCES.map(({ id }) => id), ...Object.keys(FILE_DIFFERENCES)].filter(
    (id) => !ONLY_BY_EXAMPLE.includes(id),
  );
  assert.deepEqual(
    ids500.filter((id) => !seen.has(id)),
    [],
    'these differences never occurred: remove the row and its line in docs/differences.md, or mend the generator',
  );
});

/** Words that sessions do not use: their examples show them. */
const ONLY_BY_EXAMPLE: readonly string[] = ['B44', '3.2', '3.11', '-p twice'];

suite('known differences', { skip: SELF_TEST ? 'the reference is compared with itself' : false }, () => {
  // Made at their first use, so that runs of sessions alone do not wait for them.
  let made: Promise<Twins> | undefined;
  after(async () => (await made)?.close());
  for (const { id, reason, example, setUp } of CHANGE_DIFFERENCES) {
    test(`${id}: ${reason}`, async () => {
      made ??= Twins.create('known');
      const twins = await made;
      await twins.reset(setUp);
      const started = Date.now();
      const last = example.at(-1)!;
      const run = async (namespace: Namespace, command: string, line: string) =>
        toOutcome(await namespace.run([command, ...splitWords(line)]));
      for (const line of example.slice(0, -1))
        for (const namespace of [twins.reference, twins.actual])
          assert.equal((await run(namespace, REFERENCE, line)).status, '0', line);
      const [expected, actual] = last.endsWith('\n')
        ? await twins.loadFile(last)
        : [await run(twins.reference, REFERENCE, last), await run(twins.actual, UNDER_TEST, last)];
      const differs =
        compareOutcomes(expected, actual, since(started)).length > 0 || (await twins.kernelDifferences(started)).length > 0;
      assert.ok(differs, `the reference does the same: ${last}`);
    });
  }

  test('every one of them is told in docs/differences.md', () => {
    const text = readProjectFile('docs/differences.md');
    const ids = [...CHANGE_DIFFERENCES.map(({ id }) => id), ...Object.keys(FILE_DIFFERENCES)];
    // 6.N are differences between the releases 1.4.7 and 1.4.9, not from 1.4.9.
    const untold = [...new Set(ids)]
      .filter((id) => !id.startsWith('6.'))
      .filter((id) => !new RegExp(`(?<![\\w.])${id.replaceAll('.', '\\.')}(?![\\w]|\\.\\d)`).test(text));
    assert.deepEqual(untold, [], 'docs/differences.md does not mention these');
  });
});
