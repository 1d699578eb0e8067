// Runs the bundled command inside this process instead of a separate one: on emulated machines Node.js takes seconds to start, and
// elsewhere the start of a process takes twenty times the processor time of the rest of a command. Every run evaluates the bundle again,
// with its own `process` and descriptors; everything below, down to the kernel, is the same.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { readCommandLine } from './argv.js';
import { EXECUTABLE, PROJECT, UNDER_TEST } from './project.js';

/** The input of a run, and its result. */
export interface ResidentRun {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly input?: Uint8Array;
}
export interface ResidentResult {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const BUNDLE = join(PROJECT, 'dist', 'conntrack.cjs');
const OWN = UNDER_TEST === join(PROJECT, 'bin', 'conntrack');
/** The bundle shows a table as the executable that was made of it does. */
const LOOKS = OWN || EXECUTABLE;
/** `CONNTRACK_RESIDENT=1`: every command line that can be run this way is. */
const ALL = process.env['CONNTRACK_RESIDENT'] === '1';
/** `PROCESS_EVERY=n`: where answers are tested, one command line of n is a process; all of them, unless told. */
const PROCESS_EVERY = Number(process.env['PROCESS_EVERY'] ?? 1);
const STDIN = 0;

/**
 * What a test is after. `process`: the command as users run it. `answer`: what it says and does, of which a part may run here (PROCESS_EVERY).
 * `look`: the state of the table, which it only shows.
 */
export type Purpose = 'process' | 'answer' | 'look';

let answers = 0;

/**
 * Whether to run a command line this way: if its purpose allows it, and if it needs no signals, no waiting descriptors, no parent
 * processes, and no other bundle, as words do.
 */
export function isResident(argv: readonly string[], purpose: Purpose): boolean {
  if (!(purpose === 'look' ? LOOKS : OWN) || argv[0] !== UNDER_TEST) return false;
  const words = argv.slice(1);
  if (words[0]?.startsWith('-') !== true) return false;
  if (readCommandLine(words).commands.includes('E') || words.some((word) => /^--(netns|protect-ssh)/.test(word))) return false;
  return ALL || purpose === 'look' || (purpose === 'answer' && answers++ % PROCESS_EVERY !== 0);
}

type Bundle = (process: object) => (exports: object, require: unknown, module: object, filename: string) => void;
let compiled: Bundle | undefined;
let runs = 0;

function bundle(): Bundle {
  compiled ??= new Script(`(process) => ${fs.readFileSync(BUNDLE, 'latin1')}`, { filename: BUNDLE }).runInThisContext() as Bundle;
  return compiled;
}

/** Runs it until it ends. */
export async function runResident({ argv, environment, input }: ResidentRun): Promise<ResidentResult> {
  const written: Record<number, Buffer[]> = { 1: [], 2: [] };
  const stdin = openInput(input);
  const descriptor = (fd: number) => (fd === STDIN ? stdin : fd);
  const files = {
    ...fs,
    writeSync: (fd: number, bytes: Uint8Array, offset = 0, length = bytes.length - offset, ...rest: unknown[]) => {
      if (written[fd] === undefined) return (fs.writeSync as (...args: unknown[]) => number)(fd, bytes, offset, length, ...rest);
      written[fd].push(Buffer.from(bytes.subarray(offset, offset + length)));
      return length;
    },
    readSync: (fd: number, ...rest: unknown[]) => (fs.readSync as (...args: unknown[]) => number)(descriptor(fd), ...rest),
    fstatSync: (fd: number) => fs.fstatSync(descriptor(fd)),
    closeSync: (fd: number) => fd === STDIN || fs.closeSync(fd),
  };
  const require = createRequire(BUNDLE);
  try {
    const status = await new Promise<number>((exit) => {
      const own = Object.create(process, {
        argv: { value: [process.execPath, ...argv] },
        env: { value: environment },
        exit: { value: exit },
      });
      const module = { exports: {} };
      bundle()(own)(module.exports, (name: string) => (name === 'node:fs' ? files : require(name)), module, BUNDLE);
    });
    return { status, stdout: Buffer.concat(written[1]!), stderr: Buffer.concat(written[2]!) };
  } finally {
    fs.closeSync(stdin);
  }
}

/** A descriptor from which `input` can be read; it needs no name. */
function openInput(input: Uint8Array | undefined): number {
  if (input === undefined) return fs.openSync('/dev/null', 'r');
  const path = join(tmpdir(), `conntrack-resident-${process.pid}-${++runs}`);
  fs.writeFileSync(path, input, { flag: 'wx' });
  const fd = fs.openSync(path, 'r');
  fs.unlinkSync(path);
  return fd;
}
