// Imported first by the scripts that people run: with --help it shows the comment that the script begins with, and ends.

import { readFileSync } from 'node:fs';

if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
  const [comment] = /^(\/\/.*\n)+/.exec(readFileSync(process.argv[1], 'utf8'));
  console.log(comment.replace(/^\/\/ ?/gm, ''));
  process.exit(0);
}
