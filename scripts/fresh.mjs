// Builds dist/ if it is missing or older than its sources; otherwise it makes only a few stat calls.

import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Builds if necessary. Prints only if the build fails, and then ends the process with its status. */
export function ensureBuilt() {
  if (isFresh()) return;
  if (missing(`${root}/node_modules/esbuild`)) {
    console.error('the build needs its tools: run "npm install" first');
    process.exit(1);
  }
  const build = spawnSync(process.execPath, [`${root}/scripts/build.mjs`], { cwd: root, encoding: 'utf8' });
  if (build.status === 0) return;
  process.stderr.write(`${build.stdout ?? ''}${build.stderr ?? ''}the build failed\n`);
  process.exit(build.status ?? 1);
}

function isFresh() {
  if (missing(`${root}/dist/index.js`)) return false;
  const built = modified(`${root}/dist/conntrack.cjs`);
  const scripts = ['build.mjs', 'bundle-module.cjs', 'code-cache.cjs', 'stand-in-kernel.cjs'].map((name) => `scripts/${name}`);
  const sources = ['package.json', 'tsconfig.json', 'tsconfig.build.json', ...scripts];
  return sources.every((name) => modified(`${root}/${name}`) <= built) && newest(`${root}/src`) <= built;
}

/** When the newest file below a folder was changed; removals change the folder itself. */
function newest(folder) {
  let latest = modified(folder);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : modified(path));
  }
  return latest;
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function missing(path) {
  return modified(path) === 0;
}
