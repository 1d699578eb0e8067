// `npm run docs`: the reference of the library's API as HTML, in docs/api/, from the doc comments. TypeDoc needs a compiler that is
// older than the one that builds the project, so both are fetched into build/ and are no dependencies.

import './help.mjs';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { root } from './fresh.mjs';

const TOOLS = { typedoc: '0.28.20', typescript: '6.0.3' };
const prefix = `${root}/build/typedoc`;
const main = `${prefix}/node_modules/typedoc/bin/typedoc`;
const isThere = ([name, version]) => {
  const manifest = `${prefix}/node_modules/${name}/package.json`;
  return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
};

if (!Object.entries(TOOLS).every(isThere)) {
  mkdirSync(prefix, { recursive: true });
  const packages = Object.entries(TOOLS).map(([name, version]) => `${name}@${version}`);
  execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', prefix, ...packages], { stdio: 'inherit' });
}
const entries = ['index', 'meter/index', 'doctor/index', 'metrics/index', 'web/index', 'wire/index', 'testing/index'].flatMap(
  (name) => ['--entryPoints', `src/${name}.ts`],
);
const options = [
  '--excludeInternal',
  '--excludePrivate',
  '--readme',
  'none',
  '--name',
  'conntrack',
  '--disableGit',
  '--hideGenerator',
];
// The parts of a type need not be public themselves.
const quiet = ['--validation.notExported', 'false'];
execFileSync(process.execPath, [main, ...entries, ...options, ...quiet, '--sourceLinkTemplate', 'none', '--out', 'docs/api'], {
  cwd: root,
  stdio: 'inherit',
});
