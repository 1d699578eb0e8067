// `npm run build:exe`: the command with all its words as one file that needs no Node.js, dist-exe/conntrack. The same sources, with Bun's
// foreign function interface in place of koffi (src/wire/ffi-bun.ts), compiled by Bun, which is fetched into build/ if it is missing. The
// same sources give the same bytes.
//
//   node scripts/build-exe.mjs [--arch x64|arm64] [--out FILE]
//
// FILE.json says what is in it: { bun: VERSION, packages: [NAME, ...] } of npm.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { libraryFace } from './library-face.mjs';
import { packagesIn, pageAssets, withPage } from './page.mjs';

const BUN_VERSION = '1.4.5';
const BUN_PACKAGES = { x64: '@oven/bun-linux-x64-baseline', arm64: '@oven/bun-linux-aarch64' };
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const { values: options } = parseArgs({
  options: { arch: { type: 'string', default: process.arch }, out: { type: 'string', default: `${root}/dist-exe/conntrack` } },
});
const { arch, out } = options;
if (!(arch in BUN_PACKAGES)) {
  console.error(`no executable can be made for ${arch}: one of ${Object.keys(BUN_PACKAGES).join(', ')}`);
  process.exit(2);
}
mkdirSync(`${root}/build`, { recursive: true });
const work = mkdtempSync(`${root}/build/exe-`);
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
const packages = new Set();

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'es2022',
  external: ['bun:ffi'],
  minifySyntax: true,
  metafile: true,
  logLevel: 'warning',
  plugins: [
    libraryFace(root),
    withPage(await pageAssets(root, packages)),
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
await bundle({
  stdin: { contents: await entry(), resolveDir: `${root}/src` },
  // What a command does not need stays apart, and is not read.
  splitting: true,
  outdir: work,
  entryNames: 'conntrack',
  outExtension: { '.js': '.mjs' },
});
const threads = { 'writer-thread.mjs': 'history/writer-thread.ts', 'call-thread.mjs': 'wire/call-thread-bun.ts' };
for (const [name, source] of Object.entries(threads))
  await bundle({ entryPoints: [`${root}/src/${source}`], outfile: `${work}/${name}` });
const bun = findBun(process.arch);
const target = arch === process.arch ? [] : [`--target=bun-linux-${arch}`, `--compile-executable-path=${findBun(arch)}`];
mkdirSync(dirname(out), { recursive: true });
rmSync(out, { force: true });
// Otherwise Bun obeys files in root's current folder: bunfig.toml can name code to run first.
const nothingFromHere = ['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig'];
// Most runs end before it pays to compile code for the machine: what runs four times as long as by default is compiled.
const forShortRuns = '--compile-jit-policy=4';
const how = ['--minify', '--bytecode', '--splitting', '--format=esm', forShortRuns, ...nothingFromHere, ...target];
execFileSync(bun, ['build', '--compile', ...how, 'conntrack.mjs', ...Object.keys(threads), '--outfile', out], {
  cwd: work,
  stdio: ['ignore', 'ignore', 'inherit'],
});
writeFileSync(`${out}.json`, `${JSON.stringify({ bun: BUN_VERSION, packages: [...packages].sort() }, undefined, 2)}\n`);
console.log(`${relative(process.cwd(), out)}: ${(statSync(out).size / 2 ** 20).toFixed(1)} MiB`);

async function bundle(wanted) {
  const { metafile } = await build({ ...common, ...wanted });
  for (const name of packagesIn(metafile)) packages.add(name);
}

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

/** The compiler: BUN in the environment, one of the right version on the PATH, or fetched. Of another architecture: what it puts in front. */
function findBun(architecture) {
  if (architecture === process.arch) {
    if (process.env.BUN) return process.env.BUN;
    if (spawnSync('bun', ['--version'], { encoding: 'utf8' }).stdout?.trim() === BUN_VERSION) return 'bun';
  }
  const name = BUN_PACKAGES[architecture];
  const prefix = `${root}/build/bun-${architecture}`;
  const binary = `${prefix}/node_modules/${name}/bin/bun`;
  if (!existsSync(binary)) {
    // --force: for another architecture.
    const wanted = ['--force', `${name}@${BUN_VERSION}`];
    mkdirSync(prefix, { recursive: true });
    execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', prefix, ...wanted], { stdio: 'inherit' });
  }
  return binary;
}
