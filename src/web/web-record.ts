// What a record of flows says beyond the meter's memory: earlier flows of a tuple, and who had most in a minute.

import { ConntrackError, ValueError } from '../errors.js';
import type { FlowHistory, PastFlowJson, PastGroup } from '../history/index.js';
import { formatFilter } from '../library/index.js';
import type { MinuteGrouping, MinuteGroups, MinuteSort } from '../meter/index.js';
import { joinFilters } from '../meter/index.js';
import type { FlowKeyParts } from './flow-keys.js';
import { WebError } from './web-error.js';

/** Lives that are told. */
const MOST_LIVES = 20;
/** Questions at the same time: each may read for seconds. */
const MOST_ASKED = 2;
const MINUTE = 60;

/** Who had most: only flows that ended in the minute, so that not all is known. */
export type RecordedMinute = Pick<MinuteGroups, 'minute' | 'by'> & {
  /** Files of the record that could not be read. */
  readonly unreadable: number;
  readonly groups: readonly Pick<MinuteGroups['groups'][number], 'key' | 'filter' | 'flows' | 'average'>[];
};

/** Earlier flows, and how many files of the record could not be read. */
export interface RecordedLives {
  readonly lives: readonly PastFlowJson[];
  readonly more: boolean;
  readonly unreadable: number;
}

/** What is read of a record. */
export type ReadableRecord = Pick<FlowHistory, 'flows' | 'top'>;

export class WebRecord {
  readonly #history: ReadableRecord | undefined;
  readonly #scope: string | undefined;
  #asked = 0;

  /** `scope`: no other flows are told. */
  constructor(history: ReadableRecord | undefined, scope: string | undefined) {
    this.#history = history;
    this.#scope = scope;
  }

  get isThere(): boolean {
    return this.#history !== undefined;
  }

  /** The last flows between the same ends and ports, the newest first. @throws WebError */
  async lives({ key: { original }, netns }: FlowKeyParts, signal: AbortSignal): Promise<RecordedLives> {
    const { protonum, src, dst, sport, dport } = original ?? {};
    // A key may be made up.
    if (typeof protonum !== 'number' || typeof src !== 'string' || typeof dst !== 'string')
      throw new WebError(404, 'NOT_FOUND', 'this is no key of a flow');
    const ports = sport === undefined || dport === undefined ? {} : { sport, dport };
    const filter = joinFilters([this.#scope, { protocol: protonum, original: { src, dst, ...ports } }]);
    return this.#ask(async (history) => {
      const lives: PastFlowJson[] = [];
      let unreadable = 0;
      const onUnreadable = () => {
        unreadable++;
      };
      const options = { newestFirst: true, limit: MOST_LIVES + 1, netns, signal, onUnreadable };
      for await (const past of history.flows(filter, options)) lives.push(past.toJSON());
      return { lives: lives.slice(0, MOST_LIVES), more: lives.length > MOST_LIVES, unreadable };
    });
  }

  /** Who had most of the flows that ended in the minute of a time in seconds since the epoch. @throws WebError */
  minute(at: number, by: MinuteGrouping, sort: MinuteSort, limit: number): Promise<RecordedMinute> {
    const minute = Math.floor(at / MINUTE) * MINUTE;
    let unreadable = 0;
    return this.#ask(async (history) => {
      const found = await history.top({
        from: minute * 1e6,
        to: (minute + MINUTE) * 1e6,
        by,
        sort: sort === 'average' ? 'bytes' : 'flows',
        limit,
        filter: this.#scope,
        onUnreadable: () => {
          unreadable++;
        },
      });
      return { minute, by, unreadable, groups: found.map((group) => recordedGroup(by, group)) };
    });
  }

  async #ask<T>(question: (history: ReadableRecord) => Promise<T>): Promise<T> {
    if (!this.#history)
      throw new WebError(404, 'NO_RECORD', 'no record of flows is read here', {
        hint: 'conntrack serve --history DIR reads that of conntrack record',
      });
    if (this.#asked >= MOST_ASKED)
      throw new WebError(503, 'TOO_MANY_QUESTIONS', `${MOST_ASKED} questions are put to the record`, { retryAfter: 1 });
    this.#asked++;
    try {
      return await question(this.#history);
    } catch (error) {
      if (!(error instanceof ConntrackError) || error instanceof ValueError) throw error;
      throw new WebError(503, 'RECORD', error.message, error.hint === undefined ? {} : { hint: error.hint });
    } finally {
      this.#asked--;
    }
  }
}

function recordedGroup(by: MinuteGrouping, { key, flows, bytes, replyBytes }: PastGroup): RecordedMinute['groups'][number] {
  const average = (sum: bigint) => Math.round((10 * Number(sum)) / MINUTE) / 10;
  const [protocol = '', port = ''] = key.split('/');
  return {
    key: by === 'service' ? `${protocol} ${port}` : key,
    filter: formatFilter(
      by === 'service' ? `${/^\d+$/.test(protocol) ? `proto ${protocol}` : protocol} and dst port ${port}` : `${by} ${key}`,
    ),
    flows,
    ...(bytes === undefined ? {} : { average: { original: average(bytes), reply: average(replyBytes ?? 0n) } }),
  };
}
