// What a check is: a row with its texts, what it reads, and a pure function of what was read.

import type { Severity } from './finding.js';
import type { PartName, SnapshotParts } from './snapshot.js';

/** A command that mends something. */
export interface Remedy {
  /** For a shell; absent: the note alone, as a comment. */
  readonly command?: string;
  readonly note?: string;
  /** Commands for who wants them, or has to complete them: comments below the note. */
  readonly optional?: readonly string[];
  /** It has to run on the machine itself, not in the network namespace. */
  readonly onMachine?: boolean;
}

/** What a check found. */
export interface Found {
  readonly severity: Severity;
  readonly title: string;
  readonly detail?: readonly string[];
  readonly fix?: readonly Remedy[];
}

/** Nothing: all is well. A check that finds that it cannot tell says why. */
type Answer = Found | readonly Found[] | { readonly unknown: string } | undefined;

/** A check. */
export interface CheckRow {
  /** Stable; lower-case words. */
  readonly id: string;
  /** What has to be known for it. */
  readonly reads: readonly PartName[];
  /** What it uses if it is known. */
  readonly mayRead: readonly PartName[];
  /** The answer is the same in all network namespaces. */
  readonly ofMachine: boolean;
  /** When it speaks, in half a sentence: `conntrack doctor --list`. */
  readonly finds: string;
  /** A paragraph of docs/doctor.md: what it means, and what users notice. */
  readonly means: string;
  /** Commands that show it. */
  readonly see: readonly string[];
  /** A paragraph of docs/doctor.md: how to mend it. */
  readonly mend: string;
  /** Judges what was read over so many seconds. @returns `undefined` or nothing when all is well */
  readonly judge: (parts: Partial<SnapshotParts>, seconds: number) => Answer;
}

type Texts = Pick<CheckRow, 'id' | 'finds' | 'means' | 'see' | 'mend'>;

/** Makes a row; `judge` gets all of `reads`, and of `mayRead` what is known. */
export function check<R extends PartName, M extends PartName = never>(
  row: Texts & {
    readonly reads: readonly R[];
    readonly mayRead?: readonly M[];
    readonly ofMachine?: true;
    readonly judge: (parts: Pick<SnapshotParts, R> & Partial<Pick<SnapshotParts, M>>, seconds: number) => Answer;
  },
): CheckRow {
  const { mayRead = [], ofMachine = false, judge, ...rest } = row;
  // Who calls it has seen to it that all parts of `reads` are there.
  return { ...rest, mayRead, ofMachine, judge: judge as CheckRow['judge'] };
}

/** The command that sets a sysctl of connection tracking, with a note if it can only be set on the machine. */
export function setting(name: string, value: number, fixed: readonly string[] | undefined, note?: string): Remedy {
  const onMachine = fixed?.includes(name) ?? false;
  const where = onMachine ? 'on the host: this network namespace cannot set it' : undefined;
  const said = [note, where].filter((part) => part !== undefined).join('; ');
  return { command: `sysctl -w net.netfilter.nf_conntrack_${name}=${value}`, ...(said ? { note: said } : {}), onMachine };
}

/** What divides a command from its note. */
const NOTE = '  # ';
/** What begins a command that is a comment. */
const OPTIONAL = '#   ';

/** As lines for a shell: a command with its note as a comment, or comments. */
export function remedyLines({ command, note, optional = [], onMachine = false }: Remedy, enter: string): string[] {
  const run = (line: string) => (onMachine ? line : `${enter}${line}`);
  if (command === undefined) return [`# ${note}`, ...optional.map((line) => `${OPTIONAL}${run(line)}`)];
  return [note === undefined ? run(command) : `${run(command)}${NOTE}${note}`];
}

/** A line of `remedyLines` in its parts: what has to stay in one line, and words. */
export function remedyParts(line: string): { readonly command?: string; readonly note?: string } {
  if (line.startsWith(OPTIONAL)) return { command: line };
  if (line.startsWith('# ')) return { note: line.slice(2) };
  const at = line.indexOf(NOTE);
  return at < 0 ? { command: line } : { command: line.slice(0, at), note: line.slice(at + NOTE.length) };
}
