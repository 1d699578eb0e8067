// The completions and the manual page that the build makes: correct for the programs that read them, and complete.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-rows.js';
import { shellOptions } from '../../src/cli/docs/model.js';
import { words } from '../../src/words/words.js';
import { PROJECT, readProjectFile } from '../support/project.js';

const file = (path: string) => join(PROJECT, 'dist', path);
const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;

/** Why something cannot be tried here; false when it can. */
const without = (program: string) =>
  spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH } }).status === 0 ? false : `${program} is not installed`;

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { PATH, HOME: '/nonexistent', LC_ALL: 'C.UTF-8', TERM: 'dumb' },
  });
  assert.equal(status, 0, `${program}: ${error ?? ''}${stdout}${stderr}`);
  assert.equal(stderr, '');
  return stdout;
}

/** What a shell offers behind these words, the last of which is begun; options as they are typed, sorted. */
type Complete = (...words: string[]) => string[];

/** Words before the cursor → some that must be offered, and some that must not. */
const CASES: readonly (readonly [words: string[], offered: string[], not: string[]])[] = [
  [['-'], ['-L', '--dump', '-R', '-h'], ['-s', '--src']],
  [['-L', '--mas'], ['--mask-src', '--mask-dst'], ['--mask-port-src']],
  [['-L', 'ex'], ['expect'], ['conntrack']],
  [['-h', 'up'], ['update'], []],
  [
    ['-D', '--'],
    ['--src', '--dry-run', '--netns', '--label'],
    ['--zero', '--tuple-src', '--sport', '--label-add'],
  ],
  [['-I', 'expect', '--tuple-'], ['--tuple-src', '--tuple-dst'], ['--tuple-port-src']],
  [
    ['-L', 'expect', '--'],
    ['--family', '--output'],
    ['--src', '--zero'],
  ],
  [['-L', '-p', 'sc'], ['sctp'], ['tcp']],
  [['-L', '-p', 'tcp', '--s'], ['--sport', '--state', '--src'], []],
  [['-L', '-p', 'icmp', '--'], ['--icmp-type'], ['--sport', '--state']],
  [['-L', '-p', 'tcp', '--state', 'E'], ['ESTABLISHED'], ['CLOSE']],
  [['--dump', '-f', 'ip'], ['ipv4', 'ipv6'], []],
  [['-L', '-o', 'x'], ['xml'], ['save']],
  [['-L', '-o', 'xml,ti'], ['xml,timestamp'], ['xml,xml']],
  [['-L', '--netns', 'a'], ['all'], []],
  [['-R', '/etc/host'], ['/etc/hosts'], ['--src']],
  [['he'], ['help'], ['-L']],
  [['help', 'up'], ['update'], ['tcp']],
  [['help', 'he'], ['help'], []],
  [['help', '--'], ['--help'], ['--src', '--dump']],
  [['-L', 'he'], [], ['help']],
  [['-L', '--labelmap', '/etc/host'], ['/etc/hosts'], []],
  [['complete'], [], ['complete-filter']],
];

function offers(complete: Complete): void {
  for (const [words, offered, not] of CASES)
    test(`conntrack ${words.join(' ')}`, () => {
      const found = complete(...words);
      for (const word of offered) assert.ok(found.includes(word), `${word} is not among ${found.join(' ')}`);
      for (const word of not) assert.ok(!found.includes(word), `${word} is offered`);
    });
}

suite('bash', { skip: without('bash') }, () => {
  test('the syntax is right', () => {
    run('bash', '-n', file('completions/conntrack.bash'));
  });
  offers((...words) => {
    const script = `source "$1"; shift
[[ $(complete -p conntrack) == *"-F _conntrack "* ]] || exit 1
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$*; COMP_POINT=\${#COMP_LINE}; _conntrack; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return run('bash', '-c', script, 'bash', file('completions/conntrack.bash'), 'conntrack', ...words).split('\n');
  });

  test('--name=value is three words for bash', () => {
    const script = `source "$1"; COMP_WORDS=(conntrack -L --output = ext); COMP_CWORD=4
COMP_LINE='conntrack -L --output=ext'; COMP_POINT=25; _conntrack; echo "\${COMPREPLY[@]}"`;
    assert.equal(run('bash', '-c', script, 'bash', file('completions/conntrack.bash')), 'extended\n');
  });
});

suite('fish', { skip: without('fish') }, () => {
  test('the syntax is right', () => {
    run('fish', '--no-execute', file('completions/conntrack.fish'));
  });
  offers((...words) => {
    const line = `conntrack ${words.join(' ')}`;
    const out = run('fish', '--no-config', '-c', `source ${file('completions/conntrack.fish')}; complete -C '${line}'`);
    return out.split('\n').map((offer) => offer.split('\t')[0]!);
  });
});

suite('zsh', { skip: without('zsh') }, () => {
  // Where compinit keeps what it has found: without it, each of the shells looks at a thousand files of its own.
  const folder = mkdtempSync(join(tmpdir(), 'completion-'));
  after(() => rmSync(folder, { recursive: true }));
  test('the syntax is right', () => {
    run('zsh', '-n', file('completions/_conntrack'));
  });
  // A shell of its own on a terminal of its own, where completion is asked for with a key. What it echoes has no DONE in one piece.
  offers((...words) => {
    const script = `zmodload zsh/zpty; zpty inner zsh -f -i
zpty -w inner 'PS1=; fpath=(${file('completions')} $fpath); autoload -Uz compinit; compinit -u -d ${folder}/dump; zstyle ":completion:*" list-separator "|"'
zpty -w inner 'report() { compadd() { local -a found; builtin compadd -O found "$@"; print -l "OFFER:"$^found; builtin compadd "$@" }; LISTMAX=0; zle complete-word; unfunction compadd; print DO""NE; }; zle -C complete-word list-choices _main_complete; zle -N report; bindkey "^X" report; print REA""DY'
zpty -r -m inner line '*READY*'
zpty -w -n inner 'conntrack ${words.join(' ')}'$'\\x18'
zpty -r -m inner line '*DONE*'; print -r -- "$line"; zpty -d inner`;
    const out = run('zsh', '-f', '-c', script);
    // Of a path or a list it offers the last part alone.
    const head = /^.*[,/]/.exec(words.at(-1)!)?.[0] ?? '';
    return [...out.matchAll(/OFFER:([^\r\n]*)/g)].map(([, word]) => head + word!);
  });
});

suite('manual page', () => {
  const source = readProjectFile('dist/man/conntrack.8');

  test('mandoc has nothing to say', { skip: without('mandoc') }, () => {
    run('mandoc', '-Tlint', '-W', 'warning,stop', file('man/conntrack.8'));
  });

  test('groff has nothing to say', { skip: without('groff') }, () => {
    run('groff', '-man', '-ww', '-Tutf8', '-Z', file('man/conntrack.8'));
  });

  test('it has every command and option', () => {
    const plain = source.replaceAll('\\-', '-').replaceAll('\\fB', '').replaceAll('\\fR', '');
    for (const word of words()) assert.ok(plain.includes(`conntrack ${word.name}`), word.name);
    for (const command of COMMANDS) for (const name of command.names) assert.ok(plain.includes(`--${name}`), name);
    for (const option of shellOptions()) for (const name of option.names) assert.ok(plain.includes(name), name);
  });
});
