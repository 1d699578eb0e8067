// The command line after a word → its values and operands, or a UsageError. util.parseArgs splits it; the row has the options, and the
// sentences about mistakes are ours.

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { quoted, UsageError } from '../cli/usage-error.js';
import { didYouMean } from '../nearest.js';
import type { WordRow } from './words.js';

/** The command line of a word. */
export interface WordLine {
  /** By long name: a text, `true` for a switch, texts for an option that may be repeated. */
  readonly values: Readonly<Record<string, string | true | readonly string[]>>;
  readonly operands: readonly string[];
  /** `--help` or `-h` was given: nothing else counts or was checked. */
  readonly help: boolean;
}

/** Parses the command line after a word. @throws UsageError */
export function parseWordLine(row: WordRow, argv: readonly string[]): WordLine {
  const { name: word, options, operands: allowed } = row;
  const hint = `see conntrack ${word} --help`;
  const config: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
  for (const [name, { short, value }] of Object.entries(options))
    config[name] = { type: value === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) };
  // Not strict: this code finds mistakes itself, so that all messages read alike.
  const { tokens } = parseArgs({ args: [...argv], options: config, strict: false, allowPositionals: true, tokens: true });

  const operands: string[] = [];
  const values: Record<string, string | true | string[]> = {};
  if (tokens.some((token) => token.kind === 'option' && token.name === 'help')) return { values, operands, help: true };
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      operands.push(token.value);
      continue;
    }
    const { name, rawName, value } = token;
    const option = Object.hasOwn(options, name) ? options[name]! : undefined;
    if (!option) {
      if (allowed?.kind === 'topic') {
        operands.push(rawName);
        continue;
      }
      const names = [...Object.keys(options), 'help'];
      const near = rawName.startsWith('--') ? didYouMean(name, names, '--') : '';
      throw new UsageError(`${word}: unknown option ${quoted(rawName)}${near}`, { hint });
    }
    if (option.value === undefined) {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value, got ${quoted(value)}`, { hint });
      values[name] = true;
    } else {
      // A word that looks like an option is one: `--limit --json` lacks a value.
      if (value === undefined || (!token.inlineValue && /^-./.test(value)))
        throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value}`, { hint });
      if (option.choices && !option.choices.includes(value))
        throw new UsageError(
          `${rawName} must be one of ${option.choices.join(', ')}, not ${quoted(value)}${didYouMean(value, option.choices)}`,
          { hint },
        );
      if (option.repeated) values[name] = [...((values[name] as string[] | undefined) ?? []), value];
      else if (Object.hasOwn(values, name)) throw new UsageError(`${rawName} is given twice`, { hint });
      else values[name] = value;
    }
  }
  const most = allowed ? (allowed.most ?? operands.length) : 0;
  if (operands.length > most) throw new UsageError(`${word}: ${quoted(operands[most]!)} is one word too many`, { hint });
  return { values, operands, help: false };
}
