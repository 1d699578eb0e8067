// The source of lines for `-R`: a file, or a copy of input that cannot be read twice.

import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import type { FlowSpec } from '../../ctnetlink/flow-spec.js';
import { ConntrackError } from '../../errors.js';
import { fileReason } from '../file-reason.js';
import { quoted, UsageError } from '../usage-error.js';
import { spool } from './line-reader.js';

/** Lines to load, which can be read from the start more than once. */
export interface LoadSource {
  /** For messages. */
  readonly name: string;
  readonly fd: number;
  /** The flow of a line, where lines are JSON. */
  readonly parseJson: ((line: string) => FlowSpec | undefined) | undefined;
}

/** A descriptor that can be read from its start more than once. @throws UsageError, InputError */
export function openLines(file: string): number {
  try {
    if (file === '-' && standardInputIsClosed())
      throw new UsageError('cannot read standard input: it is closed, or /dev/null opened for writing');
    const fd = file === '-' ? 0 : openSync(file, 'r');
    if (fd !== 0 && fstatSync(fd).isFile()) return fd;
    try {
      return spool(fd);
    } finally {
      if (fd !== 0) closeSync(fd);
    }
  } catch (error) {
    if (error instanceof ConntrackError) throw error;
    throw new UsageError(`cannot read ${quoted(file)}: ${fileReason(error)}`);
  }
}

/**
 * Whether descriptor 0 was closed when the process began: Node.js then replaces it by /dev/null, open also for writing, as nobody opens
 * an input file. Without /proc it is impossible to tell.
 */
function standardInputIsClosed(): boolean {
  try {
    if (readlinkSync('/proc/self/fd/0') !== '/dev/null') return false;
    const flags = /^flags:\s+(\d+)$/m.exec(readFileSync('/proc/self/fdinfo/0', 'latin1'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & constants.O_RDWR) !== 0;
  } catch {
    return false;
  }
}
