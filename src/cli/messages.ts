// All sentences about failures that a user can see: what was tried, why it failed, what to do. Reasons by command and errno:
// docs/kernel.md 5, docs/behaviour.md 4.15. Wording is ours; closing lines are in the commands.

import { type ConntrackError, KernelError, NoAnswerError, SystemError } from '../errors.js';
import { safeJson } from '../safe-text.js';
import { errnoReason } from '../wire/errno.js';
import { commandRow } from './command-rows.js';
import type { Invocation } from './invocation.js';

const NEEDS_ROOT = 'run it as root, or with the capability CAP_NET_ADMIN in this network namespace';
const NO_CONNTRACK = 'load the module with "modprobe nf_conntrack_netlink", or use a kernel built with CONFIG_NF_CT_NETLINK';

const OBJECTS: Readonly<Record<Invocation['table'], readonly [one: string, many: string]>> = {
  conntrack: ['the flow', 'flows'],
  expect: ['the expectation', 'expectations'],
  dying: ['the dying flow', 'dying flows'],
  unconfirmed: ['the unconfirmed flow', 'unconfirmed flows'],
};

const LOOK_FIRST = 'the change may have been made: look with conntrack -L before you try again';

/** Message and hint for a failure of a command; the hint is `undefined` if nothing helps. */
export function explain(
  error: ConntrackError,
  invocation: Pick<Invocation, 'command' | 'table'>,
): { message: string; hint: string | undefined } {
  const lost = error instanceof NoAnswerError || (error instanceof SystemError && error.syscall === 'recvmmsg');
  if (!(lost || error instanceof KernelError || error instanceof SystemError))
    return { message: error.message, hint: error.hint };
  const [one, many] = OBJECTS[invocation.table];
  const command = commandRow(invocation.command);
  const attempt = `cannot ${command.attempt} ${command.target === 'entry' ? one : many}`;
  if (lost) {
    const why = error instanceof SystemError ? ` (${errnoReason(error.errno)})` : '';
    return {
      message: `${attempt}: the kernel's answer is lost${why}`,
      hint: command.changes ? LOOK_FIRST : 'try again',
    };
  }
  const { reason, hint, attempt: part } = reasonOf(error, invocation);
  const detail = error instanceof KernelError && error.detail ? ` (the kernel says: ${error.detail})` : '';
  return { message: `${part ?? attempt}: ${reason}${detail}`, hint };
}

interface Reason {
  readonly reason: string;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** What cannot be done, if it is not the command's main purpose. */
  readonly attempt?: string;
}

const WITHOUT_HELPER: Reason = {
  reason: 'that connection has no helper',
  hint: 'only connections with helper=NAME in conntrack -L can expect others: give them one with "ct helper set" in an nftables rule',
};
const NO_SUCH_EXPECTATION: Reason = {
  reason: 'there is no such expectation',
  hint: 'conntrack -L expect lists them; -s, -d and the ports are those of the expected connection, not of the existing one',
};
const TABLE_FULL: Reason = {
  reason: 'the table is full, or no port is free for the translation',
  hint: 'compare conntrack -C with sysctl net.netfilter.nf_conntrack_max; raise that, or delete flows with -D',
};
const STATUS_FIXED: Reason = {
  reason: 'its status cannot be changed to that',
  hint: 'a flow keeps the bits that it has, so -u must name them too (conntrack -L -o save shows them); only the kernel sets EXPECTED',
};
const ONLY_NEW: Reason = {
  reason: 'the flow exists, and NAT, helper and master can be given only to new flows',
  hint: 'leave out -n, -g and such, or delete the flow first with -D',
};
const NO_ROOM_FOR_LABELS: Reason = {
  attempt: 'cannot set the labels',
  reason: 'the flow entry exists, but has no room for them',
  hint: 'labels must be in use, as with "ct label" in an nftables rule, when a flow begins',
};
const OUT_OF_RANGE: Reason = {
  reason: 'a value is out of the range that this kernel takes',
  hint: 'label bits go up to 127, window scales up to 14, SCTP states up to HEARTBEAT_SENT',
};
const INCOMPLETE: Reason = {
  reason: 'the kernel refuses the parameters as incomplete or contradictory',
  hint: 'give both addresses, and both ports or the ICMP type and code, of one direction; at most one of -w, --orig-zone and --reply-zone',
};

/** Reasons for particular commands, by errno; `expect` for the table of that name. The others are in `GENERAL`. */
const OF_COMMAND: Readonly<Record<string, Readonly<Record<string, Reason>>>> = {
  G: {
    ENOENT: {
      reason: 'there is no such entry',
      hint: 'conntrack -L with the same options finds entries by any part of them; use -w for another zone',
    },
    EINVAL: INCOMPLETE,
  },
  I: {
    ENOENT: { reason: 'the flow that --master-src and so on name is not in the table', hint: 'create that flow first' },
    EEXIST: {
      reason: 'there is one already, or one whose reply has the same addresses and ports',
      hint: 'change it with -U, or use -A, which creates or updates; conntrack -L -s ADDR finds it, conntrack -L -q ADDR by its reply',
    },
    EINVAL: INCOMPLETE,
    EBUSY: STATUS_FIXED,
    EOPNOTSUPP: {
      reason: 'the kernel does not know the helper or the protocol',
      hint: "load the helper's module, such as nf_conntrack_ftp, or leave --helper out",
    },
    ENOMEM: TABLE_FULL,
    ENOSPC: NO_ROOM_FOR_LABELS,
    ERANGE: OUT_OF_RANGE,
  },
  A: {
    EPERM: {
      reason: 'permission denied',
      hint: `${NEEDS_ROOT}; as root it means that the flow exists with status FIXED_TIMEOUT, which only -D ends`,
    },
    ENOENT: { reason: 'the flow that --master-src and so on name is not in the table', hint: 'create that flow first' },
    EEXIST: {
      reason: 'another flow has the addresses and ports of its reply',
      hint: 'conntrack -L -q ADDR finds that flow by its reply; delete it with -D, or translate to another port',
    },
    EINVAL: INCOMPLETE,
    EBUSY: STATUS_FIXED,
    EOPNOTSUPP: ONLY_NEW,
    ENOMEM: TABLE_FULL,
    ENOSPC: NO_ROOM_FOR_LABELS,
    ERANGE: OUT_OF_RANGE,
  },
  U: {
    EINVAL: { reason: 'the kernel refuses the new values', hint: 'change one thing at a time to see which one' },
    EBUSY: STATUS_FIXED,
    EOPNOTSUPP: ONLY_NEW,
    ENOSPC: NO_ROOM_FOR_LABELS,
    ERANGE: OUT_OF_RANGE,
  },
  D: {
    EBUSY: {
      reason: 'the kernel is using it',
      hint: 'offloaded flows cannot be deleted by older kernels: remove the offload rule first',
    },
  },
  'I expect': {
    ENOENT: {
      reason: 'the connection that -s, -d and the ports name is not in the table',
      hint: 'conntrack -L shows the table; that connection must be in it and have a helper',
    },
    EEXIST: { reason: 'there is one already', hint: 'delete it first with -D expect, or look with -L expect' },
    EBUSY: {
      reason: 'it clashes with another expectation',
      hint: 'look with -L expect; a narrower --mask-src or --mask-port-src may do',
    },
    EINVAL: {
      reason: 'the kernel refuses the parameters as incomplete or contradictory',
      hint: 'all of --tuple-..., --mask-... and -s, -d with their ports must be of one family and protocol',
    },
    EOPNOTSUPP: WITHOUT_HELPER,
    EMFILE: {
      reason: 'there are too many expectations',
      hint: 'raise sysctl net.netfilter.nf_conntrack_expect_max, or empty them with -F expect',
    },
    ETIME: { reason: 'it has just expired', hint: 'try again' },
  },
  'D expect': { ENOENT: NO_SUCH_EXPECTATION },
  'G expect': { ENOENT: NO_SUCH_EXPECTATION, EINVAL: INCOMPLETE },
};

const GENERAL: Readonly<Record<string, Reason>> = {
  EPERM: { reason: 'permission denied', hint: NEEDS_ROOT },
  EACCES: { reason: 'permission denied', hint: NEEDS_ROOT },
  ENOENT: { reason: 'there is no such entry', hint: undefined },
  EINVAL: { reason: 'the kernel does not know this request', hint: NO_CONNTRACK },
  EPROTONOSUPPORT: { reason: 'this kernel has no connection tracking interface', hint: NO_CONNTRACK },
  EAFNOSUPPORT: { reason: 'this kernel has no connection tracking interface', hint: NO_CONNTRACK },
  EOPNOTSUPP: {
    reason: 'this kernel does not support the request',
    hint: 'it needs a newer kernel, or one built with that part of connection tracking',
  },
  EMFILE: { reason: 'too many open files', hint: 'raise the limit with ulimit -n, or close other programs' },
  ENFILE: { reason: 'too many open files', hint: 'raise the limit with ulimit -n, or close other programs' },
  ETIME: { reason: 'it has just expired', hint: 'try again' },
  ENOMEM: {
    reason: 'the kernel is out of memory for this request',
    hint: 'try again; if it fails again, look at the memory of the machine',
  },
  ENOBUFS: {
    reason: 'the kernel is out of memory for this request',
    hint: 'try again; if it fails again, look at the memory of the machine',
  },
};

/** A list is read before an update is refused, so the privilege is not missing. */
const TIMEOUT_FIXED: Reason = {
  reason: 'its timeout cannot change, because it has status FIXED_TIMEOUT',
  hint: 'leave -t out for such flows: conntrack -L -u FIXED_TIMEOUT lists them, -D ends them',
};

function reasonOf(error: KernelError | SystemError, { command, table }: Pick<Invocation, 'command' | 'table'>): Reason {
  if (command === 'U' && error.code === 'EPERM' && error instanceof KernelError && error.request === 'CT_NEW')
    return TIMEOUT_FIXED;
  const own = OF_COMMAND[table === 'expect' ? `${command} expect` : command];
  const known = own?.[error.code] ?? GENERAL[error.code];
  return known ?? { reason: error.message.slice(error.message.indexOf(': ') + 2), hint: error.hint };
}

/** A failure as a line of JSON for standard error: the object that `toJSON()` of the library's errors gives. */
export function failureJson(code: string, message: string, hint: string | undefined): string {
  return safeJson({ error: { code, message, hint } });
}

/** A failure as lines for standard error. */
export function failureLines(message: string, hint: string | undefined, excerpt: readonly string[] = []): string[] {
  const lines = [`conntrack: ${message}`, ...excerpt.map((line) => `  ${line}`)];
  return hint === undefined ? lines : [...lines, `  hint: ${hint}`];
}
