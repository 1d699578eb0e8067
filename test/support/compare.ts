// Runs one command line with the reference and with the command under test, corrects the reference's output for known differences
// (known-differences.ts), and reports what still differs.

import { type CommandLine, quote, readCommandLine } from './argv.js';
import type { Namespace, RunOptions } from './namespace.js';
import { type CompareOptions, compareOutcomes, diffLines, type Mismatch, type Outcome, toOutcome } from './outcome.js';
import { REFERENCE, SELF_TEST, UNDER_TEST } from './project.js';

/** The input of a known difference. */
export interface Situation {
  readonly line: CommandLine;
  /** The expectation so far: the reference's output, after earlier corrections. */
  readonly expected: Outcome;
  /** The output of the command under test: use it only for parts that may differ, such as the words of the help. */
  readonly actual: Outcome;
  /** Runs the reference with other words, in the same namespace and in the same way. */
  ask(argv: readonly string[]): Promise<Outcome>;
}

/**
 * One deliberate difference between this tool and the reference. If the words mean something else, `rewrite` gives the words with the
 * same meaning for the reference. If the same request is answered differently, `correct` gives the right answer.
 */
export interface KnownDifference {
  /** A row of docs/differences.md, or of docs/behaviour.md 6. */
  readonly id: string;
  readonly reason: string;
  /** Command lines that may show it. Rewriting happens before correction. */
  readonly applies: (line: CommandLine) => boolean;
  /** Other words for the reference. */
  readonly rewrite?: (line: CommandLine) => readonly string[];
  /** What to expect instead of `expected`, or `expected` itself if this command line does not show the difference after all. */
  readonly correct?: (situation: Situation) => Outcome | Promise<Outcome>;
  /** Shown only in a run with this `CompareSettings.situation`: the command line does not reveal it. */
  readonly situation?: RunSituation;
  /** The right order is unknown, so lines are compared sorted. */
  readonly anyOrder?: true;
}

/** Circumstances of a run: without privileges; standard output a full device, or a pipe that nobody reads. */
export type RunSituation = 'unprivileged' | 'full' | 'closed';

/** The result of one comparison. */
export interface Verdict {
  readonly argv: readonly string[];
  readonly reference: Outcome;
  readonly expected: Outcome;
  readonly actual: Outcome;
  /** Known differences that changed `reference` to `expected`. */
  readonly differences: readonly string[];
  readonly mismatches: readonly Mismatch[];
  readonly options: CompareOptions;
  /** Duration of the runs in milliseconds. */
  readonly took: { readonly reference: number; readonly actual: number };
}

/** How to run a command line in a special way. */
export interface CompareSettings {
  readonly order?: CompareOptions['order'];
  /** The command with its words → what to execute: to run it unprivileged, in a pipe, and so on. */
  readonly wrap?: (argv: readonly string[]) => readonly string[];
  readonly run?: RunOptions;
  /** Where the command under test runs, if not where the reference does. */
  readonly second?: Namespace;
  readonly situation?: RunSituation;
  /** Seconds that ticking numbers may differ beyond the time that the runs took. */
  readonly slack?: number;
}

/** Runs both, one after the other. */
export async function compare(
  namespace: Namespace,
  argv: readonly string[],
  known: readonly KnownDifference[],
  settings: CompareSettings = {},
): Promise<Verdict> {
  const { wrap = (words) => words, run = {}, second = namespace } = settings;
  const runIn = async (where: Namespace, command: string, words: readonly string[]) => where.run(wrap([command, ...words]), run);
  const first = await runIn(namespace, REFERENCE, argv);
  const other = await runIn(second, UNDER_TEST, argv);
  const actual = toOutcome(other);
  const reference = toOutcome(first);
  const ask = async (words: readonly string[]) => toOutcome(await runIn(namespace, REFERENCE, words));
  const exact: CompareOptions = { order: 'same', namespaces: 'same', tolerance: 2 };
  let line = readCommandLine(argv);
  let expected = reference;
  let { order = second === namespace ? 'same' : 'any' } = settings;
  const differences: string[] = [];
  const take = (difference: KnownDifference, corrected: Outcome) => {
    if (compareOutcomes(expected, corrected, exact).length === 0) return;
    expected = corrected;
    differences.push(difference.id);
    if (difference.anyOrder) order = 'any';
  };
  for (const difference of SELF_TEST ? [] : known) {
    if (difference.situation !== settings.situation && difference.situation !== undefined) continue;
    if (!difference.applies(line)) continue;
    if (difference.rewrite !== undefined) {
      const words = difference.rewrite(line);
      line = readCommandLine(words);
      take(difference, await ask(words));
    } else if (difference.correct !== undefined) {
      take(difference, await difference.correct({ line, expected, actual, ask }));
    }
  }
  const options: CompareOptions = {
    order,
    namespaces: second === namespace ? 'same' : 'two',
    tolerance: Math.ceil((Date.now() - first.started) / 1000) + 1 + (settings.slack ?? 0),
  };
  return {
    argv,
    reference,
    expected,
    actual,
    differences,
    mismatches: compareOutcomes(expected, actual, options),
    options,
    took: { reference: first.ended - first.started, actual: other.ended - other.started },
  };
}

/** For people: the command line, the expected output, the actual output. */
export function describe({ argv, mismatches, differences, options, reference }: Verdict, where = ''): string {
  const lines = [`conntrack ${quote(argv)}${where === '' ? '' : `   (${where})`}`];
  if (differences.length > 0)
    lines.push(`  known differences that apply: ${differences.join(', ')}; reference itself: exit ${reference.status}`);
  for (const { aspect, expected, actual } of mismatches) {
    if (aspect === 'stdout')
      lines.push(
        `  stdout: - expected, + got (${count(expected)} and ${count(actual)} lines)`,
        diffLines(expected, actual, options),
      );
    else lines.push(`  ${aspect}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
  }
  return lines.join('\n');
}

const count = (text: string) => text.split('\n').length - 1;
