// What the doctor asks NETLINK_ROUTE: addresses, whether an address is of this host, and neighbours that do not answer.

import { formatAddress, parseAddress } from '../ctnetlink/address.js';
import { compilePolicy, slotsOf } from '../ctnetlink/policy.js';
import type { Fields } from '../ctnetlink/schema.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import { View } from '../ctnetlink/view.js';
import { KernelError } from '../errors.js';
import { Channel, type RequestRow, type SocketPlace } from '../library/index.js';
import { host16 } from '../wire/bytes.js';
import { NETLINK_ROUTE, NLMSG_HDRLEN } from '../wire/uapi/netlink.js';
import { NFGENMSG_LEN } from '../wire/uapi/nfnetlink.js';
import {
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_LOCAL,
  IFADDRMSG_LEN,
  NDA_DST,
  NDMSG_LEN,
  NUD_FAILED,
  RTA_DST,
  RTM_GETADDR,
  RTM_GETNEIGH,
  RTM_GETROUTE,
  RTMSG_LEN,
  RTN_LOCAL,
} from '../wire/uapi/rtnetlink.js';

const ADDR_GET: RequestRow = { name: 'RTM_GETADDR', type: RTM_GETADDR };
const ROUTE_GET: RequestRow = { name: 'RTM_GETROUTE', type: RTM_GETROUTE };
const NEIGH_GET: RequestRow = { name: 'RTM_GETNEIGH', type: RTM_GETNEIGH };

const addressFields = {
  address: { path: [IFA_ADDRESS], kind: 'bytes', doc: 'The address, or that of the other end.' },
  local: { path: [IFA_LOCAL], kind: 'bytes', doc: 'The address of this end.' },
  broadcast: { path: [IFA_BROADCAST], kind: 'bytes', doc: 'Where its network listens to broadcasts.' },
} as const satisfies Fields;
const A = slotsOf(0, addressFields);

const neighbourFields = { dst: { path: [NDA_DST], kind: 'bytes', doc: 'The address.' } } as const satisfies Fields;
const N = slotsOf(0, neighbourFields);

const ENDS_INSIDE = { endsInside: true } as const;

/** Addresses of a network namespace. */
export interface LocalAddresses {
  readonly own: readonly string[];
  readonly broadcast: readonly string[];
}

/** One socket of NETLINK_ROUTE. */
export class RouteNetlink implements Disposable {
  readonly #channel: Channel;

  /** @throws SystemError */
  constructor({ transport, namespace }: SocketPlace) {
    this.#channel = new Channel(transport({ namespace, protocol: NETLINK_ROUTE }));
  }

  /** @throws KernelError, SystemError, DecodeError */
  async addresses(): Promise<LocalAddresses> {
    const view = new View(compilePolicy([], addressFields), NLMSG_HDRLEN + IFADDRMSG_LEN);
    const own: string[] = [];
    const broadcast: string[] = [];
    await this.#channel.dump(
      ADDR_GET,
      AF_UNSPEC,
      restOf(IFADDRMSG_LEN),
      {
        message: (bytes, at, end) => {
          view.decode(bytes, at, end);
          const mine = addressIn(view, A.local) ?? addressIn(view, A.address);
          const all = addressIn(view, A.broadcast);
          if (mine !== undefined) own.push(mine);
          if (all !== undefined) broadcast.push(all);
        },
      },
      ENDS_INSIDE,
    );
    return { own, broadcast };
  }

  /** Whether packets to an address are for this host, go on, or have no route. @throws KernelError, SystemError, DecodeError */
  route(address: string): 'local' | 'other' | 'none' {
    const bytes = parseAddress(address);
    if (!bytes) return 'none';
    let type = 0;
    try {
      this.#channel.transact(
        ROUTE_GET,
        bytes.length === 4 ? AF_INET : AF_INET6,
        (out) => {
          restOf(RTMSG_LEN)(out);
          out.raw(RTA_DST, bytes);
        },
        (answer, at) => {
          type = answer[at + NLMSG_HDRLEN + 7]!; // rtm_type
        },
        { version: 8 * bytes.length }, // rtm_dst_len, the second byte of the header
      );
    } catch (error) {
      if (error instanceof KernelError && error.code !== 'EPERM') return 'none';
      throw error;
    }
    return type === RTN_LOCAL ? 'local' : 'other';
  }

  /** Neighbours that were asked for and did not answer. @throws KernelError, SystemError, DecodeError */
  async failedNeighbours(): Promise<string[]> {
    const view = new View(compilePolicy([], neighbourFields), NLMSG_HDRLEN + NDMSG_LEN);
    const failed: string[] = [];
    await this.#channel.dump(
      NEIGH_GET,
      AF_UNSPEC,
      restOf(NDMSG_LEN),
      {
        message: (bytes, at, end) => {
          view.decode(bytes, at, end);
          const state = host16(bytes, at + NLMSG_HDRLEN + 8); // ndm_state
          const address = state & NUD_FAILED ? addressIn(view, N.dst) : undefined;
          if (address !== undefined) failed.push(address);
        },
      },
      ENDS_INSIDE,
    );
    return failed;
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

/** Fills the header of a family, of which a message of netfilter has the first four bytes, with zeros. */
function restOf(length: number): (out: { append(bytes: Uint8Array): void }) => void {
  return (out) => out.append(new Uint8Array(length - NFGENMSG_LEN));
}

/** An address in an attribute; `undefined` if there is none. */
function addressIn(view: View, slot: number): string | undefined {
  const size = view.length(slot);
  if (size !== 4 && size !== 16) return undefined;
  const at = view.offset(slot);
  return formatAddress(view.bytes.subarray(at, at + size));
}
