// The manifest: a line for each segment that was sealed, deleted or written anew, with the SHA-256 of the line before, so that nothing can
// be taken out without a trace.

import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

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

/** Adds a line, and waits until the disk has it. */
export function addToManifest(directory: string, entry: ManifestEntry): void {
  const path = manifestPath(directory);
  const last = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').at(-1) : undefined;
  const line = JSON.stringify({ ...entry, ...(last ? { previous: hashOfLine(last) } : {}) });
  const fd = openSync(path, 'a', 0o640);
  try {
    writeSync(fd, `${line}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** SHA-256 of a line without its end, in hexadecimal digits. */
export function hashOfLine(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}

/** What the manifest says, and the number of the first line that does not fit the one before it; lines count from 1. */
export function readManifest(directory: string): {
  readonly lines: readonly ManifestLine[];
  readonly broken: number | undefined;
} {
  const path = manifestPath(directory);
  const texts = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const lines: ManifestLine[] = [];
  let broken: number | undefined;
  for (const [n, text] of texts.entries()) {
    if (text === '') continue;
    const line = parsed(text);
    if (line?.previous !== (n === 0 ? undefined : hashOfLine(texts[n - 1]!)) || !line) broken ??= n + 1;
    if (line) lines.push(line);
  }
  return { lines, broken };
}

function parsed(text: string): ManifestLine | undefined {
  try {
    return JSON.parse(text) as ManifestLine;
  } catch {
    return undefined; // cut off, or changed
  }
}
