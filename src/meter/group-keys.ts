// What flows can be grouped by, a row each: what of a flow is the key, how the key is written, and the filter that selects the group.
// The filter selects exactly the flows of the group: one deletes by it.

import { familyOf, formatAddress, parseAddress } from '../ctnetlink/address.js';
import { ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { compileFilter, TRACKERS } from '../ctnetlink/filter/compile.js';
import type { LabelMap } from '../ctnetlink/label.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import type { View } from '../ctnetlink/view.js';
import { ValueError } from '../errors.js';
import { formatFilter } from '../library/index.js';
import { didYouMean } from '../nearest.js';
import { be32, putBe32 } from '../wire/bytes.js';
import { GROUPING_NAMES, type GroupingName } from './meter-names.js';

/** A way to group flows. */
export interface Grouping {
  /** As it was asked for: `src/24`. */
  readonly name: string;
  /** Words in a key. */
  readonly words: number;
  /** Slots that a message must have one of to say where the flow belongs; absent: the group of a flow never changes. */
  readonly from?: readonly number[];
  /** Writes the key of a flow, which the table with this index has. */
  readonly read: (view: View, table: number, key: Int32Array) => void;
  /** What a key means. */
  readonly describe: (key: Int32Array, names: GroupNames) => GroupName;
}

/** What keys are called that are only numbers. */
export interface GroupNames {
  /** The tables, by index. */
  readonly tables: readonly string[];
  readonly labels: LabelMap | undefined;
}

/** A group in words. */
export interface GroupName {
  /** Such as `10.1.4.0/24`; `-` for flows that have nothing of the kind. */
  readonly key: string;
  /** Selects its flows, in canonical form. Absent for network namespaces, and for names that no filter can say. */
  readonly filter?: string;
}

/** Reads the name of a grouping: `src`, `src/24`, `src/24,56`, `mark/0xff00`. @throws ValueError */
export function parseGrouping(text: string): Grouping {
  const [name, parameter] = splitOnce(text, '/');
  if (parameter === undefined) {
    const make = Object.hasOwn(SIMPLE, name) ? SIMPLE[name as (typeof GROUPING_NAMES)[number]] : undefined;
    if (make) return make;
    throw new ValueError(`there is no grouping '${text}'${didYouMean(name, GROUPING_NAMES)}`, {
      hint: `one of ${GROUPING_NAMES.join(', ')}, with a prefix length src/24, dst/24,56, or with a mask mark/0xff`,
    });
  }
  if (name === 'src' || name === 'dst') return byAddress(text, name, prefixes(parameter));
  if (name === 'mark') return byMark(text, maskOf(parameter));
  throw new ValueError(`'${name}' takes no parameter in a grouping`, { hint: 'src/24, dst/24,56 and mark/0xff do' });
}

/** A text as the name of a grouping. @throws ValueError if it is none */
export function checkGrouping(text: string): GroupingName {
  return parseGrouping(text).name as GroupingName;
}

function splitOnce(text: string, at: string): [string, string | undefined] {
  const n = text.indexOf(at);
  return n < 0 ? [text, undefined] : [text.slice(0, n), text.slice(n + 1)];
}

/** How many bits of an address count. */
export interface Prefixes {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** The whole address. */
export const WHOLE: Prefixes = { ipv4: 32, ipv6: 128 };
/** The prefix of a site, as providers assign it, beside one of IPv4. */
const SITE = 64;

/** `24` is 24 bits of IPv4 and 64 of IPv6, above 32 it is of IPv6 alone; `24,56` says both. */
function prefixes(text: string): Prefixes {
  const parts = /^(\d{1,3})(?:,(\d{1,3}))?$/.exec(text);
  const first = Number(parts?.[1]);
  const { ipv4, ipv6 } =
    parts?.[2] !== undefined
      ? { ipv4: first, ipv6: Number(parts[2]) }
      : first > 32
        ? { ipv4: 32, ipv6: first }
        : { ipv4: first, ipv6: first === 32 ? 128 : SITE };
  if (!parts || ipv4 > 32 || ipv6 > 128)
    throw new ValueError(`'${text}' is no prefix length`, { hint: '0 to 32, or for IPv4 and IPv6: 24,64' });
  return { ipv4, ipv6 };
}

function maskOf(text: string): number {
  const mask = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : -1;
  if (mask < 0 || mask > 0xffffffff) throw new ValueError(`'${text}' is no mask of a mark`, { hint: 'such as 0xff00' });
  return mask;
}

/** Words of an address in a key: its family, and 4 words. */
export const ADDRESS = 5;

/** Writes the address of an end. */
export function putAddress(key: Int32Array, at: number, view: View, v4: number, v6: number, { ipv4, ipv6 }: Prefixes): void {
  const is4 = view.has(v4);
  key[at] = is4 ? AF_INET : view.has(v6) ? AF_INET6 : 0;
  const from = is4 ? view.offset(v4) : view.offset(v6);
  const words = is4 ? 1 : key[at] === 0 ? 0 : 4;
  const bits = is4 ? ipv4 : ipv6;
  for (let w = 0; w < 4; w++) key[at + 1 + w] = w < words ? be32(view.bytes, from + 4 * w) & prefixWord(bits - 32 * w) : 0;
}

/** As `putAddress`, from text. @returns whether it is an address */
export function putAddressText(key: Int32Array, text: string): boolean {
  const bytes = parseAddress(text);
  if (!bytes) return false;
  key[0] = familyOf(bytes);
  for (let w = 0; w < 4; w++) key[1 + w] = 4 * w < bytes.length ? be32(bytes, 4 * w) : 0;
  return true;
}

/** The mask of a word of which so many bits belong to the prefix. */
function prefixWord(bits: number): number {
  return bits >= 32 ? -1 : bits <= 0 ? 0 : -1 << (32 - bits);
}

/** An address of a key in text; `undefined` for families that have none. */
export function addressOf(key: Int32Array, at: number): string | undefined {
  const family = key[at];
  if (family === 0) return undefined;
  const bytes = new Uint8Array(family === AF_INET ? 4 : 16);
  for (let w = 0; w < bytes.length / 4; w++) putBe32(bytes, 4 * w, key[at + 1 + w]!);
  return formatAddress(bytes);
}

function byAddress(name: string, end: 'src' | 'dst', length: Prefixes): Grouping {
  const [v4, v6] = end === 'src' ? [ORIGINAL + T.v4Src, ORIGINAL + T.v6Src] : [ORIGINAL + T.v4Dst, ORIGINAL + T.v6Dst];
  return {
    name,
    words: ADDRESS,
    read: (view, _, key) => putAddress(key, 0, view, v4, v6, length),
    describe: (key) => {
      const address = addressOf(key, 0);
      if (address === undefined) return NOTHING;
      const [bits, all] = key[0] === AF_INET ? [length.ipv4, 32] : [length.ipv6, 128];
      const text = bits === all ? address : `${address}/${bits}`;
      return { key: text, filter: `${end} ${text}` };
    },
  };
}

const NOTHING: GroupName = { key: '-' };

function byMark(name: string, mask: number): Grouping {
  return {
    name,
    words: 1,
    from: [S.mark],
    read: (view, _, key) => {
      key[0] = view.be32(S.mark) & mask;
    },
    describe: ([mark]) => {
      const value = mark! >>> 0;
      if (mask === 0xffffffff) return { key: String(value), filter: `mark ${value}` };
      const text = `0x${value.toString(16)}/0x${mask.toString(16)}`;
      return { key: text, filter: `mark ${text}` };
    },
  };
}

/** A protocol as the filter language calls it: `tcp`, `esp`, `proto 200`. */
function protocolFilter(protonum: number): string {
  return formatFilter(`proto ${protonum}`);
}

/** The same, alone: `tcp`, `esp`, `200`. */
function protocolText(protonum: number): string {
  return protocolFilter(protonum).replace('proto ', '');
}

const isSourceNat = compileFilter({ kind: 'nat', nat: 'src' }, Date.now)!;
const isDestinationNat = compileFilter({ kind: 'nat', nat: 'dst' }, Date.now)!;
const PROTONUM = ORIGINAL + T.protonum;
const NO_PORT = -1;
/** A string in a key: 16 bytes, the longest name of a helper, with zeros behind it, then its length. */
const STRING_WORDS = 5;
const LABEL_WORDS = 4;
const LABELS = 32 * LABEL_WORDS;

const SIMPLE: Readonly<Record<(typeof GROUPING_NAMES)[number], Grouping>> = {
  src: byAddress('src', 'src', WHOLE),
  dst: byAddress('dst', 'dst', WHOLE),
  pair: {
    name: 'pair',
    words: 2 * ADDRESS,
    read: (view, _, key) => {
      putAddress(key, 0, view, ORIGINAL + T.v4Src, ORIGINAL + T.v6Src, WHOLE);
      putAddress(key, ADDRESS, view, ORIGINAL + T.v4Dst, ORIGINAL + T.v6Dst, WHOLE);
    },
    describe: (key) => {
      const [src, dst] = [addressOf(key, 0), addressOf(key, ADDRESS)];
      return src === undefined || dst === undefined ? NOTHING : { key: `${src} ${dst}`, filter: `src ${src} and dst ${dst}` };
    },
  },
  service: {
    name: 'service',
    words: 2,
    read: (view, _, key) => {
      key[0] = view.u8(PROTONUM);
      key[1] = view.has(ORIGINAL + T.dport) ? view.be16(ORIGINAL + T.dport) : NO_PORT;
    },
    describe: ([protonum, port]) => {
      const protocol = protocolFilter(protonum!);
      const of = protocolByNumber(protonum!).tuple === 'keys' ? 'key' : 'port';
      if (port === NO_PORT) return { key: protocolText(protonum!), filter: `${protocol} and not has ${of}` };
      return { key: `${protocolText(protonum!)} ${port}`, filter: `${protocol} and dst ${of} ${port}` };
    },
  },
  protocol: {
    name: 'protocol',
    words: 1,
    read: (view, _, key) => {
      key[0] = view.u8(PROTONUM);
    },
    describe: ([protonum]) => ({ key: protocolText(protonum!), filter: protocolFilter(protonum!) }),
  },
  state: {
    name: 'state',
    words: 2,
    from: TRACKERS.map(({ slot }) => slot),
    read: (view, _, key) => {
      key[0] = view.u8(PROTONUM);
      key[1] = -1;
      for (const { slot } of TRACKERS) if (view.has(slot)) key[1] = view.u8(slot);
    },
    describe: ([protonum, value]) => {
      const tracker = TRACKERS.find((row) => row.protonum === protonum);
      const protocol = protocolFilter(protonum!);
      if (value === -1) return { key: protocolText(protonum!), filter: tracker ? `${protocol} and not has state` : protocol };
      const state = tracker?.states[value!];
      if (state === undefined) return { key: `${protocolText(protonum!)} ${value}` };
      return {
        key: `${protocolText(protonum!)} ${state}`,
        filter: `${protocol} and state ${state.toLowerCase().replaceAll('_', '-')}`,
      };
    },
  },
  family: {
    name: 'family',
    words: 1,
    read: (view, _, key) => {
      key[0] = view.family;
    },
    describe: ([family]) =>
      family === AF_INET ? { key: 'ipv4', filter: 'ip' } : family === AF_INET6 ? { key: 'ipv6', filter: 'ip6' } : NOTHING,
  },
  zone: {
    name: 'zone',
    words: 1,
    read: (view, _, key) => {
      key[0] = view.be16(S.zone);
    },
    describe: ([zone]) => ({ key: String(zone), filter: `zone ${zone}` }),
  },
  mark: byMark('mark', 0xffffffff),
  label: {
    name: 'label',
    words: LABEL_WORDS,
    from: [S.labels],
    read: (view, _, key) => {
      for (let w = 0; w < LABEL_WORDS; w++) key[w] = view.labelWord(S.labels, w);
    },
    describe: (key, { labels }) => {
      const bits = Array.from({ length: LABELS }, (_, bit) => bit);
      const has = (bit: number) => ((key[bit >> 5]! >>> (bit & 31)) & 1) === 1;
      const set = bits.filter(has);
      if (set.length === 0) return { key: '-', filter: 'not has label' };
      const others = bits.filter((bit) => !has(bit));
      const rest = others.length === 0 ? [] : [`not label ${others.length === 1 ? others[0] : `{${others.join(', ')}}`}`];
      return {
        key: set.map((bit) => labelName(bit, labels)).join(','),
        filter: [...set.map((bit) => `label ${bit}`), ...rest].join(' and '),
      };
    },
  },
  helper: {
    name: 'helper',
    words: STRING_WORDS,
    from: [S.helper],
    read: (view, _, key) => {
      const at = view.offset(S.helper);
      const size = Math.min(view.stringLength(S.helper), 4 * (STRING_WORDS - 1));
      key.fill(0, 0, STRING_WORDS);
      key[STRING_WORDS - 1] = size;
      for (let i = 0; i < size; i++) key[i >> 2] = key[i >> 2]! | (view.bytes[at + i]! << (24 - 8 * (i & 3)));
    },
    describe: (key) => {
      const size = key[STRING_WORDS - 1]!;
      if (size === 0) return { key: '-', filter: 'not has helper' };
      const bytes = Uint8Array.from({ length: size }, (_, i) => key[i >> 2]! >>> (24 - 8 * (i & 3)));
      const name = new TextDecoder().decode(bytes);
      // The filter language says printable names.
      if (!/^[\x20-\x7e]+$/.test(name)) return { key: name };
      return { key: name, filter: formatFilter({ helper: name }) };
    },
  },
  snat: {
    name: 'snat',
    words: ADDRESS + 1,
    read: (view, _, key) => {
      key.fill(0, 0, ADDRESS + 1);
      if (!isSourceNat(view)) return;
      putAddress(key, 0, view, REPLY + T.v4Dst, REPLY + T.v6Dst, WHOLE);
      key[ADDRESS] = view.u8(PROTONUM);
    },
    describe: (key) => {
      const address = addressOf(key, 0);
      if (address === undefined) return { key: '-', filter: 'not snat' };
      return {
        key: `${protocolText(key[ADDRESS]!)} ${address}`,
        filter: `${protocolFilter(key[ADDRESS]!)} and snat to ${address}`,
      };
    },
  },
  dnat: {
    name: 'dnat',
    words: ADDRESS,
    read: (view, _, key) => {
      key.fill(0, 0, ADDRESS);
      if (isDestinationNat(view)) putAddress(key, 0, view, REPLY + T.v4Src, REPLY + T.v6Src, WHOLE);
    },
    describe: (key) => {
      const address = addressOf(key, 0);
      return address === undefined ? { key: '-', filter: 'not dnat' } : { key: address, filter: `dnat to ${address}` };
    },
  },
  netns: {
    name: 'netns',
    words: 1,
    read: (_, table, key) => {
      key[0] = table;
    },
    describe: ([table], { tables }) => ({ key: tables[table!] ?? '-' }),
  },
};

/** A name that looks like a number is in quotes, as in filters. */
function labelName(bit: number, labels: LabelMap | undefined): string {
  const name = labels?.name(bit);
  return name === undefined ? String(bit) : /^\d+$/.test(name) ? `"${name}"` : name;
}

/** Words of the longest key. */
export const KEY_WORDS = 2 * ADDRESS;
