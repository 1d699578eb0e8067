// Worker threads that end while the library has sockets, watches and lists under way in them: the process goes on, and nothing stays
// open. In a process of their own, whose main thread has not loaded koffi: then Node.js unloads it with the thread.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Namespace } from '../support/namespace.js';
import { PROJECT, requirePrerequisites, SELF_TEST } from '../support/project.js';

const PROGRAM = fileURLToPath(new URL('../support/ending-workers.js', import.meta.url));

/** koffi lies where the library looks first, and where only its own loader finds it. */
const LIBRARIES = [
  ['koffi opened directly', join(PROJECT, 'dist', 'index.js')],
  ['koffi by its loader', join(PROJECT, 'build', 'src', 'index.js')],
] as const;

before(requirePrerequisites);
suite('worker threads', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await Namespace.create('workers');
  });
  after(() => namespace.close());

  for (const [layout, library] of LIBRARIES)
    for (const how of ['terminate', 'exit', 'throw'])
      test(`a worker that ends by ${how} takes its sockets with it, and nobody else (${layout})`, async () => {
        const { status, stdout, stderr } = await namespace.run([process.execPath, PROGRAM, library, how]);
        assert.deepEqual({ status, left: stdout.toString() }, { status: 0, left: '0\n' }, stderr.toString());
      });
});
