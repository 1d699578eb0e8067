// The text of a filter → FlowFilter. Recursive descent: chains of `and` and `or` are loops, only parentheses and `not` recurse.
// What other languages read in two ways is refused here, with both readings offered.

import { FilterError, type FilterReason } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { icmp } from '../protocols/icmp.js';
import { icmpv6 } from '../protocols/icmpv6.js';
import { readAddresses } from './address-values.js';
import {
  type End,
  endsOf,
  FLOW_ENDS,
  type FlowCondition,
  type FlowFilter,
  MATCH_ALL,
  MATCH_NONE,
  MAX_AGE,
  MAX_COUNT,
  type NumberField,
  PRESENCES,
  type Presence,
  type TupleEnd,
} from './condition.js';
import { type FilterToken, fail, tokensOf } from './lexer.js';
import { flatten } from './normal.js';
import { maxOf } from './number-fields.js';
import { sortedStates } from './object-input.js';
import { type AddressSet, type Ranges, rangesOf, unionOfAddresses } from './sets.js';
import { FOREIGN, type TermRow, type TestValue, termOf, termWords } from './terms.js';
import { parseTime } from './times.js';
import {
  EXPECTED,
  readLabel,
  readMaskedMark,
  readRange,
  readState,
  readStatusBit,
  type ValueOptions,
  type Wrong,
} from './value-text.js';

/** How large a text may be. */
export interface FilterLimits {
  /** UTF-16 units. */
  readonly length: number;
  /** Parentheses and `not` within each other. */
  readonly depth: number;
  readonly tests: number;
  /** Values of all lists together. */
  readonly values: number;
}

/** Of texts that anybody may have written. */
export const DEFAULT_LIMITS: FilterLimits = { length: 4096, depth: 32, tests: 256, values: 1024 };
/** Of files on this machine. */
export const FILE_LIMITS: FilterLimits = { length: 1 << 20, depth: 32, tests: 4096, values: 65_536 };

export interface ParseOptions extends ValueOptions {
  readonly limits?: Partial<FilterLimits> | undefined;
}

/** What could stand where a text ends. */
export interface Continuation {
  readonly tests?: boolean;
  /** Behind `orig`, `src` and so on: what may follow besides a value. */
  readonly words?: readonly string[];
  readonly operators?: boolean;
  readonly value?: TestValue;
  readonly icmp?: 'icmp' | 'icmpv6';
}

/** Reads a filter. @throws FilterError */
export function parseToFlowFilter(text: string, options: ParseOptions = {}): FlowFilter {
  return flatten(new Parser(text, options).parse());
}

/** What could stand at the end of a text that may be the beginning of a filter. */
export function expectationsAtEnd(text: string, options: ParseOptions = {}): readonly Continuation[] {
  const expected: Continuation[] = [];
  try {
    new Parser(text, options, { expected }).parse();
  } catch (error) {
    if (!(error instanceof FilterError)) throw error; // a text that is wrong before its end expects nothing there
  }
  return expected;
}

/** Where in a text. */
interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Values behind a field, not read yet. */
interface Values extends Extent {
  readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>=';
  readonly tokens: readonly FilterToken[];
  readonly braces: boolean;
}

/** A test that was read: what its value means for those that follow without a field. */
interface LastTest {
  readonly field: Extent;
  readonly values: Values;
  readonly accepts: (text: string) => boolean;
  readonly negations: number;
}

const COMPARISONS: ReadonlyMap<string, Values['operator']> = new Map(
  Object.entries({
    '=': '=',
    '==': '=',
    eq: '=',
    '!=': '!=',
    ne: '!=',
    '<': '<',
    lt: '<',
    '<=': '<=',
    le: '<=',
    '>': '>',
    gt: '>',
    '>=': '>=',
    ge: '>=',
  } as const),
);

class Parser {
  readonly #text: string;
  readonly #options: ParseOptions;
  readonly #limits: FilterLimits;
  readonly #tokens: readonly FilterToken[];
  readonly #expected: Continuation[] | undefined;
  /** Whether corrected texts are worked out: not while one is tried. */
  readonly #suggests: boolean;
  #at = 0;
  #tests = 0;
  #values = 0;
  #last: LastTest | undefined;

  constructor(text: string, options: ParseOptions, how: { expected?: Continuation[]; suggests?: boolean } = {}) {
    this.#text = text;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#expected = how.expected;
    this.#suggests = how.suggests ?? how.expected === undefined;
    const { length } = this.#limits;
    if (text.length > length) fail(text.slice(0, 100), 'TOO_LONG', { start: 0, end: 0 }, `more than ${length} characters`);
    this.#tokens = tokensOf(text);
  }

  parse(): FlowFilter {
    if (this.#look().kind === 'end') {
      this.#expect({ tests: true });
      this.#fail('EMPTY', this.#look(), 'the filter is empty', { hint: 'write all for every flow' });
    }
    const filter = this.#chain(0);
    if (this.#look().kind !== 'end') this.#unexpected(this.#look());
    this.#expect({ operators: true });
    return filter;
  }

  #look(): FilterToken {
    return this.#tokens[this.#at]!;
  }

  #peekAt(ahead: number): FilterToken {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)]!;
  }

  #next(): FilterToken {
    const token = this.#look();
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  /** Notes what could stand here, if the text ends here. */
  #expect(expectation: Continuation): void {
    if (this.#look().kind === 'end') this.#expected?.push(expectation);
  }

  #fail(
    reason: FilterReason,
    at: Extent,
    problem: string,
    options: { hint?: string | undefined; suggestion?: string | undefined } = {},
  ): never {
    return fail(this.#text, reason, at, problem, options);
  }

  /** The whole text with a part of it replaced, if that is a filter. */
  #with(at: Extent, replacement: string): string | undefined {
    if (!this.#suggests) return undefined;
    const text = this.#text.slice(0, at.start) + replacement + this.#text.slice(at.end);
    try {
      new Parser(text, this.#options, { suggests: false }).parse();
      return text;
    } catch (error) {
      if (error instanceof FilterError) return undefined;
      throw error;
    }
  }

  #textOf({ start, end }: Extent): string {
    return this.#text.slice(start, end);
  }

  #operatorAt(token: FilterToken): 'and' | 'or' | undefined {
    if (token.word === 'and' || token.word === '&&') return 'and';
    return token.word === 'or' || token.word === '||' ? 'or' : undefined;
  }

  #isNot(token: FilterToken): boolean {
    return token.word === 'not' || token.word === '!';
  }

  #chain(depth: number): FlowFilter {
    const start = this.#look().start;
    const parts = [this.#unary(depth, 0)];
    let chained: 'and' | 'or' | undefined;
    let lastStart = start;
    for (;;) {
      const operator = this.#operatorAt(this.#look());
      if (!operator) break;
      const before = this.#tokens[this.#at - 1]!.end;
      if (chained && operator !== chained) this.#mixed({ start, end: before }, lastStart, depth);
      chained = operator;
      this.#next();
      lastStart = this.#look().start;
      parts.push(this.#unary(depth, 0));
    }
    return chained === undefined ? parts[0]! : { kind: chained === 'and' ? 'all' : 'any', of: parts };
  }

  /** `A and B or C`. */
  #mixed(before: Extent, lastStart: number, depth: number): never {
    const operator = this.#next();
    const first = `(${this.#textOf(before)})`;
    let second: string | undefined;
    try {
      this.#unary(depth, 0);
      second = `${this.#text.slice(before.start, lastStart)}(${this.#text.slice(lastStart, this.#tokens[this.#at - 1]!.end)})`;
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
    }
    const rest = this.#tokens[this.#at - 1]!.end;
    const whole = `${first}${this.#text.slice(before.end, Math.max(rest, before.end))}`;
    this.#fail('MIXED', operator, "'and' and 'or' are mixed", {
      hint: second === undefined ? `put parentheses around what belongs together: ${first}` : `write ${whole}, or ${second}`,
      suggestion: this.#with(before, first),
    });
  }

  #unary(depth: number, negations: number): FlowFilter {
    const token = this.#look();
    this.#expect({ tests: true });
    if (depth + negations > this.#limits.depth)
      this.#fail('TOO_DEEP', token, `more than ${this.#limits.depth} parentheses and nots within each other`);
    if (this.#isNot(token)) {
      this.#next();
      return { kind: 'not', of: this.#unary(depth, negations + 1) };
    }
    if (token.word === '(') {
      this.#next();
      const inner = this.#chain(depth + negations + 1);
      this.#expect({ operators: true });
      if (this.#look().word !== ')') {
        if (this.#look().kind !== 'end') this.#unexpected(this.#look());
        this.#fail('UNBALANCED', token, "'(' is not closed", { suggestion: this.#with(this.#look(), ')') });
      }
      this.#next();
      this.#last = undefined;
      return inner;
    }
    if (++this.#tests > this.#limits.tests) this.#fail('TOO_MANY', token, `more than ${this.#limits.tests} tests`);
    return this.#test(negations);
  }

  /** What stands behind a complete test and is no operator. */
  #unexpected(token: FilterToken): never {
    if (token.word === ')') this.#fail('UNBALANCED', token, "')' has no '('", { suggestion: this.#with(token, '') });
    if (token.word === '}') this.#fail('UNBALANCED', token, "'}' has no '{'");
    const before = this.#tokens[this.#at - 1]!;
    if (before.kind === 'word' && token.text === '-' && this.#last)
      this.#fail('BAD_VALUE', token, "a range has no blanks around its '-'", {
        suggestion: this.#with({ start: before.start, end: this.#peekAt(1).end }, `${before.text}-${this.#peekAt(1).text}`),
        hint: `write ${before.text}-${this.#peekAt(1).text}`,
      });
    if (token.kind === 'word' && (termOf(token.word) || this.#isNot(token) || FOREIGN.has(token.word))) this.#missingAnd(token);
    if (this.#isNot(token) || token.word === '(') this.#missingAnd(token);
    if (COMPARISONS.get(token.word))
      this.#fail('UNKNOWN_WORD', token, `${quote(before.text)} is not compared with anything`, {
        hint: 'a comparison follows a field, such as bytes > 1M',
      });
    if (this.#last?.accepts(token.text)) {
      const { values } = this.#last;
      const list = `{${[...values.tokens, token].map((value) => this.#textOf(value)).join(', ')}}`;
      this.#fail('MISSING_AND', token, `${quote(token.text)} stands alone`, {
        hint: `several values stand in braces: ${list}`,
        suggestion: this.#with({ start: values.start, end: token.end }, list),
      });
    }
    this.#unknown(token);
  }

  #missingAnd(token: FilterToken): never {
    const before = this.#tokens[this.#at - 1]!;
    const term = termOf(token.word);
    const previous = termOf(before.word);
    // Two protocols side by side mean either.
    if (term?.kind === 'protocol' && previous?.kind === 'protocol') {
      const either = `proto {${before.text}, ${token.text}}`;
      const follows = this.#peekAt(1).kind === 'word' && !this.#operatorAt(this.#peekAt(1)) ? ' and' : '';
      this.#fail('MISSING_AND', token, 'a flow has one protocol', {
        hint: `for either, write ${either}`,
        suggestion: this.#with({ start: before.start, end: token.end }, `${either}${follows}`),
      });
    }
    const suggestion = this.#with({ start: token.start, end: token.start }, 'and ');
    this.#fail('MISSING_AND', token, `'and' or 'or' is missing before ${quote(token.text)}`, {
      suggestion,
      hint: `write ${this.#textOf(before)} and ${token.text}, or ${this.#textOf(before)} or ${token.text}`,
    });
  }

  #unknown(token: FilterToken): never {
    const { word } = token;
    if (this.#operatorAt(token)) this.#fail('MISSING_VALUE', token, `a test is missing before ${quote(token.text)}`);
    const foreign = FOREIGN.get(word);
    if (foreign) {
      const [first] = foreign.use ?? [];
      // A word that is left out takes the blank behind it along.
      const behind = this.#tokens[this.#tokens.indexOf(token) + 1];
      const gap = first === undefined && foreign.use ? (behind?.start ?? token.end) : token.end;
      this.#fail('NOT_KNOWN', token, `${quote(token.text)} is not known here`, {
        hint: `${foreign.why}${first === undefined ? '' : `; write ${foreign.use!.join(', or ')}`}`,
        suggestion: foreign.use ? this.#with({ start: token.start, end: gap }, first ?? '') : undefined,
      });
    }
    if (token.kind !== 'word')
      this.#fail('UNKNOWN_WORD', token, `${quote(this.#textOf(token))} begins no test`, {
        hint: token.word === ',' || token.word === '{' ? 'a list follows its field: proto {tcp, udp}' : undefined,
      });
    // Options of iptables.
    if (/^--?[a-z]/.test(word))
      this.#fail('UNKNOWN_WORD', token, `unknown word ${quote(token.text)}`, {
        hint: 'a filter has no options: write tcp and dst port 443 and state established',
      });
    const candidates = [...termWords()].filter((each) => each.length > 2 || word.length < 4);
    const near = nearest(word, candidates);
    this.#fail('UNKNOWN_WORD', token, `unknown word ${quote(token.text)}`, {
      hint: near === undefined ? this.#hintForValue(token) : `did you mean ${near}?`,
      suggestion: near === undefined ? undefined : this.#with(token, near),
    });
  }

  /** What to write around a value that stands where a test should. */
  #hintForValue({ text }: FilterToken): string {
    if ('set' in readAddresses(text, true)) return `an address follows host, src or dst: host ${text}`;
    if (/^\d+(-\d+)?$/.test(text)) return `a number follows its field: port ${text}`;
    return 'conntrack -h filter lists all words; a text of several words stands in single quotes in the shell';
  }

  #test(negations: number): FlowFilter {
    const token = this.#next();
    const previous = this.#last;
    this.#last = undefined;
    const term = token.kind === 'word' ? termOf(token.word) : undefined;
    if (!term) {
      if (token.kind === 'end') this.#missingTest(token);
      if (previous && token.kind !== 'punctuation' && previous.accepts(token.text)) this.#elided(token, previous);
      if (previous && COMPARISONS.has(token.word) && previous.accepts(this.#look().text)) this.#elidedField(token, previous);
      this.#unknown(token);
    }
    return this.#termTest(token, term, negations);
  }

  #missingTest(token: FilterToken): never {
    const before = this.#tokens[this.#at - 1];
    this.#fail('MISSING_VALUE', before ?? token, `a test is missing behind ${quote(before?.text ?? '')}`);
  }

  /** `port 80 or 443`: the second has no field. */
  #elided(token: FilterToken, { field, values, negations }: LastTest): never {
    const operator = this.#operatorAt(this.#tokens[this.#at - 2]!) ?? 'or';
    const name = this.#textOf(field);
    const compared = values.operator;
    if (compared !== '=' && compared !== '!=')
      this.#fail('ELIDED', token, `${quote(token.text)} stands alone`, {
        hint: `write ${name} ${compared} ${this.#textOf(token)}`,
        suggestion: this.#with(token, `${name} ${compared} ${this.#textOf(token)}`),
      });
    const list = `{${[...values.tokens, token].map((value) => this.#textOf(value)).join(', ')}}`;
    const each = [...values.tokens, token].map((value) => `${name} ${this.#textOf(value)}`);
    const unequal = compared === '!=';
    const set = `${name} ${list}`;
    const negated = (negations % 2 === 1) !== unequal;
    this.#fail('ELIDED', token, `${quote(token.text)} stands alone`, {
      // Of negated tests only the set: `not A or not B` holds for every flow.
      hint: negated ? `write not ${set}` : operator === 'and' ? `write ${set}, or ${each.join(' and ')}` : `write ${set}`,
      suggestion: this.#with({ start: field.start, end: token.end }, unequal ? `not ${set}` : set),
    });
  }

  /** `port >= 80 and <= 443`. */
  #elidedField(token: FilterToken, previous: LastTest): never {
    const value = this.#look();
    if (token.word === '!=' && previous.values.operator === '!=') this.#elided(value, previous);
    const whole = `${this.#textOf(previous.field)} ${this.#textOf({ start: token.start, end: value.end })}`;
    this.#fail('ELIDED', token, `${quote(token.text)} stands alone`, {
      hint: `write ${whole}`,
      suggestion: this.#with({ start: token.start, end: value.end }, whole),
    });
  }

  #termTest(token: FilterToken, term: TermRow, negations: number): FlowFilter {
    switch (term.kind) {
      case 'all':
        return MATCH_ALL;
      case 'none':
        return MATCH_NONE;
      case 'family':
      case 'protocol':
        return this.#layers(token, term, negations);
      case 'flag': {
        const bit: FlowFilter = { kind: 'status', bit: term.bit };
        return term.set ? bit : { kind: 'not', of: bit };
      }
      case 'side':
        return this.#sided(token, term.side, negations);
      case 'end':
        return this.#endpoint(token, undefined, term.end, negations);
      case 'what':
        return this.#ends(token, FLOW_ENDS, term.what, negations);
      case 'fused':
        return this.#ends(token, [{ side: 'original', end: term.end }], term.what, negations);
      case 'number':
        if (term.field === undefined)
          this.#fail('MISSING_VALUE', token, `${quote(token.text)} needs a direction`, {
            hint: `write orig ${token.text}, or reply ${token.text}`,
            suggestion: this.#with(token, `orig ${token.text}`),
          });
        return this.#number(token, term.field, term.value, negations);
      case 'counter':
        return this.#counter(token, term.of, undefined, negations);
      case 'protocols':
        return this.#number(token, 'protocol', 'protocol', negations);
      case 'state':
        return this.#state(token, negations);
      case 'icmp type':
      case 'icmp code':
        return this.#fail('MISSING_VALUE', token, `${quote(token.text)} needs a protocol before it`, {
          hint: `write icmp ${token.text}, or icmpv6 ${token.text}`,
          suggestion: this.#with(token, `icmp ${token.text}`),
        });
      case 'id':
        return this.#number(token, 'id', 'number', negations);
      case 'age':
        return this.#ranges(token, 'duration', MAX_AGE, negations, (ranges) => ({ kind: 'age', ranges }));
      case 'start':
      case 'stop':
        return this.#time(token, term.kind);
      case 'label':
        return this.#label(token, negations);
      case 'helper':
      case 'secctx':
        return this.#texts(token, term.kind, negations);
      case 'status':
        return this.#status(token, negations);
      case 'mark':
        return this.#mark(token, negations);
      case 'has':
        return this.#has(token, negations);
      case 'snat':
        return this.#nat(token, ['src']);
      case 'dnat':
        return this.#nat(token, ['dst']);
      case 'nat':
        return this.#nat(token, ['src', 'dst']);
    }
  }

  /** Family, protocol, or both, and what they qualify: one unit, of which `not` takes all. */
  #layers(token: FilterToken, term: Extract<TermRow, { kind: 'family' | 'protocol' }>, negations: number): FlowFilter {
    const of: FlowFilter[] = [];
    let protonum: number | undefined;
    let last = token;
    if (term.kind === 'family') {
      of.push({ kind: 'family', family: term.family });
      const next = this.#look().kind === 'word' ? termOf(this.#look().word) : undefined;
      if (next?.kind === 'protocol') {
        last = this.#next();
        protonum = next.protonum;
      }
    } else protonum = term.protonum;
    const version = protonum === icmp.number ? 'icmp' : protonum === icmpv6.number ? 'icmpv6' : undefined;
    const isIcmp = version !== undefined;
    const next = this.#look().kind === 'word' ? termOf(this.#look().word) : undefined;
    this.#expect({
      words: isIcmp ? ['type', 'code', 'id', ...ENDPOINT_WORDS] : [...ENDPOINT_WORDS, ...(protonum === 6 ? ['state'] : [])],
    });
    if (version && (next?.kind === 'icmp type' || next?.kind === 'icmp code' || next?.kind === 'id')) {
      const field = this.#next();
      const [name, kind] = ICMP_PARTS[next.kind];
      // Only flows of this protocol have the field: there is no need to say it twice.
      of.push(this.#number(field, `${version}${name}`, kind, negations, version));
      return of.length === 1 ? of[0]! : { kind: 'all', of };
    }
    if (protonum !== undefined) of.push({ kind: 'number', field: 'protocol', ranges: [protonum, protonum] });
    if (next && this.#isQualified(next)) {
      const word = this.#next();
      const before = this.#last;
      of.push(this.#termTest(word, next, negations));
      // What follows without a field repeats the whole unit.
      const qualified = this.#last as LastTest | undefined;
      if (qualified && qualified !== before)
        this.#last = { ...qualified, field: { start: token.start, end: qualified.field.end } };
    } else if (this.#look().kind === 'word' && next === undefined && this.#isValueBehindLayers(this.#look()))
      this.#fail('MISSING_VALUE', this.#look(), `${quote(this.#look().text)} follows ${quote(last.text)} without a field`, {
        hint: `write ${last.text} port ${this.#look().text}`,
        suggestion: this.#with(this.#look(), `port ${this.#look().text}`),
      });
    return of.length === 1 ? of[0]! : { kind: 'all', of };
  }

  #isValueBehindLayers({ text }: FilterToken): boolean {
    return /^\d+(-\d+)?$/.test(text);
  }

  /** Whether a term may directly follow a family or protocol. */
  #isQualified(term: TermRow): boolean {
    switch (term.kind) {
      case 'side': {
        const following = termOf(this.#peekAt(1).word);
        return following?.kind !== 'counter' && !(following?.kind === 'number' && following.field === 'zone');
      }
      case 'end':
      case 'what':
      case 'fused':
      case 'state':
        return true;
      case 'number':
        return term.field === 'role';
      default:
        return false;
    }
  }

  /** Behind `orig`, `reply` or `master`. */
  #sided(token: FilterToken, side: TupleEnd['side'], negations: number): FlowFilter {
    const next = this.#look().kind === 'word' ? termOf(this.#look().word) : undefined;
    const flowSide = side === 'master' ? undefined : side;
    this.#expect({ words: flowSide ? [...ENDPOINT_WORDS, 'bytes', 'packets', 'zone', 'vtag'] : ENDPOINT_WORDS });
    if (next?.kind === 'end') return this.#endpoint(token, side, next.end, negations, this.#next());
    if (next?.kind === 'what') {
      this.#next();
      return this.#ends(token, endsOf(side), next.what, negations);
    }
    if (next?.kind === 'fused') {
      this.#next();
      return this.#ends(token, [{ side, end: next.end }], next.what, negations);
    }
    if (flowSide && next?.kind === 'counter') {
      this.#next();
      return this.#counter(token, next.of, flowSide, negations);
    }
    if (flowSide && next?.kind === 'number') {
      const field = flowSide === 'original' ? next.original : next.reply;
      if (field) {
        this.#next();
        return this.#number(token, field, next.value, negations);
      }
    }
    return this.#ends(token, endsOf(side), 'address', negations);
  }

  /** Behind `src` or `dst`: what of it is compared, the address unless it is said. */
  #endpoint(
    from: FilterToken,
    side: TupleEnd['side'] | undefined,
    end: End,
    negations: number,
    word: FilterToken = from,
  ): FlowFilter {
    const ends = [{ side: side ?? 'original', end }] as const;
    const next = this.#look().kind === 'word' ? termOf(this.#look().word) : undefined;
    this.#expect({ words: ['port', 'host', 'net', 'key'] });
    if (next?.kind === 'what') {
      this.#next();
      return this.#ends(from, ends, next.what, negations);
    }
    if (this.#operatorAt(this.#look()) && termOf(this.#peekAt(1).word)?.kind === 'end') {
      const what = termOf(this.#peekAt(2).word);
      const either = `${side === undefined ? 'orig' : this.#textOf(from)} ${what?.kind === 'what' ? this.#peekAt(2).text : 'host'}`;
      const behind = what?.kind === 'what' ? this.#peekAt(2) : this.#peekAt(1);
      if (this.#operatorAt(this.#look()) === 'and') {
        const value = this.#peekAt(what?.kind === 'what' ? 3 : 2);
        const prefix = this.#textOf({ start: from.start, end: word.end });
        const rest = this.#textOf({ start: this.#peekAt(1).end, end: Math.max(value.end, behind.end) });
        const both = `${prefix}${rest} and ${this.#peekAt(1).text}${rest}`;
        this.#fail('MISSING_VALUE', this.#look(), `${quote(word.text)} needs a value of its own`, {
          hint: `for both ends, write ${both}`,
          suggestion: this.#with({ start: from.start, end: Math.max(value.end, behind.end) }, both),
        });
      }
      this.#fail('MISSING_VALUE', this.#look(), `${quote(word.text)} needs a value of its own`, {
        hint: `for either end, write ${either}`,
        suggestion: this.#with({ start: from.start, end: behind.end }, either),
      });
    }
    return this.#ends(from, ends, 'address', negations);
  }

  #ends(from: FilterToken, ends: readonly TupleEnd[], what: 'address' | 'port' | 'key', negations: number): FlowFilter {
    if (what !== 'address')
      return this.#ranges(from, what, 0xffff, negations, (ranges) => ({ kind: 'port', ends, of: what, ranges }));
    return this.#withValues(from, 'address', negations, (values, field) => {
      this.#onlyEqual(values, 'addresses');
      return { kind: 'address', ends, set: this.#addresses(values, field) };
    });
  }

  #addresses(values: Values, field: Extent): AddressSet {
    return unionOfAddresses(
      values.tokens.map((token) => {
        const reading = readAddresses(token.text, false);
        if ('set' in reading) return reading.set;
        const name = this.#textOf(field);
        const port = /^:([\w-]+)$/.exec(token.text)?.[1];
        if (port !== undefined && !/(host|net|addr)$/i.test(name))
          this.#fail('BAD_VALUE', token, `${quote(token.text)} is no address`, {
            hint: `for a port, write ${name} port ${port}`,
            suggestion: this.#with({ start: field.end, end: token.end }, ` port ${port}`),
          });
        if (/net$/i.test(name) && /^\d{1,3}(\.\d{1,3}){0,2}$/.test(token.text)) {
          const parts = token.text.split('.');
          const network = `${[...parts, '0', '0', '0'].slice(0, 4).join('.')}/${parts.length * 8}`;
          this.#fail('BAD_VALUE', token, `${quote(token.text)} is no address`, {
            hint: `write ${network}`,
            suggestion: this.#with(token, network),
          });
        }
        if (/^\d{1,5}(-\d{1,5})?$/.test(token.text) && !/port$/i.test(name))
          this.#fail('BAD_VALUE', token, `${quote(token.text)} is no address`, {
            hint: `for a port, write ${name} port ${token.text}`,
            suggestion: this.#with({ start: field.end, end: field.end }, ' port'),
          });
        return this.#bad(
          token,
          { ...reading, names: ['private', 'cgnat', 'loopback', 'link-local', 'multicast', 'public'] },
          'address',
        );
      }),
    );
  }

  /** Reads values and makes the test of them; notes what further values would be. */
  #withValues(
    from: FilterToken,
    kind: TestValue,
    negations: number,
    make: (values: Values, field: Extent) => FlowFilter,
    icmpVersion?: 'icmp' | 'icmpv6',
  ): FlowFilter {
    const field = { start: from.start, end: this.#tokens[this.#at - 1]!.end };
    const values = this.#readValues(kind, field, icmpVersion);
    const filter = make(values, field);
    const accepts = (text: string) => {
      const before = this.#values;
      try {
        const token: FilterToken = { kind: 'word', text, word: text.toLowerCase(), start: 0, end: 0 };
        make({ operator: '=', tokens: [token], braces: false, start: 0, end: 0 }, field);
        return true;
      } catch (error) {
        if (error instanceof FilterError) return false;
        throw error;
      } finally {
        this.#values = before;
      }
    };
    this.#last = { field, values, accepts, negations };
    return values.operator === '!=' ? { kind: 'not', of: filter } : filter;
  }

  /** A field with ordered numbers. */
  #ranges(
    from: FilterToken,
    kind: Parameters<typeof readRange>[1],
    max: number,
    negations: number,
    make: (ranges: Ranges) => FlowCondition,
    icmpVersion: 'icmp' | 'icmpv6' = 'icmp',
  ): FlowFilter {
    return this.#withValues(
      from,
      kind,
      negations,
      (values) => {
        const pairs = values.tokens.map((token) => {
          const reading = readRange(token.text, kind, max, this.#options, icmpVersion);
          return 'range' in reading ? reading.range : this.#bad(token, reading, kind);
        });
        return make(this.#compared(values, pairs, max));
      },
      icmpVersion,
    );
  }

  /** The numbers that a comparison selects. */
  #compared(values: Values, pairs: readonly (readonly [number, number])[], max: number): Ranges {
    const { operator, tokens } = values;
    if (operator === '=' || operator === '!=') return rangesOf(pairs);
    const [value] = pairs;
    if (values.braces || pairs.length !== 1 || value![0] !== value![1])
      this.#fail('BAD_VALUE', values, `${quote(operator)} compares with one number`);
    const bound = value![0];
    const range = (
      {
        '<': [0, bound - 1],
        '<=': [0, bound],
        '>': [bound + 1, max],
        '>=': [bound, max],
      } as const
    )[operator];
    if (range[0] > range[1]) this.#fail('BAD_VALUE', tokens[0]!, `nothing is ${operator === '<' ? 'below 0' : `above ${bound}`}`);
    return range;
  }

  #onlyEqual({ operator, start, end }: Values, what: string): void {
    if (operator !== '=' && operator !== '!=')
      this.#fail('BAD_VALUE', { start, end }, `${what} have no order for ${quote(operator)}`, {
        hint: 'leave the comparison out, or write !=',
      });
  }

  #number(
    from: FilterToken,
    field: NumberField,
    kind: Parameters<typeof readRange>[1] | TestValue,
    negations: number,
    icmpVersion?: 'icmp' | 'icmpv6',
  ): FlowFilter {
    return this.#ranges(
      from,
      kind as Parameters<typeof readRange>[1],
      maxOf(field),
      negations,
      (ranges) => ({ kind: 'number', field, ranges }),
      icmpVersion,
    );
  }

  #counter(from: FilterToken, of: 'bytes' | 'packets', side: 'original' | 'reply' | undefined, negations: number): FlowFilter {
    const kind = of === 'bytes' ? 'size' : 'count';
    return this.#ranges(from, kind, MAX_COUNT, negations, (ranges) => ({ kind: 'counter', of, ...(side && { side }), ranges }));
  }

  #state(from: FilterToken, negations: number): FlowFilter {
    return this.#withValues(from, 'state', negations, (values) => {
      this.#onlyEqual(values, 'states');
      const names = values.tokens.map((token) => {
        const reading = readState(token.text);
        return 'name' in reading ? reading.name : this.#bad(token, reading, 'state');
      });
      return { kind: 'state', names: sortedStates(names) };
    });
  }

  #time(from: FilterToken, of: 'start' | 'stop'): FlowFilter {
    return this.#withValues(from, 'time', 0, (values) => {
      const { operator, tokens } = values;
      const [token] = tokens;
      if (operator === '=' || operator === '!=' || tokens.length !== 1)
        this.#fail('BAD_VALUE', values, `${of} is compared by <, <=, > or >=`, { hint: `write ${of} >= ${token!.text}` });
      const time = parseTime(token!.text);
      if (time === undefined)
        return this.#bad(
          token!,
          { wrong: 'is no time with a zone, such as 2026-11-28T10:00:00Z or 2026-11-28T11:00:00+01:00' },
          'time',
        );
      switch (operator) {
        case '<':
          return { kind: 'time', of, before: time };
        case '<=':
          return { kind: 'time', of, before: time + 1n };
        case '>':
          return { kind: 'time', of, from: time + 1n };
        case '>=':
          return { kind: 'time', of, from: time };
      }
    });
  }

  #label(from: FilterToken, negations: number): FlowFilter {
    return this.#withValues(from, 'label', negations, (values) => {
      this.#onlyEqual(values, 'labels');
      const bits = values.tokens.map((token) => {
        const reading = readLabel(token.text, token.kind === 'string', this.#options.labels);
        return 'bit' in reading ? reading.bit : this.#bad(token, reading, 'label');
      });
      return { kind: 'label', bits: [...new Set(bits)].sort((a, b) => a - b) };
    });
  }

  #texts(from: FilterToken, field: 'helper' | 'secctx', negations: number): FlowFilter {
    return this.#withValues(from, 'text', negations, (values) => {
      this.#onlyEqual(values, 'names');
      return { kind: 'text', field, values: [...new Set(values.tokens.map(({ text }) => text))].sort() };
    });
  }

  #status(from: FilterToken, negations: number): FlowFilter {
    return this.#withValues(from, 'status', negations, (values) => {
      this.#onlyEqual(values, 'status bits');
      return either(
        values.tokens.map((token) => {
          const reading = readStatusBit(token.text);
          return { kind: 'status', bit: 'bit' in reading ? reading.bit : this.#bad(token, reading, 'status') };
        }),
      );
    });
  }

  #has(from: FilterToken, negations: number): FlowFilter {
    return this.#withValues(from, 'presence', negations, (values) => {
      this.#onlyEqual(values, 'names');
      return either(
        values.tokens.map((token) => {
          const word = token.text.toLowerCase();
          const what = PRESENCES.find((known) => known === word || known === PRESENCE_SYNONYMS.get(word));
          return {
            kind: 'has',
            what: what ?? this.#bad(token, { wrong: 'is nothing that a flow may have', names: PRESENCES }, 'presence'),
          };
        }),
      );
    });
  }

  #mark(from: FilterToken, negations: number): FlowFilter {
    let mask = 0xffffffff;
    if (this.#look().word === '&') {
      this.#next();
      const token = this.#next();
      const reading = readRange(token.text, 'number', 0xffffffff, this.#options, 'icmp');
      if (!('range' in reading) || reading.range[0] !== reading.range[1]) this.#fail('BAD_VALUE', token, 'a mask is one number');
      mask = reading.range[0];
    }
    return this.#withValues(from, 'mark', negations, (values) => {
      const masked: FlowFilter[] = [];
      const pairs: (readonly [number, number])[] = [];
      for (const token of values.tokens) {
        const both = readMaskedMark(token.text);
        if (both && 'wrong' in both) this.#bad(token, both, 'mark');
        if (both) {
          if (mask !== 0xffffffff) this.#fail('BAD_VALUE', token, 'there are two masks');
          this.#onlyEqual(values, 'marks with a mask');
          masked.push({ kind: 'mark', mask: both.mask, ranges: [both.value, both.value] });
          continue;
        }
        const reading = readRange(token.text, 'number', 0xffffffff, this.#options, 'icmp');
        pairs.push('range' in reading ? reading.range : this.#bad(token, reading, 'mark'));
      }
      if (pairs.length > 0) {
        const ranges = this.#compared(values, pairs, 0xffffffff);
        if (ranges.length === 2 && ranges[0] === ranges[1] && (ranges[0]! & ~mask) !== 0)
          this.#fail('BAD_VALUE', values, 'no mark matches: the value has bits outside the mask');
        masked.unshift({ kind: 'mark', mask, ranges });
      }
      return either(masked);
    });
  }

  #nat(from: FilterToken, ways: readonly End[]): FlowFilter {
    this.#expect({ words: ['to'] });
    if (this.#look().word !== 'to') return either(ways.map((nat) => ({ kind: 'nat', nat })));
    this.#next();
    if (this.#look().kind === 'word' && termOf(this.#look().word)?.kind === 'what' && this.#look().word === 'port') {
      this.#next();
      return this.#withValues(from, 'port', 0, (values) => {
        const pairs = values.tokens.map((token) => {
          const reading = readRange(token.text, 'port', 0xffff, this.#options, 'icmp');
          return 'range' in reading ? reading.range : this.#bad(token, reading, 'port');
        });
        const ports = this.#compared(values, pairs, 0xffff);
        return either(ways.map((nat) => ({ kind: 'natTo', nat, ports })));
      });
    }
    return this.#withValues(from, 'address', 0, (values, field) => {
      this.#onlyEqual(values, 'addresses');
      const set = this.#addresses(values, field);
      return either(ways.map((nat) => ({ kind: 'natTo', nat, set })));
    });
  }

  #readValues(kind: TestValue, field: Extent, icmpVersion: 'icmp' | 'icmpv6' | undefined): Values {
    const name = this.#textOf(field);
    let operator: Values['operator'] = '=';
    const first = this.#look();
    this.#expect({ value: kind, ...(icmpVersion && { icmp: icmpVersion }) });
    const compared = first.kind === 'string' ? undefined : COMPARISONS.get(first.word);
    if (compared) {
      operator = compared;
      this.#next();
    } else if (first.word === 'in') this.#next();
    else if (this.#isNot(first)) {
      if (this.#peekAt(1).word !== 'in')
        this.#fail('BAD_VALUE', first, `${quote(first.text)} stands before the test, not within it`, {
          hint: `write not ${name} ${this.#peekAt(1).text}`,
          suggestion: this.#with({ start: field.start, end: this.#peekAt(1).start }, `not ${name} `),
        });
      this.#next();
      this.#next();
      operator = '!=';
    }
    const start = this.#look().start;
    const tokens: FilterToken[] = [];
    const value = () => {
      const token = this.#look();
      const isValue = token.kind === 'string' || (token.kind === 'word' && !RESERVED.has(token.word));
      if (!isValue) {
        this.#expect({ value: kind, ...(icmpVersion && { icmp: icmpVersion }) });
        this.#fail('MISSING_VALUE', token.kind === 'end' ? field : token, `${quote(name)} needs ${EXPECTED[kind]}`, {
          hint: token.kind === 'word' ? `a value ${quote(token.text)} stands in quotes` : undefined,
        });
      }
      if (++this.#values > this.#limits.values) this.#fail('TOO_MANY', token, `more than ${this.#limits.values} values`);
      tokens.push(this.#next());
    };
    if (this.#look().word === '{') {
      const brace = this.#next();
      value();
      while (this.#look().word !== '}') {
        if (this.#look().word === ',') this.#next();
        if (this.#look().kind === 'end') {
          this.#expect({ value: kind });
          this.#fail('UNBALANCED', brace, "'{' is not closed", { suggestion: this.#with(this.#look(), '}') });
        }
        value();
      }
      return { operator, tokens, braces: true, start, end: this.#next().end };
    }
    if (this.#look().word === '(') {
      let end = this.#at;
      while (this.#tokens[end]!.word !== ')' && this.#tokens[end]!.kind !== 'end') end++;
      const inner = this.#text
        .slice(this.#look().end, this.#tokens[end]!.start)
        .replace(/\s+(or|and|\|\|)\s+/gi, ', ')
        .trim();
      this.#fail('BAD_VALUE', this.#look(), 'several values stand in braces', {
        hint: `write ${name} {${inner}}`,
        suggestion: this.#with({ start: this.#look().start, end: this.#tokens[end]!.end }, `{${inner}}`),
      });
    }
    value();
    while (this.#look().word === ',') {
      this.#next();
      value();
    }
    return { operator, tokens, braces: false, start, end: tokens.at(-1)!.end };
  }

  #bad(token: FilterToken, { wrong, repairs, names }: Wrong, kind: TestValue): never {
    const near = names === undefined ? undefined : nearest(token.text, names);
    const meant = repairs ?? (near === undefined ? [] : [near]);
    const [first] = meant;
    this.#fail('BAD_VALUE', token, `${quote(token.text)} ${wrong}`, {
      hint:
        first === undefined
          ? `expected is ${EXPECTED[kind]}`
          : repairs
            ? `write ${meant.join(', or ')}`
            : `did you mean ${first}?`,
      suggestion: first === undefined ? undefined : this.#with(token, first),
    });
  }
}

/** Words that are no values unless they stand in quotes. */
const RESERVED: ReadonlySet<string> = new Set(['and', 'or', 'not', 'in']);
const ENDPOINT_WORDS: readonly string[] = ['src', 'dst', 'host', 'port', 'sport', 'dport'];
const ICMP_PARTS = {
  'icmp type': ['Type', 'icmp type'],
  'icmp code': ['Code', 'number'],
  id: ['Id', 'number'],
} as const;
const PRESENCE_SYNONYMS: ReadonlyMap<string, Presence> = new Map(
  Object.entries({
    labels: 'label',
    counters: 'bytes',
    expires: 'timeout',
    pkts: 'packets',
  } as const),
);

/** One of several tests. */
function either(of: readonly FlowFilter[]): FlowFilter {
  return of.length === 1 ? of[0]! : { kind: 'any', of };
}

const LONGEST = 60;

/** A part of the text in a message, cut when it is long. */
function quote(text: string): string {
  return `'${text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text}'`;
}
