// `npm run build:npm`: the package for npm, dist-packages/conntrack-VERSION.tgz, and beside it what it brings, as CycloneDX. The same sources
// and the same Node.js give the same bytes.
//
//   node scripts/packages/npm.mjs [--out FOLDER]

import '../help.mjs';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, root } from '../fresh.mjs';
import { sourceDate } from '../source-date.mjs';
import { makeSbom } from './sbom.mjs';

const { values } = parseArgs({ options: { out: { type: 'string', default: `${root}/dist-packages` } } });
ensureBuilt();
mkdirSync(values.out, { recursive: true });
// dist/ is built already.
const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', values.out];
const answer = JSON.parse(execFileSync('npm', words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
const [{ filename }] = Array.isArray(answer) ? answer : Object.values(answer);
const file = join(values.out, filename);
writeFileSync(`${file}.cdx.json`, makeSbom({ seconds: sourceDate() }));
console.log(file);
