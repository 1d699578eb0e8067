// What is printed about an event besides the entry: its type, who caused it, and whether it replaces events that were missed. Order and
// spacing: docs/behaviour.md 5.2, 5.3.

import { eventType } from '../ctnetlink/event-type.js';
import { ORIGIN_KERNEL, type View } from '../ctnetlink/view.js';
import { type ByteWriter, token } from './byte-writer.js';
import type { FormatOptions } from './format-options.js';
import { LINE, type Place, WORD, writeSafe } from './safe-bytes.js';
import { NEWLINE, SPACE } from './shared.js';

const TYPES = [token('    [NEW] '), token(' [UPDATE] '), token('[DESTROY] ')];
const USERSPACE = token('[USERSPACE] portid=');
const PROGNAME = token(' progname=');
/** By origin. */
const ORIGINS = ['', '[INITIAL] ', '[RESYNC] ', '[HISTORY] ', '[OPEN] '].map(token);
const COMMENT = token('# ');

/** `[NEW]` and its like, right-aligned, with a trailing space. */
export function writeEventType(out: ByteWriter, view: View): void {
  out.token(TYPES[eventType(view)]!);
}

/** `[USERSPACE] portid=N progname=NAME `: the event was caused by a request from a netlink socket. */
export function writeUserspace(out: ByteWriter, view: View, options: FormatOptions): void {
  writeCause(out, view, options, LINE);
}

/** The same for lines that are commands: there the name is one word. */
export function writeUserspaceWord(out: ByteWriter, view: View, options: FormatOptions): void {
  writeCause(out, view, options, WORD);
}

function writeCause(out: ByteWriter, view: View, options: FormatOptions, place: Place): void {
  if (view.portId === 0) return;
  out.token(USERSPACE);
  out.decimal(view.portId);
  const program = options.program?.(view.portId);
  if (program) {
    out.token(PROGNAME);
    writeSafe(out, program.name, 0, program.name.length, place);
  }
  out.byte(SPACE);
}

/** `[INITIAL] ` or `[RESYNC] `, for an event that a list supplied; `[HISTORY] ` or `[OPEN] ` for a flow of a record. */
export function writeOrigin(out: ByteWriter, view: View): void {
  out.token(ORIGINS[view.origin]!);
}

/** The same as a separate comment line, if the entry's line is a command. */
export function writeOriginComment(out: ByteWriter, view: View): void {
  if (view.origin === ORIGIN_KERNEL) return;
  out.token(COMMENT);
  writeOrigin(out, view);
  out.dropLast();
  out.byte(NEWLINE);
}
