// Imported first by the scripts that people run: with --help it prints the comment at the top of the script, and exits.

import { readFileSync } from 'node:fs';

if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
  const [comment] = /^(\/\/.*\n)+/.exec(readFileSync(process.argv[1], 'utf8'));
  console.log(comment.replace(/^\/\/ ?/gm, ''));
  process.exit(0);
}
