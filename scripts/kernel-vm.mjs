// Runs one command on one of Debian's kernels: to look at what differs there.
//
//   node scripts/kernel-vm.mjs 6.1 node --test build/test/differential/update.test.js
//
// The kernel is a series (5.10, 6.1, 6.12, …) or `newest`. The command runs as root in the current folder of this machine's file system,
// without network; what it writes is lost. Set ACCEL=kvm if that works: emulation is about ten times slower. SECONDS_LIMIT says when to
// give up.

import { runInGuest } from './kernels/boot.mjs';
import { provideKernel } from './kernels/fetch.mjs';
import { requireCommands } from './tools.mjs';

const [wanted, ...argv] = process.argv.slice(2);
if (wanted === undefined || argv.length === 0) {
  console.error('usage: node scripts/kernel-vm.mjs KERNEL COMMAND [ARGUMENT]…');
  process.exit(2);
}
requireCommands(['qemu-system-x86_64']);
try {
  process.exitCode = await runInGuest(provideKernel(wanted), {
    folder: process.cwd(),
    argv,
    seconds: Number(process.env.SECONDS_LIMIT ?? 600),
    accel: process.env.ACCEL ?? 'tcg',
    onOutput: (bytes) => process.stdout.write(bytes),
    onError: (bytes) => process.stderr.write(bytes),
  });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
