// Status bits (IPS_*) and flags of expectations as words. Source: enum ip_conntrack_status, enum ip_conntrack_expect_flags
// (nf_conntrack_common.h).

/** Index = bit number: bit 0 is IPS_EXPECTED. */
export const STATUS_NAMES = [
  'EXPECTED',
  'SEEN_REPLY',
  'ASSURED',
  'CONFIRMED',
  'SRC_NAT',
  'DST_NAT',
  'SEQ_ADJUST',
  'SRC_NAT_DONE',
  'DST_NAT_DONE',
  'DYING',
  'FIXED_TIMEOUT',
  'TEMPLATE',
  'UNTRACKED',
  'HELPER',
  'OFFLOAD',
  'HW_OFFLOAD',
] as const;

/** A status bit by its kernel name without IPS_; `BIT_16` and so on for bits of kernels newer than this package. */
export type StatusName = (typeof STATUS_NAMES)[number] | `BIT_${number}`;

/** Index = bit number: bit 0 is NF_CT_EXPECT_PERMANENT. */
export const EXPECTATION_FLAG_NAMES = ['PERMANENT', 'INACTIVE', 'USERSPACE'] as const;

/** A flag of an expectation by its kernel name without NF_CT_EXPECT_; `BIT_3` and so on for flags newer than this package. */
export type ExpectationFlagName = (typeof EXPECTATION_FLAG_NAMES)[number] | `BIT_${number}`;

/** The name of a bit, 0 to 31. */
export function bitName(names: readonly string[], bit: number): string {
  return names[bit] ?? `BIT_${bit}`;
}

/** The names of the bits that are set, in bit order. */
export function namesOfBits(names: readonly string[], bits: number): string[] {
  const found: string[] = [];
  for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) found.push(bitName(names, bit));
  return found;
}

/** The bit number of a name, or `undefined` if there is no such name. */
export function bitOfName(names: readonly string[], name: string): number | undefined {
  const known = names.indexOf(name);
  if (known >= 0) return known;
  const bit = /^BIT_(\d|[12]\d|3[01])$/.exec(name)?.[1];
  return bit === undefined ? undefined : Number(bit);
}
