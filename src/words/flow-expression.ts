// A flow as people write it, `tcp 10.1.4.22:51514 > 142.250.74.46:443`, as an expression.

const END = String.raw`(?:\[([0-9a-f:.]+)\]|([0-9a-f:.]+?))(?::(\d+))?`;
const ENDS = new RegExp(String.raw`^(\S+)\s+${END}\s*(?:>|->|→)\s*${END}$`, 'i');

/** An id, or both ends of a flow, as an expression; others are expressions already. */
export function flowAsExpression(text: string): string {
  if (/^\d+$/.test(text)) return `id ${text}`;
  const [, protocol, six, four, sport, sixTo, fourTo, dport] = ENDS.exec(text.trim()) ?? [];
  if (protocol === undefined) return text;
  const [src, dst] = [six ?? four!, sixTo ?? fourTo!];
  return [
    /^\d+$/.test(protocol) ? `proto ${protocol}` : protocol,
    `src ${src}`,
    `dst ${dst}`,
    ...(sport === undefined ? [] : [`src port ${sport}`]),
    ...(dport === undefined ? [] : [`dst port ${dport}`]),
  ].join(' and ');
}
