// `npm run build:exe`: the command as one file that needs no Node.js, dist-exe/conntrack. The same sources, with Bun's foreign
// function interface in place of koffi (src/wire/ffi-bun.ts), compiled by Bun, which is fetched into build/ when it is not there.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const BUN_VERSION = '1.4.5';
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const work = `${root}/build/exe`;
const bundle = `${work}/conntrack.mjs`;
const outfile = `${root}/dist-exe/conntrack`;

mkdirSync(work, { recursive: true });
await build({
  entryPoints: [`${root}/src/cli/main.ts`],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'es2022',
  external: ['bun:ffi'],
  minifySyntax: true,
  logLevel: 'warning',
  plugins: [
    {
      name: 'bun-ffi',
      setup({ onResolve }) {
        onResolve({ filter: /\/ffi\.js$/ }, ({ resolveDir }) => ({
          path: `${root}/src/wire/ffi-bun.ts`,
          pluginData: resolveDir,
        }));
      },
    },
  ],
});
const bun = findBun();
rmSync(`${root}/dist-exe`, { recursive: true, force: true });
execFileSync(bun, ['build', '--compile', '--minify', '--bytecode', '--format=cjs', bundle, '--outfile', outfile], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
console.log(outfile);

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
