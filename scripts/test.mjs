// `npm test`: installs what the tests need, builds, checks and runs them, and ends with one line of totals.
//
//   node scripts/test.mjs [all|unit|package|packages|diff|browser|fuzz|sessions|executable|kernels]
//
// Everything runs from build/, which tsc makes from src/ and test/; the command under test is the bundle in dist/.

import './help.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, setPriority, tmpdir } from 'node:os';
import { root } from './fresh.mjs';
import { listen, readReport, reporters } from './test-report.mjs';
import { BROWSER, EMULATOR, findMissing, hasCommand, installLine, installPackages, TEST_COMMANDS } from './tools.mjs';

// Every start of Node.js would read this bundle of certificates: a tenth of a second, thousands of times.
delete process.env.NODE_EXTRA_CA_CERTS;
delete process.env.NODE_TEST_CONTEXT;

/** The priority of what runs beside other suites, as nice(1) has it. */
const BESIDE = 5;

const SUITES = {
  unit: {
    title: 'unit',
    take: (path) => !/^test\/(fuzz|differential|kernels|packages?|browser)\//.test(path),
    // A few files wait for timers.
    waiting: 1,
  },
  package: { title: 'package', take: (path) => path.startsWith('test/package/'), together: 'unit' },
  /** `npm run test:fuzz` takes 20 seconds for each file. */
  fuzz: { title: 'fuzz', take: (path) => path.startsWith('test/fuzz/'), shortened: { FUZZ_SECONDS: '10' }, together: 'unit' },
  /**
   * `npm test` compares a third of the generated command lines that read, `npm run test:diff` all. Where answers are compared, seven of
   * eight runs of the command are no process of their own in `npm test` (test/support/resident.ts): its start takes twenty times as long
   * as the answer.
   */
  diff: {
    title: 'differential',
    take: (path) => path.startsWith('test/differential/') && !isSessions(path),
    privileged: true,
    shortened: { EVERY: '3', PROCESS_EVERY: '8', FLOOD: '50000' },
    // They wait for the kernel now and then, and at the end a long one is alone.
    waiting: 2,
  },
  /** All 504 take as long as everything else together: `npm run test:sessions` runs them, `npm test` the first 100. */
  sessions: { title: 'sessions', take: isSessions, privileged: true, shortened: { SESSIONS: '100', PROCESS_EVERY: '8' } },
  browser: { title: 'browser', take: (path) => path.startsWith('test/browser/'), privileged: true },
  /** A part of the differential tests with the standalone executable as the command. `npm run test:exe` runs all of them. */
  executable: { title: 'executable', command: ['scripts/test-exe.mjs', '--short'], privileged: true },
  /** An older kernel, with protocols that later ones have dropped. `npm run test:kernels` runs more, on all of them. */
  kernels: {
    title: 'kernels',
    command: ['scripts/test-kernels.mjs', '--kernels', '6.1', '--suite', 'quick', '--built'],
    privileged: true,
    architecture: 'x64',
    // The kernels are Debian's packages.
    packager: 'apt-get',
    // The emulator keeps one processor busy for minutes: it takes what others leave. It reads what was built, which the packages build anew.
    beside: 'diff',
  },
  /**
   * Debian's package, and that the same sources give the same bytes. `npm run test:packages` does more. In `npm test` the first has the
   * executable that was tested just before.
   */
  packages: {
    title: 'packages',
    shortened: { PACKAGED_EXECUTABLE: `${root}/dist-exe/conntrack` },
    take: (path) => /^test\/packages\/(?!long)/.test(path),
    privileged: true,
    // It is Debian's own files that are installed over.
    packager: 'dpkg-deb',
  },
};

function isSessions(path) {
  return path.startsWith('test/differential/change-sessions');
}

const mode = process.argv[2] ?? 'all';
if (mode !== 'all' && !(mode in SUITES)) {
  console.error(`unknown suite "${mode}": one of all, ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}
const suites = mode === 'all' ? Object.keys(SUITES) : [mode];
const reports = [];

if (suites.some((name) => SUITES[name].privileged)) provideTools();
requireModules();
const work = mkdtempSync(`${tmpdir()}/conntrack-test-`);
try {
  if (build()) {
    if (mode === 'all') check();
    const running = new Map();
    for (const name of suites) {
      if (suites.includes(SUITES[name].together)) continue;
      for (const other of suites) if (SUITES[other].beside === name) running.set(other, startCommand(SUITES[other]));
      if (SUITES[name].command) await endCommand(SUITES[name], running.get(name) ?? startCommand(SUITES[name], 'inherit'));
      else run([name, ...suites.filter((other) => SUITES[other].together === name)].map((each) => SUITES[each]));
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
finish();

/** The reference tool, nft, ip and the rest: installed if possible, otherwise named. */
function provideTools() {
  const large = Object.entries({ kernels: EMULATOR, browser: BROWSER });
  const wanted = large.filter(([suite]) => suites.includes(suite) && lackOf(SUITES[suite]) === undefined);
  const needed = [...TEST_COMMANDS, ...wanted.map(([, command]) => command)];
  const { commands, packages } = findMissing(needed);
  if (packages.length === 0) return;
  if (process.getuid() === 0 && hasCommand('apt-get')) {
    console.log(`installing ${packages.join(' ')}`);
    try {
      installPackages(packages);
    } catch (error) {
      console.error(error.message);
    }
    if (findMissing(needed).commands.length === 0) return;
  }
  console.error(`The tests need ${commands.join(', ')}. On Debian and its kin:\n  ${installLine(packages)}`);
  process.exit(1);
}

function requireModules() {
  const missing = ['typescript', 'esbuild', '@biomejs/biome', 'koffi', 'publint', '@arethetypeswrong/core'].filter(
    (name) => !exists(`${root}/node_modules/${name}`),
  );
  if (missing.length === 0) return;
  console.error(`missing modules: ${missing.join(', ')}. Run "npm install" first.`);
  process.exit(1);
}

function exists(path) {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * dist/ for the command, build/ for the tests, both from scratch, so that nothing of a deleted source remains. Bun, which makes the
 * executable, stays in build/: it is fetched.
 * @returns whether there is something to test; a type error in a test counts as a failure and does not keep the others from running
 */
function build() {
  for (const name of exists(`${root}/build`) ? readdirSync(`${root}/build`) : [])
    if (!name.startsWith('bun-')) rmSync(`${root}/build/${name}`, { recursive: true, force: true });
  const command = step('build', process.execPath, [`${root}/scripts/build.mjs`]);
  step('build', process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.json`]);
  return command && exists(`${root}/build`);
}

/** Lint and format; the types were checked by building. */
function check() {
  step('check', process.execPath, [`${root}/node_modules/@biomejs/biome/bin/biome`, 'check']);
  step('check', process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/src/web/page/tsconfig.json`]);
}

/** One command that passes or fails. Its output is shown if it fails. */
function step(title, command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const passed = result.status === 0;
  if (!passed) process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n`);
  let report = reports.find((r) => r.title === title);
  if (!report) {
    report = newReport(title);
    reports.push(report);
  }
  if (passed) report.passed++;
  else {
    report.failed++;
    report.failures.push([command, ...args].map((word) => word.replace(`${root}/`, '')).join(' '));
  }
  return passed;
}

/** What a suite needs and this machine lacks; `undefined` if it can be run. */
function lackOf({ privileged, architecture = process.arch, packager }) {
  if (privileged && process.getuid() !== 0) return 'root, to make namespaces and run the reference in them';
  if (architecture !== process.arch) return `a machine of ${architecture}`;
  return packager === undefined || hasCommand(packager) ? undefined : packager;
}

/** Starts a suite that is a separate command. @param output where it goes; a file, if nothing is said. `undefined`: it cannot be run here */
function startCommand(suite, output) {
  if (lackOf(suite) !== undefined) return undefined;
  const path = `${work}/${suite.title}.out`;
  const to = output ?? openSync(path, 'w');
  if (output) console.log(`\n${suite.title}:`);
  const { environment, failures } = listen(`${work}/${suite.title}.failures`);
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, suite.command, { cwd: root, env, stdio: ['ignore', to, to] });
  if (!output) setPriority(child.pid, BESIDE);
  return { ended: once(child, 'close'), path: output ? undefined : path, failures };
}

/** It passes or fails as a whole. */
async function endCommand(suite, running) {
  const { title } = suite;
  if (!running) {
    console.log(`${title}: skipped, 1 run: needs ${lackOf(suite)}`);
    reports.push({ ...newReport(title), skipped: 1 });
    return;
  }
  const [status] = await running.ended;
  if (running.path) process.stdout.write(`\n${title}:\n${readFileSync(running.path, 'utf8')}`);
  const failures = running.failures();
  if (status !== 0 && failures.length === 0) failures.push(suite.command.join(' '));
  reports.push({ ...newReport(title), passed: Number(status === 0), failed: Number(status !== 0), failures });
}

/** Runs the files of suites in one go, so that no processor is idle while the last file of each ends. */
function run(together) {
  const title = together.map((suite) => suite.title).join(', ');
  const report = newReport(title);
  const files = listTests(`${root}/build`)
    .filter((path) => together.some(({ take }) => take(path)))
    .sort();
  const [suite] = together;
  const lack = lackOf(suite);
  if (lack !== undefined) {
    console.log(`${title}: skipped, ${files.length} files: needs ${lack}`);
    report.skipped = files.length;
  } else if (files.length > 0) {
    console.log(`\n${title}: ${files.length} files`);
    runFiles(files, report, { ...suite, shortened: Object.assign({}, ...together.map(({ shortened }) => shortened)) });
  }
  reports.push(report);
}

/** Test files below build/, relative to it. */
function listTests(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.test.js'));
}

/** @param suite `waiting`: how many more files than processors run at once, as some of them only wait */
function runFiles(files, report, { shortened, waiting = 0 }) {
  const path = `${work}/${report.title}.report`;
  const args = [
    '--test',
    ...(supports('--test-concurrency') ? [`--test-concurrency=${Math.max(2, availableParallelism()) + waiting}`] : []),
    ...reporters(path),
    ...files.map((file) => `build/${file}`),
  ];
  // What is set already is meant so.
  const env = { ...(mode === 'all' ? shortened : {}), ...process.env };
  const result = spawnSync(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  Object.assign(report, readReport(path));
  // A runner that fails without a failing test has crashed.
  if (result.status !== 0 && report.failed === 0) {
    report.failed = 1;
    report.failures.push(`the runner ended with ${result.status ?? result.signal}`);
  }
}

function supports(option) {
  return process.allowedNodeEnvironmentFlags.has(option) || spawnSync(process.execPath, [`${option}=1`, '-e', '0']).status === 0;
}

function newReport(title) {
  return { title, passed: 0, failed: 0, skipped: 0, failures: [] };
}

/** The totals of the suites, what failed, and one line of totals: the end of a log that nobody reads as a whole. */
function finish() {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  let tests = 0;
  const width = Math.max(...reports.map(({ title }) => title.length)) + 2;
  console.log('');
  for (const report of reports) {
    console.log(`${report.title.padEnd(width)}${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped`);
    for (const key of Object.keys(sum)) sum[key] += report[key];
    if (report.title !== 'build' && report.title !== 'check') tests += report.passed + report.failed;
  }
  if (tests === 0) console.log('no test ran');
  const failed = reports.filter(({ failures }) => failures.length > 0);
  if (failed.length > 0) console.log('\nfailed:');
  for (const { title, failures } of failed) for (const name of failures) console.log(`  ${title}: ${name}`);
  console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  process.exitCode = sum.failed > 0 || tests === 0 ? 1 : 0;
}
