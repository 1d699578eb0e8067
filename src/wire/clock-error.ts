// How well the system's clock is kept, as the kernel knows it from what keeps it.

import { host32 } from './bytes.js';
import { libc } from './ffi.js';

/** linux/timex.h */
const STA_UNSYNC = 0x40;
/** Bytes that no struct timex exceeds. */
const TIMEX_SIZE = 256;

/** Of the system's clock. */
export interface ClockError {
  /** Something keeps it. */
  readonly synchronised: boolean;
  /** Microseconds that it may be off, at most. */
  readonly most: number;
}

/** What adjtimex(2) says; nothing is changed. `undefined`: the system does not tell. */
export function clockError(): ClockError | undefined {
  const { adjtimex, pointerSize } = libc();
  const timex = new Uint8Array(TIMEX_SIZE);
  if (adjtimex(timex) < 0) return undefined;
  // modes, and then numbers as wide as a pointer: offset, freq, maxerror, esterror; status.
  const word = (n: number) => host32(timex, n * pointerSize);
  return { synchronised: (word(5) & STA_UNSYNC) === 0, most: word(3) };
}
