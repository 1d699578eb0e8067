// node scripts/code-cache.cjs DIST: writes the compiled code of the bundled commands for bin/conntrack. A cache holds the functions that
// have been called, so commands are run first, with a stand-in for the kernel; their output goes nowhere. Letters have three caches:
// functions that a command does not call make its cache slower to read, and for short commands the start takes most of the time.
// - conntrack.cjs.cache: for commands of which little more than the start is seen
// - conntrack.cjs.table.cache: for those that list and change entries
// - conntrack.cjs.filter.cache: for the same with a filter in text, whose language the others do not load
// - words/WORD.cjs.cache
'use strict';
const { readdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { basename, resolve } = require('node:path');
const { Script } = require('node:vm');
const { koffi } = require('./stand-in-kernel.cjs');

const dist = resolve(process.argv[2]);
const exit = process.exit;
process.dlopen = (module) => {
  module.exports = koffi;
};
// What is called, and so what is in a cache, must not depend on how fast this machine is.
performance.now = () => 0;

/** Entries of the layouts that are met most. */
const ENTRIES = ['10.0.0.1 -d 192.0.2.10', '2001:db8::1 -d 2001:db8::10'].flatMap((addresses) => [
  `-I -t 60 -u SEEN_REPLY,ASSURED -s ${addresses} -p tcp --sport 1000 --dport 80 --state ESTABLISHED`,
  `-I -t 60 -u SEEN_REPLY -s ${addresses} -p udp --sport 1000 --dport 53 -m 1`,
  `-I -t 60 -s ${addresses} -p udp --sport 1001 --dport 53`,
]);
const loaded = `${dist}/conntrack.cjs.lines`;
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
/** A tab is as good as a blank in an expression. */
const FILTERED = [
  '-L --filter=tcp\tand\tdst\tport\t{80,\t443}\tand\tnot\tsrc\t10.0.0.0/8\tand\tbytes\t>\t1M',
  '-D --filter=udp\tor\thost\t10.0.0.1',
];
/** What a word does most, besides its help. */
const WORDS = {
  help: ['help', 'help update'],
  'complete-filter': ['complete-filter tcp and dst port ht', 'complete-filter tcp and ( state est', 'complete-filter not '],
};

(async () => {
  writeFileSync(loaded, `${ENTRIES.join('\n')}\n`);
  const letters = bundled('conntrack.cjs');
  for (const command of START) await letters.run(command);
  letters.write('.cache');
  for (const command of TABLE) await letters.run(command);
  letters.write('.table.cache');
  for (const command of FILTERED) await letters.run(command);
  letters.write('.filter.cache');
  rmSync(loaded);
  for (const file of readdirSync(`${dist}/words`).filter((name) => name.endsWith('.cjs'))) {
    const name = basename(file, '.cjs');
    const word = bundled(`words/${file}`);
    for (const command of [`${name} --help`, ...(WORDS[name] ?? [])]) await word.run(command);
    word.write('.cache');
  }
  exit(0);
})();

function bundled(path) {
  const filename = `${dist}/${path}`;
  const source = readFileSync(filename, 'latin1');
  // The name is what stack traces show; not where it was built.
  const script = new Script(source, { filename: basename(path) });
  return {
    async run(command) {
      process.argv = [process.argv0, 'conntrack', ...command.split(' ')];
      const status = await new Promise((ended) => {
        process.exit = ended;
        script.runInThisContext()({}, require, {}, filename);
      });
      if (status !== 0) throw new Error(`conntrack ${command}: status ${status}`);
    },
    write: (ending) => writeFileSync(filename + ending, script.createCachedData()),
  };
}
