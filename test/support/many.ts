// A table of many entries, for tests of long output.

import { newFlow } from './netlink.js';

/** Requests that create `count` UDP entries, all different, of one address family. */
export function manyFlows(count: number, version: 4 | 6 = 4): Buffer[] {
  return Array.from({ length: count }, (_, n) => {
    const src = version === 4 ? `10.${n >> 16}.${(n >> 8) & 0xff}.${n & 0xff}` : `2001:db8::${(n + 1).toString(16)}`;
    const dst = version === 4 ? '198.51.100.1' : '2001:db8:1::1';
    return newFlow({ proto: 17, original: { src, dst, sport: 1024 + (n % 60000), dport: 53 }, timeout: 100000 });
  });
}
