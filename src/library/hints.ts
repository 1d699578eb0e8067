// What the kernel's refusals mean to a program, and what to do about them. Reasons: docs/kernel.md 5.

import { KernelError } from '../errors.js';

const NO_ROOT = 'needs the capability CAP_NET_ADMIN in the network namespace concerned';

/** By request and errno. */
const HINTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  CT_NEW: {
    EEXIST: 'a flow with this tuple, or with this reply, already exists: create with { mayExist: true } to update it',
    ENOENT: 'the master that was named is not in the table',
    EINVAL: 'incomplete or contradictory: both addresses, the ports of the protocol and timeout are needed',
    EBUSY: 'status bits can only be set, and EXPECTED, CONFIRMED and DYING not at all',
    EOPNOTSUPP: 'helper, NAT and master can only be given to a new flow',
    ENOMEM: 'the table is full: raise sysctl net.netfilter.nf_conntrack_max, or delete flows',
    ENOSPC: 'the flow has no room for labels: no ruleset used labels when it began',
    EPERM: `${NO_ROOT}; with it, the timeout of a flow with status FIXED_TIMEOUT cannot be changed`,
  },
  EXP_NEW: {
    ENOENT: 'the master, whose helper expects the connection, is not in the table',
    EEXIST: 'this expectation already exists',
    EBUSY: 'it clashes with another expectation',
    EINVAL: 'incomplete or contradictory: tuple, mask and master must be of one family and protocol',
    EOPNOTSUPP: 'the master has no helper',
    EMFILE: 'too many expectations: raise sysctl net.netfilter.nf_conntrack_expect_max',
  },
  EXP_DELETE: { ENOENT: 'there is no such expectation: give its tuple exactly as it is listed' },
};

const GENERAL: Readonly<Record<string, string>> = {
  EPERM: NO_ROOT,
  EINVAL: 'the kernel does not know this request: is nf_conntrack_netlink loaded?',
  EOPNOTSUPP: 'this kernel does not support the request',
  ENOBUFS: 'the kernel is out of memory for this request',
};

/** Runs `work`; a refusal of the kernel gets its hint. */
export async function hinted<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withHint(error);
  }
}

/** The error, with a hint if there is one for it. */
export function withHint<E>(error: E): E | KernelError {
  if (!(error instanceof KernelError) || error.hint !== undefined) return error;
  const hint = HINTS[error.request]?.[error.code] ?? GENERAL[error.code];
  return hint === undefined ? error : error.withHint(hint);
}
