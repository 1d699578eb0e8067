// One target of the fuzz run: cases made from a seed, as long as there is time, and a report of their number.
//
// SEED=… repeats a run. FUZZ_SECONDS=… is how long a file of targets lasts (default 20, shared by its targets); FUZZ_EXECUTIONS=…
// is how many executions each target makes instead. FUZZ_REPORT=FILE gets a line of JSON for each target.

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Watchdog } from './watchdog.js';

/** Cases between two looks at the clock. */
const BURST = 50;

export const SEED = seedFromEnvironment(Math.floor(Math.random() * 0x100000000));
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 20);
const EXECUTIONS = process.env['FUZZ_EXECUTIONS'];
const REPORT = process.env['FUZZ_REPORT'];

const watchdog = new Watchdog(`SEED=${SEED} case`, 10_000);
after(() => watchdog.close());

export interface Target {
  /** What is run. */
  readonly name: string;
  /** Part of the time of its file. */
  readonly share: number;
  /** The share of executions that must be sound: with fewer, the generator no longer fits what it tests. */
  readonly sound: number;
}

/** What a case was: executions of the target (more than one where a case makes several), and how many of them were sound. */
export interface Case {
  readonly executions: number;
  readonly sound: number;
}
export const SOUND: Case = { executions: 1, sound: 1 };
export const REFUSED: Case = { executions: 1, sound: 0 };

/** A test that runs `one` with fresh random numbers until the time is over. A failure names the case. */
export function fuzz({ name, share, sound: wanted }: Target, one: (random: Random) => Case): void {
  test(`${name} (SEED=${SEED})`, (t) => {
    const start = performance.now();
    const enough = EXECUTIONS === undefined ? Number.POSITIVE_INFINITY : Number(EXECUTIONS);
    const end = EXECUTIONS === undefined ? start + SECONDS * share * 1000 : Number.POSITIVE_INFINITY;
    let executions = 0;
    let sound = 0;
    for (let n = 0; executions < enough && (n % BURST !== 0 || performance.now() < end); n++) {
      watchdog.beat(n + 1);
      const result = runCase(n, one);
      executions += result.executions;
      sound += result.sound;
    }
    const seconds = (performance.now() - start) / 1000;
    t.diagnostic(`SEED=${SEED}: ${name}: ${executions} executions, ${sound} of them sound, in ${seconds.toFixed(0)} s`);
    if (REPORT !== undefined)
      appendFileSync(
        REPORT,
        `${JSON.stringify({ target: name, seed: SEED, executions, sound, seconds: Math.round(seconds) })}\n`,
      );
    assert.ok(
      executions === 0 || sound > executions * wanted,
      `${sound} of ${executions} are sound: the generator has lost touch with what it tries`,
    );
  });
}

function runCase(n: number, one: (random: Random) => Case): Case {
  const seed = SEED + Math.imul(n, 0x9e3779b1);
  const stacks = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 0; // Most cases end in an error, and making its stack would take most of the time.
    return one(new Random(seed));
  } catch {
    Error.stackTraceLimit = stacks;
    try {
      one(new Random(seed)); // once more, for the stack
    } catch (cause) {
      throw new Error(`case ${n} of SEED=${SEED}: ${(cause as Error).message}`, { cause });
    }
    throw new Error(`case ${n} of SEED=${SEED} fails the first time only`);
  } finally {
    Error.stackTraceLimit = stacks;
  }
}
