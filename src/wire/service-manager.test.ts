import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { putHost16 } from './bytes.js';
import { EINVAL } from './errno.js';
import { libc } from './ffi.js';
import { notifyManager } from './service-manager.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;

/** A manager's socket at a path, or with a name, and what arrives there. */
function listening(path: string): { readonly fd: number; readonly next: () => string } {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`);
  const address = new Uint8Array(2 + name.length);
  putHost16(address, 0, AF_UNIX);
  address.set(name, 2);
  const fd = libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  assert.equal(libc().bind(fd, address, address.length), 0);
  const bytes = Buffer.alloc(100);
  return { fd, next: () => bytes.toString('utf8', 0, readSync(fd, bytes)) };
}

test('a manager hears each line, at a path and at a name', () => {
  const directory = mkdtempSync(`${tmpdir()}/conntrack-manager-`);
  try {
    for (const path of [`${directory}/notify`, `@conntrack-test-${process.pid}`]) {
      const { fd, next } = listening(path);
      assert.equal(notifyManager(path, 'READY=1'), 7);
      assert.equal(notifyManager(path, 'WATCHDOG=1'), 10);
      assert.deepEqual([next(), next()], ['READY=1', 'WATCHDOG=1']);
      closeSync(fd);
    }
    assert.ok(notifyManager(`${directory}/none`, 'READY=1') < 0);
    for (const wrong of ['', 'notify', 'vsock:2:1', `/${'x'.repeat(107)}`])
      assert.equal(notifyManager(wrong, 'READY=1'), -EINVAL);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
