// The programs of docs/library.md that need no kernel: each line gives the value in its comment.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as api from '../../src/index.js';

const text = readFileSync(new URL('../../../docs/library.md', import.meta.url), 'utf8');
const [, program = ''] = /```js\n(import \{[^`]*?from 'conntrack';[\s\S]*?)```/.exec(text) ?? [];

/** A line of `conntrack -L -o ndjson`. */
const line = JSON.stringify({
  family: 'ipv4',
  protocol: 'tcp',
  state: 'SYN_SENT',
  timeout: 117,
  original: { src: '192.0.2.1', dst: '198.51.100.7', protonum: 6, sport: 40000, dport: 443 },
  reply: { src: '198.51.100.7', dst: '192.0.2.1', protonum: 6, sport: 443, dport: 40000 },
  status: ['CONFIRMED'],
  mark: 0,
});

test('every line of "Flows without a table" gives what stands behind it', () => {
  const results: [line: string, given: unknown, told: unknown][] = [];
  const body = program
    .replace(/^import (\{.*\}) from 'conntrack';$/m, 'const $1 = api;')
    .replace(
      /^(.*); \/\/ ('.*'|true|false|\d+)$/gm,
      (_, code, told) => `results.push([${JSON.stringify(code)}, ${code}, ${told}]);`,
    );
  new Function('api', 'line', 'results', body)(api, line, results);
  assert.equal(results.length, 5);
  for (const [code, given, told] of results) assert.equal(given, told, code);
});
