// What a command is given: its command line, and the world it may touch.

import type { LabelMap } from '../ctnetlink/label.js';
import { ByteWriter } from '../format/byte-writer.js';
import type { ConntrackTable } from '../library/index.js';
import type { Invocation } from './invocation.js';
import type { LabelSource } from './labels.js';
import { writeAll } from './output/output.js';
import type { Tables } from './tables.js';

/** Everything a command needs. Commands return their exit status and throw what went wrong. */
export interface Context {
  readonly invocation: Invocation;
  /** Names of connection labels, when the command line needs them. */
  readonly labels: LabelMap | undefined;
  /** Bits of the labels that `-l` names. */
  readonly filterLabels: readonly number[];
  /** Where label names come from, for command lines within a file. */
  readonly labelSource: LabelSource;
  /** The table of a command that works on one; closed when the command has ended. @throws SystemError, PlatformError, NamespaceError */
  conntrack(): ConntrackTable;
  /** The tables of a command that may work on several: `--netns all`. */
  readonly tables: Tables;
  /** Standard output. Flush it before writing to `err`, so that the closing line comes last. */
  readonly out: ByteWriter;
  /** The descriptor of standard output, for a command that writes to it at the pace of its reader. */
  readonly stdout: number;
  /** The descriptor of standard error, likewise. */
  readonly stderr: number;
  /** Whether somebody reads standard error on a terminal. */
  isTerminal(): boolean;
  /** Calls back for each signal that asks to end (SIGINT, SIGTERM, SIGHUP), which then does not end the process. */
  onSignal(callback: () => void): void;
  /** One line to standard error. */
  err(line: string): void;
  /** The line that says how many entries were dealt with, to standard error. In JSON the entries and results say it. */
  close(text: string): void;
  /** `err` and `close` that go elsewhere: each line to `write`. */
  messages(write: (line: string) => void): Pick<Context, 'err' | 'close'>;
  /** Milliseconds since the epoch, with a fraction. */
  now(): number;
  /** Text of /etc/protocols. */
  readProtocols(): string;
}

/** What depends on the command line only: the part of a context that each line of a load file has for itself. */
export function invocationContext(
  invocation: Invocation,
  labelSource: LabelSource,
): Pick<Context, 'invocation' | 'labels' | 'filterLabels' | 'labelSource'> {
  const { values, labelBits } = invocation;
  return {
    invocation,
    labels: values.output?.labels || labelBits ? labelSource.load(values.labelMap) : undefined,
    filterLabels: (values.labels ?? []).map((name) => labelBits!.get(name)!),
    labelSource,
  };
}

/** Output that goes to a descriptor. */
export function outputTo(fd: number): ByteWriter {
  return new ByteWriter((bytes, length) => writeAll(fd, bytes, length));
}

/** The release of the C tool whose interface this is: scripts compare it. */
export const INTERFACE_VERSION = '1.4.9';

/** What stands before every closing line: scripts look for it. */
export const CLOSING_PREFIX = `conntrack v${INTERFACE_VERSION} (conntrack-tools): `;
