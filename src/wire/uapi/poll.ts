// asm-generic/poll.h (Linux 6.18): the part that conntrack needs.

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
