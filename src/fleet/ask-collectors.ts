// Questions to collectors: each shard is asked for once, of the collector that knows most of it, and then of others.

import type { CollectorValue } from './collector-value.js';
import type { FleetQuestion, FleetResult, FleetVisitor } from './fleet-question.js';
import type { HostInfo } from './inventory.js';
import type { Operation, QueryBody } from './operations.js';
import { SHARDS } from './subjects.js';

/** A collector of the fleet. */
export interface CollectorInfo extends Omit<CollectorValue, 'v' | 'state'> {
  /** `silent`: it has not been heard of for 45 seconds, and did not say that it would stop. */
  readonly state: CollectorValue['state'] | 'silent';
  /** Milliseconds since it was heard of. */
  readonly age: number;
  /** Numbers of its shards. */
  readonly holds: readonly number[];
}

/** What is asked. */
export interface CollectorQuestion<T> {
  readonly collectors: readonly CollectorInfo[];
  readonly op: Operation;
  readonly body: QueryBody;
  /** Reads an answer; `undefined` if it is none. */
  readonly read: (told: unknown) => T | undefined;
}

/** What collectors answered. */
export interface CollectorAnswers<T> {
  readonly answers: readonly { readonly collector: CollectorInfo; readonly shards: readonly number[]; readonly value: T }[];
  /** Shards of which no collector answered. */
  readonly lacking: readonly number[];
  /** Why some did not. */
  readonly problems: readonly string[];
}

type Terms = Pick<FleetQuestion, 'wait' | 'deadline' | 'signal'>;
/** Asks some of them. */
type Run = (question: FleetQuestion, visitor: FleetVisitor) => Promise<FleetResult>;

export async function askCollectors<T>(
  run: Run,
  { collectors, op, body, read }: CollectorQuestion<T>,
  terms: Terms,
): Promise<CollectorAnswers<T>> {
  const left = new Set(Array.from({ length: SHARDS }, (_, n) => n));
  const answers: CollectorAnswers<T>['answers'][number][] = [];
  const problems: string[] = [];
  const untried = new Set(collectors.filter(({ state }) => state === 'up'));
  const ask = async (collector: CollectorInfo, shards: readonly number[]) => {
    const answer = await askOne(run, collector, { op, body: { ...body, shards }, read }, terms);
    if ('problem' in answer) {
      problems.push(`${collector.name}: ${answer.problem}`);
      return;
    }
    answers.push({ collector, shards, value: answer.value });
    for (const shard of shards) left.delete(shard);
  };
  while (left.size > 0 && untried.size > 0) {
    const asked: Promise<void>[] = [];
    const spoken = new Set<number>();
    for (const collector of [...untried].sort((a, b) => b.until - a.until)) {
      const shards = collector.holds.filter((shard) => left.has(shard) && !spoken.has(shard));
      if (shards.length === 0) continue;
      for (const shard of shards) spoken.add(shard);
      untried.delete(collector);
      asked.push(ask(collector, shards));
    }
    if (asked.length === 0) break;
    await Promise.all(asked);
  }
  return { answers, lacking: [...left].sort((a, b) => a - b), problems };
}

async function askOne<T>(
  run: Run,
  collector: CollectorInfo,
  { op, body, read }: Pick<CollectorQuestion<T>, 'op' | 'body' | 'read'>,
  terms: Terms,
): Promise<{ readonly value: T } | { readonly problem: string }> {
  if (!collector.features.includes(op)) return { problem: `its version ${collector.agent} does not know ${op}` };
  let value: T | undefined;
  const visitor = {
    value: (_name: string, told: unknown) => {
      value = read(told);
    },
  };
  const question = { op, body, hosts: [asHost(collector)], collectors: true, ...terms };
  const [missing] = (await run(question, visitor)).missing;
  if (missing) return { problem: missing.error?.message ?? `no answer (${missing.why})` };
  return value === undefined ? { problem: 'its answer cannot be read' } : { value };
}

/** A collector, where a host is meant. */
export function asHost({ name, instance, agent, features }: CollectorInfo): HostInfo {
  return {
    host: name,
    site: '',
    state: 'up',
    instance,
    machine: '',
    pid: 0,
    agent,
    features,
    kernel: '',
    netns: [],
    entries: 0,
    maxEntries: 0,
    allow: [],
    off: [],
    record: null,
    clock: null,
    age: 0,
  };
}
