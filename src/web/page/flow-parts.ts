// Texts of a flow, for cells, dialogs and commands.

import type { PageFlow, PageSide } from './shapes.js';

/** An address in two parts: where there is not enough room, the first loses its end. The port is always in the second. */
export type Halves = readonly [head: string, tail: string];

export function halves(address = '?', port?: number): Halves {
  const end = port === undefined ? '' : `:${port}`;
  if (!address.includes(':')) return [address, end];
  const [open, close] = port === undefined ? ['', ''] : ['[', ']'];
  const middle = address.lastIndexOf(':', address.length - 5);
  return [open + address.slice(0, middle), address.slice(middle) + close + end];
}

export function endpoint(address?: string, port?: number): string {
  return halves(address, port).join('');
}

export function sourceOf({ flow: { original } }: PageFlow): string {
  return endpoint(original.src, original.sport);
}

export function destinationOf({ flow: { original } }: PageFlow): string {
  return endpoint(original.dst, original.dport);
}

export function protocolOf({ flow }: PageFlow): string {
  return flow.protocol === 'unknown' ? String(flow.protonum ?? '?') : flow.protocol;
}

/** `tcp 10.0.0.1:2 → 10.0.0.2:80`. */
export function flowText(flow: PageFlow): string {
  return `${protocolOf(flow)} ${sourceOf(flow)} → ${destinationOf(flow)}`;
}

export function hasStatus({ flow: { status } }: PageFlow, bit: string): boolean {
  return status?.includes(bit) === true;
}

/** `s 198.51.100.7` for a translated source, `d 10.0.0.1:80` for a translated destination, with ports that change. */
export function translation({ flow: { original, reply } }: PageFlow): string {
  const port = (now?: number, was?: number) => (now === was ? undefined : now);
  return [
    ...(reply.dst !== original.src || reply.dport !== original.sport
      ? [`s ${endpoint(reply.dst, port(reply.dport, original.sport))}`]
      : []),
    ...(reply.src !== original.dst || reply.sport !== original.dport
      ? [`d ${endpoint(reply.src, port(reply.sport, original.dport))}`]
      : []),
  ].join(' ');
}

/** The state, or what the kernel knows instead. */
export function stateOf(flow: PageFlow): string {
  const { state, original } = flow.flow;
  if (state !== undefined) return state;
  if (original.icmpType !== undefined) return `type ${original.icmpType}`;
  return hasStatus(flow, 'ASSURED') ? 'ASSURED' : hasStatus(flow, 'SEEN_REPLY') ? 'REPLIED' : 'UNREPLIED';
}

export function bytesOf({ bytes }: PageSide): number | null {
  return bytes === undefined ? null : Number(bytes);
}

/** A filter for one flow. */
export function filterFor({ flow: { protocol, protonum, original } }: PageFlow): string {
  const ends = filterOfEnds(original);
  return `${protocol === 'unknown' ? `protocol ${protonum}` : protocol}${ends === '' ? '' : ` and ${ends}`}`;
}

/** A filter for what is known of the ends of a flow: zeros stand for any. */
export function filterOfEnds({ src, dst, sport, dport }: PageSide): string {
  const isKnown = (value: string | number | undefined) => value !== undefined && !ANY.includes(value);
  return [
    ...(isKnown(src) ? [`src ${src}`] : []),
    ...(isKnown(sport) ? [`src port ${sport}`] : []),
    ...(isKnown(dst) ? [`dst ${dst}`] : []),
    ...(isKnown(dport) ? [`dst port ${dport}`] : []),
  ].join(' and ');
}

const ANY: readonly (string | number)[] = ['0.0.0.0', '::', 0];
