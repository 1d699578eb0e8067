// Who may import whom, read from the sources. The table is that of docs/architecture.md; an edge that is not in it fails.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { everyWord } from '../../src/words/words.js';

const SRC = fileURLToPath(new URL('../../../src/', import.meta.url));

/** Layer → what it may import besides itself. `node:` stands for Node's own modules, a folder for all its files. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'safe-text': [],
  errors: ['safe-text'],
  nearest: [],
  loopback: [],
  units: [],
  'wrap-words': [],
  wire: ['errors', 'safe-text', 'node:', 'bun:'],
  ctnetlink: ['errors', 'nearest', 'wire/bytes', 'wire/attribute', 'wire/message', 'wire/uapi/'],
  format: ['safe-text', 'ctnetlink/', 'wire/bytes'],
  library: ['errors', 'nearest', 'wire/', 'ctnetlink/', 'format/'],
  testing: ['errors', 'wire/', 'ctnetlink/', 'node:'],
  index: ['errors', 'library/', 'ctnetlink/', 'wire/netns', 'wire/netns-list'],
  cli: [
    'errors',
    'safe-text',
    'wrap-words',
    'nearest',
    'library/index',
    'format/',
    'ctnetlink/',
    'wire/end-process',
    'wire/errno',
    'wire/transport',
    'wire/writable',
    'words/words',
    'words/word-help',
    'node:',
  ],
  words: [
    'errors',
    'safe-text',
    'nearest',
    'cli/',
    'meter/index',
    'doctor/',
    'top/',
    'web/',
    'history/',
    'fleet/',
    'units',
    'library/index',
    'format/',
    'ctnetlink/',
    'wire/end-process',
    'wire/service-manager',
    'node:',
  ],
  meter: ['errors', 'nearest', 'library/index', 'ctnetlink/', 'wire/bytes', 'format/schema-parts', 'format/json-schema'],
  doctor: [
    'errors',
    'safe-text',
    'units',
    'wrap-words',
    'nearest',
    'meter/index',
    'meter/group-index',
    'meter/group-keys',
    'library/index',
    'ctnetlink/',
    'format/json-schema',
    'format/schema-parts',
    'wire/bytes',
    'wire/uapi/',
    'node:',
  ],
  top: [
    'errors',
    'safe-text',
    'units',
    'meter/index',
    'doctor/index',
    'history/index',
    'library/index',
    'format/',
    'ctnetlink/',
    'node:',
    'get-east-asian-width',
  ],
  web: [
    'errors',
    'loopback',
    'meter/index',
    'history/index',
    'metrics/',
    'doctor/',
    'library/index',
    'format/',
    'ctnetlink/',
    'node:',
    'hono/tiny',
    '@hono/node-server',
  ],
  history: [
    'errors',
    'safe-text',
    'library/index',
    'metrics/metric-family',
    'metrics/write-metrics',
    'format/',
    'ctnetlink/',
    'wire/bytes',
    'wire/message',
    'wire/clock-error',
    'wire/uapi/',
    'node:',
    'hyparquet-writer',
  ],
  fleet: [
    'errors',
    'loopback',
    'nearest',
    'meter/index',
    'meter/processor-time',
    'history/',
    'library/index',
    'metrics/index',
    'ctnetlink/',
    'wire/bytes',
    'node:',
    '@nats-io/nats-core',
    '@nats-io/jetstream',
    '@nats-io/transport-node',
  ],
  page: ['units', 'preact', 'preact/hooks', '@preact/signals'],
  metrics: ['errors', 'safe-text', 'meter/index', 'library/index', 'format/', 'ctnetlink/', 'node:'],
};

/** Each is run by a file of its name below src/words. */
const WORDS = new Set(everyWord().map(({ name }) => name));

interface Source {
  /** Relative to src/, without `.ts`. */
  readonly name: string;
  readonly layer: string;
  readonly text: string;
  /** The text without comments and with empty string literals. */
  readonly code: string;
}

const sources: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.test.ts'))
  .map((path) => {
    const text = readFileSync(SRC + path, 'utf8');
    const name = path.replace(/\.tsx?$/, '');
    return { name, layer: layerOf(name), text, code: withoutCommentsAndStrings(text) };
  });

/** Its folder. The page runs in browsers, and shares nothing with the server that it comes from. */
function layerOf(name: string): string {
  return name.startsWith('web/page/') ? 'page' : name.split('/')[0]!;
}

/** Leaves only what runs; good enough for sources that the compiler and the linter have accepted. */
function withoutCommentsAndStrings(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, (match) =>
    match[0] === '/' ? '' : "''",
  );
}

/** Every module a source names: `import … from`, `export … from`, bare `import`, `import()`, types too. */
function importsOf(source: Source): string[] {
  const found = source.text.matchAll(
    /^\s*(?:import|export)\b[^'";]*?\bfrom\s+['"]([^'"]+)['"]|(?<!['"])\bimport\s*\(?\s*['"]([^'"]+)['"]/gm,
  );
  return Array.from(found, (match) => match[1] ?? match[2]!);
}

/** A relative import as a name below src/; others as they are. */
function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return fileURLToPath(new URL(specifier, `file:///${from}`))
    .slice(1)
    .replace(/\.js$/, '');
}

test('no source imports what its layer may not', () => {
  const wrong: string[] = [];
  for (const source of sources) {
    const allowed = ALLOWED[source.layer];
    if (!allowed) wrong.push(`${source.name}: the layer ${source.layer} is not in the table`);
    for (const specifier of importsOf(source)) {
      const target = resolve(source.name, specifier);
      const own = layerOf(target) === source.layer && target.includes('/');
      const listed = allowed?.some((entry) => target === entry || (/[/:]$/.test(entry) && target.startsWith(entry)));
      if (!own && !listed) wrong.push(`${source.name} imports ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every relative import names a source that exists', () => {
  const names = new Set(sources.map((source) => source.name));
  const missing = sources.flatMap((source) =>
    importsOf(source)
      .filter((specifier) => specifier.startsWith('.') && !names.has(resolve(source.name, specifier)))
      .map((specifier) => `${source.name} imports ${specifier}`),
  );
  assert.deepEqual(missing, []);
});

test('no import goes in a circle, not even one of types', () => {
  const edges = new Map(sources.map((source) => [source.name, importsOf(source).map((to) => resolve(source.name, to))]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (name: string, path: readonly string[]) => {
    if (path.includes(name)) circles.push([...path.slice(path.indexOf(name)), name].join(' → '));
    if (done.has(name) || path.includes(name)) return;
    for (const next of edges.get(name) ?? []) visit(next, [...path, name]);
    done.add(name);
  };
  for (const name of edges.keys()) visit(name, []);
  assert.deepEqual(circles, []);
});

test('no two files, and no two types, share a name', () => {
  // A word is run by the file of its name, and a folder is known by its index.
  const named = sources.filter(({ name, layer }) => !name.endsWith('index') && (layer !== 'words' || !WORDS.has(basename(name))));
  assert.deepEqual(twice(named.map(({ name }) => basename(name))), []);
  const types = sources.flatMap(({ code }) =>
    Array.from(code.matchAll(/^export (?:abstract )?(?:class|interface|type) (\w+)/gm), (match) => match[1]!),
  );
  assert.deepEqual(twice(types), []);
});

function twice(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}

/** Sources outside `where` whose code has `what`. */
function usersOf(what: RegExp, where: readonly string[]): string[] {
  return sources.filter((source) => what.test(source.code) && !where.includes(source.name)).map((source) => source.name);
}

test('only wire/ffi knows koffi', () => {
  const users = sources.filter((source) => /['"`](@koromix|koffi)/.test(source.text)).map((source) => source.name);
  assert.deepEqual(users, ['wire/ffi']);
});

test('only fleet/nats knows the client of the servers', () => {
  const users = sources.filter((source) => /['"`]@nats-io\//.test(source.text)).map((source) => source.name);
  assert.deepEqual(users, ['fleet/nats']);
});

test('only cli/main and words/run-word touch the process', () => {
  // wire/platform asks which system this is, wire/ffi opens the native library: process.platform, process.arch, process.dlopen.
  // meter/processor-time and metrics/process-metrics read process.cpuUsage and memoryUsage.
  // history/driver/load-driver keeps a warning of Node.js to itself, history/recorder-options reads process.execPath.
  const own = ['meter/processor-time', 'metrics/process-metrics', 'history/recorder-options'];
  const users = [
    ...own,
    'history/driver/load-driver',
    'cli/main',
    'words/run-word',
    'wire/end-process',
    'wire/ffi',
    'wire/platform',
  ];
  assert.deepEqual(usersOf(/\bprocess\s*[.[]|\bconsole\s*[.[]/, users), []);
});

test('what is printed as JSON, and what is said on standard error, goes through safe-text', () => {
  const printed = sources.filter(({ layer }) => ['cli', 'words', 'format'].includes(layer));
  const using = (what: RegExp) => printed.filter(({ code }) => what.test(code)).map(({ name }) => name);
  assert.deepEqual(using(/\bJSON\s*\.\s*stringify\b/), []);
  // A message becomes bytes in cli/output/output, a picture of progress in cli/output/progress; the writers have bytes of their own.
  assert.deepEqual(using(/\bTextEncoder\b/).sort(), [
    'cli/output/output',
    'cli/output/progress',
    'format/byte-writer',
    'format/safe-bytes',
  ]);
});

test('only wire/bytes and the way of an entry read and write numbers of several bytes', () => {
  const methods =
    /\bDataView\b|\.(?:read|write)(?:Big)?U?Int(?:8|16|32|64|LE|BE)|\.(?:read|write)(?:Float|Double)|\.swap(?:16|32|64)\b/;
  const way = ['ctnetlink/view', 'fleet/columns', 'fleet/nl1', 'format/byte-writer', 'format/digits', 'format/plan'];
  assert.deepEqual(usersOf(methods, ['wire/bytes', ...way]), []);
});

test('the front ends do not know each other', () => {
  const fronts = ['cli', 'top', 'web'];
  // Words are thin: what they share with the letters is in cli.
  const wrong = sources
    .filter((source) => source.layer !== 'words')
    .flatMap((source) =>
      importsOf(source)
        .map((specifier) => layerOf(resolve(source.name, specifier)))
        .filter((layer) => fronts.includes(layer) && layer !== source.layer)
        .map((layer) => `${source.name} imports ${layer}`),
    );
  assert.deepEqual(wrong, []);
});

test('the pure layers read no clock and no environment', () => {
  const pure = sources.filter((source) => ['ctnetlink', 'format'].includes(source.layer));
  const impure = pure.filter((source) => /\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bMath\.random\b/.test(source.code));
  assert.deepEqual(
    impure.map((source) => source.name),
    [],
  );
});

test('the package index has re-exports and nothing else', () => {
  const index = sources.find((source) => source.name === 'index');
  assert.ok(index, 'src/index.ts is missing');
  const rest = index.code.replace(/export\s+(?:type\s+)?\{[^}]*\}\s*from\s*'';/g, '').trim();
  assert.equal(rest, '');
});
