// The servers, over the NATS client. The only file that knows it. What the settings are for is said at each.

import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamClient,
  type StreamConfig as JetStreamConfig,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import {
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  nanos,
  nkeyAuthenticator,
  nkeys,
  nuid,
  PermissionViolationError,
} from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { Signal } from '../library/index.js';
import type {
  AppendOptions,
  BucketConfig,
  BucketContents,
  BucketEntry,
  Bus,
  BusMessage,
  BusSubscription,
  FollowedMessage,
  PublishOptions,
  StreamConfig,
  StreamHealth,
  StreamMessage,
  StreamState,
} from './bus.js';
import { RevisionError } from './bus.js';
import { FleetError, OTHER_KEY } from './fleet-error.js';
import { HUB_DOMAIN } from './subjects.js';
import type { KeyPair } from './user-file.js';

/** How servers are reached. */
export interface BusOptions {
  readonly servers: readonly string[];
  /** The user's or host's name: its own inbox is `_INBOX_NAME`. */
  readonly name: string;
  /** The seed of a key, as its file has it. */
  readonly seed?: Uint8Array | undefined;
  /** Certificates of authorities in PEM; the system's if absent. */
  readonly ca?: string | undefined;
  /** Refuse servers without TLS. */
  readonly tls: boolean;
  /** Wait for servers for ever, as an agent does. Otherwise fail after some seconds. */
  readonly patient: boolean;
  /** What happens to the connection, for a log. */
  readonly tell?: ((line: string) => void) | undefined;
}

/** Milliseconds for a first connection, of somebody who waits for it. */
const CONNECT_TIMEOUT = 5000;
/** For an answer of JetStream. */
const API_TIMEOUT = 2000;
/** Before what was published is asked for again. */
const FLUSH_PAUSE = 100;
/** Errors of JetStream: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const WRONG_LAST_SEQUENCE = [10071, 10164];
const STREAM_NOT_FOUND = 10059;
const STREAM_EXISTS = 10058;
const REPLICAS_NOT_SUPPORTED = 10074;
const NO_PEERS = 10005;

/** A new key of a user. */
export function makeKeyPair(): KeyPair {
  const pair = nkeys.createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** @throws FleetError `CONNECT`, `UNAUTHORISED` */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { servers } = options;
  try {
    return new NatsBus(await connectTo(servers, options), options);
  } catch (error) {
    if (servers.length === 1 || options.patient) throw connectError(options, [error]);
    // The client tells only of the last one.
    throw (await whyNot(options)) ?? connectError(options, [error]);
  }
}

/** Tries each server by itself. @returns why none can be reached; `undefined` if all can */
export async function whyNot(options: BusOptions): Promise<FleetError | undefined> {
  const reasons = await Promise.all(options.servers.map((server) => reasonOf(server, { ...options, patient: false })));
  return reasons.every((reason) => reason === undefined) ? undefined : connectError(options, reasons);
}

function connectTo(servers: readonly string[], { name, seed, ca, tls, patient }: BusOptions): Promise<NatsConnection> {
  return connect({
    servers: [...servers],
    name,
    inboxPrefix: `_INBOX_${name}`,
    ...(seed ? { authenticator: nkeyAuthenticator(seed) } : {}),
    ...(tls ? { tls: ca === undefined ? {} : { ca } } : {}),
    // Without it the client forgets servers that were down at its first try.
    waitOnFirstConnect: patient,
    maxReconnectAttempts: -1,
    // A server whose users are being changed refuses for a moment.
    ignoreAuthErrorAbort: patient,
    reconnectTimeWait: 1000,
    reconnectJitter: 2000,
    reconnectJitterTLS: 2000,
    // A link that swallows packets is noticed after 10 to 15 seconds.
    pingInterval: 5000,
    maxPingOut: 2,
    timeout: CONNECT_TIMEOUT,
    // Each request would make two errors in case that it fails, which takes as long as sending it.
    noAsyncTraces: true,
  });
}

async function reasonOf(server: string, options: BusOptions): Promise<unknown> {
  try {
    const connection = await connectTo([server], options);
    await connection.close();
    return undefined;
  } catch (error) {
    return error;
  }
}

function connectError({ servers, seed }: BusOptions, reasons: readonly unknown[]): FleetError {
  const told = reasons.map((reason) =>
    ((reason as Error | undefined)?.message ?? 'it can be reached').replace(/^getaddrinfo .*$/, 'its name is not known'),
  );
  const refused = told.some((text) => /authorization/i.test(text));
  const plain = told.some((text) => /does not support .tls/.test(text));
  const distrusted = told.some((text) => /certificate|altname|self[- ]signed/i.test(text));
  const each = servers.map((server, i) => `${server} (${told[i] ?? told[0]})`).join(', ');
  return new FleetError(refused ? 'UNAUTHORISED' : 'CONNECT', `cannot connect to ${each}`, {
    cause: reasons[0],
    hint: plain
      ? 'the server has no certificate: docs/fleet.md says how it gets one; --ca, or ca of a configuration file, asks for TLS'
      : distrusted
        ? '--ca FILE names the authority of the certificates'
        : refused
          ? seed
            ? 'the servers do not know this key: they read what conntrack fleet auth render prints again with SIGHUP'
            : 'the servers want a key, --seed FILE: conntrack fleet auth makes it, docs/fleet.md says how'
          : 'is nats-server running there? To try it out on this machine: nats-server -js',
  });
}

class Message implements BusMessage {
  readonly #message: Msg;

  constructor(message: Msg) {
    this.#message = message;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get reply(): string | undefined {
    return this.#message.reply;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get status(): number {
    return this.#message.headers?.code ?? 0;
  }

  header(name: string): string | undefined {
    const { headers } = this.#message;
    return headers?.has(name) ? headers.get(name) : undefined;
  }
}

class KeptMessage implements FollowedMessage {
  readonly #message: JsMsg;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sequence: number;
  readonly at: number;
  readonly pending: number;

  constructor(message: JsMsg) {
    const { streamSequence, timestampNanos, pending } = message.info;
    this.#message = message;
    this.subject = message.subject;
    this.data = message.data;
    this.sequence = streamSequence;
    this.at = timestampNanos / 1e6;
    this.pending = pending;
  }

  header(name: string): string | undefined {
    const { headers } = this.#message;
    return headers?.has(name) ? headers.get(name) : undefined;
  }
}

class NatsBus implements Bus {
  readonly #connection: NatsConnection;
  readonly #jetstream: JetStreamClient;
  readonly #callbacks = new Set<(what: 'lost' | 'back') => void>();
  readonly #refusals = new Set<(subject: string) => boolean>();
  readonly #tell: (line: string) => void;
  #manager: Promise<JetStreamManager> | undefined;
  #connected = true;

  constructor(connection: NatsConnection, { tell = () => {} }: BusOptions) {
    this.#connection = connection;
    this.#tell = tell;
    this.#jetstream = jetstream(connection, { timeout: API_TIMEOUT });
    void this.#follow();
  }

  get server(): string {
    return this.#connection.getServer();
  }

  get serverVersion(): string {
    return this.#connection.info?.version ?? 'unknown';
  }

  get connected(): boolean {
    return this.#connected && !this.#connection.isClosed();
  }

  publish(subject: string, data: Uint8Array, { reply, headers: told }: PublishOptions = {}): void {
    if (this.#connection.isClosed()) return;
    this.#connection.publish(subject, data, {
      ...(reply === undefined ? {} : { reply }),
      ...(told ? { headers: toHeaders(told) } : {}),
    });
  }

  subscribe(
    subject: string,
    take: (message: BusMessage) => void,
    refused = (reason: string) => this.#tell(reason),
  ): BusSubscription {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) refused(`${subject}: ${error.message}`);
        else take(new Message(message));
      },
    });
    return { unsubscribe: () => subscription.unsubscribe() };
  }

  async flush(): Promise<void> {
    for (;;)
      try {
        await this.#connection.flush();
        return;
      } catch (error) {
        // The connection was lost meanwhile: it will be there again.
        if (this.#connection.isClosed()) throw explained(error);
        await new Promise((resolve) => setTimeout(resolve, FLUSH_PAUSE));
      }
  }

  hasBucket(bucket: string): Promise<boolean> {
    return this.hasStream(streamOf(bucket));
  }

  makeBucket(bucket: string, { replicas, ttl }: BucketConfig): Promise<void> {
    return this.#addStream(replicas, {
      name: streamOf(bucket),
      subjects: [`$KV.${bucket}.>`],
      discard: DiscardPolicy.New,
      max_msgs_per_subject: 1,
      max_msg_size: 16 << 10,
      max_age: nanos(ttl),
      allow_direct: true,
      allow_rollup_hdrs: true,
      deny_delete: true,
    });
  }

  async hasStream(name: string): Promise<boolean> {
    try {
      await (await this.#api()).streams.info(name);
      return true;
    } catch (error) {
      if (codeOf(error) === STREAM_NOT_FOUND) return false;
      throw explained(error);
    }
  }

  bucketHealth(bucket: string): Promise<StreamHealth | undefined> {
    return this.streamHealth(streamOf(bucket));
  }

  async streamHealth(name: string): Promise<StreamHealth | undefined> {
    let info: StreamInfo;
    try {
      info = await (await this.#api()).streams.info(name);
    } catch (error) {
      if (codeOf(error) === STREAM_NOT_FOUND) return undefined;
      throw explained(error);
    }
    const { config, state, cluster } = info;
    return {
      subjects: config.subjects ?? [],
      replicas: config.num_replicas,
      maxBytes: config.max_bytes,
      maxAge: config.max_age > 0 ? config.max_age / 1e6 : undefined,
      maxMessage: config.max_msg_size ?? -1,
      full: config.discard === DiscardPolicy.New ? 'refuse' : 'drop',
      isProtected: config.deny_delete === true,
      onDisk: config.storage === StorageType.File,
      bytes: state.bytes,
      sites: (info.sources ?? []).flatMap((source) => {
        const site = siteOf(source);
        return site === undefined ? [] : [{ site, lag: source.lag, silent: source.active < 0 ? undefined : source.active / 1e6 }];
      }),
      since: state.messages > 0 ? Date.parse(state.first_ts) : undefined,
      leader: cluster?.leader,
      followers: (cluster?.replicas ?? []).map(({ name: follower, current, offline = false, lag = 0 }) => ({
        name: follower,
        current,
        offline,
        lag,
      })),
    };
  }

  makeStream(
    { name, subjects, maxAge, maxBytes, maxMessage, full }: StreamConfig,
    replicas: number,
    site?: string,
  ): Promise<void> {
    const config = {
      name,
      subjects: [...subjects],
      discard: full === 'refuse' ? DiscardPolicy.New : DiscardPolicy.Old,
      max_bytes: maxBytes,
      max_msg_size: maxMessage,
      ...(maxAge === undefined ? {} : { max_age: nanos(maxAge) }),
      deny_delete: true,
      deny_purge: true,
    };
    return this.#addStream(replicas, config, site);
  }

  async addSite(name: string, site: string): Promise<boolean> {
    try {
      const { streams } = await this.#api();
      const { config } = await streams.info(name);
      const { sources = [] } = config;
      if (sources.some((source) => siteOf(source) === site)) return false;
      const source = { name, external: { api: apiOf(site), deliver: '' } };
      await streams.update(name, { ...config, sources: [...sources, source] });
      return true;
    } catch (error) {
      throw explained(error);
    }
  }

  async #addStream(
    replicas: number,
    config: Partial<JetStreamConfig> & Pick<JetStreamConfig, 'name'>,
    site?: string,
  ): Promise<void> {
    try {
      const { streams } = await (site === undefined ? this.#api() : this.#apiIn(site));
      await streams.add({
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        duplicate_window: nanos(DUPLICATES),
        num_replicas: replicas,
        ...config,
      });
    } catch (error) {
      if (codeOf(error) === STREAM_EXISTS) return;
      if (codeOf(error) === REPLICAS_NOT_SUPPORTED || codeOf(error) === NO_PEERS)
        throw new FleetError('NOT_SET_UP', `these servers cannot keep ${replicas} replicas: ${(error as Error).message}`, {
          cause: error,
          hint: 'a server of its own keeps --replicas 1',
        });
      throw explained(error);
    }
  }

  async readBucket(bucket: string): Promise<BucketContents> {
    /** By key; `undefined`: it was deleted. */
    const found = new Map<string, BucketEntry | undefined>();
    try {
      const { streams } = await this.#api();
      // A value that is replaced while it is read can be missed: its key is in the count, so that this shows.
      for (let passes = 0; passes < MOST_PASSES; passes++) {
        // Asked for at the same time: a key that is there now is read, or read in the next pass.
        const [now, { state }] = await Promise.all([this.#readOnce(bucket, found), streams.info(streamOf(bucket))]);
        if (found.size >= (state.num_subjects ?? 0))
          return { entries: [...found.values()].filter((entry) => entry !== undefined), now };
      }
    } catch (error) {
      throw explained(error);
    }
    throw new FleetError('UNAVAILABLE', 'the inventory changes too fast to be read', { hint: 'try again' });
  }

  /** Reads what is there, and what is written meanwhile. @returns the server's time */
  async #readOnce(bucket: string, found: Map<string, BucketEntry | undefined>): Promise<number> {
    const stream = streamOf(bucket);
    const { consumers } = await this.#api();
    // A consumer, not a watch: the server says when it was made, which is what time it is there.
    const info = await consumers.add(stream, {
      ...PASSING_CONSUMER,
      name: nuid.next(),
      deliver_policy: DeliverPolicy.LastPerSubject,
      filter_subject: `$KV.${bucket}.>`,
    });
    try {
      const consumer = this.#jetstream.consumers.getConsumerFromInfo(info);
      let left = info.num_pending;
      for (let most = 2 * left + MOST_FETCHED; left > 0 && most > 0; ) {
        const before = most;
        for await (const message of await consumer.fetch({ max_messages: Math.min(left, MOST_FETCHED), expires: 2000 })) {
          const key = message.subject.slice(`$KV.${bucket}.`.length);
          const { streamSequence: revision, timestampNanos, pending } = message.info;
          const deleted = (message.headers?.get('KV-Operation') ?? '') !== '';
          found.set(key, deleted ? undefined : { key, value: message.data, revision, at: timestampNanos / 1e6 });
          left = pending;
          most--;
        }
        if (most === before) break; // what was pending has been replaced
      }
    } finally {
      void consumers.delete(stream, info.name).catch(() => {}); // it ends by itself
    }
    return Date.parse(info.created);
  }

  async readKey(bucket: string, key: string): Promise<BucketEntry | undefined> {
    try {
      const found = await (await this.#api()).direct.getMessage(streamOf(bucket), { last_by_subj: `$KV.${bucket}.${key}` });
      if (!found || (found.header?.get('KV-Operation') ?? '') !== '') return undefined;
      return { key, value: found.data, revision: found.seq, at: found.time.getTime() };
    } catch (error) {
      throw explained(error);
    }
  }

  async writeKey(bucket: string, key: string, value: Uint8Array, revision: number): Promise<number> {
    try {
      const { seq } = await this.#jetstream.publish(`${this.#hub}$KV.${bucket}.${key}`, value, {
        expect: { lastSubjectSequence: revision },
        timeout: API_TIMEOUT,
      });
      return seq;
    } catch (error) {
      if (WRONG_LAST_SEQUENCE.includes(codeOf(error) ?? 0)) throw new RevisionError(key, { cause: error });
      throw explained(error);
    }
  }

  async append(subject: string, data: Uint8Array, { id, headers: told, timeout }: AppendOptions): Promise<number> {
    try {
      const { seq } = await this.#jetstream.publish(subject, data, {
        timeout,
        ...(id === undefined ? {} : { msgID: id }),
        ...(told ? { headers: toHeaders(told) } : {}),
      });
      return seq;
    } catch (error) {
      const { message } = error as Error;
      const nobody = /no responders|503/i.test(message);
      throw new FleetError(
        'UNAVAILABLE',
        nobody ? `nothing keeps ${subject}: no stream, or no leader` : `${subject}: ${message}`,
        {
          cause: error,
        },
      );
    }
  }

  async *readStream(
    name: string,
    { subject, from }: { readonly subject: string; readonly from?: number | undefined },
  ): AsyncGenerator<StreamMessage> {
    try {
      const { consumers } = await this.#api();
      const info = await consumers.add(name, {
        ...PASSING_CONSUMER,
        name: nuid.next(),
        filter_subject: subject,
        ...(from === undefined
          ? { deliver_policy: DeliverPolicy.All }
          : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(from).toISOString() }),
      });
      try {
        const consumer = await this.#jetstream.consumers.get(name, info.name);
        for (let left = info.num_pending; left > 0; ) {
          const before = left;
          for await (const { subject: told, data, info: place } of await consumer.fetch({
            max_messages: Math.min(left, MOST_FETCHED),
            expires: 5000,
          })) {
            left--;
            yield { subject: told, data, sequence: place.streamSequence, at: place.timestampNanos / 1e6 };
          }
          if (left === before) throw new FleetError('UNAVAILABLE', `${left} messages of ${name} did not come`);
        }
      } finally {
        void consumers.delete(name, info.name).catch(() => {}); // it ends by itself
      }
    } catch (error) {
      throw explained(error);
    }
  }

  async streamState(name: string): Promise<StreamState | undefined> {
    try {
      const { created, state } = await (await this.#api()).streams.info(name);
      return { created, first: state.first_seq, last: state.last_seq, bytes: state.bytes };
    } catch (error) {
      if (codeOf(error) === STREAM_NOT_FOUND) return undefined;
      throw explained(error);
    }
  }

  async *followStream(
    name: string,
    { subject, from, signal }: { readonly subject: string; readonly from: number; readonly signal: Signal },
  ): AsyncGenerator<FollowedMessage, void, undefined> {
    if (signal.aborted) return;
    try {
      // The client looks whether each message follows from the one before; of what was read the servers keep nothing.
      const consumer = await this.#jetstream.consumers.get(name, {
        filter_subjects: subject,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: from,
      });
      const messages = await consumer.consume({ ...FOLLOWING, abort_on_missing_resource: true });
      const stop = () => void messages.close();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop(); // while the consumer was made
      void endWithoutSigns(messages.status(), stop);
      try {
        for await (const message of messages) {
          if (signal.aborted) return;
          yield new KeptMessage(message);
        }
      } finally {
        signal.removeEventListener('abort', stop);
        stop();
      }
    } catch (error) {
      throw explained(error);
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

  reconnect(): void {
    void this.#connection.reconnect().catch(() => {}); // it is closed
  }

  async close(): Promise<void> {
    if (this.#connection.isClosed()) return;
    try {
      // Without a server there is nobody to take the rest.
      if (this.#connected) await this.#connection.drain();
      else await this.#connection.close();
    } catch {
      await this.#connection.close();
    }
  }

  /** Without asking what the account may do: agents may not. */
  #api(): Promise<JetStreamManager> {
    this.#manager ??= this.#apiIn(this.#isSite ? HUB_DOMAIN : undefined);
    return this.#manager;
  }

  #apiIn(domain: string | undefined): Promise<JetStreamManager> {
    return jetstreamManager(this.#connection, {
      checkAPI: false,
      timeout: API_TIMEOUT,
      ...(domain === undefined ? {} : { domain }),
    });
  }

  /** Whether the server is that of a site, which keeps records only until the hub has them. */
  get #isSite(): boolean {
    const { domain = HUB_DOMAIN } = (this.#connection.info ?? {}) as { readonly domain?: string };
    return domain !== HUB_DOMAIN;
  }

  /** What precedes subjects of buckets. */
  get #hub(): string {
    return this.#isSite ? `${apiOf(HUB_DOMAIN)}.` : '';
  }

  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') {
        this.#tell(`the connection to ${status.server} is lost`);
        this.#call('lost');
      } else if (status.type === 'reconnect') {
        this.#tell(`connected to ${status.server}`);
        this.#call('back');
      } else if (status.type === 'error') this.#takeError(status.error);
    }
  }

  #takeError(error: Error): void {
    const { message } = error;
    if (error instanceof PermissionViolationError) {
      const { operation, subject } = error;
      // Whoever subscribes is told anyway.
      if (operation === 'subscription') return;
      // Each is told, though one of them has heard it: several may have asked the same.
      const isHeard = [...this.#refusals].map((callback) => callback(subject)).includes(true);
      // What is asked of the servers themselves fails with that reason.
      if (isHeard || /^\$(JS|KV)\./.test(subject)) return;
    }
    this.#tell(message);
  }

  #call(what: 'lost' | 'back'): void {
    this.#connected = what === 'back';
    for (const callback of this.#callbacks) callback(what);
  }
}

/** The subjects of what a JetStream domain keeps. */
function apiOf(domain: string): string {
  return `$JS.${domain}.API`;
}

/** The site of a source, which is its domain. */
function siteOf(source: object): string | undefined {
  // The client's types do not know it in what servers say of a source.
  const { external } = source as { readonly external?: { readonly api: string } };
  return /^\$JS\.([^.]+)\.API$/.exec(external?.api ?? '')?.[1];
}

/** Of a consumer that goes on: bytes that are under way, milliseconds of a request, and between signs of life. */
const FOLLOWING = { max_bytes: 4 << 20, expires: 5000, idle_heartbeat: 1000 } as const;
/** A consumer that reads once, and of which the servers keep nothing. */
const PASSING_CONSUMER = {
  ack_policy: AckPolicy.None,
  mem_storage: true,
  num_replicas: 1,
  inactive_threshold: nanos(30_000),
} as const;
/** Milliseconds in which a second copy of a message is known by its id. */
const DUPLICATES = 120_000;
/** Messages in one fetch. */
const MOST_FETCHED = 4096;
/** Readings of a bucket until every key was seen. */
const MOST_PASSES = 10;

/** A consumer that gets no signs of life may wait for a server that is gone. */
async function endWithoutSigns(statuses: AsyncIterable<{ readonly type: string }>, stop: () => void): Promise<void> {
  for await (const { type } of statuses)
    if (type === 'heartbeats_missed' || type === 'stream_not_found' || type === 'consumer_deleted') stop();
}

function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

function toHeaders(told: Readonly<Record<string, string>>): MsgHdrs {
  const made = headers();
  for (const [name, value] of Object.entries(told)) made.set(name, value);
  return made;
}

function codeOf(error: unknown): number | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

/** Errors of the client about streams, in words of this package. */
function explained(error: unknown): Error {
  if (error instanceof FleetError) return error;
  const { name, message } = error as Error;
  if (codeOf(error) === STREAM_NOT_FOUND)
    return new FleetError('NOT_SET_UP', 'these servers know no fleet yet', {
      cause: error,
      hint: 'conntrack fleet setup prepares them; where no keys are needed, the first agent does',
    });
  if (name === 'JetStreamNotEnabled' || /no responders|not enabled|503/i.test(message))
    return new FleetError('UNAVAILABLE', 'the servers keep no inventory: JetStream is off, or has no leader at the moment', {
      cause: error,
      hint: 'a server of its own is started as nats-server -js; the service of a distribution may run without that and have the port',
    });
  if (/permission|authorization/i.test(message))
    return new FleetError('UNAUTHORISED', `this key may not do that: ${message}`, { cause: error, hint: OTHER_KEY });
  return new FleetError('UNAVAILABLE', `the servers gave no answer about the inventory: ${message}`, { cause: error });
}
