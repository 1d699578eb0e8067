// Who may ask: tokens and their roles, which hosts and origins a request may name. No cookies, and so no requests forged by other pages;
// a name that points here from outside is refused.

import { createHash, timingSafeEqual } from 'node:crypto';
import { WebError } from './web-error.js';

/** What somebody may do. */
export type Role = 'read' | 'change';

/** Refused tokens per second, after which all are refused for the rest of it. */
const MOST_REFUSED = 10;

/** Knows tokens by their hashes. */
export class Tokens {
  readonly #known: { readonly hash: Buffer; readonly role: Role }[] = [];
  #second = 0;
  #refused = 0;

  add(token: string, role: Role): void {
    this.#known.push({ hash: hashOf(token), role });
  }

  /** The role of the token of a request; always as slow. @throws WebError 401, 429 */
  roleOf(request: Request): Role {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#refused = 0;
    }
    if (this.#refused >= MOST_REFUSED) throw new WebError(429, 'TOKEN', 'too many wrong tokens', { retryAfter: 1 });
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    const hash = hashOf(given ?? '');
    let role: Role | undefined;
    for (const known of this.#known) if (timingSafeEqual(known.hash, hash)) role = known.role;
    if (given !== undefined && role !== undefined) return role;
    if (given !== undefined) this.#refused++;
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

  /** @throws WebError 421 for a name that is none of ours, as a rebound DNS name is */
  check(request: Request): void {
    const name = hostname(request.headers.get('host') ?? '');
    if (this.#names.has(name)) return;
    throw new WebError(421, 'HOST', 'this server is not asked by that name', { hint: 'start it with --host NAME' });
  }

  has(name: string): boolean {
    return this.#names.has(hostname(name));
  }
}

/** @throws WebError 403 for a change that another page caused, 415 for a body that is not JSON */
export function checkOrigin(request: Request, hosts: Hosts): void {
  const { method, headers } = request;
  if (method === 'GET' || method === 'HEAD') return;
  const origin = headers.get('origin');
  const site = headers.get('sec-fetch-site');
  const foreign =
    origin !== null &&
    (!/^https?:\/\//.test(origin) || !hosts.has(origin.replace(/^https?:\/\//, '')) || !sameHost(origin, headers));
  if (foreign || (site !== null && site !== 'same-origin' && site !== 'none'))
    throw new WebError(403, 'ORIGIN', 'changes can only be asked for by the page of this server, or by programs');
  if (method === 'POST' && !/^application\/json\b/i.test(headers.get('content-type') ?? ''))
    throw new WebError(415, 'TYPE', 'the body must be JSON', { hint: 'send Content-Type: application/json' });
}

/** The origin is the host that was asked, with its port. */
function sameHost(origin: string, headers: Headers): boolean {
  return origin.replace(/^https?:\/\//, '').toLowerCase() === (headers.get('host') ?? '').toLowerCase();
}

/** `[::1]:8466` → `[::1]`. */
function hostname(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
