// Text for terminals that show nothing but ASCII.

/** Characters of this program's own texts, as wide as what stands for them. */
const ALIKE: Readonly<Record<string, string>> = { '·': '.', '…': '.', '→': '>', '►': '>', '◄': '<', '─': '-' };

/** The text without other characters: those above, and a question mark for anything else, such as names from outside. */
export function asciiText(text: string): string {
  return text.replace(/[^\p{ASCII}]/gu, (character) => ALIKE[character] ?? '?');
}
