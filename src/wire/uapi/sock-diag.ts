// linux/sock_diag.h, linux/inet_diag.h (Linux 6.18): the part that conntrack explain needs.

export const SOCK_DIAG_BY_FAMILY = 20;

/** struct inet_diag_req_v2: family, protocol, ext, pad, states, struct inet_diag_sockid. */
export const INET_DIAG_REQ_LEN = 56;
/** In a request: the beginning of struct inet_diag_sockid: two ports, two addresses of 16 bytes, interface, cookie. */
export const INET_DIAG_REQ_SOCKID = 8;
export const INET_DIAG_SOCKID_LEN = 48;
/** In an answer, struct inet_diag_msg: the inode. */
export const INET_DIAG_MSG_INODE = 68;
