// A flow in one line for people: `tcp 100.64.3.7:41002 -> 198.51.100.7:443, as 203.0.113.9:40001, ESTABLISHED, since 17:20:11Z`.

import type { Flow, FlowSide } from '../ctnetlink/flow.js';

/** Not escaped: texts of the kernel are in it. A flow that was JSON on its way has its times as numbers or digits. */
export function flowSentence(flow: Flow): string {
  const { protocol, original, reply, state, timestamp } = flow as Flow & { readonly state?: string };
  const name = protocol === 'unknown' ? `protocol ${(original as { protonum?: number }).protonum ?? '?'}` : protocol;
  const asSource = endOf(reply, 'dst');
  const asTarget = endOf(reply, 'src');
  return [
    `${name} ${endOf(original, 'src')} -> ${endOf(original, 'dst')}`,
    ...(asSource === endOf(original, 'src') ? [] : [`as ${asSource}`]),
    ...(asTarget === endOf(original, 'dst') ? [] : [`sent to ${asTarget}`]),
    ...(state === undefined ? [] : [state]),
    ...(timestamp?.start === undefined ? [] : [`since ${momentOf(timestamp.start)}`]),
  ].join(', ');
}

function endOf(side: FlowSide, which: 'src' | 'dst'): string {
  const { src = '?', dst = '?', sport, dport } = side as { src?: string; dst?: string; sport?: number; dport?: number };
  const [address, port] = which === 'src' ? [src, sport] : [dst, dport];
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The time of today, or the date before it. */
function momentOf(nanoseconds: bigint | number | string): string {
  const text = new Date(Number(BigInt(nanoseconds) / 1_000_000n)).toISOString();
  const [day, time] = [text.slice(0, 10), text.slice(11, 19)];
  return `${day === new Date().toISOString().slice(0, 10) ? '' : `${day}T`}${time}Z`;
}
