// The pictures of `conntrack top` in the documentation are what it draws now.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT, readProjectFile } from '../support/project.js';

const FOLDER = 'docs/pictures';
const pictures = readdirSync(join(PROJECT, FOLDER)).map((name) => `${FOLDER}/${name}`);

test('the pictures of top are what "npm run screenshots" makes now, whatever the time zone', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(PROJECT, 'scripts/screenshots.mjs'), '--check'], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'Asia/Kolkata' },
  });
  assert.equal(status, 0, `${stderr}npm run screenshots makes them anew`);
});

test('a picture is small, and asks for nothing', () => {
  assert.ok(pictures.length > 0);
  for (const path of pictures) {
    const text = readProjectFile(path);
    assert.ok(text.length < 60_000, `${path}: ${text.length}`);
    assert.doesNotMatch(text, /<script|<foreignObject|<image|<use|\bhref=|url\(|@import|\son\w+=/, path);
  }
});

test('every picture is shown, and says what one sees', () => {
  const pages = [readProjectFile('README.md'), readProjectFile('docs/top.md')].join('\n');
  for (const path of pictures)
    assert.match(pages, new RegExp(`!\\[[^\\]]{40,}\\]\\([\\w/]*${path.slice('docs/'.length)}\\)`), path);
});
