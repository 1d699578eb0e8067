// errno numbers of Linux, their names, and a plain reason for each that netlink or a file operation can return. Source:
// asm-generic/errno-base.h, asm-generic/errno.h; reasons: docs/kernel.md 5.

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const EMFILE = 24;
export const ENOSPC = 28;
export const ERANGE = 34;
export const ETIME = 62;
export const EPROTONOSUPPORT = 93;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const ENOBUFS = 105;

const ROWS: readonly (readonly [number, string, string])[] = [
  [1, 'EPERM', 'operation not permitted'],
  [2, 'ENOENT', 'no such entry'],
  [3, 'ESRCH', 'no such process'],
  [4, 'EINTR', 'interrupted by a signal'],
  [5, 'EIO', 'input/output error'],
  [7, 'E2BIG', 'argument too long'],
  [9, 'EBADF', 'bad file descriptor'],
  [11, 'EAGAIN', 'nothing to read yet'],
  [12, 'ENOMEM', 'out of memory'],
  [13, 'EACCES', 'permission denied'],
  [14, 'EFAULT', 'bad address'],
  [16, 'EBUSY', 'busy'],
  [17, 'EEXIST', 'already exists'],
  [19, 'ENODEV', 'no such device'],
  [20, 'ENOTDIR', 'not a directory'],
  [21, 'EISDIR', 'is a directory'],
  [22, 'EINVAL', 'invalid request'],
  [23, 'ENFILE', 'too many open files in the system'],
  [24, 'EMFILE', 'too many open files'],
  [27, 'EFBIG', 'file too large'],
  [28, 'ENOSPC', 'no space left'],
  [30, 'EROFS', 'read-only file system'],
  [32, 'EPIPE', 'broken pipe'],
  [34, 'ERANGE', 'value out of range'],
  [62, 'ETIME', 'timer expired'],
  [90, 'EMSGSIZE', 'message too long'],
  [93, 'EPROTONOSUPPORT', 'protocol not supported'],
  [95, 'EOPNOTSUPP', 'operation not supported'],
  [97, 'EAFNOSUPPORT', 'address family not supported'],
  [98, 'EADDRINUSE', 'address in use'],
  [105, 'ENOBUFS', 'receive buffer overrun'],
  [110, 'ETIMEDOUT', 'timed out'],
  [111, 'ECONNREFUSED', 'connection refused'],
  [122, 'EDQUOT', 'disk quota exceeded'],
];

/** `EPERM` for 1; `ERRNO_<n>` for a number without a row. */
export function errnoName(errno: number): string {
  return ROWS.find((row) => row[0] === errno)?.[1] ?? `ERRNO_${errno}`;
}

/** A short reason in plain words, lower-case, without a full stop. */
export function errnoReason(errno: number): string {
  return ROWS.find((row) => row[0] === errno)?.[2] ?? `error ${errno}`;
}
