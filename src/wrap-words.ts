/**
 * Breaks a text at its blanks into lines of at most `width` characters; a word that is longer stays whole. `first` and `next` begin the first
 * line and the others, `tail` ends all but the last.
 */
export function wrapWords(text: string, width: number, first: string, next = first, tail = ''): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length + tail.length > width) {
      lines.push(line + tail);
      line = next;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
