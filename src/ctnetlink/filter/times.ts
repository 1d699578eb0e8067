// Times as filters have them: RFC 3339 with a zone ↔ nanoseconds since the epoch.

const TIME = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Nanoseconds since the epoch; `undefined` for what is no time with a zone. */
export function parseTime(text: string): bigint | undefined {
  const match = TIME.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', zone] = match;
  const date = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const milliseconds = Date.parse(`${date}Z`);
  // Date.parse() takes 24:00:00, and leaves out days that a month does not have.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString().slice(0, 19) !== date) return undefined;
  const offset = /^[+-]/.test(zone!) ? zone!.slice(1).split(':').map(Number) : [0, 0];
  if (offset[0]! > 23 || offset[1]! > 59) return undefined;
  const minutes = (zone!.startsWith('-') ? -1 : 1) * (offset[0]! * 60 + offset[1]!);
  const time = BigInt(milliseconds - minutes * 60_000) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
  return time < 0n ? undefined : time;
}

/** In UTC, with as many digits of the second as it takes. */
export function formatTime(nanoseconds: bigint): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`;
}
