// Option rows of the single protocols: they are available once `-p` has named the protocol. All take a value; none has a letter. Source:
// docs/behaviour.md 1.6, 2.3; the order of each list is the order in which legality is checked.

import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import type { Protocol } from '../ctnetlink/schema.js';
import { IPPROTO_TCP } from '../ctnetlink/uapi/in.js';
import { type Legality, number, type OptionRow, type OptionRows } from './options.js';
import { parseRole, parseState } from './values.js';

const SIDE: Legality = { L: 'may', G: 'pair', D: 'may', I: 'pair', A: 'pair', U: 'may', E: 'may' };
const SIDE_OF_EXPECTATION: Legality = { I: 'must', D: 'must', G: 'must' };
/** The reference demands these with -D and -G but never uses them. */
const IGNORED: Legality = { D: 'may', G: 'may' };
/** What only `-I expect` takes. */
const CREATE: Legality = { I: 'must' };
const STATE: Legality = { L: 'may', G: 'may', D: 'may', I: 'must', A: 'must', U: 'may', E: 'may' };
/** The C tool refuses them with -D, yet its `-E -o save` writes such lines (docs/differences.md B53). */
const TRACKER: Legality = { G: 'may', D: 'may', I: 'must', A: 'must', U: 'may' };
const ICMP: Legality = { L: 'may', G: 'must', D: 'may', I: 'must', A: 'must', U: 'may', E: 'may' };
const ICMP_ID: Legality = { L: 'may', G: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' };

/** Constant, but made when first needed: most command lines name one protocol or none. */
const ROWS = new Map<Protocol, OptionRows>();

/** The options of a protocol. Keys are those of OptionValues: the port keys serve GRE keys too. */
export function protocolOptions(protocol: Protocol): OptionRows {
  let rows = ROWS.get(protocol);
  if (!rows) {
    rows = makeRows(protocol);
    ROWS.set(protocol, rows);
  }
  return rows;
}

function makeRows(protocol: Protocol): OptionRows {
  switch (protocol.tuple) {
    case 'ports':
      return portOptions(protocol);
    case 'keys':
      return keyOptions();
    case 'icmp':
    case 'icmpv6':
      return icmpOptions(protocol.tuple);
    case 'none':
      return {};
  }
}

/** Names of the protocols that have an option of this long name. */
export function protocolsWithOption(name: string): readonly string[] {
  const has = (protocol: Protocol) => Object.values(protocolOptions(protocol)).some((row) => row.names.includes(name));
  return PROTOCOLS.filter(has).map((protocol) => protocol.name);
}

function portOptions(protocol: Protocol): OptionRows {
  const port = { arg: 'required', value: 'PORT' } as const;
  return {
    sport: {
      ...port,
      names: ['sport', 'orig-port-src'],
      help: 'Source port of the original direction.',
      conntrack: SIDE,
      expect: SIDE_OF_EXPECTATION,
      read: number('sport', 'port'),
    },
    dport: {
      ...port,
      names: ['dport', 'orig-port-dst'],
      help: 'Destination port of the original direction.',
      conntrack: SIDE,
      expect: SIDE_OF_EXPECTATION,
      read: number('dport', 'port'),
    },
    replySport: {
      ...port,
      names: ['reply-port-src'],
      help: 'Source port of the reply direction.',
      conntrack: SIDE,
      expect: IGNORED,
      read: number('replySport', 'port'),
    },
    replyDport: {
      ...port,
      names: ['reply-port-dst'],
      help: 'Destination port of the reply direction.',
      conntrack: SIDE,
      expect: IGNORED,
      read: number('replyDport', 'port'),
    },
    maskSport: {
      ...port,
      names: ['mask-port-src'],
      help: 'Bits of the expected source port that must match; 0 for any port.',
      expect: CREATE,
      read: number('maskSport', 'port'),
    },
    maskDport: {
      ...port,
      names: ['mask-port-dst'],
      help: 'Bits of the expected destination port that must match.',
      expect: CREATE,
      read: number('maskDport', 'port'),
    },
    ...(protocol.states ? { state: stateOption(protocol) } : {}),
    tupleSport: {
      ...port,
      names: ['tuple-port-src'],
      help: 'Source port of the expected connection.',
      expect: CREATE,
      read: number('tupleSport', 'port'),
    },
    tupleDport: {
      ...port,
      names: ['tuple-port-dst'],
      help: 'Destination port of the expected connection.',
      expect: CREATE,
      read: number('tupleDport', 'port'),
    },
    ...(TRACKER_OPTIONS[protocol.name] ?? {}),
  };
}

function stateOption(protocol: Protocol): OptionRow {
  return {
    names: ['state'],
    arg: 'required',
    value: 'STATE',
    choices: protocol.states!,
    help: `State of the connection; with -U the new state.${protocol.number === IPPROTO_TCP ? ' LISTEN is the old name of SYN_SENT2.' : ''}`,
    conntrack: STATE,
    read(draft, name, text) {
      draft.values.state = parseState(text, name, protocol);
    },
  };
}

/** Options of single trackers, besides ports and a state. */
const TRACKER_OPTIONS: Readonly<Record<string, OptionRows>> = {
  sctp: {
    origVtag: {
      names: ['orig-vtag'],
      arg: 'required',
      value: 'TAG',
      help: 'Verification tag of the original direction, decimal.',
      conntrack: TRACKER,
      expect: CREATE,
      read: number('origVtag', 'vtag'),
    },
    replyVtag: {
      names: ['reply-vtag'],
      arg: 'required',
      value: 'TAG',
      help: 'Verification tag of the reply direction, decimal.',
      conntrack: TRACKER,
      expect: CREATE,
      read: number('replyVtag', 'vtag'),
    },
  },
  dccp: {
    role: {
      names: ['role'],
      arg: 'required',
      value: 'ROLE',
      choices: ['client', 'server'],
      help: 'Role of the original direction.',
      conntrack: TRACKER,
      expect: CREATE,
      read(draft, name, text) {
        draft.values.role = parseRole(text, name);
      },
    },
  },
};

function keyOptions(): OptionRows {
  const key = { arg: 'required', value: 'KEY' } as const;
  return {
    sport: {
      ...key,
      names: ['srckey', 'orig-key-src'],
      help: 'Source call key of the original direction; 0x... or decimal.',
      conntrack: SIDE,
      expect: SIDE_OF_EXPECTATION,
      read: number('sport', 'key'),
    },
    dport: {
      ...key,
      names: ['dstkey', 'orig-key-dst'],
      help: 'Destination call key of the original direction.',
      conntrack: SIDE,
      expect: SIDE_OF_EXPECTATION,
      read: number('dport', 'key'),
    },
    replySport: {
      ...key,
      names: ['reply-key-src'],
      help: 'Source call key of the reply direction.',
      conntrack: SIDE,
      expect: { ...IGNORED, ...CREATE },
      read: number('replySport', 'key'),
    },
    replyDport: {
      ...key,
      names: ['reply-key-dst'],
      help: 'Destination call key of the reply direction.',
      conntrack: SIDE,
      expect: { ...IGNORED, ...CREATE },
      read: number('replyDport', 'key'),
    },
    maskSport: {
      ...key,
      names: ['mask-key-src'],
      help: 'Bits of the expected source key that must match.',
      expect: CREATE,
      read: number('maskSport', 'key'),
    },
    maskDport: {
      ...key,
      names: ['mask-key-dst'],
      help: 'Bits of the expected destination key that must match.',
      expect: CREATE,
      read: number('maskDport', 'key'),
    },
    tupleSport: {
      ...key,
      names: ['tuple-key-src'],
      help: 'Source call key of the expected connection.',
      expect: CREATE,
      read: number('tupleSport', 'key'),
    },
    tupleDport: {
      ...key,
      names: ['tuple-key-dst'],
      help: 'Destination call key of the expected connection.',
      expect: CREATE,
      read: number('tupleDport', 'key'),
    },
  };
}

function icmpOptions(prefix: 'icmp' | 'icmpv6'): OptionRows {
  return {
    icmpType: {
      names: [`${prefix}-type`],
      arg: 'required',
      value: 'TYPE',
      help: `Type of the request, a number such as ${prefix === 'icmp' ? 8 : 128} (echo).`,
      conntrack: ICMP,
      read: number('icmpType', 'icmpType'),
    },
    icmpCode: {
      names: [`${prefix}-code`],
      arg: 'required',
      value: 'CODE',
      help: 'Code of the request, a number.',
      conntrack: ICMP,
      read: number('icmpCode', 'icmpCode'),
    },
    icmpId: {
      names: [`${prefix}-id`],
      arg: 'required',
      value: 'ID',
      help: 'Id of the request, a number; 0 if not given with -I, -A, -G.',
      conntrack: ICMP_ID,
      read: number('icmpId', 'icmpId'),
    },
  };
}
