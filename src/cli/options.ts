// Option rows: names, values, help, and which command takes which option. Parser, legality checks, help and completions read them; none
// of this is repeated elsewhere. Commands: command-rows.ts. Options of single protocols: protocol-options.ts. Source: docs/behaviour.md
// 1.1, 1.4, 2.1; a new option is a new row (and a field in OptionValues).

import { type AddressBytes, familyOf } from '../ctnetlink/address.js';
import type { Protocol } from '../ctnetlink/schema.js';
import { AF_INET } from '../ctnetlink/uapi/in.js';
import { type CommandLetter, type FilterText, LOAD_FORMATS, type OptionValues } from './invocation.js';
import { quoted, UsageError } from './usage-error.js';
import {
  EVENT_WORDS,
  FAMILIES,
  type NumberKind,
  OUTPUT_WORDS,
  parseDuration,
  parseEvents,
  parseFamily,
  parseHelper,
  parseLabelBits,
  parseLabels,
  parseMark,
  parseNat,
  parseNetwork,
  parseNumber,
  parseNumbers,
  parseOutput,
  parsePlainAddress,
  parseProtocol,
  parseStatus,
  parseUnsigned64,
  STATUS_WORDS,
  type Warn,
} from './values.js';

/** `may`: allowed. `must`: required. `pair`: one of the two such pairs is required (docs/behaviour.md 2.2). Not named: refused. */
export type Need = 'may' | 'must' | 'pair';
export type Legality = { readonly [letter in CommandLetter]?: Need };

/** Headings of the help, in order. */
export const GROUPS = {
  tuple: 'Addresses and protocol (what to match; what to create with -I, -A)',
  entry: 'Properties of an entry',
  nat: 'Address translation',
  label: 'Labels',
  expect: 'Expectations',
  output: 'Output',
  event: 'Events',
  filter: 'Filter language (not in the C tool)',
  namespace: 'Network namespaces (not in the C tool)',
  restore: 'What -o save,full writes besides (not in the C tool)',
  safety: 'Safety (not in the C tool)',
  old: 'Without effect',
} as const;

interface OptionFacts {
  /** Long names; the first is the one in messages. */
  readonly names: readonly [string, ...string[]];
  readonly short?: string;
  /** The value's name in the help. */
  readonly value?: string;
  /** The words a value is made of, for help and completion. */
  readonly choices?: readonly string[];
  readonly group?: keyof typeof GROUPS;
  readonly help: string;
  /** Its meaning on the table expect, if it differs. */
  readonly expectHelp?: string;
  /** Commands that take it on the tables conntrack, dying and unconfirmed. */
  readonly conntrack?: Legality;
  /** Commands that take it on the table expect. */
  readonly expect?: Legality;
  /** Every command takes it. */
  readonly everywhere?: true;
  /** Not in the C tool: abbreviations that fit one of its names keep meaning that (docs/behaviour.md 1.3). */
  readonly isNew?: true;
  /** A command has the same name: only after this command does it mean this option. */
  readonly behind?: CommandLetter;
}

/** An option. `read` stores its value; `name` is how messages call the option. */
export type OptionRow = OptionFacts &
  (
    | { readonly arg: 'none'; readonly read: (draft: Draft, name: string) => void }
    | { readonly arg: 'required'; readonly read: (draft: Draft, name: string, text: string) => void }
    | { readonly arg: 'optional'; readonly read: (draft: Draft, name: string, text: string | undefined) => void }
  );
export type OptionRows = Readonly<Record<string, OptionRow>>;

/** What has been read of a command line so far. */
export interface Draft {
  values: { -readonly [K in keyof OptionValues]: OptionValues[K] };
  /** Keys of the given option rows, and the words that gave them. */
  readonly given: Map<string, string>;
  /** The mask of each end: from --mask-src and --mask-dst, or from a prefix; the last word wins. */
  readonly masks: { src?: AddressBytes; dst?: AddressBytes };
  readonly warnings: string[];
  readonly warn: Warn;
  readonly readProtocols: () => string;
  /** The words are a line of a load file. */
  readonly loading: boolean;
  /** What set the address family. */
  familyFrom?: { readonly name: string; readonly text: string };
  protocolName?: string;
  /** The protocol whose options are available. */
  tracker?: Protocol;
}

/** Another expression that must hold. */
function addFilter(draft: Draft, filter: FilterText): void {
  draft.values.filters = [...(draft.values.filters ?? []), filter];
}

/** How messages call an option: `-s (--src)`; punctuation letters are left out. */
export function optionName(row: Pick<OptionRow, 'names' | 'short'>): string {
  return row.short !== undefined && /[a-zA-Z]/.test(row.short) ? `-${row.short} (--${row.names[0]})` : `--${row.names[0]}`;
}

const TUPLE_FILTER = { L: 'may', G: 'pair', D: 'may', I: 'pair', A: 'pair', U: 'may', E: 'may' } as const;
const ANY_FILTER = { L: 'may', D: 'may', U: 'may', E: 'may' } as const;
const TEXT_FILTER = { L: 'may', G: 'may', D: 'may', U: 'may', E: 'may', C: 'may' } as const;
const SELECTOR = { I: 'must', D: 'must', G: 'must' } as const;
const IGNORED_REPLY = { I: 'may', D: 'may', G: 'may' } as const;

/** Options of every protocol, in the order in which they are checked (docs/behaviour.md 2.1). */
export const OPTIONS = {
  src: {
    names: ['src', 'orig-src'],
    short: 's',
    arg: 'required',
    value: 'ADDR[/LEN]',
    group: 'tuple',
    help: 'Source address of the original direction. With a prefix (-L, -D, -U, -E), a network.',
    expectHelp: 'Source address: of the existing connection (-I), of the expected one (-G, -D).',
    conntrack: TUPLE_FILTER,
    expect: SELECTOR,
    read: network('src', 'src'),
  },
  dst: {
    names: ['dst', 'orig-dst'],
    short: 'd',
    arg: 'required',
    value: 'ADDR[/LEN]',
    group: 'tuple',
    help: 'Destination address of the original direction. With a prefix (-L, -D, -U, -E), a network.',
    expectHelp: 'Destination address: of the existing connection (-I), of the expected one (-G, -D).',
    conntrack: TUPLE_FILTER,
    expect: SELECTOR,
    read: network('dst', 'dst'),
  },
  replySrc: {
    names: ['reply-src'],
    short: 'r',
    arg: 'required',
    value: 'ADDR',
    group: 'tuple',
    help: 'Source address of the reply direction.',
    expectHelp: 'Accepted, without effect.',
    conntrack: TUPLE_FILTER,
    expect: IGNORED_REPLY,
    read: replyAddress('replySrc'),
  },
  replyDst: {
    names: ['reply-dst'],
    short: 'q',
    arg: 'required',
    value: 'ADDR',
    group: 'tuple',
    help: 'Destination address of the reply direction.',
    expectHelp: 'Accepted, without effect.',
    conntrack: TUPLE_FILTER,
    expect: IGNORED_REPLY,
    read: replyAddress('replyDst'),
  },
  protonum: {
    names: ['proto', 'protonum'],
    short: 'p',
    arg: 'required',
    value: 'PROTO',
    group: 'tuple',
    help: 'Layer-4 protocol: a name (tcp, udp, icmp, ...) or a number. Makes the options of that protocol available after it.',
    conntrack: { L: 'may', G: 'must', D: 'may', I: 'must', A: 'must', U: 'may', E: 'may', h: 'may' },
    expect: { G: 'must', D: 'must', I: 'must', h: 'may' },
    read(draft, name, text) {
      const protocol = parseProtocol(text, name, draft.readProtocols);
      const before = draft.values.protonum;
      if (before !== undefined && before !== protocol.number)
        throw new UsageError(`${name}: only one protocol at a time; ${draft.protocolName} was given before ${protocol.name}`);
      draft.values.protonum = protocol.number;
      draft.protocolName = protocol.name;
      if (protocol.tracker) draft.tracker = protocol.tracker;
    },
  },
  timeout: {
    names: ['timeout'],
    short: 't',
    arg: 'required',
    value: 'SECONDS',
    group: 'entry',
    help: 'Seconds until the entry expires: the new value with -I, -A, -U; with -D, exactly the seconds left.',
    expectHelp: 'Seconds until the expectation expires; most helpers have their own limit.',
    conntrack: { D: 'may', I: 'must', A: 'must', U: 'may' },
    expect: { I: 'must' },
    read: number('timeout', 'timeout'),
  },
  status: {
    names: ['status'],
    short: 'u',
    arg: 'required',
    value: 'LIST',
    choices: [...STATUS_WORDS, 'UNREPLIED'],
    group: 'entry',
    help: "Status bits, comma-separated. With -L, -D: all must be set, and those after ! ('!ASSURED') clear; UNREPLIED is !SEEN_REPLY. With -I, -A, -U: bits to set.",
    expectHelp: 'Accepted, without effect.',
    conntrack: { L: 'may', D: 'may', I: 'may', A: 'may', U: 'may' },
    expect: { I: 'may' },
    read(draft, name, text) {
      draft.values.status = parseStatus(text, name, draft.values.status, draft.warn);
    },
  },
  zero: {
    names: ['zero'],
    short: 'z',
    arg: 'none',
    group: 'output',
    help: 'Reset the counters of all entries while listing them.',
    conntrack: { L: 'may' },
    read(draft) {
      draft.values.zero = true;
    },
  },
  eventMask: {
    names: ['event-mask'],
    short: 'e',
    arg: 'required',
    value: 'LIST',
    choices: EVENT_WORDS,
    group: 'event',
    help: 'Events to show: NEW, UPDATES, DESTROY or ALL, comma-separated. Default: ALL.',
    conntrack: { E: 'may' },
    read(draft, name, text) {
      draft.values.eventMask = parseEvents(text, name, draft.values.eventMask, draft.warn);
    },
  },
  tupleSrc: {
    names: ['tuple-src'],
    short: '[',
    arg: 'required',
    value: 'ADDR[/LEN]',
    group: 'expect',
    help: 'Source address of the expected connection. A prefix means --mask-src.',
    expect: { I: 'must' },
    read: network('tupleSrc', 'src'),
  },
  tupleDst: {
    names: ['tuple-dst'],
    short: ']',
    arg: 'required',
    value: 'ADDR[/LEN]',
    group: 'expect',
    help: 'Destination address of the expected connection. A prefix means --mask-dst.',
    expect: { I: 'must' },
    read: network('tupleDst', 'dst'),
  },
  maskSrc: {
    names: ['mask-src'],
    short: '{',
    arg: 'required',
    value: 'MASK',
    group: 'tuple',
    help: 'Bits of --src that must match, written as an address (255.255.255.0), if a prefix is not enough.',
    expectHelp: 'Bits of --tuple-src that must match, written as an address.',
    conntrack: ANY_FILTER,
    expect: { I: 'must' },
    read: mask('src'),
  },
  maskDst: {
    names: ['mask-dst'],
    short: '}',
    arg: 'required',
    value: 'MASK',
    group: 'tuple',
    help: 'Bits of --dst that must match, written as an address.',
    expectHelp: 'Bits of --tuple-dst that must match, written as an address.',
    conntrack: ANY_FILTER,
    expect: { I: 'must' },
    read: mask('dst'),
  },
  natRange: {
    names: ['nat-range'],
    short: 'a',
    arg: 'required',
    value: 'TEXT',
    group: 'old',
    help: 'Deprecated and ignored, with a warning. Use --src-nat or --dst-nat.',
    everywhere: true,
    read(draft, name) {
      draft.warn(`${name} is deprecated and ignored; use --src-nat or --dst-nat`);
    },
  },
  mark: {
    names: ['mark'],
    short: 'm',
    arg: 'required',
    value: 'MARK[/MASK]',
    group: 'entry',
    help: 'Connection mark. As a filter: entry AND MASK equals MARK. With -U the new mark is (old AND NOT MASK) XOR MARK. No MASK: all bits.',
    conntrack: { L: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' },
    read(draft, name, text) {
      draft.values.mark = parseMark(text, name);
    },
  },
  id: {
    names: ['id'],
    short: 'i',
    arg: 'required',
    value: 'ID',
    group: 'entry',
    help: 'Id of the entry, as -o id shows it.',
    conntrack: { G: 'may', D: 'may', U: 'may' },
    read: number('id', 'id'),
  },
  family: {
    names: ['family'],
    short: 'f',
    arg: 'required',
    value: 'FAMILY',
    choices: FAMILIES,
    group: 'tuple',
    help: 'Layer-3 protocol, ipv4 or ipv6. Default: both, unless an address decides.',
    conntrack: { L: 'may', D: 'may', U: 'may', E: 'may', F: 'may' },
    expect: { L: 'may' },
    read(draft, name, text) {
      claimFamily(draft, parseFamily(text, name), name, text);
    },
  },
  srcNat: {
    names: ['src-nat'],
    short: 'n',
    arg: 'optional',
    value: 'ADDR[:PORT]',
    group: 'nat',
    help: 'Source NAT: any, or to this address and port ([ADDR]:PORT for IPv6). With -I and -A, translate to it.',
    conntrack: { L: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' },
    read: nat('srcNat'),
  },
  dstNat: {
    names: ['dst-nat'],
    short: 'g',
    arg: 'optional',
    value: 'ADDR[:PORT]',
    group: 'nat',
    help: 'Destination NAT: any, or to this address and port. With -I and -A, translate to it.',
    conntrack: { L: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' },
    read: nat('dstNat'),
  },
  output: {
    names: ['output'],
    short: 'o',
    arg: 'required',
    value: 'LIST',
    choices: OUTPUT_WORDS,
    group: 'output',
    help:
      'How to print, comma-separated. json: as one JSON document; ndjson: as JSON, one object per line (docs/json.md); xml: as XML; ' +
      'save: as commands that -R loads; extended: with the layer-3 protocol; id: with the ' +
      'entry id; labels: with label names; timestamp: with the time of the event (-E); ktimestamp: with the times of start and end ' +
      'that the kernel keeps if net.netfilter.nf_conntrack_timestamp is set; userspace: no effect.',
    // -C and -S, and -G and -D of expectations: JSON only (legality.ts).
    conntrack: { L: 'may', G: 'may', D: 'may', U: 'may', E: 'may', C: 'may', S: 'may' },
    expect: { L: 'may', E: 'may', G: 'may', D: 'may', C: 'may', S: 'may' },
    read(draft, name, text) {
      draft.values.output = parseOutput(text, name, draft.values.output, draft.warn);
    },
  },
  secmark: {
    names: ['secmark'],
    short: 'c',
    arg: 'required',
    value: 'NUMBER',
    group: 'entry',
    help: 'Security mark number. Current kernels send a name instead, which this never matches.',
    conntrack: { L: 'may', E: 'may' },
    read: number('secmark', 'secmark'),
  },
  bufferSize: {
    names: ['buffer-size'],
    short: 'b',
    arg: 'required',
    value: 'BYTES',
    group: 'event',
    help: 'Size of the receive buffer for events; the kernel doubles it. Default: 16777216.',
    conntrack: { E: 'may' },
    read: number('bufferSize', 'bufferSize'),
  },
  initial: {
    names: ['initial'],
    arg: 'none',
    group: 'event',
    isNew: true,
    help: 'Show the existing entries first, marked [INITIAL], then events; nothing is missed or shown twice in between.',
    conntrack: { E: 'may' },
    expect: { E: 'may' },
    read(draft) {
      draft.values.initial = true;
    },
  },
  resync: {
    names: ['resync'],
    arg: 'none',
    group: 'event',
    isNew: true,
    help: 'After events have been lost, list the table and show what was missed, marked [RESYNC].',
    conntrack: { E: 'may' },
    expect: { E: 'may' },
    read(draft) {
      draft.values.resync = true;
    },
  },
  eventCount: {
    names: ['count'],
    behind: 'E',
    arg: 'required',
    value: 'NUMBER',
    group: 'event',
    isNew: true,
    help: 'End after this many events. Must come after -E.',
    conntrack: { E: 'may' },
    expect: { E: 'may' },
    read: number('eventCount', 'count'),
  },
  duration: {
    names: ['for'],
    arg: 'required',
    value: 'SECONDS',
    group: 'event',
    isNew: true,
    help: 'End after this time; fractions are allowed.',
    conntrack: { E: 'may' },
    expect: { E: 'may' },
    read(draft, name, text) {
      draft.values.duration = parseDuration(text, name);
    },
  },
  anyNat: {
    names: ['any-nat'],
    short: 'j',
    arg: 'optional',
    value: 'ADDR[:PORT]',
    group: 'nat',
    help: 'Source or destination NAT: any, or to this address and port.',
    conntrack: { L: 'may', E: 'may' },
    read: nat('anyNat'),
  },
  zone: {
    names: ['zone'],
    short: 'w',
    arg: 'required',
    value: 'ZONE',
    group: 'entry',
    help: 'Conntrack zone, 0 to 65535.',
    // The C tool refuses -G (docs/differences.md B33) and -U (docs/differences.md B53).
    conntrack: { L: 'may', G: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' },
    read: number('zone', 'zone'),
  },
  labels: {
    names: ['label'],
    short: 'l',
    arg: 'required',
    value: 'NAME[,NAME...]',
    group: 'label',
    help: 'Entries that carry all these labels.',
    conntrack: { L: 'may', G: 'may', D: 'may', U: 'may', E: 'may' },
    read(draft, name, text) {
      draft.values.labels = union(draft.values.labels, parseLabels(text, name));
    },
  },
  labelAdd: {
    names: ['label-add'],
    short: '<',
    arg: 'required',
    value: 'NAME[,NAME...]',
    group: 'label',
    help: 'Add these labels to the entry.',
    conntrack: { I: 'may', A: 'may', U: 'may' },
    read(draft, name, text) {
      if (draft.values.labelDel) throw addAndDelete();
      draft.values.labelAdd = union(draft.values.labelAdd, parseLabels(text, name));
    },
  },
  labelDel: {
    names: ['label-del'],
    short: '>',
    arg: 'optional',
    value: 'NAME[,NAME...]',
    group: 'label',
    help: 'Remove these labels, or all labels.',
    conntrack: { U: 'may' },
    read(draft, name, text) {
      if (draft.values.labelAdd) throw addAndDelete();
      const names = text === undefined ? [] : parseLabels(text, name);
      const all = names.length === 0 || draft.values.labelDel?.length === 0;
      draft.values.labelDel = all ? [] : union(draft.values.labelDel, names);
    },
  },
  origZone: {
    names: ['orig-zone'],
    short: '(',
    arg: 'required',
    value: 'ZONE',
    group: 'entry',
    help: 'Zone of the original direction alone.',
    // The C tool refuses -U (docs/differences.md B53).
    conntrack: { L: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' },
    read: number('origZone', 'zone'),
  },
  replyZone: {
    names: ['reply-zone'],
    short: ')',
    arg: 'required',
    value: 'ZONE',
    group: 'entry',
    help: 'Zone of the reply direction alone.',
    conntrack: { L: 'may', D: 'may', I: 'may', A: 'may', U: 'may', E: 'may' },
    read: number('replyZone', 'zone'),
  },
  labelMap: {
    names: ['labelmap'],
    short: 'M',
    arg: 'required',
    value: 'FILE',
    group: 'label',
    help: 'File of label names, instead of /etc/xtables/connlabel.conf.',
    conntrack: { L: 'may', D: 'may', U: 'may', E: 'may', R: 'may' },
    read(draft, name, text) {
      if (draft.loading)
        throw new UsageError(`${name} cannot be used in a load file, which must not choose what is read`, {
          hint: 'give it after the file name: conntrack -R FILE --labelmap MAP',
        });
      if (draft.values.labelMap !== undefined)
        throw new UsageError(`${name}: only one label file; ${quoted(draft.values.labelMap)} was given before`);
      draft.values.labelMap = text;
    },
  },
  helper: {
    names: ['helper'],
    arg: 'required',
    value: 'NAME',
    group: 'restore',
    isNew: true,
    help: 'Helper that reads the flow, such as ftp.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.helper = parseHelper(text, name);
    },
  },
  labelBits: {
    names: ['label-bits'],
    arg: 'required',
    value: '0xHEX',
    group: 'restore',
    isNew: true,
    help: 'Label bits to set, whether they have names or not.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.labelBits = parseLabelBits(text, name);
    },
  },
  masterSrc: {
    names: ['master-src'],
    arg: 'required',
    value: 'ADDR',
    group: 'restore',
    isNew: true,
    help: 'Original source of the flow that this one belongs to; that flow must exist.',
    conntrack: { I: 'may', A: 'may' },
    read: masterAddress('masterSrc'),
  },
  masterDst: {
    names: ['master-dst'],
    arg: 'required',
    value: 'ADDR',
    group: 'restore',
    isNew: true,
    help: 'Original destination of that flow.',
    conntrack: { I: 'may', A: 'may' },
    read: masterAddress('masterDst'),
  },
  masterProtonum: {
    names: ['master-proto'],
    arg: 'required',
    value: 'NUMBER',
    group: 'restore',
    isNew: true,
    help: 'Protocol of that flow.',
    conntrack: { I: 'may', A: 'may' },
    read: number('masterProtonum', 'protocol'),
  },
  masterPorts: {
    names: ['master-ports'],
    arg: 'required',
    value: 'SRC,DST',
    group: 'restore',
    isNew: true,
    help: 'Original ports of that flow.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.masterPorts = parseNumbers(text, name, 2, 0xffff);
    },
  },
  tcpWscale: {
    names: ['tcp-wscale'],
    arg: 'required',
    value: 'ORIG,REPLY',
    group: 'restore',
    isNew: true,
    help: 'Window scale of both directions, 0 to 14.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.tcpWscale = parseNumbers(text, name, 2, 14);
    },
  },
  tcpFlags: {
    names: ['tcp-flags'],
    arg: 'required',
    value: 'ORIG,REPLY',
    group: 'restore',
    isNew: true,
    help: 'Flags of the TCP tracker for both directions.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.tcpFlags = parseNumbers(text, name, 2, 0xff);
    },
  },
  seqAdjOrig: {
    names: ['seqadj-orig'],
    arg: 'required',
    value: 'POS,BEFORE,AFTER',
    group: 'restore',
    isNew: true,
    help: 'Adjustment of sequence numbers, original direction.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.seqAdjOrig = parseNumbers(text, name, 3, 0xffffffff);
    },
  },
  seqAdjReply: {
    names: ['seqadj-reply'],
    arg: 'required',
    value: 'POS,BEFORE,AFTER',
    group: 'restore',
    isNew: true,
    help: 'Adjustment of sequence numbers, reply direction.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.seqAdjReply = parseNumbers(text, name, 3, 0xffffffff);
    },
  },
  synproxy: {
    names: ['synproxy'],
    arg: 'required',
    value: 'ISN,ITS,TSOFF',
    group: 'restore',
    isNew: true,
    help: 'The data of synproxy for the flow.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.synproxy = parseNumbers(text, name, 3, 0xffffffff);
    },
  },
  handshakeSeq: {
    names: ['handshake-seq'],
    arg: 'required',
    value: 'NUMBER',
    group: 'restore',
    isNew: true,
    help: 'Handshake sequence number of DCCP.',
    conntrack: { I: 'may', A: 'may' },
    read(draft, name, text) {
      draft.values.handshakeSeq = parseUnsigned64(text, name);
    },
  },
  filter: {
    names: ['filter'],
    arg: 'required',
    value: 'EXPR',
    group: 'filter',
    isNew: true,
    help:
      "Only flows for which the expression holds, such as 'tcp and dst port {80, 443} and bytes > 1M', in single quotes in the shell. " +
      'Given several times, all must hold, beside the other options. conntrack -h filter tells the language.',
    conntrack: TEXT_FILTER,
    read(draft, name, text) {
      addFilter(draft, { option: name, text });
    },
  },
  filterFile: {
    names: ['filter-file'],
    arg: 'required',
    value: 'FILE',
    group: 'filter',
    isNew: true,
    help: 'As --filter, read from a file; - is standard input.',
    conntrack: TEXT_FILTER,
    read(draft, name, text) {
      if (draft.loading)
        throw new UsageError(`${name} cannot be used in a load file, which must not choose what is read`, {
          hint: 'write the expression into the line: --filter EXPR',
        });
      if (text === '') throw new UsageError(`${name}: the name of the file is empty`);
      addFilter(draft, { option: name, file: text });
    },
  },
  explainFilter: {
    names: ['explain-filter'],
    arg: 'none',
    group: 'filter',
    isNew: true,
    help: 'Say what the filter means, what the kernel does of it and what may surprise; run nothing.',
    conntrack: TEXT_FILTER,
    read(draft, name) {
      if (draft.loading) throw new UsageError(`${name} cannot be used in a load file`);
      draft.values.explainFilter = true;
    },
  },
  netns: {
    names: ['netns'],
    arg: 'required',
    value: 'WHERE',
    group: 'namespace',
    isNew: true,
    help:
      'Work in another network namespace: a name of "ip netns", a path (with a slash), the id of a process in it, such as a container\'s, ' +
      'or all: every namespace with a name or a process, shown at the start of each line (not with -I, -A, -R, -o save).',
    everywhere: true,
    read(draft, name, text) {
      if (text === '') throw new UsageError(`${name}: the name of the network namespace is empty`);
      if (draft.values.netns !== undefined && draft.values.netns !== text)
        throw new UsageError(`${name}: only one network namespace; ${quoted(draft.values.netns)} was given before`);
      draft.values.netns = text;
    },
  },
  format: {
    names: ['format'],
    arg: 'required',
    value: 'FORMAT',
    choices: LOAD_FORMATS,
    group: 'output',
    isNew: true,
    help: 'Format of the lines: text, command lines; ndjson, flows as -o ndjson prints them. Must come after the file name.',
    conntrack: { R: 'may' },
    read(draft, name, text) {
      const format = LOAD_FORMATS.find((known) => known === text);
      if (!format) throw new UsageError(`${name}: unknown format ${quoted(text)}; it takes ${LOAD_FORMATS.join(', ')}`);
      draft.values.format = format;
    },
  },
  dryRun: {
    names: ['dry-run'],
    arg: 'none',
    group: 'safety',
    isNew: true,
    help: 'Change nothing: print what would be deleted, updated, flushed or loaded.',
    conntrack: { D: 'may', U: 'may', F: 'may', R: 'may' },
    read(draft) {
      draft.values.dryRun = true;
    },
  },
  max: {
    names: ['max'],
    arg: 'required',
    value: 'NUMBER',
    group: 'safety',
    isNew: true,
    help: 'Change nothing if more than NUMBER entries would be touched (exit status 1).',
    conntrack: { D: 'may', U: 'may', F: 'may', R: 'may' },
    read: number('max', 'count'),
  },
  okIfNone: {
    names: ['ok-if-none'],
    arg: 'none',
    group: 'safety',
    isNew: true,
    help: 'Exit with 0 if nothing matched.',
    conntrack: { G: 'may', D: 'may', U: 'may' },
    expect: { G: 'may', D: 'may' },
    read(draft) {
      draft.values.okIfNone = true;
    },
  },
  protectSsh: {
    names: ['protect-ssh'],
    arg: 'none',
    group: 'safety',
    isNew: true,
    help: 'Never touch the connection that this shell came in through.',
    conntrack: { D: 'may', U: 'may', F: 'may', R: 'may' },
    read(draft) {
      draft.values.protectSsh = true;
    },
  },
} as const satisfies OptionRows;

type KeysOf<V> = { [K in keyof OptionValues]-?: V extends OptionValues[K] ? K : never }[keyof OptionValues];

/** Reads a number of this kind into `key`. */
export function number(key: KeysOf<number>, kind: NumberKind): (draft: Draft, name: string, text: string) => void {
  return (draft, name, text) => {
    draft.values[key] = parseNumber(text, name, kind);
  };
}

/**
 * An address whose prefix counts as --mask-src or --mask-dst (docs/behaviour.md 2.1).
 * quirk: docs/behaviour.md 1.4, a later address keeps that mask.
 */
function network(key: 'src' | 'dst' | 'tupleSrc' | 'tupleDst', end: 'src' | 'dst') {
  return (draft: Draft, name: string, text: string): void => {
    const { address, mask } = parseNetwork(text, name);
    claimFamily(draft, familyOf(address), name, text);
    draft.values[key] = { address };
    if (!mask) return;
    draft.masks[end] = mask;
    const maskKey = end === 'src' ? 'maskSrc' : 'maskDst';
    if (!draft.given.has(maskKey)) draft.given.set(maskKey, `the prefix of ${name}`);
  };
}

function masterAddress(key: 'masterSrc' | 'masterDst') {
  return (draft: Draft, name: string, text: string): void => {
    const address = parsePlainAddress(text, name);
    claimFamily(draft, familyOf(address), name, text);
    draft.values[key] = address;
  };
}

function replyAddress(key: 'replySrc' | 'replyDst') {
  return (draft: Draft, name: string, text: string): void => {
    const address = parsePlainAddress(text, name);
    claimFamily(draft, familyOf(address), name, text);
    draft.values[key] = { address };
  };
}

function mask(end: 'src' | 'dst') {
  return (draft: Draft, name: string, text: string): void => {
    const address = parsePlainAddress(text, name);
    claimFamily(draft, familyOf(address), name, text);
    draft.masks[end] = address;
  };
}

function nat(key: 'srcNat' | 'dstNat' | 'anyNat') {
  return (draft: Draft, name: string, text: string | undefined): void => {
    const value = text === undefined ? {} : parseNat(text, name);
    if (value.address) claimFamily(draft, familyOf(value.address), name, text!);
    draft.values[key] = value;
  };
}

/** All addresses of a command line, and -f, are of one family, which the first sets (docs/behaviour.md 3.2). */
function claimFamily(draft: Draft, family: number, name: string, text: string): void {
  const before = draft.values.family;
  if (before === undefined) {
    draft.values.family = family;
    draft.familyFrom = { name, text };
  } else if (before !== family) {
    const [now, then] = family === AF_INET ? ['IPv4', 'IPv6'] : ['IPv6', 'IPv4'];
    throw new UsageError(
      `${name}: ${quoted(text)} is ${now}, but ${draft.familyFrom!.name} ${quoted(draft.familyFrom!.text)} is ${then}; one command takes one family`,
    );
  }
}

function addAndDelete(): UsageError {
  return new UsageError('--label-add and --label-del exclude each other; use two commands', { exitStatus: 1 });
}

function union(before: readonly string[] | undefined, names: readonly string[]): readonly string[] {
  return [...new Set([...(before ?? []), ...names])];
}
