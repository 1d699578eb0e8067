// node scripts/code-cache.cjs BUNDLE: writes BUNDLE.cache, the compiled code of the bundled command, for bin/conntrack.
// It holds the functions that have been called, so commands are run first (their output goes nowhere): the short ones, where the
// start is what takes time. More code would make the cache slower to read than it saves.
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');

const COMMANDS = [['-V'], ['-C']];

const bundle = process.argv[2];
const filename = require('node:path').resolve(bundle);
const source = readFileSync(filename, 'latin1');
// The same text as in bin/conntrack: V8 compares it. The name is what stack traces show; not where it was built.
const script = new Script(`(function (exports, require, module, __filename) {${source}\n})`, { filename: 'conntrack.cjs' });
const exit = process.exit;

(async () => {
  for (const command of COMMANDS) {
    process.argv = [process.argv0, 'conntrack', ...command];
    await new Promise((resolve) => {
      process.exit = resolve;
      script.runInThisContext()({}, require, {}, filename);
    });
  }
  writeFileSync(`${bundle}.cache`, script.createCachedData());
  exit(0);
})();
