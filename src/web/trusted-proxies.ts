// TrustedProxies: who asks, where proxies stand in between: what X-Forwarded-For and Forwarded (RFC 7239) say counts only if it comes from
// a proxy that was named. Whoever asks can write these headers, too: only the part that trusted proxies have added is read.

import { BlockList, isIP, isIPv4 } from 'node:net';
import { ValueError } from '../errors.js';
import { plainAddress } from './auth.js';
import type { Peer } from './web-options.js';

/** For a proxy that connects by a socket in the file system. */
const UNIX = 'unix';
/** Proxies in a row. */
const MOST_HOPS = 32;
/** A parameter of Forwarded with what ends it. Source: RFC 7239, 4. */
const PARAMETER = /\s*([!#$%&'*+.^_`|~\w-]+)=("(?:[^"\\]|\\.)*"|[!#$%&'*+.^_`|~\w:[\]-]*)\s*([;,]|$)/y;

export class TrustedProxies {
  readonly #networks = new BlockList();
  readonly #unix: boolean;

  /** `names`: addresses, networks such as `10.0.0.0/8`, and `unix`. @throws ValueError */
  constructor(names: readonly string[]) {
    this.#unix = names.includes(UNIX);
    for (const name of names) {
      if (name === UNIX) continue;
      const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(name) ?? [];
      const bits = isIPv4(address) ? 32 : 128;
      if (isIP(address) === 0 || Number(length ?? 0) > bits)
        throw new ValueError(`a proxy cannot be ${JSON.stringify(name)}`, {
          hint: 'an address, a network such as 10.0.0.0/8, or unix',
        });
      this.#networks.addSubnet(address, Number(length ?? bits), familyOf(address));
    }
  }

  /** The address of who asks, as the proxy that the connection comes from tells it; `undefined`: nobody tells that one can trust. */
  clientOf({ address }: Peer, headers: Headers): string | undefined {
    if (!(address === '' ? this.#unix : this.#has(plainAddress(address)))) return undefined;
    const [list, forwarded] = [headers.get('x-forwarded-for'), headers.get('forwarded')];
    // A proxy writes one of them, and may pass on the other as somebody has made it up.
    if ((list === null) === (forwarded === null)) return undefined;
    const hops = list === null ? hopsOf(forwarded!) : list.split(',');
    let client: string | undefined;
    for (const hop of hops.slice(-MOST_HOPS).reverse()) {
      const its = addressOf(hop.trim());
      if (its === undefined) break;
      client = its;
      if (!this.#has(its)) break;
    }
    return client;
  }

  #has(address: string): boolean {
    return isIP(address) !== 0 && this.#networks.check(address, familyOf(address));
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** What `for` says in each element of Forwarded; nothing at all for what does not follow the grammar. */
function hopsOf(text: string): readonly string[] {
  const hops = [''];
  const parameter = new RegExp(PARAMETER);
  for (let end: string | undefined; end !== ''; ) {
    const found = parameter.exec(text);
    if (!found) return [];
    const [, name, value] = found as unknown as readonly [string, string, string];
    end = found[3]!;
    if (name.toLowerCase() === 'for')
      hops[hops.length - 1] = value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
    if (end === ',') hops.push('');
  }
  return hops;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80` → the address; `undefined` for anything else. */
function addressOf(text: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)?.[1] ?? text;
  const address = plainAddress(bare);
  return isIP(address) === 0 ? undefined : address;
}
