// Everything that comments, tests and pages cite exists: pages, their numbered sections and rows, and the targets of links.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { page, tableRows, withoutBlocks } from '../support/pages.js';
import { PROJECT, readProjectFile } from '../support/project.js';

const BEHAVIOUR = 'docs/behaviour.md';
const KERNEL = 'docs/kernel.md';
const DIFFERENCES = 'docs/differences.md';

const FOLDERS = ['src', 'test', 'scripts', 'bin', 'docs', 'examples'];
/** This file has citations that must fail. */
const SELF = 'test/unit/references.test.ts';

const files: string[] = [
  ...readdirSync(PROJECT).filter((name) => name.endsWith('.md')),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && (/\.(ts|mjs|cjs|md|case)$/.test(entry.name) || folder === 'bin'))
      .map((entry) => join(entry.parentPath, entry.name).slice(PROJECT.length + 1)),
  ),
].filter((path) => path !== SELF && !path.startsWith('docs/api/'));

/** Names of rows: the first cells of a page's tables, `B20, B21` as two. */
function rowNames(text: string): Set<string> {
  return new Set(tableRows(text).flatMap(([first = '']) => first.replaceAll('`', '').split(', ')));
}

const DEFECTS = rowNames(page(DIFFERENCES).text);
/** Rows of section 6 are numbered like sections. */
const RELEASES = rowNames(page(BEHAVIOUR).sections.get('6')!);

/** Whether the page has `number`, such as `5.2`, `5.2 row 27` or `B33`. */
function stands(path: string, number: string): boolean {
  if (path === DIFFERENCES) return DEFECTS.has(number);
  const [section = '', row] = number.split(/\s+row\s+/);
  if (path === BEHAVIOUR && row === undefined && RELEASES.has(section)) return true;
  const text = page(path).sections.get(section);
  return text !== undefined && (row === undefined || rowNames(text).has(row));
}

const NUMBER = String.raw`(?:B\d+|\d+(?:\.\d+)*(?: +row +\d+)?)(?![\w-]|\.\d)`;
const NUMBERS = new RegExp(NUMBER, 'g');
/** `docs/kernel.md 2.2, 3.4 to 3.9`. */
const CITATION = new RegExp(
  String.raw`(?<![\w-])(?:docs/)?(behaviour|kernel|differences)\.md( +${NUMBER}(?:(?:,| +and| +to) +${NUMBER})*)?`,
  'g',
);

/** The problems of a file, with the line. */
function problems(path: string, text: string): string[] {
  // A comment goes on in the next line.
  const joined = path.endsWith('.md') ? text : text.replace(/\n[ \t]*(?:\/\/|\*(?!\/)|#)/g, (mark) => ' '.repeat(mark.length));
  const found: string[] = [];
  const tell = (index: number, what: string) => found.push(`${path}:${text.slice(0, index).split('\n').length}: ${what}`);

  let uncited = text;
  for (const { 0: citation, 1: name, 2: numbers, index } of joined.matchAll(CITATION)) {
    if (numbers === undefined) continue;
    for (const [number] of numbers.matchAll(NUMBERS))
      if (!stands(`docs/${name}.md`, number.replace(/ +/g, ' '))) tell(index, `docs/${name}.md has no ${number}`);
    const end = index + citation.length;
    const blank = text.slice(index, end).replace(/docs\/|[\w.,]/g, (part) => ' '.repeat(part.length));
    uncited = uncited.slice(0, index) + blank + uncited.slice(end);
  }
  for (const { 0: name, index } of joined.matchAll(/(?<![\w./*${}\\-])[\w./-]*[\w-]\.md\b/g)) {
    const places = [PROJECT, join(PROJECT, 'docs'), dirname(join(PROJECT, path))];
    if (!places.some((place) => existsSync(join(place, name.replace(/^(\.\.\/)+/, ''))))) tell(index, `there is no ${name}`);
  }
  if (path.endsWith('.md')) findInPage(path, uncited, tell);
  else findInSource(path, uncited, tell);
  return found;
}

type Tell = (index: number, what: string) => void;

/** Pages cite rows of differences.md without its name; behaviour.md and kernel.md their own sections, in brackets. */
function findInPage(path: string, text: string, tell: Tell): void {
  for (const { 0: number, index } of withoutBlocks(text).matchAll(/\bB\d+\b/g))
    if (!DEFECTS.has(number)) tell(index, `${DIFFERENCES} has no ${number}`);
  if (path === BEHAVIOUR || path === KERNEL)
    for (const { 1: number, index } of withoutBlocks(text).matchAll(/\((\d\.\d{1,2}(?: row \d+)?)[);,:]/g))
      if (!stands(path, number!)) tell(index, `there is no ${number}`);
  for (const { 1: target = '', index } of withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^\w+:/.test(target)) continue;
    const [file = '', anchor] = target.split('#');
    const place = file === '' ? path : normalize(join(dirname(path), file));
    if (!existsSync(join(PROJECT, place))) tell(index, `there is no ${target}`);
    else if (anchor !== undefined && !page(place).anchors.has(anchor)) tell(index, `${place} has no #${anchor}`);
  }
}

/** Sources name the page, except if a string or the name of a member is just the number of a row. */
function findInSource(path: string, text: string, tell: Tell): void {
  const ids = path.endsWith('.case') ? /(?<=[@,])([\w.]+)\??(?=[, ])/g : /(?<=^ *)(B\d+)(?=: )|(?<=id: |\['|\.push\()'(\S+)'/gm;
  const rows = path.endsWith('.case') ? [...text.matchAll(/^\S+ (?:\S+ )?@\S+ /gm)] : [{ 0: text, index: 0 }];
  if (/^test\/differential\//.test(path))
    for (const row of rows)
      for (const match of row[0].matchAll(ids)) {
        const id = match[1] ?? match[2]!;
        if (/^(B\d+|\d\.\d+)$/.test(id) && !DEFECTS.has(id) && !RELEASES.has(id))
          tell(row.index + match.index, `${DIFFERENCES} has no ${id}`);
      }
  const prose = comments(text, path.endsWith('.case'));
  for (const { 0: number, index } of prose.matchAll(/\bB\d+\b/g)) tell(index, `write ${DIFFERENCES} ${number}`);
  for (const { 1: bracketed, 2: number = bracketed, index } of prose.matchAll(
    /\((\d\.\d{1,2})[,)]|(?:quirk: |\/\/ )(\d\.\d{1,2})[:,]/g,
  ))
    if (stands(BEHAVIOUR, number!)) tell(index, `which page has ${number}?`);
}

/** Comments and strings of more than one word, in their places; blanks elsewhere. */
function comments(text: string, isCase: boolean): string {
  const blank = (part: string) => part.replace(/[^\n]/g, ' ');
  if (isCase) return text.replace(/^ *[^ #\n].*$|^$/gm, blank);
  let out = '';
  let at = 0;
  for (const { 0: part, index } of text.matchAll(
    /\/\*[\s\S]*?\*\/|(?<![:'"`\\])\/\/.*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g,
  )) {
    out += blank(text.slice(at, index));
    out += part.startsWith('/') || part.includes(' ') ? part : blank(part);
    at = index + part.length;
  }
  return out + blank(text.slice(at));
}

test('what is cited can be opened', () => {
  assert.ok(files.length > 200);
  assert.deepEqual(
    files.flatMap((path) => problems(path, readProjectFile(path))),
    [],
  );
});

test('citations are there', () => {
  const count = (name: string) =>
    files.filter((path) => /^(src|test)\//.test(path) && readProjectFile(path).includes(`${name} `)).length;
  for (const name of [BEHAVIOUR, KERNEL, DIFFERENCES]) assert.ok(count(name) > 15, name);
});

test('citations of what is not there are found', () => {
  const wrong: [path: string, text: string, ...found: string[]][] = [
    ['src/x.ts', '// Order: docs/behaviour.md 5.2, 5.3 row 1.', 'src/x.ts:1: docs/behaviour.md has no 5.3 row 1'],
    ['src/x.ts', '\n/** As docs/behaviour.md 5.2 row 27, 9.9. */', 'src/x.ts:2: docs/behaviour.md has no 9.9'],
    ['src/x.ts', '// docs/kernel.md 3.4 to\n// 3.99', 'src/x.ts:1: docs/kernel.md has no 3.99'],
    ['src/x.ts', '// docs/kernel.md 3.1 row 22 and 3.1 row 99', 'src/x.ts:1: docs/kernel.md has no 3.1 row 99'],
    ['src/x.ts', '// docs/behaviour.md 6.7, 6.77', 'src/x.ts:1: docs/behaviour.md has no 6.77'],
    ['src/x.ts', '// docs/differences.md B33 and B99', 'src/x.ts:1: docs/differences.md has no B99'],
    [
      'src/x.ts',
      'f(); // quirk (B33)\n// B34',
      'src/x.ts:1: write docs/differences.md B33',
      'src/x.ts:2: write docs/differences.md B34',
    ],
    ['src/x.ts', '// docs/kernel.md 3.4,\n// 3.5 (B33)', 'src/x.ts:2: write docs/differences.md B33'],
    ['src/x.ts', '// numbers (3.1)', 'src/x.ts:1: which page has 3.1?'],
    ['src/x.ts', '// quirk: 3.5, so it is', 'src/x.ts:1: which page has 3.5?'],
    ['src/x.ts', '// 1.8: two words', 'src/x.ts:1: which page has 1.8?'],
    ['src/x.ts', '// see wire.md 3', 'src/x.ts:1: there is no wire.md'],
    ['src/x.ts', "test('it works (B33)', f)", 'src/x.ts:1: write docs/differences.md B33'],
    [
      'test/differential/x.ts',
      "{ id: 'B99' }, { id: '6.99' }",
      'test/differential/x.ts:1: docs/differences.md has no B99',
      'test/differential/x.ts:1: docs/differences.md has no 6.99',
    ],
    ['test/differential/x.ts', 'x = {\n  B99: 1 }', 'test/differential/x.ts:2: docs/differences.md has no B99'],
    [
      'test/differential/x.case',
      '# of -L\n0 =1 @B98,B99? -L\n# B7',
      'test/differential/x.case:2: docs/differences.md has no B98',
      'test/differential/x.case:2: docs/differences.md has no B99',
      'test/differential/x.case:3: write docs/differences.md B7',
    ],
    [
      'docs/x.md',
      'B99 [a](kernel.md#34-status-bits) [b](kernel.md#nothing) [c](nothing/)',
      'docs/x.md:1: docs/differences.md has no B99',
      'docs/x.md:1: docs/kernel.md has no #nothing',
      'docs/x.md:1: there is no nothing/',
    ],
    ['docs/kernel.md', 'as it is (3.4), not (3.99)', 'docs/kernel.md:1: there is no 3.99'],
  ];
  for (const [path, text, ...found] of wrong) assert.deepEqual(problems(path, text), found, text);
  const right =
    "const B2 = ports(A2, B2); const row = { id: 'B33' }; // docs/differences.md B33, of docs/behaviour.md 6.7; Linux 6.18";
  assert.deepEqual(problems('src/x.ts', right), []);
});

for (const path of [BEHAVIOUR, KERNEL])
  test(`the sections of ${path} are numbered one after another`, () => {
    const numbers = [...page(path).sections.keys()];
    const expected: string[] = [];
    for (const number of numbers) {
      const [chapter = 0, section] = number.split('.').map(Number);
      const [lastChapter = 0, lastSection = 0] = (expected.at(-1) ?? '0').split('.').map(Number);
      expected.push(section === undefined ? `${lastChapter + 1}` : `${chapter}.${lastSection + 1}`);
    }
    assert.deepEqual(numbers, expected);
  });
