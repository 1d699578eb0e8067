// linux/netfilter/nf_conntrack_common.h (Linux 6.18): enum ip_conntrack_status and expectation flags.

export const IPS_EXPECTED = 0x0001;
export const IPS_SEEN_REPLY = 0x0002;
export const IPS_ASSURED = 0x0004;
export const IPS_CONFIRMED = 0x0008;
export const IPS_SRC_NAT = 0x0010;
export const IPS_DST_NAT = 0x0020;
export const IPS_SEQ_ADJUST = 0x0040;
export const IPS_SRC_NAT_DONE = 0x0080;
export const IPS_DST_NAT_DONE = 0x0100;
export const IPS_DYING = 0x0200;
export const IPS_FIXED_TIMEOUT = 0x0400;
export const IPS_TEMPLATE = 0x0800;
export const IPS_UNTRACKED = 0x1000;
export const IPS_HELPER = 0x2000;
export const IPS_OFFLOAD = 0x4000;
export const IPS_HW_OFFLOAD = 0x8000;

export const NF_CT_EXPECT_PERMANENT = 0x1;
export const NF_CT_EXPECT_INACTIVE = 0x2;
export const NF_CT_EXPECT_USERSPACE = 0x4;

/** Multicast groups as bits of a bind mask. Source: enum nfnetlink_groups in linux/netfilter/nfnetlink_compat.h. */
export const NF_NETLINK_CONNTRACK_NEW = 0x01;
export const NF_NETLINK_CONNTRACK_UPDATE = 0x02;
export const NF_NETLINK_CONNTRACK_DESTROY = 0x04;
export const NF_NETLINK_CONNTRACK_EXP_NEW = 0x08;
export const NF_NETLINK_CONNTRACK_EXP_UPDATE = 0x10;
export const NF_NETLINK_CONNTRACK_EXP_DESTROY = 0x20;
