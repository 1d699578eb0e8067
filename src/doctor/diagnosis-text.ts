// A diagnosis for people, and as a script. Names from outside are escaped.

import { safeText } from '../safe-text.js';
import type { CheckRow } from './check-row.js';
import { ACCESS_CHECKS, CHECKS } from './checks.js';
import { counted, several } from './figures.js';
import type { Diagnosis, Finding } from './finding.js';
import { PART_NAMES } from './snapshot.js';

const SEVERITY_WIDTH = 8;
const LEAST_ID_WIDTH = 20;
/** Names of checks in a line. */
const MOST_NAMED = 5;

/** What `conntrack doctor` prints. */
export function diagnosisText({ findings, fine, unchecked }: Diagnosis): string {
  const width = Math.max(LEAST_ID_WIDTH, ...findings.map(({ id }) => id.length));
  const lines = findings.flatMap((finding) => {
    const [title, ...rest] = [
      `${where(finding)}${finding.title}`,
      ...finding.detail,
      ...finding.fix.map((line) => `fix: ${line}`),
    ];
    const indent = ' '.repeat(SEVERITY_WIDTH + 2);
    return [row(finding.severity, finding.id, title, width), ...rest.map((line) => `${indent}${safeText(line)}`)];
  });
  const summary = `${counted(fine.length, 'check')}${fine.length === 0 ? '' : `: ${several(fine, MOST_NAMED)}`}`;
  lines.push(` ${'fine'.padEnd(SEVERITY_WIDTH)} ${summary}${unchecked.length === 0 ? '; could not check: none' : ''}`);
  for (const finding of unchecked)
    lines.push(row('unknown', finding.id, `${where(finding)}could not check: ${finding.reason}`, width));
  return `${lines.join('\n')}\n`;
}

function row(kind: string, id: string, text: string | undefined, width: number): string {
  return ` ${kind.padEnd(SEVERITY_WIDTH)} ${id.padEnd(width)} ${safeText(text ?? '')}`;
}

function where({ netns }: { readonly netns?: string }): string {
  return netns === undefined ? '' : `${netns}: `;
}

/** What `conntrack doctor --fixes` prints: a script with comments. */
export function fixesScript({ findings }: Diagnosis): string {
  const mendable = findings.filter(({ fix }) => fix.length > 0);
  const head = ['#!/bin/sh', `# conntrack doctor: what mends ${counted(mendable.length, 'finding')}. Read it before you run it.`];
  const parts = mendable.flatMap((finding) => [
    '',
    `# ${finding.severity} ${finding.id}: ${where(finding)}${finding.title}`,
    ...finding.fix,
  ]);
  return `${[...head, ...parts].map(safeText).join('\n')}\n`;
}

/** What `conntrack doctor --list` prints. */
export function checkListText(): string {
  const access = ACCESS_CHECKS.map(({ id, finds }) => ({
    id,
    finds,
    reads: 'opens a socket and asks for the number of entries',
  }));
  const others = CHECKS.map((row) => ({ id: row.id, finds: row.finds, reads: `reads ${readsText(row)}` }));
  return `${[...access, ...others].flatMap(({ id, finds, reads }) => [id, `    ${finds}`, `    ${reads}`]).join('\n')}\n`;
}

/** What a check reads, in words. */
export function readsText({ reads, mayRead }: Pick<CheckRow, 'reads' | 'mayRead'>): string {
  const names = (parts: CheckRow['reads']) => parts.map((part) => PART_NAMES[part]).join(', ');
  return mayRead.length === 0 ? names(reads) : `${names(reads)}; if it can: ${names(mayRead)}`;
}

/** The worst of what was found. */
export function worstOf({ findings }: Diagnosis): Finding['severity'] | undefined {
  return findings[0]?.severity;
}
