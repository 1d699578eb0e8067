// linux/netfilter/nfnetlink.h (Linux 6.18): the part that conntrack needs.

export const NFNETLINK_V0 = 0;
export const NFNL_SUBSYS_CTNETLINK = 1;
export const NFNL_SUBSYS_CTNETLINK_EXP = 2;
/** Size of struct nfgenmsg: family, version, res_id. */
export const NFGENMSG_LEN = 4;
/** Where the attributes of a message begin, from its start. */
export const NFNL_ATTRS = 20;
