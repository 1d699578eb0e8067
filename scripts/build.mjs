// Compiles src/ to dist/ (library, ES modules with declarations) and bundles the command into dist/conntrack.cjs.
// One CommonJS file, because that is what starts fastest: an ES module graph costs several milliseconds per start.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));

rmSync(`${root}/dist`, { recursive: true, force: true });
execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.build.json`], {
  stdio: 'inherit',
});
await build({
  entryPoints: [`${root}/src/cli/main.ts`],
  outfile: `${root}/dist/conntrack.cjs`,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['koffi', '@koromix/*'],
  banner: { js: "const importMetaUrl = 'file://' + __filename;" },
  define: { 'import.meta.url': 'importMetaUrl', CONNTRACK_VERSION: JSON.stringify(version) },
  // Smaller is faster to parse at every start; names stay, for stack traces and error classes.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
});
