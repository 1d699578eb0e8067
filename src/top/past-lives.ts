// What a record says of the past of a flow: the last flows between the same ends and ports. The reader of records is loaded when it is
// asked for the first time.

import type { PastFlow } from '../history/index.js';
import type { Signal } from '../library/index.js';
import type { MeteredFlow } from '../meter/index.js';
import { age, bytes, count } from '../units.js';
import { DIM } from './style.js';
import type { TextLine } from './text-pane.js';

/** Lives that are shown. */
const MOST_LIVES = 20;

/** The last lives of a flow's tuple in the record of a directory. @throws HistoryError, PlatformError, the signal's reason */
export async function askPast({ flow: { original } }: MeteredFlow, directory: string, signal: Signal): Promise<TextLine[]> {
  const { openHistory, formatMoment } = await import('../history/index.js');
  const { protonum, src, dst, sport, dport } = original;
  const ports = sport === undefined || dport === undefined ? '' : ` and src port ${sport} and dst port ${dport}`;
  const filter = `proto ${protonum} and src ${src} and dst ${dst}${ports}`;
  const history = await openHistory(directory);
  try {
    const lives: PastFlow[] = [];
    for await (const past of history.flows(filter, { newestFirst: true, limit: MOST_LIVES + 1, signal })) lives.push(past);
    return pastLines(lives, directory, formatMoment);
  } finally {
    await history.close();
  }
}

/** A line for each, as they come; one more than `MOST_LIVES` stands for those that are left out. */
export function pastLines(lives: readonly PastFlow[], directory: string, moment: (microseconds: number) => string): TextLine[] {
  if (lives.length === 0) return [{ text: `the record in ${directory} has none` }];
  return [
    ...lives.slice(0, MOST_LIVES).map((life) => ({ text: lifeText(life, moment) })),
    ...(lives.length > MOST_LIVES ? [{ text: 'and earlier ones: conntrack history lists them all', style: DIM }] : []),
  ];
}

function lifeText({ flow, start, end, endReason, quality, netns }: PastFlow, moment: (microseconds: number) => string): string {
  const since = quality.start === 'listed' ? 'before ' : '';
  const span =
    end === undefined
      ? 'lives'
      : `to ${moment(end)}  ${age((end - start) / 1e6)}${endReason === undefined ? '' : `  ${endReason}`}`;
  const { original, reply } = flow;
  const side = ({ packets = 0n, bytes: size = 0n }: typeof original) =>
    `${count(Number(packets))} ${packets === 1n ? 'packet' : 'packets'} ${bytes(Number(size))}`;
  // What lives has not been counted up yet.
  const none = end === undefined ? '' : '  no counters';
  const counted = quality.counters === 'none' ? none : `  ${side(original)} out, ${side(reply)} back`;
  return `${netns === undefined ? '' : `${netns}: `}${since}${moment(start)} ${span}${counted}`;
}
