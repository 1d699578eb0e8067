// Runs test files, and runs them again after each change below src/ or test/. It needs no build: esbuild strips the types in half a
// second.
//
//   npm run watch -- src/format/safe-bytes.test.ts               until Ctrl-C; after each run it checks the types, too
//   npm run watch -- --once src/format/safe-bytes.test.ts        one run; its exit status is that of the tests
//   npm run watch -- test/unit/json.test.ts --test-name-pattern='large numbers'
//
// Differential and package tests run the built command, so for them dist/ is built again whenever it is older than the sources.
import './help.mjs';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, watch } from 'node:fs';
import { relative } from 'node:path';
import { build } from 'esbuild';
import { root } from './fresh.mjs';

const FOLDERS = ['src', 'test'];
const given = process.argv.slice(2);
const once = given.includes('--once');
const options = given.filter((word) => word.startsWith('--test-'));
const files = given.filter((word) => !word.startsWith('-')).map((path) => relative(root, path));
const wrong = files.find((path) => !path.endsWith('.test.ts') || !existsSync(`${root}/${path}`));
if (files.length === 0 || wrong !== undefined) {
  console.error(wrong === undefined ? 'which test? npm run watch -- FILE.test.ts' : `${wrong} is not a test file (*.test.ts)`);
  process.exit(2);
}
const needsDist = files.some((path) => /^test\/(?!unit\/)/.test(path)) || !existsSync(`${root}/dist`);

/** The run that goes on: a change ends it and starts another. */
let running = new AbortController();
if (once) process.exitCode = await runTests(running.signal);
else watchSources();

function watchSources() {
  let timer = setTimeout(again, 0);
  for (const folder of FOLDERS)
    watch(`${root}/${folder}`, { recursive: true }, (_, name) => {
      // An editor writes a file in several steps.
      clearTimeout(timer);
      if (!name || /\.(ts|nlmsg|case)$/.test(name)) timer = setTimeout(again, 50);
    });
}

async function again() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  await runTests(signal);
  if (!signal.aborted) await run(['node_modules/typescript/bin/tsc', '--noEmit'], signal);
  if (!signal.aborted) console.log('\nwaiting for a change');
}

/** Gives the exit status. */
async function runTests(signal) {
  try {
    const entryPoints = FOLDERS.flatMap((folder) =>
      readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.ts'))
        .map((path) => `${root}/${folder}/${path}`),
    );
    await build({
      entryPoints,
      outdir: `${root}/build`,
      outbase: root,
      format: 'esm',
      target: 'es2022',
      sourcemap: true,
      logLevel: 'error',
    });
  } catch {
    return 1; // esbuild has said what is wrong
  }
  if (needsDist) {
    const status = await run(['-e', "import('./scripts/fresh.mjs').then(({ ensureBuilt }) => ensureBuilt())"], signal);
    if (status !== 0) return status;
  }
  const compiled = files.map((path) => `build/${path.replace(/ts$/, 'js')}`);
  return run(['--enable-source-maps', '--test', '--test-reporter=spec', ...options, ...compiled], signal);
}

/** Runs Node.js in the project and gives its exit status. */
function run(args, signal) {
  if (signal.aborted) return 1;
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const end = () => child.kill();
  signal.addEventListener('abort', end);
  return new Promise((resolve) => {
    child.on('close', (status) => {
      signal.removeEventListener('abort', end);
      resolve(status ?? 1);
    });
  });
}
