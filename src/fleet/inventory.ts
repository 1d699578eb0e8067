// The inventory: what each agent says of itself in the bucket of hosts, and what follows from its age.

import type { BucketContents, BucketEntry, Bus } from './bus.js';
import { isRecorder } from './jc1.js';
import { objectOf } from './json-object.js';
import { HOSTS_BUCKET, isName } from './subjects.js';

/** Pause between heartbeats, in milliseconds. */
export const HEARTBEAT = 15_000;
/** An agent that was silent for so long is not expected to answer. */
export const ALIVE = 45_000;
/** How long a host that has gone is still known. */
export const REMEMBERED = 7 * 86_400_000;

/** What an agent says of its state; the last one stays until it starts again. */
export const AGENT_STATES = ['up', 'draining', 'stopped'] as const;
/** What an agent says of its state. */
export type AgentState = (typeof AGENT_STATES)[number];

/** How far a record is shipped. Times are microseconds since the epoch. */
export interface ShippedTo {
  /** What collectors call the record. */
  readonly recorder: string;
  /** Number of the last record that the servers confirmed, and when that flow ended. */
  readonly acked: number;
  readonly mark: number;
  /** What ended before then is shipped, but for gaps. */
  readonly alive: number;
  /** Records that wait. */
  readonly behind: number;
}

/** What an agent says of itself: the value in the bucket. */
export interface HostValue {
  readonly v: 1;
  readonly host: string;
  readonly site: string;
  readonly state: AgentState;
  /** This start of the agent. */
  readonly instance: string;
  /** A hash of the machine's identity. */
  readonly machine: string;
  readonly pid: number;
  /** Its version. */
  readonly agent: string;
  /** Operations and encodings that it knows. */
  readonly features: readonly string[];
  readonly kernel: string;
  /** Names of network namespaces, if it looks into several. */
  readonly netns: readonly string[];
  readonly entries: number;
  /** 0 if the kernel does not say. */
  readonly maxEntries: number;
  /** Changes that it may make. */
  readonly allow: readonly string[];
  /** What its kernel does not keep, though records need it: of `acct`, `timestamp`, `events`. */
  readonly off: readonly string[];
  /** How far its record is shipped; `null`: it ships none. */
  readonly record: ShippedTo | null;
  /** Milliseconds by which its clock is ahead of the servers', and how far off that may be; `null`: not known yet. */
  readonly clock: { readonly offset: number; readonly error: number } | null;
}

/** A host of the fleet. */
export interface HostInfo extends Omit<HostValue, 'v' | 'state'> {
  /** `silent`: it has not been heard of for 45 seconds, and did not say that it would stop. */
  readonly state: AgentState | 'silent';
  /** Milliseconds since it was heard of. */
  readonly age: number;
}

/** Every host, in the order of names. What cannot be read is left out and counted. */
export interface Inventory {
  readonly hosts: readonly HostInfo[];
  readonly unreadable: number;
}

/** @throws FleetError */
export async function readInventory(bus: Bus): Promise<Inventory> {
  return inventoryOf(await bus.readBucket(HOSTS_BUCKET));
}

export function inventoryOf({ entries, now }: BucketContents): Inventory {
  const hosts = entries.map((entry) => hostInfo(entry, now)).filter((host) => host !== undefined);
  hosts.sort((a, b) => (a.host < b.host ? -1 : 1));
  return { hosts, unreadable: entries.length - hosts.length };
}

function hostInfo(entry: BucketEntry, now: number): HostInfo | undefined {
  const value = readHostValue(entry);
  if (!value) return undefined;
  const { v: _, state, ...rest } = value;
  const age = Math.max(0, now - entry.at);
  return { ...rest, age, state: state !== 'stopped' && age > ALIVE ? 'silent' : state };
}

/** Whether queries expect its answer. */
export function isExpected({ state }: Pick<HostInfo, 'state'>): boolean {
  return state === 'up';
}

/** Bytes of a value. */
const MOST_BYTES = 16_384;
const MOST_TEXT = 128;
const MOST_ITEMS = 256;

/** A value of the bucket; `undefined` if it is none, or is of another host than its key says. */
export function readHostValue({ key, value }: Pick<BucketEntry, 'key' | 'value'>): HostValue | undefined {
  const told = objectOf<keyof HostValue>(value, MOST_BYTES);
  if (!isName(key) || told?.v !== 1 || told.host !== key || !isName(told.site)) return undefined;
  const state = AGENT_STATES.find((one) => one === told.state);
  if (!state) return undefined;
  const text = (name: keyof HostValue) => (typeof told[name] === 'string' ? (told[name] as string).slice(0, MOST_TEXT) : '');
  const number = (name: keyof HostValue) => (Number.isSafeInteger(told[name]) ? Math.max(0, told[name] as number) : 0);
  const texts = (name: keyof HostValue) =>
    Array.isArray(told[name])
      ? (told[name] as unknown[]).slice(0, MOST_ITEMS).filter((item) => typeof item === 'string' && item.length <= MOST_TEXT)
      : [];
  return {
    v: 1,
    host: key,
    site: told.site,
    state,
    instance: text('instance'),
    machine: text('machine'),
    pid: number('pid'),
    agent: text('agent'),
    features: texts('features') as string[],
    kernel: text('kernel'),
    netns: texts('netns') as string[],
    entries: number('entries'),
    maxEntries: number('maxEntries'),
    allow: texts('allow') as string[],
    off: texts('off') as string[],
    record: recordOf(told.record),
    clock: clockOf(told.clock),
  };
}

function recordOf(told: unknown): ShippedTo | null {
  const { recorder, acked, mark, alive, behind } = (told ?? {}) as Readonly<Record<keyof ShippedTo, unknown>>;
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof recorder !== 'string' || !isRecorder(recorder)) return null;
  if (!isWhole(acked) || !isWhole(mark) || !isWhole(alive) || !isWhole(behind)) return null;
  return { recorder, acked, mark, alive, behind };
}

function clockOf(told: unknown): HostValue['clock'] {
  const { offset, error } = (told ?? {}) as { readonly offset?: unknown; readonly error?: unknown };
  if (typeof offset !== 'number' || typeof error !== 'number' || !Number.isFinite(offset) || !Number.isFinite(error)) return null;
  return { offset, error: Math.abs(error) };
}

export function encodeHostValue(value: HostValue): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
