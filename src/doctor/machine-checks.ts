// Checks of what surrounds a table: listeners, buffers, the kernel, and what runs this program.

import { bytes, count } from '../units.js';
import { type CheckRow, check } from './check-row.js';
import { counted, duration } from './figures.js';

/** What kernels lack, newest first: docs/kernels.md. */
const SINCE: readonly (readonly [major: number, minor: number, lacks: string])[] = [
  [6, 18, 'events have no time of their own: conntrack -E -o timestamp tells when they were read'],
  [6, 12, 'filters by zone are not applied in the kernel: such lists take as long as whole ones'],
  [6, 1, 'filters by status are not applied in the kernel: such lists take as long as whole ones'],
  [5, 14, 'it does not say whether a network namespace tracks at all'],
  [5, 11, 'it does not say how many entries a network namespace may have'],
  [5, 8, 'filters by address are not applied in the kernel: such lists take as long as whole ones'],
];
/** The oldest release of Node.js that this program is tested with. */
const OLDEST_NODE = 20;

export const MACHINE_CHECKS: readonly CheckRow[] = [
  check({
    id: 'listener-loses-events',
    reads: ['listeners'],
    finds: 'a program that listens to events of the table has lost some',
    means:
      'Events come through a socket with a buffer. If the program reads too slowly, the buffer is full, and the kernel drops events; the program is ' +
      'told, but not which. conntrackd, collectors and conntrack -E then miss beginnings and ends of flows. conntrack top and watch() of the library ' +
      'compare with a list and recover.',
    see: ['cat /proc/net/netlink', 'ps -o pid,comm,pcpu'],
    mend:
      'Give the program a larger receive buffer: conntrack -E -b BYTES, NetlinkBufferSize of conntrackd, receiveBuffer of the library. Without ' +
      'CAP_NET_ADMIN on the machine, net.core.rmem_max is the limit. A filter (events()) has fewer events come.',
    judge: ({ listeners }, seconds) =>
      listeners
        .filter(({ drops }) => drops.last > 0)
        .sort((a, b) => b.drops.last - b.drops.first - (a.drops.last - a.drops.first) || b.drops.last - a.drops.last)
        .slice(0, 5)
        .map(({ portId, drops, program }) => {
          const more = drops.last - drops.first;
          const who = program ? `${program.name} (process ${program.pid})` : `a program with netlink port ${portId}`;
          return {
            severity: more > 0 ? ('warning' as const) : ('info' as const),
            title:
              more > 0
                ? `${who} lost ${counted(more, 'message')} of events in ${duration(seconds)}, ${count(drops.last)} since it listens`
                : `${who} has lost ${counted(drops.last, 'message')} of events, but none in ${duration(seconds)}`,
            detail: ['it misses beginnings and ends of flows, unless it compares with a list as conntrack top does'],
            fix: [{ note: 'give it a larger receive buffer: conntrack -E -b 16777216, NetlinkBufferSize of conntrackd' }],
          };
        }),
  }),
  check({
    id: 'receive-buffer-limited',
    ofMachine: true,
    reads: ['buffer'],
    finds: 'a watch cannot have the receive buffer that it wants',
    means:
      'conntrack -E, top and watch() ask for a receive buffer of 16 MiB, so that a burst of events is not lost. Without CAP_NET_ADMIN on the machine ' +
      'itself, in a container or a user namespace, net.core.rmem_max is the limit.',
    see: ['sysctl net.core.rmem_max', 'conntrack -E -b 16777216'],
    mend: 'Raise net.core.rmem_max on the machine, or start the program with CAP_NET_ADMIN there.',
    judge: ({ buffer: { wanted, got } }) =>
      got < wanted
        ? {
            severity: 'info',
            title: `a watch gets a receive buffer of ${bytes(got)}, not of ${bytes(wanted)}`,
            detail: ['bursts of events may be lost: this program has no CAP_NET_ADMIN on the machine itself'],
            fix: [{ command: `sysctl -w net.core.rmem_max=${wanted}`, note: 'on the host', onMachine: true }],
          }
        : undefined,
  }),
  check({
    id: 'kernel-knows-less',
    ofMachine: true,
    reads: ['kernel'],
    finds: 'the kernel is older than some of what this program can use',
    means:
      'What is missing makes lists slower or leaves something untold; results are right all the same. docs/kernels.md has what each kernel does.',
    see: ['uname -r'],
    mend: 'A newer kernel. Nothing else has to be done.',
    judge: ({ kernel: [major, minor] }) => {
      const lacking = SINCE.filter(([a, b]) => major < a || (major === a && minor < b)).map(([, , lacks]) => lacks);
      return lacking.length === 0
        ? undefined
        : { severity: 'info', title: `Linux ${major}.${minor} does not do all that is of use here`, detail: lacking };
    },
  }),
  check({
    id: 'node-too-old',
    ofMachine: true,
    reads: ['runtime'],
    finds: `Node.js is older than ${OLDEST_NODE}`,
    means: `This program is tested with Node.js ${OLDEST_NODE} and later, with Bun and Deno: docs/runtimes.md.`,
    see: ['node --version'],
    mend: 'Install a newer Node.js.',
    judge: ({ runtime: { node } }) =>
      Number.parseInt(node, 10) < OLDEST_NODE
        ? { severity: 'info', title: `Node.js ${node} is older than ${OLDEST_NODE}, and this program is not tested with it` }
        : undefined,
  }),
  check({
    id: 'slow-start',
    ofMachine: true,
    reads: ['runtime'],
    finds: 'NODE_EXTRA_CA_CERTS makes every start slower',
    means:
      'Node.js 20 reads the file that NODE_EXTRA_CA_CERTS names at each start, although connection tracking needs no certificates.',
    see: ['echo $NODE_EXTRA_CA_CERTS'],
    mend: 'Unset it for this command.',
    judge: ({ runtime: { extraCertificates } }) =>
      extraCertificates
        ? {
            severity: 'info',
            title: 'NODE_EXTRA_CA_CERTS is set: every start reads that file',
            fix: [{ command: 'unset NODE_EXTRA_CA_CERTS', note: 'in scripts that start conntrack often', onMachine: true }],
          }
        : undefined,
  }),
];
