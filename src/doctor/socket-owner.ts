// The process at a local end of a flow: sock_diag has the socket, /proc the process that has it open.

import { parseAddress } from '../ctnetlink/address.js';
import { AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP } from '../ctnetlink/uapi/in.js';
import { KernelError } from '../errors.js';
import { Channel, programOfSocket, type RequestRow, type SocketPlace } from '../library/index.js';
import { host32, putBe16 } from '../wire/bytes.js';
import { NETLINK_SOCK_DIAG, NLMSG_HDRLEN } from '../wire/uapi/netlink.js';
import { NFGENMSG_LEN } from '../wire/uapi/nfnetlink.js';
import {
  INET_DIAG_MSG_INODE,
  INET_DIAG_REQ_LEN,
  INET_DIAG_REQ_SOCKID,
  INET_DIAG_SOCKID_LEN,
  SOCK_DIAG_BY_FAMILY,
} from '../wire/uapi/sock-diag.js';

const SOCK_DIAG: RequestRow = { name: 'SOCK_DIAG_BY_FAMILY', type: SOCK_DIAG_BY_FAMILY };

/** An end of a connection. */
export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

/** A process with a socket. */
export interface SocketOwner {
  /** As the process calls itself: escape it where it is shown. */
  readonly name: string;
  readonly pid: number;
}

/**
 * The process whose socket is at `local` and talks to `remote`; `'none'`: there is no such socket; `undefined`: the socket is there, and who
 * has it cannot be seen. @throws KernelError, SystemError, DecodeError
 */
export function ownerOfSocket(
  { transport, namespace }: SocketPlace,
  protonum: number,
  local: SocketEnd,
  remote: SocketEnd,
): SocketOwner | 'none' | undefined {
  const [from, to] = [parseAddress(local.address), parseAddress(remote.address)];
  if ((protonum !== IPPROTO_TCP && protonum !== IPPROTO_UDP) || !from || !to) return 'none';
  const rest = new Uint8Array(INET_DIAG_REQ_LEN - NFGENMSG_LEN);
  const at = INET_DIAG_REQ_SOCKID - NFGENMSG_LEN;
  // The kernel wants the ends of UDP the other way round.
  const [first, second] = protonum === IPPROTO_UDP ? ([remote, local] as const) : ([local, remote] as const);
  putBe16(rest, at, first.port);
  putBe16(rest, at + 2, second.port);
  rest.set(protonum === IPPROTO_UDP ? to : from, at + 4);
  rest.set(protonum === IPPROTO_UDP ? from : to, at + 20);
  rest.fill(0xff, at + INET_DIAG_SOCKID_LEN - 8, at + INET_DIAG_SOCKID_LEN); // no cookie
  const channel = new Channel(transport({ namespace, protocol: NETLINK_SOCK_DIAG }));
  let inode = 0;
  try {
    const family = from.length === 4 ? AF_INET : AF_INET6;
    const visit = (bytes: Uint8Array, start: number, end: number) => {
      if (start + NLMSG_HDRLEN + INET_DIAG_MSG_INODE + 4 <= end)
        inode = host32(bytes, start + NLMSG_HDRLEN + INET_DIAG_MSG_INODE);
    };
    channel.transact(SOCK_DIAG, family, (out) => out.append(rest), visit, { version: protonum });
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return 'none';
    throw error;
  } finally {
    channel.close();
  }
  if (inode === 0) return 'none';
  const program = programOfSocket(inode);
  return program && { name: new TextDecoder().decode(program.name), pid: program.pid };
}
