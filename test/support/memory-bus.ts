// A bus within this process: what the servers of a fleet do, as far as questions and answers need it, and without permissions.

import {
  type AppendOptions,
  type BucketContents,
  type BucketEntry,
  type Bus,
  type BusMessage,
  type BusSubscription,
  type FollowedMessage,
  type PublishOptions,
  RevisionError,
  type StreamConfig,
  type StreamMessage,
  type StreamState,
} from '../../src/fleet/bus.js';
import { FleetError } from '../../src/fleet/fleet-error.js';

interface Listener {
  readonly parts: readonly string[];
  readonly take: (message: BusMessage) => void;
}

interface MemoryStream {
  readonly parts: readonly string[];
  readonly created: string;
  /** The oldest may have been taken away. */
  readonly messages: (StreamMessage & { readonly id: string | undefined; header(name: string): string | undefined })[];
  last: number;
}

/** Servers: each bus of them is a connection. */
export class MemoryServers {
  readonly listeners = new Set<Listener>();
  readonly buckets = new Map<string, Map<string, BucketEntry>>();
  /** By name; each has the pattern of its subjects. */
  readonly streams = new Map<string, MemoryStream>();
  /** What becomes of a message for a stream: it is refused, or kept without a word. */
  appends: (subject: string) => 'kept' | 'refused' | 'unanswered' = () => 'kept';
  /** Messages that were published. */
  published = 0;
  revision = 0;
  /** Whether a message is to be lost. */
  loses: (subject: string, data: Uint8Array, options: PublishOptions) => boolean = () => false;

  connect(): MemoryBus {
    return new MemoryBus(this);
  }

  deliver(subject: string, data: Uint8Array, { reply, headers = {} }: PublishOptions, status = 0): boolean {
    const parts = subject.split('.');
    const found = [...this.listeners].filter((listener) => matches(listener.parts, parts));
    const message = messageOf(headers, data.slice(), { subject, reply, status });
    for (const { take } of found) setImmediate(() => take(message));
    return found.length > 0;
  }
}

/** A message as it is received. */
export function messageOf(
  headers: Readonly<Record<string, string>>,
  data = new Uint8Array(0),
  { subject = '', reply, status = 0 }: Partial<Pick<BusMessage, 'subject' | 'reply' | 'status'>> = {},
): BusMessage {
  return { subject, reply, data, status, header: (name) => headers[name] };
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  if (pattern.at(-1) === '>')
    return parts.length >= pattern.length && matches(pattern.slice(0, -1), parts.slice(0, pattern.length - 1));
  return pattern.length === parts.length && pattern.every((part, i) => part === '*' || part === parts[i]);
}

export class MemoryBus implements Bus {
  readonly server = 'memory:0';
  readonly serverVersion = '2.9.10';
  connected = true;
  readonly #servers: MemoryServers;
  readonly #own = new Set<Listener>();
  readonly #callbacks = new Set<(what: 'lost' | 'back') => void>();
  readonly #refusals = new Set<(subject: string) => boolean>();
  /** What its key does not let it publish. */
  forbidden: (subject: string) => boolean = () => false;

  constructor(servers: MemoryServers) {
    this.#servers = servers;
  }

  publish(subject: string, data: Uint8Array, options: PublishOptions = {}): void {
    this.#servers.published++;
    if (this.forbidden(subject)) {
      for (const callback of this.#refusals) callback(subject);
      return;
    }
    if (!this.connected || this.#servers.loses(subject, data, options)) return;
    const heard = this.#servers.deliver(subject, data, options);
    if (!heard && options.reply !== undefined) this.#servers.deliver(options.reply, new Uint8Array(0), {}, 503);
  }

  subscribe(subject: string, take: (message: BusMessage) => void): BusSubscription {
    const listener = { parts: subject.split('.'), take };
    this.#servers.listeners.add(listener);
    this.#own.add(listener);
    return {
      unsubscribe: () => {
        this.#servers.listeners.delete(listener);
        this.#own.delete(listener);
      },
    };
  }

  async flush(): Promise<void> {}

  async hasBucket(bucket: string): Promise<boolean> {
    return this.#servers.buckets.has(bucket);
  }

  async makeBucket(bucket: string): Promise<void> {
    this.#servers.buckets.set(bucket, new Map());
  }

  async readBucket(bucket: string): Promise<BucketContents> {
    const entries = this.#servers.buckets.get(bucket);
    if (!entries) throw new FleetError('NOT_SET_UP', 'there is no such bucket');
    return { entries: [...entries.values()], now: Date.now() };
  }

  async readKey(bucket: string, key: string): Promise<BucketEntry | undefined> {
    return this.#servers.buckets.get(bucket)?.get(key);
  }

  async writeKey(bucket: string, key: string, value: Uint8Array, revision: number): Promise<number> {
    const entries = this.#servers.buckets.get(bucket);
    if (!entries) throw new FleetError('NOT_SET_UP', 'there is no such bucket');
    if ((entries.get(key)?.revision ?? 0) !== revision) throw new RevisionError(key);
    const entry = { key, value, revision: ++this.#servers.revision, at: Date.now() };
    entries.set(key, entry);
    return entry.revision;
  }

  async hasStream(name: string): Promise<boolean> {
    return this.#servers.streams.has(name);
  }

  async streamHealth(): Promise<undefined> {}

  async bucketHealth(): Promise<undefined> {}

  async makeStream({ name, subjects }: StreamConfig): Promise<void> {
    this.#servers.streams.set(name, {
      parts: subjects[0]!.split('.'),
      created: `${++this.#servers.revision}`,
      messages: [],
      last: 0,
    });
  }

  async addSite(): Promise<boolean> {
    throw new Error('there are no sites in memory');
  }

  async append(subject: string, data: Uint8Array, { id, headers }: Partial<AppendOptions> = {}): Promise<number> {
    await new Promise((resolve) => setImmediate(resolve));
    const stream = [...this.#servers.streams.values()].find(({ parts }) => matches(parts, subject.split('.')));
    const fate = this.#servers.appends(subject);
    if (!stream || !this.connected || fate === 'refused' || this.#servers.loses(subject, data, {}))
      throw new FleetError('UNAVAILABLE', `nothing keeps ${subject}`);
    let kept = id === undefined ? undefined : stream.messages.find((message) => message.id === id);
    if (!kept) {
      const header = (name: string) => headers?.[name];
      kept = { subject, data: data.slice(), sequence: ++stream.last, at: Date.now(), id, header };
      stream.messages.push(kept);
    }
    if (fate === 'unanswered') throw new FleetError('UNAVAILABLE', 'no answer');
    return kept.sequence;
  }

  async *readStream(name: string, { subject, from = 0 }: { readonly subject: string; readonly from?: number | undefined }) {
    for (const message of this.#servers.streams.get(name)?.messages ?? [])
      if (message.at >= from && matches(subject.split('.'), message.subject.split('.'))) yield message;
  }

  async streamState(name: string): Promise<StreamState | undefined> {
    const stream = this.#servers.streams.get(name);
    if (!stream) return undefined;
    const { created, messages, last } = stream;
    return { created, last, first: messages[0]?.sequence ?? last + 1, bytes: 0 };
  }

  async *followStream(
    name: string,
    { subject, from, signal }: { readonly subject: string; readonly from: number; readonly signal: AbortSignal },
  ): AsyncGenerator<FollowedMessage, void, undefined> {
    const pattern = subject.split('.');
    for (let next = from; !signal.aborted; ) {
      const stream = this.#servers.streams.get(name);
      if (!stream || !this.connected) throw new FleetError('UNAVAILABLE', 'there is no such stream');
      const found = stream.messages.find((message) => message.sequence >= next && matches(pattern, message.subject.split('.')));
      if (!found) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      next = found.sequence + 1;
      yield { ...found, pending: stream.last - found.sequence };
    }
  }

  onConnection(callback: (what: 'lost' | 'back') => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  onRefusal(callback: (subject: string) => boolean): () => void {
    this.#refusals.add(callback);
    return () => this.#refusals.delete(callback);
  }

  /** Loses everything, and is back at once. */
  reconnect(): void {
    for (const callback of this.#callbacks) callback('lost');
    for (const callback of this.#callbacks) callback('back');
  }

  async close(): Promise<void> {
    for (const listener of this.#own) this.#servers.listeners.delete(listener);
  }
}
