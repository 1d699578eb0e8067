// Default values of a flow for tests: those of a flow in which both sides have sent packets. Timeouts are the kernel's defaults
// (Documentation/networking/nf_conntrack-sysctl.rst).

import type { NewFlow, SideInput } from '../ctnetlink/new-flow.js';
import { dccp } from '../ctnetlink/protocols/dccp.js';
import { gre } from '../ctnetlink/protocols/gre.js';
import { icmp } from '../ctnetlink/protocols/icmp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { sctp } from '../ctnetlink/protocols/sctp.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import { udp } from '../ctnetlink/protocols/udp.js';
import { udplite } from '../ctnetlink/protocols/udplite.js';
import type { StatusName } from '../ctnetlink/status.js';

const UNREPLIED: readonly StatusName[] = [];
const REPLIED: readonly StatusName[] = ['SEEN_REPLY'];
const ASSURED: readonly StatusName[] = ['SEEN_REPLY', 'ASSURED'];

type Default = readonly [timeout: number, status: readonly StatusName[]];

/** By protocol and state; the first state is the default. */
const STATES: Readonly<Record<number, Readonly<Record<string, Default>>>> = {
  [tcp.number]: {
    ESTABLISHED: [432000, ASSURED],
    NONE: [60, UNREPLIED],
    SYN_SENT: [120, UNREPLIED],
    SYN_RECV: [60, REPLIED],
    FIN_WAIT: [120, ASSURED],
    CLOSE_WAIT: [60, ASSURED],
    LAST_ACK: [30, ASSURED],
    TIME_WAIT: [120, ASSURED],
    CLOSE: [10, ASSURED],
    SYN_SENT2: [120, UNREPLIED],
  },
  [sctp.number]: {
    ESTABLISHED: [210, ASSURED],
    CLOSED: [10, UNREPLIED],
    COOKIE_WAIT: [3, UNREPLIED],
    COOKIE_ECHOED: [3, REPLIED],
    SHUTDOWN_SENT: [3, ASSURED],
    SHUTDOWN_RECD: [3, ASSURED],
    SHUTDOWN_ACK_SENT: [3, ASSURED],
    HEARTBEAT_SENT: [30, UNREPLIED],
  },
  [dccp.number]: {
    OPEN: [43200, ASSURED],
    REQUEST: [240, UNREPLIED],
    RESPOND: [480, REPLIED],
    PARTOPEN: [480, REPLIED],
    CLOSEREQ: [64, ASSURED],
    CLOSING: [64, ASSURED],
    TIMEWAIT: [240, ASSURED],
  },
};

/** For protocols without states: after both sides have sent packets, and before. */
const SPOKEN: Readonly<Record<number, readonly [replied: Default, unreplied: number]>> = {
  [udp.number]: [[120, ASSURED], 30],
  [udplite.number]: [[180, ASSURED], 30],
  [gre.number]: [[180, ASSURED], 30],
  [icmp.number]: [[30, REPLIED], 30],
  [icmpv6.number]: [[30, REPLIED], 30],
};
const GENERIC: readonly [replied: Default, unreplied: number] = [[600, REPLIED], 600];

const CLIENT = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;
const SERVER = { ipv4: '198.51.100.1', ipv6: '2001:db8:1::1' } as const;
const CLIENT_PORT = 40000;
const SERVER_PORTS: Readonly<Record<number, number>> = { [tcp.number]: 443, [udp.number]: 53 };

/** A new flow that may lack a timeout. */
type Unfinished = Omit<NewFlow, 'timeout'> & { readonly timeout?: number | undefined };

/** The flow with state, status and timeout. */
export function withDefaults(flow: Unfinished, protonum: number): NewFlow {
  const states = STATES[protonum];
  const state = flow.state ?? (states && (Object.keys(states)[0] as NewFlow['state']));
  const [timeout, status] = states ? (states[state!] ?? [60, UNREPLIED]) : spoken(protonum, flow.status);
  return { ...flow, state, status: flow.status ?? status, timeout: flow.timeout ?? timeout };
}

function spoken(protonum: number, given: readonly StatusName[] | undefined): Default {
  const [replied, unreplied] = SPOKEN[protonum] ?? GENERIC;
  return given && !given.includes('SEEN_REPLY') ? [unreplied, given] : replied;
}

/** The original direction with all members that its protocol has. */
export function completeSide(side: SideInput, protonum: number, family: 'ipv4' | 'ipv6'): SideInput {
  const ends = { src: side.src ?? CLIENT[family], dst: side.dst ?? SERVER[family] };
  switch (protocolByNumber(protonum).tuple) {
    case 'ports':
      return { ...side, ...ends, sport: side.sport ?? CLIENT_PORT, dport: side.dport ?? SERVER_PORTS[protonum] ?? 1 };
    case 'keys':
      return { ...side, ...ends, sport: side.sport ?? 0, dport: side.dport ?? 0 };
    case 'icmp':
      return { ...side, ...ends, icmpType: side.icmpType ?? ECHO, icmpCode: side.icmpCode ?? 0, icmpId: side.icmpId ?? 1 };
    case 'icmpv6':
      return { ...side, ...ends, icmpType: side.icmpType ?? ECHO_V6, icmpCode: side.icmpCode ?? 0, icmpId: side.icmpId ?? 1 };
    case 'none':
      return { ...side, ...ends };
  }
}

/** Echo requests. */
const ECHO = 8;
const ECHO_V6 = 128;
