// The SHA-256 of a sealed segment, as the manifest of its directory has it.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes of the manifest's end that are read: some 10,000 segments. */
const MOST_READ = 4 * 1024 * 1024;

/** `undefined` if it is not sealed, or the manifest does not tell. */
export function segmentHash(
  directory: string,
  { segment, sealed }: { readonly segment: string; readonly sealed: boolean },
): string | undefined {
  if (!sealed) return undefined;
  let found: string | undefined;
  for (const line of manifestLines(directory)) {
    if (!line.includes(segment)) continue;
    try {
      const { segment: named, sha256 } = JSON.parse(line) as { readonly segment?: unknown; readonly sha256?: unknown };
      if (named === segment && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)) found = sha256;
    } catch {
      // A line that was cut: `record verify` names it.
    }
  }
  return found;
}

function manifestLines(directory: string): readonly string[] {
  let fd: number;
  try {
    fd = openSync(`${directory}/manifest.ndjson`, 'r');
  } catch {
    return []; // nothing was sealed, or it must not be read: then the answer has no hash
  }
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, MOST_READ));
    const length = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8', 0, length).split('\n');
  } finally {
    closeSync(fd);
  }
}
