// What needs no real terminal; test/differential/top-terminal.test.ts has the rest.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { suite, test } from 'node:test';
import { clipboardSequence } from './clipboard.js';
import { FramePace } from './frame-pace.js';
import type { TerminalInput } from './input.js';
import { Terminal, type TerminalOptions } from './terminal.js';
import type { TerminalStreams } from './terminal-streams.js';

/** A terminal that takes what is written when it is told to. */
class SlowOutput extends Writable {
  text = '';
  readonly #waiting: (() => void)[] = [];
  held = false;

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk.toString();
    this.emit('written');
    if (this.held) this.#waiting.push(callback);
    else callback();
  }

  release(): void {
    this.held = false;
    for (const callback of this.#waiting.splice(0)) callback();
  }
}

/** A terminal whose program draws its frames as numbers. */
function opened(options: TerminalOptions = {}) {
  const input = Object.assign(new PassThrough(), { raw: false, setRawMode: (raw: boolean) => (input.raw = raw) });
  const output = new SlowOutput();
  const host = Object.assign(new EventEmitter(), { pid: 1, kill: (..._: unknown[]): boolean => true });
  const events: TerminalInput[] = [];
  let frames = 0;
  let now = '';
  const streams: TerminalStreams = {
    input,
    output,
    writeNow: (text) => {
      now += text;
    },
    size: () => [80, 24],
    host: host as unknown as TerminalStreams['host'],
  };
  const program = {
    input: (event: TerminalInput) => void events.push(event),
    resized: () => {},
    repaint: () => {},
    frame: () => `<${++frames}>`,
  };
  const terminal = new Terminal(streams, program, options);
  terminal.open();
  return { terminal, input, output, host, events, frames: () => frames, now: () => now };
}

async function untilWritten(output: SlowOutput, text: string): Promise<void> {
  while (!output.text.includes(text)) await once(output, 'written');
}

suite('terminal', () => {
  test('what was taken is given back, once', async () => {
    const { terminal, input, output, host } = opened({ mouse: true });
    assert.ok(input.raw);
    await untilWritten(output, '<1>');
    await Promise.all([terminal.end(3), terminal.end(4)]);
    assert.equal(await terminal.ended, 3);
    assert.ok(!input.raw);
    for (const mode of ['1049', '2004', '1000', '1006'])
      assert.deepEqual(
        [`\x1b[?${mode}h`, `\x1b[?${mode}l`].map((sequence) => output.text.split(sequence).length),
        [2, 2],
        mode,
      );
    assert.deepEqual(
      host.eventNames().filter((name) => host.listenerCount(name) > 0),
      [],
    );
  });

  for (const code of ['EIO', 'EPIPE'])
    for (const side of ['input', 'output'] as const)
      test(`${code} of the ${side} is a quiet end`, async () => {
        const all = opened();
        all[side].emit('error', Object.assign(new Error(code), { code }));
        assert.equal(await all.terminal.ended, 129);
        assert.doesNotMatch(all.output.text, /1049l/);
      });

  test('the end of the input is a quiet end', async () => {
    const { terminal, input } = opened();
    input.end();
    assert.equal(await terminal.ended, 129);
  });

  test('another error is told', async () => {
    const { terminal, output } = opened();
    output.emit('error', new Error('no room'));
    await assert.rejects(terminal.ended, /no room/);
  });

  test('an error of the program restores around what waits', async () => {
    const { output, host, now, input } = opened();
    output.held = true;
    await untilWritten(output, '<1>');
    host.emit('uncaughtExceptionMonitor', new Error());
    host.emit('exit');
    assert.equal(now().split('\x1b[?1049l').length, 2);
    assert.ok(!input.raw);
  });

  test('no frame is made while the last one is not taken', async () => {
    const { terminal, output, frames } = opened();
    await untilWritten(output, '<1>');
    output.held = true;
    terminal.draw();
    await untilWritten(output, '<2>');
    for (let n = 0; n < 5; n++) {
      terminal.draw();
      await new Promise((resolve) => setTimeout(resolve, 50)); // nothing happens, which is no event
    }
    assert.equal(frames(), 2);
    output.release();
    await untilWritten(output, '<3>');
    await terminal.end();
    assert.equal(frames(), 3);
  });

  test('keys come in, and Ctrl-Z does not', async () => {
    const { terminal, input, output, host, events } = opened();
    const killed: unknown[][] = [];
    host.kill = (...args: unknown[]) => killed.push(args) > 0;
    await untilWritten(output, '<1>');
    input.write('a\x1a');
    await untilWritten(output, '1049l');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(killed, [[0, 'SIGTSTP']]);
    host.emit('SIGCONT');
    input.write('b');
    await untilWritten(output, '<2>');
    assert.deepEqual(
      events.map((event) => event.type === 'key' && event.key),
      ['a', 'b'],
    );
    await terminal.end();
  });

  test('a copy comes with the next frame', async () => {
    const { terminal, output } = opened();
    await untilWritten(output, '<1>');
    assert.ok(terminal.copy('text'));
    assert.ok(!terminal.copy('x'.repeat(8193)));
    await untilWritten(output, `<2>${clipboardSequence('text', false)}`);
    await terminal.end();
  });
});

test('the clipboard of tmux and others', () => {
  assert.equal(clipboardSequence('é', false), '\x1b]52;c;w6k=\x1b\\');
  assert.equal(clipboardSequence('é', true), '\x1bPtmux;\x1b\x1b]52;c;w6k=\x1b\x1b\\\x1b\\');
  assert.notEqual(clipboardSequence('é'.repeat(4096), false), undefined);
  assert.equal(clipboardSequence('é'.repeat(4097), false), undefined);
});

test('frames: two at once, then one each 125 ms, and never more than ten in a second', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const times: number[] = [];
  const pace = new FramePace(
    () => times.push(now),
    () => now,
  );
  for (; now < 5000; now++) {
    pace.ask();
    t.mock.timers.tick(1);
  }
  assert.ok(times[1]! - times[0]! <= 2 && times[2]! - times[1]! >= 123, `${times.slice(0, 4)}`);
  assert.ok(times.length >= 38);
  for (const [n, time] of times.entries()) assert.ok((times[n + 10] ?? Number.POSITIVE_INFINITY) - time >= 1000, `${times}`);
  pace.busy();
  pace.ask();
  now += 1000;
  t.mock.timers.tick(1000);
  const written = times.length;
  pace.taken();
  t.mock.timers.tick(1);
  assert.equal(times.length, written + 1);
  pace.ask();
  pace.stop();
  t.mock.timers.tick(1000);
  assert.equal(times.length, written + 1);
});
