// What the messages of an answer say: how it ended, what went wrong, and what the visitor of a question gets of them.

import { ConntrackError } from '../errors.js';
import { decoded, type Encoding, H, numberHeader, unpackBody, unpackJson } from './bodies.js';
import type { BusMessage } from './bus.js';
import type { FleetVisitor, MissingReason } from './fleet-question.js';
import type { AnswerPart, WhyMissing } from './host-answer.js';
import { type AnswerEnd, END_REASONS } from './running-query.js';

/**
 * Hands a message to the visitor.
 * @returns `enough` if no more is wanted; an error if the message is not what it should be: that is the fault of its host
 * @throws what the visitor throws otherwise
 */
export async function takePart(
  { answer, message, end }: AnswerPart,
  visitor: FleetVisitor,
  encoding: Encoding = 'nl1',
): Promise<'more' | 'enough' | ConntrackError> {
  const { host } = answer;
  let body: Uint8Array;
  try {
    if (message.header(H.encoding) === 'json') {
      if (end && end.reason !== undefined) return 'more'; // it ended early, with nothing
      const value = unpackJson(message);
      if (message.header(H.kind) === 'note') visitor.note?.(host, value);
      else visitor.value?.(host, value);
      return 'more';
    }
    body = unpackBody(message, encoding);
  } catch (error) {
    if (error instanceof ConntrackError) return error;
    throw error;
  }
  if (!visitor.rows) return 'more';
  const netns = decoded(message.header(H.netns));
  const at = numberHeader(message, H.at, 0, 0, Number.MAX_SAFE_INTEGER);
  try {
    const { rows, enough = false } = await visitor.rows(host, netns, body, at === 0 ? undefined : at);
    answer.rows += rows;
    return enough ? 'enough' : 'more';
  } catch (error) {
    // Of the body: another's fault. Of the output: the end of everything.
    if (error instanceof ConntrackError && (error.code === 'DECODE' || error.code === 'ENCODING')) return error;
    throw error;
  }
}

/** `Ct-End`; `undefined` if there is none that can be read. */
export function readEnd(message: BusMessage): AnswerEnd | undefined {
  const text = decoded(message.header(H.end));
  if (text === undefined || text.length > 10_000) return undefined;
  let told: Readonly<Record<keyof AnswerEnd, unknown>>;
  try {
    told = JSON.parse(text) as typeof told;
  } catch {
    return undefined;
  }
  if (typeof told !== 'object' || told === null) return undefined;
  const { rows, ms, complete, reason, warnings } = told;
  if (typeof rows !== 'number' || typeof ms !== 'number') return undefined;
  return {
    rows,
    ms,
    complete: complete === true,
    reason: END_REASONS.find((one) => one === reason),
    warnings: Array.isArray(warnings)
      ? warnings.slice(0, 10).filter((one): one is string => typeof one === 'string' && one.length < 500)
      : undefined,
  };
}

const REASONS: Readonly<Partial<Record<string, MissingReason>>> = { OVERLOADED: 'overloaded', VERSION: 'version' };

/** The error that a host tells, whatever it says. */
export function readError(message: BusMessage): WhyMissing {
  let told: { readonly code?: unknown; readonly message?: unknown; readonly hint?: unknown } = {};
  try {
    told = (unpackJson(message) ?? {}) as typeof told;
  } catch {
    // It failed, whatever it says.
  }
  const text = (value: unknown, otherwise: string) => (typeof value === 'string' ? value.slice(0, 1000) : otherwise);
  const code = text(told.code, 'ERROR');
  const hint = typeof told.hint === 'string' ? told.hint.slice(0, 1000) : undefined;
  return {
    why: Object.hasOwn(REASONS, code) ? REASONS[code]! : 'error',
    error: { code, message: text(told.message, 'no reason'), hint },
  };
}
