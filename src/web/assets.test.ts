import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT } from '../../test/support/project.js';

const FOLDER = join(PROJECT, 'src/web/page');

test('the page makes elements of text only, and asks nobody but its own server', () => {
  for (const name of readdirSync(FOLDER)) {
    const text = readFileSync(join(FOLDER, name), 'utf8');
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\b|new Function|\son\w+="/i,
      name,
    );
    assert.doesNotMatch(text, /(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?\/\//, name);
  }
});

test('the built page is small, and its document names files that are there', async () => {
  const { createHandler } = await import(join(PROJECT, 'dist/web/index.js'));
  const { Conntrack } = await import(join(PROJECT, 'dist/index.js'));
  const { openMeter } = await import(join(PROJECT, 'dist/meter/index.js'));
  const { MemoryTable } = await import(join(PROJECT, 'dist/testing/index.js'));
  const conntrack = await Conntrack.open({ transport: new MemoryTable().open });
  const meter = await openMeter(conntrack);
  const handler = createHandler({ meter, conntracks: conntrack });
  try {
    const ask = (path: string, encoding = '') =>
      handler(new Request(`http://localhost/${path}`, { headers: { 'accept-encoding': encoding } }));
    const html = await (await ask('')).text();
    const names = [...html.matchAll(/(?:src|href)="((?:assets\/|favicon)[^"]+)"/g)].map(([, name]) => name!);
    assert.equal(names.length, 3);
    for (const name of names) {
      const plain = await ask(name);
      assert.equal(plain.status, 200, name);
      const packed = await ask(name, 'gzip');
      assert.equal(packed.headers.get('content-encoding'), 'gzip');
      const size = (await packed.arrayBuffer()).byteLength;
      assert.ok(size < (name.endsWith('.js') ? 45_000 : 6000), `${name} has ${size} bytes`);
      if (name.startsWith('assets/')) assert.match(plain.headers.get('cache-control')!, /immutable/);
    }
    assert.equal((await ask('assets/../../package.json')).status, 404);
    assert.equal((await ask('assets/toString')).status, 404);
  } finally {
    handler.close();
    meter.close();
    await conntrack.close();
  }
});
