// `npm run test:exe`: builds the standalone executable and runs the differential tests with it in place of bin/conntrack.
//
//   node scripts/test-exe.mjs [--short]
//
// --short is the part that `npm test` has. Needs root, as those tests do, and the build that scripts/test.mjs makes.

import './help.mjs';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { root } from './fresh.mjs';
import { readReport, reporters, tellFailures } from './test-report.mjs';

/** Every file of test/differential that runs the command. */
const SUITES = [
  'change-sessions',
  'docs',
  'event-faults',
  'events',
  'exe',
  'faults',
  'json',
  'load',
  'netns',
  'read-cases',
  'read-generated',
  'safety',
  'update',
];
/** Reading, changing, events, other namespaces and output that fails, in a minute or two. */
const SHORT = ['exe', 'json', 'netns', 'safety'];
/** Files that do not apply, and why. */
const NOT_APPLICABLE = {
  'byte-order': 'the library, on Node.js',
  examples: 'programs that use the library, on Node.js',
  'fault-steps': 'the library, on Node.js',
  library: 'the library, on Node.js',
  'library-events': 'the library, on Node.js',
  'library-sessions': 'the library, on Node.js',
  'parallel-list': 'the library, on Node.js',
  'testing-kit': 'the library, on Node.js',
};

const short = process.argv.includes('--short');
delete process.env.NODE_EXTRA_CA_CERTS;
delete process.env.NODE_TEST_CONTEXT;

if (process.getuid() !== 0) {
  console.error('the differential tests need root, to make network namespaces');
  process.exit(1);
}
const folder = `${root}/build/test/differential`;
if (!existsSync(folder) || !existsSync(`${root}/dist/index.js`)) {
  run(process.execPath, [`${root}/scripts/build.mjs`]);
  run(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.json`]);
}
run(process.execPath, [`${root}/scripts/build-exe.mjs`]);

const present = readdirSync(folder).flatMap((file) => /^(.*)\.test\.js$/.exec(file)?.[1] ?? []);
// A new file is run unless this table says why not.
const wanted = short ? SHORT : [...new Set([...SUITES, ...present])].filter((name) => !(name in NOT_APPLICABLE));
const absent = wanted.filter((name) => !present.includes(name));
if (absent.length > 0) {
  console.error(`no such tests: ${absent.join(', ')}`);
  process.exit(1);
}
const work = mkdtempSync(`${tmpdir()}/conntrack-test-exe-`);
const path = `${work}/tests.report`;
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=2', ...reporters(path), ...wanted.map((name) => `${folder}/${name}.test.js`)],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CONNTRACK_UNDER_TEST: `${root}/dist-exe/conntrack` },
  },
);
const { passed, failed, skipped, failures } = readReport(path);
rmSync(work, { recursive: true, force: true });
const left = short ? [] : present.filter((name) => name in NOT_APPLICABLE);
console.log(`\nexecutable: ${passed} passed, ${failed} failed, ${skipped} skipped`);
console.log(`${left.length} files do not apply`);
for (const name of left) console.log(`  ${name}: ${NOT_APPLICABLE[name]}`);
tellFailures(failures);
process.exitCode = status === 0 && passed > 0 ? 0 : 1;

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}
