// The text of an option's value → the value: the grammars of docs/behaviour.md 3. Pure. Messages call the option `option`. A wrong value
// is a UsageError, with exit status 2 unless its row says 1 (docs/behaviour.md 2.4).

import { type AddressBytes, parseAddress, prefixMask } from '../ctnetlink/address.js';
import { DCCP_ROLES } from '../ctnetlink/protocols/dccp.js';
import { PROTOCOLS, protocolByName, protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { Protocol } from '../ctnetlink/schema.js';
import { AF_INET, AF_INET6, IPPROTO_TCP } from '../ctnetlink/uapi/in.js';
import {
  IPS_ASSURED,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_HW_OFFLOAD,
  IPS_OFFLOAD,
  IPS_SEEN_REPLY,
} from '../ctnetlink/uapi/nf-conntrack-common.js';
import { didYouMean } from '../nearest.js';
import { type AddressValue, type NatValue, type OutputModes, PLAIN_OUTPUT, type StatusValue } from './invocation.js';
import { quoted, UsageError, type UsageStatus } from './usage-error.js';

/** Takes a sentence for standard error; the command still runs. */
export type Warn = (warning: string) => void;

// ---- numbers: docs/behaviour.md 3.1 ----

interface NumberRow {
  /** What the number is, for the message. */
  readonly what: string;
  /** `auto`: 10, 0x1f, 017 as in C. */
  readonly base: 'auto' | 'decimal';
  readonly max: number;
  readonly exitStatus: UsageStatus;
}

const U8 = 0xff;
const U16 = 0xffff;
const U32 = 0xffffffff;

/** Every kind of number an option takes. */
export const NUMBERS = {
  timeout: { what: 'a number of seconds', base: 'decimal', max: U32, exitStatus: 2 },
  bufferSize: { what: 'a number of bytes', base: 'decimal', max: 0x7fffffff, exitStatus: 2 },
  protocol: { what: 'a protocol number', base: 'auto', max: U8, exitStatus: 2 },
  count: { what: 'a number of entries', base: 'decimal', max: U32, exitStatus: 2 },
  zone: { what: 'a zone', base: 'auto', max: U16, exitStatus: 1 },
  id: { what: 'an id', base: 'auto', max: U32, exitStatus: 1 },
  secmark: { what: 'a secmark', base: 'auto', max: U32, exitStatus: 1 },
  mark: { what: 'a mark', base: 'auto', max: U32, exitStatus: 1 },
  port: { what: 'a port', base: 'decimal', max: U16, exitStatus: 2 },
  key: { what: 'a GRE key', base: 'auto', max: U16, exitStatus: 2 },
  icmpType: { what: 'an ICMP type', base: 'decimal', max: U8, exitStatus: 2 },
  icmpCode: { what: 'an ICMP code', base: 'decimal', max: U8, exitStatus: 2 },
  icmpId: { what: 'an ICMP id', base: 'decimal', max: U16, exitStatus: 2 },
  vtag: { what: 'a verification tag', base: 'decimal', max: U32, exitStatus: 2 },
} as const satisfies Record<string, NumberRow>;
export type NumberKind = keyof typeof NUMBERS;

/** A whole number within the range of its kind. White space and one `+` may stand before it, nothing after it. */
export function parseNumber(text: string, option: string, kind: NumberKind): number {
  const row: NumberRow = NUMBERS[kind];
  const number = readNumber(text, row.base, row.max);
  if (number === undefined) throw wrongNumber(text, option, row);
  return number;
}

function wrongNumber(text: string, option: string, row: NumberRow): UsageError {
  const how = row.base === 'decimal' ? 'decimal' : 'decimal, 0xN or octal 0N';
  return new UsageError(`${option}: ${quoted(text)} is not ${row.what} (0 to ${row.max}, ${how})`, {
    exitStatus: row.exitStatus,
  });
}

function readNumber(text: string, base: 'auto' | 'decimal', max: number): number | undefined {
  const plain = plainDecimal(text);
  if (plain >= 0) return plain <= max ? plain : undefined;
  const digits = text.replace(/^[ \t\n\v\f\r]*\+?/, '');
  let number: number;
  if (base === 'decimal') {
    if (!/^[0-9]+$/.test(digits)) return undefined;
    number = Number(digits);
  } else {
    if (!/^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.test(digits)) return undefined;
    number = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  }
  return number <= max ? number : undefined;
}

/** The value of up to nine digits without a leading zero, as nearly all numbers are written; -1 for anything else. */
function plainDecimal(text: string): number {
  const size = text.length;
  if (size === 0 || size > 9 || (size > 1 && text.charCodeAt(0) === 48)) return -1;
  let number = 0;
  for (let i = 0; i < size; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

/**
 * `VALUE[/MASK]` (docs/behaviour.md 3.8); without a mask, all ones. Unlike the C tool it refuses an empty mask and one that is too
 * wide (docs/differences.md B38).
 */
export function parseMark(text: string, option: string): { value: number; mask: number } {
  const slash = text.indexOf('/');
  const value = readNumber(slash < 0 ? text : text.slice(0, slash), 'auto', U32);
  const mask = slash < 0 ? U32 : readNumber(text.slice(slash + 1), 'auto', U32);
  if (value === undefined || mask === undefined) {
    const bad = value === undefined ? 'a mark' : 'a mark and its mask';
    throw new UsageError(
      `${option}: ${quoted(text)} is not ${bad}; write VALUE or VALUE/MASK, each 0 to ${U32}, decimal, 0xN or octal 0N`,
      {
        exitStatus: 1,
      },
    );
  }
  return { value, mask };
}

// ---- addresses, family: docs/behaviour.md 3.2, 3.3 ----

/** An address without a prefix. */
export function parsePlainAddress(text: string, option: string): AddressBytes {
  const address = parseAddress(text);
  if (address) return address;
  const slash = text.indexOf('/');
  if (slash >= 0 && parseAddress(text.slice(0, slash)))
    throw new UsageError(`${option}: takes no prefix length, got ${quoted(text)}; give one address`);
  throw new UsageError(`${option}: ${quoted(text)} is not an IPv4 or IPv6 address (names are not looked up)`);
}

/** An address or `ADDRESS/LENGTH`. No mask for a prefix of the full length; an empty length means 0, as in the reference. */
export function parseNetwork(text: string, option: string): AddressValue {
  const slash = text.indexOf('/');
  if (slash < 0) return { address: parsePlainAddress(text, option) };
  const address = parsePlainAddress(text.slice(0, slash), option);
  const bits = address.length * 8;
  const suffix = text.slice(slash + 1);
  const length = suffix === '' ? 0 : readNumber(suffix, 'decimal', bits);
  if (length === undefined)
    throw new UsageError(
      `${option}: ${quoted(suffix)} is not a prefix length of an IPv${bits === 32 ? 4 : 6} address (0 to ${bits})`,
    );
  return length === bits ? { address } : { address, mask: prefixMask(length, address.length) };
}

/** Words of `-f`. */
export const FAMILIES = ['ipv4', 'ipv6'] as const;

/** AF_INET or AF_INET6. */
export function parseFamily(text: string, option: string): number {
  if (text === 'ipv4') return AF_INET;
  if (text === 'ipv6') return AF_INET6;
  throw new UsageError(`${option}: unknown family ${quoted(text)}; it is ipv4 or ipv6`);
}

/** `ADDR`, `ADDR:PORT` for IPv4, `[ADDR]:PORT` (docs/behaviour.md 3.11). */
export function parseNat(text: string, option: string): NatValue {
  const bracketed = /^\[([^\]]*)\]:(.*)$/s.exec(text);
  if (!bracketed && text.startsWith('['))
    throw new UsageError(`${option}: ${quoted(text)} is incomplete; write ADDRESS, IPV4:PORT or [IPV6]:PORT`);
  const colon = text.indexOf(':');
  const withPort =
    bracketed ?? (colon >= 0 && colon === text.lastIndexOf(':') ? [text, text.slice(0, colon), text.slice(colon + 1)] : null);
  const address = parsePlainAddress(withPort ? withPort[1]! : text, option);
  if (!withPort) return { address };
  const port = /^[0-9]+$/.test(withPort[2]!) ? readNumber(withPort[2]!, 'decimal', U16) : undefined;
  if (port === undefined) throw wrongNumber(withPort[2]!, option, NUMBERS.port);
  return { address, port };
}

// ---- values of saved lines (-o save,full) ----

/** `A,B,...`: exactly `count` numbers, each 0 to `max`, decimal or 0xN. */
export function parseNumbers(text: string, option: string, count: number, max: number): number[] {
  const numbers = text.split(',').map((item) => readNumber(item, 'auto', max));
  const all = numbers.filter((number) => number !== undefined);
  if (numbers.length !== count || all.length !== count)
    throw new UsageError(`${option}: ${quoted(text)} is not ${count} numbers with commas between them (each 0 to ${max})`);
  return all;
}

/** `0x` and up to 32 hexadecimal digits: label bits, bit 0 the last. @returns the numbers of the bits that are set */
export function parseLabelBits(text: string, option: string): number[] {
  if (!/^0x[0-9a-fA-F]{1,32}$/.test(text))
    throw new UsageError(`${option}: ${quoted(text)} is not a set of label bits: 0x and up to 32 hexadecimal digits`);
  const value = BigInt(text);
  return Array.from({ length: 128 }, (_, bit) => bit).filter((bit) => (value >> BigInt(bit)) & 1n);
}

/**
 * A name the kernel can hold: 1 to 15 characters without blanks. A backslash begins an escape that `-o save,full` writes for characters
 * that such a name cannot contain: taken literally, it would name another helper.
 */
export function parseHelper(text: string, option: string): string {
  if (!/^[!-[\]-~]{1,15}$/.test(text))
    throw new UsageError(`${option}: ${quoted(text)} is not a helper name: 1 to 15 characters without blanks and backslashes`);
  return text;
}

/** An unsigned 64-bit number, decimal. */
export function parseUnsigned64(text: string, option: string): bigint {
  const value = /^[0-9]{1,20}$/.test(text) ? BigInt(text) : 1n << 64n;
  if (value >> 64n) throw new UsageError(`${option}: ${quoted(text)} is not a decimal number of 64 bits`);
  return value;
}

// ---- protocol, states, role: docs/behaviour.md 3.4, 3.12 ----

/** A layer-4 protocol. `tracker` is absent if the protocol, or this way to name it, brings no options. */
export interface ProtocolValue {
  readonly number: number;
  /** The tracker's name, else what was typed. */
  readonly name: string;
  readonly tracker?: Protocol;
}

/**
 * A tracker's name in any case, a number, or an exact name or alias of the protocol database, which is read only if needed. quirk:
 * docs/behaviour.md 3.4, a database alias of a tracked protocol (`ipv6-icmp`) means its number, without its options.
 */
export function parseProtocol(text: string, option: string, readProtocols: () => string): ProtocolValue {
  const named = protocolByName(text);
  if (named) return { number: named.number, name: named.name, tracker: named };
  const number = readNumber(text, 'auto', U8);
  if (number !== undefined) {
    const tracker = protocolByNumber(number);
    return tracker.number === number ? { number, name: tracker.name, tracker } : { number, name: String(number) };
  }
  const listed = text === '' ? undefined : lookUpProtocol(readProtocols(), text);
  if (listed !== undefined) return { number: listed, name: text };
  const names = PROTOCOLS.map((protocol) => protocol.name);
  const suggestion = didYouMean(text, names) || `; use ${names.join(', ')}, a name from /etc/protocols, or 0 to 255`;
  throw new UsageError(`${option}: unknown protocol ${quoted(text)}${suggestion}`);
}

/** Number of a name or alias in the text of /etc/protocols: `name number alias... # comment`. */
export function lookUpProtocol(database: string, wanted: string): number | undefined {
  for (const line of database.split('\n')) {
    if (!line.includes(wanted)) continue;
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    const number = words[1] === undefined ? undefined : readNumber(words[1], 'decimal', U8);
    if (number !== undefined && (words[0] === wanted || words.includes(wanted, 2))) return number;
  }
  return undefined;
}

/** Kernel number of a state of this protocol, by its exact name. LISTEN is the old name of TCP's SYN_SENT2. */
export function parseState(text: string, option: string, protocol: Protocol): number {
  if (protocol.number === IPPROTO_TCP && text === 'LISTEN') return parseState('SYN_SENT2', option, protocol);
  const states = protocol.states ?? [];
  const state = states.indexOf(text);
  if (state >= 0) return state;
  const suggestion = didYouMean(text, states) || `; it is one of ${states.join(', ')}`;
  throw new UsageError(`${option}: ${quoted(text)} is not a state of ${protocol.name}${suggestion}`);
}

/** DCCP role: 0 client, 1 server; any abbreviation in any case. quirk: docs/behaviour.md 3.12, nothing at all means client. */
export function parseRole(text: string, option: string): number {
  const role = DCCP_ROLES.findIndex((name) => name.startsWith(text.toLowerCase()));
  if (role < 0) throw new UsageError(`${option}: ${quoted(text)} is not a role; it is client or server`);
  return role;
}

// ---- lists of words: docs/behaviour.md 3.5, 3.6, 3.7, 3.10 ----

/** Words of `-u` and the kernel's bits, in the order in which abbreviations are tried. */
const STATUS_BITS = {
  ASSURED: IPS_ASSURED,
  SEEN_REPLY: IPS_SEEN_REPLY,
  UNSET: 0,
  FIXED_TIMEOUT: IPS_FIXED_TIMEOUT,
  EXPECTED: IPS_EXPECTED,
  OFFLOAD: IPS_OFFLOAD,
  HW_OFFLOAD: IPS_HW_OFFLOAD,
} as const;

/** Words of `-u`, without UNREPLIED, which is not a bit of the kernel. */
export const STATUS_WORDS = Object.keys(STATUS_BITS) as readonly (keyof typeof STATUS_BITS)[];

const EVENT_BITS = { ALL: 7, NEW: 1, UPDATES: 2, DESTROY: 4 } as const;

/** Words of `-e`. */
export const EVENT_WORDS = Object.keys(EVENT_BITS) as readonly (keyof typeof EVENT_BITS)[];

/** Words of `-o`. */
export const OUTPUT_WORDS = [
  'xml',
  'extended',
  'timestamp',
  'id',
  'ktimestamp',
  'labels',
  'userspace',
  'save',
  'full',
  'json',
  'ndjson',
] as const satisfies readonly (keyof OutputModes)[];

/** Status items (docs/behaviour.md 3.5), added to those of an earlier `-u`. */
export function parseStatus(text: string, option: string, before: StatusValue | undefined, warn: Warn): StatusValue {
  let set = before?.set ?? 0;
  let clear = before?.clear ?? 0;
  for (const item of text.split(',')) {
    // quirk: docs/behaviour.md 3.5, unlike the others this word must be in full and in upper case, and may go on.
    if (item.startsWith('UNREPLIED')) {
      clear |= IPS_SEEN_REPLY;
      continue;
    }
    const negated = item.startsWith('!');
    if (item.startsWith('!UNREPLIED')) throw new UsageError(`${option}: UNREPLIED takes no '!'; write SEEN_REPLY`);
    const word = pickWord(negated ? item.slice(1) : item, STATUS_WORDS, option, 'status', warn, ['UNREPLIED']);
    if (word === undefined) continue;
    if (negated) clear |= STATUS_BITS[word];
    else set |= STATUS_BITS[word];
  }
  return { set, clear };
}

/** Event types (docs/behaviour.md 3.6) as multicast group bits, added to those of an earlier `-e`. */
export function parseEvents(text: string, option: string, before: number | undefined, warn: Warn): number {
  let mask = before ?? 0;
  for (const item of text.split(',')) {
    const word = pickWord(item, EVENT_WORDS, option, 'event', warn);
    if (word !== undefined) mask |= EVENT_BITS[word];
  }
  return mask;
}

/** Seconds, perhaps with a fraction; at most what a timer of Node.js can wait. */
export function parseDuration(text: string, option: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > LONGEST_DURATION)
    throw new UsageError(`${option}: ${quoted(text)} is not a number of seconds (0 to ${LONGEST_DURATION}, such as 10 or 0.5)`);
  return seconds;
}

const LONGEST_DURATION = 2_147_483;

/** Output modes (docs/behaviour.md 3.7), added to those of an earlier `-o`. */
export function parseOutput(text: string, option: string, before: OutputModes | undefined, warn: Warn): OutputModes {
  const modes = { ...(before ?? PLAIN_OUTPUT) };
  for (const item of text.split(',')) {
    const word = pickWord(item, OUTPUT_WORDS, option, 'output mode', warn);
    if (word !== undefined) modes[word] = true;
  }
  const formats = FORMATS.filter((word) => modes[word]);
  if (formats.length > 1 && formats.some((word) => word === 'json' || word === 'ndjson'))
    throw new UsageError(`${option}: ${formats.join(' and ')} are different formats; name one of them`, { exitStatus: 1 });
  if (modes.save) {
    const other = OUTPUT_WORDS.find((word) => word !== 'save' && word !== 'userspace' && word !== 'full' && modes[word]);
    if (other) throw new UsageError(`${option}: save cannot be combined with ${other}; use -o save alone`, { exitStatus: 1 });
  }
  return modes;
}

/** Modes of which one excludes the others. */
const FORMATS = ['xml', 'save', 'json', 'ndjson'] as const satisfies readonly (keyof OutputModes)[];

/** Legacy words of all three lists: they, and so `S` and `D`, select nothing but a warning. */
const LEGACY = { SRC_NAT: '--src-nat', DST_NAT: '--dst-nat' } as const;

/** The first word that `item` abbreviates, in any case; `undefined` for a legacy word. */
function pickWord<W extends string>(
  item: string,
  words: readonly W[],
  option: string,
  what: string,
  warn: Warn,
  more: readonly string[] = [],
): W | undefined {
  if (words.includes(item as W)) return item as W; // in full, as saved lines have it; no legacy word is one of these
  const wanted = item.toUpperCase();
  if (wanted === '')
    throw new UsageError(`${option}: an item of the ${what} list is empty; it takes ${[...words, ...more].join(', ')}`);
  // quirk: docs/differences.md B47, the legacy words are tried first.
  for (const [legacy, instead] of Object.entries(LEGACY)) {
    if (!legacy.startsWith(wanted)) continue;
    const meant = words.find((word) => word.toUpperCase().startsWith(wanted));
    const inFull = meant === undefined ? '' : `; for ${meant} write more letters`;
    warn(`${option}: ${quoted(item)} stands for ${legacy} and selects nothing, use ${instead} for translated entries${inFull}`);
    return undefined;
  }
  const found = words.find((word) => word.toUpperCase().startsWith(wanted));
  if (found !== undefined) return found;
  const all = [...words, ...more];
  throw new UsageError(`${option}: unknown ${what} ${quoted(item)}${didYouMean(item, all) || `; it takes ${all.join(', ')}`}`);
}

/** Label names, all of a comma list. */
export function parseLabels(text: string, option: string): readonly string[] {
  const names = text.split(',');
  if (names.includes('')) throw new UsageError(`${option}: a label name in ${quoted(text)} is empty; write NAME or NAME,NAME`);
  return names;
}
