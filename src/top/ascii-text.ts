// Text for terminals that show nothing but ASCII.

/** The text without other characters: a dot for what is not known yet, a question mark for anything else, such as names from outside. */
export function asciiText(text: string): string {
  return text.replaceAll('·', '.').replace(/[^\p{ASCII}]/gu, '?');
}
