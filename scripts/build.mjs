// Compiles src/ to dist/ (library, ES modules with declarations) and bundles the command into dist/conntrack.cjs.
// One CommonJS file, because that is what starts fastest: an ES module graph costs several milliseconds per start.
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}/dist`;
// Built aside and put in place when all went well: a failed build leaves the last good one.
const out = `${root}/dist.new`;

rmSync(out, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.build.json`, '--outDir', out],
  {
    stdio: 'inherit',
  },
);
const { makeJsonSchema } = await import(`${out}/format/json-schema.js`);
writeFileSync(`${out}/conntrack.schema.json`, `${JSON.stringify(makeJsonSchema().schema, undefined, 2)}\n`);
await build({
  entryPoints: [`${root}/src/cli/main.ts`],
  outfile: `${out}/conntrack.cjs`,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['koffi', '@koromix/*'],
  banner: { js: "const importMetaUrl = 'file://' + __filename;" },
  define: { 'import.meta.url': 'importMetaUrl' },
  // Smaller is faster to parse at every start; names stay, for stack traces and error classes.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
});
execFileSync(process.execPath, [`${root}/scripts/code-cache.cjs`, `${out}/conntrack.cjs`], { stdio: 'ignore' });
rmSync(dist, { recursive: true, force: true });
renameSync(out, dist);
