// Compiles src/ to dist/ (library, ES modules with declarations) and bundles the command into dist/conntrack.cjs and each word into
// dist/words/. Completions and the manual page are made from the rows. One CommonJS file each, because that starts fastest: an ES module
// graph costs several milliseconds per start.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { dashboard } from './dashboard.mjs';
import { libraryFace } from './library-face.mjs';
import { pageAssets, withPage } from './page.mjs';
import { sourceDate } from './source-date.mjs';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const dist = `${root}/dist`;
// The build happens in another folder and moves into place at the end, so that a failed build leaves the last good one.
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
const { meterSchema } = await import(`${out}/meter/meter-schema.js`);
const { doctorSchema } = await import(`${out}/doctor/doctor-schema.js`);
const { webSchema } = await import(`${out}/web/web-schema.js`);
const { historySchema } = await import(`${out}/history/history-schema.js`);
const { schema } = makeJsonSchema(meterSchema(), doctorSchema(), webSchema(meterSchema()), historySchema());
writeFileSync(`${out}/conntrack.schema.json`, `${JSON.stringify(schema, undefined, 2)}\n`);
const page = await pageAssets(root);
// The command of letters, and a bundle of its own for each word.
const { briefWords } = await import(`${out}/cli/command-rows.js`);
await bundle({ entryPoints: [`${root}/src/cli/main.ts`] }, 'conntrack.cjs', `//${briefWords().join(' ')}\n`);
const { everyWord } = await import(`${out}/words/words.js`);
for (const { name } of everyWord()) {
  const contents = `import { word } from './${name}.ts'; import { runWord } from './run-word.ts'; import { wordByName } from './words.ts';
    runWord(wordByName('${name}'), word);`;
  await bundle({ stdin: { contents, resolveDir: `${root}/src/words` } }, `words/${name}.cjs`);
}
await bundlePublic('web');
// The client of NATS is CommonJS, and asks for what is Node.js's own.
const requires = "import { createRequire as requireIn } from 'node:module'; const require = requireIn(import.meta.url);";
await bundlePublic('fleet', requires);
// What is bundled there is under a licence that goes with it.
copyFileSync(`${root}/node_modules/@nats-io/nats-core/LICENSE`, `${out}/fleet/LICENSE.nats.txt`);
await bundleModule('history/parquet-file');
// Otherwise V8 writes other bytes each time.
execFileSync(process.execPath, ['--predictable', `${root}/scripts/code-cache.cjs`, out], { stdio: 'pipe', encoding: 'utf8' });
await writeGenerated();
// Units of systemd, and alerts, as they are.
cpSync(`${root}/deploy`, out, { recursive: true, filter: (path) => !path.endsWith('.test.yml') });
mkdirSync(`${out}/grafana`);
writeFileSync(`${out}/grafana/conntrack.json`, `${JSON.stringify(dashboard(), undefined, 2)}\n`);
rmSync(dist, { recursive: true, force: true });
renameSync(out, dist);

/** One CommonJS file below dist/, with `head` for bin/conntrack to read. */
function bundle(entry, path, head = '') {
  return build({
    ...entry,
    outfile: `${out}/${path}`,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['koffi', '@koromix/*'],
    plugins: [libraryFace(root), withPage(page)],
    alias: { 'node:module': `${root}/scripts/bundle-module.cjs` },
    // A function, as bin/conntrack calls it: to put its text around that of the bundle takes a fifth of a millisecond.
    banner: {
      js: `${head}(function (exports, require, module, __filename) {
        const importMetaUrl = 'file://' + __filename, importMetaDirname = __filename.slice(0, -'/${path}'.length);`,
    },
    footer: { js: '})' },
    define: { 'import.meta.url': 'importMetaUrl', 'import.meta.dirname': 'importMetaDirname' },
    // Smaller is faster to read at every start.
    minify: true,
    logLevel: 'warning',
  });
}

/**
 * A public entry whose dependencies are in its own file: dist/NAME/index.js. What other folders have is imported from them, so that a
 * Conntrack is the same class everywhere.
 */
async function bundlePublic(name, banner = '') {
  await bundleWithPackages(
    `${name}/index`,
    /^\.\.\//,
    (importer) => dirname(importer).endsWith(`/src/${name}`),
    [withPage(page)],
    banner,
  );
  for (const file of readdirSync(`${out}/${name}`))
    if (file.endsWith('.js') && file !== 'index.js') rmSync(`${out}/${name}/${file}`);
}

/** A module with the packages that it needs in its own file; its other imports stay. */
function bundleModule(name) {
  return bundleWithPackages(name, /^\.\.?\//, (importer) => importer.startsWith(`${root}/src/`));
}

/** src/NAME.ts as one ES module, but for imports that match `elsewhere` in files that are `ours`. */
function bundleWithPackages(name, elsewhere, ours, plugins = [], banner = '') {
  return build({
    entryPoints: [`${root}/src/${name}.ts`],
    outfile: `${out}/${name}.js`,
    allowOverwrite: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: { js: banner },
    plugins: [
      ...plugins,
      {
        name: 'elsewhere',
        setup: ({ onResolve }) =>
          onResolve({ filter: elsewhere }, ({ path, importer }) => (ours(importer) ? { path, external: true } : undefined)),
      },
    ],
    logLevel: 'warning',
  });
}

/** Completions and the manual page, from the rows. */
async function writeGenerated() {
  const { generatedFiles } = await import(`${out}/cli/docs/index.js`);
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  const made = new Date(sourceDate() * 1000);
  for (const [path, text] of Object.entries(generatedFiles({ version, date: made.toISOString().slice(0, 10) }))) {
    mkdirSync(dirname(`${out}/${path}`), { recursive: true });
    writeFileSync(`${out}/${path}`, text);
  }
}
