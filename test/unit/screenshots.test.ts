// The pictures in the documentation: those of `conntrack top` are what it draws now, those of the page are shown and small.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
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
  for (const path of pictures.filter((name) => name.endsWith('.webp'))) {
    const { size } = statSync(join(PROJECT, path));
    assert.ok(size > 10_000 && size < 120_000, `${path}: ${size}`);
  }
  for (const path of pictures.filter((name) => name.endsWith('.svg'))) {
    const text = readProjectFile(path);
    assert.ok(text.length < 60_000, `${path}: ${text.length}`);
    assert.doesNotMatch(text, /<script|<foreignObject|<image|<use|\bhref=|url\(|@import|\son\w+=/, path);
  }
});

test('every picture is shown, and says what one sees', () => {
  const pages = [readProjectFile('README.md'), readProjectFile('docs/top.md'), readProjectFile('docs/serve.md')].join('\n');
  for (const path of pictures)
    assert.match(pages, new RegExp(`!\\[[^\\]]{40,}\\]\\([\\w/]*${path.slice('docs/'.length)}\\)`), path);
});
