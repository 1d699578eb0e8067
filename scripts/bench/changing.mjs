// Loading a table, deleting most of it or one host, and updating most of it.

import { spawnSync } from 'node:child_process';
import { peakMemory } from './memory.mjs';
import { compare, summary, time } from './pairs.mjs';
import { closingCount, flush, load, ONE_V4, OURS, ours, REFERENCE } from './table.mjs';

/** Megabytes at the peak. */
const MEMORY_LIMIT = 100;

/** @returns `{ cases, memory, updates }`; `updates`: milliseconds of -U, which the reference cannot do on current kernels */
export function measureChanging({ work, file, flows, pairs, patience }) {
  load(file);
  const tcp = closingCount(REFERENCE, ['-L', '-p', 'tcp']);
  checkDeletes(file, flows, tcp);
  const full = () => load(file);
  const oneBack = () => {
    const line = ['-I', '-t', '3600', '-s', ONE_V4, '-d', '203.0.112.1', '-p', 'udp', '--sport', '1', '--dport', '53'];
    if (spawnSync(REFERENCE, line, { stdio: 'ignore' }).status !== 0) throw new Error('the entry to delete cannot be created');
  };
  const kinds = [
    { name: '-R FILE', args: ['-R', file], limit: 0.6, prepare: flush },
    { name: `-D -p tcp (${tcp.toLocaleString('en')})`, args: ['-D', '-p', 'tcp'], limit: 0.5, prepare: full },
    { name: '-D -s ADDRESS', args: ['-D', '-s', ONE_V4], limit: 0.15, first: full, prepare: oneBack },
  ];
  const cases = kinds.map(({ name, args, limit, first, prepare }) => {
    if (first) {
      first();
      spawnSync(REFERENCE, ['-D', '-s', ONE_V4], { stdio: 'ignore' });
    }
    return compare({
      name,
      limit,
      count: pairs,
      patience: patience / kinds.length,
      reference: { prepare, argv: [REFERENCE, args] },
      ours: { prepare, argv: ours(args) },
    });
  });
  load(file);
  console.error('-U -p tcp');
  // The value changes each time: an update that changes nothing is not sent.
  const update = (mark) => ['-U', '-p', 'tcp', '-m', String(mark)];
  const updates = Array.from({ length: 5 }, (_, n) => time(...ours(update(n + 1))));
  const memory = [
    { name: '-U -p tcp', args: update(99) },
    { name: '-D -s ADDRESS', args: ['-D', '-s', ONE_V4] },
    { name: '-D -p tcp', args: ['-D', '-p', 'tcp'] },
    { name: '-R FILE', args: ['-R', file], before: flush },
  ].map(({ name, args, before }) => {
    console.error(`memory, ${name}`);
    before?.();
    return { name, flows, limit: MEMORY_LIMIT, megabytes: peakMemory(work, args) };
  });
  return { cases, memory, updates: { name: `-U -p tcp -m N (${tcp.toLocaleString('en')})`, ...summary(updates) } };
}

/** Both tools must delete the same number of entries, or their times mean nothing. */
function checkDeletes(file, flows, tcp) {
  for (const [command, before] of [
    [REFERENCE, []],
    [process.execPath, [OURS]],
  ]) {
    load(file);
    const listed = closingCount(command, [...before, '-L']);
    const deleted = closingCount(command, [...before, '-D', '-p', 'tcp']);
    if (listed !== flows || deleted !== tcp) throw new Error(`${command}: ${listed} entries listed, ${deleted} deleted`);
  }
}
