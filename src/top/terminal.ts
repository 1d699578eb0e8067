// The terminal while a program has its screen: raw mode, the alternate screen, keys, the mouse, frames. It gives everything back exactly
// once, however the program ends, and in between when somebody suspends it. What is drawn, and what keys mean, is the caller's.

import { clipboardSequence } from './clipboard.js';
import { FramePace } from './frame-pace.js';
import { InputParser, type TerminalInput } from './input.js';
import { ENDING_SIGNALS, type TerminalStreams } from './terminal-streams.js';

/** What the program does on a terminal. */
export interface TerminalProgram {
  /** A key, the mouse, pasted text. Ctrl-C comes as a key, Ctrl-Z does not come. */
  input(event: TerminalInput): void;
  /** The size at the beginning, and after each change. A frame is asked for afterwards. */
  resized(columns: number, rows: number): void;
  /** What to write to show the newest picture, as `Screen.frame`; empty for nothing. */
  frame(): string;
  /** Nobody knows what the terminal shows: the next frame must paint everything. */
  repaint(): void;
}

export interface TerminalOptions {
  readonly mouse?: boolean;
  /** Whether the terminal is one of tmux. */
  readonly tmux?: boolean;
}

/** The alternate screen without a cursor and without wrapping, pastes in brackets; the mouse reports buttons and the wheel. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h';
const ENTER_MOUSE = '\x1b[?1000h\x1b[?1006h';
/** The reverse, whatever was being written: it begins with the end of a string and of a synchronized update. */
const LEAVE = '\x1b\\\x1b[?2026l\x1b[m\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Milliseconds that a terminal which takes nothing may hold up the end. */
const PATIENCE = 1000;
/** Milliseconds after which a program that was to be suspended still runs, because nobody could continue it. */
const NOT_SUSPENDED = 50;
/** The status of a program whose terminal is gone: 128 + SIGHUP, which the kernel sends then, too. */
const GONE = 129;

/** `new`: not opened. `suspended`: the terminal is somebody else's for a while. */
type State = 'new' | 'open' | 'suspending' | 'suspended' | 'ended';

export class Terminal {
  /** The exit status, once everything is restored: that given to `end`, or 128 + the number of the signal. Rejects if writing fails. */
  readonly ended: Promise<number>;
  readonly #streams: TerminalStreams;
  readonly #program: TerminalProgram;
  readonly #options: TerminalOptions;
  readonly #parser = new InputParser();
  readonly #pace = new FramePace(() => this.#writeFrame());
  #state: State = 'new';
  #resolve: (status: number) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #inputTimer: NodeJS.Timeout | undefined;
  #suspendTimer: NodeJS.Timeout | undefined;
  /** Whether the terminal is as ENTER makes it, and the way back. */
  #entered = false;
  #leaving: Promise<void> | undefined;
  /** Writes that the terminal has not taken yet. */
  #pending = 0;
  /** To be written with the next frame. */
  #copied = '';

  constructor(streams: TerminalStreams, program: TerminalProgram, options: TerminalOptions = {}) {
    this.#streams = streams;
    this.#program = program;
    this.#options = options;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ended.catch(() => {}); // whoever awaits it is told
  }

  /** Takes the screen and asks for the first frame. */
  open(): void {
    if (this.#state !== 'new') return;
    this.#listen('on');
    this.#enter();
  }

  /** Asks for a frame: at once, or as soon as the pace and the terminal allow it. */
  draw(): void {
    if (this.#state === 'open') this.#pace.ask();
  }

  /** Restores everything; the terminal is not used any more. Idempotent. */
  async end(status = 0): Promise<void> {
    if (this.#state === 'ended') return;
    this.#close();
    if (this.#entered) await this.#leave();
    this.#release(status);
  }

  /** Gives the terminal back and stops, as after Ctrl-Z: the whole process group, so that a shell above sudo notices. */
  suspend(): void {
    void this.#suspend(0);
  }

  /** Puts text into the clipboard of whoever sits at the terminal, by OSC 52. @returns false if it is too long for terminals. */
  copy(text: string): boolean {
    const sequence = clipboardSequence(text, this.#options.tmux ?? false);
    if (sequence === undefined) return false;
    this.#copied = sequence;
    this.draw();
    return true;
  }

  #enter(): void {
    this.#state = 'open';
    if (!this.#setRaw(true)) return;
    this.#entered = true;
    this.#write(ENTER + (this.#options.mouse ? ENTER_MOUSE : ''));
    this.#program.repaint();
    this.#onResize();
  }

  /** The terminal as it was, unless it takes nothing for a second. */
  #leave(): Promise<void> {
    this.#leaving ??= new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE);
      this.#write(LEAVE, () => {
        this.#entered = false;
        clearTimeout(timer);
        resolve();
      });
    }).then(() => {
      this.#leaving = undefined;
      this.#setRaw(false);
    });
    return this.#leaving;
  }

  /** The same for a process that ends before anything else can happen. Blocks until the terminal has taken it. */
  readonly #leaveNow = (): void => {
    if (this.#entered) {
      this.#entered = false;
      this.#streams.writeNow(LEAVE);
      this.#setRaw(false);
    }
    this.#close();
    this.#release(1);
  };

  /** From here on nothing is drawn and nothing is asked. */
  #close(): void {
    this.#state = 'ended';
    this.#pace.stop();
    clearTimeout(this.#inputTimer);
    clearTimeout(this.#suspendTimer);
  }

  #release(status: number): void {
    this.#listen('off');
    this.#streams.input.pause();
    this.#resolve(status);
  }

  #listen(how: 'on' | 'off'): void {
    const { input, output, host } = this.#streams;
    input[how]('data', this.#onData);
    input[how]('end', this.#gone);
    input[how]('close', this.#gone);
    for (const signal of ENDING_SIGNALS) host[how](signal, this.#onEndingSignal);
    host[how]('SIGTSTP', this.#onStop);
    host[how]('SIGCONT', this.#continue);
    host[how]('SIGWINCH', this.#onResize);
    // Node.js then does what it does with such an error, on a restored screen.
    host[how]('uncaughtExceptionMonitor', this.#leaveNow);
    host[how]('exit', this.#leaveNow);
    if (how === 'off') return; // errors that come late have a listener still
    input.on('error', this.#onError);
    output.on('error', this.#onError);
  }

  readonly #onData = (bytes: Uint8Array): void => this.#dispatch(this.#parser.push(bytes, performance.now()));
  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EIO' && error.code !== 'EPIPE') this.#reject(error);
    this.#gone();
  };
  readonly #onEndingSignal = (_: NodeJS.Signals, number: number): void => void this.end(128 + number);
  readonly #onStop = (): void => void this.#suspend(this.#streams.host.pid);

  readonly #onResize = (): void => {
    if (this.#state !== 'open') return;
    const [columns, rows] = this.#streams.size();
    this.#program.resized(columns, rows);
    this.draw();
  };

  readonly #gone = (): void => {
    if (this.#state === 'ended') return;
    this.#close();
    // The signal may come after it is noticed in other ways, and the end is the caller's.
    this.#streams.host.on('SIGHUP', () => {});
    this.#release(GONE);
  };

  #dispatch(events: readonly TerminalInput[]): void {
    for (const event of events) {
      if (this.#state !== 'open') break;
      if (event.type === 'key' && event.key === 'Ctrl-z') this.suspend();
      else this.#program.input(event);
    }
    clearTimeout(this.#inputTimer);
    const { deadline } = this.#parser;
    if (deadline === undefined || this.#state === 'ended') return;
    this.#inputTimer = setTimeout(() => this.#dispatch(this.#parser.expire(performance.now())), deadline - performance.now());
  }

  async #suspend(target: number): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'suspending';
    this.#pace.stop();
    await this.#leave();
    if ((this.#state as State) !== 'suspending') return;
    this.#state = 'suspended';
    const { host } = this.#streams;
    host.off('SIGTSTP', this.#onStop); // back to what the signal does by itself
    host.kill(target, 'SIGTSTP');
    // The next thing that happens here is SIGCONT, unless the kernel did not stop a group that no shell would continue.
    this.#suspendTimer = setTimeout(this.#continue, NOT_SUSPENDED);
  }

  /** After SIGCONT: also after a SIGSTOP that nobody can catch, when a shell has had the terminal. */
  readonly #continue = (): void => {
    clearTimeout(this.#suspendTimer);
    if (this.#state === 'suspended') this.#streams.host.on('SIGTSTP', this.#onStop);
    else if (this.#state !== 'open' || !this.#setRaw(false)) return;
    this.#enter();
  };

  /** @returns false if the terminal is gone. */
  #setRaw(raw: boolean): boolean {
    try {
      this.#streams.input.setRawMode?.(raw);
      return true;
    } catch {
      this.#gone();
      return false;
    }
  }

  #write(text: string, taken?: () => void): void {
    this.#pending++;
    // First, because Bun may tell at once that the terminal has taken it.
    this.#pace.busy();
    this.#streams.output.write(text, () => {
      this.#pending--;
      if (this.#pending === 0 && this.#state === 'open') this.#pace.taken();
      taken?.();
    });
  }

  #writeFrame(): void {
    const text = this.#program.frame() + this.#copied;
    this.#copied = '';
    if (text !== '') this.#write(text);
  }
}
