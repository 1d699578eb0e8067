// Names of address ranges, such as `private`: the facts. address-ranges.ts has them as sets.
// Source: IANA special-purpose address registries, RFC 1918, 4193, 6598.

/** Names of ranges, in the order in which they are written. */
export const ADDRESS_NAMES = ['private', 'cgnat', 'loopback', 'link-local', 'multicast', 'public'] as const;
export type AddressName = (typeof ADDRESS_NAMES)[number];

/** What a name means, with the words of the help. `public` is what remains of all others and of RESERVED. */
export const NAMED_ADDRESSES: Readonly<Record<AddressName, { readonly networks: readonly string[]; readonly help: string }>> = {
  private: { networks: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'], help: 'RFC 1918, and unique local IPv6' },
  cgnat: { networks: ['100.64.0.0/10'], help: 'shared address space of providers (RFC 6598)' },
  loopback: { networks: ['127.0.0.0/8', '::1/128'], help: 'this host' },
  'link-local': { networks: ['169.254.0.0/16', 'fe80::/10'], help: 'this link' },
  multicast: { networks: ['224.0.0.0/4', 'ff00::/8'], help: 'groups' },
  public: { networks: [], help: 'none of these, nor unspecified, documentation or reserved' },
};

/** Neither public nor named: unspecified, protocol assignments, documentation, benchmarks, reserved (IANA special-purpose registries). */
export const RESERVED_NETWORKS = [
  '0.0.0.0/8',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '240.0.0.0/4',
  '::/128',
  '::ffff:0:0/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:2::/48',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
] as const;
