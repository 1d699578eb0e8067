// A reporter for `node --test` that scripts read: which tests failed, and the totals. And where the suites of `npm test` tell their failures,
// so that the last lines of a long log name them.

import { appendFileSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { root } from './fresh.mjs';

/** Names the file to which a command that `npm test` has started appends its failures, a line each. */
const FAILURES = 'CONNTRACK_TEST_FAILURES';

/** Events of node:test → lines of JSON: `{failed}` for each test that failed by itself, `{total, count}` at the end. */
export default async function* report(source) {
  // Tests begin in the order in which they are told, so these are the names above the one that ends.
  const names = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names.length = data.nesting;
      names.push(data.name);
    } else if (type === 'test:fail' && isOwnFailure(data)) {
      const failed = [...names.slice(0, data.nesting), data.name];
      yield `${JSON.stringify({ failed: placed(data.file, failed) })}\n`;
    } else if (type === 'test:diagnostic' && data.nesting === 0) {
      const [, total, count] = /^(pass|fail|cancelled|skipped|todo) (\d+)$/.exec(data.message) ?? [];
      if (total !== undefined) yield `${JSON.stringify({ total, count: Number(count) })}\n`;
    }
  }
}

/** Not one that fails because a test in it does, nor one from which nobody expects anything yet. */
function isOwnFailure({ todo, details }) {
  return (todo === undefined || todo === false) && details.error?.failureType !== 'subtestsFailed';
}

/** @param file as node:test has it: a path, or a URL; what runs from build/ was made of a source of the same name */
function placed(file, names) {
  const path = file?.startsWith('file:') ? fileURLToPath(file) : file;
  const place = path === undefined ? undefined : relative(root, path).replace(/^build\/(.*)\.js$/, '$1.ts');
  // A file that ends before it tells of a test is the test.
  const own = names.length === 1 && path !== undefined && (names[0] === path || path.endsWith(`/${names[0]}`));
  return [place, ...(own ? ['the file as a whole'] : names)].filter((text) => text !== undefined).join(' > ');
}

/** Arguments of `node --test`: people read standard output, scripts the file. */
export function reporters(path) {
  return [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${pathToFileURL(fileURLToPath(import.meta.url)).href}`,
    `--test-reporter-destination=${path}`,
  ];
}

/** What a run with `reporters(path)` had. Without a report, the runner ended before it wrote one. */
export function readReport(path) {
  const result = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const kinds = { pass: 'passed', fail: 'failed', cancelled: 'failed', skipped: 'skipped', todo: 'skipped' };
  for (const line of lines(path)) {
    const { failed, total, count } = JSON.parse(line);
    if (failed !== undefined) result.failures.push(failed);
    else result[kinds[total]] += count;
  }
  return result;
}

/** The failures in a TAP report, as node:test writes it. */
export function failuresInTap(text) {
  const names = [];
  /** By depth: whether something in it has failed. */
  const inner = [];
  const failures = [];
  for (const line of text.split('\n')) {
    const [, indent, name] = /^((?: {4})*)# Subtest: (.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      const depth = indent.length / 4;
      names.length = depth;
      inner.length = depth + 1;
      names.push(name);
      inner[depth] = false;
      continue;
    }
    const [, margin, failed] = /^((?: {4})*)not ok \d+ - (.*)$/.exec(line) ?? [];
    if (failed === undefined || / # (TODO|SKIP)\b/.test(failed)) continue;
    const depth = margin.length / 4;
    if (!inner[depth]) failures.push([...names.slice(0, depth), failed].join(' > '));
    for (let above = 0; above < depth; above++) inner[above] = true;
  }
  return failures;
}

/** Prints failures; if `npm test` has started this command, its last lines have them, too. */
export function tellFailures(failures) {
  if (failures.length === 0) return;
  console.log(`\nfailed:\n${failures.map((name) => `  ${name}`).join('\n')}`);
  const path = process.env[FAILURES];
  if (path !== undefined) appendFileSync(path, failures.map((name) => `${name.replaceAll('\n', ' ')}\n`).join(''));
}

/** For a command that calls `tellFailures`: the environment, and what it has told. */
export function listen(path) {
  return { environment: { [FAILURES]: path }, failures: () => lines(path) };
}

function lines(path) {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
