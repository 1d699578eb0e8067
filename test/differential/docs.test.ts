// The lines of docs/json.md do what they say: each is run, in a namespace with entries.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Namespace } from '../support/namespace.js';
import { populate } from '../support/population.js';
import { COMMAND_ENVIRONMENT, readProjectFile, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';

const [block = ''] = /```sh\n([\s\S]*?)```/.exec(readProjectFile('docs/json.md'))?.slice(1) ?? [];
const LINES = block.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const withoutJq = spawnSync('jq', ['--version']).status !== 0;
/** It prints nothing if nothing happens. */
const MAY_BE_SILENT = /^conntrack -(E|L -o ndjson > table|.*-R)/;

before(requirePrerequisites);
suite('docs/json.md', { skip: SELF_TEST ? 'our own words' : withoutJq ? 'jq is not installed' : false }, () => {
  let ns: Namespace;
  before(async () => {
    ns = await Namespace.create('docs');
    await populate(ns, { accounting: true, timestamps: true, traffic: 'all' });
  });
  after(() => ns?.close());

  test('there are lines', () => assert.ok(LINES.length > 10));

  for (const line of LINES)
    test(line, async () => {
      const script = `set -o pipefail; cd "$(mktemp -d)"; conntrack() { "${UNDER_TEST}" "$@"; }; ${line}`;
      const environment = { PATH: `${dirname(process.execPath)}:${COMMAND_ENVIRONMENT['PATH']}` };
      const { status, stdout, stderr } = await ns.run(['bash', '-c', script], { environment });
      assert.equal(status, 0, stderr.toString());
      if (!MAY_BE_SILENT.test(line)) assert.notEqual(stdout.toString().trim(), '', 'nothing was printed');
    });
});

/** The lines of a page that ask a running server. Definitions, which print nothing, stand before all others. */
const SERVE_BLOCK = Array.from(readProjectFile('docs/serve.md').matchAll(/```sh\n([\s\S]*?)```/g), ([, text]) => text!).find(
  (text) => text.includes('curl '),
)!;
const SERVE_LINES = SERVE_BLOCK.split('\n').filter((line) => line !== '');
const isDefinition = (line: string) => /^\w+(=|\(\) \{)/.test(line);
const TOKEN_LINE = /^\(umask 077; .*\/etc\/conntrack\/token\)$/m.exec(readProjectFile('docs/serve.md'))![0];

suite('docs/serve.md', { skip: SELF_TEST ? 'our own words' : withoutJq ? 'jq is not installed' : false }, () => {
  let ns: Namespace;
  let served: number;
  const environment = { PATH: `${dirname(process.execPath)}:${COMMAND_ENVIRONMENT['PATH']}` };
  const run = (script: string) => ns.run(['bash', '-c', script], { environment });
  before(async () => {
    ns = await Namespace.create('serve-docs');
    await populate(ns, { accounting: true, timestamps: true, traffic: 'all' });
    assert.equal((await run(`mkdir -p /etc/conntrack; ${TOKEN_LINE}`)).status, 0);
    served = await ns.start([UNDER_TEST, 'serve', '--allow-changes', '--token-file', '/etc/conntrack/token'], {
      timeLimit: 120_000,
    });
    const ready = await run('for n in {1..100}; do curl -fs http://127.0.0.1:8466/readyz && exit; sleep 0.1; done; exit 1');
    assert.equal(ready.status, 0, ready.stderr.toString());
  });
  after(async () => {
    await ns?.ask('signal', served, 'SIGTERM').catch(() => {});
    await ns?.close();
  });

  test('there are lines', () => assert.ok(SERVE_LINES.filter((line) => !isDefinition(line)).length > 8));

  for (const [n, line] of SERVE_LINES.entries()) {
    if (isDefinition(line)) continue;
    test(line, async () => {
      const definitions = SERVE_LINES.slice(0, n).filter(isDefinition);
      const { status, stdout, stderr } = await run(['set -e', ...definitions, line].join('\n'));
      assert.equal(status, 0, stderr.toString());
      const printed = stdout.toString().trim();
      assert.ok(!['', 'null', '[]', '{}'].includes(printed), `it printed ${JSON.stringify(printed)}`);
    });
  }
});
