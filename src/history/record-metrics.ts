// Metrics of a recorder, as a text file that node_exporter and its kin collect.

import { renameSync, writeFileSync } from 'node:fs';
import { type FamilyRow, readFamilies } from '../metrics/metric-family.js';
import { writeMetrics } from '../metrics/write-metrics.js';
import { GAP_REASONS, type GapReason } from './record-columns.js';
import type { RecorderStatus } from './recorder-options.js';

/** Of a recorder: docs/history.md has a table of them. */
export const RECORD_FAMILIES: readonly FamilyRow<RecorderStatus>[] = [
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
  {
    name: 'conntrack_record_gaps',
    type: 'counter',
    help: 'Gaps of this run.',
    labels: ['reason'],
    read: ({ gapReasons }, add) => {
      for (const reason of Object.keys(GAP_REASONS) as GapReason[]) add(gapReasons[reason] ?? 0, reason);
    },
  },
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
    name: 'conntrack_record_commit_longest_seconds',
    type: 'gauge',
    help: 'Time that the longest of them took.',
    labels: [],
    read: ({ commits }, add) => add(commits.most),
  },
  {
    name: 'conntrack_record_files',
    type: 'gauge',
    help: 'Files of the record.',
    labels: [],
    read: ({ files }, add) => add(files?.count),
  },
  {
    name: 'conntrack_record_files_unsealed',
    type: 'gauge',
    help: 'Files that have ended and wait to be sealed.',
    labels: [],
    read: ({ files }, add) => add(files?.unsealed),
  },
  {
    name: 'conntrack_record_bytes',
    type: 'gauge',
    help: 'Bytes of all its files.',
    labels: [],
    read: ({ files }, add) => add(files?.bytes),
  },
  {
    name: 'conntrack_record_oldest_timestamp_seconds',
    type: 'gauge',
    help: 'When the oldest of them began.',
    labels: [],
    read: ({ files }, add) => add(files && files.oldest / 1e6),
  },
  {
    name: 'conntrack_record_disk_free_ratio',
    type: 'gauge',
    help: 'Share of the disk that is free.',
    labels: [],
    read: ({ files }, add) => add(files?.free),
  },
  {
    name: 'conntrack_record_clock_synchronised',
    type: 'gauge',
    help: '1 if something keeps the clock of the machine.',
    labels: [],
    read: ({ clock }, add) => add(clock && Number(clock.synchronised)),
  },
  {
    name: 'conntrack_record_clock_max_error_seconds',
    type: 'gauge',
    help: 'By how much the clock may be off, at most.',
    labels: [],
    read: ({ clock }, add) => add(clock && clock.mostError / 1e6),
  },
  {
    name: 'conntrack_record_alive_timestamp_seconds',
    type: 'gauge',
    help: 'Everything up to then is in the record, but for gaps.',
    labels: [],
    read: ({ alive }, add) => add(alive === undefined ? undefined : alive / 1e6),
  },
  {
    name: 'conntrack_record',
    type: 'info',
    help: 'Version of the program, and the package that writes.',
    labels: ['version', 'driver'],
    read: ({ version, driver }, add) => add(1, version, driver),
  },
];

/** Writes the metrics in place of the file's contents, which are whole at any time. */
export function writeRecordMetrics(path: string, status: RecorderStatus): void {
  writeFileSync(`${path}.new`, writeMetrics(readFamilies(RECORD_FAMILIES, status), 'text'), { mode: 0o644 });
  renameSync(`${path}.new`, path);
}
