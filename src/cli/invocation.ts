// The meaning of a command line, after parsing and all checks that need no kernel. The parser makes it; the commands read it.

import type { AddressBytes } from '../ctnetlink/address.js';
import type { FlowFilter } from '../ctnetlink/filter/condition.js';

/** The commands, by their short letter. */
export type CommandLetter = 'L' | 'G' | 'D' | 'I' | 'A' | 'U' | 'E' | 'F' | 'C' | 'S' | 'R' | 'V' | 'h';
export type Table = 'conntrack' | 'expect' | 'dying' | 'unconfirmed';

/** `-o` items. `userspace` is accepted and changes nothing: the tag is always printed. */
export interface OutputModes {
  readonly xml: boolean;
  readonly extended: boolean;
  readonly timestamp: boolean;
  readonly id: boolean;
  readonly ktimestamp: boolean;
  readonly labels: boolean;
  readonly userspace: boolean;
  readonly save: boolean;
  /** With `save`: everything that can be restored. Not in the C tool. */
  readonly full: boolean;
  /** One JSON document. Not in the C tool. */
  readonly json: boolean;
  /** JSON, one object a line. Not in the C tool. */
  readonly ndjson: boolean;
}

/** No mode: lines of text. */
export const PLAIN_OUTPUT: OutputModes = {
  xml: false,
  extended: false,
  timestamp: false,
  id: false,
  ktimestamp: false,
  labels: false,
  userspace: false,
  save: false,
  full: false,
  json: false,
  ndjson: false,
};

/** Whether output is JSON, and with it what goes to standard error. */
export function isJson(modes: OutputModes | undefined): boolean {
  return modes !== undefined && (modes.json || modes.ndjson);
}

/** Forms of a load file: command lines, or JSON objects as `-o ndjson` prints them. */
export const LOAD_FORMATS = ['text', 'ndjson'] as const;
export type LoadFormat = (typeof LOAD_FORMATS)[number];

/** `-n`, `-g`, `-j`: bare, or an address, or an address and a port. */
export interface NatValue {
  readonly address?: AddressBytes;
  readonly port?: number;
}

/** `-u`: positive items OR-ed in `set`, items behind `!` (and UNREPLIED's SEEN_REPLY) in `clear`. UNSET adds to neither. */
export interface StatusValue {
  readonly set: number;
  readonly clear: number;
}

/** One address option; `mask` comes from a prefix shorter than the address, or from `--mask-src`, `--mask-dst`: the later word. */
export interface AddressValue {
  readonly address: AddressBytes;
  readonly mask?: AddressBytes;
}

/** A filter in the filter language, as given; filter-text.ts reads it. */
export type FilterText =
  | { readonly option: string; readonly text: string }
  /** `-` is standard input. */
  | { readonly option: string; readonly file: string };

/** Values of the options; an option that was not given is absent. Ports stand for GRE keys too. */
export interface OptionValues {
  readonly src?: AddressValue;
  readonly dst?: AddressValue;
  readonly replySrc?: AddressValue;
  readonly replyDst?: AddressValue;
  readonly tupleSrc?: AddressValue;
  readonly tupleDst?: AddressValue;
  /**
   * The mask of an expectation, even if a prefix gave it, because addresses of `-I expect` have no masks. Otherwise the mask is in
   * `src.mask`.
   */
  readonly maskSrc?: AddressBytes;
  /** As `maskSrc`. */
  readonly maskDst?: AddressBytes;
  readonly protonum?: number;
  readonly timeout?: number;
  readonly status?: StatusValue;
  readonly zero?: true;
  /** Multicast groups of `-e`: NEW 1, UPDATES 2, DESTROY 4. */
  readonly eventMask?: number;
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly id?: number;
  /** From `-f`, else implied by the first address. AF_INET or AF_INET6. */
  readonly family?: number;
  readonly srcNat?: NatValue;
  readonly dstNat?: NatValue;
  readonly anyNat?: NatValue;
  readonly output?: OutputModes;
  readonly secmark?: number;
  readonly bufferSize?: number;
  readonly zone?: number;
  readonly origZone?: number;
  readonly replyZone?: number;
  /** Label names as given (`-l A,B -l C` gives three); resolved against the label map by the command. */
  readonly labels?: readonly string[];
  readonly labelAdd?: readonly string[];
  /** Empty: all labels. */
  readonly labelDel?: readonly string[];
  readonly labelMap?: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly replySport?: number;
  readonly replyDport?: number;
  readonly maskSport?: number;
  readonly maskDport?: number;
  readonly tupleSport?: number;
  readonly tupleDport?: number;
  /** Kernel number of the state, in the numbering of `protonum`. */
  readonly state?: number;
  readonly origVtag?: number;
  readonly replyVtag?: number;
  readonly role?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly icmpId?: number;
  /** What only `-o save,full` writes and a load file reads back. */
  readonly helper?: string;
  readonly labelBits?: readonly number[];
  readonly masterSrc?: AddressBytes;
  readonly masterDst?: AddressBytes;
  readonly masterProtonum?: number;
  /** Source and destination port, or GRE keys. */
  readonly masterPorts?: readonly number[];
  /** Window scale of the original and the reply direction. */
  readonly tcpWscale?: readonly number[];
  /** Tracker flags of the original and the reply direction. */
  readonly tcpFlags?: readonly number[];
  /** Position, offset before, offset after. */
  readonly seqAdjOrig?: readonly number[];
  readonly seqAdjReply?: readonly number[];
  /** Initial sequence number, initial timestamp, timestamp offset. */
  readonly synproxy?: readonly number[];
  readonly handshakeSeq?: bigint;
  readonly initial?: true;
  readonly resync?: true;
  /** Events to show. */
  readonly eventCount?: number;
  /** Seconds to watch. */
  readonly duration?: number;
  /** `--netns`, as given: a name, path, process id or `all`. */
  readonly netns?: string;
  /** What the lines of a load file are. Default `text`: command lines. */
  readonly format?: LoadFormat;
  readonly dryRun?: true;
  /** Most entries to touch. */
  readonly max?: number;
  readonly okIfNone?: true;
  readonly protectSsh?: true;
  /** `--filter`, `--filter-file`: all must hold. */
  readonly filters?: readonly FilterText[];
  /** Say what a filter means, and run nothing. */
  readonly explainFilter?: true;
}

/** A complete, legal command line. */
export interface Invocation {
  readonly command: CommandLetter;
  readonly table: Table;
  readonly values: OptionValues;
  /** `-R FILE`. */
  readonly file?: string;
  /** The topic of `-h`, if a word or `-p` named one. */
  readonly topic?: string;
  /** The first word of a command line without a command, which prints the help. */
  readonly word?: string;
  /** Bits of all labels named in `labels`, `labelAdd`, `labelDel`, when the parser was given a way to look them up. */
  readonly labelBits?: ReadonlyMap<string, number>;
  /** What `values.filters` mean, once they have been read. */
  readonly textFilter?: FlowFilter;
  /** Words of a command line that belong to nothing. The C tool ignores them. */
  readonly operands?: readonly string[];
  /** Warnings for standard error, such as for a deprecated option; the command still runs. */
  readonly warnings: readonly string[];
}
