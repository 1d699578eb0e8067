// Numbers for people, as `conntrack top` writes them.

const STEPS = ['', 'k', 'M', 'G', 'T', 'P'];

function scaled(value: number): string {
  let rest = value;
  let step = 0;
  while (rest >= 999.5 && step < STEPS.length - 1) {
    rest /= 1000;
    step++;
  }
  return `${step > 0 && rest < 99.95 ? rest.toFixed(rest < 9.995 ? 2 : 1) : Math.round(rest)}${STEPS[step]}`;
}

/** Bytes per second as bits per second; `·` as long as it is not known. */
export function bits(bytesPerSecond: number | null | undefined): string {
  return typeof bytesPerSecond === 'number' ? scaled(bytesPerSecond * 8) : '·';
}

export function bytes(value: number | string | undefined): string {
  return value === undefined ? '-' : `${scaled(Number(value)).replace(/(?=[kMGTP]?$)/, ' ')}B`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  if (days > 0) return `${days}d${two(hours)}h`;
  if (hours > 0) return `${hours}h${two(minutes)}m`;
  return minutes > 0 ? `${minutes}m${two(whole % 60)}s` : `${whole}s`;
}
