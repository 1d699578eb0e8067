// Joins what a host says of the past with what collectors have of its record: each flow once, and whether together they are complete.

import type { Span } from '../history/moments.js';
import { COPY_NOTE } from '../history/who-had.js';
import { uniteAnswers } from '../history/who-had-answer.js';
import { readAnswerJson } from '../history/who-had-json.js';
import { answerJson, answerText } from '../history/who-had-text.js';
import type { CollectedRecord } from './collected.js';
import type { PastAnswer } from './past-question.js';

/** What is known of a host at a time, from whoever knows it. */
export interface HostPast extends PastAnswer {
  /** Whether the host itself, and whether collectors have answered. */
  readonly host: boolean;
  readonly collectors: boolean;
}

/** Microseconds by which clocks of hosts that are compared may differ. */
const SLACK = 2_000_000;

/** `undefined` if an answer cannot be read. */
export function mergePast(
  own: PastAnswer | undefined,
  copies: readonly CollectedRecord[],
  { from, to }: Span,
): HostPast | undefined {
  // What the host knows of a time for which its record is complete, nobody else knows better.
  if (own && (own.complete || copies.length === 0)) return { ...own, host: true, collectors: copies.length > 0 };
  const told = own && readAnswerJson(own.answer);
  if (own && !told) return undefined;
  // Flows that lived at the end of a copy are not in it. The host has them, unless its record begins later.
  const covers = (copy: CollectedRecord) =>
    copy.complete &&
    copy.from <= from &&
    ((copy.openFrom !== null && to <= copy.openFrom) || (told !== undefined && told.coverage.from <= copy.alive + SLACK));
  const complete = copies.some(covers);
  const answers = copies.flatMap(({ answer }) => (answer === undefined ? [] : [readAnswerJson(answer)]));
  if (!answers.every((answer) => answer !== undefined)) return undefined;
  const all = [...answers, ...(told ? [told] : [])];
  const why = complete
    ? []
    : [...new Set([...all.flatMap((answer) => answer.why), ...copies.filter((copy) => copy.complete).map(openText)])];
  if (all.length === 0)
    return {
      complete,
      matches: 0,
      ambiguous: false,
      lines: [`Nobody, as far as is recorded.`, ...why],
      answer: null,
      host: false,
      collectors: true,
    };
  const joined = uniteAnswers(all, complete, why);
  const united = { ...joined, notes: joined.notes.filter((note) => !note.startsWith(COPY_NOTE)) };
  return {
    complete,
    matches: united.matches.length,
    ambiguous: united.ambiguous,
    lines: answerText(united).trimEnd().split('\n').slice(1),
    answer: JSON.parse(answerJson(united)),
    host: own !== undefined,
    collectors: true,
  };
}

function openText({ alive }: CollectedRecord): string {
  return `flows that still lived at ${new Date(alive / 1000).toISOString()}, up to when the record was shipped, are known to the host only`;
}
