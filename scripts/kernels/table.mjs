// docs/kernels.md: what the runs found, between its markers.

import { readFileSync, writeFileSync } from 'node:fs';
import { root } from '../fresh.mjs';

const FILE = `${root}/docs/kernels.md`;
const BEGIN = '<!-- made by npm run test:kernels -- --write-docs -->';
const END = '<!-- end -->';

/** Puts the tables of these results into the document. @throws Error if a kernel has no result: half a table is useless */
export async function writeTable(results, suite) {
  const without = results.filter(({ kernels }) => kernels === undefined);
  if (without.length > 0) throw new Error(`not written, no result of ${without.map(({ kernel }) => kernel).join(', ')}`);
  const { FILTER_ROWS } = await import(`${root}/build/test/kernels/filter-rows.js`);
  const { FEATURE_ROWS } = await import(`${root}/build/test/kernels/feature-rows.js`);
  const sorted = [...results].sort((a, b) => a.release.localeCompare(b.release, 'en', { numeric: true }));
  const text = readFileSync(FILE, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${FILE} has lost its markers`);
  const made = [
    '## Filters in the kernel',
    table(sorted, FILTER_ROWS),
    '## Everything else',
    table(sorted, FEATURE_ROWS),
    `## What ran (\`--suite ${suite}\`)`,
    ran(sorted),
  ];
  writeFileSync(FILE, `${before}${BEGIN}\n\n${made.join('\n\n')}\n\n${END}${after}`);
}

const row = (cells) => `| ${cells.join(' | ')} |`;
const header = (cells) => [row(cells), row(cells.map(() => '---'))];
const series = ({ release }) => release.split('.').slice(0, 2).join('.');

function table(results, rows) {
  const lines = rows.map(({ name, otherwise }) => row([name, ...results.map(({ kernels }) => kernels[name]), otherwise]));
  return [...header(['', ...results.map(series), 'where not']), ...lines].join('\n');
}

function ran(results) {
  const lines = results.map((result) => {
    const { kernel, release, tests, failed, faults, seconds, passed } = result;
    const name = kernel === 'running' ? `${series(result)}, of the machine itself` : `Debian's ${release}`;
    return row([name, passed ? 'passed' : 'failed', faults.length, tests > 0 ? `${tests - failed} of ${tests}` : '-', seconds]);
  });
  return [...header(['kernel', 'verdict', 'faults of the probe', 'tests passed', 'seconds']), ...lines].join('\n');
}
