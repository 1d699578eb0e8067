// Metrics of a recorder, as a text file that node_exporter and its kin collect.

import { renameSync, writeFileSync } from 'node:fs';
import type { RecorderStatus } from './flow-recorder.js';

/** A metric: its value, or one for each network namespace. */
interface RecordMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly value: (status: RecorderStatus) => number | undefined | readonly (readonly [netns: string, value: number])[];
}

export const RECORD_METRICS: readonly RecordMetric[] = [
  { name: 'flows_total', type: 'counter', help: 'Records of this run.', value: ({ recorded }) => recorded },
  {
    name: 'events_lost_total',
    type: 'counter',
    help: 'Events that the kernel dropped.',
    value: ({ netns }) => netns.map(({ name, lost }) => [name, lost]),
  },
  { name: 'gaps_total', type: 'counter', help: 'Gaps of this run.', value: ({ gaps }) => gaps },
  {
    name: 'open_flows',
    type: 'gauge',
    help: 'Flows that live.',
    value: ({ netns }) => netns.map(({ name, open }) => [name, open]),
  },
  { name: 'rows_waiting', type: 'gauge', help: 'Rows that wait for the disk.', value: ({ waiting }) => waiting },
  {
    name: 'trouble',
    type: 'gauge',
    help: '1 while the disk is full, or locked.',
    value: ({ trouble }) => (trouble === undefined ? 0 : 1),
  },
  { name: 'commits_total', type: 'counter', help: 'Commits of this run.', value: ({ commits }) => commits.count },
  { name: 'commit_seconds_total', type: 'counter', help: 'Time that they took.', value: ({ commits }) => commits.seconds },
  {
    name: 'alive_timestamp_seconds',
    type: 'gauge',
    help: 'Everything up to then is in the record, but for gaps.',
    value: ({ alive }) => (alive === undefined ? undefined : alive / 1e6),
  },
];

/** The text of all metrics. */
export function recordMetrics(status: RecorderStatus): string {
  const lines: string[] = [];
  for (const { name, type, help, value } of RECORD_METRICS) {
    const found = value(status);
    if (found === undefined) continue;
    const full = `conntrack_record_${name}`;
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`);
    if (typeof found === 'number') lines.push(`${full} ${found}`);
    else for (const [netns, each] of found) lines.push(`${full}{netns="${escaped(netns)}"} ${each}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Writes them in place of the file's contents, which are whole at any time. */
export function writeRecordMetrics(path: string, status: RecorderStatus): void {
  writeFileSync(`${path}.new`, recordMetrics(status), { mode: 0o644 });
  renameSync(`${path}.new`, path);
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}
