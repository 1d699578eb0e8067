// Sets of addresses whose names are replaced by the ranges that they mean.

import { parseAddress, prefixMask } from '../address.js';
import { ADDRESS_NAMES, type AddressName, NAMED_ADDRESSES, RESERVED_NETWORKS } from './address-names.js';
import { type AddressSet, addressSet, EMPTY_ADDRESSES, unionOfAddresses, type WideRanges } from './sets.js';

function networksToSet(networks: readonly string[]): AddressSet {
  return unionOfAddresses(
    networks.map((network) => {
      const [address, length] = network.split('/');
      const bytes = parseAddress(address!)!;
      return addressSet(bytes, prefixMask(Number(length), bytes.length));
    }),
  );
}

type NamedSets = Readonly<Record<AddressName, AddressSet>>;

/** Worked out when it is first asked for, and never changed: most filters have no names. */
let named: NamedSets | undefined;

function namedSets(): NamedSets {
  const sets = Object.fromEntries(ADDRESS_NAMES.map((name) => [name, networksToSet(NAMED_ADDRESSES[name].networks)]));
  const other = unionOfAddresses([networksToSet(RESERVED_NETWORKS), ...Object.values(sets)]);
  sets['public'] = { ...EMPTY_ADDRESSES, v4: gapsOf(other.v4.map(BigInt), 32n).map(Number), v6: gapsOf(other.v6, 128n) };
  return sets as NamedSets;
}

/** What a set leaves of all numbers of so many bits. */
function gapsOf(ranges: WideRanges, bits: bigint): WideRanges {
  const gaps: bigint[] = [];
  let from = 0n;
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i]! > from) gaps.push(from, ranges[i]! - 1n);
    from = ranges[i + 1]! + 1n;
  }
  if (from < 1n << bits) gaps.push(from, (1n << bits) - 1n);
  return gaps;
}

/** The set with names replaced by what they mean. */
export function withoutNames(set: AddressSet): AddressSet {
  if (set.names.length === 0) return set;
  named ??= namedSets();
  const meant = named;
  return unionOfAddresses([{ ...set, names: [] }, ...set.names.map((name) => meant[name])]);
}

/** Whether a set may hold addresses of a family. */
export function mayHold(set: AddressSet, size: 4 | 16): boolean {
  const { v4, v6, masked, sockets } = withoutNames(set);
  return (size === 4 ? v4 : v6).length > 0 || [...masked, ...sockets].some(({ address }) => address.length === size);
}
