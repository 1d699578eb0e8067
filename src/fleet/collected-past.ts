// CollectedPast: the copies of a collector, as they can be asked about.

import { FlowHistory, openHistory, type WhoHadAnswer } from '../history/index.js';
import type { PastGroupSums } from '../history/past-groups.js';
import type { CopyMeta } from '../history/record-copy.js';
import { answerJson } from '../history/who-had-text.js';
import type { CollectedAnswer, CollectedRecord } from './collected.js';
import { FleetError } from './fleet-error.js';
import type { FlowsPart } from './flows-question.js';
import { type KnownRecord, knownRecord } from './known-record.js';
import { lookFurther, type PastQuestion } from './past-question.js';
import type { SentRow } from './past-rows.js';
import { flowsOf, type PastAsked, type PastSearch, type PastSource, sumsOf } from './past-source.js';
import { shardOf } from './subjects.js';

/** A copy, as the store knows it. */
export interface StoredCopy {
  readonly host: string;
  readonly recorder: string;
  readonly directory: string;
  readonly meta: CopyMeta;
}

/** Copies whose files one question reads at the same time. */
const MOST_AT_ONCE = 1000;

export class CollectedPast implements PastSource {
  readonly #copies: () => readonly StoredCopy[];
  readonly #shards: readonly number[];
  readonly #histories = new Map<string, FlowHistory>();

  /** `shards`: those that this collector has. */
  constructor(copies: () => readonly StoredCopy[], shards: readonly number[]) {
    this.#copies = copies;
    this.#shards = shards;
  }

  async whoHad(question: PastQuestion, { shards }: PastAsked): Promise<CollectedAnswer> {
    const records: CollectedRecord[] = [];
    for (const { host, recorder, meta, directory } of this.#asked(shards)) {
      const { offset = 0, offsetError = 0, applied, alive, openFrom } = meta;
      const within = (question.within ?? 0) + lookFurther({ offset, error: offsetError });
      const history = await this.#history(directory);
      const answer: WhoHadAnswer = await history.whoHad({ ...question, within });
      const silent = answer.complete && answer.matches.length === 0;
      records.push({
        host,
        recorder,
        applied,
        from: answer.coverage.from,
        alive,
        openFrom: openFrom ?? null,
        complete: answer.complete,
        ...(silent ? {} : { answer: JSON.parse(answerJson(answer)) }),
      });
    }
    return { records };
  }

  async records({ span, hosts }: FlowsPart, { shards }: PastAsked): Promise<readonly KnownRecord[]> {
    const known: KnownRecord[] = [];
    for (const { host, recorder, meta, directory } of this.#asked(shards, hosts)) {
      const [state] = await (await this.#history(directory)).states(span);
      known.push(knownRecord({ host, recorder, openFrom: meta.openFrom }, state!, span));
    }
    return known;
  }

  async *flows(part: FlowsPart, asked: PastAsked, search: PastSearch): AsyncGenerator<SentRow> {
    const history = await this.#together(part, asked);
    for await (const { found } of flowsOf(history, part, asked, search)) {
      const { host, recorder } = found.segment.meta;
      yield { ...found, host, recorder };
    }
  }

  async sums(part: FlowsPart, asked: PastAsked, search: PastSearch): Promise<PastGroupSums> {
    return sumsOf(await this.#together(part, asked), part, asked, search);
  }

  #asked(shards: readonly number[] | undefined, hosts?: readonly string[]): readonly StoredCopy[] {
    const wanted = new Set((shards ?? this.#shards).filter((shard) => this.#shards.includes(shard)));
    const names = hosts && new Set(hosts);
    return this.#copies().filter(({ host }) => wanted.has(Number(shardOf(host))) && (names?.has(host) ?? true));
  }

  async #together({ span, hosts }: FlowsPart, { shards }: PastAsked): Promise<FlowHistory> {
    const concerned = this.#asked(shards, hosts).filter(({ meta }) => !span || meta.alive >= span.from);
    if (concerned.length > MOST_AT_ONCE)
      throw new FleetError('REQUEST', `${concerned.length} copies at once are too many`, {
        hint: `--on or --site chooses some; ${MOST_AT_ONCE} at most`,
      });
    const histories: FlowHistory[] = [];
    for (const { directory } of concerned) histories.push(await this.#history(directory));
    return FlowHistory.together(histories);
  }

  async #history(directory: string): Promise<FlowHistory> {
    const known = this.#histories.get(directory) ?? (await openHistory(directory));
    this.#histories.set(directory, known);
    return known;
  }
}
