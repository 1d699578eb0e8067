// Output at the pace of its reader: a full pipe makes nobody wait, nothing is lost, and the order is kept.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OutputError } from '../../src/cli/output/output.js';
import { PacedMessages } from '../../src/cli/output/paced-messages.js';
import { PacedOutput } from '../../src/cli/output/paced-output.js';

/** Runs `work` with both ends of a FIFO; the reader's never waits. */
async function withPipe(work: (writer: number, reader: number, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'conntrack-test-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  try {
    await work(writer, reader, folder);
  } finally {
    for (const fd of [writer, reader])
      try {
        closeSync(fd);
      } catch {
        // The test has closed it.
      }
    rmSync(folder, { recursive: true });
  }
}

function read(reader: number): Buffer {
  const bytes = Buffer.alloc(50_000);
  try {
    return bytes.subarray(0, readSync(reader, bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return Buffer.alloc(0);
    throw error;
  }
}

const pattern = (length: number, from = 0) => Uint8Array.from({ length }, (_, n) => (n + from) % 251);

test('what a full pipe does not take is kept, and comes in order when it is read', async () => {
  await withPipe(async (writer, reader) => {
    const output = new PacedOutput(writer);
    const whole = pattern(300_000);
    for (let at = 0; at < whole.length; at += 30_000) output.write(whole.subarray(at, at + 30_000), 30_000);
    assert.ok(output.kept > 200_000);
    const parts: Buffer[] = [];
    const timer = setInterval(() => parts.push(Buffer.from(read(reader))), 2);
    await Promise.all([output.taken(), output.taken()]);
    clearInterval(timer);
    assert.equal(output.kept, 0);
    for (let part = read(reader); part.length > 0; part = read(reader)) parts.push(Buffer.from(part));
    assert.equal(Buffer.compare(Buffer.concat(parts), whole), 0);
    output.close();
  });
});

test('a reader that goes away is an OutputError, also while it is waited for', async () => {
  await withPipe(async (writer, reader) => {
    const output = new PacedOutput(writer);
    output.write(pattern(200_000), 200_000);
    const taken = assert.rejects(output.taken(), (error) => error instanceof OutputError && error.code === 'EPIPE');
    closeSync(reader);
    await taken;
    output.close();
  });
});

test('a file takes everything at once', async () => {
  await withPipe(async (_writer, _reader, folder) => {
    const fd = openSync(join(folder, 'file'), 'w');
    const output = new PacedOutput(fd);
    output.write(pattern(1_000_000), 1_000_000);
    assert.equal(output.kept, 0);
    closeSync(fd);
    assert.equal(readFileSync(join(folder, 'file')).length, 1_000_000);
  });
});

test('messages that nobody takes are bounded, and do not keep the end', async () => {
  await withPipe(async (writer, reader) => {
    const messages = new PacedMessages(writer);
    for (let n = 0; n < 20_000; n++) messages.line(`message ${n}`);
    const began = Date.now();
    await messages.close(50);
    assert.ok(Date.now() - began < 2000);
    let text = '';
    for (let part = read(reader); part.length > 0; part = read(reader)) text += part.toString();
    assert.match(text, /^message 0\nmessage 1\n/);
    assert.ok(text.length < 200_000);
  });
});
