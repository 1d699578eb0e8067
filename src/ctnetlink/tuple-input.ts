// A tuple as callers write it: every member may be left out.

/** One direction as callers write it. */
export interface TupleInput {
  /** IPv4 or IPv6 address. */
  readonly src?: string | undefined;
  readonly dst?: string | undefined;
  /** Instead of `protocol` of the flow. */
  readonly protonum?: number | undefined;
  /** Port or GRE key, 0 to 65535. */
  readonly sport?: number | undefined;
  readonly dport?: number | undefined;
  /** ICMP and ICMPv6; code and id are 0 unless given. */
  readonly icmpType?: number | undefined;
  readonly icmpCode?: number | undefined;
  readonly icmpId?: number | undefined;
  /** Zone of this direction only. */
  readonly zone?: number | undefined;
}
