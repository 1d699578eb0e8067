// Makes an empty segment: nobody sees it before it is whole.

import { chmodSync, renameSync, rmSync } from 'node:fs';
import type { SqliteDriver } from './driver/sqlite.js';
import { SEGMENT_TABLES } from './record-schema.js';
import { type SegmentFile, segmentName, sync } from './segment-files.js';
import { type SegmentMeta, writeMeta } from './segment-meta.js';

/** The group may read. */
const HOT_MODE = 0o640;
/** A segment that is being made. */
const UNFINISHED = 'segment.new';

/** Removes what a crash left of a segment that had not begun. */
export function dropUnfinished(directory: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${directory}/${UNFINISHED}${suffix}`, { force: true });
}

/** Makes a segment that begins at a time, with what the one before it has of flows that live, of namespaces, and of its last run. */
export function makeSegment(
  driver: SqliteDriver,
  directory: string,
  { now, meta, from }: { readonly now: number; readonly meta: SegmentMeta; readonly from?: SegmentFile | undefined },
): SegmentFile {
  dropUnfinished(directory);
  const unfinished = `${directory}/${UNFINISHED}`;
  const file = driver.open(unfinished);
  try {
    if (from) file.exec(`ATTACH ${quoted(from.path)} AS before`);
    file.exec('BEGIN');
    for (const statement of SEGMENT_TABLES) if (!statement.startsWith('PRAGMA')) file.exec(statement);
    if (from) for (const table of ['open', 'netns']) file.exec(`INSERT INTO main.${table} SELECT * FROM before.${table}`);
    if (from) file.exec('INSERT INTO main.session SELECT * FROM before.session ORDER BY id DESC LIMIT 1');
    writeMeta(file, meta);
    file.exec('COMMIT');
    if (from) file.exec('DETACH before');
    for (const statement of SEGMENT_TABLES) if (statement.startsWith('PRAGMA')) file.exec(statement);
  } finally {
    file.close();
  }
  const name = segmentName(now, meta.number);
  const path = `${directory}/${name}`;
  chmodSync(unfinished, HOT_MODE);
  sync(unfinished);
  renameSync(unfinished, path);
  sync(directory);
  return { name, path, number: meta.number };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
