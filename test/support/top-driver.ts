// A small program on a terminal, for tests of src/top/terminal.ts. Its rows: the size and the number of the frame; the last event; then,
// after `f`, text that is new in every frame. Keys: q ends with status 3, e and r throw, x leaves by process.exit, c copies, d shows the
// cursor. On its end it appends a line to the file that it is given, for what cannot be seen on the screen.

import { appendFileSync } from 'node:fs';
import type { TerminalInput } from '../../src/top/input.js';
import { Screen } from '../../src/top/screen.js';
import { COLORS, REVERSE } from '../../src/top/style.js';
import { Terminal } from '../../src/top/terminal.js';
import { terminalStreams } from '../../src/top/terminal-streams.js';

const log = process.argv[2];
const streams = terminalStreams(process);
const screen = new Screen(1, 1);
let frames = 0;
let last = 'nothing yet';
let flood = false;
let most = 0;

const terminal = new Terminal(
  streams,
  {
    input(event) {
      last = describe(event);
      if (event.type === 'key') press(event.key);
      terminal.draw();
    },
    resized: (columns, rows) => screen.resize(columns, rows),
    repaint: () => screen.repaint(),
    frame() {
      frames++;
      screen.clear();
      screen.put(0, 0, `ready ${screen.columns}x${screen.rows} frame ${frames} pid ${process.pid}`, REVERSE);
      screen.put(0, 1, last, COLORS.green);
      for (let y = 2; flood && y < screen.rows; y++) screen.put(0, y, `${Math.random()} `.repeat(40));
      const text = screen.frame();
      most = Math.max(most, streams.output.writableLength);
      return text;
    },
  },
  { mouse: true },
);

function describe(event: TerminalInput): string {
  if (event.type === 'key') return `key ${event.key}`;
  if (event.type === 'paste') return `paste ${event.text}`;
  return `mouse ${event.action} ${event.button} ${event.x},${event.y}`;
}

function press(key: string): void {
  if (key === 'q') void terminal.end(3);
  else if (key === 'e') throw new Error('thrown on purpose');
  else if (key === 'r') void Promise.reject(new Error('rejected on purpose'));
  else if (key === 'x') process.exit(4);
  else if (key === 'c') terminal.copy('192.0.2.1');
  else if (key === 'd') screen.showCursor(5, 1);
  else if (key === 'f') {
    flood = true;
    setInterval(() => terminal.draw(), 5);
  }
}

terminal.open();
const status = await terminal.ended;
if (log !== undefined) {
  const { heapUsed } = process.memoryUsage();
  appendFileSync(log, `${JSON.stringify({ status, frames, most, waiting: streams.output.writableLength, heapUsed })}\n`);
}
process.exit(status);
