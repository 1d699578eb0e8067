// The input of a command: its command line, and the parts of the system that it may touch.

import type { LabelMap } from '../ctnetlink/label.js';
import { ByteWriter } from '../format/byte-writer.js';
import type { ConntrackTable } from '../library/index.js';
import type { ReadFilters } from './filter-text.js';
import type { Invocation } from './invocation.js';
import type { LabelSource } from './labels.js';
import { writeAll } from './output/output.js';
import type { Tables } from './tables.js';

/** Everything a command needs. Commands return their exit status and throw what went wrong. */
export interface Context {
  readonly invocation: Invocation;
  /** Names of connection labels, if the command line needs them. */
  readonly labels: LabelMap | undefined;
  /** Bits of the labels that `-l` names. */
  readonly filterLabels: readonly number[];
  /** Reads filters in text; absent until the first one is met, since their language is not loaded before. */
  readonly readFilters?: ReadFilters | undefined;
  /** The source of label names, for command lines in a file. */
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
  /** Calls back for each signal that asks the process to end (SIGINT, SIGTERM, SIGHUP), instead of ending it. */
  onSignal(callback: () => void): void;
  /** One line to standard error. */
  err(line: string): void;
  /** The line that says how many entries were dealt with, to standard error. In JSON the entries and results say it. */
  close(text: string): void;
  /** `err` and `close` with another destination: each line goes to `write`. */
  messages(write: (line: string) => void): Pick<Context, 'err' | 'close'>;
  /** Milliseconds since the epoch, with a fraction. */
  now(): number;
  /** Text of /etc/protocols. */
  readProtocols(): string;
}

/** What depends only on the command line: each line of a load file has its own. */
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

/** The prefix of every closing line: scripts look for it. */
export const CLOSING_PREFIX = `conntrack v${INTERFACE_VERSION} (conntrack-tools): `;
