// Expressions completed in real shells: each is started on a terminal, gets a line and a tab, and says what the line has become.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { completions } from '../../src/cli/docs/index.js';
import { type WordRow, words } from '../../src/words/words.js';
import { PROJECT } from '../support/project.js';

const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
const folder = mkdtempSync(join(tmpdir(), 'completion-'));
after(() => rmSync(folder, { recursive: true }));

/** A word whose operands are an expression. */
const SIFT: WordRow = {
  name: 'sift',
  synopsis: '[EXPRESSION...]',
  help: 'Only for this test.',
  about: [],
  options: {
    limit: { short: 'n', value: 'NUMBER', help: 'How many.' },
    json: { help: 'As JSON.' },
    only: { value: 'EXPR', help: 'Which.' },
  },
  operands: { kind: 'expression' },
  examples: [],
};
for (const [path, text] of Object.entries(completions([...words(), SIFT]))) {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), text);
}

/** How to start each of them with the completions; Ctrl-T prints the line. */
const SHELLS: Readonly<Record<string, readonly [start: string, file: string, text: string]>> = {
  bash: [
    'bash --rcfile rc.bash -i',
    'rc.bash',
    `source completions/conntrack.bash; PS1=READY
bind 'set enable-bracketed-paste off'; bind -x '"\\C-t": printf "\\nLINE<%s>\\n" "$READLINE_LINE"'`,
  ],
  zsh: [
    'zsh -d -i',
    '.zshrc',
    `fpath=(completions $fpath); autoload -Uz compinit; compinit -u -d ./dump; PS1=READY
said() { print -r -- $'\\n'"LINE<$BUFFER>" }; zle -N said; bindkey "^T" said`,
  ],
  fish: [
    'fish --no-config -i -C "source rc.fish"',
    'rc.fish',
    `source completions/conntrack.fish
function fish_prompt; echo READY; end
bind \\ct 'echo; echo "LINE<"(commandline)">"'`,
  ],
};

/** What the line is after a tab, or several; and all that was on the terminal since the first. */
async function typed(shell: string, line: string, path: string, keys = '\t'): Promise<{ line: string; screen: string }> {
  const [start, file, text] = SHELLS[shell]!;
  writeFileSync(join(folder, file), text);
  const env = { PATH: path, HOME: folder, ZDOTDIR: folder, LC_ALL: 'C.UTF-8', TERM: 'xterm' };
  const child = spawn('script', ['-qec', start, '/dev/null'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
  let screen = '';
  const until = async (pattern: RegExp) => {
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      screen += chunk;
      const match = pattern.exec(screen);
      if (match) return match;
    }
    throw new Error(`${shell} has ended: ${screen}`);
  };
  try {
    await until(/READY/);
    screen = '';
    child.stdin.write(`${line}${keys}\x14`);
    const [, found] = await until(/LINE<(.*)>\r?\n/);
    return { line: found!, screen };
  } finally {
    child.stdin.destroy();
    child.kill('SIGKILL');
  }
}

/** A command line that is begun → what a tab makes of it. */
const CASES: readonly (readonly [typed: string, becomes: string])[] = [
  ["conntrack -L --filter 'sta", "conntrack -L --filter 'sta"],
  ["conntrack -L --filter 'assu", "conntrack -L --filter 'assured "],
  ["conntrack -L --filter 'tcp and dst po", "conntrack -L --filter 'tcp and dst port "],
  ["conntrack -L --filter 'tcp and state est", "conntrack -L --filter 'tcp and state established "],
  ["conntrack -L --filter 'tcp and not assu", "conntrack -L --filter 'tcp and not assured "],
  ["conntrack -L --filter 'tcp and dst port {ssh, https, rsy", "conntrack -L --filter 'tcp and dst port {ssh, https, rsync "],
  ["conntrack -L --filter 'udp and (host 10.0.0.1:53 or ass", "conntrack -L --filter 'udp and (host 10.0.0.1:53 or assured "],
  ["conntrack -D -p tcp --filter='tcp and snat t", "conntrack -D -p tcp --filter='tcp and snat to "],
  ["conntrack -E --filter='assu", "conntrack -E --filter='assured "],
  ['conntrack -L --filter "tcp and ds', 'conntrack -L --filter "tcp and dst '],
  ['conntrack -L --filter tcp\\ and\\ ds', 'conntrack -L --filter tcp\\ and\\ dst '],
  ['conntrack -L --filter assu', 'conntrack -L --filter assured '],
  ["conntrack -L --filter 'tcp and bogus and ds", "conntrack -L --filter 'tcp and bogus and ds"],
  ["conntrack -L --filter 'tcp' --explain", "conntrack -L --filter 'tcp' --explain-filter "],
  ['conntrack he', 'conntrack help '],
  ['conntrack -L --proto=udpl', 'conntrack -L --proto=udplite '],
  ['conntrack sift assu', 'conntrack sift assured '],
  ['conntrack sift tcp and ds', 'conntrack sift tcp and dst '],
  ['conntrack sift --limit 5 tcp --json and dst po', 'conntrack sift --limit 5 tcp --json and dst port '],
  ["conntrack sift -n 5 'tcp and dst po", "conntrack sift -n 5 'tcp and dst port "],
  ["conntrack sift 'tcp and' ds", "conntrack sift 'tcp and' dst "],
  ["conntrack sift --only 'tcp and ds", "conntrack sift --only 'tcp and dst "],
  ["conntrack sift --only='tcp and ds", "conntrack sift --only='tcp and dst "],
  ['conntrack sift tcp --js', 'conntrack sift tcp --json '],
  ['conntrack fleet who', 'conntrack fleet whohad '],
  ['conntrack fleet --nats nats://n1 hos', 'conntrack fleet --nats nats://n1 hosts '],
  ['conntrack fleet list tcp and ds', 'conntrack fleet list tcp and dst '],
  ["conntrack fleet --wait 1s delete 'tcp and ds", "conntrack fleet --wait 1s delete 'tcp and dst "],
  ['conntrack fleet count assu', 'conntrack fleet count assured '],
];

for (const shell of Object.keys(SHELLS)) {
  const missing = [shell, 'script'].filter(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH } }).status !== 0,
  );
  suite(shell, { skip: missing.length > 0 ? `${missing.join(' and ')} missing` : false }, () => {
    for (const [before, behind] of CASES)
      test(before, async () => {
        const { line, screen } = await typed(shell, before, `${PROJECT}/bin:${PATH}`);
        assert.equal(line, behind);
        assert.doesNotMatch(screen, /completions|_conntrack/, 'a complaint about the script');
      });

    test('lists words, not the text before them', async () => {
      const { screen } = await typed(shell, "conntrack -L --filter 'tcp and not ", `${PROJECT}/bin:${PATH}`, '\t\t');
      for (const word of ['assured', 'bytes', 'confirmed'])
        assert.match(screen, new RegExp(`(^|\\s|…)( ?\\S+ )?${word}\\s`, 'm'));
    });

    // The program that is asked says what it was asked. In single quotes: at a tab, zsh itself runs what stands in double ones.
    const asked = join(folder, 'asked');
    const proof = join(folder, 'proof');
    mkdirSync(join(folder, 'bin'), { recursive: true });
    const standIn = (body: string) => {
      writeFileSync(join(folder, 'bin/conntrack'), `#!/bin/sh\n${body}\n`);
      chmodSync(join(folder, 'bin/conntrack'), 0o755);
    };
    for (const text of [
      `$(touch ${proof}) and `,
      `\`touch ${proof}\` and `,
      `; touch ${proof} ; `,
      `" ; touch ${proof}; " `,
      `<(touch ${proof}) `,
      `dst -D --filter \${x:=$(touch ${proof})} ~ ! `,
    ])
      for (const option of ['--filter ', '--filter=', ''])
        test(`does not run ${option}'${text.replaceAll(folder, '')}`, async () => {
          rmSync(asked, { force: true });
          standIn(`[ -e ${asked} ] || printf '%s\\n' "$@" > ${asked}; echo filter-words:0; echo 'tcp	TCP'`);
          const line = `conntrack ${option ? '-L' : 'sift'} ${option}'${text}`;
          assert.equal((await typed(shell, line, `${folder}/bin:${PATH}`)).line, `${line}tcp `);
          assert.ok(!existsSync(proof));
          assert.deepEqual(
            readFileSync(asked, 'utf8')
              .replace(/\n$/, '')
              .split('\n')
              .map((word) => word.trimStart()),
            ['complete-filter', '--', text],
          );
        });

    test('does not run what is not completed', async () => {
      for (const line of [
        `conntrack -L -o '$(touch ${proof}),`,
        `conntrack -L --filter '$(touch ${proof})' --filter-f`,
        `conntrack -L --filter 'tcp' -p '$(touch ${proof})`,
        `conntrack '$(touch ${proof})' -`,
        `conntrack sift '$(touch ${proof})' ds`,
      ]) {
        await typed(shell, line, `${PROJECT}/bin:${PATH}`);
        assert.ok(!existsSync(proof), line);
      }
    });

    test('another program of that name, or one that fails, is silent', async () => {
      const line = "conntrack -L --filter 'tcp and assu";
      for (const body of [
        "echo 'Usage: conntrack [commands]'; echo '-L	assured'; echo noise >&2",
        'echo noise >&2; exit 1',
        'kill -9 $$',
      ]) {
        standIn(body);
        const after = await typed(shell, line, `${folder}/bin:${PATH}`);
        assert.equal(after.line, line);
        assert.doesNotMatch(after.screen, /noise|[Kk]illed/);
      }
    });
  });
}
