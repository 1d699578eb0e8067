import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OptionNames, OptionReader, type ReadOption } from './getopt.js';

/** A set of options like those of a command-line tool: option names are their long names. */
function names(): OptionNames<string> {
  const it = new OptionNames<string>();
  it.addShort('L', 'detached', 'list');
  it.addLong('list', 'optional', 'list');
  it.addShort('z', 'none', 'zero');
  it.addLong('zero', 'none', 'zero');
  it.addShort('s', 'required', 'src');
  it.addLong('src', 'required', 'src');
  it.addLong('source', 'required', 'src');
  it.addShort('n', 'optional', 'nat');
  it.addLong('src-nat', 'optional', 'nat');
  it.addShort('S', 'detached', 'stats');
  it.addLong('stats', 'detached', 'stats');
  it.addLong('status', 'required', 'status');
  it.addLong('count', 'none', 'count');
  it.addLong('counter', 'none', 'count');
  it.addLong('countdown-new', 'none', 'new', true);
  it.addLong('fresh', 'none', 'new', true);
  return it;
}

function reader(words: readonly string[]): OptionReader<string> {
  return new OptionReader<string>(words, names());
}

function read(...words: string[]): string[] {
  const it = reader(words);
  const out: string[] = [];
  for (let token = it.next(); token; token = it.next()) out.push(show(token));
  return out;
}

function show(token: ReadOption<string>): string {
  switch (token.kind) {
    case 'option':
      return `${token.option}${token.value === undefined ? '' : `${token.glued ? '=' : ' '}${token.value}`}`;
    case 'operand':
      return `(${token.word})`;
    case 'unknown':
      return `unknown ${token.spelled} in ${token.word}`;
    case 'ambiguous':
      return `ambiguous ${token.spelled}: ${token.names.join(' ')}`;
    case 'missing':
      return `missing ${token.spelled}`;
    case 'unwanted':
      return `unwanted ${token.spelled} ${token.value}`;
  }
}

const CASES: [words: string[], tokens: string[]][] = [
  [[], []],
  [['-z'], ['zero']],
  [['-Lz'], ['list', 'zero']],
  [
    ['-zL', 'x'],
    ['zero', 'list x'],
  ],
  [
    ['-Lz', 'x'],
    ['list', 'zero', '(x)'],
  ],
  [['-LsX'], ['list', 'src=X']],
  [['-s', 'X'], ['src X']],
  [['-s=X'], ['src==X']],
  [['-s', '-z'], ['src -z']],
  [['-s', '--'], ['src --']],
  [['-s', ''], ['src ']],
  [['-s'], ['missing -s']],
  [['-zs'], ['zero', 'missing -s']],
  [['--src=X'], ['src=X']],
  [['--src='], ['src=']],
  [['--src=a=b'], ['src=a=b']],
  [['--src', '--zero'], ['src --zero']],
  [['--src'], ['missing --src']],
  [['-n'], ['nat']],
  [['-n', 'X'], ['nat X']],
  [['-nX'], ['nat=X']],
  [['-n', ''], ['nat ']],
  [
    ['-n', '-z'],
    ['nat', 'zero'],
  ],
  [
    ['-n', '!x'],
    ['nat', '(!x)'],
  ],
  [
    ['-n', '-'],
    ['nat', '(-)'],
  ],
  [['--src-nat=X'], ['nat=X']],
  [['--src-nat='], ['nat=']],
  [['--src-nat', 'X'], ['nat X']],
  [['--src-n', 'X'], ['nat X']],
  [['--list=x'], ['list=x']],
  [['--list', 'x'], ['list x']],
  [['--stats=x'], ['unwanted --stats x']],
  [['--stats', 'x'], ['stats x']],
  [['--zero=1'], ['unwanted --zero 1']],
  [['--zero='], ['unwanted --zero ']],
  // exact match wins, aliases are one option, the rest is ambiguous
  [['--src', 'X'], ['src X']],
  [['--so', 'X'], ['src X']],
  [['--sr'], ['ambiguous --sr: src src-nat']],
  [['--sta'], ['ambiguous --sta: stats status']],
  [['--sta=x'], ['ambiguous --sta: stats status']],
  [
    ['--stat', 'x'],
    ['ambiguous --stat: stats status', '(x)'],
  ],
  [['--coun'], ['count']],
  [['--nope'], ['unknown --nope in --nope']],
  [['--nope=1'], ['unknown --nope in --nope=1']],
  [['--zeros'], ['unknown --zeros in --zeros']],
  [['-x'], ['unknown -x in -x']],
  [['-zxz'], ['zero', 'unknown -x in -zxz', 'zero']],
  [['-é'], ['unknown -é in -é']],
  [['-z-'], ['zero', 'unknown -- in -z-']],
  // weak names yield to the others
  [['--count'], ['count']],
  [['--countd'], ['new']],
  [['--countdown-new'], ['new']],
  [['--f'], ['new']],
  // operands anywhere, `--` ends
  [
    ['a', '-z', '-', 'b'],
    ['(a)', 'zero', '(-)', '(b)'],
  ],
  [
    ['-z', '--', '-z', '--src', '--'],
    ['zero', '(-z)', '(--src)', '(--)'],
  ],
  [
    ['', '-z'],
    ['()', 'zero'],
  ],
  [
    ['-L', '--', 'x'],
    ['list', '(x)'],
  ],
];

for (const [words, tokens] of CASES) {
  test(`reads ${JSON.stringify(words)}`, () => assert.deepEqual(read(...words), tokens));
}

test('a long name added while reading is known from the next word on, and makes abbreviations ambiguous', () => {
  const it = reader(['--statu', '1', '--statu', '1', '--statute']);
  assert.equal(show(it.next()!), 'status 1');
  const more = new OptionNames(names());
  more.addLong('statute', 'none', 'statute');
  it.use(more);
  assert.equal(show(it.next()!), 'ambiguous --statu: status statute');
  assert.equal(show(it.next()!), '(1)');
  assert.equal(show(it.next()!), 'statute');
  assert.equal(it.next(), undefined);
  assert.ok([...it.longNames()].includes('statute'));
});

test('any words are read to the end, with at least one token for each word that is no value', () => {
  const word = fc.oneof(fc.string(), fc.constantFrom('-L', '-s', '-n', '--', '--src', '--src-nat', '--sta', '-zzz', '-zs', '-'));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const it = reader(words);
      let tokens = 0;
      while (it.next()) tokens++;
      assert.ok(tokens <= words.join('').length + words.length);
    }),
  );
});
