// node scripts/code-cache.cjs BUNDLE: writes the compiled code of the bundled command for bin/conntrack. A cache holds the functions
// that have been called, so commands are run first, with a stand-in for the kernel; their output goes nowhere. There are two: what
// a command does not call makes its cache slower to read, and the short commands are those where the start takes the time.
// - BUNDLE.cache: for commands of which little more than the start is seen
// - BUNDLE.table.cache: for those that list and change entries
'use strict';
const { readFileSync, rmSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const { koffi } = require('./stand-in-kernel.cjs');

const bundle = process.argv[2];
const filename = require('node:path').resolve(bundle);
const source = readFileSync(filename, 'latin1');
const exit = process.exit;
process.dlopen = (module) => {
  module.exports = koffi;
};

// The same text as in bin/conntrack: V8 compares it. The name is what stack traces show; not where it was built.
const script = new Script(`(function (exports, require, module, __filename) {${source}\n})`, { filename: 'conntrack.cjs' });

/** Entries of the layouts that are met most. */
const ENTRIES = ['10.0.0.1 -d 192.0.2.10', '2001:db8::1 -d 2001:db8::10'].flatMap((addresses) => [
  `-I -t 60 -u SEEN_REPLY,ASSURED -s ${addresses} -p tcp --sport 1000 --dport 80 --state ESTABLISHED`,
  `-I -t 60 -u SEEN_REPLY -s ${addresses} -p udp --sport 1000 --dport 53 -m 1`,
  `-I -t 60 -s ${addresses} -p udp --sport 1001 --dport 53`,
]);
const loaded = `${bundle}.lines`;
const START = ['-V', '-C'];
const TABLE = [
  `-R ${loaded}`,
  '-L',
  '-L -o save',
  '-L -p tcp -s 10.0.0.1 -o id',
  '-G -p tcp -s 10.0.0.1 -d 192.0.2.10 --sport 1000 --dport 80',
  '-U -p udp -m 2',
  '-D -p udp',
];

(async () => {
  writeFileSync(loaded, `${ENTRIES.join('\n')}\n`);
  for (const command of START) await run(command);
  writeFileSync(`${bundle}.cache`, script.createCachedData());
  for (const command of TABLE) await run(command);
  writeFileSync(`${bundle}.table.cache`, script.createCachedData());
  rmSync(loaded);
  exit(0);
})();

async function run(command) {
  process.argv = [process.argv0, 'conntrack', ...command.split(' ')];
  const status = await new Promise((resolve) => {
    process.exit = resolve;
    script.runInThisContext()({}, require, {}, filename);
  });
  if (status !== 0) throw new Error(`conntrack ${command}: status ${status}`);
}
