// Reads what `conntrack whohad -o json` prints, so that answers of several records can be joined elsewhere. What comes from elsewhere is
// only trusted to be what it says it is.

import { parseMoment } from './moments.js';
import { END_KINDS, END_REASONS, type EndReason, GAP_REASONS, type GapReason, START_KINDS } from './record-columns.js';
import type { AddressAndPort, Grade, WhoHadAnswer, WhoHadMatch } from './who-had-answer.js';

type Told = Readonly<Record<string, unknown>>;

/** Matches, gaps and reasons of one answer. */
const MOST = 1000;
const MOST_TEXT = 500;

/** An answer; `undefined` if it is none. */
export function readAnswerJson(told: unknown): WhoHadAnswer | undefined {
  try {
    return answerIn(objectIn(told));
  } catch {
    return undefined;
  }
}

function answerIn(told: Told): WhoHadAnswer {
  const question = objectIn(told['question']);
  const coverage = objectIn(told['coverage']);
  return {
    question: {
      address: textIn(question['address']),
      port: numberOr(question['port']),
      protocol: numberOr(question['protocol']),
      from: momentIn(question['from']),
      to: momentIn(question['to']),
      within: numberIn(question['within']),
    },
    complete: told['complete'] === true,
    why: listIn(told['why']).map(textIn),
    gaps: listIn(told['gaps']).map((each) => {
      const { from, to, reason, incomplete, events, netns, note } = objectIn(each);
      return {
        from: momentIn(from),
        to: to === undefined ? Number.POSITIVE_INFINITY : momentIn(to),
        reason: (typeof reason === 'string' && Object.hasOwn(GAP_REASONS, reason) ? reason : 'missing') as GapReason,
        incomplete: incomplete !== false,
        events: numberOr(events),
        netns: textOr(netns),
        note: textOr(note),
      };
    }),
    ambiguous: told['ambiguous'] === true,
    matches: listIn(told['matches']).map((each) => matchIn(objectIn(each))),
    more: numberIn(told['more']),
    ...(told['groups'] === undefined
      ? {}
      : {
          groups: listIn(told['groups']).map((each) => {
            const { inside, grade, flows, start, end } = objectIn(each);
            return {
              inside: textIn(inside),
              grade: gradeIn(grade),
              flows: numberIn(flows),
              start: momentIn(start),
              end: endIn(end),
            };
          }),
        }),
    notes: listIn(told['notes']).map(textIn),
    coverage: { from: momentIn(coverage['from']), to: momentIn(coverage['to']) },
  };
}

function matchIn(told: Told): WhoHadMatch {
  const quality = objectIn(told['quality']);
  const evidence = objectIn(told['evidence']);
  const { start: begun, end: ended, startSlack, endSlack, counters, clock, clockStep, clockSet, imported, injected } = quality;
  const { endReason, role } = told;
  return {
    grade: gradeIn(told['grade']),
    role: role === 'destination' ? 'destination' : 'source',
    inside: placeIn(told['inside']),
    outside: placeIn(told['outside']),
    remote: told['remote'] === undefined ? undefined : placeIn(told['remote']),
    translated: told['translated'] === true,
    protocol: textIn(told['protocol']),
    protonum: numberIn(told['protonum']),
    zone: numberOr(told['zone']),
    netns: textOr(told['netns']),
    start: momentIn(told['start']),
    end: endIn(told['end']),
    open: told['open'] === true,
    endReason: (END_REASONS as readonly unknown[]).includes(endReason) ? (endReason as EndReason) : undefined,
    sent: countersIn(told['sent']),
    received: countersIn(told['received']),
    hops: listIn(told['hops']).map((each) => {
      const { inside, outside, zone, netns } = objectIn(each);
      return { inside: placeIn(inside), outside: placeIn(outside), zone: numberOr(zone), netns: textOr(netns) };
    }),
    quality: {
      start: START_KINDS.find((kind) => kind === begun) ?? 'found',
      ...(ended === undefined ? {} : { end: END_KINDS.find((kind) => kind === ended) ?? 'found' }),
      startSlack: numberIn(startSlack),
      endSlack: numberIn(endSlack),
      counters: counters === 'complete' || counters === 'partial' ? counters : 'none',
      ...(clock === undefined ? {} : { clock: textIn(clock) }),
      ...(clockStep === undefined ? {} : { clockStep: numberIn(clockStep) }),
      ...(clockSet === true ? { clockSet } : {}),
      ...(imported === true ? { imported } : {}),
      ...(injected === true ? { injected } : {}),
    },
    evidence: {
      recorder: textIn(evidence['recorder']),
      segment: textIn(evidence['segment']),
      sequence: numberOr(evidence['sequence']),
      sha256: textOr(evidence['sha256']),
      sealed: evidence['sealed'] === true,
    },
  };
}

function objectIn(told: unknown): Told {
  if (typeof told !== 'object' || told === null) throw new TypeError('no object');
  return told as Told;
}

function listIn(told: unknown): readonly unknown[] {
  if (!Array.isArray(told) || told.length > MOST) throw new TypeError('no list');
  return told;
}

function textIn(told: unknown): string {
  if (typeof told !== 'string' || told.length > MOST_TEXT) throw new TypeError('no text');
  return told;
}

function textOr(told: unknown): string | undefined {
  return told === undefined || told === null ? undefined : textIn(told);
}

function numberIn(told: unknown): number {
  if (typeof told !== 'number' || !Number.isFinite(told)) throw new TypeError('no number');
  return told;
}

function numberOr(told: unknown): number | undefined {
  return told === undefined || told === null ? undefined : numberIn(told);
}

function momentIn(told: unknown): number {
  return parseMoment(textIn(told), 0).from;
}

function endIn(told: unknown): number | undefined {
  return told === undefined || told === null ? undefined : momentIn(told);
}

function gradeIn(told: unknown): Grade {
  if (told === 'certain' || told === 'possible' || told === 'near') return told;
  throw new TypeError('no grade');
}

function placeIn(told: unknown): AddressAndPort {
  const { address, port } = objectIn(told);
  return { address: textIn(address), ...(port === undefined ? {} : { port: numberIn(port) }) };
}

function countersIn(told: unknown): WhoHadMatch['sent'] {
  if (told === undefined || told === null) return undefined;
  const { packets, bytes } = objectIn(told);
  const counter = (value: unknown) => {
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
    return BigInt(numberIn(value));
  };
  return { packets: counter(packets), bytes: counter(bytes) };
}
