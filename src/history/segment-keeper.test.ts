// SegmentKeeper: what cannot be sealed is tried again, later each time, and not for ever.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { loadDriver } from './driver/load-driver.js';
import { readManifest } from './manifest.js';
import { segmentFiles } from './segment-files.js';
import { SegmentKeeper } from './segment-keeper.js';

/** A program in the place of `conntrack seal-record`, which fails so often. */
function sealer(directory: string, failures: number): readonly string[] {
  const path = `${directory}/sealer`;
  writeFileSync(
    path,
    `#!/bin/sh\necho >>${directory}/tries\n[ $(wc -l <${directory}/tries) -gt ${failures} ] || { echo 'no room' >&2; exit 1; }\n` +
      `echo '{"rows":1,"sha256":"ab"}'\n`,
  );
  chmodSync(path, 0o700);
  return [path];
}

async function run(failures: number, until: RegExp): Promise<{ said: readonly string[]; tries: number; sealed: number }> {
  const directory = mkdtempSync(`${tmpdir()}/conntrack-keeper-`);
  const awake = setInterval(() => {}, 1000); // a keeper does not keep its process
  try {
    writeFileSync(`${directory}/20260301T000000Z-000001.db`, '');
    const said: string[] = [];
    const keeper = await new Promise<SegmentKeeper>((resolve) => {
      const hear = (text: string) => {
        said.push(text);
        if (until.test(text)) resolve(made);
      };
      const made = new SegmentKeeper(
        loadDriver(),
        { directory, launcher: sealer(directory, failures), sealAgain: 1 },
        { sealed: ({ name }) => hear(`sealed ${name}`), deleted: () => {}, failed: hear },
      );
      made.seal(segmentFiles(directory)[0]!);
    });
    assert.equal(keeper.backlog, /^sealed/.test(said.at(-1)!) ? 0 : 1);
    keeper.close();
    const tries = readFileSync(`${directory}/tries`, 'utf8').length;
    return { said, tries, sealed: readManifest(directory).lines.length };
  } finally {
    clearInterval(awake);
    rmSync(directory, { recursive: true });
  }
}

test('what could not be sealed is tried again until it can', async () => {
  const { said, tries, sealed } = await run(3, /^sealed/);
  assert.equal(said[0], 'cannot seal 20260301T000000Z-000001.db: no room; it is tried again in 1 s');
  assert.deepEqual([said.length, said.at(-1), tries, sealed], [4, 'sealed 20260301T000000Z-000001.db', 4, 1]);
});

test('what never can be sealed is left to the next run', async () => {
  const { said, tries, sealed } = await run(1000, /the next run/);
  assert.deepEqual([said.length, tries, sealed], [10, 10, 0]);
});
