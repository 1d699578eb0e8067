// What a service tells the manager that started it, by datagrams to a socket of its: sd_notify(3). Node.js has no such sockets.

import { putHost16 } from './bytes.js';
import { EINVAL } from './errno.js';
import { libc } from './ffi.js';

/** linux/socket.h, asm-generic/socket.h, linux/net.h */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** Bytes of sun_path. */
const MOST_PATH = 108;
const FAMILY_SIZE = 2;

/**
 * Sends lines such as `READY=1`.
 * @param path as NOTIFY_SOCKET has it: of a file, or `@` and a name
 * @returns whether it was sent; negative: -errno
 */
export function notifyManager(path: string, text: string): number {
  const name = new TextEncoder().encode(path);
  if ((path[0] !== '/' && path[0] !== '@') || name.length >= MOST_PATH) return -EINVAL;
  const address = new Uint8Array(FAMILY_SIZE + MOST_PATH);
  putHost16(address, 0, AF_UNIX);
  address.set(name, FAMILY_SIZE);
  const { socket, connect, send, close } = libc();
  if (path[0] === '@') address[FAMILY_SIZE] = 0;
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const connected = connect(fd, address, FAMILY_SIZE + name.length + (path[0] === '@' ? 0 : 1));
  const bytes = new TextEncoder().encode(text);
  const sent = connected < 0 ? connected : send(fd, bytes, bytes.length, MSG_NOSIGNAL);
  close(fd);
  return sent;
}
