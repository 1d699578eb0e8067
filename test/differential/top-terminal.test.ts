// The terminal of `conntrack top`, on a real pseudo-terminal: whatever happens, the user gets back the terminal as it was. The program
// is test/support/top-driver.ts.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Namespace } from '../support/namespace.js';
import { SLOWNESS, UNDER_TEST } from '../support/project.js';
import { PseudoTerminal, type PseudoTerminalOptions } from '../support/pseudo-terminal.js';

const DRIVER = fileURLToPath(new URL('../support/top-driver.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'conntrack-top-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What the driver says at its end. */
interface Closing {
  readonly status: number;
  readonly frames: number;
  /** Bytes that waited for the terminal when a frame was made, at most. */
  readonly most: number;
  readonly heapUsed: number;
}

let logs = 0;
/** A driver that shows its first frame, and the file of its closing line. */
async function started(
  options: PseudoTerminalOptions = {},
): Promise<{ terminal: PseudoTerminal; closing: () => Promise<Closing> }> {
  const log = join(folder, `${++logs}`);
  const terminal = PseudoTerminal.start([process.execPath, DRIVER, log], options);
  await terminal.waitForText('ready');
  return { terminal, closing: () => closingOf(log) };
}

async function closingOf(log: string): Promise<Closing> {
  const line = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  for (const until = Date.now() + 5000 * SLOWNESS; !line().endsWith('\n') && Date.now() < until; ) await delay(10);
  return JSON.parse(line());
}

/** All that a program can have changed, and that it was given back once. */
async function assertRestored(terminal: PseudoTerminal): Promise<void> {
  await terminal.waitFor(() => !terminal.alternate, 'the normal screen');
  assert.deepEqual(terminal.modes, { mouse: false, paste: false, wrap: true, synchronized: false, cursor: true });
  assert.equal(terminal.raw.toString('latin1').split('\x1b[?1049l').length - 1, 1);
}

function textOf(terminal: PseudoTerminal): string {
  return terminal.screen().join('\n');
}

suite('the terminal is taken', () => {
  test('keys, the mouse and pastes arrive as such', async () => {
    const { terminal } = await started({ columns: 100, rows: 30 });
    await using _ = terminal;
    await terminal.waitForText('ready 100x30 frame 1 ');
    assert.ok(terminal.alternate);
    assert.deepEqual(terminal.modes, { mouse: true, paste: true, wrap: false, synchronized: false, cursor: false });
    const inputs = [
      ['\x03', 'key Ctrl-c'],
      ['\x1b[A', 'key Up'],
      ['\x1b', 'key Escape'],
      ['字', 'key 字'],
      ['\x1b[<0;5;2M', 'mouse press left 4,1'],
      ['\x1b[200~qqq\rq\x1b[201~', 'paste qqq q'],
      ['\x1b[200~q, but its end is lost', 'paste q, but its end is lost'],
    ] as const;
    for (const [bytes, text] of inputs) {
      terminal.send(bytes);
      await terminal.waitFor(() => terminal.screen()[1] === text, text);
    }
    terminal.send('d');
    await terminal.waitFor(() => terminal.modes.cursor, 'the cursor');
    assert.deepEqual(terminal.cursor, [5, 1]);
    assert.equal(terminal.exit, undefined);
    assert.equal(terminal.cells(0)[0]?.reverse, true);
    assert.equal(terminal.cells(1)[0]?.color, 2);
  });

  test('text is copied to the clipboard at the other end', async () => {
    const { terminal } = await started();
    await using _ = terminal;
    terminal.send('c');
    await terminal.waitForText('key c');
    assert.ok(terminal.raw.includes(`\x1b]52;c;${Buffer.from('192.0.2.1').toString('base64')}\x1b\\`));
  });

  test('it can be in a private network namespace', async () => {
    await using namespace = await Namespace.create('top');
    const argv = ['sh', '-c', 'readlink /proc/self/ns/net; exec "$0" "$1"', process.execPath, DRIVER];
    await using terminal = PseudoTerminal.start(argv, { namespace });
    await terminal.waitForText('ready');
    const [line] = terminal.raw.toString().split('\r\n');
    assert.equal(line, readlinkSync(`/proc/${namespace.pid}/ns/net`));
    assert.notEqual(line, readlinkSync('/proc/self/ns/net'));
  });
});

suite('the terminal is given back', () => {
  test('at the end, with the status', async () => {
    const { terminal, closing } = await started();
    await using _ = terminal;
    terminal.send('q');
    assert.deepEqual(await terminal.exited, { status: 3, signal: 0 });
    await assertRestored(terminal);
    assert.equal((await closing()).status, 3);
  });

  test('the modes of the line, too', async () => {
    const line = `stty -a | grep -c -- ' -icanon'; ${process.execPath} ${DRIVER}; stty -a | grep -c -- ' -icanon'; echo over`;
    await using terminal = PseudoTerminal.start(['sh', '-c', line]);
    await terminal.waitForText('ready');
    terminal.send('q');
    await terminal.waitForText('over');
    await assertRestored(terminal);
    assert.deepEqual(terminal.screen().slice(0, 3), ['0', '0', 'over']);
  });

  for (const [key, message] of [
    ['e', 'thrown on purpose'],
    ['r', 'rejected on purpose'],
  ] as const)
    test(`after an error, which is then readable: ${message}`, async () => {
      const { terminal } = await started();
      await using _ = terminal;
      terminal.send(key);
      assert.deepEqual(await terminal.exited, { status: 1, signal: 0 });
      await assertRestored(terminal);
      await terminal.waitForText(`Error: ${message}`);
    });

  test('when the process is left in between', async () => {
    const { terminal } = await started();
    await using _ = terminal;
    terminal.send('x');
    assert.deepEqual(await terminal.exited, { status: 4, signal: 0 });
    await assertRestored(terminal);
  });

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)
    test(`after ${signal}, with ${status}`, async () => {
      const { terminal } = await started();
      await using _ = terminal;
      terminal.signal(signal);
      assert.deepEqual(await terminal.exited, { status, signal: 0 });
      await assertRestored(terminal);
    });

  test('when the terminal itself is gone, it just ends', async () => {
    const { terminal, closing } = await started();
    await using _ = terminal;
    terminal.hangUp();
    assert.equal((await closing()).status, 129);
  });

  test('when it is gone, and no signal says so', async () => {
    const log = join(folder, 'no-signal');
    // The kernel sends SIGHUP to the leader of the session: a shell, which ignores it and hides it from what it runs.
    const line = `trap '' HUP; ${process.execPath} ${DRIVER} ${log}; :`;
    await using terminal = PseudoTerminal.start(['sh', '-c', line]);
    await terminal.waitForText('ready');
    terminal.hangUp();
    assert.equal((await closingOf(log)).status, 129);
  });
});

suite('suspending', () => {
  /** A driver that a shell with job control runs. */
  async function inShell(): Promise<PseudoTerminal> {
    const terminal = PseudoTerminal.start(['bash', '--norc', '--noprofile', '-i'], {
      environment: { PS1: 'prompt> ', HISTFILE: '' },
    });
    await terminal.waitForText('prompt>');
    terminal.send(`${process.execPath} ${DRIVER}\r`);
    await terminal.waitForText('ready');
    return terminal;
  }

  /** The picture is that of the driver, and of nobody else. */
  function inForeground(terminal: PseudoTerminal): Promise<void> {
    const isOwn = () => terminal.alternate && terminal.screen()[0]!.startsWith('ready') && !textOf(terminal).includes('Stopped');
    return terminal.waitFor(isOwn, 'the picture of the driver');
  }

  test('Ctrl-Z gives the terminal to the shell, and fg takes it again', async () => {
    await using terminal = await inShell();
    for (let round = 1; round <= 3; round++) {
      terminal.send('\x1a');
      await terminal.waitFor(() => !terminal.alternate && textOf(terminal).includes('Stopped'), 'the shell');
      assert.deepEqual(
        { ...terminal.modes, paste: false },
        { mouse: false, paste: false, wrap: true, synchronized: false, cursor: true },
      );
      terminal.send(`echo round $((${round} + 0))\r`);
      await terminal.waitForText(`round ${round}`);
      terminal.send('fg\r');
      await inForeground(terminal);
      terminal.send('j');
      await terminal.waitForText('key j');
      terminal.send('k');
      await terminal.waitForText('key k');
    }
    terminal.send('q');
    await terminal.waitFor(() => !terminal.alternate, 'the shell');
    terminal.send('echo status $?\r');
    await terminal.waitForText('status 3');
  });

  test('in the background it stays stopped', async () => {
    await using terminal = await inShell();
    terminal.send('\x1a');
    await terminal.waitForText('Stopped');
    terminal.send('bg\r');
    await terminal.waitForText(' &');
    terminal.send('sleep 0.3; jobs; echo listed\r');
    await terminal.waitFor(() => terminal.screen().includes('listed'), 'listed');
    assert.ok(!terminal.alternate);
    assert.match(textOf(terminal), /listed\n[\s\S]*Stopped[\s\S]*\nlisted$/m);
    terminal.send('fg\r');
    await inForeground(terminal);
    terminal.send('q');
    await terminal.waitFor(() => !terminal.alternate, 'the shell');
  });

  test('SIGTSTP and SIGSTOP from elsewhere', async () => {
    await using terminal = await inShell();
    const pid = Number(/pid (\d+)/.exec(terminal.screen()[0]!)![1]);
    for (const signal of ['SIGTSTP', 'SIGSTOP'] as const) {
      process.kill(pid, signal);
      // Nobody can restore the screen before SIGSTOP, so what the shell says may be on the alternate one.
      await terminal.waitFor(() => textOf(terminal).includes('Stopped'), 'the shell');
      terminal.send('fg\r');
      await inForeground(terminal);
      terminal.send('j');
      await terminal.waitForText('key j');
      terminal.send('k');
      await terminal.waitForText('key k');
    }
    terminal.send('q');
    await terminal.waitFor(() => !terminal.alternate, 'the shell');
  });

  test('where no shell could continue it, it goes on by itself', async () => {
    const { terminal } = await started();
    await using _ = terminal;
    terminal.send('\x1a');
    await terminal.waitFor(() => terminal.raw.toString('latin1').split('\x1b[?1049h').length === 3, 'the screen again');
    terminal.send('j');
    await terminal.waitForText('key j');
  });
});

suite('frames', () => {
  test('after a storm of resizes, the last size is drawn, and few frames were', async () => {
    const { terminal, closing } = await started();
    await using _ = terminal;
    const begin = Date.now();
    for (let n = 1; n <= 300; n++) {
      terminal.resize(60 + (n % 90), 10 + (n % 30));
      if (n % 10 === 0) await delay(5);
    }
    terminal.resize(91, 33);
    await terminal.waitForText('ready 91x33');
    const seconds = (Date.now() - begin) / 1000;
    terminal.send('q');
    await terminal.exited;
    const { frames } = await closing();
    assert.ok(frames <= 4 + 10 * Math.ceil(seconds), `${frames} frames in ${seconds} s`);
  });

  test('there are at most ten in a second', async () => {
    const { terminal, closing } = await started();
    await using _ = terminal;
    terminal.send('f');
    await delay(2000);
    terminal.send('q');
    await terminal.exited;
    const { frames } = await closing();
    assert.ok(frames >= 8 && frames <= 24 * SLOWNESS, `${frames}`);
  });

  test('a slow reader gets no backlog', async () => {
    const { terminal, closing } = await started({ columns: 140, rows: 40, bytesPerSecond: 1024 });
    await using _ = terminal;
    terminal.send('f');
    await delay(4000);
    terminal.signal('SIGTERM');
    const begin = Date.now();
    const { status, frames, most, heapUsed } = await closing();
    assert.ok(Date.now() - begin < 3000 * SLOWNESS);
    assert.equal(status, 143);
    assert.equal(most, 0); // whatever frame was made, the one before had been taken
    assert.ok(frames < 20, `${frames}`);
    assert.ok(heapUsed < 32e6, `${heapUsed}`);
  });

  test('a reader that takes nothing does not keep it from ending', async () => {
    const { terminal, closing } = await started({ columns: 140, rows: 40 });
    await using _ = terminal;
    terminal.stopReading();
    terminal.send('f');
    await delay(1000);
    terminal.signal('SIGTERM');
    assert.equal((await closing()).status, 143);
  });

  test('a reader that pauses sees the newest picture afterwards', async () => {
    const { terminal } = await started();
    await using _ = terminal;
    terminal.send('f');
    await terminal.waitForText('key f');
    terminal.stopReading();
    await delay(500);
    terminal.send('j');
    terminal.keepReading();
    await terminal.waitForText('key j');
    terminal.send('q');
    assert.deepEqual(await terminal.exited, { status: 3, signal: 0 });
    await assertRestored(terminal);
  });
});

test('no command aborts when its terminal is gone', async () => {
  await using namespace = await Namespace.create('gone');
  await namespace.must([UNDER_TEST, '-I', ...'-t 600 -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2'.split(' ')]);
  for (const words of [['-E', '--initial'], ['top']]) {
    await using terminal = PseudoTerminal.start([UNDER_TEST, ...words], { namespace });
    await terminal.waitForText('10.0.0.1');
    await delay(600); // what ends at once looks for nothing
    terminal.hangUp();
    // The hang-up may be told twice, and the second time end it.
    const { signal } = await terminal.exited;
    assert.ok(signal === 0 || signal === constants.signals.SIGHUP, `${words}: signal ${signal}`);
  }
});
