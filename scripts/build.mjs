// Compiles src/ to dist/ (library, ES modules with declarations) and bundles the command into dist/conntrack.cjs.
// Completions and the manual page are made from the option rows.
// One CommonJS file, because that is what starts fastest: an ES module graph costs several milliseconds per start.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
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
  alias: { 'node:module': `${root}/scripts/bundle-module.cjs` },
  banner: {
    js: "const importMetaUrl = 'file://' + __filename, importMetaDirname = __filename.slice(0, -'/conntrack.cjs'.length);",
  },
  define: { 'import.meta.url': 'importMetaUrl', 'import.meta.dirname': 'importMetaDirname' },
  // Smaller is faster to read at every start.
  minify: true,
  logLevel: 'warning',
});
execFileSync(process.execPath, [`${root}/scripts/code-cache.cjs`, `${out}/conntrack.cjs`], { stdio: 'pipe', encoding: 'utf8' });
await writeGenerated();
rmSync(dist, { recursive: true, force: true });
renameSync(out, dist);

/** Completions and the manual page, from the option rows. */
async function writeGenerated() {
  const { generatedFiles } = await import(`${out}/cli/docs/index.js`);
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  const made = process.env.SOURCE_DATE_EPOCH ? new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000) : new Date();
  for (const [path, text] of Object.entries(generatedFiles({ version, date: made.toISOString().slice(0, 10) }))) {
    mkdirSync(dirname(`${out}/${path}`), { recursive: true });
    writeFileSync(`${out}/${path}`, text);
  }
}
