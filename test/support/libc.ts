// The few libc calls that set-up needs and Node does not have: raw sockets and netlink. They are declared separately on purpose: a test
// that used src/ for its set-up would repeat the mistakes of src/.

import koffi from 'koffi';

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SOL_NETLINK = 270;
export const NETLINK_BROADCAST_ERROR = 4;
export const NETLINK_NETFILTER = 12;
export const MSG_DONTWAIT = 0x40;

export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Buffer): number;
  sendto(fd: number, bytes: Buffer, length: number, flags: number, to: Buffer, toLength: number): number;
  recv(fd: number, bytes: Buffer, length: number, flags: number): number;
  close(fd: number): number;
}

let loaded: Libc | undefined;

/** libc. Every call throws on failure and names itself and the errno. */
export function libc(): Libc {
  if (loaded !== undefined) return loaded;
  const library = koffi.load(null);
  const checked = (prototype: string) => {
    const call = library.func(prototype);
    return (...args: unknown[]): number => {
      const result: number = call(...args);
      if (result < 0) throw new Error(`${call.info.name}: errno ${koffi.errno()}`);
      return result;
    };
  };
  loaded = {
    socket: checked('int socket(int domain, int type, int protocol)'),
    bind: checked('int bind(int fd, void *address, uint32_t length)'),
    setsockopt: checked('int setsockopt(int fd, int level, int name, void *value, uint32_t length)'),
    getsockopt: checked('int getsockopt(int fd, int level, int name, void *value, void *length)'),
    sendto: checked('intptr_t sendto(int fd, void *bytes, uintptr_t length, int flags, void *to, uint32_t toLength)'),
    recv: checked('intptr_t recv(int fd, void *bytes, uintptr_t length, int flags)'),
    close: checked('int close(int fd)'),
  };
  return loaded;
}

/** 4 or 16 address bytes of canonical IPv4 or IPv6 text. */
export function addressBytes(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number));
  const [head = '', tail] = text.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const front = words(head);
  const back = tail === undefined ? [] : words(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** struct sockaddr_in or sockaddr_in6 without a port, as raw sockets want it. */
export function rawAddress(text: string): Buffer {
  const bytes = addressBytes(text);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(bytes.length === 4 ? AF_INET : AF_INET6);
  return bytes.length === 4
    ? Buffer.concat([family, Buffer.alloc(2), bytes, Buffer.alloc(8)])
    : Buffer.concat([family, Buffer.alloc(6), bytes, Buffer.alloc(4)]);
}
