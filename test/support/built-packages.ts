// The packages of scripts/packages, made for a test.

import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from './project.js';

/** Runs a script of the project that must succeed. @returns its last line */
export function runScript(project: string, script: string, ...words: readonly string[]): string {
  const stdout = execFileSync(process.execPath, [join(project, 'scripts', script), ...words], {
    cwd: project,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return stdout.trim().split('\n').at(-1)!;
}

export interface BuiltPackages {
  /** To be removed. */
  readonly folder: string;
  readonly executable: string;
  /** Files in `folder`, by revision from 1 on. */
  readonly packages: readonly string[];
}

/** An executable, or the one that PACKAGED_EXECUTABLE names, and so many revisions of its Debian package. */
export function buildPackages(revisions: number): BuiltPackages {
  const folder = mkdtempSync(join(tmpdir(), 'conntrack-packages-'));
  const made = process.env['PACKAGED_EXECUTABLE'];
  const executable = made ?? join(folder, 'conntrack');
  if (made === undefined) runScript(PROJECT, 'build-exe.mjs', '--out', executable);
  const packages = Array.from({ length: revisions }, (_, n) =>
    runScript(PROJECT, 'packages/deb.mjs', '--quick', '--executable', executable, '--out', folder, '--revision', `${n + 1}`),
  );
  return { folder, executable, packages };
}
