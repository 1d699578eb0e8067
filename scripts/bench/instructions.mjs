// Retired instructions of this thread in user mode, from the processor's own counter, if the machine provides it (perf_event_open(2));
// virtual machines often do not.

import { closeSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';

const SYSCALL = { x64: 298, arm64: 241 }[process.arch];
const ATTR_SIZE = 112;
const PERF_TYPE_HARDWARE = 0;
const PERF_COUNT_HW_INSTRUCTIONS = 1n;
/** exclude_kernel and exclude_hv, bits of the word behind read_format. */
const USER_ONLY = (1n << 5n) | (1n << 6n);

/** @returns `{ read(): number, close(): void }`, or `undefined` without a counter */
export function openInstructionCounter() {
  if (SYSCALL === undefined) return undefined;
  const libc = createRequire(import.meta.url)('koffi').load(null);
  const syscall = libc.func('long syscall(long number, void *attr, int pid, int cpu, int group, unsigned long flags)');
  const attr = Buffer.alloc(ATTR_SIZE);
  attr.writeUInt32LE(PERF_TYPE_HARDWARE, 0);
  attr.writeUInt32LE(ATTR_SIZE, 4);
  attr.writeBigUInt64LE(PERF_COUNT_HW_INSTRUCTIONS, 8);
  attr.writeBigUInt64LE(USER_ONLY, 40);
  const fd = Number(syscall(SYSCALL, attr, 0, -1, -1, 0));
  if (fd < 0) return undefined;
  const bytes = Buffer.alloc(8);
  const read = () => {
    readSync(fd, bytes, 0, 8, null);
    return Number(bytes.readBigUInt64LE());
  };
  const before = read();
  for (let n = 0; n < 1e5; n++) kept = n;
  if (read() - before < 1e5) {
    closeSync(fd); // a counter that does not count
    return undefined;
  }
  return { read, close: () => closeSync(fd) };
}

export let kept = 0;
