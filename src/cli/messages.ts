// Every sentence about a failure that a user can see: what was tried, why it failed, what to do about it.
// Reasons by command and errno: ctnetlink.md 5, cli.md 4.15. Wording is ours; closing lines are in the commands.

import { type ConntrackError, KernelError, SystemError } from '../errors.js';
import type { Invocation } from './invocation.js';

const NEEDS_ROOT = 'run it as root, or with the capability CAP_NET_ADMIN in this network namespace';
const NO_CONNTRACK = 'load the module with "modprobe nf_conntrack_netlink", or use a kernel built with CONFIG_NF_CT_NETLINK';

/** What each command tries, for "cannot …". */
const ATTEMPTS: Readonly<Record<Invocation['command'], string>> = {
  L: 'list',
  G: 'get',
  D: 'delete',
  I: 'create',
  A: 'add',
  U: 'update',
  E: 'watch',
  F: 'flush',
  C: 'count',
  S: 'read the statistics of',
  R: 'load',
  V: 'show the version',
  h: 'show help',
};

const OBJECTS: Readonly<Record<Invocation['table'], readonly [one: string, many: string]>> = {
  conntrack: ['the flow', 'flows'],
  expect: ['the expectation', 'expectations'],
  dying: ['the dying flow', 'dying flows'],
  unconfirmed: ['the unconfirmed flow', 'unconfirmed flows'],
};

/** The commands that mean a single entry. */
const SINGLE = new Set(['G', 'I', 'A']);

/** Message and hint for a failure of a command; `undefined` as hint where nothing helps. */
export function explain(
  error: ConntrackError,
  invocation: Pick<Invocation, 'command' | 'table'>,
): { message: string; hint: string | undefined } {
  if (!(error instanceof KernelError || error instanceof SystemError)) return { message: error.message, hint: error.hint };
  const [one, many] = OBJECTS[invocation.table];
  const attempt = `cannot ${ATTEMPTS[invocation.command]} ${SINGLE.has(invocation.command) ? one : many}`;
  const { reason, hint } = reasonOf(error, invocation);
  const detail = error instanceof KernelError && error.detail ? ` (the kernel says: ${error.detail})` : '';
  return { message: `${attempt}: ${reason}${detail}`, hint };
}

function reasonOf(
  error: KernelError | SystemError,
  invocation: Pick<Invocation, 'command' | 'table'>,
): { reason: string; hint: string | undefined } {
  switch (error.code) {
    case 'EPERM':
    case 'EACCES':
      return { reason: 'permission denied', hint: NEEDS_ROOT };
    case 'ENOENT':
      return invocation.command === 'G'
        ? {
            reason: 'there is no such entry',
            hint: 'conntrack -L with the same options finds entries by any part of them; use -w for another zone',
          }
        : { reason: 'there is no such entry', hint: undefined };
    case 'EINVAL':
      return SINGLE.has(invocation.command)
        ? {
            reason: 'the kernel refuses the parameters as incomplete or contradictory',
            hint: 'give both addresses, and both ports or the ICMP type and code, of one direction',
          }
        : { reason: 'the kernel does not know this request', hint: NO_CONNTRACK };
    case 'EPROTONOSUPPORT':
    case 'EAFNOSUPPORT':
      return { reason: 'this kernel has no connection tracking interface', hint: NO_CONNTRACK };
    case 'EOPNOTSUPP':
      return { reason: 'this kernel does not support the request', hint: undefined };
    case 'EMFILE':
    case 'ENFILE':
      return { reason: 'too many open files', hint: 'raise the limit with ulimit -n, or close other programs' };
    case 'ENOMEM':
    case 'ENOBUFS':
      return {
        reason: 'the kernel is out of memory for this request',
        hint: 'try again; if it stays, look at the memory of the machine',
      };
    default: {
      const reason = error.message.slice(error.message.indexOf(': ') + 2);
      return { reason, hint: error.hint };
    }
  }
}

/** A failure as lines for standard error. */
export function failureLines(message: string, hint: string | undefined): string[] {
  return hint === undefined ? [`conntrack: ${message}`] : [`conntrack: ${message}`, `  hint: ${hint}`];
}
