// `npm run test:kernels`: finds out what Debian's kernels offer, and whether the command works on each of them.
//
//   npm run test:kernels -- [--kernels 5.10,6.1,6.12,newest,running] [--suite probe|quick|filters|doctor|all] [--at-once N] [--write-docs]
//
// Each kernel is booted once, in QEMU (scripts/kernels/), and runs the probe (test/kernels/) and a part of the differential and
// round-trip tests; `running` is the kernel of this machine, with the same part. Needs root for that one only. --write-docs writes the
// results to docs/kernels.md; --built means that dist/ and build/ are up to date. With --at-once, each kernel's output is printed when it
// is done.

import './help.mjs';
import { execFileSync, spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { root } from './fresh.mjs';
import { runInGuest } from './kernels/boot.mjs';
import { provideKernel } from './kernels/fetch.mjs';
import { writeTable } from './kernels/table.mjs';
import { failuresInTap, tellFailures } from './test-report.mjs';
import { requireCommands } from './tools.mjs';

/** Test files, which tests of them, how many of what is made from a seed, and what a kernel may take, in seconds. */
const SUITES = {
  probe: { seconds: 600 },
  quick: {
    seconds: 1500,
    files: [
      ...['round-trip', 'change-sessions', 'read-generated'].map((name) => `differential/${name}`),
      'kernels/doctor-machine',
    ],
    // The known differences have their own examples; each of them takes a guest seconds.
    pattern: 'generated command lines|random sessions|save,full brings|ndjson|few buckets|without netlink',
    environment: { LINES: '100', SESSIONS: '5', LANES: '2' },
  },
  filters: {
    seconds: 1500,
    files: ['filters-live', 'filters-events', 'filter-option'].map((name) => `differential/${name}`),
    environment: { LIVE_FILTERS: '60', EVENT_FILTERS: '40' },
  },
  doctor: { seconds: 1500, files: ['differential/doctor', 'kernels/doctor-machine'] },
  all: {
    seconds: 5400,
    files: [
      'round-trip',
      'change-sessions',
      'read-generated',
      'read-cases',
      'update',
      'load',
      'json',
      'safety',
      'filters-live',
      'filters-events',
      'filter-option',
      'doctor',
    ]
      .map((name) => `differential/${name}`)
      // What it does to the machine comes last.
      .concat('kernels/doctor-machine'),
    environment: { LINES: '100', SESSIONS: '12', LANES: '2', LIVE_FILTERS: '60', EVENT_FILTERS: '60' },
  },
};
/** An emulated guest is about ten times slower than its machine, which may have other work. */
const SLOWNESS = '20';
/** An emulator has to translate just-in-time code again and again: interpreting is twice as fast. */
const GUEST_NODE_FLAGS = '--no-opt --no-sparkplug';
/** The same on every kernel, in the project's folder. */
const COMMAND = ['sh', 'scripts/kernels/guest-tests.sh'];

const { values } = parseArgs({
  options: {
    kernels: { type: 'string', default: '5.10,6.1,6.12,newest,running' },
    suite: { type: 'string', default: 'all' },
    'at-once': { type: 'string', default: '1' },
    'write-docs': { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
  },
});
const suite = SUITES[values.suite];
if (suite === undefined) {
  console.error(`unknown suite "${values.suite}": one of ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}
const atOnce = Number(values['at-once']);
if (!(Number.isInteger(atOnce) && atOnce > 0)) {
  console.error(`--at-once ${values['at-once']}: how many guests, 1 or more`);
  process.exit(2);
}
const wanted = values.kernels.split(',');
if (wanted.some((kernel) => kernel !== 'running')) {
  if (process.arch !== 'x64') {
    console.error('other kernels are booted for x86-64, and with the programs of this machine: it must be one');
    process.exit(1);
  }
  requireCommands(['qemu-system-x86_64']);
}
requireCommands(['conntrack', 'ip', 'nft', 'unshare', 'setpriv']);
if (!values.built) {
  for (const script of ['scripts/build.mjs', 'node_modules/typescript/bin/tsc'])
    execFileSync(process.execPath, [script], { cwd: root, stdio: 'inherit' });
}

const results = new Array(wanted.length);
let next = 0;
await Promise.all(Array.from({ length: atOnce }, takeTurns));
if (values['write-docs']) await writeTable(results, values.suite);
console.log('');
for (const result of results) console.log(summary(result));
tellFailures(
  results.flatMap(({ kernel, failures, faults = [], error = [] }) =>
    [...failures, ...faults].concat(error).map((name) => `${kernel}: ${name}`),
  ),
);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;

async function takeTurns() {
  for (let n = next++; n < wanted.length; n = next++) results[n] = await examine(wanted[n]);
}

/** Everything on one kernel. */
async function examine(kernel) {
  const started = Date.now();
  if (atOnce === 1) console.log(`\n${kernel}:`);
  const result = { kernel, passed: false, tests: 0, failed: 0, failures: [] };
  let output = '';
  const onOutput = (bytes) => {
    output += bytes;
    if (atOnce === 1) process.stdout.write(bytes);
  };
  try {
    const status = kernel === 'running' ? await runHere(onOutput) : await runThere(kernel, onOutput);
    const line = output.split('\n').find((text) => text.startsWith('{"release"'));
    if (line === undefined) throw new Error('the probe did not end');
    Object.assign(result, JSON.parse(line));
    const count = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
    result.tests = count('pass') + count('fail') + count('cancelled');
    result.failed = count('fail') + count('cancelled');
    result.failures = failuresInTap(output);
    // A probe without a verdict has not passed, and neither has a suite without a test.
    result.passed =
      status === 0 && result.faults.length === 0 && result.failed === 0 && (suite.files === undefined || result.tests > 0);
  } catch (error) {
    result.error = error.message;
  }
  result.seconds = Math.round((Date.now() - started) / 1000);
  if (atOnce > 1) process.stdout.write(`\n${kernel}:\n${output}`);
  return result;
}

function environment() {
  return {
    NODE: process.execPath,
    CONNTRACK_RESIDENT: '1',
    KERNEL_SUITES: (suite.files ?? []).join(),
    PATTERN: suite.pattern ?? '',
    ...suite.environment,
  };
}

function runThere(kernel, onOutput) {
  return runInGuest(provideKernel(kernel), {
    folder: root,
    argv: COMMAND,
    environment: { ...environment(), CONNTRACK_GUEST: '1', CONNTRACK_TEST_SLOWNESS: SLOWNESS, NODE_FLAGS: GUEST_NODE_FLAGS },
    seconds: suite.seconds,
    onOutput,
    onError: (bytes) => process.stderr.write(bytes),
  });
}

function runHere(onOutput) {
  const [file, ...args] = COMMAND;
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, ...environment() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.on('data', onOutput);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status));
  });
}

function summary({ kernel, release = '', passed, tests, failed, faults = [], seconds, error }) {
  const found = [...(tests > 0 ? [`${tests - failed} of ${tests} tests passed`] : []), `${faults.length} faults of the probe`];
  return `${kernel.padEnd(8)} ${release.padEnd(24)} ${passed ? 'passed' : 'FAILED'}: ${error ?? found.join(', ')}, ${seconds} s`;
}
