// Addresses as filters have them, in text and in objects: ADDRESS, ADDRESS/LENGTH, ADDRESS/MASK, FIRST-LAST, ADDRESS:PORT, [ADDRESS]:PORT,
// and names such as `private`.

import { type AddressBytes, formatAddress, parseAddress, prefixMask } from '../address.js';
import { ADDRESS_NAMES, type AddressName } from './address-names.js';
import {
  type AddressSet,
  addressRange,
  addressSet,
  hasHostBits,
  namedSet,
  rangesOfAddresses,
  socketSet,
  toBigInt,
} from './sets.js';

/** What was read; or what is wrong with it, as the end of a sentence about the text, and what could have been meant. */
export type AddressReading = { readonly set: AddressSet } | { readonly wrong: string; readonly repairs?: readonly string[] };

/** Reads one value. `hostBits`: a network may have bits behind its mask, as with the options of the command. */
export function readAddresses(text: string, hostBits: boolean): AddressReading {
  const name = ADDRESS_NAMES.find((known) => known === text.toLowerCase());
  if (name) return { set: namedSet(name satisfies AddressName) };
  const slash = text.indexOf('/');
  if (slash >= 0) return readNetwork(text.slice(0, slash), text.slice(slash + 1), hostBits);
  const dash = text.indexOf('-');
  if (dash > 0) return readRange(text.slice(0, dash), text.slice(dash + 1));
  const socket = /^(?:([\d.]+)|\[([0-9A-Fa-f:.]+)\]):(\d+)$/.exec(text);
  if (socket) {
    const address = parseStrict(socket[1] ?? socket[2]!);
    const port = Number(socket[3]);
    if (address && (address.length === 4) === (socket[1] !== undefined))
      return port <= 0xffff ? { set: socketSet(address, port) } : { wrong: 'has a port above 65535' };
  }
  const bare = /^\[([0-9A-Fa-f:.]+)\]$/.exec(text)?.[1];
  const address = parseStrict(bare ?? text);
  return address ? { set: addressSet(address) } : { wrong: whyNot(text) };
}

function readNetwork(text: string, suffix: string, hostBits: boolean): AddressReading {
  const address = parseStrict(text);
  if (!address) return { wrong: whyNot(text) };
  let mask: AddressBytes | undefined;
  if (/^\d{1,3}$/.test(suffix)) {
    if (Number(suffix) > address.length * 8) return { wrong: `has a prefix length above ${address.length * 8}` };
    mask = prefixMask(Number(suffix), address.length);
  } else mask = parseStrict(suffix);
  if (!mask) return { wrong: 'has a mask that is neither a prefix length nor an address' };
  if (mask.length !== address.length) return { wrong: 'has a mask of the other family' };
  const set = addressSet(address, mask);
  if (!hostBits && hasHostBits(address, mask))
    return { wrong: 'has bits set behind its mask', repairs: [`${networkText(address, mask)}/${suffix}`, text] };
  return { set };
}

function networkText(address: AddressBytes, mask: AddressBytes): string {
  return formatAddress(address.map((byte, i) => byte & mask[i]!));
}

function readRange(from: string, to: string): AddressReading {
  const first = parseStrict(from);
  const last = parseStrict(to);
  if (!first || !last) return { wrong: whyNot(first ? to : from) };
  if (first.length !== last.length) return { wrong: 'begins in one family and ends in the other' };
  if (toBigInt(first) > toBigInt(last)) return { wrong: 'ends before it begins', repairs: [`${to}-${from}`] };
  return { set: addressRange(first, last) };
}

/** A dotted quad of decimal numbers without leading zeros, or an IPv6 address: no `10.1`, no octal. */
export function parseStrict(text: string): AddressBytes | undefined {
  const strict = text.includes(':') || /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text);
  return strict ? parseAddress(text) : undefined;
}

function whyNot(text: string): string {
  if (text.includes('%')) return 'has a scope, which the kernel does not keep';
  if (/^\d+(\.\d+){0,2}$/.test(text)) return 'is no address: an IPv4 address has four numbers';
  if (/^[A-Za-z][\w-]*(\.[\w-]+)+$/.test(text)) return 'is a name: names of hosts are not looked up, write the address';
  return 'is no address';
}

/** The values of a set, as they are written. */
export function addressTexts(set: AddressSet): string[] {
  return [
    ...rangesOfAddresses(set).map(({ first, last, prefix }) => {
      if (prefix === first.length * 8) return formatAddress(first);
      return prefix === undefined ? `${formatAddress(first)}-${formatAddress(last)}` : `${formatAddress(first)}/${prefix}`;
    }),
    ...set.masked.map(({ address, mask }) => `${formatAddress(address)}/${formatAddress(mask)}`),
    ...set.sockets.map(({ address, port }) => {
      const text = formatAddress(address);
      return `${address.length === 4 ? text : `[${text}]`}:${port}`;
    }),
    ...set.names,
  ];
}
