// Names of messages and attributes for people, in the order of their numbers from 1 on. Only code that prints messages needs them. A test
// compares them with the headers (uapi/nfnetlink-conntrack.ts).

/** The attributes of one nest. */
export interface Nest {
  readonly names: readonly string[];
  /** The nests inside, by name. */
  readonly nests?: Readonly<Record<string, Nest>>;
}

const nest = (prefix: string, names: string, nests?: Nest['nests']): Nest => ({
  names: names.split(' ').map((name) => prefix + name),
  ...(nests ? { nests } : {}),
});

const ip = nest('CTA_IP_', 'V4_SRC V4_DST V6_SRC V6_DST');
const proto = nest('CTA_PROTO_', 'NUM SRC_PORT DST_PORT ICMP_ID ICMP_TYPE ICMP_CODE ICMPV6_ID ICMPV6_TYPE ICMPV6_CODE');
const tuple = nest('CTA_TUPLE_', 'IP PROTO ZONE', { CTA_TUPLE_IP: ip, CTA_TUPLE_PROTO: proto });
const protonat = nest('CTA_PROTONAT_', 'PORT_MIN PORT_MAX');
const nat = nest('CTA_NAT_', 'V4_MINIP V4_MAXIP PROTO V6_MINIP V6_MAXIP', { CTA_NAT_PROTO: protonat });
const counters = nest('CTA_COUNTERS_', 'PACKETS BYTES');
const seqadj = nest('CTA_SEQADJ_', 'CORRECTION_POS OFFSET_BEFORE OFFSET_AFTER');
const protoinfo = nest('CTA_PROTOINFO_', 'TCP DCCP SCTP', {
  CTA_PROTOINFO_TCP: nest('CTA_PROTOINFO_TCP_', 'STATE WSCALE_ORIGINAL WSCALE_REPLY FLAGS_ORIGINAL FLAGS_REPLY'),
  CTA_PROTOINFO_DCCP: nest('CTA_PROTOINFO_DCCP_', 'STATE ROLE HANDSHAKE_SEQ'),
  CTA_PROTOINFO_SCTP: nest('CTA_PROTOINFO_SCTP_', 'STATE VTAG_ORIGINAL VTAG_REPLY'),
});

/** Attributes of flows. */
export const FLOW_ATTRIBUTES: Nest = nest(
  'CTA_',
  'TUPLE_ORIG TUPLE_REPLY STATUS PROTOINFO HELP NAT_SRC TIMEOUT MARK COUNTERS_ORIG COUNTERS_REPLY USE ID NAT_DST TUPLE_MASTER ' +
    'SEQ_ADJ_ORIG SEQ_ADJ_REPLY SECMARK ZONE SECCTX TIMESTAMP MARK_MASK LABELS LABELS_MASK SYNPROXY FILTER STATUS_MASK TIMESTAMP_EVENT',
  {
    CTA_TUPLE_ORIG: tuple,
    CTA_TUPLE_REPLY: tuple,
    CTA_TUPLE_MASTER: tuple,
    CTA_PROTOINFO: protoinfo,
    CTA_HELP: nest('CTA_HELP_', 'NAME INFO'),
    CTA_NAT_SRC: nat,
    CTA_NAT_DST: nat,
    CTA_COUNTERS_ORIG: counters,
    CTA_COUNTERS_REPLY: counters,
    CTA_SEQ_ADJ_ORIG: seqadj,
    CTA_SEQ_ADJ_REPLY: seqadj,
    CTA_SECCTX: nest('CTA_SECCTX_', 'NAME'),
    CTA_TIMESTAMP: nest('CTA_TIMESTAMP_', 'START STOP'),
    CTA_SYNPROXY: nest('CTA_SYNPROXY_', 'ISN ITS TSOFF'),
    CTA_FILTER: nest('CTA_FILTER_', 'ORIG_FLAGS REPLY_FLAGS'),
  },
);

/** Attributes of expectations. */
export const EXPECTATION_ATTRIBUTES: Nest = nest(
  'CTA_EXPECT_',
  'MASTER TUPLE MASK TIMEOUT ID HELP_NAME ZONE FLAGS CLASS NAT FN',
  {
    CTA_EXPECT_MASTER: tuple,
    CTA_EXPECT_TUPLE: tuple,
    CTA_EXPECT_MASK: tuple,
    CTA_EXPECT_NAT: nest('CTA_EXPECT_', 'NAT_DIR NAT_TUPLE', { CTA_EXPECT_NAT_TUPLE: tuple }),
  },
);

const CPU = nest(
  'CTA_STATS_',
  'SEARCHED FOUND NEW INVALID IGNORE DELETE DELETE_LIST INSERT INSERT_FAILED DROP EARLY_DROP ERROR SEARCH_RESTART CLASH_RESOLVE ' +
    'CHAIN_TOOLONG',
);

/** A message: its name, and its attributes. */
export interface MessageNames {
  readonly name: string;
  readonly attributes: Nest;
}

const of = (attributes: Nest, ...names: string[]): MessageNames[] => names.map((name) => ({ name, attributes }));

/** Messages of flows, by number. */
export const FLOW_MESSAGES: readonly MessageNames[] = [
  ...of(FLOW_ATTRIBUTES, 'IPCTNL_MSG_CT_NEW', 'IPCTNL_MSG_CT_GET', 'IPCTNL_MSG_CT_DELETE', 'IPCTNL_MSG_CT_GET_CTRZERO'),
  ...of(CPU, 'IPCTNL_MSG_CT_GET_STATS_CPU'),
  ...of(nest('CTA_STATS_GLOBAL_', 'ENTRIES MAX_ENTRIES'), 'IPCTNL_MSG_CT_GET_STATS'),
  ...of(FLOW_ATTRIBUTES, 'IPCTNL_MSG_CT_GET_DYING', 'IPCTNL_MSG_CT_GET_UNCONFIRMED'),
];

/** Messages of expectations, by number. */
export const EXPECTATION_MESSAGES: readonly MessageNames[] = [
  ...of(EXPECTATION_ATTRIBUTES, 'IPCTNL_MSG_EXP_NEW', 'IPCTNL_MSG_EXP_GET', 'IPCTNL_MSG_EXP_DELETE'),
  ...of(nest('CTA_STATS_EXP_', 'NEW CREATE DELETE'), 'IPCTNL_MSG_EXP_GET_STATS_CPU'),
];
