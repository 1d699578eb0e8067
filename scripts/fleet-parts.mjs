// What the long tests of fleets share: servers that listen, who leads a stream, and what lacks in a copy of a record.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as connectSocket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './fresh.mjs';

/** Settles when a record has its first file. */
export async function isBegun(directory) {
  for (let tries = 0; tries < 600; tries++) {
    if (existsSync(directory) && readdirSync(directory).some((name) => name.endsWith('.db'))) return;
    await sleep(100);
  }
  throw new Error(`no record begins in ${directory}`);
}

/** Numbers of the records of a directory, its gaps with numbers, and from where up to where it goes. */
export function contents(driver, directory) {
  const numbers = [];
  const gaps = [];
  let [applied, from] = [0, undefined];
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.db'))
    .sort((a, b) => a.slice(-9).localeCompare(b.slice(-9)));
  for (const name of names) {
    const file = driver.open(`${directory}/${name}`, { readOnly: true });
    // What is written meanwhile is read the next time.
    file.exec('BEGIN');
    for (const { seq } of file.prepare('SELECT seq FROM flow').all()) numbers.push(seq);
    gaps.push(...file.prepare('SELECT first, last, reason FROM gap WHERE last IS NOT NULL').all());
    const meta = Object.fromEntries(
      file
        .prepare('SELECT name, value FROM meta')
        .all()
        .map(({ name, value }) => [name, value]),
    );
    applied = Math.max(applied, meta.applied);
    from ??= meta.firstSeq;
    file.exec('COMMIT');
    file.close();
  }
  return { numbers, gaps, applied, from };
}

/** The client of the tests' own. */
export async function manager(nats) {
  const require = createRequire(`${root}/package.json`);
  const { connect } = require('@nats-io/transport-node');
  const { jetstreamManager } = require('@nats-io/jetstream');
  const connection = await connect({ servers: nats.split(','), waitOnFirstConnect: true, timeout: 5000 });
  return { connection, streams: (await jetstreamManager(connection, { checkAPI: false })).streams };
}

/** What lacks of the records up to `last`, what is there twice, and what gaps tell of. A copy begins where the record began when it was shipped first. */
export function countLacking(found, last) {
  const seen = new Uint8Array(last + 1);
  let [doubled, lost, inGaps, firstInGap] = [0, 0, 0, undefined];
  const reasons = new Set();
  for (const seq of found?.numbers ?? []) if (seen[seq]++ > 0) doubled++;
  for (const { first, last: to, reason } of found?.gaps ?? [])
    for (let seq = first; seq <= to; seq++)
      if (seq <= last && seen[seq] === 0) {
        seen[seq] = 1;
        inGaps++;
        firstInGap = Math.min(firstInGap ?? seq, seq);
        reasons.add(reason);
      }
  for (let seq = found?.from ?? 1; seq <= last; seq++) if (seen[seq] === 0) lost++;
  return { lost, doubled, inGaps, firstInGap, reasons };
}

/** Which server leads the stream; any, if nobody says so. */
export async function leader(nats) {
  try {
    const { connection, streams } = await manager(nats);
    const { cluster } = await streams.info('CT_REC');
    await connection.close();
    return Number(cluster?.leader?.slice(1) ?? 0);
  } catch {
    return 0;
  }
}

export function run(line, ...args) {
  const [command, ...words] = line.split(' ');
  const { status, stderr } = spawnSync(command, [...words, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line} ${args.join(' ')}: ${stderr}`);
}

/** Settles when a server of NATS greets whoever connects. */
export async function listens(port, address = '127.0.0.1') {
  for (let tries = 0; tries < 200; tries++) {
    const socket = connectSocket(port, address);
    const found = await new Promise((resolve) => socket.on('data', () => resolve(true)).on('error', () => resolve(false)));
    socket.destroy();
    if (found) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${address}:${port}`);
}
