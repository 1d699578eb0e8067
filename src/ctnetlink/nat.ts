// Whether an entry is translated, and which part: the kernel never sends NAT as such; status and tuples show it. Definitions:
// docs/behaviour.md 4.3. Only protocols with ports have a translated port, so not ICMP (docs/differences.md B8).

import { ORIGINAL, REPLY, S, T } from './fields.js';
import { IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE } from './uapi/nf-conntrack-common.js';
import type { View } from './view.js';

/** Source address translated: the reply does not go back to the original source. */
export function snatAddress(view: View): boolean {
  return (
    (view.be32(S.status) & IPS_SRC_NAT_DONE) !== 0 &&
    addressDiffers(view, ORIGINAL + T.v4Src, REPLY + T.v4Dst, ORIGINAL + T.v6Src, REPLY + T.v6Dst)
  );
}

/** Destination address translated: the reply does not come from the original destination. */
export function dnatAddress(view: View): boolean {
  return (
    (view.be32(S.status) & IPS_DST_NAT_DONE) !== 0 &&
    addressDiffers(view, ORIGINAL + T.v4Dst, REPLY + T.v4Src, ORIGINAL + T.v6Dst, REPLY + T.v6Src)
  );
}

/** Source port translated. */
export function snatPort(view: View): boolean {
  return (view.be32(S.status) & IPS_SRC_NAT_DONE) !== 0 && view.be16(ORIGINAL + T.sport) !== view.be16(REPLY + T.dport);
}

/** Destination port translated. */
export function dnatPort(view: View): boolean {
  return (view.be32(S.status) & IPS_DST_NAT_DONE) !== 0 && view.be16(ORIGINAL + T.dport) !== view.be16(REPLY + T.sport);
}

function addressDiffers(view: View, v4a: number, v4b: number, v6a: number, v6b: number): boolean {
  const v4 = view.has(v4a);
  const a = view.offset(v4 ? v4a : v6a);
  const b = view.offset(v4 ? v4b : v6b);
  if (a === 0 || b === 0) return a !== b;
  const size = v4 ? 4 : 16;
  for (let i = 0; i < size; i++) if (view.bytes[a + i] !== view.bytes[b + i]) return true;
  return false;
}
