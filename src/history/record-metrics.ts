// Metrics of a recorder, as a text file that node_exporter and its kin collect.

import { renameSync, writeFileSync } from 'node:fs';
import { type FamilyRow, readFamilies } from '../metrics/metric-family.js';
import { writeMetrics } from '../metrics/write-metrics.js';
import type { RecorderStatus } from './flow-recorder.js';

const RECORD_FAMILIES: readonly FamilyRow<RecorderStatus>[] = [
  {
    name: 'conntrack_record_flows',
    type: 'counter',
    help: 'Records of this run.',
    labels: [],
    read: ({ recorded }, add) => add(recorded),
  },
  {
    name: 'conntrack_record_events_lost',
    type: 'counter',
    help: 'Events that the kernel dropped.',
    labels: ['netns'],
    read: ({ netns }, add) => {
      for (const { name, lost } of netns) add(lost, name);
    },
  },
  { name: 'conntrack_record_gaps', type: 'counter', help: 'Gaps of this run.', labels: [], read: ({ gaps }, add) => add(gaps) },
  {
    name: 'conntrack_record_open_flows',
    type: 'gauge',
    help: 'Flows that live.',
    labels: ['netns'],
    read: ({ netns }, add) => {
      for (const { name, open } of netns) add(open, name);
    },
  },
  {
    name: 'conntrack_record_rows_waiting',
    type: 'gauge',
    help: 'Rows that wait for the disk.',
    labels: [],
    read: ({ waiting }, add) => add(waiting),
  },
  {
    name: 'conntrack_record_trouble',
    type: 'gauge',
    help: '1 while the disk is full, or locked.',
    labels: [],
    read: ({ trouble }, add) => add(trouble === undefined ? 0 : 1),
  },
  {
    name: 'conntrack_record_commits',
    type: 'counter',
    help: 'Commits of this run.',
    labels: [],
    read: ({ commits }, add) => add(commits.count),
  },
  {
    name: 'conntrack_record_commit_seconds',
    type: 'counter',
    help: 'Time that they took.',
    labels: [],
    read: ({ commits }, add) => add(commits.seconds),
  },
  {
    name: 'conntrack_record_alive_timestamp_seconds',
    type: 'gauge',
    help: 'Everything up to then is in the record, but for gaps.',
    labels: [],
    read: ({ alive }, add) => add(alive === undefined ? undefined : alive / 1e6),
  },
];

/** Writes the metrics in place of the file's contents, which are whole at any time. */
export function writeRecordMetrics(path: string, status: RecorderStatus): void {
  writeFileSync(`${path}.new`, writeMetrics(readFamilies(RECORD_FAMILIES, status), 'text'), { mode: 0o644 });
  renameSync(`${path}.new`, path);
}
