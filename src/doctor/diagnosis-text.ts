// A diagnosis for people, and as a script. Names from outside are escaped.

import { safeText } from '../safe-text.js';
import { wrapWords } from '../wrap-words.js';
import { type CheckRow, remedyParts } from './check-row.js';
import { ACCESS_CHECKS, CHECKS } from './checks.js';
import { counted, several } from './figures.js';
import type { Diagnosis, Finding } from './finding.js';
import { PART_NAMES } from './snapshot.js';

const SEVERITY_WIDTH = 8;
const LEAST_ID_WIDTH = 20;
/** Names of checks in a line. */
const MOST_NAMED = 3;
const COLUMNS = 80;
const INDENT = ' '.repeat(SEVERITY_WIDTH + 2);
const FIX = 'fix: ';

/**
 * What `conntrack doctor` prints, in lines of so many columns where they can be broken: commands stay whole. `all`: who names all checks.
 */
export function diagnosisText(
  { findings, fine, unchecked }: Diagnosis,
  columns = COLUMNS,
  all = 'conntrack doctor --list names all',
): string {
  const width = Math.max(LEAST_ID_WIDTH, ...findings.map(({ id }) => id.length));
  const row = (kind: string, id: string, text: string) => {
    const head = ` ${kind.padEnd(SEVERITY_WIDTH)} ${id.padEnd(width)} `;
    return wrapWords(safeText(text), columns, head, ' '.repeat(head.length));
  };
  const lines = findings.flatMap((finding) => [
    ...row(finding.severity, finding.id, `${where(finding)}${finding.title}`),
    ...finding.detail.flatMap((text) => wrapWords(safeText(text), columns, INDENT, `${INDENT}  `)),
    ...fixLines(finding.fix, columns),
  ]);
  lines.push(...wrapWords(summaryOf(fine, all), columns, ` ${'fine'.padEnd(SEVERITY_WIDTH)} `, INDENT));
  for (const finding of unchecked)
    lines.push(...row('unknown', finding.id, `${where(finding)}could not check: ${finding.reason}`));
  return `${lines.join('\n')}\n`;
}

/** Commands, each with its note in comments below it, so that a line can be copied as it is. */
function fixLines(fix: readonly string[], columns: number): string[] {
  const lines = fix.flatMap((line) => {
    const { command, note } = remedyParts(safeText(line));
    const comments = note === undefined ? [] : wrapWords(note, columns - INDENT.length - FIX.length, '# ');
    return command === undefined ? comments : [command, ...comments];
  });
  return lines.map((line, i) => `${INDENT}${i === 0 ? FIX : ' '.repeat(FIX.length)}${line}`);
}

/** Checks are called by what they look for: so not as what is fine, but as what was not found. */
function summaryOf(fine: readonly string[], all: string): string {
  if (fine.length === 0) return 'nothing else was checked';
  const names = fine.length <= MOST_NAMED ? several(fine, MOST_NAMED) : all;
  return `${counted(fine.length, 'check')} found nothing (${names})`;
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
