// Asks a fleet about flows of the past: first who has what, then each for what the others lack.

import { onAbort } from '../library/index.js';
import { CLOCK_OFF } from './agent.js';
import type { CollectorAnswers } from './ask-collectors.js';
import { asHost } from './ask-collectors.js';
import { type Asked, type AskOptions, anyOf, type Fleet } from './fleet.js';
import type { FleetResult, FleetVisitor, MissingHost } from './fleet-question.js';
import type { FlowsPart, FlowsQuestion } from './flows-question.js';
import type { HostInfo } from './inventory.js';
import { type KnownRecord, readKnownRecords } from './known-record.js';
import type { QueryBody } from './operations.js';
import { MOST_PAST_GROUPS } from './past-agent.js';
import { type HostPlan, hadThen, planHost } from './past-plan.js';
import { decodePastRows, MOST_PAST_ROWS, type SentRow } from './past-rows.js';
import { PastStreams } from './past-streams.js';
import { type FleetPastGroup, PastSums } from './past-sums.js';
import type { FleetQuery } from './query-client.js';

/** What is asked. */
export interface PastAsk extends FlowsQuestion {
  /** A filter in canonical text. */
  readonly filter?: string | undefined;
  readonly limit?: number | undefined;
}

/** Whom it was asked, and what is lacking. */
export interface PastResult extends Asked {
  /** Hosts of which something may be missing though they answered, or collectors for them, and why. */
  readonly lacking: ReadonlyMap<string, readonly string[]>;
  /** What is worth telling besides. */
  readonly notes: readonly string[];
  /** Shards for which no collector answers. */
  readonly lackingShards: readonly number[];
}

/** Milliseconds that hosts may search. */
export const PAST_DEADLINE = 300_000;
/** Rows of all hosts and collectors together that are held at most, roughly. */
const MOST_HELD = 50_000;
const LEAST_CHUNK = 32;
/** Milliseconds after which somebody who gave no sign of life is given up. */
const SILENCE = 15_000;

/** Who is asked for what. */
interface Plan {
  readonly hosts: ReadonlyMap<
    string,
    HostPlan & { readonly own: KnownRecord | undefined; readonly copies: readonly KnownRecord[] }
  >;
  readonly collectors: CollectorAnswers<readonly KnownRecord[]> | undefined;
  readonly asked: Asked;
  readonly unreadable: readonly string[];
}

/** Flows in the order of their ends. `take` says whether more are wanted; `flush` settles when they were taken. */
export async function readPastFlows(
  fleet: Fleet,
  ask: PastAsk,
  options: AskOptions,
  take: (row: SentRow) => boolean,
  flush: () => Promise<void>,
): Promise<PastResult> {
  const plan = await planPast(fleet, ask, options);
  let left = ask.limit ?? Number.POSITIVE_INFINITY;
  const enough = new AbortController();
  const takeSome = (row: SentRow) => {
    const more = left-- > 0 && take(row) && left > 0;
    if (!more) enough.abort();
    return more;
  };
  const streams = new PastStreams(ask.newestFirst === true, takeSome, flush);
  const had = hadAtFirst(plan);
  return askParts(fleet, ask, options, { plan, enough }, (kind, names, query) => {
    const streamOf = (name: string) => `${kind} ${name}`;
    for (const name of names) streams.add(streamOf(name), () => query().more());
    return {
      rows: async (name, _netns, body) => {
        const rows = decodePastRows(body);
        await streams.give(streamOf(name), kind === 'host' ? rows.map((row) => ({ ...row, host: name })) : rows.filter(had));
        return { rows: rows.length, enough: streams.full };
      },
      wants: (name) => streams.wants(streamOf(name)),
      ended: (name) => streams.end(streamOf(name)),
    };
  });
}

/** The largest groups of all hosts, and whether some have more of them than is known. */
export async function readPastSums(
  fleet: Fleet,
  ask: PastAsk,
  options: AskOptions,
): Promise<PastResult & { readonly groups: readonly FleetPastGroup[]; readonly atLeast: boolean }> {
  const { by = 'src', sort = 'bytes', limit = 10 } = ask;
  const sums = new PastSums();
  const most = Math.min(MOST_PAST_GROUPS, Math.max(1000, 4 * limit));
  const plan = await planPast(fleet, ask, options);
  const asked = { ...ask, by, sort, limit: most };
  const enough = new AbortController();
  const result = await askParts(fleet, asked, options, { plan, enough }, () => ({ value: (_name, told) => sums.add(told) }));
  return { ...result, ...sums.largest(sort, limit) };
}

/** Finds out who has what. */
async function planPast(fleet: Fleet, ask: PastAsk, options: AskOptions): Promise<Plan> {
  const past: FlowsPart = { ...(ask.span ? { span: ask.span } : {}) };
  const own = new Map<string, KnownRecord>();
  const unreadable: string[] = [];
  const visitor: FleetVisitor = {
    value: (host, told) => {
      const [record] = readKnownRecords(told) ?? [];
      if (record?.host === host) own.set(host, record);
      else unreadable.push(host);
    },
  };
  const [asked, collectors] = await Promise.all([
    fleet.ask('records', { past }, visitor, options),
    fleet.askCollectors({ op: 'records', body: { past }, read: readKnownRecords }, options),
  ]);
  const isMeant = await meantHosts(fleet, options, asked);
  const copies = new Map<string, KnownRecord[]>();
  for (const record of collectors?.answers.flatMap(({ value }) => value) ?? [])
    if (isMeant(record.host)) copies.set(record.host, [...(copies.get(record.host) ?? []), record]);
  const kind = ask.by === undefined ? 'flows' : 'sums';
  const hosts = new Map(
    [...new Set([...own.keys(), ...copies.keys()])].map((host) => {
      const there = copies.get(host) ?? [];
      return [host, { ...planHost(own.get(host), there, ask.span, kind), own: own.get(host), copies: there }] as const;
    }),
  );
  return { hosts, collectors, asked, unreadable };
}

/** Of collectors, who know all hosts, also those that are gone: which are meant. */
export async function meantHosts(
  fleet: Fleet,
  { on, sites }: Pick<AskOptions, 'on' | 'sites'>,
  { answered, missing, stopped }: Asked,
): Promise<(host: string) => boolean> {
  if (!on && !sites) return () => true;
  const matches = on && anyOf(on);
  const { hosts } = await fleet.inventory();
  const asked = new Set([...answered, ...missing, ...stopped].map(({ host }) => host));
  const known = new Set(hosts.map(({ host }) => host));
  return (host) => asked.has(host) || (!sites && !known.has(host) && matches!(host));
}

/** Whether a collector had a record when it was planned who is asked for it: what came to it since is asked of the host. */
function hadAtFirst({ hosts }: Plan): (row: SentRow) => boolean {
  return ({ host, recorder, row }) =>
    hadThen(
      hosts.get(host)?.copies.find((copy) => copy.recorder === recorder),
      Number(row['seq']),
    );
}

type VisitorOf = (kind: 'host' | 'collector', names: readonly string[], query: () => FleetQuery) => FleetVisitor;

async function askParts(
  fleet: Fleet,
  ask: PastAsk,
  options: AskOptions,
  { plan, enough }: Asking,
  visitorOf: VisitorOf,
): Promise<PastResult> {
  const { filter, limit, ...question } = ask;
  const { hosts, collectors } = plan;
  const infos = new Map((await fleet.inventory()).hosts.map((info) => [info.host, info]));
  const askedHosts = [...hosts].flatMap(([host, { asks }]) => (asks && infos.has(host) ? [infos.get(host)!] : []));
  const answers = (collectors?.answers ?? []).filter(({ value }) => value.some(({ host }) => hosts.has(host)));
  const chunk = Math.max(LEAST_CHUNK, Math.min(MOST_PAST_ROWS, Math.floor(MOST_HELD / (askedHosts.length + answers.length + 1))));
  const common = { ...(filter === undefined ? {} : { filter }), ...(limit === undefined ? {} : { limit }) };
  const part = { ...question, chunk };
  const hostBody = (host: string): QueryBody => {
    const { own, except } = hosts.get(host)!;
    return { ...common, past: { ...part, recorder: own!.recorder, except } };
  };
  const bodies = new Map(
    answers.map(({ collector, shards, value }): [string, QueryBody] => {
      const chosen =
        options.on || options.sites
          ? { hosts: [...new Set(value.map(({ host }) => host))].filter((host) => hosts.has(host)) }
          : {};
      return [collector.name, { ...common, shards, past: { ...part, ...chosen } }];
    }),
  );
  const queries: FleetQuery[] = [];
  const terms = {
    op: 'history',
    body: {},
    encoding: 'jc1',
    silence: SILENCE,
    wait: SILENCE,
    deadline: options.deadline,
    signal: enough.signal,
  } as const;
  const visitors = [
    visitorOf(
      'host',
      askedHosts.map(({ host }) => host),
      () => queries[0]!,
    ),
    visitorOf('collector', [...bodies.keys()], () => queries[1]!),
  ] as const;
  queries.push(
    fleet.query({ ...terms, hosts: askedHosts, bodyOf: hostBody }, visitors[0]),
    fleet.query(
      {
        ...terms,
        hosts: answers.map(({ collector }) => asHost(collector)),
        collectors: true,
        bodyOf: (name) => bodies.get(name)!,
      },
      visitors[1],
    ),
  );
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    enough.abort();
  };
  const heeding = options.signal?.aborted ? interrupt() : onAbort(options.signal, interrupt);
  try {
    const [ofHosts, ofCollectors] = await Promise.all(queries.map((query) => query.run()));
    return toResult(plan, ofHosts!, ofCollectors!, { infos, hasEnough: enough.signal.aborted && !interrupted });
  } catch (error) {
    enough.abort();
    throw error;
  } finally {
    heeding?.();
  }
}

function toResult(
  { hosts, collectors, asked, unreadable }: Plan,
  ofHosts: FleetResult,
  ofCollectors: FleetResult,
  { infos, hasEnough }: { readonly infos: ReadonlyMap<string, HostInfo>; readonly hasEnough: boolean },
): PastResult {
  const counts = ({ why }: MissingHost) => !(hasEnough && why === 'cancelled');
  const late = ofHosts.missing.filter(counts);
  const lacking = new Map<string, readonly string[]>();
  const add = (host: string, why: readonly string[]) => {
    if (why.length > 0) lacking.set(host, [...(lacking.get(host) ?? []), ...why]);
  };
  for (const [host, { why }] of hosts) add(host, why);
  for (const host of unreadable) add(host, ['its answer cannot be read']);
  for (const { host: name, why, error } of ofCollectors.missing.filter(counts)) {
    const answer = collectors!.answers.find(({ collector }) => collector.name === name)!;
    const reason = `collector ${name}: ${error?.message ?? `no complete answer (${why})`}`;
    for (const host of new Set(answer.value.map((record) => record.host))) if (hosts.has(host)) add(host, [reason]);
  }
  // Of a host that does not answer, collectors may know all that it would say.
  const silent = asked.missing.filter(({ host }) => hosts.get(host)?.why.length !== 0);
  const missing = [...silent, ...late].sort((a, b) => (a.host < b.host ? -1 : 1));
  const clocks = [...hosts.keys()].flatMap((host) => {
    const offset = infos.get(host)?.clock?.offset ?? 0;
    return Math.abs(offset) > CLOCK_OFF
      ? [`the clock of ${host} is off by ${(offset / 1000).toFixed(1)} s, and so are its times`]
      : [];
  });
  return {
    ...asked,
    answered: [...ofHosts.answered, ...asked.answered.filter(({ host }) => !ofHosts.answered.some((one) => one.host === host))],
    missing,
    complete: missing.length === 0 && lacking.size === 0 && asked.unlisted === undefined,
    lacking,
    notes: [...(collectors?.problems ?? []), ...clocks.slice(0, 5)],
    lackingShards: missing.length > 0 ? (collectors?.lacking ?? []) : [],
  };
}

interface Asking {
  readonly plan: Plan;
  /** Nothing more is wanted. */
  readonly enough: AbortController;
}
