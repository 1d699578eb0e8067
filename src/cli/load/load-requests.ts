// Lines of a load file → requests. What lines of one kind have in common is worked out once (line-template.ts).

import type { FlowSpec } from '../../ctnetlink/flow-spec.js';
import { IPS_EXPECTED } from '../../ctnetlink/uapi/nf-conntrack-common.js';
import { RequestEncoder } from '../../library/index.js';
import { type OptionValue, type ParseEnvironment, parseLoadLine, unloadable } from '../command-line.js';
import { commandRow } from '../command-rows.js';
import { flowSpec } from '../given-flow.js';
import type { Invocation } from '../invocation.js';
import { UsageError } from '../usage-error.js';
import { LineTemplate, shapeOf, signature, type ValueWord } from './line-template.js';
import { splitLoadLine, splitPlainLine } from './load-words.js';

/**
 * Number of kinds of lines remembered, each with at most one template: more than the combinations of protocol, state and status in a
 * table.
 */
const SHAPES_KEPT = 512;

/** The lines of one file. */
export class LoadRequests {
  readonly #env: ParseEnvironment;
  /** By signature. */
  readonly #templates = new Map<number, LineTemplate[]>();
  /** Whether a template of this kind has been tried. */
  readonly #shapes = new Map<string, boolean>();
  readonly #encoder = new RequestEncoder();

  constructor(env: ParseEnvironment) {
    this.#env = env;
  }

  /** The request of a line that creates, if it is like an earlier one; valid until the next call. The line is bytes `start` to `end`. */
  find(line: Uint8Array, start: number, end: number): Uint8Array | undefined {
    if (this.#templates.size === 0) return undefined; // nor ever any, where lines are JSON
    const alike = this.#templates.get(signature(line, start, end));
    if (!alike) return undefined;
    for (let i = 0; i < alike.length; i++) if (alike[i]!.match(line, start, end)) return alike[i]!.request;
    return undefined;
  }

  /** The command of a line, `undefined` for an empty line or a comment. @throws UsageError */
  parse(text: string): Invocation | undefined {
    const plain = splitPlainLine(text);
    const words = plain ?? splitLoadLine(text).words;
    if (words.length === 0) return undefined;
    const values = new Map<number, OptionValue>();
    const invocation = parseLoadLine(words, this.#env, values);
    if (plain && commandRow(invocation.command).creates && !unloadable(invocation) && invocation.warnings.length === 0)
      this.#learn(text, valueWords(plain, values), invocation);
    return invocation;
  }

  /** The request for a flow that may exist; valid until the next call. */
  encode(flow: FlowSpec): Uint8Array {
    return this.#encoder.encode(flow, true);
  }

  /** The request of a line that creates; valid until the next call. @throws UsageError */
  encodeLine({ command, values, labelBits }: Invocation): Uint8Array {
    const flow = flowSpec(values, labelBits);
    // Saved lines may have EXPECTED, which only the kernel may set: docs/differences.md B27.
    const status = flow.status === undefined ? undefined : flow.status & ~IPS_EXPECTED;
    return this.#encoder.encode({ ...flow, status }, command === 'A');
  }

  #learn(text: string, words: readonly ValueWord[], invocation: Invocation): void {
    const shape = shapeOf(text, words);
    const tried = this.#shapes.get(shape);
    if (tried) return;
    if (this.#shapes.size === SHAPES_KEPT) {
      this.#shapes.clear();
      this.#templates.clear();
    }
    this.#shapes.set(shape, tried !== undefined);
    if (tried === undefined) return;
    const template = LineTemplate.learn(text, words, linkedPorts(invocation), (other) => this.#encodeText(other));
    if (!template) return;
    const line = Buffer.from(text);
    const key = signature(line, 0, line.length);
    const alike = this.#templates.get(key);
    if (alike) alike.push(template);
    else this.#templates.set(key, [template]);
  }

  #encodeText(text: string): Uint8Array | undefined {
    try {
      return this.encodeLine(parseLoadLine(splitLoadLine(text).words, this.#env));
    } catch (error) {
      if (error instanceof UsageError) return undefined;
      throw error;
    }
  }
}

/** The words that are values of options, with where they begin in the line, whose words have single blanks between them. */
function valueWords(words: readonly string[], values: ReadonlyMap<number, OptionValue>): ValueWord[] {
  const found: ValueWord[] = [];
  let at = 0;
  words.forEach((text, i) => {
    const option = values.get(i);
    if (option) found.push({ key: option.key, at, text });
    at += text.length + 1;
  });
  return found;
}

/** A translation without a port translates the port where the two directions differ in it. */
function linkedPorts({ values: { srcNat, dstNat } }: Invocation): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  if (srcNat && srcNat.port === undefined) pairs.push(['sport', 'replyDport']);
  if (dstNat && dstNat.port === undefined) pairs.push(['dport', 'replySport']);
  return pairs;
}
