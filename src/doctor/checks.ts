// The checks, a row each, in the order of --list and docs/doctor.md. The two that judge whether anything can be read at all come first:
// they need no snapshot, because without an answer there is none.

import type { CheckRow, Found } from './check-row.js';
import { MACHINE_CHECKS } from './machine-checks.js';
import { SETTING_CHECKS } from './setting-checks.js';
import type { AccessRefusal } from './snapshot.js';
import { TABLE_CHECKS } from './table-checks.js';
import { TRAFFIC_CHECKS } from './traffic-checks.js';

/** A check of whether the table can be read. */
export interface AccessRow extends Pick<CheckRow, 'id' | 'finds' | 'means' | 'see' | 'mend'> {
  readonly kind: AccessRefusal['kind'];
  readonly judge: (refusal: AccessRefusal) => Found;
}

/** What may be wrong before anything is read. */
export const ACCESS_CHECKS: readonly AccessRow[] = [
  {
    id: 'no-privilege',
    kind: 'privilege',
    finds: 'the table cannot be read for lack of CAP_NET_ADMIN',
    means:
      'The kernel demands CAP_NET_ADMIN in the user namespace that owns the network namespace, for reading as well. In a container, being root is not ' +
      'enough: the capability is dropped by default, and with the network of the host it would have to be that of the host.',
    see: ['grep CapEff /proc/self/status', 'cat /proc/self/uid_map'],
    mend: 'Run it as root, or grant the capability: docs/privileges.md has three ways. In a container: --cap-add NET_ADMIN.',
    judge: ({ message, contained }) => ({
      severity: 'error',
      title: 'the table cannot be read: CAP_NET_ADMIN is missing',
      detail: [
        message,
        ...(contained
          ? ['this process is in a user namespace: the capability must be that of the user namespace that owns the network']
          : []),
      ],
      fix: [
        {
          note: contained
            ? 'in a container: --cap-add NET_ADMIN; or on the host: sudo conntrack doctor'
            : 'sudo conntrack doctor',
        },
      ],
    }),
  },
  {
    id: 'no-conntrack',
    kind: 'module',
    finds: 'the kernel has no connection tracking, or no netlink for it',
    means:
      'The module nf_conntrack_netlink is not loaded and could not be loaded, or the kernel is built without it. Every program that reads the table over ' +
      'netlink needs it.',
    see: ['lsmod | grep nf_conntrack', 'zgrep CONFIG_NF_CT_NETLINK /proc/config.gz'],
    mend: 'Load the module on the machine itself; a container cannot. Kernels for small devices may need a package, such as kmod-nf-conntrack-netlink.',
    judge: ({ message, contained }) => ({
      severity: 'error',
      title: 'the kernel does not answer questions on connection tracking',
      detail: [message, 'the module nf_conntrack_netlink is missing, or the kernel is built without it'],
      fix: [{ command: 'modprobe nf_conntrack_netlink', onMachine: true, ...(contained ? { note: 'on the host' } : {}) }],
    }),
  },
];

/** The others: pure functions of a snapshot. */
export const CHECKS: readonly CheckRow[] = [...TABLE_CHECKS, ...TRAFFIC_CHECKS, ...SETTING_CHECKS, ...MACHINE_CHECKS];

/** Ids of all. */
export const CHECK_IDS: readonly string[] = [...ACCESS_CHECKS, ...CHECKS].map(({ id }) => id);
