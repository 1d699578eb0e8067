// Writes metrics as Prometheus reads them. Sources: the OpenMetrics specification, version 1.0; the text format of Prometheus, version 0.0.4.

import { ValueError } from '../errors.js';
import type { MetricFamily, MetricType } from './metric-family.js';

/** `openmetrics`: OpenMetrics 1.0; `text`: what Prometheus had before, and everything reads. */
export type MetricsFormat = 'openmetrics' | 'text';

/** Content types of the formats. */
export const METRICS_TYPES: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  text: 'text/plain; version=0.0.4; charset=utf-8',
};

const SUFFIXES: Readonly<Record<MetricType, string>> = { gauge: '', counter: '_total', info: '_info' };

/** What samples of a family are called: `conntrack_bytes_total`. */
export function sampleName({ name, type }: Pick<MetricFamily, 'name' | 'type'>): string {
  return name + SUFFIXES[type];
}

/** Writes families, each with a name of its own. @throws ValueError for a name that no format can have */
export function writeMetrics(families: Iterable<MetricFamily>, format: MetricsFormat): string {
  const open = format === 'openmetrics';
  let text = '';
  for (const family of families) {
    const { type, unit, help, samples } = family;
    checkNames(family);
    const name = sampleName(family);
    // The older format describes samples, and knows no infos and units.
    const described = open ? family.name : name;
    text += `# HELP ${described} ${open ? escaped(help) : help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`;
    text += `# TYPE ${described} ${type === 'info' && !open ? 'gauge' : type}\n`;
    if (open && unit !== undefined) text += `# UNIT ${described} ${unit}\n`;
    for (const { labels, value } of samples) {
      const pairs = Object.entries(labels).map(([label, its]) => `${label}="${escaped(its)}"`);
      text += `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}\n`;
    }
  }
  return open ? `${text}# EOF\n` : text;
}

/** Which format somebody wants who sends `Accept`; without one, text. */
export function chooseFormat(accept: string | null | undefined): MetricsFormat {
  let [open, text] = [0, 0];
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim());
    const parameter = (name: string) => parameters.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
    const q = Number(parameter('q') ?? 1) || 0;
    const version = parameter('version')?.replaceAll('"', '');
    if (type === 'application/openmetrics-text' && (version === undefined || /^1(\.|$)/.test(version))) open = Math.max(open, q);
    else if (type === 'text/plain') text = Math.max(text, q);
  }
  return open > 0 && open >= text ? 'openmetrics' : 'text';
}

function checkNames({ name, unit, samples }: MetricFamily): void {
  if (!/^[a-zA-Z_:][\w:]*$/.test(name)) throw new ValueError(`a metric cannot be called ${JSON.stringify(name)}`);
  if (unit !== undefined && !name.endsWith(`_${unit}`)) throw new ValueError(`the name ${name} must end in its unit, ${unit}`);
  for (const { labels } of samples)
    for (const label of Object.keys(labels))
      if (!/^[a-zA-Z_]\w*$/.test(label)) throw new ValueError(`a label cannot be called ${JSON.stringify(label)}`);
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
