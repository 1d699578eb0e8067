// Pairs: runs reference and command in turn, so that other load affects both, and evaluates the times.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Length of the kernel's ticks in /proc; USER_HZ is 100 on every port that Node.js runs on. */
const TICK_MS = 10;
/** A pair does not count if other processes used more than this share of the machine, as long as there is patience. */
const DISTURBED = 0.1;

/**
 * Runs pairs of two ways to do the same, the first of a pair changing. One pair before does not count, nor do disturbed ones.
 * `reference` and `ours`: `{ prepare?: () => void, argv: [command, args] }`. `patience`: milliseconds for disturbed pairs.
 */
export function compare({ name, limit, aim, count, reference, ours, patience }) {
  console.error(name);
  const sides = { reference, ours };
  const times = { reference: [], ours: [] };
  const cpu = { reference: 0, ours: 0 };
  let disturbed = 0;
  for (let i = -1; i < count; ) {
    const order = i % 2 === 0 ? ['reference', 'ours'] : ['ours', 'reference'];
    const pair = {};
    const used = {};
    const spent = performance.now();
    let others = 0;
    for (const who of order) {
      sides[who].prepare?.();
      const before = readUse();
      pair[who] = time(...sides[who].argv);
      const after = readUse();
      used[who] = (after.own - before.own) * TICK_MS;
      others = Math.max(others, othersShare(before, after));
    }
    if (others > DISTURBED && patience > 0) {
      disturbed++;
      sleepSync(500);
      patience -= performance.now() - spent;
      continue;
    }
    if (i++ < 0) continue;
    for (const who of order) {
      times[who].push(pair[who]);
      cpu[who] += used[who] / count;
    }
  }
  const ratios = times.ours.map((t, n) => t / times.reference[n]);
  return {
    name,
    limit,
    aim,
    ratio: median(ratios),
    ratios,
    disturbed,
    reference: { ...summary(times.reference), cpu: cpu.reference },
    ours: { ...summary(times.ours), cpu: cpu.ours },
  };
}

/** Milliseconds that a command takes, its output thrown away. */
export function time(command, args) {
  const start = performance.now();
  const { status, error } = spawnSync(command, args, { stdio: 'ignore' });
  const elapsed = performance.now() - start;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status} ${error ?? ''}`);
  return elapsed;
}

export function summary(times) {
  return { median: median(times), min: Math.min(...times), times };
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Ticks of processor time: of the whole machine, busy or not, and of this process with its ended children. */
function readUse() {
  const [user, nice, system, idle, iowait, irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/ +/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  const own = readFileSync('/proc/self/stat', 'utf8').replace(/.*\)/, '').split(' ').slice(12, 16).map(Number);
  return { all: busy + idle + iowait, busy, own: own.reduce((sum, ticks) => sum + ticks) };
}

/** The share of the machine that other processes used meanwhile, 0 to 1. */
function othersShare(before, now) {
  return (now.busy - before.busy - (now.own - before.own)) / Math.max(1, now.all - before.all);
}

function sleepSync(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
