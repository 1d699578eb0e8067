// The sections of docs/doctor.md, one for each check, from the rows.

import { ACCESS_CHECKS, CHECKS } from './checks.js';
import { readsText } from './diagnosis-text.js';

const WIDTH = 140;

/** What stands between the marks of docs/doctor.md. */
export function checkSections(): string {
  const access = ACCESS_CHECKS.map((row) => ({ ...row, readsText: 'a socket, and the number of entries' }));
  const rows = [...access, ...CHECKS.map((row) => ({ ...row, readsText: readsText(row) }))];
  return rows
    .map(({ id, finds, means, see, mend, readsText }) =>
      [
        `### ${id}`,
        wrapped(`**When:** ${finds}.`),
        wrapped(means),
        ...(see.length === 0 ? [] : [['To see it:', '', '```sh', ...see, '```'].join('\n')]),
        wrapped(`**To mend it:** ${mend}`),
        wrapped(`It reads ${readsText}.`),
      ].join('\n\n'),
    )
    .join('\n\n');
}

function wrapped(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
