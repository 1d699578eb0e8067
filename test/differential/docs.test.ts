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
