// A terminal for tests: a command on a pseudo-terminal whose output a terminal emulator shows. Tests press keys and look at the screen.
// `await using terminal = PseudoTerminal.start([…])`: at the end the command is killed.

import { type IPty, spawn as spawnOn } from '@lydell/node-pty';
import xterm from '@xterm/headless';
import type { Namespace } from './namespace.js';
import { COMMAND_ENVIRONMENT, SLOWNESS } from './project.js';

export interface PseudoTerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** The private namespace in which the command runs. */
  readonly namespace?: Namespace;
  /** Bytes a second that the reader of this terminal takes; unlimited unless told. */
  readonly bytesPerSecond?: number;
}

/** How a cell looks. Colours: 0 to 15 of the theme, -1 the default. */
export interface CellLook {
  readonly text: string;
  /** 0: the right half of a wide character. */
  readonly width: number;
  readonly color: number;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly underline: boolean;
  readonly reverse: boolean;
}

/** The end of a command; `signal` is a number, 0 if it ended by itself. */
export interface PseudoTerminalExit {
  readonly status: number;
  readonly signal: number;
}

const open = new Set<PseudoTerminal>();
let watched = false;

export class PseudoTerminal {
  /** When the command ends. */
  readonly exited: Promise<PseudoTerminalExit>;
  readonly #pty: IPty;
  readonly #emulator: InstanceType<typeof xterm.Terminal>;
  readonly #bytesPerSecond: number | undefined;
  readonly #chunks: Buffer[] = [];
  readonly #waiting = new Set<() => void>();
  #resume: NodeJS.Timeout | undefined;
  #exit: PseudoTerminalExit | undefined;

  private constructor(argv: readonly string[], options: PseudoTerminalOptions) {
    const { columns = 80, rows = 24, namespace, environment = {} } = options;
    const [file, ...args] = namespace === undefined ? argv : ['nsenter', '-t', `${namespace.pid}`, '-n', '-m', '--', ...argv];
    this.#bytesPerSecond = options.bytesPerSecond;
    this.#emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    const env = { ...COMMAND_ENVIRONMENT, LC_ALL: 'C.UTF-8', TERM: 'xterm-256color', ...environment };
    this.#pty = spawnOn(file!, args, { name: env.TERM, cols: columns, rows, cwd: '/', env, encoding: null });
    this.#pty.onData((data) => this.#take(data as unknown as Buffer)); // bytes, as there is no encoding
    this.exited = new Promise((resolve) => {
      this.#pty.onExit(({ exitCode, signal = 0 }) => {
        this.#exit = { status: exitCode, signal };
        resolve(this.#exit);
        this.#changed();
      });
    });
  }

  /** Starts a command. */
  static start(argv: readonly string[], options: PseudoTerminalOptions = {}): PseudoTerminal {
    const terminal = new PseudoTerminal(argv, options);
    open.add(terminal);
    if (!watched) {
      watched = true;
      process.on('exit', () => {
        for (const each of open) each.#kill();
      });
    }
    return terminal;
  }

  get pid(): number {
    return this.#pty.pid;
  }

  /** All bytes that the command has written so far. */
  get raw(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get exit(): PseudoTerminalExit | undefined {
    return this.#exit;
  }

  /** Whether the alternate screen is shown. */
  get alternate(): boolean {
    return this.#emulator.buffer.active.type === 'alternate';
  }

  /** Modes that a program must give back, as the terminal has them now. */
  get modes(): Readonly<Record<'mouse' | 'paste' | 'wrap' | 'synchronized' | 'cursor', boolean>> {
    const { mouseTrackingMode, bracketedPasteMode, wraparoundMode, synchronizedOutputMode } = this.#emulator.modes;
    const bytes = this.raw.toString('latin1');
    const cursor = bytes.lastIndexOf('\x1b[?25l') <= bytes.lastIndexOf('\x1b[?25h');
    const mouse = mouseTrackingMode !== 'none';
    return { mouse, paste: bracketedPasteMode, wrap: wraparoundMode, synchronized: synchronizedOutputMode, cursor };
  }

  /** Column and row of the cursor, from 0. */
  get cursor(): readonly [x: number, y: number] {
    const { cursorX, cursorY } = this.#emulator.buffer.active;
    return [cursorX, cursorY];
  }

  /** The rows that are seen, without blanks at their ends. */
  screen(): string[] {
    const { active } = this.#emulator.buffer;
    return Array.from({ length: this.#emulator.rows }, (_, y) => active.getLine(active.baseY + y)?.translateToString(true) ?? '');
  }

  /** The cells of a row. */
  cells(y: number): CellLook[] {
    return cellsOf(this.#emulator, y);
  }

  /** Keys and anything else that a terminal sends. */
  send(bytes: string | Uint8Array): void {
    // Its declaration knows only text, which would be made UTF-8.
    this.#pty.write((typeof bytes === 'string' ? bytes : Buffer.from(bytes)) as string);
  }

  resize(columns: number, rows: number): void {
    this.#emulator.resize(columns, rows);
    this.#pty.resize(columns, rows);
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** The reader goes away, as a closed window or a lost connection. */
  hangUp(): void {
    (this.#pty as IPty & { destroy(): void }).destroy();
  }

  /** Nothing is read until `keepReading`. */
  stopReading(): void {
    this.#pty.pause();
  }

  keepReading(): void {
    this.#pty.resume();
  }

  /** Waits until the screen, or anything else here, is as wanted. @throws Error with what is on the screen. */
  async waitFor(wanted: (terminal: this) => boolean, what = `${wanted}`, milliseconds = 10_000): Promise<void> {
    const until = Date.now() + milliseconds * SLOWNESS;
    while (!wanted(this)) {
      const left = until - Date.now();
      if (left <= 0) throw new Error(`not seen in time: ${what}. On the screen:\n${this.screen().join('\n').trimEnd()}`);
      await new Promise<void>((resolve) => {
        const changed = () => {
          clearTimeout(timer);
          this.#waiting.delete(changed);
          resolve();
        };
        const timer = setTimeout(changed, left);
        this.#waiting.add(changed);
      });
    }
  }

  /** Waits until a text is on the screen. */
  waitForText(text: string, milliseconds?: number): Promise<void> {
    return this.waitFor(() => this.screen().some((row) => row.includes(text)), JSON.stringify(text), milliseconds);
  }

  /** Kills the command, unless it has ended. */
  async close(): Promise<void> {
    if (this.#exit === undefined) {
      this.#kill();
      this.keepReading();
      await this.exited;
    }
    clearTimeout(this.#resume);
    this.#emulator.dispose();
    open.delete(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #kill(): void {
    try {
      process.kill(-this.pid, 'SIGKILL'); // it leads a session of its own, in which a shell has jobs
    } catch {
      // It has ended meanwhile.
    }
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch {
      // Likewise.
    }
  }

  #take(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#emulator.write(bytes, () => this.#changed());
    if (this.#bytesPerSecond === undefined) return;
    this.#pty.pause();
    this.#resume = setTimeout(() => this.#pty.resume(), (bytes.length / this.#bytesPerSecond) * 1000);
  }

  #changed(): void {
    for (const changed of [...this.#waiting]) changed();
  }
}

/** The cells of a row of an emulator. */
export function cellsOf(emulator: InstanceType<typeof xterm.Terminal>, y: number): CellLook[] {
  const { active } = emulator.buffer;
  const line = active.getLine(active.baseY + y);
  return Array.from({ length: emulator.cols }, (_, x) => {
    const cell = line?.getCell(x);
    if (cell === undefined) throw new Error(`no cell ${x} in row ${y}`);
    return {
      text: cell.getChars(),
      width: cell.getWidth(),
      color: cell.isFgDefault() ? -1 : cell.getFgColor(),
      bold: cell.isBold() !== 0,
      dim: cell.isDim() !== 0,
      underline: cell.isUnderline() !== 0,
      reverse: cell.isInverse() !== 0,
    };
  });
}
