// `npm start`: the command from a checkout. `npm start -- -L -o xml` runs `conntrack -L -o xml`; without arguments, `-L`.
// It runs inside this process, so that its exit status, its signals and a closed pipe behave as they do for the command.

import { createRequire } from 'node:module';
import { ensureBuilt, root } from './fresh.mjs';

ensureBuilt();
const given = process.argv.slice(2);
const command = `${root}/bin/conntrack`;
if (given.length === 0 && process.stderr.isTTY)
  process.on('exit', () =>
    console.error('npm run demo shows it at work on traffic of its own; npm start -- help tells the rest'),
  );
process.argv = [process.execPath, command, ...(given.length > 0 ? given : ['-L'])];
createRequire(import.meta.url)(command);
