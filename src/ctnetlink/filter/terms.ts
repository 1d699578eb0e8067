// The words of the filter language: one row each. Parser, formatter, help, manual, completion and docs read these rows.

import {
  AF_INET,
  AF_INET6,
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from '../uapi/in.js';
import type { End, NumberField, Presence, TupleEnd } from './condition.js';

/** What kind of value a field takes. */
export type TestValue =
  | 'address'
  | 'port'
  | 'key'
  | 'number'
  | 'size'
  | 'count'
  | 'duration'
  | 'seconds'
  | 'time'
  | 'protocol'
  | 'state'
  | 'label'
  | 'mark'
  | 'status'
  | 'text'
  | 'role'
  | 'icmp type'
  | 'presence';

/** A family of addresses. */
export interface FamilyTerm {
  readonly kind: 'family';
  readonly family: number;
}
/** A layer-4 protocol. */
export interface ProtocolTerm {
  readonly kind: 'protocol';
  readonly protonum: number;
}
/** A status bit that is set, or clear. */
export interface FlagTerm {
  readonly kind: 'flag';
  readonly bit: number;
  readonly set: boolean;
}
/** A direction, or the tuple of the master. */
export interface SideTerm {
  readonly kind: 'side';
  readonly side: TupleEnd['side'];
}
export interface EndTerm {
  readonly kind: 'end';
  readonly end: End;
}
/** What of an end is compared. */
export interface WhatTerm {
  readonly kind: 'what';
  readonly what: 'address' | 'port' | 'key';
}
/** End and what in one word. */
export interface FusedTerm {
  readonly kind: 'fused';
  readonly end: End;
  readonly what: 'address' | 'port';
}
/** A number that an entry has once. `sides`: its fields where `orig` or `reply` stands before. */
export interface NumberTerm {
  readonly kind: 'number';
  readonly value: TestValue;
  readonly field?: NumberField;
  readonly original?: NumberField;
  readonly reply?: NumberField;
}
export interface CounterTerm {
  readonly kind: 'counter';
  readonly of: 'bytes' | 'packets';
}
/** A field whose reading the parser knows by name. */
export interface SpecialTerm {
  readonly kind:
    | 'protocols'
    | 'state'
    | 'icmp type'
    | 'icmp code'
    | 'id'
    | 'age'
    | 'start'
    | 'stop'
    | 'label'
    | 'helper'
    | 'secctx'
    | 'status'
    | 'mark'
    | 'has'
    | 'snat'
    | 'dnat'
    | 'nat'
    | 'all'
    | 'none';
}

export type Term =
  | FamilyTerm
  | ProtocolTerm
  | FlagTerm
  | SideTerm
  | EndTerm
  | WhatTerm
  | FusedTerm
  | NumberTerm
  | CounterTerm
  | SpecialTerm;

/** A word of the language; the first spelling is the one that is written. */
export type TermRow = Term & { readonly words: readonly [string, ...string[]]; readonly help: string };

const protocol = (protonum: number, help: string, ...words: readonly [string, ...string[]]): TermRow => ({
  kind: 'protocol',
  protonum,
  words,
  help,
});
const flag = (bit: number, set: boolean, help: string, ...words: readonly [string, ...string[]]): TermRow => ({
  kind: 'flag',
  bit,
  set,
  words,
  help,
});

export const TERMS: readonly TermRow[] = [
  { kind: 'all', words: ['all'], help: 'every flow' },
  { kind: 'none', words: ['none'], help: 'no flow' },
  { kind: 'family', family: AF_INET, words: ['ip', 'ip4', 'ipv4', 'inet'], help: 'IPv4' },
  { kind: 'family', family: AF_INET6, words: ['ip6', 'ipv6', 'inet6'], help: 'IPv6' },
  protocol(IPPROTO_TCP, 'protocol TCP', 'tcp'),
  protocol(IPPROTO_UDP, 'protocol UDP', 'udp'),
  protocol(IPPROTO_UDPLITE, 'protocol UDP-Lite', 'udplite'),
  protocol(IPPROTO_SCTP, 'protocol SCTP', 'sctp'),
  protocol(IPPROTO_DCCP, 'protocol DCCP', 'dccp'),
  protocol(IPPROTO_ICMP, 'protocol ICMP', 'icmp'),
  protocol(IPPROTO_ICMPV6, 'protocol ICMPv6', 'icmpv6', 'icmp6'),
  protocol(IPPROTO_GRE, 'protocol GRE', 'gre'),
  protocol(50, 'protocol ESP', 'esp'),
  protocol(51, 'protocol AH', 'ah'),
  protocol(2, 'protocol IGMP', 'igmp'),
  protocol(89, 'protocol OSPF', 'ospf'),
  protocol(103, 'protocol PIM', 'pim'),
  protocol(112, 'protocol VRRP', 'vrrp'),
  protocol(4, 'IPv4 in IP', 'ipip'),
  { kind: 'protocols', words: ['proto'], help: 'the protocol, by name or number' },
  { kind: 'side', side: 'original', words: ['orig', 'original'], help: 'the original direction' },
  { kind: 'side', side: 'reply', words: ['reply'], help: 'the reply direction' },
  { kind: 'side', side: 'master', words: ['master'], help: 'the tuple of the flow that this one was expected by' },
  { kind: 'end', end: 'src', words: ['src', 'source'], help: 'source, of the original direction unless one is named' },
  {
    kind: 'end',
    end: 'dst',
    words: ['dst', 'dest', 'destination'],
    help: 'destination, of the original direction unless one is named',
  },
  { kind: 'what', what: 'address', words: ['host', 'net', 'addr'], help: 'address of any end' },
  { kind: 'what', what: 'port', words: ['port', 'portrange'], help: 'port of any end' },
  { kind: 'what', what: 'key', words: ['key'], help: 'GRE key of any end' },
  { kind: 'fused', end: 'src', what: 'port', words: ['sport'], help: 'src port' },
  { kind: 'fused', end: 'dst', what: 'port', words: ['dport'], help: 'dst port' },
  { kind: 'fused', end: 'src', what: 'address', words: ['saddr'], help: 'src' },
  { kind: 'fused', end: 'dst', what: 'address', words: ['daddr'], help: 'dst' },
  { kind: 'icmp type', words: ['type'], help: 'ICMP type, directly after icmp or icmpv6' },
  { kind: 'icmp code', words: ['code'], help: 'ICMP code, directly after icmp or icmpv6' },
  { kind: 'state', words: ['state'], help: 'state of the TCP, SCTP or DCCP tracker' },
  {
    kind: 'number',
    value: 'number',
    original: 'vtagOriginal',
    reply: 'vtagReply',
    words: ['vtag'],
    help: 'verification tag of SCTP',
  },
  { kind: 'number', value: 'role', field: 'role', words: ['role'], help: 'role of the original direction of DCCP' },
  flag(2, true, 'the flow is not dropped early when the table is full', 'assured'),
  flag(1, true, 'packets were seen both ways', 'replied', 'seen-reply'),
  flag(1, false, 'no packet came back', 'unreplied'),
  flag(3, true, 'the first packet has left this host', 'confirmed'),
  flag(0, true, 'another flow announced this one', 'expected'),
  flag(9, true, 'on its way out of the table', 'dying'),
  flag(10, true, 'the timeout is not refreshed', 'fixed-timeout'),
  flag(14, true, 'in the flow table', 'offload', 'offloaded'),
  flag(15, true, 'in the hardware', 'hw-offload'),
  { kind: 'status', words: ['status'], help: 'a status bit by name' },
  { kind: 'mark', words: ['mark'], help: 'the mark; VALUE/MASK, or mark & MASK = VALUE' },
  {
    kind: 'number',
    value: 'number',
    field: 'zone',
    original: 'originalZone',
    reply: 'replyZone',
    words: ['zone'],
    help: 'the zone, 0 without one',
  },
  { kind: 'label', words: ['label'], help: 'a label, by name or bit' },
  { kind: 'counter', of: 'bytes', words: ['bytes'], help: 'bytes of both directions' },
  { kind: 'counter', of: 'packets', words: ['packets', 'pkts'], help: 'packets of both directions' },
  { kind: 'age', words: ['age', 'duration'], help: 'time since the start, until the end of a flow that has ended' },
  { kind: 'start', words: ['start'], help: 'when the flow began' },
  { kind: 'stop', words: ['stop'], help: 'when the flow ended' },
  { kind: 'number', value: 'seconds', field: 'timeout', words: ['timeout', 'expires'], help: 'time that is left' },
  { kind: 'snat', words: ['snat'], help: 'source-translated; snat to ADDRESS: and seen as that' },
  { kind: 'dnat', words: ['dnat'], help: 'destination-translated; dnat to ADDRESS: and seen as that' },
  { kind: 'nat', words: ['nat'], help: 'translated in any way' },
  { kind: 'helper', words: ['helper'], help: 'name of the helper' },
  { kind: 'id', words: ['id'], help: 'id of the entry; the ICMP id directly after icmp or icmpv6' },
  { kind: 'number', value: 'number', field: 'use', words: ['use'], help: 'reference count' },
  { kind: 'number', value: 'number', field: 'secmark', words: ['secmark'], help: 'the obsolete security mark' },
  { kind: 'secctx', words: ['secctx'], help: 'security context' },
  { kind: 'has', words: ['has'], help: 'whether the flow has something at all' },
];

/** Words that are not tests. */
export const OPERATORS = ['and', 'or', 'not', 'in', 'to'] as const;

const BY_WORD = new Map(TERMS.flatMap((row) => row.words.map((word) => [word, row] as const)));

/** The row of a word in lower case. */
export function termOf(word: string): TermRow | undefined {
  return BY_WORD.get(word);
}

/** All words that begin a test, for suggestions. */
export function termWords(): Iterable<string> {
  return BY_WORD.keys();
}

/** Protocols by their words. */
export const PROTOCOL_WORDS: ReadonlyMap<string, number> = new Map(
  TERMS.flatMap((row) => (row.kind === 'protocol' ? row.words.map((word) => [word, row.protonum] as const) : [])),
);

/** The word of a protocol number. */
export function protocolWord(protonum: number): string | undefined {
  return TERMS.find((row) => row.kind === 'protocol' && row.protonum === protonum)?.words[0];
}

/** What `has` asks for, with its help. */
export const PRESENCE_HELP: Readonly<Record<Presence, string>> = {
  port: 'ports: not ICMP, ESP and others',
  key: 'keys of GRE',
  state: 'a state machine: TCP, SCTP, DCCP',
  mark: 'a mark that was sent',
  label: 'any label',
  helper: 'a helper',
  zone: 'a zone other than 0',
  bytes: 'counters: nf_conntrack_acct was 1 at its start',
  packets: 'counters',
  start: 'a start: nf_conntrack_timestamp was 1 then',
  stop: 'an end: events of flows that have ended',
  timeout: 'a timeout: not offloaded',
  id: 'an id',
  use: 'a reference count',
  secmark: 'a security mark',
  secctx: 'a security context',
  master: 'a flow that it was expected by',
  seqadj: 'adjusted sequence numbers',
  synproxy: 'a SYN proxy before it',
};

/** Well-known ports that have names on every host: IANA's, and nothing else. */
export const SERVICES: ReadonlyMap<string, number> = new Map(
  Object.entries({
    'ftp-data': 20,
    ftp: 21,
    ssh: 22,
    telnet: 23,
    smtp: 25,
    time: 37,
    whois: 43,
    tacacs: 49,
    domain: 53,
    bootps: 67,
    bootpc: 68,
    tftp: 69,
    gopher: 70,
    finger: 79,
    http: 80,
    kerberos: 88,
    pop3: 110,
    sunrpc: 111,
    ident: 113,
    nntp: 119,
    ntp: 123,
    'netbios-ns': 137,
    'netbios-dgm': 138,
    'netbios-ssn': 139,
    imap: 143,
    snmp: 161,
    snmptrap: 162,
    bgp: 179,
    irc: 194,
    ldap: 389,
    https: 443,
    'microsoft-ds': 445,
    submissions: 465,
    isakmp: 500,
    syslog: 514,
    printer: 515,
    ripng: 521,
    'dhcpv6-client': 546,
    'dhcpv6-server': 547,
    rtsp: 554,
    nntps: 563,
    submission: 587,
    ipp: 631,
    ldaps: 636,
    'domain-s': 853,
    rsync: 873,
    ftps: 990,
    imaps: 993,
    pop3s: 995,
    socks: 1080,
    openvpn: 1194,
    'ms-sql-s': 1433,
    l2tp: 1701,
    pptp: 1723,
    radius: 1812,
    mqtt: 1883,
    nfs: 2049,
    mysql: 3306,
    stun: 3478,
    'ipsec-nat-t': 4500,
    sip: 5060,
    sips: 5061,
    'xmpp-client': 5222,
    mdns: 5353,
    postgresql: 5432,
    amqp: 5672,
    'http-alt': 8080,
  }),
);

/** ICMP types by name. */
export const ICMP_TYPES: Readonly<Record<'icmp' | 'icmpv6', ReadonlyMap<string, number>>> = {
  icmp: new Map([
    ['echo-reply', 0],
    ['echo-request', 8],
    ['timestamp-request', 13],
    ['timestamp-reply', 14],
    ['info-request', 15],
    ['info-reply', 16],
    ['address-mask-request', 17],
    ['address-mask-reply', 18],
  ]),
  icmpv6: new Map([
    ['echo-request', 128],
    ['echo-reply', 129],
    ['node-info-request', 139],
    ['node-info-reply', 140],
  ]),
};

/** States that other tools call otherwise: the kernel's word, where there is one that fits. */
export const OTHER_STATES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'fin-wait-1': 'fin-wait',
    'fin-wait-2': 'fin-wait',
    'fin-wait1': 'fin-wait',
    'fin-wait2': 'fin-wait',
    'syn-received': 'syn-recv',
    'syn-rcvd': 'syn-recv',
    closing: 'last-ack',
    closed: 'close',
    'time-wait-1': 'time-wait',
    estab: 'established',
    new: 'unreplied in place of state new',
    related: 'expected in place of state related',
  }),
);

/**
 * Words of other tools that begin no test here: what to write instead (`use`), or why there is nothing (`why`). Those that mean something
 * else in another tool are here too, rather than meaning one of the two.
 */
export const FOREIGN: ReadonlyMap<string, { readonly use?: readonly string[]; readonly why: string }> = new Map(
  Object.entries({
    established: {
      use: ['state established', 'replied'],
      why: 'state established is that of the TCP tracker; replied means that packets were seen both ways',
    },
    new: { use: ['unreplied'], why: 'an entry that saw no answer is unreplied; new events are chosen by -e NEW' },
    related: { use: ['expected'], why: 'a flow that another one announced is expected' },
    invalid: { why: 'invalid packets have no entry' },
    untracked: { why: 'untracked packets have no entry' },
    'ip.addr': { use: ['host'], why: 'addresses are compared by host, src and dst' },
    'ip.src': { use: ['src'], why: 'addresses are compared by host, src and dst' },
    'ip.dst': { use: ['dst'], why: 'addresses are compared by host, src and dst' },
    'ipv6.addr': { use: ['host'], why: 'addresses are compared by host, src and dst' },
    'tcp.port': { use: ['tcp port'], why: 'a protocol stands before what it limits' },
    'tcp.srcport': { use: ['tcp src port'], why: 'a protocol stands before what it limits' },
    'tcp.dstport': { use: ['tcp dst port'], why: 'a protocol stands before what it limits' },
    'udp.port': { use: ['udp port'], why: 'a protocol stands before what it limits' },
    'udp.srcport': { use: ['udp src port'], why: 'a protocol stands before what it limits' },
    'udp.dstport': { use: ['udp dst port'], why: 'a protocol stands before what it limits' },
    ct: { use: [], why: 'everything here is about connection tracking: leave ct out' },
    meta: { why: 'the kernel does not keep what belongs to packets' },
    iif: { why: 'the kernel does not keep interfaces of flows' },
    oif: { why: 'the kernel does not keep interfaces of flows' },
    iifname: { why: 'the kernel does not keep interfaces of flows' },
    oifname: { why: 'the kernel does not keep interfaces of flows' },
    iface: { why: 'the kernel does not keep interfaces of flows' },
    interface: { why: 'the kernel does not keep interfaces of flows' },
    dev: { why: 'the kernel does not keep interfaces of flows' },
    in: { why: 'the kernel does not keep interfaces of flows' },
    vlan: { why: 'the kernel does not keep VLANs of flows; zones may stand for them' },
    ether: { why: 'the kernel does not keep hardware addresses of flows' },
    arp: { why: 'connection tracking knows IPv4 and IPv6 only' },
    pid: { why: 'a flow belongs to no process' },
    process: { why: 'a flow belongs to no process' },
    uid: { why: 'a flow belongs to no user' },
    user: { why: 'a flow belongs to no user' },
    cgroup: { why: 'a flow belongs to no control group' },
    pod: { why: 'the kernel knows no pods: write host and the address' },
    country: { why: 'the kernel knows no countries: write networks' },
    idle: { use: ['timeout'], why: 'the kernel sends no time of the last packet; the timeout that is left tells it' },
    rate: { why: 'a rate needs two looks: conntrack shows one' },
    event: { why: 'events are chosen by -e NEW,UPDATE,DESTROY' },
    direction: { use: ['orig', 'reply'], why: 'directions are orig and reply' },
    'ct.state': { use: ['state'], why: 'the state of the tracker' },
    flags: { why: 'TCP flags belong to packets; status bits are words such as assured' },
    syn: { use: ['state syn-sent'], why: 'TCP flags belong to packets; a flow has a state' },
    ttl: { use: ['timeout'], why: 'the time that is left is the timeout' },
    size: { use: ['bytes'], why: 'bytes counts both directions' },
    greater: { use: ['bytes >'], why: 'lengths of packets are not kept' },
    less: { use: ['bytes <'], why: 'lengths of packets are not kept' },
    len: { use: ['bytes'], why: 'lengths of packets are not kept' },
    connmark: { use: ['mark'], why: 'the mark of a connection is mark' },
    ctmark: { use: ['mark'], why: 'the mark of a connection is mark' },
    connlabel: { use: ['label'], why: 'labels are compared by label' },
    ctstate: { use: ['state'], why: 'the state of the tracker; replied for packets both ways' },
    dnatted: { use: ['dnat'], why: 'destination-translated is dnat' },
    snatted: { use: ['snat'], why: 'source-translated is snat' },
    masquerade: { use: ['snat'], why: 'masquerading is source translation' },
    protocol: { use: ['proto'], why: 'the protocol is proto, or its name alone' },
    l4proto: { use: ['proto'], why: 'the protocol is proto, or its name alone' },
    nexthdr: { use: ['proto'], why: 'the protocol is proto, or its name alone' },
  }),
);
