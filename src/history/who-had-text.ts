// The answer to `whohad` as text and as JSON.

import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { safeJson, safeText } from '../safe-text.js';
import { formatMoment } from './moments.js';
import { gapJson } from './record-directory.js';
import type { AddressAndPort, WhoHadAnswer, WhoHadMatch } from './who-had-answer.js';

const SECOND = 1_000_000;

/** The answer in JSON: times are RFC 3339, counters numbers up to 2^53 - 1, and strings above. */
export function answerJson(answer: WhoHadAnswer): string {
  const { question, gaps, matches, groups, coverage } = answer;
  return `${safeJson({
    ...answer,
    question: { ...question, from: formatMoment(question.from), to: formatMoment(question.to) },
    gaps: gaps.map(gapJson),
    matches: matches.map(({ start, end, sent, received, ...match }) => ({
      ...match,
      start: formatMoment(start),
      end: end === undefined ? null : formatMoment(end),
      sent: sent && counters(sent),
      received: received && counters(received),
    })),
    groups: groups?.map(({ start, end, ...group }) => ({
      ...group,
      start: formatMoment(start),
      end: end === undefined ? null : formatMoment(end),
    })),
    coverage: { from: formatMoment(coverage.from), to: formatMoment(coverage.to) },
  })}\n`;
}

type Counters = NonNullable<WhoHadMatch['sent']>;

function counters({ packets, bytes }: Counters) {
  const number = (value: bigint | undefined) =>
    value === undefined ? undefined : value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
  return { packets: number(packets), bytes: number(bytes) };
}

/** The answer for people. */
export function answerText(answer: WhoHadAnswer): string {
  const { question, matches, more, groups, complete, why, notes } = answer;
  const lines = [`${title(question)}`];
  if (groups) for (const group of groups) lines.push(groupLine(group));
  else for (const match of matches) lines.push(...matchLines(match, question));
  if (matches.length === 0) lines.push('Nobody, as far as is recorded.');
  if (!groups && more > 0) lines.push(`There are ${more} more.`);
  lines.push(complete ? 'The record is complete at this time.' : 'The record is NOT complete at this time:');
  for (const reason of why) lines.push(`  ${reason}`);
  for (const note of notes) lines.push(`Note: ${note}.`);
  return `${lines.map(safeText).join('\n')}\n`;
}

function title({ address, port, protocol, from, to }: WhoHadAnswer['question']): string {
  const when = to - from === SECOND ? `${formatMoment(from).replace('.000000', '')} (one second)` : formatMoment(from);
  return `${endText({ address, port })}${protocol === undefined ? '' : ` ${protocolText(protocol)}`}, ${when}`;
}

/** `tcp`; `protocol 99` for one without a name. */
function protocolText(number: number): string {
  return PROTOCOLS.find((each) => each.number === number)?.name ?? `protocol ${number}`;
}

function endText({ address, port }: AddressAndPort): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function matchLines(match: WhoHadMatch, question: WhoHadAnswer['question']): string[] {
  const { grade, role, inside, outside, remote, translated, protocol, protonum, start, end, open, endReason, zone, netns } =
    match;
  const what = protocol === 'unknown' ? `protocol ${protonum}` : protocol;
  const way = role === 'source' ? ' to ' : ' from ';
  const place = [...(zone === undefined ? [] : [`zone ${zone}`]), ...(netns === undefined ? [] : [`netns ${netns}`])];
  const lines = [
    `${grade.padEnd(8)}  ${endText(inside)}${remote ? `${way}${endText(remote)}` : ''} ${what}, ${spanText(start, end, question.from)}` +
      [open ? 'still open' : (endReason ?? 'end not explained'), ...(translated ? [] : ['not translated']), ...place]
        .map((text) => `, ${text}`)
        .join('') +
      trafficText(match),
  ];
  if (question.port === undefined || role === 'destination') lines.push(`          as ${endText(outside)}`);
  for (const hop of match.hops)
    lines.push(
      `          which was ${endText(hop.inside)}${hop.zone === undefined ? '' : ` in zone ${hop.zone}`}` +
        `${hop.netns === undefined ? '' : ` in netns ${hop.netns}`}`,
    );
  lines.push(`          ${qualityText(match)}; ${evidenceText(match)}`);
  return lines;
}

/** Times of the same day are without it. */
function spanText(start: number, end: number | undefined, asked: number): string {
  const day = formatMoment(asked).slice(0, 10);
  const text = (at: number) => {
    const full = formatMoment(at);
    return full.startsWith(`${day}T`) ? full.slice(11, -1) : full;
  };
  return end === undefined ? `since ${text(start)}` : `${text(start)} to ${text(end)}`;
}

function trafficText({ sent, received }: WhoHadMatch): string {
  const of = (traffic: Counters | undefined, word: string) =>
    traffic?.bytes === undefined ? [] : [`${bytesText(Number(traffic.bytes))} ${word}`];
  return [...of(sent, 'sent'), ...of(received, 'received')].map((text) => `, ${text}`).join('');
}

/** Bytes for people: `12.0 kB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const STARTS = {
  kernel: 'began at a time of the kernel',
  arrival: 'began when its event arrived',
  listed: 'began before recording',
  found: 'beginning not seen',
} as const;
const ENDS = {
  kernel: 'ended at a time of the kernel',
  arrival: 'ended when its event arrived',
  found: 'end not seen',
  restart: 'end not seen, found at a restart',
  reconcile: 'end not seen, found by comparing',
} as const;

function qualityText({ start, end, quality }: WhoHadMatch): string {
  const { start: begun, end: ended, startSlack, endSlack, clock, clockStep, clockSet, imported, injected } = quality;
  const parts: string[] = [];
  if (begun === 'kernel' && ended === 'kernel') parts.push('times of the kernel');
  else if (begun === 'arrival' && ended === 'arrival') parts.push('times by arrival of events');
  else parts.push(STARTS[begun], ...(ended === undefined ? [] : [ENDS[ended]]));
  if (startSlack > 0 && begun !== 'listed') parts.push(`it may have begun up to ${seconds(startSlack)} earlier`);
  if (endSlack > 0 && end !== undefined)
    parts.push(
      ended === 'arrival' || ended === 'kernel'
        ? `the end may be up to ${seconds(endSlack)} earlier`
        : `it ended between ${formatMoment(Math.max(start, end - endSlack))} and ${formatMoment(end)}`,
    );
  if (clock !== undefined) parts.push(`clock ${clock}`);
  if (clockStep !== undefined) parts.push(`the clock was set by ${seconds(clockStep)} near that time`);
  if (clockSet) parts.push('the clock was set while it lived');
  if (imported) parts.push('imported: this recorder did not see it');
  if (injected) parts.push('a program made it, not a packet');
  return parts.join(', ');
}

function seconds(microseconds: number): string {
  return `${Number((microseconds / SECOND).toFixed(3))} s`;
}

function evidenceText({ evidence: { segment, sequence, sha256, sealed } }: WhoHadMatch): string {
  const record = sequence === undefined ? `open flow in ${segment}` : `record ${sequence} of ${segment}`;
  return `${record}${sha256 === undefined ? (sealed ? '' : ', not sealed yet') : `, sha256 ${sha256}`}`;
}

function groupLine({ inside, grade, flows, start, end }: NonNullable<WhoHadAnswer['groups']>[number]): string {
  const until = end === undefined ? 'now' : formatMoment(end);
  return `${grade.padEnd(8)}  ${inside}, ${flows} ${flows === 1 ? 'flow' : 'flows'}, ${formatMoment(start)} to ${until}`;
}
