// The words: commands that are not letters, such as `conntrack help`. One row each; dispatch, help, manual page and completions read the
// rows. The file of the same name in this folder (`help.ts` for `help`) runs the word, in its own bundle.

/**
 * What the operands of a word are, and so how a shell completes them. `expression`: a filter, in one text or in words, which blanks join.
 */
export type OperandKind = 'topic' | 'expression';

/** An option of a word, under its long name. */
export interface WordOptionRow {
  /** Its letter. */
  readonly short?: string;
  /** The name of its value, such as `NUMBER`; a switch has none. */
  readonly value?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** May be given several times. */
  readonly repeated?: boolean;
  /** One line. */
  readonly help: string;
}

/** A word. */
export interface WordRow {
  /** Lower-case letters and hyphens. */
  readonly name: string;
  /** What follows it, in the synopsis. */
  readonly synopsis: string;
  /** One line. */
  readonly help: string;
  /** Paragraphs for the word's own help. */
  readonly about: readonly string[];
  /** By long name, without dashes. `--help` and `-h` are every word's. */
  readonly options: Readonly<Record<string, WordOptionRow>>;
  /** What may follow the options; if absent, nothing. Without `most` there may be any number. */
  readonly operands?: { readonly kind: OperandKind; readonly most?: number };
  /** For programs: neither help, manual page nor completions list it. */
  readonly unlisted?: true;
  /** Command lines without the program's name, and what they do. */
  readonly examples: readonly (readonly [string, string])[];
}

/** The words that a user may want, in the order of the help. */
export function words(): readonly WordRow[] {
  return everyWord().filter((row) => !row.unlisted);
}

/** Every word. A function, so that letters do not pay for it when they start. */
export function everyWord(): readonly WordRow[] {
  return [
    {
      name: 'help',
      synopsis: '[WORD | COMMAND | PROTOCOL | expect]',
      help: 'Show help on everything, or on one word, command, protocol or table.',
      about: ['A command is named by its letter or its long name, with or without dashes: L, -L, dump and --dump are the same.'],
      options: {},
      operands: { kind: 'topic', most: 1 },
      examples: [
        ['help', 'everything at a glance'],
        ['help update', 'what -U takes'],
        ['help tcp', 'options of TCP entries'],
      ],
    },
    {
      name: 'complete-filter',
      synopsis: '[--] TEXT',
      help: 'Tell shells what may stand at the end of a filter.',
      about: [],
      options: {},
      operands: { kind: 'expression' },
      unlisted: true,
      examples: [],
    },
  ];
}

/** The row of a word; `undefined` when there is no such word. */
export function wordByName(name: string): WordRow | undefined {
  return everyWord().find((row) => row.name === name);
}
