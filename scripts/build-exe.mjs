// `npm run build:exe`: the command with all its words as one file that needs no Node.js, dist-exe/conntrack. The same sources, with Bun's
// foreign function interface in place of koffi (src/wire/ffi-bun.ts), compiled by Bun, which is fetched into build/ if it is missing.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { libraryFace } from './library-face.mjs';

const BUN_VERSION = '1.4.5';
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const work = `${root}/build/exe`;
const bundle = `${work}/conntrack.mjs`;
const outfile = `${root}/dist-exe/conntrack`;

mkdirSync(work, { recursive: true });
const writer = `${work}/writer-thread.mjs`;
const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'es2022',
  external: ['bun:ffi'],
  minifySyntax: true,
  logLevel: 'warning',
  plugins: [
    libraryFace(root),
    {
      name: 'bun-ffi',
      setup({ onResolve }) {
        onResolve({ filter: /\/ffi\.js$/ }, ({ resolveDir }) => ({
          path: `${root}/src/wire/ffi-bun.ts`,
          pluginData: resolveDir,
        }));
      },
    },
    {
      // Bun finds it among the files of the executable.
      name: 'writer-location',
      setup({ onLoad }) {
        onLoad({ filter: /\/history\/writer-location\.ts$/ }, () => ({
          contents: "export const WRITER_THREAD = './writer-thread.mjs';",
        }));
      },
    },
  ],
};
await build({ ...common, stdin: { contents: await entry(), resolveDir: `${root}/src` }, outfile: bundle });
await build({ ...common, entryPoints: [`${root}/src/history/writer-thread.ts`], outfile: writer });
const bun = findBun();
rmSync(`${root}/dist-exe`, { recursive: true, force: true });
// Otherwise Bun obeys files in root's current folder: bunfig.toml can name code to run first.
const nothingFromHere = ['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig'];
execFileSync(
  bun,
  ['build', '--compile', ...nothingFromHere, '--minify', '--bytecode', '--format=cjs', bundle, writer, '--outfile', outfile],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
console.log(`${outfile}: ${(statSync(outfile).size / 2 ** 20).toFixed(1)} MiB`);

/** What bin/conntrack does: a word runs its own file, everything else is the command of letters. Only what runs is evaluated. */
async function entry() {
  const rows = await build({ entryPoints: [`${root}/src/words/words.ts`], format: 'esm', write: false });
  const { everyWord } = await import(`data:text/javascript,${encodeURIComponent(rows.outputFiles[0].text)}`);
  const cases = everyWord().map(
    ({ name }) =>
      `case '${name}': Promise.all([import('./words/${name}.ts'), import('./words/run-word.ts'), import('./words/words.ts')])
        .then(([{ word }, { runWord }, { wordByName }]) => runWord(wordByName('${name}'), word)); break;`,
  );
  return `switch (process.argv[2]) { ${cases.join('\n')} default: import('./cli/main.ts'); }`;
}

/** The compiler: BUN in the environment, one of the right version on the PATH, or fetched. */
function findBun() {
  if (process.env.BUN) return process.env.BUN;
  if (spawnSync('bun', ['--version'], { encoding: 'utf8' }).stdout?.trim() === BUN_VERSION) return 'bun';
  const name = process.arch === 'arm64' ? '@oven/bun-linux-aarch64' : '@oven/bun-linux-x64-baseline';
  const prefix = `${root}/build/bun`;
  const binary = `${prefix}/node_modules/${name}/bin/bun`;
  if (!existsSync(binary)) {
    const wanted = `${name}@${BUN_VERSION}`;
    mkdirSync(prefix, { recursive: true });
    execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', prefix, wanted], { stdio: 'inherit' });
  }
  return binary;
}
