// The pages under docs/ as tests read them: sections by number, rows of tables, anchors.

import { readProjectFile } from './project.js';

/** One page. */
export interface Page {
  readonly text: string;
  /** By number: `5.2`. */
  readonly sections: ReadonlyMap<string, string>;
  /** What a link may name after `#`, as GitHub makes it from headings. */
  readonly anchors: ReadonlySet<string>;
}

const PAGES = new Map<string, Page>();

/** A page by its path in the project. @throws if there is none */
export function page(path: string): Page {
  let read = PAGES.get(path);
  if (!read) {
    read = readPage(readProjectFile(path));
    PAGES.set(path, read);
  }
  return read;
}

/** As `page`, of a text. */
export function readPage(text: string): Page {
  const sections = new Map<string, string>();
  const anchors = new Set<string>();
  const headings = [...withoutBlocks(text).matchAll(/^#{1,6} +(.*)$/gm)];
  for (const [i, { 1: heading = '', index }] of headings.entries()) {
    const number = /^\d+(\.\d+)*(?= )/.exec(heading)?.[0];
    // A heading with the same words as an earlier one gets a number appended.
    const slug = slugOf(heading);
    const repeats = headings.slice(0, i).filter(([, other = '']) => slugOf(other) === slug).length;
    anchors.add(repeats === 0 ? slug : `${slug}-${repeats}`);
    if (number === undefined) continue;
    if (sections.has(number)) throw new Error(`section ${number} is there twice`);
    sections.set(number, text.slice(index, headings[i + 1]?.index));
  }
  return { text, sections, anchors };
}

function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

/** The text with code blocks replaced by blanks, so that all other text keeps its position. */
export function withoutBlocks(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, ' '));
}

/** The body rows of the tables in a text, as cells. */
export function tableRows(text: string): string[][] {
  const lines = withoutBlocks(text).split('\n');
  const isRow = (line: string | undefined) => line?.startsWith('|') ?? false;
  const isRule = (line: string | undefined) => /^\|[-| :]+\|$/.test(line ?? '');
  return lines
    .filter((line, i) => isRow(line) && !isRule(line) && !isRule(lines[i + 1]))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

/** The blocks of code in a text. */
export function codeBlocks(text: string): string[] {
  return Array.from(text.matchAll(/^```.*\n([\s\S]*?)^```/gm), ([, block]) => block!);
}
