// What the bits, states and timeouts of a flow mean, a row each. Source: docs/kernel.md 3, net/netfilter/nf_conntrack_proto_*.c.

import type { Flow } from '../ctnetlink/flow.js';

/** What a status bit says of a flow. Bits that only confirm others have no row. */
export const STATUS_WORDS: Readonly<Record<string, string>> = {
  EXPECTED: 'a helper of another flow expected it',
  SEEN_REPLY: 'packets in both directions',
  ASSURED: 'it is not removed early when the table is full',
  SRC_NAT: 'this host translates its source',
  DST_NAT: 'this host translates its destination',
  SEQ_ADJUST: 'a helper changed lengths, so this host corrects TCP sequence numbers',
  DYING: 'it is being removed',
  FIXED_TIMEOUT: 'packets do not renew its timeout',
  TEMPLATE: 'a template of a rule, not a connection',
  UNTRACKED: 'a rule (notrack) keeps its packets from being tracked',
  HELPER: 'a rule gave it a helper',
  OFFLOAD: 'a flowtable forwards its packets past the rules',
  HW_OFFLOAD: 'hardware forwards its packets',
};

/** What a state means, and what comes next. */
export const STATE_WORDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tcp: {
    NONE: 'nothing is known of it yet',
    SYN_SENT: 'the first packet (SYN) has gone, and no answer came yet; the answer makes it SYN_RECV',
    SYN_RECV: 'the SYN is answered; the next packet makes it ESTABLISHED',
    ESTABLISHED: 'open; the first FIN makes it FIN_WAIT, a reset CLOSE',
    FIN_WAIT: 'one end has closed; the other still may send',
    CLOSE_WAIT: 'one end has closed, and the other has confirmed it',
    LAST_ACK: 'both ends have closed; the last confirmation is missing',
    TIME_WAIT: 'closed; it stays a while, so that late packets find it',
    CLOSE: 'ended by a reset; it stays a few seconds',
    SYN_SENT2: 'both ends began at the same time',
  },
  sctp: {
    CLOSED: 'closed',
    COOKIE_WAIT: 'the first packet (INIT) has gone',
    COOKIE_ECHOED: 'the cookie has gone back; its confirmation makes it ESTABLISHED',
    ESTABLISHED: 'open',
    SHUTDOWN_SENT: 'the side that began is closing',
    SHUTDOWN_RECD: 'the other side is closing',
    SHUTDOWN_ACK_SENT: 'the close is confirmed',
    HEARTBEAT_SENT: 'a further path of a connection was seen by its heartbeat',
    HEARTBEAT_ACKED: 'a further path of a connection, confirmed',
  },
  dccp: {
    REQUEST: 'the first packet has gone',
    RESPOND: 'it is answered',
    PARTOPEN: 'nearly open',
    OPEN: 'open',
    CLOSEREQ: 'the server asked to close',
    CLOSING: 'closing',
    TIMEWAIT: 'closed; it stays a while',
  },
};

/** The sysctl that gives the timeout of a flow in its state, without `nf_conntrack_`; `undefined`: not known. */
export function timeoutSysctl({ protocol, state, status = [] }: Pick<Flow, 'protocol' | 'state' | 'status'>): string | undefined {
  const assured = (status as readonly string[]).includes('ASSURED');
  switch (protocol) {
    case 'tcp':
      if (state === undefined || state === 'NONE') return undefined;
      return `tcp_timeout_${state === 'SYN_SENT2' ? 'syn_sent' : state.toLowerCase()}`;
    case 'sctp':
    case 'dccp':
      return state === undefined || state === 'NONE' ? undefined : `${protocol}_timeout_${state.toLowerCase()}`;
    case 'udp':
    case 'gre':
      return assured ? `${protocol}_timeout_stream` : `${protocol}_timeout`;
    case 'icmp':
    case 'icmpv6':
      return `${protocol}_timeout`;
    case 'unknown':
      return 'generic_timeout';
    default:
      return undefined;
  }
}
