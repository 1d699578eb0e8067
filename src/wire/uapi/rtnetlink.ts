// linux/rtnetlink.h, linux/if_addr.h, linux/neighbour.h (Linux 6.18): the part that conntrack doctor needs.

export const RTM_GETADDR = 22;
export const RTM_GETROUTE = 26;
export const RTM_GETNEIGH = 30;

/** struct ifaddrmsg, struct rtmsg, struct ndmsg. */
export const IFADDRMSG_LEN = 8;
export const RTMSG_LEN = 12;
export const NDMSG_LEN = 12;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_BROADCAST = 4;

export const RTA_DST = 1;
export const RTN_LOCAL = 2;

export const NDA_DST = 1;
export const NUD_FAILED = 0x20;
