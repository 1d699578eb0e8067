// The examples in doc comments and in the pages compile as they stand: names are imported for them, nothing else is added. Those on a
// table in memory are run, and must print what their comments say.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';
import * as doctor from '../../src/doctor/index.js';
import * as fleet from '../../src/fleet/index.js';
import * as history from '../../src/history/index.js';
import * as library from '../../src/index.js';
import * as meter from '../../src/meter/index.js';
import * as metrics from '../../src/metrics/index.js';
import * as testing from '../../src/testing/index.js';
import * as web from '../../src/web/index.js';
import * as netlink from '../../src/wire/index.js';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDER = `${PROJECT}build/doc-examples`;
/** Names that examples leave to the reader. They are global, so that an example may declare them itself. */
const READERS = `
declare function yourCode(conntrack: import('conntrack').Conntrack): Promise<void>;
declare const flow: import('conntrack').Flow;
`;
/** The compiled entries. */
const ENTRIES: Readonly<Record<string, string>> = {
  '/library': '../src/index.js',
  '/meter': '../src/meter/index.js',
  '/doctor': '../src/doctor/index.js',
  '/web': '../src/web/index.js',
  '/history': '../src/history/index.js',
  '/fleet': '../src/fleet/index.js',
  '/testing': '../src/testing/index.js',
  '/netlink': '../src/wire/index.js',
};
const TYPES = ['Filter', 'Flow', 'FlowEvent'];

interface Example {
  readonly where: string;
  readonly text: string;
}

function examples(): Example[] {
  const sources = readdirSync(`${PROJECT}src`, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const pages = readdirSync(`${PROJECT}docs`).filter((path) => path.endsWith('.md'));
  return ['README.md', ...pages.map((path) => `docs/${path}`), ...sources.map((path) => `src/${path}`)].flatMap((path) => {
    const text = readFileSync(PROJECT + path, 'utf8');
    return Array.from(text.matchAll(/^( \* | {3}\* )?```ts\n([\s\S]*?)^( \* | {3}\* )?```$/gm), ([block, , body], i) => ({
      where: `${path.replace(/\W/g, '-')}-${i}`,
      text: block.startsWith('```') ? body! : body!.replace(/^ +\* ?/gm, ''),
    }));
  });
}

/** The example as a module. */
function moduleOf({ text }: Example): string {
  const lines: string[] = [];
  const uses = (name: string) => new RegExp(`\\b${name}\\b`).test(text) && !new RegExp(`import[^;]*\\b${name}\\b`).test(text);
  for (const [entry, names] of [
    ['conntrack', [...Object.keys(library), ...TYPES]],
    ['conntrack/meter', Object.keys(meter)],
    ['conntrack/metrics', Object.keys(metrics)],
    ['conntrack/doctor', Object.keys(doctor)],
    ['conntrack/web', Object.keys(web)],
    ['conntrack/history', Object.keys(history)],
    ['conntrack/fleet', Object.keys(fleet)],
    ['conntrack/testing', Object.keys(testing)],
    ['conntrack/netlink', Object.keys(netlink).filter((name) => !(name in library))],
  ] as const)
    for (const name of names)
      if (uses(name)) lines.push(`import { ${TYPES.includes(name) ? 'type ' : ''}${name} } from '${entry}';`);
  const declared = /\b(?:const|using) conntrack\b/.test(text);
  if (uses('conntrack') && !declared) lines.push("declare const conntrack: import('conntrack').Conntrack;");
  // A forgotten `await` is an error also where nothing is done with the promise.
  const check = /^(?:const|await using) conntrack\b/m.test(text)
    ? "\n(conntrack satisfies import('conntrack').Conntrack);\n"
    : '';
  return `${lines.join('\n')}\n${text}${check}\nexport {};\n`;
}

/** What the compiler says about some examples. */
function compile(all: readonly Example[]): string {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  for (const example of all) writeFileSync(`${FOLDER}/${example.where}.ts`, moduleOf(example));
  writeFileSync(`${FOLDER}/readers.d.ts`, READERS);
  const paths = {
    conntrack: ['../../src/index.ts'],
    'conntrack/meter': ['../../src/meter/index.ts'],
    'conntrack/metrics': ['../../src/metrics/index.ts'],
    'conntrack/doctor': ['../../src/doctor/index.ts'],
    'conntrack/web': ['../../src/web/index.ts'],
    'conntrack/history': ['../../src/history/index.ts'],
    'conntrack/fleet': ['../../src/fleet/index.ts'],
    'conntrack/testing': ['../../src/testing/index.ts'],
    'conntrack/netlink': ['../../src/wire/index.ts'],
  };
  writeFileSync(
    `${FOLDER}/tsconfig.json`,
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { noEmit: true, rootDir: '../..', paths, noUnusedLocals: false, noUnusedParameters: false },
      include: ['*.ts'],
      exclude: [],
    }),
  );
  return spawnSync(process.execPath, [`${PROJECT}node_modules/typescript/bin/tsc`, '-p', FOLDER], { encoding: 'utf8' }).stdout;
}

after(() => rmSync(FOLDER, { recursive: true, force: true }));

test('every example compiles', () => {
  const all = examples();
  assert.ok(all.length > 8, `${all.length}`);
  assert.equal(compile(all), '');
});

test('every example on a table in memory runs', async () => {
  const all = examples().filter(({ text }) => /MemoryTable|makeFlow/.test(text));
  assert.ok(all.length > 3, `${all.length}`);
  mkdirSync(FOLDER, { recursive: true });
  for (const example of all) {
    const { code } = await transform(moduleOf(example), { loader: 'ts', format: 'esm', target: 'node20' });
    const file = `${FOLDER}/${example.where}.mjs`;
    const doing = 'const yourCode = (conntrack) => conntrack.update({}, { mark: 7 });\n';
    writeFileSync(
      file,
      doing +
        code.replace(/(from ")conntrack(\/\w+)?(")/g, (_, from, entry = '/library', quote) => from + ENTRIES[entry] + quote),
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    assert.equal(status, 0, `${example.where}: ${stderr}`);
    const said = Array.from(example.text.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm), ([, words]) => words);
    assert.deepEqual(
      stdout.split('\n').filter((line) => line !== ''),
      said,
      example.where,
    );
  }
});

test('a forgotten await does not compile', () => {
  assert.match(compile([{ where: 'one', text: 'const conntrack = Conntrack.open();\n' }]), /Promise<Conntrack>/);
});
