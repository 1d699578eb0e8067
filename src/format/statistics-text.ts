// A line of `conntrack -S`. Layout: docs/behaviour.md 5.9; the trailing blank is part of it.

import type { View } from '../ctnetlink/view.js';
import { type ByteWriter, type Token, token } from './byte-writer.js';
import { NEWLINE, SPACE } from './shared.js';

const CPU = token('cpu=');
const CPU_WIDTH = 4;
const TAB = 9;
const LINE_SIZE = 1024;

/** Appends the counters that the kernel sent, in ascending order. `names[n]` is `name=` of slot n. */
export function writeCpuStatistics(out: ByteWriter, view: View, names: readonly Token[]): void {
  out.reserve(LINE_SIZE);
  out.token(CPU);
  const start = out.length;
  out.decimal(view.resourceId);
  while (out.length < start + CPU_WIDTH) out.byte(SPACE);
  out.byte(TAB);
  for (let slot = 0; slot < names.length; slot++) {
    if (!view.has(slot)) continue;
    out.token(names[slot]!);
    out.decimal(view.be32(slot));
    out.byte(SPACE);
  }
  out.byte(NEWLINE);
}
