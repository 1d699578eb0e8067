// `npm run test:runtimes`: tries each part of the library (scripts/runtime-parts.mjs) on every supported Node.js and on Bun, and fails if
// docs/runtimes.md says something else. Runtimes come from npm, into build/runtimes/. Needs no root.

import './help.mjs';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ensureBuilt, root } from './fresh.mjs';

const bun = process.arch === 'arm64' ? '@oven/bun-linux-aarch64' : '@oven/bun-linux-x64-baseline';
/** Column → package and its binary. */
const RUNTIMES = {
  ...Object.fromEntries(
    [20, 22, 24, 26].map((major) => [`Node.js ${major}`, { spec: `node@${major}`, binary: 'node/bin/node' }]),
  ),
  Bun: { spec: `${bun}@1.4.5`, binary: `${bun}/bin/bun` },
};
const START = '<!-- table: npm run test:runtimes -- --write -->\n';
const END = '<!-- end -->';
const page = `${root}/docs/runtimes.md`;

delete process.env.NODE_EXTRA_CA_CERTS;
ensureBuilt();
const namespaces = process.getuid() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];
const found = Object.fromEntries(Object.entries(RUNTIMES).map(([name, runtime]) => [name, tryParts(name, provide(runtime))]));
const table = tableOf(found);
const text = readFileSync(page, 'utf8');
const at = text.indexOf(START) + START.length;
const written = text.slice(at, text.indexOf(END, at));
if (process.argv.includes('--write')) writeFileSync(page, text.slice(0, at) + table + text.slice(at + written.length));
else if (written !== table) {
  console.error(`\ndocs/runtimes.md says something else:\n${written}`);
  process.exitCode = 1;
}
// On Node.js everything works, whatever the page says.
if (Object.entries(found).some(([name, parts]) => name !== 'Bun' && Object.values(parts).some((outcome) => outcome !== true)))
  process.exitCode = 1;
console.log(process.exitCode === 1 ? 'failed' : 'every runtime does what docs/runtimes.md says');

/** The runtime's binary, fetched when it is not there. */
function provide({ spec, binary }) {
  const prefix = `${root}/build/runtimes/${spec.replace(/[/@]/g, '-')}`;
  const path = `${prefix}/node_modules/${binary}`;
  if (!existsSync(path)) {
    mkdirSync(prefix, { recursive: true });
    // The package node has its binary put in place by its install script.
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', prefix, spec];
    execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  return path;
}

function tryParts(name, binary) {
  const { status, stdout, stderr, signal } = spawnSync('unshare', [...namespaces, binary, `${root}/scripts/runtime-parts.mjs`], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${name}: ${signal ?? status}\n${stdout}${stderr}`);
  const parts = JSON.parse(stdout);
  const failed = Object.entries(parts).filter(([, outcome]) => outcome !== true);
  console.log(`${name}: ${failed.map(([part, outcome]) => `${part}: ${outcome}`).join('; ') || 'everything works'}`);
  return parts;
}

function tableOf(runtimes) {
  const names = Object.keys(runtimes);
  const row = (cells) => `| ${cells.join(' | ')} |\n`;
  const parts = Object.keys(Object.values(runtimes)[0]);
  return (
    row(['part', ...names]) +
    row(['---', ...names.map(() => '---')]) +
    parts.map((part) => row([part, ...names.map((name) => (runtimes[name][part] === true ? 'yes' : 'no'))])).join('')
  );
}
