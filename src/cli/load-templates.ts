// Fast parsing of load files. Saved lines look alike but for addresses, ports and a few numbers: a line that differs from an
// earlier one in such values only takes over what was found out about that one. Whatever is not as simple goes the long way.

import { AF_INET6 } from '../ctnetlink/uapi/in.js';
import { newDraft, type OptionValue, type ParseEnvironment, parseLoadLine } from './command-line.js';
import type { Invocation, OptionValues } from './invocation.js';
import { splitLoadLine, splitPlainLine } from './load-words.js';
import type { Draft } from './options.js';
import { UsageError } from './usage-error.js';

/** More shapes than a table has protocols, states and statuses in common use; the oldest goes. */
const TEMPLATES_KEPT = 64;
const SPACE = ' ';

/** Options whose value means the same whatever else stands on the line, and decides nothing about it. */
const INDEPENDENT: ReadonlySet<string> = new Set<keyof OptionValues>([
  'src',
  'dst',
  'replySrc',
  'replyDst',
  'sport',
  'dport',
  'replySport',
  'replyDport',
  'timeout',
  'mark',
  'zone',
  'origZone',
  'replyZone',
  'icmpId',
  'origVtag',
  'replyVtag',
]);

/** Those of them that decide the family, which the line shares with its template. */
const ADDRESSES: ReadonlySet<string> = new Set<keyof OptionValues>(['src', 'dst', 'replySrc', 'replyDst']);

/** A line with holes: `literals[0]` value `literals[1]` value … `literals[n]`. */
interface Template {
  readonly literals: readonly string[];
  readonly holes: readonly OptionValue[];
  readonly invocation: Invocation;
}

/** Parses line after line of one file. */
export class LoadLineParser {
  readonly #env: ParseEnvironment;
  /** Reused: what is read from a hole changes its values only. */
  readonly #draft: Draft = { ...newDraft(NO_FILES), familyFrom: { name: '', text: '' } };
  /** The one used last first. */
  readonly #templates: Template[] = [];

  constructor(env: ParseEnvironment) {
    this.#env = env;
  }

  /** The command of a line, `undefined` for an empty line or a comment. @throws UsageError */
  parse(line: string): Invocation | undefined {
    for (let i = 0; i < this.#templates.length; i++) {
      const template = this.#templates[i]!;
      const invocation = parseLike(template, line, this.#draft);
      if (!invocation) continue;
      if (i > 0) {
        this.#templates[i] = this.#templates[0]!;
        this.#templates[0] = template;
      }
      return invocation;
    }
    return this.#parseInFull(line);
  }

  #parseInFull(line: string): Invocation | undefined {
    const plain = splitPlainLine(line);
    const words = plain ?? splitLoadLine(line).words;
    if (words.length === 0) return undefined;
    const values = new Map<number, OptionValue>();
    const invocation = parseLoadLine(words, this.#env, values);
    if (plain && invocation.warnings.length === 0 && !hasMask(invocation)) {
      this.#templates.unshift(templateOf(plain, values, invocation));
      if (this.#templates.length > TEMPLATES_KEPT) this.#templates.pop();
    }
    return invocation;
  }
}

/** A mask is settled with its address once all words are read: such lines go the long way. */
function hasMask({ values: { src, dst } }: Invocation): boolean {
  return src?.mask !== undefined || dst?.mask !== undefined;
}

function templateOf(words: readonly string[], values: ReadonlyMap<number, OptionValue>, invocation: Invocation): Template {
  const literals: string[] = [];
  const holes: OptionValue[] = [];
  let literal = '';
  words.forEach((word, i) => {
    if (i > 0) literal += SPACE;
    const option = values.get(i);
    if (option && INDEPENDENT.has(option.key)) {
      literals.push(literal);
      holes.push(option);
      literal = '';
    } else literal += word;
  });
  literals.push(literal);
  return { literals, holes, invocation };
}

/** The line's invocation if it is the template's with other values in the holes. */
function parseLike({ literals, holes, invocation }: Template, line: string, draft: Draft): Invocation | undefined {
  const last = literals.length - 1;
  if (!line.endsWith(literals[last]!)) return undefined;
  const values: string[] = [];
  const v6 = invocation.values.family === AF_INET6;
  let at = 0;
  for (let i = 0; i < last; i++) {
    const literal = literals[i]!;
    if (!line.startsWith(literal, at)) return undefined;
    at += literal.length;
    let end = line.indexOf(SPACE, at);
    if (end < 0) end = line.length;
    const value = line.slice(at, end);
    if (ADDRESSES.has(holes[i]!.key) && value.includes(':') !== v6) return undefined;
    values.push(value);
    at = end;
  }
  if (line.length - at !== literals[last]!.length) return undefined;
  draft.values = { ...invocation.values };
  for (let i = 0; i < holes.length; i++) {
    const { row, name } = holes[i]!;
    const value = values[i]!;
    // A prefix counts as another option. Other mistakes, and a second family, the long way explains.
    if (row.arg === 'none' || value.includes('/')) return undefined;
    try {
      row.read(draft, name, value);
    } catch (error) {
      if (error instanceof UsageError) return undefined;
      throw error;
    }
  }
  return { ...invocation, values: draft.values };
}

const NO_FILES: ParseEnvironment = { readProtocols: () => '' };
