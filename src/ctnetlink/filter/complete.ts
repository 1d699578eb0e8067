// What may stand at a place in a filter that is being typed, from the same rows that read it.

import { ADDRESS_NAMES, NAMED_ADDRESSES } from './address-names.js';
import { PRESENCES } from './condition.js';
import { type Continuation, expectationsAtEnd, type ParseOptions } from './parser.js';
import { ICMP_TYPES, PRESENCE_HELP, PROTOCOL_WORDS, SERVICES, TERMS, termOf } from './terms.js';
import { STATE_WORDS, STATUS_WORDS } from './value-text.js';

/** A word that may be meant. */
export interface FilterCompletion {
  /** The whole word, in place of what is typed of it. */
  readonly text: string;
  readonly kind: 'word' | 'field' | 'value';
  readonly help: string;
}

/** Characters of which the word at the cursor is made. */
const PART_OF_WORD = /[A-Za-z0-9_.:/[\]-]*$/;

/** Of a longer word, only the end is looked at: no word is as long. */
const LONGEST = 1024;

/** What is typed of the word at `cursor`. */
export function typedAt(text: string, cursor: number): string {
  return PART_OF_WORD.exec(text.slice(Math.max(0, cursor - LONGEST), cursor))![0];
}

/** Words that may stand at `cursor`, beginning with what is typed of it. None where the text before is wrong. */
export function completeFilterText(text: string, cursor: number, options: ParseOptions = {}): readonly FilterCompletion[] {
  const before = text.slice(0, cursor);
  const typed = typedAt(text, cursor).toLowerCase().replaceAll('_', '-');
  const found = new Map<string, FilterCompletion>();
  for (const expectation of expectationsAtEnd(before.slice(0, before.length - typed.length), options))
    for (const each of candidates(expectation, options))
      if (each.text.toLowerCase().startsWith(typed) && !found.has(each.text)) found.set(each.text, each);
  return [...found.values()];
}

function candidates({ tests, words, operators, value, icmp }: Continuation, options: ParseOptions): FilterCompletion[] {
  const found: FilterCompletion[] = [];
  const add = (kind: FilterCompletion['kind'], text: string, help: string) => found.push({ text, kind, help });
  if (operators) {
    add('word', 'and', 'both must hold');
    add('word', 'or', 'one must hold');
  }
  if (tests) {
    for (const {
      words: [word],
      help,
      kind,
    } of TERMS)
      if (kind !== 'icmp type' && kind !== 'icmp code') add(kind === 'end' || kind === 'side' ? 'word' : 'field', word, help);
    add('word', 'not', 'the test is known not to hold');
  }
  for (const word of words ?? []) add('word', word, termOf(word)?.help ?? '');
  switch (value) {
    case 'address':
      for (const name of ADDRESS_NAMES) add('value', name, NAMED_ADDRESSES[name].help);
      break;
    case 'port':
      for (const [name, port] of SERVICES) add('value', name, `port ${port}`);
      break;
    case 'protocol':
      for (const word of PROTOCOL_WORDS.keys()) add('value', word, termOf(word)!.help);
      break;
    case 'state':
      for (const word of STATE_WORDS) add('value', word, 'state');
      break;
    case 'status':
      for (const word of STATUS_WORDS) add('value', word, 'status bit');
      break;
    case 'presence':
      for (const what of PRESENCES) add('value', what, PRESENCE_HELP[what]);
      break;
    case 'role':
      for (const role of ['client', 'server']) add('value', role, 'role');
      break;
    case 'icmp type':
      for (const [name, type] of ICMP_TYPES[icmp ?? 'icmp']) add('value', name, `type ${type}`);
      break;
    case 'label':
      for (const name of options.labels?.names() ?? []) add('value', /[\s"]/.test(name) ? JSON.stringify(name) : name, 'label');
      break;
    case undefined:
    case 'key':
    case 'number':
    case 'size':
    case 'count':
    case 'duration':
    case 'seconds':
    case 'time':
    case 'mark':
    case 'text':
      break;
    default:
      value satisfies never;
  }
  return found;
}
