// The manifest: a line for each segment that was sealed, deleted or written anew, with the SHA-256 of the line before, so that nothing can
// be taken out without a trace.

import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { type SegmentFile, segmentFiles } from './segment-files.js';

/** A line of the manifest. */
export interface ManifestEntry {
  readonly what: 'sealed' | 'deleted' | 'rewritten';
  readonly segment: string;
  /** When: RFC 3339. */
  readonly at: string;
  /** Records that it has; of one that was rewritten, records that were taken out. */
  readonly rows?: number | undefined;
  /** SHA-256 of the file. */
  readonly sha256?: string | undefined;
  /** The same before it was rewritten. */
  readonly was?: string | undefined;
  /** Why. */
  readonly reason?: string | undefined;
  /** Keyed hash of the address whose records were taken out: HMAC-SHA-256 with what `forget.key` has. */
  readonly address?: string | undefined;
}

/** A line as it is in the file: with the SHA-256 of the line before, which the first has none of. */
export interface ManifestLine extends ManifestEntry {
  readonly previous?: string | undefined;
}

export function manifestPath(directory: string): string {
  return `${directory}/manifest.ndjson`;
}

/** Segments numbered below `before` of which the manifest does not say that they are sealed: a crash may have come between. */
export function untoldSegments(directory: string, before: number): SegmentFile[] {
  const sealed = new Set(readManifest(directory).lines.flatMap(({ what, segment }) => (what === 'sealed' ? [segment] : [])));
  return segmentFiles(directory).filter(({ name, number }) => number < before && !sealed.has(name));
}

/** What a manifest says. */
export interface Manifest {
  readonly lines: readonly ManifestLine[];
  /** SHA-256 of each line, in their order. */
  readonly hashes: readonly string[];
  /** Number of the first line that does not fit the one before it; lines count from 1. */
  readonly broken: number | undefined;
  /** Bytes. What is behind is the beginning of a line that was not written to its end: it says nothing. */
  readonly length: number;
}

/** Adds a line, and waits until the disk has it. The beginning of one that was not written to its end goes. */
export function addToManifest(directory: string, entry: ManifestEntry): void {
  const { hashes, length } = readManifest(directory);
  const line = JSON.stringify({ ...entry, previous: hashes.at(-1) });
  const fd = openSync(manifestPath(directory), 'a', 0o640);
  try {
    if (fstatSync(fd).size > length) ftruncateSync(fd, length);
    writeSync(fd, `${line}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What the manifest of a directory says; nothing where there is none. */
export function readManifest(directory: string): Manifest {
  const path = manifestPath(directory);
  const all = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const whole = all.slice(0, all.lastIndexOf('\n') + 1);
  const lines: ManifestLine[] = [];
  const hashes: string[] = [];
  let broken: number | undefined;
  for (const text of whole.split('\n')) {
    if (text === '') continue;
    const line = parsed(text);
    if (!line || line.previous !== hashes.at(-1)) broken ??= hashes.length + 1;
    hashes.push(hashOfLine(text));
    if (line) lines.push(line);
  }
  return { lines, hashes, broken, length: Buffer.byteLength(whole) };
}

/** SHA-256 of a line without its end, in hexadecimal digits. */
function hashOfLine(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}

/** `undefined`: it was cut off, or changed. */
function parsed(text: string): ManifestLine | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? (line as ManifestLine) : undefined;
  } catch {
    return undefined;
  }
}
