// Lists of tables of other shapes than the mixed one, each compared with the reference, and where useful also with a process that dumps
// the table and discards it, and with `-L -f ipv4`; filters in text compared with options. Includes the executable if it has been built.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { root } from '../fresh.mjs';
import { compare, median, summary } from './pairs.mjs';
import { closingCount, flush, load, ours, REFERENCE, waitForQuietTable, writeFlows } from './table.mjs';

const EXECUTABLE = `${root}/dist-exe/conntrack`;
/** What else a list is measured against. */
const DISCARD = { name: 'dump and discard', argv: [process.execPath, [`${root}/scripts/bench/dump.mjs`]] };
const ONE_FAMILY = { name: '-L -f ipv4', argv: ours(['-L', '-f', 'ipv4']) };

/**
 * `limit`: the largest ratio to the reference that passes; `executable`: the same for the executable, if it is another. `against`: the
 * largest ratio to something else.
 */
const CASES = [
  {
    name: '-L, IPv4 only',
    shape: 'ipv4',
    args: ['-L'],
    limit: 0.75,
    against: [
      [DISCARD, 1.1],
      [ONE_FAMILY, 1.03],
    ],
  },
  { name: '-L -n, no NAT', shape: 'ipv4', args: ['-L', '-n'], limit: 0.3 },
  { name: '-L, IPv6 only', shape: 'ipv6', args: ['-L'], limit: 0.75, against: [[DISCARD, 1.1]] },
  { name: '-L, all SNAT', shape: 'snat', args: ['-L'], limit: 0.75, against: [[DISCARD, 1.1]] },
  { name: '-L -n ADDRESS (1 of 200)', shape: 'snat', args: ['-L', '-n', '198.51.100.9'], limit: 0.4 },
  { name: '-L -j ADDRESS (1 of 200)', shape: 'snat', args: ['-L', '-j', '198.51.100.9'], limit: 0.4 },
  { name: '-L, all UDP', shape: 'udp', args: ['-L'], limit: 0.5, executable: 0.7 },
  { name: '-L, one processor', shape: 'marked', args: ['-L'], limit: 0.8, against: [[DISCARD, 1.3]], processor: true },
  { name: '-L -u ASSURED (85 %)', shape: 'marked', args: ['-L', '-u', 'ASSURED'], limit: 0.6, executable: 0.7 },
  { name: '-L -m 1 (10 %)', shape: 'marked', args: ['-L', '-m', '1'], limit: 1.15, executable: 1.1 },
  { name: '-L -m 2 (1 %)', shape: 'marked', args: ['-L', '-m', '2'], limit: 1.8, executable: 1.4 },
  { name: '-L -u EXPECTED (none)', shape: 'marked', args: ['-L', '-u', 'EXPECTED'], limit: 1.5, executable: 1.1 },
];
/** A filter in text, against the options that say the same. */
const EXPRESSIONS = [
  {
    name: '-L --filter, against -p tcp --dport 80',
    shape: 'marked',
    filter: 'tcp and dst port 80',
    options: ['-p', 'tcp', '--dport', '80'],
    limit: 1.1,
  },
];
/** Flows of a host, where they are few and where all are of it: a dump for each of its four ends, against one dump. */
const HOSTS = [
  { name: 'a host of few flows, against one dump', shape: 'ipv4', address: '10.0.3.7', limit: 0.5 },
  { name: 'a gateway of all flows, against one dump', shape: 'gateway', address: '198.51.100.1', limit: 1.6 },
];
/** A list of few flows, while another namespace has all the others. */
const SMALL = { name: '-L, small beside large', shape: 'mixed', args: ['-L'], limit: 1.6, executable: 1.1 };
const SMALL_FLOWS = 30;

/** @returns cases, as `compare` makes them */
export async function measureShapes({ file, flows, pairs, patience }) {
  const measured = { count: pairs, patience: patience / ((CASES.length + EXPRESSIONS.length) * 2) };
  const cases = [];
  let loaded;
  for (const row of [...CASES, ...EXPRESSIONS, ...HOSTS]) {
    if (row.shape !== loaded) {
      console.error(`loading ${flows.toLocaleString('en')} flows: ${row.shape}`);
      writeFlows(file, flows, row.shape);
      load(file);
      loaded = row.shape;
    }
    if (row.address) cases.push(compareDumps(row, pairs));
    else if (row.filter) cases.push(compareFilter(row, measured));
    else cases.push(...compareCase(row, measured));
  }
  flush();
  await waitForQuietTable();
  const away = await loadElsewhere(file, flows);
  try {
    writeFlows(file, SMALL_FLOWS, SMALL.shape);
    load(file);
    cases.push(...compareCase(SMALL, measured));
  } finally {
    away();
  }
  return cases;
}

/** One list against all that it is measured against. */
function compareCase({ name, args, limit, executable = limit, against = [], processor = false }, measured) {
  const reference = [REFERENCE, args];
  const list = ours(args);
  const commands = [{ name, limit, argv: list }];
  if (existsSync(EXECUTABLE)) commands.push({ name: `${name}, executable`, limit: executable, argv: [EXECUTABLE, args] });
  for (const { argv } of commands) checkCount(name, reference, argv);
  const on = ([command, args]) => ({ argv: processor ? ['taskset', ['-c', '0', command, ...args]] : [command, args] });
  return [
    ...commands.map(({ name, limit, argv }) => compare({ ...measured, name, limit, reference: on(reference), ours: on(argv) })),
    ...against.map(([other, limit]) =>
      compare({ ...measured, name: `${name}, against ${other.name}`, limit, reference: on(other.argv), ours: on(list) }),
    ),
  ];
}

/** A list by a filter in text, against the same list by options. */
function compareFilter({ name, filter, options, limit }, measured) {
  const byOptions = ours(['-L', ...options]);
  const byText = ours(['-L', '--filter', filter]);
  checkCount(name, byOptions, byText);
  return compare({ ...measured, name, limit, reference: { argv: byOptions }, ours: { argv: byText } });
}

/** A list of a host as the library makes it, against one dump; in one process, since its start would hide the difference. */
function compareDumps({ name, address, limit }, pairs) {
  console.error(name);
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}/scripts/bench/host.mjs`, address, `${pairs}`], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  const { one, several } = JSON.parse(stdout);
  const ratios = several.map((time, n) => time / one[n]);
  return { name, limit, ratio: median(ratios), ratios, disturbed: 0, reference: summary(one), ours: summary(several) };
}

/** Both must list the same number of entries, or their times mean nothing. */
function checkCount(name, reference, argv) {
  const [expected, count] = [reference, argv].map((command) => closingCount(...command));
  if (count !== expected) throw new Error(`${name}: the reference shows ${expected} entries and we show ${count}`);
}

/** Fills the table of a private namespace. @returns a function that empties and releases it */
async function loadElsewhere(file, flows) {
  console.error(`loading ${flows.toLocaleString('en')} flows into another namespace`);
  const keeper = spawn('unshare', ['--net', 'sh', '-c', 'echo ready && exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => keeper.stdout.once('data', resolve));
  const within = (args) => spawnSync('nsenter', [`--net=/proc/${keeper.pid}/ns/net`, REFERENCE, ...args], { encoding: 'utf8' });
  writeFlows(file, flows);
  const letGo = () => {
    within(['-F']);
    keeper.kill();
  };
  const { status, stderr } = within(['-R', file]);
  if (status === 0) return letGo;
  letGo();
  throw new Error(`the reference cannot load the other table: ${stderr}`);
}
