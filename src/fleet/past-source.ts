// What can be asked about the past: the record of a host, or the copies of a collector.

import type { FoundRow } from '../history/flow-search.js';
import { type FlowHistory, openHistory } from '../history/open-history.js';
import type { PastGroupSums } from '../history/past-groups.js';
import { FleetError } from './fleet-error.js';
import type { FlowsPart } from './flows-question.js';
import type { HostValue } from './inventory.js';
import { type KnownRecord, knownRecord } from './known-record.js';
import { askRecord, type PastQuestion, writeAsked } from './past-question.js';
import type { SentRow } from './past-rows.js';

/** Who asks, and for what of it. */
export interface PastAsked {
  readonly user: string;
  readonly filter?: string | undefined;
  readonly limit?: number | undefined;
  /** Of collectors: numbers of shards. */
  readonly shards?: readonly number[] | undefined;
}

/** How a search is told of. */
export interface PastSearch {
  /** Called every few milliseconds; what it throws ends the search. */
  readonly check: () => void;
  /** A part of it cannot be read. */
  readonly problem: (reason: string) => void;
}

/** The past, as it can be asked for. */
export interface PastSource {
  whoHad(question: PastQuestion, asked: PastAsked): Promise<object>;
  /** What there is of a span. */
  records(part: FlowsPart, asked: PastAsked): Promise<readonly KnownRecord[]>;
  /** Flows in the order of their ends. @throws FleetError `REQUEST` */
  flows(part: FlowsPart, asked: PastAsked, search: PastSearch): AsyncIterable<SentRow>;
  /** Sums of flows that ended in the span. @throws FleetError `REQUEST` */
  sums(part: FlowsPart, asked: PastAsked, search: PastSearch): Promise<PastGroupSums>;
}

/** The record of this host. */
export class HostRecord implements PastSource {
  readonly #directory: string;
  readonly #host: string;
  readonly #clock: () => HostValue['clock'];
  #history: FlowHistory | undefined;

  constructor(directory: string, host: string, clock: () => HostValue['clock']) {
    this.#directory = directory;
    this.#host = host;
    this.#clock = clock;
  }

  whoHad(question: PastQuestion, { user }: PastAsked): Promise<object> {
    return askRecord(this.#directory, question, { clock: this.#clock(), user });
  }

  async records({ span }: FlowsPart): Promise<readonly KnownRecord[]> {
    const [state] = await (await this.#opened()).states(span);
    return [knownRecord({ host: this.#host, recorder: state!.recorder }, state!, span)];
  }

  async *flows(part: FlowsPart, asked: PastAsked, search: PastSearch): AsyncGenerator<SentRow> {
    const { history, recorder } = await this.#begin(part, asked);
    for await (const { found } of flowsOf(history, part, asked, search)) yield { ...found, host: this.#host, recorder };
  }

  async sums(part: FlowsPart, asked: PastAsked, search: PastSearch): Promise<PastGroupSums> {
    const { history } = await this.#begin(part, asked);
    return sumsOf(history, part, asked, search);
  }

  async #begin(part: FlowsPart, asked: PastAsked): Promise<{ readonly history: FlowHistory; readonly recorder: string }> {
    const { chunk: _, except: __, ...question } = part;
    writeAsked(this.#directory, ['history', { ...question, filter: asked.filter }], asked.user);
    const history = await this.#opened();
    const [state] = await history.states(undefined);
    if (part.recorder !== undefined && part.recorder !== state!.recorder)
      throw new FleetError('REQUEST', 'this host has another record now', { hint: 'ask again' });
    return { history, recorder: state!.recorder };
  }

  async #opened(): Promise<FlowHistory> {
    this.#history ??= await openHistory(this.#directory);
    return this.#history;
  }
}

/** Flows of a record, or of several in one order. */
export async function* flowsOf(
  history: FlowHistory,
  { span, newestFirst, netns, except }: FlowsPart,
  { filter, limit }: PastAsked,
  { check, problem }: PastSearch,
): AsyncGenerator<{ readonly end: number | undefined; readonly found: FoundRow }, void, undefined> {
  const options = {
    ...span,
    newestFirst,
    netns,
    except,
    limit,
    check,
    onUnreadable: (_: string, reason: string) => problem(reason),
  };
  for await (const some of history.read(filter, options, () => (found) => ({ end: endOf(found), found }))) yield* some;
}

function endOf({ row, open }: FoundRow): number | undefined {
  return open ? undefined : Number(row['start']) + Number(row['dur']);
}

export function sumsOf(
  history: FlowHistory,
  { by = 'src', span, netns, except }: FlowsPart,
  { filter }: PastAsked,
  { check, problem }: PastSearch,
): Promise<PastGroupSums> {
  return history.sums(by, { ...span, filter, netns, except, check, onUnreadable: (_, reason) => problem(reason) });
}
