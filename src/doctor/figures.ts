// Numbers and names in sentences and commands, besides those of src/units.ts.

import { count } from '../units.js';

/** `1 flow`, `2 flows` */
export function counted(value: number, one: string, several = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : several}`;
}

const DURATIONS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const;

/** The largest two units: `2 hours 14 minutes`, `25 seconds`. */
export function duration(seconds: number): string {
  let left = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, size] of DURATIONS) {
    const whole = Math.floor(left / size);
    left -= whole * size;
    if (whole > 0) parts.push(counted(whole, unit));
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0 seconds' : parts.join(' ');
}

/** `412 a second`, `0.5 a second` */
export function perSecond(amount: number, seconds: number): string {
  const rate = amount / Math.max(seconds, 0.001);
  return `${rate < 10 ? Number(rate.toFixed(1)) : count(rate)} a second`;
}

/** `a`, `a and b`, `a, b and 3 others` */
export function several(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most);
  const others = names.length - shown.length;
  const all = others > 0 ? [...shown, counted(others, 'other')] : shown;
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

/** A word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The command that deletes the flows of a filter. */
export function deletion(filter: string): string {
  return `conntrack -D --filter ${shellWord(filter)}`;
}

/** An address and a port as people write them. */
export function endpoint(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
