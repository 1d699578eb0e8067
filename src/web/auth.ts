// Who may ask: tokens and their roles, which hosts and origins a request may name. No cookies, and so no requests forged by other pages;
// a name that points here from outside is refused.

import { createHash, timingSafeEqual } from 'node:crypto';
import { parseAddress } from '../ctnetlink/address.js';
import { WebError } from './web-error.js';
import type { Peer, Role } from './web-options.js';

/** Wrong tokens of one address that are looked at one by one in a second. */
const MOST_REFUSED = 10;
/** Addresses that are told apart in a second; further ones have refused enough. */
const MOST_ASKERS = 1000;

/** Lets so many things pass in each second, of each kind. */
export class PerSecond {
  readonly #most: number;
  readonly #now: () => number;
  readonly #taken = new Map<string, number>();
  #second = -1;

  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most;
    this.#now = now;
  }

  /** Whether there is one of this kind left in this second. */
  take(kind = ''): boolean {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken.clear();
    }
    const taken = this.#taken.get(kind) ?? (this.#taken.size < MOST_ASKERS ? 0 : this.#most);
    if (taken >= this.#most) return false;
    this.#taken.set(kind, taken + 1);
    return true;
  }
}

/** Knows tokens by their hashes. */
export class Tokens {
  readonly #known: { readonly hash: Buffer; readonly role: Role }[] = [];
  readonly #refusals: PerSecond;

  constructor(now?: () => number) {
    this.#refusals = new PerSecond(MOST_REFUSED, now);
  }

  add(token: string, role: Role): void {
    this.#known.push({ hash: hashOf(token), role });
  }

  /**
   * The role of the token of a request; always as slow. A right token is good however many wrong ones there were: nobody locks out its
   * owner, and 128 bits are not guessed. `asker`: where it comes from. @throws WebError 401; 429 for wrong tokens without end
   */
  roleOf(request: Request, asker = ''): Role {
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    const hash = hashOf(given ?? '');
    let role: Role | undefined;
    for (const known of this.#known) if (timingSafeEqual(known.hash, hash)) role = known.role;
    if (given !== undefined && role !== undefined) return role;
    if (given !== undefined && !this.#refusals.take(networkOf(asker)))
      throw new WebError(429, 'TOKEN', 'too many wrong tokens', { retryAfter: 1 });
    throw new WebError(401, 'TOKEN', given === undefined ? 'a token is needed' : 'this token is not known', {
      hint: 'send it as: Authorization: Bearer TOKEN',
    });
  }
}

/** Names under which the server may be asked: those it listens on, loopback, and those it was told. */
export class Hosts {
  readonly #names: ReadonlySet<string>;

  constructor(names: Iterable<string>) {
    this.#names = new Set(['localhost', '127.0.0.1', '[::1]', ...Array.from(names, (name) => name.toLowerCase())]);
  }

  /** The address that the connection came to is ours, too. @throws WebError 421 for another name, as a rebound DNS name is */
  check(request: Request, peer: Peer | undefined): void {
    const name = hostname(request.headers.get('host') ?? '');
    if (this.#names.has(name) || (peer && peer.address !== '' && name === hostOfAddress(plainAddress(peer.localAddress)))) return;
    throw new WebError(421, 'HOST', 'this server is not asked by that name', { hint: 'start it with --host NAME' });
  }
}

/**
 * What browsers say of where a request comes from. Programs say nothing. `hostChecked`: the name that was asked for is ours.
 * @throws WebError 403 for a request that another page caused, 415 for a body that is not JSON
 */
export function checkOrigin({ method, headers }: Request, hostChecked: boolean): void {
  const origin = headers.get('origin');
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin' && site !== 'none') throw foreign();
  if (method === 'GET' || method === 'HEAD') return;
  // Something in front of an embedded handler may have changed the host; then the browser's own word counts.
  if (origin !== null && !isSameHost(origin, headers) && (hostChecked || site === null)) throw foreign();
  if (method === 'POST' && !/^application\/json\b/i.test(headers.get('content-type') ?? ''))
    throw new WebError(415, 'TYPE', 'the body must be JSON', { hint: 'send Content-Type: application/json' });
}

function foreign(): WebError {
  return new WebError(403, 'ORIGIN', 'this can only be asked for by the page of this server, or by programs');
}

/** The origin is the host that was asked, with its port. */
function isSameHost(origin: string, headers: Headers): boolean {
  const parts = /^https?:\/\/(.+)$/i.exec(origin);
  return parts?.[1]?.toLowerCase() === headers.get('host')?.toLowerCase();
}

/** Whether an answer of a type is wanted. Source: RFC 9110, 12.5.1. */
export function isAccepted(accept: string | null, type: string): boolean {
  if (accept === null || accept.trim() === '') return true;
  return accept
    .toLowerCase()
    .split(',')
    .some((part) => {
      const [range, ...parameters] = part.split(';').map((text) => text.trim());
      if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) return false;
      return range === '*/*' || range === type || range === `${type.split('/')[0]}/*`;
    });
}

/** `::ffff:192.0.2.1` → `192.0.2.1`, `fe80::1%eth0` → `fe80::1`. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*/, '');
}

/** An address as it stands in front of a port. */
export function hostOfAddress(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** The address of whoever asks: as a trusted proxy tells it, or the other end of the connection. Empty for a socket in the file system. */
export function askerOf(peer: Peer | undefined): string {
  return peer?.client ?? plainAddress(peer?.address ?? '');
}

/** What one host has: an IPv4 address, or 64 bits of IPv6. */
function networkOf(address: string): string {
  const bytes = address.includes(':') ? parseAddress(address) : undefined;
  return bytes ? bytes.subarray(0, 8).join('.') : address;
}

/** `[::1]:8466` → `[::1]`. */
function hostname(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
