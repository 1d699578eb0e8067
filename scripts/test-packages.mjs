// `npm run test:packages`: all tests of the packages, with those that take too long for `npm test`. As root on Debian, it installs what they
// need.

import './help.mjs';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { root } from './fresh.mjs';
import { findMissing, installLine, installPackages, PACKAGE_COMMANDS } from './tools.mjs';

delete process.env.NODE_TEST_CONTEXT;
/** The C library of arm64 has no command. */
const LIBRARY = { file: '/usr/aarch64-linux-gnu/lib/libc.so.6', name: 'libc6-arm64-cross' };
const packages = [...findMissing(PACKAGE_COMMANDS).packages, ...(existsSync(LIBRARY.file) ? [] : [LIBRARY.name])];
if (packages.length > 0) {
  console.log(`installing ${packages.join(' ')}`);
  try {
    installPackages(packages);
  } catch (error) {
    console.error(`${error.message}\nThe tests need them:\n  ${installLine(packages)}`);
    process.exit(1);
  }
}
for (const [command, ...words] of [
  [`${root}/scripts/build.mjs`],
  [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.json`],
  ['--test', '--test-concurrency=1', '--test-reporter=spec', `${root}/build/test/packages/*.test.js`],
]) {
  const { status } = spawnSync(process.execPath, [command, ...words], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
